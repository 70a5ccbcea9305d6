"""Tables and bars for a terminal: what was read, how subjects were graded, what was sent and received."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.bar import Bar
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from exchange_formats.rejects import describe_reason
from gateway.figures import CollectionFigures, EvaluationFigures
from gateway.subscription import ConsumptionResult

_GRADES: Mapping[str, tuple[str, str]] = {
    "A": ("优秀", "green"),
    "B": ("良好", "cyan"),
    "C": ("中等", "yellow"),
    "D": ("较差", "dark_orange"),
    "E": ("差", "red"),
    "N": ("未评", "bright_black"),
}
_LEVELS: Mapping[str, tuple[str, str]] = {
    "red": ("红", "red"),
    "orange": ("橙", "dark_orange"),
    "yellow": ("黄", "yellow"),
    "blue": ("蓝", "blue"),
}
_BAR_WIDTH = 44
_TOP_REASONS = 3


def show_collections(rows: Iterable[CollectionFigures]) -> Table:
    """Read = landed + duplicates + rejected, a line each participant, with the top reasons of rejection."""
    table = _table(
        "部门 department",
        "读取 read",
        "入湖 landed",
        "重复 dup.",
        "不合格 rejected",
        "湖中 in lake",
        "主要原因 top reasons",
    )
    for row in rows:
        counts = row.counts
        figures = (counts.read, counts.landed, counts.duplicates, counts.rejected, row.in_lake)
        table.add_row(row.title, *(f"{n:,}" for n in figures), _reasons(row))
    return table


def show_grades(row: EvaluationFigures) -> RenderableType:
    """The grade distribution of one domain as bars."""
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 1))
    shares = row.run.subjects_by_grade
    largest = max(shares.values(), default=1) or 1
    for grade, (word, style) in _GRADES.items():
        n = shares.get(grade, 0)
        share = f"{n * 100 / row.run.subjects:5.1f} %" if row.run.subjects else ""
        # A bar that is there at all must be seen.
        end = max(n * _BAR_WIDTH / largest, 0.5) if n else 0
        bar = Bar(_BAR_WIDTH, 0, end, width=_BAR_WIDTH, color=style)
        table.add_row(Text(f"{grade} {word}", style=style), bar, f"{n:>8,}", share)
    return table


def show_grade_table(rows: Iterable[EvaluationFigures]) -> Table:
    """How many subjects of each domain have which grade: a line each domain."""
    table = _table("领域 domain", "截至 as of", "主体 subjects")
    for grade, (word, style) in _GRADES.items():
        table.add_column(f"{grade} {word}", justify="right", style=style)
    for row in rows:
        shares = row.run.subjects_by_grade
        figures = (f"{shares[grade]:,}" if shares.get(grade) else "–" for grade in _GRADES)
        table.add_row(row.title, row.run.as_of.isoformat(), f"{row.run.subjects:,}", *figures)
    return table


def show_publications(rows: Iterable[EvaluationFigures]) -> Table:
    """Subjects scored, warnings by level, messages confirmed: a line each domain."""
    table = _table("领域 domain", "主体 subjects", "预警 warnings", "消息(已确认) messages confirmed", "结果 results")
    for row in rows:
        confirmed = f"{row.receipt.confirmed:,}" if row.receipt else "–"
        results = f"{row.receipt.totals.results:,}" if row.receipt else "–"
        table.add_row(row.title, f"{row.run.subjects:,}", show_levels(row.run.warnings_by_level), confirmed, results)
    return table


def show_consumptions(rows: Sequence[tuple[str, ConsumptionResult]]) -> Table:
    """What each participant's consumer wrote."""
    table = _table(
        "参与方 participant",
        "消息 messages",
        "等级 grades",
        "A–E, N",
        "预警 warnings",
        "反馈 feedback",
        "变更 changed",
        "重复 dup.",
        "拒收 refused",
    )
    for title, row in rows:
        grades = " ".join(f"{grade}{n:,}" for grade, n in row.results_by_grade.items())
        levels = show_levels(row.warnings_by_level)
        told = (row.feedback, row.changed_records, row.duplicates, row.rejected)
        table.add_row(title, f"{row.written:,}", f"{row.results:,}", grades, levels, *(f"{n:,}" for n in told))
    return table


def show_levels(levels: Mapping[str, int]) -> Text:
    """Warnings by level in their colours; a domain's own levels follow in their own words."""
    text = Text()
    for level in [*_LEVELS, *(name for name in levels if name not in _LEVELS)]:
        word, style = _LEVELS.get(level, (level, ""))
        if levels.get(level):
            text.append(f"{word} {levels[level]:,}  ", style=style)
    return text if text.plain else Text("–")


def _reasons(row: CollectionFigures) -> str:
    failed = [f"{dataset}: {error}" for dataset, error in row.failed.items()]
    top = list(row.rejected_by_reason.items())[:_TOP_REASONS]
    return "; ".join([*failed, *(f"{describe_reason(code).zh} {n:,}" for code, n in top)]) or "–"


def _table(*headings: str) -> Table:
    figures = ("read", "landed", "dup", "rejected", "lake", "subjects", "messages", "results", "feedback", "changed")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        numeric = any(word in heading for word in figures)
        table.add_column(heading, justify="right" if numeric else "left", overflow="fold")
    return table
