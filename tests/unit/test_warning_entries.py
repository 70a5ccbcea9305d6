"""The warning log over several runs: raised once, escalated by working days, cleared, raised again (facts §4)."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.lake import Lake
from exchange_formats.digests import derive_uuid
from exchange_formats.errors import ConfigurationError, FatalError
from exchange_formats.keys import warned_prefix
from gateway.warning_log import read_log, read_standing, recompute_entry, record_warnings
from tests.fakes import DiedError, DyingStore, MemoryStore
from tests.publication_samples import DOMAIN
from tests.warning_runs import A, B, Story, found, graded, near_band, on, penalties


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


RAISED = ("raised", "frequent_penalties", "orange")


@pytest.mark.semantics("4.6")
def test_warning_is_raised_once_when_it_is_found_again(story: Story) -> None:
    assert story.run("2026-06-29", "C", [penalties("2026-06-20")]) == [RAISED]
    assert story.run("2026-06-30", "C", [penalties("2026-06-20")]) == []
    assert story.open() == [("frequent_penalties", "orange", "open")]


@pytest.mark.semantics("4.6")
def test_same_subject_rule_and_level_inside_the_window_is_one_warning_counted_up(story: Story) -> None:
    story.run("2026-06-29", "C", [penalties("2026-06-20", records=3)])
    told = story.run("2026-06-30", "C", [penalties("2026-06-20", "2026-06-30", records=4)])
    assert told == [("updated", "frequent_penalties", "orange")]
    event = story.events()[0]
    assert (event["records"], event["previous_records"], event["previous_level"]) == (4, 3, "orange")
    assert event["last_triggered_on"] == on("2026-06-30")


@pytest.mark.semantics("4.3")
def test_id_is_derived_from_domain_subject_rule_and_first_trigger(story: Story) -> None:
    story.run("2026-06-29", "C", [penalties("2026-06-20")])
    assert story.events()[0]["id"] == str(derive_uuid(DOMAIN, A, "frequent_penalties", "p-2026-06-20"))
    # The first trigger was repaired since: the warning is the same.
    story.run("2026-06-30", "C", [penalties("2026-06-25", records=2)])
    assert story.events()[0]["id"] == str(derive_uuid(DOMAIN, A, "frequent_penalties", "p-2026-06-20"))


@pytest.mark.semantics("4.8")
def test_orange_is_cleared_when_90_days_brought_no_new_trigger(story: Story) -> None:
    story.run("2026-06-20", "C", [penalties("2026-06-20")])
    story.answer("signed", "2026-06-21")
    assert story.run("2026-09-18", "C", [penalties("2026-06-20")]) == []
    assert story.run("2026-09-19", "C") == [("cleared", "frequent_penalties", "orange")]
    assert story.open() == []


@pytest.mark.semantics("4.8")
def test_warning_is_cleared_at_once_when_its_records_never_happened(story: Story) -> None:
    story.run("2026-06-20", "C", [penalties("2026-06-20")])
    assert story.run("2026-06-21", "C") == [("cleared", "frequent_penalties", "orange")]


@pytest.mark.semantics("4.8")
def test_yellow_expires_when_its_window_is_over(story: Story) -> None:
    checks = found("failed_checks", "yellow", "2026-01-05", "c-1")
    story.run("2026-06-20", "C", [checks])
    story.answer("signed", "2026-06-22")
    assert story.run("2026-07-04", "C", [checks]) == []
    assert story.run("2026-07-05", "C") == [("expired", "failed_checks", "yellow")]


@pytest.mark.semantics("4.8")
def test_yellow_is_cleared_when_its_cause_is_closed(story: Story) -> None:
    story.run("2026-06-20", "C", [found("rectification_overdue", "yellow", "2026-06-19", "c-1")])
    assert story.run("2026-06-22", "C") == [("cleared", "rectification_overdue", "yellow")]


@pytest.mark.semantics("4.8")
def test_red_is_cleared_when_the_subject_left_the_list(story: Story) -> None:
    story.run("2026-06-20", "E", [found("severe_list", "red", "2026-06-01", "l-1")])
    assert story.run("2026-06-21", "E", [found("severe_list", "red", "2026-06-01", "l-1")]) == []
    assert story.run("2026-06-22", "D") == [("cleared", "severe_list", "red")]


@pytest.mark.semantics("4.8")
def test_red_is_cleared_when_the_grade_is_d_or_better_for_two_evaluation_cycles(story: Story) -> None:
    accident = found("grave_incident", "red", "2026-06-10", "i-1")
    assert story.run("2026-06-15", "D", [accident]) == [("raised", "grave_incident", "red")]
    assert story.run("2026-06-30", "D", [accident]) == []
    # July and June, each after the warning: two cycles of a monthly model.
    assert story.run("2026-07-01", "D", [accident]) == [("cleared", "grave_incident", "red")]


def test_red_stays_when_one_of_the_two_cycles_was_worse(story: Story) -> None:
    accident = found("grave_incident", "red", "2026-06-10", "i-1")
    story.run("2026-06-15", "E", [accident])
    story.run("2026-06-30", "E", [accident])
    assert story.run("2026-07-31", "D", [accident]) == []
    assert story.run("2026-08-31", "D") == [("cleared", "grave_incident", "red")]


@pytest.mark.semantics("4.3", "4.9")
def test_warning_that_is_over_is_raised_again_only_by_a_new_trigger(story: Story) -> None:
    accident = found("grave_incident", "red", "2026-06-10", "i-1")
    story.run("2026-06-15", "D", [accident])
    first = story.events()[0]["id"]
    story.run("2026-06-30", "D", [accident])
    story.run("2026-07-01", "D", [accident])
    assert story.run("2026-07-02", "D", [accident]) == []
    second = found("grave_incident", "red", "2026-06-10", "i-1", ("2026-07-03", "i-2"), records=2)
    assert story.run("2026-07-03", "D", [second]) == [("raised", "grave_incident", "red")]
    event = story.events()[0]
    assert (event["trigger"], event["triggered_on"]) == ("i-2", on("2026-06-10"))
    assert event["id"] == str(derive_uuid(DOMAIN, A, "grave_incident", "i-2"))
    assert event["id"] != first


def test_blue_is_cleared_and_raised_by_the_score_itself(story: Story) -> None:
    assert story.run("2026-06-20", "B", [near_band("B")]) == [("raised", "near_lower_band", "blue")]
    first = story.events()[0]
    assert (first["trigger"], first["sign_by"], first["triggered_on"]) == ("band:B@2026-06-20", None, None)
    assert story.run("2026-06-21", "B") == [("cleared", "near_lower_band", "blue")]
    assert story.run("2026-06-22", "B", [near_band("B")]) == [("raised", "near_lower_band", "blue")]
    assert story.events()[0]["id"] != first["id"]


def test_blue_is_another_warning_when_the_score_nears_another_grade(story: Story) -> None:
    story.run("2026-06-20", "B", [near_band("B")])
    told = story.run("2026-06-21", "A", [near_band("A")])
    assert told == [("raised", "near_lower_band", "blue"), ("cleared", "near_lower_band", "blue")]


@pytest.mark.semantics("4.8")
def test_warnings_are_cleared_when_their_subject_left_the_domain(story: Story) -> None:
    story.run("2026-06-20", "C", [found("grave_incident", "red", "2026-06-10", "i-1")])
    assert story.run("2026-06-21", [graded(B, "A")]) == [("cleared", "grave_incident", "red")]


@pytest.mark.semantics("4.5", "4.7")
def test_yellow_becomes_orange_and_red_when_nobody_signs_in_working_days(story: Story) -> None:
    """Friday 2026-09-25 is Mid-Autumn, 10-01 to 10-07 National Day; Sunday 09-20 and Saturday 10-10 are worked."""
    overdue = found("rectification_overdue", "yellow", "2026-09-17", "c-1")
    assert story.run("2026-09-18", "C", [overdue]) == [("raised", "rectification_overdue", "yellow")]
    assert story.events()[0]["sign_by"] == on("2026-09-24")
    assert story.run("2026-09-24", "C", [overdue]) == []
    assert story.run("2026-09-25", "C", [overdue]) == [("escalated", "rectification_overdue", "orange")]
    event = story.events()[0]
    assert (event["cause"], event["previous_level"], event["sign_by"]) == ("unsigned", "yellow", on("2026-09-30"))
    assert story.run("2026-10-01", "C", [overdue]) == [("escalated", "rectification_overdue", "red")]
    assert story.events()[0]["sign_by"] == on("2026-10-08")
    assert story.run("2026-10-20", "C", [overdue]) == [], "red escalates no further"
    assert story.open() == [("rectification_overdue", "red", "open")]


@pytest.mark.semantics("4.7")
def test_warning_does_not_escalate_when_it_was_signed_for(story: Story) -> None:
    overdue = found("rectification_overdue", "yellow", "2026-06-17", "c-1")
    story.run("2026-06-22", "C", [overdue])
    story.answer("signed", "2026-06-23")
    assert story.run("2026-07-30", "C", [overdue]) == []
    assert story.open() == [("rectification_overdue", "yellow", "signed")]


def test_grade_that_falls_into_e_warns_red_since_the_run_before(story: Story) -> None:
    story.run("2026-01-31", "D")
    assert story.run("2026-06-30", "E") == [("raised", "fell_to_worst", "red")]
    assert story.events()[0]["trigger"] == "fall:D@2026-01-31"
    # More than 100 points lower, too: the same fall, told already.
    assert story.run("2026-07-01", "E") == []


def test_subject_whose_first_grade_is_e_did_not_fall(story: Story) -> None:
    story.run("2026-06-29", [graded(B, "A")])
    assert story.run("2026-06-30", [graded(B, "A"), graded(A, "E")]) == []


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (("B", "840.00"), ("D", "745.00"), ("raised", "fell_far", "orange")),
        (("C", "799.00"), ("D", "700.00"), ("raised", "fell_one_grade", "yellow")),
        (("A", "950.00"), ("A", "850.00"), ("raised", "fell_far", "orange")),
        (("A", "949.99"), ("A", "850.00"), None),
        (("D", "700.00"), ("B", "801.00"), None),
    ],
)
def test_fall_within_30_days_warns_by_grades_or_points(
    story: Story, before: tuple[str, str], after: tuple[str, str], told: tuple[str, str, str] | None
) -> None:
    story.run("2026-06-10", [graded(A, *before)])
    assert story.run("2026-06-30", [graded(A, *after)]) == ([told] if told else [])


@pytest.mark.semantics("4.10")
def test_fall_is_told_from_the_grade_that_stood_when_the_window_began(story: Story) -> None:
    story.run("2026-03-31", "B")
    story.run("2026-06-30", "C")
    assert [event["trigger"] for event in story.events()] == ["fall:B@2026-03-31"]
    # 06-30 has stood for the whole window by then: the fall is past.
    assert story.run("2026-07-30", "C") == [("escalated", "fell_one_grade", "orange")]
    assert story.events()[0]["cause"] == "unsigned"


def test_slow_slide_is_one_fall_of_two_grades_when_the_window_holds_both(story: Story) -> None:
    story.run("2026-06-10", "B")
    assert story.run("2026-06-20", "C") == [("raised", "fell_one_grade", "yellow")]
    assert ("raised", "fell_far", "orange") in story.run("2026-06-25", "D")
    assert story.events()[0]["trigger"] == "fall:B@2026-06-10"


def test_fall_of_one_grade_is_cleared_when_the_grade_is_back(story: Story) -> None:
    story.run("2026-06-10", "B")
    story.run("2026-06-20", "C")
    assert story.run("2026-06-24", "B") == [("cleared", "fell_one_grade", "yellow")]
    assert story.run("2026-06-26", "C") == [("raised", "fell_one_grade", "yellow")]
    assert story.events()[0]["trigger"] == "fall:B@2026-06-24"


@pytest.mark.semantics("4.13")
def test_correction_of_an_earlier_day_is_what_the_next_run_is_compared_with(story: Story) -> None:
    story.run("2026-06-10", "B")
    story.run("2026-06-20", "B")
    # A backfill of both days says they were C all along: it warns of nothing itself.
    assert story.run("2026-06-10", "C") == []
    assert story.run("2026-06-20", "C") == []
    assert story.run("2026-06-25", "C") == []


@pytest.mark.semantics("4.10")
def test_grade_that_lost_its_public_credit_result_did_not_fall(story: Story) -> None:
    story.run("2026-06-10", "B")
    missing = {"public_credit_origin": "neutral"}
    assert story.run("2026-06-20", [graded(A, "D") | missing]) == []
    # A veto is a fall whatever the score rests on.
    vetoed = graded(A, "E") | missing | {"override_reasons": ["IND1203"]}
    assert story.run("2026-06-21", [vetoed]) == [("raised", "fell_to_worst", "red")]


@pytest.mark.semantics("4.10")
def test_new_model_is_not_a_fall(story: Story) -> None:
    story.run("2026-06-10", "B")
    run = story.runs.commit(on("2026-06-20"), [graded(A, "D")], model="enterprise_environment@2026.2")
    entry = record_warnings(story.lake, run, spool=story.spool)
    assert entry is not None
    assert entry.events_by_kind == {}


@pytest.mark.semantics("4.11")
def test_burst_of_new_warnings_is_one_warning_of_the_domain(story: Story) -> None:
    many = [graded(f"91330100MA{number:08d}", "C") for number in range(1, 301)]
    hit = [penalties("2026-06-20", subject_ref=row["subject_ref"]) for row in many[:3]]
    story.run("2026-06-20", many, hit)
    assert story.entries[-1].industry is None, "1 % is not above 1 %"
    hit.append(penalties("2026-06-21", subject_ref=many[3]["subject_ref"]))
    story.run("2026-06-21", many, hit)
    declared = story.entries[-1].industry
    assert declared is not None
    assert (declared.subjects, declared.of, declared.level) == (4, 300, "orange")
    story.run("2026-06-22", many, hit)
    assert story.entries[-1].industry == declared, "one warning while it lasts"
    story.run("2026-06-27", many, hit)
    assert story.entries[-1].industry is None, "seven days later nothing is new any more"


def test_burst_does_not_count_what_only_escalated(story: Story) -> None:
    story.run("2026-06-10", "C", [found("rectification_overdue", "yellow", "2026-06-01", "c-1")])
    assert story.run("2026-06-30", "C", [found("rectification_overdue", "yellow", "2026-06-01", "c-1")])
    assert story.entries[-1].industry is None


@pytest.mark.semantics("4.4")
def test_numbers_count_a_days_warnings_of_each_level_on(story: Story) -> None:
    many = [graded(A, "C"), graded(B, "C")]
    story.run("2026-06-20", many, [penalties("2026-06-20")])
    both = [penalties("2026-06-20"), penalties("2026-06-20", subject_ref=B)]
    story.run("2026-06-20", many, both)
    assert [(row["subject_ref"], row["number"]) for row in story.standing()] == [(A, 1), (B, 2)]
    assert story.entries[-1].numbers == {"orange": 2}


@pytest.mark.semantics("4.2", "6.15")
def test_run_is_recorded_once_and_its_entry_can_be_computed_again(story: Story, tmp_path: Path) -> None:
    story.run("2026-06-10", "B", [penalties("2026-06-01")])
    story.answer("signed", "2026-06-11")
    story.run("2026-06-30", "D", [penalties("2026-06-01"), near_band("D")])
    entry = story.entries[-1]
    again = record_warnings(story.lake, story.runs.committed[-1], spool=story.spool)
    assert again == entry
    for one in story.entries:
        assert recompute_entry(Lake(story.lake.store, tmp_path / "other"), one, tmp_path) == one


@pytest.mark.semantics("4.2")
def test_changed_entry_is_found_when_it_is_read(story: Story, tmp_path: Path) -> None:
    story.run("2026-06-10", "B", [penalties("2026-06-01")])
    store = story.lake.store
    assert isinstance(store, MemoryStore)
    key = next(key for key in store.objects if key.startswith(warned_prefix(DOMAIN)) and "standing" in key)
    store.objects[key] += b"x"
    lake = Lake(store, tmp_path / "other")
    with pytest.raises(FatalError, match="standing"):
        read_standing(lake, read_log(lake, DOMAIN), tmp_path)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_log_is_whole_when_recording_dies_at_any_write(story: Story, tmp_path: Path, step: int) -> None:
    story.run("2026-06-10", "B", [penalties("2026-06-01")])
    run = story.runs.commit(on("2026-06-12"), [graded(A, "C")], [penalties("2026-06-01")])
    assert isinstance(story.lake.store, MemoryStore)
    dying = DyingStore(step, after=False, objects=story.lake.store.objects)
    with pytest.raises(DiedError):
        record_warnings(Lake(dying, tmp_path / "cache"), run, spool=story.spool)
    assert len(read_log(story.lake, DOMAIN).entries) == 1
    entry = record_warnings(story.lake, run, spool=story.spool)
    assert entry is not None
    assert entry.events_by_kind == {"raised": 1}


@pytest.mark.semantics("4.2", "6.8")
def test_what_is_answered_while_a_run_is_recorded_is_joined(story: Story) -> None:
    """Two writers fork the log: the next entry has both as parents, and the answer holds."""
    story.run("2026-06-10", "C", [penalties("2026-06-01", records=3)])
    before = dict(story.lake.store.objects)  # type: ignore[attr-defined]
    answer = story.answer("signed", "2026-06-11")
    assert isinstance(story.lake.store, MemoryStore)
    answered = {key: value for key, value in story.lake.store.objects.items() if key not in before}
    story.lake.store.objects = before
    story.run("2026-06-12", "C", [penalties("2026-06-01", "2026-06-12", records=4)])
    story.lake.store.objects |= answered
    assert set(read_log(story.lake, DOMAIN).heads) == {answer.sha256, story.entries[-1].sha256}
    (row,) = story.standing()
    assert (row["state"], row["records"]) == ("signed", 4)
    assert story.run("2026-07-20", "C", [penalties("2026-06-01", "2026-06-12", records=4)]) == []
    assert set(story.entries[-1].parents) == {answer.sha256, story.entries[-2].sha256}


def test_answer_is_refused_when_it_cannot_follow(story: Story) -> None:
    story.run("2026-06-10", "C", [penalties("2026-06-01")])
    story.answer("signed", "2026-06-11")
    with pytest.raises(ConfigurationError, match="signed already"):
        story.answer("signed", "2026-06-11")
    story.answer("handled", "2026-06-12")
    with pytest.raises(ConfigurationError, match="handled already"):
        story.answer("handled", "2026-06-12")
    assert story.open() == [("frequent_penalties", "orange", "handled")]


def test_answer_is_refused_when_it_holds_an_identity_number(story: Story) -> None:
    story.run("2026-06-10", "C", [penalties("2026-06-01")])
    with pytest.raises(ConfigurationError, match="resident number") as caught:
        story.answer("handled", "2026-06-11", summary="法定代表人 11010519491231002X 已到场")
    assert "19491231" not in str(caught.value)
    assert story.open() == [("frequent_penalties", "orange", "open")]


def test_answer_after_the_last_day_is_late(story: Story) -> None:
    story.run("2026-06-10", "C", [penalties("2026-06-01")])
    entry = story.answer("signed", "2026-06-16")
    (event,) = story.events(entry)
    assert (event["sign_by"], event["in_time"]) == (on("2026-06-15"), False)


@pytest.mark.semantics("4.7")
def test_escalated_warning_is_signed_for_anew(story: Story) -> None:
    overdue = found("rectification_overdue", "yellow", "2026-06-01", "c-1")
    story.run("2026-06-10", "C", [overdue])
    story.run("2026-06-30", "C", [overdue])
    assert story.open() == [("rectification_overdue", "orange", "open")]
    (event,) = story.events(story.answer("signed", "2026-07-01"))
    assert (event["level"], event["in_time"]) == ("orange", True)
