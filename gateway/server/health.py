"""Health of one Airflow component as its API server sees it, for a container that has no port of its own.

``python -m gateway.server.health URL COMPONENT`` exits 0 when the component's heartbeat is fresh. It costs a
tenth of what ``airflow jobs check`` does, which imports all of Airflow each time.
"""

from __future__ import annotations

import sys

import httpx

_TIMEOUT = httpx.Timeout(5.0)


def check_health(url: str, component: str) -> str | None:
    """``None`` when ``component`` (a key of ``/api/v2/monitor/health``) is healthy, else what is wrong."""
    try:
        with httpx.Client(timeout=_TIMEOUT, trust_env=False) as client:
            answer = client.get(url)
            answer.raise_for_status()
            found = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        return f"{url}: {type(error).__name__}"
    status = (found.get(component) or {}).get("status") if isinstance(found, dict) else None
    return None if status == "healthy" else f"{component}: {status or 'unknown'}"


def main(arguments: list[str]) -> int:
    """Exit status for a health check; what is wrong goes to standard error, where ``docker inspect`` shows it."""
    url, component = arguments
    problem = check_health(url, component)
    if problem:
        sys.stderr.write(problem + "\n")
    return 1 if problem else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
