"""What a model must hold besides its schema: points that add up, datasets and columns there are, sound examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from exchange_formats.documents import Document
from exchange_formats.errors import Problem
from scoring.checks import check_condition, check_counts
from scoring.grammar import Counts, dataset_columns, full_name
from scoring.measurement import check_measure, check_statistics
from scoring.model import (
    PUBLIC_CREDIT_DOMAINS,
    ComplianceDimension,
    EarnedDimension,
    Example,
    Indicator,
    Model,
    Override,
    PublicCreditDimension,
)
from scoring.schemes import check_native
from scoring.table_library import Tables
from scoring.tables import Measures, Publicity, Severity, TableKind
from scoring.warning_tables import WarningTable

TOTAL = Decimal(1000)
PROFILE, REPORTED = "profile", "reported_grade"
TABLE_KINDS: tuple[TableKind, ...] = ("bands", "decay", "publicity", "severity", "warnings", "measures")


def check_model(document: Document[Model], model: Model, stem: str, tables: Tables) -> Iterator[Problem]:
    """What is wrong with one model beyond its schema; ``stem`` is its file's name without the ending."""
    if model.name != stem:
        yield document.problem(("id",), "id@version is not the file's name", expected=stem, got=model.name)
    for kind in TABLE_KINDS:
        yield from _check_table(document, model, kind, str(getattr(model, kind)), (kind,), tables)
    yield from _check_schemes(document, model, tables)
    yield from check_statistics(document, model.statistics, ("statistics",))
    yield from _check_publicity(document, model, tables)
    yield from _check_tiers(document, model, tables)
    yield from _check_subjects(document, model)
    yield from _check_inputs(document, model, tables)
    yield from _check_overlap(document, model)
    yield from _check_dimensions(document, model)
    if document.value is not None:
        yield from _check_claims(document, model)
    for override_id, override in model.overrides.items():
        yield from _check_repetition(document, model, override, ("overrides", override_id, "counts"))
        for index, counts in enumerate(override.counts):
            path = ("overrides", override_id, "counts") + ((index,) if len(override.counts) > 1 else ())
            yield from check_counts(document, counts, path)
            if override.state == "counting" and (counts.lookback or model.lookback) > 60:
                yield document.problem(
                    (*path, "lookback"), "no adverse record counts after five years", expected="at most P60M"
                )
            if override.state == "listed" and "removed_on" not in dataset_columns(counts.dataset):
                yield document.problem(
                    (*path, "dataset"), "state: listed needs a dataset with removed_on", got=counts.dataset
                )
    ids = Counter([*(i for d in model.dimensions.values() for i in _indicators(d)), *model.overrides])
    for repeated in (name for name, times in ids.items() if times > 1):
        yield document.problem(_where_is(model, repeated), "the id is used twice", got=repeated)
    for index, example in enumerate(model.examples):
        yield from _check_example(document, model, example, ("examples", index, "given"))


def _check_schemes(document: Document[Model], model: Model, tables: Tables) -> Iterator[Problem]:
    """Native bands are whole; reported grades come from their dataset, and their crosswalk is there."""
    if model.native:
        yield from check_native(document, model.native, ("native",))
    if model.reported is None:
        return
    if model.reported.dataset.rpartition("/")[2] != REPORTED:
        yield document.problem(
            ("reported", "dataset"), "not a dataset of reported grades", expected=REPORTED, got=model.reported.dataset
        )
    path = ("reported", "crosswalk")
    yield from _check_table(document, model, "crosswalk", model.reported.crosswalk, path, tables)


def _check_table(
    document: Document[Model], model: Model, kind: TableKind, name: str, path: tuple[str | int, ...], tables: Tables
) -> Iterator[Problem]:
    """The table is there, and in force as long as the model is."""
    versions = tables.versions.get((kind, name), ())
    if not versions:
        expected = ", ".join(tables.ids(kind))
        yield document.problem(path, "there is no sound table of that name", expected=expected, got=name)
        return
    first, last = versions[0].effective.from_, versions[-1].effective.to
    if first > model.effective.from_:
        what = "the table's first version begins after the model does"
        yield document.problem(path, what, expected=f"from {model.effective.from_}", got=f"from {first}")
    if last is not None and (model.effective.to is None or model.effective.to > last):
        what = "the table's last version ends before the model does"
        yield document.problem(path, what, expected=f"to {model.effective.to or 'no end'}", got=f"to {last}")


def _check_publicity(document: Document[Model], model: Model, tables: Tables) -> Iterator[Problem]:
    """Rules of publicity of their own are for penalty datasets, and their tables are there."""
    for name, table in model.publicity_of.items():
        path = ("publicity_of", name)
        if name.rpartition("/")[2] != "penalty":
            yield document.problem(path, "only penalties have rules of publicity", got=name)
        yield from _check_table(document, model, "publicity", table, path, tables)


def _check_tiers(document: Document[Model], model: Model, tables: Tables) -> Iterator[Problem]:
    """Every tier of the severity table is one of the publicity table."""
    named = {row.tier for table in tables.every("severity", model.severity, Severity) for row in table.rows}
    every = (
        table
        for name in (model.publicity, *model.publicity_of.values())
        for table in tables.every("publicity", name, Publicity)
    )
    for publicity in every:
        known = publicity.decrees[0].tiers
        for tier in sorted(named - known.keys()):
            what = f"tier '{tier}' is not in the publicity table"
            yield document.problem(("severity",), what, expected=", ".join(known))


def _check_subjects(document: Document[Model], model: Model) -> Iterator[Problem]:
    named = model.subjects.from_
    for index, name in enumerate(named):
        if name.rpartition("/")[2] != PROFILE:
            path: tuple[str | int, ...] = ("subjects", "from") if len(named) == 1 else ("subjects", "from", index)
            yield document.problem(path, "subjects come from profiles", expected=PROFILE, got=name)
    yield from check_condition(document, model.subjects.where, dataset_columns(PROFILE), ("subjects", "where"))


def _check_inputs(document: Document[Model], model: Model, tables: Tables) -> Iterator[Problem]:
    """What is required or optional is in the catalogue, read by the model, and not both."""
    read = {*model.subjects_sources, *(counts.source(model.department) for counts in _counted(model, tables))}
    read |= {full_name(d.dataset, model.department) for d in model.dimensions.values() if d.kind == "public_credit"}
    read |= {full_name(model.reported.dataset, model.department)} if model.reported else set()
    for key, names in (("required", model.required), ("optional", model.optional)):
        for index, name in enumerate(names):
            path = (key, name) if (key, name) in document.positions else (key, index)
            if not dataset_columns(name):
                yield document.problem(path, "there is no such dataset in the catalogue", got=name)
            elif full_name(name, model.department) not in read:
                yield document.problem(path, "the model reads no such dataset", got=name)
    for name in model.optional:
        if full_name(name, model.department) in {full_name(one, model.department) for one in model.required}:
            yield document.problem(("optional", name), "the dataset is required already", got=name)


def _counted(model: Model, tables: Tables) -> Iterator[Counts]:
    """Everything the model and the tables it names count."""
    parts: list[Indicator | Override] = [*model.indicators.values(), *model.overrides.values()]
    yield from (counts for part in parts for counts in part.counts)
    yield from (statistic.counts for statistic in model.statistics.values())
    for warnings in tables.every("warnings", model.warnings, WarningTable):
        yield from warnings.counts()
    for measures in tables.every("measures", model.measures, Measures):
        yield from [measures.severe_list] if measures.severe_list else []


def _check_overlap(document: Document[Model], model: Model) -> Iterator[Problem]:
    """No record is counted through ``*/dataset`` and through its own department's: it would count twice."""
    parts: list[Indicator | Override] = [*model.indicators.values(), *model.overrides.values()]
    counted = [(name, counts) for name, part in zip(_names(model), parts, strict=True) for counts in part.counts]
    wild = {counts.dataset.rpartition("/")[2] for _, counts in counted if counts.wild}
    for name, counts in counted:
        if not counts.wild and counts.dataset.rpartition("/")[2] in wild:
            what = "the dataset is counted of every department elsewhere in the model: the record would count twice"
            path = (*_where_is(model, name), "counts")
            yield document.problem(path, what, expected=f"*/{counts.dataset.rpartition('/')[2]}", got=counts.dataset)


def _check_dimensions(document: Document[Model], model: Model) -> Iterator[Problem]:
    total = sum((dimension.full for dimension in model.dimensions.values()), Decimal(0))
    if total != TOTAL:
        yield document.problem(
            ("dimensions",), "the dimensions' full points do not add up", expected="1000", got=str(total)
        )
    kinds = Counter(dimension.kind for dimension in model.dimensions.values())
    if kinds["public_credit"] and model.id in PUBLIC_CREDIT_DOMAINS.values():
        yield document.problem(("dimensions",), "a public-credit evaluation cannot be made of its own results")
    if kinds["public_credit"] > 1:
        yield document.problem(("dimensions",), "there is more than one public-credit dimension")
    for name, dimension in model.dimensions.items():
        path: tuple[str | int, ...] = ("dimensions", name)
        if isinstance(dimension, PublicCreditDimension):
            if "score" not in dataset_columns(dimension.dataset):
                yield document.problem(
                    (*path, "dataset"), "not a dataset of public-credit results", got=dimension.dataset
                )
            continue
        if dimension.base > dimension.full:
            yield document.problem(
                (*path, "base"), "more than the dimension's full points", expected=f"at most {dimension.full}"
            )
        for indicator_id, indicator in dimension.indicators.items():
            yield from _check_indicator(document, model, dimension, indicator_id, (*path, "indicators", indicator_id))
            if indicator.group is not None and indicator.group not in dimension.groups:
                yield document.problem(
                    (*path, "indicators", indicator_id, "group"), "there is no such group", got=indicator.group
                )


def _check_claims(document: Document[Model], model: Model) -> Iterator[Problem]:
    """No deduction stands behind one that takes every record, and penalties that none names go to the last of them."""
    whole: dict[str, str] = {}
    penalties: set[str] = set()
    for name, indicator in model.indicators.items():
        for counts in indicator.counts if indicator.deduct else ():
            source = counts.source(model.department)
            if source in whole:
                what = f"'{whole[source]}' before it claims every record of the dataset"
                yield document.problem((*_where_is(model, name), "counts"), what, got=counts.dataset)
            if counts.where == "true":
                whole[source] = name
            if source.endswith("/penalty"):
                penalties.add(source)
    for source in sorted(penalties - whole.keys()):
        what = f"penalties of {source} that no indicator names would count for nothing"
        hint = "add a last indicator that counts the whole dataset, with deduct: {severity: true}"
        yield document.problem(("dimensions",), what, hint=hint)


def _check_indicator(
    document: Document[Model],
    model: Model,
    dimension: ComplianceDimension | EarnedDimension,
    indicator_id: str,
    path: tuple[str | int, ...],
) -> Iterator[Problem]:
    indicator: Indicator = dimension.indicators[indicator_id]
    if isinstance(dimension, ComplianceDimension) != (indicator.deduct is not None):
        wanted = "deduct" if isinstance(dimension, ComplianceDimension) else "earn"
        yield document.problem(path, f"an indicator of a {dimension.kind} dimension has {wanted}")
    if indicator.above and indicator.above not in model.statistics:
        known = ", ".join(model.statistics) or "none"
        yield document.problem((*path, "above"), "there is no such statistic", expected=known, got=indicator.above)
    worth = indicator.worth
    yield from _check_repetition(document, model, indicator, (*path, "counts"))
    for index, counts in enumerate(indicator.counts):
        here = (*path, "counts") + ((index,) if len(indicator.counts) > 1 else ())
        yield from check_counts(document, counts, here)
        if indicator.deduct and (counts.lookback or model.lookback) > 60:
            yield document.problem(
                (*here, "lookback"), "no adverse record counts after five years", expected="at most P60M"
            )
        columns = dataset_columns(counts.dataset)
        if indicator.measure:
            yield from check_measure(document, indicator.measure, counts.dataset, (*path, "measure"))
        if worth.column and columns.get(worth.column) != "string":
            yield document.problem(
                (*path, "deduct" if indicator.deduct else "earn", "column"),
                "not a text column of the dataset",
                got=worth.column,
            )
        if indicator.deduct and indicator.deduct.severity and not {"kind", "fine_yuan", "decided_on"} <= columns.keys():
            yield document.problem((*here, "dataset"), "the severity table is about penalties", got=counts.dataset)


def _check_repetition(
    document: Document[Model], model: Model, part: Indicator | Override, path: tuple[str | int, ...]
) -> Iterator[Problem]:
    sources = [counts.source(model.department) for counts in part.counts]
    if len(set(sources)) != len(sources):
        yield document.problem(path, "a dataset is counted twice", hint="join the conditions with OR")


def _check_example(
    document: Document[Model], model: Model, example: Example, path: tuple[str | int, ...]
) -> Iterator[Problem]:
    for name, given in example.given.items():
        if name == "public_credit" and isinstance(given, int | Decimal):
            continue
        columns = dataset_columns(name)
        if not columns or not isinstance(given, list):
            yield document.problem(
                (*path, name), "expected a dataset with a list of records, or public_credit with a number"
            )
            continue
        for index, record in enumerate(given):
            for column in sorted(set(record) - columns.keys() if isinstance(record, dict) else [str(record)]):
                yield document.problem(
                    (*path, name, index, column), "there is no such column", expected=", ".join(sorted(columns))
                )
    if not model.effective.holds(example.as_of):
        yield document.problem((*path[:-1], "as_of"), "the model is not in force on that day", got=str(example.as_of))


def _names(model: Model) -> tuple[str, ...]:
    return (*model.indicators, *model.overrides)


def _indicators(dimension: Any) -> tuple[str, ...]:
    return () if isinstance(dimension, PublicCreditDimension) else tuple(dimension.indicators)


def _where_is(model: Model, name: str) -> tuple[str | int, ...]:
    for dimension_id, dimension in reversed(tuple(model.dimensions.items())):
        if name in _indicators(dimension):
            return ("dimensions", dimension_id, "indicators", name)
    return ("overrides", name)
