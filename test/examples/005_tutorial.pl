# doc/tutorial.md works: the test types each of its commands into one shell, as a user of the machine, and looks at what they say. The
# installation is a copy, so that `make install` changes nothing else; `sudo` there only runs its command. No bitcode is made, which takes
# minutes.
use strict;
use warnings;
use File::Temp;
use FindBin;
use IO::Socket::INET;
use IPC::Run qw(start timeout);
use Test::More;

my $project = "$FindBin::Bin/../..";
my $user    = $> == 0 ? 'postgres' : getpwuid $>;
my $deadline = 300;

plan skip_all => 'SKIPPED: nats-server is not installed (dev/setup --nats)' if system("PATH=\$PATH:/usr/sbin; command -v nats-server >/dev/null 2>&1");

open my $in, '<', "$project/doc/tutorial.md" or die "tutorial.md: $!";
my $text = do { local $/; <$in> };
my @blocks = $text =~ /^```sh\n(.*?)^```$/gms;
cmp_ok(scalar @blocks, '>', 12, scalar(@blocks) . ' blocks of commands');

# The shell's user has a home, the sources with what is built of them, and a PostgreSQL of its own.
my $home = File::Temp->newdir('telemetry_tutorial_XXXXXX', TMPDIR => 1);
my ($tree, $own) = ("$home/telemetry_cqrs", "$home/bin");
mkdir $_ or die "$_: $!" for $tree, $own;
system("cd '$project' && cp -a --parents Makefile telemetry_cqrs.control telemetry_cqrs.so src sql web/dist dev doc grafana prometheus '$tree'") == 0 or die 'cannot copy the sources';
open my $sudo, '>', "$own/sudo" or die $!;
print $sudo qq{#!/bin/sh\nexec "\$@"\n};
close $sudo;
chmod 0755, "$own/sudo", "$home";
my $copy = 'cd "$1/telemetry_cqrs" && . dev/cluster.sh && server_choose && SCRATCH=$1 && installation_copy "$1/installation" && printf "%s" "$PG_BIN"';
open my $copied, '-|', 'bash', '-c', $copy, '-', "$home" or die "bash: $!";
my $bin = do { local $/; <$copied> } // '';
close $copied;
ok(-x "$bin/initdb", 'a copy of PostgreSQL') or BAIL_OUT($bin);
system('chown', '-R', "$user:", "$home") == 0 or die 'chown' if $> == 0;

# The ports of the tutorial become free ones.
my @listeners = map { IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') } 1 .. 3;
my %ports;
@ports{qw(5433 8080 4222)} = map { $_->sockport } @listeners;
close $_ for @listeners;

my @shell = ('env', '-i', "HOME=$home", "PATH=$own:$bin:/usr/local/bin:/usr/bin:/bin", 'LC_ALL=C.UTF-8', 'MAKEFLAGS=with_llvm=no', (map { "$_=$ENV{$_}" } grep { defined $ENV{$_} } 'PG_VERSION'), 'bash');
@shell = ('runuser', '-u', $user, '--', @shell) if $> == 0;
my ($input, $said) = ('', '');
my $shell = start(\@shell, '<', \$input, '>', \$said, '2>&1', my $clock = timeout($deadline));
END { local $?; $shell->kill_kill if $shell }
my $number = 0;

# Types a block, and returns what it says and its status.
sub typed {
    my ($commands) = @_;
    ++$number;
    ($said, my $mark) = ('', "<<$number>>");
    # Job control gives the jobs numbers, as in a terminal.
    $input .= $commands . "echo '$mark' \$?\n";
    $shell->pump until $said =~ /\Q$mark\E (\d+)\n/;
    my $status = $1;
    return ($said =~ s/\Q$mark\E .*//sr, $status);
}

my ($begun, $status) = typed("set -m; cd '$tree'\n");
my %expected = (
    'SELECT item, state, detail'         => sub { $_[0] !~ /\| missing/ && $_[0] =~ /\| ok/ },
    '--retry-connrefused'                => qr/"status":"accepted","event_id":1,"token":"1:\d+:1-1"/,
    'readings.ndjson http'               => qr/"received":6,"accepted":5,.*"verdicts":\[\{"item_index" : 6, "verdict" : "rejected", "sqlstate" : "TC012"/,
    'FROM telemetry.rejected_readings'   => qr/pump-6.*TC012.*temperature is not a number/,
    '/devices/pump-1/stats'              => qr/"device_id":"pump-1".*"sample_count":2.*"state":"online".*"time" : \[\d/s,
    '/events >'                          => qr/"status":"accepted".*id: \d+-\d+\nevent: telemetry\.ingested\ndata: .*"pump-2".*19\.25/s,
    'SUB telemetry.ingested'             => qr/MSG telemetry\.ingested\.hall\.pump-3 1 .*18\.75/s,
    '<title>'                            => qr/<title>.+<\/title>/,
    'telemetry.region_series'            => qr/\| hall +\| +\d+/,
    '/metrics |'                         => qr/telemetry_cqrs_readings_total\{.*accepted.*\} 8/,
    'pg_ctl -D $FLEET/data -m fast stop' => qr/server stopped/,
);
my %seen;
for my $block (@blocks) {
    my $commands = $block =~ s/(?<=PORT=)(5433|8080|4222)\b/$ports{$1}/gr;
    my ($title) = $block =~ /^(.{1,70})/;
    my ($answer, $ended) = typed($commands);
    is($ended, 0, $title) or diag $answer;
    for my $word (grep { index($block, $_) >= 0 } sort keys %expected) {
        next if $word eq '/events >' && $block !~ /sleep 1/;
        my $wanted = $expected{$word};
        $seen{$word} = 1;
        ok(ref $wanted eq 'CODE' ? $wanted->($answer) : $answer =~ $wanted, "$title: it says what it should") or diag $answer;
    }
    like($answer, qr/"status":"duplicate","event_id":1/, 'a repeat is a duplicate') if $block =~ /pump-1:1/ && $block !~ /--retry/;
}
is(join(', ', grep { !$seen{$_} } sort keys %expected), '', 'each answer was looked for');
ok(!-e "$home/fleet", 'the tutorial cleans up');
$input .= "exit\n";
$shell->finish;
done_testing();
