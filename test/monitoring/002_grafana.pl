# The dashboards in grafana/ fit together: panels that Grafana 11 has, each with a description, a unit it knows, a data source that is
# provisioned, and room of its own. Their SQL runs as the read-only role that docker/first_start makes, on a server with a fleet, and what
# it says is what plain SQL over the raw readings says. Grafana itself does not run. The test runs on a server that dev/test makes, found by
# the PG* variables.
use strict;
use warnings;
use Cwd ();
use File::Temp;
use FindBin;
use lib "$FindBin::Bin/../support";
use Dashboards qw(dashboards queries sql_text);
use JSON::PP;
use Test::More;
use Time::HiRes qw(sleep time);

my $project = Cwd::realpath("$FindBin::Bin/../..");
my $deadline = 180;
my $scratch = File::Temp->newdir;
my %first = (PGUSER => $ENV{PGUSER}, PGDATABASE => $ENV{PGDATABASE});

sub content { my ($path) = @_; open my $in, '<', $path or die "$path: $!"; local $/; return scalar <$in> }
sub yaml { my ($path) = @_; return JSON::PP->new->decode(scalar qx{python3 -c 'import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))' '$path'}) }

# Runs a script in psql, and returns its status, its rows and what it said beside.
sub psql
{
	my ($script, $options, %environment) = @_;
	local @ENV{ 'PGDATABASE', keys %environment } = ('grafana', values %environment);
	open my $out, '>', "$scratch/script.sql" or die $!;
	print $out $script;
	close $out;
	my $rows = qx{psql -X -q -v ON_ERROR_STOP=1 $options -f '$scratch/script.sql' 2>'$scratch/said'};
	my $status = $?;
	chomp $rows;
	return ($status, $rows, content("$scratch/said"));
}
sub sql { my ($script, %environment) = @_; my ($status, $rows, $said) = psql($script, '-At', %environment); die "$script\n$said" if $status; return $rows }

# --- structure ---------------------------------------------------------------------------------------------------------------

my @dashboards = dashboards($project);
is(join(' ', map { $_->{file} } @dashboards), 'device.json fleet.json pipeline.json', 'three dashboards');
my %source;
SKIP:
{
	if (system(q{python3 -c 'import yaml' 2>/dev/null}) != 0)
	{
		diag('SKIPPED: no python3 with yaml (Debian: python3-yaml), so the provisioning is not read');
		skip 'no python3 with yaml', 3;
	}
	%source = map { $_->{uid} => $_->{type} } @{ yaml("$project/grafana/provisioning/datasources/telemetry_cqrs.yml")->{datasources} };
	is(join(' ', sort values %source), 'grafana-postgresql-datasource prometheus', 'two data sources');
	my $providers = yaml("$project/grafana/provisioning/dashboards/telemetry_cqrs.yml");
	is($providers->{apiVersion}, 1, 'the provisioning of dashboards has the version that Grafana knows');
	is($providers->{providers}[0]{type}, 'file', 'and reads files');
}

# Panels of Grafana 11 itself. Graph, singlestat and the old table and heat map are gone.
my %panel_type = map { $_ => 1 } qw(barchart bargauge gauge heatmap histogram piechart state-timeline stat status-history table timeseries);
my %unit = map { $_ => 1 } qw(bytes celsius dateTimeFromNow humidity percentunit s short);
my %place = map { $_->{json}{uid} => $_ } @dashboards;
is(scalar keys %place, scalar @dashboards, 'each has an address of its own');
for my $dashboard (@dashboards)
{
	my ($file, $json) = @$dashboard{qw(file json)};
	my @wrong;
	cmp_ok($json->{schemaVersion}, '>=', 39, "$file is of Grafana 11");
	push @wrong, 'no title' if ($json->{title} // '') !~ /^telemetry_cqrs: \w/;
	push @wrong, 'no description' if ($json->{description} // '') !~ /\.$/;
	push @wrong, 'an address that is not that of the file' if $json->{uid} ne 'telemetry_cqrs_' . $file =~ s/\.json$//r;
	push @wrong, 'an id of one installation' if defined $json->{id};
	my (%id, %taken, %title);
	for my $panel (@{ $json->{panels} })
	{
		my $what = $panel->{title} // '?';
		push @wrong, "$what: an id twice" if $id{ $panel->{id} }++;
		my $at = $panel->{gridPos};
		push @wrong, "$what: outside" if $at->{x} < 0 || $at->{x} + $at->{w} > 24 || $at->{h} < 1;
		for my $y ($at->{y} .. $at->{y} + $at->{h} - 1)
		{
			for my $x ($at->{x} .. $at->{x} + $at->{w} - 1) { push @wrong, "$what: on top of $taken{$x,$y}" if defined $taken{$x,$y}; $taken{$x,$y} = $what }
		}
		next if $panel->{type} eq 'row';
		push @wrong, "$what: a panel $panel->{type}" if !$panel_type{ $panel->{type} };
		push @wrong, "$what: a title twice" if $title{$what}++;
		push @wrong, "$what: no description" if ($panel->{description} // '') !~ /\w.*\.$/;
		my %ref;
		for my $target (@{ $panel->{targets} })
		{
			push @wrong, "$what: a query twice" if $ref{ $target->{refId} }++;
			push @wrong, "$what: a data source that is not provisioned" if %source && ($source{ $target->{datasource}{uid} // '' } // '') ne $target->{datasource}{type};
			push @wrong, "$what: a data source that is not the panel's" if $target->{datasource}{uid} ne $panel->{datasource}{uid};
			my $text = $target->{rawSql} // $target->{expr};
			push @wrong, "$what: no variable $_" for grep { !/^__/ && !$dashboard->{variables}{$_} } $text =~ /\$\{?(\w+)/g;
		}
		my @units = grep { defined } $panel->{fieldConfig}{defaults}{unit}, map { $_->{value} } grep { $_->{id} eq 'unit' } map { @{ $_->{properties} } } @{ $panel->{fieldConfig}{overrides} };
		push @wrong, "$what: no unit that is known here: $_" for grep { !$unit{$_} } @units;
		push @wrong, "$what: no unit" if $panel->{type} eq 'timeseries' && !@units;
		for my $link (map { @{ $_->{value} } } grep { $_->{id} eq 'links' } map { @{ $_->{properties} } } @{ $panel->{fieldConfig}{overrides} })
		{
			my ($uid, $variable) = $link->{url} =~ m{^/d/(\w+)\?var-(\w+)=} or push @wrong, "$what: a link $link->{url}";
			push @wrong, "$what: a link to no variable of a dashboard" if !$place{$uid} || !$place{$uid}{variables}{$variable};
		}
	}
	push @wrong, "the variable $_->{name} has no data source" for grep { %source && !$source{ $_->{datasource}{uid} } } values %{ $dashboard->{variables} };
	is(join("\n", @wrong), '', "$file: nothing is wrong") or diag(join "\n", @wrong);
	cmp_ok(scalar @{ $dashboard->{panels} }, '>=', 9, "$file: " . @{ $dashboard->{panels} } . ' panels');
}

# --- a fleet -----------------------------------------------------------------------------------------------------------------

sql('CREATE DATABASE grafana', %first);
sql('CREATE EXTENSION telemetry_cqrs');
# The roles are made by the script that the first start of the container runs.
my ($script) = content("$project/docker/first_start/50_monitoring.sh") =~ /<<'SQL'\n(.*?)^SQL$/ms or die 'no SQL in 50_monitoring.sh';
sql($script, GRAFANA_DATABASE_PASSWORD => q{it's "theirs"});
# Sixty devices in four regions and in none send every ten minutes for 30 hours. The last ten fell silent at different times.
my $odd = q{o'brien "1" \\2};
my $quoted = $odd =~ s/'/''/gr;
sql(<<"SQL");
CREATE TABLE sent AS
	SELECT CASE i WHEN 1 THEN '$quoted' ELSE 'dev-' || i END AS device_id, CASE WHEN i % 5 < 4 THEN 'region ' || i % 5 END AS region,
	       date_trunc('hour', now()) - interval '29 hours' + t * interval '10 min' + i * interval '1 s' AS measured_at,
	       20 + 5 * sin(t / 20.0) + i % 7 AS temperature, 50 + 10 * cos(t / 15.0) AS humidity, jsonb_build_object('co2', 400 + i + t) AS metrics
	FROM generate_series(1, 60) AS i, generate_series(0, 185) AS t
	WHERE i <= 50 OR t < 100;
DELETE FROM sent WHERE measured_at > now();
SELECT telemetry.ingest_telemetry_batch(array_agg(device_id), array_agg(measured_at), array_agg(temperature), array_agg(humidity), NULL, array_agg(metrics), array_agg(region)) FROM sent;
SELECT telemetry.ingest_telemetry_batch(ARRAY['', ' ', '$quoted'], NULL, ARRAY[1, 2, 'NaN'::float8], NULL);
SELECT telemetry.register_device('new', 'region 1');
SELECT telemetry.set_expected_interval(device_id, '1 hour') FROM (SELECT DISTINCT device_id FROM sent) AS d;
SQL
my $end = time + $deadline;
until (sql("SELECT count(*) = 0 FROM telemetry.projection_status WHERE lag_events > 0") eq 't')
{
	die 'the projections do not catch up' if time > $end;
	sleep 0.1;
}
# Ten devices are silent: four of them for two hours, six for ten. The test moves these times in the read model.
sql(q{UPDATE telemetry.state_device SET last_received_at = now() - CASE WHEN substr(key, 5)::integer <= 54 THEN interval '2 hours' ELSE interval '10 hours' END
	WHERE key ~ '^dev-5[1-9]$|^dev-60$' AND generation = (SELECT generation FROM telemetry.cursor WHERE projection = 'device' AND purpose = 'current')});
sql('VACUUM ANALYZE');

# --- every query -------------------------------------------------------------------------------------------------------------

my %as_grafana = (PGUSER => 'grafana', PGPASSWORD => q{it's "theirs"});
my $now = 1 + int time;    # behind everything that was received
my %variables = (device => $odd, metric => 'temperature');
my %spans = (day => { from => $now - 86400, to => $now, interval => 60 }, hour => { from => $now - 3600, to => $now, interval => 60 }, 'two months' => { from => $now - 60 * 86400, to => $now, interval => 3600 });

# Runs a query as Grafana does, and returns the names of its columns and its rows.
sub answer
{
	my ($query, %options) = @_;
	my ($status, $csv, $said) = psql(sql_text($query, variables => \%variables, %options) . ';', '--csv', %as_grafana);
	return ($said) if $status;
	my @rows = map { [ split /,/, $_, -1 ] } split /\n/, $csv;
	my $columns = shift @rows;
	return ('', $columns, \@rows);
}

my @queries = grep { $_->{language} eq 'sql' } map { queries($_) } @dashboards;
cmp_ok(scalar @queries, '>=', 20, @queries . ' queries in SQL');
my %answer;
for my $query (@queries)
{
	for my $span (sort keys %spans)
	{
		my ($error, $columns, $rows) = answer($query, %{ $spans{$span} });
		is($error, '', "$query->{what}, of $span: it runs") or next;
		# An hour that began before the span is no point of it.
		cmp_ok(scalar @$rows, '>', 0, "$query->{what}, of $span: it has rows") if $span ne 'hour' || $query->{text} !~ /_1h/;
		$answer{ $query->{what} }{$span} = [ $columns, $rows ];
		next if $query->{format} eq 'variable';
		# A chart over time needs a time, and numbers; a name of the series may stand beside it.
		if ($query->{format} eq 'time_series')
		{
			is($columns->[0], 'time', "$query->{what}: the first column is the time");
			is(join(' ', grep { my $row = $_; grep { $columns->[$_] !~ /^(?:time|metric)$/ && $row->[$_] !~ /^-?[\d.e+-]+$/ } 0 .. $#$columns } @$rows), '', "$query->{what}: the others are numbers");
			is(join(' ', map { $_->[0] } @$rows), join(' ', sort map { $_->[0] } @$rows), "$query->{what}: its times ascend");
		}
		my %named = map { $_ => 1 } @$columns, map { my $row = $_; map { $row->[$_] } grep { $columns->[$_] eq 'metric' } 0 .. $#$columns } @$rows;
		is(join(' ', grep { !$named{$_} } map { $_->{matcher}{options} } grep { $_->{matcher}{id} eq 'byName' } @{ $query->{panel}{fieldConfig}{overrides} }), '', "$query->{what}: what is shown otherwise is there");
	}
}

# --- and it is true ----------------------------------------------------------------------------------------------------------

# Returns rows of an answer, columns separated by |.
sub rows_of { my ($what, $span) = @_; return join "\n", map { join '|', @$_ } @{ $answer{$what}{$span}[1] } }
sub sum { my $sum = 0; $sum += $_ for @_; return $sum }
my $all = sql('SELECT count(*) FROM sent');
is(rows_of('fleet.json, Devices by state, A', 'day'), '50|4|6|1|0', 'devices by state');
cmp_ok(abs(rows_of('fleet.json, Offline share, A', 'day') - 0.1), '<', 1e-9, 'the share of offline devices');
is(rows_of('fleet.json, Readings, A', 'day'), $all, 'readings');
is(scalar @{ $answer{'fleet.json, Late and offline devices, A'}{day}[1] }, 10, 'late and offline devices');
is(join("\n", sort split /\n/, rows_of('fleet.json, Silent devices by region, A', 'day')),
	sql(q{SELECT string_agg(r, E'\n' ORDER BY r COLLATE "C") FROM (SELECT concat_ws('|', CASE WHEN i % 5 < 4 THEN 'region ' || i % 5 ELSE 'none' END, count(*) FILTER (WHERE i <= 54), count(*) FILTER (WHERE i > 54)) AS r
		FROM generate_series(51, 60) AS i GROUP BY i % 5) AS s}), 'where they are');
for my $span ([ day => "measured_at >= date_trunc('minute', to_timestamp($now) - interval '24 hours' + interval '59.999 s')", 60 ], [ 'two months' => 'true', 3600 ])
{
	cmp_ok(abs($span->[2] * sum(map { $_->[1] } @{ $answer{'fleet.json, Readings per second, A'}{ $span->[0] }[1] }) - sql("SELECT count(*) FROM sent WHERE $span->[1]")), '<', 0.01, "readings per second, of $span->[0]: as many as were sent");
}
is(join("\n", sort map { join '|', @$_[ 0 .. 2 ] } @{ $answer{'fleet.json, Regions, A'}{day}[1] }),
	sql(q{SELECT string_agg(r, E'\n' ORDER BY r COLLATE "C") FROM (SELECT concat_ws('|', COALESCE(region, 'none'), count(DISTINCT device_id) + COALESCE((region = 'region 1')::integer, 0), count(*)) AS r FROM sent GROUP BY region) AS s}), 'regions, with the device that never sent');
is(sum(map { $_->[2] } @{ $answer{'fleet.json, Rejected readings by SQLSTATE, A'}{hour}[1] }), sql('SELECT count(*) FROM telemetry.rejected_readings'), 'rejected readings');
my ($what) = 'device.json, $metric with least and greatest value, A';
my @series = @{ $answer{$what}{day}[1] };
is(join(' ', @{ $answer{$what}{day}[0] }), 'time mean least greatest', 'a series has its band');
is(scalar(grep { $_->[2] > $_->[1] + 1e-9 || $_->[3] < $_->[1] - 1e-9 } @series), 0, 'the mean lies within it');
is(scalar @series, sql("SELECT count(*) FROM sent WHERE device_id = '$quoted' AND measured_at >= to_timestamp($now) - interval '24 hours' AND measured_at < to_timestamp($now)"), 'a day of one device is so short that each reading is a point');
cmp_ok(abs($series[-1][1] - sql("SELECT temperature FROM sent WHERE device_id = '$quoted' ORDER BY measured_at DESC LIMIT 1")), '<', 1e-9, 'the last of which is the last reading');
is(sum(map { $_->[1] } @{ $answer{'device.json, Readings per hour, A'}{'two months'}[1] }), sql("SELECT count(*) FROM sent WHERE device_id = '$quoted'"), 'readings per hour');
my @quantiles = @{ $answer{'device.json, Quantiles of each hour, A'}{'two months'}[1] };
my @expected = map { [ split /\|/ ] } split /\n/, sql("SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY temperature), percentile_disc(0.99) WITHIN GROUP (ORDER BY temperature) FROM sent WHERE device_id = '$quoted' GROUP BY date_trunc('day', measured_at AT TIME ZONE 'UTC') ORDER BY date_trunc('day', measured_at AT TIME ZONE 'UTC')");
is(scalar @quantiles, scalar @expected, 'beyond 30 days quantiles are those of days');
is(scalar(grep { abs($quantiles[$_][1] - $expected[$_][0]) > 0.0101 * $expected[$_][0] || abs($quantiles[$_][3] - $expected[$_][1]) > 0.0101 * $expected[$_][1] } 0 .. $#expected), 0, 'to 1 %');
is(rows_of('device.json, State, A', 'day'), 'online', 'the state of a device');
is(rows_of('device.json, Rejected, A', 'day'), sql("SELECT count(*) FROM telemetry.rejected_readings WHERE device_id = '$quoted'"), 'its rejected readings');
is(scalar @{ $answer{'device.json, variable device'}{day}[1] }, 60, 'the variable has each device that ever sent');

# --- the role may not do more --------------------------------------------------------------------------------------------------

for ('CREATE TEMP TABLE x ()', 'SET default_transaction_read_only = off; SELECT telemetry.ingest_telemetry($$x$$, NULL, 1)', 'DELETE FROM telemetry.rejected_readings',
	'SET default_transaction_read_only = off; UPDATE telemetry.rejected_readings SET reason = $$x$$', 'SELECT * FROM telemetry.installation', 'SELECT * FROM telemetry.health()')
{
	my ($status, undef, $said) = psql("$_;", '-At', %as_grafana);
	ok($status != 0 && $said =~ /permission denied|read-only transaction/, "Grafana may not: $_") or diag($said);
}
done_testing();
