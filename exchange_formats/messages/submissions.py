"""Records that a department sends by message: rows of a dataset by its contract.

Rows are checked here for their form only; the dataset's contract is checked when they land, row by row.
Records about natural persons are not taken by message: a queue keeps bodies in clear, and parks them
(semantics §5). They come through docking or upload, where the number is replaced as it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, StrictBool, StrictInt, model_validator

from exchange_formats.datasets import ColumnName, Identifier
from exchange_formats.messages.texts import Contract, MessageData, refuse_controls, refuse_numbers

RECORDS_SUBMITTED: Final = "cn.credit.record.submitted.v1"
MAXIMUM_ROWS: Final = 500
MAXIMUM_COLUMNS: Final = 200
LONGEST_CELL: Final = 65_536

CellText = Annotated[
    str, Field(max_length=LONGEST_CELL), AfterValidator(refuse_numbers), AfterValidator(refuse_controls)
]
#: Text as in a file, or JSON's own whole numbers and truth values. A fraction is text: JSON has no exact decimals.
Cell = CellText | StrictInt | StrictBool | None
Row = Annotated[
    Mapping[ColumnName, Cell],
    Field(min_length=1, max_length=MAXIMUM_COLUMNS, json_schema_extra={"additionalProperties": False}),
]


class RecordsSubmitted(MessageData):
    """Rows of one dataset: column of the contract → value; a column that is left out is empty."""

    department: Identifier
    dataset: Identifier
    contract: Contract
    rows: Annotated[tuple[Row, ...], Field(min_length=1, max_length=MAXIMUM_ROWS)]

    @model_validator(mode="after")
    def _check_contract(self) -> Self:
        if not self.contract.startswith(f"{self.dataset}@"):
            raise ValueError("the contract is not one of this dataset")
        return self
