"""LocalExecutor whose workers begin with our modules loaded.

Every task is a process forked from a worker, which is forked from the scheduler: what the
scheduler has imported, no task imports again. Without it each task of a second or two
spends one of them on imports.
"""

from __future__ import annotations

from importlib import import_module

from airflow.executors.local_executor import LocalExecutor

#: What the tasks of ``gateway.airflow.tasks`` import, and what that imports when it is called.
_MODULES = (
    "gateway.airflow.generation",
    "gateway.workplace",
    "gateway.bus",
    "gateway.checkpoints",
    "gateway.collection",
    "gateway.correspondence",
    "gateway.evaluation",
    "gateway.publication",
    "connectors.rabbit.publisher",
    "connectors.sources.delimited",
    "connectors.sources.sharing",
    "connectors.sources.sql",
    "connectors.sources.workbooks",
)


class WarmLocalExecutor(LocalExecutor):
    """``AIRFLOW__CORE__EXECUTOR=gateway.airflow.executor.WarmLocalExecutor``."""

    def start(self) -> None:
        """Import, then fork the workers.

        Nothing is opened here: no socket may cross a fork, and no thread does. The two native threads that
        imports start (OpenBLAS, Arrow's jemalloc) are their libraries' own, which begin them anew after a fork.
        """
        for module in _MODULES:
            import_module(module)
        super().start()
