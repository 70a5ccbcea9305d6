"""What Airflow does with each class of error (architecture §5.5): the one table, and the one place that applies it."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType

from airflow.sdk import Context, ExceptionRetryPolicy, RetryAction, RetryDecision, RetryRule
from airflow.sdk.exceptions import AirflowSkipException

from exchange_formats.errors import ConfigurationError, FatalError, SkippableError, TransientError, XinqiaoError

log = logging.getLogger(__name__)

#: Attempts after the first; only what is transient, and what nobody foresaw, is tried again.
RETRIES = 3
#: After a TransientError, unless the source asks for longer.
RETRY_DELAY = timedelta(minutes=2)
#: After anything else: most often Airflow's own API was not up yet or a worker was killed.
SHORT_DELAY = timedelta(seconds=15)
#: A source that asks for more than this is asked again after this.
LONGEST_DELAY = timedelta(hours=1)


class Outcome(StrEnum):
    """What becomes of a task that raised."""

    RETRY = "retry"
    FAIL = "fail"
    SKIP = "skip"


OUTCOMES: Mapping[type[XinqiaoError], Outcome] = MappingProxyType(
    {
        TransientError: Outcome.RETRY,
        FatalError: Outcome.FAIL,
        ConfigurationError: Outcome.FAIL,
        SkippableError: Outcome.SKIP,
    }
)
_ACTIONS = {Outcome.RETRY: RetryAction.RETRY, Outcome.FAIL: RetryAction.FAIL}


def decide_outcome(error: XinqiaoError) -> Outcome:
    """What becomes of a task that raised ``error``; an error outside the table is a fault of ours and fails."""
    return next((outcome for kind, outcome in OUTCOMES.items() if isinstance(error, kind)), Outcome.FAIL)


class ErrorClassPolicy(ExceptionRetryPolicy):
    """Retries by the table; a source that says when to come back is believed, within bounds.

    Errors that are not ours follow Airflow's ordinary count.
    """

    def __init__(self) -> None:
        super().__init__(
            [
                RetryRule(exception=kind, action=_ACTIONS[outcome])
                for kind, outcome in OUTCOMES.items()
                if outcome in _ACTIONS
            ]
        )

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """The table's decision."""
        decision = super().evaluate(exception, try_number, max_tries, context)
        if decision.action is not RetryAction.RETRY:
            return decision
        asked = getattr(exception, "retry_after", None) or RETRY_DELAY
        return RetryDecision.retry(min(max(asked, RETRY_DELAY), LONGEST_DELAY), decision.reason)


class UnforeseenError(Exception):
    """Stands for an error nobody raised on purpose: its own text may hold a value of a record, which no log may."""


@contextmanager
def as_airflow_sees_it() -> Iterator[None]:
    """Around the body of every task: what is skippable becomes Airflow's skip; the policy sees to the rest."""
    try:
        yield
    except XinqiaoError as error:
        if decide_outcome(error) is Outcome.SKIP:
            raise AirflowSkipException(str(error)) from error
        raise
    except Exception as error:  # noqa: BLE001  # whatever it is, its text must not be logged
        places = "".join(traceback.format_tb(error.__traceback__))
        log.error("%s\n%s", type(error).__name__, places)  # noqa: TRY400  # the traceback without the text
        raise UnforeseenError(f"内部错误 internal error: {type(error).__name__}") from None
