//! netcat: the textbook's session, typed by hand. One netcat for the control connection, one for each data connection.

use super::{Site, Way};
use harness::unused_port;
use interop::{Foreign, bob, foreign};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout};

/// Somebody at a terminal.
struct Typist {
    netcat: Child,
    keys: ChildStdin,
    screen: BufReader<ChildStdout>,
}

impl Typist {
    fn new(netcat: &Foreign, port: &str) -> Typist {
        let mut netcat = netcat.start(&[], &["-C", "127.0.0.1", port]);
        let (keys, screen) = (netcat.stdin.take().expect("its input"), netcat.stdout.take().expect("its output"));
        Typist { netcat, keys, screen: BufReader::new(screen) }
    }

    fn type_in(&mut self, line: &str) {
        writeln!(self.keys, "{line}").expect("netcat reads");
    }

    /// A reply of one line with this code.
    #[track_caller]
    fn read(&mut self, code: &str) -> String {
        let mut line = String::new();
        self.screen.read_line(&mut line).expect("a line");
        assert!(line.starts_with(&format!("{code} ")), "expected {code}: {line}");
        line
    }

    /// Where PASV leads: the last two numbers are the port.
    fn passive(&mut self) -> String {
        self.type_in("PASV");
        let line = self.read("227");
        let inside = line.split(['(', ')']).nth(1).expect("parentheses");
        let numbers: Vec<u16> = inside.split(',').map(|number| number.parse().expect("a number")).collect();
        assert_eq!(numbers[..4], [127, 0, 0, 1]);
        (numbers[4] * 256 + numbers[5]).to_string()
    }
}

/// All that comes on a data connection.
fn all_from(netcat: &Foreign, port: &str) -> String {
    netcat.run(&["-d", "127.0.0.1", port], b"").succeeded().stdout
}

/// A netcat that listens, and its port.
fn listening(netcat: &Foreign) -> (Child, BufReader<ChildStderr>, u16) {
    let port = unused_port("127.0.0.1");
    let mut child = netcat.start(&[], &["-v", "-N", "-l", "127.0.0.1", &port.to_string()]);
    let mut words = BufReader::new(child.stderr.take().expect("its words"));
    let mut line = String::new();
    words.read_line(&mut line).expect("a line");
    assert!(line.starts_with("Listening on "), "{line}");
    (child, words, port)
}

#[test]
fn the_textbook_s_session_by_netcat() {
    let Some(netcat) = foreign("nc.openbsd") else { return };
    let site = Site::new(Way::Clear);
    let mut bob_types = Typist::new(&netcat, &site.port());
    bob_types.read("220");
    bob_types.type_in(&format!("USER {}", bob().address));
    bob_types.read("331");
    bob_types.type_in(&format!("PASS {}", bob().password));
    bob_types.read("230");
    bob_types.type_in("CWD recipes");
    bob_types.read("250");

    let port = bob_types.passive();
    bob_types.type_in("LIST");
    bob_types.read("150");
    let listing = all_from(&netcat, &port);
    bob_types.read("226");
    assert!(listing.contains(" crepes.txt\r\n") && listing.contains(" pickles.txt\r\n"), "{listing}");

    let port = bob_types.passive();
    bob_types.type_in("RETR pickles.txt");
    bob_types.read("150");
    // The server's state: it is the file of the directory entered above, and TYPE A as nothing else was said.
    assert_eq!(all_from(&netcat, &port), "Cucumbers, vinegar, dill, salt.\r\nWait.\r\n");
    bob_types.read("226");

    let (mut data, _words, port) = listening(&netcat);
    bob_types.type_in(&format!("PORT 127,0,0,1,{},{}", port >> 8, port & 255));
    bob_types.read("200");
    bob_types.type_in("STOR ketchup.txt");
    bob_types.read("150");
    data.stdin.take().expect("its input").write_all(b"Tomatoes.\r\nWait longer.\r\n").expect("netcat reads");
    bob_types.read("226");
    assert!(data.wait().expect("it ends").success());
    assert_eq!(fs::read(site.file("recipes/ketchup.txt")).expect("a file"), b"Tomatoes.\nWait longer.\n");

    bob_types.type_in("QUIT");
    bob_types.read("221");
    let Typist { mut netcat, keys, mut screen } = bob_types;
    // It stays as long as somebody could type.
    drop(keys);
    let mut rest = String::new();
    screen.read_to_string(&mut rest).expect("the end");
    assert_eq!(rest, "");
    assert!(netcat.wait().expect("it ends").success());
}
