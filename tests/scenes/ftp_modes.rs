//! FTP's other ways over the data line: MODE Z, and ranges.

use super::ftp::{connect, get, on_disk, passive, put, text};
use super::ftp_served::{bob, serving};
use super::{dev, ftp::bob as bob_of_dev};
use ftp::deflate::{BadStream, Deflater, Inflater};
use harness::{Server, Speaker};
use std::io::Write;

/// Text, longer than all that is handled at once, and no multiple of it.
fn content() -> Vec<u8> {
    (0..300_000u32).flat_map(|number| format!("{number} pickles\n").into_bytes()).collect()
}

fn folded(octets: &[u8]) -> Vec<u8> {
    let (mut deflater, mut wire) = (Deflater::new(6), Vec::new());
    deflater.put(octets, &mut wire);
    deflater.end(&mut wire);
    wire
}

fn unfolded(wire: &[u8]) -> Vec<u8> {
    let (mut inflater, mut octets) = (Inflater::default(), Vec::new());
    let put = inflater.put(wire, |piece| {
        octets.extend_from_slice(piece);
        Ok::<_, BadStream>(())
    });
    put.and_then(|()| inflater.end()).expect("a whole zlib stream");
    octets
}

/// A server that has MODE Z.
fn folding() -> Server {
    serving("127.0.0.1", "[ftp]\ncompression = 'on'\n")
}

#[test]
fn nothing_is_folded_until_it_is_configured() {
    let (off, on) = (dev(), folding());
    for (mut control, features, mode) in [(bob_of_dev(&off), false, "504"), (bob(&on), true, "200")] {
        control.say("FEAT");
        control.expect("211-~");
        let mut heard = Vec::new();
        while heard.last().is_none_or(|line: &String| !line.starts_with("211 ")) {
            heard.push(control.expect("~"));
        }
        assert_eq!(heard.iter().any(|line| line.trim() == "MODE Z"), features, "{heard:?}");
        control.play(&format!("C: MODE Z\nS: {mode} ~\nC: MODE S\nS: 200 ~"));
    }
}

#[test]
fn files_and_listings_travel_folded() {
    let server = folding();
    let mut control = bob(&server);
    control.play("C: MODE Z\nS: 200 ~");
    let (content, wire) = (content(), folded(&content()));
    assert!(wire.len() < content.len() / 3);
    assert!(put(&mut control, "STOR f", &wire).starts_with("226"));
    control.play(&format!("C: SIZE f\nS: 213 {}", content.len()));
    for level in ["1", "9"] {
        control.play(&format!("C: OPTS MODE Z LEVEL {level}\nS: 200 ~"));
        let wire = get(&mut control, "RETR f");
        assert!(wire.len() < content.len() / 3);
        assert!(unfolded(&wire) == content);
    }
    assert_eq!(text(&unfolded(&get(&mut control, "NLST"))), "f\r\n");
    assert!(text(&unfolded(&get(&mut control, "MLSD"))).ends_with(" f\r\n"));
    assert_eq!(unfolded(&get(&mut control, "NLST *.nothing")), b"", "an empty stream is a stream");
    // Offsets are those of the file.
    control.play("C: REST 1000\nS: 350 ~");
    assert!(unfolded(&get(&mut control, "RETR f")) == content[1000..]);
    control.play("C: REST 1000\nS: 350 ~");
    assert!(put(&mut control, "STOR f", &folded(b"the end")).starts_with("226"));
    control.play("C: MODE S\nS: 200 ~");
    assert!(get(&mut control, "RETR f") == [&content[..1000], b"the end"].concat());
}

#[test]
fn line_ends_are_translated_before_they_are_folded() {
    let server = folding();
    let mut control = bob(&server);
    control.play("C: TYPE A\nS: 200 ~\nC: MODE Z\nS: 200 ~");
    assert!(put(&mut control, "STOR lines", &folded(b"one\r\ntwo\r\n")).starts_with("226"));
    assert_eq!(unfolded(&get(&mut control, "RETR lines")), b"one\r\ntwo\r\n");
    let stored = on_disk(&server, "lines").expect("it is on disk");
    assert_eq!(std::fs::read(stored).expect("a file"), b"one\ntwo\n");
}

#[test]
fn a_stream_that_is_damaged_or_cut_is_not_stored_as_whole() {
    let server = folding();
    let mut control = bob(&server);
    control.play("C: MODE Z\nS: 200 ~");
    let wire = folded(b"what was said, said again, and said again");
    assert!(put(&mut control, "STOR f", b"not folded at all").starts_with("426"));
    let mut damaged = wire.clone();
    *damaged.last_mut().expect("a checksum") ^= 1;
    assert!(put(&mut control, "STOR f", &damaged).starts_with("426"));
    assert!(put(&mut control, "STOR f", &[&wire[..], b"and more"].concat()).starts_with("426"));
    control.play("C: SIZE f\nS: 550 ~");
    // Of one that broke off, what came is kept to go on with, as that of any other upload.
    assert!(put(&mut control, "STOR f", &wire[..wire.len() - 5]).starts_with("426"));
    control.play("C: SIZE f\nS: 213 41\nC: MDTM f\nS: 550 ~");
    assert_eq!(on_disk(&server, "f"), None);
    assert!(put(&mut control, "STOR f", &wire).starts_with("226"));
}

#[test]
fn what_unfolds_to_more_than_there_is_room_for_is_552() {
    let server = folding();
    let carol = ["account", "add", "carol@hamburger.test", "--quota", "1000000"];
    let added = harness::command_on(super::BINARY, &server.data_dir(), &carol, "cucumber");
    assert!(added.status.success(), "{added:?}");
    let mut control = server.speak("ftp");
    control.play("S: 220 ~\nC: USER carol@hamburger.test\nS: 331 ~\nC: PASS cucumber\nS: 230 ~\nC: TYPE I\nS: 200 ~");
    control.play("C: MODE Z\nS: 200 ~");
    let bomb = folded(&vec![0; 50_000_000]);
    assert!(bomb.len() < 60_000);
    let mut data = connect(passive(&mut control));
    control.play("C: STOR bomb\nS: 125 ~");
    // The server stops reading when it knows, and so the rest cannot be sent.
    let _ = data.write_all(&bomb);
    drop(data);
    control.play("S: 552 ~\nC: SIZE bomb\nS: 550 ~");
    assert!(put(&mut control, "STOR small", &folded(&[7; 900_000])).starts_with("226"));
}

/// Sends a stretch of a file.
fn put_range(control: &mut Speaker, from: usize, content: &[u8]) -> String {
    control.play(&format!("C: RANG {from} {}\nS: 350 ~", from + content.len() - 1));
    put(control, "STOR f", content)
}

#[test]
fn a_file_is_repaired_and_made_by_ranges() {
    let server = dev();
    let (mut one, mut other) = (bob_of_dev(&server), bob_of_dev(&server));
    assert!(put(&mut one, "STOR f", b"0123456789").starts_with("226"));
    assert!(put_range(&mut one, 2, b"abc").starts_with("226"));
    one.play("C: RANG 1 5\nS: 350 ~");
    assert_eq!(get(&mut one, "RETR f"), b"1abc5");
    assert_eq!(get(&mut one, "RETR f"), b"01abc56789", "a range holds once");
    // Two at a time: both are there in the end.
    let (mut first, mut second) = (connect(passive(&mut one)), connect(passive(&mut other)));
    one.play("C: RANG 0 1\nS: 350 ~\nC: STOR f\nS: 125 ~");
    other.play("C: RANG 8 11\nS: 350 ~\nC: STOR f\nS: 125 ~");
    first.write_all(b"XX").expect("the server takes it");
    second.write_all(b"YYYY").expect("the server takes it");
    drop((second, first));
    one.expect("226 ~");
    other.expect("226 ~");
    assert_eq!(get(&mut one, "RETR f"), b"XXabc567YYYY");
    // What begins behind the end has no place, and more than was announced has none either.
    one.play("C: RANG 13 14\nS: 350 ~");
    passive(&mut one);
    one.play("C: STOR f\nS: 554 ~\nC: RANG 0 1\nS: 350 ~");
    assert!(put(&mut one, "STOR f", b"too much").starts_with("554"));
    assert_eq!(get(&mut one, "RETR f"), b"XXabc567YYYY");
}
