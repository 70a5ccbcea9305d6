"""Versions of a dataset side by side: which one is meant, and how rows of an older one are read as a newer one.

A released contract is never changed in a way that breaks it (``exchange_formats.compatibility``);
what has to break becomes a new file ``<id>@<version + 1>.yaml`` that names its predecessor. Rows
landed under the old one stay where they are and are read as the new one: columns renamed,
constants filled in, what is new null.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import pyarrow as pa

from exchange_formats.datasets import Dataset, FieldSpec, Predecessor
from exchange_formats.errors import ConfigurationError

Contracts = Mapping[str, Dataset]


@dataclass(frozen=True)
class Projection:
    """How a file of one contract is read as another; a column in neither mapping is null.

    ``sources``: the wanted version's column → the file's. ``constants``: the wanted version's
    column → its value in every row, of the column's Arrow type. ``renames``: a name of the wanted
    version stands for another column in the file, so that the file cannot be read by name.
    """

    sources: Mapping[str, str]
    constants: Mapping[str, pa.Scalar]
    renames: bool


def choose_contract(contracts: Contracts, dataset_id: str, pinned: str | None = None) -> Dataset:
    """The version named by ``pinned`` (``penalty@1``), or the newest one of ``dataset_id``.

    Raises:
        ConfigurationError: there is no such dataset or version, or ``pinned`` is of another dataset.
    """
    versions = sorted((one for one in contracts.values() if one.id == dataset_id), key=lambda one: one.version)
    if not versions:
        known = ", ".join(sorted({one.id for one in contracts.values()}))
        raise ConfigurationError(f"没有数据集 / there is no dataset '{dataset_id}'", hint=f"one of {known}")
    if pinned is None:
        return versions[-1]
    for one in versions:
        if one.contract == pinned:
            return one
    known = ", ".join(one.contract for one in versions)
    raise ConfigurationError(f"没有该版本 / there is no version '{pinned}' of '{dataset_id}'", hint=f"one of {known}")


def project_columns(contracts: Contracts, landed: str, wanted: Dataset) -> Projection:
    """How rows landed under the contract ``landed`` are read as ``wanted``, through every version between.

    Raises:
        ConfigurationError: ``wanted`` does not descend from ``landed``: it is older, or a version between is missing.
    """
    sources = {name: name for name in wanted.columns}
    constants: dict[str, pa.Scalar] = {}
    version = wanted
    while version.contract != landed:
        before, predecessor = _find_predecessor(contracts, version, landed, wanted)
        for name, source in tuple(sources.items()):
            if source in predecessor.values:
                constants[name] = _read_constant(predecessor.values[source], wanted.columns[name])
            older = _find_source(before, predecessor, source)
            if older is None:
                del sources[name]
            else:
                sources[name] = older
        version = before
    renames = any(name != sources.get(name) for name in wanted.columns if name in version.columns or name in sources)
    return Projection(MappingProxyType(sources), MappingProxyType(constants), renames)


def check_versions(contracts: Contracts) -> tuple[str, ...]:
    """Everything that keeps rows of an old version from being read as the next one; one text each, empty when sound."""
    return tuple(
        problem for contract in sorted(contracts) for problem in _check_version(contracts, contracts[contract])
    )


def _find_predecessor(
    contracts: Contracts, version: Dataset, landed: str, wanted: Dataset
) -> tuple[Dataset, Predecessor]:
    predecessor = version.predecessor
    before = contracts.get(f"{version.id}@{predecessor.version}") if predecessor else None
    if predecessor is None or before is None or before.version >= version.version:
        raise ConfigurationError(
            f"{landed} 不能按 {wanted.contract} 读取 / rows landed under {landed} cannot be read as {wanted.contract}",
            hint="a newer version reads older rows, never the other way; every version between stays in the catalogue",
        )
    return before, predecessor


def _find_source(before: Dataset, predecessor: Predecessor, name: str) -> str | None:
    """The older version's column that ``name`` reads; one that was given another name is not read twice."""
    if name in predecessor.values:
        return None
    if name in predecessor.columns:
        return predecessor.columns[name]
    return name if name in before.columns and name not in predecessor.columns.values() else None


def _read_constant(text: str, spec: FieldSpec) -> pa.Scalar:
    return pa.scalar(text, pa.string()).cast(spec.arrow_type)


def _check_version(contracts: Contracts, dataset: Dataset) -> Iterator[str]:
    predecessor = dataset.predecessor
    if predecessor is None:
        if dataset.version > 1:
            yield f"{dataset.contract}: names no predecessor, so what was landed before cannot be read"
        return
    before = contracts.get(f"{dataset.id}@{predecessor.version}")
    if before is None or before.version >= dataset.version:
        yield f"{dataset.contract}: its predecessor {dataset.id}@{predecessor.version} is not an older version there is"
        return
    for name in sorted(set(predecessor.columns) | set(predecessor.values)):
        if name not in dataset.columns:
            yield f"{dataset.contract}: predecessor names the column '{name}', which this version does not have"
        if name in predecessor.columns and name in predecessor.values:
            yield f"{dataset.contract}: '{name}' is both renamed and given a constant"
    for name, source in sorted(predecessor.columns.items()):
        if source not in before.columns:
            yield f"{dataset.contract}: '{name}' comes from '{source}', which {before.contract} does not have"
    for name, text in sorted(predecessor.values.items()):
        if name in dataset.columns:
            yield from _check_constant(dataset, name, text)
    for name, spec in dataset.columns.items():
        origin = _find_source(before, predecessor, name)
        if origin is not None and origin in before.columns and not widens(before.columns[origin].type, spec.type):
            older = before.columns[origin].type
            yield f"{dataset.contract}: '{name}' is {spec.type}, but the rows landed before hold {older}"


def _check_constant(dataset: Dataset, name: str, text: str) -> Iterator[str]:
    spec = dataset.columns[name]
    try:
        _read_constant(text, spec)
    except pa.ArrowException:
        yield f"{dataset.contract}: the constant of '{name}' is no {spec.type}: {text}"
        return
    if spec.codes and text not in spec.codes:
        yield f"{dataset.contract}: the constant of '{name}' is none of its codes: {text}"


def widens(older: str, newer: str) -> bool:
    """Whether every value of the type ``older`` is one of ``newer``: the same, or decimals with more digits."""
    if older == newer:
        return True
    if not (older.startswith("decimal") and newer.startswith("decimal")):
        return False
    digits, scale = map(int, older[8:-1].split(","))
    more_digits, more_scale = map(int, newer[8:-1].split(","))
    return more_scale >= scale and more_digits - more_scale >= digits - scale
