# Disks that can be full: each is a folder with a tmpfs of a few megabytes. They are in a mount namespace of their own, so the test needs
# no rights. A server that start_on_small_disks() starts sees them. The test itself looks at them by on_small_disks().
#
#   my $disks = small_disks(folder => 8, other => 24) or plan skip_all => ...;    # megabytes; undef where the machine refuses
#   start_on_small_disks($disks, $node);
#   on_small_disks($disks, "mkdir $disks->{path}/folder/space");
#   fill($disks, 'folder'); ... free($disks, 'folder');
package SmallDisk;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Utils;
use Time::HiRes qw(time usleep);

our @EXPORT = qw(small_disks start_on_small_disks on_small_disks fill free);

# A process that ends with the test holds the namespace. The disks and the server end with it.
sub small_disks
{
	my (%megabytes) = @_;
	my $path = PostgreSQL::Test::Utils::tempdir;
	my $script = join ' && ', map { "mkdir '$path/$_' && mount -t tmpfs -o size=$megabytes{$_}m,mode=700 tmpfs '$path/$_'" } sort keys %megabytes;
	my $pid = open my $holder, '|-', "exec unshare -Urm sh -c \"$script && touch '$path/ready' && exec cat\" 2>'$path/refused' >/dev/null" or return undef;
	my $deadline = time + 60;
	usleep(10_000) until -e "$path/ready" || -s "$path/refused" || time > $deadline;
	return undef if !-e "$path/ready";

	# Enters the namespace as the same user.
	my $enter = "nsenter -t $pid -U -m --preserve-credentials unshare -U --map-user=$> --map-group=" . ($) + 0);
	return undef if system("$enter test -w '$path/" . (sort keys %megabytes)[0] . "' 2>>'$path/refused'") != 0;
	my ($pg_ctl) = grep { -x } map { "$_/pg_ctl" } split /:/, $ENV{PATH};
	mkdir "$path/bin" or die $!;
	PostgreSQL::Test::Utils::append_to_file("$path/bin/pg_ctl", "#!/bin/sh\nexec $enter '$pg_ctl' \"\$@\"\n");
	chmod 0755, "$path/bin/pg_ctl" or die $!;
	return { path => $path, enter => $enter, holder => $holder };
}

sub start_on_small_disks
{
	my ($disks, $node) = @_;
	local $ENV{PATH} = "$disks->{path}/bin:$ENV{PATH}";
	return $node->start;
}

sub on_small_disks
{
	my ($disks, $script) = @_;
	open my $run, '-|', split(/ /, $disks->{enter}), 'sh', '-c', "$script 2>&1" or die $!;
	my $out = do { local $/; <$run> };
	close $run or die "$script: $out";
	return $out;
}

# Fills a disk to its last page.
sub fill
{
	my ($disks, $name) = @_;
	on_small_disks($disks, "dd if=/dev/zero of='$disks->{path}/$name/fill' bs=4k; true");
	return;
}

sub free
{
	my ($disks, $name) = @_;
	on_small_disks($disks, "rm '$disks->{path}/$name/fill'");
	return;
}

1;
