//! What the house attaches to an answer.

use std::io::Write;

use super::*;

/// More than sockets hold.
const LARGE: usize = 12 * 1024 * 1024;

fn text(octets: usize) -> String {
    "0123456789abcdef\n".chars().cycle().take(octets).collect()
}

/// A desk with a file, of which so many octets are promised.
fn with_file(text: &str, promised: usize) -> ToyDesk {
    let mut file = tempfile::tempfile().expect("made");
    file.write_all(text.as_bytes()).expect("written");
    ToyDesk { file: Some((file, promised as u64)), ..ToyDesk::new() }
}

fn heard_with(text: &str) -> String {
    format!("hello\r\n= a\r\n{text}A: that was it\r\n= b\r\nbye\r\n")
}

const SAID: &str = "ECHO a\r\nASK file\r\nECHO b\r\nQUIT\r\n";

#[tokio::test]
async fn a_file_goes_between_what_was_said_before_and_after() {
    for octets in [0, 1, 1000, LARGE] {
        let text = text(octets);
        let mut peer = Peer::with(with_file(&text, octets), |_| {}).await;
        peer.say(SAID).await;
        let ended = peer.hear_last(&heard_with(&text)).await;
        assert_eq!(ended.sent, heard_with(&text).len() as u64);
    }
}

#[tokio::test]
async fn under_tls_it_is_the_same_file() {
    let (keys, text) = (Keys::new(), text(LARGE));
    let Peer { stream, ended, house: _house } =
        Peer::with(with_file(&text, LARGE), |setup| setup.security = keys.server(Begin::AtOnce)).await;
    let mut stream = keys.connect(stream).await;
    stream.write_all(SAID.as_bytes()).await.expect("written");
    let mut heard = String::new();
    stream.read_to_string(&mut heard).await.expect("read");
    assert!(heard == heard_with(&text), "{} octets", heard.len());
    drop(stream);
    assert!(matches!(ended.await.expect("no panic").0.why, Why::Closed));
}

#[tokio::test]
async fn compressed_it_is_the_same_file() {
    let text = text(300_000);
    let mut peer = Peer::with(with_file(&text, 300_000), |_| {}).await;
    let mut squeezed = Squeezed::new();
    peer.say("SQUEEZE\r\n").await;
    peer.hear("hello\r\ntight\r\n").await;
    let wire = squeezed.fold("ASK file\r\n");
    peer.stream.write_all(&wire).await.expect("written");
    squeezed.hear(&mut peer.stream, &format!("{text}A: that was it\r\n")).await;
}

#[tokio::test]
async fn a_tap_hears_what_is_attached() {
    let printer = Arc::new(Printer::new(Vec::new(), false));
    let tapped = Tapped::new(printer.clone(), label());
    let mut peer = Peer::with(with_file("body\n", 5), |setup| setup.tap = Some(tapped)).await;
    peer.say("ASK file\r\nQUIT\r\n").await;
    peer.hear_last("hello\r\nbody\nA: that was it\r\nbye\r\n").await;
    let printed = Arc::into_inner(printer).expect("the only owner").into_inner();
    assert!(String::from_utf8(printed).expect("text").contains("toy:7 1 S: | body\n"));
}

#[tokio::test]
async fn a_file_that_ends_too_early_is_a_lost_line() {
    let Peer { mut stream, ended, house: _house } = Peer::with(with_file("short", 1000), |_| {}).await;
    stream.write_all(SAID.as_bytes()).await.expect("written");
    let mut heard = String::new();
    // The end comes as a reset, where something was not read.
    let _ = stream.read_to_string(&mut heard).await;
    assert_eq!(heard, "hello\r\n= a\r\nshort");
    let (ended, _) = ended.await.expect("no panic");
    assert!(matches!(&ended.why, Why::Lost(error) if error.kind() == io::ErrorKind::UnexpectedEof), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_a_file_slowly_is_served_and_one_that_takes_none_is_dropped() {
    let (frozen, text) = (freeze(), text(LARGE));
    let (theirs, ours) = pair_of(8192, 8192).await;
    let mut peer = Peer::over(theirs, ours, with_file(&text, LARGE), |_| {});
    peer.say("ASK file\r\n").await;
    peer.hear("hello\r\n").await;
    let mut piece = vec![0; LARGE / 8];
    for _ in 0..6 {
        peer.stream.read_exact(&mut piece).await.expect("served");
        tokio::time::advance(Pace::default().write * 2 / 3).await;
    }
    drop(frozen);
    let (ended, _) = peer.ended.await.expect("no panic");
    assert!(matches!(ended.why, Why::Stalled), "{ended:?}");
}
