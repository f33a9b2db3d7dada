//! What becomes of a mail, from the first attempt to the last.

use super::peers::{Act, Acts, Mood, WELL};
use super::{ALICE, DAY, HOUR, MINUTE, Stage, fields, own_clock};

const FAR: &str = "bob@far.test";

#[tokio::test]
async fn a_server_that_takes_it_ends_it() {
    let stage = Stage::new(own_clock!()).await;
    stage.world().script("far.test", &[WELL]);
    stage.send(ALICE, &[FAR], "hello").await;
    stage.round().await;
    let taken = stage.taken();
    assert_eq!((taken.len(), &taken[0].sender[..], &taken[0].recipient[..]), (1, ALICE, FAR));
    assert_eq!(taken[0].text, "Subject: hello\r\n\r\nhello\r\n");
    assert_eq!((stage.queue(), stage.inbox(ALICE)), (vec![], vec![]));
}

#[tokio::test]
async fn a_peer_that_is_down_is_tried_for_five_days_and_then_the_sender_has_it_back() {
    let stage = Stage::new(own_clock!()).await;
    stage.send(ALICE, &[FAR], "hello").await;
    stage.until(5 * DAY - 1).await;
    assert_eq!(stage.queue().len(), 1, "not one second too early");
    stage.until(6 * DAY).await;

    let visits = stage.visits("far.test");
    assert_eq!(visits[..7], [0, 5, 15, 35, 75, 155, 275].map(|minutes| minutes * MINUTE));
    assert!(visits.windows(3).all(|three| three[2] - three[1] >= three[1] - three[0] || three[2] == 5 * DAY));
    assert_eq!(visits.last(), Some(&(5 * DAY)));
    assert_eq!(stage.queue(), []);

    let inbox = stage.inbox(ALICE);
    assert_eq!(inbox.len(), 2, "a warning and a bounce");
    let bounce = &inbox[1];
    assert!(bounce.starts_with("Return-Path: <>\r\nDelivered-To: alice@crepes.test\r\n"), "{bounce}");
    assert!(
        fields(bounce, "Content-Type")[0].starts_with("multipart/report; report-type=delivery-status;"),
        "{bounce}"
    );
    assert_eq!(fields(bounce, "Final-Recipient"), ["rfc822; bob@far.test"]);
    assert_eq!((fields(bounce, "Action"), fields(bounce, "Status")), (vec!["failed"], vec!["5.4.7"]));
    assert!(bounce.contains("\r\nSubject: hello\r\n\r\nhello\r\n"), "the whole message goes back: {bounce}");
}

#[tokio::test]
async fn the_sender_is_warned_once_after_four_hours() {
    let stage = Stage::new(own_clock!()).await;
    stage.send(ALICE, &[FAR], "hello").await;
    stage.until(4 * HOUR - 1).await;
    assert_eq!(stage.inbox(ALICE), Vec::<String>::new());
    stage.until(4 * DAY).await;
    let inbox = stage.inbox(ALICE);
    assert_eq!(inbox.len(), 1);
    assert_eq!((fields(&inbox[0], "Action"), fields(&inbox[0], "Status")), (vec!["delayed"], vec!["4.4.1"]));
    assert_eq!(fields(&inbox[0], "Will-Retry-Until").len(), 1);
    stage.world().script("far.test", &[WELL]);
    stage.until(5 * DAY).await;
    assert_eq!((stage.copies(FAR, "hello"), stage.inbox(ALICE).len()), (1, 1), "late, and all is well");
}

#[tokio::test]
async fn a_sender_elsewhere_is_told_from_the_null_path() {
    let stage = Stage::new(own_clock!()).await;
    stage.world().script("far.test", &[Mood::Up(&[("RCPT", Act::Says("550 5.1.1 nobody here"))])]);
    stage.world().script("away.test", &[WELL]);
    stage.send("carol@away.test", &[FAR], "hello").await;
    stage.round().await;
    let taken = stage.taken();
    assert_eq!((taken.len(), &taken[0].sender[..], &taken[0].recipient[..]), (1, "", "carol@away.test"));
    assert_eq!(fields(&taken[0].text, "Status"), ["5.1.1"]);
    assert_eq!(fields(&taken[0].text, "Diagnostic-Code"), ["smtp; 550 5.1.1 nobody here"]);
    assert_eq!(stage.queue(), []);
}

#[tokio::test]
async fn nobody_is_told_of_a_report() {
    let stage = Stage::new(own_clock!()).await;
    stage.world().script("no.test", &[Mood::Up(&[("RCPT", Act::Says("550 5.1.1 nobody here"))])]);
    stage.send("", &["alice@down.test", "alice@no.test"], "bounce").await;
    stage.until(6 * DAY).await;
    assert_eq!(stage.visits("down.test").last(), Some(&(2 * DAY)), "nor is it tried for five days");
    assert_eq!((stage.queue(), stage.inbox(ALICE), stage.taken().len()), (vec![], vec![], 0));
}

#[tokio::test]
async fn a_report_that_reaches_nobody_ends_there() {
    let stage = Stage::new(own_clock!()).await;
    stage.world().script("far.test", &[Mood::Up(&[("RCPT", Act::Says("550 no"))])]);
    stage.send("carol@away.test", &[FAR], "hello").await;
    stage.send("nobody@crepes.test", &[FAR], "hello").await;
    stage.until(6 * DAY).await;
    assert_eq!(stage.queue(), []);
    assert_eq!(stage.visits("away.test").last(), Some(&(2 * DAY)));
    assert_eq!((stage.inbox(ALICE), stage.taken().len()), (vec![], 0));
}

#[tokio::test]
async fn a_greylist_is_passed_at_the_second_visit() {
    let stage = Stage::new(own_clock!()).await;
    let grey = Mood::Up(&[("RCPT", Act::Says("451 4.7.1 come back in five minutes"))]);
    stage.world().script("far.test", &[grey, WELL]);
    stage.send(ALICE, &[FAR], "hello").await;
    stage.round().await;
    let waiting = stage.queue().remove(0).recipients.remove(0);
    assert_eq!(waiting.attempts, 1);
    assert!(waiting.last.expect("an attempt").reason.ends_with("451 4.7.1 come back in five minutes"));
    stage.until(DAY).await;
    assert_eq!(stage.visits("far.test"), [0, 5 * MINUTE]);
    assert_eq!((stage.copies(FAR, "hello"), stage.queue(), stage.inbox(ALICE)), (1, vec![], vec![]));
}

#[tokio::test]
async fn one_of_three_refused_is_the_only_one_in_the_report() {
    let stage = Stage::new(own_clock!()).await;
    stage.world().script("far.test", &[Mood::Up(&[("RCPT TO:<two@", Act::Says("550 5.1.1 no such user"))])]);
    stage.send(ALICE, &["one@far.test", "two@far.test", "three@far.test"], "hello").await;
    stage.until(6 * DAY).await;
    let recipients: Vec<String> = stage.taken().iter().map(|taken| taken.recipient.clone()).collect();
    assert_eq!(recipients, ["one@far.test", "three@far.test"]);
    let inbox = stage.inbox(ALICE);
    assert_eq!(inbox.len(), 1);
    assert_eq!(fields(&inbox[0], "Final-Recipient"), ["rfc822; two@far.test"]);
    assert!(!inbox[0].contains("one@far.test") && !inbox[0].contains("three@far.test"), "{}", inbox[0]);
    assert_eq!(stage.visits("far.test"), [0]);
}

#[tokio::test]
async fn several_refused_at_once_share_a_report() {
    let stage = Stage::new(own_clock!()).await;
    stage.world().script("far.test", &[Mood::Up(&[(".", Act::Says("554 5.6.0 we do not like it"))])]);
    stage.send(ALICE, &["one@far.test", "two@far.test"], "hello").await;
    stage.round().await;
    let inbox = stage.inbox(ALICE);
    assert_eq!(inbox.len(), 1);
    assert_eq!(fields(&inbox[0], "Final-Recipient"), ["rfc822; one@far.test", "rfc822; two@far.test"]);
}

#[tokio::test]
async fn a_final_no_at_any_step_bounces_at_once() {
    let cases: [(&str, Acts); 5] = [
        ("greeting", &[("", Act::Says("554 5.7.1 go away"))]),
        ("mail", &[("MAIL", Act::Says("550 5.7.1 not from you"))]),
        ("rcpt", &[("RCPT", Act::Says("550 5.1.1 nobody"))]),
        ("data", &[("DATA", Act::Says("554 5.5.1 no"))]),
        ("dot", &[(".", Act::Says("552 5.3.4 too large"))]),
    ];
    let stage = Stage::new(own_clock!()).await;
    for (step, acts) in cases {
        let domain = format!("{step}.test");
        stage.world().script(&domain, &[Mood::Up(acts), WELL]);
        stage.send(ALICE, &[&format!("bob@{domain}")], step).await;
    }
    stage.until(DAY).await;
    assert_eq!(stage.inbox(ALICE).len(), cases.len());
    assert!(stage.inbox(ALICE).iter().all(|report| fields(report, "Action") == ["failed"]));
    assert_eq!((stage.taken().len(), stage.queue()), (0, vec![]));
    assert!(cases.iter().all(|(step, _)| stage.visits(&format!("{step}.test")) == [0]));
}

#[tokio::test]
async fn a_no_for_now_at_any_step_is_tried_again() {
    let cases: [(&str, Acts); 7] = [
        ("greeting", &[("", Act::Says("421 4.3.2 too busy"))]),
        ("hello", &[("EHLO", Act::Says("450 4.3.2 too busy"))]),
        ("mail", &[("MAIL", Act::Says("451 4.3.0 later"))]),
        ("rcpt", &[("RCPT", Act::Says("450 4.2.1 mailbox busy"))]),
        ("data", &[("DATA", Act::Says("451 4.3.0 later"))]),
        ("dot", &[(".", Act::Says("452 4.3.1 no room"))]),
        ("closing", &[(".", Act::Says("421 4.3.0 closing"))]),
    ];
    let stage = Stage::new(own_clock!()).await;
    for (step, acts) in cases {
        let domain = format!("{step}.test");
        stage.world().script(&domain, &[Mood::Up(acts), WELL]);
        stage.send(ALICE, &[&format!("bob@{domain}")], step).await;
    }
    stage.until(DAY).await;
    for (step, _) in cases {
        assert_eq!(stage.visits(&format!("{step}.test")), [0, 5 * MINUTE], "{step}");
        assert_eq!(stage.copies(&format!("bob@{step}.test"), step), 1, "{step}");
    }
    assert_eq!((stage.inbox(ALICE), stage.queue()), (vec![], vec![]));
}

#[tokio::test]
async fn silence_and_a_broken_line_at_any_step_lose_nothing() {
    let cases: [(&str, Acts, usize); 8] = [
        ("mute", &[("", Act::Hangs)], 1),
        ("mute-at-rcpt", &[("RCPT", Act::Hangs)], 1),
        ("mute-after-dot", &[(".", Act::Hangs)], 1),
        ("cut-at-once", &[("", Act::Drops)], 1),
        ("cut-at-rcpt", &[("RCPT", Act::Drops)], 1),
        ("cut-at-data", &[("DATA", Act::Drops)], 1),
        ("cut-after-dot", &[(".", Act::Drops)], 1),
        // Nobody can know: twice is better than never.
        ("taken-and-cut", &[(".", Act::TakesAndDrops)], 2),
    ];
    let stage = Stage::new(own_clock!()).await;
    for (step, acts, _) in cases {
        let domain = format!("{step}.test");
        stage.world().script(&domain, &[Mood::Up(acts), WELL]);
        stage.send(ALICE, &[&format!("bob@{domain}")], step).await;
    }
    stage.until(DAY).await;
    for (step, _, copies) in cases {
        assert_eq!(stage.visits(&format!("{step}.test")), [0, 5 * MINUTE], "{step}");
        assert_eq!(stage.copies(&format!("bob@{step}.test"), step), copies, "{step}");
    }
    assert_eq!((stage.inbox(ALICE), stage.queue()), (vec![], vec![]));
}

#[tokio::test]
async fn a_line_cut_before_a_word_costs_no_time() {
    let stage = Stage::set(own_clock!(), |settings| settings.queue.connections_per_host_max = 1).await;
    // Tired after the first mail, as a server that counts.
    stage.world().script("far.test", &[Mood::Up(&[("MAIL FROM:<two", Act::Says("421 4.7.0 enough"))]), WELL]);
    stage.world().script("near.test", &[Mood::Up(&[("MAIL FROM:<two", Act::Drops)]), WELL]);
    for host in ["far.test", "near.test"] {
        for sender in ["one@crepes.test", "two@crepes.test", "three@crepes.test"] {
            stage.send(sender, &[&format!("bob@{host}")], "hello").await;
        }
    }
    stage.round().await;
    for host in ["far.test", "near.test"] {
        assert_eq!(stage.visits(host), [0, 0], "{host}");
        assert_eq!(stage.copies(&format!("bob@{host}"), "hello"), 3, "{host}");
    }
    assert_eq!(stage.queue(), []);
}

#[tokio::test]
async fn a_mail_that_makes_a_server_hang_up_waits_alone() {
    let stage = Stage::set(own_clock!(), |settings| settings.queue.connections_per_host_max = 1).await;
    stage.world().script("far.test", &[Mood::Up(&[("MAIL FROM:<one", Act::Drops)])]);
    for sender in ["one@crepes.test", "two@crepes.test", "three@crepes.test"] {
        stage.send(sender, &[FAR], "hello").await;
    }
    stage.round().await;
    assert_eq!(stage.copies(FAR, "hello"), 2);
    let queue = stage.queue();
    assert_eq!((queue.len(), &queue[0].sender[..], queue[0].recipients[0].attempts), (1, "one@crepes.test", 1));
    assert_eq!(stage.visits("far.test").len(), 3, "it was tried twice, and the others over one connection");
}

#[tokio::test]
async fn an_address_that_cannot_be_said_fails_alone() {
    let stage = Stage::new(own_clock!()).await;
    stage.world().script("far.test", &[WELL]);
    stage.send(ALICE, &[FAR, "bob smith@far.test"], "hello").await;
    stage.send("not an address", &[FAR], "astray").await;
    stage.until(6 * DAY).await;
    assert_eq!((stage.copies(FAR, "hello"), stage.taken().len()), (1, 1));
    assert_eq!(stage.queue(), []);
}
