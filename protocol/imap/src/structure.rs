//! BODY and BODYSTRUCTURE as on the wire, from the outline of a message.
//!
//! RFC 9051 §7.5.2 (their meaning), §9 (`body`).
//!
//! Invariants: what is written is one parenthesised list of the grammar, whatever the message. Where the grammar wants something
//! that a message does not have (a part in a multipart, an envelope in an encoded message), something empty stands in.
//! Not here: finding out what a message consists of, and envelopes, which are kept as they are sent (message).

use message::Outline;
use message::mime::params::{Disposition, Params};
use message::mime::{Content, Part};
use message::outline::Envelope;
use message::outline::formed::{write_envelope, write_nstring, write_string};
use message::outline::glance::EnvelopeGlance;

/// Appends a BODY: the structure without what RFC 9051 calls extension data.
pub fn write_body(outline: &Outline, out: &mut Vec<u8>) {
    Writer { outline, is_extended: false }.part(0, out);
}

/// Appends a BODYSTRUCTURE.
pub fn write_body_structure(outline: &Outline, out: &mut Vec<u8>) {
    Writer { outline, is_extended: true }.part(0, out);
}

/// That of a message inside, which is not at hand as it is stored.
fn write_inner_envelope(envelope: Option<&Envelope>, out: &mut Vec<u8>) {
    let stored = envelope.map(Envelope::encode).unwrap_or_default();
    write_envelope(&EnvelopeGlance::at(&stored).unwrap_or_default(), out);
}

struct Writer<'a> {
    outline: &'a Outline,
    is_extended: bool,
}

/// What stands in for a part where there is none.
const NO_PART: &[u8] = br#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)"#;

impl Writer<'_> {
    fn part(&self, at: usize, out: &mut Vec<u8>) {
        let part = &self.outline.tree.parts[at];
        out.push(b'(');
        match &part.content {
            Content::Multipart(children) => self.multipart(part, children, out),
            Content::Leaf | Content::Message(_) => self.single(at, part, out),
        }
        if self.is_extended {
            self.extension(at, part, out);
        }
        out.push(b')');
    }

    fn multipart(&self, part: &Part, children: &[usize], out: &mut Vec<u8>) {
        children.iter().for_each(|child| self.part(*child, out));
        if children.is_empty() {
            out.extend_from_slice(NO_PART);
        }
        out.push(b' ');
        write_string(part.content_type.subtype.as_bytes(), out);
        if self.is_extended {
            out.push(b' ');
            write_params(&part.content_type.params, out);
        }
    }

    fn single(&self, at: usize, part: &Part, out: &mut Vec<u8>) {
        let details = &self.outline.details[at];
        write_string(part.content_type.kind.as_bytes(), out);
        out.push(b' ');
        write_string(part.content_type.subtype.as_bytes(), out);
        out.push(b' ');
        match part.is_declared || part.content_type.kind != "text" {
            true => write_params(&part.content_type.params, out),
            // RFC 2045 §5.2: what is meant where nothing is said.
            false => out.extend_from_slice(br#"("charset" "us-ascii")"#),
        }
        for value in [&details.id, &details.description] {
            out.push(b' ');
            write_nstring(value.as_deref(), out);
        }
        out.push(b' ');
        write_string(part.encoding.name().as_bytes(), out);
        write_number(part.body.len(), out);
        match &part.content {
            Content::Message(inner) => {
                out.push(b' ');
                write_inner_envelope(self.outline.envelope(*inner), out);
                out.push(b' ');
                self.part(*inner, out);
                write_number(part.lines, out);
            }
            // Its type promises an envelope and a body; encoded or nested too deeply, nobody has looked into it.
            _ if is_message(part) => {
                out.push(b' ');
                write_inner_envelope(None, out);
                out.push(b' ');
                out.extend_from_slice(NO_PART);
                write_number(part.lines, out);
            }
            _ if part.content_type.kind == "text" => write_number(part.lines, out),
            _ => {}
        }
    }

    /// `body-ext-1part` and `body-ext-mpart`; they end in the same way.
    fn extension(&self, at: usize, part: &Part, out: &mut Vec<u8>) {
        let details = &self.outline.details[at];
        if !matches!(part.content, Content::Multipart(_)) {
            out.push(b' ');
            write_nstring(details.md5.as_deref(), out);
        }
        out.push(b' ');
        write_disposition(part.disposition.as_ref(), out);
        out.push(b' ');
        write_languages(&details.language, out);
        out.push(b' ');
        write_nstring(details.location.as_deref(), out);
    }
}

fn is_message(part: &Part) -> bool {
    part.content_type.kind == "message" && matches!(part.content_type.subtype.as_str(), "rfc822" | "global")
}

fn write_params(params: &Params, out: &mut Vec<u8>) {
    if params.raw.is_empty() {
        return out.extend_from_slice(b"NIL");
    }
    for (number, (name, value)) in params.raw.iter().enumerate() {
        out.push(if number == 0 { b'(' } else { b' ' });
        write_string(name.as_bytes(), out);
        out.push(b' ');
        write_string(value, out);
    }
    out.push(b')');
}

fn write_disposition(disposition: Option<&Disposition>, out: &mut Vec<u8>) {
    let Some(disposition) = disposition else { return out.extend_from_slice(b"NIL") };
    out.push(b'(');
    write_string(disposition.kind.as_bytes(), out);
    out.push(b' ');
    write_params(&disposition.params, out);
    out.push(b')');
}

fn write_languages(tags: &[Vec<u8>], out: &mut Vec<u8>) {
    match tags {
        [] => out.extend_from_slice(b"NIL"),
        [tag] => write_string(tag, out),
        tags => {
            for (number, tag) in tags.iter().enumerate() {
                out.push(if number == 0 { b'(' } else { b' ' });
                write_string(tag, out);
            }
            out.push(b')');
        }
    }
}

fn write_number(number: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(format!(" {number}").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use message::outline::Glance;
    use proptest::prelude::*;

    fn written(message: &str, write: fn(&Outline, &mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&Outline::of(message.as_bytes()), &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    fn envelope(outline: &Outline, out: &mut Vec<u8>) {
        Glance::at(&outline.encode()).expect("just written").write_envelope(out);
    }

    /// The message of the examples in RFC 9051 §7.5.2 and §8.
    const GRAY: &str = "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nFrom: Terry Gray <gray@cac.washington.edu>\r\n\
        Subject: IMAP4rev2 WG mtg summary and minutes\r\nTo: imap@cac.washington.edu\r\n\
        cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\nMessage-Id: <B27397-0100000@cac.washington.edu>\r\n\
        MIME-Version: 1.0\r\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n";

    #[test]
    fn the_examples_of_rfc_9051() {
        assert_eq!(
            written(GRAY, envelope),
            "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev2 WG mtg summary and minutes\" \
             ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
             ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((NIL NIL \"imap\" \"cac.washington.edu\")) \
             ((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL \
             \"<B27397-0100000@cac.washington.edu>\")"
        );
        let message = format!("{GRAY}{}", "x\r\n".repeat(92));
        assert_eq!(written(&message, write_body), r#"("text" "plain" ("charset" "US-ASCII") NIL NIL "7bit" 276 92)"#);
    }

    const TREE: &str = "Content-Type: multipart/mixed; boundary=b\r\nContent-Language: en, de\r\n\r\n--b\r\n\
        Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nhi\r\nthere\r\n--b\r\n\
        Content-Type: application/pdf\r\nContent-ID: <1@x>\r\nContent-Description: a \"file\"\r\nContent-Transfer-Encoding: base64\r\n\
        Content-MD5: Q2hlY2s=\r\nContent-Disposition: attachment; filename=\"a.pdf\"\r\nContent-Location: here\r\nContent-Language: fr\r\n\r\n\
        SGk=\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nx\r\n--b--\r\n";

    #[test]
    fn a_tree_is_written_with_and_without_its_extension() {
        let nothing = "NIL NIL NIL NIL NIL NIL NIL NIL";
        assert_eq!(
            written(TREE, write_body),
            format!(
                "((\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"quoted-printable\" 9 1)\
                 (\"application\" \"pdf\" NIL \"<1@x>\" \"a \\\"file\\\"\" \"base64\" 4)\
                 (\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 16 (NIL \"in\" {nothing}) \
                 (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0) 2) \"mixed\")"
            )
        );
        assert_eq!(
            written(TREE, write_body_structure),
            format!(
                "((\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"quoted-printable\" 9 1 NIL NIL NIL NIL)\
                 (\"application\" \"pdf\" NIL \"<1@x>\" \"a \\\"file\\\"\" \"base64\" 4 \"Q2hlY2s=\" \
                 (\"attachment\" (\"filename\" \"a.pdf\")) \"fr\" \"here\")\
                 (\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 16 (NIL \"in\" {nothing}) \
                 (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0 NIL NIL NIL NIL) 2 NIL NIL NIL NIL) \
                 \"mixed\" (\"boundary\" \"b\") NIL (\"en\" \"de\") NIL)"
            )
        );
    }

    #[test]
    fn something_empty_stands_in_where_nothing_is() {
        let multipart = written("Content-Type: multipart/alternative; boundary=b\r\n\r\nno parts\r\n", write_body);
        assert_eq!(multipart, "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) \"alternative\")");
        let encoded = "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3Vi\r\n";
        assert_eq!(
            written(encoded, write_body),
            "(\"message\" \"rfc822\" NIL NIL NIL \"base64\" 6 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) \
             (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) 1)"
        );
    }

    /// Reads one value of the grammar; gives what follows it.
    fn value(text: &[u8]) -> Option<&[u8]> {
        match text.first()? {
            b'(' => {
                let mut rest = &text[1..];
                while *rest.first()? != b')' {
                    rest = value(rest)?;
                    rest = rest.strip_prefix(b" ").unwrap_or(rest);
                }
                Some(&rest[1..])
            }
            b'"' => {
                let mut at = 1;
                while *text.get(at)? != b'"' {
                    assert!(!matches!(text[at], b'\r' | b'\n' | 0) && text[at].is_ascii());
                    at += 1 + usize::from(text[at] == b'\\');
                }
                Some(&text[at + 1..])
            }
            b'{' => {
                let end = text.iter().position(|octet| *octet == b'}')?;
                let len: usize = std::str::from_utf8(&text[1..end]).ok()?.parse().ok()?;
                text[end + 1..].strip_prefix(b"\r\n")?.get(len..)
            }
            b'N' => text.strip_prefix(b"NIL"),
            _ => {
                let len = text.iter().take_while(|octet| octet.is_ascii_digit()).count();
                (len > 0).then(|| &text[len..])
            }
        }
    }

    fn messages() -> impl Strategy<Value = Vec<u8>> {
        let piece = proptest::sample::select(vec![
            "--b",
            "--b--",
            "\r\n",
            "\r\n\r\n",
            "x\0\"\\",
            "From: J\u{e9} <j@x>, g: a@b, c;\r\n",
            "Subject: \"\\ \r\n",
            "Content-Type: multipart/mixed; boundary=b\r\n",
            "Content-Type: message/rfc822\r\n",
            "Content-ID: <\u{1}>\r\n",
            "Content-Disposition: attachment; filename=\"\\\"\"\r\n",
            "Content-Language: en,\r\n",
            "\r\n--b\r\n",
        ]);
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn whatever_the_message_it_is_one_list(message in messages()) {
            let outline = Outline::of(&message);
            for write in [envelope, write_body, write_body_structure] {
                let mut out = Vec::new();
                write(&outline, &mut out);
                prop_assert_eq!(out.first(), Some(&b'('));
                prop_assert_eq!(value(&out), Some(&b""[..]), "{}", out.escape_ascii());
            }
        }
    }
}
