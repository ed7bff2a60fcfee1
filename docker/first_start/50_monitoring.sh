#!/usr/bin/env bash
# Makes the roles of Grafana and Prometheus, which may read, and a token with which Prometheus asks for /metrics. docker/entrypoint runs it at
# the first start.
#
#   GRAFANA_DATABASE_PASSWORD    the password of the role grafana; without it the script makes no role and no token
#   PROMETHEUS_TOKEN_FILE        where the token goes; otherwise /var/lib/telemetry_cqrs/telemetry_cqrs_token
set -euo pipefail

if [ -z "${GRAFANA_DATABASE_PASSWORD:-}" ]; then
    echo 'GRAFANA_DATABASE_PASSWORD is not set: there are no roles for Grafana and Prometheus'
    exit 0
fi

# The password comes from the environment, so no list of processes shows it. Grafana writes nothing, whatever somebody types into it.
psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
\getenv password GRAFANA_DATABASE_PASSWORD
CREATE ROLE grafana LOGIN CONNECTION LIMIT 20 PASSWORD :'password';
ALTER ROLE grafana SET default_transaction_read_only = on;
ALTER ROLE grafana SET statement_timeout = '30s';
SELECT telemetry.grant_reader('grafana') \g /dev/null
GRANT SELECT ON telemetry.rejected_readings TO grafana;

-- With the right to health() the metrics have its items.
CREATE ROLE prometheus;
SELECT telemetry.grant_reader('prometheus') \g /dev/null
GRANT EXECUTE ON FUNCTION telemetry.health() TO prometheus;
SQL

# Only the containers that mount the volume of this folder can read the file, and each has another user.
file=${PROMETHEUS_TOKEN_FILE:-/var/lib/telemetry_cqrs/telemetry_cqrs_token}
umask 022
psql -XAtq -v ON_ERROR_STOP=1 -c "SELECT telemetry.create_http_token('prometheus', 'Prometheus', NULL)" >"$file.new"
mv "$file.new" "$file"
