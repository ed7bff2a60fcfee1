# The example consumers do what they say. Three at a time share a subscription and are killed with kill -9. Afterwards each event is in
# the table of the consumers once, the events of a device in order. An event that cannot be processed becomes a dead letter, and the
# later events of its device go on. A consumer that has lost its lease rolls back. SIGTERM ends a consumer. The test runs on a server
# that dev/test makes, found by the PG* variables.
use strict;
use warnings;
use FindBin;
use IPC::Run qw(start finish timeout);
use Test::More;
use Time::HiRes qw(sleep time);

my $project  = "$FindBin::Bin/../..";
my $deadline = 180;
my $kills    = 6;

my $node_path = `$project/dev/node_modules`;
chomp $node_path;
my @examples = (
    [ python => '/usr/bin/python3', "$project/examples/python/consumer.py" ],
    [ node   => 'env', "NODE_PATH=$node_path", 'node', "$project/examples/node/consumer.js" ],
);

$ENV{PGCONNECT_TIMEOUT} = $deadline;
my %super = (PGUSER => $ENV{PGUSER}, PGDATABASE => $ENV{PGDATABASE});
my $database;

# Runs SQL as a superuser in the database of the test. Returns the rows, columns separated by |.
sub sql {
    my ($sql) = @_;
    local $ENV{PGUSER}     = $super{PGUSER};
    local $ENV{PGDATABASE} = $database // $super{PGDATABASE};
    open my $psql, '-|', 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-c', $sql or die "psql: $!";
    my $rows = do { local $/; <$psql> } // '';
    close $psql or die "psql failed: $sql";
    chomp $rows;
    return $rows;
}

# Waits until the query gives t.
sub wait_until {
    my ($what, $query) = @_;
    my $end = time + $deadline;
    until (sql($query) eq 't') {
        if (time > $end) { fail("waited for: $what"); return 0 }
        sleep 0.05;
    }
    return 1;
}

# Starts a consumer, and keeps its output.
sub begin {
    my ($name, @command) = @_;
    my %run = (name => $name, in => '', out => '', err => '');
    $run{harness} = start([ @command, 'run', 'example', $name, '1' ], \$run{in}, \$run{out}, \$run{err}, timeout(2 * $deadline));
    return \%run;
}

# Waits until no share has that lease any more. A consumer whose transaction has answered it keeps it.
sub wait_for_theft {
    my ($own) = @_;
    my $end = time + 5;
    while (time < $end) {
        return 1 if sql("SELECT NOT EXISTS (SELECT FROM telemetry.subscription_share WHERE $own)") eq 't';
        sleep 0.05;
    }
    return 0;
}

# Ends a consumer by a signal, and returns its exit status.
sub end_by {
    my ($run, $signal) = @_;
    $run->{harness}->signal($signal);
    eval { finish $run->{harness}; 1 } or do { diag("no end: $@ $run->{out} $run->{err}"); $run->{harness}->kill_kill; return -1 };
    return $run->{harness}->full_result(0);
}

# Sends rounds of readings of 30 devices, each round in a transaction of its own.
sub send_rounds {
    my ($rounds, $size) = @_;
    sql("DO \$\$ BEGIN FOR r IN 1 .. $rounds LOOP PERFORM telemetry.ingest_telemetry_batch(ARRAY(SELECT 'd' || i % 30 FROM generate_series(1, $size) AS i), NULL, ARRAY(SELECT (i % 40)::float8 FROM generate_series(1, $size) AS i), NULL); COMMIT; END LOOP; END \$\$");
    return;
}

for my $example (@examples) {
    my ($language, @command) = @$example;
  SKIP: {
        if ($language eq 'node' && $node_path eq '') {
            diag('SKIPPED: node-postgres is not there (dev/setup --test); its consumer is not tested');
            skip 'no node-postgres', 1;
        }
        if ($language eq 'python' && system("$command[0] -c 'import psycopg' 2>/dev/null") != 0) {
            diag('SKIPPED: psycopg is not there (dev/setup --test); its consumer is not tested');
            skip 'no psycopg', 1;
        }
        undef $database;
        sql("CREATE DATABASE consumers_$language");
        $database = "consumers_$language";
        sql("CREATE EXTENSION telemetry_cqrs; CREATE ROLE consumer_$language LOGIN; SELECT telemetry.grant_admin('consumer_$language'); GRANT CREATE ON SCHEMA public TO consumer_$language");
        local $ENV{PGDATABASE} = $database;
        local $ENV{PGUSER}     = "consumer_$language";

        send_rounds(5, 300);
        is(system(@command, 'create', 'example'), 0, "$language: create");
        sql("UPDATE telemetry.subscription SET retry_delay = '10 ms', max_attempts = 8");

        my @consumers = map { begin("$language-$_", @command) } 1 .. 3;
        for my $kill (1 .. $kills) {
            my $before = sql('SELECT count(*) FROM processed');
            send_rounds(4, 500);
            wait_until("$language: something is processed", 'SELECT count(*) > ' . ($before + int rand 1200) . " OR (SELECT lag_events = 0 FROM telemetry.subscription_status) FROM processed");
            my $victim = $consumers[ $kill % 3 ];
            end_by($victim, 'KILL');
            $consumers[ $kill % 3 ] = begin($victim->{name}, @command);
        }

        # An event that nobody can process, and later ones of its device.
        sql("SELECT telemetry.ingest_telemetry('poisoned', NULL, t) FROM unnest(ARRAY[1, -300, 2, 3]) AS t");
        wait_until("$language: everything is processed but for one event", 'SELECT count(*) = (SELECT count(*) FROM telemetry.event) - 1 FROM processed');
        wait_until("$language: which is a dead letter", "SELECT count(*) = 1 FROM telemetry.dead_letters");
        is(sql("SELECT device_id, payload->>'temperature', last_error ~ 'colder than possible' FROM telemetry.dead_letters"), 'poisoned|-300|t', "$language: the right one");
        wait_until("$language: nothing is left to do", "SELECT state = 'current' FROM telemetry.subscription_status");
        is(sql('SELECT count(*), count(DISTINCT (event_id, epoch)) = count(*), count(*) FILTER (WHERE fahrenheit <> temperature * 9 / 5 + 32) FROM processed p JOIN telemetry.event e USING (event_id, epoch, device_id)'),
            sql('SELECT count(*) - 1 FROM telemetry.event') . '|t|0', "$language: each event is processed once");
        is(sql('SELECT count(*) FROM (SELECT event_id < lag(event_id) OVER (PARTITION BY device_id ORDER BY number) AS is_less FROM processed) AS o WHERE is_less'), '0', "$language: the events of a device in order");

        # A consumer is stopped at random moments, until it has a lease and has not answered yet. The lease ends, and others get the events.
        my $stopped = $consumers[0];
        my $own     = "consumer = '$stopped->{name}' AND lease IS NOT NULL";
        my $is_caught = 0;
        for (1 .. 500) {
            send_rounds(1, 300);
            sleep rand 0.02;
            $stopped->{harness}->signal('STOP');
            $is_caught = sql("SELECT EXISTS (SELECT FROM telemetry.subscription_share WHERE $own)
                AND NOT EXISTS (SELECT FROM pg_stat_activity a JOIN pg_locks l USING (pid) WHERE a.application_name ~ '^example_consumer' AND l.relation = 'telemetry.subscription_share'::regclass AND a.state <> 'active')") eq 't'
                && wait_for_theft($own);
            $stopped->{harness}->signal('CONT');
            last if $is_caught;
        }
        ok($is_caught, "$language: a lease ended, and others got the events");
        wait_until("$language: everything is processed", "SELECT state = 'current' AND (SELECT count(*) FROM processed) = (SELECT count(*) FROM telemetry.event) - 1 FROM telemetry.subscription_status");

        wait_until("$language: the consumers have connected", "SELECT count(*) = 3 FROM pg_stat_activity WHERE datname = current_database() AND application_name ~ '^example_consumer'");
        for my $consumer (@consumers) {
            is(end_by($consumer, 'TERM'), 0, "$language: $consumer->{name} ends well") or diag($consumer->{err});
            like($consumer->{out}, qr/^stopped\n\z/m, "$language: and says so");
            is($consumer->{err}, '', "$language: without an error");
        }
        like(join('', map { $_->{out} } @consumers), qr/^lease lost$/m, "$language: one has lost its lease");

        my ($err) = ('');
        my $unknown = start([ @command, 'run', 'unknown', 'nobody' ], \my $nothing, \my $said, \$err, timeout($deadline));
        finish $unknown;
        isnt($unknown->full_result(0), 0, "$language: an unknown subscription ends it");
        like($err, qr/22023/, "$language: with the reason");
    }
}

done_testing();
