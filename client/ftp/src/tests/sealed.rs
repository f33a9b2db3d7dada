//! A scripted server under TLS that stops behind any octet of what it says, with and without a farewell, and anywhere on the wire,
//! the handshakes of both connections with it: behind each octet in clear, and behind each record and in it.

use super::names;
use super::scripted::{CONTENT, FETCH, SEND, Scripted, Then, bounded};
use super::wire::{Clock, Share, Toll};
use crate::{Connection, Error};
use net::Identity;
use std::path::Path;

/// TLS begins when the client asks for it.
const EXPLICIT: &str = "S: 220 ready\nC: AUTH TLS\nS: 234 go on\nT:\n";

/// TLS is there from the first octet.
const IMPLICIT: &str = "T:\nS: 220 ready\n";

const LOGIN: &str = "C: USER bob\nS: 331 password?\nC: PASS hungry\nS: 230 in\nC: PBSZ 0\nC: PROT P\nC: FEAT\nC: TYPE I\nS: 200 ok\nS: 200 ok\n\
                     S: 211-Features\nS:  SIZE\nS:  MLST type*;size*;\nS: 211 End\nS: 200 octets\n";

/// Behind its last words, QUIT and 221, nothing is missing.
const FAREWELL_STEPS: usize = 2;

/// The same on the wire: 221 and close_notify.
const FAREWELL_UNITS: usize = 2;

fn identity() -> Identity {
    let folder = tempfile::tempdir().expect("a folder");
    net::tls::self_signed(&["127.0.0.1".into()], folder.path()).expect("an identity")
}

/// It says what became of the connection.
#[track_caller]
fn assert_is_clear(what: &str, error: &Error) {
    let is_clear = matches!(error, Error::Ended(_) | Error::Broken { .. } | Error::Differs { .. } | Error::Tls { .. });
    assert!(is_clear, "{what}: {error}");
}

/// It must have ended with a whole file or with an error.
#[track_caller]
fn assert_whole_or_nothing(what: &str, done: &Result<(), Error>, folder: &Path) {
    let target = folder.join("menu");
    match done {
        Ok(()) => {
            assert_eq!(std::fs::read_to_string(&target).expect("a file"), CONTENT, "{what}");
            std::fs::remove_file(&target).expect("removed");
        }
        Err(error) => {
            assert!(!target.exists(), "{what}: {error}");
            assert_is_clear(what, error);
        }
    }
    assert!(names(folder).len() <= 1, "{what}: at most a part");
}

/// Cuts this behind each unit of what goes over the wire, and in it, until there is nothing left to be cut. It may end well only if
/// nothing but the farewell is cut.
async fn cut_the_wire(
    dialogue: String,
    ends: bool,
    does: impl AsyncFn(&Scripted) -> Result<(), Error>,
    check: impl Fn(&str, &Result<(), Error>),
) {
    let (identity, mut units, mut share, mut enough) = (identity(), 0, 0, None);
    if !ends {
        // Waits are not waited for.
        tokio::time::pause();
    }
    loop {
        let clock = Clock::default();
        let toll = Toll::of(units, Share::ALL[share], ends, clock.clone());
        let way = if ends { "cut" } else { "stalled" };
        let what = format!("{way} behind {units} units of the wire and {:?} of the next", Share::ALL[share]);
        let server = Scripted::sealed(&dialogue, usize::MAX, Then::HangsUp, Some(toll.clone()), &identity).await;
        clock.hold();
        let done = bounded(&what, does(&server)).await;
        clock.release();
        check(&what, &done);
        if done.is_ok() {
            enough = enough.or(Some(units));
        }
        match toll.cut() {
            None => {
                assert!(done.is_ok(), "nothing was cut: {done:?}");
                break;
            }
            Some(length) if length > 1 && share + 1 < Share::ALL.len() => share += 1,
            Some(_) => (units, share) = (units + 1, 0),
        }
    }
    assert!(units > 15, "{units} units, with a handshake");
    let enough = enough.expect("in the end");
    assert!(units - enough <= FAREWELL_UNITS, "content with {enough} units of {units}");
}

async fn cut_a_download(ends: bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let does = async |server: &Scripted| server.fetch(&folder.path().join("menu")).await.map(drop);
    let check = |what: &str, done: &Result<(), Error>| assert_whole_or_nothing(what, done, folder.path());
    cut_the_wire(format!("{EXPLICIT}{LOGIN}{FETCH}"), ends, does, check).await;
}

/// The other begin is part of the downloads.
async fn cut_a_login_at_the_port_for_tls(ends: bool) {
    let does = async |server: &Scripted| {
        Connection::open(&server.site()).await?.quit().await;
        Ok(())
    };
    let check = |what: &str, done: &Result<(), Error>| {
        if let Err(error) = done {
            assert_is_clear(what, error);
        }
    };
    cut_the_wire(format!("{IMPLICIT}{LOGIN}C: QUIT\nS: 221 bye"), ends, does, check).await;
}

#[tokio::test]
async fn a_download_that_is_cut_anywhere_on_the_wire_leaves_nothing_under_its_name() {
    cut_a_download(true).await;
}

#[tokio::test]
async fn a_download_that_stalls_anywhere_on_the_wire_leaves_nothing_under_its_name() {
    cut_a_download(false).await;
}

#[tokio::test]
async fn a_login_at_the_port_for_tls_that_is_cut_anywhere_on_the_wire_is_an_error_that_says_so() {
    cut_a_login_at_the_port_for_tls(true).await;
}

#[tokio::test]
async fn a_login_at_the_port_for_tls_that_stalls_anywhere_on_the_wire_is_an_error_that_says_so() {
    cut_a_login_at_the_port_for_tls(false).await;
}

/// How many octets this dialogue has, under TLS or not.
async fn length(dialogue: &str, identity: &Identity, does: impl AsyncFn(&Scripted)) -> usize {
    let whole = Scripted::sealed(dialogue, usize::MAX, Then::HangsUp, None, identity).await;
    does(&whole).await;
    whole.moved()
}

#[tokio::test]
async fn a_download_that_ends_with_a_farewell_or_without_leaves_nothing_under_its_name() {
    let (folder, identity) = (tempfile::tempdir().expect("a folder"), identity());
    for begin in [EXPLICIT, IMPLICIT] {
        let dialogue = format!("{begin}{LOGIN}{FETCH}");
        let needed = dialogue.lines().count() - FAREWELL_STEPS;
        let fetch = async |server: &Scripted| server.fetch(&folder.path().join("menu")).await;
        let length = length(&dialogue, &identity, async |server| fetch(server).await.map(drop).expect("fetched")).await;
        for (then, octets) in
            [Then::Leaves, Then::HangsUp].iter().flat_map(|then| (0..length).map(move |octets| (then, octets)))
        {
            let what = format!("{then:?} behind {octets} octets of {length}");
            std::fs::remove_file(folder.path().join("menu")).ok();
            let server = Scripted::sealed(&dialogue, octets, then.clone(), None, &identity).await;
            let done = bounded(&what, fetch(&server)).await.map(drop);
            assert!(done.is_err() || server.done() >= needed, "{what}: too early to be content");
            assert_whole_or_nothing(&what, &done, folder.path());
        }
    }
}

#[tokio::test]
async fn an_upload_that_ends_with_a_farewell_or_without_has_its_name_when_it_is_whole() {
    let (folder, identity) = (tempfile::tempdir().expect("a folder"), identity());
    let source = folder.path().join("menu");
    std::fs::write(&source, CONTENT).expect("written");
    let dialogue = format!("{EXPLICIT}{LOGIN}{SEND}");
    let needed = dialogue.lines().count() - FAREWELL_STEPS;
    let length = length(&dialogue, &identity, async |server| server.send(&source).await.map(drop).expect("sent")).await;
    for (then, octets) in
        [Then::Leaves, Then::HangsUp].iter().flat_map(|then| (0..length).map(move |octets| (then, octets)))
    {
        let what = format!("{then:?} behind {octets} octets of {length}");
        let server = Scripted::sealed(&dialogue, octets, then.clone(), None, &identity).await;
        match bounded(&what, server.send(&source)).await {
            Ok(_) => assert!(server.done() >= needed, "{what}: too early to be content"),
            Err(error) => assert_is_clear(&what, &error),
        }
        let told = server.told();
        assert!(!told.contains("RNTO") || told.contains(CONTENT), "{what}: it has its name too early");
    }
}

/// RFC 8446 §6.1: what ends without close_notify may have been cut by somebody in between.
#[tokio::test]
async fn data_without_a_farewell_are_whole_only_if_they_are_as_long_as_was_said() {
    let identity = identity();
    let (whole, half) = (format!("D! {CONTENT}\n"), "D! pea soup\n");
    let unmeasured = FETCH.replace("S: 213 34\n", "S: 550 who knows?\n");
    for (fetch, data, is_whole) in [
        (FETCH, &whole[..], true),
        (FETCH, half, false),
        // Nobody can tell.
        (&unmeasured, &whole, false),
        (&unmeasured, half, false),
    ] {
        let dialogue = format!("{EXPLICIT}{LOGIN}{}", fetch.replace(&format!("D: {CONTENT}\n"), data));
        assert!(dialogue.contains("D! "));
        let server = Scripted::sealed(&dialogue, usize::MAX, Then::HangsUp, None, &identity).await;
        let folder = tempfile::tempdir().expect("a folder");
        let done = server.fetch(&folder.path().join("menu")).await.map(drop);
        assert_eq!(done.is_ok(), is_whole, "{data} of {fetch}: {done:?}");
        assert_whole_or_nothing(data, &done, folder.path());
    }
}
