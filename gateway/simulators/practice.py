"""How a department acts, as data: one file below ``practices/`` a department.

Whom it supervises, what it punishes and finds, what happens and is complained of there, what it lists, awards and
licenses, and how often. The texts are those a source carries: a department's YAML classifies a record by them, so
they name conduct and law, never the code. An entry without a ``code`` is one that no indicator claims. Conduct and
articles are those of domain facts §2.4 where they name them; everything else is invented (an assumption).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from exchange_formats.documents import require_document
from gateway.simulators.codes import compose_unified_code
from gateway.simulators.divisions import PROVINCE_CODE
from gateway.simulators.records import Authority
from gateway.simulators.sanctions import SANCTIONS, Sanction
from gateway.simulators.subjects import Subject

PRACTICES = Path(__file__).parent / "practices"

#: Years of history that a department holds; rates are per subject over all of them.
YEARS = 3

Weight = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, le=1)]


def _read_sanction(value: object) -> object:
    return SANCTIONS.get(value, value) if isinstance(value, str) else value


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Population(_Data):
    """Subjects of one kind: of ``organisations.yaml``, or enterprise, individual, cooperative, registered.

    Of enterprises a ``count`` or a ``share`` is drawn, weighted by industry (``others``: the weight of all that are
    not named); any other kind is supervised whole.
    """

    kind: str
    count: int | None = None
    share: Share | None = None
    industries: Mapping[str, Weight] = Field(default_factory=dict)
    others: Weight = 1


class Offence(_Data):
    """A punishable act: type (CF_WFXW), basis (CF_YJ), facts (CF_SY), usual sanctions, relative frequency."""

    code: str | None = None
    conduct: str
    basis: str
    facts: str
    sanctions: tuple[Annotated[Sanction, BeforeValidator(_read_sanction)], ...]
    weight: Weight
    third_party_only: bool = False


class Finding(_Data):
    """An outcome of an inspection: category (JCLB), matter (JCSX), problem type (WTLX), problem text (WTMS).

    Without a problem it is a clean inspection. ``off_site``: nobody went there.
    """

    code: str | None = None
    category: str
    matter: str
    problem: str = ""
    description: str = ""
    weight: Weight
    off_site: bool = False


class Accident(_Data):
    """A kind of incident: ``rate`` per subject, never fewer than one cycle of levels and outcomes."""

    category: str
    descriptions: tuple[str, ...]
    rate: Share
    #: Nobody is hurt by a leak of data or a crowd of complaints.
    casualties: bool = True


class Award(_Data):
    """One kind of honour: kind (RYLB), title, levels with their weights."""

    kind: str
    title: str
    levels: Mapping[str, Weight]
    weight: Weight = 1


class Listing(_Data):
    """A cause for which a subject is put on a list."""

    code: str
    list: str
    severe: bool = False
    cause: str
    weight: Weight


class Duty(_Data):
    """A yearly report that falls due on a day of the year after, of subjects whose codes begin with a prefix."""

    month: Annotated[int, Field(ge=1, le=12)]
    day: Annotated[int, Field(ge=1, le=30)]
    prefixes: tuple[str, ...] = ("",)


class Promise(_Data):
    """A commitment that subjects make instead of showing documents."""

    kind: str
    matter: str
    content: str


class Licence(_Data):
    """The licence that the supervised hold, and for how many years it is given."""

    document: str
    kind: str
    content: str
    years: Annotated[int, Field(ge=1, le=10)]


class Evaluation(_Data):
    """A finished grade that the department gives by its own method, once a year (接口调用).

    ``grades``: native grade → uniform one, the best first. Who stands on a list has the grade of that list's ``list``
    name in ``listed``, everyone else the first.
    """

    scheme: str
    method: str
    month: Annotated[int, Field(ge=1, le=12)]
    grades: Mapping[str, Literal["A", "B", "C", "D", "E"]]
    listed: Mapping[str, str]


class Rates(_Data):
    """Records per subject over ``YEARS``, of the whole province or of the ``supervised``."""

    of: Literal["province", "supervised"] = "supervised"
    penalties: Share
    inspections: Share
    complaints: Share
    honours: Share
    abnormal: Share | None = None
    severe: Share | None = None
    promises: Share | None = None


class Department(_Data):
    """One simulated department; ``channel``: how the gateway gets at its records (GB/T 39443)."""

    id: str
    number: int
    organ: str
    document: str
    channel: Literal["sharing", "files", "database"]
    supervises: tuple[Population, ...]
    rates: Rates
    offences: tuple[Offence, ...]
    findings: tuple[Finding, ...]
    accidents: tuple[Accident, ...] = ()
    complaint_categories: tuple[str, ...]
    awards: tuple[Award, ...] = ()
    listings: tuple[Listing, ...] = ()
    annual_report: Duty | None = None
    promise: Promise | None = None
    licence: Licence | None = None
    evaluation: Evaluation | None = None

    def count(self, per_subject: float, supervised: int, province: int) -> int:
        """How many records a rate makes among so many ``supervised`` subjects of a ``province``."""
        return round((province if self.rates.of == "province" else supervised) * per_subject)

    @property
    def datasets(self) -> tuple[str, ...]:
        """What it holds, in the order in which it is laid out."""
        held = {
            "incident": self.accidents,
            "honour": self.awards,
            "listing": self.listings,
            "annual_report": self.annual_report,
            "commitment": self.promise,
            "licence": self.licence,
            "reported_grade": self.evaluation,
        }
        return ("profile", "penalty", "inspection", "complaint", *(name for name, entry in held.items() if entry))

    def authority(self, subject: Subject) -> Authority:
        """The office of the subject's city, or the provincial one."""
        at_province = subject.division == PROVINCE_CODE
        place = "浙江省" if at_province else f"{subject.city.name}市"
        division = PROVINCE_CODE if at_province else subject.city.code
        return Authority(place + self.organ, compose_unified_code("11", division, f"YY0000{self.number:02d}"))


@cache
def load_practices(folder: Path = PRACTICES) -> Mapping[str, Department]:
    """Every simulated department by id, in the order of the provincial list.

    Raises:
        ConfigurationError: a file is broken.
    """
    read = [require_document(path, Department) for path in folder.glob("*.yaml")]
    return {one.id: one for one in sorted(read, key=lambda one: one.number)}
