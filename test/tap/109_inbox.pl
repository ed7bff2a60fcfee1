# The inboxes by COPY, also in the binary format: what a cancel, a statement_timeout, the end of a session and a prepared transaction
# leave behind, two sessions that copy the same rows, roles, dumps, and servers without preloading.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

local $LastingSession::wanted = 0;
my $node = telemetry_node('inbox', preload => 1);
my $folder = PostgreSQL::Test::Utils::tempdir;
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };
my $receipt = "SELECT concat_ws(' ', r.received, r.accepted, r.duplicates, r.conflicts, r.rejected) FROM telemetry.inbox_receipt() AS r";
my $rows = sub {
	my ($device, $order) = @_;
	return "SELECT '$device', timestamptz '2024-05-01 10:00:00+00' + i * interval '1 second', (i + 0.1)::float8, NULL::float8, 'k' || i, jsonb_build_object('light', i), NULL::text FROM generate_series(1, 25000) AS i ORDER BY $order";
};

# --- binary -----------------------------------------------------------------------------------------------------------

$ask->("COPY (@{[$rows->('binary', 'i')]}) TO '$folder/binary' (FORMAT binary)");
$ask->("COPY (SELECT 'binary', NULL::text, '7.5'::text) TO '$folder/binary_text' (FORMAT binary)");
is($ask->("COPY telemetry.inbox FROM '$folder/binary' (FORMAT binary); $receipt"), '25000 25000 0 0 0', 'a binary COPY');
is($ask->("COPY telemetry.inbox FROM '$folder/binary' (FORMAT binary); $receipt"), '25000 0 25000 0 0', 'and the same once more');
is($ask->(<<"SQL"), '25000|0', 'the log has the rows as they were sent');
SELECT count(*), count(*) FILTER (WHERE (m.measured_at, m.temperature, m.humidity, m.metrics, m.region) IS DISTINCT FROM (s.measured_at, s.temperature, s.humidity, s.metrics, s.region))
FROM telemetry.measurements AS m FULL JOIN (@{[$rows->('binary', 'i')]}) AS s (device_id, measured_at, temperature, humidity, idempotency_key, metrics, region) USING (device_id, idempotency_key)
SQL
is($ask->("COPY telemetry.inbox_text (device_id, humidity, temperature) FROM '$folder/binary_text' (FORMAT binary); $receipt"), '1 1 0 0 0', 'a binary COPY of texts');
is($ask->("\\copy telemetry.inbox from '$folder/binary' (format binary)\n$receipt"), '25000 0 25000 0 0', 'by way of the client');

# --- what ends a COPY in the middle -----------------------------------------------------------------------------------

my $contexts = "SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'telemetry_cqrs inbox'";
my $stored = "SELECT count(*) FROM telemetry.measurements WHERE device_id";
my $copying = "SELECT count(*) = 1 FROM pg_stat_progress_copy WHERE tuples_processed > 15000 AND relid = 'telemetry.inbox'::regclass";
# A COPY from a pipe that stays open waits for rows, when it has stored a portion and holds rows in its buffer.
my $begin_copy = sub {
	my ($session, $name, $column) = @_;
	my $pipe = "$folder/$name";
	system_or_bail('mkfifo', '-m', '666', $pipe);
	$session->query_until(qr/begun/, "\\echo begun\nCOPY telemetry.inbox (device_id, idempotency_key) FROM '$pipe';\n");
	open my $feed, '>', $pipe or die "$pipe: $!";
	$feed->autoflush(1);
	print $feed "$name\tk$_\n" for 1 .. 20000;
	wait_for($node, $copying, 'the COPY to be in the middle');
	return $feed;
};
# The server looks for a cancel between rows. So rows go on until it has come.
my $feed_until = sub {
	my ($feed, $name, $condition) = @_;
	local $SIG{PIPE} = 'IGNORE';
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
	my $n = 20000;
	do { print $feed "$name\tk", $n++, "\n" for 1 .. 500 } until $ask->("SELECT $condition") eq 't' || time > $deadline;
	close $feed;
	is($ask->("SELECT $condition"), 't', "$name: the COPY has ended");
};
my $usable = sub {
	my ($session, $name) = @_;
	$session->query('SELECT 1');
	$session->{stderr} = '';    # the error that ended the COPY
	is($session->query_safe($contexts), '0', "$name: the memory is gone");
	is($session->query_safe("$stored = '$name'"), '0', "$name: nothing is stored");
	is($session->query_safe("INSERT INTO telemetry.inbox (device_id, idempotency_key) VALUES ('$name', 'k1'), ('$name', 'k2'); $receipt"), '2 2 0 0 0', "$name: the session goes on");
};
{
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->set_query_timer_restart();
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	my $feed = $begin_copy->($session, 'cancelled');
	is($ask->("$stored = 'cancelled'"), '0', 'nobody sees a portion before its statement has ended');
	$ask->("SELECT pg_cancel_backend($pid)");
	$feed_until->($feed, 'cancelled', "(SELECT state = 'idle' FROM pg_stat_activity WHERE pid = $pid)");
	$usable->($session, 'cancelled');

	# inside a transaction with an earlier statement and a savepoint
	$session->query_safe("BEGIN; INSERT INTO telemetry.inbox (device_id, idempotency_key) VALUES ('kept', 'k1'); SAVEPOINT s");
	$feed = $begin_copy->($session, 'in_a_savepoint');
	$ask->("SELECT pg_cancel_backend($pid)");
	$feed_until->($feed, 'in_a_savepoint', "(SELECT state LIKE 'idle in transaction (aborted)' FROM pg_stat_activity WHERE pid = $pid)");
	$session->query('ROLLBACK TO s');
	$session->{stderr} = '';
	is($session->query_safe($contexts), '0', 'after ROLLBACK TO: the memory is gone');
	is($session->query_safe($receipt), '1 1 0 0 0', 'the receipt is that of the earlier statement');
	is($session->query_safe("COMMIT; $stored = 'kept'"), '1', 'which is stored');
	$usable->($session, 'in_a_savepoint');

	$session->query_safe("SET statement_timeout = '3s'");
	$feed = $begin_copy->($session, 'timed_out');
	$feed_until->($feed, 'timed_out', "(SELECT state = 'idle' FROM pg_stat_activity WHERE pid = $pid)");
	$session->query('RESET statement_timeout');
	$usable->($session, 'timed_out');

	$feed = $begin_copy->($session, 'terminated');
	$ask->("SELECT pg_terminate_backend($pid)");
	$feed_until->($feed, 'terminated', "(SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid)");
	is($ask->("$stored = 'terminated'"), '0', 'terminated: nothing is stored');
	eval { $session->quit };
}

# --- prepared transactions --------------------------------------------------------------------------------------------

foreach my $ending ('COMMIT', 'ROLLBACK')
{
	my $session = session($node);
	$session->query_safe("BEGIN; INSERT INTO telemetry.inbox (device_id, idempotency_key) SELECT 'prepared $ending', 'k' || i FROM generate_series(1, 12000) AS i; PREPARE TRANSACTION 'p'");
	is($session->query_safe($contexts), '0', 'PREPARE TRANSACTION leaves no memory of an inbox');
	is($session->query_safe('SELECT telemetry.inbox_receipt() IS NULL'), 't', 'nor a receipt: the transaction may still be rolled back');
	is($session->query_safe("INSERT INTO telemetry.inbox (device_id, idempotency_key) VALUES ('beside $ending', 'k1'); $receipt"), '1 1 0 0 0', 'the session goes on');
	$session->query_safe("$ending PREPARED 'p'");
	is($ask->("$stored = 'prepared $ending'"), $ending eq 'COMMIT' ? '12000' : '0', "$ending PREPARED");
	$session->quit;
}

# --- the same rows from two sessions ----------------------------------------------------------------------------------

# Within a portion the order of the rows does not matter. So two COPYs of one portion each meet without a deadlock.
$ask->("COPY (SELECT * FROM (@{[$rows->('crossing', 'i')]}) AS r LIMIT 10000) TO '$folder/up'; COPY (SELECT * FROM (@{[$rows->('crossing', 'i')]} LIMIT 10000) AS r ORDER BY 2 DESC) TO '$folder/down'");
my $copies = 6;
my @sessions = map { psql_start($node, "SELECT 1;\n" . "COPY telemetry.inbox FROM '$folder/$_'; $receipt;\n" x $copies) } qw(up down);
my @answers = map { [ psql_finish($_) ] } @sessions;
is($_->[1], '', 'no session has an error') foreach @answers;
my @counts = map { [ split / / ] } grep { / / } map { split /\n/, $_->[0] } @answers;
is(scalar @counts, 2 * $copies, 'every COPY has its receipt');
is((grep { $_->[0] != 10000 || $_->[1] + $_->[2] != 10000 } @counts), 0, 'each is stored or a duplicate');
my $accepted = 0;
$accepted += $_->[1] foreach @counts;
is($accepted, 10000, 'all of them together store each row once');
is($ask->("$stored = 'crossing'"), '10000', 'and the log says so too');
is($ask->('SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()'), '0', 'no deadlock');

# Statements of several portions can meet in a deadlock. Then one of them has stored nothing, and its retry brings what is missing.
$ask->("COPY (@{[$rows->('longer', 'i')]}) TO '$folder/up'; COPY (@{[$rows->('longer', 'i DESC')]}) TO '$folder/down'");
@answers = map { [ psql_finish($_) ] } map { psql_start($node, "\\set VERBOSITY sqlstate\nCOPY telemetry.inbox FROM '$folder/$_'; SELECT 'ended'; $receipt;\n") } qw(up down);
cmp_ok((grep { $_->[1] =~ /40P01/ } @answers), '<=', 1, 'longer COPYs: at most one is the victim of a deadlock');
is((grep { $_->[1] !~ /^(?:psql:\S+ ERROR:  40P01\s*)?$/ } @answers), 0, 'and no other error comes');
is($ask->("COPY telemetry.inbox FROM '$folder/down'; $receipt"), '25000 0 25000 0 0', 'everything is stored');
is($ask->("$stored = 'longer'"), '25000', 'once');

# --- roles ------------------------------------------------------------------------------------------------------------

$ask->("CREATE ROLE writer LOGIN; CREATE ROLE reader LOGIN; CREATE ROLE nobody LOGIN; SELECT telemetry.grant_writer('writer'), telemetry.grant_reader('reader')");
is($ask->("SET SESSION AUTHORIZATION writer; INSERT INTO telemetry.inbox (device_id, temperature) VALUES ('by_writer', 1), ('by_writer', 'NaN'); $receipt"), '2 1 0 0 1', 'a writer may INSERT');
is($ask->("SET SESSION AUTHORIZATION writer;\nCOPY telemetry.inbox_text (device_id, temperature) FROM stdin;\nby_writer\t2\nby_writer\twarm\n\\.\n$receipt"), '2 1 0 0 1', 'a writer may COPY');
is($ask->("SELECT sender FROM telemetry.batch_verdict ORDER BY received_at DESC LIMIT 1"), 'writer', 'the account names the sender');
foreach my $role ('reader', 'nobody')
{
	foreach my $statement ("INSERT INTO telemetry.inbox (device_id) VALUES ('by_reader')", "INSERT INTO telemetry.inbox_text (device_id) VALUES ('by_reader')",
		"COPY telemetry.inbox (device_id) FROM '/dev/null'", "COPY telemetry.inbox (device_id) FROM stdin;\nby_reader\n\\.\n")
	{
		my (undef, undef, $err) = $node->psql('postgres', "\\set VERBOSITY sqlstate\nSET SESSION AUTHORIZATION $role;\n$statement", on_error_stop => 0);
		like($err, qr/ERROR:  42501/, "$role may not: " . substr($statement, 0, 30));
	}
}
is($ask->("$stored = 'by_reader'"), '0', 'and stored nothing');

# --- dumps ------------------------------------------------------------------------------------------------------------

foreach my $options ([], ['--schema-only'], [ '--schema-only', '--binary-upgrade' ])
{
	my ($dump) = run_command([ 'pg_dump', @$options, $node->connstr('postgres') ]);
	unlike($dump, qr/TRIGGER (?:begin_intake|take_row|end_intake)/, "pg_dump @$options: the triggers of the views are members of the extension") if "@$options" !~ /binary/;
	unlike($dump, qr/ENABLE (?:REPLICA |ALWAYS )?TRIGGER \w*(?:intake|take_row)/, "pg_dump @$options: no ALTER TABLE for a trigger of a view, which pg_restore could not run");
	next if "@$options" =~ /binary/;
	$node->safe_psql('postgres', 'CREATE DATABASE restored');
	my $file = "$folder/dump.sql";
	append_to_file($file, $dump);
	command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'), '-f', $file ], "pg_dump @$options: restored");
	is($node->safe_psql('restored', "SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('telemetry.inbox'::regclass, 'telemetry.inbox_text'::regclass)"), '6', 'the triggers are there');
	is($node->safe_psql('restored', "INSERT INTO telemetry.inbox (device_id, idempotency_key) VALUES ('binary', 'k1'), ('binary', 'k0'); $receipt"), @$options ? '2 2 0 0 0' : '2 1 0 1 0', 'the inbox takes readings, and knows those of the dump');
	$node->safe_psql('postgres', 'DROP DATABASE restored WITH (FORCE)');
	unlink $file;
}
is($ask->('SELECT received = accepted + duplicates + conflicts + rejected + rolled_back AND rolled_back >= 40000 FROM telemetry.stat_ingest'), 't', 'every reading is accounted for');
$node->stop;

# --- without preloading -----------------------------------------------------------------------------------------------

$node = telemetry_node('inbox_loaded', preload => 0);
is($ask->("COPY telemetry.inbox FROM '$folder/binary' (FORMAT binary); $receipt"), '25000 25000 0 0 0', 'a server that has not preloaded the library');
is($ask->("INSERT INTO telemetry.inbox_text (device_id, temperature) VALUES ('loaded', 'warm'); $receipt"), '1 0 0 0 1', 'texts too');
is($ask->($receipt), '', 'a new session has no receipt');
my (undef, undef, $err) = $node->psql('postgres', "SELECT telemetry.library_version(); SET session_replication_role = replica; INSERT INTO telemetry.inbox (device_id) VALUES ('d')", on_error_stop => 0);
like($err, qr/takes nothing in this session/, 'a session that has loaded the library refuses what would be lost');
$node->stop;
done_testing();
