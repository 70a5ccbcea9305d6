"""Wait for a service: try, and try again, until it answers, its process is given up, or the time is over."""

from __future__ import annotations

from collections.abc import Callable

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from exchange_formats.errors import FatalError, TransientError

_TIMEOUT = httpx.Timeout(5.0)


def await_ready(probe: Callable[[], None], *, what: str, seconds: float, interval: float = 0.15) -> None:
    """Call ``probe`` until it no longer raises TransientError.

    Raises:
        FatalError: not within ``seconds``; the message carries the last reason.
    """
    retrying = Retrying(
        retry=retry_if_exception_type(TransientError),
        wait=wait_fixed(interval),
        stop=stop_after_delay(seconds),
        reraise=True,
    )
    try:
        retrying(probe)
    except TransientError as error:
        raise FatalError(f"{what}: {seconds:.0f} 秒内未就绪 not ready in time: {error.message}") from error


def fetch(url: str, *, auth: tuple[str, str] | None = None, expect: int | None = 200) -> httpx.Response:
    """GET from the loopback address, past any proxy; ``expect=None`` takes any status below 500.

    Raises:
        TransientError: no connection, or another status.
    """
    try:
        with httpx.Client(timeout=_TIMEOUT, trust_env=False) as client:
            response = client.get(url, auth=auth)
    except httpx.HTTPError as error:
        raise TransientError(f"{url}: {type(error).__name__}") from error
    if response.status_code != expect and (expect is not None or response.status_code >= 500):
        raise TransientError(f"{url}: HTTP {response.status_code}")
    return response
