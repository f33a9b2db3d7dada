//! From checked values to what the server is started with; what cannot be seen by a value alone is checked here.

use super::read::{Complaint, Config, Values};
use crate::failure::Failure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use net::http::Url;
use server::hooks::pattern::Pattern;
use server::hooks::{EventKind, Hook, Target};
use server::settings::{
    CertificateFiles, DirectorySettings, FtpSettings, FtpSyncs, FtpTls, InClear, ListenAt, Purpose, QueueSettings,
    Route, RouteTls, Settings,
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::path::Path;
use std::time::Duration;

/// The longest pause between two attempts to tell a hook.
const HOOK_PAUSE_LONGEST_SECS: i64 = 3_600;

/// A greeting is heard by everybody who knocks: some screens of words.
const GREETING_MAX_OCTETS: usize = 4_096;

/// Builds the settings.
///
/// # Errors
/// All complaints, each naming its key.
pub fn build(config: &Config, file: &Path) -> Result<Settings, Failure> {
    let mut builder = Builder { complaints: Vec::new() };
    let settings = builder.settings(config);
    match builder.complaints.is_empty() {
        true => Ok(settings),
        false => Err(Failure::Config { file: file.to_path_buf(), complaints: builder.complaints }),
    }
}

struct Builder {
    complaints: Vec<Complaint>,
}

impl Builder {
    fn settings(&mut self, config: &Config) -> Settings {
        let values = &config.values;
        let data_dir = values.path("data_dir").unwrap_or_default();
        let (files, guests) = super::spaces::build(config, &data_dir, &mut self.complaints);
        Settings {
            host_name: self.host_name(values),
            data_dir,
            listeners: self.listeners(values),
            certificate: self.certificate(values),
            client_ca: values.path("tls.client_ca"),
            proxy_networks: self.networks(values, "listen.proxy_networks", net::listen::Network::new),
            trusted_networks: self.trusted(values),
            connections_max: count(values, "limits.connections_max"),
            connections_per_address_max: count(values, "limits.connections_per_address_max"),
            sending: policy::SendingSettings {
                messages_per_hour: policy::Rate::per_hour(rate(values, "limits.messages_per_account_hour")),
                messages_per_day: policy::Rate::per_day(rate(values, "limits.messages_per_account_day")),
                recipients_per_hour: policy::Rate::per_hour(rate(values, "limits.recipients_per_account_hour")),
                recipients_per_day: policy::Rate::per_day(rate(values, "limits.recipients_per_account_day")),
            },
            login_in_clear: match values.text_of("login.in_clear").as_str() {
                "never" => InClear::Never,
                "always" => InClear::Always,
                _ => InClear::Loopback,
            },
            message_size_max_bytes: values.count("smtp.message_size_max_bytes"),
            recipients_max: count(values, "smtp.recipients_max"),
            smtp_idle_limit: secs(values, "smtp.idle_limit_secs"),
            pop3_idle_limit: secs(values, "pop3.idle_limit_secs"),
            imap_idle_limit: secs(values, "imap.idle_limit_secs"),
            imap_submitters: values.list("imap.submitters").to_vec(),
            ftp: FtpSettings { guests, ..self.ftp(values) },
            files,
            directory: self.directory(values),
            people: &[],
            queue: self.queue(values),
            routes: config.routes.iter().map(|route| self.route(route)).collect(),
            hooks: self.hooks(&config.hooks),
            dns_servers: self.addresses(values, "dns.servers"),
            show_dialogue: false,
        }
    }

    fn complain(&mut self, message: String) {
        self.complaints.push(Complaint { line: None, message });
    }

    fn host_name(&mut self, values: &Values) -> String {
        let name = values.text_of("host_name");
        directory::address::hosted_domain(&name).unwrap_or_else(|flaw| {
            self.complain(format!("host_name: {name} is not the name of a host: {flaw}"));
            name
        })
    }

    fn listeners(&mut self, values: &Values) -> Vec<ListenAt> {
        let mut listeners = Vec::new();
        for purpose in Purpose::ALL {
            let addresses = self.addresses(values, listen_key(purpose));
            listeners.extend(addresses.into_iter().map(|address| ListenAt { purpose, address }));
        }
        if listeners.is_empty() {
            self.complain("listen: nothing listens anywhere".into());
        }
        listeners
    }

    fn addresses(&mut self, values: &Values, key: &'static str) -> Vec<SocketAddr> {
        let parse = |text: String| match text.parse() {
            Ok(address) => Some(address),
            Err(_) => {
                self.complain(format!("{key}: {text} is not an address and a port, as 192.0.2.1:25 or [::1]:25"));
                None
            }
        };
        values.list(key).into_iter().filter_map(parse).collect()
    }

    fn networks<N>(&mut self, values: &Values, key: &'static str, network: fn(IpAddr, u8) -> N) -> Vec<N> {
        let parse = |text: String| {
            let parsed = address_and_prefix(&text);
            if parsed.is_none() {
                self.complain(format!("{key}: {text} is not a network, as 192.0.2.0/24 or 2001:db8::/32"));
            }
            parsed.map(|(address, prefix)| network(address, prefix))
        };
        values.list(key).into_iter().filter_map(parse).collect()
    }

    fn trusted(&mut self, values: &Values) -> Vec<policy::Network> {
        let networks = self.networks(values, "smtp.trusted_networks", policy::Network::new);
        if let Err(error) = policy::Relay::new(networks.clone()) {
            self.complain(format!("smtp.trusted_networks: {error}"));
        }
        networks
    }

    fn certificate(&mut self, values: &Values) -> Option<CertificateFiles> {
        match (values.path("tls.certificate"), values.path("tls.key")) {
            (Some(certificate), Some(key)) => Some(CertificateFiles { certificate, key }),
            (None, None) => None,
            _ => {
                self.complain("tls: certificate and key must be set together".into());
                None
            }
        }
    }

    fn directory(&mut self, values: &Values) -> DirectorySettings {
        let separator = values.text_of("smtp.address_separator");
        let mut letters = separator.chars();
        let separator = letters.next();
        if letters.next().is_some() {
            self.complain("smtp.address_separator: one character, or none".into());
        }
        DirectorySettings {
            separator,
            postmaster: values.text("postmaster"),
            catch_all: values.text("catch_all"),
            default_domain: values.text("login.default_domain"),
        }
    }

    fn queue(&mut self, values: &Values) -> QueueSettings {
        let secs = |key| i64::try_from(values.count(key)).unwrap_or(i64::MAX);
        let source = values.text("queue.source_address");
        let usual = policy::Schedule::default();
        let expire_secs = secs("queue.give_up_after_secs");
        QueueSettings {
            schedule: policy::Schedule {
                pauses_secs: pauses(secs("queue.retry_first_secs"), secs("queue.retry_last_secs")),
                expire_secs,
                bounce_expire_secs: usual.bounce_expire_secs.min(expire_secs),
                warn_secs: Some(secs("queue.warn_after_secs")).filter(|warn| *warn > 0),
                ..usual
            },
            connections_per_host_max: count(values, "queue.connections_per_host_max"),
            connections_max: count(values, "queue.connections_max"),
            port: u16::try_from(values.count("queue.port")).unwrap_or(25),
            source_address: source.and_then(|text| self.source_address(&text)),
        }
    }

    fn source_address(&mut self, text: &str) -> Option<IpAddr> {
        let address = text.parse().ok();
        if address.is_none() {
            self.complain(format!("queue.source_address: {text} is not an address"));
        }
        address
    }

    fn ftp(&mut self, values: &Values) -> FtpSettings {
        FtpSettings {
            greeting: self.greeting(values),
            passive_ports: self.passive_ports(values),
            public_address: self.public_address(values),
            require_tls: match values.text_of("ftp.require_tls").as_str() {
                "always" => FtpTls::Always,
                "never" => FtpTls::Never,
                _ => FtpTls::Login,
            },
            data_must_resume: values.text_of("ftp.data_tls") != "any",
            clear_control: values.text_of("ftp.ccc") == "allowed",
            foreign_data: values.text_of("ftp.foreign_data") == "allowed",
            compression: values.text_of("ftp.compression") == "on",
            sessions_max: rate(values, "ftp.sessions_max"),
            sessions_per_account_max: rate(values, "ftp.sessions_per_account_max"),
            idle_limit: secs(values, "ftp.idle_limit_secs"),
            stall_limit: secs(values, "ftp.stall_limit_secs"),
            transfer_log: values.path("ftp.transfer_log"),
            syncs: match values.text_of("ftp.sync_uploads").as_str() {
                "never" => FtpSyncs::Never,
                _ => FtpSyncs::Always,
            },
            rate_per_session: NonZeroU64::new(values.count("ftp.rate_per_session_bytes")),
            rate_per_account: NonZeroU64::new(values.count("ftp.rate_per_account_bytes")),
            guests: None,
        }
    }

    fn greeting(&mut self, values: &Values) -> Option<String> {
        let text = values.text("ftp.greeting")?.trim_end().to_string();
        let is_fit =
            !text.is_empty() && text.len() <= GREETING_MAX_OCTETS && !text.chars().any(|c| c.is_control() && c != '\n');
        if !is_fit {
            self.complain(format!("ftp.greeting wants words and line ends, at most {GREETING_MAX_OCTETS} octets"));
        }
        Some(text)
    }

    fn passive_ports(&mut self, values: &Values) -> Option<net::PortRange> {
        let text = values.text_of("ftp.passive_ports");
        let range = text.parse().ok();
        if range.is_none() {
            self.complain(format!("ftp.passive_ports: {text} is no range of ports from 1024 on, as 50000-50999"));
        }
        range
    }

    fn public_address(&mut self, values: &Values) -> Option<Ipv4Addr> {
        let text = values.text("ftp.public_address")?;
        let address = text.parse().ok();
        if address.is_none() {
            self.complain(format!("ftp.public_address: {text} is no IPv4 address"));
        }
        address
    }

    fn hooks(&mut self, tables: &[Values]) -> Vec<Hook> {
        let hooks: Vec<Hook> = tables.iter().filter_map(|values| self.hook(values)).collect();
        for (at, hook) in hooks.iter().enumerate() {
            if hooks[..at].iter().any(|other| other.name == hook.name) {
                self.complain(format!("hook: there are two of the name {}", hook.name));
            }
        }
        hooks
    }

    fn hook(&mut self, values: &Values) -> Option<Hook> {
        let name = values.text_of("name");
        let patterns = |key| values.list(key).iter().map(|text| Pattern::new(text)).collect();
        let events = values.list("events");
        let events = events.iter().filter_map(|event| self.hook_event(&name, event)).collect();
        let give_up_secs = i64::try_from(values.count("give_up_after_secs")).unwrap_or(i64::MAX);
        let first_secs = i64::try_from(values.count("retry_first_secs")).unwrap_or(i64::MAX);
        Some(Hook {
            events,
            paths: patterns("paths"),
            accounts: patterns("accounts"),
            limit: secs(values, "timeout_secs"),
            schedule: policy::Schedule {
                pauses_secs: pauses(first_secs, HOOK_PAUSE_LONGEST_SECS),
                expire_secs: give_up_secs,
                ..policy::Schedule::default()
            },
            parallel: count(values, "parallel"),
            target: self.hook_target(&name, values)?,
            name,
        })
    }

    fn hook_event(&mut self, hook: &str, event: &str) -> Option<EventKind> {
        let kind = EventKind::named(event);
        if kind.is_none() {
            let known = EventKind::ALL.map(EventKind::name).join(", ");
            self.complain(format!("hook {hook}: there is no event {event}; those are {known}"));
        }
        kind
    }

    fn hook_target(&mut self, hook: &str, values: &Values) -> Option<Target> {
        let (command, url) = (values.list("command"), values.text("url"));
        let secret = values.path("secret_file").and_then(|file| self.hook_secret(hook, &file));
        match (command.is_empty(), url) {
            (false, None) => Some(Target::Command(command)),
            (true, Some(text)) => match Url::parse(&text) {
                Ok(url) => Some(Target::Web { url, secret }),
                Err(why) => {
                    self.complain(format!("hook {hook}: url: {why}"));
                    None
                }
            },
            _ => {
                self.complain(format!("hook {hook}: it needs either command or url"));
                None
            }
        }
    }

    /// `whsec_` says that base64 follows, as in Standard Webhooks; anything else is the secret as it stands.
    fn hook_secret(&mut self, hook: &str, file: &Path) -> Option<line::Secret> {
        let secret = match std::fs::read(file) {
            Ok(secret) => line::Secret::new(secret.trim_ascii()),
            Err(error) => {
                self.complain(format!("hook {hook}: {}: {error}", file.display()));
                return None;
            }
        };
        let decoded = match secret.reveal().strip_prefix(b"whsec_") {
            Some(encoded) => BASE64.decode(encoded).ok().map(line::Secret::new),
            None => Some(secret).filter(|secret| !secret.reveal().is_empty()),
        };
        if decoded.is_none() {
            self.complain(format!("hook {hook}: {}: there is no secret in it", file.display()));
        }
        decoded
    }

    fn route(&mut self, values: &Values) -> Route {
        let domain = values.text_of("domain");
        let canonical = match domain.as_str() {
            "*" => Ok("*".to_string()),
            _ => directory::address::hosted_domain(&domain),
        };
        Route {
            domain: canonical.unwrap_or_else(|flaw| {
                self.complain(format!("route: {domain} is not a domain: {flaw}"));
                domain
            }),
            host: values.text_of("host"),
            port: u16::try_from(values.count("port")).unwrap_or(25),
            tls: match values.text_of("tls").as_str() {
                "required" => RouteTls::Required,
                "none" => RouteTls::None,
                _ => RouteTls::Opportunistic,
            },
            login: self.route_login(values),
        }
    }

    fn route_login(&mut self, values: &Values) -> Option<(String, line::Secret)> {
        match (values.text("login"), values.path("password_file")) {
            (Some(login), Some(file)) => match std::fs::read(&file) {
                Ok(password) => Some((login, line::Secret::new(password.trim_ascii_end()))),
                Err(error) => {
                    self.complain(format!("route: {}: {error}", file.display()));
                    None
                }
            },
            (None, None) => None,
            _ => {
                self.complain("route: login and password_file must be set together".into());
                None
            }
        }
    }
}

/// `192.0.2.0/24`, or an address alone.
fn address_and_prefix(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let address: IpAddr = address.parse().ok()?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.map_or(Some(bits), |prefix| prefix.parse().ok())?;
    (prefix <= bits).then_some((address, prefix))
}

/// From the first pause to the last, each twice as long as the one before.
fn pauses(first: i64, last: i64) -> Vec<i64> {
    let doubling = std::iter::successors(Some(first), |pause| pause.checked_mul(2));
    let mut pauses: Vec<i64> = doubling.take_while(|pause| *pause < last).collect();
    pauses.push(last.max(first));
    pauses
}

fn listen_key(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Smtp => "listen.smtp",
        Purpose::Submission => "listen.submission",
        Purpose::Submissions => "listen.submissions",
        Purpose::Pop3 => "listen.pop3",
        Purpose::Pop3s => "listen.pop3s",
        Purpose::Imap => "listen.imap",
        Purpose::Imaps => "listen.imaps",
        Purpose::Ftp => "listen.ftp",
        Purpose::Ftps => "listen.ftps",
    }
}

fn count(values: &Values, key: &'static str) -> usize {
    usize::try_from(values.count(key)).unwrap_or(usize::MAX)
}

fn rate(values: &Values, key: &'static str) -> u32 {
    u32::try_from(values.count(key)).unwrap_or(u32::MAX)
}

fn secs(values: &Values, key: &'static str) -> Duration {
    Duration::from_secs(values.count(key))
}

#[cfg(test)]
mod tests {
    use super::super::keys::{AT_START, HOOK_KEYS, KEYS, ROUTE_KEYS, SPACE_KEYS, SPACE_RULE_KEYS};
    use super::*;

    /// Keys that `app` uses itself and the server never sees.
    const OURS: [&str; 3] = ["user", "log.level", "log.format"];

    fn built(text: &str) -> (Config, Result<Settings, Failure>) {
        let config = Config::read(text, Path::new("/")).unwrap();
        let settings = build(&config, Path::new("/packetboat.toml"));
        (config, settings)
    }

    #[test]
    fn a_greeting_is_words() {
        let greeting = |text: &str| built(&format!("host_name = 'a.test'\n[ftp]\ngreeting = {text}")).1;
        let heard = greeting("\"\"\"\nFor staff only.\nAll is logged.\n\"\"\"").unwrap().ftp.greeting;
        assert_eq!(heard.as_deref(), Some("For staff only.\nAll is logged."));
        for wrong in ["''", "\"a\\tb\"", "\"a\\rb\"", &format!("'{}'", "x".repeat(5_000))] {
            assert!(greeting(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_key_is_used() {
        let (config, settings) = built(
            "host_name = 'a.test'\n[[route]]\ndomain = '*'\nhost = 'b.test'\n[[hook]]\nname = 'h'\nurl = 'http://a/'\n\
             [[space]]\nname = 's'\nat = '/s'\nfor = ['all']\n[[space.rule]]\npath = '/in'\npermissions = ['none']\n",
        );
        settings.unwrap();
        let unused: Vec<_> = config.values.unasked(KEYS).into_iter().filter(|name| !OURS.contains(name)).collect();
        assert_eq!(unused, Vec::<&str>::new());
        assert_eq!(config.routes[0].unasked(ROUTE_KEYS), Vec::<&str>::new());
        assert_eq!(config.hooks[0].unasked(HOOK_KEYS), Vec::<&str>::new());
        assert_eq!(config.spaces[0].values.unasked(SPACE_KEYS), Vec::<&str>::new());
        assert_eq!(config.spaces[0].rules[0].unasked(SPACE_RULE_KEYS), Vec::<&str>::new());
    }

    #[test]
    fn what_is_read_at_the_start_alone_is_a_key() {
        for name in AT_START {
            assert!(KEYS.iter().any(|key| key.name == *name), "{name}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for wrong in [
            "host_name = 'a b'",
            "host_name = 'a.test'\n[tls]\nkey = 'k'",
            "host_name = 'a.test'\n[listen]\nsmtp = ['localhost']",
            "host_name = 'a.test'\n[ftp]\npassive_ports = '600-500'",
            "host_name = 'a.test'\n[ftp]\npublic_address = '::1'",
            "host_name = 'a.test'\n[smtp]\ntrusted_networks = ['10/8']",
            "host_name = 'a.test'\n[[route]]\ndomain = '*'\nhost = 'b'\nlogin = 'me'",
            "host_name = 'a.test'\n[ftp]\nanonymous = 'yes'",
            "host_name = 'a.test'\n[[space]]\nname = 's'\nat = 's'\nfor = ['all']",
            "host_name = 'a.test'\n[[hook]]\nname = 'h'",
            "host_name = 'a.test'\n[[hook]]\nname = 'h'\nurl = 'http://a/'\ncommand = ['x']",
            "host_name = 'a.test'\n[[hook]]\nname = 'h'\nurl = 'ftp://a/'",
            "host_name = 'a.test'\n[[hook]]\nname = 'h'\ncommand = ['x']\nevents = ['uploaded']",
            "host_name = 'a.test'\n[[hook]]\nname = 'h'\ncommand = ['x']\nsecret_file = '/no/such/file'",
            "host_name = 'a.test'\n[[hook]]\nname = 'h'\ncommand = ['x']\n[[hook]]\nname = 'h'\ncommand = ['y']",
        ] {
            assert!(matches!(built(wrong).1, Err(Failure::Config { .. })), "{wrong}");
        }
    }
}
