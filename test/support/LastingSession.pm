# Lets the scripts of safe_psql() and psql() share one session where that makes no difference. A psql for each script takes forty times
# as much processor time as its statements.
#
# A script that needs a psql or a server process of its own, or that an open session could hold up, gets its own (_has_own_session). A
# test about sessions, processes or their end switches sharing off: $LastingSession::wanted = 0.
#
# 1. The first script for a database opens a session, which stays.
# 2. A script that may change its session is followed by DISCARD ALL.
# 3. The session is given up when its server stops, when a statement could be in its way (a database, the extension, settings), and
#    after an error that ends a script.
# 4. A session whose server process is gone, or that began with other variables PG*, is replaced before the next script is sent. No
#    script is ever sent twice.
package LastingSession;

use strict;
use warnings;

use IPC::Open3 qw(open3);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Scalar::Util qw(refaddr);
use Time::HiRes qw(time);

our $wanted = 1;
my $most_databases = 3;
my %sessions;    # address of the node -> database -> session
my $number = 0;

# Statements that need a psql or a server process of their own.
my $of_a_process = qr/
	\b(?:COPY|LISTEN|UNLISTEN|LOAD|TEMP|TEMPORARY|PREPARED|PREPARE\s+TRANSACTION|START\s+TRANSACTION
	   |pg_backend_pid|pg_sleep|setseed|(?:SET|RESET)\s+(?:LOCAL\s+|SESSION\s+)?"?telemetry_cqrs\.)
/xi;
# Statements that may change their session.
my $of_a_session = qr/\b(?:SET|RESET|DISCARD|BEGIN|SAVEPOINT|PREPARE|DEALLOCATE|DECLARE|set_config|pg_advisory_\w+|nextval|currval|lastval)\b/i;
my $begin = qr/\bBEGIN(?:\s+(?:WORK|TRANSACTION|ISOLATION)\b[^;]*)?\s*;/i;
my $end = qr/\b(?:COMMIT|ROLLBACK|ABORT)(?:\s+(?:WORK|TRANSACTION))?\s*(?:;|\z)/i;
# Statements that an open session could hold up, or whose effect it would notice too late.
my $of_the_server = qr/
	\b(?:DATABASE|EXTENSION|ALTER\s+ROLE|ALTER\s+USER|TABLESPACE|SYSTEM|SUBSCRIPTION|PUBLICATION|VACUUM|ANALYZE|CLUSTER|REINDEX
	   |pg_cancel_backend|pg_reload_conf|pg_promote|pg_stat_reset\w*|pg_log_backend_memory_contexts)\b
	|\bpg_terminate_backend\b(?!.*\b(?:application_name|backend_type)\s*=)
/xis;

{
	no warnings 'redefine';
	my $safe_psql = \&PostgreSQL::Test::Cluster::safe_psql;
	*PostgreSQL::Test::Cluster::safe_psql = sub {
		my ($node, $database, $sql, %params) = @_;
		give_up($node) if $sql =~ $of_the_server;
		return $safe_psql->(@_) if !$wanted || %params || _has_own_session($sql);
		my ($output, $error, $status) = _run($node, $database, $sql . _cleaning($sql));
		die "error running SQL: '$error'\nwhile running '$sql' in a lasting session" if $status;
		print "#### Begin standard error\n$error\n#### End standard error\n" if $error ne '';
		return $output;
	};
	my $psql = \&PostgreSQL::Test::Cluster::psql;
	*PostgreSQL::Test::Cluster::psql = sub {
		my ($node, $database, $sql, %params) = @_;
		give_up($node) if $sql =~ $of_the_server;
		my $script = $wanted ? _script($sql, %params) : undef;
		goto &$psql if !defined $script || !eval { _session($node, $database) };
		my ($output, $error, $status) = _run($node, $database, $script);
		chomp $error;
		$status ||= $error =~ /ERROR:/ && ($params{on_error_stop} // 1) ? 3 : 0;
		${ $params{stdout} } = $output if $params{stdout};
		${ $params{stderr} } = $error if $params{stderr};
		return wantarray ? ($status, $output, $error) : $status;
	};
	# These two do not know their node.
	foreach my $name (qw(query query_until))
	{
		my $original = PostgreSQL::Test::BackgroundPsql->can($name) or next;
		no strict 'refs';
		*{"PostgreSQL::Test::BackgroundPsql::$name"} = sub {
			make_way_for($_[-1]);
			goto &$original;
		};
	}
	foreach my $name (qw(stop start restart kill9 promote teardown_node clean_node backup backup_fs_cold logrotate command_ok command_fails command_like command_fails_like command_checks_all))
	{
		my $original = PostgreSQL::Test::Cluster->can($name) or next;
		no strict 'refs';
		*{"PostgreSQL::Test::Cluster::$name"} = sub {
			give_up($_[0]);
			goto &$original;
		};
	}
}

# Runs statements in a transaction of its own, and returns the answer.
sub ask
{
	my ($node, $database, $sql) = @_;
	$sql = "BEGIN;\n$sql;\nCOMMIT";
	return $node->safe_psql($database, $sql) if !$wanted;
	my ($output, $error, $status) = _run($node, $database, $sql);
	die "error running SQL: '$error'\nwhile running '$sql' in a lasting session" if $status;
	return $output;
}

# Returns the answer to a query, or undef where there is none now: no server, an error.
sub look
{
	my ($node, $database, $sql) = @_;
	my ($output, $error, $status) = eval { _run($node, $database, $sql . _cleaning($sql)) };
	return $@ || $status ? (undef, $@ || $error) : ($output, $error);
}

# Ends the sessions on a node.
sub give_up
{
	my ($node) = @_;
	_end($_) foreach values %{ delete $sessions{ refaddr $node } // {} };
	return;
}

# Ends the sessions that could be in the way of a script.
sub make_way_for
{
	my ($sql) = @_;
	return if $sql !~ $of_the_server;
	foreach my $of_node (values %sessions) { _end($_) foreach values %$of_node }
	%sessions = ();
	return;
}

END
{
	my $status = $?;
	foreach my $of_node (values %sessions) { _end($_) foreach values %$of_node }
	$? = $status;
}

sub _has_own_session
{
	my ($sql) = @_;
	return 1 if $sql =~ /^\s*\\|\\g|[^\x00-\x7F]/m || $sql =~ $of_a_process || $sql =~ $of_the_server;
	return 1 if ($sql =~ tr/'//) % 2 || ($sql =~ tr/"//) % 2;    # perhaps its end is quoted
	return (() = $sql =~ /$begin/g) != (() = $sql =~ /$end/g);
}

# Returns what gives a session its defaults back after a script.
sub _cleaning
{
	my ($sql) = @_;
	return $sql =~ $of_a_session ? "\n;\nDISCARD ALL" : '';
}

# Returns what a lasting session must be sent for a call of psql(), or undef where the call needs its own psql.
sub _script
{
	my ($sql, %params) = @_;
	my $verbosity = 'default';
	if (my $extra = delete $params{extra_params})
	{
		return undef if "@$extra" !~ /^-v VERBOSITY=(\w+)$/;
		$verbosity = $1;
	}
	my $stops = $params{on_error_stop} // 1;
	delete @params{qw(stdout stderr on_error_stop)};
	$verbosity = $1 if $sql =~ s/\A\\set VERBOSITY (sqlstate|verbose)\n//;
	return undef if %params || _has_own_session($sql);
	# An error ends psql, and so the session. An error in the last statement need not. Where quotes hide the start of the last
	# statement, any error ends the session.
	my $first = '';
	$first = $1 if $stops && $sql =~ s/\A((?:[^;'"\$\-]++|'[^']*'|-(?!-)|;)*;)(?=[^;]*\S)//;
	my $last = $stops && $sql =~ /;(?!\s*\z)/ ? $sql : "\\set ON_ERROR_STOP off\n$sql";
	return "\\set VERBOSITY $verbosity\n$first\n$last\n;\n\\set VERBOSITY default\n\\set ON_ERROR_STOP on" . _cleaning("$first$sql");
}

# Runs a script. Returns its standard output, its standard error, and the status with which psql ended over it, or 0.
sub _run
{
	my ($node, $database, $sql) = @_;
	my $session = _session($node, $database);
	my $end = 'end of statement ' . ++$session->{statements};
	local $SIG{PIPE} = 'IGNORE';
	print { $session->{in} } "$sql\n;\n\\echo '$end'\n";
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
	my $output = '';
	until ($output =~ s/(?:^|\n)\Q$end\E\n\z//)
	{
		my $ready = '';
		vec($ready, fileno $session->{out}, 1) = 1;
		if (!select $ready, undef, undef, $deadline > time ? $deadline - time : 0)
		{
			kill 'KILL', $session->{pid};    # or the end of the test would wait for the answer
			die "no answer in time to '$sql'";
		}
		next if sysread $session->{out}, $output, 65536, length $output;
		# psql has left, as it does after an error.
		my $error = slurp_file($session->{errors}, $session->{errors_read});
		delete $sessions{ refaddr $node }{$database};
		chomp $output;
		return ($output, $error, _end($session) || 3);
	}
	my $error = -s $session->{errors} > $session->{errors_read} ? slurp_file($session->{errors}, $session->{errors_read}) : '';
	$session->{errors_read} += length $error;
	return ($output, $error, 0);
}

sub _session
{
	my ($node, $database) = @_;
	my $of_node = $sessions{ refaddr $node } //= {};
	my $session = $of_node->{$database};
	my $variables = join "\n", map { "$_=$ENV{$_}" } sort grep { /^PG/ && !/^PG(?:HOST|PORT)$/ } keys %ENV;
	return $session if $session && $session->{variables} eq $variables && (!$session->{server_process} || -e "/proc/$session->{server_process}");
	give_up($node) if $session || keys %$of_node >= $most_databases;

	my $errors = PostgreSQL::Test::Utils::tempdir . '/session_' . ++$number;
	open my $error_file, '>', $errors or die "$errors: $!";
	local %ENV = $node->_get_env();
	no warnings 'once';
	local *STDERR_OF_PSQL = $error_file;
	my $pid = open3(my $in, my $out, '>&STDERR_OF_PSQL', $node->installed_command('psql'), '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($database), '-f', '-');
	$in->autoflush(1);
	$session = { pid => $pid, in => $in, out => $out, variables => $variables, errors => $errors, errors_read => 0, statements => 0 };
	$sessions{ refaddr $node }{$database} = $session;
	my ($server_process, $error, $status) = _run($node, $database, 'SELECT pg_catalog.pg_backend_pid()');
	die "error running SQL: '$error'\nno connection to database $database" if $status;
	$session->{server_process} = $server_process;
	return $session;
}

# Ends a session, and returns the status of its psql.
sub _end
{
	my ($session) = @_;
	local ($?, $!);
	close $session->{in};
	close $session->{out};
	waitpid $session->{pid}, 0;
	return $? >> 8;
}

1;
