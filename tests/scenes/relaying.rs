//! Mail on its way out: to servers of others that do what servers do, and under the eyes of an administrator.

use super::{BINARY, log_in, plain, retrieve};
use harness::{Peer, Server, command_on, eventually, unused_port};
use message::mime::Tree;
use message::report::{Action, DeliveryStatus};
use serde_json::Value;
use std::fmt::Write;
use std::net::TcpStream;
use std::path::Path;
use tempfile::TempDir;

const PASSWORD: &str = "many-pickles";

/// Crepes, with Alice, and a route to wherever a test wants.
struct Crepes {
    folder: TempDir,
    configuration: String,
    server: Server,
}

impl Crepes {
    /// Mail to far.test goes to this port of loopback; `more` belongs to that route.
    fn sending_to(port: u16, more: &str) -> Crepes {
        let folder = tempfile::tempdir().expect("a directory");
        let data = folder.path().join("data");
        people(&data);
        let configuration = format!(
            "host_name = 'mail.crepes.test'\ndata_dir = '{}'\n\
             [log]\nlevel = 'error'\n\
             [listen]\nsmtp = ['127.0.0.1:0']\nsubmission = ['127.0.0.1:0']\npop3 = ['127.0.0.1:0']\nsubmissions = []\npop3s = []\nimap = []\nimaps = []\nftp = []\nftps = []\n\
             [queue]\nconnections_per_host_max = 1\n\
             [[route]]\ndomain = 'far.test'\nhost = '127.0.0.1'\nport = {port}\n{more}\n",
            data.display(),
        );
        let server = Server::serve_in(BINARY, folder.path(), &configuration);
        Crepes { folder, configuration, server }
    }

    /// Stops in order, and begins again.
    fn restart(&mut self) {
        assert!(self.server.stop().success());
        self.server = Server::serve_in(BINARY, self.folder.path(), &self.configuration);
    }

    /// Alice sends a mail.
    fn send(&self, recipients: &[&str], subject: &str) {
        submit(&self.server, recipients, subject);
    }

    /// A command about the queue: what it printed as JSON, and its exit code.
    fn queue(&self, arguments: &[&str]) -> (Value, Option<i32>) {
        let output = self.server.command(&[&["queue"], arguments, &["--json"]].concat());
        let text = if output.stdout.is_empty() { &output.stderr } else { &output.stdout };
        (serde_json::from_slice(text).unwrap_or_default(), output.status.code())
    }

    /// The mails in the queue.
    fn waiting(&self) -> Vec<Value> {
        self.queue(&["list"]).0["queue"].as_array().expect("a list").clone()
    }

    /// Waits until every mail in the queue was tried so often, and gives them.
    fn tried(&self, mails: usize, attempts: u64) -> Vec<Value> {
        eventually("the mail was tried", || {
            let waiting = self.waiting();
            let tried = |mail: &Value| mail["recipients"][0]["attempts"].as_u64() >= Some(attempts);
            (waiting.len() == mails && waiting.iter().all(tried)).then_some(waiting)
        })
    }

    fn empties(&self) {
        eventually("the queue is empty", || self.waiting().is_empty().then_some(()));
    }
}

fn people(data: &Path) {
    for (arguments, input) in
        [(&["domain", "add", "crepes.test"][..], ""), (&["account", "add", "alice@crepes.test"], PASSWORD)]
    {
        let done = command_on(BINARY, data, arguments, input);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

fn submit(server: &Server, recipients: &[&str], subject: &str) {
    let mut smtp = server.speak("submission");
    smtp.play("S: 220 ~\nC: EHLO client.test");
    smtp.reply().expect("keywords");
    let plain = plain("alice", PASSWORD);
    smtp.play(&format!("C: AUTH PLAIN {plain}\nS: 235 ~\nC: MAIL FROM:<alice@crepes.test>\nS: 250 ~"));
    for recipient in recipients {
        smtp.play(&format!("C: RCPT TO:<{recipient}>\nS: 250 ~"));
    }
    smtp.play("C: DATA\nS: 354 ~");
    smtp.send_text(format!("From: alice@crepes.test\r\nSubject: {subject}\r\n\r\n{subject}\r\n").as_bytes());
    smtp.play("S: 250 2.0.0 ~, queued as ~\nC: QUIT\nS: 221 ~");
}

/// Waits for so many messages in Alice's inbox, and fetches the last.
fn alice_gets(server: &Server, count: usize) -> Vec<u8> {
    eventually("Alice has the mail", || {
        let mut pop3 = log_in(server, "alice", PASSWORD);
        pop3.say("STAT");
        let there = pop3.expect("+OK ~").starts_with(&format!("+OK {count} "));
        let message = there.then(|| retrieve(&mut pop3, count));
        // The maildrop is free again once the farewell is heard.
        pop3.play("C: QUIT\nS: +OK~");
        message
    })
}

/// The subject of a text.
fn subject(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.lines().find_map(|line| line.strip_prefix("Subject: ")).expect("a subject").to_string()
}

#[test]
fn a_mail_goes_where_its_route_leads_with_our_trace_on_top() {
    let peer = Peer::start(
        "127.0.0.1:0",
        &["S: 220 far.test
           C: EHLO mail.crepes.test
           S: 250-far.test
           S: 250 SIZE
           C: MAIL FROM:<alice@crepes.test> SIZE=~
           S: 250 2.1.0 fine
           C: RCPT TO:<bob@far.test>
           S: 250 2.1.5 fine
           C: DATA
           S: 354 go on
           T:
           S: 250 2.0.0 taken
           C: QUIT
           S: 221 farewell"],
    );
    let crepes = Crepes::sending_to(peer.address().port(), "");
    crepes.send(&["bob@far.test"], "hello");
    let text = String::from_utf8(peer.finish().remove(0)).expect("text");
    let unfolded = text.replace("\r\n\t", " ");
    assert!(unfolded.starts_with("Received: from client.test by mail.crepes.test with ESMTPA id "), "{text}");
    assert!(!text.contains("127.0.0.1"), "where our users are is nobody's business: {text}");
    assert!(text.ends_with("\r\nFrom: alice@crepes.test\r\nSubject: hello\r\n\r\nhello\r\n"), "{text}");
    crepes.empties();
}

#[test]
fn tls_that_is_offered_and_fails_is_left_out_on_a_new_connection() {
    let peer = Peer::start(
        "127.0.0.1:0",
        &[
            "S: 220 far.test
             C: EHLO ~
             S: 250-far.test
             S: 250 STARTTLS
             C: STARTTLS
             S: 220 2.0.0 go ahead",
            "S: 220 far.test
             C: EHLO ~
             S: 250-far.test
             S: 250 STARTTLS
             C: MAIL FROM:<alice@crepes.test>
             S: 250 fine
             C: RCPT TO:<bob@far.test>
             S: 250 fine
             C: DATA
             S: 354 go on
             T:
             S: 250 taken
             C: QUIT
             S: 221 farewell",
        ],
    );
    let crepes = Crepes::sending_to(peer.address().port(), "");
    crepes.send(&["bob@far.test"], "hello");
    assert_eq!(subject(&peer.finish()[0]), "hello");
    crepes.empties();
}

#[test]
fn several_mails_go_over_one_connection() {
    let port = unused_port("127.0.0.1");
    let crepes = Crepes::sending_to(port, "");
    for subject in ["one", "two", "three"] {
        crepes.send(&["bob@far.test"], subject);
    }
    crepes.tried(3, 1);
    let mut dialogue = String::from("S: 220 far.test\nC: EHLO ~\nS: 250 far.test\n");
    for _ in 0..3 {
        dialogue += "C: MAIL ~\nS: 250 fine\nC: RCPT ~\nS: 250 fine\nC: DATA\nS: 354 go on\nT:\nS: 250 taken\n";
    }
    dialogue += "C: QUIT\nS: 221 farewell";
    let peer = Peer::start(("127.0.0.1", port), &[&dialogue]);
    let (done, code) = crepes.queue(&["retry", "--all"]);
    assert_eq!((done["done"].as_str(), code), (Some("3 recipients due now"), Some(0)), "{done}");
    let mut subjects: Vec<String> = peer.finish().iter().map(|text| subject(text)).collect();
    subjects.sort();
    assert_eq!(subjects, ["one", "three", "two"]);
    crepes.empties();
}

#[test]
fn content_for_nobody_is_a_dot_and_the_sender_gets_a_report() {
    let peer = Peer::start(
        "127.0.0.1:0",
        &["S: 220 far.test
           C: EHLO ~
           S: 250-far.test
           S: 250 PIPELINING
           C: MAIL FROM:<alice@crepes.test>
           C: RCPT TO:<bob@far.test>
           C: RCPT TO:<carol@far.test>
           C: DATA
           S: 250 fine
           S: 550 5.1.1 there is no bob
           S: 550 5.1.1 there is no carol
           S: 354 go on, then
           C: .
           S: 554 5.5.1 for whom?
           C: QUIT
           S: 221 farewell"],
    );
    let crepes = Crepes::sending_to(peer.address().port(), "");
    // Who is named twice is one recipient.
    crepes.send(&["bob@far.test", "carol@far.test", "bob@far.test"], "hello");
    assert!(peer.finish().is_empty());

    let message = alice_gets(&crepes.server, 1);
    let text = String::from_utf8_lossy(&message);
    assert!(text.starts_with("Return-Path: <>\r\nDelivered-To: alice@crepes.test\r\n"), "{text}");
    let tree = Tree::parse(&message);
    let root = &tree.root().content_type;
    assert!(root.is("multipart", "report"), "{text}");
    assert_eq!(root.params.text("report-type").as_deref(), Some("delivery-status"));
    let parts: Vec<String> = (1..=3)
        .map(|number| &tree.parts[tree.section(&[number]).expect("three parts")].content_type)
        .map(|kind| format!("{}/{}", kind.kind, kind.subtype))
        .collect();
    assert_eq!(parts, ["text/plain", "message/delivery-status", "message/rfc822"]);
    let status = DeliveryStatus::find(&message).expect("a status for programs");
    assert_eq!(status.reporting_mta.expect("us").text, "mail.crepes.test");
    let told: Vec<_> = status
        .recipients
        .iter()
        .map(|told| {
            let final_recipient = told.final_recipient.as_ref().expect("an address").text.clone();
            let diagnostic = told.diagnostic.as_ref().expect("what was said").text.clone();
            assert_eq!(told.remote_mta.as_ref().expect("who said so").text, "[127.0.0.1]");
            (final_recipient, told.action, told.status.expect("a code").to_string(), diagnostic)
        })
        .collect();
    let expected = |name: &str| {
        let said = format!("550 5.1.1 there is no {name}");
        (format!("{name}@far.test"), Some(Action::Failed), "5.1.1".to_string(), said)
    };
    assert_eq!(told, [expected("bob"), expected("carol")]);
    assert!(text.contains("\r\nSubject: hello\r\n\r\nhello\r\n"), "the mail goes back with it: {text}");
    crepes.empties();
}

#[test]
fn a_smarthost_gets_the_login_it_wants() {
    let peer = Peer::start(
        "127.0.0.1:0",
        &["S: 220 smart.test
           C: EHLO ~
           S: 250-smart.test
           S: 250 AUTH PLAIN LOGIN
           # crepes, cucumber
           C: AUTH PLAIN AGNyZXBlcwBjdWN1bWJlcg==
           S: 235 2.7.0 welcome
           C: MAIL FROM:<alice@crepes.test> AUTH=<>
           S: 250 fine
           C: RCPT TO:<bob@far.test>
           S: 250 fine
           C: DATA
           S: 354 go on
           T:
           S: 250 taken
           C: QUIT
           S: 221 farewell"],
    );
    let secrets = tempfile::tempdir().expect("a directory");
    let file = secrets.path().join("password");
    std::fs::write(&file, "cucumber\n").expect("a file");
    let more = format!("login = 'crepes'\npassword_file = '{}'", file.display());
    let crepes = Crepes::sending_to(peer.address().port(), &more);
    crepes.send(&["bob@far.test"], "hello");
    assert_eq!(peer.finish().len(), 1);
    crepes.empties();
}

#[test]
fn a_login_that_is_refused_keeps_the_mail() {
    let peer = Peer::start(
        "127.0.0.1:0",
        &["S: 220 smart.test\nC: EHLO ~\nS: 250-smart.test\nS: 250 AUTH PLAIN\nC: AUTH PLAIN ~\nS: 535 5.7.8 no"],
    );
    let secrets = tempfile::tempdir().expect("a directory");
    let file = secrets.path().join("password");
    std::fs::write(&file, "wrong").expect("a file");
    let crepes =
        Crepes::sending_to(peer.address().port(), &format!("login = 'crepes'\npassword_file = '{}'", file.display()));
    crepes.send(&["bob@far.test"], "hello");
    let waiting = crepes.tried(1, 1);
    let reason = waiting[0]["recipients"][0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("AUTH: 535 5.7.8 no") && !reason.contains("wrong"), "{reason}");
}

#[test]
fn an_administrator_sees_and_changes_what_waits() {
    let port = unused_port("127.0.0.1");
    let crepes = Crepes::sending_to(port, "");
    assert_eq!(crepes.queue(&["list"]), (serde_json::json!({ "queue": [] }), Some(0)));
    crepes.send(&["bob@far.test"], "one");
    crepes.send(&["carol@far.test", "dave@far.test"], "two");
    let waiting = crepes.tried(2, 1);
    let ids: Vec<&str> = waiting.iter().map(|mail| mail["mail"].as_str().expect("an id")).collect();
    assert_eq!(waiting[0]["sender"], "alice@crepes.test");

    let (shown, code) = crepes.queue(&["show", ids[1]]);
    assert_eq!(code, Some(0));
    let recipients = shown["mail"]["recipients"].as_array().expect("recipients");
    assert_eq!(recipients.len(), 2, "{shown}");
    for (recipient, address) in recipients.iter().zip(["carol@far.test", "dave@far.test"]) {
        assert_eq!(recipient["address"], address);
        assert_eq!((recipient["held"].as_bool(), recipient["host"].as_str()), (Some(false), Some("127.0.0.1")));
        assert!(recipient["reason"].as_str().is_some_and(|why| why.contains("cannot be reached")), "{recipient}");
        assert_eq!(recipient["history"].as_array().map(Vec::len), Some(1));
        assert_eq!(recipient["history"][0]["reason"], recipient["reason"]);
        assert!(recipient["next_attempt"].as_i64() > shown["mail"]["arrived_at"].as_i64());
    }

    assert_eq!(crepes.queue(&["hold", ids[1]]).0["done"], "2 recipients held");
    assert_eq!(crepes.queue(&["hold", ids[1]]).1, Some(4), "nothing would change");
    let (_, code) = crepes.queue(&["retry", "--domain", "far.test"]);
    assert_eq!(code, Some(0));
    eventually("the mail was tried again", || {
        let waiting = crepes.waiting();
        (waiting[0]["recipients"][0]["attempts"] == 2).then_some(())
    });
    assert_eq!(crepes.waiting()[1]["recipients"][0]["attempts"], 1, "what is held is not tried");
    let page = crepes.server.command(&["queue", "show", ids[0]]);
    let page = String::from_utf8_lossy(&page.stdout);
    assert_eq!(page.matches("127.0.0.1: 127.0.0.1 [127.0.0.1] cannot be reached").count(), 2, "both attempts: {page}");

    assert_eq!(crepes.queue(&["drop", ids[0]]).0["done"], "1 recipient dropped");
    let taken = "S: 220 far.test\nC: EHLO ~\nS: 250 far.test\nC: MAIL ~\nS: 250 fine\nC: RCPT TO:<carol@far.test>\nS: 250 fine\n\
                 C: RCPT TO:<dave@far.test>\nS: 250 fine\nC: DATA\nS: 354 go on\nT:\nS: 250 taken\nC: QUIT\nS: 221 farewell";
    let peer = Peer::start(("127.0.0.1", port), &[taken]);
    // Its time came while it was held.
    assert_eq!(crepes.queue(&["release", ids[1]]).0["done"], "2 recipients released");
    assert_eq!(subject(&peer.finish()[0]), "two");
    crepes.empties();

    for command in ["show", "retry", "hold", "release", "drop"] {
        for id in [ids[0], "nonsense"] {
            assert_eq!(crepes.queue(&[command, id]).1, Some(4), "{command} {id}: it is not there");
        }
    }
    assert_eq!(crepes.queue(&["drop"]).1, Some(2), "nobody said which");
    // Nobody was told of what was dropped.
    log_in(&crepes.server, "alice", PASSWORD).play("C: STAT\nS: +OK 0 0");
}

#[test]
fn what_waits_survives_a_stop() {
    let port = unused_port("127.0.0.1");
    let mut crepes = Crepes::sending_to(port, "");
    crepes.send(&["bob@far.test"], "patient");
    let before = crepes.tried(1, 1);
    crepes.restart();
    assert_eq!(crepes.waiting(), before, "the attempt, its reason and the next one are remembered");
    assert!(crepes.server.stop().success());
    let (shown, _) = crepes.queue(&["list"]);
    assert_eq!(shown["queue"].as_array(), Some(&before), "also while nobody serves");
    let taken = "S: 220 far.test\nC: EHLO ~\nS: 250 far.test\nC: MAIL ~\nS: 250 fine\nC: RCPT ~\nS: 250 fine\n\
                 C: DATA\nS: 354 go on\nT:\nS: 250 taken\nC: QUIT\nS: 221 farewell";
    let peer = Peer::start(("127.0.0.1", port), &[taken]);
    assert_eq!(crepes.queue(&["retry", "--all"]).1, Some(0), "nor does a change need a server");
    crepes.restart();
    assert_eq!(subject(&peer.finish()[0]), "patient");
    crepes.empties();
}

#[test]
fn a_stop_waits_until_the_mail_under_way_is_written_down() {
    let peer = Peer::start(
        "127.0.0.1:0",
        &["S: 220 far.test
           C: EHLO ~
           S: 250 far.test
           C: MAIL ~
           S: 250 fine
           C: RCPT ~
           S: 250 fine
           C: DATA
           S: 354 go on
           T:
           W:
           S: 250 taken
           C: QUIT
           S: 221 farewell"],
    );
    let mut crepes = Crepes::sending_to(peer.address().port(), "");
    crepes.send(&["bob@far.test"], "under way");
    peer.arrives();
    let door = crepes.server.address("smtp");
    let stopped = std::thread::scope(|scope| {
        let stopping = scope.spawn(|| crepes.server.stop());
        eventually("the house is closing", || TcpStream::connect(door).is_err().then_some(()));
        peer.go_on();
        stopping.join().expect("no panic")
    });
    assert!(stopped.success());
    assert_eq!(peer.finish().len(), 1);
    assert_eq!(crepes.waiting(), Vec::<Value>::new(), "it will not be sent twice");
}

#[test]
fn strangers_do_not_relay_and_users_do() {
    let port = unused_port("127.0.0.1");
    let crepes = Crepes::sending_to(port, "");
    let mut smtp = crepes.server.speak("smtp");
    smtp.play("S: 220 ~\nC: EHLO stranger.test");
    smtp.reply().expect("keywords");
    let mut dialogue = String::new();
    for sender in ["mallory@far.test", ""] {
        let _ = write!(dialogue, "C: MAIL FROM:<{sender}>\nS: 250 ~\n");
        for address in ["bob@far.test", "\"bob@far.test\"@far.test", "bob@[127.0.0.1]"] {
            let _ = write!(dialogue, "C: RCPT TO:<{address}>\nS: 550 5.7.1 ~\n");
        }
        // A source route is left out, and what is left decides (RFC 5321 §3.6.1).
        dialogue += "C: RCPT TO:<@crepes.test:bob@far.test>\nS: 550 5.7.1 ~\nC: RCPT TO:<nobody@crepes.test>\nS: 550 5.1.1 ~\nC: DATA\nS: 5~\nC: RSET\nS: 250 ~\n";
    }
    smtp.play(&dialogue);
    smtp.play("C: MAIL FROM:<alice@crepes.test>");
    let (code, _) = smtp.reply().expect("an answer");
    if code == 250 {
        smtp.play("C: RCPT TO:<bob@far.test>\nS: 550 5.7.1 ~");
    }
    assert_eq!(crepes.waiting(), Vec::<Value>::new());
    crepes.send(&["bob@far.test"], "mine");
    crepes.tried(1, 1);
}
