//! The desk of IMAP: an account's mailboxes, the one that is selected, and what has happened in it.
//!
//! RFC 9051 §5 (state), RFC 7162 (change numbers), RFC 8474 (ids).
//!
//! ```text
//! Ask ─→ Desk ─→ mailboxes · append · fetch · change · search ─→ store, on threads that may wait
//!          ├──→ Selected: the snapshot the client was told of ─Sync→ what is different now
//!          └──→ Watching: the other mailboxes it asked about ─Elsewhere→ what has happened there
//! ```
//!
//! Invariants: what the client knows is one snapshot, and what it is told is the difference to the next; nothing is kept for a
//! silent client but that snapshot; what a session did itself is not told it again.
//! Not here: sequence numbers, when something may be said (imap); what is kept, and how (store).

mod append;
mod change;
mod convert;
mod fetch;
mod mailboxes;
mod multisearch;
mod order;
mod part;
mod readers;
mod search;
mod section;
mod selected;
mod sharing;
mod thread;
mod url;
mod watch;

use super::door::{self, Caller};
use crate::house::House;
use append::{Aim, Append};
use fetch::Ahead;
use futures_util::FutureExt;
use imap::capability::{Capabilities, Capability};
use imap::server::ask::{Changes, Refusal};
use imap::server::{Answer, Ask, News, Server};
use multisearch::SearchingIn;
use readers::Readers;
use search::Searching;
use selected::Selected;
use std::sync::Arc;
use store::{AccountId, Commit, CommitError, Committed, Op, ReadError};
use tracing::{debug, info, warn};
use watch::Watching;

pub use sharing::OTHERS_LEVEL;

/// What the whole system does entirely: all that the dialogue can, but for limits set by clients.
pub fn capabilities() -> Capabilities {
    use Capability as C;
    let not_yet = [C::QuotaSet, C::QuotaResMailbox, C::QuotaResAnnotationStorage];
    not_yet.into_iter().fold(Capabilities::all(), Capabilities::without)
}

/// One session's desk.
pub struct Desk {
    house: Arc<House>,
    caller: Caller,
    account: Option<AccountId>,
    selected: Option<Box<Selected>>,
    /// Other mailboxes.
    watching: Option<Box<Watching>>,
    append: Option<Append>,
    aim: Option<Box<Aim>>,
    /// What the last FETCH left open to be read from.
    readers: Readers,
    /// What it will ask for next.
    ahead: Option<Ahead>,
    /// What takes longer.
    searching: Option<Box<Searching>>,
    searching_in: Option<Box<SearchingIn>>,
}

/// What most questions are answered with.
type Verdict<T> = Result<T, Refusal>;

impl Desk {
    /// A desk for one session.
    pub fn new(house: Arc<House>, caller: Caller) -> Self {
        let (account, selected, watching, ahead) = (None, None, None, None);
        let (append, aim) = (None, None);
        let (readers, searching, searching_in) = (Readers::default(), None, None);
        Desk { house, caller, account, selected, watching, append, aim, readers, ahead, searching, searching_in }
    }

    async fn log_in(&mut self, ask: sasl::server::Ask) -> Answer {
        let answer = door::answer(&self.house, &self.caller, ask).await;
        if let sasl::server::Answer::Login(Ok(name)) = &answer {
            let Some(account) = self.house.directory().account_named(name).map(|account| AccountId(account.id)) else {
                return Answer::Auth(sasl::server::Answer::Login(Err(sasl::server::Denied::Temporary)));
            };
            self.account = Some(account);
        }
        Answer::Auth(answer)
    }

    fn forget(&mut self) {
        (self.account, self.selected, self.watching) = (None, None, None);
        (self.append, self.aim, self.ahead) = (None, None, None);
        (self.searching, self.searching_in) = (None, None);
        if let Some(present) = self.house.sessions.find(self.caller.session) {
            present.log_out();
        }
    }

    fn identified(&self, facts: &[(String, Option<String>)]) {
        let fact = |wanted: &str| {
            facts.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).and_then(|(_, value)| value.as_deref())
        };
        if let Some(present) = self.house.sessions.find(self.caller.session) {
            let words: Vec<&str> = [fact("name"), fact("version")].into_iter().flatten().collect();
            present.name_client(&words.join(" "));
        }
        info!(session = %self.caller.session, name = fact("name"), version = fact("version"), "the client names itself");
    }

    fn account(&self) -> Verdict<AccountId> {
        self.account.ok_or(Refusal::NoPermission)
    }

    fn selected(&mut self) -> Verdict<&mut Selected> {
        let selected = self.selected.as_deref_mut().ok_or(Refusal::Unavailable)?;
        // Taken back since.
        if selected.access.rights.has("r") { Ok(selected) } else { Err(Refusal::NoPermission) }
    }

    /// Reads from the store, on a thread that may wait.
    async fn read<T, F>(&self, reading: F) -> Verdict<T>
    where
        T: Send + 'static,
        F: FnOnce(&store::Store) -> Result<T, ReadError> + Send + 'static,
    {
        let store = self.house.store.clone();
        match tokio::task::spawn_blocking(move || reading(&store)).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => Err(self.unread(&error)),
            Err(_) => Err(Refusal::Unavailable),
        }
    }

    fn unread(&self, error: &ReadError) -> Refusal {
        if matches!(error, ReadError::NotFound) {
            return Refusal::ExpungeIssued;
        }
        warn!(session = %self.caller.session, %error, "mail could not be read");
        match error {
            ReadError::Io(_) => Refusal::Corrupted,
            _ => Refusal::Unavailable,
        }
    }

    /// Carries out orders.
    async fn commit(&self, commit: Commit) -> Verdict<Committed> {
        let own = self.watching.as_ref().map(|watching| (watching, watch::Footprint::of(&commit)));
        let committed = self.house.store.commit(commit).await.map_err(|error| self.uncommitted(&error))?;
        if let Some((watching, footprint)) = own {
            watching.did(footprint, &committed);
        }
        Ok(committed)
    }

    async fn order(&self, op: Op) -> Verdict<Committed> {
        self.commit(Commit::of(vec![op])).await
    }

    fn uncommitted(&self, error: &CommitError) -> Refusal {
        match error {
            CommitError::NoSuchMailbox(_) => Refusal::NoSuchMailbox,
            CommitError::MailboxExists(_) => Refusal::AlreadyExists,
            CommitError::UseTaken(_) => Refusal::UseAttr,
            CommitError::TooMany(_) | CommitError::MailboxFull(_) => Refusal::Limit,
            CommitError::Forbidden(why) => Refusal::Policy((*why).to_owned()),
            error => {
                warn!(session = %self.caller.session, %error, "a change was not kept");
                Refusal::Unavailable
            }
        }
    }

    /// Whether the account has less than it may.
    async fn has_room(&self, account: AccountId) -> Verdict<()> {
        let house = Arc::clone(&self.house);
        match tokio::task::spawn_blocking(move || house.is_full(account.0)).await {
            Ok(false) => Ok(()),
            Ok(true) => Err(Refusal::OverQuota),
            Err(_) => Err(Refusal::Unavailable),
        }
    }

    async fn answer_member(&mut self, ask: Ask) -> Verdict<Answer> {
        if let Ask::Read { reader, from, to } = ask {
            return self.readers.read(reader, from, to).await.map_err(|error| self.unread(&error));
        }
        self.readers.clear();
        if !matches!(ask, Ask::Fetch(_)) {
            self.ahead = None;
        }
        self.look_again().await?;
        match ask {
            Ask::GoOn if self.searching_in.is_some() => self.search_in_on().await,
            Ask::GoOn => self.search_on().await,
            Ask::Mailboxes => self.mailboxes().await.map(Answer::Mailboxes),
            Ask::Status { mailbox, .. } => self.status(&mailbox).await.map(Answer::Status),
            Ask::Select { mailbox, read_only } => {
                self.select(&mailbox, read_only).await.map(|selected| Answer::Selected(Box::new(selected)))
            }
            Ask::Deselect => {
                self.selected = None;
                Ok(Answer::Done)
            }
            Ask::Create { mailbox, uses } => self.create(&mailbox, &uses).await.map(|id| Answer::Created { id }),
            Ask::Delete(mailbox) => self.delete(&mailbox).await,
            Ask::Rename { from, to } => self.rename(&from, &to).await,
            Ask::Subscribe { mailbox, subscribed } => self.subscribe(&mailbox, subscribed).await,
            Ask::AppendMessage(draft) => self.append_message(draft).await,
            Ask::AppendText { size } => self.append_text(size).await,
            Ask::AppendPart(url) => self.append_part(url).await,
            Ask::AppendCommit { replacing } => self.append_commit(replacing).await,
            Ask::AppendAbandon => {
                self.append = None;
                Ok(Answer::Done)
            }
            Ask::Sync => {
                let account = self.account()?;
                let selected = self.selected.as_deref_mut().ok_or(Refusal::Unavailable)?;
                let url_key_reset = selected.url_key_is_another(&self.house.url_keys, account);
                Ok(Answer::Changes(Changes { url_key_reset, ..selected.sync() }))
            }
            Ask::Fetch(fetch) => self.fetch(fetch).await.map(Answer::Fetched),
            Ask::Vanished { since, uids } => self.vanished(since, uids).await.map(Answer::Vanished),
            Ask::Store(store) => self.set_flags(store).await.map(Answer::Stored),
            Ask::Copy { uids, to, remove } => self.copy(&uids, &to, remove).await.map(Answer::Copied),
            Ask::Expunge { uids } => self.expunge(uids.as_ref()).await,
            Ask::Search(search) => self.search(*search).await,
            Ask::SearchIn(search) => self.search_in(*search).await,
            Ask::Namespaces => Ok(Answer::Namespaces(mailboxes::namespaces())),
            Ask::Quota { root } => self.quota(&root).await,
            Ask::QuotaRoots { mailbox } => self.quota_roots(&mailbox).await,
            Ask::Metadata { mailbox, entries, depth } => self.metadata(mailbox.as_ref(), &entries, depth).await,
            Ask::SetMetadata { mailbox, entries } => self.set_metadata(mailbox.as_ref(), entries).await,
            Ask::Acl(mailbox) => self.acl(&mailbox).await,
            Ask::SetAcl { mailbox, identifier, change } => self.set_acl(&mailbox, &identifier, change).await,
            Ask::GrantableRights { mailbox, identifier } => self.grantable_rights(&mailbox, &identifier).await,
            Ask::MyRights(mailbox) => self.my_rights(&mailbox).await,
            Ask::AuthorizeUrls(urls) => self.authorize_urls(urls).await,
            Ask::ResetUrlKeys(mailbox) => self.reset_url_keys(mailbox.as_ref()).await,
            Ask::FetchUrl(url) => self.fetch_url(*url).await,
            Ask::Watch(watches) => self.watch(watches).await,
            Ask::Elsewhere => self.elsewhere().await,
            // Not offered: limits are the administrator's.
            Ask::SetQuota { .. } => Err(Refusal::NoPermission),
            // Answered before.
            Ask::Read { .. } | Ask::Auth(_) | Ask::Forget | Ask::Id(_) => Err(Refusal::Unavailable),
        }
    }
}

impl net::Desk<Server> for Desk {
    async fn answer(&mut self, ask: Ask) -> Answer {
        match ask {
            // Boxed, as the others: large, and not what an idle connection should carry.
            Ask::Auth(ask) => Box::pin(self.log_in(ask)).await,
            Ask::Forget => {
                self.forget();
                Answer::Done
            }
            Ask::Id(facts) => {
                self.identified(&facts);
                Answer::Done
            }
            ask => Box::pin(self.answer_member(ask)).await.unwrap_or_else(|refusal| {
                debug!(session = %self.caller.session, ?refusal, "refused");
                Answer::Refused(refusal)
            }),
        }
    }

    async fn keep(&mut self, content: &mut Vec<u8>) {
        if let Some(append) = &mut self.append {
            append.keep(content);
        }
    }

    fn attached(&mut self) -> Option<net::Attachment> {
        self.readers.take_attached()
    }

    async fn news(&mut self) -> News {
        let selected = self.selected.as_ref().map(|selected| selected.mailbox);
        let here = async {
            match &mut self.selected {
                Some(selected) => selected.changed().await,
                None => std::future::pending().await,
            }
        };
        let elsewhere = async {
            match &mut self.watching {
                Some(watching) => watching.news(selected).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            news = here => news,
            news = elsewhere => news,
        }
    }
}

impl Selected {
    /// Waits for something that the client was not told. Cancel-safe.
    async fn changed(&mut self) -> News {
        if self.is_woken() {
            // Once is enough until the session asks.
            std::future::pending::<()>().await;
        }
        self.open.changed().await;
        self.wake();
        News::Changed
    }

    /// Passes over the wake-up calls of what is looked at now.
    fn catch_up(&mut self) {
        while self.open.changed().now_or_never().is_some() {}
    }
}
