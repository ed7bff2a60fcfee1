#!/usr/bin/env python3
"""Sends readings, waits for its own writes and follows events, with psycopg 3.

    telemetry.py send DEVICE KEY TEMPERATURE    one reading, then the device's statistics with it
    telemetry.py batch DEVICE TEMPERATURE...    many at once; prints what was refused
    telemetry.py follow BATCH COUNT             events from that batch on, until COUNT have been seen

Connects by the PG* variables. Packages: python3-psycopg.
"""
import select
import sys
import time

import psycopg

MEASURED_AT = "2026-03-01 12:00+00"  # a real device takes its clock


def connect():
    return psycopg.connect("application_name=example_python", autocommit=True)


def with_retry(work):
    """Runs work(connection) until it succeeds; every call has a key, so that a repetition stores nothing twice.

    A lost connection leaves open whether the server has stored the reading: the repetition is answered "duplicate" if it has.
    40001 and 40P01: the server has undone the transaction for another's sake. TC101: another session holds the key just now.
    """
    pause = 0.1
    while True:
        try:
            with connect() as connection:
                return work(connection)
        except psycopg.Error as error:
            lost = isinstance(error, psycopg.OperationalError) and error.sqlstate is None
            state = "connection lost" if lost else error.sqlstate
            if not lost and not state.startswith(("08", "57P", "53300", "40001", "40P01", "TC101")):
                raise  # a refusal (TC001 to TC010) stays one, however often it is sent
            print(f"again after: {state}\n{error}", file=sys.stderr, flush=True)
            time.sleep(pause)
            pause = min(2 * pause, 5)


def send(device, key, temperature):
    def store(connection):
        return connection.execute(
            "SELECT event_id, status, token FROM telemetry.ingest_telemetry(%s, %s::timestamptz, %s, NULL, %s)",
            (device, MEASURED_AT, float(temperature), key),
        ).fetchone()

    event_id, status, token = with_retry(store)

    def look(connection):
        # The statistics follow within milliseconds; who wants to see the own reading in them waits for its token.
        waited = connection.execute("SELECT telemetry.wait_for(%s)", (token,)).fetchone()[0]
        stats = connection.execute(
            "SELECT sample_count, avg_temperature FROM telemetry.device_stats WHERE device_id = %s", (device,)
        ).fetchone()
        return waited, *(stats or (0, None))  # nothing, where the wait was in vain

    waited, count, average = with_retry(look)
    print(f"event {event_id} {status}, {waited}: {count} readings, average {average}")


def batch(device, temperatures):
    keys = [f"{device}:{number}" for number in range(1, len(temperatures) + 1)]

    def store(connection):
        return connection.execute(
            """SELECT received, accepted, duplicates, conflicts, rejected FROM telemetry.ingest_telemetry_batch(
                   %s, %s::timestamptz[], %s::float8[], %s::float8[], %s)""",
            (
                [device] * len(keys),
                [MEASURED_AT] * len(keys),
                [float(temperature) for temperature in temperatures],
                [None] * len(keys),
                keys,
            ),
        ).fetchone()

    received, accepted, duplicates, conflicts, rejected = with_retry(store)
    print(f"received {received} accepted {accepted} duplicates {duplicates} conflicts {conflicts} rejected {rejected}")
    if conflicts + rejected > 0:

        def refused(connection):
            return connection.execute(
                """SELECT payload->>'idempotency_key', sqlstate FROM telemetry.rejected_readings
                   WHERE payload->>'idempotency_key' = ANY (%s) ORDER BY rejected_id""",
                (keys,),
            ).fetchall()

        for key, state in with_retry(refused):
            print(f"refused {key} {state}")


# The events of some batches from a number on. follow_from() raises TC203 where the number is not to be had: then
# telemetry_cqrs.batch_retention has passed it, or it is of another history of the log. The statistics or telemetry.events are the
# place to start over.
EVENTS = """
    SELECT b.batch_id, e.id, e.aggregateid, e.payload->>'idempotency_key'
    FROM (SELECT batch_id FROM telemetry.batch WHERE batch_id >= telemetry.follow_from(%s) ORDER BY batch_id LIMIT 10) AS b,
        LATERAL telemetry.read_events(b.batch_id) AS e
    ORDER BY b.batch_id"""


def follow(next_batch, wanted):
    """A NOTIFY only says when to look: what is read are the batches by their numbers, so that nothing is missed that
    happened while nobody listened. Keep the number of the next batch where the events' effects are kept."""
    seen = 0
    while seen < wanted:
        try:
            with connect() as connection:
                connection.execute("LISTEN telemetry_ingested")
                while seen < wanted:
                    events = connection.execute(EVENTS, (next_batch,)).fetchall()
                    for batch_id, event_id, device, key in events:
                        print(f"event {event_id} {device} {key}", flush=True)
                        next_batch = batch_id + 1
                    seen += len(events)
                    if not events:
                        wait(connection, 5)
        except psycopg.OperationalError:
            time.sleep(1)


def wait(connection, seconds):
    """Until a notification comes, but no longer than that: one may have been lost with a connection."""
    if not connection.pgconn.notifies():  # what came with the last answer
        select.select([connection.fileno()], [], [], seconds)
        connection.pgconn.consume_input()
    while connection.pgconn.notifies():
        pass


def main():
    if len(sys.argv) == 5 and sys.argv[1] == "send":
        send(*sys.argv[2:])
    elif len(sys.argv) > 3 and sys.argv[1] == "batch":
        batch(sys.argv[2], sys.argv[3:])
    elif len(sys.argv) == 4 and sys.argv[1] == "follow":
        follow(int(sys.argv[2]), int(sys.argv[3]))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main()
    except psycopg.Error as refused:
        sys.exit(str(refused))
