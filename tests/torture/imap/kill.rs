//! `kill -9` under twenty sessions that append, mark, copy, move, expunge and rename in the same mailboxes, again and again: what
//! was answered OK is there, what was under way is there whole or not at all, and no number is given out twice.
//!
//! Each message has one owner, who knows what must have become of it; so all may work in the same mailboxes at once.

use super::{Answer, Client, number};
use crate::BINARY;
use crate::kill::Chance;
use harness::{Replica, Server, command_on};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Result;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};

const LOGIN: &str = "bob@hamburger.test hungry";
const SESSIONS: usize = 20;
const ROUNDS: usize = 10;
/// So many commands are obeyed in a round, and up to as many more.
const COMMANDS_A_ROUND: usize = 200;
const KEYWORDS: usize = 20;
/// The mailboxes that all work in. Each session has one of its own, besides, with one below it.
const SHARED: [&str; 2] = ["Pond", "River"];

/// Where a message is, with its flags. UID 0: it is not known yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Placed {
    token: String,
    mailbox: &'static str,
    uid: u64,
    keyword: String,
}

/// What one session knows of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Account {
    placed: Vec<Placed>,
    /// How often its own mailbox was renamed.
    renamed: usize,
}

/// An account, and what it becomes if the command that was under way was obeyed.
#[derive(Debug, Default)]
struct Owner {
    sure: Account,
    perhaps: Option<Account>,
}

/// Numbers that must not come again.
#[derive(Debug, Default)]
struct Numbers {
    /// Of each shared mailbox: who had this UID.
    uids: HashMap<(&'static str, u64), String>,
    /// Of each shared mailbox: the change numbers that were told of own changes.
    modseqs: BTreeMap<&'static str, BTreeSet<u64>>,
}

#[derive(Debug, Default)]
struct Ledger {
    owners: [Mutex<Owner>; SESSIONS],
    numbers: Mutex<Numbers>,
}

#[test]
fn every_ok_survives_a_kill_and_no_number_comes_twice() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut server = Server::dev_in(BINARY, folder.path(), &[]);
    let validities = prepare(&server).expect("the server lives");
    let (ledger, mut chance) = (Arc::new(Ledger::default()), Chance(0x1f83_d9ab_fb41_bd6b));
    let mut replica = Replica::new(LOGIN, SHARED[0]);
    replica.catch_up(&server);
    for round in 0..ROUNDS {
        storm(&mut server, &ledger, round, COMMANDS_A_ROUND + chance.below(COMMANDS_A_ROUND));
        server = Server::dev_in(BINARY, folder.path(), &[]);
        let check = command_on(BINARY, folder.path(), &["store", "check"], "");
        assert!(check.status.success(), "round {round}: {}", String::from_utf8_lossy(&check.stdout));
        look_through(&server, &ledger, &validities, round).expect("the server lives");
        replica.catch_up(&server);
    }
}

fn enter(server: SocketAddr) -> Result<Client> {
    let mut client = Client::log_in(server, LOGIN)?;
    client.must("ENABLE QRESYNC")?;
    Ok(client)
}

fn own_mailbox(session: usize, renamed: usize) -> String {
    format!("own-{session}-{renamed}")
}

/// Makes the mailboxes, and gives the UIDVALIDITY of each: of the shared ones, and of those below the sessions' own.
fn prepare(server: &Server) -> Result<Vec<u64>> {
    let mut client = enter(server.address("imap"))?;
    let mut validities = Vec::new();
    for mailbox in mailboxes(&[0; SESSIONS]) {
        client.must(&format!("CREATE {mailbox}"))?;
        validities.push(status(&mut client, &mailbox, "UIDVALIDITY")?);
    }
    for session in 0..SESSIONS {
        client.append(&format!("{}/below", own_mailbox(session, 0)), &text(&format!("own-{session}")))?;
    }
    Ok(validities)
}

/// The mailboxes, where those of the sessions have been renamed so many times.
fn mailboxes(renamed: &[usize; SESSIONS]) -> Vec<String> {
    let own = renamed.iter().enumerate().map(|(session, renamed)| own_mailbox(session, *renamed) + "/below");
    SHARED.iter().map(ToString::to_string).chain(own).collect()
}

fn status(client: &mut Client, mailbox: &str, item: &str) -> Result<u64> {
    let answer = client.must(&format!("STATUS {mailbox} ({item})"))?;
    Ok(answer.told.iter().find_map(|told| number(told, item)).expect("a number"))
}

fn text(token: &str) -> String {
    format!("Subject: {token}\r\n\r\n{}", "pickles ".repeat(100 + token.len() * 7))
}

/// All sessions at once until so many commands were obeyed; then the kill.
fn storm(server: &mut Server, ledger: &Arc<Ledger>, round: usize, enough: usize) {
    let ((tell, obeyed), address) = (mpsc::channel(), server.address("imap"));
    let sessions: Vec<_> = (0..SESSIONS)
        .map(|session| {
            let (ledger, tell) = (Arc::clone(ledger), tell.clone());
            std::thread::spawn(move || drop(Session::work(address, session, round, &ledger, &tell)))
        })
        .collect();
    drop(tell);
    // It ends early when all sessions have.
    obeyed.iter().take(enough).count();
    server.kill();
    sessions.into_iter().for_each(|session| session.join().expect("no session panicked"));
}

/// One session, which works until it is cut off.
struct Session<'a> {
    client: Client,
    ledger: &'a Ledger,
    session: usize,
    chance: Chance,
    selected: &'static str,
}

impl Session<'_> {
    fn work(server: SocketAddr, session: usize, round: usize, ledger: &Ledger, tell: &mpsc::Sender<()>) -> Result<()> {
        let mut client = enter(server)?;
        client.must(&format!("SELECT {}", SHARED[0]))?;
        let chance = Chance(((session as u64) << 32) ^ (round as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut session = Session { client, ledger, session, chance, selected: SHARED[0] };
        for count in 0.. {
            session.one_thing(&format!("s{}-r{round}-n{count}", session.session))?;
            // Behind the kill nobody counts any more.
            let _ = tell.send(());
        }
        Ok(())
    }

    fn one_thing(&mut self, token: &str) -> Result<()> {
        let before = self.owner(|owner| owner.sure.clone());
        let there = (0..before.placed.len()).filter(|at| before.placed[*at].mailbox == self.selected);
        let there: Vec<usize> = there.collect();
        let choice = self.chance.below(12);
        if there.is_empty() || choice < 3 {
            return self.append(before, token);
        }
        let at = there[self.chance.below(there.len())];
        match choice {
            3..=5 => self.mark(before, at),
            6 => self.copy(before, at),
            7 | 8 => self.carry(before, at),
            9 => self.expunge(before, at),
            10 => self.rename(before),
            _ => self.turn(),
        }
    }

    fn owner<T>(&self, look: impl FnOnce(&mut Owner) -> T) -> T {
        look(&mut self.ledger.owners[self.session].lock().expect("no session panicked"))
    }

    /// From here on it may be so.
    fn may(&self, after: &Account) {
        self.owner(|owner| owner.perhaps = Some(after.clone()));
    }

    /// It was promised.
    fn must(&self, after: Account) {
        self.owner(|owner| *owner = Owner { sure: after, perhaps: None });
    }

    fn other(&self) -> &'static str {
        if self.selected == SHARED[0] { SHARED[1] } else { SHARED[0] }
    }

    fn append(&mut self, mut account: Account, token: &str) -> Result<()> {
        let (mailbox, token) = (self.selected, token.to_owned());
        let text = text(&token);
        account.placed.push(Placed { token, mailbox, uid: 0, keyword: String::new() });
        self.may(&account);
        let answer = self.client.append(mailbox, &text)?;
        let uid = numbers(&answer.end, "APPENDUID")[1];
        self.came(&mut account, uid);
        self.must(account);
        Ok(())
    }

    /// The last one has this UID.
    fn came(&self, account: &mut Account, uid: u64) {
        let placed = account.placed.last_mut().expect("it was put there");
        placed.uid = uid;
        let mut numbers = self.ledger.numbers.lock().expect("no session panicked");
        numbers.has(placed);
    }

    fn mark(&mut self, mut account: Account, at: usize) -> Result<()> {
        let (uid, mailbox) = (account.placed[at].uid, self.selected);
        account.placed[at].keyword = self.other_keyword(&account.placed[at].keyword);
        self.may(&account);
        let command = format!("UID STORE {uid} FLAGS.SILENT ({})", account.placed[at].keyword);
        let answer = self.client.must(&command)?;
        let told = answer.told.iter().find(|told| is_of(told, uid) && told.contains("MODSEQ"));
        let modseq = told.and_then(|told| number(told, "MODSEQ")).expect("its change number");
        let mut numbers = self.ledger.numbers.lock().expect("no session panicked");
        assert!(numbers.modseqs.entry(mailbox).or_default().insert(modseq), "{mailbox}: {modseq} comes twice");
        drop(numbers);
        self.must(account);
        Ok(())
    }

    /// What would change nothing has no change number of its own.
    fn other_keyword(&mut self, keyword: &str) -> String {
        loop {
            let other = format!("k{}", self.chance.below(KEYWORDS));
            if other != keyword {
                return other;
            }
        }
    }

    fn copy(&mut self, mut account: Account, at: usize) -> Result<()> {
        let from = account.placed[at].clone();
        let mailbox = self.other();
        account.placed.push(Placed { uid: 0, mailbox, ..from.clone() });
        self.may(&account);
        let answer = self.client.must(&format!("UID COPY {} {mailbox}", from.uid))?;
        let [_, source, target] = numbers(&answer.end, "COPYUID")[..] else { panic!("{answer:?}") };
        assert_eq!(source, from.uid);
        self.came(&mut account, target);
        self.must(account);
        Ok(())
    }

    fn carry(&mut self, mut account: Account, at: usize) -> Result<()> {
        let from = account.placed.remove(at);
        let mailbox = self.other();
        account.placed.push(Placed { uid: 0, mailbox, ..from.clone() });
        self.may(&account);
        let answer = self.client.must(&format!("UID MOVE {} {mailbox}", from.uid))?;
        let told = answer.told.iter().find(|told| told.contains("COPYUID")).unwrap_or_else(|| panic!("{answer:?}"));
        let [_, source, target] = numbers(told, "COPYUID")[..] else { panic!("{answer:?}") };
        assert_eq!(source, from.uid);
        self.came(&mut account, target);
        self.must(account);
        Ok(())
    }

    fn expunge(&mut self, mut account: Account, at: usize) -> Result<()> {
        let uid = account.placed[at].uid;
        let mut deleted = account.clone();
        deleted.placed[at].keyword = "\\Deleted".into();
        self.may(&deleted);
        self.client.must(&format!("UID STORE {uid} FLAGS.SILENT (\\Deleted)"))?;
        self.must(deleted);
        account.placed.remove(at);
        self.may(&account);
        self.client.must(&format!("UID EXPUNGE {uid}"))?;
        self.must(account);
        Ok(())
    }

    fn rename(&mut self, mut account: Account) -> Result<()> {
        let from = own_mailbox(self.session, account.renamed);
        account.renamed += 1;
        self.may(&account);
        self.client.must(&format!("RENAME {from} {}", own_mailbox(self.session, account.renamed)))?;
        self.must(account);
        Ok(())
    }

    fn turn(&mut self) -> Result<()> {
        self.selected = self.other();
        self.client.must(&format!("SELECT {}", self.selected))?;
        Ok(())
    }
}

impl Numbers {
    /// It has its UID for ever.
    fn has(&mut self, placed: &Placed) {
        let before = self.uids.insert((placed.mailbox, placed.uid), placed.token.clone());
        assert!(before.is_none_or(|token| token == placed.token), "{placed:?} has the UID of another");
    }

    fn highest_uid(&self, mailbox: &str) -> u64 {
        self.uids.keys().filter(|(of, _)| *of == mailbox).map(|(_, uid)| *uid).max().unwrap_or(0)
    }
}

/// The numbers of a response code.
fn numbers(text: &str, code: &str) -> Vec<u64> {
    let (_, rest) = text.split_once(code).unwrap_or_else(|| panic!("no {code}: {text}"));
    let words = rest.split(']').next().unwrap_or_default().split_whitespace();
    words.map(|word| word.parse().unwrap_or_else(|_| panic!("no number: {text}"))).collect()
}

fn is_of(told: &str, uid: u64) -> bool {
    told.contains(" FETCH (") && number(told, "UID") == Some(uid)
}

/// All that was promised is there, and nothing else but what was on its way, whole.
fn look_through(server: &Server, ledger: &Ledger, validities: &[u64], round: usize) -> Result<()> {
    let mut client = enter(server.address("imap"))?;
    let mut there: Vec<Vec<Placed>> = vec![Vec::new(); SESSIONS];
    let mut known = ledger.numbers.lock().expect("no session panicked");
    for mailbox in SHARED {
        let next = status(&mut client, mailbox, "UIDNEXT")?;
        assert!(next > known.highest_uid(mailbox), "round {round}: {mailbox} would give out {next} again");
        let highest = status(&mut client, mailbox, "HIGHESTMODSEQ")?;
        let told = known.modseqs.get(mailbox).and_then(BTreeSet::last).copied().unwrap_or(0);
        assert!(highest >= told, "round {round}: {mailbox} is at {highest}, and was at {told}");
        for placed in contents(&mut client, mailbox)? {
            known.has(&placed);
            let owner = placed.token[1..].split('-').next().and_then(|owner| owner.parse::<usize>().ok());
            there[owner.expect("its owner")].push(placed);
        }
    }
    let mut renamed = [0; SESSIONS];
    for (session, mut placed) in there.into_iter().enumerate() {
        let name = |renamed| client_has(&mut client, &own_mailbox(session, renamed));
        let mut owner = ledger.owners[session].lock().expect("no session panicked");
        renamed[session] = settled(&owner, name)?;
        let renamed = renamed[session];
        placed.sort();
        let found = Account { placed, renamed };
        let fits = |account: &Account| fits(account, &found);
        assert!(
            fits(&owner.sure) || owner.perhaps.as_ref().is_some_and(fits),
            "round {round}: session {session} has {found:#?}, but should have {owner:#?}"
        );
        *owner = Owner { sure: found, perhaps: None };
    }
    for (mailbox, validity) in mailboxes(&renamed).iter().zip(validities) {
        assert_eq!(status(&mut client, mailbox, "UIDVALIDITY")?, *validity, "round {round}: {mailbox}");
    }
    for below in &mailboxes(&renamed)[SHARED.len()..] {
        assert_eq!(status(&mut client, below, "MESSAGES")?, 1, "round {round}: {below}");
    }
    Ok(())
}

/// How often a session's mailbox was renamed, where the last time may have happened or not.
fn settled(owner: &Owner, mut has: impl FnMut(usize) -> Result<bool>) -> Result<usize> {
    let sure = owner.sure.renamed;
    let perhaps = owner.perhaps.as_ref().map_or(sure, |account| account.renamed);
    let (old, new) = (has(sure)?, has(perhaps)?);
    assert!(sure == perhaps || old != new, "a mailbox is there under both names, or none: {owner:?}");
    Ok(if old { sure } else { perhaps })
}

fn client_has(client: &mut Client, mailbox: &str) -> Result<bool> {
    Ok(!client.must(&format!("LIST \"\" {mailbox}"))?.told.is_empty())
}

/// Whether what was found is what should be. A UID that was never told may be any.
fn fits(account: &Account, found: &Account) -> bool {
    let mut found_placed = found.placed.clone();
    let mut expected: Vec<&Placed> = account.placed.iter().collect();
    // Those whose UID is known choose first.
    expected.sort_by_key(|placed| placed.uid == 0);
    let all = expected.into_iter().all(|expected| {
        let at = found_placed.iter().position(|it| {
            let uid = if expected.uid == 0 { 0 } else { it.uid };
            Placed { uid, ..it.clone() } == *expected
        });
        at.map(|at| found_placed.swap_remove(at)).is_some()
    });
    all && found_placed.is_empty() && account.renamed == found.renamed
}

/// What is in a mailbox, each message whole.
fn contents(client: &mut Client, mailbox: &'static str) -> Result<Vec<Placed>> {
    client.must(&format!("EXAMINE {mailbox}"))?;
    let Answer { told, .. } = client.must("UID FETCH 1:* (FLAGS BODY.PEEK[])")?;
    let fetched = told.iter().filter(|told| told.contains(" FETCH ("));
    Ok(fetched
        .map(|told| {
            let (head, content) = told.split_once("}\r\n").expect("a literal");
            let token =
                content.strip_prefix("Subject: ").and_then(|rest| rest.split("\r\n").next()).expect("a subject");
            assert!(content.starts_with(&text(token)), "{token} is not whole: {told}");
            let keyword = head.split_once("FLAGS (").and_then(|(_, rest)| rest.split(')').next()).expect("its flags");
            Placed {
                token: token.to_owned(),
                mailbox,
                uid: number(head, "UID").expect("its UID"),
                keyword: keyword.to_owned(),
            }
        })
        .collect())
}
