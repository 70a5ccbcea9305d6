"""All DAGs of a folder of files. A file that cannot become its DAG becomes a quarantine DAG; the others live."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from airflow.sdk import DAG, get_parsing_context

from connectors.department import Departments, load_departments
from exchange_formats.errors import ConfigurationError, Problem
from gateway.airflow.department_dags import build_department_dag
from gateway.airflow.domain_dags import build_domain_dag
from gateway.airflow.housekeeping_dags import build_housekeeping_dag
from gateway.airflow.lateness import attach_deadline
from gateway.airflow.names import (
    DEPARTMENT_PREFIX,
    DOMAIN_PREFIX,
    GATEWAY_TEAM,
    HOUSEKEEPING,
    KIND_DEPARTMENT,
    KIND_DOMAIN,
    PUBLIC_CREDIT,
    name_dag,
)
from gateway.airflow.public_credit_dag import build_public_credit_dag
from gateway.airflow.quarantine import build_quarantine_dag
from gateway.folders import departments_folder, models_folder
from scoring.library import Models, load_models
from scoring.model import PUBLIC_CREDIT_DOMAINS, Model

#: In how many mapped tasks each domain is scored, a shard of the subjects each.
SHARDS_VARIABLE: Final = "XINQIAO_SHARDS"


def generate_department_dags(environ: Mapping[str, str]) -> dict[str, DAG]:
    """The DAG of every department by its id; only the one asked for when a task is about to run.

    Raises:
        ConfigurationError: XINQIAO_DEPARTMENTS names no folder.
    """
    departments = load_departments(_existing(departments_folder(environ)))
    dags: dict[str, DAG] = {}
    for identifier in sorted({*departments.by_id, *departments.problems}):
        dag_id = name_dag(DEPARTMENT_PREFIX, identifier)
        if _is_wanted(dag_id):
            tags = [KIND_DEPARTMENT, identifier] if identifier in departments.by_id else [KIND_DEPARTMENT]
            dags[dag_id] = _build(
                partial(_build_department, departments, identifier), dag_id, f"{identifier}.yaml", tags
            )
    return dags


def generate_domain_dags(environ: Mapping[str, str]) -> dict[str, DAG]:
    """The DAG of every domain by its id; only the one asked for when a task is about to run.

    A domain with one broken version is quarantined whole: an older one must not stand in silently.

    Raises:
        ConfigurationError: XINQIAO_MODELS names no folder, or XINQIAO_SHARDS is no number of shards.
    """
    folder = _existing(models_folder(environ))
    models = load_models(folder)
    departments = load_departments(_existing(departments_folder(environ)))
    shards = _read_shards(environ)
    dags: dict[str, DAG] = {}
    for domain in sorted(_list_domains(folder, models) - set(PUBLIC_CREDIT_DOMAINS.values())):
        dag_id = name_dag(DOMAIN_PREFIX, domain)
        if _is_wanted(dag_id):
            dags[dag_id] = _build(
                partial(_build_domain, models, departments, domain, shards), dag_id, f"{domain}@….yaml", [KIND_DOMAIN]
            )
    return dags


def generate_public_credit_dags(environ: Mapping[str, str]) -> dict[str, DAG]:
    """The one DAG of the public-credit domains, where there are any; a broken one fails in it and stops no other.

    Raises:
        ConfigurationError: XINQIAO_MODELS names no folder.
    """
    if not _is_wanted(PUBLIC_CREDIT):
        return {}
    folder = _existing(models_folder(environ))
    models = load_models(folder)
    domains = sorted(_list_domains(folder, models) & set(PUBLIC_CREDIT_DOMAINS.values()))
    if not domains:
        return {}
    broken = {domain: found for domain in domains if (found := _find_problems(models, domain))}
    sound = [models.by_id[domain] for domain in domains if domain not in broken]
    departments = load_departments(_existing(departments_folder(environ)))
    owners = [_name_team(departments, model) for model in sound] or [GATEWAY_TEAM]
    build = partial(build_public_credit_dag, sound, broken, owners[0])
    return {PUBLIC_CREDIT: _build(build, PUBLIC_CREDIT, "public_credit_…@….yaml", [KIND_DOMAIN])}


def generate_housekeeping_dags() -> dict[str, DAG]:
    """The DAG of the gateway itself, unless a task of another one is about to run."""
    return {HOUSEKEEPING: build_housekeeping_dag()} if _is_wanted(HOUSEKEEPING) else {}


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise ConfigurationError(f"没有这个文件夹 no such folder: {folder}")
    return folder


def _read_shards(environ: Mapping[str, str]) -> int:
    """How many tasks score a domain side by side; worth it where workers are several machines."""
    text = environ.get(SHARDS_VARIABLE) or "1"
    if text not in {str(2**power) for power in range(7)}:
        raise ConfigurationError(f"{SHARDS_VARIABLE} 应为 must be 1, 2, 4 … 64", hint=f"not '{text}'")
    return int(text)


def _is_wanted(dag_id: str) -> bool:
    wanted = get_parsing_context().dag_id
    return wanted is None or wanted == dag_id


def _build(build: Callable[[], DAG], dag_id: str, file: str, tags: Sequence[str]) -> DAG:
    try:
        return build()
    except ConfigurationError as error:
        problems = [str(problem) for problem in error.problems] or [str(error)]
    except Exception as error:  # noqa: BLE001  # whatever it is, it must not take the other DAGs with it
        problems = [f"{file}:0:0 (file): {type(error).__name__}: {error}"]
    return build_quarantine_dag(dag_id, file, problems, tags)


def _build_department(departments: Departments, identifier: str) -> DAG:
    department = departments[identifier]
    dag = build_department_dag(department)
    attach_deadline(dag, department.late_after, title=department.title, contact=department.owner.contact)
    return dag


def _build_domain(models: Models, departments: Departments, domain: str, shards: int = 1) -> DAG:
    problems = _find_problems(models, domain)
    if problems:
        raise ConfigurationError(f"领域 {domain} 的模型有错误 the models of {domain} are broken", problems)
    model = models.by_id[domain]
    return build_domain_dag(model, models, departments, _name_team(departments, model), shards)


def _find_problems(models: Models, domain: str) -> list[Problem]:
    """What is wrong with a domain: its own problems and those of the shared tables; nothing where it is sound."""
    own = [problem for problem in models.problems if _concerns(problem.file, domain)]
    if domain in models.by_id and not own:
        return []
    return [*own, *(problem for problem in models.problems if "/" in problem.file)]


def _list_domains(folder: Path, models: Models) -> set[str]:
    return {*models.by_id, *(path.stem.partition("@")[0] for path in folder.glob("*.yaml"))}


def _name_team(departments: Departments, model: Model) -> str:
    owner = departments.by_id.get(model.department)
    return owner.owner.team if owner else model.department


def _concerns(file: str, domain: str) -> bool:
    """Whether ``file`` (``<domain>@<version>.yaml``; a shared table's has a folder) is a model of ``domain``."""
    return file.removesuffix(".yaml").partition("@")[0] == domain
