"""The registry: every message type of every version, what it carries and how it travels.

Reference pages, JSON Schemas, the AsyncAPI document, the compatibility test and the bus's permissions
are derived from it. A new version of a type is a new entry beside the old one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import Field, create_model

from exchange_formats.messages import examples
from exchange_formats.messages.envelope import (
    CONTENT_TYPE,
    INBOUND,
    MAXIMUM_BYTES,
    RESULTS,
    CloudEvent,
    InboundEvent,
    schema_name,
)
from exchange_formats.messages.grades import EVALUATED, WITHDRAWN, GradesEvaluated, GradesWithdrawn
from exchange_formats.messages.parties import PERSON
from exchange_formats.messages.texts import MessageData
from exchange_formats.messages.warning_log import CLEARED, RAISED, WarningCleared, WarningRaised

Direction = Literal["outbound", "inbound"]
DataModel = type[MessageData]
#: ``structured``: one JSON document; ``binary``: the attributes are AMQP headers, the body is the data.
Mode = Literal["structured", "binary"]
#: The ``time`` of every example.
EXAMPLE_TIME: Final = datetime(2026, 7, 1, 2, 30, tzinfo=UTC)

_TYPE = re.compile(r"cn\.credit\.([a-z_]+\.[a-z]+)\.v([1-9][0-9]?)")
_PERSON = rf"(?:\.{PERSON})?"
_PARAMETER = re.compile(r"\{([a-z]+)\}")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A part of a routing key."""

    title: str
    title_en: str
    pattern: str
    example: str


_ID = "[a-z][a-z0-9_]{2,39}"
PARAMETERS: Final[Mapping[str, Parameter]] = MappingProxyType(
    {
        "domain": Parameter("行业领域", "domain", _ID, "enterprise_environment"),
        "city": Parameter(
            "设区市代码,不明为 unknown", "city code (GB/T 2260), or unknown", "[0-9]{6}|unknown", "330100"
        ),
        "level": Parameter("预警级别", "warning level", "[a-z][a-z0-9_]{0,19}", "orange"),
    }
)


@dataclass(frozen=True, slots=True)
class MessageSpec:
    """One message type in one version.

    ``key`` is the routing-key pattern with its parameters in braces. ``may_be_person``: about natural persons
    the key has the further word ``person`` and reaches only queues granted them. ``priority`` is the usual
    one of 0–9; a warning's depends on its level. ``data`` is the model of ``data`` (structured) or of the
    extension attributes (binary). ``source`` is the pattern of the CloudEvents ``source``.
    """

    type: str
    direction: Direction
    key: str
    data: DataModel
    source: str
    title: str
    title_en: str
    description: str
    description_en: str
    example: Callable[[], MessageData]
    subject: str
    may_be_person: bool = False
    priority: int = 0
    mode: Mode = "structured"
    content_type: str = CONTENT_TYPE
    maximum_bytes: int = MAXIMUM_BYTES

    @property
    def name(self) -> str:
        """Noun and past participle: ``grade.evaluated``."""
        return self._split()[1]

    @property
    def version(self) -> int:
        """The version in the type: 1 for ``….v1``."""
        return int(self._split()[2])

    @property
    def exchange(self) -> str:
        """Where it is published."""
        return RESULTS if self.direction == "outbound" else INBOUND

    @property
    def schema_name(self) -> str:
        """The CloudEvents ``dataschema``."""
        return schema_name(self.type)

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The parts of the routing key, in order."""
        return {name: PARAMETERS[name] for name in _PARAMETER.findall(self.key)}

    @property
    def key_pattern(self) -> str:
        """Regular expression of every routing key this type may have."""
        text = re.escape(self.key).replace(r"\{", "{").replace(r"\}", "}")
        text = _PARAMETER.sub(lambda found: f"(?P<{found[1]}>{PARAMETERS[found[1]].pattern})", text)
        return f"^{text}{_PERSON if self.may_be_person else ''}$"

    def routing_key(self, **parameters: str) -> str:
        """The routing key for these parameters. ValueError when it is none this type may have."""
        key = _PARAMETER.sub(lambda found: parameters[found[1]], self.key)
        if not re.fullmatch(self.key_pattern, key):
            raise ValueError(f"not a routing key of {self.type}: {self.key}")
        return key

    def _split(self) -> re.Match[str]:
        found = _TYPE.fullmatch(self.type)
        if found is None:
            raise ValueError(f"not a message type: {self.type}")
        return found


_DOMAIN_SOURCE = r"^/credit/domains/[a-z][a-z0-9_]{2,39}$"

_SPECS: Final = (
    MessageSpec(
        type=EVALUATED,
        direction="outbound",
        key="grade.{domain}.{city}",
        data=GradesEvaluated,
        source=_DOMAIN_SOURCE,
        title="评价等级",
        title_en="grades evaluated",
        description="一个行业领域、一个设区市新的或有变化的信用等级,每条消息至多 100 个主体。",
        description_en="New or changed grades of one domain and city, at most 100 subjects a message.",
        example=examples.grades_evaluated,
        subject="{domain}/{city}",
        may_be_person=True,
    ),
    MessageSpec(
        type=WITHDRAWN,
        direction="outbound",
        key="grade.{domain}.{city}",
        data=GradesWithdrawn,
        source=_DOMAIN_SOURCE,
        title="等级撤回",
        title_en="grades withdrawn",
        description="退出一个行业领域的主体:其等级不再有效,消费方应当停止使用。",
        description_en="Subjects that left a domain: their grades no longer stand and must not be used.",
        example=examples.grades_withdrawn,
        subject="{domain}/{city}",
        may_be_person=True,
    ),
    MessageSpec(
        type=RAISED,
        direction="outbound",
        key="warning.{domain}.{city}.{level}",
        data=WarningRaised,
        source=_DOMAIN_SOURCE,
        title="预警发出",
        title_en="warning raised",
        description="一个新的预警。同一主体、同一规则的预警只由新的触发事实再次发出。",
        description_en="A new warning. Only a new trigger raises the same rule for the same subject again.",
        example=examples.warning_raised,
        subject="{subject_ref}",
        may_be_person=True,
        priority=6,
    ),
    MessageSpec(
        type=CLEARED,
        direction="outbound",
        key="warning.{domain}.{city}.{level}",
        data=WarningCleared,
        source=_DOMAIN_SOURCE,
        title="预警解除",
        title_en="warning cleared",
        description="触发预警的事实已不存在。",
        description_en="The cause of a warning is gone.",
        example=examples.warning_cleared,
        subject="{subject_ref}",
        may_be_person=True,
        priority=6,
    ),
)

#: By type, in the order of the reference page.
MESSAGES: Final[Mapping[str, MessageSpec]] = MappingProxyType({spec.type: spec for spec in _SPECS})
#: The largest body of any type.
LARGEST: Final = max(spec.maximum_bytes for spec in _SPECS)


def find_message(kind: str) -> MessageSpec:
    """The entry of a CloudEvents type; KeyError when there is none."""
    return MESSAGES[kind]


@cache
def _event_model(kind: str) -> type[CloudEvent | InboundEvent]:
    spec = MESSAGES[kind]
    fields: dict[str, Any] = {
        "type": (Literal[kind], ...),
        "source": (Annotated[str, Field(pattern=spec.source)], ...),
        "data": (spec.data, ...),
    }
    name = spec.name.title().replace(".", "").replace("_", "")
    if spec.direction == "outbound":
        return create_model(f"{name}V{spec.version}", __base__=CloudEvent, **fields)
    return create_model(f"{name}V{spec.version}", __base__=InboundEvent, **fields)


def event_model(spec: MessageSpec) -> type[CloudEvent | InboundEvent]:
    """The model of a whole structured message: the context attributes, then ``data``."""
    return _event_model(spec.type)
