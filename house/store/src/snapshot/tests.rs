//! How snapshots are looked up, changed and compared.

use super::*;
use crate::feed::{Arrival, Change};
use crate::names::AccountId;
use proptest::prelude::*;

const MAILBOX: MailboxId = MailboxId(1);
const ACCOUNT: AccountId = AccountId(1);

fn empty() -> Snapshot {
    Snapshot::empty(MAILBOX, 1, 1, ModSeq(1))
}

fn placed(modseq: i64, uids: Range<u32>) -> Change {
    let arrival = |uid| Arrival { uid: Uid(uid), size: 10, received_at: 5, flags: Flags::default() };
    Change::Placed { account: ACCOUNT, mailbox: MAILBOX, modseq: ModSeq(modseq), messages: uids.map(arrival).collect() }
}

fn flagged(modseq: i64, uids: &[u32], flags: &Flags) -> Change {
    let messages = uids.iter().map(|uid| (Uid(*uid), flags.clone())).collect();
    Change::FlagsSet { account: ACCOUNT, mailbox: MAILBOX, modseq: ModSeq(modseq), messages }
}

fn expunged(modseq: i64, uids: &[u32]) -> Change {
    let uids = uids.iter().map(|uid| Uid(*uid)).collect();
    Change::Expunged { account: ACCOUNT, mailbox: MAILBOX, modseq: ModSeq(modseq), uids }
}

fn uids(snapshot: &Snapshot) -> Vec<u32> {
    snapshot.rows().map(|row| row.uid.0).collect()
}

#[test]
fn rows_are_found_by_index_and_by_uid() {
    let snapshot = empty().after(&placed(2, 1..2001)).after(&expunged(3, &[1, 513, 2000]));
    assert_eq!((snapshot.len(), snapshot.uidnext, snapshot.unseen, snapshot.octets), (1997, 2001, 1997, 19_970));
    for (index, row) in snapshot.rows().enumerate() {
        assert_eq!(snapshot.get(index), Some(row));
        assert_eq!(snapshot.index_of(row.uid), Some(index));
    }
    assert_eq!((snapshot.index_of(Uid(513)), snapshot.lower_bound(Uid(513)), snapshot.get(1997)), (None, 511, None));
    assert_eq!(snapshot.slice(510..513).map(|row| row.uid.0).collect::<Vec<_>>(), [512, 514, 515]);
    assert_eq!(snapshot.slice(1990..5000).count(), 7);
    let named = snapshot.uid_ranges().flat_map(|(first, last)| first.0..=last.0);
    assert!(named.eq(uids(&snapshot)) && snapshot.uid_ranges().count() < 1500);
    let seen = snapshot.after(&flagged(4, &[2, 3], &Flags::system(Flags::SEEN)));
    assert_eq!((seen.first_unseen().map(|row| row.uid), empty().first_unseen()), (Some(Uid(4)), None));
    assert_eq!(snapshot.slice(5000..5001).count(), 0);
    let found =
        |uids: &[u32]| snapshot.rows_of(uids.iter().map(|uid| Uid(*uid))).map(|row| row.uid.0).collect::<Vec<_>>();
    assert_eq!(found(&[1, 2, 3, 512, 513, 514, 1000, 1001, 1999, 2000, 3000]), [2, 3, 512, 514, 1000, 1001, 1999]);
    assert!(found(&[2000, 2001]).is_empty());
}

#[test]
fn what_is_known_already_changes_nothing() {
    let flags = Flags { system: Flags::SEEN, keywords: vec!["Work".into()] };
    let changes = [placed(2, 1..4), flagged(3, &[2], &flags), expunged(4, &[1])];
    let once = changes.iter().fold(empty(), |snapshot, change| snapshot.after(change));
    let twice = changes.iter().fold(once.clone(), |snapshot, change| snapshot.after(change));
    assert_eq!(uids(&twice), [2, 3]);
    assert_eq!(once.rows().collect::<Vec<_>>(), twice.rows().collect::<Vec<_>>());
    assert_eq!((twice.unseen, twice.octets, twice.keywords()), (1, 20, vec!["Work".into()]));
    assert_eq!(twice.flags(twice.get(0).unwrap()), flags);
}

#[test]
fn one_message_changed_in_many_shares_the_rest() {
    let before = empty().after(&placed(2, 1..10_001));
    let after = before.after(&flagged(3, &[5000], &Flags::system(Flags::DELETED)));
    let shared = before.pieces.iter().zip(&*after.pieces).filter(|(one, two)| Arc::ptr_eq(&one.rows, &two.rows));
    assert_eq!(shared.count(), before.pieces.len() - 1);
    assert_eq!(before.changes_to(&after).changed, [Uid(5000)]);
    assert_eq!((before.deleted, after.deleted), (0, 1));
}

proptest! {
    #[test]
    fn the_difference_leads_from_one_to_the_other(
        count in 1..1500_u32, more in 0..700_u32,
        gone in proptest::collection::btree_set(1..2200_u32, 0..900),
        flags in proptest::collection::btree_set(1..2200_u32, 0..50),
    ) {
        let before = empty().after(&placed(2, 1..count + 1));
        let seen = Flags::system(Flags::SEEN);
        let there = |uid: &&u32| **uid <= count + more;
        let flagged_uids: Vec<u32> = flags.iter().filter(there).copied().collect();
        let gone_uids: Vec<u32> = gone.iter().filter(there).copied().collect();
        let after = before
            .after(&placed(3, count + 1..count + more + 1))
            .after(&flagged(4, &flagged_uids, &seen))
            .after(&expunged(5, &gone_uids));
        let difference = before.changes_to(&after);
        let plain = |uids: &[Uid]| uids.iter().map(|uid| uid.0).collect::<Vec<_>>();
        let left = |uid: &u32| !gone.contains(uid);
        prop_assert_eq!(plain(&difference.vanished), gone_uids.iter().copied().filter(|uid| *uid <= count).collect::<Vec<_>>());
        prop_assert_eq!(plain(&difference.added), (count + 1..count + more + 1).filter(left).collect::<Vec<_>>());
        prop_assert_eq!(plain(&difference.changed), flagged_uids.iter().copied().filter(|uid| *uid <= count && left(uid)).collect::<Vec<_>>());
        prop_assert_eq!(after.len(), after.rows().count());
        prop_assert_eq!(after.unseen, after.rows().filter(|row| u32::from(row.system) & Flags::SEEN == 0).count());
        prop_assert_eq!(before.changes_to(&before), Difference::default());
    }
}
