# Real readings through the relay. All of the files in the data folder are ingested, each 10th reading twice, while nats-server,
# redis-server and the relay are killed at 20 random points that are spread over the run. Redis has no persistence. A SIGKILL of the
# relay restarts the whole server. In the end the stream holds each accepted reading once, and Redis equals device_stats.
#
# TELEMETRY_SECONDS: about how long the readings take. TELEMETRY_SEED: the seed of another run.
# Begins early.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../support";

use List::Util qw(shuffle);
use NatsServer;
use PostgreSQL::Test::Utils;
use RedisServer;
use RelayNode;
use TelemetryNode;
use Test::More;
use Time::HiRes qw(time usleep);

my $folder = real_data_folder();
if (!defined $folder)
{
	diag('SKIPPED: no real readings. Set TELEMETRY_TEST_DATA to the folder with room_climate_a.csv.gz and room_climate_b.csv.gz.');
	plan skip_all => 'TELEMETRY_TEST_DATA does not name a folder with the real readings';
}
NatsServer::require_program();
RedisServer::require_program();
my $seconds = $ENV{TELEMETRY_SECONDS} // 300;
my $seed = $ENV{TELEMETRY_SEED} // int(rand(1_000_000));
note "TELEMETRY_SEED=$seed";
srand($seed);
$LastingSession::wanted = 0;

my $in_the_files = 418_938;
my $of_a_call = 200;    # readings
my $calls = int(($in_the_files + $of_a_call - 1) / $of_a_call);

my $nats = NatsServer->new->start;
my $redis = RedisServer->new->start;
my $node = relay_node('real', nats_url => $nats->url, redis_url => $redis->url, conf => "shared_buffers = '256MB'\nmax_wal_size = '4GB'\n");
$node->safe_psql('postgres', <<"SQL");
CREATE TABLE csv (
	n bigint GENERATED ALWAYS AS IDENTITY, device_id text, region text, measured_at timestamptz, temperature float8, humidity float8,
	light1 float8, light2 float8, idempotency_key text);
\\copy csv (device_id, region, measured_at, temperature, humidity, light1, light2, idempotency_key) FROM PROGRAM 'zcat "$folder/room_climate_a.csv.gz"' (FORMAT csv, HEADER)
\\copy csv (device_id, region, measured_at, temperature, humidity, light1, light2, idempotency_key) FROM PROGRAM 'zcat "$folder/room_climate_b.csv.gz"' (FORMAT csv, HEADER)
CREATE TABLE raw AS
	SELECT n, (n - 1) / $of_a_call AS call, device_id, region, measured_at, temperature, humidity, idempotency_key,
	       nullif(jsonb_strip_nulls(jsonb_build_object('light1', light1, 'light2', light2)), '{}') AS metrics
	FROM csv;
CREATE INDEX ON raw (call);
ANALYZE raw;
CHECKPOINT;
SQL
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT device_id), count(DISTINCT (device_id, idempotency_key)), max(call) + 1 FROM raw'), "$in_the_files|7|$in_the_files|$calls",
	'the raw readings are those the test is about');
relay_becomes($node, $_, "state IN ('waiting', 'connected')", 'there is a relay') foreach qw(nats redis);

# --- the load ----------------------------------------------------------------------------------------------------------------------

my ($load, $next, $clients) = (undef, 0, 0);

# The call that comes next. Each is printed when it is committed.
sub reached
{
	my ($last) = $load ? slurp_file("$load->{base}.out") =~ /^(\d+)\n\z/m : ();
	$next = $last + 1 if defined $last;
	return $next;
}

# Sends until everything is sent. A client whose server died is followed by another one, which sends the call of which it does not know
# whether it was committed once more.
sub keep_sending
{
	return if $load && $load->{run}->pumpable;
	my $from = reached();
	psql_finish($load) if $load;
	return if $from >= $calls;
	++$clients;
	$load = psql_start($node, join '', "\\set ON_ERROR_STOP on\n", map {
		my $again = $_ % 10 ? '' : 'OR call < ' . $_ . ' AND call >= ' . ($_ - 10) . ' AND n % 10 = 0';
		my $pause = $seconds / $calls;
		"SELECT $_ FROM (SELECT array_agg(device_id ORDER BY n) AS d, array_agg(measured_at ORDER BY n) AS m, array_agg(temperature ORDER BY n) AS t, array_agg(humidity ORDER BY n) AS h,
			array_agg(idempotency_key ORDER BY n) AS k, array_agg(metrics ORDER BY n) AS x, array_agg(region ORDER BY n) AS r FROM raw WHERE call = $_ $again) AS s,
			LATERAL telemetry.ingest_telemetry_batch(d, m, t, h, k, x, r) AS receipt WHERE receipt.rejected = 0 AND receipt.conflicts = 0;\nSELECT FROM pg_sleep($pause) \\g /dev/null\n"
	} $from .. $calls - 1);
	return;
}

# Sends on for a while, or until the given call is reached.
sub send_for { my $until = time + $_[0]; while (time < $until) { keep_sending(); usleep(20_000) } return }
sub send_up_to
{
	my ($call) = @_;
	my ($last, $deadline) = (-1, 0);
	while ((my $now = reached()) < $call)
	{
		($last, $deadline) = ($now, time + 300) if $now > $last;
		die "no call after $now comes through" if time > $deadline;
		keep_sending();
		usleep(20_000);
	}
	return;
}

# --- the kills ---------------------------------------------------------------------------------------------------------------------

# The relay's process, which may just be starting.
sub living_relay
{
	my $deadline = time + 120;
	while (time < $deadline)
	{
		my $pid = eval { relay_pid($node) };
		return $pid if $pid;
		send_for(0.05);
	}
	die 'no relay comes';
}

my %kills = (
	'kill NATS' => sub { $nats->stop('KILL'); send_for(rand 2); $nats->start },
	'kill Redis' => sub { $redis->stop('KILL'); send_for(rand 2); $redis->start },
	'SIGKILL for the relay' => sub { kill 'KILL', living_relay() },
	'SIGTERM for the relay' => sub { kill 'TERM', living_relay() },
	'kill all three' => sub { my $relay = living_relay(); $nats->stop('KILL'); kill 'KILL', $relay; $redis->stop('KILL'); send_for(rand 2); $redis->start; $nats->start },
);
my @order = shuffle(('kill NATS') x 5, ('kill Redis') x 4, ('SIGKILL for the relay') x 4, ('SIGTERM for the relay') x 4, ('kill all three') x 3);
my $start = time;
foreach my $number (0 .. $#order)
{
	my $call = int(($number + rand) * $calls / @order);
	send_up_to($call);
	note sprintf '%4d s, call %d of %d, now at %d: %s', time - $start, $call, $calls, reached(), $order[$number];
	$kills{ $order[$number] }->();
}
send_up_to($calls);
psql_finish($load);
my $took = time - $start;

# --- what arrived ------------------------------------------------------------------------------------------------------------------

everything_sent($node, @order . ' kills', 300);
my $accepted = $node->safe_psql('postgres', 'SELECT count(*) FROM telemetry.event');
note sprintf '%d readings in %d s, %d clients; ', $accepted, $took, $clients;
note $node->safe_psql('postgres', "SELECT string_agg(sink || ': ' || failures || ' failures, ' || duplicates || ' duplicates since the last start', '; ') FROM telemetry.relay_status");
is($accepted, $in_the_files, 'each reading is accepted once');
log_is($node, 'raw', 'after the kills');
is($nats->client->stream_size('TELEMETRY'), $accepted, 'the stream has as many messages as readings were accepted');
stream_is_log($node, $nats, 'after the kills', ordered => 1);
cache_is_stats($node, $redis, 'after the kills');
read_models_follow($node, 'raw', 'after the kills');
$node->stop;
done_testing();
