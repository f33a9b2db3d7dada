//! What we say of our own accord: every fixed reply of the server, by name.
//!
//! RFC 5321 §4.2.3 (codes), RFC 3463 and RFC 5248 (enhanced codes), RFC 4954 §6 (AUTH), RFC 3207 §4 (STARTTLS),
//! RFC 6531 §3.5 (5.6.7), RFC 1870 §6 (5.3.4).
//!
//! Not here: refusals that the house decides on; they come with its answers.

// Each reply says itself what it is for.
#![allow(missing_docs)]

use crate::reply::Reply;

const fn ok(code: u16, subject: u16, detail: u16, text: &'static str) -> Reply {
    Reply::fixed(code, (2, subject, detail), text)
}

const fn later(code: u16, subject: u16, detail: u16, text: &'static str) -> Reply {
    Reply::fixed(code, (4, subject, detail), text)
}

const fn no(code: u16, subject: u16, detail: u16, text: &'static str) -> Reply {
    Reply::fixed(code, (5, subject, detail), text)
}

macro_rules! words {
    ($($(#[$meta:meta])* $name:ident = $reply:expr;)*) => {
        $($(#[$meta])* pub static $name: Reply = $reply;)*

        #[cfg(test)]
        pub const ALL: &[&Reply] = &[$(&$name),*];
    };
}

words! {
    // Yes.
    FAREWELL = ok(221, 0, 0, "Goodbye");
    SENDER_OK = ok(250, 1, 0, "Sender ok");
    RECIPIENT_OK = ok(250, 1, 5, "Recipient ok");
    GO_AHEAD = Reply::plain(354, "Enter mail, end with \".\" on a line by itself");
    ACCEPTED = ok(250, 0, 0, "Message accepted for delivery");
    FORGOTTEN = ok(250, 0, 0, "Forgotten");
    NOTHING_DONE = ok(250, 0, 0, "Nothing done");
    // RFC 5321 §7.3: who does not tell says neither yes nor no.
    NOT_TELLING = Reply::fixed(252, (2, 0, 0), "Send mail and see");
    HELP = ok(214, 0, 0, "RFC 5321 says it all. Here you may say:\n\
        EHLO HELO MAIL RCPT DATA RSET NOOP QUIT VRFY EXPN HELP STARTTLS AUTH\n\
        What is offered now is listed in the answer to EHLO.");
    START_TLS = ok(220, 0, 0, "Begin TLS");
    AUTHENTICATED = ok(235, 7, 0, "Welcome");

    // The line cannot be read.
    UNKNOWN = no(500, 5, 2, "Unknown command");
    BARE_LINE_END = no(500, 5, 2, "A line ends in CRLF, and holds no other CR, LF or NUL");
    LINE_TOO_LONG = no(500, 5, 2, "Line too long");
    NOT_UTF8 = no(500, 5, 2, "Neither ASCII nor UTF-8");
    NOT_IMPLEMENTED = no(502, 5, 1, "Not implemented");
    NO_ARGUMENT = no(501, 5, 4, "Takes no argument");
    ARGUMENT_MISSING = no(501, 5, 4, "Needs an argument");
    BAD_HELLO = no(501, 5, 4, "Name yourself: a host name or an address in brackets");
    MAIL_FROM = no(501, 5, 4, "Say MAIL FROM:<sender>");
    RCPT_TO = no(501, 5, 4, "Say RCPT TO:<recipient>");
    BAD_SENDER = no(501, 1, 7, "The sender's address cannot be read");
    SENDER_NEEDS_DOMAIN = no(501, 1, 7, "The sender's address needs a domain");
    SENDER_TOO_LONG = no(501, 1, 7, "The sender's address is too long");
    BAD_RECIPIENT = no(501, 1, 3, "The recipient's address cannot be read");
    RECIPIENT_NEEDS_DOMAIN = no(501, 1, 3, "The recipient's address needs a domain");
    RECIPIENT_TOO_LONG = no(501, 1, 3, "The recipient's address is too long");
    BAD_PARAMETER = no(501, 5, 4, "Bad parameter");
    UNKNOWN_PARAMETER = no(555, 5, 4, "Parameter not recognized or not implemented");

    // Not now.
    HELLO_FIRST = no(503, 5, 1, "Say EHLO first");
    MAIL_FIRST = no(503, 5, 1, "Say MAIL first");
    RCPT_FIRST = no(503, 5, 1, "Say RCPT first");
    IN_TRANSACTION = no(503, 5, 1, "Not within a mail; finish it or say RSET");
    NO_VALID_RECIPIENTS = no(554, 5, 1, "No valid recipients");
    TLS_FIRST = no(530, 7, 0, "Say STARTTLS first");
    LOGIN_FIRST = no(530, 7, 0, "Authentication required");

    // Not this.
    SENDER_NOT_ASCII = no(550, 6, 7, "An address with UTF-8 needs SMTPUTF8");
    RECIPIENT_NOT_ASCII = no(553, 6, 7, "An address with UTF-8 needs SMTPUTF8");
    TOO_LARGE = no(552, 3, 4, "Message too large");
    TOO_MANY_RECIPIENTS = later(452, 5, 3, "Too many recipients; send the rest in another mail");
    BARE_LINE_END_IN_CONTENT = no(550, 6, 0, "Content with a bare CR or LF; lines end in CRLF");
    NUL_IN_CONTENT = no(550, 6, 0, "Content with a NUL octet");
    LONG_LINE_IN_CONTENT = no(550, 6, 0, "Content with a line that is too long");

    // TLS and AUTH.
    TLS_ABSENT = no(502, 5, 1, "TLS is not offered here");
    TLS_ALREADY = no(503, 5, 1, "TLS is up already");
    AUTH_ABSENT = no(502, 5, 1, "AUTH is not offered here");
    AUTH_ALREADY = no(503, 5, 1, "Already authenticated");
    BAD_MECHANISM = no(501, 5, 4, "Say AUTH mechanism");
    UNKNOWN_MECHANISM = no(504, 5, 4, "Mechanism not offered");
    ENCRYPTION_FIRST = no(538, 7, 11, "Not in clear; say STARTTLS first");
    BAD_BASE64 = no(501, 5, 2, "Not base64");
    CANCELLED = no(501, 0, 0, "Authentication cancelled");
    AUTH_LINE_TOO_LONG = no(500, 5, 6, "Line too long");
    BAD_CREDENTIALS = no(535, 7, 8, "Authentication failed");
    CHANNEL_MISMATCH = no(535, 7, 8, "Authentication failed: this is not the TLS channel you believe it is");
    AUTH_THROTTLED = later(454, 7, 0, "Too many attempts; try again later");
    AUTH_TEMPORARY = later(454, 7, 0, "Cannot authenticate now; try again later");

    // The end.
    TIMEOUT = later(421, 4, 2, "Waited too long; goodbye");
    LEAVING = later(421, 3, 2, "Closing for now; come back later");
    SENT_AWAY = later(421, 3, 2, "The administrator has ended this session; goodbye");
    TOO_MANY_ERRORS = later(421, 7, 0, "Too many errors; goodbye");
    TOO_MANY_REFUSALS = later(421, 7, 0, "Too many refusals; goodbye");
    TOO_MANY_COMMANDS = later(421, 7, 0, "Too many commands without mail; goodbye");
    CONFUSED = later(421, 3, 0, "Something is wrong with us; come back later");
    TOO_EARLY = no(554, 5, 1, "You spoke before the greeting; goodbye");
    FOREIGN = no(554, 5, 1, "This is SMTP, and that is not; goodbye");
    TLS_HELLO = no(554, 5, 1, "This port begins in clear; say EHLO and STARTTLS");
    ENDLESS_LINE = no(500, 5, 2, "Line without end; goodbye");
    ENDLESS_CONTENT = no(552, 3, 4, "Message far too large; goodbye");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_we_say_fits_the_wire() {
        for reply in ALL {
            let mut wire = Vec::new();
            reply.write(&mut wire);
            let text = String::from_utf8(wire).expect("ASCII");
            assert!(!text.contains('?') && text.lines().all(|line| line.len() < 100), "{reply}");
        }
    }
}
