//! `kill -9` under fifty senders, again and again: whatever was answered 250 is there afterwards, once.

use super::BINARY;
use super::sink::Sink;
use harness::{Server, command_on};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};

const SENDERS: usize = 50;
const ROUNDS: usize = 50;

/// A sender's account of what it was promised.
type Promised = Arc<Mutex<Vec<String>>>;

#[test]
fn every_250_survives_a_kill_and_nothing_comes_twice() {
    let folder = tempfile::tempdir().expect("a directory");
    let data = folder.path().join("data");
    let sink = Sink::start();
    let configuration = configuration(&data, sink.address());
    prepare(&data);

    let mut kills = Chance(0x9e37_79b9_7f4a_7c15);
    for round in 0..ROUNDS {
        let mut server = Server::serve_in(BINARY, folder.path(), &configuration);
        let promised = storm(&mut server, round, kills.below(120));
        let promised = promised.lock().expect("no sender panicked").clone();

        let server = Server::serve_in(BINARY, folder.path(), &configuration);
        let check = command_on(BINARY, &data, &["store", "check"], "");
        assert!(check.status.success(), "round {round}: {}", String::from_utf8_lossy(&check.stdout));
        let kept = fetch_and_delete(&server);
        for subject in &promised {
            assert_eq!(kept.get(subject), Some(&1), "round {round}: {subject} was answered 250");
        }
        assert!(kept.values().all(|count| *count == 1), "round {round}: nothing comes twice");
        assert_eq!(sink.missing(&promised), Vec::<String>::new(), "round {round}: the queue goes on");
    }
}

fn configuration(data: &Path, sink: SocketAddr) -> String {
    format!(
        "host_name = 'mx.hamburger.test'\ndata_dir = '{}'\n\
         [log]\nlevel = 'error'\n\
         [listen]\nsmtp = ['127.0.0.1:0']\npop3 = ['127.0.0.1:0']\nsubmission = []\nsubmissions = []\npop3s = []\nimap = []\nimaps = []\n\
         [smtp]\ntrusted_networks = ['127.0.0.0/8']\n\
         [queue]\nretry_first_secs = 1\nretry_last_secs = 1\n\
         [[route]]\ndomain = '*'\nhost = '127.0.0.1'\nport = {}\n",
        data.display(),
        sink.port()
    )
}

fn prepare(data: &Path) {
    for (arguments, input) in
        [(&["domain", "add", "hamburger.test"][..], ""), (&["account", "add", "bob@hamburger.test"], "very-hungry")]
    {
        let done = command_on(BINARY, data, arguments, input);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

/// Fifty senders at once, until so many mails were promised; then the kill.
fn storm(server: &mut Server, round: usize, enough: usize) -> Promised {
    let promised = Promised::default();
    let (tell, told) = mpsc::channel();
    let address = server.address("smtp");
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let (promised, tell) = (Arc::clone(&promised), tell.clone());
            std::thread::spawn(move || {
                let mut number = 0;
                let _ = send_until_cut(address, |promise| match promise {
                    Promise::Next => {
                        number += 1;
                        format!("r{round}-s{sender}-n{number}")
                    }
                    Promise::Given(subject) => {
                        promised.lock().expect("no sender panicked").push(subject);
                        // Behind the kill nobody counts any more.
                        let _ = tell.send(());
                        String::new()
                    }
                });
            })
        })
        .collect();
    drop(tell);
    // It ends early when all senders have.
    told.iter().take(enough).count();
    server.kill();
    senders.into_iter().for_each(|sender| sender.join().expect("no sender panicked"));
    promised
}

enum Promise {
    Next,
    Given(String),
}

/// Sends mail after mail to Bob and to somebody far away, until the connection breaks.
fn send_until_cut(address: SocketAddr, mut promise: impl FnMut(Promise) -> String) -> std::io::Result<()> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(harness::PATIENCE))?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    reply(&mut reader, "220")?;
    writer.write_all(b"HELO client.test\r\n")?;
    reply(&mut reader, "250")?;
    loop {
        let subject = promise(Promise::Next);
        writer.write_all(
            b"MAIL FROM:<carol@far.example>\r\nRCPT TO:<bob@hamburger.test>\r\nRCPT TO:<x@far.example>\r\nDATA\r\n",
        )?;
        for code in ["250", "250", "250", "354"] {
            reply(&mut reader, code)?;
        }
        write!(writer, "Subject: {subject}\r\n\r\n{}\r\n.\r\n", "pickles ".repeat(100))?;
        reply(&mut reader, "250")?;
        promise(Promise::Given(subject));
    }
}

/// Hears a reply; a cut connection is an error, a wrong answer a failed test.
fn reply(reader: &mut impl BufRead, code: &str) -> std::io::Result<()> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    assert!(line.starts_with(code) || !line.ends_with("\r\n"), "expected {code}, heard {line}");
    Ok(())
}

/// Empties Bob's maildrop and counts the subjects.
fn fetch_and_delete(server: &Server) -> HashMap<String, usize> {
    let mut pop3 = server.speak("pop3");
    pop3.play("S: +OK ~\nC: USER bob\nS: +OK~\nC: PASS very-hungry\nS: +OK~\nC: STAT");
    let stat = pop3.expect("+OK ~ ~");
    let messages: usize = stat.split(' ').nth(1).and_then(|count| count.parse().ok()).expect("a count");
    let mut kept = HashMap::new();
    for number in 1..=messages {
        pop3.say(&format!("RETR {number}"));
        pop3.expect("+OK~");
        let text = String::from_utf8(pop3.text()).expect("text");
        let subject = text.lines().find_map(|line| line.strip_prefix("Subject: ")).expect("a subject");
        assert!(text.ends_with("pickles \r\n"), "{subject} is whole");
        *kept.entry(subject.to_string()).or_default() += 1;
        pop3.play(&format!("C: DELE {number}\nS: +OK~"));
    }
    pop3.play("C: QUIT\nS: +OK~");
    kept
}

/// A small generator: the same kills in every run.
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).expect("a small number")
    }
}
