//! The rules of data connections: who gets in, what is bound to what, how they end.

use std::io::{ErrorKind, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::*;
use crate::tls::{ClientTls, ServerTls, Trust, self_signed};

const LIMIT: Duration = Duration::from_secs(60);
const HOST: &str = "ftp.example.org";

fn loopback(last: u8) -> IpAddr {
    [127, 0, 0, last].into()
}

fn open(range: Option<PortRange>, chance: u64) -> DataPort {
    DataPort::open(SocketAddr::new(loopback(1), 0), range, Some(loopback(1)), || chance).expect("a port")
}

async fn come_from(source: IpAddr, port: &DataPort) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::new(source, 0)).expect("bound");
    socket.connect(port.address()).await.expect("connected")
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let theirs = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connected");
    (theirs, listener.accept().await.expect("accepted").0)
}

#[test]
fn ranges_are_read_as_they_are_written() {
    for text in ["1024-1024", "50000-50999", "1024-65535"] {
        assert_eq!(text.parse::<PortRange>().expect("a range").to_string(), text);
    }
    for wrong in ["", "50000", "50999-50000", "1023-2000", "1-2-3", "50000-99999", "a-b"] {
        assert!(wrong.parse::<PortRange>().is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn the_port_is_one_of_the_range_and_the_next_try_finds_another() {
    let taken = open(None, 0);
    let first = taken.address().port();
    let range = PortRange::new(first, first.saturating_add(50)).expect("a range");
    let mut number = 0;
    let next = DataPort::open(SocketAddr::new(loopback(1), 0), Some(range), Some(loopback(1)), || {
        number += 1;
        number - 1
    });
    let next = next.expect("another port").address().port();
    assert!(first < next && next - first <= 50, "{first} is taken, {next} was not");
    let narrow = PortRange::new(first, first);
    let none = DataPort::open(SocketAddr::new(loopback(1), 0), narrow, Some(loopback(1)), || 7);
    assert_eq!(none.expect_err("taken").kind(), ErrorKind::AddrInUse);
}

#[tokio::test]
async fn strangers_are_closed_and_the_client_gets_in() {
    let mut port = open(None, 0);
    let mut stranger = come_from(loopback(2), &port).await;
    let client = come_from(loopback(1), &port).await;
    let ours = port.wait(LIMIT).await.expect("the client");
    assert_eq!(ours.peer_addr().expect("a peer"), client.local_addr().expect("an address"));
    assert!(port.met_strangers());
    assert_eq!(stranger.read(&mut [0; 1]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn nobody_is_a_stranger_where_anybody_is_invited() {
    let mut port = DataPort::open(SocketAddr::new(loopback(1), 0), None, None, || 0).expect("a port");
    let other = come_from(loopback(2), &port).await;
    let ours = port.wait(LIMIT).await.expect("whoever comes");
    assert_eq!(ours.peer_addr().expect("a peer"), other.local_addr().expect("an address"));
    assert!(!port.met_strangers());
}

#[tokio::test]
async fn who_is_there_already_is_seen_at_once_and_nobody_is_waited_for_for_ever() {
    let mut port = open(None, 0);
    assert!(port.look().expect("a look").is_none());
    let client = come_from(loopback(1), &port).await;
    let ours = port.look().expect("a look").expect("the client has come");
    assert_eq!(ours.peer_addr().expect("a peer"), client.local_addr().expect("an address"));
    assert_eq!(port.wait(Duration::ZERO).await.expect_err("nobody").kind(), ErrorKind::TimedOut);
}

fn file_of(octets: &[u8]) -> std::fs::File {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(octets).expect("written");
    file
}

fn octets(length: usize) -> Vec<u8> {
    (0..length).map(|at| ((at * 31) >> 3) as u8).collect()
}

#[tokio::test]
async fn a_stretch_of_a_file_arrives_and_is_counted() {
    let content = octets(3_000_000);
    let file = file_of(&content);
    let (mut theirs, ours) = pair().await;
    let (sent, mut heard) = (AtomicU64::new(0), Vec::new());
    let sending = async {
        let mut data = DataLine::clear(ours, LIMIT);
        let count = |octets| _ = sent.fetch_add(octets, Ordering::Relaxed);
        data.send_file(&file, 1000, 2_900_000, count).await.expect("sent");
        data.finish().await.expect("finished");
    };
    let ((), read) = tokio::join!(sending, theirs.read_to_end(&mut heard));
    read.expect("read");
    assert!(heard == content[1000..2_900_000]);
    assert_eq!(sent.into_inner(), 2_899_000);
}

#[tokio::test]
async fn what_is_small_goes_at_once_and_what_is_not_goes_on() {
    for length in [0, 1, 4096, 1_000_000, 20_000_000] {
        let content = octets(length);
        let (mut theirs, ours) = pair().await;
        let mut data = DataLine::fresh(ours.into_std().expect("a socket"), LIMIT);
        let (file, sent, mut heard) = (file_of(&content), AtomicU64::new(0), Vec::new());
        let sending = async {
            let count = |octets| _ = sent.fetch_add(octets, Ordering::Relaxed);
            data.send_file(&file, 0, length as u64, count).await.expect("sent");
            data.send(b"and octets", count).await.expect("sent");
            data.finish().await.expect("finished");
        };
        let ((), read) = tokio::join!(sending, theirs.read_to_end(&mut heard));
        read.expect("read");
        assert!(heard == [&content[..], b"and octets"].concat(), "{length}");
        assert_eq!(sent.into_inner(), length as u64 + 10);
    }
}

#[tokio::test]
async fn who_reads_late_is_waited_for() {
    wait_for_who_reads_late(|line| line).await;
}

#[tokio::test]
async fn who_reads_late_on_this_machine_is_waited_for() {
    wait_for_who_reads_late(DataLine::copying_at_home).await;
}

async fn wait_for_who_reads_late(way: impl FnOnce(DataLine) -> DataLine) {
    let content = octets(30_000_000);
    let (mut theirs, ours) = pair().await;
    let (file, sent, mut heard) = (file_of(&content), AtomicU64::new(0), Vec::new());
    let sending = async {
        let mut data = way(DataLine::clear(ours, LIMIT));
        let count = |octets| _ = sent.fetch_add(octets, Ordering::Relaxed);
        // No stretch ends where the file does.
        data.send_file(&file, 7, 30_000_000, count).await.expect("sent");
        data.finish().await.expect("finished");
    };
    let reading = async {
        // That something was sent is told when the connection takes no more.
        while sent.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        theirs.read_to_end(&mut heard).await
    };
    let ((), read) = tokio::join!(sending, reading);
    read.expect("read");
    assert!(heard == content[7..]);
    assert_eq!(sent.into_inner(), 30_000_000 - 7);
}

#[tokio::test]
async fn a_file_that_was_cut_meanwhile_is_an_error() {
    for (length, end) in [(5, 100), (5, 3_000_000), (2_000_000, 3_000_000)] {
        for copies in [false, true] {
            let (mut theirs, ours) = pair().await;
            let line = DataLine::clear(ours, LIMIT);
            let mut line = if copies { line.copying_at_home() } else { line };
            let file = file_of(&octets(length));
            let sending = async {
                let sent = line.send_file(&file, 0, end, |_| ()).await;
                drop(line);
                sent
            };
            let mut heard = Vec::new();
            let (sent, _) = tokio::join!(sending, theirs.read_to_end(&mut heard));
            assert!(
                matches!(sent, Err(Broken::File(error)) if error.kind() == ErrorKind::UnexpectedEof),
                "{length} {end}"
            );
            assert!(octets(length).starts_with(&heard));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_given_up() {
    let (_theirs, ours) = pair().await;
    let received = DataLine::clear(ours, LIMIT).receive(&mut Vec::with_capacity(10)).await;
    assert!(matches!(received, Err(Broken::Stalled(LIMIT))));
}

/// A server's TLS, and a client that trusts it.
fn tls() -> (ServerTls, ClientTls) {
    let dir = tempfile::tempdir().expect("a directory");
    let identity = self_signed(&[HOST.to_owned()], dir.path()).expect("a certificate");
    let client = ClientTls::verifying(Trust::Roots(vec![identity.certificate().clone()])).expect("roots");
    (ServerTls::new(vec![identity]).expect("identities"), client)
}

/// A control connection on which the client has taken its tickets.
async fn control(server: &ServerTls, client: &ClientTls) {
    let (theirs, ours) = pair().await;
    let (ours, theirs) = tokio::join!(server.accept(ours), client.connect(theirs, HOST));
    let (mut ours, mut theirs) = (ours.expect("shaken").0, theirs.expect("shaken").0);
    ours.write_all(b"!").await.expect("written");
    theirs.read_exact(&mut [0; 1]).await.expect("read");
}

type Ends = (DataLine, bool, Box<tokio_rustls::TlsStream<TcpStream>>);

async fn data(server: &ServerTls, client: &ClientTls) -> Ends {
    let (theirs, ours) = pair().await;
    let (ours, theirs) = tokio::join!(DataLine::secure(ours, server, LIMIT, LIMIT), client.connect(theirs, HOST));
    let (data, resumed) = ours.expect("shaken");
    (data, resumed, theirs.expect("shaken").0)
}

#[tokio::test]
async fn a_data_connection_can_resume_its_own_control_connection_and_no_other() {
    let (server, client) = tls();
    let (bobs, alices) = (server.for_one_session(), server.for_one_session());
    control(&bobs, &client).await;
    // Both tickets of the control connection are good, and data connections give out none.
    for _ in 0..2 {
        assert!(data(&bobs, &client).await.1);
    }
    control(&bobs, &client).await;
    assert!(!data(&alices, &client).await.1, "a ticket of another session");
    control(&server, &client).await;
    assert!(!data(&bobs, &client).await.1, "a ticket of the mail ports");
}

/// Both ends, ours as the client of FTP; whether the server has seen its session resumed, and whether we have.
async fn dialled(server: &ServerTls, client: &ClientTls) -> (DataLine, DataLine, bool) {
    let (theirs, ours) = pair().await;
    let dialling = DataLine::secure_as_client(theirs, client, HOST, LIMIT, LIMIT);
    let (ours, theirs) = tokio::join!(DataLine::secure(ours, server, LIMIT, LIMIT), dialling);
    let ((ours, seen), (theirs, resumed)) = (ours.expect("shaken"), theirs.expect("shaken"));
    assert_eq!(seen, resumed);
    (ours, theirs, resumed)
}

#[tokio::test]
async fn a_client_resumes_its_control_connection_for_as_many_files_as_there_are() {
    let (server, client) = tls();
    let (server, alone) = (server.for_one_session(), client.alone().expect("a client"));
    assert!(!alone.can_resume());
    control(&server, &alone).await;
    for _ in 0..10 {
        assert!(dialled(&server, &alone).await.2);
    }
    let other = client.alone().expect("a client");
    control(&server, &other).await;
    assert!(dialled(&server, &other).await.2);
}

#[tokio::test]
async fn tickets_of_tls_1_3_come_to_an_end_and_it_can_be_seen() {
    let (server, client) = tls();
    let (server, alone) = (server.for_one_session(), client.alone_with_tls13().expect("a client"));
    control(&server, &alone).await;
    while alone.can_resume() {
        assert!(dialled(&server, &alone).await.2);
    }
    assert!(!dialled(&server, &alone).await.2);
}

#[tokio::test]
async fn who_dialled_sends_and_receives_as_who_was_dialled() {
    let (server, client) = tls();
    let (server, content) = (server.for_one_session(), octets(300_000));
    let (mut ours, mut theirs, _) = dialled(&server, &client.alone().expect("a client")).await;
    let mut heard = Vec::with_capacity(400_000);
    let receiving = async {
        while let Arrival::Octets(_) = ours.receive(&mut heard).await.expect("octets") {}
        ours.finish().await.expect("finished");
    };
    let sending = async {
        theirs.send_file(&file_of(&content), 0, 300_000, |_| ()).await.expect("sent");
        theirs.finish().await.expect("finished");
    };
    tokio::join!(receiving, sending);
    assert!(heard == content);
}

#[tokio::test]
async fn an_upload_ends_with_close_notify_or_is_cut() {
    let (server, client) = tls();
    for (proper, expected) in [(true, true), (false, false)] {
        let (mut ours, _, mut theirs) = data(&server.for_one_session(), &client).await;
        theirs.write_all(b"half").await.expect("written");
        theirs.flush().await.expect("flushed");
        if proper {
            theirs.shutdown().await.expect("closed");
        } else {
            theirs.get_mut().0.shutdown().await.expect("closed below TLS");
        }
        let mut buffer = Vec::with_capacity(100);
        assert_eq!(ours.receive(&mut buffer).await.expect("octets"), Arrival::Octets(4));
        let end = ours.receive(&mut buffer).await;
        assert_eq!(matches!(end, Ok(Arrival::End)), expected, "{end:?}");
        assert_eq!(matches!(end, Err(Broken::Cut)), !expected, "{end:?}");
    }
}

#[tokio::test]
async fn a_file_arrives_whole_under_tls_and_its_end_is_said() {
    let content = octets(1_000_000);
    let (server, client) = tls();
    let (mut cut, _, _theirs) = data(&server.for_one_session(), &client).await;
    let sent = cut.send_file(&file_of(&content), 0, 1_000_001, |_| ()).await;
    assert!(matches!(sent, Err(Broken::File(error)) if error.kind() == ErrorKind::UnexpectedEof), "it ends too soon");
    // The second is longer than what is sealed ahead.
    for content in [content, octets(9_000_001)] {
        let (mut ours, _, mut theirs) = data(&server.for_one_session(), &client).await;
        let (file, sent, mut heard) = (file_of(&content), AtomicU64::new(0), Vec::new());
        let sending = async {
            let count = |octets| _ = sent.fetch_add(octets, Ordering::Relaxed);
            ours.send_file(&file, 0, content.len() as u64, count).await.expect("sent");
            ours.finish().await.expect("finished");
        };
        let ((), read) = tokio::join!(sending, theirs.read_to_end(&mut heard));
        // Without close_notify this would be an error.
        read.expect("the end in good order");
        assert!(heard == content);
        assert_eq!(sent.into_inner(), content.len() as u64);
    }
}

/// Somebody who takes so many octets.
struct Shelf {
    content: Vec<u8>,
    room: usize,
}

#[derive(Debug)]
struct Full;

impl Shelf {
    fn new(room: usize) -> Self {
        Shelf { content: Vec::new(), room }
    }

    fn put(&mut self, octets: &[u8]) -> Result<(), Full> {
        self.room = self.room.checked_sub(octets.len()).ok_or(Full)?;
        self.content.extend_from_slice(octets);
        Ok(())
    }
}

/// Takes in all that comes, and says how that ended and how many octets were counted.
async fn take_all(data: &mut DataLine, shelf: &mut Shelf) -> (Result<(), Fault<Full>>, u64) {
    let (stop, counted) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut ended = Ok(Taken::Some);
    while let Ok(Taken::Some) = ended {
        data.ready().await.expect("something comes");
        let count = |octets| _ = counted.fetch_add(octets, Ordering::Relaxed);
        ended = data.take_in(&[], |octets| shelf.put(octets), &stop, count);
    }
    (ended.map(drop), counted.into_inner())
}

#[tokio::test]
async fn what_comes_in_clear_may_fill_a_file_to_the_last_octet_and_no_further() {
    let content = octets(3_000_000);
    for (room, fits) in [(3_000_000, true), (4_000_000, true), (2_999_999, false)] {
        let (mut theirs, ours) = pair().await;
        let (mut ours, mut shelf) = (DataLine::clear(ours, LIMIT), Shelf::new(room));
        let sending = async {
            // Who is refused closes before all was sent.
            let _ = theirs.write_all(&content).await;
            drop(theirs);
        };
        let taking = async {
            let ended = take_all(&mut ours, &mut shelf).await;
            drop(ours);
            ended
        };
        let ((), (ended, counted)) = tokio::join!(sending, taking);
        assert_eq!(ended.is_ok(), fits, "{ended:?}");
        assert_eq!(matches!(ended, Err(Fault::Taker(Full))), !fits);
        assert!(counted == 3_000_000 || !fits);
        assert!(shelf.content == content[..shelf.content.len()] && (shelf.content.len() == 3_000_000) == fits);
    }
}

#[tokio::test]
async fn what_somebody_has_in_hand_goes_before_what_comes() {
    let (mut theirs, ours) = pair().await;
    theirs.write_all(b" and tail").await.expect("written");
    let mut ours = DataLine::clear(ours, LIMIT);
    ours.ready().await.expect("something comes");
    let (mut shelf, counted) = (Shelf::new(100), AtomicU64::new(0));
    let count = |octets| _ = counted.fetch_add(octets, Ordering::Relaxed);
    let taken = ours.take_in(b"head", |octets| shelf.put(octets), &AtomicBool::new(false), count);
    assert!(matches!(taken, Ok(Taken::Some)));
    assert_eq!(shelf.content, b"head and tail");
    assert_eq!(counted.into_inner(), 9, "only what came");
}

#[tokio::test]
async fn what_comes_under_tls_goes_into_a_file_and_a_cut_is_seen_behind_it() {
    let content = octets(3_000_000);
    let (server, client) = tls();
    for proper in [true, false] {
        let (mut ours, _, mut theirs) = data(&server.for_one_session(), &client).await;
        let mut shelf = Shelf::new(3_000_000);
        let sending = async {
            theirs.write_all(&content).await.expect("written");
            theirs.flush().await.expect("flushed");
            if proper {
                theirs.shutdown().await.expect("closed");
            } else {
                theirs.get_mut().0.shutdown().await.expect("closed below TLS");
            }
        };
        let ((), (ended, counted)) = tokio::join!(sending, take_all(&mut ours, &mut shelf));
        assert_eq!(ended.is_ok(), proper, "{ended:?}");
        assert_eq!(matches!(ended, Err(Fault::Line(Broken::Cut))), !proper);
        assert_eq!(counted, 3_000_000);
        assert!(shelf.content == content, "what came before the cut is there");
    }
}

#[tokio::test]
async fn a_stop_ends_a_turn() {
    let (mut theirs, ours) = pair().await;
    let mut ours = DataLine::clear(ours, LIMIT);
    theirs.write_all(&octets(10_000)).await.expect("written");
    ours.ready().await.expect("something comes");
    // Were it not heard, what comes while a stretch is given away would follow without an end.
    let more = std::cell::Cell::new(0);
    let give = |_: &[u8]| {
        more.set(more.get() + 1);
        Ok::<_, Full>(())
    };
    assert!(matches!(ours.take_in(&[], give, &AtomicBool::new(true), |_| ()), Ok(Taken::Some)));
    assert_eq!(more.get(), 1);
}

/// A line that moves 10,000 octets a second.
fn slow(stream: TcpStream) -> DataLine {
    let bucket = Bucket::new(std::num::NonZeroU64::new(10_000).expect("a rate"));
    DataLine::clear(stream, LIMIT).throttled(Throttle::new(vec![std::sync::Arc::new(bucket)]))
}

#[tokio::test(start_paused = true)]
async fn a_limit_holds_for_what_is_sent() {
    let content = octets(50_000);
    let file = file_of(&content);
    let (mut theirs, ours) = pair().await;
    let begun = tokio::time::Instant::now();
    let mut data = slow(ours);
    data.send_file(&file, 0, 25_000, |_| ()).await.expect("sent");
    data.send(&content[25_000..], |_| ()).await.expect("sent");
    let secs = begun.elapsed().as_secs_f64();
    assert!((4.5..5.1).contains(&secs), "{secs} s");
    data.finish().await.expect("finished");
    let mut heard = Vec::new();
    theirs.read_to_end(&mut heard).await.expect("read");
    assert!(heard == content);
}

#[tokio::test(start_paused = true)]
async fn a_limit_holds_for_what_comes() {
    let content = octets(50_000);
    for filtered in [true, false] {
        let (mut theirs, ours) = pair().await;
        theirs.write_all(&content).await.expect("written");
        theirs.shutdown().await.expect("closed");
        let begun = tokio::time::Instant::now();
        let (mut data, mut shelf) = (slow(ours), Shelf::new(50_000));
        if filtered {
            let mut heard = Vec::with_capacity(60_000);
            while let Arrival::Octets(_) = data.receive(&mut heard).await.expect("octets") {}
            shelf.put(&heard).expect("room");
        } else {
            take_all(&mut data, &mut shelf).await.0.expect("taken");
        }
        let secs = begun.elapsed().as_secs_f64();
        assert!((4.5..5.1).contains(&secs), "{secs} s");
        assert!(shelf.content == content);
    }
}
