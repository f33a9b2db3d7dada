//! Connections that do not leave the machine: to webmail, a proxy, a client beside the server.
//!
//! Where the system paces what it sends (BBR), it sets a timer for each segment, which costs more than to send it, and the peer sleeps and
//! is woken in between. On the machine itself there is no network to be found out and spared.
//!
//! Invariants: what leaves the machine goes as the system has it.
//! Not here: who is at the other end.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;

use socket2::SockRef;

/// Every system has it, and whoever likes may choose it.
const UNPACED: &[u8] = b"reno";

/// What paces.
const PACED: &[u8] = b"bbr";

/// Has the system not pace a connection of TCP that stays on the machine.
///
/// # Errors
/// What the system says. It is no more than a hint.
#[cfg(target_os = "linux")]
pub(crate) fn cease_pacing(socket: &impl AsFd) -> io::Result<()> {
    let is_home = is_home(socket)?;
    let socket = SockRef::from(socket);
    if is_home && socket.tcp_congestion()?.starts_with(PACED) {
        socket.set_tcp_congestion(UNPACED)?;
    }
    Ok(())
}

/// Only Linux is known to pace.
#[cfg(not(target_os = "linux"))]
pub(crate) fn cease_pacing(_socket: &impl AsFd) -> io::Result<()> {
    Ok(())
}

/// Whether a connection stays on the machine.
///
/// # Errors
/// What the system says, for instance when the peer is gone.
pub(crate) fn is_home(socket: &impl AsFd) -> io::Result<bool> {
    let socket = SockRef::from(socket);
    let (ours, theirs) = (socket.local_addr()?.as_socket(), socket.peer_addr()?.as_socket());
    Ok(ours.zip(theirs).is_some_and(|(ours, theirs)| is_at_home(ours.ip(), theirs.ip())))
}

/// Whether what goes from us to them stays on this machine.
fn is_at_home(ours: IpAddr, theirs: IpAddr) -> bool {
    theirs.to_canonical().is_loopback() || theirs == ours
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn who_has_our_address_or_one_of_the_loopback_is_at_home() {
        let is_at_home = |ours: &str, theirs: &str| {
            is_at_home(ours.parse().expect("an address"), theirs.parse().expect("an address"))
        };
        for (ours, theirs) in [("127.0.0.1", "127.0.0.9"), ("::1", "::1"), ("::ffff:127.0.0.1", "::ffff:127.0.0.1")] {
            assert!(is_at_home(ours, theirs), "{theirs}");
        }
        assert!(is_at_home("192.0.2.1", "192.0.2.1"));
        assert!(!is_at_home("192.0.2.1", "192.0.2.2") && !is_at_home("2001:db8::1", "2001:db8::2"));
    }

    #[test]
    fn what_stays_on_the_machine_is_not_paced() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let stream = std::net::TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
        let socket = SockRef::from(&stream);
        if let Err(error) = socket.set_tcp_congestion(PACED) {
            println!("SKIPPED: this system has no BBR ({error})");
            return;
        }
        cease_pacing(&stream).expect("it is TCP");
        // The system pads the name.
        let way = socket.tcp_congestion().expect("it is TCP");
        assert!(way.starts_with(UNPACED), "{}", way.escape_ascii());
    }
}
