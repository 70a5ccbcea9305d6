"""A publisher process to be killed: ``python -m tests.integration.publish_driver STACK_ENV FOLDER``.

Prints the number of confirmed messages as it goes.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from connectors.connection import read_connection
from connectors.lake import Lake
from connectors.object_store import MinioStore
from connectors.rabbit.publisher import Publisher
from gateway.publication import publish_domain
from gateway.stack import read_environment
from tests.publication_samples import DOMAIN


def main(environment_file: Path, folder: Path) -> None:
    environment = read_environment(environment_file)

    def report(_run: str, count: int, _total: int) -> None:
        sys.stdout.write(f"{count}\n")
        sys.stdout.flush()

    publish_domain(
        DOMAIN,
        lake=Lake(MinioStore.open(read_connection("lake", environment)), folder / "cache"),
        open_publisher=lambda: Publisher(read_connection("rabbitmq_gateway", environment)),
        now=lambda: datetime.now(UTC),
        spool=folder / "spool",
        progress=report,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
