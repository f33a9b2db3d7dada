//! The mechanisms we speak, and which of them may be offered on which channel.
//!
//! RFC 4422 §3.1 (names), App. A (EXTERNAL: nothing without a certificate), RFC 8314 §3 and RFC 2595 §2.3 (no password in clear), RFC 5802 §6 (-PLUS needs a channel).
//!
//! Not here: what their messages look like (server, client).

use line::Secured;

/// A mechanism, weakest first: the order is the order of preference of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mechanism {
    /// The password in two steps, without an RFC; some clients know nothing else.
    Login,
    /// The password as it is (RFC 4616).
    Plain,
    /// A proof of knowing the password, both ways (RFC 7677).
    ScramSha256,
    /// The same, bound to the TLS channel (RFC 7677).
    ScramSha256Plus,
    /// The certificate that the client has shown (RFC 4422 App. A).
    External,
}

impl Mechanism {
    /// All of them, best first.
    pub const ALL: [Mechanism; 5] =
        [Mechanism::External, Mechanism::ScramSha256Plus, Mechanism::ScramSha256, Mechanism::Plain, Mechanism::Login];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Login => "LOGIN",
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Mechanism::External => "EXTERNAL",
        }
    }

    /// The mechanism of a name, in any case: clients write `plain` too.
    pub fn parse(name: &[u8]) -> Option<Mechanism> {
        Self::ALL.into_iter().find(|mechanism| name.eq_ignore_ascii_case(mechanism.name().as_bytes()))
    }

    /// Whether it means nothing without TLS.
    pub fn needs_tls_channel(self) -> bool {
        matches!(self, Mechanism::ScramSha256Plus | Mechanism::External)
    }

    /// Whether the password itself travels.
    pub fn sends_password(self) -> bool {
        matches!(self, Mechanism::Plain | Mechanism::Login)
    }
}

/// What of `supported` may be offered on this channel; `clear_login` allows passwords without TLS.
pub fn available(supported: &[Mechanism], channel: Option<&Secured>, clear_login: bool) -> Vec<Mechanism> {
    let bindable = channel.is_some_and(|tls| tls.exporter.is_some() || tls.server_end_point.is_some());
    let certified = channel.is_some_and(|tls| !tls.client_names.is_empty());
    let private = channel.is_some() || clear_login;
    let fits = |mechanism: &Mechanism| match mechanism {
        Mechanism::External => certified,
        Mechanism::ScramSha256Plus => bindable,
        Mechanism::ScramSha256 => true,
        Mechanism::Plain | Mechanism::Login => private,
    };
    supported.iter().copied().filter(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case() {
        for mechanism in Mechanism::ALL {
            assert_eq!(Mechanism::parse(mechanism.name().as_bytes()), Some(mechanism));
            assert_eq!(Mechanism::parse(mechanism.name().to_lowercase().as_bytes()), Some(mechanism));
        }
        assert_eq!(Mechanism::parse(b"CRAM-MD5"), None);
        assert_eq!(Mechanism::parse(b""), None);
    }

    #[test]
    fn the_channel_decides_what_is_offered() {
        let all = Mechanism::ALL;
        assert_eq!(available(&all, None, false), [Mechanism::ScramSha256]);
        assert_eq!(available(&all, None, true), [Mechanism::ScramSha256, Mechanism::Plain, Mechanism::Login]);
        let unbindable = Secured::default();
        assert_eq!(available(&all, Some(&unbindable), false), available(&all, None, true));
        let tls = Secured { exporter: Some(vec![0; 32]), ..Secured::default() };
        assert_eq!(available(&all, Some(&tls), false), all[1..]);
        let certified = Secured { client_names: vec!["joe@a.test".into()], ..tls };
        assert_eq!(available(&all, Some(&certified), false), all);
    }
}
