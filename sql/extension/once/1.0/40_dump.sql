-- What a dump must carry: every table and sequence with user data.
SELECT pg_catalog.pg_extension_config_dump('telemetry.installation', '');
SELECT pg_catalog.pg_extension_config_dump('telemetry.epoch', '');
SELECT pg_catalog.pg_extension_config_dump('telemetry.event_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('telemetry.event_1', '');
SELECT pg_catalog.pg_extension_config_dump('telemetry.device', '');
SELECT pg_catalog.pg_extension_config_dump('telemetry.rejected_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('telemetry.rejected_readings', '');
SELECT pg_catalog.pg_extension_config_dump('telemetry.batch', '');
SELECT pg_catalog.pg_extension_config_dump('telemetry.checkpoint', '');
SELECT pg_catalog.pg_extension_config_dump('telemetry.projection_failure', '');
SELECT pg_catalog.pg_extension_config_dump('telemetry.device_state', '');
SELECT pg_catalog.pg_extension_config_dump('telemetry.device_metric_state', '');
SELECT pg_catalog.pg_extension_config_dump('telemetry.region_state', '');
SELECT pg_catalog.pg_extension_config_dump('telemetry.region_metric_state', '');
