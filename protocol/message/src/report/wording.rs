//! What a report says to people.
//!
//! RFC 6522 §3 (the first part), RFC 3463 §3 (what status codes mean).
//!
//! Invariants: plain text in lines of at most 76 characters, save for single long words; what others said is quoted, in full,
//! and indented, so that it cannot pass for ours.
//! Not here: the form for programs (the parent), languages other than English.

use super::{Diagnosis, Original, Outcome, Recipient, Report, SAID_MAX, Server, Status, Step};
use crate::header::Fields;
use crate::syntax::one_line;

const WIDTH: usize = 76;

/// How many lines of a reply are repeated; honest ones have a handful.
const SAID_LINES_MAX: usize = 40;

/// What a recipient's line is indented by, and what is said of it.
const INDENT: &str = "    ";

/// The words a subject begins with.
pub(super) fn title(recipients: &[Recipient<'_>]) -> &'static str {
    let mut titles = recipients.iter().map(|recipient| match recipient.outcome {
        Outcome::Failed => "Not delivered",
        Outcome::Delayed { .. } => "Delayed",
        Outcome::Delivered => "Delivered",
        Outcome::Relayed => "Passed on",
        Outcome::Expanded => "Delivered to several",
    });
    let first = titles.next().unwrap_or("Delivery report");
    if titles.all(|title| title == first) { first } else { "Delivery report" }
}

/// The whole text.
pub(super) fn text(report: &Report<'_>) -> String {
    let mut text = String::new();
    paragraph(&mut text, "", &format!("This is the mail system at {}.", report.reporting.shown()));
    text.push_str("\r\n");
    if let Some(about) = about(report) {
        paragraph(&mut text, "", &about);
        text.push_str("\r\n");
    }
    for group in GROUPS {
        let members: Vec<_> = report.recipients.iter().filter(|recipient| group.is_of(recipient)).collect();
        if !members.is_empty() {
            paragraph(&mut text, "", group.heading);
            text.push_str("\r\n");
            members.iter().for_each(|recipient| tell(recipient, &mut text));
        }
    }
    paragraph(&mut text, "", &closing(report));
    text
}

/// Which message this is about.
fn about(report: &Report<'_>) -> Option<String> {
    let field = |name| {
        Fields::first(report.header(), name).map(|field| one_line(field.text().as_bytes(), super::SUBJECT_MAX, true))
    };
    let subject = field("subject").filter(|subject| !subject.is_empty());
    let date = field("date").filter(|date| !date.is_empty()).or_else(|| report.arrival.map(|date| date.to_string()));
    match (subject, date) {
        (Some(subject), Some(date)) => Some(format!("About your message \"{subject}\" of {date}:")),
        (Some(subject), None) => Some(format!("About your message \"{subject}\":")),
        (None, Some(date)) => Some(format!("About your message of {date}:")),
        (None, None) => None,
    }
}

/// Recipients of whom the same is true.
struct Group {
    heading: &'static str,
    is_of: fn(&Outcome) -> bool,
}

impl Group {
    fn is_of(&self, recipient: &Recipient<'_>) -> bool {
        (self.is_of)(&recipient.outcome)
    }
}

const GROUPS: [Group; 5] = [
    Group {
        heading: "It could NOT be delivered to the following, and will not be tried again:",
        is_of: |outcome| matches!(outcome, Outcome::Failed),
    },
    Group {
        heading: "It could not be delivered to the following YET. It will be tried again; you need not send it again:",
        is_of: |outcome| matches!(outcome, Outcome::Delayed { .. }),
    },
    Group { heading: "It was delivered to:", is_of: |outcome| matches!(outcome, Outcome::Delivered) },
    Group {
        heading: "It was passed on to a system that does not report deliveries, for:",
        is_of: |outcome| matches!(outcome, Outcome::Relayed),
    },
    Group {
        heading: "It was delivered to several people in the place of:",
        is_of: |outcome| matches!(outcome, Outcome::Expanded),
    },
];

fn tell(recipient: &Recipient<'_>, text: &mut String) {
    paragraph(text, "  ", &format!("<{}>", recipient.address.shown()));
    if let Some(happened) = happened(recipient) {
        paragraph(text, INDENT, &format!("What happened: {happened}."));
    }
    match recipient.diagnosis {
        Diagnosis::Said(said) => quote(text, "It said:", said),
        Diagnosis::Found(found) => quote(text, "The reason:", found),
        Diagnosis::Nothing => {}
    }
    if let Outcome::Failed = recipient.outcome
        && recipient.status.class() == 4
    {
        paragraph(text, INDENT, "It was tried again and again for as long as we keep trying.");
    }
    if let Some(advice) = advice(recipient) {
        paragraph(text, INDENT, &format!("What to do: {advice}"));
    }
    paragraph(text, INDENT, &format!("Status: {}", recipient.status));
    text.push_str("\r\n");
}

/// The step in which it went wrong, as a clause.
fn happened(recipient: &Recipient<'_>) -> Option<String> {
    let domain = recipient.address.domain().shown();
    let server = match recipient.server {
        Some(Server { name: Some(name), address: Some(address) }) => format!("{name} [{address}]"),
        Some(Server { name: Some(name), address: None }) => name.to_string(),
        Some(Server { name: None, address: Some(address) }) => format!("the server at {address}"),
        _ => format!("the server for {domain}"),
    };
    let is_said = matches!(recipient.diagnosis, Diagnosis::Said(_));
    Some(match (recipient.step?, is_said) {
        (Step::FindingServer, _) => format!("no server was found that takes mail for {domain}"),
        (Step::Connecting, _) => format!("{server} could not be reached"),
        (Step::Securing, true) => format!("{server} refused a protected connection (at STARTTLS)"),
        (Step::Securing, false) => format!("no protected connection (TLS) with {server} came about"),
        (Step::Greeting, true) => format!("{server} did not want to talk to us"),
        (Step::Greeting, false) => format!("{server} did not greet us as a mail server does"),
        (Step::Sender, true) => format!("{server} refused mail from this sender (at MAIL FROM)"),
        (Step::Recipient, true) => format!("{server} refused this recipient (at RCPT TO)"),
        (Step::Content, true) => format!("{server} refused the message itself (after DATA)"),
        (Step::Sender, false) => format!("the conversation with {server} broke off (at MAIL FROM)"),
        (Step::Recipient, false) => format!("the conversation with {server} broke off (at RCPT TO)"),
        (Step::Content, false) => format!("the conversation with {server} broke off while the message was sent"),
        (Step::Storing, _) => "it could not be put into the mailbox".to_owned(),
    })
}

/// What fits a status code: subject, detail (0 fits every one of the subject), and what to do. The first that fits counts.
const ADVICE: [(u16, &[u16], &str); 13] = [
    (1, &[2, 10], "check what stands behind the @: as it is written, it takes no mail."),
    (1, &[7, 8], "your own address was not accepted; check it in your mail program, or ask your postmaster."),
    (
        1,
        &[0],
        "check the address for mistakes. If it looks right, ask the recipient in another way which address is good.",
    ),
    (2, &[2], "the mailbox is full. Try again later, or reach the recipient in another way."),
    (2, &[3], "the message is too big. Send it without big attachments, or send a link to them."),
    (2, &[0], "the mailbox takes no mail at the moment. Reach the recipient in another way."),
    (3, &[4], "the message is too big. Send it without big attachments, or send a link to them."),
    (4, &[4], "check what stands behind the @ for mistakes. If it is right, its owner must put the DNS in order."),
    (4, &[6], "the message went in circles between servers. Tell the postmaster of the recipient's domain."),
    (4, &[0], "try again later. If it is urgent, reach the recipient in another way."),
    (6, &[7], "the recipient's server cannot take international addresses. Use one in plain letters, if there is one."),
    (6, &[0], "send the message in another form, for example as plain text without attachments."),
    (7, &[0], "the rules of the other side forbid it. Read what it said, and ask your postmaster or theirs for help."),
];

fn advice(recipient: &Recipient<'_>) -> Option<String> {
    match recipient.outcome {
        Outcome::Failed => {
            let Status { subject, detail, .. } = recipient.status;
            let fits = |details: &[u16]| details.contains(&0) || details.contains(&detail);
            let found = ADVICE.iter().find(|(of, details, _)| *of == subject && fits(details));
            Some(
                found
                    .map_or("try again later, or ask your postmaster and show this report.", |(_, _, advice)| advice)
                    .to_owned(),
            )
        }
        Outcome::Delayed { until: Some(until) } => {
            Some(format!("nothing. We go on trying until {until}, and you will be told if that fails."))
        }
        Outcome::Delayed { until: None } => {
            Some("nothing. We go on trying, and you will be told if that fails.".to_owned())
        }
        Outcome::Delivered | Outcome::Relayed | Outcome::Expanded => None,
    }
}

fn closing(report: &Report<'_>) -> String {
    let attached = match report.original {
        Original::Header(_) => "a report for programs and the header of your message",
        Original::Whole { .. } => "a report for programs and your message",
    };
    format!("Attached are {attached}. For help, write to {}.", report.postmaster.shown())
}

/// What others said, indented more.
fn quote(text: &mut String, intro: &str, said: &str) {
    paragraph(text, INDENT, intro);
    for line in said.lines().take(SAID_LINES_MAX) {
        let line = one_line(line.as_bytes(), SAID_MAX, true);
        if !line.is_empty() {
            paragraph(text, "        ", &line);
        }
    }
}

/// Appends words in lines that fit.
fn paragraph(text: &mut String, indent: &str, words: &str) {
    let mut column = 0;
    for word in words.split_whitespace() {
        let len = word.chars().count();
        if column > 0 && column + 1 + len > WIDTH {
            text.push_str("\r\n");
            column = 0;
        }
        text.push_str(if column == 0 { indent } else { " " });
        text.push_str(word);
        column += len + if column == 0 { indent.len() } else { 1 };
    }
    text.push_str("\r\n");
}
