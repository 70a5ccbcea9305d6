"""A model that uses everything the grammar has, also what no department's model uses yet."""

from __future__ import annotations

from typing import Any

from scoring.model import Model

_NAMED = {"title": "示例", "title_en": "example", "status": "assumption"}


def build_workshop_models(model: Model) -> tuple[Model, ...]:
    """Variants of an industry ``model``: with every kind of indicator; with grades of other schemes; without 300."""
    plain = model.model_dump(by_alias=True) | {"examples": ()}
    public = plain["dimensions"]["public_credit"]
    judged = {"compliance": _compliance(), "earned": _earned()}
    every = plain | {
        "id": f"{model.id}_every",
        "dimensions": {"public_credit": public} | judged,
        "overrides": _overrides(),
        "statistics": _statistics(),
        "publicity_of": {"penalty": "market_regulation"},
    }
    schemes = every | {"id": f"{model.id}_schemes", "native": _native(), "reported": _reported()}
    alone = every | {
        "id": f"{model.id}_alone",
        "minimum_records": 0,
        "dimensions": judged | {"compliance": _compliance(full=900, base=800)},
        "native": _native(),
    }
    return tuple(Model.model_validate(one) for one in (every, schemes, alone))


def _indicator(counts: Any, **worth: Any) -> dict[str, Any]:
    return {**_NAMED, "basis": ["本模型设定"], "counts": counts, **worth}


def _code(dataset: str, *codes: int, **more: Any) -> dict[str, Any]:
    listed = ", ".join(f"'{code}'" for code in codes)
    return {"dataset": dataset, "where": f"violation_code in ({listed})", **more}


def _bins(*pairs: tuple[Any, Any]) -> dict[str, Any]:
    return {"bins": [{"from": start, "points": points} for start, points in pairs]}


def _compliance(full: int = 600, base: int = 550) -> dict[str, Any]:
    indicators = {
        "by_kind": _indicator(
            _code("penalty", 1, 2),
            deduct={"column": "kind", "map": {"fine": "12.34", "warning": 5, "detention": 77}, "repeat": False},
        ),
        "unfading": _indicator(_code("inspection", 2), deduct={"per": "33.33", "decay": False}, group="together"),
        "from_two": _indicator(
            [_code("inspection", 2, 3, lookback="P24M"), _code("incident", 3)], deduct={"per": 40}, group="together"
        ),
        "expiring": _indicator(_code("penalty", 3, valid_until="valid_until"), deduct={"per": 21, "cap": 50}),
        "counted": _indicator(
            {"dataset": "complaint"}, measure={"kind": "count"}, deduct=_bins((1, 5), (3, 50)) | {"cap": 40}
        ),
        "summed": _indicator(
            {"dataset": "incident"},
            measure={"kind": "sum", "column": "loss_yuan"},
            deduct=_bins(("0.5", 3), ("2.000001", 9)),
        ),
        "largest": _indicator(
            _code("penalty", 4), measure={"kind": "max", "column": "fine_yuan"}, deduct=_bins((5000, 8), (1000000, 30))
        ),
        "share": _indicator(
            {"dataset": "inspection", "where": "method is not null"},
            measure={"kind": "ratio", "where": "result <> 'clean'"},
            deduct=_bins(("0.333333", 10), ("0.5", 20), ("0.666667", 30)),
            group="together",
        ),
        "since": _indicator(
            {"dataset": "listing", "where": "list_kind <> 'severe_dishonesty'"},
            measure={"kind": "days_since"},
            deduct=_bins((0, 60), (365, 20), (730, 0)),
        ),
        "often_complained": {**_NAMED, "basis": ["本模型设定"], "above": "complaints", "deduct": {"per": 40}},
        "often_true": {**_NAMED, "basis": ["本模型设定"], "above": "true_share", "deduct": {"per": 15, "cap": 10}},
        "never_known": {**_NAMED, "basis": ["本模型设定"], "needs": "刑事裁判", "deduct": {"per": 15}},
        "other": _indicator({"dataset": "penalty"}, deduct={"severity": True}),
    }
    groups = {"together": {"title": "合计", "title_en": "together", "cap": 100}}
    return {
        "kind": "compliance",
        "title": "守法合规",
        "title_en": "compliance",
        "full": full,
        "base": base,
        "scale": "0.75",
        "groups": groups,
        "indicators": indicators,
    }


def _earned() -> dict[str, Any]:
    indicators = {
        "by_level": _indicator(
            {"dataset": "honour", "valid_until": "valid_until"},
            earn={"column": "level", "map": {"一级": 30, "二级": "20.5"}},
            group="bonus",
        ),
        "any_honour": _indicator({"dataset": "honour", "lookback": "P120M"}, earn={"exists": 10}, group="bonus"),
        "well_kept": _indicator(
            {"dataset": "inspection", "where": "result = 'clean'"},
            measure={"kind": "ratio", "where": "method = 'special'"},
            earn=_bins((0, 1), ("0.5", 25)),
        ),
        "once": _indicator({"dataset": "commitment"}, measure={"kind": "exists"}, earn=_bins((1, 12))),
        "reports": _indicator({"dataset": "annual_report", "where": "filed_on <= due_on"}, earn={"per": 15, "cap": 40}),
    }
    groups = {"bonus": {"title": "荣誉", "title_en": "honours", "cap": "45.25"}}
    return {
        "kind": "earned",
        "title": "守信加分",
        "title_en": "earned",
        "full": 100,
        "base": 20,
        "groups": groups,
        "indicators": indicators,
    }


def _overrides() -> dict[str, Any]:
    def override(counts: Any, **what: Any) -> dict[str, Any]:
        return {**_NAMED, "basis": ["本模型设定"], "counts": counts, **what}

    detention = {"dataset": "penalty", "where": "kind = 'detention'"}
    severe = {"dataset": "listing", "where": "list_kind = 'severe_dishonesty'"}
    return {
        "detained": override(detention, at_most="C"),
        "grave": override([_code("penalty", 5), _code("inspection", 5)], grade="E"),
        "detained_for_five": override(_code("penalty", 5, 6), at_most="D"),
        "severe": override(severe, state="listed", grade="E", afterwards={"at_most": "D", "within": "P90D"}),
        "listed": override({"dataset": "listing"}, state="listed", at_most="B"),
    }


def _statistics() -> dict[str, Any]:
    complaint = {"dataset": "complaint"}
    return {
        "complaints": {
            **_NAMED,
            "counts": complaint,
            "measure": {"kind": "count"},
            "day": "filed_on",
            "within": "P365D",
            "group_by": "industry",
            "percentile": 75,
            "minimum_group": 30,
        },
        "true_share": {
            **_NAMED,
            "counts": complaint,
            "measure": {"kind": "ratio", "where": "outcome in ('substantiated', 'partly')"},
            "within": "P730D",
            "group_by": "city",
            "percentile": 50,
            "minimum_group": 10,
        },
    }


def _native() -> dict[str, Any]:
    bands = [("绿", 90, None), ("蓝", 80, 90), ("黄", "60.55", 80), ("红", 0, "60.55")]
    return {
        "scheme": "四色",
        "scheme_en": "four colours",
        "basis": ["本模型设定"],
        "status": "assumption",
        "total": 100,
        "bands": [{"grade": grade, "from": start, "below": below} for grade, start, below in bands],
    }


def _reported() -> dict[str, Any]:
    return {"crosswalk": "four_level", "not_older_than": "P12M"}
