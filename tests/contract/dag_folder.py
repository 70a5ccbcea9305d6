"""Parse the DAG folder the way Airflow does, in a process of its own, and say what came of it as JSON.

``python -m tests.contract.dag_folder DEPARTMENTS MODELS``; every connection made or asked for is an error.
"""

from __future__ import annotations

import hashlib
import json
import os
import runpy
import socket
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

# What Airflow itself imports, whatever is in the folder.
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.providers.standard.decorators import python as decorators
from airflow.providers.standard.operators import empty
from airflow.sdk import DAG, AssetOrTimeSchedule, BaseHook, Connection, ExceptionRetryPolicy, Variable
from airflow.sdk.definitions import callback, deadline
from airflow.serialization.serialized_objects import DagSerialization

FOLDER = Path(__file__).resolve().parents[2] / "dags"
LOADED = (decorators, empty, AssetOrTimeSchedule, ExceptionRetryPolicy, callback, deadline)
#: Engines and clients that only a task needs.
HEAVY = ("duckdb", "minio", "pika", "adbc_driver_postgresql", "python_calamine", "httpx", "pyarrow.dataset")


def refuse(*_: object, **__: object) -> NoReturn:
    raise AssertionError("asked for something outside while a DAG was parsed")


def digest(dag: DAG) -> str:
    text = json.dumps(DagSerialization.to_dict(dag), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def main() -> None:
    os.environ["XINQIAO_DEPARTMENTS"], os.environ["XINQIAO_MODELS"] = sys.argv[1:]
    for owner, name in (
        (socket.socket, "connect"),
        (Connection, "get"),
        (Variable, "get"),
        (BaseHook, "get_connection"),
    ):
        setattr(owner, name, refuse)
    before = set(sys.modules)
    seconds: dict[str, float] = {}
    dags: dict[str, DAG] = {}
    for path in sorted(FOLDER.glob("*.py")):
        began = time.process_time()
        found: dict[str, Any] = runpy.run_path(str(path))
        seconds[path.stem] = time.process_time() - began
        dags |= {name: value for name, value in found.items() if isinstance(value, DAG)}
    loaded = set(sys.modules) - before
    bag = BundleDagBag(dag_folder=str(FOLDER), bundle_path=FOLDER, bundle_name="dags-folder")
    answer = {
        "seconds": seconds,
        "heavy": sorted(set(HEAVY) & loaded),
        "digests": {dag_id: digest(dag) for dag_id, dag in sorted(dags.items())},
        "bag": sorted(bag.dags),
        "import_errors": bag.import_errors,
        "warnings": sorted(map(str, bag.captured_warnings.values())),
    }
    print(json.dumps(answer, ensure_ascii=False))  # noqa: T201


if __name__ == "__main__":
    main()
