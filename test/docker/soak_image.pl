# The steps of docker/Dockerfile run in trees of Debian 12, and a server starts in what they make. It relays to NATS and Redis, which
# run as docker/compose.yaml says. Takes root, debootstrap, apt and some minutes.
#
# A tree stands for a container: RUN runs in it as root, COPY copies from the context or another tree. The image's entrypoint is the
# first process of a process namespace, as the image's user, in a network of its own. What an engine does beside that is not tested.
use strict;
use warnings;
use Cwd ();
use FindBin;
use lib "$FindBin::Bin/../support";
use DockerfileSteps qw(context stages);
use File::Basename qw(basename dirname);
use File::Temp;
use JSON::PP;
use Test::More;

my $project = Cwd::realpath("$FindBin::Bin/../..");
chdir $project or die $!;

my @missing = ($< == 0 ? () : 'root', grep { system("command -v $_ >/dev/null") != 0 } qw(debootstrap ip unshare nats-server redis-server wget python3));
if (@missing)
{
	diag("SKIPPED: no @missing, so the steps of the Dockerfile do not run");
	plan skip_all => "no @missing";
}

umask 022;
my $cache = $ENV{TELEMETRY_CACHE} // ($ENV{XDG_CACHE_HOME} // "$ENV{HOME}/.cache") . '/telemetry_cqrs';
my $base = "$cache/trees/image_bookworm";
my $scratch = File::Temp->newdir;

# tree(COMMAND, ARGUMENT...) runs a shell command that may use the functions of dev/tree.sh. Returns its status and its output.
sub tree
{
	my ($command, @arguments) = @_;
	open my $out, '-|', 'bash', '-c', ". dev/cluster.sh; . dev/tree.sh; set -e; exec 2>&1; $command", '-', @arguments or die $!;
	local $/;
	my $output = <$out> // '';
	close $out;
	return ($?, $output);
}

# Debian's own image leaves out documents and has the updates of security; this tree has neither difference in programs.
my ($status, $output) = tree("mkdir -p '$cache/trees'; exec 8>'$base.lock'; flock 8; tree_make bookworm '$base'");
$status == 0 or die "the tree of Debian 12 cannot be made: $output";

# --- the steps --------------------------------------------------------------------------------------------------------

my (%tree_of, $image);
foreach my $stage (stages('docker/Dockerfile'))
{
	my $tree = $tree_of{ $stage->{name} } = "$scratch/$stage->{name}";
	$image = { tree => $tree, environment => { PATH => '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' }, folder => '/', user => 'root' };
	is((tree("cp -a --reflink=auto '$base' '$tree'; tree_names '$tree'"))[0], 0, "FROM $stage->{from}: a tree of Debian 12");
	foreach (@{ $stage->{steps} })
	{
		my ($instruction, $flags, $rest) = @$_;
		my $shown = "$instruction " . (length $rest > 60 ? substr($rest, 0, 60) =~ s/\s+/ /gr . ' ..' : $rest);
		if ($instruction eq 'RUN')
		{
			my ($ended, $said) = in_image($rest);
			is($ended, 0, $shown) or BAIL_OUT($said);
		}
		elsif ($instruction eq 'COPY') { is(copied($flags->{from}, split ' ', $rest), '', $shown) or BAIL_OUT('a file is missing') }
		elsif ($instruction eq 'ENV') { my ($name, $value) = $rest =~ /^(\w+)=(.*)$/; $image->{environment}{$name} = $value }
		elsif ($instruction eq 'WORKDIR') { $image->{folder} = $rest; mkdir "$tree$rest" }
		elsif ($instruction eq 'USER') { $image->{user} = $rest }
		else { $image->{$instruction} = $rest }
	}
}

# Runs a command in the present tree, as RUN would.
sub in_image
{
	my ($command) = @_;
	my @environment = map { "$_=$image->{environment}{$_}" } sort keys %{ $image->{environment} };
	return tree('tree_enter "$1" env -i -C "$2" HOME=/root "${@:4}" sh -c "$3"', $image->{tree}, $image->{folder}, $command, @environment);
}

# Copies as COPY does: the content of a folder, or a file, to a path in the present folder. Returns what went wrong.
sub copied
{
	my ($stage, @paths) = @_;
	my $to = pop @paths;
	$to = "$image->{folder}/$to" if $to !~ m{^/};
	if (defined $stage) { return (tree("cp -a '$tree_of{$stage}$paths[0]'. '$image->{tree}$to'"))[1] }
	my @files = context($project);
	my @sources;
	foreach my $path (@paths)
	{
		my @here = grep { $_ eq $path || index($_, "$path/") == 0 } @files or return "no $path";
		foreach my $file (@here)
		{
			my $name = $file eq $path ? ($to =~ m{/$} ? $to . basename($file) : $to) : $to . substr $file, length $path;
			push @sources, $file, "$image->{tree}$name";
		}
	}
	return (tree('while [ $# -gt 0 ]; do install -D -p -m "$(stat -c %a "$1")" "$1" "$2"; shift 2; done', @sources))[1];
}

# --- the image --------------------------------------------------------------------------------------------------------

my (undef, $programs) = in_image('command -v g++ cc gcc clang make ld as pg_config dpkg-buildpackage');
is($programs, '', 'the image has no compiler, linker or make');
is((in_image('find / -xdev \( -name "*.key" -o -name "ssl-cert-snakeoil*" \) -path "*/ssl/*"'))[1], '', 'and no private key');
is((in_image('ls -A /var/lib/apt/lists /var/lib/postgresql /docker-entrypoint-initdb.d'))[1] =~ s/^\/.*:$//gmr =~ s/\s//gr, '', 'no lists of packages, no cluster and no script');
my (undef, $libraries) = in_image('ldd /usr/lib/postgresql/15/lib/telemetry_cqrs.so');
like($libraries, qr/libuv.*=> /, 'the library finds libuv');
unlike($libraries, qr/not found/, 'and every other library') or diag($libraries);
is((in_image("id -u $image->{user}; stat -c %U $image->{VOLUME}"))[1], "999\n$image->{user}\n", 'the volume belongs to the user');
note('megabytes of the image: ' . (tree("du -sm '$image->{tree}'"))[1]);

# --- a server in it ---------------------------------------------------------------------------------------------------

my ($entrypoint) = $image->{ENTRYPOINT} =~ /^\["([\w-]+)"\]$/;
my ($cmd) = $image->{CMD} =~ /^\["([\w-]+)"\]$/;
my $health_check = $image->{HEALTHCHECK} =~ s/^CMD //r;
mkdir "$image->{tree}/check";
write_file('/docker-entrypoint-initdb.d/10_table.sql', 'CREATE TABLE by_script (x integer);');
write_file('/check/health', $health_check);
write_file('/check/run', <<'CHECK');
# Starts the image's entrypoint as the first process of a namespace, looks at it, and prints a line "what: value" for each look.
set -u
user=$1 entrypoint=$2 cmd=$3 signal=$4
shift 4
as_user() { setpriv --reuid="$user" --regid="$user" --init-groups "$@"; }
look() { printf '%s: %s\n' "$1" "$(shift; "$@" 2>&1 | tr '\n' ' ')"; }
query() { as_user psql -XAtq -w -d telemetry -c "$1"; }
by_network() { as_user env PGPASSWORD="$1" psql -XAtqw -h "$2" -U postgres -d telemetry -c 'SELECT 1'; }
begin() {
    unshare --pid --fork --kill-child setpriv --reuid="$user" --regid="$user" --init-groups "$entrypoint" "$cmd" "$@" >/check/log 2>&1 &
    outer=$!
    tries=0
    until as_user sh /check/health >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ "$tries" -gt 1200 ] || ! kill -0 "$outer" 2>/dev/null; then
            cat /check/log
            exit 1
        fi
        sleep 0.1
    done
    read -r first </proc/$outer/task/$outer/children
}
end() {
    began=$(date +%s)
    kill -"$signal" "$first"
    wait "$outer"
    printf 'end: %s in time %s\n' $? "$(( $(date +%s) - began < 30 ))"
}

export POSTGRES_DB=telemetry
POSTGRES_PASSWORD=secret begin -c work_mem=7MB
look 'process' sh -c "sed -n 's/^NSpid:.*[[:space:]]//p' /proc/$first/status; tr '\\0' ' ' </proc/$first/cmdline"
look 'extension' query "SELECT extname FROM pg_extension WHERE extname LIKE 'tele%'"
look 'script' query 'SELECT count(*) FROM by_script'
look 'argument' query 'SHOW work_mem'
look 'version' query "SELECT current_setting('server_version_num')::integer / 10000"
look 'reading' query "SELECT status FROM telemetry.ingest_telemetry('d', '2026-01-01 00:00+00', 20, 40, 'k')"
look 'applied' query "SELECT telemetry.wait_for((SELECT token FROM telemetry.ingest_telemetry('d', '2026-01-01 00:00+00', 20, 40, 'k')))"
look 'statistics' query 'SELECT device_id, sample_count FROM telemetry.device_stats'
look 'relay' query "SELECT string_agg(sink || ' ' || state, ', ' ORDER BY sink) FROM telemetry.relay_status"
look 'let in' by_network secret 127.0.0.1
look 'other address' by_network secret 192.0.2.1
look 'kept out' sh -c "env PGPASSWORD=wrong psql -XAtqw -h 127.0.0.1 -U postgres -d telemetry -c 'SELECT 1' 2>&1 | grep -o 'password authentication failed'"
end
begin
look 'kept' query 'SELECT device_id, sample_count FROM telemetry.device_stats'
look 'argument again' query 'SHOW work_mem'
end

# The command of the compose file.
cmd=$1
shift
begin "$@"
until_is() {
    tries=0
    until [ "$("${@:2}")" = "$1" ] || [ "$tries" = 600 ]; do
        tries=$((tries + 1))
        sleep 0.1
    done
}
cached() {
    exec 3<>/dev/tcp/redis/6379
    printf 'GET device:stats:d\r\n' >&3
    read -r -t 5 <&3
    read -r -t 5 answer <&3
    exec 3>&-
    grep -o '"sample_count":[0-9]*' <<<"$answer"
}
# NATS gets what is stored after the relay began, and Redis the statistics of all.
until_is 2 query "SELECT count(*) FROM telemetry.relay_status WHERE state = 'connected'"
look 'next reading' query "SELECT status FROM telemetry.ingest_telemetry('d', '2026-01-01 00:01+00', 20, 40, 'k2')"
until_is 1 query "SELECT acknowledged FROM telemetry.relay_status WHERE sink = 'nats'"
until_is '"sample_count":2' cached
look 'relay of compose' query "SELECT string_agg(concat_ws(' ', sink, state, last_error), ', ' ORDER BY sink) FROM telemetry.relay_status"
end
CHECK

# The network has an address of each service beside the loopback.
my $compose = JSON::PP->new->decode(scalar qx{python3 -c 'import json, yaml; print(json.dumps(yaml.safe_load(open("docker/compose.yaml"))))'});
my $services = $compose->{services};
write_file('/etc/hosts', "127.0.0.1 localhost\n192.0.2.1 postgres\n192.0.2.2 nats\n192.0.2.3 redis\n");
mkdir "$scratch/$_" foreach qw(nats redis);
write_file('/check/nats', join ' ', 'exec nats-server', map { $_ eq '/data' ? "$scratch/nats" : $_ } @{ $services->{nats}{command} });
# The image of Redis starts it so.
write_file('/check/redis', "exec redis-server --dir $scratch/redis --bind '* -::*' --protected-mode no");
foreach my $name (qw(nats redis))
{
	my ($kind, @test) = @{ $services->{$name}{healthcheck}{test} };
	write_file("/check/${name}_health", join ' ', @test);
}
write_file('/check/around', <<'AROUND');
# Runs NATS and Redis beside the tree, and looks at them before and after.
set -u
check=$1/check
ip link set lo up
for i in 1 2 3; do ip address add "192.0.2.$i/32" dev lo; done
. dev/cluster.sh
. dev/tree.sh
servers=()
for name in nats redis; do
    if sh "$check/${name}_health" >/dev/null 2>&1; then echo "$name too early: healthy"; fi
    bash "$check/$name" >"$check/$name.log" 2>&1 &
    servers+=($!)
    for ((i = 0; i < 300; i++)); do
        sh "$check/${name}_health" >/dev/null 2>&1 && break
        sleep 0.1
    done
    echo "$name: $(sh "$check/${name}_health" >/dev/null 2>&1 && echo healthy || tail -n 5 "$check/$name.log" | tr '\n' ' ')"
done
status=0
tree_enter "$@" || status=$?
printf 'stream: %s\n' "$(wget -q -O - 'http://127.0.0.1:8222/jsz?streams=1' | tr -d ' \n' | grep -o '"name":"TELEMETRY"\|"messages":[0-9]*' | sort -u | tr '\n' ' ')"
printf 'cache: %s\n' "$(redis-cli get device:stats:d | grep -o '"device_id":"d"\|"sample_count":[0-9]*' | tr '\n' ' ')"
kill "${servers[@]}"
wait
exit $status
AROUND
my @environment = map { "$_=$image->{environment}{$_}" } sort keys %{ $image->{environment} };
($status, $output) = tree('unshare --net bash "$@"', "$image->{tree}/check/around", $image->{tree}, 'env', '-i', '-C', '/', @environment,
	'bash', '/check/run', $image->{user}, $entrypoint, $cmd, $image->{STOPSIGNAL} =~ s/^SIG//r, @{ $services->{postgres}{command} });
is($status, 0, 'a server starts in the image') or diag($output);
my @looks = map { s/\s+$//r } grep { /^[\w ]+: / } split /\n/, $output;
is_deeply(
	\@looks,
	[
		'nats: healthy',
		'redis: healthy',
		'process: 1 postgres -D /var/lib/postgresql/15/data -c work_mem=7MB',
		'extension: telemetry_cqrs',
		'script: 0',
		'argument: 7MB',
		'version: 15',
		'reading: accepted',
		'applied: applied',
		'statistics: d|1',
		'relay: nats off, redis off',
		'let in: 1',
		'other address: 1',
		'kept out: password authentication failed',
		'end: 0 in time 1',
		'kept: d|1',
		'argument again: 4MB',
		'end: 0 in time 1',
		'next reading: accepted',
		'relay of compose: nats connected, redis connected',
		'end: 0 in time 1',
		'stream: "messages":1 "name":"TELEMETRY"',
		'cache: "device_id":"d" "sample_count":2',
	],
	'it is the first process, has the extension, listens on each address, keeps what it has, and relays it'
) or diag($output);

sub write_file
{
	my ($path, $text) = @_;
	open my $out, '>', "$image->{tree}$path" or die "$path: $!";
	print $out $text;
	close $out;
	return;
}

# What a tree holds may belong to anybody, so rm takes it away.
system('rm', '-rf', '--one-file-system', values %tree_of);
done_testing();
