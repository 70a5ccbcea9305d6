"""Everything a person writes, checked at once: department YAMLs, model YAMLs, and what they say of each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from connectors.department import DEPARTMENTS, Department, Departments, load_departments
from exchange_formats.documents import Document
from exchange_formats.errors import Problem
from scoring.library import MODELS, Models, load_models


def check_all(departments_folder: Path = DEPARTMENTS, models_folder: Path = MODELS) -> list[Problem]:
    """Every problem of every file, in file and line order; empty when all is well.

    A broken file hides no other; what only follows from one is not reported again.
    """
    found: list[Problem] = []
    for folder, what in ((departments_folder, "department"), (models_folder, "model")):
        if not any(folder.glob("*.yaml")):
            found.append(Problem(folder.name, 0, 0, "", f"the folder holds no {what}", expected="*.yaml"))
    departments, models = load_departments(departments_folder), load_models(models_folder)
    for problems in departments.problems.values():
        found += problems
    found += models.problems
    found += _check_numbers(departments)
    found += _check_domains(departments, models)
    found += _check_participants(departments)
    found += _check_models(departments, models)
    return sorted(found, key=lambda problem: (problem.file, problem.line, problem.column, problem.key))


def _check_numbers(departments: Departments) -> Iterator[Problem]:
    """No number in the provincial list belongs to two departments."""
    owners: dict[int, str] = {}
    for document, department in _sound(departments):
        if department.no is None:
            continue
        owner = owners.setdefault(department.no, department.id)
        if owner != department.id:
            hint = f"it is the number of '{owner}'"
            yield document.problem(("no",), "the number is taken", got=str(department.no), hint=hint)


def _check_domains(departments: Departments, models: Models) -> Iterator[Problem]:
    """Domains that are scored and subscribed to exist, and are scored by the department whose model it is."""
    domains = set(models.by_id) | {problem.file.partition("@")[0] for problem in models.problems}
    expected = f"one of {', '.join(sorted(models.by_id)) or 'none: there is no sound model'}"
    for document, department in _sound(departments):
        for index, domain in enumerate(department.domains):
            if domain not in domains:
                hint = "write its model first, or correct the name"
                yield document.problem(
                    ("domains", index), "no model scores this domain", expected=expected, got=domain, hint=hint
                )
            elif domain in models.by_id and models.by_id[domain].department != department.id:
                owner = models.by_id[domain].department
                yield document.problem(
                    ("domains", index), "the domain belongs to another department", expected=owner, got=department.id
                )
        for purpose in ("grades", "warnings", "snapshots", "persons"):
            for index, domain in enumerate(_named(department, purpose)):
                if domain not in domains:
                    path = ("subscribes", purpose, index)
                    yield document.problem(path, "there is no such domain", expected=f"{expected}, or all", got=domain)


def _check_participants(departments: Departments) -> Iterator[Problem]:
    """Departments whose records are subscribed to exist."""
    known = set(departments.by_id) | set(departments.problems)
    expected = f"one of {', '.join(sorted(known))}"
    for document, department in _sound(departments):
        for purpose in ("records", "person_records"):
            for index, name in enumerate(_named(department, purpose)):
                if name not in known:
                    path = ("subscribes", purpose, index)
                    yield document.problem(path, "there is no such department", expected=expected, got=name)
        yield from _check_grants(document, department)


def _check_grants(document: Document[Department], department: Department) -> Iterator[Problem]:
    """A grant of persons adds to a subscription; alone it grants nothing, and somebody believes it does."""
    for grant, purposes in (("persons", ("grades", "warnings", "snapshots")), ("person_records", ("records",))):
        wanted = [getattr(department.subscribes, purpose) for purpose in purposes]
        for index, name in enumerate(_named(department, grant)):
            if not any(one == "all" or name in one for one in wanted):
                what = f"persons are granted of what is not subscribed to in {' or '.join(purposes)}"
                yield document.problem(("subscribes", grant, index), what, got=name)


def _named(department: Department, purpose: str) -> tuple[str, ...]:
    """What a subscription names itself: nothing where it is ``all``."""
    wanted: tuple[str, ...] | str = getattr(department.subscribes, purpose)
    return wanted if isinstance(wanted, tuple) else ()


def _check_models(departments: Departments, models: Models) -> Iterator[Problem]:
    """Each domain's department exists, lists the domain, and collects the profiles that the model scores."""
    for domain, model in sorted(models.by_id.items()):
        file = f"{model.name}.yaml"
        if model.department in departments.problems:
            continue
        department = departments.by_id.get(model.department)
        if department is None:
            known = ", ".join(sorted(departments.by_id)) or "none"
            yield Problem(
                file,
                0,
                0,
                "department",
                "there is no such department",
                expected=f"one of {known}",
                got=model.department,
            )
            continue
        if domain not in department.domains:
            document = departments.documents[department.id]
            yield document.problem(
                ("domains",), f"the domain '{domain}' is not listed", hint=f"{file} names this owner"
            )
        for source in model.subjects_sources:
            owner, _, dataset = source.partition("/")
            if owner in departments.by_id and dataset not in departments.by_id[owner].datasets:
                what = f"the subjects come from '{source}', which is not collected"
                yield Problem(file, 0, 0, "subjects.from", what, hint=f"add the dataset to {owner}.yaml")


def _sound(departments: Departments) -> Iterator[tuple[Document[Department], Department]]:
    for stem, department in departments.by_id.items():
        yield departments.documents[stem], department
