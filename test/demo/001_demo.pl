# The demo draws in a terminal and prints lines into a pipe, and both end with counts that are equal. Ctrl-C at any moment leaves
# neither a process nor a file. The test runs as the user who called dev/test.
use strict;
use warnings;
use utf8;
use File::Temp;
use IO::Pty;
use IO::Select;
use POSIX qw(WNOHANG);
use Test::More;
use Time::HiRes qw(time sleep);

binmode Test::More->builder->$_, ':encoding(UTF-8)' for qw(output failure_output todo_output);

my $deadline = 300;    # for each demo; it takes some 12 seconds on an idle machine

# The demo makes its temporary folders here, so that the test sees leftovers. The server's user must be able to enter it.
my $tmp = File::Temp->newdir('telemetry_demo_XXXXXX', TMPDIR => 1);
chmod 0777, "$tmp";

# Runs a command, in a terminal if a size is given, and returns its output and its wait status. When the pattern `stop_at` appears, it
# presses Ctrl-C in the terminal or sends SIGTERM to the command; with `hang_up` it closes the terminal.
sub run_demo {
    my ($command, %options) = @_;
    my ($read, $pid);
    if ($options{size}) {
        my $pty = IO::Pty->new;
        my $slave = $pty->slave;
        my ($columns, $rows) = @{ $options{size} };
        $slave->set_winsize($rows, $columns);
        $pid = fork() // die "fork: $!";
        if ($pid == 0) {
            $pty->make_slave_controlling_terminal;
            close $pty;
            open STDIN, '<&', $slave;
            open STDOUT, '>&', $slave;
            open STDERR, '>&', $slave;
            become($command, TERM => 'xterm', %{ $options{env} // {} });
        }
        close $slave;
        $read = $pty;
    } else {
        pipe($read, my $write) or die "pipe: $!";
        $pid = fork() // die "fork: $!";
        if ($pid == 0) {
            close $read;
            open STDIN, '<', '/dev/null';
            open STDOUT, '>&', $write;
            open STDERR, '>&', $write;
            become($command, TERM => 'xterm', %{ $options{env} // {} });
        }
        close $write;
    }
    my ($output, $end, $stopped, $frames) = ('', time + $deadline, 0, 0);
    my $select = IO::Select->new($read);
    while (time < $end) {
        next unless $select->can_read(1);
        my $count = sysread $read, my $bytes, 65536;
        last if !$count;    # The last writer is gone; a terminal says so by an error.
        $output .= $bytes;
        if (!$stopped && $options{stop_at} && $output =~ $options{stop_at}) {
            $stopped = 1;
            if ($options{hang_up}) { close $read; last }
            if ($options{size}) { syswrite $read, "\cC" }
            else                { kill 'TERM', $pid }
        }
    }
    if (time >= $end) {
        diag("no end after $deadline s");
        kill 'TERM', $pid;
    }
    waitpid $pid, 0;
    my $status = $?;
    ok($stopped, "$options{name}: came as far as it was to be stopped at") if $options{stop_at};
    diag($output) if !$options{stop_at} && $status != 0;
    return ($output, $status);
}

sub become {
    my ($command, %env) = @_;
    $ENV{TMPDIR} = "$tmp";
    $ENV{LC_ALL} = 'C.UTF-8';
    delete $ENV{NO_COLOR};
    $ENV{$_} = $env{$_} for keys %env;
    $SIG{$_} = 'DEFAULT' foreach qw(INT HUP);    # a background job of a script ignores the one, nohup the other, and so do their children
    exec @$command or die "exec: $!";
}

# Returns the command lines of processes whose program or command line lies in our folder.
sub processes_left {
    my @left;
    for my $folder (glob '/proc/[0-9]*') {
        my $program = readlink("$folder/exe") // '';
        open my $file, '<', "$folder/cmdline" or next;
        my $line = do { local $/; <$file> } // '';
        $line =~ tr/\0/ /;
        push @left, $line if $program =~ /^\Q$tmp\E/ || $line =~ /\Q$tmp\E/;
    }
    return @left;
}

sub nothing_is_left {
    my ($name) = @_;
    my ($end, @left) = (time + 60);
    # A process that was killed may need a moment to be gone.
    while ((@left = processes_left()) && time < $end) { sleep 0.1 }
    is_deeply(\@left, [], "$name: no process is left");
    is_deeply([ glob "$tmp/*" ], [], "$name: no file is left");
}

# Returns the lines of a terminal's output as they were printed, without movements and colours.
sub printed_lines {
    my ($output) = @_;
    utf8::decode($output);
    $output =~ s/\e\[[0-9;?]*[A-Za-z]//g;
    return map { s/.*\r(?=.)//r =~ s/\r//gr } split /\n/, $output;
}

sub counts_are_equal {
    my ($name, @lines) = @_;
    # The totals come from the log itself and from the answers.
    my ($receipts) = map { /accepted, by the receipts\s+([\d,]+)/ ? $1 : () } @lines;
    my ($log)      = map { /readings in the event log\s+([\d,]+)  ok/ ? $1 : () } @lines;
    my ($stats)    = map { /sample_count in device_stats\s+([\d,]+)  ok/ ? $1 : () } @lines;
    ok($receipts && $receipts ne '0', "$name: readings were accepted");
    is($log,   $receipts, "$name: the log has them");
    is($stats, $receipts, "$name: the statistics have them");
    is(scalar(grep { /DIFFERS/ } @lines), 0, "$name: no count differs");
    like(join("\n", @lines), qr/last hours by minute.*temperature: . is the mean of a minute.*p50 -?\d+\.\d\d, p95/s, "$name: a band of the last hours, with quantiles");
}

my @short = ('dev/demo', '--seconds', 3);

# Into a pipe the demo prints lines, and nothing that a log could not hold.
{
    my ($output, $status) = run_demo(\@short, name => 'pipe');
    is($status, 0, 'pipe: ends well');
    unlike($output, qr/[\e\r]/, 'pipe: no control sequence');
    like($output, qr/^ +\d+ s +[\d,]+ /m, 'pipe: a line a second');
    counts_are_equal('pipe', split /\n/, $output);
    nothing_is_left('pipe');
}

# The relay sends to servers that the demo starts.
SKIP: {
    my @missing = grep { system("command -v $_ >/dev/null") != 0 } qw(nats-server redis-server);
    skip "LOUD: no @missing, so the demo of the relay is not tested", 8 if @missing;
    my ($output, $status) = run_demo([ @short, '--nats', '--redis' ], name => 'relay');
    is($status, 0, 'relay: ends well');
    like($output, qr/^ +NATS +connected: acknowledged [\d,]+, waiting [\d,]+; a subscriber has [\d,]+: telemetry\.ingested\.\S+ \{/m, 'relay: what a subscriber sees');
    like($output, qr/^ +Redis connected: values set [\d,]+, waiting [\d,]+; GET device:stats:\S+: \{/m, 'relay: what redis-cli sees');
    my ($log) = $output =~ /readings in the event log\s+([\d,]+)  ok/;
    ok($log, 'relay: readings are in the log');
    is(($output =~ /messages in the stream of NATS\s+([\d,]+)  ok/)[0], $log, 'relay: NATS has them');
    is(($output =~ /sum of sample_count in the values of Redis\s+([\d,]+)  ok/)[0], $log, 'relay: Redis has them');
    nothing_is_left('relay');
}

# The terminal has the usual size, and the file is long enough to be drawn more than once.
{
    my $file = "$tmp/climate.csv";
    open my $csv, '>', $file or die "$file: $!";
    # Spreadsheets write a byte order mark and quotes.
    print $csv "\xEF\xBB\xBF\"device_id\",region,measured_at,temperature,humidity,co2,idempotency_key\n";
    printf $csv "room-%d,house,2026-01-01 12:%02d:00+00,%.1f,%d,%d,k%d\n", $_ % 3, $_ % 60, 20 + $_ % 50, 40 + $_ % 9, 400 + $_ % 99, $_
        for 1 .. 60_000;
    close $csv;
    chmod 0644, $file;
    my ($output, $status) = run_demo([ 'dev/demo', '--csv', $file ], name => 'terminal', size => [ 80, 24 ]);
    unlink $file;
    is($status, 0, 'terminal: ends well');
    like($output, qr/\e\[\d+A/, 'terminal: it is drawn again in place');
    like($output, qr/\e\[32m/, 'terminal: in colour');
    my @lines = printed_lines($output);
    is_deeply([ grep { length > 80 } @lines ], [], 'terminal: no line is wider than 80');
    counts_are_equal('terminal', @lines);
    is((map { /accepted, by the receipts\s+([\d,]+)/ ? $1 : () } @lines)[0], '60,000', 'terminal: each line of the file');
    like($output, qr/\e\[\?25h(?!.*\e\[\?25l)/s, 'terminal: the cursor is back');
    nothing_is_left('terminal');
}

# Ctrl-C comes while the fleet streams. NO_COLOR leaves the drawing and takes the colour.
{
    my ($output, $status) =
        run_demo([ 'dev/demo', '--seconds', 600 ], name => 'Ctrl-C', size => [ 100, 30 ], env => { NO_COLOR => 1 },
        stop_at => qr/ batch +\d+ .*\e\[\d+A/s);
    is($status >> 8, 130, 'Ctrl-C: the exit status says so');
    unlike($output, qr/\e\[[0-9;]*m/, 'NO_COLOR: no colour');
    like($output, qr/\e\[\?25h(?!.*\e\[\?25l)/s, 'Ctrl-C: the cursor is back');
    nothing_is_left('Ctrl-C');
}

# Ctrl-C comes while the demo makes its server. With TERM=dumb it prints lines and draws nothing.
{
    my ($output, $status) = run_demo(\@short, name => 'Ctrl-C early', size => [ 80, 24 ], env => { TERM => 'dumb' },
        stop_at => qr/starting a PostgreSQL/);
    # The signal itself ends the shell before it has set its traps. Afterwards the status is 130, or 1 where initdb took the signal.
    isnt($status, 0, 'Ctrl-C early: the exit status says so');
    unlike($output, qr/\e/, 'TERM=dumb: no control sequence');
    nothing_is_left('Ctrl-C early');
}

# The test closes a narrow terminal, so the demo can write nothing any more.
{
    my ($output, $status) =
        run_demo([ 'dev/demo', '--seconds', 600 ], name => 'hang-up', size => [ 40, 24 ], stop_at => qr/\e\[\d+A/, hang_up => 1);
    is($status >> 8, 129, 'hang-up: the exit status says so');
    nothing_is_left('hang-up');
}

# A supervisor sends SIGTERM to the script alone.
{
    my ($output, $status) = run_demo([ 'dev/demo', '--seconds', 600 ], name => 'SIGTERM', stop_at => qr/^ +\d+ s +[\d,]+ /m);
    is($status >> 8, 143, 'SIGTERM: the exit status says so');
    nothing_is_left('SIGTERM');
}

done_testing();
