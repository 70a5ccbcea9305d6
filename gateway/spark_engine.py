"""``--engine spark``: a cut scored by Apache Spark, which reads the lake itself."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Final

from connectors.lake import Lake
from exchange_formats.errors import FatalError
from gateway.cuts import Cut, open_derived
from scoring.evaluations import Evaluation
from scoring.resolution import ResolvedModel

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DEFAULT_MASTER: Final = "local[*]"


@dataclass(frozen=True)
class OnSpark:
    """An engine (``gateway.evaluation.Engine``) on a Spark cluster.

    ``open_lake``: what every worker calls to open the lake; picklable. ``settings``: of the session, over those of
    Spark's own files. The artefacts come back to this process, one of one shard at a time.
    """

    open_lake: Callable[[], Lake]
    master: str = DEFAULT_MASTER
    shards: int = 1
    settings: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, resolved: ResolvedModel, lake: Lake, cut: Cut, as_of: date, output: Path) -> Evaluation:
        """Score every subject; see ``scoring.spark_engine.evaluate_frames``.

        Raises:
            FatalError: PySpark or Java is missing, besides what the engine raises.
        """
        with open_session(self.master, self.settings) as session:
            from connectors.spark_source import LakeSource, bind_lake
            from scoring.spark_engine import evaluate_frames

            session.dataSource.register(bind_lake(self.open_lake))
            frames = {}
            for source, heads in cut.heads.items():
                department, _, dataset = source.partition("/")
                named = {"department": department, "dataset": dataset, "heads": ",".join(heads)}
                frames[source] = session.read.format(LakeSource.name()).options(**named).load()
            for source, derived in open_derived(lake, cut).items():
                frames[source] = session.createDataFrame(derived.to_table())
            return evaluate_frames(session, resolved, frames, as_of, output, shards=self.shards)


@contextmanager
def open_session(master: str, settings: Mapping[str, str] | None = None) -> Iterator[SparkSession]:
    """A Spark session for one evaluation, stopped when it is over; or the one that runs here already, as it is.

    Raises:
        FatalError: PySpark is not installed, or there is no Java.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise FatalError("没有安装 PySpark / PySpark is not installed", hint="pip install 'xinqiao[spark]'") from error
    if not os.environ.get("JAVA_HOME") and shutil.which("java") is None:
        raise FatalError("没有 Java / there is no Java runtime", hint="apt-get install default-jre-headless")
    from scoring.spark_engine import SESSION

    # Workers that are started from here run the same Python with the same packages.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master(master).appName("xinqiao score").config("spark.ui.enabled", "false")
    # Nothing is kept in tables; Spark makes the folder all the same, in the working directory unless told where.
    warehouse = {"spark.sql.warehouse.dir": str(Path(gettempdir(), "xinqiao-spark-warehouse"))}
    for name, value in {**warehouse, **(settings or {}), **SESSION}.items():
        builder = builder.config(name, value)
    running = SparkSession.getActiveSession()
    if running is not None:
        yield running
        return
    session = builder.getOrCreate()
    try:
        session.sparkContext.setLogLevel("ERROR")
        yield session
    finally:
        session.stop()
