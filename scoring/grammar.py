"""Words that models and tables share: texts, datasets, and what is counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from exchange_formats.conditions import Kind, kind_of
from exchange_formats.datasets import ColumnName, load_catalogue
from scoring.quantities import Frozen, Months

Text = Annotated[str, Field(min_length=1, max_length=300)]
#: ``penalty`` (of the model's own department) or ``market_regulation/listing``.
DatasetName = Annotated[str, Field(pattern=r"^([a-z][a-z0-9_]{2,39}/)?[a-z][a-z0-9_]{2,39}$")]


class Counts(Frozen):
    """The records of a dataset for which ``where`` holds.

    ``lookback`` shortens (or, for what earns points, sets) how old a record may be;
    ``valid_until`` names a column with the last day a record is worth anything.
    """

    dataset: DatasetName
    where: str = "true"
    lookback: Months | None = None
    valid_until: ColumnName | None = None

    def source(self, department: str) -> str:
        """``department/dataset``, the model's own ``department`` where none is named."""
        return self.dataset if "/" in self.dataset else f"{department}/{self.dataset}"


def dataset_columns(name: str) -> Mapping[str, Kind]:
    """The columns a condition over a dataset may read; empty when the catalogue has no such dataset."""
    dataset = load_catalogue().get(name.rpartition("/")[2])
    return {column: kind_of(spec.type) for column, spec in dataset.columns.items()} if dataset else {}
