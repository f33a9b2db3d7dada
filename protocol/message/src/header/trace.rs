//! Trace fields: what is put on top of a message that passes through our hands.
//!
//! RFC 5321 §4.4 (Received, Return-Path), §7.2 (why `for` only with one recipient); RFC 3848 and RFC 6531 §4.3 (`with`);
//! RFC 8314 §4.3 (`tls`).
//!
//! Invariants: what is written is made of checked types, or of words from which everything was taken that could end a
//! line or a clause; it is always exactly one field with its line end.
//! Not here: whether a message has a header that this may be put on (scan).

use core::net::IpAddr;

use crate::address::{Address, Domain};
use crate::date::Date;
use crate::syntax::{is_atext, one_line};

/// The longest client's name that is shown when it is no domain, in octets.
const HELLO_SHOWN_MAX: usize = 64;

/// What a Received field says (RFC 5321 §4.4).
#[derive(Debug, Clone)]
pub struct Received<'a> {
    /// Who gave us the message.
    pub from: Option<Client<'a>>,
    /// Our own name.
    pub by: &'a Domain,
    /// How it was given.
    pub with: Protocol,
    /// Under which name it is found in our log; only the characters of an atom are written.
    pub id: &'a str,
    /// The TLS cipher suite by its IANA name, if TLS was used.
    pub tls_cipher: Option<&'a str>,
    /// The recipient, if there is but one (RFC 5321 §7.2).
    pub recipient: Option<&'a Address>,
    /// When it was received.
    pub date: Date,
}

/// Who gave us a message.
#[derive(Debug, Clone)]
pub struct Client<'a> {
    /// What it called itself in EHLO, HELO or LHLO; unchecked.
    pub hello: &'a str,
    /// Where it connected from; absent if that is nobody's business (RFC 6409 §8, submission).
    pub address: Option<IpAddr>,
    /// The name that the DNS gives that address, if it was asked and the name leads back to it.
    pub name: Option<&'a Domain>,
}

/// How a message was given to us; [`Protocol::name`] is the word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocol {
    /// The language spoken.
    pub speech: Speech,
    /// Whether TLS protected it.
    pub tls: bool,
    /// Whether the client had authenticated.
    pub authenticated: bool,
}

/// The language in which a message was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    /// After HELO.
    Smtp,
    /// After EHLO.
    Esmtp,
    /// After EHLO, with SMTPUTF8 at MAIL.
    Utf8Smtp,
    /// After LHLO.
    Lmtp,
    /// After LHLO, with SMTPUTF8 at MAIL.
    Utf8Lmtp,
}

impl Protocol {
    /// The registered word (RFC 3848; RFC 6531 §4.3): `ESMTPSA`, for example.
    ///
    /// After HELO there is no extension, so there is neither TLS nor authentication to tell of.
    pub fn name(self) -> String {
        let base = match self.speech {
            Speech::Smtp => return "SMTP".to_owned(),
            Speech::Esmtp => "ESMTP",
            Speech::Utf8Smtp => "UTF8SMTP",
            Speech::Lmtp => "LMTP",
            Speech::Utf8Lmtp => "UTF8LMTP",
        };
        let (tls, authenticated) = (if self.tls { "S" } else { "" }, if self.authenticated { "A" } else { "" });
        format!("{base}{tls}{authenticated}")
    }

    fn allows_utf8(self) -> bool {
        matches!(self.speech, Speech::Utf8Smtp | Speech::Utf8Lmtp)
    }
}

impl Received<'_> {
    /// Appends the field.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut clauses = Vec::new();
        clauses.extend(self.from.as_ref().map(Client::clause));
        clauses.push(format!("by {} with {}", self.by, self.with.name()));
        clauses.extend(self.id_clause());
        clauses.extend(self.for_clause());
        clauses.extend(self.tls_clause());
        let field = format!("Received: {};\r\n\t{}\r\n", clauses.join("\r\n\t"), self.date);
        out.extend_from_slice(field.as_bytes());
    }

    fn id_clause(&self) -> Option<String> {
        let id: String = self.id.chars().filter(|&c| c.is_ascii() && is_atext(c as u8)).collect();
        (!id.is_empty()).then(|| format!("id {id}"))
    }

    /// RFC 6531 §3.7.3: UTF-8, U-labels too, in trace fields of messages that came with SMTPUTF8, and of no others.
    fn for_clause(&self) -> Option<String> {
        let recipient = self.recipient?;
        match self.with.allows_utf8() {
            true => Some(format!("for <{}>", recipient.shown())),
            false => recipient.is_ascii().then(|| format!("for <{recipient}>")),
        }
    }

    /// RFC 8314 §4.3 `tls-cipher-name`: letters, digits and underscores.
    fn tls_clause(&self) -> Option<String> {
        let cipher = self.tls_cipher?;
        let is_name = cipher.starts_with(|c: char| c.is_ascii_alphabetic())
            && cipher.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'_');
        is_name.then(|| format!("tls {cipher}"))
    }
}

impl Client<'_> {
    /// `from hello (name [address])`. A hello that is no domain is shown as a comment, and the address stands for it.
    fn clause(&self) -> String {
        let literal = self.address.map(Domain::from);
        let host = match (Domain::parse(self.hello), &literal) {
            (Ok(hello), _) => hello.to_string(),
            (Err(_), Some(literal)) => literal.to_string(),
            (Err(_), None) => "unknown".to_owned(),
        };
        let seen = match (&literal, self.name) {
            (Some(literal), Some(name)) => format!(" ({name} {literal})"),
            (Some(literal), None) => format!(" ({literal})"),
            (None, _) => String::new(),
        };
        let said = match Domain::parse(self.hello) {
            Ok(_) => String::new(),
            Err(_) => comment(self.hello).map_or(String::new(), |hello| format!(" (said {hello})")),
        };
        format!("from {host}{seen}{said}")
    }
}

/// Unchecked text for a comment: printable ASCII without what has a meaning there.
fn comment(text: &str) -> Option<String> {
    let line = one_line(text.as_bytes(), HELLO_SHOWN_MAX, false);
    let safe: String = line.chars().map(|c| if matches!(c, '(' | ')' | '\\' | '"') { '?' } else { c }).collect();
    (!safe.is_empty()).then_some(safe)
}

/// Appends `Return-Path:` with the address for reports, or `<>` for mail that must cause none (RFC 5321 §4.4).
pub fn write_return_path(reverse_path: Option<&Address>, out: &mut Vec<u8>) {
    let path = reverse_path.map(Address::to_string).unwrap_or_default();
    out.extend_from_slice(format!("Return-Path: <{path}>\r\n").as_bytes());
}

/// Appends `Delivered-To:`, by which a forwarder knows a message it has seen before (RFC 9228 §4).
pub fn write_delivered_to(recipient: &Address, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("Delivered-To: {recipient}\r\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::{Fields, unfold};
    use proptest::prelude::*;

    fn address(text: &str) -> Address {
        Address::parse(text).expect("an address")
    }

    fn domain(text: &str) -> Domain {
        Domain::parse(text).expect("a domain")
    }

    const ESMTP: Protocol = Protocol { speech: Speech::Esmtp, tls: false, authenticated: false };

    fn written(client: Client<'_>, with: Protocol, recipient: Option<&Address>) -> String {
        let by = domain("hamburger.test");
        let tls_cipher = with.tls.then_some("TLS_AES_128_GCM_SHA256");
        let received = Received {
            from: Some(client),
            by: &by,
            with,
            id: "4XyZ-1",
            tls_cipher,
            recipient,
            date: Date::utc(1_795_428_000),
        };
        let mut out = Vec::new();
        received.write(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn received_says_from_by_with_id_for_and_when() {
        let name = domain("out.crepes.test");
        let client = Client { hello: "crepes.test", address: "192.0.2.1".parse().ok(), name: Some(&name) };
        assert_eq!(
            written(client, Protocol { tls: true, ..ESMTP }, Some(&address("bob@hamburger.test"))),
            "Received: from crepes.test (out.crepes.test [192.0.2.1])\r\n\
             \tby hamburger.test with ESMTPS\r\n\tid 4XyZ-1\r\n\tfor <bob@hamburger.test>\r\n\ttls TLS_AES_128_GCM_SHA256;\r\n\
             \tMon, 23 Nov 2026 10:00:00 +0000\r\n"
        );
    }

    #[test]
    fn a_client_that_says_rubbish_cannot_write_into_our_fields() {
        let client = |hello| Client { hello, address: "2001:db8::1".parse().ok(), name: None };
        let first = |hello| written(client(hello), ESMTP, None).lines().next().unwrap_or_default().to_owned();
        assert_eq!(first("[IPv6:2001:db8::1]"), "Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])");
        assert_eq!(
            first("my pc) by evil.test"),
            "Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1]) (said my pc? by evil.test)"
        );
        assert_eq!(first("a_b"), "Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1]) (said a_b)");
        assert_eq!(first(""), "Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])");
        assert_eq!(
            written(Client { hello: "x\r\n\r\nBcc: y", address: None, name: None }, ESMTP, None).lines().next(),
            Some("Received: from unknown (said x Bcc: y)")
        );
    }

    #[test]
    fn utf8_recipients_are_named_only_where_utf8_was_agreed() {
        let client = || Client { hello: "a.test", address: None, name: None };
        let recipient = address("用户@例え.test");
        assert!(!written(client(), ESMTP, Some(&recipient)).contains("for"));
        assert!(
            written(client(), Protocol { speech: Speech::Utf8Smtp, ..ESMTP }, Some(&recipient))
                .contains("for <用户@例え.test>")
        );
    }

    #[test]
    fn protocols_have_their_registered_words() {
        let name = |speech, tls, authenticated| Protocol { speech, tls, authenticated }.name();
        assert_eq!(name(Speech::Smtp, false, false), "SMTP");
        assert_eq!(name(Speech::Esmtp, false, true), "ESMTPA");
        assert_eq!(name(Speech::Esmtp, true, true), "ESMTPSA");
        assert_eq!(name(Speech::Utf8Smtp, true, false), "UTF8SMTPS");
        assert_eq!(name(Speech::Lmtp, false, false), "LMTP");
        assert_eq!(name(Speech::Utf8Lmtp, true, true), "UTF8LMTPSA");
    }

    #[test]
    fn the_return_path_may_be_null() {
        let mut out = Vec::new();
        write_return_path(Some(&address("\"a b\"@x.test")), &mut out);
        write_return_path(None, &mut out);
        write_delivered_to(&address("bob@x.test"), &mut out);
        assert_eq!(out, b"Return-Path: <\"a b\"@x.test>\r\nReturn-Path: <>\r\nDelivered-To: bob@x.test\r\n");
    }

    proptest! {
        #[test]
        fn whatever_a_client_says_it_is_one_field(hello in any::<String>(), id in any::<String>(), cipher in any::<String>()) {
            let by = domain("a.test");
            let from = Client { hello: &hello, address: None, name: None };
            let received = Received { from: Some(from), by: &by, with: ESMTP, id: &id, tls_cipher: Some(&cipher), recipient: None, date: Date::utc(0) };
            let mut out = Vec::new();
            received.write(&mut out);
            let fields: Vec<_> = Fields::new(&out).collect();
            prop_assert_eq!((fields.len(), fields[0].span.end), (1, out.len()));
            prop_assert!(out.is_ascii());
            let value = unfold(fields[0].raw).into_owned();
            let date = value.rsplit(|&octet| octet == b';').next().expect("a date");
            prop_assert_eq!(Date::parse(date), Some(Date::utc(0)));
        }
    }
}
