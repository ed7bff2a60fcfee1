# The gates between errors of the server and C++ exceptions. Every field of an error survives in both directions. Destructors
# run exactly once. The stacks of the server are restored, and memory stays flat. Running out of memory is an ordinary error.
use strict;
use warnings;
use ClusterTemplate ();
use JSON::PP qw(decode_json);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('gates');
$node->init;
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION gate_test;
CREATE SCHEMA shop;
CREATE DOMAIN shop.percent AS int CONSTRAINT up_to_100 CHECK (VALUE <= 100);
CREATE TABLE shop.item (id int CONSTRAINT item_key PRIMARY KEY, price int NOT NULL);
INSERT INTO shop.item VALUES (1, 10);
CREATE FUNCTION shop.complain() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'the message' USING ERRCODE = '22012', DETAIL = 'the detail', HINT = 'the hint', SCHEMA = 'a schema',
        TABLE = 'a table', COLUMN = 'a column', DATATYPE = 'a type', CONSTRAINT = 'a constraint';
END $$;
SQL

# Runs commands in a session, which must live to the last one. Returns what it prints.
sub session {
    my (@commands) = @_;
    my ($status, $out, $err) = $node->psql('postgres', join(";\n", @commands, q(SELECT 'still here')),
        on_error_stop => 0, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
    like($out, qr/still here$/, 'the session goes on') or diag $err;
    return ($out, $err);
}

# Returns what gate_report() says of each command.
sub reports {
    my (@commands) = @_;
    my ($out) = session(map { "SELECT gate_report(" . quoted($_) . ")" } @commands);
    return map { decode_json($_) } (split /\n/, $out)[0 .. $#commands];
}

sub quoted {
    my ($text) = @_;
    return "'" . $text =~ s/'/''/gr . "'";
}

my $CLEAN = q{SELECT gate_counter('constructed') > 0 AND gate_counter('constructed') = gate_counter('destroyed')
    AND gate_counter('destroyed_twice') = 0 AND gate_counter('stacks_changed') = 0};

# --- server error -> exception -> server error -------------------------------------------------------------------------

my %failing = (
    'an error with every field' => 'SELECT shop.complain()',
    'a unique violation' => 'INSERT INTO shop.item VALUES (1, 20)',
    'a NULL' => 'INSERT INTO shop.item VALUES (2, NULL)',
    'a domain' => 'SELECT 101::shop.percent',
    'a division by zero' => 'SELECT 1/0',
    'a syntax error' => 'SELECT 1 FROM FROM',
);
for my $what (sort keys %failing) {
    my @depths = (0, 1, 20);
    my ($plain, @guarded) = reports($failing{$what}, map { "SELECT gate_run_deep(" . quoted($failing{$what}) . ", $_)" } @depths);
    for my $depth (@depths) {
        my $guarded = shift @guarded;
        is(index($guarded->{context}, $plain->{context} =~ s/\n?PL\/pgSQL function gate_report.*//sr),
            0, "$what through $depth further gates: CONTEXT") or diag $guarded->{context};
        is_deeply({ %$guarded, context => '' }, { %$plain, context => '' }, "$what: the other fields");
    }
}

# Also what only the protocol shows: source file and function, cursor positions.
for my $what (sort keys %failing) {
    my $command = $failing{$what};
    my (undef, $plain) = session("DO " . quoted("BEGIN EXECUTE " . quoted($command) . "; END"));
    my (undef, $guarded) = session("DO " . quoted("BEGIN EXECUTE 'SELECT gate_run(' || quote_literal(" . quoted($command) . ") || ')'; END"));
    my ($from) = $plain =~ /^LOCATION:  (.*)$/m;
    like($guarded, qr/^LOCATION:  \Q$from\E$/m, "$what: the place it was raised at");
    my ($query) = $plain =~ /^(QUERY:  .*)$/m;
    like($guarded, qr/^\Q$query\E$/m, "$what: the query it is in") if defined $query;
}

# --- exceptions -> server error ----------------------------------------------------------------------------------------

my %thrown = (
    error => [ 'TC999', 'the message with a % sign', 'the detail', 'the hint' ],
    runtime_error => [ 'XX000', qr/C\+\+ exception/, 'the words of the exception', '' ],
    number => [ 'XX000', qr/C\+\+ exception/, qr/not derived from std::exception/, '' ],
    bad_alloc => [ '53200', 'out of memory', qr/./, '' ],
);
for my $kind (sort keys %thrown) {
    my @calls = ("SELECT gate_throw('$kind')", "SELECT gate_throw('$kind', 5)", "SELECT gate_run('SELECT gate_throw(''$kind'')')");
    my @seen = reports(@calls);
    for my $call (@calls) {
        my $seen = shift @seen;
        my @expected = @{ $thrown{$kind} };
        for my $field (qw(sqlstate message detail hint)) {
            my $value = shift @expected;
            like($seen->{$field}, ref $value ? $value : qr/^\Q$value\E$/, "$call: $field");
        }
        like($seen->{context}, qr/gate_report/, "$call: CONTEXT");
    }
}

# --- destructors, stacks ----------------------------------------------------------------------------------------------

my ($out) = session(
    (map { "SELECT gate_run_deep(" . quoted($_) . ", 20)" } values %failing),
    (map { ("SELECT gate_throw('$_')", "SELECT gate_throw('$_', 5)", "SELECT gate_run_deep('SELECT gate_throw(''$_'')', 20)") } keys %thrown),
    q(SELECT gate_run('SELECT gate_run(''SELECT 1'')')),
    q(SELECT gate_run('DO $$ BEGIN PERFORM gate_run(''SELECT 1/0''); EXCEPTION WHEN division_by_zero THEN NULL; END $$')),
    'SELECT gate_catch(10)', $CLEAN);
like($out, qr/^t\nstill here$/m, 'every destructor ran once and every stack was restored, after errors and without');

# --- out of memory ----------------------------------------------------------------------------------------------------

for my $how (qw(palloc new)) {
    my ($direct, $guarded) = reports("SELECT gate_ask_too_much('$how')", "SELECT gate_run('SELECT gate_ask_too_much(''$how'')')");
    is($direct->{sqlstate}, '53200', "an impossible request to $how");
    is($guarded->{sqlstate}, '53200', "... through both gates");
}
for my $how (qw(palloc new both)) {
    my ($result, $errors) = session("SELECT gate_exhaust('$how')", "SELECT gate_exhaust('$how')",
        "SELECT gate_run('SELECT gate_exhaust(''$how'')')", $CLEAN, q(SELECT 'calls: ' || gate_counter('context_calls')));
    is(scalar(() = $errors =~ /ERROR:  53200: out of memory/g), 3, "the last byte taken by $how is an ordinary error");
    like($result, qr/^t$/m, '... and everything was destroyed once');
    like($errors, qr/telemetry_cqrs/, '... also when no memory is left to copy it') if $how eq 'both';
    my $calls = $how eq 'new' ? 0 : 3;
    like($result, qr/^calls: $calls$/m, '... and the context of a block was asked only while the block was there');
}

# --- cancel -----------------------------------------------------------------------------------------------------------

for my $wait ('gate_sleep()', 'gate_spin()', q(gate_run('SELECT gate_sleep()')), q(gate_run_deep('SELECT gate_spin()', 3))) {
    # The first statement loads the library, which may take longer than the timeout.
    my ($result, $errors) = session(q(SELECT gate_counter('constructed')), q(SET statement_timeout = '100ms'), "SELECT $wait", 'RESET statement_timeout', $CLEAN);
    like($errors, qr/ERROR:  57014: canceling statement due to statement timeout/, "$wait: stopped by statement_timeout");
    like($result, qr/^t$/m, '... and everything was destroyed once');
}
{
    my ($result, $errors);
    my $psql = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-v', 'VERBOSITY=verbose',
        '-c', q(SELECT gate_run('SELECT gate_sleep()')), '-c', $CLEAN ], '>', \$result, '2>', \$errors,
        IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
    my $sleeping = q{FROM pg_stat_activity WHERE wait_event = 'PgSleep'};
    ok($node->poll_query_until('postgres', "SELECT count(*) = 1 $sleeping"), 'a session sleeps inside two gates');
    $node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) $sleeping");
    $psql->finish;
    like($errors, qr/ERROR:  57014: canceling statement due to user request/, 'pg_cancel_backend passes through both gates');
    like($result, qr/^t$/m, '... and everything was destroyed once');
}

# --- memory stays flat ------------------------------------------------------------------------------------------------

my %repeated = (
    'server errors through both gates' => q(gate_repeat('SELECT gate_run(''SELECT 1/0'')', TIMES)),
    'errors with every field through both gates' => q(gate_repeat('SELECT gate_run(''SELECT shop.complain()'')', TIMES)),
    'exceptions' => q(gate_repeat('SELECT gate_throw(''error'')', TIMES)),
    'standard exceptions through guarded blocks' => q(gate_repeat('SELECT gate_throw(''runtime_error'', 2)', TIMES)),
    'memory errors' => q(gate_repeat('SELECT gate_throw(''bad_alloc'')', TIMES)),
    'server errors caught in one call' => q(gate_catch(TIMES)),
);
for my $what (sort keys %repeated) {
    my $look = q(SELECT 'bytes ' || gate_counter('resident') || ' ' || gate_counter('contexts'));
    my ($result) = session((map { ('SELECT ' . $repeated{$what} =~ s/TIMES/$_/r, $look) } 5_000, 100_000), $CLEAN);
    my @bytes = $result =~ /^bytes (\d+) (\d+)$/mg;
    my ($resident, $contexts) = ($bytes[2] - $bytes[0], $bytes[3] - $bytes[1]);
    # A single byte lost in each would be 100,000.
    cmp_ok($contexts, '<', 65_536, "100,000 $what: the server's memory is flat");
    cmp_ok($resident, '<', 2_000_000, "100,000 $what: the process is flat");
    like($result, qr/^t$/m, '... and everything was destroyed once');
    note "growth after 5,000: $contexts bytes in contexts, $resident bytes resident";
}

$node->stop;
done_testing();
