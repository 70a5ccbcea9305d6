"""The scanner of a full run finds what is planted in each kind of place: its silence means something."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping

import pyarrow as pa
import pytest

from tests.identity_scan import Planted, Scanner
from tests.pulls import CODES, RESIDENT

#: Valid, of nobody, and planted in no system.
STRANGER = "330106199003070014"
NAME = "欧阳试验"
PLANTED = Planted(numbers=frozenset({RESIDENT}), names=frozenset({NAME}))


def arrow_file(text: str, *, metadata: str = "") -> bytes:
    sink = pa.BufferOutputStream()
    schema = pa.schema([pa.field("anything", pa.string())], metadata={"label": metadata})
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(sink, schema, options=options) as writer:
        writer.write_batch(pa.record_batch([pa.array(["a" * 4000, None, text])], schema=schema))
    return bytes(sink.getvalue())


def arrow_stream(text: str) -> bytes:
    sink = pa.BufferOutputStream()
    batch = pa.record_batch({"anything": pa.array([text]).dictionary_encode()})
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def zstd(content: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(content, asbytes=True))


PLACES: Mapping[str, Callable[[str], bytes | str]] = {
    "a text": lambda secret: f"level=info subject={secret} done",
    "a log line glued to others": lambda secret: f"id{secret}z".encode(),
    "JSON": lambda secret: json.dumps({"a": [{"b": secret}]}, ensure_ascii=False).encode(),
    "gzip": lambda secret: gzip.compress(secret.encode()),
    "zstd": lambda secret: zstd(b"x " * 1000 + secret.encode()),
    "an Arrow cell": arrow_file,
    "an Arrow label": lambda secret: arrow_file("", metadata=secret),
    "an Arrow stream": arrow_stream,
    "an Arrow file inside gzip": lambda secret: gzip.compress(arrow_file(secret)),
    "a header": lambda secret: str({"x-subject": secret}),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("secret", "kind"), [(RESIDENT, "planted number"), (NAME, "name")])
def test_planted_secret_is_found_when_it_lies_in_any_kind_of_place(place: str, secret: str, kind: str) -> None:
    scanner = Scanner(PLANTED)
    scanner.scan("object", "a/key", PLACES[place](secret))
    assert {sighting.kind for sighting in scanner.found} == {kind}
    assert secret not in str(scanner.found), "the finding itself shows nothing"


@pytest.mark.parametrize("place", sorted(PLACES.keys() - {"a log line glued to others"}))
def test_unknown_persons_number_is_found_when_its_check_digit_is_right(place: str) -> None:
    scanner = Scanner(PLANTED)
    scanner.scan("object", "a/key", PLACES[place](STRANGER))
    assert {sighting.kind for sighting in scanner.found} == {"resident number"}


def test_secret_is_found_when_it_is_in_the_name_of_the_place() -> None:
    scanner = Scanner(PLANTED)
    scanner.scan("object", f"landing/{RESIDENT}/part.arrow", b"")
    assert [sighting.kind for sighting in scanner.found] == ["planted number"]
    assert RESIDENT not in str(scanner.found)


def test_lower_case_x_is_the_same_number() -> None:
    scanner = Scanner(PLANTED)
    scanner.scan("log", "a.log", RESIDENT.lower())
    assert [sighting.kind for sighting in scanner.found] == ["planted number"]


@pytest.mark.parametrize(
    "innocent",
    [
        *CODES,
        "np_k1_3f0a9d33010619900307001400aa",
        "3f9c33010619900307001403bd",
        "2026-11-24T10:00:00.123456Z",
        "110105194912310021",
        "330106199013070017",
    ],
)
def test_nothing_is_found_when_the_text_is_innocent(innocent: str) -> None:
    scanner = Scanner(PLANTED)
    scanner.scan("log", "a.log", innocent)
    assert scanner.found == []
    assert scanner.seen == {"log": 1}
