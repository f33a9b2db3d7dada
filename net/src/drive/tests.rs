//! The rules of the driver, shown by a toy protocol over real sockets on loopback.

mod attached;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::toy::{Caller, IDLE, NoDesk, Toy, ToyDesk, facts};
use super::*;
use crate::lent::Lender;
use crate::tap::{Heard, Label, Printer, Side, Tap};
use crate::tls::{Identity, Trust, self_signed};

/// Two ends of a connection on loopback: theirs, ours.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let theirs = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connected");
    let (ours, _) = listener.accept().await.expect("accepted");
    (theirs, ours)
}

/// A peer of the toy, whose driver runs in a task of its own.
struct Peer {
    stream: TcpStream,
    ended: JoinHandle<(Ended, ToyDesk)>,
    house: watch::Sender<bool>,
}

impl Peer {
    async fn new(change: impl FnOnce(&mut Setup)) -> Self {
        Self::with(ToyDesk::new(), change).await
    }

    async fn with(desk: ToyDesk, change: impl FnOnce(&mut Setup)) -> Self {
        let (stream, ours) = pair().await;
        Self::over(stream, ours, desk, change)
    }

    fn over(stream: TcpStream, ours: TcpStream, mut desk: ToyDesk, change: impl FnOnce(&mut Setup)) -> Self {
        let (house, leaving) = watch::channel(false);
        let mut setup = Setup::new(leaving);
        change(&mut setup);
        let ended = tokio::spawn(async move {
            let ended = converse(&mut Toy::new(), &mut desk, ours, &setup).await;
            (ended, desk)
        });
        Peer { stream, ended, house }
    }

    async fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.expect("written");
    }

    /// Hears exactly this next.
    async fn hear(&mut self, expected: &str) {
        let mut heard = vec![0; expected.len()];
        self.stream.read_exact(&mut heard).await.expect("read");
        assert_eq!(String::from_utf8_lossy(&heard), expected);
    }

    /// Hears exactly this, and then the end.
    async fn hear_last(mut self, expected: &str) -> Ended {
        let mut heard = Vec::new();
        self.stream.read_to_end(&mut heard).await.expect("read to the end, no reset");
        assert_eq!(String::from_utf8_lossy(&heard), expected);
        drop(self.stream);
        self.ended.await.expect("no panic").0
    }
}

#[tokio::test]
async fn a_dialogue_is_held_to_its_end() {
    let mut peer = Peer::new(|_| {}).await;
    peer.hear("hello\r\n").await;
    peer.say("ECHO a\r\nASK how\r\nQUIT\r\n").await;
    let ended = peer.hear_last("= a\r\nA: HOW\r\nbye\r\n").await;
    assert!(matches!(ended.why, Why::Closed), "{ended:?}");
    assert_eq!((ended.received, ended.sent), (23, 25));
}

#[tokio::test]
async fn octet_by_octet_gives_the_same() {
    let said = "ECHO a\r\nbad\nDATA\r\none\r\ntwo\r\n.\r\nASK x\r\nQUIT\r\n";
    let heard = "hello\r\n= a\r\n? line\r\nsend\r\nA: one|two|\r\nA: X\r\nbye\r\n";
    for size in [1, 7, 1000] {
        let mut peer = Peer::new(|_| {}).await;
        for piece in said.as_bytes().chunks(size) {
            peer.stream.write_all(piece).await.expect("written");
            tokio::task::yield_now().await;
        }
        peer.hear_last(heard).await;
    }
}

/// A peer who is in haste, where there are threads to lend.
async fn in_haste() -> Peer {
    let desk = ToyDesk { is_in_haste: true, ..ToyDesk::new() };
    Peer::with(desk, |setup| setup.lender = Lender::for_tests()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_is_in_haste_has_a_thread_and_hears_the_same() {
    for size in [1, 7, 1000] {
        let mut peer = in_haste().await;
        peer.hear("hello\r\n").await;
        for piece in b"ASK thread\r\nECHO a\r\nDATA\r\none\r\n.\r\nBIG 300000\r\nQUIT\r\n".chunks(size) {
            peer.stream.write_all(piece).await.expect("written");
            tokio::task::yield_now().await;
        }
        let big = "x".repeat(300_000);
        let ended = peer.hear_last(&format!("A: its own\r\n= a\r\nsend\r\nA: one|\r\n{big}bye\r\n")).await;
        assert!(matches!(ended.why, Why::Closed), "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_is_silent_gives_the_thread_back() {
    let mut peer = in_haste().await;
    peer.hear("hello\r\n").await;
    peer.house.send(true).expect("it listens");
    peer.hear_last("closing\r\n").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_house_may_close_while_somebody_is_in_haste() {
    let mut peer = in_haste().await;
    peer.hear("hello\r\n").await;
    peer.house.send(true).expect("it listens");
    // He never pauses, and is told all the same.
    let mut heard = Vec::new();
    let mut octets = [0; 4096];
    while !String::from_utf8_lossy(&heard).contains("closing") {
        peer.say("ECHO a\r\n").await;
        let read = peer.stream.read(&mut octets).await.expect("read");
        assert!(read > 0, "{}", String::from_utf8_lossy(&heard));
        heard = octets[..read].to_vec();
    }
}

#[tokio::test]
async fn pipelined_answers_travel_together() {
    let (stream, ours) = pair().await;
    let mut desk = ToyDesk::new();
    let stream = stream.into_std().expect("a socket");
    desk.peer = Some(stream.try_clone().expect("a second handle"));
    let mut peer = Peer::over(TcpStream::from_std(stream).expect("a socket"), ours, desk, |_| {});
    peer.hear("hello\r\n").await;
    // An answer that is there at once does not push the first ones out.
    peer.say("ECHO a\r\nASK look\r\nECHO b\r\nASK look\r\nQUIT\r\n").await;
    peer.hear("= a\r\nA: nothing\r\n= b\r\nA: nothing\r\nbye\r\n").await;
}

#[tokio::test]
async fn who_waits_for_an_answer_gets_those_before_it() {
    let desk = ToyDesk::new();
    let slow = desk.slow.clone();
    let mut peer = Peer::with(desk, |_| {}).await;
    peer.say("ECHO a\r\nASK slow\r\nECHO b\r\n").await;
    peer.hear("hello\r\n= a\r\n").await;
    slow.notify_one();
    peer.hear("A: at last\r\n= b\r\n").await;
}

#[tokio::test]
async fn a_peer_that_only_closed_its_half_gets_every_answer() {
    let mut peer = Peer::new(|_| {}).await;
    peer.say("ECHO a\r\nECHO b\r\nhalf a li").await;
    peer.stream.shutdown().await.expect("half closed");
    let ended = peer.hear_last("hello\r\n= a\r\n= b\r\nA: CLOSED\r\n").await;
    assert!(matches!(ended.why, Why::PeerClosed), "{ended:?}");
}

#[tokio::test]
async fn an_answer_under_way_is_not_cancelled_because_the_peer_left() {
    let desk = ToyDesk::new();
    let (slow, asked) = (desk.slow.clone(), desk.asked.clone());
    let mut peer = Peer::with(desk, |_| {}).await;
    peer.say("ASK slow\r\n").await;
    peer.hear("hello\r\n").await;
    while asked.lock().expect("not poisoned").is_empty() {
        tokio::task::yield_now().await;
    }
    drop(peer.stream);
    slow.notify_one();
    let (ended, _) = peer.ended.await.expect("no panic");
    assert!(matches!(ended.why, Why::PeerClosed | Why::Lost(_)), "{ended:?}");
    assert_eq!(*asked.lock().expect("not poisoned"), ["slow", "closed"]);
}

/// Stops the clock until it is dropped. A paused clock alone runs ahead whenever all tasks wait, even for octets that
/// the system has yet to carry from one socket to the other; it does not while a blocking task is under way.
struct Frozen(#[expect(dead_code, reason = "its end is what counts")] std::sync::mpsc::Sender<()>);

fn freeze() -> Frozen {
    let (ours, theirs) = std::sync::mpsc::channel();
    tokio::task::spawn_blocking(move || theirs.recv());
    Frozen(ours)
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_dropped() {
    let frozen = freeze();
    let mut peer = Peer::new(|_| {}).await;
    peer.say("BIG 100000000\r\n").await;
    peer.hear("hello\r\nx").await;
    drop(frozen);
    let (ended, desk) = peer.ended.await.expect("no panic");
    assert!(matches!(ended.why, Why::Stalled), "{ended:?}");
    assert_eq!(*desk.asked.lock().expect("not poisoned"), ["closed"], "the session could settle");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_slowly_is_served() {
    // More than the ends hold between them, so that each piece takes what was written after the one before.
    const PIECE: usize = 200_000;
    let _frozen = freeze();
    let (theirs, ours) = pair_of(8192, 8192).await;
    let mut peer = Peer::over(theirs, ours, ToyDesk::new(), |_| {});
    peer.hear("hello\r\n").await;
    peer.say(&format!("BIG {}\r\nQUIT\r\n", 10 * PIECE)).await;
    let mut piece = vec![0; PIECE];
    for _ in 0..10 {
        peer.stream.read_exact(&mut piece).await.expect("served");
        tokio::time::advance(Pace::default().write * 2 / 3).await;
    }
    peer.hear_last("bye\r\n").await;
}

#[tokio::test]
async fn two_ends_that_write_before_they_read_do_not_wait_for_ever() {
    let (theirs, ours) = pair_of(2048, 2048).await;
    let mut peer = Peer::over(theirs, ours, ToyDesk::new(), |_| {});
    let line = format!("{}\r\n", "x".repeat(1000));
    let said = format!("ECHO {line}").repeat(60) + "QUIT\r\n";
    // All is written before anything is read; far more than the sockets hold.
    peer.say(&said).await;
    peer.hear_last(&format!("hello\r\n{}bye\r\n", format!("= {line}").repeat(60))).await;
}

/// Like [`pair`], with so much room in each end, in octets.
async fn pair_of(theirs: u32, ours: u32) -> (TcpStream, TcpStream) {
    let (listener, theirs) = (socket_of(ours), socket_of(theirs));
    listener.bind("127.0.0.1:0".parse().expect("an address")).expect("bound");
    let listener = listener.listen(1).expect("listening");
    let theirs = theirs.connect(listener.local_addr().expect("bound")).await.expect("connected");
    (theirs, listener.accept().await.expect("accepted").0)
}

fn socket_of(room: u32) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(room).expect("set");
    socket.set_send_buffer_size(room).expect("set");
    socket
}

#[tokio::test]
async fn the_tail_is_not_lost_though_input_is_unread() {
    for tls in [false, true] {
        let keys = Keys::new();
        // The peer's end takes next to nothing, ours takes it all.
        let (theirs, ours) = pair_of(2048, 1_000_000).await;
        let begin = if tls { Begin::AtOnce } else { Begin::WhenAsked };
        let peer = Peer::over(theirs, ours, ToyDesk::new(), |setup| setup.security = keys.server(begin));
        let mut stream: Box<dyn Both> = match tls {
            true => Box::new(keys.connect(peer.stream).await),
            false => Box::new(peer.stream),
        };
        // We say all we have to say, and let the server close, before we begin to read.
        let said = format!("BIGBYE 60000\r\n{}", "never read\r\n".repeat(15_000));
        stream.write_all(said.as_bytes()).await.expect("written");
        stream.flush().await.expect("written");
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.expect("to the end, no reset");
        assert_eq!(heard.len(), "hello\r\n".len() + 60_000, "tls: {tls}");
        drop(stream);
        assert!(matches!(peer.ended.await.expect("no panic").0.why, Why::Closed));
    }
}

/// What can be read and written.
trait Both: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin {}

impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> Both for T {}

#[tokio::test(start_paused = true)]
async fn a_deadline_moves_with_each_command_and_is_kept() {
    let _frozen = freeze();
    let mut peer = Peer::new(|_| {}).await;
    peer.hear("hello\r\n").await;
    for _ in 0..3 {
        tokio::time::advance(IDLE - Duration::from_millis(10)).await;
        peer.say("ECHO still here\r\n").await;
        peer.hear("= still here\r\n").await;
    }
    tokio::time::advance(IDLE).await;
    let ended = peer.hear_last("too slow\r\n").await;
    assert!(matches!(ended.why, Why::Closed));
}

#[tokio::test]
async fn news_reach_a_waiting_peer() {
    let mut desk = ToyDesk::new();
    let (house, news) = tokio::sync::mpsc::channel(4);
    desk.news = Some(news);
    let mut peer = Peer::with(desk, |_| {}).await;
    peer.hear("hello\r\n").await;
    house.send("mail".into()).await.expect("sent");
    peer.hear("N: mail\r\n").await;
    peer.say("ECHO half").await;
    house.send("more".into()).await.expect("sent");
    peer.hear("N: more\r\n").await;
    peer.say(" a line\r\n").await;
    peer.hear("= half a line\r\n").await;
}

#[tokio::test]
async fn a_house_that_closes_says_so() {
    let mut peer = Peer::new(|_| {}).await;
    peer.hear("hello\r\n").await;
    peer.house.send(true).expect("heard");
    let ended = peer.hear_last("closing\r\n").await;
    assert!(matches!(ended.why, Why::Closed), "{ended:?}");
}

#[tokio::test]
async fn what_was_held_is_let_go_before_the_last_words() {
    let desk = ToyDesk::new();
    let is_over = desk.is_over.clone();
    let mut peer = Peer::with(desk, |_| {}).await;
    peer.say("ASK once\r\n").await;
    peer.hear("hello\r\nA: ONCE\r\n").await;
    assert!(!is_over.load(Ordering::SeqCst));
    peer.house.send(true).expect("heard");
    peer.hear("closing\r\n").await;
    assert!(is_over.load(Ordering::SeqCst), "the peer has not closed yet");
}

#[tokio::test(start_paused = true)]
async fn a_house_that_closes_does_not_wait_for_ever() {
    let frozen = freeze();
    let mut deaf = Peer::new(|_| {}).await;
    deaf.say("DEAF\r\n").await;
    deaf.hear("hello\r\nwhat?\r\n").await;
    let mut asking = Peer::new(|_| {}).await;
    asking.say("ASK slow\r\n").await;
    asking.hear("hello\r\n").await;
    drop(frozen);
    for peer in [deaf, asking] {
        let start = tokio::time::Instant::now();
        peer.house.send(true).expect("heard");
        let (ended, _) = peer.ended.await.expect("no panic");
        assert!(matches!(ended.why, Why::Dropped), "{ended:?}");
        assert!(start.elapsed() >= Pace::default().leaving);
    }
}

/// A peer whose conversation can be looked at and ended.
async fn seen() -> (Peer, Arc<Pulse>) {
    let mut pulse = Arc::default();
    let peer = Peer::new(|setup| pulse = Arc::clone(&setup.pulse)).await;
    (peer, pulse)
}

#[tokio::test]
async fn who_is_sent_away_hears_of_it_and_nobody_else_does() {
    let (mut peer, pulse) = seen().await;
    let (mut other, _) = seen().await;
    for peer in [&mut peer, &mut other] {
        peer.say("ASK once\r\n").await;
        peer.hear("hello\r\nA: ONCE\r\n").await;
    }
    assert!(!pulse.is_sent_away());
    pulse.send_away();
    let ended = peer.hear_last("go away\r\n").await;
    assert!(matches!(ended.why, Why::Closed), "{ended:?}");
    other.say("QUIT\r\n").await;
    other.hear_last("bye\r\n").await;
}

#[tokio::test]
async fn a_house_may_say_to_each_by_its_pulse_that_it_closes() {
    let mut pulse = Arc::default();
    let mut peer = Peer::new(|setup| {
        setup.leaving = None;
        pulse = Arc::clone(&setup.pulse);
    })
    .await;
    peer.say("ASK once\r\n").await;
    peer.hear("hello\r\nA: ONCE\r\n").await;
    pulse.house_closes();
    assert!(!pulse.is_sent_away());
    let ended = peer.hear_last("closing\r\n").await;
    assert!(matches!(ended.why, Why::Closed), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn who_is_sent_away_and_does_not_go_is_dropped() {
    let frozen = freeze();
    let mut deaf = seen().await;
    deaf.0.say("DEAF\r\n").await;
    deaf.0.hear("hello\r\nwhat?\r\n").await;
    let mut asking = seen().await;
    asking.0.say("ASK slow\r\n").await;
    asking.0.hear("hello\r\n").await;
    drop(frozen);
    for (peer, pulse) in [deaf, asking] {
        // However long the house may take to close.
        peer.house.send(true).expect("heard");
        let start = tokio::time::Instant::now();
        pulse.send_away();
        let (ended, _) = peer.ended.await.expect("no panic");
        assert!(matches!(ended.why, Why::Dropped), "{ended:?}");
        assert!((SENT_AWAY_LIMIT..Pace::default().leaving).contains(&start.elapsed()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_is_in_haste_is_sent_away_as_others_are() {
    let mut pulse = Arc::default();
    let desk = ToyDesk { is_in_haste: true, ..ToyDesk::new() };
    let lend = |setup: &mut Setup| {
        setup.lender = Lender::for_tests();
        pulse = Arc::clone(&setup.pulse);
    };
    let mut peer = Peer::with(desk, lend).await;
    peer.say("ASK once\r\n").await;
    peer.hear("hello\r\nA: ONCE\r\n").await;
    pulse.send_away();
    peer.hear_last("go away\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_pulse_tells_what_has_passed_and_how_long_the_peer_is_silent() {
    let frozen = freeze();
    let (mut peer, pulse) = seen().await;
    peer.hear("hello\r\n").await;
    tokio::time::advance(Duration::from_secs(5)).await;
    peer.say("ECHO a\r\n").await;
    peer.hear("= a\r\n").await;
    assert_eq!((pulse.received(), pulse.sent(), pulse.silence().as_secs()), (8, 12, 0));
    tokio::time::advance(Duration::from_secs(7)).await;
    assert_eq!((pulse.age().as_secs(), pulse.silence().as_secs()), (12, 7));
    assert!(!pulse.is_protected());
    drop(frozen);
}

#[tokio::test]
async fn a_house_without_a_voice_never_closes() {
    let Peer { stream, ended, house } = Peer::new(|_| {}).await;
    drop(house);
    let mut peer = Peer { stream, ended, house: watch::channel(false).0 };
    peer.say("QUIT\r\n").await;
    peer.hear_last("hello\r\nbye\r\n").await;
}

/// A certificate for `toy.example.org`, and who trusts it.
struct Keys {
    identity: Identity,
}

impl Keys {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let identity = self_signed(&["toy.example.org".into()], dir.path()).expect("a certificate");
        Keys { identity }
    }

    fn server(&self, begin: Begin) -> Security {
        Security::Server { tls: ServerTls::new(vec![self.identity.clone()]).expect("one identity"), begin }
    }

    fn client(&self, begin: Begin) -> Security {
        let trust = Trust::Roots(vec![self.identity.certificate().clone()]);
        let tls = ClientTls::verifying(trust).expect("a root");
        Security::Client { tls, host: "toy.example.org".into(), begin }
    }

    /// A client's handshake, without a driver.
    async fn connect(&self, stream: TcpStream) -> tokio_rustls::TlsStream<TcpStream> {
        let tls = ClientTls::opportunistic(Trust::Roots(Vec::new())).expect("nobody is trusted");
        *tls.connect(stream, "toy.example.org").await.expect("a handshake").0
    }
}

#[tokio::test]
async fn clear_octets_before_tls_are_thrown_away() {
    let keys = Keys::new();
    let ear = Arc::new(Ear::default());
    let mut peer = Peer::new(|setup| {
        setup.security = keys.server(Begin::WhenAsked);
        setup.tap = Some(ear.tapped());
    })
    .await;
    peer.hear("hello\r\n").await;
    peer.say("STARTTLS\r\nECHO evil\r\n").await;
    peer.hear("go ahead\r\n").await;
    let mut stream = keys.connect(peer.stream).await;
    stream.write_all(b"ECHO good\r\nQUIT\r\n").await.expect("written");
    stream.flush().await.expect("written");
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.expect("to a close_notify");
    assert_eq!(String::from_utf8_lossy(&heard), "= good\r\nbye\r\n");
    let heard = ear.heard();
    assert!(heard.contains(&"dropped 11".to_string()), "{heard:?}");
    assert!(!heard.iter().any(|line| line.contains("evil")), "{heard:?}");
}

/// A peer under TLS that has asked to go on in clear and heard that it may, and its stream: what it does then is up to it.
async fn cleared(
    ear: &Arc<Ear>,
    sent_ahead: &str,
) -> (JoinHandle<(Ended, ToyDesk)>, tokio_rustls::TlsStream<TcpStream>) {
    let keys = Keys::new();
    let peer = Peer::new(|setup| {
        setup.security = keys.server(Begin::AtOnce);
        setup.tap = Some(ear.tapped());
    })
    .await;
    let mut stream = keys.connect(peer.stream).await;
    stream.write_all(format!("STOPTLS\r\n{sent_ahead}").as_bytes()).await.expect("written");
    stream.flush().await.expect("written");
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.expect("to a close_notify");
    assert_eq!(String::from_utf8_lossy(&heard), "hello\r\nas you like\r\n");
    (peer.ended, stream)
}

#[tokio::test]
async fn tls_is_ended_and_the_conversation_goes_on_in_clear() {
    for says_close_notify in [true, false] {
        let ear = Arc::new(Ear::default());
        let (ended, mut stream) = cleared(&ear, "ECHO evil\r\n").await;
        if says_close_notify {
            stream.get_mut().1.send_close_notify();
            stream.flush().await.expect("written");
        }
        let tokio_rustls::TlsStream::Client(stream) = stream else { panic!("a client's") };
        let (mut stream, _) = stream.into_inner();
        stream.write_all(b"ECHO good\r\nQUIT\r\n").await.expect("written");
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.expect("in clear");
        assert_eq!(String::from_utf8_lossy(&heard), "= good\r\nbye\r\n");
        // It waits for our end too.
        drop(stream);
        assert!(matches!(ended.await.expect("no panic").0.why, Why::Closed | Why::PeerClosed));
        let heard = ear.heard();
        assert!(heard.contains(&"cleared".to_string()), "{heard:?}");
        assert!(!heard.iter().any(|line| line.contains("evil")), "{heard:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_cleared_is_lost() {
    let mut peer = Peer::new(|_| {}).await;
    peer.say("STOPTLS\r\n").await;
    let ended = peer.hear_last("hello\r\nas you like\r\n").await;
    assert!(matches!(ended.why, Why::Lost(_)), "{ended:?}");
}

#[tokio::test]
async fn both_sides_know_the_same_of_tls() {
    for begin in [Begin::WhenAsked, Begin::AtOnce] {
        let keys = Keys::new();
        let Peer { stream, ended, house: _house } = Peer::new(|setup| setup.security = keys.server(begin)).await;
        let (_own_house, leaving) = watch::channel(false);
        let setup = Setup { security: keys.client(begin), ..Setup::new(leaving) };
        let mut caller = Caller::new();
        let call = converse(&mut caller, &mut NoDesk, stream, &setup).await;
        assert!(setup.pulse.is_protected());
        assert!(matches!(call.why, Why::Closed), "{call:?}");
        let tls = caller.tls.expect("protected");
        assert!(tls.verified);
        assert_eq!((&tls.version[..], tls.server_name.as_deref()), ("TLSv1.3", Some("toy.example.org")));
        assert!(tls.cipher.starts_with("TLS_"), "IANA's name: {}", tls.cipher);
        assert_eq!(tls.exporter.as_ref().map(Vec::len), Some(32));
        assert_eq!(tls.server_end_point, crate::tls::end_point_hash(keys.identity.certificate()));
        assert!(caller.heard.contains(&facts(Some(&tls)).trim_end().to_string()), "{:?}", caller.heard);
        assert!(matches!(ended.await.expect("no panic").0.why, Why::Closed | Why::PeerClosed));
    }
}

#[tokio::test]
async fn a_client_does_not_speak_to_whom_it_cannot_trust() {
    let (keys, others) = (Keys::new(), Keys::new());
    let Peer { stream, ended, house: _house } = Peer::new(|setup| setup.security = keys.server(Begin::WhenAsked)).await;
    let (_own_house, leaving) = watch::channel(false);
    let setup = Setup { security: others.client(Begin::WhenAsked), ..Setup::new(leaving) };
    let mut caller = Caller::new();
    let call = converse(&mut caller, &mut NoDesk, stream, &setup).await;
    assert!(matches!(call.why, Why::Tls(TlsError::Untrusted(_))), "{call:?}");
    assert!(caller.was_closed && caller.tls.is_none());
    assert!(matches!(ended.await.expect("no panic").0.why, Why::Tls(TlsError::Refused(_))));
}

#[tokio::test(start_paused = true)]
async fn a_handshake_takes_its_time_and_no_more() {
    let frozen = freeze();
    let keys = Keys::new();
    let mut peer = Peer::new(|setup| setup.security = keys.server(Begin::WhenAsked)).await;
    peer.say("STARTTLS\r\n").await;
    peer.hear("hello\r\ngo ahead\r\n").await;
    drop(frozen);
    let ended = peer.hear_last("").await;
    assert!(matches!(ended.why, Why::Tls(TlsError::TooSlow)), "{ended:?}");
}

#[tokio::test]
async fn what_is_no_handshake_ends_the_conversation() {
    let keys = Keys::new();
    let mut peer = Peer::new(|setup| setup.security = keys.server(Begin::AtOnce)).await;
    peer.say("EHLO example.org\r\nQUIT\r\n").await;
    let (ended, _) = peer.ended.await.expect("no panic");
    assert!(matches!(ended.why, Why::Tls(TlsError::NotTls)), "{ended:?}");
}

#[tokio::test]
async fn tls_that_was_not_set_up_is_our_fault() {
    let mut peer = Peer::new(|_| {}).await;
    peer.say("STARTTLS\r\n").await;
    let ended = peer.hear_last("hello\r\ngo ahead\r\n").await;
    assert!(matches!(ended.why, Why::Fault(_)), "{ended:?}");
}

/// Remembers what it hears, a line each.
#[derive(Default)]
struct Ear(Mutex<Vec<String>>);

impl Ear {
    fn tapped(self: &Arc<Self>) -> Tapped {
        Tapped::new(self.clone(), label())
    }

    fn heard(&self) -> Vec<String> {
        self.0.lock().expect("not poisoned").clone()
    }
}

fn label() -> Label {
    Label { session: "1".into(), protocol: "toy", port: 7, side: Side::Server }
}

impl Tap for Ear {
    fn hear(&self, _label: &Label, heard: Heard<'_>) {
        let line = match heard {
            Heard::Spoken { by, shown, secret } => {
                format!("{by:?} {}{}", String::from_utf8_lossy(shown), if secret { "…" } else { "" })
            }
            Heard::Content { by, octets } => format!("{by:?} | {}", String::from_utf8_lossy(octets)),
            Heard::Dropped(octets) => format!("dropped {octets}"),
            Heard::Secured(_) => "secured".into(),
            Heard::Cleared => "cleared".into(),
            Heard::Ended(ended) => format!("ended: {}", ended.why),
        };
        self.0.lock().expect("not poisoned").push(line);
    }
}

#[tokio::test]
async fn a_tap_hears_all_but_secrets() {
    let printer = Arc::new(Printer::new(Vec::new(), false));
    let tapped = Tapped::new(printer.clone(), label());
    let mut peer = Peer::new(|setup| setup.tap = Some(tapped)).await;
    peer.say("SECRET pickles\r\nDATA\r\nbody\r\n.\r\nQUIT\r\n").await;
    peer.hear_last("hello\r\n= hidden\r\nsend\r\nA: body|\r\nbye\r\n").await;
    let printed = Arc::into_inner(printer).expect("the only owner").into_inner();
    let expected = "toy:7 1 S: hello
toy:7 1 C: SECRET …
toy:7 1 S: = hidden
toy:7 1 C: DATA
toy:7 1 S: send
toy:7 1 C: | body
toy:7 1 C: | .
toy:7 1 S: A: body|
toy:7 1 C: QUIT
toy:7 1 S: bye
toy:7 1 --: we closed the connection
";
    assert_eq!(String::from_utf8(printed).expect("text"), expected);
}

/// The peer's side of compression.
struct Squeezed {
    out: flate2::Compress,
    from: flate2::Decompress,
}

impl Squeezed {
    fn new() -> Self {
        Squeezed { out: flate2::Compress::new(Default::default(), false), from: flate2::Decompress::new(false) }
    }

    fn fold(&mut self, text: &str) -> Vec<u8> {
        let mut wire = Vec::with_capacity(text.len() + 1000);
        self.out.compress_vec(text.as_bytes(), &mut wire, flate2::FlushCompress::Sync).expect("folded");
        wire
    }

    /// Hears exactly this next, in as many packets as it takes.
    async fn hear(&mut self, stream: &mut (impl tokio::io::AsyncRead + Unpin), expected: &str) {
        let mut heard = Vec::with_capacity(expected.len() + 1);
        while heard.len() < expected.len() {
            let mut packet = vec![0; 16 * 1024];
            let octets = stream.read(&mut packet).await.expect("read");
            assert!(octets > 0, "{}", String::from_utf8_lossy(&heard));
            self.from.decompress_vec(&packet[..octets], &mut heard, flate2::FlushDecompress::None).expect("unfolded");
        }
        assert_eq!(String::from_utf8_lossy(&heard), expected);
    }
}

#[tokio::test]
async fn compressed_each_answer_comes_when_it_is_said() {
    let mut peer = Peer::new(|_| {}).await;
    let mut squeezed = Squeezed::new();
    peer.say("SQUEEZE\r\n").await;
    peer.hear("hello\r\ntight\r\n").await;
    for text in ["ECHO a\r\n", "ECHO b\r\nASK how\r\n"] {
        let wire = squeezed.fold(text);
        peer.stream.write_all(&wire).await.expect("written");
        let expected = if text.contains("ASK") { "= b\r\nA: HOW\r\n" } else { "= a\r\n" };
        squeezed.hear(&mut peer.stream, expected).await;
    }
    let wire = squeezed.fold("BIG 300000\r\nQUIT\r\n");
    for octet in wire {
        peer.stream.write_all(&[octet]).await.expect("written");
    }
    squeezed.hear(&mut peer.stream, &format!("{}bye\r\n", "x".repeat(300_000))).await;
    // It waits for our end too.
    drop(peer.stream);
    let ended = peer.ended.await.expect("no panic").0;
    assert!(matches!(ended.why, Why::Closed) && ended.sent < 3_000, "{ended:?}");
}

#[tokio::test]
async fn what_is_compressed_goes_under_tls() {
    let keys = Keys::new();
    let Peer { stream, ended, house: _house } = Peer::new(|setup| setup.security = keys.server(Begin::AtOnce)).await;
    let mut stream = keys.connect(stream).await;
    let mut squeezed = Squeezed::new();
    stream.write_all(b"SQUEEZE\r\n").await.expect("written");
    let mut heard = [0; 14];
    stream.read_exact(&mut heard).await.expect("read");
    stream.write_all(&squeezed.fold("ECHO a\r\nQUIT\r\n")).await.expect("written");
    squeezed.hear(&mut stream, "= a\r\nbye\r\n").await;
    drop(stream);
    assert!(matches!(ended.await.expect("no panic").0.why, Why::Closed));
}

#[tokio::test]
async fn octets_that_swell_are_heard_all_and_a_stream_that_is_none_is_a_lost_line() {
    let mut peer = Peer::new(|_| {}).await;
    let mut squeezed = Squeezed::new();
    // What comes in the same packet as the command is compressed already (RFC 4978 §3).
    let many =
        "ECHO aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(20_000);
    let packet = [b"SQUEEZE\r\n".to_vec(), squeezed.fold(&many)].concat();
    assert!(packet.len() < many.len() / 50);
    peer.stream.write_all(&packet).await.expect("written");
    peer.hear("hello\r\ntight\r\n").await;
    squeezed.hear(&mut peer.stream, &many.replace("ECHO", "=")).await;
    peer.say("ECHO in clear\r\nECHO in clear\r\n").await;
    let ended = peer.hear_last("").await;
    assert!(matches!(&ended.why, Why::Lost(error) if error.kind() == io::ErrorKind::InvalidData), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_compressed_dialogue_goes_on_after_a_long_silence() {
    let frozen = freeze();
    let mut peer = Peer::new(|_| {}).await;
    let mut squeezed = Squeezed::new();
    peer.say("SQUEEZE\r\n").await;
    peer.hear("hello\r\ntight\r\n").await;
    let wire = squeezed.fold("ECHO a\r\n");
    peer.stream.write_all(&wire).await.expect("written");
    squeezed.hear(&mut peer.stream, "= a\r\n").await;
    drop(frozen);
    tokio::time::sleep(fold::QUIET * 2).await;
    let frozen = freeze();
    let wire = squeezed.fold("ECHO a\r\n");
    peer.stream.write_all(&wire).await.expect("written");
    squeezed.hear(&mut peer.stream, "= a\r\n").await;
    drop(frozen);
}

/// What a conversation's future may weigh beside the session and the desk, in octets. It is paid for every idle
/// connection, so nothing large may lie across an await.
const FUTURE_MAX: usize = 640;

#[tokio::test]
async fn the_driver_is_light() {
    let (_theirs, ours) = pair().await;
    let (mut toy, mut desk) = (Toy::new(), ToyDesk::new());
    let (_house, leaving) = watch::channel(false);
    let setup = Setup::new(leaving);
    let conversation = converse(&mut toy, &mut desk, ours, &setup);
    let weight = size_of_val(&conversation);
    assert!(weight <= FUTURE_MAX, "{weight} octets");
}

#[tokio::test]
async fn large_stretches_do_not_stay_in_memory() {
    // Seen from outside by tests/idle.rs; here only that what comes after them is right.
    let mut peer = Peer::new(|_| {}).await;
    peer.say("BIG 300000\r\nECHO a\r\nQUIT\r\n").await;
    peer.hear_last(&format!("hello\r\n{}= a\r\nbye\r\n", "x".repeat(300_000))).await;
}

#[tokio::test]
async fn a_conversation_may_move_between_threads() {
    fn is_send(_: &impl Send) {}
    let (_theirs, ours) = pair().await;
    let (mut toy, mut desk) = (Toy::new(), ToyDesk::new());
    is_send(&converse(&mut toy, &mut desk, ours, &Setup::new(watch::channel(false).1)));
    assert!(Pace::default().handshake > Duration::ZERO);
}
