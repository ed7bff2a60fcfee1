#!/usr/bin/env bash
# Sends readings through each door and reads the answers, with psql in a shell script.
#
#     doors.sh DEVICE
#
# Connects by the PG* variables. Values go to the server as psql variables (:'name'), never as text pasted into SQL.
set -euo pipefail
export PGAPPNAME=example_psql

if [ $# != 1 ]; then
    echo 'doors.sh DEVICE' >&2
    exit 2
fi
device=$1

# run [OPTION]... runs the SQL from standard input and prints its rows. A real script sends the whole call again after a lost
# connection, 40001, 40P01 or TC101, as telemetry.sh does.
run() {
    psql -XqAt -F ' ' -v ON_ERROR_STOP=1 -v device="$device" "$@"
}

one_reading() {
    run <<'SQL'
SELECT event_id, status FROM telemetry.ingest_telemetry(
    :'device', '2026-03-01T12:00:00Z', temperature => 21.5,
    idempotency_key => :'device' || ':1', metrics => '{"battery": 3.7}');
SQL
}

send_one() {
    local first again status which=another
    read -r first status < <(one_reading)
    printf 'one: %s\n' "$status"
    read -r again status < <(one_reading)
    if [ "$again" = "$first" ]; then which='the same'; fi
    printf 'repeat: %s of %s event\n' "$status" "$which"
}

# psql ends with 3 after an error. With VERBOSITY=verbose it prints the SQLSTATE and each part of the message.
send_refused() {
    { run -v VERBOSITY=verbose 2>&1 || [ $? = 3 ]; } <<'SQL' |
SELECT FROM telemetry.ingest_telemetry(
    :'device', '2026-03-01T12:00:00Z', temperature => 'NaN', idempotency_key => :'device' || ':bad');
SQL
        sed -n 's/^.*ERROR:  \(.....\): /refused: \1 /p; s/^DETAIL:  /detail: /p; s/^HINT:  /hint: /p'
}

# show_receipt DOOR reads a receipt, prints it, and prints the items that are not simply stored. Sets token.
show_receipt() {
    local received accepted duplicates conflicts rejected
    read -r received accepted duplicates conflicts rejected token
    printf '%s: received %s accepted %s duplicates %s conflicts %s rejected %s\n' \
        "$1" "$received" "$accepted" "$duplicates" "$conflicts" "$rejected"
    run -v door="$1" -v token="$token" <<'SQL'
SELECT format('%s item %s: %s %s', :'door', item_index, verdict, coalesce(sqlstate, '-'))
FROM telemetry.batch_verdicts(:'token') WHERE verdict <> 'accepted' ORDER BY item_index;
SQL
}

send_json() {
    local first second third
    first='{"device_id": "'$device'", "measured_at": "2026-03-01T12:00:00Z", "temperature": 21.5,
        "idempotency_key": "'$device':1", "metrics": {"battery": 3.7}}'
    second='{"device_id": "'$device'", "measured_at": "2026-03-01T12:01:00Z", "temperature": 21.7,
        "idempotency_key": "'$device':2"}'
    third='{"device_id": "'$device'", "temprature": 21.9, "idempotency_key": "'$device':3"}'
    # The text is one variable, and psql quotes it. Without ::json it does as well.
    show_receipt json < <(run -v readings="[$first, $second, $third]" <<'SQL'
SELECT received, accepted, duplicates, conflicts, rejected, token FROM telemetry.ingest_telemetry_batch(:'readings'::json);
SQL
    )
    run -v readings="[$first, $second]" <<'SQL'
SELECT 'text:', duplicates, 'duplicates' FROM telemetry.ingest_telemetry_batch(:'readings');
SQL
}

# A thousand lines as COPY wants them: a tab separates the columns.
lines() {
    local n temperature
    for ((n = 1; n <= 1000; n++)); do
        printf -v temperature '%d.%03d' $((20 + n / 1000)) $((n % 1000))
        if [ $n = 500 ]; then temperature=NaN; fi
        printf '%s\t2026-03-01 13:%02d:%02dZ\t%s\t%s:copy:%s\n' "$device" $((n / 60)) $((n % 60)) "$temperature" "$device" "$n"
    done
}

# The receipt is asked for in the same transaction, because through a pooler the next one may run in another session.
send_copy() {
    show_receipt copy < <(run < <(
        echo 'BEGIN;'
        echo 'COPY telemetry.inbox (device_id, measured_at, temperature, idempotency_key) FROM STDIN;'
        lines
        echo '\.'
        echo 'SELECT received, accepted, duplicates, conflicts, rejected, token FROM telemetry.inbox_receipt();'
        echo 'COMMIT;'
    ))
}

wait_for() {
    run -v token="$1" <<'SQL'
SELECT telemetry.wait_for(:'token') AS waited \gset
SELECT format('waited: %s, %s readings', :'waited', sample_count) FROM telemetry.device_stats WHERE device_id = :'device';
SQL
}

send_one
send_refused
send_json
send_copy
wait_for "$token"
