//! Replays the transcripts, which say how IMAP is spoken here.
//!
//! RFC 9051, RFC 3501 and their extensions: each transcript names its section.
//!
//! Not here: what cannot be written down line by line (sessions).

mod stage;

use stage::ServerStage;

#[test]
fn the_server_speaks_as_its_transcripts_say() {
    transcript::replay_folder::<ServerStage>(concat!(env!("CARGO_MANIFEST_DIR"), "/transcripts/server"));
}
