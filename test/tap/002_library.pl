# The library as a file (acceptance check 25). It exports only the functions that the server looks up by name. It has no static
# constructors and destructors, because they would run in the postmaster and at the exit of every process. It says which version it is.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('library');
my $library = $node->config_data('--pkglibdir') . '/telemetry_cqrs.so';

my ($symbols) = run_command([ 'nm', '-D', '--defined-only', '--format=posix', $library ]);
my @exported = sort map { (split)[0] } split /\n/, $symbols;
my @called = split /\n/, $node->safe_psql('postgres', "SELECT DISTINCT prosrc FROM pg_proc WHERE probin LIKE '%/telemetry_cqrs'");
my @expected = sort qw(Pg_magic_func _PG_init telemetry_http_main telemetry_launcher_main telemetry_projector_main telemetry_relay_main), map { ($_, "pg_finfo_$_") } @called;
is_deeply(\@exported, \@expected, 'exported: the functions of the extension, the mains of the workers, the entry');

# One entry of the compiler's own is in every library.
my ($sections) = run_command([ 'readelf', '-SW', $library ]);
foreach my $section (qw(init_array fini_array))
{
	my ($size) = $sections =~ /\.$section\s+\w+\s+\w+\s+\w+\s+(\w+)/;
	is(hex($size // '0'), 8, "$section: no static object of ours");
}

SKIP:
{
	skip 'the server shows no version of a library before PostgreSQL 18', 1 if $node->pg_version < 18;
	is($node->safe_psql('postgres', "LOAD 'telemetry_cqrs'; SELECT module_name, version = (SELECT extversion FROM pg_extension WHERE extname = module_name) FROM pg_get_loaded_modules() WHERE file_name LIKE 'telemetry_cqrs%'"),
		'telemetry_cqrs|t', 'the server shows the version of the library');
}
$node->stop;
done_testing();
