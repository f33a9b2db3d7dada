//! A hook told by a command: a program of its own, never through a shell.
//!
//! The facts are in its environment, which holds nothing else but `PATH`, and as one line of JSON on its standard input. It
//! runs in `/`, in a process group of its own, and ends with all it has started when its time is over.
//!
//! Invariants: of what it prints [`OUTPUT_MAX_BYTES`] are kept and the rest is read and forgotten, so that it never waits for
//! us; status 0 is yes and anything else no.
//! Not here: which command, and when again (hooks).

use rustix::process::{Pid, Signal, kill_process_group};
use std::ffi::OsString;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

/// So much of its output is kept for the log, in octets.
const OUTPUT_MAX_BYTES: usize = 2048;
/// How long the output of a command that has ended is waited for: something that it left behind may hold it open.
const OUTPUT_WAIT: Duration = Duration::from_millis(500);
/// Where programs are looked for, if the server itself was told nowhere.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Runs it to its end; says what it printed, or why it did not take the event.
pub(super) async fn run(
    words: &[String],
    facts: Vec<(String, OsString)>,
    body: &str,
    limit: Duration,
) -> Result<String, String> {
    let Some((program, arguments)) = words.split_first() else { return Err("there is no command".into()) };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| PATH.into()))
        .envs(facts)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let child = command.spawn().map_err(|error| format!("{program}: {error}"))?;
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let mut output = Vec::new();
    let ended = tokio::time::timeout(limit, end_of(child, body, &mut output)).await;
    let output = one_line(&output);
    match ended {
        Ok(Ok(status)) => {
            group.0 = None;
            verdict(status, output)
        }
        Ok(Err(error)) => Err(format!("{program}: {error}")),
        Err(_) => Err(and(&format!("it took longer than {} s and was ended", limit.as_secs_f32()), &output)),
    }
}

/// The processes of a command. Dropped, they are ended.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // They may have ended by themselves.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

async fn end_of(mut child: Child, body: &str, output: &mut Vec<u8>) -> std::io::Result<ExitStatus> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let writing = async {
        if let Some(mut stdin) = stdin {
            // One that does not read has no need to.
            let _ = stdin.write_all(format!("{body}\n").as_bytes()).await;
        }
    };
    let mut errors = Vec::new();
    let status = {
        let reading = async { tokio::join!(writing, keep(stdout, output), keep(stderr, &mut errors)) };
        tokio::pin!(reading);
        tokio::select! {
            status = child.wait() => {
                let _ = tokio::time::timeout(OUTPUT_WAIT, &mut reading).await;
                status?
            }
            _ = &mut reading => child.wait().await?,
        }
    };
    output.extend(errors);
    Ok(status)
}

/// Keeps the beginning and reads on to the end.
async fn keep(from: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut from) = from else { return };
    let mut piece = [0; 1024];
    while let Ok(octets @ 1..) = from.read(&mut piece).await {
        kept.extend_from_slice(&piece[..octets.min(OUTPUT_MAX_BYTES - kept.len())]);
    }
}

fn verdict(status: ExitStatus, output: String) -> Result<String, String> {
    match status.code() {
        Some(0) => Ok(output),
        Some(code) => Err(and(&format!("it ended with {code}"), &output)),
        None => Err(and(&format!("it was killed: {status}"), &output)),
    }
}

/// How it ended, and what it said, if it said something.
fn and(end: &str, output: &str) -> String {
    if output.is_empty() { end.to_owned() } else { format!("{end}; {output}") }
}

/// What came from outside, for one line of the log.
pub(super) fn one_line(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets);
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Vec<String> {
        ["/bin/sh", "-c", script].map(String::from).to_vec()
    }

    async fn said(script: &str, limit: Duration) -> Result<String, String> {
        let facts = vec![("PACKETBOAT_EVENT".to_string(), OsString::from("upload"))];
        run(&shell(script), facts, r#"{"event":"upload"}"#, limit).await
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn it_has_the_facts_in_its_environment_and_on_its_input_and_nothing_else() {
        let output = said("cat; echo $PACKETBOAT_EVENT; env | grep -c CARGO", LONG).await;
        assert_eq!(output, Err(r#"it ended with 1; {"event":"upload"} upload 0"#.into()));
    }

    #[tokio::test]
    async fn the_beginning_of_what_it_prints_is_kept_and_it_never_waits() {
        let output = said("yes | head -c 1000000; exec >&-; echo bad >&2", LONG).await.expect("it ended well");
        assert!(output.len() <= OUTPUT_MAX_BYTES + 4 && output.ends_with("bad"), "{}", output.len());
    }

    #[tokio::test]
    async fn it_is_ended_with_its_children_when_its_time_is_over() {
        let folder = tempfile::tempdir().expect("a directory");
        let file = folder.path().join("child");
        let script = format!("sleep 1000 & echo $! > {}; wait", file.display());
        let output = said(&script, Duration::from_secs(1)).await;
        assert_eq!(output, Err("it took longer than 1 s and was ended".into()));
        let child = std::fs::read_to_string(&file).expect("its number");
        let status = format!("/proc/{}/status", child.trim());
        // It is gone, or only waits for its parent to notice.
        let is_gone = || std::fs::read_to_string(&status).map_or(true, |text| text.contains("State:\tZ"));
        while !is_gone() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn something_left_behind_does_not_hold_it_open() {
        let folder = tempfile::tempdir().expect("a directory");
        let file = folder.path().join("child");
        let output = said(&format!("sleep 1000 & echo $! > {}; echo done", file.display()), LONG).await;
        assert_eq!(output, Ok("done".into()));
        let child = std::fs::read_to_string(&file).expect("its number").trim().parse().expect("a number");
        let _ = rustix::process::kill_process(Pid::from_raw(child).expect("a process"), Signal::KILL);
    }

    #[tokio::test]
    async fn what_cannot_be_started_is_named() {
        let output = run(&["/no/such/program".to_string()], Vec::new(), "{}", LONG).await;
        assert!(output.expect_err("there is none").starts_with("/no/such/program: "));
    }
}
