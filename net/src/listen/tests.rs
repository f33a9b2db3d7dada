//! The rules at the door, shown over real sockets on loopback.

use std::sync::Mutex;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::*;

fn any_port(address: &str) -> SocketAddr {
    SocketAddr::new(address.parse().expect("an address"), 0)
}

/// A listener whose visitors are reported and greeted.
struct House {
    address: SocketAddr,
    visitors: mpsc::UnboundedReceiver<(SocketAddr, SocketAddr)>,
    leaving: watch::Sender<bool>,
    served: JoinHandle<()>,
}

impl House {
    fn open(address: &str, door: Door) -> Self {
        let listener = Listener::bind(any_port(address)).expect("bound");
        let address = listener.address();
        let (tell, visitors) = mpsc::unbounded_channel();
        let (leaving, left) = watch::channel(false);
        let served = tokio::spawn(listener.serve(door, move |visitor| greet(visitor, tell.clone()), left));
        House { address, visitors, leaving, served }
    }

    async fn call(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("connected")
    }
}

/// `hello`, then echoes until the visitor goes; an `!` is too much for it.
async fn greet(mut visitor: Visitor, tell: mpsc::UnboundedSender<(SocketAddr, SocketAddr)>) {
    let _ = tell.send((visitor.peer, visitor.local));
    visitor.stream.write_all(b"hello").await.expect("written");
    let mut octet = [0];
    while visitor.stream.read(&mut octet).await.expect("read") > 0 {
        assert!(octet != *b"!", "on purpose");
        visitor.stream.write_all(&octet).await.expect("written");
    }
}

async fn hear(stream: &mut TcpStream, expected: &str) {
    let mut heard = vec![0; expected.len()];
    stream.read_exact(&mut heard).await.expect("read");
    assert_eq!(String::from_utf8_lossy(&heard), expected);
}

async fn hear_last(mut stream: TcpStream, expected: &str) {
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.expect("no reset");
    assert_eq!(String::from_utf8_lossy(&heard), expected);
}

fn door(total: usize, per_network: usize) -> Door {
    let refusal = |refusal: Refusal| format!("no: {refusal:?}").into_bytes();
    Door { refusal: Arc::new(refusal), ..Door::new(Seats::new(total, per_network)) }
}

/// What a visit may weigh beside the visitor, in octets. Its task takes 256 with what tokio adds to it (which makes it a multiple
/// of 128), and a word or two more would make it 384.
const VISIT_MAX: usize = 56;

#[tokio::test]
async fn a_visit_is_a_small_task_beside_its_conversation() {
    let listener = TcpListener::bind(any_port("127.0.0.1")).await.expect("bound");
    let address = listener.local_addr().expect("bound");
    let stream = TcpStream::connect(address).await.expect("connected");
    let visitor = Visitor { stream, peer: address, local: address };
    let seat = Seats::new(1, 1).take().expect("a seat");
    let visit = hold(seat, Arc::new(|_| async {}), visitor);
    assert!(size_of_val(&visit) <= size_of::<Visitor>() + VISIT_MAX, "{} octets", size_of_val(&visit));
}

#[tokio::test]
async fn visitors_come_in_by_both_families() {
    for address in ["127.0.0.1", "::1"] {
        let Ok(probe) = std::net::TcpListener::bind(any_port(address)) else {
            eprintln!("SKIPPED: {address} is not there");
            continue;
        };
        drop(probe);
        let mut house = House::open(address, door(9, 9));
        let mut stream = house.call().await;
        hear(&mut stream, "hello").await;
        let (peer, local) = house.visitors.recv().await.expect("a visitor");
        assert_eq!(peer, stream.local_addr().expect("connected"));
        assert_eq!(local, house.address);
    }
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let first = Listener::bind(any_port("127.0.0.1")).expect("bound");
    let error = Listener::bind(first.address()).expect_err("in use");
    assert!(matches!(error, BindError::InUse { .. }));
    let text = error.to_string();
    assert!(text.contains(&first.address().to_string()) && text.contains("another port"), "{text}");
}

#[tokio::test]
async fn an_address_of_another_machine_is_named() {
    // RFC 5737: nobody has it.
    let error = Listener::bind(any_port("192.0.2.1")).expect_err("not ours");
    assert!(matches!(error, BindError::NotOurs { .. }), "{error}");
}

#[tokio::test]
async fn a_port_can_be_taken_again_at_once() {
    let house = House::open("127.0.0.1", door(9, 9));
    let mut stream = house.call().await;
    hear(&mut stream, "hello").await;
    house.leaving.send(true).expect("heard");
    drop(stream);
    house.served.await.expect("no panic");
    Listener::bind(house.address).expect("free again");
}

#[tokio::test]
async fn who_finds_no_seat_is_told() {
    let house = House::open("127.0.0.1", door(2, 9));
    let (mut first, mut second) = (house.call().await, house.call().await);
    hear(&mut first, "hello").await;
    hear(&mut second, "hello").await;
    hear_last(house.call().await, "no: Full").await;
    drop(first);
    // The seat is free as soon as the visitor's task has seen that he left.
    loop {
        let mut stream = house.call().await;
        let mut heard = [0];
        stream.read_exact(&mut heard).await.expect("read");
        if heard == *b"h" {
            break;
        }
    }
}

#[tokio::test]
async fn a_network_has_its_share() {
    let house = House::open("127.0.0.1", door(9, 1));
    let mut first = house.call().await;
    hear(&mut first, "hello").await;
    hear_last(house.call().await, "no: FullForNetwork").await;
    let source = Some("127.0.0.9".parse().expect("an address"));
    let mut other = crate::connect(house.address, REFUSAL_LIMIT, source).await.expect("connected");
    hear(&mut other, "hello").await;
}

#[tokio::test]
async fn the_banned_are_told_and_take_no_seat() {
    let banned = Arc::new(Mutex::new(true));
    let asked = banned.clone();
    let gatekeeper: Gatekeeper = Arc::new(move |_| !*asked.lock().expect("not poisoned"));
    let door = Door { gatekeeper, ..door(1, 1) };
    let seats = door.seats.clone();
    let house = House::open("127.0.0.1", door);
    hear_last(house.call().await, "no: Banned").await;
    assert_eq!(seats.taken(), 0);
    *banned.lock().expect("not poisoned") = false;
    hear(&mut house.call().await, "hello").await;
}

#[tokio::test]
async fn one_visitors_panic_does_not_end_the_house() {
    let door = door(9, 9);
    let seats = door.seats.clone();
    let house = House::open("127.0.0.1", door);
    let (mut calm, mut loud) = (house.call().await, house.call().await);
    hear(&mut calm, "hello").await;
    hear(&mut loud, "hello").await;
    loud.write_all(b"!").await.expect("written");
    assert_eq!(loud.read(&mut [0]).await.expect("closed"), 0);
    calm.write_all(b"x").await.expect("written");
    hear(&mut calm, "x").await;
    hear(&mut house.call().await, "hello").await;
    while seats.taken() > 1 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_house_that_closes_lets_visitors_end() {
    let House { address, leaving, served, .. } = House::open("127.0.0.1", door(9, 9));
    let mut stream = TcpStream::connect(address).await.expect("connected");
    hear(&mut stream, "hello").await;
    leaving.send(true).expect("heard");
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    stream.write_all(b"x").await.expect("written");
    hear(&mut stream, "x").await;
    assert!(!served.is_finished());
    drop(stream);
    served.await.expect("no panic");
}

#[tokio::test]
async fn a_trusted_proxy_names_the_visitor() {
    let proxies: Arc<[Network]> = Arc::new(["127.0.0.0/8".parse().expect("a network")]);
    let mut house = House::open("127.0.0.1", Door { proxies, ..door(9, 1) });
    let header = b"PROXY TCP6 2001:db8::1 2001:db8::2 4000 25\r\nx";
    let mut stream = house.call().await;
    stream.write_all(header).await.expect("written");
    hear(&mut stream, "hellox").await;
    let (peer, local) = house.visitors.recv().await.expect("a visitor");
    assert_eq!((peer.to_string(), local.to_string()), ("[2001:db8::1]:4000".into(), "[2001:db8::2]:25".into()));
    let mut again = house.call().await;
    again.write_all(header).await.expect("written");
    hear_last(again, "no: FullForNetwork").await;
    let mut wrong = house.call().await;
    wrong.write_all(b"EHLO example.org\r\n").await.expect("written");
    assert!(wrong.read(&mut [0]).await.is_ok_and(|octets| octets == 0) || wrong.peer_addr().is_err(), "hung up");
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_says_nothing_is_not_waited_for() {
    let proxies: Arc<[Network]> = Arc::new(["127.0.0.1".parse().expect("a network")]);
    let house = House::open("127.0.0.1", Door { proxies, ..door(9, 9) });
    hear_last(house.call().await, "").await;
}

#[tokio::test]
async fn a_header_from_elsewhere_is_input_like_any_other() {
    let proxies: Arc<[Network]> = Arc::new(["192.0.2.0/24".parse().expect("a network")]);
    let mut house = House::open("127.0.0.1", Door { proxies, ..door(9, 9) });
    let mut stream = house.call().await;
    stream.write_all(b"PROXY").await.expect("written");
    hear(&mut stream, "helloPROXY").await;
    let (peer, _) = house.visitors.recv().await.expect("a visitor");
    assert_eq!(peer, stream.local_addr().expect("connected"));
}

#[test]
fn a_shortage_is_told_from_a_visitor_who_left() {
    for (code, shortage) in [(24, true), (23, true), (12, true), (105, true), (103, false), (104, false)] {
        assert_eq!(is_shortage(&io::Error::from_raw_os_error(code)), shortage, "{code}");
    }
}

#[test]
fn privileged_ports_say_what_to_do() {
    let text = BindError::NotAllowed { address: "0.0.0.0:25".parse().expect("an address") }.to_string();
    assert!(text.contains("0.0.0.0:25") && text.contains("CAP_NET_BIND_SERVICE"), "{text}");
}
