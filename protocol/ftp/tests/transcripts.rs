//! Every rule of the server's side, as a dialogue.

mod stage;

use stage::FtpServer;

#[test]
fn the_server_keeps_to_its_transcripts() {
    transcript::replay_folder::<FtpServer>(concat!(env!("CARGO_MANIFEST_DIR"), "/transcripts/server"));
}
