# Runs the example consumer of Python (examples/python/consumer.py) as a client of a test, and compares what it has processed with the log.
#
#   my $consumer = consumer_start($node, 'first');          # or consumer_start($node, 'first', PGPORT => 6432)
#   consumer_kill($consumer);                                # kill -9
#   my $status = consumer_end($consumer);                    # SIGTERM
#   processed_is_log($node, 'after the crash');
#
# The subscription is called "example". The consumer has no listener: it looks again and again.
package Consumers;

use strict;
use warnings;

use Exporter 'import';
use FindBin;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

our @EXPORT = qw(no_consumer consumer_create consumer_start consumer_kill consumer_end processed_is_log nothing_left);

my @program = ('/usr/bin/python3', "$FindBin::Bin/../../examples/python/consumer.py");

# Returns why there can be no consumer, or ''.
sub no_consumer
{
	return system("$program[0] -c 'import psycopg' 2>/dev/null") == 0 ? '' : 'no psycopg (Debian: python3-psycopg)';
}

# Makes the table and the subscription. A consumer that is killed counts as a failure of its events, which must not become dead letters.
sub consumer_create
{
	my ($node) = @_;
	local %ENV = ($node->_get_env(), PGDATABASE => $TelemetryNode::database);
	system_or_bail(@program, 'create', 'example');
	$node->safe_psql($TelemetryNode::database, "UPDATE telemetry.subscription SET retry_delay = '10 ms', max_attempts = 0 WHERE subscription = 'example'");
	return;
}

# Starts a consumer whose leases last so many seconds.
sub consumer_start
{
	my ($node, $name, %options) = @_;
	my $seconds = delete $options{seconds} // 1;
	local %ENV = ($node->_get_env(), PGDATABASE => $TelemetryNode::database, %options);
	my $log = PostgreSQL::Test::Utils::tempdir . "/$name";
	my $run = IPC::Run::start([ @program, 'run', 'example', $name, $seconds ], '<', '/dev/null', '>', "$log.out", '2>', "$log.err");
	return { name => $name, run => $run, log => $log };
}

sub consumer_kill
{
	my ($consumer) = @_;
	$consumer->{run}->kill_kill(grace => 0);
	return;
}

# Ends a consumer cleanly, and returns its exit status.
sub consumer_end
{
	my ($consumer) = @_;
	$consumer->{run}->signal('TERM');
	$consumer->{run}->finish;
	my $status = $consumer->{run}->full_result(0);
	diag(slurp_file("$consumer->{log}.err")) if $status != 0;
	return $status;
}

# Waits until the consumers have processed as many events as the log has.
sub nothing_left
{
	my ($node, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return wait_for($node, "SELECT (SELECT count(*) FROM processed) = (SELECT count(*) FROM telemetry.event) AND (SELECT state = 'current' FROM telemetry.subscription_status)", $what);
}

# Tests that the table of the consumers has each event of the log once, the right figure, and the events of a device in the order in which
# one session wrote them.
sub processed_is_log
{
	my ($node, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $answer = $node->safe_psql($TelemetryNode::database, <<'SQL');
SELECT count(*) FILTER (WHERE p.event_id IS NULL) || ' missed, ' || count(*) FILTER (WHERE e.event_id IS NULL) || ' invented, ' ||
       (SELECT count(*) - count(DISTINCT (event_id, epoch)) FROM processed) || ' twice, ' || count(*) FILTER (WHERE p.device_id <> e.device_id OR p.fahrenheit <> e.temperature * 9 / 5 + 32) || ' wrong, ' ||
       (SELECT count(*) FROM (SELECT event_id < lag(event_id) OVER (PARTITION BY device_id ORDER BY number) AS is_less FROM processed) AS o WHERE is_less) || ' disordered'
FROM processed p FULL JOIN telemetry.event e USING (event_id, epoch)
SQL
	return is($answer, '0 missed, 0 invented, 0 twice, 0 wrong, 0 disordered', "$name: processed = the log");
}

1;
