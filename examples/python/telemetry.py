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

MEASURED_AT = "2026-03-01 12:00+00"  # a real device takes the time of its clock


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
                raise  # a refused reading (TC001 to TC011) stays refused, however often it is sent
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
        # The statistics follow within milliseconds. A client that wants its own reading in them waits for the token.
        waited = connection.execute("SELECT telemetry.wait_for(%s)", (token,)).fetchone()[0]
        stats = connection.execute(
            "SELECT sample_count, avg_temperature FROM telemetry.device_stats WHERE device_id = %s", (device,)
        ).fetchone()
        return waited, *(stats or (0, None))  # there is no row when the wait timed out

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


# The query reads the events of some batches from a number on. follow_from() raises TC203 when telemetry_cqrs.batch_retention has passed
# the number, or when the number is of another history of the log. Then start over from the statistics or from telemetry.events.
EVENTS = """
    SELECT b.batch_id, e.id, e.aggregateid, e.payload->>'idempotency_key'
    FROM (SELECT batch_id FROM telemetry.batch WHERE batch_id >= telemetry.follow_from(%s) ORDER BY batch_id LIMIT 10) AS b,
        LATERAL telemetry.read_events(b.batch_id) AS e
    ORDER BY b.batch_id"""


def follow(next_batch, wanted):
    """A NOTIFY only says when to look. The client reads the batches by their numbers, so it misses nothing that happened
    while it did not listen. Keep the number of the next batch where you keep the effects of the events."""
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
    """Waits for a notification, but only so long, because one may have been lost with a connection."""
    if not connection.pgconn.notifies():  # those that came with the last answer
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
