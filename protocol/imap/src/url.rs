//! IMAP URLs: messages and parts of them, as one command of a client names them to the server that has them.
//!
//! RFC 5092 §7.1 (references with an absolute path: the only ones that are taken), §11 (grammar); RFC 4469 §3 (which of them are
//! meant by CATENATE).
//!
//! Invariants: what was read names one message.
//! Not here: whether there is such a message (house).

use crate::fetch::{Item, Partial, Section};
use crate::name::MailboxName;
use crate::words::{Scanner, nonzero, number64};

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
