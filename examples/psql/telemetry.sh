#!/usr/bin/env bash
# Sends readings, waits for its own writes and follows events, with psql in a shell script.
#
#     telemetry.sh send DEVICE KEY TEMPERATURE    one reading, then the device's statistics with it
#     telemetry.sh batch DEVICE TEMPERATURE...    many at once; prints what was refused
#     telemetry.sh follow BATCH COUNT             events from that batch on, until COUNT have been seen
#
# Connects by the PG* variables. Values go to the server as psql variables (:'name'), never as text pasted into SQL.
set -euo pipefail
export PGAPPNAME=example_psql

measured_at='2026-03-01 12:00+00' # A real device takes the time of its clock.

# query [-v NAME=VALUE]... runs the SQL from standard input until it succeeds, and prints its rows with spaces between the columns.
# Every reading has a key, so that a repetition stores nothing twice.
#
# - psql ends with 2 when the connection is lost. This leaves open whether the server has stored the reading; if it has, the answer to
#   the repetition is "duplicate".
# - 40001 and 40P01 say that the server has undone the transaction because of another one.
# - TC101 says that another session is storing the key just now.
# For any other error query returns 1.
query() {
    local sql status state pause=0.1 errors
    sql=$(cat)
    while true; do
        status=0
        { errors=$(psql -XqAt -F ' ' -v ON_ERROR_STOP=1 -v VERBOSITY=sqlstate "$@" <<<"$sql" 2>&1 >&3) || status=$?; } 3>&1
        if [ $status = 0 ]; then return; fi
        state=$(sed -n 's/.*\(ERROR\|FATAL\): *\([0-9A-Z]\{5\}\)$/\2/p' <<<"$errors" | tail -n 1)
        case $status/$state in
            2/*) printf 'again after: connection lost\n%s\n' "$errors" >&2 ;;
            */08??? | */57P* | */53300 | */40001 | */40P01 | */TC101) printf 'again after: %s\n%s\n' "$state" "$errors" >&2 ;;
            *) # A refused reading stays refused, however often it is sent.
                printf '%s\n' "$errors" >&2
                return 1
                ;;
        esac
        sleep $pause
        pause=2
    done
}

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

send() {
    local event status token
    read -r event status token < <(query -v device="$1" -v key="$2" -v temperature="$3" -v at="$measured_at" <<'SQL'
SELECT event_id, status, token FROM telemetry.ingest_telemetry(:'device', :'at', :'temperature', NULL, :'key');
SQL
    ) || fail 'the reading was refused'
    # The statistics follow within milliseconds. A client that wants its own reading in them waits for the token.
    query -v device="$1" -v event="$event" -v status="$status" -v token="$token" <<'SQL'
SELECT telemetry.wait_for(:'token') AS waited \gset
-- Nothing, where the wait was in vain.
SELECT format('event %s %s, %s: %s readings, average %s', :'event', :'status', :'waited', coalesce(s.sample_count, 0), s.avg_temperature)
FROM (SELECT) AS here LEFT JOIN telemetry.device_stats AS s ON s.device_id = :'device';
SQL
}

batch() {
    local device=$1
    shift
    # The temperatures go as an array, and the server makes the other columns of it.
    query -v device="$device" -v temperatures="{$(IFS=,; printf '%s' "$*")}" -v at="$measured_at" <<'SQL'
SELECT format('received %s accepted %s duplicates %s conflicts %s rejected %s', received, accepted, duplicates, conflicts, rejected)
FROM (
    SELECT array_agg(:'device'::text ORDER BY n) AS devices, array_agg(:'at'::timestamptz ORDER BY n) AS times,
           array_agg(t ORDER BY n) AS temperatures, array_agg(NULL::float8) AS humidities,
           array_agg(format('%s:%s', :'device', n) ORDER BY n) AS keys
    FROM unnest(:'temperatures'::float8[]) WITH ORDINALITY AS r (t, n)) AS r,
    LATERAL telemetry.ingest_telemetry_batch(devices, times, temperatures, humidities, keys);

SELECT 'refused', payload->>'idempotency_key', sqlstate FROM telemetry.rejected_readings
WHERE payload->>'device_id' = :'device' ORDER BY rejected_id;
SQL
}

# psql shows notifications only when it runs something, so the script looks once a second. It reads the batches by their numbers, so it
# misses nothing that happened while it was away. Keep the number of the next batch where you keep the effects of the events.
# follow_from() raises TC203 when telemetry_cqrs.batch_retention has passed a number, or when the number is of another history of the
# log. Then start over from the statistics or from telemetry.events.
follow() {
    local next=$1 wanted=$2 seen=0 events batch id device key
    while [ $seen -lt "$wanted" ]; do
        events=$(query -v batch="$next" <<'SQL'
SELECT b.batch_id, e.id, e.aggregateid, e.payload->>'idempotency_key'
FROM (SELECT batch_id FROM telemetry.batch WHERE batch_id >= telemetry.follow_from(:'batch') ORDER BY batch_id LIMIT 10) AS b,
    LATERAL telemetry.read_events(b.batch_id) AS e
ORDER BY b.batch_id;
SQL
        )
        if [ -z "$events" ]; then
            sleep 1
            continue
        fi
        while read -r batch id device key; do
            printf 'event %s %s %s\n' "$id" "$device" "$key"
            seen=$((seen + 1)) next=$((batch + 1))
        done <<<"$events"
    done
}

case ${1:-}/$# in
    send/4) send "$2" "$3" "$4" ;;
    batch/[3-9] | batch/??*) batch "${@:2}" ;;
    follow/3) follow "$2" "$3" ;;
    *) fail 'telemetry.sh send DEVICE KEY TEMPERATURE | batch DEVICE TEMPERATURE... | follow BATCH COUNT' ;;
esac
