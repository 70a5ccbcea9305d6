"""Profiles: who is known to a department, and who of them the model scores (semantics §2, §3, §5)."""

from __future__ import annotations

from sqlglot import exp

from exchange_formats.datasets import NEWEST_FIRST
from scoring.plan import Plan, condition, dataset_of, relation
from scoring.sharding import in_shard
from scoring.trees import Row, choose, column, fill, text, union

PROVINCE = "330000"
_TYPES = {
    "social_organization": ("51", "52", "53", "71"),
    "public_institution": ("12",),
    "government_agency": ("11", "13"),
}


def profiles(plan: Plan) -> exp.Query:
    """One row a subject of any profile: its newest record, and whether it is in the model's scope.

    A code that repeats (two records of one subject) is one subject, known by the profile
    dataset that the model names first. Names that may be a person's are masked here, so
    that no later step ever holds them.
    """
    model = plan.resolved.model
    parts = [_newest(plan, source, place) for place, source in enumerate(model.subjects_sources)]
    return fill(
        "SELECT subject_ref, subject_type, CASE WHEN private AND subject_name <> '' "
        "THEN concat(substring(subject_name, 1, 1), '*') ELSE subject_name END AS subject_name, "
        "individual_business, coalesce(city_code, registered_city) AS city_code, "
        "meant AND subject_type IN ($types) AS in_scope, $kept FROM ("
        "SELECT *, substring(subject_ref, 1, 2) = '92' AS individual_business, "
        "substring(subject_ref, 1, 2) IN ('92', 'np') AS private, $city AS registered_city, "
        "$type AS subject_type, coalesce($where, FALSE) AS meant FROM ("
        f"SELECT * FROM newest QUALIFY row_number() OVER (PARTITION BY subject_ref ORDER BY place, {NEWEST_FIRST}) = 1"
        ") AS first) AS known",
        {"newest": union(parts)},
        kept=_of_group(plan),
        city=_registered_city(),
        type=_subject_type(),
        types=[text(kind) for kind in model.subjects.type],
        where=condition(model.subjects_sources[0], model.subjects.where),
    )


def _newest(plan: Plan, source: str, place: int) -> exp.Query:
    """The records of one profile dataset that stand; ``place`` says which goes before which."""
    revocable = "revoked_on" in dataset_of(source).columns
    return fill(
        "SELECT *, CAST($place AS INTEGER) AS place FROM ("
        f"SELECT * FROM landed QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY {NEWEST_FIRST}) = 1"
        ") AS newest WHERE $standing AND $mine",
        {"landed": relation("input", source)},
        place=exp.Literal.number(place),
        mine=in_shard(plan.shard),
        standing=column("revoked_on").is_(exp.null()) if revocable else exp.true(),
    )


def subjects(plan: Plan) -> exp.Query:
    """The subjects that are scored."""
    return fill(
        "SELECT subject_ref, subject_type, subject_name, individual_business, $kept FROM profiles WHERE in_scope",
        kept=[column("city_code"), *_of_group(plan)],
    )


def _of_group(plan: Plan) -> list[Row]:
    """What says to which group of subjects one belongs, where statistics compare groups."""
    return [column("industry_code")] if plan.resolved.statistics else []


def _subject_type() -> Row:
    """``exchange_formats.subjects.subject_type`` as SQL."""
    prefix = _part(1, 2)
    branches: list[tuple[Row, Row]] = [(prefix.eq(text("np")), text("natural_person"))]
    branches += [(prefix.isin(*(text(item) for item in items)), text(kind)) for kind, items in _TYPES.items()]
    return choose(branches, text("enterprise"))


def _registered_city() -> Row:
    """The city of the registering authority (positions 3-6 of a unified code), the province where it names none."""
    known = dataset_of("-/profile").columns["city_code"].codes or {}
    code = exp.func("concat", _part(3, 4), text("00"))
    return choose([(code.isin(*(text(city) for city in sorted(known))), code)], text(PROVINCE))


def _part(start: int, length: int) -> exp.Expr:
    return exp.func("substring", column("subject_ref"), exp.Literal.number(start), exp.Literal.number(length))
