# Every error of class TC has a detail and a hint; and the check sees an error that lacks one. Needs no build.
use strict;
use warnings;
use File::Find qw(find);
use FindBin;
use Test::More;

# Returns the statements of a source that raise an error of class TC without a detail or without a hint.
sub lacking {
    my ($source) = @_;
    my @found;
    while ($source =~ /(ereport\(ERROR|postgres::Error\()((?:"(?:\\.|[^"\\])*"|[^;"])*error_codes::k(?!Injected)\w+(?:"(?:\\.|[^"\\])*"|[^;"])*);/g) {
        my ($how, $rest) = ($1, $2);
        my $is_whole = $how =~ /^ereport/ ? $rest =~ /errdetail/ && $rest =~ /errhint/ : $rest !~ /,\s*\{\}/ && 3 <= (() = $rest =~ /,/g);
        push @found, "$how$rest" if !$is_whole;
    }
    return @found;
}

is(scalar lacking('throw postgres::Error(error_codes::kA, "a", "b", "c; d");'), 0, 'an error of ours that has both');
is(scalar lacking('throw postgres::Error(error_codes::kA, "a", {}, "c");'), 1, 'one without a detail');
is(scalar lacking('throw postgres::Error(error_codes::kA, "a", "b");'), 1, 'one without a hint');
is(scalar lacking('ereport(ERROR, (errcode(error_codes::kA), errmsg("a"), errdetail("b"), errhint("c")));'), 0, 'an error of the server that has both');
is(scalar lacking('ereport(ERROR, (errcode(error_codes::kA), errmsg("a"), errdetail("b")));'), 1, 'one without a hint');

my ($errors, @found) = 0;
find({ no_chdir => 1, wanted => sub {
    return if !/\.[ch]pp\z/;
    open my $in, '<', $_ or die "$_: $!";
    local $/;
    my $source = <$in>;
    $errors += () = $source =~ /(?:errcode|postgres::Error)\(\s*error_codes::/g;
    push @found, map { "$File::Find::name: $_" } lacking($source);
} }, "$FindBin::Bin/../../src");
cmp_ok($errors, '>', 10, "$errors errors");
is(scalar @found, 0, 'each has both') or diag map { "  $_\n" } @found;
done_testing();
