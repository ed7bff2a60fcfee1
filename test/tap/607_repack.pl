# pg_repack rewrites tables of the extension under load, with a row trigger that logs concurrent writes. In the end the log and
# the statistics agree, and nothing is missing in the registry and in the quarantine.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../support";
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;
use Time::HiRes qw(time);

my $node = telemetry_node('repack', preload => 1, conf => "max_wal_size = 2GB\n");
my ($repack) = grep { -x } map { "$_/pg_repack" } split(/:/, $ENV{PATH});
my ($out, $err) = ('', '');
if (!defined $repack || $node->psql('postgres', 'CREATE EXTENSION pg_repack', stderr => \$err) != 0)
{
	diag("SKIPPED: pg_repack is not installed (Debian: postgresql-NN-repack): nothing was tested with it. $err");
	$node->stop;
	plan skip_all => 'pg_repack is not installed';
}

# Runs pg_repack on one table, and waits for its end. Returns whether it succeeded.
sub repack
{
	my ($table) = @_;
	my $output = '';
	local %ENV = $node->_get_env();
	my $ended = IPC::Run::run([ $repack, '--no-superuser-check', '--no-kill-backend', '--wait-timeout=30', '-d', 'postgres', '-t', $table ], '<', '/dev/null', '&>', \$output);
	note("$table: $output");
	return $ended;
}

# Three clients send readings of known and new devices, and some that are refused, until the file is there.
my $stop = PostgreSQL::Test::Utils::tempdir . '/stop';
$node->safe_psql('postgres', <<"SQL");
CREATE TABLE sent (device_id text, idempotency_key text);
CREATE TABLE refused (device_id text);
CREATE PROCEDURE load(client integer) LANGUAGE plpgsql AS \$\$
DECLARE answer record;
BEGIN
    FOR round IN 1 .. 100000 LOOP
        EXIT WHEN (pg_stat_file('$stop', true)).size IS NOT NULL;
        PERFORM pg_sleep(0.05);
        SELECT array_agg(format('d%s', i)) AS devices, array_agg(format('%s-%s-%s', client, round, i)) AS keys INTO answer FROM generate_series(1, 20) AS i;
        PERFORM telemetry.ingest_telemetry_batch(
            answer.devices || format('new %s %s', client, round) || format('refused %s %s', client, round),
            array_fill(now(), ARRAY[22]), array_fill(round::float8, ARRAY[21]) || 'NaN'::float8, array_fill(50::float8, ARRAY[22]),
            answer.keys || format('%s-%s-new', client, round) || format('%s-%s-refused', client, round),
            array_fill('{"light": 1}'::jsonb, ARRAY[22]), array_fill('region ' || round % 5, ARRAY[22]));
        INSERT INTO sent SELECT * FROM unnest(answer.devices || format('new %s %s', client, round), answer.keys || format('%s-%s-new', client, round));
        INSERT INTO refused VALUES (format('refused %s %s', client, round));
        COMMIT;
    END LOOP;
END \$\$;
SQL
my @clients = map { psql_start($node, "CALL load($_);") } 1 .. 3;
ok(wait_for($node, 'SELECT count(*) > 1000 FROM sent', 'load'), 'under load');

my %ended;
for my $table (qw(device rejected_readings state_device state_region batch batcher cursor))
{
	$ended{$table} = repack("telemetry.$table");
	pass("$table: " . ($ended{$table} ? 'rewritten' : 'left as it was'));
	# A failed attempt leaves objects. The documentation of pg_repack says to drop these.
	if (!$ended{$table})
	{
		$node->safe_psql('postgres', 'DROP EXTENSION pg_repack CASCADE; CREATE EXTENSION pg_repack');
		$node->safe_psql('postgres', "DROP TRIGGER IF EXISTS repack_trigger ON telemetry.$table");
	}
}
is(join(', ', grep { !$ended{$_} } qw(device rejected_readings)), '', 'the registry and the quarantine were rewritten under load');

# While a long repack runs, its trigger stays, and the projector waits and says why.
$node->safe_psql('postgres', 'CREATE FUNCTION repack_stub() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$');
$node->safe_psql('postgres', 'CREATE TRIGGER repack_trigger AFTER INSERT OR DELETE OR UPDATE ON telemetry.state_device FOR EACH ROW EXECUTE FUNCTION repack_stub(); ALTER TABLE telemetry.state_device ENABLE ALWAYS TRIGGER repack_trigger');
ok(wait_for($node, q{SELECT failures > 0 AND sqlstate = 'TC204' FROM telemetry.projection_failure WHERE projection = 'device'}, 'the projector'), 'the projector waits while the trigger is there');
like($node->safe_psql('postgres', "SELECT detail FROM telemetry.health() WHERE item = 'tables'"), qr/trigger "repack_trigger" on telemetry\.state_device/, 'health() names it');
$node->safe_psql('postgres', 'DROP TRIGGER repack_trigger ON telemetry.state_device');

append_to_file($stop, '');
for my $client (@clients)
{
	($out, $err) = psql_finish($client);
	is($err, '', 'every command was answered');
}
wait_applied($node);
is($node->safe_psql('postgres', q{SELECT count(*) FROM telemetry.table_obstacles()}), '0', 'nothing is left on the tables');
log_is($node, 'sent', 'after pg_repack');
read_models_follow($node, 'telemetry.measurements', 'after pg_repack');
is($node->safe_psql('postgres', q{SELECT count(*) FROM (SELECT DISTINCT device_id FROM sent) AS s FULL JOIN telemetry.device d USING (device_id) WHERE s.device_id IS NULL OR d.device_id IS NULL}),
	'0', 'the registry holds every device');
is($node->safe_psql('postgres', q{SELECT count(*) FROM refused r FULL JOIN telemetry.rejected_readings q ON q.payload->>'device_id' = r.device_id WHERE r.device_id IS NULL OR q.rejected_id IS NULL}),
	'0', 'the quarantine holds every refused reading');
is($node->safe_psql('postgres', q{SELECT count(*) = max(batch_id) AND sum(events) = (SELECT count(*) FROM telemetry.measurements) FROM telemetry.batch}), 't', 'the batches are complete');
$node->stop;

done_testing();
