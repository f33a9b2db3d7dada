//! What waits, and what becomes of it.

use super::*;
use crate::house::SessionId;
use std::path::Path;

fn hook(name: &str) -> Hook {
    Hook {
        name: name.into(),
        events: vec![EventKind::Upload],
        paths: vec![Pattern::new("/in/**")],
        accounts: vec![Pattern::new("*@crepes.test")],
        target: Target::Command(vec!["true".into()]),
        limit: Duration::from_secs(1),
        schedule: policy::Schedule::default(),
        parallel: 2,
    }
}

fn settings(hooks: Vec<Hook>) -> Settings {
    let data = Path::new("/nowhere");
    Settings { hooks, ..crate::dev::settings(data, std::net::Ipv4Addr::LOCALHOST.into(), None) }
}

fn happening(kind: EventKind, account: &str, path: &[u8]) -> Happening {
    Happening {
        kind,
        at: 1_764_303_150,
        service: "ftp",
        session: SessionId(1),
        account: account.into(),
        peer: None,
        agent: None,
        tls: true,
        file: FileFacts { path: path.to_vec(), ..FileFacts::default() },
        transfer: None,
    }
}

fn open(folder: &Path) -> Hooks {
    let store = Store::open(folder, store::Options::default()).expect("a store");
    Hooks::open(store).expect("it reads")
}

#[tokio::test]
async fn what_a_hook_wants_is_in_the_store_until_it_is_forgotten() {
    let folder = tempfile::tempdir().expect("a directory");
    let settings = settings(vec![hook("one"), hook("two")]);
    let hooks = open(folder.path());
    hooks.tell(&settings, &happening(EventKind::Upload, "a@crepes.test", b"/in/a")).await.expect("kept");
    hooks.store.close();
    drop(hooks);
    let hooks = open(folder.path());
    let (due, _) = hooks.waiting().take_due(0, |_| 2);
    assert_eq!(due.len(), 2, "one event for two hooks");
    hooks.forget(&[due[0].key(), due[1].key()]).await.expect("forgotten");
    assert_eq!(hooks.list(10).len(), 0);
    hooks.store.close();
    drop(hooks);
    assert_eq!(open(folder.path()).list(10).len(), 0);
}

#[tokio::test]
async fn what_no_hook_wants_costs_no_commit() {
    let folder = tempfile::tempdir().expect("a directory");
    let hooks = open(folder.path());
    let settings = settings(vec![hook("one")]);
    // A closed store takes nothing.
    hooks.store.close();
    for (kind, account, path) in [
        (EventKind::Download, "a@crepes.test", "/in/a"),
        (EventKind::Upload, "a@hamburger.test", "/in/a"),
        (EventKind::Upload, "a@crepes.test", "/out/a"),
    ] {
        hooks.tell(&settings, &happening(kind, account, path.as_bytes())).await.expect("nothing to do");
    }
    let wanted = happening(EventKind::Upload, "a@crepes.test", b"/in/a");
    assert!(hooks.tell(&settings, &wanted).await.is_err(), "and this one would have been kept");
}

fn item(id: &str, hook: &str) -> Item {
    Item::new(hook, &event::Event { id: id.into(), at: 0, body: "{}".into() })
}

#[test]
fn a_hook_has_no_more_at_once_than_it_may_and_others_do_not_wait_for_it() {
    let mut waiting = Waiting::default();
    ["1", "2", "3"].into_iter().for_each(|id| waiting.add(item(id, "slow")));
    waiting.add(item("4", "quick"));
    let ids = |(due, _): (Vec<Item>, Option<i64>)| {
        let mut ids: Vec<String> = due.iter().map(Item::key).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(waiting.take_due(0, |_| 2)), ["1/slow", "2/slow", "4/quick"]);
    assert_eq!(ids(waiting.take_due(0, |_| 2)), Vec::<String>::new());
    waiting.remove("1/slow");
    waiting.ended("slow");
    assert_eq!(ids(waiting.take_due(0, |_| 2)), ["3/slow"]);
}

#[test]
fn what_failed_is_due_later_or_when_somebody_says_so() {
    let mut waiting = Waiting::default();
    waiting.add(item("1", "hook"));
    let _ = waiting.take_due(0, |_| 1);
    waiting.put_back("1/hook", 100, "no".into());
    waiting.ended("hook");
    let (due, next) = waiting.take_due(50, |_| 1);
    assert_eq!((due.len(), next), (0, Some(100)));
    assert_eq!(waiting.hasten(&Which::Hook("hook".into()), 50), 1);
    let (due, _) = waiting.take_due(50, |_| 1);
    assert_eq!((due[0].attempts, due[0].why.as_deref()), (1, Some("no")));
    assert_eq!(waiting.hasten(&Which::Event("2".into()), 50), 0);
}

#[test]
fn what_was_dropped_under_way_does_not_come_back() {
    let mut waiting = Waiting::default();
    waiting.add(item("1", "hook"));
    let _ = waiting.take_due(0, |_| 1);
    waiting.remove("1/hook");
    waiting.put_back("1/hook", 100, "no".into());
    waiting.ended("hook");
    assert_eq!((waiting.count(), waiting.take_due(200, |_| 1).0.len()), (0, 0));
}

#[test]
fn a_damaged_entry_does_not_hide_the_others() {
    let whole = item("1", "hook");
    let waiting = Waiting::read(vec![(whole.key(), whole.write()), ("2/hook".into(), "{".into())]);
    assert_eq!(waiting.keys(&Which::All), ["1/hook"]);
}

#[test]
fn names_that_are_no_text_are_exact_in_hexadecimal_and_in_the_environment() {
    let event = happening(EventKind::Upload, "a@crepes.test", b"/caf\xe9").event("boat.test");
    let facts: serde_json::Value = serde_json::from_str(&event.body).expect("JSON");
    assert_eq!((&facts["file"]["path"], &facts["file"]["path_hex"]), (&"/caf\u{fffd}".into(), &"2f636166e9".into()));
    let variables = event::environment(&facts);
    let path = variables.iter().find(|(name, _)| name == "PACKETBOAT_FILE_PATH").map(|(_, value)| value.clone());
    assert_eq!(path, Some(std::os::unix::ffi::OsStringExt::from_vec(b"/caf\xe9".to_vec())));
    assert!(variables.iter().all(|(name, _)| !name.ends_with("HEX")));
    assert!(variables.iter().any(|(name, value)| name == "PACKETBOAT_TLS" && value == "true"));
}
