# Redis servers that are silent, broken or malicious, or that cannot store. In each case relay_status says the state, the phase and the
# error, the relay holds no transaction and keeps nobody waiting, and a server that is well again gets everything.
# Begins early.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../support";

use HostilePeer;
use PostgreSQL::Test::Utils;
use RedisServer;
use RelayNode;
use ServerLog;
use TelemetryNode;
use Test::More;
use Time::HiRes qw(time usleep);

RedisServer::require_program();
my $node = relay_node('hostile', conf => $ServerLog::conf);
sub sql { my ($sql, $database) = @_; return $node->safe_psql($database // 'postgres', $sql) }
sub url { return 'redis://' . ($_[1] // '') . '127.0.0.1:' . $_[0]->port }
send_readings($node, 10);

# Answers each command from a list by its first word; others get +OK.
sub answers
{
	my (%replies) = @_;
	return sub { my ($socket) = @_; HostilePeer::speak_redis($socket, sub { return exists $replies{ $_[0] } ? $replies{ $_[0] } : "+OK\r\n" }) };
}
my %good = (PING => "+PONG\r\n", SCRIPT => '$40' . "\r\n" . 'a' x 40 . "\r\n", GET => "\$-1\r\n");

my @cases = (    # name, behaviour, phase, error
	[ 'is silent', \&HostilePeer::stay, 'authentication', 'does not answer' ],
	[ 'reads nothing', \&HostilePeer::sleep_for_ever, 'authentication', 'does not answer' ],
	[ 'closes at once', sub { }, 'authentication', 'closed|reset|pipe' ],
	[ 'sends garbage', sub { my ($s) = @_; print $s "HTTP/1.1 400 Bad Request\r\n\r\n"; HostilePeer::stay($s) }, 'handshake', 'does not speak Redis' ],
	[ 'sends half a reply', sub { my ($s) = @_; print $s '+PO'; HostilePeer::stay($s) }, 'authentication', 'does not answer' ],
	[ 'sends a reply without an end', sub { my ($s) = @_; print $s '+'; print $s 'x' x 1_000_000 or return for 1 .. 100 }, 'read', 'too long|closed' ],
	[ 'sends a huge text', sub { my ($s) = @_; print $s "\$500000000\r\n"; print $s 'x' x 1_000_000 or return for 1 .. 100 }, 'read', 'too long' ],
	[ 'sends a huge array', sub { my ($s) = @_; print $s "*2000000000\r\n"; print $s ":1\r\n" x 100_000 or return for 1 .. 500 }, 'handshake', 'does not speak Redis: it sends an array' ],
	[ 'wants a password', answers(PING => "-NOAUTH Authentication required.\r\n"), 'authentication', 'NOAUTH' ],
	[ 'refuses the password', answers(AUTH => "-WRONGPASS invalid username-password pair\r\n"), 'authentication', 'WRONGPASS', 'me:secret@' ],
	[ 'says bytes of no encoding', answers(PING => "-ERR \xff\xfe\x01\r\n"), 'authentication', 'ERR \?\?\?' ],
	[ 'knows no scripts', answers(%good, SCRIPT => "-ERR unknown command\r\n"), 'handshake', 'SCRIPT LOAD: ERR unknown' ],
	[ 'has something else as mark', answers(%good, GET => "-WRONGTYPE Operation against a key\r\n"), 'handshake', 'GET telemetry_cqrs:mark:.*WRONGTYPE' ],
	[ 'does not answer for the script', answers(%good, SCRIPT => undef, GET => undef), 'handshake', 'does not answer' ],
	[ 'does not answer for a value', answers(%good, EVALSHA => undef, SET => undef), 'acknowledge', 'does not answer' ],
	[ 'replies twice', answers(%good, GET => "\$-1\r\n+OK\r\n"), 'read', 'replies to nothing' ],
	[ 'is full', answers(%good, EVALSHA => "-OOM command not allowed when used memory > 'maxmemory'.\r\n"), 'publish', 'OOM command' ],
	[ 'has lost the script', answers(%good, EVALSHA => "-NOSCRIPT No matching script.\r\n"), 'publish', 'NOSCRIPT' ],
	[ 'closes at the first value', sub { my ($s) = @_; HostilePeer::speak_redis($s, sub { die "closed\n" if $_[0] eq 'EVALSHA'; return $good{ $_[0] } // "+OK\r\n" }) }, 'read', 'closed|reset|pipe' ],
);
my %thorough = map { $_ => 1 } 'is silent', 'reads nothing', 'does not answer for a value';

foreach my $case (@cases)
{
	my ($name, $behaviour, $phase, $error, $login) = @$case;
	my $peer = HostilePeer->new($behaviour);
	relay_settings($node, redis_url => url($peer, $login));
	send_readings($node, 5);
	if ($thorough{$name})
	{
		my $deadline = time + 30;
		usleep(10_000) while !$peer->connections && time < $deadline;
		my $relay = relay_pid($node);
		is(scalar(my @tasks = glob "/proc/$relay/task/*"), 1, "$name: one thread");
		relay_quiet($node, $name);
		within(2, "$name: CREATE and DROP DATABASE", sub { sql('CREATE DATABASE other'); sql('DROP DATABASE other') });
		within(1, "$name: pg_terminate_backend(relay)", sub { is(sql("SELECT pg_terminate_backend($relay, 10000)"), 't', "$name: it ends") });
		within(5, "$name: fast shutdown", sub { $node->stop('fast') });
		$node->start;
	}
	relay_becomes($node, 'redis', "state IN ('backing off', 'connecting', 'connected') AND last_failure_phase = '$phase' AND last_error ~ '$error' AND failures > 0", "a server that $name: $phase", 30);
	is(sql("SELECT count(*) FROM telemetry.relay_status r WHERE r::text LIKE '%secret%'"), '0', "$name: no password") if $login;
	relay_quiet($node, $name);
	wait_applied($node, "the projector beside a server that $name");
	$peer->stop;
}

# --- real servers that cannot store --------------------------------------------------------------------------------------------------

my $redis = RedisServer->new->start;
my $client = $redis->client;
$client->command('RPUSH', 'device:stats:dev 3', 'a list of somebody else');
relay_settings($node, redis_url => $redis->url);
send_readings($node, 50);
relay_becomes($node, 'redis', q{last_failure_phase = 'publish' AND last_error ~ 'WRONGTYPE.*\(key device:stats:dev 3\)'}, 'a key has another type');
$client->command('DEL', 'device:stats:dev 3');
everything_sent($node, 'the key is gone');
cache_is_stats($node, $redis, 'the key is gone');

$client->command('CONFIG', 'SET', 'maxmemory', '1');
send_readings($node, 50);
relay_becomes($node, 'redis', "last_failure_phase = 'publish' AND last_error LIKE '%OOM%'", 'no memory');
$client->command('CONFIG', 'SET', 'maxmemory', '0');
everything_sent($node, 'memory');
cache_is_stats($node, $redis, 'memory');

$client->command('SCRIPT', 'FLUSH');
send_readings($node, 50);
everything_sent($node, 'scripts are flushed');
cache_is_stats($node, $redis, 'scripts are flushed');

# --- no leak -----------------------------------------------------------------------------------------------------------------------

{
	my $peer = HostilePeer->new(sub { my ($s) = @_; my $calls = 0; HostilePeer::speak_redis($s, sub { die "closed\n" if $_[0] eq 'EVALSHA' && $calls++; return $_[0] eq 'EVALSHA' ? ":1\r\n" : $good{ $_[0] } // "+OK\r\n" }) });
	relay_settings($node, redis_url => url($peer));
	sql("SELECT (telemetry.ingest_telemetry_batch(array_agg('wide ' || i), NULL, array_agg(i::float8), NULL, array_agg(i::text))).accepted FROM generate_series(1, 20000) AS i");
	# The relay reads 10,000 devices at once. From here on it holds the rest of the first ones beside the others, and no more will come.
	relay_becomes($node, 'redis', 'acknowledged >= 8200', 'a server that closes after each call', 300);
	my $before = memory();
	my $failures = sql("SELECT failures FROM telemetry.relay_status WHERE sink = 'redis'");
	relay_becomes($node, 'redis', "failures >= $failures + 100", '100 more connections', 300);
	my $after = memory();
	note "memory: $before kB, later $after kB";
	# The relay keeps some megabytes of freed memory, and reads 10,000 devices for each connection.
	cmp_ok($after - $before, '<', 16384, 'memory stays as it is over 100 connections (kB)');
	$peer->stop;
}
sub memory { return slurp_file('/proc/' . relay_pid($node) . '/status') =~ /^RssAnon:\s+(\d+)/m ? $1 : die 'no RssAnon' }
relay_settings($node, redis_url => $redis->url);
everything_sent($node, 'a real server');
cmp_ok($redis->client->command('DBSIZE'), '>=', 20_050, 'it has every device');
nothing_repeats($node, 0, 'hostile servers', most => 1000);
$node->stop;
done_testing();
