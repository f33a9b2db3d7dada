//! Reads the part of a report that is for programs.
//!
//! RFC 3464 §2 (message/delivery-status), RFC 6533 §3–4 (UTF-8 addresses and their 7-bit form).
//!
//! Invariants: never fails; what is missing or wrong is absent. At most [`RECIPIENTS_MAX`] recipients are read.
//! Not here: writing it (the parent), what follows from it (courier, suppressions). Reports can be forged.

use super::Status;
use crate::address::{Address, parse_address_list};
use crate::date::Date;
use crate::header::{Field, Fields, Kind, kind_of};
use crate::mime::{Content, Tree};
use crate::syntax::line_end;

/// How many recipients of one report are read. Ours tell of no more than a message had.
pub const RECIPIENTS_MAX: usize = 1_000;

/// What a delivery-status part says of the message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeliveryStatus {
    /// The ENVID of the original transaction.
    pub envelope_id: Option<String>,
    /// Who tried to deliver.
    pub reporting_mta: Option<Typed>,
    /// When the message arrived there.
    pub arrival: Option<Date>,
    /// What became of it for each recipient.
    pub recipients: Vec<RecipientReport>,
}

/// What it says of one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecipientReport {
    /// The recipient as the sender wrote it.
    pub original: Option<Typed>,
    /// The recipient as the reporting system knew it.
    pub final_recipient: Option<Typed>,
    /// What was done.
    pub action: Option<Action>,
    /// Why, as a code.
    pub status: Option<Status>,
    /// Who said so.
    pub remote_mta: Option<Typed>,
    /// Why, in words.
    pub diagnostic: Option<Typed>,
    /// When it was last tried.
    pub last_attempt: Option<Date>,
    /// When it will be given up.
    pub will_retry_until: Option<Date>,
}

/// A value with its type: `rfc822; joe@example.org`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typed {
    /// In lower case.
    pub kind: String,
    /// As it was, without blanks at its ends.
    pub text: String,
}

/// RFC 3464 §2.3.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Given up.
    Failed,
    /// Not yet.
    Delayed,
    /// In the mailbox.
    Delivered,
    /// With a system that reports no successes.
    Relayed,
    /// With several others.
    Expanded,
}

const ACTIONS: [(&str, Action); 5] = [
    ("failed", Action::Failed),
    ("delayed", Action::Delayed),
    ("delivered", Action::Delivered),
    ("relayed", Action::Relayed),
    ("expanded", Action::Expanded),
];

impl Action {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Action::Failed => "failed",
            Action::Delayed => "delayed",
            Action::Delivered => "delivered",
            Action::Relayed => "relayed",
            Action::Expanded => "expanded",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let word = text.split([' ', '\t', '(', ';']).next()?;
        ACTIONS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, action)| *action)
    }
}

impl Typed {
    fn parse(text: &str) -> Option<Self> {
        let (kind, text) = text.split_once(';')?;
        Some(Typed { kind: kind.trim().to_ascii_lowercase(), text: text.trim().to_owned() })
    }

    /// The address, if it is one of the Internet's.
    pub fn address(&self) -> Option<Address> {
        let text = match self.kind.as_str() {
            "rfc822" => self.text.clone(),
            "utf-8" => undo_unitext(&self.text),
            _ => return None,
        };
        // Some put it between angle brackets.
        parse_address_list(text.as_bytes()).mailboxes().next()?.address()
    }
}

impl DeliveryStatus {
    /// Finds and reads the part in a whole message: the second of a multipart/report.
    pub fn find(message: &[u8]) -> Option<Self> {
        let tree = Tree::parse(message);
        let reports = tree.parts.iter().filter(|part| part.content_type.is("multipart", "report"));
        let children = reports.filter_map(|part| match &part.content {
            Content::Multipart(children) => Some(children),
            _ => None,
        });
        let parts = children.flatten().map(|&child| &tree.parts[child]);
        let is_status = |subtype: &str| matches!(subtype, "delivery-status" | "global-delivery-status");
        let mut found =
            parts.filter(|part| part.content_type.kind == "message" && is_status(&part.content_type.subtype));
        found.next().map(|part| DeliveryStatus::parse(&part.decoded(message)))
    }

    /// Reads the body of the part.
    pub fn parse(body: &[u8]) -> Self {
        let mut status = DeliveryStatus::default();
        for group in groups(body) {
            let mut recipient = RecipientReport::default();
            Fields::new(group).for_each(|field| status.note(&field, &mut recipient));
            if recipient != RecipientReport::default() && status.recipients.len() < RECIPIENTS_MAX {
                status.recipients.push(recipient);
            }
        }
        status
    }

    /// Fields count for what their names say, whichever group they stand in: blank lines go missing, and get too many.
    fn note(&mut self, field: &Field<'_>, recipient: &mut RecipientReport) {
        let text = String::from_utf8_lossy(&field.unfolded()).into_owned();
        let typed = || Typed::parse(&text);
        let date = || Date::parse(text.as_bytes());
        match field.name.to_ascii_lowercase().as_slice() {
            b"original-envelope-id" => self.envelope_id = Some(text),
            b"reporting-mta" => self.reporting_mta = typed(),
            b"arrival-date" => self.arrival = date(),
            b"original-recipient" => recipient.original = typed(),
            b"final-recipient" => recipient.final_recipient = typed(),
            b"action" => recipient.action = Action::parse(&text),
            b"status" => recipient.status = Status::parse(&text),
            b"remote-mta" => recipient.remote_mta = typed(),
            b"diagnostic-code" => recipient.diagnostic = typed(),
            b"last-attempt-date" => recipient.last_attempt = date(),
            b"will-retry-until" => recipient.will_retry_until = date(),
            _ => {}
        }
    }
}

/// The stretches between blank lines.
fn groups(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        while at < body.len() {
            let line = at..line_end(body, at);
            at = line.end;
            if kind_of(&body[line.clone()]) == Kind::Blank {
                return Some(&body[start..line.start]);
            }
        }
        (start < at).then(|| &body[start..at])
    })
}

/// RFC 6533 §3: puts the characters in that `\x{…}` stands for. What is none stays.
pub(super) fn undo_unitext(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("\\x{") {
        let (before, escape) = rest.split_at(at);
        plain.push_str(before);
        let end =
            escape.bytes().skip(3).take(7).position(|octet| octet == b'}').filter(|digits| (2..=6).contains(digits));
        let c = end.and_then(|digits| {
            let point = u32::from_str_radix(&escape[3..3 + digits], 16).ok()?;
            Some((char::from_u32(point)?, &escape[3 + digits + 1..]))
        });
        match c.filter(|(c, _)| !c.is_control()) {
            Some((c, behind)) => {
                plain.push(c);
                rest = behind;
            }
            None => {
                plain.push_str("\\x{");
                rest = &escape[3..];
            }
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_rfc_3464() {
        // RFC 3464 appendix E.2, multi-recipient.
        let body = "Reporting-MTA: dns; cs.utk.edu\r\n\r\n\
            Original-Recipient: rfc822;arathib@vnet.ibm.com\r\nFinal-Recipient: rfc822;arathib@vnet.ibm.com\r\nAction: failed\r\n\
            Status: 5.0.0 (permanent failure)\r\nDiagnostic-Code: smtp;\r\n 550 'arathib@vnet.IBM.COM' is not a\r\n registered gateway user\r\nRemote-MTA: dns; vnet.ibm.com\r\n\r\n\
            Original-Recipient: rfc822;johnh@hpnjld.njd.hp.com\r\nFinal-Recipient: rfc822;johnh@hpnjld.njd.hp.com\r\nAction: delayed\r\n\
            Status: 4.0.0 (hpnjld.njd.jp.com: host name lookup failure)\r\n\r\n\
            Original-Recipient: rfc822;wsnell@sdcc13.ucsd.edu\r\nFinal-Recipient: rfc822;wsnell@sdcc13.ucsd.edu\r\nAction: failed\r\nStatus: 5.0.0\r\n\
            Diagnostic-Code: smtp; 550 user unknown\r\nRemote-MTA: dns; sdcc13.ucsd.edu\r\n";
        let read = DeliveryStatus::parse(body.as_bytes());
        assert_eq!(
            read.reporting_mta.as_ref().map(|mta| (mta.kind.as_str(), mta.text.as_str())),
            Some(("dns", "cs.utk.edu"))
        );
        let actions: Vec<_> = read.recipients.iter().map(|recipient| (recipient.action, recipient.status)).collect();
        let (failed, delayed) =
            ((Some(Action::Failed), Some(Status::new(5, 0, 0))), (Some(Action::Delayed), Some(Status::new(4, 0, 0))));
        assert_eq!(actions, [failed, delayed, failed]);
        let first = &read.recipients[0];
        assert_eq!(
            first.diagnostic.as_ref().map(|said| said.text.as_str()),
            Some("550 'arathib@vnet.IBM.COM' is not a registered gateway user")
        );
        assert_eq!(
            first.final_recipient.as_ref().and_then(Typed::address).map(|address| address.to_string()).as_deref(),
            Some("arathib@vnet.ibm.com")
        );
    }

    #[test]
    fn blank_lines_may_be_missing_or_too_many() {
        let body = "\nReporting-MTA: dns; a\nFinal-Recipient: RFC822; <joe@a.test>\nAction: FAILED\n\n\n\nFinal-Recipient: utf-8; j\\x{F6}@a.test\n\n";
        let read = DeliveryStatus::parse(body.as_bytes());
        let addresses: Vec<_> = read
            .recipients
            .iter()
            .filter_map(|recipient| recipient.final_recipient.as_ref()?.address())
            .map(|address| address.to_string())
            .collect();
        assert_eq!(addresses, ["joe@a.test", "jö@a.test"]);
        assert!(read.reporting_mta.is_some() && read.recipients[0].action == Some(Action::Failed));
    }

    #[test]
    fn status_codes_are_strict() {
        for (text, code) in [
            ("5.1.1", Some("5.1.1")),
            (" 4.7.123 (wait)", Some("4.7.123")),
            ("3.0.0", None),
            ("5.1", None),
            ("5.1.1.1", None),
            ("5.1.1000", None),
            ("5..1", None),
            ("x", None),
        ] {
            assert_eq!(Status::parse(text).map(|status| status.to_string()).as_deref(), code, "{text}");
        }
    }

    #[test]
    fn unitext_is_undone() {
        assert_eq!(undo_unitext("a\\x{5C}b\\x{7528}\\x{1F600}c"), "a\\b用😀c");
        for text in ["\\x{", "\\x{}", "\\x{D800}", "\\x{0D}", "\\x{12345678}", "\\x{zz}x}", "\\y"] {
            assert_eq!(undo_unitext(text), text);
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(body in "((Final-Recipient|Action|Status|Arrival-Date|x): [ -~é]{0,20}\r?\n|\r?\n){0,20}") {
            DeliveryStatus::parse(body.as_bytes()).recipients.iter().for_each(|recipient| {
                recipient.final_recipient.as_ref().and_then(Typed::address);
            });
        }
    }
}
