"""Who each department supervises: everyone for the market, samples weighted by industry for the other two."""

from __future__ import annotations

from random import Random

from gateway.simulators import wording
from gateway.simulators.departments import ECOLOGY, EMERGENCY, Department
from gateway.simulators.draws import open_stream
from gateway.simulators.universe import Subject, Universe

# Permit holders and key polluters; high-risk production units: shares of all enterprises.
_SHARES = {ECOLOGY: 0.10, EMERGENCY: 0.08}
_FEWEST = 20
_THIRD_PARTY_EVERY = 20


def choose_supervised(department: Department, universe: Universe) -> tuple[Subject, ...]:
    """The department's own subjects, in universe order."""
    if department.id not in _SHARES:
        return tuple(subject for subject in universe.subjects if subject.code.startswith("9"))
    enterprises = [subject for subject in universe.subjects if subject.code.startswith("91")]
    wanted = min(len(enterprises), max(_FEWEST, round(len(enterprises) * _SHARES[department.id])))
    stream = open_stream(universe.seed, f"{department.id}/supervised")
    keys = [(_rank(stream, department, subject), i) for i, subject in enumerate(enterprises)]
    chosen = sorted(i for _, i in sorted(keys, reverse=True)[:wanted])
    return tuple(enterprises[i] for i in chosen)


def third_parties(supervised: tuple[Subject, ...]) -> tuple[Subject, ...]:
    """The environmental service firms (环评、监测、运维) among the supervised: every twentieth, or the last of few."""
    return supervised[_THIRD_PARTY_EVERY - 1 :: _THIRD_PARTY_EVERY] or supervised[-1:]


def _rank(stream: Random, department: Department, subject: Subject) -> float:
    """Weighted sampling without replacement (Efraimidis–Spirakis): u^(1/weight), largest first."""
    weigh = wording.environment_weight if department.id == ECOLOGY else wording.hazard_weight
    return float(stream.random() ** (1 / weigh(subject.industry)))
