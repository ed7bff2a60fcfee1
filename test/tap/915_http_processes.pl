# Acceptance checks 11, 12, 15 and 19 with clients of HTTP: the worker of HTTP keeps nobody waiting, whatever its clients and other
# sessions do. It has one thread and the signals of any worker, holds no transaction while it waits, follows the settings, shares
# ports in order, and answers queries on a standby.
# Runs alone: times are bounded.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../support";

use HttpNode;
use IO::Select;
use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ServerLog;
use TelemetryNode;
use Test::More;
use Time::HiRes qw(time usleep);

$LastingSession::wanted = 0;

my $http = HttpNode->new('processes', http_timeout => '30s', conf => "max_worker_processes = 20\nwal_level = replica\nmax_wal_senders = 5\n$ServerLog::conf");
my $node = $http->{node};
my $from = log_end($node);
sub sql { return $http->sql(@_) }
sub within
{
	my ($seconds, $name, $body) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $began = time;
	my $result = $body->();
	my $took = time - $began;
	ok($took < $seconds, sprintf '%s: %.3f s', $name, $took);
	return $result;
}
sub until_true
{
	my ($seconds, $condition) = @_;
	my $deadline = time + $seconds;
	until ($condition->()) { return 0 if time > $deadline; usleep(10_000) }
	return 1;
}
sub answers
{
	my ($client, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(until_true(60, sub { $client->get('/devices', token => undef)->{status} == 401 }), $what);
}
sub is_silent { my ($client) = @_; return !$client->raw_socket }

# Clients that hang, stream, read nothing and flood.
sub load_start
{
	my ($client) = @_;
	my ($reader, $writer) = ($client->token('reader'), $client->token('writer'));
	my $get = "GET /devices/d1/stats HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $reader\r\n\r\n";
	my @sockets = map { $client->raw_socket } 1 .. 40;
	foreach my $i (0 .. $#sockets)
	{
		my $socket = $sockets[$i];
		print $socket $i % 4 == 0 ? substr($get, 0, 20)
		  : $i % 4 == 1 ? "GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $reader\r\n\r\n"
		  : $i % 4 == 2 ? "POST /telemetry HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $writer\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
		  : $get x 50;
	}
	$client->read_all($sockets[1], 30, qr/retry/);
	my @children = map { flood($client, $get) } 1 .. 2;
	return { sockets => \@sockets, children => \@children };
}
sub flood
{
	my ($client, $get) = @_;
	defined(my $child = fork) or die "fork: $!";
	return $child if $child;
	local $SIG{PIPE} = 'IGNORE';
	while (getppid() != 1)
	{
		my $socket = $client->raw_socket;
		if (!$socket) { usleep(20_000); next }
		foreach (1 .. 100)
		{
			syswrite($socket, $get x 20) or last;
			my ($answers, $has_closed) = $client->read_answers($socket, 20);
			last if $has_closed;
		}
	}
	POSIX::_exit(0);
}
sub load_end
{
	my ($load) = @_;
	kill 'KILL', @{ $load->{children} };
	waitpid $_, 0 foreach @{ $load->{children} };
	close $_ foreach @{ $load->{sockets} };
	return;
}

$http->post('/telemetry', [ map { { device_id => "d$_", region => 'hall', temperature => $_ } } 1 .. 100 ]);
wait_applied($node);

# --- one thread, the signals of any worker (19) --------------------------------------------------------------------------

sub signals { my ($process) = @_; return { slurp_file("/proc/$process/status") =~ /^(Sig(?:Cgt|Ign|Blk)):\s*(\w+)$/mg } }
sub threads { my ($process) = @_; my @tasks = glob "/proc/$process/task/*"; return scalar @tasks }
my ($pid) = $http->pids;
my $projector = sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector'");
my $load = load_start($http);
is(threads($pid), 1, 'one thread');
is_deeply(signals($pid), signals($projector), 'the signals of a projector');

# --- no transaction while it waits ---------------------------------------------------------------------------------------

my $session = session($node);
my @old = grep { $_ ne '' } map { $session->query_safe("SELECT xact_start, backend_xmin, query FROM pg_stat_activity WHERE pid = $pid AND (now() - xact_start > '500 ms' OR (xact_start IS NULL AND backend_xmin IS NOT NULL))") } 1 .. 200;
is(scalar @old, 0, 'no transaction is held, with clients that hang, stream and flood') or diag $old[0];
$session->query_safe('SELECT 1 FROM telemetry.device LIMIT 1');

# --- storms ----------------------------------------------------------------------------------------------------------------

sql('CREATE DATABASE elsewhere');
my $storm = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('elsewhere') ], '<', \("NOTIFY anything, 'x';\n" x 300), '>', '/dev/null');
foreach (1 .. 1000) { kill 'USR1', $pid; usleep(100) }
$storm->finish;
is($http->get('/devices/d1/stats')->{status}, 200, 'after storms of signals and notifications it answers');
is(join(' ', $http->pids), $pid, 'the worker is the same');
is(threads($pid), 1, 'one thread');

# --- statements on databases (11) ------------------------------------------------------------------------------------------

foreach (1 .. 3)
{
	within(3, 'CREATE DATABASE', sub { sql('CREATE DATABASE unrelated') });
	within(3, 'DROP DATABASE of another one', sub { sql('DROP DATABASE unrelated') });
}
load_end($load);

# --- told to end ------------------------------------------------------------------------------------------------------------

$load = load_start($http);
within(3, 'pg_terminate_backend', sub { sql("SELECT pg_terminate_backend($pid, 10000)") });
answers($http, 'the worker comes back');
isnt(join(' ', $http->pids), $pid, 'as another process');
load_end($load);
($pid) = $http->pids;
my $hanging = $http->raw_socket;
print $hanging "GET / HTTP/1.1\r\n";
sql("SELECT pg_cancel_backend($pid)");
is($http->get('/devices/d1/stats')->{status}, 200, 'a cancellation ends nothing');
is(join(' ', $http->pids), $pid, 'nor the process');

# --- locks of others ---------------------------------------------------------------------------------------------------------

# While a session holds a lock, the clients that need it get 503 soon, and the others their answer.
sub while_locked
{
	my ($lock, @paths) = @_;
	$session->query_safe("BEGIN; $lock");
	foreach my $path (@paths)
	{
		my $answer = within(2, "$lock: $path", sub { $http->get($path) });
		is("$answer->{status} " . ($answer->{headers}{'retry-after'} // ''), '503 1', "$lock: $path: later") or diag $answer->{content};
	}
	within(4, "$lock: 100 clients one after the other", sub { $http->get($paths[0]) foreach 1 .. 100 });
	my $answer = within(1, "$lock: others", sub { $http->get('/openapi.json') });
	is($answer->{status}, 200, "$lock: others are answered");
	is(join(' ', $http->pids), $pid, "$lock: the worker goes on");
	$session->query_safe('ROLLBACK');
	is($http->get($_)->{status}, 200, "$lock: $_: afterwards") foreach @paths;
	return;
}
while_locked('LOCK TABLE telemetry.state_device IN ACCESS EXCLUSIVE MODE', '/devices/d1/stats', '/devices', '/devices/d1/stats?live=true');
while_locked('LOCK TABLE telemetry.http_token IN ACCESS EXCLUSIVE MODE', '/devices/d1/stats', '/liveness');
while_locked('DROP EXTENSION telemetry_cqrs CASCADE', '/devices/d1/stats', '/status');

# A stream outlives a lock.
{
	my $stream = $http->raw_socket;
	print $stream "GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " . $http->token('reader') . "\r\n\r\n";
	$http->read_all($stream, 30, qr/retry/);
	$session->query_safe('BEGIN; LOCK TABLE telemetry.batch IN ACCESS EXCLUSIVE MODE');
	my $other = session($node);
	ok(until_true(60, sub { $other->query_safe("SELECT count(*) FROM pg_locks WHERE pid = $pid AND NOT granted") > 0 }), 'a stream meets a lock');
	ok(until_true(60, sub { $other->query_safe("SELECT count(*) FROM pg_locks WHERE pid = $pid AND NOT granted") == 0 }), 'and waits no longer for it');
	$session->query_safe('ROLLBACK');
	$other->quit;
	$http->post('/telemetry', { device_id => 'after the lock', temperature => 1 });
	like(scalar $http->read_all($stream, 30, qr/after the lock.*\n\n/s), qr/"device_id": ?"after the lock"/, 'it goes on when the lock is gone');
}

# A rival transaction stores the same reading.
{
	$session->query_safe("BEGIN; SELECT telemetry.ingest_telemetry('r', NULL, 1, NULL, 'rival')");
	my %reading = (device_id => 'r', temperature => 1, idempotency_key => 'rival');
	my $answer = within(1, 'a rival', sub { $http->post('/telemetry', \%reading) });
	is("$answer->{status} " . ($answer->{headers}{'retry-after'} // ''), '503 1', 'a rival: later') or diag $answer->{content};
	my $posts = $http->raw_socket;
	my $body = JSON::PP->new->encode(\%reading);
	print $posts "POST /telemetry HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " . $http->token('writer') . "\r\nContent-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body" foreach 1 .. 50;
	my $longest = 0;
	foreach (1 .. 50) { my $began = time; $http->get('/devices/d1/stats'); $longest = time - $began if time - $began > $longest }
	ok($longest < 1, sprintf 'beside 50 clients with a rival others are answered within %.3f s', $longest);
	my ($answers) = $http->read_answers($posts, 50, 60);
	is(() = $answers =~ /HTTP\/1\.1 503 /g, 50, 'and each of them is told to come later');
	$session->query_safe('COMMIT');
	is($http->post('/telemetry', \%reading)->{json}{status}, 'duplicate', 'then the reading is there');
}

# --- synchronous standbys that never come --------------------------------------------------------------------------------

$node->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'\n");
$http->settings(http_timeout => '3s');
$ENV{PGOPTIONS} = '-c synchronous_commit=local';
ok(until_true(30, sub { sql('SHOW synchronous_standby_names') eq 'nobody' }), 'a standby is wanted that never comes');
{
	my $post = $http->raw_socket;
	my $body = '{"device_id": "s", "temperature": 1, "idempotency_key": "unconfirmed"}';
	my $began = time;
	my $answer = '';
	# The worker may hear of the setting a moment later than this session.
	until_true(30, sub {
		$began = time;
		print $post "POST /telemetry HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " . $http->token('writer') . "\r\nContent-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
		$answer = $http->read_all($post, 0.5, qr/\}\s*\z/);
		return $answer eq '' || ($body =~ s/unconfirmed/unconfirmed again/ && 0);
	});
	my $longest = 0;
	foreach (1 .. 20) { my $sent = time; $http->get('/devices/d1/stats'); $longest = time - $sent if time - $sent > $longest }
	ok($longest < 1, sprintf 'others are answered meanwhile, within %.3f s', $longest);
	$answer = $http->read_all($post, 30, qr/\}\s*\z/);
	my $took = time - $began;
	like($answer, qr/\AHTTP\/1\.1 503 .*\r\nRetry-After: 1\r\n/s, 'a POST that no standby confirms gets 503');
	ok($took > 2.5 && $took < 10, sprintf 'after http_timeout: %.1f s', $took);
	is(sql("SELECT count(*) FROM telemetry.measurements WHERE device_id = 's' AND idempotency_key LIKE 'unconfirmed%'") > 0, 1, 'and is stored');
}

# --- shutdown (12) -------------------------------------------------------------------------------------------------------

$http->settings(http_timeout => '60s');
$load = load_start($http);
my $under_way = $http->raw_socket;
my $body = '{"device_id": "s", "temperature": 2}';
print $under_way "POST /telemetry HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " . $http->token('writer') . "\r\nContent-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
ok(until_true(30, sub { sql("SELECT count(*) FROM telemetry.measurements WHERE device_id = 's' AND temperature = 2") eq '1' }), 'a POST is under way');
$session->quit;
within(15, 'fast shutdown with clients that hang, stream and flood, and a POST that no standby confirms', sub { $node->stop('fast') });
load_end($load);
delete $ENV{PGOPTIONS};
$node->append_conf('postgresql.conf', "synchronous_standby_names = ''\n");
$node->start;
$http->wait_for_http;
nothing_repeats($node, $from, 'clients of all kinds', most => 6);
$from = log_end($node);

# --- on and off ------------------------------------------------------------------------------------------------------------

$hanging = $http->raw_socket;
print $hanging "GET / HTTP/1.1\r\n";
$http->settings(http_timeout => '10s', http_listen => '');
ok(until_true(30, sub { is_silent($http) }), 'http_listen is emptied: nobody answers');
ok(wait_for($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs http'", 'the worker to end'), 'and no worker runs');
ok(($http->read_all($hanging, 10))[1], 'its connections are closed');

# Several workers share a port.
$http->settings(http_listen => $http->{port}, http_workers => 3);
ok(wait_for($node, "SELECT count(*) = 3 FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs http'", 'three workers'), 'three workers');
answers($http, 'they answer');
sub serving { my %sockets = map { my $process = $_; $process => scalar grep { (readlink $_ // '') =~ /^socket:/ } glob "/proc/$process/fd/*" } $http->pids; return \%sockets }
my $idle = serving();
my @open;
ok(until_true(60, sub {
	push @open, $http->raw_socket;
	my $sockets = serving();
	return 3 == grep { $sockets->{$_} > ($idle->{$_} // 99) } keys %$sockets;
}), 'each of the three has taken connections');
my $token = $http->token('reader');
my @bad = grep { print $_ "GET /devices/d1/stats HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $token\r\n\r\n"; $http->read_all($_, 30, qr/\r\n\r\n/) !~ /\AHTTP\/1\.1 200 / } @open;
is(scalar @bad, 0, 'and answers them');
close $_ foreach @open;
$http->settings(http_workers => 1);
ok(wait_for($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs http'", 'one worker'), 'one worker again');

# --- a port that another program has ------------------------------------------------------------------------------------

my $port = PostgreSQL::Test::Cluster::get_free_port();
my $other = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 5) or die "listen: $!";
$http->settings(http_listen => $port);
ok(wait_for($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs http' AND query LIKE '%cannot answer HTTP at 127.0.0.1:$port: address already in use%'", 'the reason'), 'a port that is taken: pg_stat_activity says why');
my @lines = grep { /cannot answer HTTP/ } lines_of_ours($node, $from);
is(scalar @lines, 1, 'and the log once') or diag join "\n", @lines;
close $other;
$http->{port} = $port;
answers($http, 'when the port is free it answers');

# --- two databases --------------------------------------------------------------------------------------------------------

sql('CREATE DATABASE fleet');
my $fleet = $http->client_of($node, PostgreSQL::Test::Cluster::get_free_port(), 'fleet');
my $grants = "SELECT telemetry.grant_reader('reader'), telemetry.grant_writer('writer')";
$fleet->sql("CREATE EXTENSION telemetry_cqrs; $grants");
$from = log_end($node);
$http->settings(http_listen => "postgres=$http->{port}, fleet=$fleet->{port}");
answers($_, 'each database at its port') foreach $http, $fleet;
is($fleet->post('/telemetry', { device_id => 'of the fleet', temperature => 1 })->{status}, 200, 'the fleet takes a reading');
is($http->get('/devices', token => $fleet->token('reader'))->{status}, 401, 'a token is of use in its database only');
is(sql("SELECT count(*) FROM telemetry.measurements WHERE device_id = 'of the fleet'"), '0', 'and the other database has none');

# One entry for both: one of them answers.
my $shared = PostgreSQL::Test::Cluster::get_free_port();
my $either = $http->client_of($node, $shared);
$http->settings(http_listen => $shared);
answers($either, 'an entry for both databases: one answers');
my $loser = '';
ok(until_true(60, sub {
	$loser = sql("SELECT datname FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs http' AND query LIKE '%cannot answer HTTP at 127.0.0.1:$shared: database \"%\" answers there%'");
	return $loser ne '';
}), 'and pg_stat_activity says of the other why not');
my $winner = $loser eq 'fleet' ? 'postgres' : 'fleet';
like(sql("SELECT query FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs http' AND datname = '$loser'"), qr/database "$winner" answers there/, 'with the name of the one that does');
my %tokens = (postgres => $http->token('reader'), fleet => $fleet->token('reader'));
is(scalar grep({ $either->get('/devices', token => $tokens{$winner})->{status} != 200 || $either->get('/devices', token => $tokens{$loser})->{status} != 401 } 1 .. 20), 0, 'each request reaches the same database');
@lines = grep { /answers there/ } lines_of_ours($node, $from);
# At most, because the worker may have logged another failure of the kind within the minute.
cmp_ok(scalar @lines, '<=', 1, 'the log says it at most once');
$http->settings(http_listen => "postgres=$http->{port}, fleet=$fleet->{port}");
answers($_, 'each at its port again') foreach $http, $fleet;

# --- statements on its own database (11) ---------------------------------------------------------------------------------

$from = log_end($node);
$load = load_start($fleet);
within(5, 'ALTER DATABASE RENAME', sub { sql('ALTER DATABASE fleet RENAME TO navy', 'postgres') });
load_end($load);
ok(until_true(60, sub { is_silent($fleet) }), 'no entry has the new name');
$http->settings(http_listen => "postgres=$http->{port}, navy=$fleet->{port}");
$fleet->{database} = 'navy';
answers($fleet, 'now one has');
$load = load_start($fleet);
within(5, 'CREATE DATABASE from it', sub { $http->sql('CREATE DATABASE copy TEMPLATE navy') });
load_end($load);
answers($fleet, 'and it answers again');
ok(until_true(60, sub { $http->sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector' AND datname = 'copy'") eq '1' }), 'the copy has its projector, and no port');
$http->sql('ALTER DATABASE copy IS_TEMPLATE true');
within(3, 'CREATE DATABASE from the copy', sub { $http->sql('CREATE DATABASE another TEMPLATE copy') });
$load = load_start($fleet);
within(5, 'DROP DATABASE of its own', sub { $http->sql('DROP DATABASE navy') });
load_end($load);
ok(until_true(60, sub { is_silent($fleet) }), 'nobody answers for it');

# --- the extension goes and comes -----------------------------------------------------------------------------------------

$load = load_start($http);
within(5, 'DROP EXTENSION', sub { sql('DROP EXTENSION telemetry_cqrs CASCADE') });
ok(until_true(60, sub { is_silent($http) }), 'the extension was dropped: nobody answers');
sql("CREATE EXTENSION telemetry_cqrs; $grants");
load_end($load);
answers($http, 'it was made again: the worker comes back');
is($http->get('/devices')->{status}, 401, 'the tokens have gone with the old one');
delete $http->{tokens}{$_} foreach qw(reader writer);
is($http->get('/devices')->{status}, 200, 'and a new one is of use');
nothing_repeats($node, $from, 'statements on databases and the extension', most => 6);
$node->stop;

# --- a standby (15) -------------------------------------------------------------------------------------------------------

my $primary = HttpNode->new('primary', init => { allows_streaming => 1 });
$primary->token($_) foreach qw(reader writer admin both);
$primary->post('/telemetry', [ map { { device_id => "d$_", region => 'hall', temperature => $_ } } 1 .. 10 ]);
wait_applied($primary->{node});
$primary->{node}->backup('backup');
my $standby_port = PostgreSQL::Test::Cluster::get_free_port();
my $standby_node = standby_of($primary->{node}, 'standby', 'backup', conf => "telemetry_cqrs.http_listen = '$standby_port'\n");
my $standby = $primary->client_of($standby_node, $standby_port);
$standby->wait_for_http;
foreach my $path ('/devices/d1/stats', '/devices/d1/stats?live=true', '/devices', '/regions', '/regions?live=true', '/liveness', '/series?device=d1', '/quantiles?region=hall', '/status', '/openapi.json', '/healthz')
{
	my $answer = $standby->get($path);
	is($answer->{status}, 200, "standby: $path") or diag $answer->{content};
}
is($standby->get('/rejected', token => $primary->token('admin'))->{status}, 200, 'standby: /rejected');
$primary->{node}->wait_for_catchup($standby_node);
is($standby->get('/devices/d1/stats')->{content}, $primary->get('/devices/d1/stats')->{content}, 'standby: the statistics of the primary');
my $refused = $standby->post('/telemetry', { device_id => 'd1', temperature => 1 });
is("$refused->{status} $refused->{json}{sqlstate} " . ($refused->{headers}{'retry-after'} // ''), '503 25006 1', 'standby: it takes no reading') or diag $refused->{content};
is($standby->post('/telemetry', [ { device_id => 'd1', temperature => 1 } ])->{json}{sqlstate}, '25006', 'standby: nor a list');
my $stream = $standby->raw_socket;
print $stream "GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " . $standby->token('reader') . "\r\n\r\n";
$standby->read_all($stream, 30, qr/retry/);
$primary->post('/telemetry', { device_id => 'seen on the standby', temperature => 1 });
like(scalar $standby->read_all($stream, 60, qr/seen on the standby.*\n\n/s), qr/event: telemetry\.ingested\ndata: .*seen on the standby/, 'standby: it streams what the primary takes');
is(threads($_), 1, 'standby: one thread') foreach $standby->pids;
is(join("\n", grep { /WARNING|ERROR|FATAL|PANIC|telemetry_cqrs/ } split /\n/, slurp_file($standby_node->logfile)), '', 'standby: not a line in its log');

my $promoted_at = time;
$standby_node->promote;
ok(wait_for($standby_node, "SELECT state = 'running' FROM telemetry.worker_status()", 'the projector', 30), 'promoted: the projector runs');
note sprintf 'projector after %.1f s', time - $promoted_at;
ok(until_true(30, sub { $standby->post('/telemetry', { device_id => 'promoted', temperature => 7 })->{status} == 200 }), 'promoted: it takes readings');
ok(until_true(30, sub { ($standby->get('/devices/promoted/stats')->{json}{last_temperature} // '') eq '7' }), 'promoted: and applies them');
$standby->{node}->stop;
$primary->{node}->stop;
done_testing();
