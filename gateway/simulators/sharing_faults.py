"""Faults a test orders from the sharing server: each is used up after ``times`` matching calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

FaultKind = Literal[
    "http_status",  # `status` with `retry_after`
    "empty_page",  # datas empty, totals unchanged
    "total_page_change",  # totals grow by one record and one page
    "html",  # a login page with HTTP 200
    "truncated",  # the body stops half way
    "hang",  # the answer comes after `seconds`
    "refusal",  # HTTP 200 with `code`
    "expire_secrets",  # every requestSecret runs out
    "same_request_id",  # requestId repeats
    "rows",  # datas is `rows`
]


class Fault(BaseModel):
    """One ordered fault; empty ``participant``/``dataset`` and ``page`` 0 match any call.

    ``dataset`` ``token`` means the two refresh calls.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FaultKind
    participant: str = ""
    dataset: str = ""
    page: int = Field(default=0, ge=0)
    times: int = Field(default=1, ge=1)
    status: int = Field(default=503, ge=400, le=599)
    retry_after: int = Field(default=1, ge=0)
    seconds: float = Field(default=60, ge=0)
    code: str = "99"
    rows: tuple[Mapping[str, str | None], ...] = ()


class FaultBook:
    """The ordered faults, first ordered first used."""

    def __init__(self) -> None:
        self._left: list[tuple[Fault, int]] = []

    def order(self, fault: Fault) -> None:
        """Add one."""
        self._left.append((fault, fault.times))

    def clear(self) -> None:
        """Forget all."""
        self._left.clear()

    def take(self, participant: str, dataset: str, page: int) -> Fault | None:
        """Use up one call of the first fault that matches."""
        for i, (fault, times) in enumerate(self._left):
            here = fault.participant in {"", participant} and fault.page in {0, page}
            if here and (fault.dataset == dataset or (not fault.dataset and dataset != "token")):
                if times == 1:
                    del self._left[i]
                else:
                    self._left[i] = (fault, times - 1)
                return fault
        return None
