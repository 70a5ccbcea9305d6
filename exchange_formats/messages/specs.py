"""What the registry says of one message type: its model, its routing key, its limits."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, get_args

from exchange_formats.datasets import SubjectType
from exchange_formats.messages.envelope import CONTENT_TYPE, INBOUND, MAXIMUM_BYTES, PERSON, RESULTS, schema_name
from exchange_formats.messages.texts import MessageData

Direction = Literal["outbound", "inbound"]
DataModel = type[MessageData]
#: ``structured``: one JSON document; ``binary``: the attributes are AMQP headers, the body is the data.
Mode = Literal["structured", "binary"]

_TYPE = re.compile(r"cn\.credit\.([a-z_]+\.[a-z]+)\.v([1-9][0-9]?)")
_PERSON = rf"(?:\.{PERSON})?"
_PARAMETER = re.compile(r"\{([a-z_]+)\}")


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
        "part": Parameter("快照分片序号", "part of the snapshot, from 1", "[1-9][0-9]{0,9}", "1"),
        "department": Parameter("部门", "department", _ID, "ecology_environment"),
        "dataset": Parameter("信用信息目录项", "dataset", _ID, "penalty"),
        "participant": Parameter("参与方", "participant", _ID, "ecology_environment"),
        "consumer": Parameter("消费方(参与方)", "consumer: a participant", _ID, "ecology_environment"),
        "subject_type": Parameter("信用主体类别", "subject type", "|".join(get_args(SubjectType)), "enterprise"),
    }
)


@dataclass(frozen=True, slots=True)
class MessageSpec:
    """One message type in one version.

    ``key`` is the routing-key pattern with its parameters in braces. ``may_be_person``: about natural persons
    the key has the further word ``person`` and reaches only queues granted them. ``priority`` is the usual
    one of 0–9; a warning's depends on its level. ``data`` is the model of ``data`` (structured) or of the
    extension attributes (binary; ``body`` gives an example of the body). ``source`` is the pattern of the
    CloudEvents ``source``, ``subject`` says what its ``subject`` is made of. ``downgrade`` says its data in the
    version before, for those who stay on that one; only version 1 has none.
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
    body: Callable[[], bytes] | None = None
    downgrade: Callable[[MessageData], MessageData] | None = None

    @property
    def name(self) -> str:
        """Noun and past participle: ``grade.evaluated``."""
        return self._split()[1]

    @property
    def noun(self) -> str:
        """What it is about: ``grade``, the first word of its routing key."""
        return self.name.partition(".")[0]

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
        text = self._key_with(lambda name: f"(?P<{name}>{PARAMETERS[name].pattern})")
        return f"^{text}{_PERSON if self.may_be_person else ''}$"

    def key_pattern_of(self, given: Mapping[str, str]) -> str:
        """Regular expression, in POSIX terms and without anchors, of the keys with the ``given`` parameters."""
        return self._key_with(lambda name: re.escape(given[name]) if name in given else f"({PARAMETERS[name].pattern})")

    def takes_key(self, key: str) -> bool:
        """Whether a message of this type may travel under ``key``; an older version's copy has a last word ``vn``."""
        return re.fullmatch(self.key_pattern.removesuffix("$") + r"(?:\.v[1-9][0-9]?)?$", key) is not None

    def routing_key(self, **parameters: str) -> str:
        """The routing key for these parameters. ValueError when it is none this type may have."""
        key = _PARAMETER.sub(lambda found: parameters[found[1]], self.key)
        if not re.fullmatch(self.key_pattern, key):
            raise ValueError(f"not a routing key of {self.type}: {self.key}")
        return key

    def _key_with(self, show: Callable[[str], str]) -> str:
        words = (show(found[1]) if (found := _PARAMETER.fullmatch(word)) else re.escape(word) for word in self._words)
        return r"\.".join(words)

    @property
    def _words(self) -> list[str]:
        return self.key.split(".")

    def _split(self) -> re.Match[str]:
        found = _TYPE.fullmatch(self.type)
        if found is None:
            raise ValueError(f"not a message type: {self.type}")
        return found
