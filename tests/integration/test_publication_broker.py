"""Publication and consumption through the real store and broker, killed at will: nothing lost, nothing different."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from connectors.lake import Lake
from connectors.object_store import MinioStore
from connectors.rabbit.consumer import Delivery, Stop
from connectors.rabbit.publisher import Publisher
from exchange_formats.errors import TransientError
from exchange_formats.keys import plan_key, receipt_key
from exchange_formats.publications import Plan, Receipt
from gateway.publication import PublicationResult, publish_domain
from gateway.subscription import ConsumptionResult, consume
from tests.integration.broker import GRADES, PLATFORM, QUICK, TOPOLOGY, WARNINGS, Broker, wait_for
from tests.publication_samples import DOMAIN, Runs, code, grade, warning

REPOSITORY = Path(__file__).resolve().parents[2]
SUBJECTS = 1_000
_days = count()


@pytest.fixture
def runs(broker: Broker, tmp_path: Path) -> Iterator[Runs]:
    """An empty lake in the real store; its keys are taken away afterwards."""
    store = MinioStore.open(broker.resolve("lake"))
    yield Runs(Lake(store, tmp_path / "cache"), tmp_path)
    for key in list(store.list_keys("")):
        store._client.remove_object("credit-lake", key)


def publish(broker: Broker, runs: Runs, tmp_path: Path) -> PublicationResult:
    return publish_domain(
        DOMAIN,
        lake=runs.lake,
        open_publisher=lambda: Publisher(broker.connection(), patience=QUICK),
        now=lambda: datetime.now(UTC),
        spool=tmp_path / "spool",
    )


def commit(runs: Runs, subjects: int = SUBJECTS, warnings: int = 300) -> None:
    """One run: grades over three cities, one warning each for the first subjects."""
    rows = [grade(code(n), city_code=f"3301{n * 3 // subjects:02d}") for n in range(subjects)]
    runs.commit(date(2026, 1, 1) + timedelta(days=next(_days)), rows, [warning(code(n)) for n in range(warnings)])


def read_plan(runs: Runs) -> Plan:
    run = runs.committed[-1]
    return Plan.model_validate_json(runs.lake.store.get_bytes(plan_key(DOMAIN, run.run_id)))


def assert_all_arrived_alike(runs: Runs, deliveries: Sequence[Delivery]) -> None:
    """Every planned message is there; its repeats have the same bytes."""
    bodies: dict[str, set[bytes]] = defaultdict(set)
    for one in deliveries:
        bodies[one.message_id].add(one.body)
    plan = read_plan(runs)
    assert set(bodies) == {one.id for one in plan.messages}
    assert all(len(same) == 1 for same in bodies.values())
    assert runs.lake.store.exists(receipt_key(DOMAIN, plan.run_id))


def consume_into(broker: Broker, target: Path, stop: Stop) -> ConsumptionResult:
    return consume(PLATFORM, target, resolve=broker.resolve, stop=stop, patience=QUICK, attempts=20)


def test_every_grade_reaches_the_file_once_when_all_goes_well(broker: Broker, runs: Runs, tmp_path: Path) -> None:
    commit(runs)
    published = publish(broker, runs, tmp_path)
    assert (published.results, published.warnings) == (SUBJECTS, 300)
    target = tmp_path / "platform.jsonl"
    result = consume_into(broker, target, Stop(idle=1))
    assert (result.written, result.duplicates, result.results) == (published.messages, 0, SUBJECTS)
    assert result.warnings_by_level == {"orange": 300}
    written = [json.loads(line)["id"] for line in target.read_bytes().splitlines()]
    assert sorted(written) == sorted(one.id for one in read_plan(runs).messages)
    assert consume_into(broker, target, Stop(idle=0.5)).written == 0


def test_nothing_is_lost_when_the_publisher_is_killed_anywhere(broker: Broker, runs: Runs, tmp_path: Path) -> None:
    commit(runs)
    chance = random.Random(19)
    for moment in (0, 1, *(chance.randrange(2, 300) for _ in range(2))):
        with _start(broker, tmp_path) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if int(line) >= moment:
                    break
            process.kill()
    publish(broker, runs, tmp_path)
    deliveries = broker.drain(PLATFORM, GRADES, WARNINGS)
    assert len(deliveries) > len(read_plan(runs).messages)
    assert_all_arrived_alike(runs, deliveries)


def _start(broker: Broker, folder: Path) -> subprocess.Popen[str]:
    command = (sys.executable, "-m", "tests.integration.publish_driver")
    arguments = (str(broker.stack.home.environment_file), str(folder))
    return subprocess.Popen((*command, *arguments), cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)


def test_nothing_is_lost_when_the_broker_is_killed_while_both_sides_work(
    broker: Broker, runs: Runs, tmp_path: Path
) -> None:
    commit(runs, warnings=900)
    target, stop, results = tmp_path / "platform.jsonl", Stop(), []
    consumer = threading.Thread(target=lambda: results.append(consume_into(broker, target, stop)))
    consumer.start()
    killed = threading.Event()

    def kill_once(_run: str, confirmed: int, _total: int) -> None:
        if confirmed >= 150 and not killed.is_set():
            killed.set()
            broker.kill()

    with pytest.raises(TransientError):
        publish_domain(
            DOMAIN,
            lake=runs.lake,
            open_publisher=lambda: Publisher(broker.connection(), patience=QUICK),
            now=lambda: datetime.now(UTC),
            spool=tmp_path / "spool",
            progress=kill_once,
        )
    wait_for(lambda: _try_to_publish(broker, runs, tmp_path), seconds=30)
    planned = {one.id for one in read_plan(runs).messages}
    wait_for(lambda: len(target.read_bytes().splitlines()) >= len(planned))
    stop.asked.set()
    consumer.join(timeout=10)
    (result,) = results
    written = [json.loads(line)["id"] for line in target.read_bytes().splitlines()]
    assert len(written) == len(set(written))
    assert set(written) == planned
    assert result.reconnections >= 1
    assert result.duplicates >= 150  # what was confirmed before the kill was sent again


def _try_to_publish(broker: Broker, runs: Runs, tmp_path: Path) -> bool:
    try:
        publish(broker, runs, tmp_path)
    except TransientError:
        return False
    return True


@pytest.mark.semantics("7.8")
def test_no_receipt_is_stored_when_a_queue_is_full(broker: Broker, runs: Runs, tmp_path: Path) -> None:
    small = tuple(replace(one, maximum_length=3) if one.name == WARNINGS else one for one in TOPOLOGY.queues)
    broker.apply(replace(TOPOLOGY, queues=small))
    commit(runs, warnings=900)  # the limit is soft: a window of messages gets in
    with pytest.raises(TransientError, match="full"):
        publish(broker, runs, tmp_path)
    run = runs.committed[-1]
    assert not runs.lake.store.exists(receipt_key(DOMAIN, run.run_id))
    broker.apply()
    publish(broker, runs, tmp_path)
    receipt = Receipt.model_validate_json(runs.lake.store.get_bytes(receipt_key(DOMAIN, run.run_id)))
    assert receipt.confirmed == receipt.totals.messages
    assert_all_arrived_alike(runs, broker.drain(PLATFORM, GRADES, WARNINGS))


def test_consumer_process_writes_each_message_once_when_it_is_killed(
    broker: Broker, runs: Runs, tmp_path: Path
) -> None:
    commit(runs)
    planned = publish(broker, runs, tmp_path).messages
    target = tmp_path / "platform.jsonl"
    for _ in range(2):
        with _consume_process(broker, target) as process:
            before = target.stat().st_size if target.exists() else 0
            wait_for(lambda size=before: target.exists() and target.stat().st_size > size)  # type: ignore[misc]
            process.kill()
    result = consume_into(broker, target, Stop(idle=1))
    written = [json.loads(line)["id"] for line in target.read_bytes().splitlines()]
    assert (len(written), len(set(written))) == (planned, planned)
    assert result.rejected == 0


def _consume_process(broker: Broker, target: Path) -> subprocess.Popen[bytes]:
    """A consumer that takes one message at a time, so that a kill falls between two."""
    code = (
        "import sys; from pathlib import Path; from connectors.rabbit import consumer; "
        "from connectors.connection import read_connection; from gateway.stack import read_environment; "
        "from gateway.subscription import consume; consumer._PREFETCH = 1; "
        "environment = read_environment(Path(sys.argv[1])); "
        "resolve = lambda identifier: read_connection(identifier, environment); "
        "consume(sys.argv[2], Path(sys.argv[3]), resolve=resolve, stop=consumer.Stop(idle=9))"
    )
    arguments = (str(broker.stack.home.environment_file), PLATFORM, str(target))
    return subprocess.Popen((sys.executable, "-c", code, *arguments), cwd=REPOSITORY)
