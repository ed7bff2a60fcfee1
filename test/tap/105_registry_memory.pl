# A session remembers the devices that it has seen. A command fails after it has read another session's change of the registry.
# A change that commits later still reaches the session.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

$LastingSession::wanted = 0;

my $node = telemetry_node('memory', preload => 0);
$node->safe_psql('postgres', <<'SQL');
SELECT telemetry.register_device(d) FROM unnest(ARRAY['kept', 'retired', 'other']) AS d;
UPDATE telemetry.device SET status = 'retired' WHERE device_id = 'retired';
-- Waits for a file in the data directory. Waiting for a lock would take in what other sessions changed, and this must not.
CREATE FUNCTION file_comes(name text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    WHILE pg_stat_file(name, true) IS NULL LOOP PERFORM pg_sleep(0.01); END LOOP;
    RETURN true;
END $$;
SQL
my $admin = session($node);
$admin->query_safe('SELECT pg_advisory_lock(2)');

my $sender = psql_start($node, <<'SQL');
\set VERBOSITY sqlstate
SELECT status FROM telemetry.ingest_telemetry('kept', NULL, 1, 1, 'a');
SELECT telemetry.ingest_telemetry_batch(ARRAY['kept', 'retired'], NULL, ARRAY[1, 1], NULL, ARRAY['b', 'q'], NULL, NULL, 'abort')
FROM file_comes('go') AS waited;
SELECT FROM pg_advisory_lock(2);
SELECT status FROM telemetry.ingest_telemetry('kept', NULL, 1, 1, 'a');
SELECT status FROM telemetry.ingest_telemetry('kept', NULL, 1, 1, 'c');
SQL
wait_for($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'", 'the command in its middle');
$admin->query_safe("UPDATE telemetry.device SET attributes = '{}' WHERE device_id = 'other'");
append_to_file($node->data_dir . '/go', '');
wait_for($node, "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 2", 'the command to fail');
$admin->query_safe("UPDATE telemetry.device SET status = 'retired' WHERE device_id = 'kept'");
$admin->query_safe('SELECT pg_advisory_unlock(2)');
my ($answers, $errors) = psql_finish($sender);
is($answers, "accepted\nduplicate\n", 'the first reading is stored, its retry a duplicate, and no other');
is(() = $errors =~ /TC008/g, 2, 'the failed batch and the reading after the retirement are refused');
$admin->quit;
$node->stop;
done_testing();
