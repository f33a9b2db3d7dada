//! What reports look like, and that they say the same to programs as was put in.

use proptest::prelude::*;

use super::*;
use crate::mime::Tree;

fn address(text: &str) -> Address {
    Address::parse(text).expect("an address")
}

fn domain(text: &str) -> Domain {
    Domain::parse(text).expect("a domain")
}

/// What every test needs: who reports to whom.
struct Desk {
    reporting: Domain,
    postmaster: Address,
    to: Address,
    remote: Domain,
}

fn desk(to: &str) -> Desk {
    Desk {
        reporting: domain("mx.crepes.test"),
        postmaster: address("postmaster@crepes.test"),
        to: address(to),
        remote: domain("mail.hamburger.test"),
    }
}

impl Desk {
    fn report<'a>(&'a self, recipients: &'a [Recipient<'a>], original: Original<'a>) -> Report<'a> {
        Report {
            reporting: &self.reporting,
            postmaster: &self.postmaster,
            to: &self.to,
            date: Date::utc(1_795_428_000),
            chance: 7,
            arrival: Some(Date::utc(1_795_427_000)),
            envelope_id: Some("QQ314159"),
            recipients,
            original,
        }
    }

    fn refused<'a>(&'a self, address: &'a Address) -> Recipient<'a> {
        Recipient {
            address,
            original: Some(("rfc822", "Bob@Hamburger.test")),
            outcome: Outcome::Failed,
            status: Status::new(5, 1, 1),
            step: Some(Step::Recipient),
            server: Some(Server { name: Some(&self.remote), address: "192.0.2.2".parse().ok() }),
            diagnosis: Diagnosis::Said("550-5.1.1 No such user here.\n550 5.1.1 See https://hamburger.test/help"),
            last_attempt: Some(Date::utc(1_795_427_900)),
            log_id: Some("4XyZ"),
        }
    }
}

const HEADER: &[u8] = b"From: alice@crepes.test\r\nSubject: Do you like ketchup?\r\nMessage-ID: <1@crepes.test>\r\nDate: Mon, 23 Nov 2026 09:40:00 +0000\r\n\r\n";

#[test]
fn a_failure_is_told_to_people_and_programs() {
    let (desk, bob) = (desk("alice@crepes.test"), address("bob@hamburger.test"));
    let recipients = [desk.refused(&bob)];
    let composed = desk.report(&recipients, Original::Header(HEADER)).compose();
    assert_eq!((composed.eight_bit, composed.smtputf8), (false, false));
    assert_eq!(
        String::from_utf8(composed.around(b"")).expect("ASCII"),
        "Date: Mon, 23 Nov 2026 10:00:00 +0000\r\n\
         From: Mail Delivery System <postmaster@crepes.test>\r\n\
         To: <alice@crepes.test>\r\n\
         Subject: Not delivered: Do you like ketchup?\r\n\
         Message-ID: <1qj83q0.0@mx.crepes.test>\r\n\
         In-Reply-To: <1@crepes.test>\r\n\
         References: <1@crepes.test>\r\n\
         Auto-Submitted: auto-replied\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status;\r\n \
         boundary=\"report-00000000000000000000000000000007\"\r\n\
         Content-Transfer-Encoding: 7bit\r\n\
         \r\n\
         This is a report on the delivery of a message, in MIME form.\r\n\
         \r\n\
         --report-00000000000000000000000000000007\r\n\
         Content-Type: text/plain; charset=us-ascii\r\n\
         \r\n\
         This is the mail system at mx.crepes.test.\r\n\
         \r\n\
         About your message \"Do you like ketchup?\" of Mon, 23 Nov 2026 09:40:00\r\n\
         +0000:\r\n\
         \r\n\
         It could NOT be delivered to the following, and will not be tried again:\r\n\
         \r\n  \
         <bob@hamburger.test>\r\n    \
         What happened: mail.hamburger.test [192.0.2.2] refused this recipient\r\n    \
         (at RCPT TO).\r\n    \
         It said:\r\n        \
         550-5.1.1 No such user here.\r\n        \
         550 5.1.1 See https://hamburger.test/help\r\n    \
         What to do: check the address for mistakes. If it looks right, ask the\r\n    \
         recipient in another way which address is good.\r\n    \
         Status: 5.1.1\r\n\
         \r\n\
         Attached are a report for programs and the header of your message. For help,\r\n\
         write to postmaster@crepes.test.\r\n\
         \r\n\
         --report-00000000000000000000000000000007\r\n\
         Content-Type: message/delivery-status\r\n\
         \r\n\
         Original-Envelope-Id: QQ314159\r\n\
         Reporting-MTA: dns; mx.crepes.test\r\n\
         Arrival-Date: Mon, 23 Nov 2026 09:43:20 +0000\r\n\
         \r\n\
         Original-Recipient: rfc822; Bob@Hamburger.test\r\n\
         Final-Recipient: rfc822; bob@hamburger.test\r\n\
         Action: failed\r\n\
         Status: 5.1.1\r\n\
         Remote-MTA: dns; mail.hamburger.test\r\n\
         Diagnostic-Code: smtp; 550-5.1.1 No such user here. 550 5.1.1 See\r\n \
         https://hamburger.test/help\r\n\
         Last-Attempt-Date: Mon, 23 Nov 2026 09:58:20 +0000\r\n\
         Final-Log-ID: 4XyZ\r\n\
         \r\n\
         --report-00000000000000000000000000000007\r\n\
         Content-Type: text/rfc822-headers\r\n\
         \r\n\
         From: alice@crepes.test\r\n\
         Subject: Do you like ketchup?\r\n\
         Message-ID: <1@crepes.test>\r\n\
         Date: Mon, 23 Nov 2026 09:40:00 +0000\r\n\
         \r\n\
         --report-00000000000000000000000000000007--\r\n"
    );
}

#[test]
fn a_delay_says_how_long_we_go_on() {
    let (desk, bob) = (desk("alice@crepes.test"), address("bob@hamburger.test"));
    let until = Date::utc(1_795_428_000 + 5 * 86_400);
    let recipients = [Recipient {
        outcome: Outcome::Delayed { until: Some(until) },
        status: Status::new(4, 4, 1),
        step: Some(Step::Connecting),
        diagnosis: Diagnosis::Found("connection timed out"),
        ..desk.refused(&bob)
    }];
    let message = desk.report(&recipients, Original::Header(HEADER)).compose().around(b"");
    let text = String::from_utf8(message.clone()).expect("ASCII");
    for words in [
        "Subject: Delayed: Do you like ketchup?\r\n",
        "It will be tried again;",
        "mail.hamburger.test [192.0.2.2] could not be reached.",
        "We go on trying until Sat, 28 Nov 2026 10:00:00",
        "\r\nAction: delayed\r\nStatus: 4.4.1\r\nDiagnostic-Code: X-Packetboat; connection timed out\r\n",
        "\r\nWill-Retry-Until: Sat, 28 Nov 2026 10:00:00 +0000\r\n",
    ] {
        assert!(text.contains(words), "{words:?} is missing from:\n{text}");
    }
    assert!(!text.contains("Remote-MTA"), "RFC 3464 §2.3.6: it did not issue the code");
    let read = DeliveryStatus::find(&message).expect("a status");
    assert_eq!(read.recipients[0].will_retry_until, Some(until));
}

#[test]
fn a_recipient_is_named_as_the_envelope_had_it() {
    let desk = desk("alice@crepes.test");
    for (given, named) in [
        ("Bob@Hamburger.TEST", "rfc822; Bob@Hamburger.TEST"),
        ("\"a  b\"@hamburger.test", "rfc822; \"a  b\"@hamburger.test"),
        ("bob@例え.test", "rfc822; bob@xn--r8jz45g.test"),
    ] {
        let bob = address(given);
        let recipients = [desk.refused(&bob)];
        let message = desk.report(&recipients, Original::Header(HEADER)).compose().around(b"");
        let field = format!("\r\nFinal-Recipient: {named}\r\n");
        assert!(String::from_utf8(message).expect("ASCII").contains(&field), "{given}");
    }
}

#[test]
fn several_outcomes_are_told_apart() {
    let (desk, bob, joe) = (desk("alice@crepes.test"), address("bob@hamburger.test"), address("joe@hamburger.test"));
    let delivered = Recipient {
        outcome: Outcome::Delivered,
        status: Status::new(2, 0, 0),
        step: None,
        diagnosis: Diagnosis::Nothing,
        original: None,
        ..desk.refused(&joe)
    };
    let recipients = [delivered, desk.refused(&bob)];
    let text =
        String::from_utf8(desk.report(&recipients, Original::Header(HEADER)).compose().around(b"")).expect("ASCII");
    let at = |words: &str| text.find(words).unwrap_or_else(|| panic!("{words:?} is missing"));
    assert!(
        at("Subject: Delivery report: Do") < at("could NOT be")
            && at("could NOT be") < at("  <bob@")
            && at("  <bob@") < at("It was delivered to:")
    );
}

#[test]
fn a_whole_message_goes_back_untouched() {
    let (desk, bob) = (desk("alice@crepes.test"), address("bob@hamburger.test"));
    let original = [HEADER, b"caf\xc3\xa9\r\n--report\r\n.\r\nno line end"].concat();
    let recipients = [desk.refused(&bob)];
    let composed = desk.report(&recipients, Original::Whole { header: HEADER, eight_bit_body: true }).compose();
    assert!(composed.eight_bit && !composed.smtputf8);
    let message = composed.around(&original);
    let tree = Tree::parse(&message);
    let part = &tree.parts[tree.section(&[3]).expect("three parts")];
    assert!(part.content_type.is("message", "rfc822"));
    assert_eq!(&message[part.body.clone()], original);
    assert_eq!((tree.root().encoding.name(), part.encoding.name()), ("8bit", "8bit"));
}

#[test]
fn addresses_beyond_ascii_take_the_utf8_forms() {
    let (desk, bob) = (desk("älice@crêpes.test"), address("用户@例え.test"));
    let header = "Subject: Käse?\r\n\r\n".as_bytes();
    let recipients = [Recipient { original: Some(("utf-8", "\\x{7528}\\x{6237}@例え.test")), ..desk.refused(&bob) }];
    let composed = desk.report(&recipients, Original::Header(header)).compose();
    assert!(composed.eight_bit && composed.smtputf8);
    let message = composed.around(b"");
    let text = String::from_utf8(message.clone()).expect("UTF-8");
    for words in [
        "To: <älice@xn--crpes-isa.test>\r\n",
        "Subject: =?utf-8?q?Not_delivered=3A_K=C3=A4se=3F?=\r\n",
        "Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n",
        "Original-Recipient: utf-8; 用户@例え.test\r\n",
        "Final-Recipient: utf-8; 用户@例え.test\r\n",
        "Content-Type: message/global-headers\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: Käse?\r\n",
    ] {
        assert!(text.contains(words), "{words:?} is missing from:\n{text}");
    }
    let read = DeliveryStatus::find(&message).expect("a status");
    assert_eq!(read.recipients[0].final_recipient.as_ref().and_then(Typed::address), Some(bob.clone()));
    let tree = Tree::parse(&message);
    assert!(crate::mime::text::of_part(&message, &tree.parts[1], 10_000).expect("text").contains("<用户@例え.test>"));
}

#[test]
fn headers_that_are_not_clean_are_cleaned_and_cut() {
    let (desk, bob) = (desk("alice@crepes.test"), address("bob@hamburger.test"));
    let recipients = [desk.refused(&bob)];
    let part = |header: &[u8]| {
        let message = desk.report(&recipients, Original::Header(header)).compose().around(b"");
        let tree = Tree::parse(&message);
        tree.section(&[3]).map(|part| message[tree.parts[part].body.clone()].to_vec())
    };
    assert_eq!(part(b"A: x\0\ry\n b\nflawed\nC: \xff\n\nbody").as_deref(), Some(&b"A: x??y\r\n b\r\nC: \xff\r\n"[..]));
    assert_eq!(part(b"Do you like ketchup?\r\n"), None, "there is no header to give back");
    let long = format!("A: b\r\nB: {}\r\n", "x".repeat(HEADER_MAX));
    assert_eq!(part(long.as_bytes()).as_deref(), Some(&b"A: b\r\n"[..]));
}

#[test]
fn every_step_has_its_words() {
    let (desk, bob) = (desk("alice@crepes.test"), address("bob@hamburger.test"));
    let steps = [
        Step::FindingServer,
        Step::Connecting,
        Step::Securing,
        Step::Greeting,
        Step::Sender,
        Step::Recipient,
        Step::Content,
        Step::Storing,
    ];
    let mut seen = std::collections::BTreeSet::new();
    for step in steps {
        let recipients = [Recipient { step: Some(step), diagnosis: Diagnosis::Found("x"), ..desk.refused(&bob) }];
        let text = wording::text(&desk.report(&recipients, Original::Header(b"")));
        let words: Vec<_> = text
            .split_whitespace()
            .skip_while(|word| *word != "happened:")
            .take_while(|word| *word != "reason:")
            .collect();
        assert!(words.len() > 5 && seen.insert(words.join(" ")), "{step:?}");
    }
}

proptest! {
    /// Whatever others have said, sent and written, the report's structure stays ours.
    #[test]
    fn nothing_that_others_wrote_changes_the_structure(
        said in any::<String>(), kind in any::<String>(), original in any::<String>(), id in any::<String>(), log in any::<String>(),
        subject in any::<String>(), header in proptest::collection::vec(any::<u8>(), 0..60), whole in any::<bool>(),
    ) {
        let (desk, bob) = (desk("alice@crepes.test"), address("bob@hamburger.test"));
        let header = [b"Subject: ", subject.as_bytes(), b"\r\n", &header].concat();
        let recipients = [Recipient { original: Some((&kind, &original)), diagnosis: Diagnosis::Said(&said), log_id: Some(&log), ..desk.refused(&bob) }];
        let how = if whole { Original::Whole { header: &header, eight_bit_body: false } } else { Original::Header(&header) };
        let report = Report { envelope_id: Some(&id), ..desk.report(&recipients, how) };
        let composed = report.compose();
        let message = composed.around(if whole { b"A: b\r\n\r\nx" } else { b"" });
        let tree = Tree::parse(&message);
        let kinds: Vec<_> = (1..=4).filter_map(|number| tree.section(&[number])).map(|part| tree.parts[part].content_type.kind.clone()).collect();
        let returned = kinds.get(2).cloned();
        prop_assert_eq!(&kinds[..2], ["text", "message"]);
        prop_assert!(kinds.len() <= 3 && (!whole || returned.as_deref() == Some("message")));
        prop_assert!(composed.eight_bit || message.is_ascii());
        let read = DeliveryStatus::find(&message).expect("a status");
        prop_assert_eq!(read.recipients.len(), 1);
        prop_assert_eq!(read.recipients[0].final_recipient.as_ref().and_then(Typed::address), Some(bob.clone()));
        prop_assert_eq!((read.recipients[0].action, read.recipients[0].status), (Some(Action::Failed), Some(Status::new(5, 1, 1))));
        prop_assert_eq!(Fields::new(&message).filter(|field| field.is("auto-submitted")).count(), 1);
        prop_assert!(!Fields::new(&message).any(|field| field.is("bcc")));
        for line in message[..message.len() - composed.tail.len()].split(|&octet| octet == b'\n') {
            prop_assert!(whole || line.is_empty() || line.ends_with(b"\r"), "a bare line end in {:?}", line);
        }
    }
}
