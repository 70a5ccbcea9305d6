"""One self-contained page of a comparison: charts, tables, nothing fetched from anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from gateway.comparing import ModelComparison
from scoring.comparison import ATTRIBUTES, Attribute, Comparison, Group

#: Heading of each attribute in both languages.
ATTRIBUTE_TITLES: Final[dict[Attribute, str]] = {
    "city": "地市 City",
    "size": "注册资本 Registered capital",
    "age": "成立年限 Age",
    "type": "主体类型 Type of subject",
}
GRADES: Final = ("A", "B", "C", "D", "E", "N")
_OLD_COLOUR, _NEW_COLOUR = "#9aa7b5", "#1f5f99"
_HEIGHT: Final = 360


def write_page(result: ModelComparison) -> str:
    """The page as HTML, in Chinese and English; names of subjects are as GRADES shows them."""
    environment = Environment(
        loader=PackageLoader("gateway", "pages"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    found = result.found
    return environment.get_template("comparison.html").render(
        result=result,
        found=found,
        titles=ATTRIBUTE_TITLES,
        attributes=ATTRIBUTES,
        # Plotly's own script and figures: the only parts that are markup already.
        script=get_plotlyjs(),
        matrix=_embed(_draw_matrix(found), "matrix"),
        shifts=_embed(_draw_shifts(found), "shifts"),
        groups={name: _embed(_draw_groups(found.of(name)), f"groups-{name}") for name in ATTRIBUTES},
    )


def _draw_matrix(found: Comparison) -> go.Figure:
    """Subjects by old (rows) and new grade (columns); the diagonal is who stays."""
    counts = {(move.old, move.new): move.subjects for move in found.moves}
    shown = [grade for grade in GRADES if any(grade in pair for pair in counts)]
    rows = [[counts.get((old, new), 0) for new in shown] for old in shown]
    # Coloured by the share of the row, so that small grades can be seen beside large ones.
    shares = [[count / (sum(row) or 1) for count in row] for row in rows]
    texts = [[f"{count:,}" for count in row] for row in rows]
    figure = go.Figure(
        go.Heatmap(
            z=shares, x=shown, y=shown, text=texts, texttemplate="%{text}", colorscale="Blues", showscale=False,
            hovertemplate="%{y} → %{x}: %{text}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed", title="旧 old", type="category")
    figure.update_xaxes(title="新 new", side="top", type="category")
    return figure


def _draw_shifts(found: Comparison) -> go.Figure:
    names = [f"{'−∞' if bar.low is None else bar.low} … {'+∞' if bar.high is None else bar.high}" for bar in found.bars]
    figure = go.Figure(go.Bar(x=names, y=[bar.subjects for bar in found.bars], marker_color=_NEW_COLOUR))
    figure.update_xaxes(title="分 points", type="category")
    # Most subjects hardly move; on a plain scale nobody else could be seen.
    figure.update_yaxes(title="主体 subjects", type="log")
    return figure


def _draw_groups(groups: Sequence[Group]) -> go.Figure:
    """The share of A and B in each group, before and now."""
    names = [group.value or "不详 unknown" for group in groups]
    figure = go.Figure(
        [
            go.Bar(
                name=name,
                x=names,
                y=[100 * count / group.subjects for count, group in zip(counts, groups, strict=True)],
                marker_color=colour,
            )
            for name, counts, colour in (
                ("旧 old", [group.good_old for group in groups], _OLD_COLOUR),
                ("新 new", [group.good_new for group in groups], _NEW_COLOUR),
            )
        ]
    )
    figure.update_yaxes(title="A+B %", range=[0, 100])
    figure.update_xaxes(type="category")
    return figure


def _embed(figure: go.Figure, name: str) -> str:
    figure.update_layout(height=_HEIGHT, margin={"l": 60, "r": 20, "t": 40, "b": 60}, template="plotly_white")
    markup: str = figure.to_html(full_html=False, include_plotlyjs=False, div_id=name, config={"displaylogo": False})
    return markup
