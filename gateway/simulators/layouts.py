"""What each participant's system holds, table by table: a function of the universe alone."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.simulators import history, market_database, platform_tables, profiles, tables
from gateway.simulators.departments import ECOLOGY, EMERGENCY, MARKET, PLATFORM
from gateway.simulators.judgments import draw_judgments
from gateway.simulators.practice import Department, load_practices
from gateway.simulators.records import DepartmentRecords
from gateway.simulators.tables import SourceTable
from gateway.simulators.universe import Universe

#: The platform is none of the 33 departments; its objects are numbered 00.
_PLATFORM_NUMBER = 0
#: Kinds of subjects that the platform itself registers, by the beginning of their codes.
_REGISTERED = ("11", "12")

Held = Mapping[str, SourceTable]


def lay_out_department(department: Department, records: DepartmentRecords, universe: Universe) -> Held:
    """Table name → rows. A table is a dataset, but of the market's two lists each is one."""
    if department.id == MARKET:
        return market_database.lay_out_market(records, universe)
    held = tables.lay_out_records(records) | {"profile": _lay_out_profile(department, records, universe)}
    return {name: held[name] for name in department.datasets}


def lay_out_platform(universe: Universe) -> Held:
    """The platform's register (persons, institutions, agencies); results and judgments of all five types."""
    registered = tuple(one for one in universe.organisations if one.occupation or one.code.startswith(_REGISTERED))
    register = profiles.lay_out_usual_profile(PLATFORM, _PLATFORM_NUMBER, registered, universe)
    return {
        "profile": tables.add_resident_numbers(register, registered),
        "public_credit": platform_tables.lay_out_public_credit(history.draw_public_credit(universe)),
        "enforcement": platform_tables.lay_out_judgments(draw_judgments(universe)),
    }


def lay_out_province(universe: Universe) -> Mapping[str, Held]:
    """Participant → its tables, the platform first."""
    practices = load_practices()
    drawn = history.draw_history(universe)
    return {PLATFORM: lay_out_platform(universe)} | {
        name: lay_out_department(practices[name], records, universe) for name, records in drawn.items()
    }


def _lay_out_profile(department: Department, records: DepartmentRecords, universe: Universe) -> SourceTable:
    if department.id == ECOLOGY:
        return profiles.lay_out_ecology_profile(records.supervised, universe)
    if department.id == EMERGENCY:
        return profiles.lay_out_emergency_profile(records.supervised, universe)
    table = profiles.lay_out_usual_profile(department.id, department.number, records.supervised, universe)
    has_persons = any(subject.occupation for subject in records.supervised)
    return tables.add_resident_numbers(table, records.supervised) if has_persons else table
