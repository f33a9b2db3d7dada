//! The rules of spaces as tests: who sees what, and what is left on disk.

use super::*;
use crate::settings::SpaceRule;
use directory::AccountRecord;

const GIB: u64 = 1 << 30;

fn path(text: &str) -> JailedPath {
    JailedPath::parse(text.as_bytes(), &JailedPath::root()).expect("a path")
}

fn account(id: i64, name: &str) -> Account {
    Account { id, name: name.into(), record: AccountRecord::new(None, 0) }
}

fn space(name: &str, at: &str, members: &[Whom], permissions: Permissions) -> SpaceSettings {
    SpaceSettings {
        name: name.into(),
        path: None,
        at: path(at),
        members: members.to_vec(),
        permissions,
        rules: Vec::new(),
        quota: Quota::NONE,
        keep_interrupted: Duration::from_secs(86_400),
        file_mode: 0o640,
        directory_mode: 0o750,
        first_files: &[],
    }
}

fn with(spaces: Vec<SpaceSettings>) -> FileSettings {
    FileSettings { spaces, ..FileSettings::default() }
}

/// Where somebody sees what, and what they may do there.
fn seen(settings: &FileSettings, visitor: Visitor<'_>) -> Vec<String> {
    let name = |what: &What<'_>| match what {
        What::Own(..) => "own".to_string(),
        What::Shared(space) => space.name.clone(),
    };
    let rules = |stand: &Stand<'_>| {
        stand.rules.iter().map(|rule| format!(" {} {}", rule.at, rule.permissions)).collect::<String>()
    };
    let mut seen: Vec<String> = stands(settings, visitor)
        .iter()
        .map(|stand| format!("{} {} {}{}", stand.at, name(&stand.what), stand.permissions, rules(stand)))
        .collect();
    seen.sort();
    seen
}

fn store(space: &Space, at: &str, content: &str) -> Result<(), Error> {
    let mut upload = space.begin_upload(&path(at), Mode::Store)?;
    upload.write_all(content.as_bytes())?;
    upload.commit().map(drop)
}

#[test]
fn what_is_made_in_a_space_has_the_modes_that_it_says() {
    use std::os::unix::fs::PermissionsExt;
    let data = tempfile::tempdir().expect("a directory");
    let mut shared = space("s", "/s", &[Whom::Accounts], Permissions::ALL);
    // Nobody's umask takes anything away of what is the owner's.
    (shared.file_mode, shared.directory_mode) = (0o600, 0o700);
    let settings = with(vec![shared]);
    let (spaces, alice) = (Spaces::new(data.path(), Syncs::Always), account(1, "alice@crepes.test"));
    let seen = spaces.of(&settings, Visitor::Account(&alice)).expect("opens").expect("a space");
    store(&seen, "/s/menu", "crepes").expect("stored");
    seen.make_directory(&path("/s/d")).expect("made");
    let mode = |at: &str| data.path().join("spaces/s").join(at).metadata().expect("there").permissions().mode() & 0o777;
    assert_eq!((mode("menu"), mode("d")), (0o600, 0o700));
}

#[test]
fn what_is_put_in_a_directory_s_place_is_seen_when_the_server_is_told() {
    let (data, disks) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let place = disks.path().join("s");
    std::fs::create_dir(&place).expect("made");
    let settings = with(vec![SpaceSettings {
        path: Some(place.clone()),
        ..space("s", "/s", &[Whom::Accounts], Permissions::ALL)
    }]);
    let (spaces, alice) = (Spaces::new(data.path(), Syncs::Always), account(1, "alice@crepes.test"));
    let sees = |at: &str| {
        let space = spaces.of(&settings, Visitor::Account(&alice)).expect("opens").expect("a space");
        space.stat(&path(at)).is_ok()
    };
    let in_use = spaces.of(&settings, Visitor::Account(&alice)).expect("opens").expect("a space");
    store(&in_use, "/s/old", "menu").expect("stored");
    std::fs::rename(&place, disks.path().join("elsewhere")).expect("moved");
    spaces.renew_shared(&settings);
    assert!(!sees("/s/old"), "nothing is there now");
    std::fs::create_dir(&place).expect("made");
    std::fs::write(place.join("new"), "menu").expect("written");
    spaces.renew_shared(&settings);
    assert!(sees("/s/new") && !sees("/s/old"));
    // An account's own, as from a backup.
    store(&in_use, "/mine", "menu").expect("stored");
    let own = data.path().join("files/1");
    std::fs::rename(&own, disks.path().join("own")).expect("moved");
    spaces.sweep(&settings, SystemTime::now());
    assert!(!sees("/mine"));
}

#[test]
fn an_upload_that_broke_off_goes_with_its_day_whether_or_not_anybody_has_come_since() {
    let data = tempfile::tempdir().expect("a directory");
    let settings = with(vec![space("s", "/s", &[Whom::Accounts], Permissions::ALL)]);
    let alice = account(1, "alice@crepes.test");
    let break_off = |spaces: &Spaces, at: &str| {
        let space = spaces.of(&settings, Visitor::Account(&alice)).expect("opens").expect("a space");
        let mut upload = space.begin_upload(&path(at), Mode::Store).expect("an upload");
        upload.write_all(b"half").expect("it is written");
        upload.interrupt();
    };
    let kept = |spaces: &Spaces, at: &str| {
        let space = spaces.of(&settings, Visitor::Account(&alice)).expect("opens").expect("a space");
        space.kept(&path(at)).expect("a look")
    };
    for at in ["/half.txt", "/s/half.txt"] {
        let spaces = Spaces::new(data.path(), Syncs::Always);
        break_off(&spaces, at);
        drop(spaces);
        let spaces = Spaces::new(data.path(), Syncs::Always);
        spaces.sweep(&settings, SystemTime::now());
        assert_eq!(kept(&spaces, at), Some(4), "{at}: its day has not passed");
        let spaces = {
            drop(spaces);
            Spaces::new(data.path(), Syncs::Always)
        };
        spaces.sweep(&settings, SystemTime::now() + Duration::from_secs(3 * 86_400));
        assert_eq!(kept(&spaces, at), None, "{at}: its day has passed");
    }
}

#[test]
fn what_nobody_uses_is_closed_and_opens_again() {
    let data = tempfile::tempdir().expect("a directory");
    let (spaces, settings) = (Spaces::new(data.path(), Syncs::Always), FileSettings::default());
    let (alice, bob) = (account(1, "alice@crepes.test"), account(2, "bob@hamburger.test"));
    let hers = spaces.of(&settings, Visitor::Account(&alice)).expect("opens").expect("a space");
    drop(spaces.of(&settings, Visitor::Account(&bob)).expect("opens"));
    spaces.sweep(&settings, SystemTime::now());
    assert_eq!(lock(&spaces.slots).len(), 1, "hers is in use");
    store(&hers, "/f", "x").expect("it goes on");
    assert!(spaces.of(&settings, Visitor::Account(&bob)).expect("opens").is_some());
}

#[test]
fn accounts_see_their_own_and_what_is_shared_with_them() {
    let account_named = |name: &str| Whom::Account(name.into());
    let settings = with(vec![
        space("projects", "/shared/projects", &[account_named("alice@crepes.test")], Permissions::ALL),
        space("house", "/house", &[Whom::Domain("crepes.test".into())], Permissions::READ_ONLY),
        space("all", "/all", &[Whom::Accounts], Permissions::DROP_BOX),
        space("pub", "/", &[Whom::Guests], Permissions::READ_ONLY),
    ]);
    let (alice, bob) = (account(1, "alice@crepes.test"), account(2, "bob@hamburger.test"));
    let full = Permissions::ALL;
    assert_eq!(
        seen(&settings, Visitor::Account(&alice)),
        [
            format!("/ own {full}"),
            "/all all create".into(),
            "/house house list,read".into(),
            format!("/shared/projects projects {full}")
        ]
    );
    assert_eq!(seen(&settings, Visitor::Account(&bob)), [format!("/ own {full}"), "/all all create".into()]);
    assert_eq!(seen(&settings, Visitor::Guest), ["/ pub list,read"]);
}

#[test]
fn a_space_at_the_top_takes_the_place_of_what_is_one_s_own_and_so_does_nothing() {
    let top = with(vec![space("top", "/", &[Whom::Accounts], Permissions::READ_ONLY)]);
    let mut bob = account(2, "bob@hamburger.test");
    assert_eq!(seen(&top, Visitor::Account(&bob)), ["/ top list,read"]);
    let none = FileSettings { own: Permissions::NONE, ..FileSettings::default() };
    assert!(seen(&none, Visitor::Account(&bob)).is_empty());
    bob.record.file_permissions = Some("read-only".into());
    assert_eq!(seen(&none, Visitor::Account(&bob)), ["/ own list,read"], "his record comes first");
    bob.record.file_permissions = Some("list,fly".into());
    assert!(seen(&none, Visitor::Account(&bob)).is_empty());
    assert_eq!(seen(&FileSettings::default(), Visitor::Account(&bob)), ["/ own list,read"], "never more than is known");
}

#[test]
fn of_the_rules_for_one_directory_the_first_that_fits_holds() {
    let rule = |at: &str, whom: &[Whom], permissions| SpaceRule { at: path(at), whom: whom.to_vec(), permissions };
    let mut shared = space("s", "/s", &[Whom::Accounts, Whom::Guests], Permissions::READ_ONLY);
    shared.rules = vec![
        rule("/", &[Whom::Account("alice@crepes.test".into())], Permissions::ALL),
        rule("/in", &[Whom::Domain("hamburger.test".into())], Permissions::NONE),
        rule("/in", &[], Permissions::DROP_BOX),
    ];
    let settings = FileSettings { own: Permissions::NONE, ..with(vec![shared]) };
    let (alice, bob) = (account(1, "alice@crepes.test"), account(2, "bob@hamburger.test"));
    let full = Permissions::ALL;
    assert_eq!(seen(&settings, Visitor::Account(&alice)), [format!("/s s list,read / {full} /in create")]);
    assert_eq!(seen(&settings, Visitor::Account(&bob)), ["/s s list,read /in none"]);
    assert_eq!(seen(&settings, Visitor::Guest), ["/s s list,read /in create"]);
}

#[test]
fn guests_look_or_hand_in_and_never_both() {
    for (declared, granted) in [
        (Permissions::ALL, Permissions::READ_ONLY),
        (Permissions::READ_ONLY | Permissions::CREATE, Permissions::READ_ONLY),
        (Permissions::LIST | Permissions::CREATE, Permissions::LIST),
        (Permissions::DROP_BOX, Permissions::DROP_BOX),
        (Permissions::CREATE | Permissions::MKDIR | Permissions::DELETE, Permissions::DROP_BOX),
        (Permissions::NONE, Permissions::NONE),
    ] {
        assert_eq!(for_guests(declared), granted, "{declared}");
    }
    let public = space("pub", "/", &[Whom::Guests], Permissions::DROP_BOX);
    assert!(!shared(&public, Visitor::Guest).keeps_interrupted, "strangers share the name");
}

#[test]
fn what_one_stores_in_a_shared_space_the_other_sees_and_it_counts_once() {
    let data = tempfile::tempdir().expect("a directory");
    let spaces = Spaces::new(data.path(), Syncs::Always);
    let mut shared = space("s", "/s", &[Whom::Accounts], Permissions::ALL);
    shared.quota.bytes_max = Some(10);
    let settings = with(vec![shared]);
    let (alice, bob) = (account(1, "alice@crepes.test"), account(2, "bob@hamburger.test"));
    let hers = spaces.of(&settings, Visitor::Account(&alice)).expect("opens").expect("a space");
    let his = spaces.of(&settings, Visitor::Account(&bob)).expect("opens").expect("a space");
    store(&hers, "/s/f", "01234567").expect("there is room");
    assert_eq!(his.stat(&path("/s/f")).expect("he sees it").facts.size, 8);
    assert!(matches!(store(&his, "/s/g", "012"), Err(Error::QuotaExceeded)));
    store(&his, "/g", "012").expect("his own is another matter");
    assert!(matches!(his.rename(&path("/g"), &path("/s/g")), Err(Error::AcrossMounts)));
}

#[test]
fn another_quota_holds_for_who_is_in() {
    let data = tempfile::tempdir().expect("a directory");
    let (spaces, mut settings) =
        (Spaces::new(data.path(), Syncs::Always), with(vec![space("s", "/s", &[Whom::Accounts], Permissions::ALL)]));
    let mut alice = account(1, "alice@crepes.test");
    assert!(spaces.at_once(&settings, Visitor::Account(&alice)).is_none(), "nothing is open yet");
    let hers = spaces.of(&settings, Visitor::Account(&alice)).expect("opens").expect("a space");
    assert!(spaces.at_once(&settings, Visitor::Account(&alice)).is_some());
    store(&hers, "/f", "01234").expect("there is no quota");
    alice.record.quota.files = Some(1);
    assert!(spaces.at_once(&settings, Visitor::Account(&alice)).is_none(), "another quota is for the slow way");
    spaces.renew(&settings, &alice);
    assert!(matches!(store(&hers, "/g", ""), Err(Error::QuotaExceeded)));
    settings.spaces[0].quota.bytes_max = Some(1);
    spaces.renew_shared(&settings);
    assert!(matches!(store(&hers, "/s/g", "01"), Err(Error::QuotaExceeded)));
}

#[test]
fn a_space_that_cannot_be_opened_is_left_out() {
    let data = tempfile::tempdir().expect("a directory");
    let spaces = Spaces::new(data.path(), Syncs::Always);
    let mut missing = space("disk", "/disk", &[Whom::Accounts], Permissions::ALL);
    missing.path = Some(data.path().join("not there"));
    let settings = with(vec![missing]);
    let alice = account(1, "alice@crepes.test");
    let hers = spaces.of(&settings, Visitor::Account(&alice)).expect("opens").expect("a space");
    assert!(matches!(hers.stat(&path("/disk")), Err(Error::NotFound)));
    let only = FileSettings { own: Permissions::NONE, ..settings };
    assert!(spaces.of(&only, Visitor::Account(&alice)).expect("opens").is_none());
}

#[test]
fn directories_of_rules_are_made_and_held_in_place_for_everybody() {
    let data = tempfile::tempdir().expect("a directory");
    let spaces = Spaces::new(data.path(), Syncs::Always);
    let mut shared = space("s", "/s", &[Whom::Accounts], Permissions::ALL);
    shared.rules = vec![SpaceRule { at: path("/a/in"), whom: vec![Whom::Guests], permissions: Permissions::DROP_BOX }];
    let settings = with(vec![shared]);
    let alice = account(1, "alice@crepes.test");
    let hers = spaces.of(&settings, Visitor::Account(&alice)).expect("opens").expect("a space");
    hers.enter(&path("/s/a/in")).expect("it is there");
    for at in ["/s/a/in", "/s/a"] {
        assert!(matches!(hers.rename(&path(at), &path("/s/b")), Err(Error::Fixed)), "{at}");
    }
    assert!(matches!(hers.remove_directory(&path("/s/a/in")), Err(Error::Fixed)));
}

#[test]
fn who_is_removed_leaves_nothing_or_what_was_to_be_kept() {
    let data = tempfile::tempdir().expect("a directory");
    let (spaces, settings) = (Spaces::new(data.path(), Syncs::Always), FileSettings::default());
    for (id, keep) in [(1, false), (2, true)] {
        let gone = account(id, "gone@crepes.test");
        let space = spaces.of(&settings, Visitor::Account(&gone)).expect("opens").expect("a space");
        store(&space, "/f", "left").expect("stored");
        let aside = spaces.remove(AccountId(id), &gone.name, keep).expect("it goes");
        assert_eq!(aside, keep.then(|| data.path().join("kept-files/gone@crepes.test-2")));
        assert!(store(&space, "/g", "late").is_err() || keep, "a session that is still open writes into nothing");
        assert!(!data.path().join("files").join(id.to_string()).exists());
    }
    assert_eq!(std::fs::read(data.path().join("kept-files/gone@crepes.test-2/f")).expect("kept"), b"left");
    assert_eq!(spaces.remove(AccountId(3), "never@crepes.test", false).expect("nothing to do"), None);
}

#[test]
fn a_removal_that_broke_off_is_finished_by_the_next_sweep() {
    let data = tempfile::tempdir().expect("a directory");
    let doomed = data.path().join("files/removed-7");
    std::fs::create_dir_all(doomed.join("deep")).expect("a directory");
    Spaces::new(data.path(), Syncs::Always).sweep(&FileSettings::default(), SystemTime::now());
    assert!(!doomed.exists());
}

#[test]
fn holdings_are_what_lies_there() {
    let data = tempfile::tempdir().expect("a directory");
    let spaces = Spaces::new(data.path(), Syncs::Always);
    let mut shared = space("s", "/s", &[Whom::Accounts], Permissions::ALL);
    shared.quota.bytes_max = Some(GIB);
    let settings = with(vec![shared]);
    let row = |id, name: &str| directory::AccountRow {
        id,
        name: name.into(),
        record: directory::Record::write(&AccountRecord::new(None, 0)),
    };
    let domain = directory::Entry {
        key: "crepes.test".into(),
        value: directory::Record::write(&directory::DomainRecord::new(0)),
    };
    let directory = Directory::build(
        vec![row(1, "alice@crepes.test"), row(2, "carol@crepes.test")],
        vec![domain],
        vec![],
        directory::Settings::new(directory::InstallationSecret::new([0; 32])),
    )
    .expect("a directory");
    let hers = spaces.of(&settings, Visitor::Account(&directory.accounts()[0])).expect("opens").expect("a space");
    store(&hers, "/f", "12345").expect("stored");
    store(&hers, "/s/g", "123").expect("stored");
    let told = |only: Option<&str>, anew| -> Vec<(String, u64, u64)> {
        let holdings = spaces.holdings(&settings, &directory, only, anew).expect("counted");
        holdings.into_iter().map(|holding| (holding.name, holding.usage.bytes, holding.usage.files)).collect()
    };
    let alice = || ("alice@crepes.test".to_string(), 5, 1);
    assert_eq!(told(None, false), [("s".into(), 3, 1), alice(), ("carol@crepes.test".into(), 0, 0)]);
    std::fs::write(data.path().join("files/1/brought"), "12").expect("another program");
    assert_eq!(told(Some("Alice@crepes.test"), false), [alice()]);
    assert_eq!(told(Some("alice@crepes.test"), true), [("alice@crepes.test".into(), 7, 2)]);
    assert!(told(Some("nobody"), false).is_empty());
}
