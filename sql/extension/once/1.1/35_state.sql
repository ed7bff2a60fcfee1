-- All state tables have one shape. A row has the statistics of a key (device, region) in a bucket, or of a part of its metrics.
DO $state$
DECLARE
    name text;
    fillfactor integer;
BEGIN
    -- A row over all time is updated for ever and that of a day for long, a row of a shorter bucket only while the bucket is new.
    FOR name, fillfactor IN SELECT p.projection, CASE WHEN p.bucket < interval '1 day' THEN 85 ELSE 50 END FROM telemetry.projection p ORDER BY 1 LOOP
        EXECUTE format('CREATE TABLE telemetry.state_%s (
            generation       integer NOT NULL,
            key              text COLLATE "C" NOT NULL,
            bucket           timestamptz NOT NULL,
            part             integer NOT NULL,
            sample_count     bigint,
            first_seen       timestamptz,
            last_seen        timestamptz,
            last_received_at timestamptz,
            region           text COLLATE "C",
            metric_names     text[] COLLATE "C",
            summaries        telemetry.summary[],
            PRIMARY KEY (generation, key, bucket, part)
        ) WITH (fillfactor = %s)', name, fillfactor);
        EXECUTE format('COMMENT ON TABLE telemetry.state_%s IS %L', name, format('Holds the state of the projection "%s". A row has the statistics of a key in a bucket ("-infinity": over all time). summaries has temperature, humidity, then the metrics of metric_names. A key with many metrics has further rows, whose part is not 0 and which have the last two columns only. A rebuild writes a generation of its own. Internal; query the views.', name));
        PERFORM pg_extension_config_dump(format('telemetry.state_%s', name), '');
    END LOOP;
END $state$;

-- Finds the devices of a region.
CREATE INDEX state_device_region ON telemetry.state_device (region, generation);
