-- A summary may have a sketch, and then takes some hundred bytes. Columns that are made from now on compress and toast such values.
-- Older columns keep their storage.

ALTER TYPE telemetry.summary SET (STORAGE = extended);
COMMENT ON TYPE telemetry.summary IS 'Holds mergeable statistics of one metric: count, mean, M2 (sum of squared deviations), min, max, first and last value by measured time. It may also hold a quantile sketch with a relative accuracy of 1 %, and the resets of a counter. Binary and text form have a version: 1, 2 with a sketch, 3 for a counter.';
