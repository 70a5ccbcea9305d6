"""A department's consumer in Python: standing grades and open warnings in SQLite. Needs ``pip install pika``.

    CREDIT_AMQP_URL=amqp://ecology_environment:PASSWORD@HOST:5672/credit python consume.py ecology_environment credit.db

Stops after ``CREDIT_IDLE_SECONDS`` without a message when that is set; runs for ever otherwise.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys

import pika

TABLES = """
CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS grade (
    domain TEXT, subject_ref TEXT, correction_of TEXT, sequence INTEGER NOT NULL,
    score TEXT, grade TEXT, result TEXT, PRIMARY KEY (domain, subject_ref, correction_of)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS warning (
    domain TEXT, id TEXT, sequence INTEGER NOT NULL,
    level TEXT, open INTEGER, warning TEXT, PRIMARY KEY (domain, id)) WITHOUT ROWID;
"""
# A lower sequence than the stored one changes nothing: it is an older word on the same subject.
GRADE = """
INSERT INTO grade VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    sequence = excluded.sequence, score = excluded.score, grade = excluded.grade, result = excluded.result
    WHERE excluded.sequence >= grade.sequence
"""
WARNING = """
INSERT INTO warning VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    sequence = excluded.sequence, level = excluded.level, open = excluded.open, warning = excluded.warning
    WHERE excluded.sequence >= warning.sequence
"""


def store(database: sqlite3.Connection, event: dict) -> None:
    """One event in one transaction: all of it is stored, with its id, or nothing."""
    data, kind = event["data"], event["type"]
    with database:
        if not database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (event["source"] + event["id"],)).rowcount:
            return  # delivered or published again
        correction_of = data["as_of"] if data.get("correction") else ""
        for one in data.get("results", ()):
            withdrawn = kind == "cn.credit.grade.withdrawn.v1"
            score, grade = (None, None) if withdrawn else (one.get("score"), one["grade"])
            row = (data["domain"], one["subject_ref"], correction_of, data["sequence"], score, grade, json.dumps(one))
            database.execute(GRADE, row)
        if "warning" in data:
            one, is_open = data["warning"], not kind.endswith((".cleared.v1", ".expired.v1"))
            row = (data["domain"], one["id"], data["sequence"], one["level"], is_open, json.dumps(one))
            database.execute(WARNING, row)


def main(participant: str, path: str) -> None:
    """Take both queues; what is stored is acknowledged, what can never be read is rejected."""
    database = sqlite3.connect(path)
    database.execute("PRAGMA synchronous = FULL")
    database.executescript(TABLES)
    parameters = pika.URLParameters(os.environ["CREDIT_AMQP_URL"])
    parameters.heartbeat, parameters.blocked_connection_timeout = 30, 60
    idle = float(os.environ["CREDIT_IDLE_SECONDS"]) if "CREDIT_IDLE_SECONDS" in os.environ else None
    connection = pika.BlockingConnection(parameters)
    channel = connection.channel()
    channel.basic_qos(prefetch_count=200)

    taken = 0

    def receive(_channel, method, _properties, body) -> None:  # noqa: ANN001
        nonlocal taken
        taken += 1
        try:
            event = json.loads(body)
            store(database, event)
        except (ValueError, KeyError, TypeError, AttributeError):
            channel.basic_reject(method.delivery_tag, requeue=False)  # parked in <participant>.dead
        else:
            channel.basic_ack(method.delivery_tag)

    for queue in (f"{participant}.grades", f"{participant}.warnings"):
        channel.basic_consume(queue, receive)
    while True:
        before = taken
        connection.process_data_events(time_limit=idle)
        if idle is not None and taken == before:
            break
    connection.close()
    for grade, count in database.execute("SELECT coalesce(grade, '-'), count(*) FROM grade GROUP BY 1 ORDER BY 1"):
        print(grade, count)
    print("warnings", *database.execute("SELECT count(*) FROM warning WHERE open").fetchone())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
