//! Commands: what a client may say, read and written.
//!
//! RFC 5321 §4.1.1 (each command), §4.1.1.1 (EHLO's argument), §2.4 (verbs in any case); RFC 3207 §4 (STARTTLS);
//! RFC 4954 §4 (AUTH).
//!
//! Departure: blanks at the end of a line, tabs for blanks, and blanks behind the colon of `MAIL FROM:` are read as
//! if they were legal, because printers and textbooks send them.
//!
//! Invariants: `parse(write(c)) == c`; every refusal has its reply.
//! Not here: whether the command is allowed now (server).

use crate::params::{MailParams, ParamError, RcptParams};
use crate::path::{ForwardPath, PathError, ReversePath};
use crate::reply::Reply;
use crate::words;
use line::Secret;
use sasl::wire;
use std::fmt;

/// RFC 5321 §4.5.3.1.2: a name is at most that long.
const HELLO_MAX_BYTES: usize = 255;
/// Registered SASL mechanisms have at most 20 characters (RFC 4422 §3.1).
const MECHANISM_MAX_BYTES: usize = 20;

/// How a client names itself: never checked against its address, but fit to be written into a trace field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelloName(String);

/// One command with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Good day, with extensions.
    Ehlo(HelloName),
    /// Good day.
    Helo(HelloName),
    /// A new mail from someone.
    Mail(ReversePath, MailParams),
    /// And for someone.
    Rcpt(ForwardPath, RcptParams),
    /// Its content follows, up to a dot.
    Data,
    /// Forget this mail.
    Rset,
    /// Nothing; whatever it says behind it means nothing either.
    Noop,
    /// Farewell.
    Quit,
    /// Is this someone?
    Vrfy(String),
    /// Who is on this list?
    Expn(String),
    /// What can be said here?
    Help(String),
    /// Begin TLS.
    StartTls,
    /// Prove who you are: the mechanism's name in capitals, and what it says at once (RFC 4954 §4).
    Auth {
        /// In capitals.
        mechanism: String,
        /// Decoded; `=` on the wire says that there is one and that it is empty.
        initial: Option<Secret>,
    },
}

/// A command's first word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Verb {
    Ehlo,
    Helo,
    Mail,
    Rcpt,
    Data,
    Rset,
    Noop,
    Quit,
    Vrfy,
    Expn,
    Help,
    StartTls,
    Auth,
}

const VERBS: [(&str, Verb); 13] = [
    ("EHLO", Verb::Ehlo),
    ("HELO", Verb::Helo),
    ("MAIL", Verb::Mail),
    ("RCPT", Verb::Rcpt),
    ("DATA", Verb::Data),
    ("RSET", Verb::Rset),
    ("NOOP", Verb::Noop),
    ("QUIT", Verb::Quit),
    ("VRFY", Verb::Vrfy),
    ("EXPN", Verb::Expn),
    ("HELP", Verb::Help),
    ("STARTTLS", Verb::StartTls),
    ("AUTH", Verb::Auth),
];

/// Verbs of the past and of others, which we know and do not have: 502 rather than 500 (RFC 5321 §4.2.4).
const NOT_HERE: [&str; 10] = ["SEND", "SOML", "SAML", "TURN", "ETRN", "ATRN", "LHLO", "XCLIENT", "BDAT", "BURL"];

/// First words of those who think that they talk to a web server.
const HTTP: [&str; 10] = ["GET", "POST", "HEAD", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI"];

/// Why a line is no command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mistake {
    /// The verb is known, the rest is not right, or the verb is not for here; this is the answer.
    Refused(&'static Reply),
    /// A verb that nobody knows.
    Unknown,
    /// A header line, a web browser: nobody who speaks SMTP, and perhaps led here by someone else.
    Foreign,
}

impl Command {
    /// Reads a line without its CRLF.
    ///
    /// # Errors
    /// Says why it is no command.
    pub fn parse(line: &[u8]) -> Result<Self, Mistake> {
        let line = std::str::from_utf8(line).map_err(|_| Mistake::Refused(&words::NOT_UTF8))?;
        let line = line.trim_matches([' ', '\t']);
        let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let verb = verb(word)?;
        arguments(verb, rest.trim_start_matches([' ', '\t'])).map_err(Mistake::Refused)
    }

    /// Its first word.
    pub fn verb(&self) -> Verb {
        match self {
            Command::Ehlo(_) => Verb::Ehlo,
            Command::Helo(_) => Verb::Helo,
            Command::Mail(..) => Verb::Mail,
            Command::Rcpt(..) => Verb::Rcpt,
            Command::Data => Verb::Data,
            Command::Rset => Verb::Rset,
            Command::Noop => Verb::Noop,
            Command::Quit => Verb::Quit,
            Command::Vrfy(_) => Verb::Vrfy,
            Command::Expn(_) => Verb::Expn,
            Command::Help(_) => Verb::Help,
            Command::StartTls => Verb::StartTls,
            Command::Auth { .. } => Verb::Auth,
        }
    }

    /// Appends it to `wire` with its CRLF.
    pub fn write(&self, wire: &mut Vec<u8>) {
        wire.extend(Spelled(self).to_string().bytes());
        wire.extend(b"\r\n");
    }
}

/// A command as on the wire, secrets included. `Debug` hides them.
struct Spelled<'a>(&'a Command);

impl fmt::Display for Spelled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Command::Ehlo(name) => write!(f, "EHLO {name}"),
            Command::Helo(name) => write!(f, "HELO {name}"),
            Command::Mail(path, params) => write!(f, "MAIL FROM:{path}{params}"),
            Command::Rcpt(path, params) => write!(f, "RCPT TO:{path}{params}"),
            Command::Data => f.write_str("DATA"),
            Command::Rset => f.write_str("RSET"),
            Command::Noop => f.write_str("NOOP"),
            Command::Quit => f.write_str("QUIT"),
            Command::Vrfy(text) => write!(f, "VRFY {text}"),
            Command::Expn(text) => write!(f, "EXPN {text}"),
            Command::Help(text) if text.is_empty() => f.write_str("HELP"),
            Command::Help(text) => write!(f, "HELP {text}"),
            Command::StartTls => f.write_str("STARTTLS"),
            Command::Auth { mechanism, initial: None } => write!(f, "AUTH {mechanism}"),
            Command::Auth { mechanism, initial: Some(octets) } => {
                write!(f, "AUTH {mechanism} {}", wire::encode_initial(octets.reveal()))
            }
        }
    }
}

impl HelloName {
    /// A name, an address literal, or what else a client may call itself: letters, digits, and `.-_:[]`.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = |c: char| {
            if c.is_ascii() { c.is_ascii_alphanumeric() || ".-_:[]".contains(c) } else { c.is_alphanumeric() }
        };
        let good = !text.is_empty() && text.len() <= HELLO_MAX_BYTES && text.chars().all(fits);
        good.then(|| HelloName(text.into()))
    }

    /// The name as it came.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HelloName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How many octets of a command line a log may show, if not all of them: AUTH's initial response is a secret.
pub fn shown(line: &[u8]) -> Option<usize> {
    let start = line.iter().position(|octet| !matches!(octet, b' ' | b'\t')).unwrap_or(0);
    let verb = line.get(start..start + 4)?;
    if !verb.eq_ignore_ascii_case(b"AUTH") {
        return None;
    }
    let blank = |octet: &u8| matches!(octet, b' ' | b'\t');
    let words = &line[start + 4..];
    let mechanism = words.iter().position(|octet| !blank(octet)).unwrap_or(words.len());
    let behind = words[mechanism..].iter().position(blank).map_or(words.len(), |at| mechanism + at + 1);
    Some(start + 4 + behind)
}

fn verb(word: &str) -> Result<Verb, Mistake> {
    let is = |name: &&str| name.eq_ignore_ascii_case(word);
    if let Some((_, verb)) = VERBS.iter().find(|(name, _)| is(name)) {
        return Ok(*verb);
    }
    if NOT_HERE.iter().any(is) {
        return Err(Mistake::Refused(&words::NOT_IMPLEMENTED));
    }
    let foreign = HTTP.iter().any(is) || word.len() > 1 && word.ends_with(':');
    Err(if foreign { Mistake::Foreign } else { Mistake::Unknown })
}

fn arguments(verb: Verb, text: &str) -> Result<Command, &'static Reply> {
    match verb {
        Verb::Ehlo => hello(text).map(Command::Ehlo),
        Verb::Helo => hello(text).map(Command::Helo),
        Verb::Mail => mail(text),
        Verb::Rcpt => rcpt(text),
        Verb::Data => nothing(text, Command::Data),
        Verb::Rset => nothing(text, Command::Rset),
        // RFC 5321 §4.1.1.9: what stands behind it is ignored.
        Verb::Noop => Ok(Command::Noop),
        Verb::Quit => nothing(text, Command::Quit),
        Verb::Vrfy => something(text).map(Command::Vrfy),
        Verb::Expn => something(text).map(Command::Expn),
        Verb::Help => Ok(Command::Help(text.into())),
        Verb::StartTls => nothing(text, Command::StartTls),
        Verb::Auth => auth(text),
    }
}

fn nothing(text: &str, command: Command) -> Result<Command, &'static Reply> {
    if text.is_empty() { Ok(command) } else { Err(&words::NO_ARGUMENT) }
}

fn something(text: &str) -> Result<String, &'static Reply> {
    if text.is_empty() { Err(&words::ARGUMENT_MISSING) } else { Ok(text.into()) }
}

fn hello(text: &str) -> Result<HelloName, &'static Reply> {
    HelloName::parse(text).ok_or(&words::BAD_HELLO)
}

fn mail(text: &str) -> Result<Command, &'static Reply> {
    let text = behind(text, "FROM:").ok_or(&words::MAIL_FROM)?;
    let (path, rest) = ReversePath::parse(text).map_err(|error| match error {
        PathError::Missing => &words::MAIL_FROM,
        PathError::Syntax => &words::BAD_SENDER,
        PathError::NoDomain => &words::SENDER_NEEDS_DOMAIN,
        PathError::TooLong => &words::SENDER_TOO_LONG,
    })?;
    Ok(Command::Mail(path, MailParams::parse(rest).map_err(bad_params)?))
}

fn rcpt(text: &str) -> Result<Command, &'static Reply> {
    let text = behind(text, "TO:").ok_or(&words::RCPT_TO)?;
    let (path, rest) = ForwardPath::parse(text).map_err(|error| match error {
        PathError::Missing => &words::RCPT_TO,
        PathError::Syntax => &words::BAD_RECIPIENT,
        PathError::NoDomain => &words::RECIPIENT_NEEDS_DOMAIN,
        PathError::TooLong => &words::RECIPIENT_TOO_LONG,
    })?;
    Ok(Command::Rcpt(path, RcptParams::parse(rest).map_err(bad_params)?))
}

fn bad_params(error: ParamError) -> &'static Reply {
    match error {
        ParamError::Unknown => &words::UNKNOWN_PARAMETER,
        ParamError::Bad => &words::BAD_PARAMETER,
    }
}

/// What stands behind a word that is written in any case.
fn behind<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (front, rest) = text.split_at_checked(word.len())?;
    front.eq_ignore_ascii_case(word).then_some(rest)
}

fn auth(text: &str) -> Result<Command, &'static Reply> {
    let (mechanism, initial) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if mechanism.is_empty() || mechanism.len() > MECHANISM_MAX_BYTES || !mechanism.chars().all(fits) {
        return Err(&words::BAD_MECHANISM);
    }
    let initial = match initial.trim_matches([' ', '\t']) {
        "" => None,
        encoded => Some(wire::decode_initial(encoded.as_bytes()).map(Secret::new).ok_or(&words::BAD_BASE64)?),
    };
    Ok(Command::Auth { mechanism: mechanism.to_ascii_uppercase(), initial })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::tests::{mail_params, rcpt_params};
    use crate::path::tests::{forward_paths, reverse_paths};
    use proptest::prelude::*;

    fn parse(line: &str) -> Result<String, Mistake> {
        Command::parse(line.as_bytes()).map(|command| Spelled(&command).to_string())
    }

    #[test]
    fn verbs_and_keywords_in_any_case_with_careless_blanks() {
        for (line, command) in [
            ("helo crepes.fr", "HELO crepes.fr"),
            ("MAIL FROM: <alice@crepes.fr>", "MAIL FROM:<alice@crepes.fr>"),
            ("mail from:<a@b.test> size=7 ", "MAIL FROM:<a@b.test> SIZE=7"),
            ("Rcpt\tTo:  bob@hamburger.edu", "RCPT TO:<bob@hamburger.edu>"),
            ("DATA  ", "DATA"),
            ("noop what ever", "NOOP"),
            ("auth plain =", "AUTH PLAIN ="),
            ("ehlo [IPv6:::1]", "EHLO [IPv6:::1]"),
            ("EHLO my_host", "EHLO my_host"),
        ] {
            assert_eq!(parse(line).as_deref(), Ok(command), "{line}");
        }
    }

    #[test]
    fn mistakes_have_their_replies() {
        for (line, code) in [
            ("HELO", 501),
            ("EHLO a b", 501),
            ("EHLO <script>", 501),
            ("MAIL", 501),
            ("MAIL TO:<a@b.test>", 501),
            ("MAIL FROM:", 501),
            ("MAIL FROM:<a@b.test> FOO=bar", 555),
            ("MAIL FROM:<a@b.test> SIZE=x", 501),
            ("RCPT TO:<>", 501),
            ("DATA now", 501),
            ("VRFY", 501),
            ("AUTH", 501),
            ("AUTH PLAIN a=b", 501),
            ("AUTH PLAIN a", 501),
            ("TURN", 502),
            ("BDAT 86 LAST", 502),
        ] {
            match parse(line) {
                Err(Mistake::Refused(reply)) => assert_eq!(reply.code(), code, "{line}"),
                other => panic!("{line}: {other:?}"),
            }
        }
        assert_eq!(parse("BLAH"), Err(Mistake::Unknown));
        assert_eq!(parse(""), Err(Mistake::Unknown));
        for line in ["GET / HTTP/1.1", "Host: x.test", "Subject: hi"] {
            assert_eq!(parse(line), Err(Mistake::Foreign), "{line}");
        }
        assert!(matches!(Command::parse(b"VRFY \xff"), Err(Mistake::Refused(_))));
    }

    #[test]
    fn an_initial_response_is_hidden() {
        assert_eq!(shown(b"AUTH PLAIN AGJvYg=="), Some(11));
        assert_eq!(shown(b"  auth \tPLAIN\tAGJvYg=="), Some(14));
        assert_eq!(shown(b"AUTH PLAIN"), Some(10));
        assert_eq!(shown(b"AUTH"), Some(4));
        assert_eq!(shown(b"AUTO x"), None);
        assert_eq!(shown(b"  "), None);
    }

    fn commands() -> impl Strategy<Value = Command> {
        let name = "[a-zA-Z0-9_.:\\[\\]-]{1,30}".prop_map(|text| HelloName::parse(&text).expect("a name"));
        let text = "[!-~]([ -~]{0,20}[!-~])?";
        let initial = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40).prop_map(Secret::new));
        prop_oneof![
            name.clone().prop_map(Command::Ehlo),
            name.prop_map(Command::Helo),
            (reverse_paths(), mail_params()).prop_map(|(path, params)| Command::Mail(path, params)),
            (forward_paths(), rcpt_params()).prop_map(|(path, params)| Command::Rcpt(path, params)),
            Just(Command::Data),
            Just(Command::Rset),
            Just(Command::Noop),
            Just(Command::Quit),
            text.prop_map(Command::Vrfy),
            text.prop_map(Command::Expn),
            proptest::option::of(text).prop_map(|text| Command::Help(text.unwrap_or_default())),
            Just(Command::StartTls),
            ("[A-Z0-9_-]{1,20}", initial).prop_map(|(mechanism, initial)| Command::Auth { mechanism, initial }),
        ]
    }

    proptest! {
        #[test]
        fn parse_after_write_is_identity(command in commands()) {
            let mut wire = Vec::new();
            command.write(&mut wire);
            let line = wire.strip_suffix(b"\r\n").expect("a line");
            prop_assert_eq!(Command::parse(line), Ok(command));
        }

        #[test]
        fn noise_is_refused_or_read_back(line in "(MAIL FROM:|RCPT TO:|AUTH |EHLO )[ -~]{0,40}") {
            if let Ok(command) = Command::parse(line.as_bytes()) {
                prop_assert_eq!(Command::parse(Spelled(&command).to_string().as_bytes()), Ok(command));
            }
        }
    }
}
