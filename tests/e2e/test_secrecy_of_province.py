"""Nothing of a full run names a person: objects, messages, logs, metrics and Airflow's own memory are scanned (§5)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from connectors.department import DatasetMapping, Department
from connectors.sources import SourcePage, open_source
from exchange_formats.manifests import Window
from exchange_formats.subjects import normalise_identifiers
from exchange_formats.topology import GATEWAY
from gateway.bus import connection_id
from gateway.stack.environment import read_environment
from tests.e2e.conftest import Province
from tests.e2e.test_province import ECOLOGY, PLATFORM, SIMULATED
from tests.identity_scan import Planted, Scanner

pytestmark = pytest.mark.timeout(420)

#: Columns that departments hold persons' names in and that no mapping reads.
REPRESENTATIVES = frozenset({"CF_FRDB", "cf_frdb", "法定代表人"})
#: Below the stack's folder: the departments' own systems, and programs; the store is scanned object by object.
_NOT_OURS = ("drop", "postgres", "simulators", "s3", "uv")


@pytest.fixture(scope="module")
def planted(province: Province) -> Planted:
    """Every person's number and name: those planted, and what the departments' systems say themselves."""
    numbers: set[str] = set(province.planted.numbers)
    names: set[str] = set(province.planted.names)
    innocent: list[str] = []
    for identifier in SIMULATED:
        department = province.workplace.departments[identifier]
        for dataset, mapping in department.datasets.items():
            for page in read_source(province, department, dataset, mapping):
                kept = take_persons(page, mapping, numbers, names)
                innocent += kept
    # A name that also stands in an enterprise's name or an address would be found where it is no name.
    text = "\n".join(dict.fromkeys(innocent))
    apart = frozenset(name for name in names if len(name) > 1 and name not in text) - province.planted.names
    assert len(apart) > 20, "the province's own, too: representatives, owners"
    return Planted(frozenset(numbers), apart | province.planted.names)


def read_source(
    province: Province, department: Department, dataset: str, mapping: DatasetMapping
) -> Iterator[pa.RecordBatch]:
    """All rows of one dataset as the department has them, with the persons' columns that the gateway leaves alone."""
    also = tuple(column for column in mapping.ignore if column in REPRESENTATIVES)
    ignored = tuple(column for column in mapping.ignore if column not in REPRESENTATIVES)
    wider = mapping.model_copy(update={"key": (*mapping.key, *also), "ignore": ignored})
    asked = department.model_copy(update={"datasets": {dataset: wider}})
    now = datetime.now(UTC)
    connection = province.workplace.resolve(department.source.connection)
    with open_source(asked, dataset, connection, Window(until=now), now=lambda: datetime.now(UTC)) as reader:
        for item in reader:
            if isinstance(item, SourcePage):
                yield item.batch


def take_persons(page: pa.RecordBatch, mapping: DatasetMapping, numbers: set[str], names: set[str]) -> list[str]:
    """Add the persons of a page; returns the page's other texts."""
    table = pa.table({name: page.column(name).cast(pa.string()) for name in page.schema.names})
    personal = REPRESENTATIVES & set(table.column_names)
    number, name = mapping.columns["subject_id"].person, mapping.columns.get("subject_name")
    if number is not None and name is not None and name.source is not None:
        numbered = find_numbered(table.column(number).combine_chunks(), mapping)
        persons = table.filter(numbered)
        numbers.update(filter(None, normalise_identifiers(persons.column(number)).to_pylist()))
        names.update(filter(None, persons.column(name.source).to_pylist()))
        table = table.filter(pc.invert(numbered))
    for column in personal:
        names.update(
            value for value in table.column(column).to_pylist() if value and re.fullmatch(r"[一-鿿]{2,4}", value)
        )
    others = [column for column in table.column_names if column not in {*personal, number}]
    return [value for column in others for value in pc.unique(table.column(column)).to_pylist() if value]


def find_numbered(numbers: pa.Array, mapping: DatasetMapping) -> pa.Array:
    """Which rows have a person's number; a spelling of nothing is none."""
    written = normalise_identifiers(numbers)
    nothing = pc.is_in(written, value_set=pa.array(mapping.null_spellings))
    return pc.and_(pc.is_valid(written), pc.invert(nothing))


@pytest.fixture(scope="module")
def scanner(province: Province, planted: Planted) -> Scanner:
    """Everything that the rounds left behind, looked at."""
    province.collect(*SIMULATED)
    province.await_published()
    for participant in (PLATFORM, ECOLOGY):
        province.consume(participant)
    scanner = Scanner(planted)
    store = province.workplace.lake.store
    for key in store.list_keys(""):
        scanner.scan("object", key, store.get_bytes(key))
    for message in province.tap.drain():
        scanner.scan("message", message.routing_key, message.envelope, message.body)
    home = province.stack.home.root
    for path in list_files(home):
        # The broker tidies its own files up while they are read.
        with suppress(FileNotFoundError):
            scanner.scan("file", str(path.relative_to(home)), path.read_bytes())
    for path in sorted(province.inboxes.glob("*.jsonl")):
        scanner.scan("inbox", path.name, path.read_bytes())
    scan_airflow(province, scanner)
    scan_broker(province, scanner)
    return scanner


def list_files(home: Path) -> list[Path]:
    """Logs of every process, Airflow's task logs, the broker's files, caches, spools, settings."""
    found = (path for path in home.rglob("*") if path.relative_to(home).parts[0] not in _NOT_OURS)
    return sorted(path for path in found if path.is_file() and not path.is_symlink())


def scan_airflow(province: Province, scanner: Scanner) -> None:
    """Every row of Airflow's own database: XComs, rendered templates, notes, asset events, audit log."""
    address = read_environment(province.stack.home.environment_file)["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    with psycopg.connect(address.replace("+psycopg2", "")) as connection:
        tables = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'public' order by 1"
        ).fetchall()
        for (table,) in tables:
            name = psycopg.sql.Identifier(str(table))
            with connection.cursor().copy(psycopg.sql.SQL("copy {} to stdout").format(name)) as rows:
                scanner.scan("Airflow table", str(table), b"".join(map(bytes, rows)))


def scan_broker(province: Province, scanner: Scanner) -> None:
    """What the broker tells whoever watches it: names, bindings, connections, metrics."""
    found = province.workplace.resolve(connection_id(GATEWAY))
    base = f"http://{found.host}:{found.extra['management_port']}/api/"
    with httpx.Client(base_url=base, auth=(found.login, found.password), trust_env=False) as client:
        for path in ("overview", "queues", "exchanges", "bindings", "connections", "channels", "consumers", "nodes"):
            answer = client.get(path).raise_for_status()
            scanner.scan("broker", path, answer.content)


@pytest.mark.semantics("5.2")
def test_no_person_is_named_when_a_full_run_is_scanned(scanner: Scanner) -> None:
    assert scanner.found == []


def test_everything_was_looked_at_when_a_full_run_is_scanned(scanner: Scanner) -> None:
    least = {"object": 100, "message": 200, "file": 50, "inbox": 2, "Airflow table": 30, "broker": 8}
    assert {kind: count for kind, count in scanner.seen.items() if count < least[kind]} == {}
    assert scanner.seen.keys() == least.keys()


def test_persons_are_in_the_lake_when_a_full_run_is_scanned(province: Province, planted: Planted) -> None:
    """So there was somebody to be named."""
    table = province.workplace.lake.records(ECOLOGY, "penalty").to_table(columns=["subject_ref"])
    persons = pc.unique(table.column("subject_ref").filter(pc.starts_with(table.column("subject_ref"), "np_")))
    assert 0 < len(persons) <= len(planted.numbers)


def test_scanner_sees_the_departments_own_data_when_it_is_given_it(province: Province, planted: Planted) -> None:
    """The same scanner finds persons where they are: in the drop folder of the department that knows them."""
    scanner = Scanner(planted)
    for path in sorted(province.stack.home.drops.rglob("*.csv")):
        scanner.scan("drop", path.name, path.read_text(encoding="gb18030", errors="replace"))
    assert {sighting.kind for sighting in scanner.found} == {"planted number", "name"}
