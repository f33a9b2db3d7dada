//! `packetboat config`: check, show, explain.

use super::ask::load;
use crate::cli::{ConfigCommand, ConfigFile};
use crate::config::keys::{KEYS, Key, ROUTE_KEYS};
use crate::config::{advice, read, sample, settings};
use crate::failure::Failure;
use crate::output;
use serde_json::json;

/// Runs the command.
pub fn run(command: ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check { config, json } => check(&config, json),
        ConfigCommand::Show { config, json } => show(&config, json),
        ConfigCommand::Keys { markdown: true } => output::say(sample::reference().trim_end()),
        ConfigCommand::Keys { markdown: false } => explain(),
    }
}

fn check(config: &ConfigFile, as_json: bool) -> Result<(), Failure> {
    let checked = load(config).and_then(|read| settings::build(&read, &config.config));
    match checked {
        Ok(settings) if as_json => {
            let advice = advice::on_ftp(&settings, advice::Machine::this());
            output::json(&json!({ "ok": true, "host_name": settings.host_name, "advice": { "ftp": advice } }))
        }
        Ok(settings) => {
            output::say(&format!("{} is fine", config.config.display()))?;
            advise("FTP", &advice::on_ftp(&settings, advice::Machine::this()))
        }
        Err(Failure::Config { complaints, .. }) if as_json => {
            let complaints: Vec<_> =
                complaints.iter().map(|c| json!({ "line": c.line, "message": c.message })).collect();
            output::json(&json!({ "ok": false, "complaints": complaints }))?;
            Err(Failure::Config { file: config.config.clone(), complaints: Vec::new() })
        }
        Err(failure) => Err(failure),
    }
}

fn advise(of: &str, advice: &[String]) -> Result<(), Failure> {
    if !advice.is_empty() {
        output::say(&format!("\n{of}"))?;
    }
    advice.iter().try_for_each(|line| output::say(&format!("- {line}")))
}

fn show(config: &ConfigFile, as_json: bool) -> Result<(), Failure> {
    let read = load(config)?;
    if as_json {
        let object = |values: &read::Values| {
            values
                .iter()
                .map(|(name, value)| (name.to_string(), as_json_value(value)))
                .collect::<serde_json::Map<_, _>>()
        };
        let mut shown = object(&read.values);
        shown.insert("route".into(), read.routes.iter().map(object).map(serde_json::Value::Object).collect());
        return output::json(&shown);
    }
    for (name, value) in read.values.iter() {
        output::say(&format!("{name} = {value}"))?;
    }
    for route in &read.routes {
        output::say("[[route]]")?;
        for (name, value) in route.iter() {
            output::say(&format!("{name} = {value}"))?;
        }
    }
    Ok(())
}

fn as_json_value(value: &read::Value) -> serde_json::Value {
    match value {
        read::Value::Text(text) => json!(text),
        read::Value::Count(count) => json!(count),
        read::Value::List(list) => json!(list),
    }
}

fn explain() -> Result<(), Failure> {
    let say = |prefix: &str, key: &Key| {
        output::say(&format!("{prefix}{}\n    {}\n    {}\n", key.name, key.sentence, read::wanted(key.kind)))
    };
    KEYS.iter().try_for_each(|key| say("", key))?;
    ROUTE_KEYS.iter().try_for_each(|key| say("route.", key))
}
