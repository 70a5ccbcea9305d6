"""Open warnings of a domain, and a department's answers to them: signed (签收), handled (处置反馈)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
from pydantic import ValidationError

from connectors.lake import Lake
from connectors.spool import Spool
from exchange_formats.errors import ConfigurationError, SkippableError
from exchange_formats.manifests import IndustryWarning, WarningManifest
from exchange_formats.messages.warning_log import AnsweredWarning, WarningHandled, WarningSigned
from exchange_formats.periods import shanghai_date
from exchange_formats.warning_events import AnswerKind, render_number
from gateway.changes import describe_subject
from gateway.locks import work_alone
from gateway.runs import find_run, read_model
from gateway.warning_log import WarningLog, append_answer, read_log, read_standing
from scoring.resolution import ResolvedModel
from scoring.working_days import working_days_between

Result = Literal["rectified", "under_way", "referred", "unfounded"]
#: Day and number of a YJ number (``exchange_formats.warning_events.render_number``), between them department and level.
_NUMBER = re.compile(r"YJ(?P<day>[0-9]{8})[0-9]{3}(?P<number>[0-9]{6,9})")
#: A short id is refused where it would not tell two warnings apart by chance.
_SHORTEST_ID = 8


@dataclass(frozen=True, slots=True)
class ListedWarning:
    """One warning as a person reads it. ``days_left``: working days to sign, negative when late; None: no limit."""

    number: str
    id: str
    subject_ref: str
    subject_name: str | None
    city_code: str
    rule: str
    title: str
    title_en: str
    level: str
    level_title: str
    colour: str
    state: str
    triggered_on: date | None
    raised_on: date
    records: int
    sign_by: date | None
    days_left: int | None


@dataclass(frozen=True, slots=True)
class WarningList:
    """What stands in a domain: the most severe first, ``shown`` of ``total``."""

    domain: str
    as_of: date
    total: int
    shown: tuple[ListedWarning, ...]
    industry: IndustryWarning | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a department says of a warning; ``result`` and ``summary`` belong to a handled one."""

    kind: AnswerKind
    department: str
    office: str
    result: Result | None = None
    summary: str | None = None


def list_warnings(
    domain: str,
    *,
    lake: Lake,
    department_no: int,
    today: date,
    spool: Path,
    level: str | None = None,
    only_open: bool = False,
    limit: int | None = None,
) -> WarningList:
    """The warnings that stand in ``domain``; ``only_open``: those that nobody has signed for.

    Raises:
        SkippableError: nothing was recorded yet.
        ConfigurationError: the domain has no such level.
    """
    log, resolved = _open_log(lake, domain)
    levels = resolved.warnings.levels
    if level is not None and level not in levels:
        raise ConfigurationError(f"没有预警级别 there is no level '{level}'", hint=f"known: {', '.join(levels)}")
    wanted = pc.field("state") == "open" if only_open else pc.field("state") != "over"
    if level is not None:
        wanted &= pc.field("level") == level
    with Spool(spool, f"list-{domain}") as folder:
        found = _read(lake, log, folder, wanted)
    ranks = pc.index_in(found["level"], pa.array(list(levels)))
    found = found.append_column("rank", ranks.cast(pa.int32()))
    order = [(name, "ascending") for name in ("rank", "sign_by", "raised_on", "subject_ref", "id")]
    rows = found.sort_by(order).slice(0, limit).to_pylist()
    newest = log.newest
    return WarningList(
        domain=domain,
        as_of=newest.as_of if newest else today,
        total=found.num_rows,
        shown=tuple(_describe(row, resolved, department_no, today) for row in rows),
        industry=newest.industry if newest else None,
    )


def answer_warning(
    domain: str,
    name: str,
    answer: Answer,
    *,
    lake: Lake,
    department_no: int,
    now: datetime,
    spool: Path,
) -> tuple[ListedWarning, WarningManifest]:
    """Append ``answer`` to the log: to the warning whose id begins with ``name``, or whose number it is.

    Raises:
        ConfigurationError: there is no such warning, more than one, it was answered so already, or the text may not
            be told (an identity number in it).
        SkippableError: nothing was recorded yet.
        TransientError: another process works on the domain's log here.
    """
    with work_alone(f"warnings-{domain}", spool):
        log, resolved = _open_log(lake, domain)
        with Spool(spool, f"answer-{domain}") as folder:
            row = _find(_read(lake, log, folder, pc.field("state") != "over"), name, resolved, department_no)
        _check_state(row, answer)
        today = shanghai_date(now)
        in_time = None if row["sign_by"] is None or row["state"] != "open" else today <= row["sign_by"]
        event = row | {
            "kind": answer.kind,
            "occurred_on": today,
            "state": answer.kind,
            "answered_at": now,
            "department": answer.department,
            "in_time": in_time,
            "office": answer.office,
            "result": answer.result,
            "summary": answer.summary,
        }
        _check_text(domain, event)
        entry = append_answer(lake, log, event, spool)
    return _describe(event, resolved, department_no, today), entry


def _open_log(lake: Lake, domain: str) -> tuple[WarningLog, ResolvedModel]:
    log = read_log(lake, domain)
    newest = log.newest
    if newest is None or newest.run_sha256 is None:
        raise SkippableError(
            f"领域 {domain} 还没有预警记录 / nothing was recorded of domain {domain} yet",
            hint=f"xinqiao score {domain} ; xinqiao publish {domain}",
        )
    return log, read_model(lake, find_run(lake, domain, newest.run_sha256))


def _read(lake: Lake, log: WarningLog, folder: Path, wanted: pc.Expression) -> pa.Table:
    standing = read_standing(lake, log, folder)
    dataset: pads.Dataset = pads.dataset(standing) if isinstance(standing, pa.Table) else standing
    return dataset.to_table(filter=wanted)


def _find(standing: pa.Table, name: str, resolved: ResolvedModel, department_no: int) -> dict[str, Any]:
    if number := _NUMBER.fullmatch(name):
        of_day = (pc.field("number") == int(number["number"])) & (
            pc.strftime(pc.field("raised_on"), "%Y%m%d") == number["day"]
        )
        rows: list[dict[str, Any]] = [
            row for row in standing.filter(of_day).to_pylist() if _number(row, resolved, department_no) == name
        ]
    elif len(name) >= _SHORTEST_ID:
        rows = standing.filter(pc.starts_with(standing["id"], name)).to_pylist()
    else:
        raise ConfigurationError(
            f"预警标识太短 / the id of a warning is too short: '{name}'", hint=f"at least {_SHORTEST_ID} characters"
        )
    if len(rows) != 1:
        what = "没有这个预警 / no such warning stands" if not rows else "不止一个预警 / more than one warning has it"
        raise ConfigurationError(f"{what}: {name}", hint=f"xinqiao warnings {resolved.model.id}")
    return rows[0]


def _check_state(row: dict[str, Any], answer: Answer) -> None:
    if row["state"] == "handled" or (row["state"] == "signed" and answer.kind == "signed"):
        raise ConfigurationError(
            f"该预警已签收或已处置 / the warning is {row['state']} already: {row['id']}",
            hint="it opens again by a new trigger, or when it escalates",
        )


def _check_text(domain: str, event: dict[str, Any]) -> None:
    """The echo of the answer can be told: an identity number in it would stop the publication."""
    warning = {**describe_subject(event), "id": event["id"], "rule": event["rule"], "level": event["level"]}
    said: dict[str, Any] = {"domain": domain, "sequence": 1, "department": event["department"]}
    try:
        said |= {"warning": AnsweredWarning(**warning), "in_time": event["in_time"]}
        if event["kind"] == "signed":
            WarningSigned(**said, signed_at=event["answered_at"])
        else:
            WarningHandled(
                **said, handled_at=event["answered_at"], result=event["result"], summary=event["summary"] or ""
            )
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigurationError(f"答复无法记录 / the answer cannot be told: {where}: {first['msg']}") from None


def _describe(row: dict[str, Any], resolved: ResolvedModel, department_no: int, today: date) -> ListedWarning:
    rules = {rule.id: rule for rule in resolved.warnings.rules}
    rule, level = rules.get(row["rule"]), resolved.warnings.levels.get(row["level"])
    waiting = row["state"] == "open" and row["sign_by"] is not None
    return ListedWarning(
        number=_number(row, resolved, department_no),
        id=row["id"],
        subject_ref=row["subject_ref"],
        subject_name=row["subject_name"],
        city_code=row["city_code"],
        rule=row["rule"],
        title=rule.title if rule else row["rule"],
        title_en=rule.title_en if rule else row["rule"],
        level=row["level"],
        level_title=level.title if level else row["level"],
        colour=level.colour if level else "white",
        state=row["state"],
        triggered_on=row["triggered_on"],
        raised_on=row["raised_on"],
        records=row["records"],
        sign_by=row["sign_by"],
        days_left=working_days_between(today, row["sign_by"], resolved.calendar) if waiting else None,
    )


def _number(row: dict[str, Any], resolved: ResolvedModel, department_no: int) -> str:
    raised = resolved.warnings.levels.get(row["raised_level"])
    return render_number(row["raised_on"], department_no, raised.rank if raised else 9, row["number"])
