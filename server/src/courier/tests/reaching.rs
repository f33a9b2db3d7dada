//! Which hosts are tried, in which order, and what is tried once more: over real sockets on loopback.

use super::peers::{Act, Mood, Peer, Said, WELL, World};
use super::{ALICE, MINUTE, own_clock, send, settings};
use crate::courier::Courier;
use crate::courier::carrier::{Carrier, Fate, Fates, Lane, Package, Settle, Stopped};
use crate::courier::remote::Remote;
use crate::courier::route::Route;
use crate::house::House;
use crate::settings::{Route as Configured, RouteTls, Settings};
use crate::tapping::Tapping;
use net::dns::{Dns, DnsError, Lookup, Mx, Table};
use net::tls::self_signed;
use net::{ClientTls, Trust};
use std::future::pending;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use store::{MailRow, QueueFilter};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const FAR: &str = "bob@far.test";
const ONE: &str = "127.0.0.2";
const TWO: &str = "127.0.0.3";

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// far.test has two exchangers, the first better than the second.
fn two_exchangers() -> Table {
    Table::new()
        .mx("far.test", 10, "one.far.test")
        .mx("far.test", 20, "two.far.test")
        .address("one.far.test", ip(ONE))
        .address("two.far.test", ip(TWO))
}

/// A house whose courier really connects, to servers on loopback.
struct Shore {
    house: Arc<House>,
    courier: Arc<Courier<Remote>>,
    world: Arc<Mutex<World>>,
    leave: watch::Sender<bool>,
    _data: TempDir,
}

impl Shore {
    /// Servers at these addresses, each with its moods, visit after visit.
    async fn new(dns: impl Dns + 'static, servers: &[(&'static str, &[Mood])]) -> Shore {
        Shore::set(dns, servers, |_, _| {}).await
    }

    async fn set(
        dns: impl Dns + 'static,
        servers: &[(&'static str, &[Mood])],
        change: impl FnOnce(&mut Settings, u16),
    ) -> Shore {
        let world = Arc::new(Mutex::new(World::default()));
        let addresses: Vec<&str> = servers.iter().map(|(address, _)| *address).collect();
        let (port, listeners) = listen(&addresses).await;
        for ((address, moods), listener) in servers.iter().zip(listeners) {
            world.lock().expect("no panic").script(address, moods);
            tokio::spawn(serve(listener, address, Arc::clone(&world)));
        }
        let data = tempfile::tempdir().expect("a directory");
        let mut settings = settings(data.path());
        settings.queue.port = port;
        settings.queue.connections_per_host_max = 1;
        change(&mut settings, port);
        let clock = own_clock!();
        let house = House::open_with(settings, clock.read).await.expect("a house");
        let ours = self_signed(&["mail.crepes.test".into()], data.path()).expect("a certificate");
        let opportunistic = ClientTls::opportunistic(Trust::Roots(vec![ours.certificate().clone()])).expect("TLS");
        let verifying = ClientTls::verifying(Trust::Roots(vec![ours.certificate().clone()])).expect("TLS");
        let (leave, leaving) = watch::channel(false);
        let dns = Arc::new(dns);
        let tapping = Tapping::default();
        let remote = Remote::new(Arc::clone(&house), dns, opportunistic, Some(verifying), tapping, leaving);
        let courier = Courier::new(Arc::clone(&house), remote);
        Shore { house, courier, world, leave, _data: data }
    }

    async fn send_one(&self) {
        send(&self.house, ALICE, &[FAR], "hello").await;
        self.go().await;
    }

    async fn go(&self) {
        self.courier.round(self.house.now()).await.expect("the queue");
        self.courier.idle().await;
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("no panic in the world")
    }

    /// Who was visited, in this order.
    fn visits(&self) -> Vec<String> {
        self.world().visits.iter().map(|(host, _)| host.clone()).collect()
    }

    /// Who has taken mail, in this order.
    fn takers(&self) -> Vec<String> {
        self.world().taken.iter().map(|taken| taken.host.clone()).collect()
    }

    fn queue(&self) -> Vec<MailRow> {
        self.house.store.queue_list(&QueueFilter::default(), 1_000).expect("the queue")
    }

    /// Why the only recipient waits.
    fn why(&self) -> String {
        self.queue().remove(0).recipients.remove(0).last.expect("an attempt").reason
    }
}

/// The same free port at all these addresses.
async fn listen(addresses: &[&str]) -> (u16, Vec<TcpListener>) {
    const TRIES_MAX: usize = 50;
    'again: for _ in 0..TRIES_MAX {
        let mut listeners: Vec<TcpListener> = Vec::new();
        let mut port = 0;
        for address in addresses {
            match TcpListener::bind((*address, port)).await {
                Ok(listener) => {
                    port = listener.local_addr().expect("bound").port();
                    listeners.push(listener);
                }
                Err(_) => continue 'again,
            }
        }
        return (port, listeners);
    }
    panic!("no port is free at all of {addresses:?}");
}

async fn serve(listener: TcpListener, host: &'static str, world: Arc<Mutex<World>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let mood = world.lock().expect("no panic").visit(host, 0);
        if let Mood::Up(acts) = mood {
            // Whoever hangs up ends his own task.
            tokio::spawn(speak(stream, Peer::new(host, acts), Arc::clone(&world)));
        }
    }
}

async fn speak(mut stream: TcpStream, mut peer: Peer, world: Arc<Mutex<World>>) -> std::io::Result<()> {
    let mut octets = vec![0; 4096];
    loop {
        loop {
            match peer.say() {
                Said::Words(words) => stream.write_all(&words).await?,
                Said::Nothing => break,
                Said::Farewell => return Ok(()),
            }
        }
        match stream.read(&mut octets).await? {
            0 => return Ok(()),
            read => peer.hear(&octets[..read], &mut world.lock().expect("no panic")),
        }
    }
}

#[tokio::test]
async fn the_best_exchanger_gets_it() {
    let shore = Shore::new(two_exchangers(), &[(ONE, &[WELL]), (TWO, &[WELL])]).await;
    shore.send_one().await;
    assert_eq!((shore.visits(), shore.takers(), shore.queue()), (vec![ONE.into()], vec![ONE.into()], vec![]));
}

#[tokio::test]
async fn the_next_host_is_tried_when_nobody_answers() {
    // Nobody listens at the first one's address.
    let shore = Shore::new(two_exchangers(), &[(TWO, &[WELL])]).await;
    shore.send_one().await;
    assert_eq!((shore.takers(), shore.queue()), (vec![TWO.into()], vec![]));
}

#[tokio::test]
async fn the_next_host_is_tried_when_the_first_does_not_want_us() {
    for acts in [
        &[("", Act::Says("421 4.3.2 too busy"))][..],
        &[("", Act::Says("554 5.7.1 go away"))],
        &[("", Act::Says("mumble"))],
        &[("", Act::Drops)],
        &[("EHLO", Act::Says("421 4.3.2 too busy"))],
    ] {
        let shore = Shore::new(two_exchangers(), &[(ONE, &[Mood::Up(acts)]), (TWO, &[WELL])]).await;
        shore.send_one().await;
        assert_eq!((shore.visits(), shore.takers()), (vec![ONE.into(), TWO.into()], vec![TWO.into()]), "{acts:?}");
        assert_eq!(shore.queue(), []);
    }
}

#[tokio::test]
async fn every_address_of_a_host_is_tried() {
    let dns = Table::new().address("far.test", ip("127.0.0.4")).address("far.test", ip(ONE));
    let dns = dns.address("far.test", ip(TWO));
    let shore = Shore::new(dns, &[(ONE, &[Mood::Up(&[("", Act::Drops)])]), (TWO, &[WELL])]).await;
    shore.send_one().await;
    assert_eq!((shore.visits(), shore.takers()), (vec![ONE.into(), TWO.into()], vec![TWO.into()]));
}

#[tokio::test]
async fn hope_outweighs_refusal_among_hosts() {
    const NO: Mood = Mood::Up(&[("", Act::Says("554 5.7.1 go away"))]);
    const BUSY: Mood = Mood::Up(&[("", Act::Says("421 4.3.2 too busy"))]);
    for (one, two) in [(NO, BUSY), (BUSY, NO)] {
        let shore = Shore::new(two_exchangers(), &[(ONE, &[one]), (TWO, &[two])]).await;
        shore.send_one().await;
        assert_eq!((shore.visits().len(), shore.queue().len()), (2, 1));
        assert!(shore.why().ends_with("421 4.3.2 too busy"), "{}", shore.why());
    }
    let shore = Shore::new(two_exchangers(), &[(ONE, &[NO]), (TWO, &[NO])]).await;
    shore.send_one().await;
    assert_eq!(shore.queue(), [], "everybody says that it will never be: it bounces");
}

#[tokio::test]
async fn a_host_that_cuts_the_line_before_a_word_loses_the_mail_to_the_next() {
    const CUT: Mood = Mood::Up(&[("MAIL", Act::Says("421 4.3.2 going down"))]);
    let shore = Shore::new(two_exchangers(), &[(ONE, &[CUT]), (TWO, &[WELL])]).await;
    shore.send_one().await;
    assert_eq!((shore.visits(), shore.takers()), (vec![ONE.into(), TWO.into()], vec![TWO.into()]));
    assert_eq!(shore.queue(), []);
}

#[tokio::test]
async fn a_host_alone_that_cuts_the_line_is_tried_once_more_and_no_more() {
    const CUT: Mood = Mood::Up(&[("MAIL", Act::Drops)]);
    let dns = || Table::new().address("far.test", ip(ONE));
    let shore = Shore::new(dns(), &[(ONE, &[CUT, WELL])]).await;
    shore.send_one().await;
    assert_eq!((shore.visits().len(), shore.takers(), shore.queue()), (2, vec![ONE.into()], vec![]));

    let shore = Shore::new(dns(), &[(ONE, &[CUT])]).await;
    shore.send_one().await;
    assert_eq!((shore.visits().len(), shore.queue()[0].recipients[0].attempts), (2, 1));
    assert_eq!(shore.queue()[0].recipients[0].next_attempt, shore.house.now() + 5 * MINUTE);
}

#[tokio::test]
async fn mails_go_over_one_connection_and_a_tired_one_is_replaced() {
    const TIRED: Mood = Mood::Up(&[("MAIL FROM:<four", Act::Says("421 4.7.0 three are enough"))]);
    let shore = Shore::new(Table::new().address("far.test", ip(ONE)), &[(ONE, &[TIRED, WELL])]).await;
    for sender in ["one", "two", "three", "four", "five"] {
        send(&shore.house, &format!("{sender}@crepes.test"), &[FAR], "hello").await;
    }
    shore.go().await;
    assert_eq!((shore.visits().len(), shore.takers().len(), shore.queue()), (2, 5, vec![]));
}

#[tokio::test]
async fn tls_that_fails_is_left_out_where_it_may_be() {
    const BROKEN: Mood = Mood::Up(&[
        ("EHLO", Act::Says("250-here\r\n250 STARTTLS")),
        ("STARTTLS", Act::SaysAndDrops("220 2.0.0 go ahead")),
    ]);
    let shore = Shore::new(Table::new().address("far.test", ip(ONE)), &[(ONE, &[BROKEN])]).await;
    shore.send_one().await;
    assert_eq!((shore.visits().len(), shore.takers().len(), shore.queue()), (2, 1, vec![]));
    assert_eq!(shore.world().lines(ONE, "STARTTLS").len(), 1, "the second connection does not try it");
}

#[tokio::test]
async fn tls_that_is_required_is_never_left_out() {
    const BROKEN: Mood = Mood::Up(&[
        ("EHLO", Act::Says("250-here\r\n250 STARTTLS")),
        ("STARTTLS", Act::SaysAndDrops("220 2.0.0 go ahead")),
    ]);
    for (mood, reason) in [(BROKEN, "TLS"), (WELL, "the server offers no TLS, which is required")] {
        let required = |settings: &mut Settings, port| {
            let (domain, host) = ("*".to_string(), ONE.to_string());
            settings.routes = vec![Configured { domain, host, port, tls: RouteTls::Required, login: None }];
        };
        let shore = Shore::set(Table::new(), &[(ONE, &[mood])], required).await;
        shore.send_one().await;
        assert_eq!((shore.takers(), shore.queue().len()), (vec![], 1));
        assert!(shore.world().lines(ONE, "MAIL").is_empty());
        assert!(shore.why().contains(reason), "{}", shore.why());
    }
}

#[tokio::test]
async fn a_route_that_is_gone_waits_for_the_next_attempt() {
    let lane = Lane::new(Route::Configured("far.test".into()));
    let shore = Shore::new(Table::new(), &[]).await;
    let stopped = shore.courier.carrier.carry(&lane, &Deaf).await.expect_err("nowhere to go");
    assert!(matches!(stopped, Stopped::Unreachable(Fate::Deferred(_))), "{stopped:?}");
}

/// Nobody who listens.
struct Deaf;

impl Settle for Deaf {
    async fn settle(&self, _package: Package, _fates: Fates) {}
}

/// A DNS that never answers.
struct Silent;

impl Dns for Silent {
    fn mx<'a>(&'a self, _domain: &'a str) -> Lookup<'a, Mx> {
        Box::pin(pending())
    }

    fn addresses<'a>(&'a self, _host: &'a str) -> Lookup<'a, IpAddr> {
        Box::pin(pending())
    }

    fn txt<'a>(&'a self, _name: &'a str) -> Lookup<'a, Vec<u8>> {
        Box::pin(async { Err(DnsError::NoRecords) })
    }

    fn ptr(&self, _address: IpAddr) -> Lookup<'_, String> {
        Box::pin(async { Err(DnsError::NoRecords) })
    }
}

#[tokio::test]
async fn a_closing_house_waits_neither_for_names_nor_for_those_who_are_silent() {
    const MUTE: Mood = Mood::Up(&[("", Act::Hangs)]);
    for shore in
        [Shore::new(Silent, &[]).await, Shore::new(Table::new().address("far.test", ip(ONE)), &[(ONE, &[MUTE])]).await]
    {
        send(&shore.house, ALICE, &[FAR], "hello").await;
        shore.courier.round(shore.house.now()).await.expect("the queue");
        shore.leave.send_replace(true);
        shore.courier.idle().await;
        let waiting = shore.queue().remove(0).recipients.remove(0);
        assert_eq!((waiting.attempts, waiting.claimed), (0, false), "as if nobody had tried");
    }
}

#[tokio::test]
async fn mail_goes_from_the_configured_address() {
    let listener = TcpListener::bind((ONE, 0)).await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let dns = Table::new().address("far.test", ip(ONE));
    let from_seven = |settings: &mut Settings, _| {
        settings.queue.port = port;
        settings.queue.source_address = Some(ip("127.0.0.7"));
    };
    let shore = Shore::set(dns, &[], from_seven).await;
    send(&shore.house, ALICE, &[FAR], "hello").await;
    shore.courier.round(shore.house.now()).await.expect("the queue");
    let (_stream, peer): (TcpStream, SocketAddr) = listener.accept().await.expect("a visitor");
    assert_eq!(peer.ip(), ip("127.0.0.7"));
    shore.leave.send_replace(true);
    shore.courier.idle().await;
}
