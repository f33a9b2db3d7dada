//! What a client may say: read and written.
//!
//! RFC 1939 §3 (form), §4–7 (verbs); RFC 2449 §3–5 (grammar, CAPA); RFC 2595 §4 (STLS); RFC 5034 §4 (AUTH);
//! RFC 6856 §2–3 (UTF8, LANG).
//!
//! Invariants: `parse(write(c)) == c`; a password is a [`Secret`] as soon as it is read.
//! Not here: when a command makes sense (server), the length of a line (server).

use line::Secret;

/// A command with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Whose maildrop it is; not empty.
    User(String),
    /// The password: all that follows the first blank, for passwords may have blanks.
    Pass(Secret),
    /// A login that we do not know: it needs the password in clear on our disk, and MD5.
    Apop,
    /// A SASL exchange; without mechanism, a question for the list of them, as clients of before 1998 ask it.
    Auth(Option<Auth>),
    /// How many messages, how many octets.
    Stat,
    /// The sizes of all messages or of one.
    List(Option<u64>),
    /// A message.
    Retr(u64),
    /// Marks a message to be removed.
    Dele(u64),
    /// Nothing.
    Noop,
    /// Takes all marks away.
    Rset,
    /// Farewell; what is marked is removed.
    Quit,
    /// The header of a message and so many lines of its body.
    Top {
        /// The message's number.
        message: u64,
        /// How many lines of the body.
        lines: u64,
    },
    /// The unique names of all messages or of one.
    Uidl(Option<u64>),
    /// What the server can do.
    Capa,
    /// TLS from here on.
    Stls,
    /// UTF-8 from here on.
    Utf8,
    /// The language of the texts; without range, a question for the list of them.
    Lang(Option<String>),
}

/// The arguments of AUTH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// The mechanism's name as it was written; a word.
    pub mechanism: String,
    /// The initial response as it was written: base64, `=`, or nonsense.
    pub initial: Option<Secret>,
}

/// When a command makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Before login.
    Authorization,
    /// After login.
    Transaction,
    /// Both.
    Any,
}

/// Why a line is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misread {
    /// No such verb.
    Unknown,
    /// It speaks HTTP: a lost browser, or someone who makes one send us commands.
    Http,
    /// The arguments are not those of the verb; this is how they look.
    Arguments(&'static str),
}

/// A verb, before we look at its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    User,
    Pass,
    Apop,
    Auth,
    Stat,
    List,
    Retr,
    Dele,
    Noop,
    Rset,
    Quit,
    Top,
    Uidl,
    Capa,
    Stls,
    Utf8,
    Lang,
}

/// What holds for each verb: its name, when it makes sense, how it is used.
const VERBS: [(&str, Verb, Phase, &str); 17] = [
    ("USER", Verb::User, Phase::Authorization, "USER name"),
    ("PASS", Verb::Pass, Phase::Authorization, "PASS password"),
    ("APOP", Verb::Apop, Phase::Authorization, "APOP"),
    ("AUTH", Verb::Auth, Phase::Authorization, "AUTH [mechanism [initial-response]]"),
    ("STAT", Verb::Stat, Phase::Transaction, "STAT"),
    ("LIST", Verb::List, Phase::Transaction, "LIST [message]"),
    ("RETR", Verb::Retr, Phase::Transaction, "RETR message"),
    ("DELE", Verb::Dele, Phase::Transaction, "DELE message"),
    ("NOOP", Verb::Noop, Phase::Transaction, "NOOP"),
    ("RSET", Verb::Rset, Phase::Transaction, "RSET"),
    ("QUIT", Verb::Quit, Phase::Any, "QUIT"),
    ("TOP", Verb::Top, Phase::Transaction, "TOP message lines"),
    ("UIDL", Verb::Uidl, Phase::Transaction, "UIDL [message]"),
    ("CAPA", Verb::Capa, Phase::Any, "CAPA"),
    ("STLS", Verb::Stls, Phase::Authorization, "STLS"),
    ("UTF8", Verb::Utf8, Phase::Authorization, "UTF8"),
    ("LANG", Verb::Lang, Phase::Any, "LANG [language]"),
];

/// The methods of HTTP; none of them is a verb of ours.
const HTTP_METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE"];

impl Command {
    /// Reads a line without its CRLF. Verbs in any case; more than one blank between arguments is forgiven.
    ///
    /// # Errors
    /// See [`Misread`].
    pub fn parse(line: &[u8]) -> Result<Command, Misread> {
        let (word, rest) = match memchr::memchr(b' ', line) {
            Some(blank) => (&line[..blank], Some(&line[blank + 1..])),
            None => (line, None),
        };
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        match VERBS.iter().find(|(name, ..)| is(name)) {
            Some(&(_, verb, _, usage)) => with_arguments(verb, rest).ok_or(Misread::Arguments(usage)),
            None if HTTP_METHODS.into_iter().any(is) => Err(Misread::Http),
            None => Err(Misread::Unknown),
        }
    }

    /// Appends the command to `out`, CRLF included.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.name().as_bytes());
        match self {
            Command::User(text) | Command::Lang(Some(text)) => argument(text.as_bytes(), out),
            Command::Pass(password) => argument(password.reveal(), out),
            Command::Auth(Some(auth)) => {
                argument(auth.mechanism.as_bytes(), out);
                if let Some(initial) = &auth.initial {
                    argument(initial.reveal(), out);
                }
            }
            Command::List(Some(number)) | Command::Uidl(Some(number)) => argument(number.to_string().as_bytes(), out),
            Command::Retr(number) | Command::Dele(number) => argument(number.to_string().as_bytes(), out),
            Command::Top { message, lines } => argument(format!("{message} {lines}").as_bytes(), out),
            _ => {}
        }
        out.extend_from_slice(b"\r\n");
    }

    /// When the command makes sense.
    pub fn phase(&self) -> Phase {
        self.row().2
    }

    /// The verb's name in capitals.
    pub fn name(&self) -> &'static str {
        self.row().0
    }

    fn row(&self) -> &'static (&'static str, Verb, Phase, &'static str) {
        // `VERBS` stands in the order of `Verb`; a test looks after that.
        &VERBS[self.verb() as usize]
    }

    fn verb(&self) -> Verb {
        match self {
            Command::User(_) => Verb::User,
            Command::Pass(_) => Verb::Pass,
            Command::Apop => Verb::Apop,
            Command::Auth(_) => Verb::Auth,
            Command::Stat => Verb::Stat,
            Command::List(_) => Verb::List,
            Command::Retr(_) => Verb::Retr,
            Command::Dele(_) => Verb::Dele,
            Command::Noop => Verb::Noop,
            Command::Rset => Verb::Rset,
            Command::Quit => Verb::Quit,
            Command::Top { .. } => Verb::Top,
            Command::Uidl(_) => Verb::Uidl,
            Command::Capa => Verb::Capa,
            Command::Stls => Verb::Stls,
            Command::Utf8 => Verb::Utf8,
            Command::Lang(_) => Verb::Lang,
        }
    }
}

fn argument(text: &[u8], out: &mut Vec<u8>) {
    out.push(b' ');
    out.extend_from_slice(text);
}

/// The command of a verb and what follows the first blank.
fn with_arguments(verb: Verb, rest: Option<&[u8]>) -> Option<Command> {
    let words = words(rest.unwrap_or_default());
    match (verb, &words[..]) {
        (Verb::User, _) => Some(Command::User(text(trimmed(rest?))?)),
        (Verb::Pass, _) => Some(Command::Pass(Secret::new(rest.filter(|password| !password.is_empty())?))),
        (Verb::Apop, _) => Some(Command::Apop),
        (Verb::Auth, []) => Some(Command::Auth(None)),
        (Verb::Auth, [mechanism]) => Some(Command::Auth(Some(Auth { mechanism: text(mechanism)?, initial: None }))),
        (Verb::Auth, [mechanism, initial]) => {
            Some(Command::Auth(Some(Auth { mechanism: text(mechanism)?, initial: Some(Secret::new(*initial)) })))
        }
        (Verb::List, []) => Some(Command::List(None)),
        (Verb::List, [message]) => Some(Command::List(Some(number(message)?))),
        (Verb::Uidl, []) => Some(Command::Uidl(None)),
        (Verb::Uidl, [message]) => Some(Command::Uidl(Some(number(message)?))),
        (Verb::Retr, [message]) => Some(Command::Retr(number(message)?)),
        (Verb::Dele, [message]) => Some(Command::Dele(number(message)?)),
        (Verb::Top, [message, lines]) => Some(Command::Top { message: number(message)?, lines: number(lines)? }),
        (Verb::Lang, []) => Some(Command::Lang(None)),
        (Verb::Lang, [range]) => Some(Command::Lang(Some(text(range)?))),
        (_, []) => alone(verb),
        _ => None,
    }
}

/// The verbs that stand alone.
fn alone(verb: Verb) -> Option<Command> {
    Some(match verb {
        Verb::Stat => Command::Stat,
        Verb::Noop => Command::Noop,
        Verb::Rset => Command::Rset,
        Verb::Quit => Command::Quit,
        Verb::Capa => Command::Capa,
        Verb::Stls => Command::Stls,
        Verb::Utf8 => Command::Utf8,
        _ => return None,
    })
}

fn words(rest: &[u8]) -> Vec<&[u8]> {
    rest.split(|&octet| octet == b' ').filter(|word| !word.is_empty()).collect()
}

fn trimmed(rest: &[u8]) -> &[u8] {
    let start = rest.iter().position(|&octet| octet != b' ').unwrap_or(rest.len());
    let end = rest.iter().rposition(|&octet| octet != b' ').map_or(start, |last| last + 1);
    &rest[start..end]
}

/// RFC 6856 §2.2: arguments are UTF-8.
fn text(octets: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(octets).ok()?;
    (!text.is_empty() && !text.contains(|c: char| c.is_ascii_control())).then(|| text.to_owned())
}

/// Digits alone; what is beyond 64 bits is beyond any maildrop, too.
fn number(word: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(word).ok().filter(|word| word.bytes().all(|octet| octet.is_ascii_digit()))?;
    (!digits.is_empty()).then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_table_stands_in_the_order_of_the_verbs() {
        for (place, (name, verb, ..)) in VERBS.iter().enumerate() {
            assert_eq!(*verb as usize, place, "{name}");
        }
    }

    #[test]
    fn verbs_in_any_case_and_blanks_forgiven() {
        assert_eq!(Command::parse(b"user bob"), Ok(Command::User("bob".into())));
        assert_eq!(Command::parse(b"Top  1   0 "), Ok(Command::Top { message: 1, lines: 0 }));
        assert_eq!(Command::parse(b"lIsT "), Ok(Command::List(None)));
        assert_eq!(Command::parse(b"USER  bob@hamburger.test "), Ok(Command::User("bob@hamburger.test".into())));
        assert_eq!(Command::parse(b"PASS  two blanks "), Ok(Command::Pass(Secret::new(" two blanks "))));
        assert_eq!(Command::parse(b"APOP bob 0123"), Ok(Command::Apop));
    }

    #[test]
    fn what_is_no_command() {
        for line in ["", " ", " STAT", "XYZZY", "EHLO x", "STATS", "STAT\t", "\u{feff}STAT"] {
            assert_eq!(Command::parse(line.as_bytes()), Err(Misread::Unknown), "{line:?}");
        }
        for line in [
            "USER",
            "USER ",
            "PASS",
            "PASS ",
            "STAT 1",
            "RETR",
            "RETR x",
            "RETR 1 2",
            "RETR -1",
            "RETR +1",
            "TOP 1",
            "TOP 1 -1",
            "DELE 1x",
            "AUTH PLAIN x y",
            "LANG a b",
            "QUIT now",
            "USER b\tob",
        ] {
            assert!(matches!(Command::parse(line.as_bytes()), Err(Misread::Arguments(_))), "{line:?}");
        }
        assert!(matches!(Command::parse(b"USER b\xffb"), Err(Misread::Arguments(_))));
        assert_eq!(Command::parse(b"GET / HTTP/1.1"), Err(Misread::Http));
    }

    #[test]
    fn a_number_too_large_for_us_is_a_number() {
        assert_eq!(Command::parse(b"RETR 99999999999999999999999"), Ok(Command::Retr(u64::MAX)));
    }

    fn commands() -> impl Strategy<Value = Command> {
        let number = proptest::option::of(any::<u64>());
        let auth = ("[A-Z0-9-]{1,20}", proptest::option::of("[A-Za-z0-9+/=]{1,40}"))
            .prop_map(|(mechanism, initial)| Auth { mechanism, initial: initial.map(Secret::new) });
        prop_oneof![
            "[a-z@.\u{e9}]{1,40}".prop_map(Command::User),
            "[ -~\u{e9}]{1,40}".prop_map(|password| Command::Pass(Secret::new(password))),
            proptest::option::of(auth).prop_map(Command::Auth),
            number.clone().prop_map(Command::List),
            number.prop_map(Command::Uidl),
            any::<u64>().prop_map(Command::Retr),
            any::<u64>().prop_map(Command::Dele),
            any::<(u64, u64)>().prop_map(|(message, lines)| Command::Top { message, lines }),
            proptest::option::of("[a-z*-]{1,10}").prop_map(Command::Lang),
            proptest::sample::select(vec![
                Command::Apop,
                Command::Stat,
                Command::Noop,
                Command::Rset,
                Command::Quit,
                Command::Capa,
                Command::Stls,
                Command::Utf8,
            ]),
        ]
    }

    proptest! {
        #[test]
        fn parse_after_write_is_identity(command in commands()) {
            let mut line = Vec::new();
            command.write(&mut line);
            let text = line.strip_suffix(b"\r\n").expect("a whole line");
            prop_assert_eq!(Command::parse(text), Ok(command));
        }

        #[test]
        fn no_line_makes_the_parser_stumble(line in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Command::parse(&line);
        }
    }
}
