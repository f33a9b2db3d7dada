//! A server of somebody else's, which says what it is told: one dialogue a connection, and then it closes.
//!
//! In a dialogue `S:` is what we say, `C:` what we expect to hear (`~` is anything, `$name` a word to remember), and
//! `T:` a text up to its final dot, which is remembered. At `W:` we wait until the test wants us to go on.
//!
//! Not here: what a real server would do.

use crate::{PATIENCE, Speaker};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::mpsc::{Receiver, Sender, channel};

/// A server that plays its dialogues in a thread of its own.
pub struct Peer {
    address: SocketAddr,
    played: Receiver<Vec<Vec<u8>>>,
    arrived: Receiver<()>,
    go_on: Sender<()>,
}

impl Peer {
    /// Listens at this address (port 0: a free one), and plays one dialogue after another, each with a new client.
    /// Behind the last one nobody is there any more.
    pub fn start(address: impl ToSocketAddrs, dialogues: &[&str]) -> Peer {
        let listener = TcpListener::bind(address).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let dialogues: Vec<String> = dialogues.iter().map(ToString::to_string).collect();
        let ((tell, played), (arrive, arrived), (go_on, may_go_on)) = (channel(), channel(), channel());
        std::thread::spawn(move || {
            let mut texts = Vec::new();
            for dialogue in dialogues {
                let (stream, _) = listener.accept().expect("a client");
                let mut speaker = Speaker::new(stream);
                for (at, part) in dialogue.split("W:").enumerate() {
                    if at > 0 {
                        arrive.send(()).expect("the test is there");
                        may_go_on.recv_timeout(PATIENCE).expect("the test lets us go on");
                    }
                    texts.extend(speaker.play_server(part));
                }
            }
            // A test that has failed already does not listen.
            let _ = tell.send(texts);
        });
        Peer { address, played, arrived, go_on }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it stands at `W:`.
    pub fn arrives(&self) {
        self.arrived.recv_timeout(PATIENCE).expect("the dialogue comes so far as it is written");
    }

    /// Lets it go on behind `W:`.
    pub fn go_on(&self) {
        self.go_on.send(()).expect("the peer waits");
    }

    /// Waits until all dialogues were played as written, and gives the texts that were heard.
    pub fn finish(self) -> Vec<Vec<u8>> {
        self.played.recv_timeout(PATIENCE).expect("every dialogue is played as it is written")
    }
}
