# Each compiler builds the library without a warning, and each library shows the server the same symbols: what the install scripts
# name, the three mains of the workers, and what every library of the server has. Each build starts from the sources alone, in a copy.
use strict;
use warnings;
use File::Temp;
use FindBin;
use Test::More;

my $project = "$FindBin::Bin/../..";
my $pg_config = $ENV{PG_CONFIG} // 'pg_config';
chomp(my $pgxs = qx{$pg_config --pgxs});
my ($server_clang) = (qx{cat @{[ $pgxs =~ s{/makefiles/pgxs\.mk$}{}r ]}/Makefile.global} =~ /^CLANG *= *(\S+)/m);

sub is_there { my ($program) = @_; return defined $program && system("command -v '$program' >/dev/null 2>&1") == 0; }

# The C symbols that the install scripts of all versions name.
sub named_by_scripts
{
	my %seen;
	foreach my $script (glob("$project/sql/extension/*.sql"), glob("$project/sql/extension/*/*.sql"), glob("$project/sql/extension/*/*/*.sql"), glob("$project/sql/released/*.sql"))
	{
		open my $in, '<', $script or die "$script: $!";
		my $text = do { local $/; <$in> };
		$seen{$1} = 1 while $text =~ /'MODULE_PATHNAME', *'(\w+)'/g;
	}
	return keys %seen;
}

my @functions = named_by_scripts();
cmp_ok(scalar @functions, '>', 20, scalar(@functions) . ' functions in the install scripts');
my @expected = sort 'Pg_magic_func', '_PG_init', 'telemetry_http_main', 'telemetry_launcher_main', 'telemetry_projector_main', 'telemetry_relay_main', map { ($_, "pg_finfo_$_") } @functions;

# Builds in a copy, and looks at what the compilers said and what the library shows.
sub builds
{
	my ($what, @variables) = @_;
	my $copy = File::Temp->newdir;
	system("cd '$project' && find Makefile telemetry_cqrs.control sql src web/dist -type f ! -name '*.o' ! -name '*.bc' ! -name '*.d' | xargs cp -p --parents -t '$copy'") == 0
	  or die 'cannot copy the sources';
	my $said = qx{make -s -j2 -C '$copy' PG_CONFIG='$pg_config' WERROR=1 @variables 2>&1};
	is($?, 0, "$what: builds");
	unlike($said, qr/warning:/, "$what: without a warning") or diag($said);
	diag($said) if $?;
	my @shown = sort map { (split)[-1] =~ s/@.*//r } split /\n/, qx{nm -D --defined-only '$copy/telemetry_cqrs.so'};
	is("@shown", "@expected", "$what: shows these symbols and no others");
	my @bitcode = glob "$copy/src/*/*.bc";
	return scalar @bitcode;
}

SKIP:
{
	skip "LOUD: no $server_clang, which the server's bitcode needs", 4 unless is_there($server_clang);
	cmp_ok(builds('g++ with bitcode', 'with_llvm=yes'), '>', 50, 'bitcode comes of it');
}
is(builds('g++ without bitcode', 'with_llvm=no'), 0, 'no bitcode comes of it');
SKIP:
{
	my ($clang) = grep { is_there($_) } 'clang++', $server_clang ? $server_clang =~ s/clang/clang++/r : ();
	skip 'LOUD: no clang++', 4 unless defined $clang;
	is(builds("$clang without bitcode", "CXX=$clang", 'with_llvm=no'), 0, 'no bitcode comes of it');
}
done_testing();
