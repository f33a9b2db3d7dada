//! Two Packetboats, one at 127.0.0.2 and one at 127.0.0.3, and a DNS between them.
//!
//! Crepes has Alice, Hamburger has Bob. Each finds the other by MX, and encrypts what it sends.

use super::{BINARY, log_in, plain, retrieve};
use harness::{Server, command_on, eventually, unused_port};
use message::report::{Action, DeliveryStatus};
use net::dns::Table;
use net::testing::Responder;
use std::net::{IpAddr, SocketAddr, TcpListener};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// Login and password.
const ALICE: (&str, &str) = ("alice", "many-pickles");
const BOB: (&str, &str) = ("bob", "very-hungry");

/// The part of the world that these two can see.
struct Sea {
    crepes: Boat,
    hamburger: Boat,
    _dns: Names,
}

struct Boat {
    server: Server,
    configuration: String,
    folder: TempDir,
}

/// A DNS server, and the runtime that it lives in.
struct Names {
    responder: Option<Responder>,
    runtime: Runtime,
}

impl Names {
    fn new(table: Table) -> Names {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let responder = runtime.block_on(Responder::start(table)).expect("a free port");
        Names { responder: Some(responder), runtime }
    }

    fn address(&self) -> SocketAddr {
        self.responder.as_ref().expect("it stands until the end").address()
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        let _inside = self.runtime.enter();
        self.responder = None;
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A port that is free at both addresses.
fn common_port(one: &str, other: &str) -> u16 {
    const TRIES_MAX: usize = 50;
    let ports = (0..TRIES_MAX).map(|_| unused_port(one));
    ports.into_iter().find(|port| TcpListener::bind((other, *port)).is_ok()).expect("a port that is free twice")
}

impl Sea {
    fn new() -> Sea {
        let names = Names::new(
            Table::new()
                .mx("crepes.test", 10, "mail.crepes.test")
                .mx("hamburger.test", 10, "gone.hamburger.test")
                .mx("hamburger.test", 20, "mail.hamburger.test")
                .mx("nomail.test", 0, ".")
                .address("mail.crepes.test", ip("127.0.0.2"))
                .address("mail.hamburger.test", ip("127.0.0.3"))
                // The better exchanger of Hamburger is never there.
                .address("gone.hamburger.test", ip("127.0.0.4")),
        );
        let port = common_port("127.0.0.2", "127.0.0.3");
        let crepes = Boat::new("crepes.test", "127.0.0.2", port, &names, ALICE);
        let hamburger = Boat::new("hamburger.test", "127.0.0.3", port, &names, BOB);
        Sea { crepes, hamburger, _dns: names }
    }
}

impl Boat {
    fn new(domain: &str, address: &str, port: u16, names: &Names, (name, password): (&str, &str)) -> Boat {
        let folder = tempfile::tempdir().expect("a directory");
        let data = folder.path().join("data");
        let tell = |arguments: &[&str], input: &str| {
            let done = command_on(BINARY, &data, arguments, input);
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        };
        tell(&["domain", "add", domain], "");
        tell(&["account", "add", &format!("{name}@{domain}")], password);
        let configuration = format!(
            "host_name = 'mail.{domain}'\ndata_dir = '{}'\n\
             [log]\nlevel = 'error'\n\
             [listen]\nsmtp = ['{address}:{port}']\nsubmission = ['{address}:0']\npop3 = ['{address}:0']\nsubmissions = []\npop3s = []\nimap = []\nimaps = []\nftp = []\nftps = []\n\
             [queue]\nport = {port}\nsource_address = '{address}'\n\
             [dns]\nservers = ['{}']\n",
            data.display(),
            names.address(),
        );
        Boat { server: Server::serve_in(BINARY, folder.path(), &configuration), configuration, folder }
    }

    /// Serves again after a stop.
    fn return_to_sea(&mut self) {
        self.server = Server::serve_in(BINARY, self.folder.path(), &self.configuration);
    }

    fn tell(&self, arguments: &[&str]) {
        let done = self.server.command(arguments);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// A user of this boat sends a mail.
    fn submit(&self, (login, password): (&str, &str), sender: &str, params: &str, recipient: &str, text: &str) {
        let mut smtp = self.server.speak("submission");
        smtp.play("S: 220 ~\nC: EHLO client.test");
        smtp.reply().expect("keywords");
        let plain = plain(login, password);
        smtp.play(&format!(
            "C: AUTH PLAIN {plain}
             S: 235 ~
             C: MAIL FROM:<{sender}>{params}
             S: 250 ~
             C: RCPT TO:<{recipient}>
             S: 250 ~
             C: DATA
             S: 354 ~"
        ));
        smtp.send_text(format!("From: <{sender}>\r\nTo: <{recipient}>\r\n{text}").as_bytes());
        smtp.play("S: 250 2.0.0 ~\nC: QUIT\nS: 221 ~");
    }

    /// Waits for a user's mail, which is the only one, fetches and deletes it.
    fn fetch(&self, (login, password): (&str, &str)) -> String {
        let message = eventually("the mail is there", || {
            let mut pop3 = log_in(&self.server, login, password);
            pop3.say("STAT");
            let there = pop3.expect("+OK ~") != "+OK 0 0";
            let message = there.then(|| {
                let message = retrieve(&mut pop3, 1);
                pop3.play("C: STAT\nS: +OK 1 ~\nC: DELE 1\nS: +OK~");
                message
            });
            // The maildrop is free again once the farewell is heard.
            pop3.play("C: QUIT\nS: +OK~");
            message
        });
        String::from_utf8(message).expect("text")
    }

    fn alice_fetches(&self) -> String {
        self.fetch(ALICE)
    }

    fn bob_fetches(&self) -> String {
        self.fetch(BOB)
    }

    fn has_an_empty_queue(&self) {
        eventually("the queue is empty", || {
            let output = self.server.command(&["queue", "list", "--json"]);
            (output.stdout.trim_ascii_end() == br#"{"queue":[]}"#).then_some(())
        });
    }
}

/// The value of the first field of this name, unfolded.
fn field(message: &str, name: &str) -> String {
    let at = message.find(&format!("\r\n{name}: ")).unwrap_or_else(|| panic!("no {name} in {message}"));
    let rest = &message[at + name.len() + 4..];
    let mut lines = rest.split("\r\n");
    let first = lines.next().unwrap_or_default().to_string();
    lines.take_while(|line| line.starts_with([' ', '\t'])).fold(first, |value, line| value + " " + line.trim_start())
}

/// What a report says of its only recipient: address, action, code, and what was said or found.
fn told(report: &str) -> (String, Action, String, String) {
    assert!(report.starts_with("Return-Path: <>\r\n"), "{report}");
    let mut status = DeliveryStatus::find(report.as_bytes()).unwrap_or_else(|| panic!("no report: {report}"));
    assert_eq!(status.recipients.len(), 1, "{report}");
    let told = status.recipients.remove(0);
    (
        told.final_recipient.expect("an address").text,
        told.action.expect("an action"),
        told.status.expect("a code").to_string(),
        told.diagnostic.expect("a reason").text,
    )
}

#[test]
fn mail_goes_both_ways_and_encrypted() {
    let sea = Sea::new();
    sea.crepes.submit(
        ALICE,
        "alice@crepes.test",
        "",
        "bob@hamburger.test",
        "Subject: ketchup\r\n\r\nDo you like it?\r\n..\r\n",
    );
    let message = sea.hamburger.bob_fetches();
    assert!(
        message.starts_with("Return-Path: <alice@crepes.test>\r\nDelivered-To: bob@hamburger.test\r\n"),
        "{message}"
    );
    let received = field(&message, "Received");
    assert!(received.starts_with("from mail.crepes.test ") && received.contains("[127.0.0.2]"), "{received}");
    assert!(received.contains("by mail.hamburger.test with ESMTPS id "), "{received}");
    assert!(received.contains("TLS_AES_"), "{received}");
    assert_eq!(message.matches("Received: from").count(), 2, "one trace field a boat: {message}");
    assert!(message.ends_with("\r\nSubject: ketchup\r\n\r\nDo you like it?\r\n..\r\n"), "{message}");

    sea.hamburger.submit(BOB, "bob@hamburger.test", "", "alice@crepes.test", "Subject: pickles\r\n\r\nI do.\r\n");
    let message = sea.crepes.alice_fetches();
    assert!(field(&message, "Received").contains("by mail.crepes.test with ESMTPS id "), "{message}");
    assert!(message.ends_with("\r\nSubject: pickles\r\n\r\nI do.\r\n"), "{message}");
    sea.crepes.has_an_empty_queue();
    sea.hamburger.has_an_empty_queue();
}

#[test]
fn whoever_is_unknown_is_reported() {
    let sea = Sea::new();
    sea.crepes.submit(ALICE, "alice@crepes.test", "", "nobody@hamburger.test", "Subject: hello\r\n\r\nAnybody?\r\n");
    let report = sea.crepes.alice_fetches();
    let (recipient, action, status, said) = told(&report);
    assert_eq!((&recipient[..], action, &status[..]), ("nobody@hamburger.test", Action::Failed, "5.1.1"));
    assert!(said.starts_with("550 5.1.1 "), "{said}");
    assert!(report.contains("\r\nSubject: hello\r\n\r\nAnybody?\r\n"), "{report}");
    sea.crepes.has_an_empty_queue();
}

#[test]
fn a_report_comes_back_over_the_sea() {
    let sea = Sea::new();
    // Hamburger takes it, and cannot bring it where it shall go.
    sea.hamburger.tell(&["alias", "add", "list@hamburger.test", "nobody@crepes.test"]);
    sea.crepes.submit(ALICE, "alice@crepes.test", "", "list@hamburger.test", "Subject: round\r\n\r\ntrip\r\n");
    let report = sea.crepes.alice_fetches();
    assert_eq!(told(&report).0, "nobody@crepes.test");
    assert!(field(&report, "From").contains("<postmaster@mail.hamburger.test>"), "{report}");
    assert!(field(&report, "Received").contains("with ESMTPS id "), "{report}");
    sea.hamburger.has_an_empty_queue();
}

#[test]
fn addresses_beyond_ascii_cross_the_sea() {
    let sea = Sea::new();
    sea.hamburger.tell(&["alias", "add", "böb@hamburger.test", "bob@hamburger.test"]);
    let text = "Subject: Grüße\r\n\r\nGuten Appetit!\r\n";
    sea.crepes.submit(ALICE, "alice@crepes.test", " SMTPUTF8 BODY=8BITMIME", "böb@hamburger.test", text);
    let message = sea.hamburger.bob_fetches();
    assert!(message.contains("\r\nDelivered-To: böb@hamburger.test\r\n"), "{message}");
    assert!(field(&message, "Received").contains("with UTF8SMTPS id "), "{message}");
    assert!(message.ends_with("\r\nSubject: Grüße\r\n\r\nGuten Appetit!\r\n"), "{message}");

    sea.crepes.submit(ALICE, "alice@crepes.test", " SMTPUTF8", "niemänd@hamburger.test", text);
    let (recipient, action, status, _) = told(&sea.crepes.alice_fetches());
    assert_eq!((&recipient[..], action, &status[..]), ("niemänd@hamburger.test", Action::Failed, "5.1.1"));
}

#[test]
fn domains_without_mail_are_reported_at_once() {
    let sea = Sea::new();
    for (domain, code) in [("nomail.test", "5.1.10"), ("nowhere.test", "5.1.2")] {
        let recipient = format!("bob@{domain}");
        sea.crepes.submit(ALICE, "alice@crepes.test", "", &recipient, "Subject: hello\r\n\r\nhello\r\n");
        let (told, action, status, _) = told(&sea.crepes.alice_fetches());
        assert_eq!((told, action, &status[..]), (recipient, Action::Failed, code));
    }
    sea.crepes.has_an_empty_queue();
}

#[test]
fn mail_waits_for_a_boat_that_is_away() {
    let mut sea = Sea::new();
    assert!(sea.hamburger.server.stop().success());
    sea.crepes.submit(ALICE, "alice@crepes.test", "", "bob@hamburger.test", "Subject: later\r\n\r\nlater\r\n");
    eventually("the mail was tried", || {
        let list = sea.crepes.server.command(&["queue", "list", "--json"]);
        String::from_utf8_lossy(&list.stdout).contains("\"attempts\":1").then_some(())
    });
    sea.hamburger.return_to_sea();
    sea.crepes.tell(&["queue", "retry", "--domain", "hamburger.test"]);
    assert!(sea.hamburger.bob_fetches().ends_with("\r\nSubject: later\r\n\r\nlater\r\n"));
    sea.crepes.has_an_empty_queue();
}
