//! FTP as an administrator may have it: what is off until it is configured, and the limits.

use super::BINARY;
use super::ftp::{by_pasv, connect, on_disk};
use harness::{Server, Speaker};
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;

/// A server with these lines of configuration, at an address of its own.
pub(super) fn serving(address: &str, configuration: &str) -> Server {
    Server::serve_files(BINARY, address, configuration)
}

/// Bob is in, with TYPE I.
pub(super) fn bob(server: &Server) -> Speaker {
    let mut control = server.speak("ftp");
    control.play(
        "S: 220 ~
         C: USER bob@hamburger.test
         S: 331 ~
         C: PASS very-hungry
         S: 230 ~
         C: TYPE I
         S: 200 ~",
    );
    control
}

/// The six numbers of PORT.
fn six_numbers(address: SocketAddr) -> String {
    let (ip, port) = (address.ip().to_string().replace('.', ","), address.port());
    format!("{ip},{},{}", port >> 8, port & 255)
}

#[test]
fn a_file_goes_from_server_to_server_where_that_is_allowed() {
    let allowed = "[ftp]\nforeign_data = 'allowed'\n";
    let (source, target) = (serving("127.0.0.2", allowed), serving("127.0.0.3", allowed));
    let (mut from, mut to) = (bob(&source), bob(&target));
    assert!(put_at(&mut from, "STOR letter", b"Dear Alice").starts_with("226"));
    let meeting = by_pasv(&mut to);
    from.play(&format!("C: PORT {}\nS: 200 ~", six_numbers(meeting)));
    to.say("STOR letter");
    from.say("RETR letter");
    to.expect("1~");
    from.play("S: 150 ~\nS: 226 ~");
    to.play("S: 226 ~\nC: SIZE letter\nS: 213 10");
    // Not to the ports of services, wherever they are (RFC 2577 §3).
    from.play("C: PORT 127,0,0,3,0,25\nS: 504 ~");
}

/// Stores by PASV, which tells the address, too; gives back the final reply.
fn put_at(control: &mut Speaker, command: &str, content: &[u8]) -> String {
    let mut data = connect(by_pasv(control));
    control.say(command);
    control.expect("1~");
    data.write_all(content).expect("the server takes the data");
    drop(data);
    control.expect("~")
}

#[test]
fn no_file_goes_from_server_to_server_by_default() {
    let (source, target) = (serving("127.0.0.2", ""), serving("127.0.0.3", ""));
    let (mut from, mut to) = (bob(&source), bob(&target));
    let meeting = by_pasv(&mut to);
    from.play(&format!("C: PORT {}\nS: 504 ~", six_numbers(meeting)));
    from.play(&format!("C: EPRT |1|127.0.0.3|{}|\nS: 504 ~", meeting.port()));
}

#[test]
fn sessions_are_limited() {
    let server = serving("127.0.0.1", "[ftp]\nsessions_max = 20\nsessions_per_account_max = 2\n");
    let (first, _second) = (bob(&server), bob(&server));
    // The account has as many as it may.
    let mut third = server.speak("ftp");
    third.play("S: 220 ~\nC: USER bob@hamburger.test\nS: 331 ~\nC: PASS very-hungry\nS: 421 Too many ~");
    third.expect_close();
    drop(third);
    drop(first);
    // Whoever has gone makes room, as soon as the server has noticed.
    let _again = harness::eventually("there is room again", || {
        let mut control = server.speak("ftp");
        control.play("S: 220 ~\nC: USER bob@hamburger.test\nS: 331 ~\nC: PASS very-hungry");
        let reply = control.expect("~");
        assert!(reply.starts_with("230 ") || reply.starts_with("421 Too many "), "{reply}");
        reply.starts_with("230 ").then_some(control)
    });
    // Of all there are twenty, and nobody need have said who he is.
    let mut strangers = Vec::new();
    let full = harness::eventually("the house is full", || {
        let mut control = server.speak("ftp");
        let greeting = control.hear().expect("a greeting");
        strangers.push(control);
        (!greeting.starts_with("220 ")).then_some(greeting)
    });
    assert!(full.starts_with("421 Too many ") && strangers.len() <= 20, "{full}");
}

#[test]
fn the_operator_s_words_come_first() {
    let server = serving("127.0.0.1", "[ftp]\ngreeting = '''\nFor staff only.\nAll is logged.'''\n");
    server.speak("ftp").play("S: 220-For staff only.\nS: 220 All is logged.");
}

#[test]
fn a_limit_of_speed_holds_and_abor_is_heard_meanwhile() {
    /// So many octets may move in a second; the sockets alone take a thousand times as many at once.
    const RATE: usize = 2_000;
    let server = serving("127.0.0.1", &format!("[ftp]\nrate_per_session_bytes = {RATE}\n"));
    let mut control = bob(&server);
    assert!(put_at(&mut control, "STOR film", b"film").starts_with("226"));
    let film = File::options().write(true).open(on_disk(&server, "film").expect("it is there")).expect("it opens");
    film.set_len(50_000_000).expect("room for a hole");
    let _data = connect(by_pasv(&mut control));
    control.play("C: RETR film\nS: 125 ~");
    let first = harness::eventually("some of it has gone", || {
        control.say("STAT");
        let told = control.expect("213 Sending file /film (~ bytes)");
        let octets = told.split(['(', ' ']).filter_map(|word| word.parse::<usize>().ok()).next_back();
        octets.filter(|octets| *octets > 0)
    });
    assert!(first < 50 * RATE, "{first}");
    control.play("C: ABOR\nS: 426 ~\nS: 226 ~");
}

#[test]
fn who_has_said_farewell_keeps_no_place_from_others() {
    let server = serving("127.0.0.1", "[ftp]\nsessions_per_account_max = 1\n");
    let mut first = bob(&server);
    let meeting = by_pasv(&mut first);
    first.play("C: QUIT\nS: 221 ~");
    // Its client has not closed the connection, and may not for a while.
    let mut second = bob(&server);
    assert!(std::net::TcpStream::connect(meeting).is_err(), "nobody listens there any more");
    second.play("C: NOOP\nS: 200 ~");
    first.expect_close();
}

#[test]
fn what_runs_comes_to_its_end_while_the_server_closes() {
    let mut server = serving("127.0.0.1", "");
    let (mut busy, mut idle) = (bob(&server), bob(&server));
    let mut data = connect(by_pasv(&mut busy));
    busy.play("C: STOR letter\nS: 125 ~");
    data.write_all(b"Dear ").expect("the server takes the data");
    server.reload();
    let closed = std::thread::spawn(move || server.stop());
    idle.play("S: 421 ~");
    idle.expect_close();
    data.write_all(b"Alice").expect("the server takes the data");
    drop(data);
    busy.play("S: 226 ~\nS: 421 ~");
    busy.expect_close();
    assert!(closed.join().expect("it ends").success());
}

/// Speaks as if from elsewhere, through a proxy that says so (PROXY protocol, version 1).
fn from_afar(server: &Server, service: &str) -> Speaker {
    let mut speaker = server.speak(service);
    speaker.send(b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 21\r\n");
    speaker
}

#[test]
fn who_comes_from_afar_through_a_router_is_led_to_where_our_name_leads() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let table = net::Table::new().address("mail.hamburger.test", [203, 0, 113, 9].into());
    let dns = runtime.block_on(net::testing::Responder::start(table)).expect("a free port");
    let configuration = format!(
        "proxy_networks = ['127.0.0.1/32']\n[login]\nin_clear = 'always'\n[dns]\nservers = ['{}']\n",
        dns.address()
    );
    let server = serving("127.0.0.1", &configuration);
    for (dialled, shown) in [("10.0.0.5", "203,0,113,9"), ("203.0.113.77", "203,0,113,77")] {
        let mut control = server.speak("ftp");
        control.send(format!("PROXY TCP4 192.0.2.7 {dialled} 40000 21\r\n").as_bytes());
        control.play("S: 220 ~\nC: USER bob@hamburger.test\nS: 331 ~\nC: PASS very-hungry\nS: 230 ~");
        control.play(&format!("C: PASV\nS: 227 ~({shown},~)\nC: EPSV\nS: 229 ~(|||~|)"));
    }
    let _inside = runtime.enter();
    drop(dns);
}

#[test]
fn guessing_by_ftp_closes_the_door_of_mail_too() {
    let server = serving("127.0.0.1", "proxy_networks = ['127.0.0.1/32']\n[login]\nin_clear = 'always'\n");
    // The first failures of each name cost nothing, but those of one address over all names are counted.
    const GUESSES_MAX: usize = 200;
    let mut guesses = 0;
    while guesses < GUESSES_MAX {
        let mut control = from_afar(&server, "ftp");
        let Some(greeting) = control.hear() else { break };
        if !greeting.starts_with("220 ") {
            assert!(greeting.starts_with("421 Too many "), "{greeting}");
            break;
        }
        for name in ["one", "two"] {
            guesses += 1;
            control.play(&format!("C: USER {name}-{guesses}@hamburger.test\nS: 331 ~\nC: PASS guess"));
            // The one that was too much is answered as the others; the next is not heard any more.
            let reply = control.expect("~");
            assert!(reply.starts_with("530 ") || reply.starts_with("421 Too many "), "{reply}");
            if reply.starts_with("421 ") {
                break;
            }
        }
    }
    assert!((10..GUESSES_MAX).contains(&guesses), "{guesses}");
    let mut pop3 = from_afar(&server, "pop3");
    pop3.expect("-ERR [SYS/TEMP] Too many connections or failures from your address~");
    // Others are not concerned.
    let mut other = server.speak("ftp");
    other.send(b"PROXY TCP4 192.0.2.200 192.0.2.1 40000 21\r\n");
    other.play("S: 220 ~\nC: USER bob@hamburger.test\nS: 331 ~\nC: PASS very-hungry\nS: 230 ~");
}
