"""The AsyncAPI 3 document of the bus, from the message registry and the topology.

Written from the participant's side: it *receives* what the gateway publishes and *sends* what the gateway
takes. Channels are the routing keys of both exchanges, and the queues a participant takes from. Schemas
stand under ``components`` in the dialect of AsyncAPI (draft 07 with extensions); what is said is the same
as in ``docs/schema/messages``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import yaml

from exchange_formats.messages.envelope import CONTENT_TYPE, PERSON
from exchange_formats.messages.examples import DEPARTMENT, DOMAIN
from exchange_formats.messages.samples import example_message
from exchange_formats.messages.schemas import message_schema
from exchange_formats.messages.snapshots import HEADER_PREFIX
from exchange_formats.messages.specs import MessageSpec, Parameter
from exchange_formats.messages.versions import known_versions, version_word
from exchange_formats.topology import VHOST, Queue, Subscription, Topology, build_topology

Document = dict[str, Any]

_BINDING_VERSION: Final = "0.3.0"
_AMQP: Final = {"bindingVersion": _BINDING_VERSION}
_TITLE: Final = "信桥 Xinqiao: 行业信用监管消息接口 industry-credit messages"
_DESCRIPTION: Final = """\
本文档以**参与方**(部门、省公共信用信息平台)的视角书写:`receive` 是接收网关发布的消息,`send` 是向网关发送消息。
参与方不声明交换机和队列,只从自己的队列消费,只向 `credit.inbound` 发送。时间一律为 UTC,日期为北京时间的自然日;
分数和金额为十进制字符串。消费方忽略不认识的字段:同一版本内可以增加字段,其他变化另立版本。

Written from the side of the **participant** (a department, the provincial platform): `receive` is what it takes from
the gateway, `send` is what it sends. A participant declares nothing; it consumes its own queues and publishes to
`credit.inbound` only. Times are UTC, dates are days in Asia/Shanghai, scores and amounts are decimal strings.
A consumer ignores fields it does not know: fields may be added inside a version, anything else is a new version.
"""
#: Purpose of a queue → what it holds.
_QUEUES: Final[Mapping[str, tuple[str, str]]] = {
    "grades": ("等级队列", "queue of grades"),
    "warnings": ("预警队列", "queue of warnings"),
    "snapshots": ("快照队列", "queue of snapshots"),
    "records": ("撤回与更正队列", "queue of withdrawn and corrected records"),
    "feedback": ("反馈队列", "queue of feedback on what was sent"),
    "checkpoints": ("每日检查点队列, 仅平台", "queue of daily checkpoints, platforms only"),
}


def render_asyncapi(messages: Iterable[MessageSpec], version: str) -> str:
    """The document as YAML; ``version`` is the release's. The same bytes for the same registry."""
    document = build_asyncapi(tuple(messages), version)
    head = "# 由消息登记生成 generated from the message registry: python -m gateway.reference\n"
    return head + yaml.dump(document, Dumper=_PlainDumper, allow_unicode=True, sort_keys=False, width=120)


def build_asyncapi(messages: tuple[MessageSpec, ...], version: str) -> Document:
    """The document as plain values."""
    schemas = _Schemas()
    described = {_message_id(spec): _describe_message(spec, schemas) for spec in messages}
    channels = dict(_key_channels(messages)) | dict(_queue_channels(messages))
    return {
        "asyncapi": "3.1.0",
        "id": "urn:xinqiao:asyncapi",
        "info": {
            "title": _TITLE,
            "version": version,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
            "contact": {"name": "信桥值班 Xinqiao on duty", "email": "credit-duty@example.invalid"},
            "tags": [
                {"name": "results", "description": "网关发布 published by the gateway"},
                {"name": "inbound", "description": "参与方发送 sent by participants"},
                {"name": "queues", "description": "参与方的队列 the participant's queues"},
            ],
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {"province": _SERVER},
        "channels": channels,
        "operations": dict(_describe_operations(channels)),
        "components": {
            "schemas": schemas.named,
            "messages": described,
            "parameters": _describe_parameters(messages),
            "securitySchemes": {
                "login": {
                    "type": "userPassword",
                    "description": "参与方账号 the participant's login: SASL PLAIN, 仅限 TLS over TLS only",
                }
            },
        },
    }


_SERVER: Final[Document] = {
    "host": "{host}:{port}",
    "pathname": f"/{VHOST}",
    "protocol": "amqps",
    "protocolVersion": "0-9-1",
    "title": "省级消息总线 provincial message bus",
    "description": f"RabbitMQ, AMQP 0-9-1; 虚拟主机 virtual host `{VHOST}`.",
    "variables": {
        "host": {"default": "bus.example.invalid", "description": "由运维提供 given by the operations team"},
        "port": {"default": "5671", "enum": ["5671", "5672"], "description": "5671 TLS; 5672 仅限内网 inside only"},
    },
    "security": [{"$ref": "#/components/securitySchemes/login"}],
    "bindings": {"amqp": {}},
}


class _Schemas:
    """The named schemas of all messages: equal definitions are one, different ones get the message's name."""

    def __init__(self) -> None:
        self.named: dict[str, Document] = {}

    def add(self, spec: MessageSpec) -> str:
        """Take the schema of ``spec`` in; returns its name."""
        schema = message_schema(spec)
        definitions: Mapping[str, Any] = schema.pop("$defs", {})
        names = {name: self._choose(name, spec, found) for name, found in definitions.items()}
        for name, found in definitions.items():
            self.named[names[name]] = _translate(found, names)
        root = _message_id(spec)
        self.named[root] = _translate({k: v for k, v in schema.items() if k not in {"$schema", "$id"}}, names)
        return root

    def _choose(self, name: str, spec: MessageSpec, found: Document) -> str:
        same = self.named.get(name) == _translate(found, {one: one for one in _references(found)})
        return name if same or name not in self.named else f"{_message_id(spec)}.{name}"


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].rpartition("/")[2]
        for child in node.values():
            yield from _references(child)
    elif isinstance(node, list):
        for child in node:
            yield from _references(child)


def _translate(node: Any, names: Mapping[str, str]) -> Any:
    """A schema in AsyncAPI's dialect: definitions under ``components``, no OpenAPI discriminator."""
    if isinstance(node, Mapping):
        if isinstance(node.get("$ref"), str):
            # Draft 07 ignores what stands beside a reference.
            rest = {key: value for key, value in node.items() if key != "$ref"}
            target = {"$ref": f"#/components/schemas/{names[node['$ref'].rpartition('/')[2]]}"}
            return {"allOf": [target], **rest} if rest else target
        return {
            key: _translate(child, names)
            for key, child in node.items()
            if not (key == "discriminator" and isinstance(child, Mapping) and "propertyName" in child)
        }
    return [_translate(child, names) for child in node] if isinstance(node, list) else node


def _message_id(spec: MessageSpec) -> str:
    return f"{spec.name}.v{spec.version}"


def _describe_message(spec: MessageSpec, schemas: _Schemas) -> Document:
    sample = example_message(spec)
    schema = {"$ref": f"#/components/schemas/{schemas.add(spec)}"}
    example: Document = {"name": "example", "summary": f"路由键 routing key {sample.routing_key}"}
    bindings: Document = {"messageType": spec.type, **_AMQP}
    if spec.mode == "binary":
        carried: Document = {"headers": _as_headers(schemas.named[_message_id(spec)])}
        carried["payload"] = {"type": "string", "format": "binary", "description": f"`{spec.content_type}`"}
        example |= {"headers": dict(sample.headers), "payload": f"(Arrow IPC stream, {len(sample.body)} bytes)"}
        del schemas.named[_message_id(spec)]
    else:
        carried = {"payload": schema}
        bindings |= {"contentEncoding": "utf-8"}
        example |= {"payload": json.loads(sample.body)}
    return {
        "name": spec.type,
        "title": f"{spec.title} {spec.title_en}",
        "description": f"{spec.description}\n\n{spec.description_en}\n\n{_describe_limits(spec)}",
        "contentType": spec.content_type,
        **carried,
        "bindings": {"amqp": bindings},
        "examples": [example],
        "x-maximum-bytes": spec.maximum_bytes,
    }


def _describe_limits(spec: MessageSpec) -> str:
    kib = spec.maximum_bytes // 1024
    mode = "二进制模式 binary mode" if spec.mode == "binary" else "结构化模式 structured mode"
    return f"CloudEvents 1.0, {mode}; 至多 at most {kib} KiB; `subject`: `{spec.subject}`."


def _as_headers(schema: Document) -> Document:
    """The attributes of a binary event as AMQP headers; ``datacontenttype`` is AMQP's own content type."""
    properties = {name: found for name, found in schema["properties"].items() if name != "datacontenttype"}
    return {
        "type": "object",
        "properties": {f"{HEADER_PREFIX}{name}": found for name, found in properties.items()},
        "required": [f"{HEADER_PREFIX}{name}" for name in schema["required"] if name in properties],
    }


def _key_channels(messages: tuple[MessageSpec, ...]) -> Iterator[tuple[str, Document]]:
    """One channel a routing key: of the newest version, then of each older one that is served beside it.

    What may be about natural persons has a second channel, granted by name.
    """
    registry = {spec.type: spec for spec in messages}
    by_key: dict[tuple[str, str], list[MessageSpec]] = {}
    for spec in messages:
        by_key.setdefault((spec.exchange, spec.key), []).append(spec)
    for (exchange, key), specs in by_key.items():
        words = [word for word in key.split(".") if not word.startswith("{")]
        name = ".".join([exchange.rpartition(".")[2], *words])
        for version in (None, *known_versions(specs[0].noun, registry)):
            word = version_word(specs[0].noun, version, registry) if version else ""
            said = _choose_versions(specs, version)
            if said and (word or version is None):
                yield from _describe_version(exchange, key, name, said, word)


def _choose_versions(specs: list[MessageSpec], version: int | None) -> list[MessageSpec]:
    """Of each type the newest version, at most ``version``; an inbound type is taken in all of its versions."""
    if specs[0].direction == "inbound":
        return specs if version is None else []
    newest: dict[str, MessageSpec] = {}
    for spec in specs:
        if version is None or spec.version <= version:
            known = newest.get(spec.name)
            newest[spec.name] = spec if known is None or known.version < spec.version else known
    return list(newest.values())


def _describe_version(
    exchange: str, key: str, name: str, specs: list[MessageSpec], word: str
) -> Iterator[tuple[str, Document]]:
    ending = f".{word}" if word else ""
    yield f"{name}{ending}", _describe_key(exchange, f"{key}{ending}", specs)
    persons = [spec for spec in specs if spec.may_be_person]
    if persons:
        described = _describe_key(exchange, f"{key}.{PERSON}{ending}", persons, about_persons=True)
        yield f"{name}.{PERSON}{ending}", described


def _describe_key(exchange: str, key: str, specs: list[MessageSpec], *, about_persons: bool = False) -> Document:
    titles = dict.fromkeys(spec.title for spec in specs)
    english = dict.fromkeys(spec.title_en for spec in specs)
    what = f"{'、'.join(titles)}\n\n{', '.join(english)}"
    if about_persons:
        what += "\n\n仅限自然人, 须逐项授权。About natural persons only, and granted by name."
    return {
        "address": key,
        "title": key,
        "description": what,
        "messages": _refer(specs),
        **_refer_parameters(specs[0].parameters),
        "tags": [{"name": exchange.rpartition(".")[2]}],
        "bindings": {
            "amqp": {
                "is": "routingKey",
                "exchange": {
                    "name": exchange,
                    "type": "topic",
                    "durable": True,
                    "autoDelete": False,
                    "vhost": VHOST,
                },
                **_AMQP,
            }
        },
    }


def _queue_channels(messages: tuple[MessageSpec, ...]) -> Iterator[tuple[str, Document]]:
    """The queues of a participant that takes everything, as the topology makes them."""
    everything = Subscription(DEPARTMENT, grades="all", warnings="all", snapshots="all", records="all", platform=True)
    topology = build_topology([everything], [DOMAIN])
    for queue in topology.queues:
        owner, _, purpose = queue.name.rpartition(".")
        if owner == DEPARTMENT and purpose in _QUEUES:
            yield f"queue.{purpose}", _describe_queue(queue, purpose, topology, messages)


def _describe_queue(queue: Queue, purpose: str, topology: Topology, messages: tuple[MessageSpec, ...]) -> Document:
    keys = [binding.routing_key for binding in topology.bindings if binding.queue == queue.name]
    specs = [spec for spec in messages if spec.direction == "outbound" and _reaches(spec, keys)]
    zh, en = _QUEUES[purpose]
    limits = f"至多 {queue.maximum_length} 条, 投递 {queue.delivery_limit} 次未确认即移入停放队列。"
    limits += f"At most {queue.maximum_length} messages; parked after {queue.delivery_limit} deliveries."
    return {
        "address": f"{{participant}}.{purpose}",
        "title": f"{zh} {en}",
        "description": f"{zh}。{limits}",
        "messages": _refer(specs),
        "parameters": {"participant": {"$ref": "#/components/parameters/participant"}},
        "tags": [{"name": "queues"}],
        "bindings": {
            "amqp": {
                "is": "queue",
                "queue": {
                    "name": f"{{participant}}.{purpose}",
                    "durable": True,
                    "exclusive": False,
                    "autoDelete": False,
                    "vhost": VHOST,
                },
                **_AMQP,
            }
        },
        "x-queue-type": "quorum",
        "x-maximum-length": queue.maximum_length,
        "x-delivery-limit": queue.delivery_limit,
    }


def _reaches(spec: MessageSpec, keys: Iterable[str]) -> bool:
    """Whether a queue that is bound by ``keys`` gets the example of ``spec``."""
    key = example_message(spec).routing_key
    return any(re.fullmatch(re.escape(one).replace(r"\*", r"[^.]+"), key) for one in keys)


def _refer(specs: Iterable[MessageSpec]) -> Document:
    return {_message_id(spec): {"$ref": f"#/components/messages/{_message_id(spec)}"} for spec in specs}


def _refer_parameters(parameters: Mapping[str, Parameter]) -> Document:
    if not parameters:
        return {}
    return {"parameters": {name: {"$ref": f"#/components/parameters/{name}"} for name in parameters}}


def _describe_parameters(messages: Iterable[MessageSpec]) -> Document:
    found = {name: one for spec in messages for name, one in spec.parameters.items()}
    return {
        name: {"description": f"{one.title} {one.title_en} (`{one.pattern}`)", "examples": [one.example]}
        for name, one in sorted(found.items())
    }


def _describe_operations(channels: Mapping[str, Document]) -> Iterator[tuple[str, Document]]:
    """What a participant does with each channel."""
    for name, channel in channels.items():
        sends = name.startswith("inbound.")
        verb, zh = (
            ("send", "发送") if sends else ("consume", "消费") if name.startswith("queue.") else ("receive", "接收")
        )
        amqp: Document = {"deliveryMode": 2, **_AMQP} if sends else {"ack": True, **_AMQP}
        yield (
            f"{verb}.{name}",
            {
                "action": "send" if sends else "receive",
                "channel": {"$ref": f"#/channels/{name}"},
                "title": f"{zh} {channel['title']}",
                "summary": f"参与方{zh} the participant {verb}s: {channel['address']}",
                "messages": [{"$ref": f"#/channels/{name}/messages/{one}"} for one in channel["messages"]],
                "tags": channel["tags"],
                "bindings": {"amqp": amqp},
            },
        )


class _PlainDumper(yaml.SafeDumper):
    """No anchors: each place can be read by itself."""

    def ignore_aliases(self, data: Any) -> bool:
        """Every value is written out."""
        del data
        return True
