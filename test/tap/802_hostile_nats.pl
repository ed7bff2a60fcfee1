# NATS servers that are silent, broken or malicious. In each case relay_status says the state, the phase and the error. The relay holds no
# transaction, has one thread and the signal handlers of any worker, and keeps nobody waiting: neither the projector, nor a shutdown, nor
# statements on databases. It tries again without a storm, and its memory stays as it is.
# Begins early.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../support";

use HostilePeer;
use NatsServer;
use PostgreSQL::Test::Utils;
use RelayNode;
use ServerLog;
use TelemetryNode;
use Test::More;
use Time::HiRes qw(time usleep);

NatsServer::require_program();
my $node = relay_node('hostile', conf => $ServerLog::conf);
sub sql { my ($sql, $database) = @_; return $node->safe_psql($database // 'postgres', $sql) }
sub url { return 'nats://127.0.0.1:' . $_[0]->port }
send_readings($node, 10);

# Speaks as far as the stream, and hands each publication to the function.
sub with_stream
{
	my ($on_message) = @_;
	return sub {
		my ($socket) = @_;
		HostilePeer::speak_nats($socket, sub {
			my ($subject, $reply, $body) = @_;
			return print $socket HostilePeer::nats_message($reply, $HostilePeer::stream_info) if $subject =~ /^\$JS\.API\.STREAM\.INFO/;
			$on_message->($socket, $reply, $body);
		});
	};
}
sub on_request { my ($answer) = @_; return sub { my ($socket) = @_; HostilePeer::speak_nats($socket, sub { my ($subject, $reply) = @_; $answer->($socket, $reply) }) } }

my @no_answer = ('does not answer');
my @cases = (    # name, behaviour, phase, error, whether a message must be on its way
	[ 'is silent', \&HostilePeer::stay, 'handshake', 'does not answer' ],
	[ 'reads nothing', \&HostilePeer::sleep_for_ever, 'handshake', 'does not answer' ],
	[ 'closes at once', sub { }, 'handshake', 'closed|reset' ],
	[ 'is silent after INFO', sub { my ($s) = @_; print $s $HostilePeer::info; HostilePeer::stay($s) }, 'authentication', 'does not answer' ],
	[ 'sends half an INFO', sub { my ($s) = @_; print $s substr $HostilePeer::info, 0, 40; HostilePeer::stay($s) }, 'handshake', 'does not answer' ],
	[ 'closes in INFO', sub { my ($s) = @_; print $s substr $HostilePeer::info, 0, 40 }, 'handshake', 'closed' ],
	[ 'closes after INFO', sub { my ($s) = @_; print $s $HostilePeer::info }, 'authentication', 'closed|reset|pipe' ],
	[ 'sends garbage', sub { my ($s) = @_; print $s "HTTP/1.1 200 OK\r\n\r\n<html>"; HostilePeer::stay($s) }, 'handshake', 'does not speak NATS' ],
	[ 'sends zeros', sub { my ($s) = @_; print $s "\0" x 100_000; HostilePeer::stay($s) }, 'handshake', 'does not speak NATS' ],
	[ 'sends a line without an end', sub { my ($s) = @_; print $s 'INFO {"server_id":"', 'x' x 1_000_000 for 1 .. 50 }, 'handshake', 'does not speak NATS' ],
	[ 'sends an INFO that is no JSON', sub { my ($s) = @_; print $s "INFO {\"server_id\":\xff\xfe}\r\n"; HostilePeer::stay($s) }, 'handshake', q{the server''s INFO} ],
	[ 'knows no headers', sub { my ($s) = @_; print $s $HostilePeer::info =~ s/"headers":true,//r; HostilePeer::stay($s) }, 'handshake', 'knows no headers' ],
	[ 'wants TLS and speaks none', sub { my ($s) = @_; print $s $HostilePeer::info =~ s/"headers"/"tls_required":true,"headers"/r, "garbage\r\n" x 10; HostilePeer::stay($s) }, 'tls', '.' ],
	[ 'refuses the login', sub { my ($s) = @_; print $s $HostilePeer::info; HostilePeer::line($s); print $s "-ERR 'Authorization Violation'\r\n" }, 'authentication', 'Authorization Violation' ],
	[ 'says bytes of no encoding', sub { my ($s) = @_; print $s $HostilePeer::info; HostilePeer::line($s); print $s "-ERR '\xff\xfe\x01 no'\r\n" }, 'authentication', '\?\?\? no' ],
	[ 'closes after the login', sub { my ($s) = @_; print $s $HostilePeer::info; HostilePeer::line($s) for 1 .. 3; print $s "PONG\r\n" }, 'read', 'closed|reset' ],
	[ 'does not answer for the stream', on_request(sub { }), 'stream', 'does not answer' ],
	[ 'answers garbage for the stream', on_request(sub { my ($s, $reply) = @_; print $s HostilePeer::nats_message($reply, 'what?') }), 'stream', q{the server''s reply} ],
	[ 'has no JetStream', on_request(sub { my ($s, $reply) = @_; print $s "HMSG $reply 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n" }), 'stream', 'has no JetStream' ],
	[ 'refuses the stream', on_request(sub { my ($s, $reply) = @_; print $s HostilePeer::nats_message($reply, '{"error":{"code":500,"err_code":10023,"description":"insufficient resources"}}') }), 'stream', 'insufficient resources \(10023\)' ],
	[ 'acknowledges nothing', with_stream(sub { }), 'acknowledge', 'acknowledges nothing', 1 ],
	[ 'acknowledges garbage', with_stream(sub { my ($s, $reply) = @_; print $s HostilePeer::nats_message($reply, '{}') }), 'acknowledge', q{the server''s reply}, 1 ],
	[ 'acknowledges with an error', with_stream(sub { my ($s, $reply) = @_; print $s HostilePeer::nats_message($reply, '{"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"}}') }), 'publish', 'maximum messages exceeded \(10077\)', 1 ],
	[ 'acknowledges what was never sent', with_stream(sub { my ($s, $reply) = @_; print $s map { HostilePeer::nats_message($reply =~ s/\d+$/$_/r, '{"stream":"TELEMETRY","seq":1}') } 0, 999_999_999, '18446744073709551615', 'x' }), 'acknowledge', 'acknowledges nothing|does not speak|closed', 1 ],
	[ 'has no stream for the subject', with_stream(sub { my ($s, $reply) = @_; print $s "HMSG $reply 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n" }), 'publish', 'no stream takes the subject', 1 ],
	[ 'closes at the first message', with_stream(sub { die "closed\n" }), 'read', 'closed|reset|pipe', 1 ],
	[ 'reads no message', with_stream(sub { sleep 3600 }), 'acknowledge', 'acknowledges nothing', 1 ],
	[ 'forbids the subject', with_stream(sub { my ($s) = @_; print $s "-ERR 'Permissions Violation for Publish to \"telemetry.ingested\"'\r\n"; HostilePeer::stay($s) }), 'publish', 'Permissions Violation', 1 ],
);
# The states in which the relay waits for a peer.
my %thorough = map { $_ => 1 } 'is silent', 'is silent after INFO', 'does not answer for the stream', 'reads no message', 'closes at once';

my %plain = signals(sql("SELECT pid FROM telemetry.worker_status()"));
foreach my $case (@cases)
{
	my ($name, $behaviour, $phase, $error, $has_message) = @$case;
	my $peer = HostilePeer->new($behaviour);
	relay_settings($node, nats_url => url($peer));
	send_readings($node, 5);
	# While it lasts. A peer that is silent is one for 5 s.
	if ($thorough{$name})
	{
		my $deadline = time + 30;
		usleep(10_000) while !$peer->connections && time < $deadline;
		keeps_nobody_waiting($name);
	}
	relay_becomes($node, 'nats', "state IN ('backing off', 'connecting', 'connected') AND last_failure_phase = '$phase' AND last_error ~ '$error' AND failures > 0", "a server that $name: $phase", 30);
	wait_applied($node, "the projector beside a server that $name");
	relay_quiet($node, $name);
	$peer->stop;
}

sub keeps_nobody_waiting
{
	my ($name) = @_;
	my $relay = relay_pid($node);
	my @tasks = glob "/proc/$relay/task/*";
	is(scalar @tasks, 1, "$name: one thread");
	is_deeply({ signals($relay) }, \%plain, "$name: the signal handlers of a projector");
	relay_quiet($node, $name);
	within(2, "$name: CREATE DATABASE", sub { sql('CREATE DATABASE other') });
	within(2, "$name: DROP DATABASE of another one", sub { sql('DROP DATABASE other') });
	sql('CREATE DATABASE ours');
	sql('CREATE EXTENSION telemetry_cqrs', 'ours');
	wait_for($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs relay' AND datname = 'ours'", 'the relay of another database');
	within(2, "$name: DROP DATABASE with a relay", sub { sql('DROP DATABASE ours') });
	within(1, "$name: pg_terminate_backend(relay)", sub { is(sql("SELECT pg_terminate_backend($relay, 10000)"), 't', "$name: it ends") });
	ok(wait_for($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs relay' AND pid <> $relay", 'a new relay'), "$name: it comes back");
	return;
}

sub signals
{
	my ($pid) = @_;
	return slurp_file("/proc/$pid/status") =~ /^(Sig(?:Cgt|Ign|Blk)):\s*(\w+)$/mg;
}

# --- shutdown --------------------------------------------------------------------------------------------------------------------

foreach my $case (grep { $thorough{ $_->[0] } } @cases)
{
	my ($name, $behaviour) = @$case;
	my $peer = HostilePeer->new($behaviour);
	relay_settings($node, nats_url => url($peer));
	my $deadline = time + 30;
	usleep(10_000) while !$peer->connections && time < $deadline;
	within(5, "$name: fast shutdown", sub { $node->stop('fast') });
	$node->start;
	$peer->stop;
}
# A port where nobody listens, a name that does not exist.
relay_settings($node, nats_url => 'nats://127.0.0.1:' . PostgreSQL::Test::Cluster::get_free_port());
relay_becomes($node, 'nats', "last_failure_phase = 'connect' AND last_error ~ 'refused'", 'nobody listens');
relay_settings($node, nats_url => 'nats://no-such-host.invalid');
relay_becomes($node, 'nats', "last_failure_phase = 'resolve'", 'a name that does not exist', 30);
is(scalar(my @tasks = glob '/proc/' . relay_pid($node) . '/task/*'), 1, 'the look-up makes no thread');

# --- no storm, no leak -------------------------------------------------------------------------------------------------------------

{
	my $peer = HostilePeer->new(with_stream(sub { my ($s, $reply) = @_; print $s HostilePeer::nats_message($reply, '{"error":{"code":503,"err_code":10077,"description":"full"}}') }));
	relay_settings($node, nats_url => url($peer));
	relay_becomes($node, 'nats', 'failures >= 4', 'a server that refuses each message');
	my ($from, $until) = ($peer->connections, time + 5);
	usleep(50_000) while time < $until;
	cmp_ok($peer->connections - $from, '<=', 5, 'the relay does not storm a server that refuses each message');
	$peer->stop;
}
{
	my $peer = HostilePeer->new(with_stream(sub { my ($s, $reply) = @_; print $s HostilePeer::nats_message($reply, '{"stream":"TELEMETRY","seq":1}'); die "closed\n" }));
	send_readings($node, 2000);
	relay_settings($node, nats_url => url($peer));
	relay_becomes($node, 'nats', 'failures >= 20', 'a server that closes after each message', 120);
	my $before = memory();
	relay_becomes($node, 'nats', 'failures >= 220', '200 more connections', 300);
	my ($files, $after) = (scalar(my @files = glob '/proc/' . relay_pid($node) . '/fd/*'), memory());
	note "memory: $before kB, later $after kB, $files files";
	cmp_ok($after - $before, '<', 2048, 'memory stays as it is over 200 connections (kB)');
	cmp_ok($files, '<', 60, 'and files are closed');
	$peer->stop;
}
sub memory { return slurp_file('/proc/' . relay_pid($node) . '/status') =~ /^RssAnon:\s+(\d+)/m ? $1 : die 'no RssAnon' }

# After all that a real server gets everything.
my $nats = NatsServer->new->start;
relay_settings($node, nats_url => $nats->url);
send_readings($node, 10);
everything_sent($node, 'a real server');
nothing_repeats($node, 0, 'hostile servers', most => 1000);
$node->stop;
done_testing();
