//! Somebody who takes in what hooks post: an HTTP server that answers what the test has written.
//!
//! Not here: what a real receiver would do.

use crate::PATIENCE;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};

/// A receiver in a thread of its own.
pub struct Letterbox {
    address: SocketAddr,
    letters: Receiver<Letter>,
}

/// One request.
#[derive(Debug)]
pub struct Letter {
    /// Its first line and its headers.
    pub head: Vec<String>,
    /// Its body.
    pub body: Value,
}

impl Letter {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let line = |line: &str| line.split_once(": ").is_some_and(|(of, _)| of.eq_ignore_ascii_case(name));
        self.head.iter().find(|it| line(it)).and_then(|it| it.split_once(": ")).map(|(_, value)| value)
    }
}

impl Letterbox {
    /// Answers each request with the next of these, and all that follow with the last.
    pub fn start(statuses: &[u16]) -> Letterbox {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let statuses = statuses.to_vec();
        let (tell, letters) = channel();
        std::thread::spawn(move || {
            for at in 0.. {
                let status = statuses[usize::min(at, statuses.len() - 1)];
                let (stream, _) = listener.accept().expect("a client");
                let mut stream = BufReader::new(stream);
                // One that breaks off, as a killed one does, has said nothing.
                let Some(letter) = read(&mut stream) else { continue };
                let answer = format!("HTTP/1.1 {status} As told\r\ncontent-length: 0\r\n\r\n");
                // The test is to see it answered.
                let _ = stream.get_mut().write_all(answer.as_bytes());
                if tell.send(letter).is_err() {
                    return;
                }
            }
        });
        Letterbox { address, letters }
    }

    /// Where to post.
    pub fn url(&self) -> String {
        format!("http://{}/in", self.address)
    }

    /// The next letter.
    pub fn next(&self) -> Letter {
        self.letters.recv_timeout(PATIENCE).expect("a letter comes")
    }

    /// A letter that has come already.
    pub fn now(&self) -> Option<Letter> {
        self.letters.try_recv().ok()
    }
}

fn read(stream: &mut impl BufRead) -> Option<Letter> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_string()),
        }
    }
    let mut letter = Letter { head, body: Value::Null };
    let length: u64 = letter.header("content-length")?.parse().ok()?;
    let mut body = Vec::new();
    stream.take(length).read_to_end(&mut body).ok()?;
    letter.body = serde_json::from_slice(&body).ok()?;
    Some(letter)
}
