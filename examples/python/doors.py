#!/usr/bin/env python3
"""Sends readings through each door and reads the answers, with psycopg 3.

    doors.py DEVICE [text | binary | prepared]    how parameters and rows travel; prepared does not go through every pooler

Connects by the PG* variables. Packages: python3-psycopg. doc/manual/drivers.md says which types to bind.
"""
import json
import math
import sys
from datetime import datetime, timedelta, timezone

import psycopg
from psycopg.types.json import Json, Jsonb

MEASURED_AT = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)  # psycopg sends a time without a zone in the session's zone

# A real client sends the whole call again after a lost connection, 40001, 40P01 or TC101, as telemetry.py does.
SEND_ONE = """SELECT event_id, status, token FROM telemetry.ingest_telemetry(
                  %s, %s, temperature => %s, idempotency_key => %s, metrics => %s)"""


def show_receipt(connection, door, receipt):
    """Prints a receipt of a batch, and the items that are not simply stored."""
    *counts, token = receipt
    print("{}: received {} accepted {} duplicates {} conflicts {} rejected {}".format(door, *counts))
    for index, verdict, sqlstate in connection.execute(
        """SELECT item_index, verdict, sqlstate FROM telemetry.batch_verdicts(%s)
           WHERE verdict <> 'accepted' ORDER BY item_index""",
        (token,),
    ):
        print(f"{door} item {index}: {verdict} {sqlstate or '-'}")
    return token


def send_one(connection, device):
    # metrics is jsonb, so a dict goes as Jsonb; Json would be another type. None needs no type.
    reading = (device, MEASURED_AT, 21.5, f"{device}:1", Jsonb({"battery": 3.7}))
    first, status, _ = connection.execute(SEND_ONE, reading).fetchone()
    print(f"one: {status}")
    again, status, _ = connection.execute(SEND_ONE, reading).fetchone()
    print(f"repeat: {status} of {'the same' if again == first else 'another'} event")


def send_refused(connection, device):
    try:
        connection.execute(SEND_ONE, (device, MEASURED_AT, math.nan, f"{device}:bad", None))
    except psycopg.Error as error:
        print(f"refused: {error.sqlstate} {error.diag.message_primary}")
        print(f"detail: {error.diag.message_detail}")
        print(f"hint: {error.diag.message_hint}")


def send_json(connection, device):
    items = [
        {"device_id": device, "measured_at": MEASURED_AT.isoformat(), "temperature": 21.5,
         "idempotency_key": f"{device}:1", "metrics": {"battery": 3.7}},
        {"device_id": device, "measured_at": (MEASURED_AT + timedelta(minutes=1)).isoformat(), "temperature": 21.7,
         "idempotency_key": f"{device}:2"},
        {"device_id": device, "temprature": 21.9, "idempotency_key": f"{device}:3"},
    ]  # fmt: skip
    receipt = connection.execute(
        """SELECT received, accepted, duplicates, conflicts, rejected, token
           FROM telemetry.ingest_telemetry_batch(%s)""",
        (Json(items),),
    ).fetchone()
    show_receipt(connection, "json", receipt)
    # A gateway that has the text already passes it on as it is: a str.
    text = json.dumps(items[:2])
    row = connection.execute("SELECT duplicates FROM telemetry.ingest_telemetry_batch(%s)", (text,)).fetchone()
    print(f"text: {row[0]} duplicates")


def send_copy(connection, device, binary):
    rows = (
        (device, MEASURED_AT + timedelta(hours=1, seconds=n), math.nan if n == 500 else 20 + n / 1000, f"{device}:copy:{n}")
        for n in range(1, 1001)
    )
    # The receipt is asked for in the same transaction, because through a pooler the next one may run in another session.
    with connection.transaction(), connection.cursor() as cursor:
        columns = "COPY telemetry.inbox (device_id, measured_at, temperature, idempotency_key) FROM STDIN"
        with cursor.copy(columns + (" (FORMAT binary)" if binary else "")) as copy:
            if binary:
                copy.set_types(["text", "timestamptz", "float8", "text"])
            for row in rows:
                copy.write_row(row)
        receipt = cursor.execute(
            "SELECT received, accepted, duplicates, conflicts, rejected, token FROM telemetry.inbox_receipt()"
        ).fetchone()
    return show_receipt(connection, "copy", receipt)


def wait_for(connection, device, token):
    waited = connection.execute("SELECT telemetry.wait_for(%s)", (token,)).fetchone()[0]
    count = connection.execute("SELECT sample_count FROM telemetry.device_stats WHERE device_id = %s", (device,)).fetchone()[0]
    print(f"waited: {waited}, {count} readings")


def main(device, mode="text"):
    # A pooler in transaction mode needs prepare_threshold=None, unless it knows prepared statements (pgbouncer 1.21).
    with psycopg.connect(
        application_name="example_python", autocommit=True, prepare_threshold=0 if mode == "prepared" else None
    ) as connection:
        if mode == "binary":
            connection.cursor_factory = BinaryCursor
        send_one(connection, device)
        send_refused(connection, device)
        send_json(connection, device)
        wait_for(connection, device, send_copy(connection, device, mode == "binary"))


class BinaryCursor(psycopg.Cursor):
    """Sends parameters and gets rows in the binary form, in which a str is of type text."""

    def execute(self, query, params=None, **kwargs):
        return super().execute(query.replace("%s", "%b"), params, **{**kwargs, "binary": True})


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or sys.argv[2:] not in ([], ["text"], ["binary"], ["prepared"]):
        sys.exit(__doc__)
    main(*sys.argv[1:])
