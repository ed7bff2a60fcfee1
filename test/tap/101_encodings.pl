# In a database that is not UTF8, a refusal may cut the sent text inside a character. The client still gets the message and its
# SQLSTATE.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('encodings');
$node->safe_psql('postgres', "CREATE DATABASE japanese ENCODING 'EUC_JP' LOCALE 'C' TEMPLATE template0");
local $TelemetryNode::database = 'japanese';
local $ENV{PGCLIENTENCODING} = 'UTF8';
$node->safe_psql('japanese', 'CREATE EXTENSION telemetry_cqrs');

# two bytes a character, the first at an odd position
my $long = q{'x' || repeat(U&'\3042', 200)};
foreach my $refused (
	[ 'TC001', 'a device', "SELECT telemetry.ingest_telemetry($long)" ],
	[ 'TC005', 'a key', "SELECT telemetry.ingest_telemetry('d', idempotency_key => $long || $long)" ],
	[ 'TC007', 'a region', "SELECT telemetry.ingest_telemetry('d', region => $long)" ],
	[ 'TC006', 'a metric', "SELECT telemetry.ingest_telemetry('d', metrics => jsonb_build_object($long, 1))" ],
	[ 'TC001', 'a device in a batch', "SELECT telemetry.ingest_telemetry_batch(ARRAY[$long], NULL, NULL, NULL, on_error => 'abort')" ],
	[ 'TC010', 'an option', "SELECT telemetry.ingest_telemetry_batch(ARRAY['d'], NULL, NULL, NULL, on_error => $long)" ],
	[ 'TC001', 'a registration', "SELECT telemetry.register_device($long)" ])
{
	my ($sqlstate, $what, $command) = @$refused;
	my (undef, undef, $err) = $node->psql('japanese', "\\set VERBOSITY verbose\n$command");
	like($err, qr/ERROR:  $sqlstate: .*DETAIL:  .*"x.*\.\.\."/s, "$what that is too long");
}
is($node->safe_psql('japanese', "SELECT rejected FROM telemetry.ingest_telemetry_batch(ARRAY[$long], NULL, NULL, NULL)"), '1', 'quarantined');
is($node->safe_psql('japanese', "SELECT payload->>'device_id' = $long, sqlstate FROM telemetry.rejected_readings"), 't|TC001', 'and kept as it was');

# The JSON door reads a text as UTF-8. Its words are in the encoding of the database.
sub reasons { my ($command) = @_; return $node->safe_psql('japanese', "DELETE FROM telemetry.rejected_readings; $command; SELECT replace(reason, U&'\\3042', 'A') FROM telemetry.rejected_readings ORDER BY rejected_id"); }
is(reasons(q{SELECT FROM telemetry.ingest_telemetry_batch(('[{"device_id": "' || U&'\3042' || '", "temperature": "x' || U&'\3042' || '"}, {"device_id": "\u3042", "humidity": []}]')::json)}),
	"temperature is not a number: temperature of device \"A\" is the text \"xA\".\nhumidity is not a number: humidity of device \"A\" is an array.", 'words about items');
like(($node->psql('japanese', q{SELECT telemetry.ingest_telemetry_batch(('[]' || U&'\3042')::text)}))[2], qr/DETAIL:  .*\xe3\x81\x82/, 'words about a text as a whole');
is(reasons(q{INSERT INTO telemetry.inbox_text (device_id, metrics) VALUES (U&'\3042', '{"a": "' || U&'\3042' || '"}'), (U&'\3042', '{} ' || U&'\3042')}),
	"metric is not a number: Metric \"a\" of device \"A\" is the text \"A\".\nmetrics are not JSON: metrics of device \"A\" are \"{} A\".", 'words about metrics in an inbox');

# The rule for names looks at characters, not at bytes. Every encoding refuses an invisible character and a space at an end. It accepts
# a letter, whatever its bytes mean elsewhere.
sub answer
{
	my ($database, $device) = @_;
	my (undef, $out, $err) = $node->psql($database, "\\set VERBOSITY sqlstate\nSELECT status FROM telemetry.ingest_telemetry($device)");
	return $err =~ /ERROR:  (\w+)/ ? $1 : $out;
}
my $bytes = sub { my ($encoding, $hex) = @_; return "convert_from('\\x$hex'::bytea, '$encoding')" };
is(answer('japanese', q{U&'\3042'}), 'accepted', 'EUC_JP: a letter');
is(answer('japanese', q{U&'a\3000b'}), 'accepted', 'EUC_JP: an ideographic space inside');
is(answer('japanese', q{U&'a\3000'}), 'TC001', 'EUC_JP: at an end');
is(answer('japanese', $bytes->('EUC_JP', 'a9a161')), 'accepted', 'EUC_JP: a character that Unicode lacks');
is(answer('japanese', "repeat(U&'\\3042', 127)"), 'accepted', 'EUC_JP: sizes are those of the database');
{
	local $ENV{PGCLIENTENCODING};
	delete $ENV{PGCLIENTENCODING};    # not every encoding can be converted
	foreach my $encoding ('LATIN1', 'WIN1252', 'SQL_ASCII', 'MULE_INTERNAL', 'UTF8')
	{
		$node->safe_psql('postgres', "CREATE DATABASE \L$encoding\E ENCODING '$encoding' LOCALE 'C' TEMPLATE template0");
		$node->safe_psql(lc $encoding, 'CREATE EXTENSION telemetry_cqrs');
	}
	is(answer('latin1', $bytes->('LATIN1', '61856f')), 'TC001', 'LATIN1: U+0085');
	# A conversion that the caller's search_path shows first is not the server's. This one is for other encodings, and would fail.
	my $conversion = sub { my ($library) = @_; return "CREATE OR REPLACE FUNCTION strange.conversion(integer, integer, cstring, internal, integer, boolean) RETURNS integer LANGUAGE c STRICT AS '\$libdir/utf8_and_$library->[0]', '$library->[1]';"; };
	$node->safe_psql('latin1', 'CREATE SCHEMA strange;' . $conversion->([ 'iso8859_1', 'iso8859_1_to_utf8' ]) .
			"CREATE DEFAULT CONVERSION strange.of_latin1 FOR 'LATIN1' TO 'UTF8' FROM strange.conversion;" . $conversion->([ 'win', 'win_to_utf8' ]));
	is($node->safe_psql('latin1', "SET search_path = strange, pg_catalog; SELECT status FROM telemetry.ingest_telemetry(" . $bytes->('LATIN1', 'e9') . ')'), 'accepted', 'LATIN1: the conversion is the server\'s');
	is(answer('latin1', $bytes->('LATIN1', '61a0')), 'TC001', 'LATIN1: a no-break space at the end');
	is(answer('win1252', $bytes->('WIN1252', 'e2808b')), 'accepted', 'WIN1252: letters that were an invisible character in UTF-8');
	is(answer('win1252', $bytes->('WIN1252', '61856f')), 'accepted', 'WIN1252: the same byte is an ellipsis');
	is(answer('win1252', $bytes->('WIN1252', 'a061')), 'TC001', 'WIN1252: a no-break space at the begin');
	is(answer('sql_ascii', $bytes->('SQL_ASCII', '61856f')), 'accepted', 'SQL_ASCII: a byte without a meaning');
	is(answer('sql_ascii', $bytes->('SQL_ASCII', '61e2808b')), 'TC001', 'SQL_ASCII: what is an invisible character in UTF-8');
	is(answer('mule_internal', $bytes->('MULE_INTERNAL', '818561')), 'accepted', 'MULE_INTERNAL, which has no UTF-8 form');
	is(answer('utf8', q{U&'a\200Bb'}), 'TC001', 'UTF8: a zero-width space');
	is(answer('utf8', q{U&'a\00A0'}), 'TC001', 'UTF8: a no-break space at the end');
	is(answer('utf8', q{U&'\00E4\FE0F'}), 'accepted', 'UTF8: a variation selector');
	my (undef, undef, $err) = $node->psql('utf8', q{SELECT telemetry.register_device('d', U&'north\202E')});
	like($err, qr/region of device "d" is "north\\u202E", with the invisible character U\+202E as character 6\./, 'the character is shown');
	# Two normalization forms of one text are two names; normalize() makes them one.
	is($node->safe_psql('utf8', q{SELECT telemetry.register_device(U&'\00E9'), telemetry.register_device(U&'e\0301'), telemetry.register_device(normalize(U&'e\0301', NFC))}), 't|t|f', 'normalization forms');
}

$node->stop;
done_testing();
