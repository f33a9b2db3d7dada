//! ENVELOPE, BODY and BODYSTRUCTURE in IMAP's words.
//!
//! RFC 9051 §7.5.2 (the grammar of both is in §9).
//!
//! Invariants: nothing is decoded; what is written is right for every client, whatever stands in the message.
//! Not here: finding it (message).

use imap::reply::Pen;
use message::address::{Entry, Mailbox};
use message::mime::params::{Disposition, Params};
use message::mime::tree::{Content, Part};
use message::outline::{Envelope, Outline};

/// A part without any is not in the grammar: this stands for the missing one of a multipart.
const NOTHING: &str = "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0)";

/// The envelope, from `(` to `)`.
pub(super) fn envelope(envelope: &Envelope) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    write_envelope(&mut Pen(&mut out), envelope);
    out
}

/// BODYSTRUCTURE, or BODY without what `extended` adds.
pub(super) fn body(outline: &Outline, extended: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    Writer { outline, extended }.part(&mut Pen(&mut out), 0);
    out
}

fn write_envelope(pen: &mut Pen<'_>, envelope: &Envelope) {
    pen.word("(").nstring(envelope.date.as_deref()).word(" ").nstring(envelope.subject.as_deref());
    let lists = [
        &envelope.from[..],
        envelope.sender_or_from(),
        envelope.reply_to_or_from(),
        &envelope.to,
        &envelope.cc,
        &envelope.bcc,
    ];
    for list in lists {
        write_list(pen.word(" "), list);
    }
    pen.word(" ").nstring(envelope.in_reply_to.as_deref()).word(" ").nstring(envelope.message_id.as_deref()).word(")");
}

fn write_list(pen: &mut Pen<'_>, list: &[Entry]) {
    if list.is_empty() {
        pen.word("NIL");
        return;
    }
    pen.word("(");
    for entry in list {
        match entry {
            Entry::Mailbox(mailbox) => write_mailbox(pen, mailbox),
            Entry::Group { name, members } => {
                pen.word("(NIL NIL ").string(name).word(" NIL)");
                members.iter().for_each(|member| write_mailbox(pen, member));
                pen.word("(NIL NIL NIL NIL)");
            }
        }
    }
    pen.word(")");
}

fn write_mailbox(pen: &mut Pen<'_>, mailbox: &Mailbox) {
    pen.word("(").nstring(mailbox.name.as_deref()).word(" ").nstring(mailbox.route.as_deref());
    // NIL in these two places would be a group's.
    pen.word(" ").string(&mailbox.local).word(" ").string(&mailbox.domain).word(")");
}

struct Writer<'a> {
    outline: &'a Outline,
    extended: bool,
}

impl Writer<'_> {
    fn part(&self, pen: &mut Pen<'_>, at: usize) {
        let part = &self.outline.tree.parts[at];
        match &part.content {
            Content::Multipart(children) => self.multipart(pen, at, part, children),
            Content::Message(inner) => self.message(pen, at, part, Some(*inner)),
            Content::Leaf if part.content_type.kind == "message" && is_message(&part.content_type.subtype) => {
                self.message(pen, at, part, None);
            }
            Content::Leaf => self.leaf(pen, at, part),
        }
    }

    fn multipart(&self, pen: &mut Pen<'_>, at: usize, part: &Part, children: &[usize]) {
        pen.word("(");
        if children.is_empty() {
            pen.formed(NOTHING.as_bytes());
        }
        children.iter().for_each(|child| self.part(pen, *child));
        pen.word(" ").string(part.content_type.subtype.as_bytes());
        if self.extended {
            params(pen.word(" "), &part.content_type.params);
            self.extension(pen, at, part);
        }
        pen.word(")");
    }

    fn message(&self, pen: &mut Pen<'_>, at: usize, part: &Part, inner: Option<usize>) {
        pen.word("(");
        self.basic(pen, at, part);
        let envelope = inner.and_then(|inner| self.outline.envelope(inner));
        write_envelope(pen.word(" "), envelope.unwrap_or(&Envelope::default()));
        pen.word(" ");
        match inner {
            Some(inner) => self.part(pen, inner),
            None => _ = pen.formed(NOTHING.as_bytes()),
        }
        pen.word(" ").number(part.lines as u64);
        self.single_extension(pen, at, part);
    }

    fn leaf(&self, pen: &mut Pen<'_>, at: usize, part: &Part) {
        pen.word("(");
        self.basic(pen, at, part);
        if part.content_type.kind == "text" {
            pen.word(" ").number(part.lines as u64);
        }
        self.single_extension(pen, at, part);
    }

    fn basic(&self, pen: &mut Pen<'_>, at: usize, part: &Part) {
        let details = self.outline.details.get(at);
        pen.string(part.content_type.kind.as_bytes()).word(" ").string(part.content_type.subtype.as_bytes());
        match part.is_declared {
            true => params(pen.word(" "), &part.content_type.params),
            // RFC 2045 §5.2: what is meant where nothing is said.
            false if part.content_type.kind == "text" => _ = pen.word(" (\"charset\" \"us-ascii\")"),
            false => _ = pen.word(" NIL"),
        }
        pen.word(" ").nstring(details.and_then(|details| details.id.as_deref()));
        pen.word(" ").nstring(details.and_then(|details| details.description.as_deref()));
        pen.word(" ").string(part.encoding.name().as_bytes()).word(" ").number(part.body.len() as u64);
    }

    fn single_extension(&self, pen: &mut Pen<'_>, at: usize, part: &Part) {
        if self.extended {
            pen.word(" ").nstring(self.outline.details.get(at).and_then(|details| details.md5.as_deref()));
            self.extension(pen, at, part);
        }
        pen.word(")");
    }

    /// Disposition, language, location.
    fn extension(&self, pen: &mut Pen<'_>, at: usize, part: &Part) {
        let details = self.outline.details.get(at);
        disposition(pen.word(" "), part.disposition.as_ref());
        pen.word(" ");
        match details.map(|details| &details.language[..]).unwrap_or_default() {
            [] => _ = pen.word("NIL"),
            tags => {
                let mut first = true;
                pen.word("(");
                tags.iter().for_each(|tag| _ = pen.gap(&mut first).string(tag));
                pen.word(")");
            }
        }
        pen.word(" ").nstring(details.and_then(|details| details.location.as_deref()));
    }
}

fn is_message(subtype: &str) -> bool {
    matches!(subtype, "rfc822" | "global")
}

fn params(pen: &mut Pen<'_>, params: &Params) {
    if params.raw.is_empty() {
        pen.word("NIL");
        return;
    }
    let mut first = true;
    pen.word("(");
    for (name, value) in &params.raw {
        pen.gap(&mut first).string(name.as_bytes()).word(" ").string(value);
    }
    pen.word(")");
}

fn disposition(pen: &mut Pen<'_>, disposition: Option<&Disposition>) {
    match disposition {
        None => _ = pen.word("NIL"),
        Some(disposition) => {
            params(pen.word("(").string(disposition.kind.as_bytes()).word(" "), &disposition.params);
            pen.word(")");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(message: &str, extended: bool) -> (String, String) {
        let outline = Outline::of(message.replace('\n', "\r\n").as_bytes());
        let text = |octets| String::from_utf8(octets).expect("text");
        (text(envelope(&outline.front.envelope)), text(body(&outline, extended)))
    }

    #[test]
    fn an_envelope_has_ten_fields() {
        let (envelope, _) = of(
            "Date: Wed, 17 Jul 1996 02:23:25 -0700\nFrom: Terry Gray <gray@cac.washington.edu>\nSubject: a \"b\"\nTo: friends: \
             ann@example.org, bob;\nMessage-ID: <B27397-0100000@cac.washington.edu>\n\nhi\n",
            false,
        );
        let terry = "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\"))";
        assert_eq!(
            envelope,
            format!(
                "(\"Wed, 17 Jul 1996 02:23:25 -0700\" \"a \\\"b\\\"\" {terry} {terry} {terry} ((NIL NIL \"friends\" NIL)(NIL NIL \
                 \"ann\" \"example.org\")(NIL NIL \"bob\" \"\")(NIL NIL NIL NIL)) NIL NIL NIL \
                 \"<B27397-0100000@cac.washington.edu>\")"
            )
        );
    }

    #[test]
    fn a_structure_tells_parts_and_sizes() {
        let message = "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nhello\n--b\nContent-Type: message/rfc822\n\n\
             Subject: in\n\ninner\n--b\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\
             Content-Disposition: attachment; filename=a.png\n\nAAEC\n--b--\n";
        let (_, short) = of(message, false);
        assert_eq!(
            short,
            "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 5 0)\
             (\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 20 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) \
             (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 5 0) 2)\
             (\"image\" \"png\" NIL NIL NIL \"base64\" 4) \"mixed\")"
        );
        let (_, long) = of(message, true);
        assert!(long.contains(
            "(\"image\" \"png\" NIL NIL NIL \"base64\" 4 NIL (\"attachment\" (\"filename\" \"a.png\")) NIL NIL)"
        ));
        assert!(long.ends_with(" \"mixed\" (\"boundary\" \"b\") NIL NIL NIL)"), "{long}");
    }

    #[test]
    fn a_multipart_of_nothing_has_a_part() {
        let (_, short) = of("Content-Type: multipart/mixed; boundary=b\n\n--b--\n", false);
        assert_eq!(short, format!("({NOTHING} \"mixed\")"));
    }
}
