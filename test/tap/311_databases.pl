# Acceptance checks 10, 11 and the second half of 14. A statement from a database without the extension drops, renames, moves or
# copies a database with a busy worker. It succeeds in time. If it fails, the worker comes back and goes on. Unrelated databases
# come and go in the middle of a backlog and of a rebuild, and no process of the extension keeps these statements waiting.
# Runs late: the time that statements take is bounded.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../support";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ServerLog;
use TelemetryNode;
use Test::More;
use Time::HiRes qw(time usleep);

$LastingSession::wanted = 0;

my $node = telemetry_node('databases', preload => 1, conf => $ServerLog::conf . "telemetry_cqrs.launcher_interval = 300ms\nautovacuum = off\n");
my $backlog = 200_000;

sub in_database { my ($database, $sql) = @_; return $node->safe_psql($database, $sql); }
sub refusal
{
	my ($database, $sql) = @_;
	my ($status, $out, $err) = $node->psql($database, $sql, extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);
	return join ' ', $err =~ /ERROR:  (\w{5})/g;
}
# Tests that a statement succeeds, and takes less than three times $seconds by the clock of its own session.
sub takes_less_than
{
	my ($seconds, $database, $sql, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($status, $out, $err) = $node->psql($database, "\\timing on\n$sql");
	my ($milliseconds) = ($out // '') =~ /Time: ([0-9.]+) ms/;
	return fail("$what: $err") if $status != 0 || !defined $milliseconds;
	note(sprintf '%.0f ms: %s', $milliseconds, $sql);
	return cmp_ok($milliseconds, '<', 3000 * $seconds, $what);
}
# Tests that soon exactly these databases have a worker, one each.
sub workers_are
{
	my ($what, @databases) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $expected = join ',', sort @databases;
	return ok(wait_for($node, "SELECT coalesce(string_agg(datname, ',' ORDER BY datname COLLATE \"C\"), '') = '$expected' FROM pg_stat_activity
	                           WHERE backend_type = 'telemetry_cqrs projector'", $what, 60), $what);
}
my $send = "SELECT telemetry.ingest_telemetry_batch(array_agg('d' || i % 1000), array_agg('2024-05-01'::timestamptz + i * interval '1 ms'), array_agg(i % 50.0), array_agg(i % 90.0))
            FROM generate_series(%d, %d) AS i";
sub store { my ($database, $first, $count) = @_; return in_database($database, sprintf $send, $first, $first + $count - 1); }
my $applied = 'SELECT coalesce(sum(sample_count), 0) FROM telemetry.device_stats';
sub all_applied
{
	my ($database, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
	my $answer = '';
	while (time < $deadline)
	{
		$answer = eval { in_database($database, "SELECT count(*) > 0 AND count(*) = ($applied) FROM telemetry.measurements") } // '';
		return pass($what) if $answer eq 't';
		usleep(50_000);
	}
	return fail($what);
}

# --- three databases, and one made from a template ---------------------------------------------------------------------------

in_database('postgres', 'CREATE DATABASE without');
in_database('postgres', "CREATE DATABASE $_") foreach qw(north south);
in_database($_, 'CREATE EXTENSION telemetry_cqrs') foreach qw(north south);
workers_are('three databases with the extension, three workers', qw(postgres north south));
my $from = log_end($node);

# --- a database as a whole, while its worker works ---------------------------------------------------------------------------

# Each time with readings that are not applied yet: the worker is in the middle of them.
my $first = 1;
sub load { store($_[0], $first, 20_000); $first += 20_000; return; }

load('north');
takes_less_than(2, 'without', 'CREATE DATABASE copy TEMPLATE north', 'CREATE DATABASE .. TEMPLATE while its worker works');
workers_are('the copy has a worker of its own, and the original has one again', qw(postgres north south copy));
load('copy');
all_applied('copy', 'the copy applies what is sent to it');
load('north');
takes_less_than(2, 'without', 'ALTER DATABASE north RENAME TO west', 'RENAME while its worker works');
workers_are('it has a worker under its new name', qw(postgres west south copy));

mkdir $node->basedir . '/space' or die $!;
in_database('without', "CREATE TABLESPACE space LOCATION '" . $node->basedir . "/space'");
load('west');
takes_less_than(2, 'without', 'ALTER DATABASE west SET TABLESPACE space', 'SET TABLESPACE while its worker works');
workers_are('it has a worker at its new place', qw(postgres west south copy));
load('west');
all_applied('west', 'moved and renamed: nothing is missing');
is(in_database('west', 'SELECT count(*) FROM telemetry.device_stats d JOIN (SELECT device_id, count(*) AS n FROM telemetry.measurements GROUP BY 1) AS m USING (device_id) WHERE d.sample_count = m.n'), '1000',
	'and nothing is there twice');

load('copy');
takes_less_than(2, 'without', 'DROP DATABASE copy', 'DROP DATABASE while its worker works');
load('west');
takes_less_than(2, 'without', 'DROP DATABASE west WITH (FORCE)', 'DROP DATABASE WITH (FORCE) while its worker works');
workers_are('and their workers are gone with them', qw(postgres south));
in_database('without', 'DROP TABLESPACE space');
nothing_repeats($node, $from, 'databases changed as a whole', most => 2);

# --- a command that fails changes nothing, and the worker is back -------------------------------------------------------------------

$from = log_end($node);
in_database('postgres', 'CREATE ROLE stranger LOGIN');
my $worker = in_database('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector' AND datname = 'south'");
is(refusal('without', "SET ROLE stranger;\nDROP DATABASE south;"), '42501', 'DROP DATABASE without rights fails');
is(refusal('without', "SET ROLE stranger;\nALTER DATABASE south RENAME TO mine;"), '42501', 'RENAME too');
is(refusal('without', "BEGIN;\nDROP DATABASE south;"), '25001', 'DROP DATABASE in a transaction block fails');
is(refusal('without', 'DROP DATABASE nowhere'), '3D000', 'that of a database that is not there too');
is(refusal('without', 'DROP DATABASE IF EXISTS nowhere'), '', 'and with IF EXISTS it does nothing');
workers_are('the workers are there', qw(postgres south));

my $guest = $node->background_psql('south');
is(refusal('without', 'DROP DATABASE south'), '55006', 'DROP DATABASE fails while another session is connected');
workers_are('and the worker is back', qw(postgres south));
is(refusal('without', 'ALTER DATABASE south RENAME TO elsewhere'), '55006', 'so does RENAME');
workers_are('and the worker is back again', qw(postgres south));
$guest->quit;
load('south');
all_applied('south', 'and goes on');
nothing_repeats($node, $from, 'failed attempts');

# --- databases of others, in the midst of a backlog --------------------------------------------------------------------------

$from = log_end($node);
in_database('postgres', "ALTER TABLE telemetry.state_device RENAME TO hidden");    # so that a backlog gathers
foreach my $part (0 .. $backlog / 20_000 - 1) { store('postgres', $part * 20_000 + 1, 20_000) }
in_database('postgres', "ALTER TABLE telemetry.hidden RENAME TO state_device");
my ($during, $deadline) = (0, time + $PostgreSQL::Test::Utils::timeout_default);
is(in_database('postgres', $applied), '0', 'there is a backlog');
for (my $now = 0; $now < $backlog && time < $deadline;)
{
	takes_less_than(1, 'without', 'CREATE DATABASE passing', 'unrelated CREATE DATABASE during a backlog');
	takes_less_than(1, 'without', 'DROP DATABASE passing', 'unrelated DROP DATABASE during a backlog');
	$during++ if in_database('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector' AND datname = 'postgres' AND state = 'active'");
	$now = in_database('postgres', $applied);
}
note("$during times the worker was seen at work");
wait_applied($node, 'the backlog to be applied');
read_models_follow($node, 'telemetry.measurements', 'after the backlog');

# --- and in the midst of a rebuild --------------------------------------------------------------------------------------------

in_database('postgres', 'SELECT telemetry.rebuild_projection(projection) FROM telemetry.projection');
my $rebuilds = "SELECT count(*) FROM telemetry.cursor WHERE purpose = 'rebuild'";
my $seen = 0;
do
{
	$seen++ if in_database('postgres', $rebuilds) > 0;
	takes_less_than(1, 'without', 'CREATE DATABASE passing', 'unrelated CREATE DATABASE during a rebuild');
	takes_less_than(1, 'without', 'DROP DATABASE passing', 'unrelated DROP DATABASE during a rebuild');
} while (in_database('postgres', $rebuilds) > 0 && time < $deadline + $PostgreSQL::Test::Utils::timeout_default);
cmp_ok($seen, '>', 0, "$seen times a rebuild was under way");
is(in_database('postgres', $rebuilds), '0', 'the rebuilds end');
read_models_follow($node, 'telemetry.measurements', 'after the rebuild');
nothing_repeats($node, $from, 'databases of others');
$node->stop;

done_testing();
