# TLS, logins and lists of servers. The relay takes a server only if its certificate is of an authority that it trusts, for the host of
# the URL, and valid; otherwise it fails in the phase tls and sends no password.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../support";

use Certificates;
use NatsServer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RedisServer;
use RelayNode;
use TelemetryNode;
use Test::More;

NatsServer::require_program();
RedisServer::require_program();
PeerProcess::program('openssl') or plan skip_all => 'openssl is not installed';
my ($ours, $foreign) = map { Certificates->new } 1 .. 2;
my $node = relay_node('secured');
sub sql { return $node->safe_psql('postgres', $_[0]) }
send_readings($node, 20);

sub nats_with
{
	my ($certificate, $key, $conf) = @_;
	return NatsServer->new(conf => ($certificate ? "tls { cert_file: \"$certificate\", key_file: \"$key\" }\n" : '') . ($conf // ''))->start;
}
# Tests that the relay reaches the server, and that a reading arrives.
sub arrives
{
	my ($sink, $what, %settings) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	relay_settings($node, %settings);
	relay_becomes($node, $sink, 'connected', "$what: connected");
	send_readings($node, 5);
	return relay_becomes($node, $sink, 'lag_events = 0 AND acknowledged >= 5', "$what: readings arrive");
}
sub refused
{
	my ($sink, $phase, $error, $what, %settings) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	relay_settings($node, %settings);
	return relay_becomes($node, $sink, "last_failure_phase = '$phase' AND last_error ~* '$error' AND state <> 'connected'", $what);
}

# --- NATS and TLS ----------------------------------------------------------------------------------------------------------------

my @good = $ours->server('good', names => 'IP:127.0.0.1,DNS:localhost');
my $nats = nats_with(@good);
my $port = $nats->port;
arrives('nats', 'tls:// and an address', nats_url => "tls://127.0.0.1:$port", relay_ca_file => $ours->authority);
is(sql("SELECT server FROM telemetry.relay_status WHERE sink = 'nats'"), "tls://127.0.0.1:$port", 'the server');
arrives('nats', 'tls:// and a name', nats_url => "tls://localhost:$port");
arrives('nats', 'nats:// where the server wants TLS', nats_url => "nats://127.0.0.1:$port");
refused('nats', 'tls', 'self.signed|unable to get', 'another authority', relay_ca_file => $foreign->authority);
refused('nats', 'tls', 'self.signed|unable to get', 'the authorities of the system', relay_ca_file => '');
refused('nats', 'tls', 'certificates of authorities cannot be read', 'a file that is not there', relay_ca_file => '/no/such/file');

# The file is read for each connection.
my $file = PostgreSQL::Test::Utils::tempdir . '/authorities.pem';
sub write_authorities { my ($of) = @_; open my $out, '>', "$file.new" or die; print $out slurp_file($of->authority); close $out; rename "$file.new", $file; return }
write_authorities($foreign);
refused('nats', 'tls', 'self.signed|unable to get', 'a file with another authority', relay_ca_file => $file);
write_authorities($ours);
relay_becomes($node, 'nats', 'connected', 'the file has changed');
relay_settings($node, relay_ca_file => $ours->authority);
$nats->stop;

my $wrong = nats_with($ours->server('wrong', names => 'DNS:example.org'));
refused('nats', 'tls', 'mismatch', 'the certificate of another host', nats_url => 'tls://127.0.0.1:' . $wrong->port);
refused('nats', 'tls', 'mismatch', 'the certificate of another host, by name', nats_url => 'tls://localhost:' . $wrong->port);
$wrong->stop;
my $expired = nats_with($ours->server('expired', names => 'IP:127.0.0.1', days => -1));
refused('nats', 'tls', 'expired', 'an expired certificate', nats_url => 'tls://127.0.0.1:' . $expired->port);
$expired->stop;
my $open = nats_with();
refused('nats', 'tls', 'offers no TLS', 'a server without TLS', nats_url => 'tls://127.0.0.1:' . $open->port);

# --- logins of NATS ------------------------------------------------------------------------------------------------------------------

my $with_user = nats_with(undef, undef, "authorization { user: \"me\", password: \"p/w:d%\" }\n");
arrives('nats', 'user and password', nats_url => $with_user->url('me:p%2Fw:d%25'));
refused('nats', 'authentication', 'authorization violation', 'a wrong password', nats_url => $with_user->url('me:wrong-word'));
refused('nats', 'authentication', 'authorization violation', 'no password', nats_url => $with_user->url);
my $with_token = nats_with(undef, undef, "authorization { token: \"t0k3n\" }\n");
arrives('nats', 'a token', nats_url => $with_token->url('t0k3n'));
refused('nats', 'authentication', 'authorization violation', 'a wrong token', nats_url => $with_token->url('wrong-word'));
is(sql("SELECT count(*) FROM telemetry.relay_status r WHERE r::text ~ 'wrong-word|t0k3n'"), '0', 'relay_status shows no secret');

# The role may not use the API of JetStream, or not publish.
my $limited = nats_with(undef, undef, <<'CONF');
authorization { users: [
	{ user: all, password: all }
	{ user: no_api, password: x, permissions: { publish: ["telemetry.>"], subscribe: ["_INBOX.>"] } }
	{ user: no_create, password: x, permissions: { publish: ["telemetry.>", "$JS.API.STREAM.INFO.>"], subscribe: ["_INBOX.>"] } }
	{ user: no_publish, password: x, permissions: { publish: ["$JS.API.>"], subscribe: ["_INBOX.>"] } }
	{ user: enough, password: x, permissions: { publish: ["telemetry.>", "$JS.API.STREAM.INFO.TELEMETRY"], subscribe: ["_INBOX.>"] } }
] }
CONF
refused('nats', 'stream', 'Permissions Violation for Publish to .*STREAM.INFO', 'a role that may not ask for the stream', nats_url => $limited->url('no_api:x'));
refused('nats', 'stream', 'Permissions Violation for Publish to .*STREAM.CREATE', 'a role that may not make it', nats_url => $limited->url('no_create:x'));
$limited->client(user => 'all', pass => 'all')->api('STREAM.CREATE.TELEMETRY', { name => 'TELEMETRY', subjects => ['telemetry.>'] });
arrives('nats', 'a role with the rights that the manual names', nats_url => $limited->url('enough:x'));
relay_settings($node, nats_url => $limited->url('no_publish:x'));
send_readings($node, 5);
refused('nats', 'publish', 'Permissions Violation for Publish to .*telemetry', 'a role that may not publish', nats_url => $limited->url('no_publish:x'));

# --- several servers -------------------------------------------------------------------------------------------------------------------

my $dead = PostgreSQL::Test::Cluster::get_free_port();
arrives('nats', 'the first server is dead', nats_url => "nats://127.0.0.1:$dead, " . $open->url);
is(sql("SELECT server, failures >= 1 FROM telemetry.relay_status WHERE sink = 'nats'"), 'nats://127.0.0.1:' . $open->port . '|t', 'the second one is in use');

# --- Redis -------------------------------------------------------------------------------------------------------------------------------

relay_settings($node, nats_url => '');
my $redis = RedisServer->new(arguments => [ '--requirepass', 's:e/c' ])->start;
arrives('redis', 'requirepass', redis_url => $redis->url(':s:e%2Fc'));
refused('redis', 'authentication', 'NOAUTH', 'no password', redis_url => $redis->url);
refused('redis', 'authentication', 'WRONGPASS', 'a wrong password', redis_url => $redis->url(':wrong-word'));
my $client = $redis->client;
$client->command('AUTH', 's:e/c');
# The rights that the manual names.
$client->command('ACL', 'SETUSER', 'relay', 'on', '>pass', '~device:stats:*', '~telemetry_cqrs:mark:*', '&device:stats', '+get', '+set', '+getrange', '+publish', '+ping', '+select', '+evalsha', '+script|load');
arrives('redis', 'a user of an ACL', redis_url => $redis->url('relay:pass', 5));
$client->command('SELECT', 5);
cmp_ok($client->command('DBSIZE'), '>', 0, 'the values are in the database of the URL');
$client->command('ACL', 'SETUSER', 'relay', '-evalsha');
send_readings($node, 5);
relay_becomes($node, 'redis', "last_failure_phase = 'publish' AND last_error LIKE '%NOPERM%'", 'a user that may not store');
refused('redis', 'authentication', 'out of range', 'a database that is not there', redis_url => $redis->url(':s:e%2Fc', 99));

sub redis_with
{
	my ($certificate, $key) = @_;
	my $tls_port = PostgreSQL::Test::Cluster::get_free_port();
	my $server = RedisServer->new(arguments => [ '--tls-port', $tls_port, '--tls-cert-file', $certificate, '--tls-key-file', $key, '--tls-ca-cert-file', $ours->authority, '--tls-auth-clients', 'no' ])->start;
	return ($server, $tls_port);
}
my ($secured, $tls_port) = redis_with(@good);
arrives('redis', 'rediss://', redis_url => "rediss://localhost:$tls_port/2", relay_ca_file => $ours->authority);
refused('redis', 'tls', 'self.signed|unable to get', 'rediss:// of another authority', relay_ca_file => $foreign->authority);
relay_settings($node, relay_ca_file => $ours->authority);
my ($mismatched, $mismatched_port) = redis_with($ours->server('other', names => 'DNS:example.org'));
refused('redis', 'tls', 'mismatch', 'rediss:// of another host', redis_url => "rediss://127.0.0.1:$mismatched_port");
refused('redis', 'tls', '.', 'rediss:// where no TLS is spoken', redis_url => 'rediss://127.0.0.1:' . $secured->port);
is(sql("SELECT count(*) FROM telemetry.relay_status r WHERE r::text ~ 'wrong-word|pass'"), '0', 'relay_status shows no secret');
my @lines = grep { /wrong-word|t0k3n/ && !/parameter "telemetry_cqrs\.\w+_url" changed to/ } split /\n/, slurp_file($node->logfile);
is(scalar @lines, 0, 'nor does the log') or diag join "\n", @lines;
my @tasks = glob '/proc/' . relay_pid($node) . '/task/*';
is(scalar @tasks, 1, 'TLS makes no thread');
$node->stop;
done_testing();
