#!/usr/bin/perl
# Mail::IMAPClient against a server; Bob's INBOX has three letters. Dies where it sees what it should not.
use strict;
use warnings;
use Mail::IMAPClient;
use Mail::IMAPClient::BodyStructure;

my ($port, $certificate, $user, $password, $token) = @ARGV;

sub is {
    my ($what, $is, $should) = @_;
    $is = '(undef)' unless defined $is;
    die "$what: $is, not $should\n" unless $is eq $should;
}

my $imap = Mail::IMAPClient->new(
    Server => 'localhost', Port => $port, User => $user, Password => $password, Uid => 1, Timeout => 50, Peek => 1,
    Starttls => [ SSL_ca_file => $certificate, SSL_verifycn_name => 'localhost' ],
) or die "no session: $@\n";
for my $name (qw(IDLE UIDPLUS MOVE CONDSTORE SORT THREAD=REFERENCES NAMESPACE SPECIAL-USE ID)) {
    die "no $name\n" unless $imap->has_capability($name);
}
is('separator', $imap->separator, '/');
is('Trash exists', $imap->exists('Trash') ? 1 : 0, 1);
is('Nowhere exists', $imap->exists('Nowhere') ? 1 : 0, 0);
$imap->select('INBOX') or die $imap->LastError;
is('messages', $imap->message_count, 3);
is('unseen', $imap->unseen_count, 3);
my @all = $imap->messages;
is('all', "@all", '1 2 3');
my ($second) = $imap->search(SUBJECT => $imap->Quote($token));
is('found', $second, 2);
is('subject', $imap->subject($second), $token);
is('since', scalar(my @since = $imap->since(time - 86400)), 3);
is('sorted', join(' ', $imap->sort('REVERSE ARRIVAL', 'UTF-8', 'ALL')) ? 1 : 0, 1);
my $threads = $imap->thread('REFERENCES', 'UTF-8', 'ALL') or die $imap->LastError;
my $text = $imap->message_string($second);
is('size', length $text, $imap->size($second));
die "the body is not there\n" unless $imap->body_string($second) =~ /\Q$token\E/;
my $headers = $imap->parse_headers($second, 'Subject', 'From') or die $imap->LastError;
is('header', $headers->{Subject}[0], $token);
my $envelope = $imap->get_envelope($second) or die $imap->LastError;
is('envelope', $envelope->subject, $token);
my $structure = $imap->get_bodystructure($second) or die $imap->LastError;
is('structure', lc($structure->bodytype . '/' . $structure->bodysubtype), 'text/plain');
my $hash = $imap->fetch_hash('FLAGS', 'INTERNALDATE', 'RFC822.SIZE');
is('hash', scalar(keys %$hash), 3);
$imap->see($second) or die $imap->LastError;
$imap->set_flag('Flagged', $second) or die $imap->LastError;
is('flags', join(' ', sort grep { !/Recent/ } $imap->flags($second)), '\\Flagged \\Seen');
$imap->create('Filed/Here') or die $imap->LastError;
$imap->subscribe('Filed/Here') or die $imap->LastError;
is('subscribed', scalar(grep { $_ eq 'Filed/Here' } $imap->subscribed), 1);
$imap->move('Filed/Here', $second) or die $imap->LastError;
$imap->expunge or die $imap->LastError;
is('left', $imap->message_count, 2);
my $copies = $imap->copy('Archive', 3) or die $imap->LastError;
is('status', $imap->message_count('Archive'), 1);
my $uid = $imap->append_string('Drafts', "Subject: from perl\r\n\r\nhello\r\n", '\\Draft', '01-Feb-2024 10:00:00 +0000');
is('appended', $uid, 1);
$imap->delete_message(3) or die $imap->LastError;
$imap->uidexpunge(3) or die $imap->LastError;
my $idle = $imap->idle or die $imap->LastError;
$imap->done($idle) or die $imap->LastError;
my $namespace = $imap->tag_and_run('NAMESPACE') or die $imap->LastError;
$imap->rename('Archive', 'Attic') or die $imap->LastError;
$imap->rename('Attic', 'Archive') or die $imap->LastError;
$imap->close or die $imap->LastError;
$imap->logout or die $imap->LastError;
