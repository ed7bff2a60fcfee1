CREATE TABLE telemetry.metric (
    name text COLLATE "C" PRIMARY KEY,
    kind text COLLATE "C" NOT NULL
);
COMMENT ON TABLE telemetry.metric IS 'Holds what an administrator has said of metrics. kind: gauge | counter; a metric without a row is a gauge. telemetry.set_metric() writes it.';
SELECT pg_catalog.pg_extension_config_dump('telemetry.metric', '');
