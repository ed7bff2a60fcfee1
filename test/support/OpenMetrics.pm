package OpenMetrics;

# Reads a text in the format OpenMetrics 1.0, and dies at the first thing that the format does not allow.
#
#   my $metrics = OpenMetrics->parse($text);
#   $metrics->value('telemetry_cqrs_devices', state => 'online');    # undef where there is no such sample
#   $metrics->{families}      name of a family -> { type, unit, help, samples => [ { name, labels, value }, ... ] }, labels as a hash
#
# Timestamps, exemplars, histograms and summaries are no part of what it reads.

use strict;
use warnings;

my $NAME = qr/[a-zA-Z_:][a-zA-Z0-9_:]*/;
my $LABEL_NAME = qr/[a-zA-Z_][a-zA-Z0-9_]*/;
my $NUMBER = qr/[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?Inf|NaN/;
my %SUFFIXES = (gauge => [''], counter => [ '_total', '_created' ], info => ['_info'], unknown => [''], stateset => ['']);
my %UNESCAPED = ('\\' => '\\', '"' => '"', n => "\n");

sub parse
{
	my ($class, $text) = @_;
	$text =~ s/^# EOF\n\z//m or die "the text does not end with a line \"# EOF\"\n";
	die "the text is no UTF-8\n" if !utf8::decode(my $copy = $text);
	my $self = bless { families => {}, by_key => {}, order => [] }, $class;
	my ($family, $number) = (undef, 0);
	for my $line (split /\n/, $text, -1)
	{
		++$number;
		if ($line eq '' && $number == 1 + ($text =~ tr/\n//)) { last }    # behind the last line feed
		my $problem = $line =~ /^#/ ? $self->_take_description($line, \$family) : $self->_take_sample($line, \$family);
		die "line $number, $problem: $line\n" if defined $problem;
	}
	return $self;
}

# Each of the two returns what is wrong with the line, or undef.
sub _take_description
{
	my ($self, $line, $family) = @_;
	my ($what, $name, $rest) = $line =~ /^# (TYPE|UNIT|HELP) ($NAME) (.*)$/s or return 'no description';
	if (!defined $$family || $$family ne $name)
	{
		return 'the family began earlier' if $self->{families}{$name};
		$$family = $name;
		$self->{families}{$name} = { type => 'unknown', samples => [] };
		push @{ $self->{order} }, $name;
	}
	my $described = $self->{families}{$name};
	return 'a description behind a sample' if @{ $described->{samples} };
	return 'a second description' if $described->{given}{$what}++;
	if ($what eq 'TYPE')
	{
		return 'no type that is known here' if !$SUFFIXES{$rest};
		$described->{type} = $rest;
		for my $sample (map { "$name$_" } @{ $SUFFIXES{$rest} })
		{
			return 'its samples have the name of those of another family' if $self->{sample_names}{$sample};
			$self->{sample_names}{$sample} = $name;
		}
	}
	elsif ($what eq 'UNIT')
	{
		return 'the name does not end in the unit' if $rest !~ /^[a-z]+$/ || $name !~ /_\Q$rest\E$/;
		$described->{unit} = $rest;
	}
	else
	{
		return 'a wrong escape' if $rest =~ s/\\[\\n"]//gr =~ /\\/;
		$described->{help} = $rest;
	}
	return 'an info has no unit' if $described->{type} eq 'info' && defined $described->{unit};
	return;
}

sub _take_sample
{
	my ($self, $line, $family) = @_;
	my ($name, $braced, $value) = $line =~ /^($NAME)(?:\{(.*)\})? ($NUMBER)$/s or return 'no sample';
	my $of = $self->{sample_names}{$name};
	return 'a sample of no family' if !defined $of;
	return 'a sample outside of its family' if !defined $$family || $of ne $$family;
	my $described = $self->{families}{$of};
	my %labels;
	my $rest = $braced // '';
	while ($rest ne '')
	{
		$rest =~ s/^($LABEL_NAME)="((?:[^\\"\n]|\\[\\"n])*)"(?:,(?=.)|\z)//s or return 'wrong labels';
		my ($label, $content) = ($1, $2);
		return 'a label twice' if exists $labels{$label};
		return 'a label that the format keeps for itself' if $label =~ /^__/ || $label eq 'le' || $label eq 'quantile';
		$labels{$label} = $content =~ s/\\(.)/$UNESCAPED{$1}/gsr;
	}
	return 'a second sample with these labels' if $self->{by_key}{ _key($name, %labels) };
	return 'a counter that is no number from 0 on' if $described->{type} eq 'counter' && $value !~ /^\+?[\d.]/;
	return 'an info is 1' if $described->{type} eq 'info' && $value != 1;
	my $sample = { name => $name, labels => \%labels, value => $value };
	push @{ $described->{samples} }, $sample;
	$self->{by_key}{ _key($name, %labels) } = $sample;
	return;
}

sub _key { my ($name, %labels) = @_; return join "\0", $name, map { ($_, $labels{$_}) } sort keys %labels }

sub value
{
	my ($self, $name, %labels) = @_;
	my $sample = $self->{by_key}{ _key($name, %labels) };
	return defined $sample ? $sample->{value} : undef;
}

# Returns all samples, those of a family one after the other.
sub samples { my ($self) = @_; return map { @{ $self->{families}{$_}{samples} } } @{ $self->{order} } }

1;
