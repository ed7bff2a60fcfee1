# The page works with a real server: the checks of 001_page.pl, in a browser, against the extension on the server that dev/test makes,
# found by the PG* variables. They send readings themselves.
use strict;
use warnings;
use FindBin;
use HTTP::Tiny;
use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(sleep time);

my $project = "$FindBin::Bin/../..";

plan skip_all => 'node, chromium or the packages of npm are missing (001_page.pl says which)'
    if !-x ($ENV{PAGE_CHROMIUM} // '/usr/bin/chromium') || !-d "$project/build/page/node_modules" || system('node --version >/dev/null 2>&1');

sub sql {
    my ($sql, $database) = @_;
    open my $psql, '-|', 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $database // 'page', '-c', $sql or die "psql: $!";
    my $rows = do { local $/; <$psql> } // '';
    close $psql or die "psql failed: $sql";
    chomp $rows;
    return $rows;
}

my $port = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1')->sockport;
sql('CREATE DATABASE page', 'postgres');
sql('CREATE EXTENSION telemetry_cqrs');
sql("ALTER SYSTEM SET telemetry_cqrs.$_") for "http_listen = 'page=$port'", "expected_interval = '1min'", "liveness_interval = '1s'", 'launcher_interval = 500';
sql('SELECT pg_reload_conf()');
my %token;
for my $name (qw(reader writer admin)) {
    sql("CREATE ROLE page_$name; SELECT telemetry.grant_$name('page_$name')");
    $token{$name} = sql("SELECT telemetry.create_http_token('page_$name', '$name')");
}
# A fleet that has been at work for a day: 60 devices in four regions.
sql(<<'SQL');
SELECT accepted FROM telemetry.ingest_telemetry_batch((SELECT json_agg(json_build_object('device_id', format('%s-%s', r, lpad(d::text, 2, '0')), 'region', r,
    'measured_at', now() - make_interval(mins => m * 10), 'temperature', round((18 + d * 0.3 + 5 * sin(m / 20.0) + random())::numeric, 2),
    'humidity', round((45 + 10 * cos(m / 30.0))::numeric, 1), 'metrics', json_build_object('battery', round((3.9 - m * 0.002)::numeric, 3))))
  FROM unnest('{north,south,east,west}'::text[]) r, generate_series(1, 15) d, generate_series(0, 144) m))
SQL
sql(q{SELECT rejected FROM telemetry.ingest_telemetry_batch('[{"device_id":"north-02","temperature":"warm"},{"device_id":""}]')});

my $url = "http://127.0.0.1:$port/";
my ($answer, $end) = (undef, time + 60);
do { sleep 0.2; $answer = HTTP::Tiny->new->get($url) } until $answer->{status} == 200 || time > $end;
is($answer->{status}, 200, 'the server serves the page') or BAIL_OUT($answer->{content});
open my $in, '<:raw', "$project/web/dist/page.html" or die $!;
is($answer->{content}, do { local $/; <$in> }, 'as it was built');

$ENV{NODE_PATH} = "$project/build/page/node_modules";
$ENV{PAGE_CUT} = q{psql -XAtqd page -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs http'"};
local @ENV{qw(PAGE_URL PAGE_TOKEN PAGE_ADMIN_TOKEN PAGE_SEND_TOKEN PAGE_TOKEN_IS_READER)} = ($url, @token{qw(reader admin writer)}, 1);
open my $checks, '-|', 'timeout', '400', 'node', "$project/test/page/page_checks.js" or die "node: $!";
my ($passed, $failed) = (0, 0);
while (my $line = <$checks>) {
    chomp $line;
    if ($line =~ /^(not )?ok \d+ - (.*)/) { ok(!$1, $2) }
    elsif ($line =~ /^# (.*)/)            { diag $1 }
}
ok(close $checks, 'the checks end well') or diag "status $?";
is(sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs http' AND (backend_xid IS NOT NULL OR backend_xmin IS NOT NULL)"), '0', 'no transaction is left open');
sql('ALTER SYSTEM RESET telemetry_cqrs.http_listen', 'postgres');
done_testing();
