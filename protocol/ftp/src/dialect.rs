//! Listings as servers write them: what is in a directory, read from MLSD, or from LIST in the dialects that there are.
//!
//! RFC 3659 §7 (MLSD, the one that is defined); RFC 959 §4.1.3 (LIST, which is for people); RFC 2640 §3.1 (names are octets).
//!
//! | dialect | whose | a line |
//! |---|---|---|
//! | machine | MLSD | `type=file;size=12;modify=20260710101800; menu.txt` |
//! | Unix | most servers, and all that imitate them | `-rw-r--r-- 1 bob bob 12 Jul 10 10:18 menu.txt` |
//! | DOS | IIS, and others of Windows | `07-10-26  10:18AM                   12 menu.txt` |
//! | NetWare | Novell | `- [RWCEAFMS] bob                12 Jul 10 10:18 menu.txt` |
//! | EPLF | publicfile | `+i838.296,m824255902,r,s12,` TAB `menu.txt` |
//! | VMS | OpenVMS | `MENU.TXT;1     1/3   10-JUL-2026 10:18:00  [BOB] (RWED,RWED,RE,)` |
//! | MVS | z/OS: data sets, and members | `WYOSPT 3420   2026/07/10  1  200  FB      80  8053  PS  MENU.TXT` |
//! | VM | z/VM | `MENU     TXT     V         65        160          2 2026-07-10 10:18:00 DISK` |
//! | OS/2 | IBM | `      12      A    07-10-26  10:18  menu.txt` |
//! | OS/400 | IBM i | `BOB     12 07/10/26 10:18:00 *STMF      menu.txt` |
//! | Nonstop | Tandem | `MENU      101           12 10-Jul-26 10:18:00 255, 10 "oooo"` |
//!
//! The first line that can be read only one way decides for the rest of its listing. Lines that say nothing about a file
//! (totals, headings, error messages) are passed over.
//!
//! Invariants: a name that leaves here is one name: no `/`, no `.` or `..`, no NUL, no line end; a line is never longer than
//! [`LINE_MAX_OCTETS`]; nothing is kept but the line at hand.
//! Not here: fetching listings (client), how many entries somebody can bear (whoever asks).

mod date;
mod ibm;
mod machine;
mod name;
mod other;
#[cfg(test)]
mod tests;
mod tokens;
mod unix;

pub use date::{Precision, Stamp, zone_secs};
pub use name::{NameFlaw, RemoteName};

use crate::moment::Moment;
use tokens::Tokens;

/// A name of 4,095 octets, each told by three, and much beside it. Longer lines are thrown away.
pub const LINE_MAX_OCTETS: usize = 64 * 1024;

/// One thing in a directory, as far as the server has told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: RemoteName,
    /// What it is.
    pub kind: Kind,
    /// Octets.
    pub size: Option<u64>,
    /// When its content changed last.
    pub modified: Option<Stamp>,
    /// Permission bits of Unix.
    pub mode: Option<u32>,
    /// Who owns it.
    pub owner: Option<String>,
    /// And which group.
    pub group: Option<String>,
    /// What tells one file from another (RFC 3659 §7.5.2).
    pub unique: Option<Vec<u8>>,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A link, and where it leads if the server tells. It may be one to a directory.
    Link(Option<Vec<u8>>),
    /// A device, a socket: nothing that could be fetched.
    Other,
}

impl Found {
    fn new(name: RemoteName, kind: Kind) -> Self {
        Found { name, kind, size: None, modified: None, mode: None, owner: None, group: None, unique: None }
    }
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Found(Box<Found>),
    /// Something with a name that must not reach a disk.
    Flawed(NameFlaw),
    /// `.`, `..`, totals, headings: read, and of no use.
    Nothing,
}

/// How a listing is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Machine,
    Unix,
    Dos,
    NetWare,
    Eplf,
    Vms,
    DataSets,
    Members,
    Vm,
    Os2,
    Os400,
    Nonstop,
}

/// Reads one listing, however it is cut.
#[derive(Debug)]
pub struct Reader {
    now: Moment,
    dialect: Option<Dialect>,
    /// A line that is not whole yet.
    line: Vec<u8>,
    /// It is too long already.
    overflowing: bool,
    /// A line of VMS whose other half stands on the next one.
    half: Vec<u8>,
    /// Which directory this is: some servers put it before each name.
    directory: Vec<u8>,
    flawed: u64,
    unread: u64,
}

impl Reader {
    /// For MLSD.
    pub fn machine(directory: &[u8], now: Moment) -> Self {
        Reader { dialect: Some(Dialect::Machine), ..Self::list(directory, now) }
    }

    /// For LIST. `now` tells years that are not written.
    pub fn list(directory: &[u8], now: Moment) -> Self {
        let directory = directory.strip_suffix(b"/").unwrap_or(directory).to_vec();
        Reader {
            now,
            dialect: None,
            line: Vec::new(),
            overflowing: false,
            half: Vec::new(),
            directory,
            flawed: 0,
            unread: 0,
        }
    }

    /// Takes the next piece; `found` hears of what is in it.
    pub fn take(&mut self, mut piece: &[u8], mut found: impl FnMut(Found)) {
        while let Some(at) = memchr::memchr(b'\n', piece) {
            self.gather(&piece[..at]);
            self.end_line(&mut found);
            piece = &piece[at + 1..];
        }
        self.gather(piece);
    }

    /// The listing is over.
    pub fn end(&mut self, mut found: impl FnMut(Found)) {
        self.end_line(&mut found);
    }

    /// How many entries had names that must not reach a disk.
    pub fn flawed(&self) -> u64 {
        self.flawed
    }

    /// How many lines said nothing that could be understood.
    pub fn unread(&self) -> u64 {
        self.unread
    }

    /// Whether the line at hand is longer than any line may be, and has not ended yet.
    pub fn is_endless(&self) -> bool {
        self.overflowing
    }

    fn gather(&mut self, piece: &[u8]) {
        if self.line.len() + piece.len() > LINE_MAX_OCTETS {
            self.overflowing = true;
            self.line.clear();
        } else if !self.overflowing {
            self.line.extend_from_slice(piece);
        }
    }

    fn end_line(&mut self, found: &mut impl FnMut(Found)) {
        if std::mem::take(&mut self.overflowing) {
            self.unread += 1;
            return;
        }
        let mut line = std::mem::take(&mut self.line);
        // The CR belongs to the end. Some servers send two.
        while line.last() == Some(&b'\r') {
            line.pop();
        }
        if !line.is_empty() {
            match self.read(&line) {
                Some(Said::Found(entry)) => found(*entry),
                Some(Said::Flawed(_)) => self.flawed += 1,
                Some(Said::Nothing) => {}
                None => self.unread += 1,
            }
        }
        line.clear();
        self.line = line;
    }

    fn read(&mut self, line: &[u8]) -> Option<Said> {
        if let Some(dialect) = other::heading(line) {
            self.dialect = Some(dialect);
            return Some(Said::Nothing);
        }
        if let Some(dialect) = self.dialect {
            return self.read_as(dialect, line);
        }
        const GUESSES: [Dialect; 9] = [
            Dialect::Eplf,
            Dialect::Unix,
            Dialect::NetWare,
            Dialect::Dos,
            Dialect::Vms,
            Dialect::Os400,
            Dialect::Os2,
            Dialect::Vm,
            Dialect::Machine,
        ];
        GUESSES.into_iter().find_map(|dialect| {
            let said = self.read_as(dialect, line)?;
            if said != Said::Nothing {
                self.dialect = Some(dialect);
            }
            Some(said)
        })
    }

    fn read_as(&mut self, dialect: Dialect, line: &[u8]) -> Option<Said> {
        let tokens = || Tokens::of(line);
        match dialect {
            Dialect::Machine => machine::read(line, &self.directory),
            Dialect::Unix => unix::read(&tokens(), self.now),
            Dialect::NetWare => unix::read_netware(&tokens(), self.now),
            Dialect::Dos => other::dos(&tokens()),
            Dialect::Eplf => other::eplf(line),
            Dialect::Vms => self.vms(line),
            Dialect::DataSets => ibm::data_set(&tokens()),
            Dialect::Members => ibm::member(&tokens()),
            Dialect::Vm => ibm::vm(&tokens()),
            Dialect::Os2 => ibm::os2(&tokens()),
            Dialect::Os400 => ibm::os400(&tokens()),
            Dialect::Nonstop => other::nonstop(&tokens()),
        }
    }

    /// A name that is too long for its column stands on a line of its own.
    fn vms(&mut self, line: &[u8]) -> Option<Said> {
        let half = std::mem::take(&mut self.half);
        if half.is_empty() && other::is_vms_name(line.trim_ascii()) {
            self.half = line.trim_ascii().to_vec();
            return Some(Said::Nothing);
        }
        let whole = if half.is_empty() { line.to_vec() } else { [&half[..], b" ", line].concat() };
        other::vms(&Tokens::of(&whole))
    }
}

/// An entry of this name, or why there is none.
fn named(name: &[u8], kind: Kind, fill: impl FnOnce(&mut Found)) -> Said {
    match RemoteName::new(name) {
        Ok(name) => {
            let mut found = Found::new(name, kind);
            fill(&mut found);
            Said::Found(Box::new(found))
        }
        Err(NameFlaw::Dots) => Said::Nothing,
        Err(flaw) => Said::Flawed(flaw),
    }
}
