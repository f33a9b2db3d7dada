//! Postfix: our courier hands a letter to it, and it hands the letter to our server, with STARTTLS on both ways.
//!
//! It is started by the peers' script (`PACKETBOAT_PEERS`, or `../shared/peers` beside the repository), which needs root.

use harness::{Server, command_on, unused_port};
use interop::{Foreign, Letter, bob, dev, foreign};
use std::path::{Path, PathBuf};

/// Ours are longer than the textbook's.
const PASSWORD: &str = "pickles-and-more";

/// The script that starts it; a loud word and `None` where it, Postfix, or root is missing.
fn script() -> Option<Foreign> {
    foreign("postfix")?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/peers");
    let peers = std::env::var_os("PACKETBOAT_PEERS").map_or(root, PathBuf::from);
    let script = foreign(peers.join("postfix").to_str()?)?;
    if rustix::process::geteuid().is_root() {
        return Some(script);
    }
    interop::skipped("Postfix wants to be started by root");
    None
}

/// A running Postfix that relays everything to a port of ours.
struct Postfix {
    script: Foreign,
    port: u16,
}

impl Postfix {
    fn start(script: Foreign, relay_port: u16) -> Postfix {
        let port = unused_port("127.0.0.1");
        let settings = [("MODE", "relay"), ("SMTP_PORT", &port.to_string()), ("RELAY_PORT", &relay_port.to_string())];
        script.run_with(&settings, &["start", &script.path("postfix")], b"").succeeded();
        Postfix { script, port }
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        self.script.run(&["stop", &self.script.path("postfix")], b"");
    }
}

/// A server whose people send everything through `relay_port`.
fn server_with_smarthost(folder: &Path, relay_port: u16) -> (Server, String) {
    let [smtp, submission] = [(); 2].map(|()| unused_port("127.0.0.2"));
    let data = folder.join("data");
    let configuration = format!(
        "host_name = \"mail.crepes.test\"\ndata_dir = {data:?}\n[log]\nlevel = \"warn\"\n[listen]\nsmtp = [\"127.0.0.2:{smtp}\"]\n\
         submission = [\"127.0.0.2:{submission}\"]\nsubmissions = []\npop3 = []\npop3s = []\nimap = []\nimaps = []\n\
         [[route]]\ndomain = \"*\"\nhost = \"127.0.0.1\"\nport = {relay_port}\n"
    );
    let binary = interop::binary();
    let server = Server::serve_in(binary, folder, &configuration);
    for arguments in [["domain", "add", "crepes.test"], ["account", "add", "alice@crepes.test"]] {
        let added = command_on(binary, &server.data_dir(), &arguments, PASSWORD);
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    }
    (server, format!("smtp://127.0.0.2:{submission}/client.test"))
}

#[test]
fn a_letter_goes_through_postfix_and_comes_back() {
    let (Some(script), Some(curl)) = (script(), foreign("curl")) else { return };
    let reader = dev();
    let postfix = Postfix::start(script, reader.address("smtp").port());
    let folder = Foreign::temporary();
    let (_sender, submission) = server_with_smarthost(folder.path(), postfix.port);
    let letter = Letter::new();
    let credentials = format!("alice@crepes.test:{PASSWORD}");
    let sender = ["--mail-from", "alice@crepes.test", "--mail-rcpt", bob().address, "-u", &credentials];
    let arguments = [&["-sS", &submission, "--ssl-reqd", "-k", "-T", "-"], &sender[..]].concat();
    curl.run(&arguments, letter.text().as_bytes()).succeeded();
    await_mail(&reader);
    let message = bob().last(&reader);
    letter.assert_is(&message);
    assert!(message.contains("(Postfix)"), "it took another way:\n{message}");
}

/// Nobody tells us when Postfix has delivered, so we look.
fn await_mail(reader: &Server) {
    harness::until("mail has come", || bob().count(reader) > 0);
}
