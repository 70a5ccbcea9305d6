from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowSkipException

import connectors.landing
import gateway.stack  # noqa: F401  # errors of theirs are leaves too
from exchange_formats.errors import ConfigurationError, FatalError, SkippableError, TransientError, XinqiaoError
from gateway.airflow.failures import (
    LONGEST_DELAY,
    OUTCOMES,
    RETRY_DELAY,
    ErrorClassPolicy,
    Outcome,
    UnforeseenError,
    as_airflow_sees_it,
    decide_outcome,
)

EXPECTED = {
    TransientError: RetryAction.RETRY,
    FatalError: RetryAction.FAIL,
    ConfigurationError: RetryAction.FAIL,
}


def leaves(kind: type[XinqiaoError]) -> Iterator[type[XinqiaoError]]:
    children = kind.__subclasses__()
    if not children:
        yield kind
    for child in children:
        yield from leaves(child)


def test_every_error_has_an_outcome_when_it_is_raised() -> None:
    found = set(leaves(XinqiaoError))
    assert connectors.landing.LandingStoppedError in found
    without = [kind.__name__ for kind in found if not issubclass(kind, tuple(OUTCOMES))]
    assert without == []


def test_table_names_each_class_once_when_read() -> None:
    assert set(OUTCOMES) == set(XinqiaoError.__subclasses__())


@pytest.mark.parametrize(("kind", "action"), EXPECTED.items())
def test_policy_decides_by_class_when_a_task_fails(kind: type[XinqiaoError], action: RetryAction) -> None:
    assert ErrorClassPolicy().evaluate(kind("why"), 1, 3).action is action


def test_policy_decides_by_the_base_when_the_error_is_a_leaf() -> None:
    class UnreachableError(TransientError):
        """A leaf."""

    assert ErrorClassPolicy().evaluate(UnreachableError("why"), 1, 3).action is RetryAction.RETRY


def test_policy_leaves_it_to_airflow_when_the_error_is_not_ours() -> None:
    assert ErrorClassPolicy().evaluate(ValueError("why"), 1, 3).action is RetryAction.DEFAULT


@pytest.mark.parametrize(
    ("asked", "delay"),
    [
        (None, RETRY_DELAY),
        (timedelta(seconds=1), RETRY_DELAY),
        (timedelta(minutes=10), timedelta(minutes=10)),
        (timedelta(days=1), LONGEST_DELAY),
    ],
)
def test_delay_is_what_the_source_asked_when_within_bounds(asked: timedelta | None, delay: timedelta) -> None:
    decision = ErrorClassPolicy().evaluate(TransientError("busy", retry_after=asked), 1, 3)
    assert decision.retry_delay == delay


def test_skip_is_airflows_when_only_this_slice_is_left_out() -> None:
    with pytest.raises(AirflowSkipException, match="没有 nothing"), as_airflow_sees_it():
        raise SkippableError("没有 nothing")


@pytest.mark.parametrize("kind", [TransientError, FatalError, ConfigurationError])
def test_error_reaches_the_policy_when_it_is_not_skippable(kind: type[XinqiaoError]) -> None:
    with pytest.raises(kind), as_airflow_sees_it():
        raise kind("why")


def test_text_stays_out_of_the_log_when_nobody_foresaw_the_error(caplog: pytest.LogCaptureFixture) -> None:
    number = "330102199003071234"
    with pytest.raises(UnforeseenError) as raised, as_airflow_sees_it():
        raise ValueError(f"cannot convert {number}")
    assert "ValueError" in str(raised.value)
    assert raised.value.__suppress_context__
    assert "test_airflow_failures" in caplog.text
    assert number not in caplog.text + str(raised.value)


def test_error_outside_the_table_fails_when_decided() -> None:
    assert decide_outcome(XinqiaoError("why")) is Outcome.FAIL
