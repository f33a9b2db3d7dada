//! URLs that grant access to messages: keys, tokens, and what is fetched by them.
//!
//! RFC 4467 §2 (keys and tokens), §3 (who may use a URL), §6 (how it is looked at).
//!
//! A key is each account's own for each mailbox, and is kept with the mailbox, as an annotation that no client can name: it goes
//! when the mailbox goes. Beside it each account has one for all, so that all of its URLs can be taken back at once. A token
//! is an HMAC-SHA-256 under both.
//!
//! Invariants: a URL reads what its owner may read at that moment, and no more; why one is refused is not told, and takes the
//! same time whether or not there is such a mailbox; a key leaves this file as tokens only.
//! Not here: how a URL is written (imap).

use super::part::Source;
use super::readers::Readers;
use super::sharing::Place;
use super::{Desk, Verdict};
use aws_lc_rs::{hmac, rand};
use directory::{Account, Directory};
use imap::name::MailboxName;
use imap::server::Answer;
use imap::server::ask::{Content, Excerpt, Refusal};
use imap::url::{Access, AuthorizedUrl, MessageUrl};
use line::Secret;
use store::{AccountId, Commit, MailboxId, MailboxRef, Op, ReadError, Store, Uid};
use tracing::info;

/// The account's key for all its URLs, among its annotations. Clients can name those only that begin with `/private/` and
/// `/shared/`.
const ACCOUNT_KEY: &str = "/packetboat/url-key";

/// RFC 4467 §2.2: at least 128 bits of chance.
const KEY_OCTETS: usize = 32;

/// RFC 4467 §2.4.1: by what a token was made; another way of making them will have another number.
const HMAC_SHA_256: u8 = 1;

/// The key of one account for one mailbox, among the mailbox's annotations.
fn mailbox_key(account: AccountId) -> String {
    format!("{ACCOUNT_KEY}/{}", account.0)
}

/// The two parts of a key, as far as they are there.
#[derive(Debug, Clone)]
struct Parts {
    of_account: Option<Vec<u8>>,
    of_mailbox: Option<Vec<u8>>,
}

impl Parts {
    /// Blocks.
    fn read(store: &Store, account: AccountId, owner: AccountId, mailbox: MailboxId) -> Result<Parts, ReadError> {
        let value = |entries: Vec<(String, Vec<u8>)>, wanted: &str| {
            entries.into_iter().find(|(name, _)| name == wanted).map(|(_, value)| value)
        };
        let of_mailbox = store.metadata(owner, Some(mailbox))?;
        Ok(Parts {
            of_account: value(store.metadata(account, None)?, ACCOUNT_KEY),
            of_mailbox: value(of_mailbox, &mailbox_key(account)),
        })
    }

    fn whole(self) -> Option<hmac::Key> {
        let key = [self.of_account?, self.of_mailbox?].concat();
        Some(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }
}

fn chance() -> Vec<u8> {
    let mut key = vec![0; KEY_OCTETS];
    rand::fill(&mut key).expect("the system gives random octets");
    key
}

/// RFC 4467 §6: a key that nobody has, where there is none to compare with.
fn plausible_key() -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &[chance(), chance()].concat())
}

fn token(key: &hmac::Key, rump: &str) -> Secret {
    let signed = hmac::sign(key, rump.as_bytes());
    Secret::new([&[HMAC_SHA_256], signed.as_ref()].concat())
}

fn is_token(key: &hmac::Key, rump: &str, token: Option<&Secret>) -> bool {
    let (made_by, signed) = token.and_then(|token| token.reveal().split_first()).unwrap_or((&0, &[]));
    // Always compared: the time must not tell what was wrong.
    hmac::verify(key, rump.as_bytes(), signed).is_ok() && *made_by == HMAC_SHA_256
}

/// Who is meant by a name in a URL.
fn account<'a>(directory: &'a Directory, name: &str) -> Option<&'a Account> {
    directory.account_for_login(&sasl::prepared(name)?).filter(|account| !account.record.disabled)
}

fn is_current(url: &MessageUrl, place: &Place) -> bool {
    url.uidvalidity.is_none_or(|wanted| wanted == place.row.uidvalidity)
}

impl Desk {
    pub(super) async fn authorize_urls(&self, urls: Vec<AuthorizedUrl>) -> Verdict<Answer> {
        let me = self.account()?;
        let directory = self.house.directory();
        let mut tokens = Vec::with_capacity(urls.len());
        for url in urls {
            let is_mine = account(&directory, &url.owner).is_some_and(|owner| AccountId(owner.id) == me);
            if !is_mine {
                return Err(Refusal::NoPermission);
            }
            let place = self.place(&url.message.mailbox, "r").await?;
            if !is_current(&url.message, &place) {
                return Err(Refusal::NoSuchMailbox);
            }
            let key = match &url.access {
                // RFC 4467 §7: who is nobody gets a token that nothing fits, so that names cannot be found out.
                Access::User(name) | Access::Submitter(name) if account(&directory, name).is_none() => plausible_key(),
                _ => self.url_key(me, &place).await?,
            };
            tokens.push(token(&key, &url.rump));
        }
        info!(session = %self.caller.session, urls = tokens.len(), "URLs authorized");
        Ok(Answer::UrlTokens(tokens))
    }

    /// The key for URLs of this mailbox; made, if there is none.
    async fn url_key(&self, account: AccountId, place: &Place) -> Verdict<hmac::Key> {
        if let Some(key) = self.url_key_parts(account, place).await?.whole() {
            return Ok(key);
        }
        let _making = self.house.url_keys.making().await;
        let parts = self.url_key_parts(account, place).await?;
        let mut ops = Vec::new();
        if parts.of_account.is_none() {
            ops.push(Op::SetMetadata { account, mailbox: None, entries: vec![(ACCOUNT_KEY.into(), Some(chance()))] });
        }
        if parts.of_mailbox.is_none() {
            ops.push(set_mailbox_key(account, place));
        }
        if !ops.is_empty() {
            self.commit(Commit::of(ops)).await?;
        }
        self.url_key_parts(account, place).await?.whole().ok_or(Refusal::Unavailable)
    }

    async fn url_key_parts(&self, account: AccountId, place: &Place) -> Verdict<Parts> {
        let (owner, mailbox) = (place.access.owner, place.row.id);
        self.read(move |store| Parts::read(store, account, owner, mailbox)).await
    }

    pub(super) async fn reset_url_keys(&mut self, mailbox: Option<&MailboxName>) -> Verdict<Answer> {
        let account = self.account()?;
        let (op, of) = match mailbox {
            Some(name) => {
                let place = self.place(name, "r").await?;
                (set_mailbox_key(account, &place), Some(place.row.id))
            }
            None => {
                let entries = vec![(ACCOUNT_KEY.to_owned(), None)];
                (Op::SetMetadata { account, mailbox: None, entries }, None)
            }
        };
        self.order(op).await?;
        let count = self.house.url_keys.note(account, of);
        if let Some(selected) = self.selected.as_deref_mut() {
            // The session itself is told by the reply.
            selected.url_keys_seen = count;
        }
        info!(session = %self.caller.session, mailbox = mailbox.map(MailboxName::as_str), "keys of URLs reset");
        Ok(Answer::Done)
    }

    pub(super) async fn fetch_url(&mut self, url: AuthorizedUrl) -> Verdict<Answer> {
        let place = self.url_place(&url).await?;
        let Some(place) = place.filter(|_| self.may_use(&url)) else { return Ok(fetched(Content::Nil)) };
        let MessageUrl { uid, section, .. } = url.message;
        let found = self.read(move |store| Source::find(store, place.row.id, Uid(uid), &section)).await;
        match found {
            Ok(Source::Octets(octets)) => {
                Ok(Answer::FetchedUrl { content: Content::Octets(Excerpt::since(0, &octets)), octets })
            }
            Ok(Source::Stretch(reader, range)) => {
                self.readers = Readers::of(reader);
                Ok(fetched(Content::Stretch { reader: 0, from: range.start, to: range.end }))
            }
            Err(Refusal::ExpungeIssued) => Ok(fetched(Content::Nil)),
            Err(refusal) => Err(refusal),
        }
    }

    /// The mailbox of a URL, if its token is right.
    async fn url_place(&self, url: &AuthorizedUrl) -> Verdict<Option<Place>> {
        let directory = self.house.directory();
        let owner = account(&directory, &url.owner).map(|owner| AccountId(owner.id));
        let place = match owner {
            Some(owner) => match self.place_for(owner, &url.message.mailbox, "r").await {
                Ok(place) if is_current(&url.message, &place) => Some((owner, place)),
                Ok(_) | Err(Refusal::NoSuchMailbox | Refusal::NoPermission) => None,
                Err(refusal) => return Err(refusal),
            },
            None => None,
        };
        let key = match &place {
            Some((owner, place)) => self.url_key_parts(*owner, place).await?.whole(),
            None => None,
        };
        let is_right = is_token(&key.unwrap_or_else(plausible_key), &url.rump, url.token.as_ref());
        Ok(place.filter(|_| is_right).map(|(_, place)| place))
    }

    /// RFC 4467 §3.
    fn may_use(&self, url: &AuthorizedUrl) -> bool {
        let directory = self.house.directory();
        let is_me = |name: &str| {
            account(&directory, name).map(|account| AccountId(account.id)) == self.account && self.account.is_some()
        };
        let lasts = url.expires.is_none_or(|until| self.house.now() <= until);
        lasts
            && match &url.access {
                Access::Anonymous | Access::Account => self.account.is_some(),
                Access::User(name) => is_me(name),
                Access::Submitter(_) => self.house.settings().imap_submitters.iter().any(|name| is_me(name)),
            }
    }
}

/// What a URL names, without octets.
fn fetched(content: Content) -> Answer {
    Answer::FetchedUrl { content, octets: Vec::new() }
}

fn set_mailbox_key(account: AccountId, place: &Place) -> Op {
    let entries = vec![(mailbox_key(account), Some(chance()))];
    Op::SetMetadata { account: place.access.owner, mailbox: Some(MailboxRef::Id(place.row.id)), entries }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_right_for_its_url_and_its_key_only() {
        let (key, other) = (plausible_key(), plausible_key());
        let made = token(&key, "imap://joe@h/a/;uid=1;urlauth=anonymous");
        assert_eq!(made.reveal().len(), 33);
        assert!(is_token(&key, "imap://joe@h/a/;uid=1;urlauth=anonymous", Some(&made)));
        assert!(!is_token(&other, "imap://joe@h/a/;uid=1;urlauth=anonymous", Some(&made)));
        assert!(!is_token(&key, "imap://joe@h/a/;uid=1;urlauth=Anonymous", Some(&made)));
        assert!(!is_token(&key, "imap://joe@h/a/;uid=1;urlauth=anonymous", None));
        let by_another_way = Secret::new([&[2], &made.reveal()[1..]].concat());
        assert!(!is_token(&key, "imap://joe@h/a/;uid=1;urlauth=anonymous", Some(&by_another_way)));
    }
}
