//! A mail server that takes everything and remembers the subjects, in place of the rest of the world.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// How often each subject arrived.
type Subjects = HashMap<String, usize>;

/// A sink on a free port of loopback.
pub struct Sink {
    address: SocketAddr,
    taken: Arc<(Mutex<Subjects>, Condvar)>,
}

impl Sink {
    pub fn start() -> Sink {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let taken = Arc::new((Mutex::new(Subjects::new()), Condvar::new()));
        let shared = Arc::clone(&taken);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // A peer that is killed leaves a broken connection, which is no failure here.
                std::thread::spawn(move || drop(take(stream, &shared)));
            }
        });
        Sink { address, taken }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until all of these have arrived, and gives back those that have not when patience ends.
    pub fn missing(&self, subjects: &[String]) -> Vec<String> {
        let (taken, arrived) = &*self.taken;
        let end = Instant::now() + harness::PATIENCE;
        let mut guard = taken.lock().expect("no panic in the sink");
        loop {
            let missing: Vec<String> =
                subjects.iter().filter(|subject| !guard.contains_key(*subject)).cloned().collect();
            let left = end.saturating_duration_since(Instant::now());
            if missing.is_empty() || left == Duration::ZERO {
                return missing;
            }
            guard = arrived.wait_timeout(guard, left).expect("no panic in the sink").0;
        }
    }
}

/// One connection.
fn take(stream: TcpStream, taken: &(Mutex<Subjects>, Condvar)) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    writer.write_all(b"220 sink.test\r\n")?;
    let mut line = String::new();
    while {
        line.clear();
        reader.read_line(&mut line)? > 0
    } {
        let answer = match line.get(..4).map(str::to_ascii_uppercase).as_deref() {
            Some("EHLO") => "250-sink.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
            Some("DATA") => {
                writer.write_all(b"354 go on\r\n")?;
                let subject = text(&mut reader)?;
                *taken.0.lock().expect("no panic in the sink").entry(subject).or_default() += 1;
                taken.1.notify_all();
                "250 taken\r\n"
            }
            Some("QUIT") => return writer.write_all(b"221 bye\r\n"),
            _ => "250 fine\r\n",
        };
        writer.write_all(answer.as_bytes())?;
    }
    Ok(())
}

/// Reads a text to its final dot and gives back its subject.
fn text(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut subject = String::new();
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        match line.strip_prefix("Subject: ") {
            Some(rest) if subject.is_empty() => subject = rest.trim_end().to_string(),
            _ if line == ".\r\n" => return Ok(subject),
            _ => {}
        }
    }
}
