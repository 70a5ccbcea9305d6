"""Command line of the simulators; ``xinqiao up`` runs it, tests call the functions behind it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

from exchange_formats.errors import XinqiaoError
from gateway.simulators.draws import SHANGHAI
from gateway.simulators.seeding import open_universe, seed_departments
from gateway.simulators.sharing_server import serve

_DEFAULT_SUBJECTS = 10_000
_DEFAULT_SEED = 2019
_MOST_SUBJECTS = 1_000_000


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; exits 1 with one clear line when it cannot be done."""
    options = _build_parser().parse_args(arguments)
    try:
        if options.command == "serve":
            serve(options.home, options.port, os.environ, options.host)
            return
        universe = open_universe(
            register=options.register, subjects=options.subjects, seed=options.seed, today=options.today
        )
        report = seed_departments(options.home, universe, os.environ)
    except (XinqiaoError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from error
    for name, count in sorted(report.rows.items()):
        sys.stdout.write(f"{name:45} {count:>8,}\n")
    sys.stdout.write(f"主体 subjects {report.subjects:,} · 投递文件 dropped files {report.drop_files}\n")


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gateway.simulators", description="部门模拟系统 department simulators"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    seed = commands.add_parser("seed", help="生成数据 fill the departments' systems")
    seed.add_argument("--home", type=Path, required=True, help="状态目录 state folder")
    seed.add_argument("--register", type=Path, help="真实登记名册 a real register (csv.gz)")
    seed.add_argument("--subjects", type=_read_count, default=_DEFAULT_SUBJECTS, help="主体数 subjects to draw")
    seed.add_argument("--seed", type=int, default=_DEFAULT_SEED, help="随机种子")
    seed.add_argument(
        "--today",
        type=date.fromisoformat,
        default=datetime.now(SHANGHAI).date(),
        help="基准日期 reference date, YYYY-MM-DD",
    )
    server = commands.add_parser("serve", help="提供接口 serve the data-sharing API")
    server.add_argument("--home", type=Path, required=True, help="状态目录 state folder")
    server.add_argument("--port", type=int, required=True)
    server.add_argument("--host", default="127.0.0.1")
    return parser


def _read_count(text: str) -> int:
    count = int(text)
    if not 1 <= count <= _MOST_SUBJECTS:
        raise argparse.ArgumentTypeError(f"1 to {_MOST_SUBJECTS:,}")
    return count
