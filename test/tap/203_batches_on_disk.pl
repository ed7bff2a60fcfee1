# A batch that a reader could see survives a crash, with its number and its events. This holds for each way to see it (the
# table, read_events), for each process that applied it, and with and without a notification. Only the projector flushes in this
# test: writers and readers do not wait for the disk, and the WAL writer sleeps.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;
use Time::HiRes qw(time);

my $node = telemetry_node('disk', preload => 1, conf => "synchronous_commit = off\nwal_writer_delay = 10s\nautovacuum = off\n");

# Gives number and events of the newest batches, the newest first.
my $batches = 'SELECT b.batch_id, (SELECT string_agg(e.id::text, \',\' ORDER BY e.id) FROM telemetry.read_events(b.batch_id) AS e) FROM telemetry.batch b ORDER BY 1 DESC LIMIT 4';

# Sends single readings from several sessions, until the reader has seen new batches $looks times. Then the server crashes and
# starts again. Returns the batches that the reader has seen.
sub seen_before_crash
{
	my ($looks, $apply) = @_;
	my @writers = map { session($node) } 1 .. 3;
	my $reader = session($node);
	my (%seen, $n);
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
	while ($looks > 0 && time < $deadline)
	{
		$_->query_safe('SELECT telemetry.ingest_telemetry(\'d\' || ' . ++$n % 7 . ", NULL, $n)") foreach @writers;
		$apply->() if $apply;
		my @rows = split /\n/, $reader->query_safe($batches);
		next if !grep { !defined $seen{$_} } @rows;
		$seen{$_} = 1 foreach @rows;
		--$looks;
	}
	$node->stop('immediate');
	eval { $_->{run}->finish } foreach @writers, $reader;
	$node->start;
	return sort keys %seen;
}

# Returns those of the seen batches that are gone, or have other events.
sub lost
{
	my (@seen) = @_;
	my %there = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', $batches =~ s/LIMIT 4//r);
	return join(' ', grep { !$there{$_} } @seen);
}

foreach my $payload ('events', 'off')
{
	$node->append_conf('postgresql.conf', "telemetry_cqrs.notify_payload = $payload");
	$node->reload;
	foreach my $round (1 .. 3)
	{
		my @seen = seen_before_crash(6);
		cmp_ok(scalar @seen, '>', 0, "notify_payload = $payload, round $round: " . @seen . ' batches were seen');
		is(lost(@seen), '', 'and are there after the crash');
	}
}

# A missing synchronous standby holds up only sessions that ask for it. The batches are on the disk of this server.
$node->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'\n");
$node->reload;
my @seen = seen_before_crash(6);
cmp_ok(scalar @seen, '>', 0, 'without the synchronous standby: ' . @seen . ' batches were seen');
is(lost(@seen), '', 'and are there after the crash');

# The same where a session applies by hand that does not wait for the disk.
$node->append_conf('postgresql.conf', "telemetry_cqrs.start_worker = off\n");
$node->reload;
wait_for($node, 'SELECT pid IS NULL FROM telemetry.worker_status()', 'the worker to end');
@seen = seen_before_crash(3, sub { $node->safe_psql('postgres', 'CALL telemetry.project_once()') });
cmp_ok(scalar @seen, '>', 0, 'by project_once(): ' . @seen . ' batches were seen');
is(lost(@seen), '', 'and are there after the crash');
$node->safe_psql('postgres', 'CALL telemetry.project_once()');
read_models_follow($node, 'telemetry.measurements', 'at the end');
is($node->safe_psql('postgres', 'SELECT sum(events) = (SELECT count(*) FROM telemetry.measurements) AND max(batch_id) = count(*) FROM telemetry.batch'), 't', 'the batches hold every event, numbered without a gap');
$node->stop;
done_testing();
