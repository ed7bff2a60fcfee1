# README.md tells the truth. The test runs each console block, statement by statement, and compares the output. It compares the tables
# of settings and of error codes, the links and the commands with the repository. It runs on a server that dev/test makes, found by the
# PG* variables.
#
# A statement begins after "=> " and ends with ";" or "\gset" at the end of a line; the text up to the next one is its output.
# Times, transaction numbers, process numbers, digests and widths may differ; the rest must be equal.
use strict;
use warnings;
use utf8;
use FindBin;
use IPC::Run qw(start timeout);
use Test::More;
use Time::HiRes qw(sleep time);

binmode Test::More->builder->$_, ':encoding(UTF-8)' for qw(output failure_output todo_output);

my $project  = "$FindBin::Bin/../..";
my $deadline = 180;

sub content_of {
    open my $file, '<:encoding(UTF-8)', "$project/$_[0]" or die "$_[0]: $!";
    local $/;
    return scalar <$file>;
}
my $readme = content_of('README.md');

sub sql {
    my ($sql, $database) = @_;
    open my $psql, '-|', 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $database // 'readme', '-c', $sql or die "psql: $!";
    my $rows = do { local $/; <$psql> } // '';
    close $psql or die "psql failed: $sql";
    chomp $rows;
    return $rows;
}

sub wait_until {
    my ($what, $condition) = @_;
    my $end = time + $deadline;
    until ($condition->()) {
        if (time > $end) { diag("waited in vain: $what"); return 0 }
        sleep 0.05;
    }
    return 1;
}

sub normalised {
    my ($text) = @_;
    # A notification is one long line; in the README it is folded.
    $text =~ s/(Asynchronous notification .*?PID \d+\.)/$1 =~ s{\s}{}gr/se;
    for ($text) {
        s/\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\.\d+(?:\+00|Z)/TIME/g;
        s/\b1:\d+(?=\s*$)/TOKEN/gm;
        s/\b[0-9a-f]{16}\b/DIGEST/g;
        s/PID\d+/PID/g;
        s/\bpid \d+/pid N/g;
        s/^.*WARNING:  there is no transaction.*\n//gm;
        s/-{2,}/--/g;
        s/[ \t]+/ /g;
        s/ ?\| ?/|/g;
        s/ ?\+ ?/+/g;
        s/^ | $//gm;
        s/\n{2,}/\n/g;
        s/^\n+|\n+$//g;
    }
    return $text;
}

# --- console blocks -------------------------------------------------------------------------------------------------------

my @steps;    # [statement, output]
while ($readme =~ /^```console\n(.*?)^```$/gms) {
    my ($in_statement, $statement, $output) = (0, undef, '');
    for my $line (split /\n/, $1) {
        if ($line =~ s/^=> //) {
            push @steps, [ $statement, $output ] if defined $statement;
            ($in_statement, $statement, $output) = (1, '', '');
        }
        if ($in_statement) {
            $statement .= "$line\n";
            $in_statement = 0 if $line =~ /;$|\\gset$/;
        } else {
            $output .= "$line\n";
        }
    }
    die "not ended: $statement" if $in_statement;
    push @steps, [ $statement, $output ];
}
cmp_ok(scalar(@steps), '>=', 12, 'there is something to be run');

# An installation preloads the library; the test's server does not.
sql('ALTER SYSTEM SET fsync = on', 'postgres');
sql('SELECT pg_reload_conf()',     'postgres');
sql('CREATE DATABASE readme',      'postgres');
sql('CREATE EXTENSION telemetry_cqrs');
wait_until('the worker runs', sub { sql('SELECT state FROM telemetry.worker_status()') eq 'running' });
wait_until('fsync is on',     sub { sql('SHOW fsync') eq 'on' });

$ENV{PGAPPNAME} = 'readme';
my ($in, $out) = ('', '');
my $psql = start([ 'sh', '-c', 'exec psql -Xq -d readme -P pager=off -P footer=off 2>&1' ], \$in, \$out, timeout(4 * $deadline));
my $marks = 0;

# Sends a line and returns what came until its end was marked.
sub answer_to {
    my ($text) = @_;
    my $mark = '-- end of ' . ++$marks;
    $in .= "$text\n\\echo '$mark'\n";
    $psql->pump until $out =~ /^\Q$mark\E$/m;
    my $answer = substr $out, 0, $-[0];
    substr($out, 0, $+[0] + 1) = '';
    return $answer;
}

for my $step (@steps) {
    my ($statement, $wanted) = @$step;
    my $found = answer_to($statement);
    # A reader of the README is slower than the worker, so the test lets the worker finish between two statements.
    wait_until('everything is applied or paused', sub {
        sql("SELECT count(*) FROM telemetry.projection_status WHERE lag_events > 0 AND state <> 'paused'") eq '0';
    });
    # psql shows a notification after the next command.
    if ($wanted =~ /^Asynchronous notification/m) {
        wait_until('a notification comes', sub {
            $found .= answer_to('SELECT 1 \g /dev/null');
            $found =~ /^Asynchronous notification/m;
        });
    } else {
        $found .= answer_to('SELECT 1 \g /dev/null') =~ s/^Asynchronous notification .*\n//gmr;
        $found =~ s/^Asynchronous notification .*\n//gm;
    }
    utf8::decode($found);
    my ($first) = split /\n/, $statement;
    is(normalised($found), normalised($wanted), $first);
    print "=> $statement$found\n" if $ENV{README_SHOW};    # to be copied to the README
}
$in .= "\\q\n";
$psql->finish;

# --- tables ---------------------------------------------------------------------------------------------------------------

my %told = $readme =~ /^\| `(telemetry_cqrs\.\w+)` \| `?([^`|]*?)`? ?\|/gm;
my %real = map { split /\|/, $_, 2 } split /\n/, sql(
    "LOAD 'telemetry_cqrs'; SELECT name, boot_val || coalesce(unit, '') FROM pg_settings WHERE name LIKE 'telemetry_cqrs.%'");
is_deeply([ sort keys %told ], [ sort keys %real ], 'each setting is in the table');
for my $name (sort keys %real) {
    my ($is_time) = $real{$name} =~ /^\d+(?:ms|s|min)$/;
    is(
        $is_time ? sql("SELECT '$told{$name}'::interval = '$real{$name}'::interval") : $told{$name},
        $is_time ? 't' : $real{$name},
        "default of $name");
}

my @codes_told = $readme =~ /^\| `(TC\d\d\d)` \|/gm;
my @codes_real = content_of('src/error_codes.hpp') =~ /pack_sqlstate\("(TC\d\d\d)"\)/g;
is_deeply(\@codes_told, \@codes_real, 'each error code is in the table');

# A value just within a limit is accepted, one more is refused.
my ($id_size)  = $readme =~ /^\| device id, region \| (\d+) bytes/m;
my ($key_size) = $readme =~ /^\| idempotency key \| (\d+) bytes/m;
my ($metrics, $name_size) = $readme =~ /^\| further metrics \| `max_metrics` \((\d+)\) a reading, names of at most (\d+) bytes/m;
for my $limit (
    [ 'device id',    $id_size,   'TC001', q{device_id => repeat('d', %d), temperature => 1} ],
    [ 'region',       $id_size,   'TC007', q{device_id => 'limit', temperature => 1, region => repeat('r', %d)} ],
    [ 'key',          $key_size,  'TC005', q{device_id => 'limit', temperature => 1, idempotency_key => repeat('k', %d)} ],
    [ 'metric name',  $name_size, 'TC006', q{device_id => 'limit', metrics => jsonb_build_object(repeat('m', %d), 1)} ],
    [ 'metrics',      $metrics,   'TC006',
        q{device_id => 'limit', metrics => (SELECT jsonb_object_agg('m' || n, n) FROM generate_series(1, %d) AS n)} ],
) {
    my ($what, $most, $sqlstate, $arguments) = @$limit;
    my $call = "SELECT status FROM telemetry.ingest_telemetry($arguments)";
    is(sql(sprintf $call, $most), 'accepted', "$what: $most are accepted");
    my $refused = (sprintf $call, $most + 1) =~ s/SELECT status FROM/PERFORM/r;
    my $answer = sql("CREATE FUNCTION pg_temp.answer() RETURNS text LANGUAGE plpgsql AS \$\$
        BEGIN $refused; RETURN 'accepted'; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE; END \$\$; SELECT pg_temp.answer()");
    is($answer, $sqlstate, "$what: one more is refused");
}

# --- links and commands ---------------------------------------------------------------------------------------------------

for my $link ($readme =~ /\]\(([^)#:]+)\)/g) {
    ok(-e "$project/$link", "$link is there");
}
my %commands = map { $_ => 1 } $readme =~ m{\b((?:dev|test/bench)/\w+)\b(?![./])}g;
for my $command (sort keys %commands) {
    ok(-x "$project/$command", "$command is there");
}
my %named = map { $_ => 1 } $readme =~ /`(?:telemetry\.)?(\w+)\((?:'role'|batch|)\)`/g;
for my $function (sort keys %named) {
    isnt(sql("SELECT count(*) FROM pg_proc WHERE pronamespace = 'telemetry'::regnamespace AND proname = '$function'"), '0', "$function() is there");
}

done_testing();
