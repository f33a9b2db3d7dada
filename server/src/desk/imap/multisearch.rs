//! ESEARCH: one search in several mailboxes, one after the other.
//!
//! RFC 7377 §2.2 (which mailboxes; what may not be read is left out).
//!
//! Invariants: each mailbox is searched once; what is found in one is told before the next is looked at.
//! Not here: what a search is (search), the selected mailbox, which the session searches itself (imap).

use super::search::{Searching, Step};
use super::watch::is_meant;
use super::{Desk, Verdict};
use imap::name::MailboxName;
use imap::search::{Key, Messages, Program};
use imap::server::Answer;
use imap::server::ask::{Among, FoundIn, Hits, Listed, Refusal, SearchIn, Source};
use imap::set::NumberSet;
use std::collections::{HashSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{MailboxId, ReadError, Snapshot, Store};

/// So long a client hears nothing, as of a search in one mailbox.
const PATIENCE: Duration = Duration::from_secs(5);

/// Mailboxes that are still to be searched.
pub(super) struct SearchingIn {
    left: VecDeque<(MailboxId, MailboxName)>,
    program: Program,
    modseq: bool,
    now: i64,
    current: Option<Current>,
}

/// The one that is being searched.
struct Current {
    name: MailboxName,
    uidvalidity: u32,
    searching: Searching,
}

enum Turn {
    Found(FoundIn),
    NotYet,
    Nothing,
}

impl Desk {
    pub(super) async fn search_in(&mut self, wish: SearchIn) -> Verdict<Answer> {
        let SearchIn { sources, but_selected, program, modseq } = wish;
        let selected = self.selected.as_ref().map(|selected| selected.mailbox).filter(|_| but_selected);
        let names = self.meant(&sources).await?;
        let mut known: HashSet<MailboxId> = selected.into_iter().collect();
        let mut left = VecDeque::new();
        for name in names {
            match self.place(&name, "r").await {
                Ok(place) if known.insert(place.row.id) => left.push_back((place.row.id, name)),
                // RFC 7377 §2.2: as if it were not there.
                Ok(_) | Err(Refusal::NoSuchMailbox | Refusal::NoPermission) => {}
                Err(refusal) => return Err(refusal),
            }
        }
        let now = self.house.now();
        self.searching_in = Some(Box::new(SearchingIn { left, program, modseq, now, current: None }));
        self.search_in_on().await
    }

    /// The names that are meant: those that are listed, and those that were named.
    async fn meant(&self, sources: &[Source]) -> Verdict<Vec<MailboxName>> {
        let listed = self.mailboxes().await?;
        let is_wanted = |listed: &&Listed| {
            listed.selectable && sources.iter().any(|source| is_source(source, &listed.name, listed.subscribed))
        };
        let mut names: Vec<MailboxName> = listed.iter().filter(is_wanted).map(|listed| listed.name.clone()).collect();
        for source in sources {
            if let Source::Among(Among::Mailboxes(named)) = source {
                names.extend(named.iter().cloned());
            }
        }
        Ok(names)
    }

    pub(super) async fn search_in_on(&mut self) -> Verdict<Answer> {
        let Some(mut searching) = self.searching_in.take() else { return Err(Refusal::Unavailable) };
        let (searching, turn) = self
            .read(move |store| {
                let turn = searching.go_on(store)?;
                Ok((searching, turn))
            })
            .await?;
        let found = match turn {
            Turn::Nothing => return Ok(Answer::FoundIn { found: None, more: false }),
            Turn::Found(found) => Answer::FoundIn { found: Some(found), more: true },
            Turn::NotYet => Answer::Working { done: None, goal: None },
        };
        self.searching_in = Some(searching);
        Ok(found)
    }
}

fn is_source(source: &Source, name: &MailboxName, subscribed: bool) -> bool {
    match source {
        Source::Selected => false,
        Source::Among(among) => is_meant(among, name.as_str(), subscribed),
        Source::Children(tops) => tops.iter().any(|top| name == top || name.parent().as_ref() == Some(top)),
    }
}

impl SearchingIn {
    /// Blocks.
    fn go_on(&mut self, store: &Store) -> Result<Turn, ReadError> {
        let begun = Instant::now();
        loop {
            let Some(Current { name, uidvalidity, searching }) = self.current.take() else {
                if begun.elapsed() >= PATIENCE {
                    return Ok(Turn::NotYet);
                }
                match self.left.pop_front() {
                    None => return Ok(Turn::Nothing),
                    Some((mailbox, name)) => self.begin(store, mailbox, name)?,
                }
                continue;
            };
            match searching.go_on(store)? {
                Step::Halfway(searching) => {
                    self.current = Some(Current { name, uidvalidity, searching: *searching });
                    return Ok(Turn::NotYet);
                }
                Step::Over(found) => match found.hits {
                    Hits::Set(uids) if !uids.is_empty() => {
                        return Ok(Turn::Found(FoundIn { mailbox: name, uidvalidity, uids, modseq: found.modseq }));
                    }
                    _ => {}
                },
            }
        }
    }

    fn begin(&mut self, store: &Store, mailbox: MailboxId, name: MailboxName) -> Result<(), ReadError> {
        let open = match store.open_mailbox(mailbox) {
            // It has gone meanwhile.
            Err(ReadError::NotFound) => return Ok(()),
            open => open?,
        };
        if let Some(snapshot) = open.now() {
            let program = resolved(&self.program, &snapshot);
            let uidvalidity = snapshot.uidvalidity;
            let searching = Searching::begin(store, Arc::clone(&snapshot), &program, self.modseq, self.now);
            self.current = Some(Current { name, uidvalidity, searching });
        }
        Ok(())
    }
}

/// The program by the UIDs of this mailbox. Numbers are its own; what was saved is of the selected one.
fn resolved(program: &Program, snapshot: &Snapshot) -> Key<NumberSet> {
    let largest = u32::try_from(snapshot.len()).ok().filter(|count| *count > 0);
    let uid_of = |number: u32| snapshot.get(number as usize - 1).map(|row| row.uid.0);
    let last = largest.and_then(uid_of);
    let mut uids = |messages: Messages| {
        Ok::<_, Infallible>(match messages {
            Messages::Sequence(set) => {
                let ranges = set.resolve(largest);
                let count = largest.unwrap_or(0);
                let inside = ranges.ranges().iter().filter(|(first, _)| (1..=count).contains(first));
                let named = inside.filter_map(|(first, last)| Some((uid_of(*first)?, uid_of(*last.min(&count))?)));
                NumberSet::from_ranges(named)
            }
            Messages::Uid(set) => set.resolve(last),
            Messages::Saved => NumberSet::new(),
        })
    };
    match program.clone().map(&mut uids) {
        Ok(program) => program,
        Err(never) => match never {},
    }
}
