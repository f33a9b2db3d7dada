//! Outlines of whole messages.

use super::glance::EnvelopeGlance;
use super::*;
use crate::address::Entry;
use crate::mime::Content;
use proptest::prelude::*;

/// The example of RFC 9051 §7.5.2 and RFC 3501 §8 as it was sent.
const GRAY: &str = "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nFrom: Terry Gray <gray@cac.washington.edu>\r\n\
    Subject: IMAP4rev2 WG mtg summary and minutes\r\nTo: imap@cac.washington.edu\r\n\
    Cc: minutes@CNRI.Reston.VA.US,\r\n John Klensin <KLENSIN@MIT.EDU>\r\nMessage-Id: <B27397-0100000@cac.washington.ed>\r\n\
    MIME-Version: 1.0\r\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\nhello\r\n";

fn names(entries: &[Entry]) -> Vec<String> {
    entries
        .iter()
        .map(|entry| match entry {
            Entry::Mailbox(mailbox) => {
                format!("{}@{}", String::from_utf8_lossy(&mailbox.local), String::from_utf8_lossy(&mailbox.domain))
            }
            Entry::Group { name, members } => format!("{}:{};", String::from_utf8_lossy(name), members.len()),
        })
        .collect()
}

#[test]
fn the_example_of_rfc_9051_has_its_envelope() {
    let front = Outline::of(GRAY.as_bytes()).front;
    let envelope = &front.envelope;
    assert_eq!(envelope.date.as_deref(), Some(&b"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)"[..]));
    assert_eq!(envelope.subject.as_deref(), Some(&b"IMAP4rev2 WG mtg summary and minutes"[..]));
    assert_eq!(names(envelope.sender_or_from()), ["gray@cac.washington.edu"]);
    assert_eq!(names(envelope.reply_to_or_from()), ["gray@cac.washington.edu"]);
    assert_eq!(names(&envelope.cc), ["minutes@CNRI.Reston.VA.US", "KLENSIN@MIT.EDU"]);
    assert_eq!((names(&envelope.bcc).len(), envelope.in_reply_to.as_deref()), (0, None));
    assert_eq!(front.message_id().as_deref(), Some("B27397-0100000@cac.washington.ed"));
    assert_eq!((front.sent, front.preview.as_str(), front.is_reply), (Some(837_595_405), "hello", false));
}

#[test]
fn absent_is_not_empty_and_what_is_there_twice_counts_once() {
    let front = Outline::of(b"Subject:\r\nSubject: b\r\nTo: a@x\r\nTo: b@x\r\nSender: \r\nFrom: c@x\r\n\r\n").front;
    assert_eq!((front.envelope.subject.as_deref(), front.envelope.date), (Some(&b""[..]), None));
    assert_eq!((names(&front.envelope.to), front.envelope.sender.len()), (vec!["a@x".into(), "b@x".into()], 0));
}

#[test]
fn parts_say_what_they_are_and_messages_inside_have_envelopes() {
    let message = "Subject: outer\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-ID: <x@y>\r\n\
        Content-Description: a\r\n b\r\nContent-MD5: Q2hlY2s=\r\nContent-Language: en , de\r\nContent-Location: here\r\n\
        Subject: of no message\r\n\r\ntext\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nin\r\n--b--";
    let outline = Outline::of(message.as_bytes());
    let text = &outline.details[1];
    assert_eq!(text.id.as_deref(), Some(&b"<x@y>"[..]));
    assert_eq!(text.description.as_deref(), Some(&b"a b"[..]));
    assert_eq!(text.md5.as_deref(), Some(&b"Q2hlY2s="[..]));
    assert_eq!(text.language, [b"en".to_vec(), b"de".to_vec()]);
    assert_eq!((text.location.as_deref(), text.envelope.is_some()), (Some(&b"here"[..]), false));
    let Content::Message(inner) = outline.tree.parts[2].content else { panic!("{:?}", outline.tree.parts[2]) };
    let subject = |part| outline.envelope(part).and_then(|envelope: &Envelope| envelope.subject.as_deref());
    assert_eq!((subject(0), subject(inner), subject(1)), (Some(&b"outer"[..]), Some(&b"inner"[..]), None));
}

#[test]
fn ancestors_come_from_references_or_else_from_in_reply_to() {
    let of = |header: &str| Outline::of(format!("{header}\r\n\r\n").as_bytes()).front.ancestors();
    assert_eq!(of("References: <a@x> <b@x>\r\nIn-Reply-To: <c@x>"), ["a@x", "b@x"]);
    assert_eq!(of("In-Reply-To: Joe's <c@x> <d@x>"), ["c@x"]);
    assert_eq!(of("References: none"), Vec::<String>::new());
}

#[test]
fn a_prefix_moves_everything_behind_it() {
    let (prefix, message) = ("Return-Path: <>\r\n", "A: b\r\nContent-Type: message/rfc822\r\n\r\nC: d\r\n\r\nx");
    let moved = Outline::of(message.as_bytes()).behind(prefix.len());
    assert_eq!(moved, Outline::of(format!("{prefix}{message}").as_bytes()));
    assert!(moved.front.has_header && !Outline::of(b"Do you like ketchup?\r\n").front.has_header);
    assert!(!Outline::of(b"").front.has_header && Outline::of(b"\r\nbody").front.has_header);
}

#[test]
fn what_an_outline_keeps_is_bounded() {
    let subject = format!("Subject: {}\r\n", "x".repeat(VALUE_MAX + 1));
    let part = format!("--b\r\nContent-Type: message/rfc822; x={}\r\n\r\n{subject}\r\n\r\n", "y".repeat(2000));
    let message = format!("{subject}Content-Type: multipart/x; boundary=b\r\n\r\n{}", part.repeat(500));
    let outline = Outline::of(message.as_bytes());
    assert!(outline.front.is_cut);
    assert_eq!(outline.front.envelope.subject.as_ref().map(Vec::len), Some(VALUE_MAX));
    assert_eq!(outline.tree.parts.len(), 1001);
    let len = outline.encode().len();
    assert!(len < TEXT_MAX + tree::PARAMS_OCTETS_MAX + 100_000, "{len}");
}

fn messages() -> impl Strategy<Value = Vec<u8>> {
    let piece = proptest::sample::select(vec![
        "--b",
        "--b--",
        "\r\n",
        "\r\n\r\n",
        "\n",
        "x",
        " ",
        "From x\r\n",
        "From: Joe <j@x>, g: a@b, c;\r\n",
        "To: \r\n",
        "Subject: Re: [x] k\u{e4}se (fwd)\r\n",
        "Subject: =?utf-8?q?a?=\r\n",
        "Date: Mon, 23 Nov 2026 10:00:00 +0000\r\n",
        "References: <a@b> <c>\r\n",
        "Content-Type: multipart/mixed; boundary=b\r\n",
        "Content-Type: message/rfc822\r\n",
        "Content-Disposition: attachment; filename=x\r\n",
        "Content-Transfer-Encoding: X-Y\r\n",
        "Content-ID: <a>\r\n",
        "Content-Type: text/html\r\n",
        "Content-Language: en, de\r\n",
        "\r\n--b\r\n",
    ]);
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_to_the_same(message in messages()) {
        let outline = Outline::of(&message);
        let octets = outline.encode();
        prop_assert_eq!(Front::decode(&octets), Some(outline.front.clone()));
        let glance = Glance::at(&octets).expect("just written");
        prop_assert_eq!(glance.top(), Some(Top::of(outline.tree.root())));
        prop_assert_eq!((glance.message_id(), glance.ancestors()), (outline.front.message_id(), outline.front.ancestors()));
        let envelope = outline.front.envelope.encode();
        prop_assert_eq!(EnvelopeGlance::at(&envelope).map(Envelope::from), Some(outline.front.envelope.clone()));
        prop_assert_eq!(Outline::decode(&octets), Some(outline));
    }

    #[test]
    fn pieces_do_not_matter(message in messages(), size in 1usize..20) {
        let mut scan = Scan::new();
        message.chunks(size).for_each(|piece| scan.feed(piece));
        prop_assert_eq!(scan.finish(|range| message[range].to_vec()), Outline::of(&message));
    }

    #[test]
    fn an_outline_holds_behind_a_prefix(message in messages()) {
        let outline = Outline::of(&message);
        if outline.front.has_header {
            let whole = [b"Delivered-To: x@y\r\n", &message[..]].concat();
            prop_assert_eq!(outline.behind(19), Outline::of(&whole));
        }
    }
}
