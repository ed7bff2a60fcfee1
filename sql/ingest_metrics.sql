-- Further metrics come as a flat JSON object of finite numbers.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS telemetry_cqrs;
RESET client_min_messages;

CREATE FUNCTION pg_temp.outcome(device_id text, metrics jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text; hint text;
BEGIN
    RETURN (telemetry.ingest_telemetry(device_id, '2024-05-01 10:00:00+00', metrics => metrics)).status;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN SQLSTATE || CASE WHEN detail = '' THEN ' [no detail]' ELSE '' END || CASE WHEN hint = '' THEN ' [no hint]' ELSE '' END;
END $$;

-- Metrics that are no object of numbers are refused.
SELECT pg_temp.outcome('metrics-1', '1') AS number, pg_temp.outcome('metrics-1', '"a"') AS string,
       pg_temp.outcome('metrics-1', '[1, 2]') AS array, pg_temp.outcome('metrics-1', '[{"a": 1}]') AS array_of_object,
       pg_temp.outcome('metrics-1', 'true') AS bool;
SELECT pg_temp.outcome('metrics-1', '{"a": "1"}') AS string, pg_temp.outcome('metrics-1', '{"a": true}') AS bool,
       pg_temp.outcome('metrics-1', '{"a": [1]}') AS array, pg_temp.outcome('metrics-1', '{"a": {"b": 1}}') AS nested,
       pg_temp.outcome('metrics-1', '{"a": {}}') AS empty_nested, pg_temp.outcome('metrics-1', '{"a": []}') AS empty_array,
       pg_temp.outcome('metrics-1', '{"a": 1, "b": "NaN"}') AS nan_text;
-- A metric that is null was not measured.
SELECT pg_temp.outcome('metrics-8', '{"a": null, "b": 2}') AS null_value;

-- A name may not be reserved, empty or too long, nor have control characters.
SELECT pg_temp.outcome('metrics-1', '{"temperature": 1}') AS temperature, pg_temp.outcome('metrics-1', '{"humidity": 1}') AS humidity,
       pg_temp.outcome('metrics-1', '{"": 1}') AS empty,
       pg_temp.outcome('metrics-1', jsonb_build_object(repeat('m', 10000), 1)) AS of_10_kb,
       pg_temp.outcome('metrics-1', jsonb_build_object(repeat('m', 129), 1)) AS of_129,
       pg_temp.outcome('metrics-1', '{"a\nb": 1}') AS newline;

-- A reading may have 64 metrics.
SELECT pg_temp.outcome('metrics-2', (SELECT jsonb_object_agg('m' || i, i) FROM generate_series(1, 64) AS i)) AS of_64,
       pg_temp.outcome('metrics-1', (SELECT jsonb_object_agg('m' || i, i) FROM generate_series(1, 65) AS i)) AS of_65,
       pg_temp.outcome('metrics-1', (SELECT jsonb_object_agg('m' || i, i) FROM generate_series(1, 5000) AS i)) AS of_5000;

-- JSON holds more numbers than double precision does.
SELECT pg_temp.outcome('metrics-1', '{"a": 1e400}') AS too_great, pg_temp.outcome('metrics-1', '{"a": -1e400}') AS too_small,
       pg_temp.outcome('metrics-1', '{"a": 1e131000}') AS enormous;
SELECT pg_temp.outcome('metrics-1', '{"a": 1e-400}') AS too_near_zero, pg_temp.outcome('metrics-1', '{"a": -1e-16000, "b": 1}') AS from_below;
SELECT pg_temp.outcome('metrics-3', '{"greatest": 1.7976931348623157e308, "least": -1.7976931348623157e308}') AS extremes,
       pg_temp.outcome('metrics-4', '{"inexact": 0.1, "integer": 18446744073709551616, "long": 3.14159265358979323846264338327950288}') AS inexact,
       pg_temp.outcome('metrics-5', '{"zero": 0, "minus": -1.5, "small": 2.2250738585072014e-308}') AS small,
       pg_temp.outcome('metrics-9', '{"least": 4.9406564584124654e-324, "zero": 0.000}') AS subnormal;

SELECT count(*) AS stored FROM telemetry.measurements WHERE device_id = 'metrics-1';
-- Some drivers make the JSON value null of a map that is missing. It says that nothing was sent.
SELECT pg_temp.outcome('metrics-10', 'null') AS json_null;
SELECT metrics IS NULL AS is_missing FROM telemetry.measurements WHERE device_id = 'metrics-10';

-- The log has the accepted metrics.
SELECT pg_temp.outcome('metrics-6', '{}') AS empty;
SELECT pg_temp.outcome('metrics-7', '{"light1": 185.71, "CO2": 415, "Druck/hPa 🌡": 1013.25}') AS names;
SELECT device_id, metrics FROM telemetry.measurements WHERE device_id IN ('metrics-6', 'metrics-7') ORDER BY device_id;
SELECT device_id, m.key, m.value::text::float8 AS value
FROM telemetry.measurements, jsonb_each(metrics) AS m
WHERE device_id IN ('metrics-3', 'metrics-4', 'metrics-5', 'metrics-9') ORDER BY device_id, m.key COLLATE "C";

-- Of the 64 metrics of one reading the read model has a row each, with the value that was sent.
CALL telemetry.project_once();
SELECT count(*), bool_and(metric = 'm' || avg::int AND sample_count = 1 AND min = avg AND max = avg AND stddev IS NULL
                          AND first_value = avg AND last_value = avg AND first_at = '2024-05-01 10:00:00+00' AND last_at = first_at) AS as_sent
FROM telemetry.device_metric_stats WHERE device_id = 'metrics-2';
SELECT metric, sample_count, avg, min, max, stddev FROM telemetry.device_metric_stats
WHERE device_id IN ('metrics-3', 'metrics-4', 'metrics-5', 'metrics-8') ORDER BY device_id, metric;
