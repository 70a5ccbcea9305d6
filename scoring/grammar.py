"""Words that models and tables share: texts, datasets, and what is counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Final

from pydantic import Field

from exchange_formats.conditions import Kind, kind_of
from exchange_formats.datasets import ColumnName, load_catalogue
from scoring.quantities import Frozen, Months

#: In the place of a department: every one that has the dataset.
EVERY: Final = "*"
#: Blanks alone say nothing: no basis, no title.
Text = Annotated[str, Field(min_length=1, max_length=300, pattern=r"\S")]
#: ``penalty`` (of the model's own department) or ``market_regulation/listing``.
DatasetName = Annotated[str, Field(pattern=r"^([a-z][a-z0-9_]{2,39}/)?[a-z][a-z0-9_]{2,39}$")]
#: What can be counted: a dataset, or ``*/penalty``: that dataset of every department that has it.
CountedName = Annotated[str, Field(pattern=r"^(([a-z][a-z0-9_]{2,39}|\*)/)?[a-z][a-z0-9_]{2,39}$")]


class Counts(Frozen):
    """The records of a dataset for which ``where`` holds.

    ``lookback`` shortens (or, for what earns points, sets) how old a record may be;
    ``valid_until`` names a column with the last day a record is worth anything.
    """

    dataset: CountedName
    where: str = "true"
    lookback: Months | None = None
    valid_until: ColumnName | None = None

    def source(self, department: str) -> str:
        """``department/dataset``, the model's own ``department`` where none is named; ``*/dataset`` for every one."""
        return full_name(self.dataset, department)

    @property
    def wild(self) -> bool:
        """Whether it counts the dataset of every department."""
        return self.dataset.startswith(f"{EVERY}/")


def full_name(dataset: str, department: str) -> str:
    """``department/dataset`` of a name that may leave out the model's own ``department``."""
    return dataset if "/" in dataset else f"{department}/{dataset}"


def stands_for(source: str, known: Iterable[str]) -> tuple[str, ...]:
    """The ``department/dataset`` of ``known`` that ``source`` means, sorted: itself, or for ``*/x`` every x."""
    department, _, dataset = source.partition("/")
    if department != EVERY:
        return (source,) if source in known else ()
    return tuple(sorted(one for one in known if one.partition("/")[2] == dataset))


def dataset_columns(name: str) -> Mapping[str, Kind]:
    """The columns a condition over a dataset may read; empty when the catalogue has no such dataset."""
    dataset = load_catalogue().get(name.rpartition("/")[2])
    return {column: kind_of(spec.type) for column, spec in dataset.columns.items()} if dataset else {}
