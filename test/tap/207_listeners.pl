# Listeners with other encodings. A payload is ASCII, so it reaches every listener.
use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('listeners');

# Listens while one reading of a device is applied. Returns the listener's output, the payload, and the complaints of its client.
sub told
{
	my ($database, $encoding, $ingest) = @_;
	local $ENV{PGCLIENTENCODING} = $encoding;
	my $out = '';
	my $listener = $node->background_psql($database, on_error_stop => 0);
	$listener->query_safe('LISTEN telemetry_ingested');
	{
		local $ENV{PGCLIENTENCODING} = 'UTF8';
		$node->safe_psql($database, $ingest);
		$node->safe_psql($database, 'CALL telemetry.project_once()');
	}
	# psql looks for notifications after each answer
	$out .= eval { $listener->query("SELECT 'alive'") } // "gone: $@" for 1 .. 2;
	my $err = $listener->{stderr};
	eval { $listener->quit };
	my ($payload) = $out =~ /with payload "(.*)" received/;
	return ($out, $payload, $err);
}

my $japanese = q{SELECT telemetry.ingest_telemetry(U&'\65E5\672C \+01F321', '2024-05-01 10:00', 1, NULL, 'k1', NULL, U&'Z\00FCrich')};
my ($out, $payload, $err) = told('postgres', 'LATIN1', $japanese);
like($out, qr/^alive/m, 'a listener with LATIN1 stays connected') or diag $err;
like($payload // '', qr/"device_id":"\\u65e5\\u672c \\ud83c\\udf21","region":"Z\\u00fcrich"/, 'and gets the escaped payload');
my $event = JSON::PP->new->decode($payload // '{}')->{events}[0];
is($event->{device_id}, "\x{65e5}\x{672c} \x{1f321}", 'which a parser reads as it was');
is($event->{region}, "Z\x{fc}rich", 'all of it');
is($node->safe_psql('postgres', q{SELECT jsonb '{"device_id":"\ud83c\udf21"}' ->> 'device_id' = U&'\+01F321'}), 't', 'the server too');

# In a database of another encoding the texts are no UTF-8: they are told only where they are ASCII.
$node->safe_psql('postgres', "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
$node->safe_psql('latin', 'CREATE EXTENSION telemetry_cqrs');
(undef, $payload) = told('latin', 'UTF8', q{SELECT telemetry.ingest_telemetry('north', '2024-05-01 10:00', 1, NULL, 'k1', '{"light": 1}')});
like($payload // '', qr/"device_id":"north"/, 'LATIN1 database: a reading whose texts are ASCII');
for my $reading (
	[ 'device', q{SELECT telemetry.ingest_telemetry(U&'Z\00FCrich', '2024-05-01 10:00', 1, NULL, 'k2')} ],
	[ 'region', q{SELECT telemetry.ingest_telemetry('a', '2024-05-01 10:00', 1, NULL, 'k2', NULL, U&'Z\00FCrich')} ],
	[ 'metric', q{SELECT telemetry.ingest_telemetry('a', '2024-05-01 10:00', 1, NULL, 'k3', jsonb_build_object(U&'H\00F6he', 1))} ])
{
	(undef, $payload) = told('latin', 'UTF8', $reading->[1]);
	like($payload // '', qr/^\{"v":1,"batch":\d+,"epoch":1,"count":1\}$/, "a $reading->[0] that is not: the number of the batch");
}

$node->stop;
done_testing();
