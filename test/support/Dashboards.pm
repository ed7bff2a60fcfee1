package Dashboards;

# Reads the dashboards of Grafana in grafana/dashboards, and puts values in place of variables and macros as Grafana does.
#
#   my @dashboards = dashboards($project);             # { file, json, panels, variables }; panels without rows
#   for my $query (queries($dashboard)) { ... }        # { what, language (sql | promql), text, format, panel }; those of variables too
#   sql_text($query, from => 1767225600, to => 1767312000, interval => 60, variables => { device => "o'brien" });
#   promql_text($query, rate_interval => '10s', variables => { instance => '.+' });
#
# Times are seconds since 1970. A macro that is not known here dies.

use strict;
use warnings;
use Exporter 'import';
use JSON::PP;
use POSIX ();

our @EXPORT_OK = qw(dashboards queries sql_text promql_text);

sub dashboards
{
	my ($project) = @_;
	return map {
		my $path = $_;
		open my $in, '<:raw', $path or die "$path: $!";
		local $/;
		my $json = JSON::PP->new->utf8->decode(scalar <$in>);
		{
			file => $path =~ s{.*/}{}r, json => $json,
			panels => [ grep { $_->{type} ne 'row' } @{ $json->{panels} } ], variables => { map { $_->{name} => $_ } @{ $json->{templating}{list} } }
		}
	} sort glob "$project/grafana/dashboards/*.json";
}

sub queries
{
	my ($dashboard) = @_;
	my @queries;
	for my $variable (@{ $dashboard->{json}{templating}{list} })
	{
		next if $variable->{datasource}{type} eq 'prometheus';    # label_values() is none of PromQL
		push @queries, { what => "$dashboard->{file}, variable $variable->{name}", language => 'sql', text => $variable->{query}, format => 'variable' };
	}
	for my $panel (@{ $dashboard->{panels} })
	{
		push @queries, map { {
			what => "$dashboard->{file}, $panel->{title}, $_->{refId}", panel => $panel, format => $_->{format},
			language => $_->{datasource}{type} eq 'prometheus' ? 'promql' : 'sql', text => $_->{rawSql} // $_->{expr}
		} } @{ $panel->{targets} };
	}
	return @queries;
}

sub sql_text
{
	my ($query, %options) = @_;
	my $text = $query->{text};
	my ($from, $to) = map { "'" . POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $_) . "'" } @options{qw(from to)};
	my $column = qr/((?:[^()]|\((?:[^()]|\([^()]*\))*\))+)/;
	$text =~ s/\$__timeFilter\($column\)/$1 BETWEEN $from AND $to/g;
	$text =~ s/\$__timeFrom\(\)/$from/g;
	$text =~ s/\$__timeTo\(\)/$to/g;
	$text =~ s/\$__interval_ms\b/$options{interval} * 1000/ge;
	$text =~ s/\$__interval\b/$options{interval}s/g;
	$text =~ s/\$__searchFilter/%/g;
	$text =~ s/\$\{(\w+):sqlstring\}/"'" . _value($1, %options) =~ s{'}{''}gr . "'"/ge;
	die "$query->{what}: what is that: $1\n" if $text =~ /(\$\{?[a-zA-Z_]\w*)/;
	return $text;
}

sub promql_text
{
	my ($query, %options) = @_;
	my $text = $query->{text} =~ s/\$__rate_interval\b/$options{rate_interval}/gr;
	$text =~ s/\$(\w+)/_value($1, %options)/ge;
	return $text;
}

sub _value { my ($name, %options) = @_; return $options{variables}{$name} // die "no variable \$$name\n" }

1;
