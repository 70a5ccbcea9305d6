"""The one folder that holds everything of a local stack, and what must survive between two runs in it.

Ports and secrets are generated once and kept in ``state.json`` (0600).
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from exchange_formats.errors import FatalError

REPOSITORY = Path(__file__).resolve().parents[2]
HOME_VARIABLE = "XINQIAO_HOME"
# Unix socket paths end at 107 bytes; RabbitMQ's file names beside them need room too.
_LONGEST_PATH = 70


class Secrets(BaseModel):
    """Everything secret in the stack, drawn once from the system's randomness."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    erlang_cookie: str = Field(default_factory=lambda: secrets.token_hex(16))
    rabbitmq_gateway: str = Field(default_factory=lambda: secrets.token_urlsafe(18))
    s3_access_key: str = Field(default_factory=lambda: "xq" + secrets.token_hex(9))
    s3_secret_key: str = Field(default_factory=lambda: secrets.token_urlsafe(30))
    postgres_superuser: str = Field(default_factory=lambda: secrets.token_urlsafe(18))
    postgres_airflow: str = Field(default_factory=lambda: secrets.token_urlsafe(18))
    postgres_owner: str = Field(default_factory=lambda: secrets.token_urlsafe(18))
    postgres_reader: str = Field(default_factory=lambda: secrets.token_urlsafe(18))
    airflow_admin: str = Field(default_factory=lambda: secrets.token_urlsafe(12))
    airflow_fernet_key: str = Field(default_factory=lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    airflow_jwt_secret: str = Field(default_factory=lambda: secrets.token_hex(32))
    airflow_api_secret: str = Field(default_factory=lambda: secrets.token_hex(32))
    pseudonym_key: str = Field(default_factory=lambda: secrets.token_hex(32))
    participants: dict[str, str] = Field(default_factory=dict)
    applications: dict[str, str] = Field(default_factory=dict)


class StackState(BaseModel):
    """The content of ``state.json``: ports by name, and the secrets."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    ports: dict[str, int] = Field(default_factory=dict)
    secrets: Secrets = Field(default_factory=Secrets)


@dataclass(frozen=True, slots=True)
class StackHome:
    """Paths inside the state folder; ``root`` is absolute and real."""

    root: Path

    @property
    def state_file(self) -> Path:
        """Ports and secrets (0600)."""
        return self.root / "state.json"

    @property
    def environment_file(self) -> Path:
        """``stack.env`` (0600): endpoints and secrets for other programs."""
        return self.root / "stack.env"

    @property
    def logs(self) -> Path:
        """One log file a process."""
        return self.root / "logs"

    @property
    def drops(self) -> Path:
        """The departments that send files have a drop folder each in it."""
        return self.root / "drop"

    def drop(self, department: str) -> Path:
        """The drop folder of one of them."""
        return self.drops / department

    @property
    def short(self) -> Path:
        """A name of the folder that old programs can bear: ASCII, no blank, short.

        RabbitMQ 3.10's management plugin dies on a path outside Latin-1, and a
        unix socket path may not exceed 107 bytes: such a home gets a symbolic
        link in the temporary folder (made by :meth:`create`).
        """
        text = str(self.root)
        if text.isascii() and " " not in text and len(text) <= _LONGEST_PATH:
            return self.root
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"xinqiao-{os.geteuid()}-{digest}"

    def create(self) -> None:
        """Make the folders. Root's stack lets its database user pass through; nobody may list it."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o711 if os.geteuid() == 0 else 0o700)
        self.logs.mkdir(mode=0o700, exist_ok=True)
        self.drops.mkdir(exist_ok=True)
        if self.short != self.root:
            self._link()

    def _link(self) -> None:
        link = self.short
        if link.is_symlink() and link.lstat().st_uid == os.geteuid() and link.readlink() == self.root:
            return
        link.unlink(missing_ok=True)
        link.symlink_to(self.root)

    def remove_link(self) -> None:
        """Take the short name away again; nothing outside the folder outlives ``down``."""
        if self.short != self.root:
            self.short.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder: two ``up`` or ``down`` at once would fight.

        Raises:
            FatalError: another command is at work on it.
        """
        with (self.root / "lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise FatalError(
                    f"另一条命令正在操作本地环境 another command is working on the local stack: {self.root}",
                    hint="等它结束再试 wait for it and try again",
                ) from error
            yield

    def load(self) -> StackState:
        """Read ``state.json``; a new state if there is none.

        Raises:
            FatalError: the file is damaged.
        """
        if not self.state_file.exists():
            return StackState()
        try:
            return StackState.model_validate_json(self.state_file.read_bytes())
        except ValidationError as error:
            raise FatalError(
                f"状态文件损坏 damaged state file: {self.state_file}",
                hint="删除整个状态文件夹即可重建 remove the whole folder to start anew",
            ) from error

    def save(self, state: StackState) -> None:
        """Write ``state.json``, readable by its owner only."""
        write_private(self.state_file, state.model_dump_json(indent=1) + "\n")


def resolve_home(home: Path | str | None = None) -> StackHome:
    """The state folder: the argument, else ``XINQIAO_HOME``, else ``.xinqiao`` in the repository."""
    chosen = home or os.environ.get(HOME_VARIABLE) or REPOSITORY / ".xinqiao"
    return StackHome(Path(chosen).expanduser().resolve())


def write_private(path: Path, text: str) -> bool:
    """Write a file only its owner can read, atomically; return whether its content changed."""
    content = text.encode()
    if path.exists() and path.read_bytes() == content:
        return False
    temporary = path.with_name(path.name + ".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as handle:
        handle.write(content)
    temporary.replace(path)
    return True
