//! What is told of files that came and went: hooks, the transfer log, the log.

use super::BINARY;
use super::ftp::{connect, get, passive, put};
use harness::{Letterbox, Server, Speaker, command_on};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A real server with one account, and what it is configured with besides.
struct Boat {
    folder: TempDir,
    configuration: String,
    server: Server,
}

const JOE: &str = "joe@crepes.test";

impl Boat {
    fn set_sail(more: &str) -> Boat {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let configuration = format!(
            "host_name = 'boat.test'\ndata_dir = '{}'\n\
             listen.smtp = []\nlisten.submission = []\nlisten.submissions = []\nlisten.pop3s = []\nlisten.imap = []\nlisten.imaps = []\nlisten.ftps = []\n\
             listen.pop3 = ['127.0.0.1:0']\nlisten.ftp = ['127.0.0.1:0']\nlog.format = 'json'\n{more}",
            folder.path().join("data").display()
        );
        let server = serve(folder.path(), &configuration);
        let done = |arguments: &[&str], input| {
            let output = command_on(BINARY, &server.data_dir(), arguments, input);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        done(&["domain", "add", "crepes.test"], "");
        done(&["account", "add", JOE], "pickles and more");
        Boat { folder, configuration, server }
    }

    fn kill_and_return(&mut self) {
        self.server.kill();
        self.server = serve(self.folder.path(), &self.configuration);
    }

    fn joe(&self) -> Speaker {
        let mut control = self.server.speak("ftp");
        control.play(&format!(
            "S: 220 ~\nC: USER {JOE}\nS: 331 ~\nC: PASS pickles and more\nS: 230 ~\nC: TYPE I\nS: 200 ~"
        ));
        control
    }

    /// What a command says as JSON.
    fn says(&self, arguments: &[&str]) -> Value {
        let output = self.server.command(arguments);
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    fn waiting(&self) -> Vec<Value> {
        self.says(&["hook", "list", "--json"])["hooks"]["waiting"].as_array().expect("a list").clone()
    }

    /// The lines of the log with this message.
    fn logged(&self, message: &str) -> Vec<Value> {
        let log = std::fs::read_to_string(self.folder.path().join("log")).expect("a log");
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("{line}")));
        lines.filter(|line| line["message"] == message).collect()
    }
}

fn serve(folder: &Path, configuration: &str) -> Server {
    Server::serve_logging_in(BINARY, folder, configuration, &folder.join("log"))
}

/// An executable file.
fn program(folder: &Path, name: &str, script: &str) -> PathBuf {
    let file = folder.join(name);
    harness::write_script(&file, script);
    file
}

#[test]
fn a_hook_is_told_of_an_upload_until_it_takes_it() {
    let letterbox = Letterbox::start(&[500, 503, 200]);
    let secret = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(secret.path(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").expect("a secret");
    let boat = Boat::set_sail(&format!(
        "[[hook]]\nname = 'import'\npaths = ['/in/**']\nurl = '{}'\nsecret_file = '{}'\nretry_first_secs = 1\n",
        letterbox.url(),
        secret.path().display()
    ));
    let mut control = boat.joe();
    control.play("C: CLNT sailor\nS: 200 ~\nC: MKD in\nS: 257 ~");
    assert!(put(&mut control, "STOR elsewhere.txt", b"not for the hook").starts_with("226"));
    assert!(put(&mut control, "STOR in/a b.txt", b"four").starts_with("226"));
    let letters = [letterbox.next(), letterbox.next(), letterbox.next()];
    for letter in &letters {
        assert_eq!(letter.body, letters[0].body, "the same event each time");
        assert_eq!(letter.header("webhook-id"), letter.body["id"].as_str());
        assert!(letter.header("webhook-signature").expect("a signature").starts_with("v1,"));
    }
    let event = &letters[0].body;
    assert_eq!((&event["event"], &event["account"], &event["service"]), (&"upload".into(), &JOE.into(), &"ftp".into()));
    assert_eq!(event["client"]["agent"], "sailor");
    assert_eq!((&event["file"]["path"], &event["file"]["size"]), (&"/in/a b.txt".into(), &4.into()));
    let on_disk = event["file"]["on_disk"].as_str().expect("a place");
    assert_eq!(std::fs::read(on_disk).expect("a file"), b"four");
    assert_eq!((&event["transfer"]["octets"], &event["transfer"]["offset"]), (&4.into(), &0.into()));
    harness::until("it is forgotten", || boat.waiting().is_empty());
    assert!(letterbox.now().is_none(), "once is enough");
}

#[test]
fn what_a_killed_server_had_to_tell_is_told_after_its_return() {
    let letterbox = Letterbox::start(&[503, 204]);
    let mut boat =
        Boat::set_sail(&format!("[[hook]]\nname = 'import'\nurl = '{}'\nretry_first_secs = 86400\n", letterbox.url()));
    assert!(put(&mut boat.joe(), "STOR letter", b"Dear Alice").starts_with("226"));
    let first = letterbox.next();
    boat.kill_and_return();
    let second = letterbox.next();
    assert_eq!(first.body, second.body);
    harness::until("it is forgotten", || boat.waiting().is_empty());
}

#[test]
fn a_command_has_the_facts_in_its_environment_and_on_its_input() {
    let folder = tempfile::tempdir().expect("a directory");
    let (told, script) = (folder.path().join("told"), folder.path().join("script"));
    program(
        folder.path(),
        "script",
        &format!(
            "#!/bin/sh\n{{ echo \"$1|$PACKETBOAT_EVENT|$PACKETBOAT_ACCOUNT|$PACKETBOAT_FILE_PATH|$PACKETBOAT_FILE_FROM\"; cat; }} >> {}\n",
            told.display()
        ),
    );
    let boat = Boat::set_sail(&format!(
        "[[hook]]\nname = 'all'\nevents = ['upload', 'download', 'rename', 'delete', 'upload-interrupted']\n\
         accounts = ['*@crepes.test']\ncommand = ['{}', 'a  b']\nparallel = 1\n",
        script.display()
    ));
    let mut control = boat.joe();
    assert!(put(&mut control, "STOR $(date)", b"one").starts_with("226"));
    assert_eq!(get(&mut control, "RETR $(date)"), b"one");
    control.play("C: RNFR $(date)\nS: 350 ~\nC: RNTO two\nS: 250 ~\nC: DELE two\nS: 250 ~");
    let mut data = connect(passive(&mut control));
    control.play("C: STOR half\nS: 1~");
    data.write_all(b"half").expect("the server takes it");
    control.play("C: ABOR\nS: 426 ~\nS: 226 ~");
    let lines = || std::fs::read_to_string(&told).unwrap_or_default().lines().map(str::to_string).collect::<Vec<_>>();
    harness::until("all are told", || lines().len() == 10);
    let mut facts: Vec<String> = lines().into_iter().step_by(2).collect();
    facts.sort();
    assert_eq!(
        facts,
        [
            "a  b|delete|joe@crepes.test|/two|",
            "a  b|download|joe@crepes.test|/$(date)|",
            "a  b|rename|joe@crepes.test|/two|/$(date)",
            "a  b|upload-interrupted|joe@crepes.test|/half|",
            "a  b|upload|joe@crepes.test|/$(date)|",
        ]
    );
    let events = lines().into_iter().skip(1).step_by(2);
    let mut events = events.map(|line| serde_json::from_str::<Value>(&line).expect("JSON"));
    let broken = events.find(|event| event["event"] == "upload-interrupted").expect("it is among them");
    assert_eq!(broken["transfer"]["reason"], "the client aborted it or went away");
}

#[test]
fn a_command_that_hangs_is_ended_and_tried_again_when_told_to() {
    let folder = tempfile::tempdir().expect("a directory");
    let (once, script) = (folder.path().join("once"), folder.path().join("script"));
    let hang_once = format!("#!/bin/sh\n[ -e {0} ] && exit 0\necho $$ > {0}\nexec sleep 1000\n", once.display());
    program(folder.path(), "script", &hang_once);
    let boat = Boat::set_sail(&format!(
        "[[hook]]\nname = 'slow'\ncommand = ['{}']\ntimeout_secs = 5\nretry_first_secs = 86400\n",
        script.display()
    ));
    assert!(put(&mut boat.joe(), "STOR letter", b"Dear Alice").starts_with("226"));
    let why = harness::eventually("it is ended", || boat.waiting().first()?["reason"].as_str().map(str::to_string));
    assert!(why.contains("longer than 5 s"), "{why}");
    let pid = std::fs::read_to_string(&once).expect("its number");
    let process = format!("/proc/{}", pid.trim());
    harness::until("it is gone", || !Path::new(&process).exists());
    assert_eq!(boat.waiting()[0]["path"], "/letter");
    assert!(boat.server.command(&["hook", "retry", "--hook", "slow"]).status.success());
    harness::until("it is told", || boat.waiting().is_empty());
}

#[test]
fn hooks_can_be_tried_and_what_waits_can_be_dropped() {
    let letterbox = Letterbox::start(&[200, 404]);
    let mut boat =
        Boat::set_sail(&format!("[[hook]]\nname = 'import'\nurl = '{}'\nretry_first_secs = 86400\n", letterbox.url()));
    assert!(boat.server.command(&["hook", "test", "import"]).status.success());
    assert_eq!(letterbox.next().body["event"], "test");
    let failing = boat.server.command(&["hook", "test", "import"]);
    let said = String::from_utf8_lossy(&failing.stderr).into_owned();
    assert!(failing.status.code() == Some(1) && said.contains("404"), "{said}");
    assert_eq!(boat.server.command(&["hook", "test", "nobody"]).status.code(), Some(4));

    assert!(put(&mut boat.joe(), "STOR letter", b"Dear Alice").starts_with("226"));
    let id = harness::eventually("it has failed", || {
        boat.waiting()
            .first()
            .filter(|one| one["attempts"] == 1)
            .map(|one| one["id"].as_str().expect("an id").to_string())
    });
    boat.server.stop();
    assert_eq!(boat.waiting().len(), 1, "it waits in the store");
    assert!(boat.server.command(&["hook", "drop", &id]).status.success());
    assert_eq!(boat.server.command(&["hook", "drop", &id]).status.code(), Some(4));
}

#[test]
fn the_transfer_log_has_a_line_for_each_transfer_and_is_opened_anew() {
    let folder = tempfile::tempdir().expect("a directory");
    let (place, moved) = (folder.path().join("xferlog"), folder.path().join("xferlog.1"));
    let boat = Boat::set_sail(&format!("ftp.transfer_log = '{}'\n", place.display()));
    let mut control = boat.joe();
    assert!(put(&mut control, "STOR a b", b"eleven octs").starts_with("226"));
    assert_eq!(get(&mut control, "RETR a b").len(), 11);
    let read = |place: &Path| std::fs::read_to_string(place).unwrap_or_default();
    harness::until("both are written", || read(&place).lines().count() == 2);
    let fields: Vec<Vec<String>> =
        read(&place).lines().map(|line| line.split_whitespace().map(str::to_string).collect()).collect();
    for (fields, direction) in fields.iter().zip(["i", "o"]) {
        let [_, _, _, _, _, secs, host, octets, path, kind, action, way, mode, user, service, method, id, status] =
            &fields.iter().map(String::as_str).collect::<Vec<_>>()[..]
        else {
            panic!("{fields:?}")
        };
        assert_eq!((*host, *octets, *path, *kind, *action), ("127.0.0.1", "11", "/a_b", "b", "_"));
        assert_eq!((*way, *mode, *user, *service, *method), (direction, "r", JOE, "ftp", "0"));
        assert_eq!((*id, *status), ("*", "c"));
        assert!(secs.parse::<u64>().is_ok_and(|secs| secs >= 1));
    }
    std::fs::rename(&place, &moved).expect("moved");
    boat.server.reload();
    harness::until("it is there again", || place.exists());
    assert!(put(&mut control, "STOR c", b"c").starts_with("226"));
    harness::until("it is written", || read(&place).lines().count() == 1);
    assert_eq!(read(&moved).lines().count(), 2);
}

#[test]
fn what_was_refused_is_explained_by_its_line() {
    let boat = Boat::set_sail("");
    let mut control = boat.joe();
    control.play("C: RETR nothing\nS: 425 ~");
    passive(&mut control);
    control.play("C: RETR nothing\nS: 550 ~\nC: MKD in\nS: 257 ~\nC: MKD in\nS: 550 ~\nC: RMD in\nS: 250 ~");
    assert!(put(&mut control, "STOR letter", b"Dear Alice").starts_with("226"));
    control.play("C: SITE CHMOD 600 letter\nS: 200 ~\nC: HASH letter\nS: 213 ~");
    control.play("C: RNFR letter\nS: 350 ~\nC: RNTO other\nS: 250 ~\nC: DELE other\nS: 250 ~\nC: QUIT\nS: 221 ~");
    let refused = &boat.logged("download refused")[0];
    assert_eq!((&refused["file"], &refused["why"]), (&"/nothing".into(), &"there is nothing of that name".into()));
    assert_eq!(boat.logged("refused: directory made")[0]["why"], "the name is taken");
    let session = boat.logged("logged in")[0]["session"].clone();
    for message in ["directory made", "directory removed", "mode set", "file hashed", "file renamed", "file removed"] {
        let line = &boat.logged(message)[0];
        assert_eq!((&line["session"], &line["account"]), (&session, &JOE.into()), "{line}");
    }
    let stored = &boat.logged("file stored")[0];
    assert_eq!((&stored["octets"], &stored["size"], &stored["tls"]), (&10.into(), &10.into(), &"no".into()));
    assert!(stored["transfer"].is_string() && stored["secs"].is_number(), "{stored}");
}

#[test]
fn what_a_new_configuration_cannot_change_is_said_a_line_each() {
    let boat = Boat::set_sail("");
    let told = |more: &str| {
        std::fs::write(boat.folder.path().join("packetboat.toml"), format!("{}{more}", boat.configuration))
            .expect("a configuration file");
        boat.server.reload();
    };
    told("[ftp]\nidle_limit_secs = 3\nno_such_key = 1\n");
    let wrong = "the configuration is wrong and was not read again; the old one holds";
    harness::until("both mistakes are told", || boat.logged(wrong).len() == 2);
    let why = boat.logged(wrong).iter().map(|line| line["why"].to_string()).collect::<String>();
    assert!(
        why.contains("ftp.idle_limit_secs wants a whole number") && why.contains("no key ftp.no_such_key"),
        "{why}"
    );
    let restart = "this takes a restart; the old value holds";
    assert!(boat.logged(restart).is_empty());
    told("[ftp]\nsync_uploads = 'never'\ngreeting = 'Hello.'\n[limits]\nconnections_max = 7\n");
    harness::until("it was read", || !boat.logged("the configuration was read again").is_empty());
    let keys = boat.logged(restart).iter().map(|line| line["key"].to_string()).collect::<Vec<_>>();
    assert_eq!(keys, ["\"limits.connections_max\"", "\"ftp.sync_uploads\""]);
    boat.server.speak("ftp").play("S: 220 Hello.");
    told("");
    harness::until("it was read", || boat.logged("the configuration was read again").len() == 2);
    assert_eq!(boat.logged(restart).len(), 2, "it is again as it was");
}
