"""Traits of subjects that fairness is looked at by: city, size, age and type.

Classes of size and age are ours: facts name none. They decide nothing; they only sort
what a comparison shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import date
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.dataset as pads

from exchange_formats.datasets import NEWEST_FIRST, load_catalogue
from scoring.comparison import TRAITS

#: Upper bounds of the size classes by registered capital, in 元.
_SIZES: Final = ((1_000_000, "<100万"), (10_000_000, "100万–1000万"), (100_000_000, "1000万–1亿"))
_LARGEST: Final = "≥1亿"
#: Upper bounds of the age classes, in years since registration.
_AGES: Final = ((1, "<1年"), (3, "1–3年"), (10, "3–10年"))
_OLDEST: Final = "≥10年"
_TYPES: Final = {
    "enterprise": "企业",
    "natural_person": "自然人",
    "social_organization": "社会组织",
    "public_institution": "事业单位",
    "government_agency": "政府机构",
}
#: Registered capital as written: a number and its unit; in another currency than 元 it says nothing of the class.
_AMOUNT: Final = r"^\s*([0-9]+(?:\.[0-9]+)?)\s*(万|亿)?"
_FOREIGN: Final = "美元|港元|港币|欧元|日元|英镑"


def read_traits(grades: pads.Dataset, profiles: Sequence[pads.Dataset], as_of: date) -> pa.Table:
    """TRAITS of every graded subject, from its newest profile; null where the profile does not say."""
    cities = load_catalogue()["profile"].columns["city_code"].codes or {}
    with closing(duckdb.connect()) as connection:
        connection.register("grades", grades)
        connection.register("landed", pads.dataset(list(profiles)))
        connection.register("cities", _name(cities))
        connection.register("types", _name(_TYPES))
        connection.execute(_MEASURED, {"amount": _AMOUNT, "foreign": _FOREIGN})
        query = (
            "SELECT g.subject_ref, coalesce(c.name, g.city_code) AS city, "
            f"{_classify((f'capital < {bound}', name) for bound, name in _SIZES)} ELSE '{_LARGEST}' END AS size, "
            f"{_classify((f'registered_on + INTERVAL {n} YEAR > $day', name) for n, name in _AGES)} "
            f"ELSE '{_OLDEST}' END AS age, "
            "CASE WHEN g.individual_business THEN '个体工商户' ELSE coalesce(t.name, g.subject_type) END AS type "
            "FROM grades AS g LEFT JOIN measured AS m USING (subject_ref) "
            "LEFT JOIN cities AS c ON c.code = g.city_code LEFT JOIN types AS t ON t.code = g.subject_type"
        )
        table: pa.Table = connection.sql(query, params={"day": as_of}).to_arrow_table()
    return table.select(TRAITS.names).cast(TRAITS)


_MEASURED = f"""
CREATE TEMP TABLE measured AS
SELECT subject_ref, registered_on,
       CASE WHEN NOT regexp_matches(registered_capital, $foreign) THEN
           TRY_CAST(regexp_extract(written, $amount, 1) AS DECIMAL(18,6))
           * CASE regexp_extract(written, $amount, 2) WHEN '亿' THEN 100000000 WHEN '万' THEN 10000 ELSE 1 END
       END AS capital
FROM (
    SELECT *, replace(registered_capital, ',', '') AS written FROM landed
    QUALIFY row_number() OVER (PARTITION BY subject_ref ORDER BY {NEWEST_FIRST}, record_id) = 1
) AS newest
"""


def _classify(steps: Iterable[tuple[str, str]]) -> str:
    """A CASE without its end; a value that is not known is in no class."""
    listed = list(steps)
    unknown = f"WHEN ({listed[0][0]}) IS NULL THEN NULL"
    return " ".join(["CASE", unknown, *(f"WHEN {holds} THEN '{name}'" for holds, name in listed)])


def _name(words: Mapping[str, str]) -> pa.Table:
    return pa.table({"code": list(words), "name": list(words.values())})
