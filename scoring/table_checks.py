"""What a shared table must hold besides its schema: bands end to end, measures with their law, and so on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from exchange_formats.conditions import ConditionError, parse_condition, texts_asked
from exchange_formats.datasets import load_catalogue
from exchange_formats.documents import Document
from exchange_formats.errors import Problem
from scoring.checks import check_condition, check_counts
from scoring.grammar import Counts, dataset_columns
from scoring.tables import Band, Bands, Decay, Measures, Publicity, Severity, Table
from scoring.warning_tables import WarningTable, check_warnings
from scoring.working_days import HolidayTable, check_holidays

_LAW: Final = "浙江省公共信用信息管理条例 26"


def check_table(document: Document[Any], table: Table, stem: str) -> Iterator[Problem]:
    """What is wrong with one table beyond its schema; ``stem`` is its file's name without the ending."""
    if table.name != stem:
        yield document.problem(("id",), "id@version is not the file's name", expected=stem, got=table.name)
    if isinstance(table, Bands):
        yield from check_bands(document, table.bands, ("bands",))
    elif isinstance(table, Decay):
        yield from _check_decay(document, table)
    elif isinstance(table, Severity):
        yield from _check_severity(document, table)
    elif isinstance(table, Measures):
        yield from _check_measures(document, table)
    elif isinstance(table, WarningTable):
        yield from check_warnings(document, table)
    elif isinstance(table, HolidayTable):
        yield from check_holidays(document, table)
    elif isinstance(table, Publicity):
        yield from _check_decrees(document, table)


def check_bands(document: Document[Any], bands: tuple[Band, ...], path: tuple[str | int, ...]) -> Iterator[Problem]:
    """Bands lie end to end from 0 upwards, best first, each grade once."""
    for index, band in enumerate(bands):
        above = bands[index - 1].from_ if index else None
        if band.below != above:
            what = "the bands overlap" if above is not None and (band.below or 1001) > above else "the bands have a gap"
            shown = "no upper end (null)" if above is None else str(above)
            yield document.problem((*path, index, "below"), what, expected=shown, got=str(band.below))
        if band.below is not None and band.from_ >= band.below:
            yield document.problem((*path, index, "from"), "the band is empty", expected=f"less than {band.below}")
    if bands[-1].from_ != 0:
        yield document.problem(
            (*path, len(bands) - 1, "from"), "the lowest band must begin at 0", got=str(bands[-1].from_)
        )
    letters = [band.grade for band in bands]
    if letters != sorted(set(letters)):
        yield document.problem(path, "grades must stand once each, best first", got=" ".join(letters))


def _check_decay(document: Document[Any], table: Decay) -> Iterator[Problem]:
    for index in range(1, len(table.steps)):
        before, step = table.steps[index - 1], table.steps[index]
        if step.months <= before.months or step.factor > before.factor:
            yield document.problem(("steps", index), "steps grow older and never weigh more")
    if table.steps[-1].months > 60:
        yield document.problem(
            ("steps", len(table.steps) - 1, "months"),
            "no adverse record counts after five years",
            expected="at most P60M",
        )


def _check_severity(document: Document[Any], table: Severity) -> Iterator[Problem]:
    columns = dataset_columns("penalty")
    for index, row in enumerate(table.rows):
        yield from check_condition(document, row.when, columns, ("rows", index, "when"))
    if table.rows[-1].when != "true":
        yield document.problem(
            ("rows", len(table.rows) - 1, "when"), "the last row takes what is left", expected="'true'"
        )


def _check_decrees(document: Document[Any], table: Publicity) -> Iterator[Problem]:
    tiers = set(table.decrees[0].tiers)
    for index, decree in enumerate(table.decrees):
        if set(decree.tiers) != tiers:
            yield document.problem(
                ("decrees", index, "tiers"), "every decree has the same tiers", expected=", ".join(sorted(tiers))
            )
        for tier_id, tier in decree.tiers.items():
            if tier.months > 60:
                yield document.problem(
                    ("decrees", index, "tiers", tier_id, "months"),
                    "nothing is published after five years",
                    expected="at most P60M",
                )
        if decree.counted_from and dataset_columns("penalty").get(decree.counted_from) != "date":
            what = "not a date column of penalties"
            yield document.problem(("decrees", index, "counted_from"), what, got=decree.counted_from)
        later = table.decrees[index + 1 :]
        if any(decree.effective.to is None or other.effective.from_ <= decree.effective.to for other in later):
            yield document.problem(
                ("decrees", index, "effective"), "decrees stand in order and never hold at the same time"
            )


def _check_measures(document: Document[Any], table: Measures) -> Iterator[Problem]:
    limiting = _limiting_codes()
    for code, measure in table.measures.items():
        if measure.limits_rights and not measure.basis:
            yield document.problem(
                ("measures", code, "basis"),
                "a measure that limits rights names its law",
                hint=f"{_LAW}: name the law or regulation, or leave the measure out",
            )
        if code in limiting and not measure.limits_rights:
            what = "the measure limits rights and does not say so"
            yield document.problem(("measures", code), what, expected="limits_rights: true", hint=_LAW)
    if table.severe_list is None and any(measure.limits_rights for measure in table.measures.values()):
        yield document.problem(("severe_list",), "measures that limit rights need a severe list to follow from")
    for grade, row in table.grades.items():
        for index, code in enumerate(row.measures):
            if code not in table.measures:
                yield document.problem(("grades", grade, "measures", index), "there is no such measure", got=code)
    for letter in sorted({"A", "B", "C", "D", "E", "N"} - table.grades.keys()):
        yield document.problem(("grades",), f"grade {letter} has no row")
    for name, rule in table.never_skip.items():
        yield from check_counts(document, rule.counts, ("never_skip", name, "counts"))
        if rule.counts.wild:
            what = "a department's inspections follow from datasets that are named"
            yield document.problem(("never_skip", name, "counts", "dataset"), what, got=rule.counts.dataset)
    if table.severe_list:
        yield from _check_severe_list(document, table.severe_list)


def _check_severe_list(document: Document[Any], counts: Counts) -> Iterator[Problem]:
    """What limits rights follows only from a list of severe dishonesty, whatever else a condition would let in."""
    yield from check_counts(document, counts, ("severe_list",))
    if counts.dataset.rpartition("/")[2] != "listing":
        yield document.problem(("severe_list", "dataset"), "not a dataset of lists", got=counts.dataset, hint=_LAW)
        return
    try:
        asked = texts_asked(parse_condition(counts.where, dataset_columns(counts.dataset)).tree)
    except ConditionError:
        return  # check_counts says why
    if asked.get("list_kind") != frozenset({"severe_dishonesty"}):
        expected = "list_kind = 'severe_dishonesty'"
        what = "entries of other lists would limit rights"
        yield document.problem(("severe_list", "where"), what, expected=expected, got=counts.where, hint=_LAW)


def _limiting_codes() -> frozenset[str]:
    """The measures of which the catalogue asks for the decision on the severe list they follow from."""
    dataset = load_catalogue()["applied_measure"]
    required = str(dataset.fields["list_decision_no"].required)
    return texts_asked(parse_condition(required, dataset_columns(dataset.id)).tree).get("measure", frozenset())
