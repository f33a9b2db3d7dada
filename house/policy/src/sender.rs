//! May this account write under this name?
//!
//! RFC 6409 §6.1, §8.1 (the sender belongs to the login); RFC 5321 §4.5.5 (the empty reverse-path); RFC 5322 §3.6.2 (From).
//!
//! Whoever logs in writes as himself, in the envelope and in every address of From. Whoever does not log in is another
//! server and passes on what it was given: that is for SPF, DKIM and DMARC to judge.
//!
//! Not here: which names an account has (directory), where From is read (message).

use directory::{Address, Directory};

use crate::verdict::{Reason, Verdict};

/// How far the senders of those who log in are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// Envelope and From.
    #[default]
    EnvelopeAndFrom,
    /// The envelope alone: for programs that send in the name of others.
    Envelope,
}

/// Judges the reverse-path: local part and domain, or `None` for `<>`. Asked at MAIL.
///
/// `<>` is allowed to everyone: read receipts are sent so (RFC 8098 §3).
pub fn envelope(directory: &Directory, account: Option<i64>, from: Option<(&str, &str)>) -> Verdict {
    match (account, from) {
        (Some(account), Some(from)) => owned(directory, account, from),
        _ => Verdict::Accept,
    }
}

/// Judges the addresses of the From field; none are none that are wrong. Asked after the message.
pub fn header<'a>(
    directory: &Directory,
    strictness: Strictness,
    account: Option<i64>,
    from: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Verdict {
    let (Some(account), Strictness::EnvelopeAndFrom) = (account, strictness) else { return Verdict::Accept };
    let verdicts = from.into_iter().map(|from| owned(directory, account, from));
    verdicts.into_iter().find(|verdict| !verdict.is_accept()).unwrap_or(Verdict::Accept)
}

fn owned(directory: &Directory, account: i64, (local, domain): (&str, &str)) -> Verdict {
    if directory.may_send_as(account, local, domain) {
        return Verdict::Accept;
    }
    let written = format!("{local}@{domain}");
    let address = Address::parse(&written).map_or(written, |address| address.to_string());
    Reason::SenderNotYours { address }.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use directory::{AccountRecord, AccountRow, DomainRecord, Entry, InstallationSecret, Record, Settings};

    /// alice is 1, bob is 2.
    fn town() -> Directory {
        let row =
            |(id, name): (i64, &str)| AccountRow { id, name: name.into(), record: AccountRecord::new(None, 0).write() };
        let domains = [Entry { key: "crepes.test".into(), value: DomainRecord::new(0).write() }];
        let accounts = [(1, "alice@crepes.test"), (2, "bob@crepes.test")].map(row);
        Directory::build(accounts, domains, [], Settings::new(InstallationSecret::new([0; 32]))).expect("builds")
    }

    const ALICE: (&str, &str) = ("Alice+shop", "CREPES.test");
    const BOB: (&str, &str) = ("bob", "crepes.test");
    const PRESIDENT: (&str, &str) = ("president", "example.org");

    #[test]
    fn who_logs_in_sends_as_himself_or_as_nobody() {
        let may = |account, from| envelope(&town(), account, from).is_accept();
        assert!(may(Some(1), Some(ALICE)) && may(Some(1), None));
        assert!(!may(Some(1), Some(BOB)) && !may(Some(1), Some(PRESIDENT)));
        let verdict = envelope(&town(), Some(1), Some(BOB));
        let reason = verdict.reason().expect("refused");
        assert_eq!((reason.reply().code, reason.reply().enhanced), (553, "5.7.1"));
        assert_eq!(reason.to_string(), "the account may not send as <bob@crepes.test>");
    }

    #[test]
    fn another_server_passes_on_what_it_was_given() {
        for from in [Some(ALICE), Some(PRESIDENT), None] {
            assert!(envelope(&town(), None, from).is_accept());
        }
        assert!(header(&town(), Strictness::EnvelopeAndFrom, None, [BOB, PRESIDENT]).is_accept());
    }

    #[test]
    fn every_address_of_from_must_be_ones_own() {
        let may = |from: &[(&'static str, &'static str)]| {
            header(&town(), Strictness::EnvelopeAndFrom, Some(1), from.iter().copied()).is_accept()
        };
        assert!(may(&[]) && may(&[ALICE]) && may(&[ALICE, ("alice", "crepes.test")]));
        assert!(!may(&[BOB]) && !may(&[ALICE, BOB]) && !may(&[PRESIDENT, ALICE]));
        assert!(header(&town(), Strictness::Envelope, Some(1), [BOB]).is_accept());
    }

    #[test]
    fn the_old_tricks_to_relay_through_a_local_part_reach_nobody() {
        use crate::relay::{Client, Door, Relay};
        let stranger =
            Client { address: "203.0.113.1".parse().expect("an address"), door: Door::Exchange, account: None };
        for local in
            ["president%example.org", "example.org!president", "@crepes.test:president", "president@example.org"]
        {
            let resolution = town().resolve(local, "crepes.test");
            assert!(!Relay::default().recipient(&stranger, &resolution).is_accept(), "{local}");
        }
    }
}
