//! Reports on delivery: what a sender is told when mail was not, not yet, or indeed delivered.
//!
//! RFC 3464 (delivery status), RFC 6522 (multipart/report), RFC 6533 (UTF-8 forms), RFC 3463 (status codes),
//! RFC 3834 §5 (Auto-Submitted), RFC 3461 §6 (what goes back).
//!
//! ```text
//! multipart/report ─ text/plain: what happened, in which step, what was said, what to do
//!                  ├ message/delivery-status                    or global-delivery-status where addresses are not ASCII
//!                  └ text/rfc822-headers  or message/rfc822     or global-headers, global where its header is UTF-8
//! ```
//!
//! Invariants: what others said is text in a line, never a line of its own; a whole message goes back between
//! [`Composed::head`] and [`Composed::tail`] without passing through memory; the boundary is not to be guessed.
//! Not here: whether a report is wanted at all (courier, by NOTIFY and the null sender), when it is due (courier).

mod status;
#[cfg(test)]
mod tests;
mod wording;

use core::net::IpAddr;
use std::fmt;

pub use status::{Action, DeliveryStatus, RecipientReport, Typed};

use crate::address::{Address, Domain};
use crate::date::Date;
use crate::header::{Fields, submission, write_field};
use crate::mime::{transfer, words};
use crate::syntax::{one_line, without_line_end};

/// How much of a message's header is put into a report. What needs more is cut between fields.
pub const HEADER_MAX: usize = 64 * 1024;

/// How much is repeated of what a server said, in octets. Replies of several lines with links in them come near.
const SAID_MAX: usize = 2_000;

/// How much of the original subject is repeated, in octets.
const SUBJECT_MAX: usize = 200;

/// Everything a report says.
#[derive(Debug, Clone)]
pub struct Report<'a> {
    /// The name of this system.
    pub reporting: &'a Domain,
    /// The address of a human who answers for it (RFC 3464 §2): its postmaster.
    pub postmaster: &'a Address,
    /// The sender of the message reported on.
    pub to: &'a Address,
    /// Now.
    pub date: Date,
    /// 128 bits of chance for the identifier and the boundary.
    pub chance: u128,
    /// When the message came to us.
    pub arrival: Option<Date>,
    /// The ENVID that came with it (RFC 3461 §4.4), decoded.
    pub envelope_id: Option<&'a str>,
    /// What became of it, for each recipient told of.
    pub recipients: &'a [Recipient<'a>],
    /// What goes back of the message itself.
    pub original: Original<'a>,
}

/// What goes back of a message.
#[derive(Debug, Clone, Copy)]
pub enum Original<'a> {
    /// Its header only: when the sender asked for no more (RET=HDRS), or it is big, or it was delivered.
    Header(&'a [u8]),
    /// All of it. The caller writes it between head and tail.
    Whole {
        /// Its header.
        header: &'a [u8],
        /// Whether its body has octets beyond ASCII.
        eight_bit_body: bool,
    },
}

/// What became of a message for one recipient.
#[derive(Debug, Clone)]
pub struct Recipient<'a> {
    /// The recipient as the envelope had it when we took the message.
    pub address: &'a Address,
    /// The ORCPT that came with it (RFC 3461 §4.2): type and address, decoded.
    pub original: Option<(&'a str, &'a str)>,
    /// What was done.
    pub outcome: Outcome,
    /// Why, as a code.
    pub status: Status,
    /// In which step, if one went wrong.
    pub step: Option<Step>,
    /// Whom we talked to or tried to.
    pub server: Option<Server<'a>>,
    /// Why, in words.
    pub diagnosis: Diagnosis<'a>,
    /// When it was last tried.
    pub last_attempt: Option<Date>,
    /// Where to look in our log.
    pub log_id: Option<&'a str>,
}

/// What was done for a recipient (RFC 3464 §2.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It could not be delivered and is given up.
    Failed,
    /// It could not be delivered yet.
    Delayed {
        /// When it will be given up.
        until: Option<Date>,
    },
    /// It is in the recipient's mailbox.
    Delivered,
    /// It was given to a system that reports no successes.
    Relayed,
    /// It was given to several others in the recipient's place.
    Expanded,
}

impl Outcome {
    fn action(self) -> Action {
        match self {
            Outcome::Failed => Action::Failed,
            Outcome::Delayed { .. } => Action::Delayed,
            Outcome::Delivered => Action::Delivered,
            Outcome::Relayed => Action::Relayed,
            Outcome::Expanded => Action::Expanded,
        }
    }
}

/// The step of a delivery in which it went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Asking the DNS who takes mail for the domain.
    FindingServer,
    /// Making a connection.
    Connecting,
    /// Setting up TLS.
    Securing,
    /// The greeting, EHLO, authentication.
    Greeting,
    /// MAIL.
    Sender,
    /// RCPT.
    Recipient,
    /// DATA or BDAT, up to the last reply.
    Content,
    /// Putting it into a mailbox of ours.
    Storing,
}

/// A server of others.
#[derive(Debug, Clone, Copy, Default)]
pub struct Server<'a> {
    /// Its name in the DNS.
    pub name: Option<&'a Domain>,
    /// Its address, if a connection was tried.
    pub address: Option<IpAddr>,
}

/// Why something happened, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Diagnosis<'a> {
    /// A server replied so; lines of the reply are divided by line ends.
    Said(&'a str),
    /// We found so ourselves: `connection timed out`.
    Found(&'a str),
    /// There is nothing to say.
    Nothing,
}

/// A status code (RFC 3463 §2): `5.1.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status {
    class: u8,
    subject: u16,
    detail: u16,
}

impl Status {
    /// From its three numbers.
    ///
    /// # Panics
    /// If the class is not 2, 4 or 5, or a number has more than three digits: codes in our sources are right.
    pub const fn new(class: u8, subject: u16, detail: u16) -> Self {
        assert!(matches!(class, 2 | 4 | 5) && subject < 1000 && detail < 1000, "a status code");
        Status { class, subject, detail }
    }

    /// Reads `5.1.1`; a comment may follow (RFC 3464 §2.3.4).
    pub fn parse(text: &str) -> Option<Self> {
        let code = text.trim().split([' ', '\t', '(']).next()?;
        let mut numbers = code.split('.').map(|number| {
            let is_number = (1..=3).contains(&number.len()) && number.bytes().all(|octet| octet.is_ascii_digit());
            if is_number { number.parse::<u16>().ok() } else { None }
        });
        let (class, subject, detail) = (numbers.next()??, numbers.next()??, numbers.next()??);
        (numbers.next().is_none() && matches!(class, 2 | 4 | 5)).then(|| Status::new(class as u8, subject, detail))
    }

    /// 2, 4 or 5: success, a failure that may pass, a failure that will not.
    pub fn class(self) -> u8 {
        self.class
    }

    /// What it is about: 1 addresses, 2 mailboxes, 3 systems, 4 networks, 5 protocol, 6 content, 7 policy.
    pub fn subject(self) -> u16 {
        self.subject
    }

    /// The last number.
    pub fn detail(self) -> u16 {
        self.detail
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// A report, ready to be sent from `<>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composed {
    /// What comes before the original message, or everything but the end if only its header goes back.
    pub head: Vec<u8>,
    /// What comes behind it.
    pub tail: Vec<u8>,
    /// Whether it needs 8BITMIME.
    pub eight_bit: bool,
    /// Whether it needs SMTPUTF8: the sender's address does.
    pub smtputf8: bool,
}

impl Composed {
    /// The report with the original message inside, or with nothing where only the header goes back.
    pub fn around(&self, original: &[u8]) -> Vec<u8> {
        [&self.head, original, &self.tail].concat()
    }
}

impl Report<'_> {
    /// Writes the report.
    pub fn compose(&self) -> Composed {
        let returned = Returned::new(self.original);
        let status = self.status_part();
        let eight_bit = !status.is_ascii() || returned.is_eight_bit;
        let boundary = format!("report-{:032x}", self.chance);
        let mut head = Vec::new();
        self.write_header(&boundary, eight_bit, &mut head);
        write_part(&boundary, &self.text_part(), &mut head);
        write_part(&boundary, &status, &mut head);
        if let Some(part) = &returned.part {
            write_part(&boundary, part, &mut head);
        }
        Composed {
            head,
            tail: format!("\r\n--{boundary}--\r\n").into_bytes(),
            eight_bit,
            smtputf8: !self.to.is_ascii(),
        }
    }

    fn header(&self) -> &[u8] {
        match self.original {
            Original::Header(header) | Original::Whole { header, .. } => header,
        }
    }

    fn write_header(&self, boundary: &str, eight_bit: bool, out: &mut Vec<u8>) {
        submission::write_date(self.date, out);
        write_field("From", &format!("Mail Delivery System <{}>", self.postmaster), out);
        write_field("To", &format!("<{}>", self.to), out);
        write_field("Subject", &self.subject(), out);
        // Half of the chance is enough, and what names the message must not tell the boundary.
        submission::write_message_id(self.date, self.chance >> 64, self.reporting, out);
        if let Some(id) = self.original_message_id() {
            write_field("In-Reply-To", &id, out);
            write_field("References", &id, out);
        }
        // RFC 3834 §5.2: a report answers a message, it is not generated without one.
        write_field("Auto-Submitted", "auto-replied", out);
        write_field("MIME-Version", "1.0", out);
        // RFC 6533 §4.4: the report's type stays delivery-status where the part has the UTF-8 form.
        write_field(
            "Content-Type",
            &format!("multipart/report; report-type=delivery-status; boundary=\"{boundary}\""),
            out,
        );
        write_field("Content-Transfer-Encoding", if eight_bit { "8bit" } else { "7bit" }, out);
        out.extend_from_slice(b"\r\nThis is a report on the delivery of a message, in MIME form.\r\n");
    }

    fn subject(&self) -> String {
        let about = Fields::first(self.header(), "subject").map(|field| field.text()).unwrap_or_default();
        let about = one_line(about.as_bytes(), SUBJECT_MAX, true);
        let separator = if about.is_empty() { "" } else { ": " };
        words::encode(&format!("{}{separator}{about}", wording::title(self.recipients))).into_owned()
    }

    /// The identifier of the original, if it is fit to be repeated.
    fn original_message_id(&self) -> Option<String> {
        let field = Fields::first(self.header(), "message-id")?;
        let id = String::from_utf8(field.unfolded().into_owned()).ok()?;
        let is_fit = id.len() <= 250
            && id.bytes().all(|octet| octet.is_ascii_graphic())
            && id.starts_with('<')
            && id.ends_with('>');
        is_fit.then_some(id)
    }

    fn text_part(&self) -> Vec<u8> {
        let text = wording::text(self);
        let mut part = Vec::new();
        if text.is_ascii() {
            part.extend_from_slice(b"Content-Type: text/plain; charset=us-ascii\r\n\r\n");
            part.extend_from_slice(text.as_bytes());
        } else {
            part.extend_from_slice(
                b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
            );
            part.extend_from_slice(&transfer::encode_quoted_printable(text.as_bytes()));
        }
        part
    }

    /// RFC 6533 §4.1: the UTF-8 form is needed only where an address is not ASCII.
    fn is_global(&self) -> bool {
        self.recipients.iter().any(|recipient| {
            !recipient.address.is_ascii() || recipient.original.is_some_and(|(_, address)| !address.is_ascii())
        })
    }

    fn status_part(&self) -> Vec<u8> {
        let is_global = self.is_global();
        let mut part = Vec::new();
        part.extend_from_slice(match is_global {
            true => b"Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
            false => &b"Content-Type: message/delivery-status\r\n\r\n"[..],
        });
        if let Some(id) = self.envelope_id {
            write_text("Original-Envelope-Id", id, is_global, &mut part);
        }
        write_field("Reporting-MTA", &format!("dns; {}", self.reporting), &mut part);
        if let Some(arrival) = self.arrival {
            write_field("Arrival-Date", &arrival.to_string(), &mut part);
        }
        for recipient in self.recipients {
            part.extend_from_slice(b"\r\n");
            recipient.write(is_global, &mut part);
        }
        part
    }
}

impl Recipient<'_> {
    /// RFC 3464 §2.3, in the order of the grammar.
    fn write(&self, is_global: bool, out: &mut Vec<u8>) {
        if let Some((kind, address)) = self.original {
            self.write_original(kind, address, is_global, out);
        }
        write_field("Final-Recipient", &self.final_recipient(), out);
        write_field("Action", self.outcome.action().name(), out);
        write_field("Status", &self.status.to_string(), out);
        self.write_diagnosis(is_global, out);
        if let Some(date) = self.last_attempt {
            write_field("Last-Attempt-Date", &date.to_string(), out);
        }
        if let Some(id) = self.log_id {
            write_text("Final-Log-ID", id, is_global, out);
        }
        if let Outcome::Delayed { until: Some(until) } = self.outcome {
            write_field("Will-Retry-Until", &until.to_string(), out);
        }
    }

    /// RFC 3464 §2.3.2: the case as it came. A domain's U-labels are no reason for the UTF-8 form, but go with it.
    fn final_recipient(&self) -> String {
        match (self.address.is_ascii(), self.address.shown()) {
            (true, shown) if shown.is_ascii() => format!("rfc822; {shown}"),
            (true, _) => format!("rfc822; {}", self.address),
            (false, shown) => format!("utf-8; {shown}"),
        }
    }

    /// RFC 3461 §6.3 (d): as it came, its case kept. RFC 6533 §4.1: in the UTF-8 form, with its characters put in.
    fn write_original(&self, kind: &str, address: &str, is_global: bool, out: &mut Vec<u8>) {
        let is_utf8 = kind.eq_ignore_ascii_case("utf-8");
        let address = if is_utf8 && is_global { status::undo_unitext(address) } else { address.to_owned() };
        let kind: String = kind.chars().filter(|c| c.is_ascii_alphanumeric() || "-+._".contains(*c)).collect();
        write_text(
            "Original-Recipient",
            &format!("{}; {address}", if kind.is_empty() { "unknown" } else { &kind }),
            is_global,
            out,
        );
    }

    fn write_diagnosis(&self, is_global: bool, out: &mut Vec<u8>) {
        match self.diagnosis {
            Diagnosis::Said(said) => {
                // RFC 3464 §2.3.6: the presence of Remote-MTA says that the remote one issued the code.
                if let Some(name) = self.server.and_then(|server| server.wire_name()) {
                    write_field("Remote-MTA", &format!("dns; {name}"), out);
                }
                write_text("Diagnostic-Code", &format!("smtp; {said}"), is_global, out);
            }
            Diagnosis::Found(found) => write_text("Diagnostic-Code", &format!("X-Packetboat; {found}"), is_global, out),
            Diagnosis::Nothing => {}
        }
    }
}

impl Server<'_> {
    fn wire_name(&self) -> Option<String> {
        match (self.name, self.address) {
            (Some(name), _) => Some(name.to_string()),
            (None, Some(address)) => Some(Domain::from(address).to_string()),
            (None, None) => None,
        }
    }
}

/// A field with text that others have made.
fn write_text(name: &str, text: &str, keep_unicode: bool, out: &mut Vec<u8>) {
    write_field(name, &one_line(text.as_bytes(), SAID_MAX, keep_unicode), out);
}

fn write_part(boundary: &str, part: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
    out.extend_from_slice(part);
}

/// The third part: its header, and the original's header if no more than that goes back.
struct Returned {
    part: Option<Vec<u8>>,
    is_eight_bit: bool,
}

impl Returned {
    fn new(original: Original<'_>) -> Self {
        let (header, kinds, eight_bit_body) = match original {
            Original::Header(header) => (header, ["text/rfc822-headers", "message/global-headers"], false),
            Original::Whole { header, eight_bit_body } => {
                (header, ["message/rfc822", "message/global"], eight_bit_body)
            }
        };
        // A header with octets beyond ASCII that are not UTF-8 is against every rule, but it is what it is.
        let is_global = !header.is_ascii() && std::str::from_utf8(header).is_ok();
        let is_eight_bit = eight_bit_body || !header.is_ascii();
        let encoding = if is_eight_bit { "Content-Transfer-Encoding: 8bit\r\n" } else { "" };
        let mut part = format!("Content-Type: {}\r\n{encoding}\r\n", kinds[usize::from(is_global)]).into_bytes();
        if let Original::Header(header) = original {
            let copied = copy_of_header(header);
            if copied.is_empty() {
                return Returned { part: None, is_eight_bit: false };
            }
            part.extend_from_slice(&copied);
        }
        Returned { part: Some(part), is_eight_bit }
    }
}

/// The fields of a header up to [`HEADER_MAX`], every line with its CRLF, no NUL and no bare CR in it.
fn copy_of_header(header: &[u8]) -> Vec<u8> {
    let mut copy = Vec::new();
    for field in Fields::new(header) {
        let before = copy.len();
        for line in header[field.span].split_inclusive(|&octet| octet == b'\n') {
            copy.extend(
                without_line_end(line).iter().map(|&octet| if matches!(octet, b'\r' | 0) { b'?' } else { octet }),
            );
            copy.extend_from_slice(b"\r\n");
        }
        if copy.len() > HEADER_MAX {
            copy.truncate(before);
            break;
        }
    }
    copy
}
