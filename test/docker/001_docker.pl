# docker/ holds together: the Dockerfile, its context, the compose file, and the entrypoint, which runs here without a container. No
# container engine is needed. What the Dockerfile's steps make is tested by test/docker/soak_image.pl.
use strict;
use warnings;
use Cwd ();
use FindBin;
use lib "$FindBin::Bin/../support";
use DockerfileSteps qw(context stages);
use File::Temp;
use IO::Socket::INET;
use JSON::PP;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

my $project = Cwd::realpath("$FindBin::Bin/../..");
chdir $project or die $!;

sub content { my ($path) = @_; open my $in, '<', $path or die "$path: $!"; local $/; return scalar <$in> }
sub is_there { my ($program) = @_; return system("command -v '$program' >/dev/null 2>&1") == 0 }

# Says loudly why tests are left out, and leaves them out.
sub leave_out { my ($why, $count) = @_; diag("SKIPPED: $why"); no warnings 'exiting'; skip $why, $count }

# --- the Dockerfile ---------------------------------------------------------------------------------------------------

my @stages = stages('docker/Dockerfile');
is_deeply([ map { $_->{from} } @stages ], [ ('debian:12-slim') x 2 ], 'both stages begin with Debian 12, of no named registry');
my ($build, $image) = @stages;

# Returns the packages that a stage installs.
sub packages
{
	my ($stage) = @_;
	return sort map { split ' ' } map { $_->[0] eq 'RUN' && $_->[2] =~ /apt-get install(?: -\S+)*((?: +[a-z0-9][a-z0-9.+-]*)+)/ ? $1 : () } @{ $stage->{steps} };
}

# Returns what stands behind the instructions of this name in the image's stage.
sub of_image { my ($instruction) = @_; return map { $_->[0] eq $instruction ? $_->[2] : () } @{ $image->{steps} } }

my @build_packages = packages($build);
my @image_packages = packages($image);

# dev/setup also wants what a machine needs to run the project's scripts and servers.
my ($wanted) = content('dev/setup') =~ /for package in (g\+\+ .*?); do/;
my %other = map { $_ => 1 } qw(gzip perl util-linux postgresql-15);
my @wanted = sort 'libboost1.81-dev', grep { !$other{$_} } split ' ', $wanted =~ s/"//gr =~ s/\$PG_VERSION/15/gr;
is("@build_packages", "@wanted", 'the build stage installs what dev/setup installs for building');
is_deeply([ grep { /-dev|^(?:g\+\+|gcc|clang|make|build-essential)/ } @image_packages ], [], 'the image installs nothing for building');

my $release = -e '/etc/os-release' ? content('/etc/os-release') : '';
SKIP:
{
	leave_out('this machine is not Debian 12, whose packages the Dockerfile names', 2) unless $release =~ /^ID=debian$/m && $release =~ /^VERSION_ID="12"$/m;
	is_deeply([ grep { qx{apt-cache policy '$_'} !~ /Candidate: \d/ } @build_packages, @image_packages ], [], 'apt has every package');

	# Each library that ours names belongs to a package of the image, or to one that the server's package needs.
	leave_out('the library is not built', 1) unless -e 'telemetry_cqrs.so';
	my %path_of = qx{ldd telemetry_cqrs.so} =~ /^\s*(\S+) => (\S+)/gm;
	my @direct = qx{objdump -p telemetry_cqrs.so} =~ /NEEDED\s+(\S+)/g;
	my %is_in_image = map { $_ => 1 } @image_packages, qx{apt-cache depends --important postgresql-15} =~ /Depends: (\S+)/g;
	my @missing;
	for my $library (@direct)
	{
		# dpkg knows the files of a machine whose /lib is /usr/lib by either path.
		my ($package) = map { qx{dpkg -S '$_' 2>/dev/null} =~ /^([^:]+):/ } map { ($_, "/usr$_", s{^/usr}{}r) } Cwd::realpath($path_of{$library}), $path_of{$library};
		push @missing, "$library of " . ($package // 'no package') unless defined $package && $is_in_image{$package};
	}
	is_deeply(\@missing, [], 'the image installs the packages of ' . @direct . ' libraries');
}

my %in_context = map { $_ => 1 } context($project);
is_deeply([ grep { !/^(?:Makefile|telemetry_cqrs\.control|docker\/entrypoint|web\/dist\/page\.html|src\/.*\.(?:[ch]pp|map)|sql\/.*\.sql|sql\/extension\/assemble)$/ } sort keys %in_context ],
	[], 'the context holds sources and nothing else');
my @unlisted = grep { !$in_context{$_} } split /\n/, qx{git ls-files src sql/extension sql/released web/dist 2>/dev/null | grep -v '\\.md\$'};
is_deeply(\@unlisted, [], 'the context holds every source');
for (map { @{ $_->{steps} } } @stages)
{
	my ($instruction, $flags, $rest) = @$_;
	next unless $instruction eq 'COPY';
	my @from = split ' ', $rest;
	pop @from;
	if (defined $flags->{from}) { is($flags->{from}, $build->{name}, "COPY --from=$flags->{from} names the build stage"); next }
	for my $path (@from)
	{
		ok(scalar(grep { $_ eq $path || index($_, "$path/") == 0 } keys %in_context), "COPY $path: the context has it");
	}
}

my %variable = map { /^(\w+)=(.*)$/ ? ($1 => $2) : () } of_image('ENV');
my ($volume) = of_image('VOLUME');
like($variable{PGDATA}, qr{^\Q$volume\E/.}, 'the cluster lies below the volume, and is no mount point');
like($variable{PATH}, qr{^/usr/lib/postgresql/15/bin:}, 'the programs of PostgreSQL 15 come first');
is_deeply([ map { of_image($_) } qw(USER EXPOSE STOPSIGNAL ENTRYPOINT CMD) ], [ 'postgres', '5432 8080', 'SIGINT', '["entrypoint"]', '["postgres"]' ],
	'the server runs as postgres, listens at 5432 and 8080, and is stopped fast');
my ($health_check) = map { s/^CMD //r } of_image('HEALTHCHECK');
like($health_check, qr/^pg_isready /, 'pg_isready checks its health');

my $scratch = File::Temp->newdir;
chmod 0755, $scratch;

# shell_is_right(WHAT, SHELL, PATH): the shell can read the script, and shellcheck finds nothing.
sub shell_is_right
{
	my ($what, $shell, $path) = @_;
	is(qx{$shell -n '$path' 2>&1}, '', "$what: $shell can read it");
	SKIP:
	{
		leave_out('no shellcheck', 1) unless is_there('shellcheck');
		is(qx{shellcheck --shell=$shell '$path' 2>&1}, '', "$what: shellcheck finds nothing");
	}
}

my $runs = 0;
for (map { @{ $_->{steps} } } @stages)
{
	next unless $_->[0] eq 'RUN';
	my $path = "$scratch/run" . ++$runs;
	open my $out, '>', $path or die $!;
	print $out "$_->[2]\n";
	close $out;
	shell_is_right("RUN $runs", 'sh', $path);
}
shell_is_right($_, 'bash', $_) foreach 'docker/entrypoint', glob 'docker/first_start/*.sh';
ok(-x 'docker/entrypoint', 'the entrypoint is executable');
SKIP:
{
	skip 'no hadolint, which also reads Dockerfiles', 1 unless is_there('hadolint');
	is(qx{hadolint docker/Dockerfile 2>&1}, '', 'hadolint finds nothing');
}

# --- the compose file -------------------------------------------------------------------------------------------------

SKIP:
{
	leave_out('no python3 with yaml (Debian: python3-yaml), so docker/compose.yaml is not read', 1) unless system(q{python3 -c 'import yaml' 2>/dev/null}) == 0;
	my $json = qx{python3 -c 'import json, yaml; print(json.dumps(yaml.safe_load(open("docker/compose.yaml"))))'};
	is($?, 0, 'docker/compose.yaml is YAML');
	my $compose = JSON::PP->new->decode($json);
	my $services = $compose->{services};
	is_deeply([ sort keys %$services ], [qw(grafana nats postgres prometheus redis)], 'its services');

	my $from = "docker/$services->{postgres}{build}{context}";
	is(Cwd::realpath($from), $project, 'the image is built from the whole repository');
	is(Cwd::realpath("$from/$services->{postgres}{build}{dockerfile}"), Cwd::realpath('docker/Dockerfile'), 'and by the Dockerfile');
	is_deeply([ grep { m{[.:][^/]*/} } map { $_->{image} } values %$services ], [], 'no image is of a named registry');
	my %mounts = map { my $name = $_; $name => [ map { [ split /:/ ] } @{ $services->{$name}{volumes} } ] } keys %$services;
	is_deeply([ sort map { $mounts{$_}[0][0] } keys %mounts ], [ sort keys %$services ], 'each service has a volume of its own');
	is_deeply([ sort keys %{ $compose->{volumes} } ], [ sort keys %$services, 'tokens' ], 'one volume is shared');
	# What begins with a dot is a file or folder here, and no container may change it.
	is_deeply([ map { join ':', @$_ } grep { $_->[0] =~ /^\./ && (!-e "docker/$_->[0]" || ($_->[2] // '') ne 'ro') } map { @$_ } values %mounts ], [], 'what is mounted from here exists, to be read');
	is(($services->{postgres}{volumes}[0] =~ /:(.*)/)[0], $volume, 'that of PostgreSQL is the one of the image');
	is_deeply([ grep { !/^127\.0\.0\.1:/ } map { @{ $_->{ports} } } values %$services ], [], 'each port is open on this machine only');
	for my $service (sort keys %$services)
	{
		my %environment = %{ $services->{$service}{environment} // {} };
		like($environment{$_}, qr/^\$\{\w+:\?.+\}$/, "$service, $_: there is no password by default") foreach sort grep { /PASSWORD/ } keys %environment;
		for my $name (sort keys %{ $services->{$service}{depends_on} // {} })
		{
			is($services->{$service}{depends_on}{$name}{condition}, 'service_healthy', "$service waits for the health of $name");
			ok($name eq 'postgres' || $services->{$name}{healthcheck}{test}, "which $name says");
		}
	}
	my @command = @{ $services->{postgres}{command} };
	is(shift @command, 'postgres', 'it starts the server');
	my $known = content('src/runtime/settings.cpp');
	while (my ($option, $setting) = splice @command, 0, 2)
	{
		my ($name, $value) = $setting =~ m{^([\w.]+)=(.+)$};
		ok($option eq '-c' && index($known, qq{"$name"}) >= 0, "$name is a setting");
		my ($host) = $value =~ m{^(?:\w+://(\w+)|0\.0\.0\.0):\d+$} or fail("$value has a port");
		ok($services->{$host}, "$host is a service") if defined $host;
	}

	# Prometheus asks the server, with the token that the first start writes. Grafana asks both.
	my ($http_port) = map { /^telemetry_cqrs\.http_listen=0\.0\.0\.0:(\d+)$/ } @{ $services->{postgres}{command} };
	is((grep { /:8080$/ } @{ $services->{postgres}{ports} })[0], "127.0.0.1:\${HTTP_PORT:-8080}:$http_port", 'this machine can ask by HTTP too');
	my %yaml = map { $_ => JSON::PP->new->decode(scalar qx{python3 -c 'import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))' '$_'}) }
		qw(prometheus/prometheus.yml grafana/provisioning/datasources/telemetry_cqrs.yml grafana/provisioning/dashboards/telemetry_cqrs.yml);
	my $job = $yaml{'prometheus/prometheus.yml'}{scrape_configs}[0];
	is_deeply($job->{static_configs}, [ { targets => ["postgres:$http_port"] } ], 'Prometheus scrapes PostgreSQL');
	my %place_of = map { my $name = $_; map { ("$name $_->[0]" => $_->[1]) } @{ $mounts{$name} } } keys %mounts;
	my ($token_file) = content('docker/first_start/50_monitoring.sh') =~ /PROMETHEUS_TOKEN_FILE:-([^}]+)\}/;
	is($token_file =~ s/^\Q$place_of{'postgres tokens'}\E//r, ('/etc/prometheus/' . $job->{authorization}{credentials_file}) =~ s/^\Q$place_of{'prometheus tokens'}\E//r, 'with the token that the first start writes');
	ok(scalar(grep { $_->[0] eq 'RUN' && $_->[2] =~ m{install -d -o postgres -g postgres -m 0755 \Q$place_of{'postgres tokens'}\E } } @{ $image->{steps} }), 'and for which the image has a folder');
	is($place_of{'postgres ./first_start'}, '/docker-entrypoint-initdb.d', 'the first start runs the scripts of first_start');
	my %source = map { $_->{type} => $_ } @{ $yaml{'grafana/provisioning/datasources/telemetry_cqrs.yml'}{datasources} };
	is($source{'grafana-postgresql-datasource'}{url}, 'postgres:5432', 'Grafana asks PostgreSQL');
	is($source{'grafana-postgresql-datasource'}{jsonData}{database}, $services->{postgres}{environment}{POSTGRES_DB}, 'the database that has the extension');
	is($source{'grafana-postgresql-datasource'}{secureJsonData}{password}, '${GRAFANA_DATABASE_PASSWORD}', 'by the password of its environment');
	is($services->{grafana}{environment}{GRAFANA_DATABASE_PASSWORD}, $services->{postgres}{environment}{GRAFANA_DATABASE_PASSWORD}, 'which the first start has too');
	is($source{prometheus}{url}, 'http://prometheus:9090', 'and Prometheus');
	is($yaml{'grafana/provisioning/dashboards/telemetry_cqrs.yml'}{providers}[0]{options}{path}, $place_of{'grafana ../grafana/dashboards'}, 'and finds the dashboards');
	ok(-e ($services->{grafana}{environment}{GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH} =~ s{^\Q$place_of{'grafana ../grafana/dashboards'}\E}{grafana/dashboards}r), 'the first of which is there');
	SKIP:
	{
		skip 'no docker compose, which also reads the file', 1 unless system('docker compose version >/dev/null 2>&1') == 0;
		is(qx{POSTGRES_PASSWORD=x GRAFANA_DATABASE_PASSWORD=x GRAFANA_ADMIN_PASSWORD=x docker compose -f docker/compose.yaml config -q 2>&1}, '', 'docker compose can read it');
	}
}

# --- the entrypoint ---------------------------------------------------------------------------------------------------

my $user = $ENV{TELEMETRY_SERVER_USER};
if (!defined $user)
{
	diag('SKIPPED: only dev/test runs the entrypoint, because it needs an installation of its own');
	done_testing();
	exit;
}

my @as_user = getpwuid($<) eq $user ? () : ('runuser', '-u', $user, '--');
my $port = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)->sockport;
my ($home, $scripts, $sockets) = map { "$scratch/$_" } qw(home scripts sockets);
system("mkdir '$home' '$scripts' '$sockets' && cp docker/entrypoint '$scratch/' && chmod 755 '$scratch/entrypoint' && chown '$user' '$home' '$sockets'") == 0 or die;
my $data = "$home/15/data";

sub write_script
{
	my ($name, $text, $mode) = @_;
	open my $out, '>', "$scripts/$name" or die $!;
	print $out $text;
	close $out;
	chmod $mode, "$scripts/$name";
}

my ($log, $starts) = ('', 0);

# Starts the entrypoint as the engine would, with this environment and these arguments; returns its process.
sub begin
{
	my ($environment, @arguments) = @_;
	my %environment = (PATH => $ENV{PATH}, LANG => 'C.UTF-8', PGDATA => $data, TMPDIR => "$sockets", ENTRYPOINT_SCRIPTS => $scripts, %$environment);
	$log = "$scratch/log" . ++$starts;
	my $pid = fork // die $!;
	return $pid if $pid;
	open STDIN, '<', '/dev/null';
	open STDOUT, '>', $log;
	open STDERR, '>&', \*STDOUT;
	chdir '/';
	# setpriv becomes the program, so the process that gets a signal is the entrypoint.
	my @become = @as_user ? ('setpriv', "--reuid=$user", '--regid=' . getgrgid((getpwnam $user)[3]), '--init-groups') : ();
	exec 'env', '-i', (map { "$_=$environment{$_}" } sort keys %environment), @become, "$scratch/entrypoint", @arguments;
	die;
}

# The options by which the server of the entrypoint disturbs nothing on this machine.
my @server = ('postgres', '-c', "port=$port", '-c', "unix_socket_directories=$sockets", '-c', 'listen_addresses=127.0.0.1', '-c', 'log_checkpoints=off');

# Returns what the last one that began has said.
sub said { return -e $log ? content($log) : '' }

# Waits until the process has ended, and returns its exit status; dies after two minutes.
sub ended
{
	my ($pid, $deadline) = (shift, time + 120);
	while (waitpid($pid, 1) == 0)
	{
		if (time > $deadline) { kill 'KILL', $pid; die "it has not ended:\n" . said() }
		sleep 0.05;
	}
	return $?;
}

# Waits until the condition holds, as long as the process is there.
sub wait_for
{
	my ($pid, $what, $condition) = @_;
	my $deadline = time + 240;
	until ($condition->())
	{
		die "$what: it has ended:\n" . said() if waitpid($pid, 1) != 0;
		die "$what: too late:\n" . said() if time > $deadline;
		sleep 0.1;
	}
	return;
}

sub query
{
	my ($connection, $sql, %environment) = @_;
	my @set = map { "$_=$environment{$_}" } sort keys %environment;
	open my $out, '-|', @as_user, 'env', '-C', '/', '-u', 'PGPASSWORD', @set, 'sh', '-c', 'exec "$@" 2>/dev/null', '-', 'psql', '-XAtq', '-w', '-d', "port=$port $connection", '-c', $sql or die $!;
	my $result = join '', <$out>;
	chomp $result;
	close $out;
	return $result;
}

sub is_ready { my ($name, $database) = @_; return system(@as_user, 'pg_isready', '-q', '-h', $sockets, '-p', $port, '-U', $name, '-d', $database) == 0 }

# Refused before anything is made.
for (
	[ 'without a password', qr/needs a password for the superuser "postgres"\. Set POSTGRES_PASSWORD/ ],
	[ 'with an empty one', qr/needs a password/, POSTGRES_PASSWORD => '' ],
	[ 'with two', qr/both set/, POSTGRES_PASSWORD => 'a', POSTGRES_PASSWORD_FILE => '/dev/null' ],
	[ 'with a file that is not there', qr/cannot be read/, POSTGRES_PASSWORD_FILE => "$scratch/none" ],
	[ 'with a name that needs quoting', qr/The name "a"b" of a user or database is refused/, POSTGRES_PASSWORD => 'a', POSTGRES_USER => 'a"b' ],
	[ 'with a password of two lines', qr/more than one line/, POSTGRES_PASSWORD => "a\nb" ],
	[ 'without PGDATA', qr/PGDATA is not set/, PGDATA => '' ],
	[ 'where it cannot write', qr{cannot write in /proc/x}, POSTGRES_PASSWORD => 'a', PGDATA => '/proc/x/data' ],
	)
{
	my ($what, $expected, %environment) = @$_;
	my $pid = begin(\%environment, @server);
	my $status = ended($pid);
	ok($status >> 8 == 1 && said() =~ $expected, "a first start $what is refused") or diag($status, ' ', said());
}
ok(!-e $data && !-e "$data.unfinished", 'and makes nothing');
SKIP:
{
	skip 'root is not running this', 1 unless @as_user;
	$log = "$scratch/log";
	my $status = system("PGDATA='$data' POSTGRES_PASSWORD=a '$scratch/entrypoint' >'$log' 2>&1");
	ok($status >> 8 == 1 && said() =~ /refuses to run as root/, 'root is refused') or diag(said());
}
is(qx{'$scratch/entrypoint' echo this and that}, "this and that\n", 'another command is run instead of the server');
like(qx{'$scratch/entrypoint' --version}, qr/^postgres \(PostgreSQL\) \d/, '--version needs no cluster');

# Makes the cluster and runs the scripts; a first start that fails leaves nothing in the way of the next one.
my $token_file = "$home/token";
my %first = (GRAFANA_DATABASE_PASSWORD => q{it's "theirs"}, PROMETHEUS_TOKEN_FILE => $token_file, POSTGRES_PASSWORD_FILE => "$scratch/password", POSTGRES_USER => 'chief', POSTGRES_DB => 'fleet-1.x');
open my $password, '>', "$scratch/password" or die $!;
print $password qq{it's "secret"\n};
close $password;
write_script('10_table.sql', "CREATE TABLE told (line integer GENERATED ALWAYS AS IDENTITY, word text);\nINSERT INTO told (word) VALUES ('sql');\n", 0644);
write_script('20_read.sh', "psql -X -v ON_ERROR_STOP=1 -U \"\$POSTGRES_USER\" -d \"\$POSTGRES_DB\" -c \"INSERT INTO told (word) VALUES ('read')\"\n", 0644);
write_script('30_run.sh', "#!/bin/sh\npsql -X -c \"INSERT INTO told (word) VALUES ('run')\"\necho 'work_mem = 5MB' >>\"\$PGDATA/postgresql.conf\"\n", 0755);
write_script('40_notes.txt', "no script\n", 0644);
write_script('50_monitoring.sh', content('docker/first_start/50_monitoring.sh'), 0755);
write_script('50_reading.sql', "SELECT telemetry.ingest_telemetry('d', '2026-01-01 00:00+00', 20, 40, 'k');\nno SQL;\n", 0644);
is(ended(begin(\%first, @server)) >> 8, 1, 'a first start with a script that fails, fails');
like(said(), qr/50_reading\.sql:2: ERROR:.*The first start failed\. The next start begins anew\./s, 'and says why');
ok(!-e $data, 'and makes no cluster');

is(ended(begin(\%first, @server, '-c', 'no_such_setting=1')) >> 8, 1, 'a first start with a wrong option fails');
like(said(), qr/unrecognized configuration parameter "no_such_setting".*The server does not start/s, 'and says why');

# Stopped in its middle.
write_script('50_reading.sql', "SELECT pg_sleep(600);\n", 0644);
my $pid = begin(\%first, @server);
wait_for($pid, 'the scripts run', sub { said() =~ /runs .*50_reading/ });
ok(!is_ready('chief', 'fleet-1.x'), 'no client can take the server of the first start for the real one');
kill 'INT', $pid;
my $start = time;
is(ended($pid) >> 8, 130, 'SIGINT ends a first start');
cmp_ok(time - $start, '<', 30, 'at once');
is(scalar(grep { readlink($_) && readlink($_) =~ m{/postgres$} && content(s/exe$/cmdline/r) =~ /\Q$home\E/ } glob '/proc/[0-9]*/exe'), 0, 'and no server is left');

write_script('50_reading.sql', "SELECT telemetry.ingest_telemetry('d', '2026-01-01 00:00+00', 20, 40, 'k');\n", 0644);
$pid = begin(\%first, @server, '-c', 'work_mem=6MB');
wait_for($pid, 'the server is ready', sub { is_ready('chief', 'fleet-1.x') });
like(said(), qr/10_table.*20_read.*30_run.*ignores \S+40_notes\.txt.*50_reading.*the cluster is made/s, 'the first start runs the scripts in the order of their names');
my $local = "host=$sockets user=chief dbname=fleet-1.x";
my $network = "host=127.0.0.1 user=chief dbname=fleet-1.x";
my %secret = (PGPASSWORD => q{it's "secret"});
is(query($local, 'SELECT current_user'), 'chief', 'a program beside the server is the superuser without a password');
is(query($network, 'SELECT current_database()', %secret), 'fleet-1.x', 'a client is let in by the password of the file');
is(query($network, 'SELECT 1'), '', 'and not without one');
is(query($network, 'SELECT 1', PGPASSWORD => 'wrong'), '', 'and not by a wrong one');
is(query("host=$sockets user=other dbname=postgres", 'SELECT 1'), '', 'nor is another user, beside the server');
is(query($local, "SELECT string_agg(word, ' ' ORDER BY line) FROM told"), 'sql read run', 'the scripts ran once');
is(query($local, "SELECT string_agg(extname, ' ') FROM pg_extension WHERE extname LIKE 't%'"), 'telemetry_cqrs', 'the database has the extension');

# The roles of docker/first_start/50_monitoring.sh.
my %theirs = (PGPASSWORD => q{it's "theirs"});
my $as_grafana = "host=127.0.0.1 user=grafana dbname=fleet-1.x";
is(query($as_grafana, 'SELECT state, count(*) FROM telemetry.device_liveness GROUP BY 1', %theirs), 'unknown|1', 'Grafana may look at devices');
is(query($as_grafana, 'SELECT count(*) FROM telemetry.rejected_readings', %theirs), 0, 'and at rejected readings');
is(query($as_grafana, 'CREATE TEMP TABLE x ()', %theirs) . query($as_grafana, 'SHOW transaction_read_only', %theirs), 'on', 'and writes nothing');
is(query($as_grafana, 'SET transaction_read_only = off; SELECT telemetry.ingest_telemetry($$x$$, now(), 1)', %theirs), '', 'not even when it tries');
is(query("host=127.0.0.1 user=prometheus dbname=fleet-1.x", 'SELECT 1', %theirs), '', 'Prometheus is not let in as a client of SQL');
is(query($local, 'SET ROLE prometheus; SELECT telemetry.open_metrics() ~ $$telemetry_cqrs_health\{item="library"\} 0$$'), 't', 'its role sees the metrics, and those of health()');
like(content($token_file), qr/^\S+\n$/, 'its token is in the file');
is((stat $token_file)[2] & 07777, 0644, 'which the user of Prometheus can read');
is(query($local, 'SHOW shared_preload_libraries'), 'telemetry_cqrs', 'the library is preloaded');
is(query($local, 'SHOW work_mem'), '6MB', 'arguments go to the server');
is(query($local, "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_file_settings WHERE name IN ('listen_addresses', 'work_mem')"),
	'listen_addresses=* work_mem=5MB', 'it would listen on every address of the container');
is(query($local, "SELECT rolpassword ~ '^SCRAM-SHA-256' FROM pg_authid WHERE rolname = 'chief'"), 't', 'the password is stored by SCRAM');
is(query($local, "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method NOT IN ('peer', 'scram-sha-256') OR error IS NOT NULL"), 0, 'there is no other way in');
is(query($local, 'SELECT status FROM telemetry.ingest_telemetry($$d$$, $$2026-01-01 00:00+00$$, 20, 40, $$k$$)'), 'duplicate', 'the reading of a script is there');
wait_for($pid, 'the projector', sub { query($local, 'SELECT device_id, sample_count FROM telemetry.device_stats') eq 'd|1' });
pass('the projector runs');
is(system(@as_user, 'env', '-C', '/', 'pg_basebackup', '-w', '-d', "port=$port host=$sockets user=chief", '-D', "$home/backup", '--checkpoint=fast'), 0,
	'a program beside the server makes a backup');
unlike(content("/proc/$pid/environ"), qr/POSTGRES_PASSWORD=/, 'the server does not have the password in its environment');

my $rival = begin({}, @server);
my $rival_status = ended($rival);
ok($rival_status >> 8 == 1 && said() =~ /Another container uses \Q$data\E\./, 'a second server on the same folder is refused') or diag(said());

# A session that waits does not keep a fast shutdown from ending.
my $sleeper = fork // die $!;
if (!$sleeper) { open STDERR, '>', '/dev/null'; query($local, 'SELECT pg_sleep(600)'); POSIX::_exit(0) }
wait_for($pid, 'a session', sub { query($local, q{SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'}) == 1 });
$start = time;
kill 'INT', $pid;
is(ended($pid), 0, 'SIGINT ends the server well');
cmp_ok(time - $start, '<', 30, 'in spite of a session that waits');
waitpid $sleeper, 0;

# The second start needs no password, and runs no script.
write_script('60_again.sql', "no SQL;\n", 0644);
$pid = begin({}, @server[ 1 .. $#server ]);
wait_for($pid, 'the server is ready again', sub { is_ready('chief', 'fleet-1.x') });
is(query($network, 'SELECT count(*) FROM telemetry.measurements', %secret), 1, 'the second start keeps data and password, and needs no word `postgres`');
kill 'INT', $pid;
is(ended($pid), 0, 'and it ends');

# A folder with other things in it.
$data = "$home/other";
system(@as_user, 'sh', '-c', "mkdir '$data' && echo >'$data/something'") == 0 or die;
is(ended(begin({ POSTGRES_PASSWORD => 'a' }, @server)) >> 8, 1, 'a folder that holds something else is refused');
like(said(), qr/holds no cluster, but it is not empty/, 'and the entrypoint says so');
ok(-e "$data/something", 'it is left as it is');

done_testing();
