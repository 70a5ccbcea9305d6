"""A subject of the simulated province."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from gateway.simulators.divisions import City, city_of


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject that events may happen to: its code is well formed and unique in the universe.

    ``kind`` is one of ``organisations.yaml`` (enterprises: empty). A person's ``code`` is a resident number; it has
    an ``occupation``. ``sponsor`` is the unified code of the office that set a public institution up.
    """

    code: str
    name: str
    division: str
    industry: str
    registered_on: str
    capital: str
    enterprise_type: str
    representative: str
    kind: str = ""
    occupation: str | None = None
    sponsor: str | None = None

    @property
    def city(self) -> City:
        """The city of the code's division."""
        return city_of(self.division)

    @property
    def is_individual_business(self) -> bool:
        """个体工商户 (prefix 92)."""
        return self.code.startswith("92")

    def is_new(self, today: date) -> bool:
        """Registered within a year: no report was due yet, nobody evaluated it, and nothing has happened."""
        return self.registered_on[:4].isdigit() and self.registered_on > (today - timedelta(days=365)).isoformat()

    @property
    def unified_code(self) -> str | None:
        """The code of an organisation; a person has none."""
        return None if self.occupation else self.code

    @property
    def resident_number(self) -> str | None:
        """The number of a person."""
        return self.code if self.occupation else None

    @property
    def is_agency(self) -> bool:
        """A government agency (prefixes 11 and 13)."""
        return not self.occupation and self.code.startswith(("11", "13"))
