"""Whom each department supervises: a kind of organisation whole, or enterprises drawn by their industry."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from gateway.simulators.draws import open_stream
from gateway.simulators.practice import Department, Population
from gateway.simulators.subjects import Subject
from gateway.simulators.universe import Universe

#: Prefixes of the unified code of what is registered as an enterprise (domain facts §6.1).
_REGISTERED = {"enterprise": "91", "individual": "92", "cooperative": "93", "registered": "9"}
_FEWEST = 20
_THIRD_PARTY_EVERY = 20


def choose_supervised(department: Department, universe: Universe) -> tuple[Subject, ...]:
    """The department's own subjects: population by population, each in universe order."""
    stream = open_stream(universe.seed, f"{department.id}/supervised")
    chosen: list[Subject] = []
    for population in department.supervises:
        prefix = _REGISTERED.get(population.kind)
        if prefix is None:
            chosen += [one for one in universe.organisations if one.kind == population.kind]
        else:
            enterprises = [one for one in universe.subjects if one.code.startswith(prefix)]
            chosen += _draw_enterprises(stream, population, enterprises, universe.scale)
    return tuple(chosen)


def third_parties(supervised: tuple[Subject, ...]) -> tuple[Subject, ...]:
    """The environmental service firms (环评、监测、运维) among the supervised: one in twenty, or the last of few."""
    firms = (one for one in supervised if sum(map(ord, one.code)) % _THIRD_PARTY_EVERY == 0)
    return tuple(firms) or supervised[-1:]


def _draw_enterprises(
    stream: Random, population: Population, enterprises: Sequence[Subject], scale: float
) -> list[Subject]:
    """Weighted sampling without replacement (Efraimidis-Spirakis): the largest u^(1/weight)."""
    if population.share is not None:
        wanted = round(len(enterprises) * population.share)
    elif population.count is not None:
        wanted = round(population.count * scale)
    else:
        return list(enterprises)
    weights = (population.industries.get(one.industry, population.others) for one in enterprises)
    keys = sorted(((stream.random() ** (1 / weight), i) for i, weight in enumerate(weights)), reverse=True)
    return [enterprises[i] for i in sorted(i for _, i in keys[: max(_FEWEST, wanted)])]
