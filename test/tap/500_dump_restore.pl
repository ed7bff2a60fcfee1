# Acceptance check 16. Dumps are taken under load and restored without a special step, into databases of this server and of
# another server. The launcher there looks often. The copy has everything that the snapshot of the dump shows, and nothing
# writes to it before the first command. Then the copy goes on by itself: nothing is lost, nothing is applied twice, and a
# repeat of a reading from before the dump is a duplicate.
# Begins early.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use TelemetryNode;

my $conf = "telemetry_cqrs.launcher_interval = 100\ntelemetry_cqrs.poll_interval = 10\nmax_worker_processes = 20\nlog_min_messages = log\n";
my $source = telemetry_node('source', preload => 1, conf => $conf);
my $target = telemetry_node('target', preload => 1, conf => $conf);
my $folder = $source->basedir;

# Returns a query that sends readings $first to $last of a series in one call, with regions, metrics, and keys that start with the
# series' name.
sub batch_sql
{
	my ($series, $first, $last) = @_;
	return <<"SQL";
SELECT r.accepted, r.duplicates, r.rejected + r.conflicts FROM (
	SELECT array_agg('$series' || i % 7) AS d, array_agg(timestamptz '2024-05-01 10:00:00+00' + i * interval '1 s') AS m,
	       array_agg(i % 40 + 0.25::float8) AS t, array_agg(i % 90 + 0.5::float8) AS h, array_agg('$series' || i) AS k,
	       array_agg(CASE WHEN i % 3 = 0 THEN jsonb_build_object('light', i) END) AS j, array_agg(CASE WHEN i % 5 <> 0 THEN 'r' || i % 5 END) AS r
	FROM generate_series($first, $last) AS i) AS s, telemetry.ingest_telemetry_batch(d, m, t, h, k, j, r) AS r
SQL
}

# Starts two clients that send readings one by one until load_end.
sub load_start
{
	my ($node, $database) = @_;
	my $script = "$folder/load.sql";
	append_to_file($script, <<'SQL') if !-e $script;
\set d random(1, 20)
SELECT telemetry.ingest_telemetry('load' || :d, NULL, :d + random(), 100 * random(), gen_random_uuid()::text, '{"volt": 3}', 'r' || :d % 4);
SQL
	local %ENV = $node->_get_env();
	my $run = IPC::Run::start([ 'pgbench', '-n', '-c', '2', '-T', '3600', '-f', $script, $database ], '<', '/dev/null', '>', "$folder/load.out", '2>&1');
	local $TelemetryNode::database = $database;
	wait_for($node, "SELECT count(*) > 20 FROM telemetry.measurements WHERE device_id LIKE 'load%'", 'the load to run');
	return $run;
}

sub load_end
{
	my ($node, $run) = @_;
	$run->signal('TERM');
	eval { $run->finish };
	wait_for($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'pgbench'", 'the load to end');
}

# A dump must carry these tables. facts() returns a line for each, with a hash of its rows; $ask is a function that runs SQL.
my @tables = split /\n/, $source->safe_psql('postgres',
	"SELECT c.oid::regclass FROM pg_extension e, unnest(e.extconfig) AS t JOIN pg_class c ON c.oid = t WHERE e.extname = 'telemetry_cqrs' AND c.relkind = 'r' ORDER BY 1");
cmp_ok(scalar @tables, '>=', 12, 'tables to be dumped');

sub facts
{
	my ($ask) = @_;
	return join "\n", map { "$_ " . $ask->("SELECT count(*), md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE \"C\"), '')) FROM $_ AS t") } @tables;
}

my $receipt_sql = "SELECT event_id, status, received_at FROM telemetry.ingest_telemetry('single', '2024-05-01 10:00:00+00', %s, 40, 'key', NULL, 'hall')";
my $single = sprintf $receipt_sql, '21.5';
my $conflict = sprintf $receipt_sql, '99';

# Takes dumps of one snapshot. Returns their files, and the facts that the snapshot shows. With $options{tail} a lock holds up the
# projector meanwhile, so that events wait.
sub dump_database
{
	my ($node, $database, $name, %options) = @_;
	local $TelemetryNode::database = $database;
	my ($holder, $blocker) = (session($node), session($node));
	if ($options{tail})
	{
		$blocker->query_safe('BEGIN; LOCK TABLE telemetry.state_region IN SHARE MODE');
		wait_for($node, "SELECT lag_events >= 50 FROM telemetry.projection_status WHERE projection = 'region'", 'a tail to grow');
	}
	$holder->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
	my %dump = (snapshot => $holder->query_safe('SELECT pg_export_snapshot()'), plain => "$folder/$name.sql", custom => "$folder/$name.dump");
	for my $format (qw(plain custom))
	{
		$node->command_ok([ 'pg_dump', "-F$format", "--snapshot=$dump{snapshot}", '-f', $dump{$format}, '-d', $node->connstr($database) ], "$name: dumped, $format");
	}
	my $ask = sub { $holder->query_safe($_[0]) };
	$dump{facts} = facts($ask);
	$dump{events} = $ask->('SELECT count(*) FROM telemetry.measurements');
	$dump{epochs} = $ask->('SELECT count(DISTINCT epoch) FROM telemetry.epoch');
	$dump{tail} = join "\n", map { "$_|" . ($dump{events} - $ask->("SELECT sum(sample_count) FROM telemetry.${_}_stats")) } qw(device region);
	$dump{receipt} = $ask->("SELECT event_id, 'duplicate', received_at FROM telemetry.event WHERE idempotency_key = 'key'");
	$_->quit foreach $holder, $blocker;
	return %dump;
}

sub restore_custom
{
	my ($node, $database, $dump, @options) = @_;
	return $node->command_ok([ 'pg_restore', '-j2', '--exit-on-error', @options, '-d', $node->connstr($database), $dump->{custom} ], "$database: restored by pg_restore -j2 @options");
}

sub restore_plain
{
	my ($node, $database, $dump) = @_;
	return $node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', $dump->{plain}, '-d', $node->connstr($database) ], "$database: restored by psql");
}

# Tests that the copy has what the dump's snapshot showed, waits for the first command, and goes on from there.
sub copy_goes_on
{
	my ($node, $database, $dump) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	local $TelemetryNode::database = $database;
	my $ask = sub { $node->safe_psql($database, $_[0]) };
	wait_for($node, "SELECT state = 'running' FROM telemetry.worker_status()", "$database: its worker");

	is(facts($ask), $dump->{facts}, "$database: every table is as in the dump, with the worker running");
	is($ask->('SELECT projection, lag_events FROM telemetry.projection_status WHERE projection !~ $$_$$ ORDER BY 1'), $dump->{tail}, "$database: the status counts what waits");
	is($ask->("SELECT stage || ' ' || state FROM telemetry.pipeline_status WHERE stage ~ '^projection [a-z]+\$' ORDER BY 1"),
		join("\n", map { /^(\w+)\|(\d+)$/ ? "projection $1 " . ($2 > 0 ? 'restored' : 'current') : () } split /\n/, $dump->{tail}), "$database: and says why");
	is($ask->("SELECT s.projection, CASE WHEN s.lag_events > 0 THEN s.as_of = c.as_of ELSE s.as_of = now() END FROM telemetry.projection_status s
		CROSS JOIN (SELECT max(as_of) AS as_of FROM telemetry.batcher) AS c WHERE projection !~ '_' ORDER BY 1"),
		"device|t\nregion|t", "$database: as_of is that of the state");
	is($ask->('SELECT last_value >= (SELECT max(event_id) FROM telemetry.event) FROM telemetry.event_id_seq'), 't', "$database: the sequence came along");

	is($ask->(batch_sql('base', 1, 2000)), '0|2000|0', "$database: duplicates of before the dump are duplicates");
	is($ask->($single), $dump->{receipt}, "$database: with the receipt of before");
	my ($out, $err);
	$node->psql($database, "\\set VERBOSITY sqlstate\n$conflict", stdout => \$out, stderr => \$err);
	like($err, qr/TC009/, "$database: conflicts are conflicts");
	is($ask->(batch_sql("new_$database", 1, 300)), '300|0|0', "$database: new readings are stored");
	wait_applied($node, "$database: everything is applied");
	read_models_follow($node, 'telemetry.measurements', $database);
	is($ask->('SELECT count(*), count(DISTINCT event_id) FROM telemetry.event'), join('|', ($dump->{events} + 300) x 2), "$database: no event is missing, no event_id is used twice");
	is($ask->('SELECT count(DISTINCT epoch), count(DISTINCT secret) FROM telemetry.epoch, telemetry.installation'), ($dump->{epochs} + 1) . '|1', "$database: one more epoch, the secret of before");
	wait_for($node, 'SELECT sum(events) = (SELECT count(*) FROM telemetry.event) FROM telemetry.batch', "$database: the batches to follow");
	is($ask->('SELECT count(*) = count(DISTINCT e.id) AND count(*) = (SELECT count(*) FROM telemetry.event), min(batch_id), (SELECT bool_and(last % (1::bigint << 40) = numbers) FROM (SELECT max(batch_id) AS last, count(*) AS numbers FROM telemetry.batch GROUP BY batch_id >> 40) AS r)
		FROM telemetry.batch b, telemetry.read_events(b.batch_id) AS e'), 't|1|t', "$database: the batches hold every event once, of before and after");
}

sub new_database
{
	my ($node, $database) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	return;
}

# --- under load ----------------------------------------------------------------------------------------------------------

is($source->safe_psql('postgres', batch_sql('base', 1, 2000)), '2000|0|0', 'the readings of before');
$source->safe_psql('postgres', "$single; SELECT telemetry.register_device('registered', 'hall', '1 minute'); " . batch_sql('base', 1, 10) =~ s/i % 40/i % 41/r);
$source->safe_psql('postgres', "SELECT telemetry.ingest_telemetry_batch(ARRAY['', 'refused'], NULL, ARRAY[1, 'NaN'::float8], NULL)");
wait_applied($source);
my $load = load_start($source, 'postgres');
my $straggler = session($source);
$straggler->query_safe("BEGIN; SELECT telemetry.ingest_telemetry('straggler', NULL, 1, 1, 'straggler')");
wait_for($source, "SELECT snapshot::text LIKE '%:_%' FROM telemetry.batcher", 'a position beside an open transaction');
my %first = dump_database($source, 'postgres', 'first', tail => 1);
unlike($first{tail}, qr/\|0$/m, 'there is a tail in the dump');
note("events and tail: $first{events}, $first{tail}");
my @copies = ([ $source, 'plain_here' ], [ $source, 'custom_here' ], [ $target, 'plain_there' ], [ $target, 'custom_there' ]);
for my $copy (@copies)
{
	my ($node, $database) = @$copy;
	new_database($node, $database);
	$database =~ /plain/ ? restore_plain($node, $database, \%first) : restore_custom($node, $database, \%first);
}
$straggler->query_safe('COMMIT');
$straggler->quit;
load_end($source, $load);
copy_goes_on(@$_, \%first) foreach @copies;
wait_applied($source);
read_models_follow($source, 'telemetry.measurements', 'the source');

# --- a copy of a copy ----------------------------------------------------------------------------------------------------

$load = load_start($target, 'custom_there');
my %second = dump_database($target, 'custom_there', 'second');
load_end($target, $load);
new_database($source, 'second_generation');
restore_custom($source, 'second_generation', \%second);
copy_goes_on($source, 'second_generation', \%second);
is($source->safe_psql('second_generation', batch_sql('new_custom_there', 1, 300)), '0|300|0', 'second_generation: what the copy was sent are duplicates in its copy');

# --- over an existing database, and beside one ----------------------------------------------------------------------------

restore_custom($target, 'plain_there', \%first, '--clean', '--if-exists');
copy_goes_on($target, 'plain_there', \%first);

# A copy by the server itself: the worker gives way, both go on.
my $events = $target->safe_psql('plain_there', 'SELECT count(*) FROM telemetry.event');
$target->safe_psql('plain_there', batch_sql('just_before', 1, 50));
$target->safe_psql('postgres', 'CREATE DATABASE cloned TEMPLATE plain_there');
for my $database (qw(plain_there cloned))
{
	local $TelemetryNode::database = $database;
	my $added = $database eq 'cloned' ? 200 : 100;
	is($target->safe_psql($database, batch_sql('cloned', 1, $added)), "$added|0|0", "$database: after the cloning it takes readings");
	is($target->safe_psql($database, batch_sql('just_before', 1, 50)), '0|50|0', "$database: and knows those of before");
	wait_applied($target, "$database: everything is applied");
	read_models_follow($target, 'telemetry.measurements', $database);
	is($target->safe_psql($database, 'SELECT count(*), count(DISTINCT event_id) FROM telemetry.event'), join('|', ($events + 50 + $added) x 2), "$database: no event is missing");
	is($target->safe_psql($database, 'SELECT count(DISTINCT epoch) FROM telemetry.epoch'), $first{epochs} + ($database eq 'cloned' ? 2 : 1), "$database: its epochs");
}

# --- parts of a dump -----------------------------------------------------------------------------------------------------

new_database($target, 'schema_only');
restore_custom($target, 'schema_only', \%first, '--schema-only');
is($target->safe_psql('schema_only', 'SELECT DISTINCT state, applied, lag_events FROM telemetry.projection_status'), 'fresh|0|0', 'the schema alone: a fresh installation');
is($target->safe_psql('schema_only', "$single") =~ s/.*\|(accepted)\|.*/$1/r, 'accepted', 'the schema alone: takes readings');

restore_custom($target, $_, \%first, '--data-only', '--single-transaction', '-j1') for map { $target->safe_psql('postgres', "CREATE DATABASE $_"); $target->safe_psql($_, 'CREATE EXTENSION telemetry_cqrs'); $_ } 'data_only';
copy_goes_on($target, 'data_only', \%first);

# The schema by name: its data without the extension. Into an empty database that fails at once.
my ($part) = run_command([ 'pg_dump', '-n', 'telemetry', '-d', $target->connstr('cloned') ]);
unlike($part, qr/CREATE (EXTENSION|SCHEMA|TABLE)/, 'a dump of the schema telemetry makes nothing');
append_to_file("$folder/part.sql", $part);
new_database($target, 'empty');
if ($part =~ /^COPY/m)
{
	$target->command_fails([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$folder/part.sql", '-d', $target->connstr('empty') ], 'and says so when it is restored');
}

# Data that was loaded into a log that had been written to, against all errors: commands and projections refuse to go on.
my ($out, $err);
$target->psql('schema_only', slurp_file($first{plain}) =~ s/^CREATE EXTENSION.*$//mr, on_error_stop => 0, stdout => \$out, stderr => \$err);
like($err, qr/duplicate key/, 'data on top of data: errors');
for my $command ("SELECT telemetry.ingest_telemetry('d', NULL, 1)", 'CALL telemetry.project_once()')
{
	$target->psql('schema_only', "\\set VERBOSITY sqlstate\n$command", stdout => \$out, stderr => \$err);
	like($err, qr/ERROR:  TC202/, "data on top of data: refused from then on: $command");
}
{
	local $TelemetryNode::database = 'schema_only';
	wait_for($target, "SELECT state = 'failing' AND last_error LIKE 'two histories are mixed%' FROM telemetry.worker_status()", 'the worker to say why it waits');
}

# --- roles that may dump --------------------------------------------------------------------------------------------------------

$target->safe_psql('postgres', "CREATE ROLE owner LOGIN; ALTER DATABASE cloned OWNER TO owner; CREATE ROLE backup LOGIN IN ROLE pg_read_all_data");
$target->command_fails_like([ 'pg_dump', '-U', 'owner', '-f', '/dev/null', '-d', $target->connstr('cloned') ], qr/permission denied|may lack SELECT privilege/, 'the owner of the database may not dump what he may not read');
$target->command_ok([ 'pg_dump', '-U', 'backup', '-f', '/dev/null', '-d', $target->connstr('cloned') ], 'a member of pg_read_all_data may');

for my $node ($source, $target)
{
	is(join("\n", grep { /PANIC|was terminated by signal|telemetry_cqrs projector waits/ && !/two histories|locked by another session|goes on/ } split /\n/, slurp_file($node->logfile)),
		'', $node->name . ': nothing unasked in the log');
}
$target->stop;
$source->stop;
done_testing();
