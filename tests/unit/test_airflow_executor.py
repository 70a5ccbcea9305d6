from __future__ import annotations

import subprocess
import sys

import pytest
from airflow.executors.local_executor import LocalExecutor

from gateway.airflow.executor import _MODULES, WarmLocalExecutor

# What a task's own imports would still have to load after the executor's, and the threads a fork would lose.
LEFT = """
import sys, threading
from importlib import import_module
from gateway.airflow.executor import _MODULES
for module in _MODULES: import_module(module)
before = set(sys.modules)
import connectors.rabbit.publisher, gateway.bus, gateway.workplace
import gateway.checkpoints, gateway.collection, gateway.correspondence, gateway.evaluation, gateway.publication
print(sorted(set(sys.modules) - before), threading.active_count())
"""


def test_modules_are_loaded_before_the_workers_are_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[bool] = []
    monkeypatch.setattr(LocalExecutor, "start", lambda self: loaded.append(set(_MODULES) <= set(sys.modules)))
    WarmLocalExecutor(parallelism=1).start()  # type: ignore[no-untyped-call]
    assert loaded == [True]


def test_nothing_is_left_to_import_and_no_thread_runs_when_a_worker_is_forked() -> None:
    done = subprocess.run([sys.executable, "-c", LEFT], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[] 1"
