//! Replays the transcripts, which say how POP3 is spoken here: the server's side and the client's.
//!
//! RFC 1939, 2449, 2595, 3206, 5034, 6856: each transcript names its section.
//!
//! Not here: both sides together, and what cannot be written down line by line (sessions).

mod stage;

use stage::{ClientStage, ServerStage};

#[test]
fn the_server_speaks_as_its_transcripts_say() {
    transcript::replay_folder::<ServerStage>(concat!(env!("CARGO_MANIFEST_DIR"), "/transcripts/server"));
}

#[test]
fn the_client_speaks_as_its_transcripts_say() {
    transcript::replay_folder::<ClientStage>(concat!(env!("CARGO_MANIFEST_DIR"), "/transcripts/client"));
}
