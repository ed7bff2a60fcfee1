CREATE TABLE telemetry.metric (
    name          text COLLATE "C" PRIMARY KEY,
    kind          text COLLATE "C" NOT NULL,
    unit          text,
    minimum       double precision,
    maximum       double precision,
    registered_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT some_value_meets_limits CHECK (NOT (minimum IN ('Infinity', 'NaN') OR maximum IN ('-Infinity', 'NaN') OR minimum > maximum))
);
COMMENT ON TABLE telemetry.metric IS 'Holds the metrics. A reading registers the names that it brings along, up to telemetry_cqrs.max_metric_names of them, and telemetry.set_metric() says more. kind: gauge | counter. unit: for people. minimum, maximum: a reading whose value lies beyond them is refused with TC013; NULL: no limit. temperature and humidity may have rows as well.';
CREATE INDEX metric_counters ON telemetry.metric (name) WHERE kind = 'counter';
COMMENT ON INDEX telemetry.metric_counters IS 'Finds the counters among many gauges.';
SELECT pg_catalog.pg_extension_config_dump('telemetry.metric', '');

CREATE TABLE telemetry.device_policy (
    device_id    text COLLATE "C" PRIMARY KEY,
    max_ahead    interval CHECK (max_ahead BETWEEN '0' AND '365 days'),
    ahead_action text COLLATE "C" CHECK (ahead_action IN ('reject', 'clamp', 'quarantine')),
    max_age      interval CHECK (max_age BETWEEN '0' AND '24820 days'),
    age_action   text COLLATE "C" CHECK (age_action IN ('reject', 'clamp', 'quarantine')),
    max_metrics  integer CHECK (max_metrics BETWEEN 0 AND 1024),
    rate         double precision CHECK (rate >= 0 AND rate < 'Infinity'),
    burst        double precision CHECK (burst >= 0 AND burst < 'Infinity'),
    set_at       timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE telemetry.device_policy IS 'Holds the devices that have a policy of their own (telemetry.set_device_policy()). Each column counts instead of the setting of the same name; NULL: the setting counts. rate, burst: readings a second, and at once. set_at: when the row was last written.';
SELECT pg_catalog.pg_extension_config_dump('telemetry.device_policy', '');

-- A name that a reading registers changes no rule, so it is not announced. Logical replication fires row triggers only.
CREATE TRIGGER announce_change AFTER UPDATE OR DELETE ON telemetry.metric
    FOR EACH ROW EXECUTE FUNCTION telemetry.announce_registry_change();
ALTER TABLE telemetry.metric ENABLE ALWAYS TRIGGER announce_change;
CREATE TRIGGER announce_limits AFTER INSERT ON telemetry.metric
    FOR EACH ROW WHEN (NEW.minimum IS NOT NULL OR NEW.maximum IS NOT NULL) EXECUTE FUNCTION telemetry.announce_registry_change();
ALTER TABLE telemetry.metric ENABLE ALWAYS TRIGGER announce_limits;
CREATE TRIGGER announce_truncate AFTER TRUNCATE ON telemetry.metric
    FOR EACH STATEMENT EXECUTE FUNCTION telemetry.announce_registry_change();
ALTER TABLE telemetry.metric ENABLE ALWAYS TRIGGER announce_truncate;
CREATE TRIGGER announce_change AFTER INSERT OR UPDATE OR DELETE ON telemetry.device_policy
    FOR EACH ROW EXECUTE FUNCTION telemetry.announce_registry_change();
ALTER TABLE telemetry.device_policy ENABLE ALWAYS TRIGGER announce_change;
CREATE TRIGGER announce_truncate AFTER TRUNCATE ON telemetry.device_policy
    FOR EACH STATEMENT EXECUTE FUNCTION telemetry.announce_registry_change();
ALTER TABLE telemetry.device_policy ENABLE ALWAYS TRIGGER announce_truncate;
