//! Parameters of MAIL and RCPT: `KEYWORD=value`, what they may be, and how they are written.
//!
//! RFC 5321 §4.1.2 (grammar), RFC 1870 §6 (SIZE), RFC 6152 §2 (BODY), RFC 6531 §3.4 (SMTPUTF8),
//! RFC 4954 §5 (AUTH), RFC 3461 §4 (NOTIFY, ORCPT, RET, ENVID, xtext), RFC 6533 §3 (ORCPT with UTF-8).
//!
//! Invariants: a keyword stands once; values are checked and decoded.
//! Not here: which of them the server has advertised (server), whether the next one takes them (client).

use crate::path::Mailbox;
use std::fmt;

/// RFC 3461 §5.4: at most 100 characters before they are encoded.
pub const ENVID_MAX_BYTES: usize = 100;
/// RFC 3461 §5.4: at most 500 characters.
pub const ORCPT_MAX_BYTES: usize = 500;
/// RFC 1870 §6: at most 20 digits.
const SIZE_MAX_DIGITS: usize = 20;

/// What MAIL says besides the sender.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MailParams {
    /// How large the message will be, in octets, as the sender believes.
    pub size: Option<u64>,
    /// What the octets of its body are.
    pub body: Option<Body>,
    /// Whether addresses or header fields are UTF-8.
    pub smtputf8: bool,
    /// Who submitted the message.
    pub auth: Option<Submitter>,
    /// How much of the message a report shall bring back.
    pub ret: Option<Ret>,
    /// The sender's own name for this mail, decoded.
    pub envid: Option<String>,
}

/// What RCPT says besides the recipient.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RcptParams {
    /// When to report.
    pub notify: Option<Notify>,
    /// The address that the sender wrote to at first.
    pub orcpt: Option<OriginalRecipient>,
}

/// BODY=
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// `7BIT`
    SevenBit,
    /// `8BITMIME`
    EightBitMime,
}

/// AUTH= on MAIL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitter {
    /// `<>`: not known, or not trusted.
    Unknown,
    /// Someone whom the sending server has authenticated.
    Mailbox(Mailbox),
}

/// RET=
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ret {
    /// The whole message.
    Full,
    /// Its header section.
    Headers,
}

/// NOTIFY=
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notify {
    /// No report at all.
    Never,
    /// A report in each of these cases; at least one is set.
    On {
        /// It was delivered.
        success: bool,
        /// It cannot be delivered.
        failure: bool,
        /// It takes longer.
        delay: bool,
    },
}

/// ORCPT=
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginalRecipient {
    /// `rfc822`, `utf-8`, or another registered type.
    pub kind: String,
    /// The address, decoded from xtext.
    pub address: String,
}

/// Why a parameter is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamError {
    /// We do not know this keyword.
    Unknown,
    /// We know it, but not with this value, or it stands twice.
    Bad,
}

impl MailParams {
    /// Reads what stands behind the path.
    ///
    /// # Errors
    /// Says what is wrong with the first bad one.
    pub fn parse(text: &str) -> Result<Self, ParamError> {
        let mut params = MailParams::default();
        for (keyword, value) in words(text) {
            params.take(keyword, value)?;
        }
        Ok(params)
    }

    fn take(&mut self, keyword: &str, value: Option<&str>) -> Result<(), ParamError> {
        match keyword.to_ascii_uppercase().as_str() {
            "SIZE" => once(&mut self.size, value.and_then(size)),
            "BODY" => once(&mut self.body, value.and_then(body)),
            "AUTH" => once(&mut self.auth, value.and_then(submitter)),
            "RET" => once(&mut self.ret, value.and_then(ret)),
            "ENVID" => once(&mut self.envid, value.and_then(|text| xtext(text, ENVID_MAX_BYTES))),
            // RFC 6531 §3.4: it must not have a value.
            "SMTPUTF8" if value.is_some() || self.smtputf8 => Err(ParamError::Bad),
            "SMTPUTF8" => {
                self.smtputf8 = true;
                Ok(())
            }
            _ => Err(ParamError::Unknown),
        }
    }
}

impl RcptParams {
    /// Reads what stands behind the path.
    ///
    /// # Errors
    /// Says what is wrong with the first bad one.
    pub fn parse(text: &str) -> Result<Self, ParamError> {
        let mut params = RcptParams::default();
        for (keyword, value) in words(text) {
            match keyword.to_ascii_uppercase().as_str() {
                "NOTIFY" => once(&mut params.notify, value.and_then(notify))?,
                "ORCPT" => once(&mut params.orcpt, value.and_then(original_recipient))?,
                _ => return Err(ParamError::Unknown),
            }
        }
        Ok(params)
    }
}

impl fmt::Display for MailParams {
    /// Each with a blank before it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(size) = self.size {
            write!(f, " SIZE={size}")?;
        }
        match self.body {
            Some(Body::SevenBit) => f.write_str(" BODY=7BIT")?,
            Some(Body::EightBitMime) => f.write_str(" BODY=8BITMIME")?,
            None => {}
        }
        if self.smtputf8 {
            f.write_str(" SMTPUTF8")?;
        }
        match &self.auth {
            Some(Submitter::Unknown) => f.write_str(" AUTH=<>")?,
            Some(Submitter::Mailbox(mailbox)) => write!(f, " AUTH={}", Xtext(&mailbox.to_string()))?,
            None => {}
        }
        match self.ret {
            Some(Ret::Full) => f.write_str(" RET=FULL")?,
            Some(Ret::Headers) => f.write_str(" RET=HDRS")?,
            None => {}
        }
        match &self.envid {
            Some(envid) => write!(f, " ENVID={}", Xtext(envid)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for RcptParams {
    /// Each with a blank before it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.notify {
            Some(Notify::Never) => f.write_str(" NOTIFY=NEVER")?,
            Some(Notify::On { success, failure, delay }) => {
                let named = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")];
                let cases: Vec<&str> = named.iter().filter(|case| case.0).map(|case| case.1).collect();
                write!(f, " NOTIFY={}", cases.join(","))?;
            }
            None => {}
        }
        match &self.orcpt {
            Some(orcpt) => write!(f, " ORCPT={};{}", orcpt.kind, Xtext(&orcpt.address)),
            None => Ok(()),
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    text.split([' ', '\t']).filter(|word| !word.is_empty()).map(|word| match word.split_once('=') {
        Some((keyword, value)) => (keyword, Some(value)),
        None => (word, None),
    })
}

fn once<T>(place: &mut Option<T>, value: Option<T>) -> Result<(), ParamError> {
    match (place.is_some(), value) {
        (false, Some(value)) => {
            *place = Some(value);
            Ok(())
        }
        _ => Err(ParamError::Bad),
    }
}

fn size(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.len() <= SIZE_MAX_DIGITS && text.bytes().all(|octet| octet.is_ascii_digit());
    // 20 digits may say more than 64 bits hold: too large for anybody, and refused as such.
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

fn body(text: &str) -> Option<Body> {
    match text.to_ascii_uppercase().as_str() {
        "7BIT" => Some(Body::SevenBit),
        "8BITMIME" => Some(Body::EightBitMime),
        _ => None,
    }
}

fn submitter(text: &str) -> Option<Submitter> {
    match text {
        "<>" => Some(Submitter::Unknown),
        // 500 octets: RFC 4954 §3.
        _ => Mailbox::parse(&xtext(text, 500)?).ok().map(Submitter::Mailbox),
    }
}

fn ret(text: &str) -> Option<Ret> {
    match text.to_ascii_uppercase().as_str() {
        "FULL" => Some(Ret::Full),
        "HDRS" => Some(Ret::Headers),
        _ => None,
    }
}

fn notify(text: &str) -> Option<Notify> {
    if text.eq_ignore_ascii_case("NEVER") {
        return Some(Notify::Never);
    }
    let (mut success, mut failure, mut delay) = (false, false, false);
    for case in text.split(',') {
        let case = match case.to_ascii_uppercase().as_str() {
            "SUCCESS" => &mut success,
            "FAILURE" => &mut failure,
            "DELAY" => &mut delay,
            _ => return None,
        };
        *case = true;
    }
    Some(Notify::On { success, failure, delay })
}

fn original_recipient(text: &str) -> Option<OriginalRecipient> {
    let (kind, address) = text.split_once(';')?;
    let is_atom = !kind.is_empty() && kind.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let address = xtext(address, ORCPT_MAX_BYTES)?;
    is_atom.then(|| OriginalRecipient { kind: kind.into(), address })
}

/// Decodes `+XX` (RFC 3461 §4); what comes out must be printable.
fn xtext(text: &str, max_len: usize) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        decoded.push(match octet {
            b'+' => hex(octets.next()?)? << 4 | hex(octets.next()?)?,
            octet => octet,
        });
    }
    let decoded = String::from_utf8(decoded).ok()?;
    let fits = !decoded.is_empty() && decoded.len() <= max_len && !decoded.chars().any(char::is_control);
    fits.then_some(decoded)
}

/// RFC 3461 §4 wants capitals; we read small letters too.
fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Text as xtext. UTF-8 stays as it is: RFC 6533 §3 allows it where SMTPUTF8 does.
struct Xtext<'a>(&'a str);

impl fmt::Display for Xtext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '+' | '=' => write!(f, "+{:02X}", c as u32)?,
                _ if c.is_ascii_graphic() || !c.is_ascii() && !c.is_whitespace() => write!(f, "{c}")?,
                _ => {
                    let mut octets = [0; 4];
                    for octet in c.encode_utf8(&mut octets).bytes() {
                        write!(f, "+{octet:02X}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::path::tests::mailboxes;
    use proptest::option::of;
    use proptest::prelude::*;

    #[test]
    fn the_parameters_of_mail() {
        let params =
            MailParams::parse(" size=1000 Body=8bitMIME SMTPUTF8 AUTH=e+3Dmc2@example.com RET=hdrs ENVID=a+2Bb");
        let params = params.expect("all good");
        assert_eq!((params.size, params.body, params.smtputf8), (Some(1000), Some(Body::EightBitMime), true));
        assert_eq!(params.auth, Some(Submitter::Mailbox(Mailbox::parse("e=mc2@example.com").unwrap())));
        assert_eq!((params.ret, params.envid.as_deref()), (Some(Ret::Headers), Some("a+b")));
        assert_eq!(MailParams::parse("SIZE=99999999999999999999").map(|params| params.size), Ok(Some(u64::MAX)));
    }

    #[test]
    fn the_parameters_of_rcpt() {
        let params = RcptParams::parse("NOTIFY=SUCCESS,delay ORCPT=rfc822;Bob+2Bx@Example.COM").expect("all good");
        assert_eq!(params.notify, Some(Notify::On { success: true, failure: false, delay: true }));
        assert_eq!(params.orcpt.expect("one").address, "Bob+x@Example.COM");
    }

    #[test]
    fn bad_and_unknown_parameters() {
        for text in [
            "SIZE=",
            "SIZE=-1",
            "SIZE",
            "BODY=9BIT",
            "BODY=BINARYMIME",
            "SMTPUTF8=yes",
            "SIZE=1 SIZE=1",
            "RET=HALF",
            "AUTH=x",
        ] {
            assert_eq!(MailParams::parse(text), Err(ParamError::Bad), "{text}");
        }
        for text in ["NOTIFY=NEVER,DELAY", "NOTIFY=", "ORCPT=joe@x.test", "ORCPT=rfc822;+0Dx", "ORCPT=rfc822;+X1"] {
            assert_eq!(RcptParams::parse(text), Err(ParamError::Bad), "{text}");
        }
        assert_eq!(MailParams::parse("COLOUR=blue"), Err(ParamError::Unknown));
        assert_eq!(RcptParams::parse("SIZE=1"), Err(ParamError::Unknown));
        let long = format!("ENVID={}", "a".repeat(ENVID_MAX_BYTES + 1));
        assert_eq!(MailParams::parse(&long), Err(ParamError::Bad));
    }

    pub(crate) fn mail_params() -> impl Strategy<Value = MailParams> {
        let body = proptest::sample::select(vec![Body::SevenBit, Body::EightBitMime]);
        let auth = prop_oneof![Just(Submitter::Unknown), mailboxes().prop_map(Submitter::Mailbox)];
        let ret = prop_oneof![Just(Ret::Full), Just(Ret::Headers)];
        let envid = "[ -~]{1,100}";
        (of(any::<u64>()), of(body), any::<bool>(), of(auth), of(ret), of(envid))
            .prop_map(|(size, body, smtputf8, auth, ret, envid)| MailParams { size, body, smtputf8, auth, ret, envid })
    }

    pub(crate) fn rcpt_params() -> impl Strategy<Value = RcptParams> {
        let on = (any::<bool>(), any::<bool>(), any::<bool>())
            .prop_filter_map("at least one", |(success, failure, delay)| {
                (success || failure || delay).then_some(Notify::On { success, failure, delay })
            });
        let notify = prop_oneof![Just(Notify::Never), on];
        let orcpt = ("[a-z][a-z0-9-]{0,8}", prop_oneof!["[ -~]{1,100}", "\\PC{1,9}"])
            .prop_map(|(kind, address)| OriginalRecipient { kind, address });
        (of(notify), of(orcpt)).prop_map(|(notify, orcpt)| RcptParams { notify, orcpt })
    }

    proptest! {
        #[test]
        fn parse_after_write_is_identity(mail in mail_params(), rcpt in rcpt_params()) {
            prop_assert_eq!(MailParams::parse(&mail.to_string()), Ok(mail));
            prop_assert_eq!(RcptParams::parse(&rcpt.to_string()), Ok(rcpt));
        }
    }
}
