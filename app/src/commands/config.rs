//! `packetboat config`: check, show, explain.

use super::ask::{answered, load};
use crate::cli::{ConfigCommand, ConfigFile};
use crate::config::keys::{HOOK_KEYS, KEYS, Key, ROUTE_KEYS, SPACE_KEYS, SPACE_RULE_KEYS};
use crate::config::{advice, read, sample, settings, spaces};
use crate::failure::Failure;
use crate::output;
use serde_json::json;
use server::Settings;
use server::control::{Answer, Request};
use store::privacy::{Exposed, exposed};

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
    let checked = load(config).and_then(|read| look(&read, config));
    match checked {
        Ok(settings) if as_json => {
            let (ftp, files) = (advice::on_ftp(&settings, advice::Machine::this()), on_files(&settings));
            let advice = json!({ "ftp": ftp, "files": files, "data": on_data(&settings) });
            output::json(&json!({ "ok": true, "host_name": settings.host_name, "advice": advice }))
        }
        Ok(settings) => {
            output::say(&format!("{} is fine", config.config.display()))?;
            advise("FTP", &advice::on_ftp(&settings, advice::Machine::this()))?;
            advise("Files", &on_files(&settings))?;
            advise("Data", &on_data(&settings))
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

/// Builds the settings, and looks whether what they speak of is there.
fn look(read: &read::Config, config: &ConfigFile) -> Result<Settings, Failure> {
    let settings = settings::build(read, &config.config)?;
    let mut complaints = spaces::look(read, &settings.files, known(&settings).as_ref());
    complaints.extend(wrong_authorities(read, &settings));
    match complaints.is_empty() {
        true => Ok(settings),
        false => Err(Failure::Config { file: config.config.clone(), complaints }),
    }
}

/// What would keep the server from starting with `tls.client_ca`.
fn wrong_authorities(read: &read::Config, settings: &Settings) -> Option<read::Complaint> {
    let error = net::ClientCa::from_pem_file(settings.client_ca.as_deref()?).err()?;
    Some(read::Complaint { line: read.values.line("tls.client_ca"), message: format!("tls.client_ca: {error}") })
}

/// Accounts and domains; nothing where there is no store to ask.
fn known(settings: &Settings) -> Option<spaces::Known> {
    if settings.files.spaces.is_empty() || !settings.data_dir.join("store.db").exists() {
        return None;
    }
    let Ok(Answer::Accounts(accounts)) = answered(settings, &Request::AccountList) else { return None };
    let Ok(Answer::Domains(domains)) = answered(settings, &Request::DomainList) else { return None };
    Some(spaces::Known {
        accounts: accounts.into_iter().map(|account| account.address).collect(),
        domains: domains.into_iter().map(|domain| domain.domain).collect(),
    })
}

fn on_files(settings: &Settings) -> Vec<String> {
    spaces::advice(&settings.files, settings.ftp.guests.as_ref())
}

/// So much of what others may look into is named; there may be more.
const EXPOSED_NAMED: usize = 20;

/// What of the data directory others may look into.
fn on_data(settings: &Settings) -> Vec<String> {
    let sentence = |found: &Exposed| match found.obstacle {
        Some(_) => format!("{found}."),
        None => format!("{found}; the next start takes that from them."),
    };
    exposed(&settings.data_dir).iter().take(EXPOSED_NAMED).map(sentence).collect()
}

fn advise(of: &str, advice: &[String]) -> Result<(), Failure> {
    if !advice.is_empty() {
        output::say(&format!("\n{of}"))?;
    }
    advice.iter().try_for_each(|line| output::say(&format!("- {line}")))
}

fn show(config: &ConfigFile, as_json: bool) -> Result<(), Failure> {
    let read = load(config)?;
    let space = |table: &read::SpaceTable| {
        let mut shown = as_json_object(&table.values);
        shown.insert("rule".into(), table.rules.iter().map(as_json_object).collect());
        shown
    };
    if as_json {
        let mut shown = as_json_object(&read.values);
        shown.insert("route".into(), read.routes.iter().map(as_json_object).collect());
        shown.insert("hook".into(), read.hooks.iter().map(as_json_object).collect());
        shown.insert("space".into(), read.spaces.iter().map(space).collect());
        return output::json(&shown);
    }
    say_values(None, &read.values)?;
    read.routes.iter().try_for_each(|route| say_values(Some("route"), route))?;
    read.hooks.iter().try_for_each(|hook| say_values(Some("hook"), hook))?;
    read.spaces.iter().try_for_each(|space| {
        say_values(Some("space"), &space.values)?;
        space.rules.iter().try_for_each(|rule| say_values(Some("space.rule"), rule))
    })
}

fn say_values(table: Option<&str>, values: &read::Values) -> Result<(), Failure> {
    if let Some(table) = table {
        output::say(&format!("[[{table}]]"))?;
    }
    values.iter().try_for_each(|(name, value)| output::say(&format!("{name} = {value}")))
}

fn as_json_object(values: &read::Values) -> serde_json::Map<String, serde_json::Value> {
    values.iter().map(|(name, value)| (name.to_string(), as_json_value(value))).collect()
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
    ROUTE_KEYS.iter().try_for_each(|key| say("route.", key))?;
    HOOK_KEYS.iter().try_for_each(|key| say("hook.", key))?;
    SPACE_KEYS.iter().try_for_each(|key| say("space.", key))?;
    SPACE_RULE_KEYS.iter().try_for_each(|key| say("space.rule.", key))
}
