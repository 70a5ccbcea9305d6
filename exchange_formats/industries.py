"""Industry classes of GB/T 4754-2017, down to 门类 (section, a letter) and 大类 (division, two digits).

``exchange_formats/codes/industries.csv`` holds the 20 sections and the 97 divisions. Finer classes
(中类 three digits, 小类 four) are taken as part of their division and not looked up.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_FILE = Path(__file__).parent / "codes" / "industries.csv"
_SHAPE = r"^[A-T]?[0-9]{2,4}$"


@dataclass(frozen=True, slots=True)
class Industry:
    """One class: ``code`` is its letter or its two digits, ``section`` the letter of the section it is in."""

    code: str
    section: str
    title: str


@cache
def load_industries() -> Mapping[str, Industry]:
    """Sections by letter and divisions by their two digits, in the standard's order."""
    with _FILE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    return {row["code"]: Industry(row["code"], row["section"], row["title"]) for row in rows}


def find_industry(code: str) -> Industry | None:
    """The section or division that ``code`` names or lies in; None where it is no code of the standard."""
    if not check_industries(pa.array([code], pa.string()))[0]:
        return None
    digits = code.lstrip("ABCDEFGHIJKLMNOPQRST")
    return load_industries()[digits[:2] or code]


def check_industries(codes: pa.Array) -> npt.NDArray[np.bool_]:
    """Which normalised codes (strings) are of the standard; null is not.

    Right are a section (``C``), a division (``26``), both (``C26``, the letter must be the division's own) and a
    three- or four-digit class of a known division, with or without its letter (``2614``, ``C2614``).
    """
    known = _load_heads()
    section = pc.is_in(codes, value_set=known.sections)
    below = pc.or_(
        pc.is_in(pc.utf8_slice_codeunits(codes, 0, 2), value_set=known.divisions),
        pc.is_in(pc.utf8_slice_codeunits(codes, 0, 3), value_set=known.lettered),
    )
    shaped = pc.fill_null(pc.match_substring_regex(codes, _SHAPE), fill_value=False)
    good = pc.or_(section, pc.and_(shaped, below))
    return np.asarray(good.to_numpy(zero_copy_only=False), dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class _Heads:
    sections: pa.Array
    divisions: pa.Array
    lettered: pa.Array


@cache
def _load_heads() -> _Heads:
    industries = load_industries().values()
    divisions = [one for one in industries if one.code != one.section]
    return _Heads(
        pa.array([one.code for one in industries if one.code == one.section], pa.string()),
        pa.array([one.code for one in divisions], pa.string()),
        pa.array([one.section + one.code for one in divisions], pa.string()),
    )
