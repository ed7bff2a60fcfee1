# The manual (doc/manual) tells the truth. Its tables list every public object: what is missing fails the test, and so does what is
# not there. An object is public if its comment does not say "Internal". The test also runs each block of SQL of the manual.
use strict;
use warnings;

use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $project = "$FindBin::Bin/../..";
my $node = telemetry_node('manual', preload => 1);

sub content_of
{
	my ($file) = @_;
	open my $in, '<:raw', "$project/$file" or die "$file: $!";
	local $/;
	return scalar <$in>;
}
my %page = map { $_ => content_of("doc/manual/$_.md") } qw(README concepts sending reference projections subscriptions relay monitoring backup sizing limits);

# Returns the tables after the mark "<!-- $mark -->" of a page, up to the next mark or heading of level 1 or 2, as rows of cells. The
# first row of each table and the line below it are left out. Backticks around a whole cell go.
sub rows_of
{
	my ($page, $mark) = @_;
	my ($part) = $page{$page} =~ /^<!-- \Q$mark\E -->\n(.*?)(?=^##? |^<!-- |\z)/ms or die "no mark $mark in $page.md";
	my @rows;
	my $is_body = 0;
	for my $line (split /\n/, $part)
	{
		if    ($line !~ /^\|/)    { $is_body = 0 }
		elsif ($line =~ /^\|-/)   { $is_body = 1 }
		elsif ($is_body)
		{
			my @cells = map { s/^\s+|\s+$//gr =~ s/^`([^`]*)`$/$1/r =~ s/\\\|/|/gr } split /(?<!\\)\|/, $line =~ s/^\|//r, -1;
			push @rows, \@cells;
		}
	}
	cmp_ok(scalar @rows, '>', 0, "$page.md, $mark: " . @rows . ' rows');
	return @rows;
}

# Returns the rows that the query gives, each as one text.
sub lines_of { return split /\n/, $node->safe_psql('postgres', $_[0]) }

# Returns a sentence for each name that only one of the lists has, or that the manual has twice.
sub differences
{
	my ($told, $real) = @_;
	my (%told, %real);
	$told{$_}++ for @$told;
	$real{$_}++ for @$real;
	return ((map { "only in the manual: $_" } grep { !$real{$_} } sort keys %told), (map { "missing in the manual: $_" } grep { !$told{$_} } sort keys %real),
		map { "twice in the manual: $_" } grep { $told{$_} > 1 } sort keys %told);
}
is(join(', ', differences([ 'a', 'b', 'b' ], [ 'b', 'c' ])), 'only in the manual: a, missing in the manual: c, twice in the manual: b', 'each kind of difference is seen');

sub same_list
{
	my ($told, $real, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @wrong = differences($told, $real);
	return ok(!@wrong, $what) || diag join "\n", @wrong;
}

sub short_types
{
	my ($text) = @_;
	return $text =~ s/timestamp with time zone/timestamptz/gr;
}

# --- reference.md ----------------------------------------------------------------------------------------------------------------

# Signatures: the names, types and defaults of the arguments that a caller gives, and the type or the columns of the result.
my $is_public = q{coalesce(obj_description(%s, '%s'), '') !~ '\mInternal\M'};
my @functions = lines_of(sprintf <<'SQL', sprintf $is_public, 'p.oid', 'pg_proc');
SELECT concat_ws(E'\t', p.proname, pg_get_function_arguments(p.oid),
                 CASE WHEN o.columns IS NOT NULL THEN CASE WHEN p.proretset THEN 'setof ' ELSE '' END || o.columns ELSE coalesce(pg_get_function_result(p.oid), '') END)
FROM pg_proc p
CROSS JOIN LATERAL (SELECT '(' || string_agg(a.name, ', ' ORDER BY a.place) || ')' AS columns
                    FROM unnest(p.proargnames, p.proargmodes) WITH ORDINALITY AS a (name, mode, place) WHERE a.mode IN ('o', 't')) AS o
WHERE p.pronamespace = 'telemetry'::regnamespace AND %s
SQL
my @real;
for (@functions)
{
	my ($name, $arguments, $result) = split /\t/, short_types($_), -1;
	$arguments = join ', ', grep { !/^OUT / } split /, /, $arguments;
	$arguments =~ s/ DEFAULT / = /g;
	$arguments =~ s/::(?:timestamptz|double precision|text|jsonb|interval|\w+)(?:\[\])?//g;
	$result =~ s/^SETOF /setof /;
	push @real, "$name($arguments) -> " . ($result eq '' ? 'nothing' : $result);
}
my @told = map { "$_->[0] -> $_->[1]" } rows_of('reference', 'functions');
same_list(\@told, \@real, 'every public function is in reference.md, with its arguments and its result');

# Views and public tables, with their columns.
for my $kind ([ views => 'v', 'pg_class' ], [ tables => 'r', 'pg_class' ])
{
	my ($mark, $relkind, $catalogue) = @$kind;
	my @relations = lines_of(sprintf <<"SQL", sprintf $is_public, 'c.oid', 'pg_class');
SELECT c.relname || ': ' || string_agg(a.attname, ', ' ORDER BY a.attnum)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'telemetry'::regnamespace AND c.relkind = '$relkind' AND %s
GROUP BY c.oid, c.relname
SQL
	same_list([ map { "$_->[0]: $_->[1]" } rows_of('reference', $mark) ], \@relations, "all $mark are in reference.md, with their columns");
}

my @types = lines_of(<<'SQL');
SELECT t.typname FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE t.typnamespace = 'telemetry'::regnamespace AND t.typelem = 0 AND (c.oid IS NULL OR c.relkind = 'c')
SQL
same_list([ map { $_->[0] } rows_of('reference', 'types') ], \@types, 'every type is in reference.md');

# Settings: default, unit, range or values, context.
my @settings = lines_of(<<'SQL');
LOAD 'telemetry_cqrs';
SELECT concat_ws(' ', name, coalesce(nullif(boot_val, ''), 'empty'), coalesce(unit, '-'), CASE vartype WHEN 'string' THEN 'text' WHEN 'bool' THEN 'on, off' WHEN 'enum' THEN array_to_string(enumvals, ', ') ELSE min_val || ' to ' || max_val END, context)
FROM pg_settings WHERE name LIKE 'telemetry\_cqrs.%'
SQL
same_list([ map { join ' ', @$_[ 0 .. 4 ] } rows_of('reference', 'settings') ], \@settings, 'every setting is in reference.md, with default, unit, range and context');

my @codes = content_of('src/error_codes.hpp') =~ /pack_sqlstate\("(\w{5})"\)/g;
cmp_ok(scalar @codes, '>', 15, 'there are error codes');
same_list([ map { $_->[0] } rows_of('reference', 'error codes') ], \@codes, 'every SQLSTATE of the extension is in reference.md');

# The codes that the pages name exist.
my %exists = map { $_ => 1 } @codes;
for my $name (sort keys %page)
{
	is(join(', ', grep { !$exists{$_} } $page{$name} =~ /\b(TC\d{3})\b/g), '', "$name.md names no code that does not exist");
}

# Objects that the pages name exist, too. A name may be that of a column of a view, or of the example.
my %known = map { $_ => 1 } lines_of(<<'SQL');
SELECT relname FROM pg_class WHERE relnamespace = 'telemetry'::regnamespace UNION SELECT proname FROM pg_proc WHERE pronamespace = 'telemetry'::regnamespace
UNION SELECT typname FROM pg_type WHERE typnamespace = 'telemetry'::regnamespace
SQL
for my $name (sort keys %page)
{
	my %unknown = map { $_ => 1 } grep { !$known{$_} && !/^(?:lab_15m|everything|ingested$)/ } $page{$name} =~ /\btelemetry\.([a-z]\w+)\b/g;
	is(join(', ', sort keys %unknown), '', "$name.md names no object that does not exist");
}

# --- monitoring.md ---------------------------------------------------------------------------------------------------------------

same_list([ map { $_->[0] } rows_of('monitoring', 'health items') ], [ lines_of('SELECT item FROM telemetry.health()') ], 'every item of health() is in monitoring.md');
my @limits = lines_of("SELECT key || ': ' || value FROM telemetry.health_limits() AS l, jsonb_each_text(to_jsonb(l)) AS e");
my %told_limit = map { $_->[0] => $_->[1] } rows_of('monitoring', 'health limits');
same_list([ keys %told_limit ], [ map { /^(\w+):/ } @limits ], 'every limit of health() is in monitoring.md');
for (@limits)
{
	my ($limit, $value) = /^(\w+): (.*)$/;
	my $type = $value =~ /^[\d.]+$/ ? 'numeric' : 'interval';
	is($node->safe_psql('postgres', "SELECT '$value'::$type = '" . ($told_limit{$limit} // 0) . "'::$type"), 't', "the limit $limit");
}
same_list([ map { $_->[0] } rows_of('monitoring', 'setup items') ], [ lines_of('SELECT item FROM telemetry.setup()') ], 'every item of setup() is in monitoring.md');

my @metrics = lines_of(q{SELECT concat_ws(' ', 'telemetry_cqrs_' || name || CASE type WHEN 'counter' THEN '_total' WHEN 'info' THEN '_info' ELSE '' END, type, help) FROM telemetry.metric_families()});
same_list([ map { "$_->[0] $_->[1] $_->[3]" } rows_of('monitoring', 'metrics') ], \@metrics, 'every metric of open_metrics() is in monitoring.md, with its type and its text');

# --- the blocks of SQL -----------------------------------------------------------------------------------------------------------

# A reader is slower than the worker, so the test lets the worker finish between two blocks.
sub let_worker_finish
{
	return wait_for($node, "SELECT NOT EXISTS (SELECT FROM telemetry.projection_status WHERE state <> 'paused' AND (lag_events > 0 OR rebuilt_events IS NOT NULL))", 'everything is applied');
}

my $blocks = 0;
for my $name (qw(projections subscriptions relay monitoring backup concepts sizing limits reference))
{
	my $number = 0;
	while ($page{$name} =~ /^```sql\n(.*?)^```$/gms)
	{
		my $block = $1;
		++$blocks;
		my ($out, $err);
		my $status = $node->psql('postgres', $block, stdout => \$out, stderr => \$err);
		$err =~ s/^psql:\S+ NOTICE:.*\n?(?:(?:DETAIL|HINT):.*\n?)*//mg;
		ok($status == 0 && $err eq '', "$name.md, block " . ++$number) or diag "$block$err";
		is($out, '', "$name.md, block $number: no difference") if $block =~ /verify_projection/;
		let_worker_finish();
	}
}
cmp_ok($blocks, '>', 15, "$blocks blocks");

# "Page somebody": a query of that section gives no row while all is well.
my ($alerts) = $page{monitoring} =~ /^## Page somebody\n(.*?)^## /ms;
for my $alert ($alerts =~ /^```sql\n(.*?)^```$/gms)
{
	is($node->safe_psql('postgres', $alert), '', 'no alert: ' . (split /\n/, $alert)[0]);
}

$node->stop;
done_testing();
