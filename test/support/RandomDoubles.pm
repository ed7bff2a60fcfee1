# Sends random numbers of double precision as JSON, and compares what the log holds with their bits, which Perl knows from the digits.
package RandomDoubles;

use strict;
use warnings;

use Exporter 'import';
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(doubles_are_exact);

# Tests that so many numbers come through the JSON door bit by bit, as temperatures and as metrics. Most have 17 digits. The numbers of a
# round are in a device of their own.
sub doubles_are_exact
{
	my ($node, $round, $count, $seed) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	srand $seed;
	my $file = PostgreSQL::Test::Utils::tempdir . "/doubles_$round.csv";
	open my $numbers, '>', $file or die "$file: $!";
	foreach my $i (1 .. $count)
	{
		print $numbers join(',', $i, _random_digits()), "\n";
	}
	close $numbers;
	$node->safe_psql('postgres', <<"SQL");
SET client_min_messages = warning;
CREATE TABLE IF NOT EXISTS sent (i integer, digits text, bits text);
TRUNCATE sent;
\\copy sent FROM '$file' (FORMAT csv)
DO \$\$ BEGIN
	FOR lowest IN 1 .. $count BY 10000 LOOP
		PERFORM telemetry.ingest_telemetry_batch('[' || string_agg('{"device_id":"$round","idempotency_key":"' || i || '","temperature":' || digits || ',"metrics":{"v":' || digits || '}}', ',') || ']', 'abort')
		FROM sent WHERE i >= lowest AND i < lowest + 10000;
	END LOOP;
END \$\$;
SQL
	unlink $file;
	my $wrong = $node->safe_psql('postgres', <<"SQL");
SET enable_nestloop = off;
SELECT string_agg(concat_ws(' ', s.digits, s.bits, encode(float8send(m.temperature), 'hex'), m.metrics), E'\\n') FROM
	(SELECT s.*, m.temperature, m.metrics FROM sent s LEFT JOIN telemetry.measurements m ON m.device_id = '$round' AND m.idempotency_key = s.i::text
	 WHERE m.temperature IS NULL OR encode(float8send(m.temperature), 'hex') <> s.bits OR encode(float8send((m.metrics ->> 'v')::float8), 'hex') <> s.bits LIMIT 10) AS s, LATERAL (SELECT s.temperature, s.metrics) AS m
SQL
	return is($wrong, '', "$round: $count numbers, bit by bit (seed $seed)");
}

# Returns the digits of a number other than zero, and its bits. Perl reads digits by the C library's strtod.
sub _random_digits
{
	for (;;)
	{
		my $kind = int rand 10;
		my $digits;
		if ($kind < 7) { $digits = sprintf '%.17g', unpack 'd', pack 'L2', int rand 2**32, int rand 2**32 }
		elsif ($kind == 7) { $digits = sprintf '%.17g', (rand 200) - 100 }
		elsif ($kind == 8) { $digits = sprintf '%.' . int(rand 16) . 'f', (rand 2000) - 1000 }
		else { $digits = int(rand 1e15) . int(rand 1e15) . '.' . int(rand 1e9) . 'e' . (int(rand 500) - 290) }
		next if $digits =~ /n/i;    # not a number, or an infinity
		$digits =~ s/^(-?)0+(?=\d)/$1/;
		my ($nearest) = POSIX::strtod($digits);
		my $bits = unpack 'H16', pack 'd>', $nearest;
		next if $bits =~ /^[8f0]000000000000000$|^[7f]ff/;    # zero, or beyond double precision
		return ($digits, $bits);
	}
}

1;
