#!/usr/bin/env python3
"""Consumes a durable subscription into a table of its own, each event exactly once, with psycopg 3.

    consumer.py create SUBSCRIPTION                  makes the table and the subscription, which begins with the oldest event
    consumer.py run SUBSCRIPTION NAME [SECONDS]      consumes until SIGTERM or SIGINT; SECONDS: how long a lease lasts (30)

Start as many as you want, each with a NAME of its own; they share the devices. Connects by the PG* variables, also through
pgbouncer in transaction mode. Packages: python3-psycopg.
"""
import signal
import sys
import threading

import psycopg

TABLE = """CREATE TABLE IF NOT EXISTS processed (
    event_id bigint, epoch integer, device_id text NOT NULL, fahrenheit double precision NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY, PRIMARY KEY (event_id, epoch))"""
LONGEST_PAUSE = 2  # seconds

stopping = threading.Event()


def connect():
    # Behind a pooler the next transaction may run in another server process, which does not know what this one has prepared.
    return psycopg.connect("application_name=example_consumer_python", autocommit=True, prepare_threshold=None)


def create(subscription):
    with connect() as connection:
        connection.execute(TABLE)
        connection.execute("SELECT telemetry.create_subscription(%s, '-infinity')", (subscription,))


def process(payload):
    """What the consumer does with an event. An exception says that the event cannot be processed."""
    celsius = payload["temperature"]
    if celsius < -273.15:
        raise ValueError(f"{celsius} degrees are colder than possible")
    return celsius * 9 / 5 + 32


def store(connection, subscription, lease, events):
    """Processes the events of a lease. The results and the answer are one transaction, so both count or neither does."""
    results, failed, reason = [], {}, None
    for event_id, epoch, device, payload in events:
        try:
            if device in failed:
                raise ValueError("an earlier event of the device has failed")
            results.append((event_id, epoch, device, process(payload)))
        except (KeyError, TypeError, ValueError) as error:
            reason = reason or f"event {event_id}: {error!r}"
            failed.setdefault(device, []).append(event_id)
    with connection.transaction():
        # The answer comes first: from now on no other consumer can get the events, unless this transaction fails.
        if failed:
            # Those that failed come again, with the later ones of their devices. The others count as processed.
            ids = [event_id for of_device in failed.values() for event_id in of_device]
            connection.execute("SELECT telemetry.nack(%s, %s, %s, %s)", (subscription, lease, reason, ids))
        else:
            connection.execute("SELECT telemetry.ack(%s, %s)", (subscription, lease))
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO processed (event_id, epoch, device_id, fahrenheit) VALUES (%s, %s, %s, %s)", results)
    print(f"processed {len(results)}" + (f", gave back {len(events) - len(results)}: {reason}" if failed else ""), flush=True)


def consume_once(connection, subscription, name, seconds):
    """Returns whether there was something to do."""
    rows = connection.execute(
        """SELECT lease, id, epoch, device_id, payload
           FROM telemetry.next_batch(%s, 500, make_interval(secs => %s), %s)""",
        (subscription, seconds, name),
    ).fetchall()
    if not rows:
        return False
    lease = rows[0][0]
    try:
        store(connection, subscription, lease, [row[1:] for row in rows])
    except psycopg.Error as error:
        if error.sqlstate is None or error.sqlstate.startswith(("08", "57P")):
            raise  # the connection is lost: the lease ends by itself, unless the server has stored the results
        if error.sqlstate == "TC206":
            # The consumer was too slow, and another one has the events. The results were rolled back.
            print("lease lost", flush=True)
        else:
            # One of the results cannot be stored. Ever fewer events come at a time, until the one that is to blame comes alone.
            print(f"gave the lease back: {error}", flush=True)
            connection.execute("SELECT telemetry.nack(%s, %s, %s)", (subscription, lease, str(error)))
    return True


def run(subscription, name, seconds):
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    pause = 0.05
    while not stopping.is_set():
        try:
            with connect() as connection:
                while not stopping.is_set():
                    if consume_once(connection, subscription, name, seconds):
                        pause = 0.05
                    else:
                        stopping.wait(pause)
                        pause = min(2 * pause, LONGEST_PAUSE)
        except psycopg.Error as error:
            lost = error.sqlstate is None or error.sqlstate.startswith(("08", "57P", "53300", "40001", "40P01"))
            if not lost:
                raise  # an unknown subscription, a right that is missing, a subscription that is lost (TC205)
            print(f"again after: {error}", file=sys.stderr, flush=True)
            stopping.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
    print("stopped", flush=True)


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "create":
        create(sys.argv[2])
    elif len(sys.argv) in (4, 5) and sys.argv[1] == "run":
        run(sys.argv[2], sys.argv[3], float(sys.argv[4]) if len(sys.argv) == 5 else 30.0)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main()
    except psycopg.Error as refused:
        sys.exit(f"{refused.sqlstate}: {refused}")
