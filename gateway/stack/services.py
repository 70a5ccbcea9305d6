"""The stack's components side by side: what each needs, how it is prepared, started and known to be ready."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gateway.stack import airflow_server, object_store, postgres, rabbitmq, simulators
from gateway.stack.airflow_server import describe_airflow
from gateway.stack.environment import describe_environment
from gateway.stack.model import Component, Credential, Program
from gateway.stack.settings import GATEWAY_USER, SUPERUSER, StackSettings

_Step = Callable[[StackSettings], None]


def _nothing(_settings: StackSettings) -> None:
    """For a component that has nothing to do at this step."""


@dataclass(frozen=True, slots=True)
class Service:
    """How one component comes up.

    ``prepare`` (quick, before the supervisor is configured), then, in a thread of its own once ``needs`` are
    ready: ``initialise``, its processes, ``probe`` until it is ready, ``provision``.
    Every step may be repeated and does nothing where it has been done.
    """

    component: Component
    url: Callable[[StackSettings], str]
    programs: Callable[[StackSettings], tuple[Program, ...]]
    probe: _Step
    prepare: _Step = _nothing
    initialise: _Step = _nothing
    provision: _Step = _nothing
    needs: tuple[Component, ...] = ()
    patience: float = 60.0


def _fill(settings: StackSettings) -> None:
    simulators.fill(settings, describe_environment(settings), settings.seed)


def stack_variables(settings: StackSettings) -> Mapping[str, str]:
    """Everything that goes into ``stack.env``."""
    return {**describe_environment(settings), **describe_airflow(settings)}


_ALL = (
    Service(
        component=Component.RABBITMQ,
        url=lambda settings: settings.management_url,
        prepare=rabbitmq.prepare,
        programs=rabbitmq.programs,
        probe=rabbitmq.probe,
        provision=rabbitmq.provision,
        patience=90,
    ),
    Service(
        component=Component.S3,
        url=lambda settings: settings.s3_url,
        prepare=object_store.prepare,
        programs=object_store.programs,
        probe=object_store.probe,
        patience=30,
    ),
    Service(
        component=Component.POSTGRES,
        url=lambda settings: settings.postgres_url,
        prepare=postgres.prepare,
        initialise=postgres.initialise,
        programs=postgres.programs,
        probe=postgres.probe,
        provision=postgres.provision,
    ),
    Service(
        component=Component.SIMULATORS,
        url=lambda settings: settings.simulators_url,
        programs=lambda settings: simulators.programs(settings, describe_environment(settings)),
        probe=simulators.probe,
        provision=_fill,
        needs=(Component.POSTGRES,),
    ),
    Service(
        component=Component.AIRFLOW,
        url=lambda settings: settings.airflow_url,
        prepare=airflow_server.prepare,
        initialise=airflow_server.migrate,
        programs=lambda settings: airflow_server.programs(settings, describe_environment(settings)),
        probe=airflow_server.probe,
        needs=(Component.POSTGRES,),
        patience=180,
    ),
)
#: Every component, in the order in which people read them and the needed come before the needing.
SERVICES: Mapping[Component, Service] = MappingProxyType({service.component: service for service in _ALL})


def credentials(settings: StackSettings) -> tuple[Credential, ...]:
    """The logins a person needs to look around."""
    held = settings.state.secrets
    return (
        Credential(Component.AIRFLOW, settings.airflow_url, airflow_server.ADMIN, held.airflow_admin),
        Credential(Component.RABBITMQ, settings.management_url, GATEWAY_USER, held.rabbitmq_gateway),
        Credential(Component.S3, settings.s3_url, held.s3_access_key, held.s3_secret_key),
        Credential(Component.POSTGRES, settings.postgres_url, SUPERUSER, held.postgres_superuser),
    )
