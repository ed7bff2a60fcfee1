-- The rules that readings obey: of metrics, and of single devices.

CREATE FUNCTION telemetry.set_metric(
    name    text,
    kind    text = NULL,
    unit    text = NULL,
    minimum double precision = NULL,
    maximum double precision = NULL
) RETURNS void
    AS 'MODULE_PATHNAME', 'telemetry_administer' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.set_metric(text, text, text, double precision, double precision) IS
'Registers a metric, or changes what is said of it. An argument that is NULL leaves its part as it is. temperature and humidity are metrics, too.
kind: gauge or counter; a metric of which nothing was said is a gauge. Of a counter, the statistics of devices by minute, hour, day and other buckets have its increase and resets besides. A change counts for what is applied from now on, and the increase of a bucket that has older readings stays NULL. telemetry.rebuild_projection() computes the history of a projection again.
unit: for people; an empty text takes it away. minimum, maximum: a reading whose value lies beyond them is refused with TC013; -Infinity as minimum and Infinity as maximum take the limit away. Limits count for each reading that is judged after the change commits, and in the own transaction at once. Errors: 22023 for an unknown kind, a name that no reading can have, a unit of more than 64 characters, and limits that no value meets.';

CREATE FUNCTION telemetry.set_metric_as_owner(name text, kind text, unit text, minimum double precision, maximum double precision) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known telemetry.metric;
    wanted telemetry.metric;
BEGIN
    IF name IS NULL OR name = '' THEN
        RAISE EXCEPTION 'a metric needs a name' USING ERRCODE = 'invalid_parameter_value', DETAIL = format('The name is %L.', name), HINT = 'Give the name under which readings have it.';
    END IF;
    IF octet_length(name) > 128 OR name ~ '[[:cntrl:]]' THEN
        RAISE EXCEPTION 'no reading can have a metric of this name' USING ERRCODE = 'invalid_parameter_value', DETAIL = format('The name is %s.', left(to_json(name)::text, 200)), HINT = 'A metric name has at most 128 bytes and no control characters.';
    END IF;
    IF length(unit) > 64 OR unit ~ '[[:cntrl:]]' THEN
        RAISE EXCEPTION 'the unit of metric % is not valid', quote_ident(name) USING ERRCODE = 'invalid_parameter_value', DETAIL = format('It has %s characters.', length(unit)), HINT = 'A unit has at most 64 characters and no control characters.';
    END IF;
    IF kind NOT IN ('gauge', 'counter') THEN
        RAISE EXCEPTION 'unknown kind of metric' USING ERRCODE = 'invalid_parameter_value', DETAIL = format('The kind is %L.', kind), HINT = 'Kinds are: gauge, counter.';
    END IF;
    -- The row exists and is locked before it is changed, so that of two callers each changes what the other has left.
    INSERT INTO telemetry.metric (name, kind) VALUES (set_metric_as_owner.name, 'gauge') ON CONFLICT ON CONSTRAINT metric_pkey DO NOTHING;
    SELECT * INTO STRICT known FROM telemetry.metric m WHERE m.name = set_metric_as_owner.name FOR NO KEY UPDATE;
    wanted := known;
    wanted.kind := COALESCE(kind, known.kind);
    wanted.unit := NULLIF(COALESCE(unit, known.unit), '');
    wanted.minimum := NULLIF(COALESCE(minimum, known.minimum), '-Infinity');
    wanted.maximum := NULLIF(COALESCE(maximum, known.maximum), 'Infinity');
    IF wanted.minimum IN ('Infinity', 'NaN') OR wanted.maximum IN ('-Infinity', 'NaN') OR wanted.minimum > wanted.maximum THEN
        RAISE EXCEPTION 'no value meets these limits' USING ERRCODE = 'invalid_parameter_value', DETAIL = format('The minimum is %s, the maximum is %s.', COALESCE(wanted.minimum, '-Infinity'), COALESCE(wanted.maximum, 'Infinity')),
            HINT = 'Give a minimum that is not above the maximum. -Infinity as minimum and Infinity as maximum are no limits.';
    END IF;
    IF wanted IS NOT DISTINCT FROM known THEN RETURN; END IF;
    UPDATE telemetry.metric m SET kind = wanted.kind, unit = wanted.unit, minimum = wanted.minimum, maximum = wanted.maximum WHERE m.name = known.name;
    IF wanted.kind <> known.kind THEN
        RAISE NOTICE 'metric % is a % from now on', quote_ident(name), kind
            USING DETAIL = 'What projections have applied stays as it is.', HINT = 'SELECT telemetry.rebuild_projection(...) computes the history of a projection again.';
    END IF;
END $$;
COMMENT ON FUNCTION telemetry.set_metric_as_owner(text, text, text, double precision, double precision) IS 'Does the work of telemetry.set_metric(). Internal.';

CREATE FUNCTION telemetry.relocate_device(device_id text, region text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'telemetry_relocate_device' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.relocate_device(text, text) IS 'Changes the region that the registry has for a device. It counts for later readings that name none; stored readings keep theirs. NULL: the device has no region. Returns false if the device has that region already. Errors: TC001, TC007; TC002 for a device that is not registered.';

CREATE FUNCTION telemetry.set_device_policy(
    device_id    text,
    max_ahead    interval = NULL,
    ahead_action text = NULL,
    max_age      interval = NULL,
    age_action   text = NULL,
    max_metrics  integer = NULL,
    rate         double precision = NULL,
    burst        double precision = NULL
) RETURNS void
    AS 'MODULE_PATHNAME', 'telemetry_set_device_policy' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.set_device_policy(text, interval, text, interval, text, integer, double precision, double precision) IS
'Gives a device a policy of its own, in place of the one it had. An argument that is NULL leaves that to the setting of the installation, so that a call with the device alone takes the policy away. The device need not be registered.
max_ahead, ahead_action, max_age, age_action and max_metrics count instead of telemetry_cqrs.max_ahead and so on; a month counts as 30 days, and with max_age 0 any time since 1970 will do. rate: readings a second; burst: readings at once; 0: any number. The policy counts for each reading that is judged after the change commits, and in the own transaction at once. Errors: TC001 for a device_id that is not valid; 22023 for a value out of range.';

CREATE FUNCTION telemetry.set_device_policy_as_owner(device_id text, max_ahead interval, ahead_action text, max_age interval, age_action text, max_metrics integer, rate double precision, burst double precision)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    flaw text := CASE
        WHEN max_ahead NOT BETWEEN '0' AND '365 days' THEN format('max_ahead is %s; it is 0 to 365 days.', max_ahead)
        WHEN ahead_action NOT IN ('reject', 'clamp', 'quarantine') THEN format('ahead_action is %L; actions are reject, clamp and quarantine.', ahead_action)
        WHEN max_age NOT BETWEEN '0' AND '24820 days' THEN format('max_age is %s; it is 0 to 24820 days.', max_age)
        WHEN age_action NOT IN ('reject', 'clamp', 'quarantine') THEN format('age_action is %L; actions are reject, clamp and quarantine.', age_action)
        WHEN max_metrics NOT BETWEEN 0 AND 1024 THEN format('max_metrics is %s; it is 0 to 1024.', max_metrics)
        WHEN NOT (rate >= 0 AND rate < 'Infinity') THEN format('rate is %s; it is a finite number of readings a second, or 0 for any number.', rate)
        WHEN NOT (burst >= 0 AND burst < 'Infinity') THEN format('burst is %s; it is a finite number of readings, or 0 for any number.', burst)
    END;
BEGIN
    IF flaw IS NOT NULL THEN
        RAISE EXCEPTION 'policy of a device is out of range' USING ERRCODE = 'invalid_parameter_value', DETAIL = flaw, HINT = 'Give NULL where the setting of the installation is to count.';
    END IF;
    IF num_nonnulls(max_ahead, ahead_action, max_age, age_action, max_metrics, rate, burst) = 0 THEN
        DELETE FROM telemetry.device_policy p WHERE p.device_id = set_device_policy_as_owner.device_id;
        RETURN;
    END IF;
    INSERT INTO telemetry.device_policy AS p (device_id, max_ahead, ahead_action, max_age, age_action, max_metrics, rate, burst)
    VALUES (device_id, max_ahead, ahead_action, max_age, age_action, max_metrics, rate, burst)
    ON CONFLICT ON CONSTRAINT device_policy_pkey DO UPDATE SET max_ahead = excluded.max_ahead, ahead_action = excluded.ahead_action, max_age = excluded.max_age,
        age_action = excluded.age_action, max_metrics = excluded.max_metrics, rate = excluded.rate, burst = excluded.burst, set_at = excluded.set_at;
END $$;
COMMENT ON FUNCTION telemetry.set_device_policy_as_owner(text, interval, text, interval, text, integer, double precision, double precision) IS 'Does the work of telemetry.set_device_policy(). Internal.';

-- A device id of type uuid needs no cast. An untyped value is always a text.
CREATE FUNCTION telemetry.register_device(
    device_id         uuid,
    region            text = NULL,
    expected_interval interval = NULL,
    attributes        jsonb = NULL
) RETURNS boolean LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT telemetry.register_device($1::text, $2, $3, $4) $$;
COMMENT ON FUNCTION telemetry.register_device(uuid, text, interval, jsonb) IS 'Does what telemetry.register_device(text, ...) does, for a device whose id is a uuid.';

CREATE FUNCTION telemetry.relocate_device(device_id uuid, region text) RETURNS boolean
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT telemetry.relocate_device($1::text, $2) $$;
COMMENT ON FUNCTION telemetry.relocate_device(uuid, text) IS 'Does what telemetry.relocate_device(text, ...) does, for a device whose id is a uuid.';

CREATE FUNCTION telemetry.set_expected_interval(device_id uuid, expected_interval interval) RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT telemetry.set_expected_interval($1::text, $2) $$;
COMMENT ON FUNCTION telemetry.set_expected_interval(uuid, interval) IS 'Does what telemetry.set_expected_interval(text, ...) does, for a device whose id is a uuid.';

CREATE FUNCTION telemetry.set_device_policy(
    device_id    uuid,
    max_ahead    interval = NULL,
    ahead_action text = NULL,
    max_age      interval = NULL,
    age_action   text = NULL,
    max_metrics  integer = NULL,
    rate         double precision = NULL,
    burst        double precision = NULL
) RETURNS void LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT telemetry.set_device_policy($1::text, $2, $3, $4, $5, $6, $7, $8) $$;
COMMENT ON FUNCTION telemetry.set_device_policy(uuid, interval, text, interval, text, integer, double precision, double precision) IS 'Does what telemetry.set_device_policy(text, ...) does, for a device whose id is a uuid.';
