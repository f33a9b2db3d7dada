//! A client that says what it is told and hears what it expects, over a raw socket.

use crate::PATIENCE;
use rustix::net::SendFlags;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use transcript::matches;

/// One connection.
pub struct Speaker {
    stream: BufReader<TcpStream>,
    names: HashMap<String, String>,
}

impl Speaker {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Speaker {
        Speaker::new(TcpStream::connect_timeout(&address, PATIENCE).expect("a connection"))
    }

    /// Speaks over this connection.
    pub fn new(stream: TcpStream) -> Speaker {
        stream.set_nodelay(true).expect("a socket option");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket option");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket option");
        Speaker { stream: BufReader::new(stream), names: HashMap::new() }
    }

    /// Sends a line.
    pub fn say(&mut self, line: &str) {
        self.send(format!("{line}\r\n").as_bytes());
    }

    /// Sends octets as they are.
    pub fn send(&mut self, octets: &[u8]) {
        self.try_send(octets).expect("the peer takes what we send");
    }

    /// Sends octets as urgent data: the mark is at the last of them.
    pub fn send_urgent(&mut self, octets: &[u8]) {
        let sent =
            rustix::net::send(self.stream.get_ref(), octets, SendFlags::OOB).expect("the peer takes what we send");
        assert_eq!(sent, octets.len(), "a few octets always fit");
    }

    /// Sends octets, unless the peer has gone.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn try_send(&mut self, octets: &[u8]) -> std::io::Result<()> {
        self.stream.get_mut().write_all(octets)
    }

    /// Hears one line, without its CRLF; `None` when the peer has closed or gone.
    pub fn hear(&mut self) -> Option<String> {
        let mut line = Vec::new();
        match self.stream.read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => {
                let text = line.strip_suffix(b"\r\n");
                Some(String::from_utf8_lossy(text.unwrap_or_else(|| panic!("no CRLF: {line:?}"))).into_owned())
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("nothing is heard: {error}"),
        }
    }

    /// Hears so many octets: a literal, a file.
    pub fn octets(&mut self, count: usize) -> Vec<u8> {
        let mut octets = vec![0; count];
        self.stream.read_exact(&mut octets).expect("more octets");
        octets
    }

    /// Hears one line that fits the pattern (`~` is anything, `$name` a word to remember), and gives it back.
    pub fn expect(&mut self, pattern: &str) -> String {
        let line = self.hear().unwrap_or_else(|| panic!("expected `{pattern}`, the peer has closed"));
        assert!(matches(pattern, &line, &mut self.names), "expected `{pattern}`, heard `{line}`");
        line
    }

    /// Hears one reply of SMTP, however many lines it has, and gives back its code and text.
    pub fn reply(&mut self) -> Option<(u16, String)> {
        let mut text = String::new();
        loop {
            let line = self.hear()?;
            let code = line.get(..3).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no reply: {line}"));
            text.push_str(line.get(4..).unwrap_or_default());
            text.push('\n');
            if line.as_bytes().get(3) != Some(&b'-') {
                return Some((code, text));
            }
        }
    }

    /// Hears a text up to its final dot, dots revealed.
    pub fn text(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        loop {
            let mut line = Vec::new();
            self.stream.read_until(b'\n', &mut line).expect("more text");
            assert!(line.ends_with(b"\r\n"), "the text breaks off: {:?}", String::from_utf8_lossy(&line));
            if line == b".\r\n" {
                return text;
            }
            text.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
    }

    /// Sends a text with its dots hidden, and the final dot.
    pub fn send_text(&mut self, text: &[u8]) {
        let mut wire = Vec::with_capacity(text.len() + 64);
        for line in text.split_inclusive(|octet| *octet == b'\n') {
            if line.starts_with(b".") {
                wire.push(b'.');
            }
            wire.extend_from_slice(line);
        }
        assert!(wire.is_empty() || wire.ends_with(b"\r\n"), "a text ends with CRLF");
        wire.extend_from_slice(b".\r\n");
        self.send(&wire);
    }

    /// Speaks a dialogue of `C:` and `S:` lines, in their order.
    pub fn play(&mut self, dialogue: &str) {
        for line in dialogue.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.split_at_checked(2) {
                Some(("C:", words)) => self.say(words.strip_prefix(' ').unwrap_or(words)),
                Some(("S:", pattern)) => drop(self.expect(pattern.strip_prefix(' ').unwrap_or(pattern))),
                _ => panic!("neither C: nor S: {line}"),
            }
        }
    }

    /// Speaks a dialogue in the server's role: `S:` is said, `C:` expected, `T:` a text that is given back.
    pub fn play_server(&mut self, dialogue: &str) -> Vec<Vec<u8>> {
        let mut texts = Vec::new();
        for line in dialogue.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.split_at_checked(2) {
                Some(("S:", words)) => self.say(words.strip_prefix(' ').unwrap_or(words)),
                Some(("C:", pattern)) => drop(self.expect(pattern.strip_prefix(' ').unwrap_or(pattern))),
                Some(("T:", "")) => texts.push(self.text()),
                _ => panic!("neither C: nor S: nor T: {line}"),
            }
        }
        texts
    }

    /// Hears that the peer closes, and nothing before.
    pub fn expect_close(&mut self) {
        let heard = self.hear();
        assert!(heard.is_none(), "expected the peer to close, heard {heard:?}");
    }

    /// All that the peer still says until it closes, as far as it can be read.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = self.stream.read_to_end(&mut rest);
        rest
    }

    /// Says that we will send no more.
    pub fn shut(&mut self) {
        match self.stream.get_ref().shutdown(Shutdown::Write) {
            // The peer was quicker, and has gone altogether.
            Err(error) if error.kind() == std::io::ErrorKind::NotConnected => {}
            other => other.expect("half of the connection closes"),
        }
    }
}
