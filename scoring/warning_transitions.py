"""The SQL of the warning log: what a run finds against what is open becomes events (semantics §4, facts §4).

Rules and levels are tables of data that the caller registers (``rules``, ``levels``), so no value of a
table file is ever part of a text. Relations they read: ``warnings_in`` and ``grades_in`` (a run's
artefacts), ``base`` (what stood before), ``earlier`` (grades of earlier runs of the same model,
with ``as_of``), ``cycles`` (grades of this run, ``number`` 0, and of the newest run of each evaluation
cycle before it). Parameters: ``$as_of``; ``$latest``, the day of the run before.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

#: What the transitions read of a rule; ``place`` is its place in the table.
RULES: Final = pa.schema(
    [
        ("rule", pa.string()),
        ("place", pa.int32()),
        ("rule_level", pa.string()),
        #: The score or a statistic is the trigger: which grade it is near, or what it is above, stands in the trigger.
        ("by_state", pa.bool_()),
        ("by_fall", pa.bool_()),
        #: Days a counted record's trigger holds.
        ("holds_for", pa.int32()),
        ("quiet", pa.int32()),
        ("grade", pa.string()),
        ("runs", pa.int32()),
        ("recovered", pa.bool_()),
        ("expires_after", pa.int32()),
        #: A fall: into a grade, by so many grades, by so many points, since the run of a day.
        ("into_grade", pa.string()),
        ("fallen_grades", pa.int32()),
        ("fallen_points", pa.decimal128(6, 2)),
        ("since", pa.date32()),
    ]
)
#: What they read of a level; ``sign_by`` is the last day to sign for a warning that reaches it today.
LEVELS: Final = pa.schema(
    [
        ("level", pa.string()),
        ("rank", pa.int32()),
        ("sign_by", pa.date32()),
        ("escalates_to", pa.string()),
        ("escalated_rank", pa.int32()),
    ]
)

#: The best that each subject fell from, by the first rule that holds. The trigger names that grade and the last day
#: it stood; the last trigger also what it fell to. A fall that a rule above has told already is not told again.
#: Like is compared with like: points that only went with a public-credit result that has grown too old are no fall,
#: nor is another way of grading; what an override decides is one in any case.
FALLS: Final = """
CREATE TEMP TABLE falls AS
WITH told AS (
    SELECT b.subject_ref, r.place, b.last_triggered_on, right(b.last_trigger, 1) AS fell_to
    FROM base AS b JOIN rules AS r USING (rule) WHERE r.by_fall AND b.state <> 'over'
), compared AS (
    SELECT c.subject_ref, c.grade, c.score, h.grade AS was, h.score AS was_score, h.as_of AS was_on
    FROM grades_in AS c JOIN earlier AS h USING (subject_ref)
    WHERE c.origin = h.origin AND (c.public_credit_origin = h.public_credit_origin OR len(c.override_reasons) > 0)
      AND c.grade BETWEEN 'A' AND 'E' AND h.grade BETWEEN 'A' AND 'E'
      AND (h.grade < c.grade OR h.score - c.score >= (SELECT min(fallen_points) FROM rules WHERE by_fall))
)
SELECT g.subject_ref, subject_type, subject_name, individual_business, city_code, rule, rule_level AS level,
    $as_of AS triggered_on, concat('fall:', was, '@', was_on) AS first_trigger,
    $as_of AS last_triggered_on, concat('fall:', was, '@', was_on, '>', grade_now) AS last_trigger,
    CAST(0 AS BIGINT) AS records, CAST(NULL AS VARCHAR) AS dataset, was_on
FROM (
    SELECT compared.subject_ref, was, was_on, compared.grade AS grade_now, f.place, f.rule, f.rule_level
    FROM compared JOIN rules AS f ON f.by_fall AND was_on >= f.since AND (
        (f.into_grade = compared.grade AND was < compared.grade AND was_on = $latest)
        OR ascii(compared.grade) - ascii(was) >= f.fallen_grades
        OR was_score - compared.score >= f.fallen_points)
) AS judged JOIN grades_in AS g ON g.subject_ref = judged.subject_ref
WHERE NOT EXISTS (
    SELECT 1 FROM told AS t WHERE t.subject_ref = judged.subject_ref AND t.place < judged.place
    AND judged.was_on < t.last_triggered_on AND judged.grade_now <= t.fell_to)
QUALIFY row_number() OVER (PARTITION BY judged.subject_ref ORDER BY place, was, was_on DESC) = 1
"""

#: What stands by this run: its artefact and the falls. ``slot`` tells warnings of one rule and subject apart.
FOUND: Final = """
CREATE TEMP TABLE found AS
SELECT w.* EXCLUDE (id), CAST(NULL AS DATE) AS was_on, CASE WHEN r.by_state THEN w.first_trigger ELSE '' END AS slot
FROM warnings_in AS w JOIN rules AS r USING (rule)
UNION ALL BY NAME
SELECT *, '' AS slot FROM falls
"""

#: Warnings whose subject's grade was good enough in as many cycles running as their rule asks for.
STEADY: Final = """
CREATE TEMP TABLE steady AS
SELECT b.id FROM base AS b JOIN rules AS r USING (rule) JOIN cycles AS c USING (subject_ref)
WHERE c.number < r.runs AND c.grade BETWEEN 'A' AND r.grade AND c.as_of > b.raised_on
GROUP BY b.id, r.runs HAVING count(*) = r.runs
"""

#: Every warning that is found or stood, side by side. ``fresh``: the trigger is a new one.
PAIRS: Final = """
CREATE TEMP TABLE pairs AS
SELECT f.* EXCLUDE (subject_ref, rule, slot), r AS stood, x AS ruling,
    coalesce(f.subject_ref, r.subject_ref) AS subject_ref, coalesce(f.rule, r.rule) AS rule,
    f.rule IS NOT NULL AS is_found, r.id IS NOT NULL AND r.state <> 'over' AS is_live,
    g.grade AS grade, g.subject_ref IS NULL AS has_left, s.id IS NOT NULL AS is_steady,
    r.id IS NULL OR CASE
        WHEN x.by_fall THEN f.was_on >= r.last_triggered_on OR right(r.last_trigger, 1) < g.grade
        ELSE f.last_trigger <> r.last_trigger
            AND (f.last_triggered_on >= r.last_triggered_on OR r.last_triggered_on IS NULL) END AS is_fresh
FROM found AS f FULL OUTER JOIN (
    SELECT b.*, CASE WHEN k.by_state THEN split_part(b.trigger, '@', 1) ELSE '' END AS slot
    FROM base AS b LEFT JOIN rules AS k USING (rule)
) AS r ON f.subject_ref = r.subject_ref AND f.rule = r.rule AND f.slot = r.slot
LEFT JOIN rules AS x ON x.rule = coalesce(f.rule, r.rule)
LEFT JOIN grades_in AS g ON g.subject_ref = coalesce(f.subject_ref, r.subject_ref)
LEFT JOIN steady AS s ON s.id = r.id
"""

#: What happens to each: null where nothing does. An end comes before anything else; a warning moves once a run.
MOVES: Final = """
CREATE TEMP TABLE moves AS
SELECT p.*, CASE
    WHEN NOT is_live THEN CASE WHEN is_found AND is_fresh THEN 'raised' END
    WHEN has_left OR is_steady OR ruling IS NULL THEN 'cleared'
    WHEN ruling.recovered AND grade <= substr(stood.trigger, 6, 1) THEN 'cleared'
    WHEN $as_of > last_on + ruling.quiet THEN 'cleared'
    WHEN NOT is_found AND NOT ruling.by_fall AND (ruling.holds_for IS NULL OR $as_of <= last_on + ruling.holds_for)
        THEN 'cleared'
    WHEN $as_of > last_on + ruling.expires_after THEN 'expired'
    WHEN NOT is_found AND NOT ruling.by_fall AND ruling.quiet IS NULL AND ruling.grade IS NULL THEN 'expired'
    WHEN n.rank < l.rank AND p.level <> stood.rule_level THEN 'escalated'
    WHEN is_late THEN 'escalated'
    WHEN is_found AND (is_fresh OR records <> stood.records OR p.level <> stood.rule_level) THEN 'updated'
    END AS kind,
    is_late AND NOT coalesce(n.rank < l.rank AND p.level <> stood.rule_level, FALSE) AS by_lateness,
    l.escalates_to AS escalates_to
FROM (
    SELECT *, CASE WHEN is_found AND is_fresh THEN last_triggered_on ELSE stood.last_triggered_on END AS last_on
    FROM pairs
) AS p
LEFT JOIN levels AS l ON l.level = p.stood.level
LEFT JOIN levels AS n ON n.level = p.level
CROSS JOIN LATERAL (
    SELECT coalesce(p.stood.state = 'open' AND p.stood.sign_by < $as_of AND l.escalated_rank < l.rank, FALSE) AS is_late
) AS t
"""

#: The warning as it is after the run; ``id`` and, of a re-raised one, another trigger follow in ``raised``.
AFTER: Final = """
CREATE TEMP TABLE after AS
SELECT m.kind, m.is_found, CASE WHEN m.kind <> 'raised' OR m.kind IS NULL THEN stood.id END AS id, m.subject_ref,
    coalesce(m.subject_type, stood.subject_type) AS subject_type,
    CASE WHEN is_found THEN m.subject_name ELSE stood.subject_name END AS subject_name,
    coalesce(m.individual_business, stood.individual_business) AS individual_business,
    coalesce(m.city_code, stood.city_code) AS city_code, m.rule,
    CASE WHEN m.kind = 'raised' THEN m.level WHEN m.kind = 'escalated' AND by_lateness THEN escalates_to
        WHEN m.kind = 'escalated' THEN m.level
        WHEN m.kind = 'updated' AND stood.level = stood.rule_level THEN m.level ELSE stood.level END AS level,
    coalesce(m.level, stood.rule_level) AS rule_level,
    CASE WHEN m.kind IN ('raised', 'escalated') THEN 'open' WHEN m.kind IN ('cleared', 'expired') THEN 'over'
        ELSE stood.state END AS state,
    CASE WHEN m.kind = 'raised' THEN m.triggered_on ELSE stood.triggered_on END AS triggered_on,
    CASE WHEN m.kind <> 'raised' OR m.kind IS NULL THEN stood.trigger
        WHEN ruling.by_state THEN concat(first_trigger, '@', $as_of)
        WHEN stood IS NOT NULL AND first_trigger = stood.trigger THEN m.last_trigger ELSE first_trigger END AS trigger,
    CASE WHEN is_moved THEN m.last_triggered_on ELSE stood.last_triggered_on END AS last_triggered_on,
    CASE WHEN is_moved THEN m.last_trigger ELSE stood.last_trigger END AS last_trigger,
    CASE WHEN is_found THEN m.records ELSE stood.records END AS records,
    CASE WHEN is_found THEN m.dataset ELSE stood.dataset END AS dataset,
    CASE WHEN m.kind = 'raised' THEN $as_of ELSE stood.raised_on END AS raised_on,
    CASE WHEN m.kind = 'raised' THEN m.level ELSE stood.raised_level END AS raised_level,
    stood.number AS number, stood.level_since AS level_since, stood.sign_by AS sign_by,
    CASE WHEN m.kind IN ('raised', 'escalated') THEN NULL ELSE stood.answered_at END AS answered_at,
    CASE WHEN m.kind IN ('escalated', 'updated') THEN stood.level END AS previous_level,
    CASE WHEN m.kind = 'updated' THEN stood.records END AS previous_records,
    CASE WHEN m.kind = 'escalated' THEN CASE WHEN by_lateness THEN 'unsigned' ELSE 'new_trigger' END END AS cause
FROM (SELECT *, is_found AND (kind = 'raised' OR coalesce(is_fresh, FALSE)) AS is_moved FROM moves) AS m
"""

#: ``after`` with the days and numbers that follow from its level; numbers go on from ``numbers``.
NUMBERED: Final = """
CREATE TEMP TABLE numbered AS
SELECT a.* REPLACE (
    CASE WHEN kind = 'raised' THEN CAST(coalesce(n.used, 0) + row_number() OVER (
        PARTITION BY kind, a.raised_level ORDER BY city_code, subject_ref, rule, trigger) AS INTEGER)
        ELSE a.number END AS number,
    CASE WHEN kind IN ('raised', 'escalated') OR (kind = 'updated' AND a.level <> previous_level)
        THEN $as_of ELSE level_since END AS level_since,
    CASE WHEN kind IN ('raised', 'escalated') THEN l.sign_by ELSE a.sign_by END AS sign_by),
    l.rank AS rank
FROM after AS a LEFT JOIN levels AS l USING (level) LEFT JOIN numbers AS n ON n.level = a.raised_level
"""

EVENTS_TOLD: Final = """
SELECT *, CAST(NULL AS VARCHAR) AS department, CAST(NULL AS BOOLEAN) AS in_time, CAST(NULL AS VARCHAR) AS office,
    CAST(NULL AS VARCHAR) AS result, CAST(NULL AS VARCHAR) AS summary, $as_of AS occurred_on
FROM numbered WHERE kind IS NOT NULL
ORDER BY list_position(['escalated', 'raised', 'updated', 'cleared', 'expired'], kind), rank NULLS LAST,
    city_code, subject_ref, rule, trigger
"""

#: What is open, and what is over while its trigger still stands.
STANDING_AFTER: Final = """
SELECT * FROM numbered WHERE state <> 'over' OR is_found ORDER BY subject_ref, rule, trigger
"""

#: What stands after more events, in ``tail`` with their order in ``place``: a run's event says the warning anew, but
#: keeps an answer that an update of the same time did not know; an answer speaks to a warning that is open.
FOLD: Final = """
WITH said AS (
    SELECT * EXCLUDE (kind, place) FROM (
        SELECT *, row_number() OVER (PARTITION BY id ORDER BY place DESC) AS back FROM tail
        WHERE kind NOT IN ('signed', 'handled')
    ) AS told WHERE back = 1
), kept AS (
    SELECT * FROM base WHERE id NOT IN (SELECT id FROM said)
    UNION ALL BY NAME SELECT * FROM said
), opened AS (
    SELECT id, max(place) AS place FROM tail WHERE kind IN ('raised', 'escalated') GROUP BY id
), answered AS (
    SELECT t.id, arg_max(t.kind, t.place) AS kind, arg_max(t.answered_at, t.place) AS answered_at
    FROM tail AS t LEFT JOIN opened AS o USING (id)
    WHERE t.kind IN ('signed', 'handled') AND (o.place IS NULL OR t.place > o.place) GROUP BY t.id
)
SELECT k.* REPLACE (
    CASE WHEN k.state = 'over' OR a.kind IS NULL THEN k.state ELSE a.kind END AS state,
    CASE WHEN k.state = 'over' OR a.kind IS NULL THEN k.answered_at ELSE a.answered_at END AS answered_at)
FROM kept AS k LEFT JOIN answered AS a USING (id)
"""
