# The examples of clients do what they say. They store once although the connection is lost and although the server undoes the
# transaction (40001), look at refused readings, wait for their own writes, and follow events without a gap. The test is part of
# acceptance check 6. It runs on a server that dev/test makes, found by the PG* variables.
use strict;
use warnings;
use File::Temp;
use FindBin;
use IPC::Run qw(start finish timeout);
use Test::More;
use Time::HiRes qw(sleep time);

my $project  = "$FindBin::Bin/../..";
my $deadline = 180;

my $node_path = `$project/dev/node_modules`;
chomp $node_path;
my @examples = (
    [ psql   => "$project/examples/psql/telemetry.sh" ],
    [ python => '/usr/bin/python3', "$project/examples/python/telemetry.py" ],
    [ node   => 'env', "NODE_PATH=$node_path", 'node', "$project/examples/node/telemetry.js" ],
);

$ENV{PGCONNECT_TIMEOUT} = $deadline;
my %super = (PGUSER => $ENV{PGUSER}, PGDATABASE => $ENV{PGDATABASE});

# Runs SQL as a superuser in the database of the test. Returns the rows, columns separated by |.
sub sql {
    my ($sql, $database) = @_;
    local $ENV{PGUSER}     = $super{PGUSER};
    local $ENV{PGDATABASE} = $database // 'examples';
    open my $psql, '-|', 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-c', $sql or die "psql: $!";
    my $rows = do { local $/; <$psql> } // '';
    close $psql or die "psql failed: $sql";
    chomp $rows;
    return $rows;
}

sub wait_until {
    my ($what, $condition) = @_;
    my $end = time + $deadline;
    until ($condition->()) {
        if (time > $end) { fail("waited for: $what"); return 0 }
        sleep 0.05;
    }
    return 1;
}

# Starts a process and keeps its output.
sub begin {
    my ($command, %env) = @_;
    my %run = (in => '', out => '', err => '');
    local @ENV{ keys %env } = values %env;
    $run{harness} = start($command, \$run{in}, \$run{out}, \$run{err}, timeout($deadline));
    return \%run;
}

sub end_of {
    my ($run) = @_;
    eval { finish $run->{harness}; 1 } or do { diag("no end: $@ $run->{out} $run->{err}"); $run->{harness}->kill_kill; return -1 };
    return $run->{harness}->full_result(0);
}

sub run_example {
    my @command = @_;
    my $run = begin(\@command);
    my $status = end_of($run);
    return ($status, $run->{out}, $run->{err});
}

# Returns the backend of an example that waits for a lock, or at least exists; empty if there is none.
sub backend_of {
    my ($name, $waiting) = @_;
    return sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'example_$name'"
            . ($waiting ? " AND wait_event_type = 'Lock'" : ''));
}

sql('CREATE DATABASE examples', $super{PGDATABASE});
sql('CREATE EXTENSION telemetry_cqrs');
sql("CREATE ROLE example LOGIN; SELECT telemetry.grant_admin('example')");
$ENV{PGDATABASE} = 'examples';
$ENV{PGUSER}     = 'example';

for my $example (@examples) {
    my ($name, @command) = @$example;
  SKIP: {
        if ($name eq 'node' && $node_path eq '') {
            diag('SKIPPED: node-postgres is not there (dev/setup --test); its example is not tested');
            skip 'no node-postgres', 1;
        }
        my $device = "$name-1";

        # 1. Another session is storing the very same reading, so the example waits.
        # 2. The test cuts its connection; the example comes back and waits again.
        # 3. The other session commits. The example gets 40001, because it asked for one snapshot a transaction.
        # 4. It tries once more and is told that the reading is there.
        my $rival = begin([qw(psql -XAtq -v ON_ERROR_STOP=1)], PGAPPNAME => 'rival');
        $rival->{in} .= "BEGIN; SELECT status FROM telemetry.ingest_telemetry('$device', '2026-03-01 12:00+00', 21.5, NULL, 'first');\n";
        wait_until('the rival stored it', sub { $rival->{harness}->pump_nb; $rival->{out} =~ /accepted/ });

        my $send = begin([ @command, 'send', $device, 'first', '21.5' ], PGOPTIONS => '-c default_transaction_isolation=repeatable\ read');
        my $before;
        wait_until("$name waits for the rival", sub { $send->{harness}->pump_nb; $before = backend_of($name, 1) });
        is(sql("SELECT pg_terminate_backend($before)"), 't', "$name: its connection is cut");
        wait_until("$name comes back", sub {
            $send->{harness}->pump_nb;
            my $now = backend_of($name, 1);
            return $now ne '' && $now ne $before;
        });
        $rival->{in} .= "COMMIT;\n\\q\n";
        end_of($rival);
        is(end_of($send), 0, "$name: send ends well");
        my $stored = sql("SELECT event_id FROM telemetry.measurements WHERE device_id = '$device'");
        like($stored, qr/^\d+$/, "$name: it is stored once");
        is($send->{out}, "event $stored duplicate, applied: 1 readings, average 21.5\n", "$name: it is told so, and sees its reading");
        like($send->{err}, qr/^again after: (connection lost|57P01)$/m, "$name: it noticed the lost connection");
        like($send->{err}, qr/^again after: 40001$/m, "$name: and the serialization failure");

        # The example does not send a refused reading for ever.
        my ($status, $out, $err) = run_example(@command, 'send', $device, 'bad', 'NaN');
        isnt($status, 0, "$name: a refused reading ends in an error");
        unlike($err, qr/again after/, "$name: which is not tried again");

        # The example sends a batch with a faulty reading, and the same once more.
        my $many = "$name-many";
        ($status, $out, $err) = run_example(@command, 'batch', $many, 20, 21, 'NaN', 23);
        is($status, 0, "$name: batch ends well") or diag($err);
        is($out, "received 4 accepted 3 duplicates 0 conflicts 0 rejected 1\nrefused $many:3 TC003\n", "$name: receipt and quarantine");
        ($status, $out) = run_example(@command, 'batch', $many, 20, 21, 'NaN', 23);
        like($out, qr/^received 4 accepted 0 duplicates 3 conflicts 0 rejected 1\n/, "$name: the repetition stores nothing");
        is(sql("SELECT count(*), sum(temperature), string_agg(idempotency_key, ' ' ORDER BY event_id)
                FROM telemetry.measurements WHERE device_id = '$many'"),
            "3|64|$many:1 $many:2 $many:4", "$name: the database has three of them");

        # The example follows events from before, events while it listens, and events while its connection is cut.
        my $known  = sql('SELECT count(*) FROM telemetry.measurements');
        my $follow = begin([ @command, 'follow', 1, $known + 2 ]);
        my $seen   = sub { $follow->{harness}->pump_nb; scalar(() = $follow->{out} =~ /^event /mg) };
        wait_until("$name has caught up", sub { $seen->() >= $known });
        sql("SELECT telemetry.ingest_telemetry('$device', '2026-03-01 13:00+00', 22, NULL, 'second')");
        wait_until("$name sees what comes", sub { $seen->() >= $known + 1 });
        my $backend = backend_of($name);
        sql("SELECT pg_terminate_backend($backend)") if $backend ne '' && $name ne 'psql';
        sql("SELECT telemetry.ingest_telemetry('$device', '2026-03-01 14:00+00', 23, NULL, 'third')");
        is(end_of($follow), 0, "$name: follow ends well") or diag($follow->{err});
        is(join("\n", sort split /\n/, $follow->{out}),
            sql(q{SELECT format('event %s %s %s', event_id, device_id, idempotency_key) COLLATE "C" FROM telemetry.measurements ORDER BY 1}),
            "$name: it has seen each event once");
    }
}

done_testing();
