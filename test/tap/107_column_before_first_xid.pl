# A DBA added a column to telemetry.epoch under version 1.0. It stands where a fresh installation has first_xid, and the update
# adds first_xid after it. The library does not confuse the two.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('column');
$node->safe_psql('postgres', <<'SQL');
ALTER TABLE telemetry.epoch ALTER first_xid TYPE text USING NULL;
ALTER TABLE telemetry.epoch RENAME first_xid TO dba;
ALTER TABLE telemetry.epoch ALTER dba SET DEFAULT 'a note';
ALTER TABLE telemetry.epoch ADD COLUMN first_xid xid8;
SQL
$node->safe_psql('postgres', "SELECT telemetry.ingest_telemetry('d', NULL, $_)") foreach 1, 2;
$node->safe_psql('postgres', 'CALL telemetry.project_once()');
is($node->safe_psql('postgres', 'SELECT dba, first_xid <= opened_xid FROM telemetry.epoch'), 'a note|t', 'the epoch says where it begins');
is($node->safe_psql('postgres', 'SELECT sum(events) FROM telemetry.batch'), '2', 'the readings are in batches');
read_models_follow($node, 'telemetry.measurements', 'applied');
$node->stop;
done_testing();
