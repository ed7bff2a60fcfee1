# POST /telemetry: each status, each form of the body, what is stored, and that an answer is durable.
use strict;
use warnings;

use HttpNode;
use IO::Compress::Gzip ();
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TelemetryNode;
use Test::More;
use Time::HiRes qw(time);

my $node = HttpNode->new('commands', conf => "restart_after_crash = on\ntelemetry_cqrs.auto_register = on\n");
sub sql { return $node->safe_psql('postgres', $_[0]) }
sub set
{
	my ($name, $value) = @_;
	sql("ALTER SYSTEM SET telemetry_cqrs.$name = '$value'");
	sql('SELECT pg_reload_conf()');
	# The worker has the setting when it has answered twice, because a turn begins with the reload.
	$node->request(GET => '/healthz', { token => undef }) for 1, 2;
	return;
}
sub post
{
	my ($content, %headers) = @_;
	my $query = delete $headers{query} // '';
	my $token = delete $headers{token} // $node->token('writer');
	return $node->request(POST => "/telemetry$query", { token => $token, headers => { 'Content-Type' => 'application/json', %headers }, content => $content });
}
sub told { my ($answer) = @_; return join ' ', grep { defined } $answer->{status}, map { $answer->{json}{$_} } qw(status sqlstate received accepted duplicates conflicts rejected) }
sub stored { return sql("SELECT count(*) FROM telemetry.measurements WHERE device_id = '$_[0]'") }

# --- one reading ------------------------------------------------------------------------------------------------------------------

my $reading = '{"device_id":"one","measured_at":"2026-03-01T12:00:00Z","temperature":21.5,"region":"north","metrics":{"light1":3}}';
my $first = post($reading, 'Idempotency-Key' => 'k-1');
is(told($first), '200 accepted', 'accepted');
is(sql("SELECT event_id, device_id, region, measured_at AT TIME ZONE 'UTC', temperature, humidity, metrics, idempotency_key FROM telemetry.measurements"), "$first->{json}{event_id}|one|north|2026-03-01 12:00:00|21.5||{\"light1\": 3}|k-1", 'it is stored');
my $second = post($reading, 'Idempotency-Key' => '"k-1"');
is(told($second), '200 duplicate', 'the same again is a duplicate, also with the key in quotes');
is($second->{json}{event_id}, $first->{json}{event_id}, 'with the first event');
is(stored('one'), '1', 'and stored once');
my $conflict = post($reading =~ s/21\.5/22/r, 'Idempotency-Key' => 'k-1');
is(told($conflict), '409 409 TC009', 'another reading under the key');
like($conflict->{json}{detail}, qr/temperature was 21\.5, now 22/, 'says what differs');
is($conflict->{headers}{'content-type'}, 'application/problem+json', 'as a problem');
is(sql('SELECT count(*) FROM telemetry.rejected_readings'), '0', 'a single one that is refused is not kept');
is(told(post('{"device_id":""}')), '422 422 TC001', 'a device without a name');
is(told(post('{"device_id":"a","temperature":"warm"}')), '422 422 TC012', 'a text as a number');
is(told(post('{"device_id":"a","measured_at":"2036-01-01T00:00:00Z"}')), '422 422 TC004', 'a time ahead');
is(told(post('{"device_id":"a","humidity":1e999}')), '422 422 TC003', 'a number beyond all');
is(told(post('{"device_id":"a","colour":"red"}')), '422 422 TC012', 'an unknown member');
is(told(post('{"device_id":"a","idempotency_key":"x"}', 'Idempotency-Key' => 'y')), '422 422 TC012', 'two keys');
is(told(post('{"device_id":"a","measured_at":1772366400}', query => '?time_unit=s')), '200 accepted', 'seconds');
is(told(post('{"device_id":"a","measured_at":1772366400}', query => '?time_unit=weeks')), '400 400 TC010', 'an unknown unit');
is(told(post('{"device_id":"a","measured_at":1772366400}')), '422 422 TC012', 'a number without a unit');
is(told(post('{')), '400 400 TC010', 'no JSON');
is(told(post('')), '400 400 TC010', 'nothing');
is(told(post('[]', 'Idempotency-Key' => 'k')), '400 400', 'a key for a list');
is(told(post(qq({"device_id":"a\xff"}))), '400 400 22021', 'bytes that are not UTF-8');
is(told(post("{\"device_id\":\"a\0\"}")), '400 400 22021', 'a NUL');
is(told(post($reading, 'Content-Type' => 'text/plain')), '415 415', 'another type');
is(told(post($reading, 'Content-Type' => 'application/x-www-form-urlencoded')), '415 415', 'a form');
is(told(post($reading, token => $node->token('reader'))), '403 403 42501', 'a reader may not');
is(told(post($reading, token => 'tcq_nothing')), '401 401', 'nobody may not');

# --- lists ------------------------------------------------------------------------------------------------------------------------

my $list = post('[{"device_id":"l1","temperature":1,"idempotency_key":"a"},{"device_id":"l2","temperature":2},{"device_id":"l1","temperature":1,"idempotency_key":"a"}]');
is(told($list), '200 3 2 1 0 0', 'a list that is stored');
ok(!exists $list->{json}{verdicts}, 'needs no verdicts');
my $mixed = post('[{"device_id":"l3"},{"device_id":"l1","temperature":9,"idempotency_key":"a"},7,{"device_id":"l4","temperature":"x"},{"device_id":"l1","temperature":1,"idempotency_key":"a"}]');
is(told($mixed), '207 5 1 1 1 2', 'a list of which some are not');
is(join(' ', map { "$_->{item_index} $_->{verdict} $_->{sqlstate}" } @{ $mixed->{json}{verdicts} }), '2 conflict TC009 3 rejected TC012 4 rejected TC012', 'the verdicts');
is(sql('SELECT count(*) FROM telemetry.rejected_readings'), '3', 'the quarantine keeps them');
is(sql("SELECT string_agg(verdict, ' ' ORDER BY item_index) FROM telemetry.batch_verdicts('$mixed->{json}{token}')"), 'accepted conflict rejected rejected duplicate', 'the token is that of the account');
is(told(post('[]')), '200 0 0 0 0 0', 'an empty list');
is(told(post('[{"device_id":"x"}')), '400 400 TC010', 'a list without its end');
is(stored('x'), '0', 'stores nothing');
my $lines = join "\n", map { qq({"device_id":"n$_","temperature":$_}) } 1 .. 5;
is(told(post("$lines\r\n\n", 'Content-Type' => 'application/x-ndjson')), '200 5 5 0 0 0', 'lines');
is(told(post("{\"device_id\":\"m1\"}\n{\"device_id\":\"m2\",\"a\":\"}\n{\"device_id\":\"m3\"}", 'Content-Type' => 'application/x-ndjson')), '207 3 2 0 0 1', 'a broken line spoils no other');
my $packed;
IO::Compress::Gzip::gzip(\'[{"device_id":"z1"},{"device_id":"z2"}]', \$packed);
is(told(post($packed, 'Content-Encoding' => 'gzip')), '200 2 2 0 0 0', 'packed');
is(told(post(substr($packed, 0, 20), 'Content-Encoding' => 'gzip')), '400 400', 'half of it');
is(told(post($packed, 'Content-Encoding' => 'zstd')), '415 415', 'another coding');
set(http_body => '64kB');
my $large = '[' . join(',', map { qq({"device_id":"big","temperature":$_}) } 1 .. 5000) . ']';
is(told(post($large)), '413 413', 'a body that is too large');
IO::Compress::Gzip::gzip(\$large, \$packed);
cmp_ok(length $packed, '<', 65536, 'packed it is small');
is(told(post($packed, 'Content-Encoding' => 'gzip')), '413 413', 'but not when it is unpacked');
set(http_body => '16MB');
is(told(post($large)), '200 5000 5000 0 0 0', 'with a larger limit it is stored');
set(max_batch_readings => 100);
is(told(post($large)), '413 413 TC011', 'a list that is too long');
set(max_batch_readings => 100000);

# --- not now ----------------------------------------------------------------------------------------------------------------------

set(device_burst => 2);
set(device_rate => '0.01');
is(told(post('{"device_id":"quota"}')), '200 accepted', "within the quota: $_") for 1, 2;
my $over = post('{"device_id":"quota"}');
is(told($over), '429 429 TC104', 'over the quota');
cmp_ok($over->{headers}{'retry-after'}, '>', 60, 'Retry-After says how long: more than a minute');
cmp_ok($over->{headers}{'retry-after'}, '<=', 100, 'and at most what one reading costs');
my ($wait) = $over->{json}{hint} =~ /Wait (\d+) ms/;
cmp_ok(abs($over->{headers}{'retry-after'} - $wait / 1000), '<=', 1, 'as the hint does');
set(device_rate => 0);

my $rival = $node->background_psql('postgres');
$rival->query_safe(q{BEGIN; SELECT telemetry.ingest_telemetry('one', now(), 1, idempotency_key => 'rival')});
my $begin = time;
my $busy = post('{"device_id":"one","temperature":2,"idempotency_key":"rival"}');
my $took = time - $begin;
like(told($busy), qr/^503 503 (?:TC101|55P03)$/, 'a rival holds the key');
is($busy->{headers}{'retry-after'}, 1, 'try again');
cmp_ok($took, '<', 2, 'it is not waited for');
is(told(post('{"device_id":"other"}')), '200 accepted', 'others go on');
$rival->query_safe('ROLLBACK');
$rival->quit;
is(told(post('{"device_id":"one","temperature":2,"idempotency_key":"rival"}')), '200 accepted', 'when the rival has gone it is stored');

sql('ALTER SYSTEM SET default_transaction_read_only = on');
sql('SELECT pg_reload_conf()');
is(told(post('{"device_id":"hostile"}')), '200 accepted', 'a default of sessions does not count for a worker');
$node->safe_psql('postgres', 'SET default_transaction_read_only = off; ALTER SYSTEM RESET default_transaction_read_only; SELECT pg_reload_conf()');

# --- durable ----------------------------------------------------------------------------------------------------------------------

# What was answered before a crash is there after it.
my %answered;
for my $round (1 .. 5)
{
	for my $i (1 .. 20)
	{
		my $answer = post(qq({"device_id":"durable","temperature":$i,"idempotency_key":"$round-$i"}));
		$answered{"$round-$i"} = 1 if $answer->{status} == 200;
	}
	$node->stop('immediate');
	$node->start;
	$node->wait_for_http;
}
is(scalar keys %answered, 100, 'a hundred were answered');
is(sql("SELECT count(*) FROM telemetry.measurements WHERE device_id = 'durable'"), '100', 'and are there after five crashes');
ok(wait_for($node, "SELECT bool_and(lag_events = 0) FROM telemetry.projection_status", 'the projector', 60), 'the projector goes on');
read_models_follow($node, 'telemetry.measurements', 'after all');

done_testing();
