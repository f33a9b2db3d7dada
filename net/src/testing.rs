//! A DNS server on loopback that answers from a [`Table`], for tests that go over the network.
//!
//! RFC 1035 §4 (messages), RFC 2308 §2 (negative answers carry an SOA), RFC 6891 (EDNS), RFC 7766 (TCP).
//!
//! Invariants: what `Table` says in a process, this says over the wire; everything ends with [`Responder`].
//! Not here: recursion, zones, anything a public server needs.

use std::io;
use std::net::{IpAddr, SocketAddr};

use hickory_resolver::proto::op::{Edns, Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, MX, PTR, SOA, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use crate::dns::Table;

/// How long answers may be kept, in seconds. Tests do not want to see old ones.
const TTL: u32 = 0;

/// The largest answer by UDP without EDNS, in octets (RFC 1035 §4.2.1). Larger ones come truncated, so that tests
/// see the way over TCP.
const DATAGRAM_MAX: usize = 512;

/// How many ports are tried before we give up finding one that is free for UDP and TCP alike.
const PORTS_TRIED: usize = 50;

/// A DNS server. It stops when this is dropped.
#[derive(Debug)]
pub struct Responder {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Responder {
    /// Answers on a free port of 127.0.0.1, by UDP and TCP.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(table: Table) -> io::Result<Self> {
        let (udp, tcp) = bind().await?;
        let address = tcp.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(udp, table.clone()));
        tasks.spawn(serve_tcp(tcp, table));
        Ok(Responder { address, _tasks: tasks })
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// One port, both transports.
async fn bind() -> io::Result<(UdpSocket, TcpListener)> {
    for _ in 0..PORTS_TRIED {
        let tcp = TcpListener::bind("127.0.0.1:0").await?;
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr()?).await {
            return Ok((udp, tcp));
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

async fn serve_udp(socket: UdpSocket, table: Table) {
    let mut question = vec![0; 4096];
    while let Ok((len, peer)) = socket.recv_from(&mut question).await {
        if let Some(answer) = answer(&question[..len], &table, DATAGRAM_MAX) {
            // Whoever does not get it asks again.
            let _ = socket.send_to(&answer, peer).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, table: Table) {
    let mut peers = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let table = table.clone();
        // A peer that hangs up ends his own task.
        peers.spawn(async move { drop(serve_peer(stream, &table).await) });
    }
}

async fn serve_peer(mut stream: TcpStream, table: &Table) -> io::Result<()> {
    loop {
        let mut question = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut question).await?;
        let Some(answer) = answer(&question, table, usize::from(u16::MAX)) else { return Ok(()) };
        stream.write_u16(answer.len() as u16).await?;
        stream.write_all(&answer).await?;
    }
}

/// `None` for what is no question.
fn answer(question: &[u8], table: &Table, size_max: usize) -> Option<Vec<u8>> {
    let question = Message::from_vec(question).ok()?;
    let query = question.queries.first()?.clone();
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata.recursion_desired = question.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.add_query(query.clone());
    if question.edns.is_some() {
        answer.set_edns(Edns::new());
    }
    answer.metadata.response_code = fill(&mut answer, query.name.clone(), query.query_type, table)?;
    let octets = answer.to_vec().ok()?;
    if octets.len() <= size_max { Some(octets) } else { answer.truncate().to_vec().ok() }
}

/// Follows aliases from `name` and adds what is found.
fn fill(answer: &mut Message, mut name: Name, kind: RecordType, table: &Table) -> Option<ResponseCode> {
    for _ in 0..=8 {
        let Some(records) = table.at(&name.to_ascii()) else {
            answer.add_authority(authority()?);
            return Some(ResponseCode::NXDomain);
        };
        if records.failing.is_some() {
            return Some(ResponseCode::ServFail);
        }
        if let Some(target) = records.alias {
            let target = absolute(&target)?;
            answer.add_answer(Record::from_rdata(name, TTL, RData::CNAME(CNAME(target.clone()))));
            name = target;
            continue;
        }
        let data: Vec<RData> = match kind {
            RecordType::MX => {
                let mx = records.mx.iter().map(|mx| Some(RData::MX(MX::new(mx.preference, absolute(&mx.host)?))));
                mx.collect::<Option<_>>()?
            }
            RecordType::A => records.addresses.iter().filter_map(v4).collect(),
            RecordType::AAAA => records.addresses.iter().filter_map(v6).collect(),
            RecordType::TXT => records.txt.iter().map(|text| txt(text)).collect(),
            RecordType::PTR => {
                let names = records.ptr.iter().map(|name| Some(RData::PTR(PTR(absolute(name)?))));
                names.collect::<Option<_>>()?
            }
            _ => Vec::new(),
        };
        if data.is_empty() {
            answer.add_authority(authority()?);
        }
        for data in data {
            answer.add_answer(Record::from_rdata(name.clone(), TTL, data));
        }
        return Some(ResponseCode::NoError);
    }
    Some(ResponseCode::ServFail)
}

fn absolute(name: &str) -> Option<Name> {
    let mut name = Name::from_ascii(name).ok()?;
    name.set_fqdn(true);
    Some(name)
}

fn v4(address: &IpAddr) -> Option<RData> {
    match address {
        IpAddr::V4(v4) => Some(RData::A(A(*v4))),
        IpAddr::V6(_) => None,
    }
}

fn v6(address: &IpAddr) -> Option<RData> {
    match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => Some(RData::AAAA(AAAA(*v6))),
    }
}

/// A text in strings of at most 255 octets (RFC 1035 §3.3.14).
fn txt(text: &[u8]) -> RData {
    let strings = if text.is_empty() { vec![text] } else { text.chunks(255).collect() };
    RData::TXT(TXT::from_bytes(strings))
}

/// Who says that there is nothing.
fn authority() -> Option<Record> {
    let soa = SOA::new(absolute("ns.invalid")?, absolute("nobody.invalid")?, 1, 1, 1, 1, TTL);
    Some(Record::from_rdata(Name::root(), TTL, RData::SOA(soa)))
}
