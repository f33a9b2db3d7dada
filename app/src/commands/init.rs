//! `packetboat init`: a configuration to start with, and the DNS records the world needs.

use crate::cli::Init;
use crate::config::sample::sample;
use crate::failure::Failure;
use crate::output;
use crate::privileges;
use serde::Serialize;
use server::control::{Answer, Request};
use std::fs::OpenOptions;
use std::io::Write;

/// One DNS record to publish.
#[derive(Debug, Serialize)]
struct Record {
    name: String,
    kind: &'static str,
    value: String,
    why: &'static str,
}

/// Runs the command.
pub fn run(init: Init) -> Result<(), Failure> {
    let host = checked(&init.host_name)?;
    let domains = match init.domains.is_empty() {
        true => vec![parent(&host)?],
        false => init.domains.iter().map(|domain| checked(domain)).collect::<Result<Vec<_>, _>>()?,
    };
    write_config(&init, &host)?;
    privileges::become_owner_of(&init.data)?;
    add_domains(&init, &domains)?;
    let records = records(&host, &domains);
    if init.json {
        return output::json(&serde_json::json!({ "config": init.config, "data_dir": init.data, "records": records }));
    }
    show(&init, &host, &domains, &records)
}

fn checked(name: &str) -> Result<String, Failure> {
    let domain = directory::address::hosted_domain(name)
        .map_err(|why| Failure::Failed(format!("{name} is not the name of a host or a domain: {why}")))?;
    if domain.contains('.') {
        Ok(domain)
    } else {
        Err(Failure::Failed(format!("{name} has no dot; the world needs the whole name")))
    }
}

/// `example.org` for `mail.example.org`.
fn parent(host: &str) -> Result<String, Failure> {
    match host.split_once('.') {
        Some((_, parent)) if parent.contains('.') => Ok(parent.to_string()),
        _ => Ok(host.to_string()),
    }
}

fn write_config(init: &Init, host: &str) -> Result<(), Failure> {
    let data = std::path::absolute(&init.data)?;
    let text = sample(host, &data.to_string_lossy());
    let mut file = OpenOptions::new().write(true).create_new(true).open(&init.config).map_err(|error| {
        Failure::Failed(match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                format!("{} is there already and was not touched; name another with --config", init.config.display())
            }
            _ => format!("{}: {error}", init.config.display()),
        })
    })?;
    Ok(file.write_all(text.as_bytes())?)
}

fn add_domains(init: &Init, domains: &[String]) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for domain in domains {
        let request = Request::DomainAdd { domain: domain.clone(), catch_all: None };
        let answer = runtime
            .block_on(server::admin::answer_offline(
                &init.data,
                server::settings::DirectorySettings::default(),
                server::settings::FileSettings::default(),
                &request,
            ))
            .map_err(|error| Failure::Failed(error.to_string()))?;
        if let Answer::Refused { why, .. } = answer.answer {
            eprintln!("packetboat: {why}");
        }
    }
    Ok(())
}

/// What mail programs look for: the service, its priority, its port. The lower priority is preferred, also among IMAP and
/// POP3 (RFC 6186 §3.4).
const SERVICES: [(&str, u8, u16, &str); 5] = [
    ("submissions", 0, 465, "mail programs find where to send"),
    ("submission", 10, 587, "the same with STARTTLS"),
    ("imaps", 0, 993, "mail programs find where to read"),
    ("imap", 10, 143, "the same with STARTTLS"),
    ("pop3s", 20, 995, "those that have no IMAP find where to fetch"),
];

fn records(host: &str, domains: &[String]) -> Vec<Record> {
    let record = |name: String, kind, value: String, why| Record { name, kind, value, why };
    let mut records = vec![
        record(host.into(), "A", "<this machine's IPv4 address>".into(), "where this machine is"),
        record(host.into(), "AAAA", "<this machine's IPv6 address>".into(), "the same, if it has one"),
        record(
            "<address>.in-addr.arpa".into(),
            "PTR",
            format!("{host}."),
            "set by your provider; many refuse mail without it",
        ),
    ];
    for domain in domains {
        records.extend([
            record(domain.clone(), "MX", format!("10 {host}."), "mail for the domain comes here"),
            record(domain.clone(), "TXT", "\"v=spf1 mx -all\"".into(), "only this machine sends mail of the domain"),
            record(
                format!("_dmarc.{domain}"),
                "TXT",
                format!("\"v=DMARC1; p=none; rua=mailto:postmaster@{domain}\""),
                "what others do with forgeries; tighten later",
            ),
        ]);
        records.extend(SERVICES.iter().map(|(service, priority, port, why)| {
            record(format!("_{service}._tcp.{domain}"), "SRV", format!("{priority} 1 {port} {host}."), *why)
        }));
    }
    records
}

fn show(init: &Init, host: &str, domains: &[String], records: &[Record]) -> Result<(), Failure> {
    output::say(&format!("Wrote {}. Publish these DNS records:\n", init.config.display()))?;
    let rows = records.iter().map(|r| vec![r.name.clone(), r.kind.into(), r.value.clone(), r.why.into()]);
    output::say(&output::table(&["name", "type", "value", "why"], rows))?;
    let config = init.config.display();
    let domain = domains.first().map_or(host, String::as_str);
    output::say(&format!(
        "\nThen set tls.certificate and tls.key in {config} (until then a self-signed certificate is used), and\n  \
         packetboat account add you@{domain} --config {config}\n  packetboat serve --config {config}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_is_the_host_without_its_first_label() {
        assert_eq!(parent("mail.example.org").unwrap(), "example.org");
        assert_eq!(parent("example.org").unwrap(), "example.org");
    }

    #[test]
    fn every_domain_gets_its_records() {
        let records = records("mx.a.test", &["a.test".into(), "b.test".into()]);
        assert_eq!(records.iter().filter(|record| record.kind == "MX" && record.value == "10 mx.a.test.").count(), 2);
        let service = |name: &str| records.iter().find(|record| record.name == name).expect(name).value.clone();
        assert_eq!(service("_imaps._tcp.b.test"), "0 1 993 mx.a.test.");
        assert_eq!(service("_pop3s._tcp.b.test"), "20 1 995 mx.a.test.");
    }
}
