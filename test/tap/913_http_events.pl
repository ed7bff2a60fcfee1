# The stream of events: every event once, in the order of the log, also for clients that come back, that are slow, or that want only
# some; and what a client is told where its place is gone.
use strict;
use warnings;

use HttpNode;
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TelemetryNode;
use Test::More;
use Time::HiRes qw(time);

my $node = HttpNode->new('events', conf => "telemetry_cqrs.poll_interval = 200ms\n");
sub sql { return $node->safe_psql('postgres', $_[0]) }

# A client of the stream. It reads what has come, takes the chunks apart, and notes events and ids.
package Client
{
	sub new
	{
		my ($class, $node, %options) = @_;
		my $socket = $node->raw_socket;
		my $token = $options{token} // $node->token('reader');
		print $socket join "\r\n", "GET /events" . ($options{query} // '') . " HTTP/1.1", 'Host: x', "Authorization: Bearer $token",
			(defined $options{last_id} ? "Last-Event-ID: $options{last_id}" : ()), '', '';
		return bless { socket => $socket, raw => '', body => '', events => [], ids => [], last_id => $options{last_id}, ended => 0 }, $class;
	}

	# Reads for so long, or until `enough` says so.
	sub read
	{
		my ($self, $seconds, $enough) = @_;
		my $deadline = Time::HiRes::time() + $seconds;
		my $select = IO::Select->new($self->{socket});
		while (!$self->{ended} && !($enough && $enough->($self)))
		{
			my $left = $deadline - Time::HiRes::time();
			last if $left <= 0;
			next if !$select->can_read($left);
			my $count = sysread $self->{socket}, $self->{raw}, 65536, length $self->{raw};
			$self->{ended} = 1 if !$count;
			$self->take;
		}
		return $self;
	}

	sub take
	{
		my ($self) = @_;
		if (!defined $self->{head})
		{
			return if $self->{raw} !~ s/\A(.*?)\r\n\r\n//s;
			$self->{head} = $1;
		}
		while ($self->{raw} =~ /\A([0-9a-f]+)\r\n/)
		{
			my ($line, $size) = (length $&, hex $1);
			last if length $self->{raw} < $line + $size + 2;
			$self->{body} .= substr $self->{raw}, $line, $size;
			substr($self->{raw}, 0, $line + $size + 2) = '';
		}
		my $end = rindex $self->{body}, "\n\n";
		return if $end < 0;
		for my $event (split /\n\n/, substr $self->{body}, 0, $end + 2, '')
		{
			my %fields = map { /^(\w+): (.*)/ ? ($1 => $2) : () } split /\n/, $event;
			$self->{last_id} = $fields{id} if defined $fields{id};
			next if !defined $fields{data};
			push @{ $self->{events} }, \%fields;
			push @{ $self->{ids} }, $fields{id} =~ /-(\d+)$/ if defined $fields{id};
		}
		return;
	}

	sub ids { my ($self) = @_; return @{ $self->{ids} } }
	sub words { my ($self) = @_; return $self->{events}[-1] ? "$self->{events}[-1]{event} $self->{events}[-1]{data}" : '' }
}

my $sent = 0;
sub send_readings
{
	my ($count, $device, $region) = @_;
	$sent += $count;
	sql("SELECT telemetry.ingest_telemetry('$device', NULL, 1, NULL, 'k' || g || '-$sent', region => '$region') FROM generate_series(1, $count) g");
	return;
}
sub log_of { my ($condition) = @_; return sql("SELECT string_agg(e.id::text, ' ' ORDER BY b.batch_id, e.n) FROM telemetry.batch b, telemetry.read_events(b.batch_id) WITH ORDINALITY AS e(id, aggregatetype, aggregateid, type, version, payload, created_at, epoch, n) WHERE $condition") }
sub has { my ($count) = @_; return sub { return @{ $_[0]{ids} } >= $count } }
my $all = 'true';

# --- from now on ------------------------------------------------------------------------------------------------------------------

send_readings(3, 'before', 'north');
wait_applied($node);
ok(wait_for($node, 'SELECT count(*) > 0 FROM telemetry.batch', 'a batch'), 'there are batches');
my $first_new = sql('SELECT max(batch_id) FROM telemetry.batch') + 1;
my $client = Client->new($node)->read(10, sub { defined $_[0]{head} });
like($client->{head}, qr{^HTTP/1\.1 200 OK\r\nContent-Type: text/event-stream\r\n}, 'it is a stream of events');
my %chosen = map { $_->[0] => Client->new($node, query => $_->[1]) } [ device => '?device=d%202' ], [ region => '?region=south' ], [ both => '?region=south&device=d%202' ];
$_->read(10, sub { defined $_[0]{head} }) for values %chosen;
send_readings(10, 'd 1', 'north');
send_readings(10, 'd 2', 'north');
send_readings(10, 'd 2', 'south');
sql(q{SELECT telemetry.ingest_telemetry('ünï "quoted"', NULL, 2, 50, NULL, '{"light1": 3}', 'east')});
$client->read(20, has(31));
is(join(' ', $client->ids), log_of("b.batch_id >= $first_new"), 'each event once, in order, and none from before');
my $last = JSON::PP::decode_json($client->{events}[-1]{data});
is("$client->{ids}[-1]", $last->{id}, 'the id names the event');
is("$client->{events}[-1]{event} $last->{type} $last->{temperature} $last->{humidity} $last->{metrics}{light1} $last->{region}", 'telemetry.ingested telemetry.ingested 2 50 3 east', 'what an event says');
is($last->{device_id}, "\x{fc}n\x{ef} \"quoted\"", 'in UTF-8');
is(join(' ', $chosen{device}->read(10, has(20))->ids), log_of("e.aggregateid = 'd 2'"), 'events of a device');
is(join(' ', $chosen{region}->read(10, has(10))->ids), log_of("e.payload->>'region' = 'south'"), 'events of a region');
is(join(' ', $chosen{both}->read(10, has(10))->ids), log_of("e.aggregateid = 'd 2' AND e.payload->>'region' = 'south'"), 'events of both');
ok(wait_for($node, "SELECT max(batch_id) >= split_part('$chosen{device}{last_id}', '-', 1)::bigint FROM telemetry.batch", 'the batch'), 'its id names a batch');

# --- twenty times ------------------------------------------------------------------------------------------------------------------

my $from = $client->{last_id};
my @seen;
my $sender = $node->background_psql('postgres');
for my $round (1 .. 20)
{
	my $again = Client->new($node, last_id => $from);
	$sent += 137;
	$sender->query_safe("SELECT count(telemetry.ingest_telemetry('r' || g % 7, NULL, g, NULL, 'round-$round-' || g)) FROM generate_series(1, 137) g");
	# It breaks off in the middle, sometimes at once.
	my $enough = int rand 200;
	$again->read($round % 4 == 0 ? 0.05 : 10, sub { return @{ $_[0]{ids} } >= $enough });
	push @seen, $again->ids;
	$from = $again->{last_id};
	close $again->{socket};
}
my $rest = Client->new($node, last_id => $from)->read(20, sub { return @seen + @{ $_[0]{ids} } >= 20 * 137 });
push @seen, $rest->ids;
is(scalar @seen, 20 * 137, 'a client that came back twenty times has as many events as were sent');
is(join(' ', @seen), log_of("e.aggregateid ~ '^r[0-6]\$'"), 'each once, in order');

# --- slow, and far behind ---------------------------------------------------------------------------------------------------------

my $slow = Client->new($node, last_id => "$first_new-0" =~ s/-0$//r);
my $rss = sub { my $pid = sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs http'"); my ($kb) = slurp_file("/proc/$pid/status") =~ /VmRSS:\s+(\d+)/; return $kb };
send_readings(20000, 'flood', 'north');
sql("SELECT telemetry.ingest_telemetry_batch(array_fill('bulk'::text, ARRAY[50000]), NULL, array_fill(1.0, ARRAY[50000]), NULL)");
wait_applied($node);
my $quick = Client->new($node, last_id => $rest->{last_id})->read(60, has(70000));
is(scalar(() = $quick->ids), 70000, 'another client has all of a flood');
$slow->read(60, sub { return ($_[0]{ids}[-1] // 0) == $quick->{ids}[-1] });
is(join(' ', $slow->ids), log_of("b.batch_id > $first_new"), 'a client that did not read has all, too');

# --- where it is gone -------------------------------------------------------------------------------------------------------------

like(Client->new($node, last_id => '999999-5')->read(10)->words, qr/^lost .*"sqlstate":"TC203"/, 'a batch that never was');
my $place = sql("SELECT batch_id || '-' || (SELECT min(id) FROM telemetry.read_events(batch_id)) FROM telemetry.batch ORDER BY batch_id LIMIT 1 OFFSET 3");
sql("ALTER SYSTEM SET telemetry_cqrs.batch_retention = '1 s'");
sql('SELECT pg_reload_conf()');
my ($batch) = $place =~ /^(\d+)/;
ok(wait_for($node, "SELECT NOT EXISTS (SELECT FROM telemetry.batch WHERE batch_id = $batch)", 'old batches to be merged', 60), 'old batches are merged');
my $lost = Client->new($node, last_id => $place)->read(10);
like($lost->words, qr/^lost .*"sqlstate":"TC203"/, 'a place that was merged away');
ok($lost->{ended}, 'the stream ends');
like(Client->new($node, last_id => $batch)->read(10)->words, qr/^lost .*"sqlstate":"TC203"/, 'so is a whole batch');
sql("ALTER SYSTEM RESET telemetry_cqrs.batch_retention");
sql('SELECT pg_reload_conf()');
is($node->request(GET => '/events', { token => $node->token('reader'), headers => { 'Last-Event-ID' => 'x' } })->{status}, 400, 'no place at all');
is($node->request(GET => '/events', { token => $node->token('writer') })->{status}, 403, 'a writer may not listen');
is($node->request(GET => '/events', { token => undef })->{status}, 401, 'nor may anybody');

# --- a token that is revoked --------------------------------------------------------------------------------------------------------

my $short = sql("SELECT telemetry.create_http_token('reader', 'short')");
my $guest = Client->new($node, token => $short)->read(10, sub { defined $_[0]{head} });
ok(!$guest->{ended}, 'a guest listens');
sql("SELECT telemetry.revoke_http_token(token_id) FROM telemetry.http_tokens WHERE description = 'short'");
$guest->read(20);
ok($guest->{ended}, 'the stream of a revoked token ends');
like($guest->words, qr/^error .*"status":401/, 'and says why');

# --- devices that fall silent -------------------------------------------------------------------------------------------------------

my $watcher = Client->new($node)->read(10, sub { defined $_[0]{head} });
sql("SELECT telemetry.register_device('silent', expected_interval => '200 ms')");
sql("ALTER SYSTEM SET telemetry_cqrs.liveness_interval = '1 s'");
sql('SELECT pg_reload_conf()');
send_readings(1, 'silent', 'north');
$watcher->read(30, sub { grep { $_->{event} eq 'device.offline' } @{ $_[0]{events} } });
my ($offline) = map { JSON::PP::decode_json($_->{data}) } grep { $_->{event} eq 'device.offline' } @{ $watcher->{events} };
is(join(' ', map { $_ // 'none' } @$offline{qw(type device_id state)}), 'device.offline silent offline', 'a device that is offline');

$sender->quit;
done_testing();
