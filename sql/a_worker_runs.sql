-- The worker runs soon after CREATE EXTENSION. Where it does not, later tests would wait for it for minutes each.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS telemetry_cqrs;
RESET client_min_messages;
DO $$
DECLARE
    worker record;
    deadline timestamptz := clock_timestamp() + interval '10 s';
BEGIN
    LOOP
        SELECT * INTO worker FROM telemetry.worker_status();
        EXIT WHEN worker.state = 'running';
        IF clock_timestamp() > deadline THEN
            RAISE EXCEPTION 'no worker after 10 s: %', worker.state USING DETAIL = worker.last_error;
        END IF;
        PERFORM pg_sleep(0.01);
    END LOOP;
END $$;
SELECT preloaded, state, pid IS NOT NULL AS has_process FROM telemetry.worker_status();
