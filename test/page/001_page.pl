# The page does what it promises, in a browser: signing in, live figures, charts, the keyboard, lost connections, hostile names, no
# movement while it loads, its size, its content security policy and its accessibility. The committed web/dist/page.html is what the
# sources give. The page talks to a mock server, which speaks the HTTP interface. With PAGE_URL and PAGE_TOKEN it talks to a real one;
# the head of page_checks.js lists the variables. PAGE_CHECKS names single checks, such as "checkChart checkLive".
use strict;
use warnings;
use File::Copy qw(copy);
use File::Path qw(make_path remove_tree);
use FindBin;
use IPC::Run qw(start run timeout);
use Test::More;

my $project  = "$FindBin::Bin/../..";
my $deadline = 180;

sub is_there {
    my @command = @_;
    return run([@command], '<', '/dev/null', '>', '/dev/null', '2>', '/dev/null');
}

sub content_of {
    my ($path) = @_;
    open my $in, '<:raw', $path or return '';
    local $/;
    return scalar <$in>;
}

# Runs a command in a folder, and keeps its output in a log there. Returns whether it succeeded.
sub runs_in {
    my ($folder, @command) = @_;
    my $child = fork // die "fork: $!";
    if (!$child) {
        chdir $folder or die "$folder: $!";
        open STDIN,  '<',  '/dev/null';
        open STDOUT, '>>', 'log';
        open STDERR, '>>', 'log';
        exec 'timeout', $deadline, @command or die "timeout: $!";
    }
    waitpid $child, 0;
    return $? == 0;
}

# Installs what the lock file of a folder names into another folder, unless it is there already. Returns whether it is there.
sub has_packages {
    my ($from, $to) = @_;
    make_path($to);
    my $lock = content_of("$from/package-lock.json");
    return 1 if -d "$to/node_modules" && content_of("$to/installed") eq $lock;
    unlink "$to/installed";
    copy("$from/$_", "$to/$_") for qw(package.json package-lock.json .npmrc);
    return 0 if !is_there('npm', '--version');
    return 0 if !runs_in($to, qw(npm ci --silent --ignore-scripts --no-audit --no-fund));
    open my $mark, '>:raw', "$to/installed" or die "$to: $!";
    print $mark $lock;
    close $mark or die "$to: $!";
    return 1;
}

my ($version) = (qx{node --version 2>/dev/null} // '') =~ /^v(\d+\.\d+)/;
if (!$version) {
    diag('SKIPPED: node is not there (dev/setup --test), so the page is not tested');
    plan skip_all => 'no node';
}

# --- the file is what the sources give --------------------------------------------------------------------------------------

unlike(content_of("$project/$_/package-lock.json"), qr/"resolved"/, "$_/package-lock.json names no registry") for qw(web test/page);

SKIP: {
    my ($major, $minor) = split /\./, $version;
    if ($major < 20 || $major == 20 && $minor < 19) {
        diag("SKIPPED: node $version is too old for vite, so web/dist/page.html is not compared with its sources");
        skip 'node is too old', 3;
    }
    my $folder = "$project/build/web";
    if (!has_packages("$project/web", $folder)) {
        diag('SKIPPED: npm does not install vite here, so web/dist/page.html is not compared with its sources');
        skip 'no vite', 3;
    }
    remove_tree("$folder/$_") for qw(src dist);
    make_path("$folder/src");
    copy($_, $folder)       or die "$_: $!" for map { "$project/web/$_" } qw(index.html vite.config.js tsconfig.json);
    copy($_, "$folder/src") or die "$_: $!" for glob "$project/web/src/*";
    unlink "$folder/log";
    ok(runs_in($folder, qw(npm run --silent check)), 'the types of the sources hold') or diag(content_of("$folder/log"));
    ok(runs_in($folder, qw(npm run --silent build)), 'the sources build')             or diag(content_of("$folder/log"));
    ok(content_of("$folder/dist/page.html") eq content_of("$project/web/dist/page.html"),
        'web/dist/page.html is what they give; npm run build in web makes it anew');
}

# --- in the browser ---------------------------------------------------------------------------------------------------------

my ($chromium) = grep { -x } grep { defined } $ENV{PAGE_CHROMIUM}, '/usr/bin/chromium';
my $missing;
$missing = 'chromium (dev/setup --test)' if !$chromium;
$missing = 'playwright-core and axe-core (npm)' if !$missing && !has_packages("$project/test/page", "$project/build/page");

SKIP: {
    if ($missing) {
        diag("SKIPPED: $missing is not there, so the page is not tried in a browser");
        skip "no $missing", 1;
    }

    # Starts a mock server, which ends with its standard input, and returns its address.
    my @mocks;
    my $mock = sub {
        my %run = (in => '', out => '');
        $run{harness} = start([ 'node', "$FindBin::Bin/mock_server.js", @_ ], \$run{in}, \$run{out}, timeout($deadline));
        $run{harness}->pump until $run{out} =~ /\n/;
        push @mocks, \%run;
        return $run{out} =~ s/\s+\z//r;
    };
    local $ENV{PAGE_CHROMIUM} = $chromium;
    local $ENV{NODE_PATH}     = "$project/build/page/node_modules";
    local @ENV{qw(PAGE_MOCK PAGE_URL PAGE_EMPTY_URL PAGE_TOKEN PAGE_ADMIN_TOKEN)} =
        $ENV{PAGE_URL}
        ? (0, @ENV{qw(PAGE_URL PAGE_EMPTY_URL PAGE_TOKEN PAGE_ADMIN_TOKEN)})
        : (1, $mock->('--hostile'), $mock->('--empty', '--anonymous'), 'reader', 'admin');
    delete $ENV{$_} for grep { !defined $ENV{$_} } qw(PAGE_EMPTY_URL PAGE_ADMIN_TOKEN);

    my $ended = 0;
    open my $checks, '-|', 'timeout', 5 * $deadline, 'node', "$FindBin::Bin/page_checks.js", split ' ', $ENV{PAGE_CHECKS} // '' or die "node: $!";
    binmode $checks, ':encoding(UTF-8)';
    binmode Test::More->builder->$_, ':encoding(UTF-8)' for qw(output failure_output todo_output);
    while (my $line = <$checks>) {
        if    ($line =~ /^ok \d+ - (.*) # SKIP (.*)/) { pass("$1 (not checked: $2)"); diag("SKIPPED: $1: $2") if $2 !~ /^PAGE/ && !$ENV{PAGE_URL} }
        elsif ($line =~ /^(not )?ok \d+ - (.*)/)      { ok(!$1, $2) }
        elsif ($line =~ /^# (.*)/)                    { Test::More->builder->is_passing ? note($1) : diag($1) }
        elsif ($line =~ /^1\.\.(\d+)/)                { $ended = $1 }
    }
    close $checks;
    cmp_ok($ended, '>', 0, 'the checks came to their end');
    $_->{harness}->kill_kill for @mocks;
}

done_testing();
