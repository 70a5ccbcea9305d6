"""The local stack: RabbitMQ, an S3 endpoint, PostgreSQL, the department simulators and Airflow on one machine.

>>> from gateway.stack import Component, Stack
>>> Stack("/tmp/somewhere").up({Component.S3})  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.stack.environment import load_environment, read_environment
    from gateway.stack.home import resolve_home
    from gateway.stack.lifecycle import Stack
    from gateway.stack.model import Component, ComponentStatus, Credential, Progress, Report, StackReport, State
    from gateway.stack.settings import Seed

__all__ = [
    "Component",
    "ComponentStatus",
    "Credential",
    "Progress",
    "Report",
    "Seed",
    "Stack",
    "StackReport",
    "State",
    "load_environment",
    "read_environment",
    "resolve_home",
]

_HOMES = {"Stack": "lifecycle", "resolve_home": "home", "load_environment": "environment"}
_HOMES |= {"read_environment": "environment", "Seed": "settings"}


def __getattr__(name: str) -> Any:
    """Import what is asked for: every command reads ``stack.env``, few start anything."""
    if name not in __all__:
        raise AttributeError(name)
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'model')}"), name)
