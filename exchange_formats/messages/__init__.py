"""Messages on the bus: CloudEvents 1.0 (architecture §5.2, semantics §4–§7).

``registry`` lists every type; ``decoding`` reads them; the other modules hold what they carry.
Nothing here may carry a natural person's number or full name (semantics §5): the models refuse it,
whoever fills them.
"""

from __future__ import annotations

from exchange_formats.messages.envelope import (
    CONTENT_TYPE,
    INBOUND,
    MAXIMUM_BYTES,
    RESULTS,
    EventType,
    OutgoingMessage,
)
from exchange_formats.messages.grades import (
    EVALUATED,
    WITHDRAWN,
    Area,
    GradeResult,
    GradesEvaluated,
    GradesWithdrawn,
    Measure,
    Override,
    PublicCredit,
    Reason,
    RunData,
    Slice,
    WithdrawnGrade,
    cut_slices,
    encode_grades,
    encode_item,
    encode_message,
    grade_key,
)
from exchange_formats.messages.parties import NO_CITY, Subject, shown_name
from exchange_formats.messages.warning_log import (
    CLEARED,
    RAISED,
    Warning_,
    WarningCleared,
    WarningRaised,
    encode_warning,
    warning_key,
)

__all__ = [
    "CLEARED",
    "CONTENT_TYPE",
    "EVALUATED",
    "INBOUND",
    "MAXIMUM_BYTES",
    "NO_CITY",
    "RAISED",
    "RESULTS",
    "WITHDRAWN",
    "Area",
    "EventType",
    "GradeResult",
    "GradesEvaluated",
    "GradesWithdrawn",
    "Measure",
    "OutgoingMessage",
    "Override",
    "PublicCredit",
    "Reason",
    "RunData",
    "Slice",
    "Subject",
    "WarningCleared",
    "WarningRaised",
    "Warning_",
    "WithdrawnGrade",
    "cut_slices",
    "encode_grades",
    "encode_item",
    "encode_message",
    "encode_warning",
    "grade_key",
    "shown_name",
    "warning_key",
]
