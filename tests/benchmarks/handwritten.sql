-- enterprise_environment@2026.1 as of 2026-06-30, as a person would write it for DuckDB: grades with score, one query.
-- The days are those of the model's periods; points are integers in 1e-6 point until they are scaled.
WITH
newest_profile AS (
  SELECT * FROM (SELECT * FROM profile QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY source_updated_at DESC NULLS LAST, chain_sequence DESC, "row" DESC, batch_id) = 1)
  WHERE revoked_on IS NULL
  QUALIFY row_number() OVER (PARTITION BY subject_ref ORDER BY source_updated_at DESC NULLS LAST, chain_sequence DESC, "row" DESC, batch_id) = 1
),
subject AS (
  SELECT subject_ref,
         CASE WHEN subject_ref LIKE '92%' THEN substring(subject_name, 1, 1) || '*' ELSE subject_name END AS subject_name,
         coalesce(city_code, CASE WHEN substring(subject_ref, 3, 4) BETWEEN '3300' AND '3311' THEN substring(subject_ref, 3, 4) || '00' ELSE '330000' END) AS city_code
  FROM newest_profile
  WHERE status = 'active' AND substring(subject_ref, 1, 2) NOT IN ('np', '51', '52', '53', '71', '12', '11', '13')
),
result AS (
  SELECT subject_ref, CAST(score * 100 AS BIGINT) AS centi
  FROM (SELECT * FROM public_credit QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY source_updated_at DESC NULLS LAST, chain_sequence DESC, "row" DESC, batch_id) = 1)
  WHERE evaluated_on BETWEEN DATE '2026-05-30' AND DATE '2026-06-30'
  QUALIFY row_number() OVER (PARTITION BY subject_ref ORDER BY evaluated_on DESC, source_updated_at DESC NULLS LAST, chain_sequence DESC, "row" DESC, batch_id, record_id) = 1
),
newest_penalty AS (
  SELECT * FROM (
    SELECT subject_ref, record_id, decided_on AS day, kind, fine_yuan, procedure, violation_code, final_on, review_opened_on, review_closed_on, repaired_on, revoked_on
    FROM penalty QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY source_updated_at DESC NULLS LAST, chain_sequence DESC, "row" DESC, batch_id) = 1)
  WHERE revoked_on IS NULL AND day <= DATE '2026-06-30'
),
newest_inspection AS (
  SELECT * FROM (
    SELECT subject_ref, record_id, inspected_on AS day, result, method, violation_code, repaired_on, revoked_on
    FROM inspection QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY source_updated_at DESC NULLS LAST, chain_sequence DESC, "row" DESC, batch_id) = 1)
  WHERE revoked_on IS NULL AND day <= DATE '2026-06-30'
),
newest_complaint AS (
  SELECT * FROM (
    SELECT subject_ref, record_id, substantiated_on AS day, violation_code, repaired_on, revoked_on
    FROM complaint QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY source_updated_at DESC NULLS LAST, chain_sequence DESC, "row" DESC, batch_id) = 1)
  WHERE revoked_on IS NULL AND day <= DATE '2026-06-30'
),
newest_incident AS (
  SELECT * FROM (
    SELECT subject_ref, record_id, responsibility_on AS day, violation_code, repaired_on, revoked_on
    FROM incident QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY source_updated_at DESC NULLS LAST, chain_sequence DESC, "row" DESC, batch_id) = 1)
  WHERE revoked_on IS NULL AND day <= DATE '2026-06-30'
),
newest_honour AS (
  SELECT * FROM (
    SELECT subject_ref, record_id, awarded_on AS day, kind, valid_until, revoked_on
    FROM honour QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY source_updated_at DESC NULLS LAST, chain_sequence DESC, "row" DESC, batch_id) = 1)
  WHERE revoked_on IS NULL AND day <= DATE '2026-06-30'
),
newest_report AS (
  SELECT * FROM (
    SELECT subject_ref, record_id, due_on AS day, filed_on, repaired_on, revoked_on
    FROM annual_report QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY source_updated_at DESC NULLS LAST, chain_sequence DESC, "row" DESC, batch_id) = 1)
  WHERE revoked_on IS NULL AND day <= DATE '2026-06-30'
),
newest_listing AS (
  SELECT * FROM (
    SELECT subject_ref, record_id, listed_on AS day, list_kind, removed_on, repaired_on, revoked_on
    FROM listing QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY source_updated_at DESC NULLS LAST, chain_sequence DESC, "row" DESC, batch_id) = 1)
  WHERE revoked_on IS NULL AND day <= DATE '2026-06-30'
),
counting_penalty AS (
  SELECT * FROM (
    SELECT *, CASE
      WHEN kind IN ('licence_revocation', 'business_restriction', 'detention') OR kind = 'fine' AND fine_yuan > 1000000 THEN DATE '2023-06-30'
      WHEN kind IN ('licence_suspension', 'confiscation') OR kind = 'fine' AND fine_yuan >= 5000 THEN DATE '2025-06-30'
      ELSE DATE '2026-03-30' END AS published_since
    FROM newest_penalty)
  WHERE procedure IS DISTINCT FROM 'simple'
    AND NOT (coalesce(review_opened_on <= DATE '2026-06-30', FALSE) AND (review_closed_on IS NULL OR review_closed_on > DATE '2026-06-30'))
    AND (final_on <= DATE '2026-06-30' OR final_on IS NULL AND day <= DATE '2026-05-01')
    AND (repaired_on IS NULL OR repaired_on > DATE '2026-06-30')
    AND day >= published_since AND day >= DATE '2021-06-30'
),
counted AS (
  SELECT subject_ref, record_id, day,
         CASE WHEN violation_code IN ('1201', '1202', '1204', '1205', '1206', '1207') THEN CAST(violation_code AS INTEGER) ELSE 0 END AS indicator,
         CASE violation_code
           WHEN '1201' THEN 8000 WHEN '1202' THEN 20000 WHEN '1204' THEN 20000 WHEN '1205' THEN 25000 WHEN '1206' THEN 25000 WHEN '1207' THEN 4000
           ELSE CASE
             WHEN kind = 'licence_revocation' THEN 40000
             WHEN kind IN ('business_restriction', 'detention') THEN 20000
             WHEN kind = 'licence_suspension' THEN 15000
             WHEN kind = 'fine' AND fine_yuan > 1000000 THEN 25000
             WHEN kind = 'fine' AND fine_yuan >= 200000 THEN 15000
             WHEN kind = 'fine' AND fine_yuan >= 50000 THEN 8000
             WHEN kind = 'fine' AND fine_yuan >= 5000 THEN 4000
             WHEN kind = 'fine' THEN 1500
             WHEN kind = 'confiscation' THEN 4000
             ELSE 1000 END
         END AS points
  FROM counting_penalty WHERE violation_code IS NULL OR violation_code NOT IN ('1203', '1211')
  UNION ALL
  SELECT subject_ref, record_id, day, CAST(violation_code AS INTEGER), CASE violation_code WHEN '1207' THEN 4000 ELSE 2000 END
  FROM newest_inspection
  WHERE violation_code IN ('1207', '1208') AND day >= DATE '2021-06-30' AND (repaired_on IS NULL OR repaired_on > DATE '2026-06-30')
  UNION ALL
  SELECT subject_ref, record_id, day, 1209, 15000 FROM newest_incident
  WHERE violation_code = '1209' AND day >= DATE '2021-06-30' AND (repaired_on IS NULL OR repaired_on > DATE '2026-06-30')
  UNION ALL
  SELECT subject_ref, record_id, day, 1210, 1000 FROM newest_complaint
  WHERE violation_code = '1210' AND day >= DATE '2021-06-30' AND (repaired_on IS NULL OR repaired_on > DATE '2026-06-30')
),
weighted AS (
  SELECT subject_ref, indicator,
         points
         * CASE WHEN day >= DATE '2025-06-30' THEN 100 WHEN day >= DATE '2023-06-30' THEN 60 ELSE 30 END
         * CASE WHEN day <= previous + INTERVAL 24 MONTH THEN 150 ELSE 100 END AS raw
  FROM (SELECT *, lag(day) OVER (PARTITION BY subject_ref, indicator ORDER BY day, record_id) AS previous FROM counted)
),
deducted AS (
  SELECT subject_ref, sum(CASE indicator
           WHEN 1201 THEN least(raw, 240000000) WHEN 1207 THEN least(raw, 120000000) WHEN 1208 THEN least(raw, 80000000)
           WHEN 1209 THEN least(raw, 400000000) WHEN 1210 THEN least(raw, 60000000) ELSE raw END) AS raw
  FROM (SELECT subject_ref, indicator, sum(raw) AS raw FROM weighted GROUP BY subject_ref, indicator)
  GROUP BY subject_ref
),
earned AS (
  SELECT subject_ref, sum(raw) AS raw FROM (
    SELECT subject_ref, least(20, 20 * count(*)) AS raw FROM newest_honour
    WHERE kind IN ('clean_production', 'green_factory') AND day >= DATE '2021-06-30' AND (valid_until IS NULL OR valid_until >= DATE '2026-06-30')
    GROUP BY subject_ref
    UNION ALL
    SELECT subject_ref, least(40, 20 * count(*)) FROM newest_inspection
    WHERE result = 'clean' AND method IN ('double_random', 'special', 'routine') AND day >= DATE '2024-06-30'
      AND (repaired_on IS NULL OR repaired_on > DATE '2026-06-30')
    GROUP BY subject_ref
    UNION ALL
    SELECT DISTINCT subject_ref, 10 FROM newest_report
    WHERE filed_on <= day AND day >= DATE '2025-06-30' AND (repaired_on IS NULL OR repaired_on > DATE '2026-06-30'))
  GROUP BY subject_ref
),
vetoed AS (
  SELECT DISTINCT subject_ref FROM (
    SELECT subject_ref FROM counting_penalty WHERE violation_code IN ('1203', '1211')
    UNION ALL
    SELECT subject_ref FROM newest_listing
    WHERE list_kind = 'severe_dishonesty' AND (removed_on IS NULL OR removed_on > DATE '2026-06-30') AND (repaired_on IS NULL OR repaired_on > DATE '2026-06-30'))
),
limited AS (
  SELECT DISTINCT subject_ref FROM newest_listing
  WHERE list_kind = 'severe_dishonesty' AND removed_on BETWEEN DATE '2026-04-01' AND DATE '2026-06-30'
),
known AS (
  SELECT DISTINCT subject_ref FROM (
    SELECT subject_ref, day FROM newest_penalty UNION ALL SELECT subject_ref, day FROM newest_inspection
    UNION ALL SELECT subject_ref, day FROM newest_complaint UNION ALL SELECT subject_ref, day FROM newest_incident
    UNION ALL SELECT subject_ref, day FROM newest_honour UNION ALL SELECT subject_ref, day FROM newest_report
    UNION ALL SELECT subject_ref, day FROM newest_listing)
  WHERE day >= DATE '2021-06-30'
),
scored AS (
  SELECT s.*, r.subject_ref IS NULL AND k.subject_ref IS NULL AS unscored, v.subject_ref IS NOT NULL AS veto, l.subject_ref IS NOT NULL AS limited,
         (least(coalesce(r.centi, 80000) * 300000, 30000000000)
          + greatest(0, 60000000000 - 60 * CAST(coalesce(d.raw, 0) AS BIGINT))
          + least(10000000000, 100000000 * CAST(coalesce(e.raw, 0) AS BIGINT)) + 500000) // 1000000 AS centi
  FROM subject AS s
  LEFT JOIN result AS r USING (subject_ref) LEFT JOIN deducted AS d USING (subject_ref) LEFT JOIN earned AS e USING (subject_ref)
  LEFT JOIN vetoed AS v USING (subject_ref) LEFT JOIN limited AS l USING (subject_ref) LEFT JOIN known AS k USING (subject_ref)
),
computed AS (
  SELECT *, CASE WHEN unscored THEN 'N' WHEN centi >= 85000 THEN 'A' WHEN centi >= 80000 THEN 'B' WHEN centi >= 75000 THEN 'C' WHEN centi >= 70000 THEN 'D' ELSE 'E' END AS computed_grade
  FROM scored
)
SELECT subject_ref, subject_name, city_code,
       CASE WHEN NOT unscored THEN CAST(CAST(centi AS DECIMAL(18, 0)) * 0.01 AS DECIMAL(6, 2)) END AS score,
       computed_grade,
       CASE WHEN veto THEN 'E' WHEN limited AND (computed_grade = 'N' OR computed_grade < 'D') THEN 'D' ELSE computed_grade END AS grade
FROM computed
ORDER BY subject_ref
