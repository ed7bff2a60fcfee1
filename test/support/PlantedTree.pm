# A small tree of files for tests of the checks: each plants a violation in it.
package PlantedTree;
use strict;
use warnings;
use Exporter 'import';
use File::Path qw(make_path);
use File::Temp;

our @EXPORT_OK = qw(planted_tree);

# Writes the files, from name to text; undef leaves a file out. Returns the folder, which goes when the value does.
sub planted_tree
{
	my (%files) = @_;
	my $tree = File::Temp->newdir;
	for my $name (grep { defined $files{$_} } keys %files)
	{
		make_path("$tree/" . ($name =~ m{^(.*)/} ? $1 : ''));
		open my $out, '>', "$tree/$name" or die "$name: $!";
		print $out $files{$name};
		close $out or die "$name: $!";
	}
	return $tree;
}

1;
