//! IMAP URLs: messages and parts of them, as one command of a client names them to the server that has them.
//!
//! RFC 5092 §7.1 (references with an absolute path, which CATENATE takes), §11 (grammar); RFC 4469 §3 (which of them are meant by
//! CATENATE); RFC 4467 §3 (URLs that carry the right to read what they name), §6 (what their tokens are made of).
//!
//! Invariants: what was read names one message; what a token is made of is the text as it came, octet for octet.
//! Not here: whether there is such a message, whose token it is (house).

use crate::fetch::{Item, Partial, Section};
use crate::moment::Moment;
use crate::name::MailboxName;
use crate::words::{Misread, Reading, Scanner, nonzero, number64};
use line::Secret;

/// No URL that grants access is longer, in octets: the name of a mailbox with each octet encoded, and a section.
pub const URL_MAX: usize = 8 * 1024;

/// The one mechanism by which URLs are authorized (RFC 4467 §2.4.1).
pub const INTERNAL: &str = "INTERNAL";

/// RFC 4467 §2.5: a token has 128 bits at least. Ours have fewer than this, in octets.
const TOKEN_MAX: usize = 128;

/// A message, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageUrl {
    /// In which mailbox.
    pub mailbox: MailboxName,
    /// Which UIDVALIDITY that must have; any, if it is not said.
    pub uidvalidity: Option<u32>,
    /// Which message.
    pub uid: u32,
    /// Which octets of it.
    pub section: Section,
}

impl MessageUrl {
    /// Reads `/mailbox[;UIDVALIDITY=n]/;UID=n[/;SECTION=text][/;PARTIAL=from[.length]]`. The host and the user are those of
    /// the session.
    pub fn parse(url: &str) -> Option<Self> {
        let path = url.strip_prefix('/').filter(|path| !path.starts_with('/'))?;
        let (mailbox, rest) = path.split_at(path.find(';')?);
        let (mailbox, uidvalidity, rest) = match mailbox.strip_suffix('/') {
            Some(mailbox) => (mailbox, None, rest),
            None => {
                let (number, rest) = strip(rest, ";UIDVALIDITY=")?.split_once('/')?;
                (mailbox, Some(nonzero(number.as_bytes())?), rest)
            }
        };
        let mut steps = strip(rest, ";UID=")?.split("/;");
        let uid = nonzero(steps.next()?.as_bytes())?;
        let mut step = steps.next();
        let text = step.and_then(|step| strip(step, "SECTION="));
        if text.is_some() {
            step = steps.next();
        }
        let partial = match step {
            Some(step) => Some(partial(strip(step, "PARTIAL=")?)?),
            None => None,
        };
        if steps.next().is_some() {
            return None;
        }
        let mut section = section(&decode(text.unwrap_or_default())?)?;
        section.partial = partial;
        Some(MessageUrl { mailbox: MailboxName::new(&decode(mailbox)?)?, uidvalidity, uid, section })
    }
}

/// A URL that grants access to a message, or a part of one, to whom it names.
#[derive(Debug, Clone, PartialEq)]
pub struct AuthorizedUrl {
    /// What its token is made of: all until `;URLAUTH=` and who may use it.
    pub rump: String,
    /// Whose mailbox it is, and by whose rights and key it is read.
    pub owner: String,
    /// Which message, in his terms.
    pub message: MessageUrl,
    /// Until when, in Unix seconds.
    pub expires: Option<i64>,
    /// Who may use it.
    pub access: Access,
    /// What shows that he wished it. None before it is authorized.
    pub token: Option<Secret>,
}

/// Who may use a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Who is logged in, as whoever it is.
    Anonymous,
    /// Who is logged in with an account.
    Account,
    /// This one.
    User(String),
    /// Who submits messages for this one.
    Submitter(String),
}

impl AuthorizedUrl {
    /// Reads `imap://user@host/mailbox…[;EXPIRE=time];URLAUTH=access`: what GENURLAUTH is given.
    ///
    /// # Errors
    /// [`Misread`] says what is wrong.
    pub fn parse_rump(url: &str) -> Reading<Self> {
        if url.len() > URL_MAX {
            return Err(Misread("the URL is too long"));
        }
        let beginning = ";URLAUTH=";
        let at = url.to_ascii_uppercase().rfind(beginning).ok_or(Misread("the URL has no access identifier"))?;
        let access = Access::parse(&url[at + beginning.len()..]).ok_or(Misread("no such access identifier"))?;
        let (place, expires) = expiry(&url[..at])?;
        let server = strip(place, "imap://").ok_or(Misread("a URL begins with imap://"))?;
        let (server, path) = server.split_at(server.find('/').ok_or(Misread("the URL names no message"))?);
        let (owner, host) = server.split_once('@').ok_or(Misread("the URL has no owner"))?;
        if !is_host(host) {
            return Err(Misread("the URL has no server"));
        }
        let owner = owner.split_once(';').map_or(owner, |(owner, _)| owner);
        let owner = decode_user(owner).ok_or(Misread("the URL has no owner"))?;
        let message = MessageUrl::parse(path).ok_or(Misread("the URL names no message"))?;
        Ok(AuthorizedUrl { rump: url.to_owned(), owner, message, expires, access, token: None })
    }

    /// Reads the same with `:INTERNAL:token` behind it: what URLFETCH is given. `None` if it is not one of ours.
    pub fn parse(url: &[u8]) -> Option<Self> {
        let url = std::str::from_utf8(url).ok()?;
        let (rest, token) = url.rsplit_once(':')?;
        let (rump, mechanism) = rest.rsplit_once(':')?;
        let token = unhex(token).filter(|_| mechanism.eq_ignore_ascii_case(INTERNAL))?;
        let url = AuthorizedUrl::parse_rump(rump).ok()?;
        Some(AuthorizedUrl { token: Some(Secret::new(token)), ..url })
    }
}

impl Access {
    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "anonymous" => return Some(Access::Anonymous),
            "authuser" => return Some(Access::Account),
            _ => {}
        }
        let user = strip(text, "user+").map(|user| decode_user(user).map(Access::User));
        user.or_else(|| strip(text, "submit+").map(|user| decode_user(user).map(Access::Submitter)))?
    }
}

/// What stands before `;EXPIRE=`, and what behind it.
fn expiry(place: &str) -> Reading<(&str, Option<i64>)> {
    let beginning = ";EXPIRE=";
    let Some(at) = place.to_ascii_uppercase().rfind(beginning) else { return Ok((place, None)) };
    let moment = Moment::parse_internet(&place.as_bytes()[at + beginning.len()..]);
    let moment = moment.ok_or(Misread("the time at which a URL expires is like 2006-01-31T12:00:00Z"))?;
    Ok((&place[..at], Some(moment.unix_secs)))
}

/// A name, a number in brackets, and perhaps a port. Which of our names it is does not matter: whoever came here has read it so.
fn is_host(host: &str) -> bool {
    let legal = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~%[]:".contains(&octet);
    !host.is_empty() && host.bytes().all(legal)
}

/// RFC 5092 §11 `enc-user`: no octet in it ends a name.
fn decode_user(text: &str) -> Option<String> {
    let plain = !text.bytes().any(|octet| matches!(octet, b':' | b'@' | b'/'));
    decode(text).filter(|user| plain && !user.is_empty())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let fits = rest.is_empty() && (16..=TOKEN_MAX).contains(&pairs.len());
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect::<Option<_>>().filter(|_| fits)
}

/// What is behind this beginning, in any case.
fn strip<'a>(text: &'a str, beginning: &str) -> Option<&'a str> {
    let (front, rest) = text.split_at_checked(beginning.len())?;
    front.eq_ignore_ascii_case(beginning).then_some(rest)
}

/// As in the brackets of BODY.PEEK.
fn section(text: &str) -> Option<Section> {
    let item = format!("BODY.PEEK[{text}]");
    let mut scanner = Scanner::new(item.as_bytes(), true);
    match Item::scan_all(&mut scanner).ok()?.pop()? {
        Item::Section(section) if section.partial.is_none() && scanner.is_at_end() => Some(section),
        _ => None,
    }
}

fn partial(text: &str) -> Option<Partial> {
    let (from, length) = text.split_once('.').map_or((text, None), |(from, length)| (from, Some(length)));
    let length = match length {
        Some(length) => number64(length.as_bytes()).filter(|length| *length > 0)?,
        None => u64::MAX,
    };
    Some(Partial { from: number64(from.as_bytes())?, length })
}

/// RFC 5092 §11 `bchar`: what may stand unencoded in a name or a section.
fn is_plain(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-._~!$'()*+,&=:@/".contains(&octet)
}

fn decode(text: &str) -> Option<String> {
    let legal = text.bytes().all(|octet| octet == b'%' || is_plain(octet));
    String::from_utf8(line::percent_decoded(text).filter(|_| legal)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::SectionText;

    #[test]
    fn urls_of_the_rfcs() {
        let read = |url: &str| MessageUrl::parse(url).expect(url);
        let url = read("/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER");
        assert_eq!((url.mailbox.as_str(), url.uidvalidity, url.uid), ("Drafts", Some(385_759_045), 20));
        assert_eq!(url.section.text, SectionText::Header);
        let url = read("/Drafts;UIDVALIDITY=385759045/;UID=20/;Section=2.MIME");
        assert_eq!((&url.section.part[..], url.section.text), (&[2][..], SectionText::Mime));
        let url = read("/inbox/;uid=30");
        assert!(url.mailbox.is_inbox() && url.uidvalidity.is_none() && url.section.part.is_empty());
        let url = read("/~peter/%E6%97%A5%E6%9C%AC%E8%AA%9E/;UID=7/;SECTION=HEADER.FIELDS%20(To%20Cc)/;PARTIAL=0.1024");
        assert_eq!(url.mailbox.as_str(), "~peter/日本語");
        assert!(matches!(url.section.text, SectionText::Fields(_)));
        assert_eq!(url.section.partial, Some(Partial { from: 0, length: 1024 }));
        assert_eq!(read("/a/;UID=1/;PARTIAL=7").section.partial, Some(Partial { from: 7, length: u64::MAX }));
    }

    const RUMP: &str =
        "imap://joe%40a.test;AUTH=*@example.com:143/INBOX;UIDVALIDITY=7/;uid=20/;section=1.2/;partial=0.9";

    #[test]
    fn urls_that_grant_access() {
        let read = |end: &str| AuthorizedUrl::parse_rump(&format!("{RUMP}{end}")).expect(end);
        let url = read(";expire=2006-02-28T12:30:00.5+01:00;urlauth=submit+fr%20ed");
        assert_eq!((url.owner.as_str(), url.access), ("joe@a.test", Access::Submitter("fr ed".into())));
        assert_eq!((url.message.uid, url.expires), (20, Some(1_141_126_200)));
        assert_eq!(url.message.section.partial, Some(Partial { from: 0, length: 9 }));
        assert_eq!(read(";URLAUTH=AuthUser").access, Access::Account);
        assert_eq!(read(";URLAUTH=anonymous").access, Access::Anonymous);
        assert_eq!(read(";URLAUTH=user+bob").access, Access::User("bob".into()));
        let token = "91354A473744909de610943775f92038";
        let full = format!("{RUMP};urlauth=user+bob:internal:{token}");
        let url = AuthorizedUrl::parse(full.as_bytes()).expect("a URL");
        assert_eq!(url.rump, format!("{RUMP};urlauth=user+bob"));
        assert_eq!(url.token.expect("a token").reveal()[..3], [0x91, 0x35, 0x4a]);
    }

    #[test]
    fn urls_that_grant_nothing() {
        for end in [
            "",
            ";urlauth=",
            ";urlauth=nobody",
            ";urlauth=user+",
            ";urlauth=user+a:b",
            ";urlauth=user+a%FF",
            ";expire=2006-02-30T12:30:00Z;urlauth=anonymous",
            ";expire=2006-02-28;urlauth=anonymous",
            ";expire=;urlauth=anonymous",
            ";urlauth=anonymous;expire=2006-02-28T12:30:00Z",
        ] {
            assert!(AuthorizedUrl::parse_rump(&format!("{RUMP}{end}")).is_err(), "{end}");
        }
        for url in [
            "imap://example.com/INBOX/;uid=20;urlauth=anonymous",
            "imap://@example.com/INBOX/;uid=20;urlauth=anonymous",
            "imap://joe@/INBOX/;uid=20;urlauth=anonymous",
            "imap://joe@example.com/INBOX;urlauth=anonymous",
            "imap://joe@example.com/INBOX?TEXT%20x;urlauth=anonymous",
            "imap://joe@example.com/;urlauth=anonymous",
            "imap://joe@example.com;urlauth=anonymous",
            "http://joe@example.com/INBOX/;uid=20;urlauth=anonymous",
            "/INBOX/;uid=20;urlauth=anonymous",
        ] {
            assert!(AuthorizedUrl::parse_rump(url).is_err(), "{url}");
        }
        let long = format!("imap://joe@example.com/{}/;uid=20;urlauth=anonymous", "a".repeat(URL_MAX));
        assert!(AuthorizedUrl::parse_rump(&long).is_err());
        for end in [
            "internal",
            "internal:",
            "internal:91354a473744909de610943775f9203",
            "internal:zz354a473744909de610943775f92038",
            "other:91354a473744909de610943775f92038",
            &format!("internal:{}", "00".repeat(TOKEN_MAX + 1)),
        ] {
            assert_eq!(AuthorizedUrl::parse(format!("{RUMP};urlauth=anonymous:{end}").as_bytes()), None, "{end}");
        }
        assert_eq!(AuthorizedUrl::parse(b"\xff:internal:91354a473744909de610943775f92038"), None);
    }

    #[test]
    fn what_names_no_message() {
        for url in [
            "",
            "/",
            "/INBOX",
            "INBOX/;UID=1",
            ";UID=1",
            "imap://joe@example.org/INBOX/;UID=1",
            "//example.org/INBOX/;UID=1",
            "/INBOX;UIDVALIDITY=0/;UID=1",
            "/INBOX;UIDVALIDITY=1;UID=1",
            "/INBOX/;UID=0",
            "/INBOX/;UID=1/",
            "/INBOX/;UID=1;URLAUTH=anonymous",
            "/INBOX/;UID=1/;SECTION=FOO",
            "/INBOX/;UID=1/;SECTION=1]<0.1>%20BODY[",
            "/INBOX/;UID=1/;SECTION=1%5D%20BODY%5B",
            "/INBOX/;UID=1/;PARTIAL=1.0",
            "/INBOX/;UID=1/;PARTIAL=1/;SECTION=1",
            "/IN%BOX/;UID=1",
            "/IN%FFBOX/;UID=1",
            "//;UID=1",
            "/INBOX?SUBJECT%20x",
        ] {
            assert_eq!(MessageUrl::parse(url), None, "{url}");
        }
    }
}
