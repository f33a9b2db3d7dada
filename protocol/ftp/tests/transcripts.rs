//! Every rule of both sides, as a dialogue.

mod stage;

use stage::FtpServer;
use stage::client::FtpClient;

#[test]
fn the_server_keeps_to_its_transcripts() {
    transcript::replay_folder::<FtpServer>(concat!(env!("CARGO_MANIFEST_DIR"), "/transcripts/server"));
}

#[test]
fn the_client_keeps_to_its_transcripts() {
    transcript::replay_folder::<FtpClient>(concat!(env!("CARGO_MANIFEST_DIR"), "/transcripts/client"));
}
