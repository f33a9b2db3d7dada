//! FTP over real sockets: one control connection, one data connection a file, state kept between them.

use super::dev;
use harness::{PATIENCE, Server, Speaker};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;

/// More than all buffers of a connection on loopback together, so that a transfer waits for its reader.
const LARGE_OCTETS: usize = 32 << 20;

/// Bob is in, with TYPE I.
pub(super) fn bob(server: &Server) -> Speaker {
    let mut control = server.speak("ftp");
    control.play(
        "S: 220 ~
         C: USER bob@hamburger.test
         S: 331 ~
         C: PASS hungry
         S: 230 ~
         C: TYPE I
         S: 200 ~",
    );
    control
}

/// Where PASV or EPSV leads.
pub(super) fn passive(control: &mut Speaker) -> SocketAddr {
    control.say("EPSV");
    let line = control.expect("229 ~");
    let port = line.split('|').nth(3).and_then(|port| port.parse().ok()).expect("(|||port|)");
    SocketAddr::new([127, 0, 0, 1].into(), port)
}

pub(super) fn by_pasv(control: &mut Speaker) -> SocketAddr {
    control.say("PASV");
    let line = control.expect("227 ~");
    let inside = line.split(['(', ')']).nth(1).expect("parentheses");
    let numbers: Vec<u8> = inside.split(',').map(|number| number.parse().expect("an octet")).collect();
    let [a, b, c, d, high, low] = numbers[..] else { panic!("six numbers: {line}") };
    SocketAddr::new([a, b, c, d].into(), u16::from_be_bytes([high, low]))
}

pub(super) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("a data connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket option");
    stream.set_write_timeout(Some(PATIENCE)).expect("a socket option");
    stream
}

pub(super) fn all_of(mut data: TcpStream) -> Vec<u8> {
    let mut octets = Vec::new();
    data.read_to_end(&mut octets).expect("the data, whole");
    octets
}

/// Fetches or lists: the command over a new data connection.
pub(super) fn get(control: &mut Speaker, command: &str) -> Vec<u8> {
    let data = connect(passive(control));
    control.say(command);
    control.expect("1~");
    let octets = all_of(data);
    control.expect("226 ~");
    octets
}

/// Stores, and gives back the final reply.
pub(super) fn put(control: &mut Speaker, command: &str, content: &[u8]) -> String {
    let mut data = connect(passive(control));
    control.say(command);
    control.expect("1~");
    data.write_all(content).expect("the server takes the data");
    drop(data);
    control.expect("~")
}

pub(super) fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).expect("text")
}

/// Where an account's file lies on disk, whichever account has one of this name.
pub(super) fn on_disk(server: &Server, name: &str) -> Option<PathBuf> {
    let spaces = std::fs::read_dir(server.data_dir().join("files")).expect("file spaces");
    spaces.map(|space| space.expect("a space").path().join(name)).find(|path| path.exists())
}

/// All names in all spaces that end like this.
fn names(server: &Server) -> Vec<String> {
    let spaces = std::fs::read_dir(server.data_dir().join("files")).expect("file spaces");
    let inside = spaces.flat_map(|space| std::fs::read_dir(space.expect("a space").path()).expect("a directory"));
    inside.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn the_textbook_s_session() {
    let server = dev();
    let mut control = bob(&server);
    // The client comes first: 125.
    let data = connect(by_pasv(&mut control));
    control.play("C: LIST\nS: 125 ~");
    let listing = text(&all_of(data));
    control.expect("226 ~");
    assert!(listing.contains("readme.txt\r\n") && listing.lines().any(|line| line.starts_with('d')), "{listing}");
    // The command comes first: 150.
    let address = by_pasv(&mut control);
    control.play("C: RETR readme.txt\nS: 150 ~(60 bytes)");
    assert!(text(&all_of(connect(address))).starts_with("These are Bob's files.\n"));
    control.expect("226 ~");
    // The server dials.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    control.play(&format!("C: PORT 127,0,0,1,{},{}\nS: 200 ~\nC: STOR letter\nS: 150 ~", port >> 8, port & 255));
    let (mut data, _) = listener.accept().expect("the server's connection");
    data.write_all(b"Dear Alice").expect("the server takes it");
    drop(data);
    control.play("S: 226 ~\nC: QUIT\nS: 221 ~");
    control.expect_close();
    let stored = on_disk(&server, "letter").expect("it is on disk when 226 was said");
    assert_eq!(std::fs::read(stored).expect("a file"), b"Dear Alice");
}

#[test]
fn a_file_s_life() {
    let server = dev();
    let mut control = bob(&server);
    control.play("C: MKD new\nS: 257 \"/new\"~\nC: CWD new\nS: 250 ~\nC: PWD\nS: 257 \"/new\"~");
    assert!(put(&mut control, "STOR a b.txt", b"one\n").starts_with("226"));
    assert!(put(&mut control, "APPE a b.txt", b"two\n").starts_with("226"));
    control.play("C: SIZE a b.txt\nS: 213 8");
    control.play("C: REST 4\nS: 350 ~");
    assert_eq!(get(&mut control, "RETR a b.txt"), b"two\n");
    control.play("C: REST 4\nS: 350 ~");
    assert!(put(&mut control, "STOR a b.txt", b"2\n").starts_with("226"));
    assert_eq!(get(&mut control, "RETR a b.txt"), b"one\n2\n", "REST and STOR: what is behind the offset goes");
    control.play("C: REST 7\nS: 350 ~");
    passive(&mut control);
    control.play("C: STOR a b.txt\nS: 554 ~");
    control.play("C: MFMT 19991231235959 a b.txt\nS: 213 ~\nC: MDTM a b.txt\nS: 213 19991231235959");
    control.play("C: XCRC a b.txt\nS: 250 ~");
    control.play("C: HASH a b.txt\nS: 213 SHA-256 0-5 ~ a b.txt");
    assert_eq!(get(&mut control, "NLST"), b"a b.txt\r\n");
    let facts = text(&get(&mut control, "MLSD"));
    assert!(facts.contains("type=file;size=6;modify=19991231235959;") && facts.ends_with("; a b.txt\r\n"), "{facts}");
    control.play("C: RNFR a b.txt\nS: 350 ~\nC: RNTO ../c.txt\nS: 250 ~");
    control.play("C: RNFR a b.txt\nS: 550 ~");
    control.play("C: CDUP\nS: 250 ~\nC: RMD new\nS: 250 ~\nC: DELE c.txt\nS: 250 ~\nC: DELE c.txt\nS: 550 ~");
    assert!(get(&mut control, "NLST -a /recipes/*.nothing").is_empty());
    assert_eq!(get(&mut control, "NLST recipes/p*"), b"recipes/pickles.txt\r\n");
}

#[test]
fn lines_are_translated_in_type_a() {
    let server = dev();
    let mut control = bob(&server);
    control.play("C: TYPE A\nS: 200 ~");
    assert!(put(&mut control, "STOR lines", b"one\r\ntwo\r\n").starts_with("226"));
    assert_eq!(get(&mut control, "RETR lines"), b"one\r\ntwo\r\n");
    control.play("C: TYPE I\nS: 200 ~");
    assert_eq!(get(&mut control, "RETR lines"), b"one\ntwo\n");
}

#[test]
fn two_uploads_without_a_name_are_two_files() {
    let server = dev();
    let mut control = bob(&server);
    for content in [b"one", b"two"] {
        let mut data = connect(passive(&mut control));
        control.play("C: STOU\nS: 125 FILE: ~");
        data.write_all(content).expect("the server takes it");
        drop(data);
        control.expect("226 ~");
    }
    assert_eq!(names(&server).iter().filter(|name| name.starts_with("upload")).count(), 2);
}

#[test]
fn active_by_eprt_and_never_to_others() {
    let server = dev();
    let mut control = bob(&server);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    control.play(&format!("C: EPRT |1|127.0.0.1|{port}|\nS: 200 ~\nC: NLST\nS: 150 ~"));
    let (data, _) = listener.accept().expect("the server's connection");
    assert_eq!(all_of(data), b"readme.txt\r\nrecipes\r\nshared\r\n");
    control.expect("226 ~");
    // RFC 2577 §3: neither elsewhere, nor to the ports of services.
    control.play("C: PORT 127,0,0,2,200,1\nS: 5~\nC: PORT 127,0,0,1,0,25\nS: 5~\nC: EPRT |1|192.0.2.1|5000|\nS: 5~");
    // Nobody listens where it dials.
    let closed = harness::unused_port("127.0.0.1");
    control.play(&format!("C: EPRT |1|127.0.0.1|{closed}|\nS: 200 ~\nC: NLST\nS: 150 ~\nS: 425 ~\nC: NOOP\nS: 200 ~"));
}

#[test]
fn a_stranger_gets_no_data_and_keeps_nobody_out() {
    let server = dev();
    let mut control = bob(&server);
    let address = passive(&mut control);
    let mut stranger = stranger(address);
    control.play("C: RETR readme.txt\nS: 150 ~");
    let mut heard = Vec::new();
    // It is closed, perhaps by a reset; what counts is that nothing was said.
    let _ = stranger.read_to_end(&mut heard);
    assert_eq!(heard, b"");
    assert!(all_of(connect(address)).starts_with(b"These are Bob's files."));
    control.expect("226 ~");
}

/// A connection from another address of this machine.
fn stranger(address: SocketAddr) -> TcpStream {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into()).expect("another address");
    socket.connect_timeout(&address.into(), PATIENCE).expect("the port is open to see");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket option");
    socket.into()
}

#[test]
fn a_download_is_aborted_and_the_session_goes_on() {
    let server = dev();
    let mut control = bob(&server);
    assert!(put(&mut control, "STOR large", &vec![7; LARGE_OCTETS]).starts_with("226"));
    let mut data = connect(passive(&mut control));
    control.play("C: RETR large\nS: 125 ~");
    data.read_exact(&mut [0; 1000]).expect("it has begun");
    control.play("C: STAT\nS: 213 ~");
    control.play("C: ABOR\nS: 426 ~\nS: 226 ~\nC: NOOP\nS: 200 ~");
    let mut rest = Vec::new();
    let _ = data.read_to_end(&mut rest);
    assert!(rest.len() < LARGE_OCTETS);
    assert_eq!(get(&mut control, "RETR large").len(), LARGE_OCTETS);
}

#[test]
fn abor_is_heard_behind_urgent_data_wherever_the_mark_is() {
    // RFC 959 §4.1.3 and RFC 854: IP, then Synch. Berkeley's clients set the mark on the IAC before DM, others on DM, and a
    // read ends before it.
    const SIGNALS: &[u8] = b"\xff\xf4\xff\xf2ABOR\r\n";
    let server = dev();
    let mut control = bob(&server);
    for marked in [3, 4, SIGNALS.len()] {
        let data = connect(passive(&mut control));
        control.play("C: STOR never\nS: 125 ~");
        control.send_urgent(&SIGNALS[..marked]);
        control.send(&SIGNALS[marked..]);
        control.play("S: 426 ~\nS: 226 ~\nC: NOOP\nS: 200 ~");
        drop(data);
    }
}

/// Waits until the progress shows that so many octets of an upload have arrived.
pub(super) fn has_arrived(control: &mut Speaker, octets: usize) {
    harness::until("what was sent has arrived", || {
        control.say("STAT");
        control.expect("213 ~").contains(&format!("({octets} bytes)"))
    });
}

#[test]
fn an_aborted_upload_leaves_the_old_file_and_can_be_continued() {
    let server = dev();
    let mut control = bob(&server);
    let mut data = connect(passive(&mut control));
    control.play("C: STOR readme.txt\nS: 125 ~");
    data.write_all(b"half of it").expect("the server takes it");
    has_arrived(&mut control, 10);
    control.play("C: ABOR\nS: 426 ~\nS: 226 ~");
    assert!(get(&mut control, "RETR readme.txt").starts_with(b"These are Bob's files."));
    control.play("C: REST 10\nS: 350 ~");
    assert!(put(&mut control, "STOR readme.txt", b", and the rest").starts_with("226"));
    assert_eq!(get(&mut control, "RETR readme.txt"), b"half of it, and the rest");
}

#[test]
fn a_client_that_dies_in_the_middle_leaves_no_file() {
    let server = dev();
    let mut control = bob(&server);
    let mut data = connect(passive(&mut control));
    control.play("C: STOR never\nS: 125 ~");
    data.write_all(b"the first half").expect("the server takes it");
    // As the system closes for a process that was killed: each connection by FIN, the older one first.
    drop(control);
    drop(data);
    // A session that comes later sees it gone once the first has been cleaned up; STAT is answered in either case.
    let mut control = bob(&server);
    for _ in 0..3 {
        assert!(!text(&get(&mut control, "NLST")).contains("never"));
    }
    assert_eq!(on_disk(&server, "never"), None);
}

#[test]
fn a_client_that_dies_in_the_middle_can_go_on() {
    let server = dev();
    for command in ["STOR half", "APPE half"] {
        let mut control = bob(&server);
        let mut data = connect(passive(&mut control));
        control.play("C: STOR half\nS: 125 ~");
        data.write_all(b"the first half").expect("the server takes it");
        has_arrived(&mut control, 14);
        drop(control);
        drop(data);
        let mut control = bob(&server);
        harness::until("the first session has ended", || {
            control.say("SIZE half");
            control.expect("~") == "213 14"
        });
        // It is no file, and nobody can have it as one.
        control.play("C: MLST half\nS: 550 ~\nC: MDTM half\nS: 550 ~\nC: RNFR half\nS: 550 ~");
        if command.starts_with("STOR") {
            control.play("C: REST 14\nS: 350 ~");
        }
        assert!(put(&mut control, command, b", and the second").starts_with("226"));
        assert_eq!(get(&mut control, "RETR half"), b"the first half, and the second");
        control.play("C: DELE half\nS: 250 ~\nC: SIZE half\nS: 550 ~");
    }
}

#[test]
fn what_is_kept_of_an_upload_is_told_to_who_would_go_on_elsewhere() {
    let server = dev();
    let mut control = bob(&server);
    assert!(put(&mut control, "STOR letter", b"a letter of last week").starts_with("226"));
    let mut data = connect(passive(&mut control));
    control.play("C: STOR letter\nS: 125 ~");
    data.write_all(b"this week").expect("the server takes it");
    has_arrived(&mut control, 9);
    control.play("C: ABOR\nS: 426 ~\nS: 226 ~");
    // curl appends from where SIZE ends, others begin there.
    control.play("C: SIZE letter\nS: 213 21");
    passive(&mut control);
    control.play("C: APPE letter\nS: 550 An upload of it broke off after 9 octets: ~");
    control.play("C: REST 21\nS: 350 ~\nC: STOR letter\nS: 550 An upload of it broke off after 9 octets: ~");
    control.play("C: REST 9\nS: 350 ~");
    assert!(put(&mut control, "STOR letter", b" nothing").starts_with("226"));
    assert_eq!(get(&mut control, "RETR letter"), b"this week nothing");
}

#[test]
fn commands_sent_ahead_are_obeyed_in_order() {
    let server = dev();
    let mut control = bob(&server);
    let data = connect(passive(&mut control));
    control.send(b"RETR readme.txt\r\nSIZE readme.txt\r\nMKD ahead\r\nRMD ahead\r\nQUIT\r\n");
    control.play("S: 125 ~");
    assert_eq!(all_of(data).len(), 60);
    control.play("S: 226 ~\nS: 213 60\nS: 257 ~\nS: 250 ~\nS: 221 ~");
    control.expect_close();
}

#[test]
fn nothing_leads_out_of_the_space_and_alice_has_her_own() {
    let server = dev();
    let mut control = bob(&server);
    passive(&mut control);
    control.play(
        "C: RETR ../../../../../../etc/passwd
         S: 550 ~
         C: CWD ../..
         S: 250 ~
         C: PWD
         S: 257 \"/\"~
         C: SITE SYMLINK /etc /out
         S: 200 ~
         C: CWD /out
         S: 550 ~",
    );
    let mut alice = server.speak("ftp");
    alice
        .play("S: 220 ~\nC: USER alice@crepes.test\nS: 331 ~\nC: PASS pickles\nS: 230 ~\nC: SIZE readme.txt\nS: 550 ~");
}

#[test]
fn a_wrong_password_and_no_password_open_nothing() {
    let server = dev();
    let mut control = server.speak("ftp");
    control.play(
        "S: 220 ~
         C: PWD
         S: 530 ~
         C: EPSV
         S: 530 ~
         C: PASS hungry
         S: 503 ~
         C: USER bob@hamburger.test
         S: 331 ~
         C: PASS thirsty
         S: 530 ~
         C: LIST
         S: 530 ~",
    );
}

#[test]
fn a_listing_of_many_names_is_whole() {
    const NAMES: usize = 5_000;
    let server = dev();
    let mut control = bob(&server);
    control.play("C: MKD many\nS: 257 ~");
    let many = on_disk(&server, "many").expect("a directory");
    for number in 0..NAMES {
        std::fs::write(many.join(format!("file {number:04}")), b"").expect("a file");
    }
    for command in ["LIST many", "NLST many", "MLSD many"] {
        let listing = text(&get(&mut control, command));
        let mut last: Vec<&str> = listing.lines().map(|line| &line[line.len() - 4..]).collect();
        last.sort_unstable();
        assert_eq!(last.len(), NAMES, "{command}");
        assert!(last.iter().enumerate().all(|(number, name)| *name == format!("{number:04}")), "{command}");
    }
}

#[test]
fn half_a_control_connection_ends_the_session_after_quit_only() {
    let server = dev();
    let mut control = bob(&server);
    let mut data = connect(passive(&mut control));
    control.play("C: STOR last\nS: 125 ~");
    control.say("QUIT");
    control.shut();
    data.write_all(b"said all").expect("the server takes it");
    data.shutdown(Shutdown::Write).expect("the end");
    control.play("S: 226 ~\nS: 221 ~");
    control.expect_close();
    assert!(on_disk(&server, "last").is_some());
}

#[test]
fn a_full_quota_is_552_and_the_session_goes_on() {
    let server = dev();
    let carol = ["account", "add", "carol@crepes.test", "--quota", "1000000"];
    let added = harness::command_on(super::BINARY, &server.data_dir(), &carol, "cucumber");
    assert!(added.status.success(), "{added:?}");
    let mut control = server.speak("ftp");
    control.play("S: 220 ~\nC: USER carol@crepes.test\nS: 331 ~\nC: PASS cucumber\nS: 230 ~\nC: TYPE I\nS: 200 ~");
    assert!(put(&mut control, "STOR fits", &[1; 600_000]).starts_with("226"));
    let mut data = connect(passive(&mut control));
    control.play("C: STOR too-much\nS: 125 ~");
    // The server stops reading when it knows, and so the rest cannot be sent.
    let _ = data.write_all(&[2; 600_000]);
    drop(data);
    control.play("S: 552 ~\nC: SIZE too-much\nS: 550 ~");
    control.play("C: ALLO 500000\nS: 552 ~\nC: ALLO 300000\nS: 200 ~");
    assert!(put(&mut control, "STOR fits-too", &[3; 400_000]).starts_with("226"));
    assert_eq!(get(&mut control, "RETR fits").len(), 600_000);
}

#[test]
fn over_ipv6_there_is_epsv_and_eprt() {
    let data_dir = tempfile::tempdir().expect("a directory");
    let server = Server::dev_in(super::BINARY, data_dir.path(), &["--listen", "::1"]);
    let mut control = bob(&server);
    let here = server.address("ftp").ip();
    let port = passive(&mut control).port();
    let data = connect(SocketAddr::new(here, port));
    control.play("C: NLST\nS: 125 ~");
    assert_eq!(all_of(data), b"readme.txt\r\nrecipes\r\nshared\r\n");
    control.expect("226 ~");
    let listener = TcpListener::bind((here, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    control.play(&format!("C: EPRT |2|::1|{port}|\nS: 200 ~\nC: NLST\nS: 150 ~"));
    assert_eq!(all_of(listener.accept().expect("the server's connection").0), b"readme.txt\r\nrecipes\r\nshared\r\n");
    control.play("S: 226 ~\nC: PASV\nS: 425 ~");
}

#[test]
fn on_the_port_of_its_own_nothing_is_said_before_tls() {
    let server = dev();
    let mut control = server.speak("ftps");
    control.say("USER bob@hamburger.test");
    let heard = control.rest();
    assert!(!heard.starts_with(b"220") && !heard.starts_with(b"331"), "{heard:?}");
}

#[test]
fn a_host_gives_names_their_domain() {
    let server = dev();
    let mut control = server.speak("ftp");
    control.play(
        "S: 220 ~
         C: HOST nowhere.test
         S: 504 ~
         C: HOST ftp.crepes.test
         S: 220 Files of crepes.test.
         C: USER bob
         S: 331 ~
         C: PASS hungry
         S: 530 ~
         C: HOST hamburger.test
         S: 220 Files of hamburger.test.
         C: USER bob
         S: 331 ~
         C: PASS hungry
         S: 230 ~
         C: CWD recipes
         S: 250 ~
         C: HOST crepes.test
         S: 503 ~
         C: REIN
         S: 220 ~
         C: HOST crepes.test
         S: 220 Files of crepes.test.
         C: USER alice
         S: 331 ~
         C: PASS pickles
         S: 230 ~",
    );
}

#[test]
fn what_is_known_of_a_file_can_be_changed() {
    let server = dev();
    let mut control = bob(&server);
    control.play(
        "C: MFMT 20020717210715 readme.txt
         S: 213 modify=20020717210715; readme.txt
         C: MFF modify=20030717210715;UNIX.mode=0600; readme.txt
         S: 213 modify=20030717210715;UNIX.mode=0600; readme.txt
         C: MLST readme.txt
         S: 250-~
         S:  ~modify=20030717210715;~UNIX.mode=0600;~ /readme.txt
         S: 250 ~
         C: MFCT 20020717210715 readme.txt
         S: 504 ~
         C: SITE UTIME 200407172107 readme.txt
         S: 200 ~
         C: MDTM readme.txt
         S: 213 20040717210700
         C: SITE UTIME readme.txt 20050101000000 20050102030405 20050101000000 UTC
         S: 200 ~
         C: MDTM readme.txt
         S: 213 20050102030405
         C: MDTM 20060102030405 readme.txt
         S: 213 ~
         C: MDTM readme.txt
         S: 213 20060102030405
         C: SITE CHMOD 640 readme.txt
         S: 200 ~
         C: SITE CHMOD 4755 readme.txt
         S: 550 ~
         C: SITE SYMLINK recipes cooking
         S: 200 ~
         C: CWD cooking
         S: 250 ~
         C: SITE HELP
         S: 214-~
         S:  CHMOD ~
         S:  HELP
         S:  SYMLINK ~
         S:  UTIME <Y~
         S:  UTIME <path> ~
         S: 214 End.",
    );
}

#[test]
fn sums_are_those_of_everybody_else() {
    let server = dev();
    let mut control = bob(&server);
    assert!(put(&mut control, "STOR sum", b"123456789").starts_with("226"));
    // The check values of the CRC catalogue and of FIPS 180.
    control.play(
        "C: XCRC sum
         S: 250 CBF43926
         C: XMD5 sum
         S: 250 25F9E794323B453885F5181F1B624D0B
         C: XSHA1 sum
         S: 250 F7C3BC1D808E04732ADF679965CCC34CA7AE3441
         C: XSHA256 sum
         S: 250 15E2B0D3C33891EBB0F1EF609EC419420C20E320CE94C65FBC8C3312448EB225
         C: HASH sum
         S: 213 SHA-256 0-8 15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225 sum
         C: OPTS HASH
         S: 200 SHA-256
         C: OPTS HASH CRC32
         S: 200 CRC32
         C: HASH sum
         S: 213 CRC32 0-8 cbf43926 sum
         C: OPTS HASH MD4
         S: 501 ~
         C: RANG 0 3
         S: 350 ~
         C: HASH sum
         S: 213 CRC32 0-3 9be3e0a3 sum
         C: HASH recipes
         S: 553 ~
         C: HASH nothing
         S: 550 ~",
    );
}

#[test]
fn room_is_told_of_directories() {
    let server = dev();
    let carol = ["account", "add", "carol@crepes.test", "--quota", "1000000"];
    assert!(harness::command_on(super::BINARY, &server.data_dir(), &carol, "cucumber").status.success());
    let mut control = server.speak("ftp");
    control.play("S: 220 ~\nC: USER carol@crepes.test\nS: 331 ~\nC: PASS cucumber\nS: 230 ~\nC: TYPE I\nS: 200 ~");
    control.play("C: AVBL\nS: 213 1000000");
    assert!(put(&mut control, "STOR f", &[7; 400_000]).starts_with("226"));
    control.play("C: AVBL /\nS: 213 600000\nC: AVBL f\nS: 550 ~\nC: AVBL nothing\nS: 550 ~");
}

#[test]
fn parts_become_a_whole() {
    let server = dev();
    let mut control = bob(&server);
    for (name, content) in [("p 1", b"one "), ("p2", b"two ")] {
        assert!(put(&mut control, &format!("STOR {name}"), content).starts_with("226"));
    }
    control.play("C: COMB whole \"p 1\" p2\nS: 250 ~\nC: SIZE p2\nS: 550 ~");
    assert_eq!(get(&mut control, "RETR whole"), b"one two ");
}
