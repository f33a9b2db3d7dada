//! Commands on a store that no server holds, some of whose records are damaged.

use super::*;
use std::path::Path;

const RUBBISH: &str = "{\"version\":1,";

/// A store with alice, whose record is whole, and bob and two entries, whose records are not.
async fn damaged(folder: &Path) {
    let ask = |request| async move {
        answer_offline(folder, DirectorySettings::default(), FileSettings::default(), &request).await
    };
    ask(Request::DomainAdd { domain: "crepes.test".into(), catch_all: None }).await.expect("a store");
    let add = Request::AccountAdd {
        address: "alice@crepes.test".into(),
        name: None,
        password: "long enough".into(),
        quota: None,
    };
    ask(add).await.expect("a store");
    let store = Store::open(folder, store::Options::default()).expect("a store");
    let entry = |kind: &str, key: &str| Op::PutEntry { kind: kind.into(), key: key.into(), value: RUBBISH.into() };
    let ops = vec![
        Op::CreateAccount { name: "bob@crepes.test".into(), record: RUBBISH.into() },
        entry(directory::DOMAIN_KIND, "gone.test"),
        entry(directory::ALIAS_KIND, "team@crepes.test"),
    ];
    store.commit(Commit::of(ops)).await.expect("a commit");
    store.close();
}

async fn ask(folder: &Path, request: Request) -> Answered {
    answer_offline(folder, DirectorySettings::default(), FileSettings::default(), &request).await.expect("a store")
}

#[tokio::test]
async fn damaged_records_are_named_and_the_others_are_served() {
    let folder = tempfile::tempdir().expect("a directory");
    damaged(folder.path()).await;
    let Answered { answer, damaged } = ask(folder.path(), Request::AccountList).await;
    let Answer::Accounts(accounts) = answer else { panic!("{answer:?}") };
    assert_eq!(accounts.iter().map(|account| &*account.address).collect::<Vec<_>>(), ["alice@crepes.test"]);
    for (fault, names) in
        damaged.iter().zip(["account `bob@crepes.test`", "domain `gone.test`", "alias `team@crepes.test`"])
    {
        assert!(fault.contains(names), "{fault}");
    }
    assert_eq!(damaged.len(), 3);
    let password = Request::AccountPasswd { address: "alice@crepes.test".into(), password: "another one".into() };
    assert!(matches!(ask(folder.path(), password).await.answer, Answer::Done(_)));
}

#[tokio::test]
async fn damaged_records_can_be_removed() {
    let folder = tempfile::tempdir().expect("a directory");
    damaged(folder.path()).await;
    let removals = [
        Request::AccountRemove { address: "bob@crepes.test".into(), keep_files: false },
        Request::DomainRemove { domain: "gone.test".into() },
        Request::AliasRemove { address: "team@crepes.test".into() },
    ];
    for request in removals {
        let Answered { answer, .. } = ask(folder.path(), request.clone()).await;
        assert!(matches!(answer, Answer::Done(_)), "{answer:?}");
        let Answered { answer, .. } = ask(folder.path(), request).await;
        assert!(matches!(answer, Answer::Refused { missing: true, .. }), "{answer:?}");
    }
    assert_eq!(ask(folder.path(), Request::Ping).await.damaged, Vec::<String>::new());
}
