//! `packetboat dev`: everything on loopback, ready to be tried.

use super::serve::{self, Waiting, log, runtime};
use crate::cli::{Dev, PortOffset};
use crate::failure::Failure;
use crate::output;
use serde_json::json;
use server::dev::{PEOPLE, settings};
use server::{Listening, Purpose, Running};

/// Runs the command until it is told to stop.
pub fn run(dev: Dev) -> Result<(), Failure> {
    log("info", "text");
    let offset = match dev.port_offset {
        PortOffset::By(offset) => Some(offset),
        PortOffset::Any => None,
    };
    let mut settings = settings(&dev.data, dev.listen, offset);
    settings.show_dialogue = dev.show_dialogue;
    runtime()?.block_on(async {
        let mut waiting = Waiting::new()?;
        let ports = server::open_ports(&settings).map_err(anyhow::Error::from)?;
        let running = ports.serve(settings).await.map_err(anyhow::Error::from)?;
        introduce(&running, dev.json)?;
        let failed = tokio::select! {
            () = waiting.stop() => None,
            why = running.failed() => Some(why),
        };
        running.stop().await;
        failed.map_or(Ok(()), |why| Err(Failure::Failed(why)))
    })
}

fn introduce(running: &Running, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return output::json(&introduction(running));
    }
    let rows = running.listening().iter().map(|Listening { purpose, address }| {
        vec![purpose.name().into(), address.to_string(), purpose.sentence().into()]
    });
    output::say(&output::table(&["service", "address", "what for"], rows))?;
    let rows = PEOPLE.iter().map(|person| vec![person.address.into(), person.password.into(), person.sentence.into()]);
    output::say(&format!("\n{}", output::table(&["login", "password", "who"], rows)))?;
    output::say(&format!(
        "\nMail to any other address goes to {}; nothing leaves this machine.\n\
         Certificate: {}   Data: {}\n{}\nStop with Ctrl-C.",
        server::dev::CATCH_ALL,
        running.certificate().display(),
        running.data_dir().display(),
        examples(running),
    ))
}

/// Some lines to paste.
fn examples(running: &Running) -> String {
    let at = |purpose| running.listening().iter().find(|at| at.purpose == purpose).map(|at| at.address.to_string());
    let (Some(smtp), Some(pop3), Some(ftp)) = (at(Purpose::Smtp), at(Purpose::Pop3), at(Purpose::Ftp)) else {
        return String::new();
    };
    format!(
        "Try:  printf 'Subject: pickles\\n\\nDo you like ketchup?\\n' | curl -sT - smtp://{smtp} \
         --mail-from alice@crepes.test --mail-rcpt bob@hamburger.test --crlf\n      \
         curl -u bob@hamburger.test:hungry pop3://{pop3}/1\n      \
         curl -u bob@hamburger.test:hungry ftp://{ftp}/recipes/\n      \
         curl ftp://{ftp}/pub/menu.txt"
    )
}

/// What listens where and who may log in, for programs.
fn introduction(running: &Running) -> serde_json::Value {
    let mut introduction = serve::introduction(running);
    let person = |person: &server::settings::Person| json!({ "login": person.address, "password": person.password });
    introduction["people"] = PEOPLE.iter().map(person).collect();
    introduction["catch_all"] = json!(server::dev::CATCH_ALL);
    introduction
}
