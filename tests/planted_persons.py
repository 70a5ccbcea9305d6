"""Persons planted into every kind of source: database, API and files, in rows that land and in rows that are rejected.

The simulated province has few penalised persons; a scan for them needs many, in every way in which a department may
get it wrong. Numbers and names are of nobody; the names are long enough to stand in no other text.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from exchange_formats.periods import SHANGHAI
from gateway.simulators.codes import compose_resident_number
from gateway.simulators.tables import PENALTY
from tests.identity_scan import Planted
from tests.pulls import CODES

#: Good rows a source: enough that the bad ones stay below a mapping's ``max_reject_ratio``.
GOOD = 150
_SURNAMES = ("欧阳", "司马", "诸葛", "上官", "皇甫", "端木")
_GIVEN = "甲乙丙丁戊己庚辛壬癸子丑寅卯辰巳午未申酉戌亥"
_NARROW, _WIDE = "0123456789X", "０１２３４５６７８９Ｘ"


@dataclass(frozen=True)
class Person:
    """One planted person, penalised by one decision."""

    name: str
    number: str
    document: str


#: An organisation in place of the person, who is only mentioned.
COMPANY = {
    "CF_XDR_MC": "示例公司",
    "CF_XDR_LB": "法人及非法人组织",
    "CF_XDR_SHXYM": CODES[0],
    "CF_XDR_ZJLX": "",
    "CF_XDR_ZJHM": "",
    "CF_SY": "其员工无证上岗",
}
#: What a row says, by field of the 双公示 form; a source spells the fields its own way.
Cells = Mapping[str, str]


def draw_persons(division: str, word: str) -> Iterator[Person]:
    """Persons without end, each different."""
    for place in count():
        name = f"{_SURNAMES[place % 6]}{_GIVEN[place % 22]}{_GIVEN[place // 22 % 22]}"
        born = date(1960, 1, 1) + timedelta(days=37 * place)
        yield Person(
            f"{name}{word}", compose_resident_number(division, born, 1 + place % 990), f"{word}人罚〔2026〕{place}号"
        )


def say_rows(persons: Iterator[Person]) -> Iterator[Cells]:
    """Good rows, written in every width and case, and rows that are wrong in some way."""
    for place in range(GOOD):
        person = next(persons)
        wide = person.number.translate(str.maketrans(_NARROW, _WIDE))
        written = (person.number, person.number.lower(), wide)
        yield say(person, CF_XDR_ZJHM=written[place % 3], CF_SY=f"{person.name}（{person.number}）无证上岗")
    one = next(persons)
    yield say(one, CF_XDR_SHXYM=one.number, CF_XDR_ZJHM="")
    yield say(next(persons), CF_XDR_LB="")
    one = next(persons)
    yield say(one, CF_WSH=one.number)
    one = next(persons)
    yield say(one, CF_XDR_SHXYM=one.number, CF_XDR_LB="法人及非法人组织")
    one = next(persons)
    yield say(one, CF_XDR_ZJHM=one.number[:17] + ("0" if one.number[17] != "0" else "1"))
    yield say(next(persons), CF_JDRQ="2030-01-01")
    one = next(persons)
    yield say(one, CF_CFLB=one.name)
    one = next(persons)
    yield say(one, CF_WSH=f"人罚（{one.number}）号", CF_JDRQ="2030-01-01")
    one = next(persons)
    yield say(one, **COMPANY | {"CF_SY": f"其员工（公民身份号码{one.number.lower()}）无证上岗"})
    one = next(persons)
    yield say(one, CF_WSH=f"罚{one.number}", **COMPANY)


def say(person: Person, **changes: str) -> Cells:
    """A person's decision; ``changes`` are what this row says otherwise."""
    cells = {
        "CF_WSH": person.document,
        "CF_XDR_MC": person.name,
        "CF_XDR_LB": "自然人",
        "CF_XDR_SHXYM": "",
        "CF_FRDB": "",
        "CF_XDR_ZJLX": "身份证",
        "CF_XDR_ZJHM": person.number,
        "CF_SY": f"{person.name}违反操作规程",
    }
    return cells | changes


class Plants:
    """What was planted: every person who was drawn, and every number as it was written."""

    def __init__(self) -> None:
        self._persons: list[Person] = []
        self._written: list[str] = []

    def draw(self, division: str, word: str) -> Iterator[Cells]:
        """The rows of one source."""
        for cells in say_rows(self._remember(draw_persons(division, word))):
            self._written.append(cells["CF_XDR_ZJHM"])
            yield cells

    def _remember(self, persons: Iterator[Person]) -> Iterator[Person]:
        for person in persons:
            self._persons.append(person)
            yield person

    @property
    def planted(self) -> Planted:
        """Every number, in the spelling that is kept in a search, and every name."""
        written = [text.translate(str.maketrans(_WIDE, _NARROW)).upper() for text in self._written]
        numbers = [*(person.number for person in self._persons), *filter(None, written)]
        return Planted(frozenset(numbers), frozenset(person.name for person in self._persons))


def plant_files(drop: Path, rows: Iterator[Cells]) -> None:
    """One more file in the drop folder, with the columns of those that lie there."""
    headers = {column.name: column.header for column in PENALTY}
    model = min((drop / "penalty").glob("penalty_*.csv"))
    lines = list(csv.DictReader(io.StringIO(model.read_text(encoding="gb18030"), newline="")))
    base = next(line for line in lines if line[headers["CF_XDR_LB"]] == "法人及非法人组织")
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(base))
    writer.writeheader()
    for place, cells in enumerate(rows):
        named = {headers[field]: value for field, value in cells.items()}
        writer.writerow(base | {"记录编号": str(800_000 + place)} | named)
    (drop / "penalty" / "penalty_persons.csv").write_text(text.getvalue(), encoding="gb18030", newline="")


def plant_shelf(shelf: Path, rows: Iterator[Cells]) -> None:
    """More records behind the last one of the API."""
    records = [json.loads(line) for line in shelf.read_text(encoding="utf-8").splitlines()]
    base = next(record for record in reversed(records) if record["CF_XDR_LB"] == "法人及非法人组织")
    now = f"{datetime.now(UTC).astimezone(SHANGHAI) - timedelta(minutes=1):%Y-%m-%d %H:%M:%S}"
    records += [base | cells | {"ID": str(800_000 + n), "updateTime": now} for n, cells in enumerate(rows)]
    partial = shelf.with_suffix(".new")
    partial.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    partial.replace(shelf)


def plant_table(address: str, rows: Iterator[Cells]) -> None:
    """More rows in the department's table of penalties."""
    with psycopg.connect(address, row_factory=dict_row) as connection:
        base = connection.execute("SELECT * FROM penalty WHERE cf_xdr_lb = '法人及非法人组织' LIMIT 1").fetchone()
        assert base is not None
        columns: Sequence[str] = list(base)
        insert = sql.SQL("INSERT INTO penalty ({}) VALUES ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, columns)), sql.SQL(", ").join(sql.Placeholder() * len(columns))
        )
        for place, cells in enumerate(rows):
            row = base | {field.lower(): value or None for field, value in cells.items()}
            row |= {"id": 800_000 + place, "cd_time": datetime.now(UTC) - timedelta(minutes=1)}
            connection.execute(insert, [row[column] for column in columns])
