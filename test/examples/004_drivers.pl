# Each driver gets through each door: psql, psycopg 3, node-postgres, JDBC and pgx, directly and through pgbouncer in transaction
# mode, with each way in which it sends parameters. The examples doors.* send a reading and its repeat, get a refusal with SQLSTATE,
# DETAIL and HINT, send a batch as JSON and rows by COPY, read the verdicts, and wait for their own writes. All of them print the
# same lines. The test runs on a server that dev/test makes, found by the PG* variables.
use strict;
use warnings;
use File::Temp;
use FindBin;
use IO::Socket::INET;
use IPC::Run qw(start finish run timeout);
use Test::More;
use Time::HiRes qw(sleep time);

my $project  = "$FindBin::Bin/../..";
my $examples = "$project/examples";
my $deadline = 180;
my $folder   = File::Temp->newdir;
my %super    = map { $_ => $ENV{$_} } qw(PGHOST PGPORT PGUSER PGDATABASE);

# Runs SQL as a superuser in the database of the test. Returns the rows, columns separated by |.
sub sql {
    my ($sql, $database) = @_;
    local @ENV{ keys %super } = values %super;
    local $ENV{PGDATABASE} = $database // 'drivers';
    open my $psql, '-|', 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-c', $sql or die "psql: $!";
    my $rows = do { local $/; <$psql> } // '';
    close $psql or die "psql failed: $sql";
    chomp $rows;
    return $rows;
}

sub skip_all {
    my ($why) = @_;
    diag("SKIPPED: $why");
    plan skip_all => $why;
}

sql('CREATE DATABASE drivers', $super{PGDATABASE});
sql('CREATE EXTENSION telemetry_cqrs');
skip_all('this version has no telemetry.batch_verdicts(text)')
    if sql("SELECT to_regprocedure('telemetry.batch_verdicts(text)') IS NULL") eq 't';
skip_all('the server does not listen on 127.0.0.1') if sql('SHOW listen_addresses') ne '127.0.0.1';

# --- the drivers ----------------------------------------------------------------------------------------------------------

my ($jar)     = grep { -e } '/usr/share/java/postgresql.jar';
my ($pgx)     = grep { -d } '/usr/share/gocode/src/github.com/jackc/pgx/v4';
my $node_path = `$project/dev/node_modules` // '';
chomp $node_path;

sub is_there {
    my @command = @_;
    return run([@command], '<', '/dev/null', '>', '/dev/null', '2>', '/dev/null');
}

# The compilers work while the other drivers are tested. The cache of Go makes the next run quicker.
my %builds;
if ($jar && is_there('javac', '-version')) {
    $builds{java} = start([ 'javac', '-d', "$folder/java", '-cp', $jar, "$examples/java/Doors.java" ],
        '<', '/dev/null', '>', \my $java_log, '2>&1', timeout($deadline));
}
if ($pgx && is_there('go', 'version')) {
    my $cache = -w "$project/build" ? "$project/build/go" : "$folder/go";
    local @ENV{qw(GO111MODULE GOPATH GOCACHE GOFLAGS)} = ('off', '/usr/share/gocode', $cache, '');
    $builds{go} = start([ 'go', 'build', '-o', "$folder/doors", "$examples/go/doors.go" ],
        '<', '/dev/null', '>', \my $go_log, '2>&1', timeout($deadline));
}

my %python = (command => [ '/usr/bin/python3', "$examples/python/doors.py" ], missing => 'psycopg 3 (Debian: python3-psycopg)');
my %node   = (command => [ 'env', "NODE_PATH=$node_path", 'node', "$examples/node/doors.js" ],
    missing =>  'node-postgres with pg-copy-streams (npm)');
my %java   = (command => [ 'java', '-XX:TieredStopAtLevel=1', '-cp', ($jar // '') . ":$folder/java", 'Doors' ],
    missing => 'JDBC (Debian: default-jdk-headless, libpostgresql-jdbc-java)');
my %go     = (command => ["$folder/doors"], missing => 'pgx (Debian: golang-go, golang-github-jackc-pgx-v4-dev)');
$python{there} = is_there('/usr/bin/python3', '-c', 'import psycopg');
$node{there}   = $node_path ne '' && is_there('env', "NODE_PATH=$node_path", 'node', '-e', 'require("pg"); require("pg-copy-streams")');
$java{there}   = $builds{java};
$go{there}     = $builds{go};

# Statements that are prepared for the session do not go through a pooler that does not know them.
my @drivers = (
    { name => 'psql', command => ["$examples/psql/doors.sh"], there => 1, modes => { plain => [] }, pooled => { plain => [] } },
    {
        %python,
        name   => 'python',
        modes  => { text => [], binary => ['binary'], prepared => ['prepared'] },
        pooled => { text => [], binary => ['binary'] },
    },
    { %node, name => 'node', modes => { unnamed => [], prepared => ['prepared'] }, pooled => { unnamed => [] } },
    {
        %go,
        name   => 'go',
        modes  => { described => [], prepared => ['statement_cache_mode=prepare'] },
        pooled => { described => [] },
    },
    {
        %java,
        name  => 'java',
        modes => {
            extended => [],
            simple   => ['preferQueryMode=simple'],
            prepared => ['prepareThreshold=1&binaryTransfer=true'],
            untyped  => ['stringtype=unspecified'],
        },
        pooled => { extended => ['prepareThreshold=0'], simple => ['preferQueryMode=simple'] },
    },
);

# --- the server and the pooler --------------------------------------------------------------------------------------------

my $password = join '', map { ('a' .. 'z')[ rand 26 ] } 1 .. 20;
sql("CREATE ROLE driver LOGIN PASSWORD '$password'; SELECT telemetry.grant_writer('driver'), telemetry.grant_reader('driver')");
@ENV{qw(PGHOST PGUSER PGPASSWORD PGDATABASE PGCONNECT_TIMEOUT)} = ('127.0.0.1', 'driver', $password, 'drivers', $deadline);

my $pooler;
my $pooler_port;
my ($pgbouncer) = grep { -x } '/usr/sbin/pgbouncer', '/usr/bin/pgbouncer';
END { local $?; $pooler->kill_kill if $pooler }

sub write_file {
    my ($name, $text) = @_;
    open my $file, '>', "$folder/$name" or die "$name: $!";
    chmod 0600, $file;    # it may hold a password
    print $file $text;
    close $file or die "$name: $!";
    return;
}

# pgbouncer does not run as root. Two server processes serve all clients, and each forgets everything after each transaction.
if ($pgbouncer) {
    $pooler_port = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1')->sockport;
    write_file('users', qq{"driver" "$password"\n});
    write_file('pgbouncer.ini', <<"INI");
[databases]
drivers = host=$super{PGHOST} port=$super{PGPORT}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $pooler_port
unix_socket_dir =
auth_type = scram-sha-256
auth_file = $folder/users
pool_mode = transaction
default_pool_size = 2
server_reset_query = DISCARD ALL
server_reset_query_always = 1
ignore_startup_parameters = extra_float_digits
INI
    my @as_server;
    if ($> == 0) {
        @as_server = ('-u', 'postgres');
        chown((getpwnam 'postgres')[ 2, 3 ], "$folder", "$folder/users", "$folder/pgbouncer.ini");
    }
    $pooler = start([ $pgbouncer, '-q', @as_server, "$folder/pgbouncer.ini" ], '<', '/dev/null', '>', "$folder/pooler.log", '2>&1');
    my $end = time + $deadline;
    until (do { local $ENV{PGPORT} = $pooler_port; is_there('psql', '-XAtqc', 'SELECT 1') }) {
        if (time > $end || !$pooler->pumpable) { diag(`cat $folder/pooler.log`); BAIL_OUT('pgbouncer does not start') }
        sleep 0.05;
    }
} else {
    diag('SKIPPED: pgbouncer is not there (Debian: pgbouncer); the drivers are tested without it');
}

# --- the matrix -----------------------------------------------------------------------------------------------------------

# Two readings of JSON and 999 rows of COPY are accepted, one of them the repeat of the first reading.
my $expected = <<'LINES';
one: accepted
repeat: duplicate of the same event
refused: TC003 temperature is not a finite number
detail: temperature of device "DEVICE" is NaN.
hint: Send NULL, or leave it out, where there is no value.
json: received 3 accepted 1 duplicates 1 conflicts 0 rejected 1
json item 1: duplicate -
json item 3: rejected TC012
text: 2 duplicates
copy: received 1000 accepted 999 duplicates 0 conflicts 0 rejected 1
copy item 500: rejected TC003
waited: applied, 1001 readings
LINES

sub run_doors {
    my ($device, @command) = @_;
    my ($out, $err) = ('', '');
    my $ended = eval { run(\@command, '<', '/dev/null', '>', \$out, '2>', \$err, timeout($deadline)) };
    is($out, $expected =~ s/DEVICE/$device/r, "$device: each door answers") or diag($err);
    ok($ended, "$device: it ends well") or diag($err || $@);
    is($err, '', "$device: without a warning");
    is(sql("SELECT count(*), count(DISTINCT idempotency_key), sum(temperature)::numeric(10, 3),
                count(*) FILTER (WHERE metrics = '{\"battery\": 3.7}'), min(measured_at) AT TIME ZONE 'UTC' FROM telemetry.measurements WHERE device_id = '$device'"),
        '1001|1001|20523.200|1|2026-03-01 12:00:00', "$device: the database has them once, as they were sent");
    return;
}

for my $driver (@drivers) {
    my ($name, $command, $build) = ($driver->{name}, $driver->{command}, $builds{ $driver->{name} });
  SKIP: {
        if (!$driver->{there}) {
            diag("SKIPPED: $driver->{missing} is not there (dev/setup --test); the driver is not tested");
            skip "no $name", 1;
        }
        if ($build) { ok(finish($build), "$name: its example compiles") or next }
        for my $mode (sort keys %{ $driver->{modes} }) {
            run_doors("$name-$mode", @$command, "$name-$mode", @{ $driver->{modes}{$mode} });
        }
        next if !$pgbouncer;
        local $ENV{PGPORT} = $pooler_port;
        for my $mode (sort keys %{ $driver->{pooled} }) {
            run_doors("$name-$mode-pooled", @$command, "$name-$mode-pooled", @{ $driver->{pooled}{$mode} });
        }
    }
}
if ($pgbouncer) {
    is(sql("SELECT count(*) BETWEEN 1 AND 2 FROM pg_stat_activity WHERE usename = 'driver' AND client_port = -1"), 't',
        'those behind pgbouncer shared two server processes');
}

# --- values that look right and are not -----------------------------------------------------------------------------------

# The facts are those of doc/manual/drivers.md. Each line of a script is a case and what became of it: a SQLSTATE, an error of the
# driver, or a status.
sub cases_are {
    my ($name, $expected, @command) = @_;
    my ($out, $err) = ('', '');
    run(\@command, '<', '/dev/null', '>', \$out, '2>', \$err, timeout($deadline));
    is($out, $expected, "$name: values that look right") or diag($err);
    return;
}

if ($python{there}) {
    cases_are('python', <<'CASES', '/usr/bin/python3', '-c', <<'SCRIPT');
dict ProgrammingError
Json 42883
Jsonb accepted
no zone accepted
time as str accepted
time as binary str 42883
bytes 42883
CASES
from datetime import datetime
import psycopg
from psycopg.types.json import Json, Jsonb

connection = psycopg.connect(autocommit=True)
connection.execute("SET TimeZone = 'Asia/Tokyo'")

def case(name, sql, *values):
    try:
        answer = connection.execute(sql, values).fetchone()[0]
    except psycopg.Error as error:
        answer = error.sqlstate or type(error).__name__
    print(name, answer)

one = "SELECT status FROM telemetry.ingest_telemetry('python-values', %s, 1, metrics => %s)"
case("dict", one, None, {"a": 1})
case("Json", one, None, Json({"a": 1}))
case("Jsonb", one, None, Jsonb({"a": 1}))
case("no zone", one, datetime(2026, 3, 1, 9), None)
case("time as str", one, "2026-03-01 12:00+00", None)
case("time as binary str", one.replace("%s", "%b"), "2026-03-01 12:00+00", None)
case("bytes", "SELECT received FROM telemetry.ingest_telemetry_batch(%s)", b"[]")
SCRIPT
    is(sql("SELECT min(measured_at) AT TIME ZONE 'UTC' FROM telemetry.measurements WHERE device_id = 'python-values'"),
        '2026-03-01 00:00:00', 'python: a time without a zone is one of the session\'s zone');
}

if ($node{there}) {
    cases_are('node', <<'CASES', 'env', "NODE_PATH=$node_path", 'node', '-e', <<'SCRIPT');
object accepted
undefined accepted
Date accepted
Date.now() 22008
an array, json 22P02
an array, stringified 1
CASES
const client = new (require('pg').Client)();
const one = "SELECT status AS answer FROM telemetry.ingest_telemetry('node-values', $1, 1, metrics => $2)";
const many = 'SELECT accepted AS answer FROM telemetry.ingest_telemetry_batch($1::json)';
const list = [{ device_id: 'node-values', temperature: 2 }];
const run = async (name, sql, values) => {
    const answer = await client.query(sql, values).then(({ rows }) => rows[0].answer, ({ code }) => code);
    console.log(name, answer);
};
(async () => {
    await client.connect();
    await run('object', one, [undefined, { a: 1 }]);
    await run('undefined', one, [undefined, undefined]);
    await run('Date', one, [new Date('2026-03-01T12:00:00Z'), null]);
    await run('Date.now()', one, [Date.now(), null]);
    await run('an array, json', many, [list]);
    await run('an array, stringified', many, [JSON.stringify(list)]);
    // Without a cast the call must not store anything either.
    await client.query('SELECT FROM telemetry.ingest_telemetry_batch($1)', [[{ device_id: 'node-array', temperature: 2 }]])
        .catch(() => {});
    await client.end();
})();
SCRIPT
    is(sql("SELECT count(*) FROM telemetry.measurements WHERE device_id = 'node-array'"),
        '0', 'node: an array of objects is no JSON');
}

done_testing();
