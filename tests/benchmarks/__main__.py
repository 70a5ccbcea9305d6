"""``make bench``: run every benchmark, each in a process of its own, and print figures and ratios."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.measurement import Figure
from tests.benchmarks.suite import BENCHMARKS


def main() -> None:
    """Run all, or those named."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which ones: {', '.join(BENCHMARKS)}")
    parser.add_argument("--rows", type=int, default=1_000_000, help="how many rows or subjects (default 1,000,000)")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps([figure.as_json() for figure in BENCHMARKS[arguments.one](arguments.rows)]))  # noqa: T201
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("benchmark", "ours", "peer or limit", "ratio", "peak memory"):
        table.add_column(heading, justify="left" if heading in {"benchmark", "peer or limit"} else "right")
    for name in arguments.names or BENCHMARKS:
        Console(stderr=True).print(f"{name} …", style="dim")
        for figure in _run_apart(name, arguments.rows):
            table.add_row(*figure.cells())
    Console(width=140, highlight=False).print(table)


def _run_apart(name: str, rows: int) -> list[Figure]:
    """In a process of its own, so that its peak memory is its own."""
    command = [sys.executable, "-m", "tests.benchmarks", "--one", name, "--rows", str(rows)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    answer = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return [Figure(**one) for one in json.loads(answer.stdout)]


if __name__ == "__main__":
    main()
