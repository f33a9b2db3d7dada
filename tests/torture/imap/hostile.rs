//! Hostile commands, and peers that do not listen: each is refused or obeyed within its limits, and others are served meanwhile.

use super::Client;
use crate::BINARY;
use crate::ftp::memory_kib;
use harness::{Server, comes_down};
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};
use std::io::Write;

/// One whose literals are not taken may cost so much: what is read ahead, with the allocator's part.
const COST_MAX_KIB: u64 = 512;
/// All that commands at their limits may leave behind, after what is paid once. Most of what is allowed here and below is the
/// allocator's, which gives back what was freed when it pleases.
const LEFT_MAX_KIB: u64 = 32 * 1024;
/// What twenty who do not listen may cost together, whatever they ask for: each asks for 50 MB, and for more without end.
const DEAF_MAX_KIB: u64 = 128 * 1024;
const MESSAGES: usize = 500;

fn serve() -> Server {
    Server::serve_files(BINARY, "127.0.0.1", "[limits]\nconnections_per_address_max = 1000\n")
}

fn bob(server: &Server) -> Client {
    Client::log_in(server.address("imap"), "bob@hamburger.test very-hungry").expect("a session")
}

/// A session in a mailbox with messages of so many octets.
fn in_mailbox(server: &Server, messages: usize, octets: usize) -> Client {
    let mut client = bob(server);
    let text = format!("Subject: pickles\r\n\r\n{}", "pickles\r\n".repeat(octets / 9));
    let one = format!("{{{}+}}\r\n{text}", text.len());
    for _ in 0..messages / 100 {
        client.must(&format!("APPEND INBOX {}", [one.as_str(); 100].join(" "))).expect("an answer");
    }
    client.must("SELECT INBOX").expect("an answer");
    client
}

#[test]
fn literals_that_are_announced_and_never_come_cost_nothing() {
    const DEAF: usize = 20;
    let server = serve();
    let mut witness = bob(&server);
    for command in [
        "LOGIN {4294967295}",
        "LOGIN {18446744073709551615}",
        "LOGIN {99999999999999999999999999}",
        "AUTHENTICATE {4294967295}",
        "NOOP {4294967295}",
    ] {
        let mut client = Client::connect(server.address("imap")).expect("a session");
        let end = client.ask(command).expect("an answer").end;
        assert!(end.starts_with("BAD") || end.starts_with("NO"), "{command}: {end}");
    }
    for command in [
        "APPEND INBOX {4294967295}",
        "APPEND INBOX ~{18446744073709551615}",
        "APPEND {4294967295}",
        "SEARCH TEXT {4294967295}",
        "CREATE {1048576}",
        "ID (\"name\" {100000000})",
    ] {
        let end = witness.ask(command).expect("an answer").end;
        assert!(end.starts_with("BAD") || end.starts_with("NO"), "{command}: {end}");
    }
    // What is sent without being asked for is thrown away, or the connection ends.
    let before = memory_kib(server.pid());
    let floods: Vec<Client> = (0..DEAF)
        .map(|number| {
            let mut client = bob(&server);
            let command = ["APPEND INBOX", "CREATE", "SEARCH TEXT", "APPEND INBOX UTF8 ("][number % 4];
            client.say(&format!("{command} {{300000000+}}")).expect("the server listens");
            let stretch = vec![b'x'; 1 << 20];
            for _ in 0..64 {
                if client.send(&stretch).is_err() {
                    break;
                }
                witness.must("NOOP").expect("others are served");
            }
            client
        })
        .collect();
    let cost = || memory_kib(server.pid()).saturating_sub(before) / DEAF as u64;
    eprintln!(
        "each flood of a literal costs {} KiB",
        comes_down("KiB for each flood of a literal", COST_MAX_KIB, cost)
    );
    drop(floods);
}

#[test]
fn sets_trees_and_nesting_are_bounded() {
    let server = serve();
    let mut client = in_mailbox(&server, MESSAGES, 2_000);
    let sets = ["1:4294967295,".repeat(4_000) + "1", "4294967295:1,*:1,".repeat(3_000) + "*"];
    let comb = (1..10_000).map(|at| (2 * at).to_string()).collect::<Vec<_>>().join(",");
    let before = {
        // What is paid once is paid.
        client.must("UID FETCH 1:* (FLAGS ENVELOPE)").expect("an answer");
        client.must("SEARCH BODY nowhere").expect("an answer");
        memory_kib(server.pid())
    };
    for set in &sets {
        let told = client.must(&format!("UID FETCH {set} (UID)")).expect("an answer").told;
        assert_eq!(told.len(), MESSAGES);
        client.must(&format!("UID STORE {set} +FLAGS.SILENT (pickled)")).expect("an answer");
        let told = client.must(&format!("SEARCH {set}")).expect("an answer").told;
        assert_eq!(told[0].split(' ').count(), 2 + MESSAGES);
    }
    let told = client.must(&format!("UID FETCH {comb} (UID)")).expect("an answer").told;
    assert_eq!(told.len(), MESSAGES / 2);

    let nested = |open: &str, close: &str, count: usize| open.repeat(count) + "ALL" + &close.repeat(count);
    let wide = |key: &str, count: usize| key.repeat(count) + "ALL";
    for program in [
        nested("(", ")", 30_000),
        nested("NOT ", "", 15_000),
        nested("OR ALL ", "", 8_000),
        nested("OR ", " ALL", 8_000),
        nested("FUZZY ", "", 8_000),
        wide("TEXT pickles ", 4_000),
        wide("NOT SEEN ", 5_000),
    ] {
        let end = client.ask(&format!("SEARCH {program}")).expect("an answer").end;
        assert!(end.starts_with("BAD") || end.starts_with("NO"), "{}…: {end}", &program[..20]);
    }
    // At the limits they are obeyed.
    client.must(&format!("SEARCH {}", nested("NOT ", "", 30))).expect("an answer");
    let told = client.must(&format!("SEARCH {}", wide("BODY pickles ", 900))).expect("an answer").told;
    assert_eq!(told[0].split(' ').count(), 2 + MESSAGES);

    for command in [
        format!("FETCH 1 ({})", "BODY.PEEK[] ".repeat(5_000).trim_end()),
        format!("FETCH 1 BODY.PEEK[{}1]", "1.".repeat(10_000)),
        format!("FETCH 1 BODY.PEEK[HEADER.FIELDS ({})]", "Subject ".repeat(7_000).trim_end()),
        format!("STORE 1 FLAGS ({})", (0..9_000).map(|at| format!("k{at}")).collect::<Vec<_>>().join(" ")),
        format!("LIST \"\" {}", "*a".repeat(10_000)),
        format!("CREATE {}", "a/".repeat(20_000)),
        format!("SORT ({}) UTF-8 ALL", "REVERSE ".repeat(8_000).trim_end()),
        format!("NOTIFY SET {}", "(INBOXES (MessageNew)) ".repeat(2_000).trim_end()),
        format!("GENURLAUTH imap://bob@h/{}/;uid=1;urlauth=anonymous INTERNAL", "a".repeat(50_000)),
        format!("GENURLAUTH {}", "imap://bob@h/a/;uid=1;urlauth=anonymous INTERNAL ".repeat(65).trim_end()),
        format!("GENURLAUTH \"imap://bob@h/a/;uid=1{};urlauth=anonymous\" INTERNAL", "/;section=1".repeat(500)),
        format!("URLFETCH {}", "x ".repeat(65).trim_end()),
        format!("RESETKEY INBOX {}", "INTERNAL ".repeat(17).trim_end()),
        "(".repeat(60_000),
        "x".repeat(60_000),
    ] {
        let end = client.ask(&command).expect("an answer").end;
        assert!(end.starts_with("BAD") || end.starts_with("NO"), "{}…: {end}", &command[..40]);
        client.must("NOOP").expect("the session goes on");
    }
    // RFC 4467 §7: a URL that cannot be is NIL, however long it is.
    let url = format!("imap://bob@h/{}/;uid=1;urlauth=anonymous:internal:{}", "a/".repeat(8_000), "0".repeat(40_000));
    let told = client.must(&format!("URLFETCH \"{url}\" \"{}\"", ";urlauth=".repeat(200))).expect("an answer").told;
    assert!(told.len() == 2 && told.iter().all(|line| line.ends_with(" NIL")), "{told:?}");
    let left = || memory_kib(server.pid()).saturating_sub(before);
    eprintln!("hostile commands leave {} KiB", comes_down("KiB that hostile commands leave", LEFT_MAX_KIB, left));
}

#[test]
fn searches_that_are_kept_up_to_date_are_bounded() {
    const WISHED: usize = 40;
    /// A session keeps a mebibyte of them at most, and one search of one key list.
    const FOLLOWED_MAX_KIB: u64 = 16 * 1024;
    let server = serve();
    let mut client = in_mailbox(&server, MESSAGES, 100);
    let comb = (1..5_000).map(|at| (2 * at).to_string()).collect::<Vec<_>>().join(",");
    let texts = format!("NOT SUBJECT {} ", "x".repeat(1_000)).repeat(20);
    let before = {
        client.must(&format!("UID SEARCH RETURN (COUNT) {texts}UID {comb}")).expect("an answer");
        memory_kib(server.pid())
    };
    let (mut followed, mut refused) = (0, 0);
    for at in 0..WISHED {
        let command = format!("s{at} UID SEARCH RETURN (UPDATE COUNT) {texts}UID {comb}\r\n");
        client.send(command.as_bytes()).expect("the server listens");
        loop {
            let line = client.hear().expect("an answer");
            refused += usize::from(line.starts_with(&format!("* NO [NOUPDATE \"s{at}\"]")));
            if line.starts_with(&format!("s{at} ")) {
                followed += usize::from(line.starts_with(&format!("s{at} OK")));
                break;
            }
        }
    }
    assert_eq!(followed, WISHED, "each is answered");
    assert!((1..=16).contains(&(WISHED - refused)), "{refused} were not kept up to date");
    let told = client.must("STORE 1:* +FLAGS.SILENT (\\Seen)").expect("an answer").told;
    assert!(told.is_empty(), "{told:?}");
    client.must(&format!("CANCELUPDATE{}", " \"s0\"".repeat(64))).expect("an answer");
    for command in [format!("CANCELUPDATE{}", " \"s0\"".repeat(65)), format!("CANCELUPDATE \"{}", "s".repeat(60_000))] {
        let end = client.ask(&command).expect("an answer").end;
        assert!(end.starts_with("BAD"), "{end}");
    }
    let left = || memory_kib(server.pid()).saturating_sub(before);
    let left = comes_down("KiB that searches kept up to date leave", FOLLOWED_MAX_KIB, left);
    eprintln!("searches that are kept up to date leave {left} KiB");
}

#[test]
fn messages_that_are_nested_without_end_are_taken_and_shown() {
    const DEPTH: usize = 20_000;
    let server = serve();
    let mut client = bob(&server);
    let multiparts: String = (0..DEPTH)
        .map(|depth| format!("Content-Type: multipart/mixed; boundary=b{depth}\r\n\r\n--b{depth}\r\n"))
        .collect();
    let messages = "Content-Type: message/rfc822\r\n\r\n".repeat(DEPTH);
    let parts =
        format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}--b--\r\n", "--b\r\n\r\n\r\n".repeat(DEPTH));
    let comments = format!("From: {}x@y{}\r\nSubject: comments\r\n\r\n", "(".repeat(DEPTH), ")".repeat(DEPTH));
    let people = format!("To: {}z@y\r\n\r\n", "a@b,\r\n ".repeat(DEPTH));
    let references = format!("References: {}\r\n\r\n", "<a@b>\r\n ".repeat(DEPTH));
    for text in [multiparts, messages, parts, comments, people, references] {
        client.append("INBOX", &text).expect("an answer");
    }
    client.must("SELECT INBOX").expect("an answer");
    let told = client.must("FETCH 1:* (ENVELOPE BODYSTRUCTURE BODY PREVIEW RFC822.SIZE)").expect("an answer").told;
    assert_eq!(told.len(), 6);
    let deep = "1.".repeat(49);
    client.must(&format!("FETCH 1:* (BODY.PEEK[{deep}1] BINARY.SIZE[1])")).expect("an answer");
    client.must("THREAD REFERENCES UTF-8 ALL").expect("an answer");
    client.must("SORT (FROM SUBJECT) UTF-8 TEXT nowhere").expect("an answer");
}

#[test]
fn who_does_not_listen_is_not_read_and_costs_little() {
    const DEAF: usize = 20;
    const SYSTEM_BUFFER: usize = 64 * 1024;
    let server = serve();
    let mut witness = in_mailbox(&server, MESSAGES, 100_000);
    witness.must("FETCH 1:* (BODY.PEEK[])").expect("an answer");
    let before = memory_kib(server.pid());
    for flood in
        ["t NOOP\r\n", "t FETCH 1:* (BODY.PEEK[])\r\n", "t FETCH 1:* (ENVELOPE FLAGS)\r\n", "t LIST \"\" *\r\n", "\r\n"]
    {
        // They say as much as is taken, and do not listen.
        let deaf: Vec<Client> = (0..DEAF)
            .map(|_| {
                let mut client = bob(&server);
                client.must("EXAMINE INBOX").expect("an answer");
                let stream = client.stream.get_mut();
                stream.set_nonblocking(true).expect("a socket option");
                // What the system takes on both sides is not what is looked at here.
                set_socket_recv_buffer_size(&*stream, SYSTEM_BUFFER).expect("a socket option");
                set_socket_send_buffer_size(&*stream, SYSTEM_BUFFER).expect("a socket option");
                let flood = flood.repeat(1 + 50_000 / flood.len());
                let mut full = 0;
                // When the system's buffers are full thrice in a row, the server has stopped reading; or it has hung up.
                while full < 3 {
                    full = if stream.write(flood.as_bytes()).is_ok_and(|taken| taken > 0) { 0 } else { full + 1 };
                    witness.must("NOOP").expect("others are served");
                }
                client
            })
            .collect();
        let what = format!("KiB for {DEAF} who do not listen, {flood:?}");
        let cost = comes_down(&what, DEAF_MAX_KIB, || memory_kib(server.pid()).saturating_sub(before));
        eprintln!("{DEAF} who do not listen cost {cost} KiB: {flood:?}");
        drop(deaf);
    }
}

#[test]
fn a_pipeline_is_answered_one_by_one() {
    const COMMANDS: usize = 50_000;
    let server = serve();
    let mut client = in_mailbox(&server, 100, 100);
    let mut mouth = client.stream.get_ref().try_clone().expect("a second handle");
    let speaking = std::thread::spawn(move || {
        (0..COMMANDS / 2).try_for_each(|_| mouth.write_all(b"t NOOP\r\nt UID FETCH 7 (UID)\r\n"))
    });
    for _ in 0..COMMANDS / 2 {
        assert!(client.answer().expect("an answer").told.is_empty());
        assert_eq!(client.answer().expect("an answer").told, ["* 7 FETCH (UID 7)"]);
    }
    speaking.join().expect("no panic").expect("all was taken");
}
