//! IMAP under hard treatment: killed servers, hostile commands, peers that do not listen, crowds that idle.
//!
//! Not here: what the answers are (transcripts), orderly sessions side by side (scenes).

mod crowd;
mod hostile;
mod kill;

use harness::PATIENCE;
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};

/// A client whose server may die at any moment: a lost connection is an error, a wrong answer fails the test.
struct Client {
    stream: BufReader<TcpStream>,
}

/// What was said to a command.
#[derive(Debug)]
struct Answer {
    /// The responses without a tag, each with its literals.
    told: Vec<String>,
    /// The last one, without its tag.
    end: String,
}

impl Client {
    /// Connects, is greeted, and logs in with user and password.
    fn log_in(server: SocketAddr, login: &str) -> Result<Client> {
        let mut client = Client::connect(server)?;
        client.must(&format!("LOGIN {login}"))?;
        Ok(client)
    }

    /// Connects, and is greeted.
    fn connect(server: SocketAddr) -> Result<Client> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        // Thousands of these are in one process.
        let mut client = Client { stream: BufReader::with_capacity(1024, stream) };
        let greeting = client.hear()?;
        assert!(greeting.starts_with("* OK "), "{greeting}");
        Ok(client)
    }

    fn send(&mut self, octets: &[u8]) -> Result<()> {
        self.stream.get_mut().write_all(octets)
    }

    fn say(&mut self, command: &str) -> Result<()> {
        self.send(format!("t {command}\r\n").as_bytes())
    }

    /// The next response, with its literals.
    fn hear(&mut self) -> Result<String> {
        let mut whole = Vec::new();
        loop {
            let from = whole.len();
            self.stream.read_until(b'\n', &mut whole)?;
            // What a killed server did not say to its end does not count.
            let line = whole[from..].strip_suffix(b"\r\n").ok_or(Error::from(ErrorKind::UnexpectedEof))?;
            let Some(count) = announced(line) else {
                whole.truncate(whole.len() - 2);
                return Ok(String::from_utf8_lossy(&whole).into_owned());
            };
            self.stream.by_ref().take(count).read_to_end(&mut whole)?;
        }
    }

    /// What is said until the command is done.
    fn answer(&mut self) -> Result<Answer> {
        let mut told = Vec::new();
        loop {
            let response = self.hear()?;
            match response.strip_prefix("t ") {
                Some(end) => return Ok(Answer { told, end: end.to_owned() }),
                None => told.push(response),
            }
        }
    }

    fn ask(&mut self, command: &str) -> Result<Answer> {
        self.say(command)?;
        self.answer()
    }

    /// A command that must go well.
    fn must(&mut self, command: &str) -> Result<Answer> {
        let answer = self.ask(command)?;
        assert!(answer.end.starts_with("OK"), "{command}: {}", answer.end);
        Ok(answer)
    }

    /// Puts a message into a mailbox.
    fn append(&mut self, mailbox: &str, text: &str) -> Result<Answer> {
        self.must(&format!("APPEND {mailbox} {{{}+}}\r\n{text}", text.len()))
    }
}

/// How long the literal is that this line announces.
fn announced(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"}")?;
    let from = line.iter().rposition(|octet| *octet == b'{')? + 1;
    std::str::from_utf8(&line[from..]).ok()?.parse().ok()
}

/// The number behind this word.
fn number(text: &str, word: &str) -> Option<u64> {
    let from = text.find(word)? + word.len();
    let digits = text[from..].trim_start_matches([' ', '(']);
    digits.split(|sign: char| !sign.is_ascii_digit()).next()?.parse().ok()
}
