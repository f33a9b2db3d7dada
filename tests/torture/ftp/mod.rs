//! FTP under hard treatment: killed servers, full disks, peers that stall, crowds.
//!
//! Not here: what the replies are (transcripts), disks that fail on purpose (the tests of `files`).

mod crowd;
mod dying;
mod full;
mod kill;
mod slow;

use harness::PATIENCE;
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};

/// A client whose server may die at any moment: a lost connection is an error, a wrong answer fails the test.
struct Client {
    control: BufReader<TcpStream>,
    server: SocketAddr,
}

impl Client {
    /// Connects and logs in, with TYPE I.
    fn log_in(server: SocketAddr, account: &str, password: &str) -> Result<Client> {
        let mut client = Client::connect(server)?;
        client.ask(&format!("USER {account}"), "331")?;
        client.ask(&format!("PASS {password}"), "230")?;
        client.ask("TYPE I", "200")?;
        Ok(client)
    }

    /// Connects and is greeted.
    fn connect(server: SocketAddr) -> Result<Client> {
        let control = TcpStream::connect(server)?;
        control.set_nodelay(true)?;
        control.set_read_timeout(Some(PATIENCE))?;
        let mut client = Client { control: BufReader::new(control), server };
        client.expect("220")?;
        Ok(client)
    }

    fn say(&mut self, line: &str) -> Result<()> {
        self.control.get_mut().write_all(format!("{line}\r\n").as_bytes())
    }

    /// The next reply, of one line.
    fn hear(&mut self) -> Result<String> {
        let mut line = String::new();
        self.control.read_line(&mut line)?;
        // What a killed server did not say to its end does not count.
        let line = line.strip_suffix("\r\n").ok_or(Error::from(ErrorKind::UnexpectedEof))?;
        Ok(line.to_owned())
    }

    fn expect(&mut self, code: &str) -> Result<String> {
        let line = self.hear()?;
        assert!(line.starts_with(code), "expected {code}: {line}");
        Ok(line)
    }

    fn ask(&mut self, line: &str, code: &str) -> Result<String> {
        self.say(line)?;
        self.expect(code)
    }

    /// Opens a data connection.
    fn dial(&mut self) -> Result<TcpStream> {
        let line = self.ask("EPSV", "229")?;
        let port = line.split('|').nth(3).and_then(|port| port.parse().ok()).expect("a port");
        let data = TcpStream::connect(SocketAddr::new(self.server.ip(), port))?;
        data.set_read_timeout(Some(PATIENCE))?;
        data.set_write_timeout(Some(PATIENCE))?;
        Ok(data)
    }

    /// Begins a transfer whose data connection is open.
    fn begin(&mut self, line: &str) -> Result<TcpStream> {
        let data = self.dial()?;
        self.ask(line, "1")?;
        Ok(data)
    }

    /// Stores, and gives back the final reply.
    fn put(&mut self, line: &str, content: &[u8]) -> Result<String> {
        let mut data = self.begin(line)?;
        // A server that has no room for it stops reading; the reply says why.
        let _ = data.write_all(content);
        drop(data);
        self.hear()
    }

    /// Fetches or lists.
    fn get(&mut self, line: &str) -> Result<Vec<u8>> {
        let mut octets = Vec::new();
        self.begin(line)?.read_to_end(&mut octets)?;
        self.expect("226")?;
        Ok(octets)
    }

    /// The names at the top, but for the space that `dev` shows to everybody.
    fn names(&mut self) -> Result<Vec<String>> {
        let names = String::from_utf8(self.get("NLST /")?).expect("names in UTF-8");
        let names = names.lines().map(|name| name.trim_start_matches('/').to_owned());
        Ok(names.filter(|name| name != "shared").collect())
    }
}

/// What a process has of the memory, with its share of what others have, too, in KiB.
pub fn memory_kib(pid: u32) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("a process of ours");
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
