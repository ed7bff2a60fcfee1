# Acceptance check 8 for notifications. A batch that a notification announced survives a crash with its events, also when only
# the projector flushes.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;
use Time::HiRes qw(usleep);

my $node = telemetry_node('told', preload => 1, conf => "synchronous_commit = off\nwal_writer_delay = 10s\ntelemetry_cqrs.notify_payload = pointer\n");
for my $round (1, 2)
{
	my $listener = session($node);
	$listener->query_safe('LISTEN telemetry_ingested');
	my $before = $node->safe_psql('postgres', 'SELECT coalesce(max(batch_id), 0) FROM telemetry.batch');
	my %told;
	for my $n (1 .. 20)
	{
		$node->safe_psql('postgres', "SELECT telemetry.ingest_telemetry('d', NULL, $n, 1, 'r$round-$n')");
		my $text = $listener->query('SELECT 1');
		$told{$1} = $2 while $text =~ /"batch":\s*(\d+),\s*"epoch":1,\s*"count":\s*(\d+)/g;
	}
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
	while (!%told && time < $deadline)
	{
		usleep(20_000);
		my $text = $listener->query('SELECT 1');
		$told{$1} = $2 while $text =~ /"batch":\s*(\d+),\s*"epoch":1,\s*"count":\s*(\d+)/g;
	}
	$node->stop('immediate');
	$listener->{run}->finish;
	ok(%told, "round $round: " . keys(%told) . ' batches were told before the crash');
	$node->start;
	my $there = $node->safe_psql('postgres', "SELECT string_agg(batch_id || ':' || events, ' ' ORDER BY batch_id) FROM telemetry.batch WHERE batch_id IN (0, " . join(', ', sort { $a <=> $b } keys %told) . ')');
	is($there, join(' ', map { "$_:$told{$_}" } sort { $a <=> $b } keys %told), "round $round: they are there, with as many events");
	wait_applied($node);
}
# The same when a session that does not wait for the disk applies by hand.
$node->append_conf('postgresql.conf', "telemetry_cqrs.start_worker = off\n");
$node->reload;
wait_for($node, 'SELECT pid IS NULL FROM telemetry.worker_status()', 'the worker to end');
for my $round (3 .. 6)
{
	my $listener = session($node);
	$listener->query_safe('LISTEN telemetry_ingested');
	$node->safe_psql('postgres', "SELECT telemetry.ingest_telemetry('d', NULL, 1, 1, 'r$round')");
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
	my $text = '';
	$node->safe_psql('postgres', 'CALL telemetry.project_once()');
	while ($text !~ /"batch":\s*\d+/ && time < $deadline) { $text = $listener->query('SELECT 1'); }
	$node->stop('immediate');
	$listener->{run}->finish;
	my ($told) = $text =~ /"batch":\s*(\d+)/;
	$node->start;
	is($node->safe_psql('postgres', "SELECT events FROM telemetry.batch WHERE batch_id = " . ($told // 0)), '1', "round $round: applied by project_once(), told and there");
	$node->safe_psql('postgres', 'CALL telemetry.project_once()');
}
read_models_follow($node, 'telemetry.measurements', 'at the end');
$node->stop;
done_testing();
