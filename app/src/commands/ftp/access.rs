//! From the command line to a site: whom we believe, who we are, and with what password.
//!
//! Not here: what is done there.

use super::{known, ways};
use crate::cli::ftp::Access;
use crate::failure::Failure;
use crate::terminal;
use ftp_client::site::{ANONYMOUS, Tap};
use ftp_client::{Bucket, Proxy, Safety, Site, Throttle, Url};
use net::{ClientTls, Trust};
use std::io::{IsTerminal, stderr, stdin};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Once};
use std::time::Duration;

/// Where the password may stand.
const VARIABLE: &str = "PACKETBOAT_FTP_PASSWORD";

/// The fingerprint of no certificate.
const NOBODY: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A URL, and how to get there.
pub struct Place {
    pub url: Url,
    pub site: Site,
}

/// What a URL and the command line say together.
pub fn place(text: &str, access: &Access) -> Result<Place, Failure> {
    let mut url: Url = text.parse()?;
    if url.password.is_some() {
        eprintln!(
            "packetboat: a password in a URL can be read by everybody on this machine; see --help for other ways"
        );
    }
    if access.proxy.as_deref().is_some_and(has_password) {
        eprintln!(
            "packetboat: the proxy's password can be read by everybody on this machine; in ftp_proxy or ALL_PROXY it cannot"
        );
    }
    url.user = url.user.or_else(|| access.user.clone());
    let netrc = netrc(access, &url.host, url.user.as_deref())?;
    url.user = url.user.or_else(|| netrc.as_ref().map(|(user, _)| user.clone()));
    let password = password(&url, access, netrc)?;
    let mut site = Site::with_tls(&url, &password, tls(&url, access)?);
    if let Some(proxy) = proxy(&url.host, access, |name| std::env::var(name).ok())? {
        site = site.through(proxy);
    }
    site.safety = safety(&url, access, site.safety)?;
    site.private_data = !access.clear_data;
    site.active = access.active;
    // What a proxy lets through, and what somebody wishes this once, says nothing of the usual way.
    if site.proxy.is_none() && !access.active {
        site.experience = ways::of(&url);
    }
    site.say_host = access.say_host;
    site.trust_pasv_address = access.trust_pasv_address;
    site.charset = access.charset;
    site.pipelining = !access.no_pipelining;
    site.family = match (access.ipv4, access.ipv6) {
        (true, _) => Some(ftp_client::Family::V4),
        (_, true) => Some(ftp_client::Family::V6),
        _ => None,
    };
    site.wait_at_most(access.timeout.map(Duration::from_secs));
    site.throttle = throttle(access);
    if access.show_dialogue {
        let colours = crate::output::colours(&stderr());
        site.tap = Some(Tap(Arc::new(net::tap::Printer::new(stderr(), colours))));
    }
    Ok(Place { url, site })
}

fn safety(url: &Url, access: &Access, usual: Safety) -> Result<Safety, Failure> {
    match usual {
        Safety::Implicit if access.no_tls => Err(Failure::Misused(format!("{url}: ftps is TLS; say ftp:// for none"))),
        Safety::Implicit => Ok(Safety::Implicit),
        _ if access.no_tls => Ok(Safety::Clear),
        _ if access.insecure_login => Ok(Safety::IfOffered),
        // Whoever is called anonymous has no secret.
        Safety::Required
            if url.user.as_deref().is_none_or(is_anonymous) && url.scheme == ftp_client::url::Scheme::Ftp =>
        {
            Ok(Safety::IfOffered)
        }
        usual => Ok(usual),
    }
}

/// What is said on the command line, or in the environment for hosts that are not excepted there.
fn proxy(host: &str, access: &Access, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Proxy>, Failure> {
    let either = |name: &str| variable(name).or_else(|| variable(&name.to_uppercase())).filter(|text| !text.is_empty());
    let text = match &access.proxy {
        Some(text) if text == "none" => return Ok(None),
        Some(text) => Some(text.clone()),
        None if access.active || is_excepted(host, &either("no_proxy").unwrap_or_default()) => None,
        None => either("ftp_proxy").or_else(|| either("all_proxy")),
    };
    let read = |text: String| text.parse().map_err(|error| Failure::Misused(format!("{error}")));
    text.map(read).transpose()
}

/// Whether there is one before the host of this URL.
fn has_password(url: &str) -> bool {
    let behind = url.split_once("://").map_or(url, |(_, behind)| behind);
    behind.rsplit_once('@').is_some_and(|(who, _)| who.contains(':'))
}

/// Ourselves, and what `no_proxy` has: names with all that is below them, addresses, or `*`.
fn is_excepted(host: &str, list: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let fits = |name: &str| {
        let name = name.trim().trim_start_matches('.').to_ascii_lowercase();
        name == "*" || host == name || !name.is_empty() && host.ends_with(&format!(".{name}"))
    };
    ftp_client::site::is_loopback(&host) || list.split(',').any(fits)
}

fn is_anonymous(user: &str) -> bool {
    matches!(user, "anonymous" | "ftp")
}

/// How fast files may travel.
pub fn throttle(access: &Access) -> Throttle {
    Throttle::new(access.limit_rate.map(|rate| Arc::new(Bucket::new(rate))).into_iter().collect())
}

/// Whom we believe.
pub fn tls(url: &Url, access: &Access) -> Result<ClientTls, Failure> {
    let failed = |error: net::TlsError| Failure::Failed(error.to_string());
    // To read all authorities takes longer than to fetch a small file.
    if access.no_tls {
        return ClientTls::pinned(NOBODY).map_err(failed);
    }
    let fingerprint = match (&access.ca_file, &access.fingerprint) {
        (None, None) => known::fingerprint(url),
        (_, fingerprint) => fingerprint.clone(),
    };
    let tls = match (&access.ca_file, &fingerprint) {
        (_, Some(fingerprint)) => ClientTls::pinned(fingerprint),
        (Some(file), None) => Trust::from_pem_file(file).and_then(ClientTls::verifying),
        // A machine that trusts nobody can still speak in clear, and with whoever is pinned.
        (None, None) => ClientTls::verifying(Trust::Platform).or_else(|_| ClientTls::pinned(NOBODY)),
    };
    Ok(tls.map_err(failed)?.speaking(&["ftp"]))
}

/// The first place that has one.
fn password(url: &Url, access: &Access, netrc: Option<(String, String)>) -> Result<String, Failure> {
    if let Some(password) = &url.password {
        return Ok(password.clone());
    }
    // Anonymous logins may go out in clear: a secret that is meant for somebody else must not.
    let Some(user) = url.user.as_deref().filter(|user| !is_anonymous(user)) else { return Ok(ANONYMOUS.1.into()) };
    if let Some(command) = &access.password_command {
        let output = Command::new("sh").args(["-c", command]).stderr(std::process::Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err(Failure::Failed(format!("the command for the password failed: {}", output.status)));
        }
        return Ok(first_line(&String::from_utf8_lossy(&output.stdout)));
    }
    if let Some(file) = &access.password_file {
        let text =
            std::fs::read_to_string(file).map_err(|error| Failure::Failed(format!("{}: {error}", file.display())))?;
        return Ok(first_line(&text));
    }
    if let Ok(password) = std::env::var(VARIABLE) {
        return Ok(password);
    }
    if let Some((_, password)) = netrc.filter(|(name, _)| name == user) {
        return Ok(password);
    }
    if stdin().is_terminal() {
        return terminal::hidden(&format!("Password for {user} at {}: ", url.host));
    }
    Err(Failure::Unconnected(format!(
        "no password for {user}; --password-file, --password-command, {VARIABLE} or ~/.netrc has one"
    )))
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or("").to_owned()
}

/// Login and password of this host, and of this user if one is named.
fn netrc(access: &Access, host: &str, user: Option<&str>) -> Result<Option<(String, String)>, Failure> {
    let usual = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".netrc"));
    let Some(file) = access.netrc.clone().or_else(usual) else { return Ok(None) };
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        // Many have none in the usual place.
        Err(_) if access.netrc.is_none() => return Ok(None),
        Err(error) => return Err(Failure::Failed(format!("{}: {error}", file.display()))),
    };
    let Some(found) = read_netrc(&text, host, user) else { return Ok(None) };
    // Two servers may have their logins there.
    static TOLD: Once = Once::new();
    TOLD.call_once(|| warn_of_readers(&file));
    Ok(Some(found))
}

fn warn_of_readers(file: &Path) {
    use std::os::unix::fs::PermissionsExt;
    if file.metadata().is_ok_and(|about| about.permissions().mode() & 0o077 != 0) {
        eprintln!("packetboat: {} can be read by others; chmod 600 it", file.display());
    }
}

/// `machine HOST login NAME password WORD`, in any order of the last two; `default` fits every host. What belongs to `macdef`
/// goes on to the next empty line.
fn read_netrc(text: &str, host: &str, user: Option<&str>) -> Option<(String, String)> {
    let text = without_macros(text);
    let mut words = text.split_whitespace();
    let (mut here, mut login, mut password): (bool, Option<String>, Option<String>) = (false, None, None);
    // A password without a login is for whoever is named.
    let whole = |login: &mut Option<String>, password: &mut Option<String>| {
        let login = login.take().or_else(|| user.map(Into::into))?;
        user.is_none_or(|user| user == login).then_some(login).zip(password.take())
    };
    while let Some(word) = words.next() {
        match word {
            "machine" | "default" => {
                if here && let Some(found) = whole(&mut login, &mut password) {
                    return Some(found);
                }
                (login, password) = (None, None);
                here = word == "default" || words.next().is_some_and(|name| name.eq_ignore_ascii_case(host));
            }
            "login" => login = words.next().map(Into::into),
            "password" => password = words.next().map(Into::into),
            "account" => drop(words.next()),
            _ => {}
        }
    }
    if here { whole(&mut login, &mut password) } else { None }
}

fn without_macros(text: &str) -> String {
    let mut inside = false;
    let kept = text.lines().filter(|line| {
        inside = if inside { !line.trim().is_empty() } else { line.trim_start().starts_with("macdef") };
        !inside && !line.trim_start().starts_with('#')
    });
    kept.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ftp::{Ftp, FtpCommand};
    use crate::cli::{Cli, Command as Said};
    use clap::Parser;

    #[test]
    fn who_is_anonymous_has_no_secret_to_give_away() {
        let secret = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(secret.path(), "secret\nmore").expect("written");
        let file = secret.path().to_str().expect("UTF-8");
        for (url, expected) in [
            ("ftp://h/", "guest"),
            ("ftp://anonymous@h/", "guest"),
            ("ftp://ftp@h/", "guest"),
            ("ftp://joe@h/", "secret"),
        ] {
            let said = Cli::try_parse_from(["packetboat", "ftp", "ls", "--password-file", file, url]).expect("said");
            let Said::Ftp(said) = said.command else { panic!("another command") };
            let Ftp { command: Some(FtpCommand::Ls(ls)), .. } = *said else { panic!("another command") };
            let netrc = Some(("anonymous".into(), "no".into()));
            assert_eq!(
                password(&url.parse().expect("a URL"), &ls.access, netrc).expect("a password"),
                expected,
                "{url}"
            );
        }
    }

    #[test]
    fn a_proxy_is_that_of_the_command_line_or_of_the_environment() {
        let found = |arguments: &[&str], environment: &[(&str, &str)], host: &str| {
            let words = [&["packetboat", "ftp", "ls"], arguments, &["ftp://h/"]].concat();
            let said = Cli::try_parse_from(words).expect("said");
            let Said::Ftp(said) = said.command else { panic!("another command") };
            let Ftp { command: Some(FtpCommand::Ls(ls)), .. } = *said else { panic!("another command") };
            let variable = |name: &str| {
                let found = environment.iter().find(|(variable, _)| *variable == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            proxy(host, &ls.access, variable).map(|proxy| proxy.map(|proxy| proxy.to_string())).ok().flatten()
        };
        let all = [("ALL_PROXY", "socks5://all:1"), ("no_proxy", "b.test, .c.test")];
        assert_eq!(found(&[], &all, "a.test").as_deref(), Some("all:1"));
        assert_eq!(found(&[], &[("ftp_proxy", "http://ftp:2"), all[0]], "a.test").as_deref(), Some("ftp:2"));
        assert_eq!(found(&["--proxy", "http://said:3"], &all, "b.test").as_deref(), Some("said:3"));
        assert_eq!(found(&["--proxy", "none"], &all, "a.test"), None);
        for host in ["b.test", "x.B.test", "c.test", "localhost", "127.0.0.1"] {
            assert_eq!(found(&[], &all, host), None, "{host}");
        }
        assert_eq!(found(&[], &all, "ab.test").as_deref(), Some("all:1"));
        assert_eq!(found(&[], &[("all_proxy", "what?")], "a.test"), None);
    }

    #[test]
    fn a_password_before_a_proxys_host_is_seen() {
        for (url, expected) in [
            ("socks5://joe:secret@proxy:1080", true),
            ("joe:secret@proxy:1080", true),
            ("http://joe@proxy:3128", false),
            ("socks5://proxy:1080", false),
            ("none", false),
        ] {
            assert_eq!(has_password(url), expected, "{url}");
        }
    }

    #[test]
    fn a_netrc_that_is_named_must_be_there() {
        let said =
            Cli::try_parse_from(["packetboat", "ftp", "ls", "--netrc", "/nowhere/netrc", "ftp://h/"]).expect("said");
        let Said::Ftp(said) = said.command else { panic!("another command") };
        let Ftp { command: Some(FtpCommand::Ls(ls)), .. } = *said else { panic!("another command") };
        let failure = netrc(&ls.access, "h", None).expect_err("it is not there");
        assert!(failure.sentence().is_some_and(|said| said.contains("/nowhere/netrc")));
    }

    #[test]
    fn netrc_is_read_as_others_read_it() {
        let text = "machine a login joe password x\nmachine b\n  password y login bob\nmacdef init\nmachine c login no password no\n\n\
                    # machine d\ndefault login anonymous password me@here";
        let read = |host: &str| read_netrc(text, host, None);
        let pair = |one: &str, two: &str| Some((one.to_owned(), two.to_owned()));
        assert_eq!(read("a"), pair("joe", "x"));
        assert_eq!(read("B"), pair("bob", "y"));
        assert_eq!(read("c"), pair("anonymous", "me@here"));
        assert_eq!(read_netrc("machine a login joe", "a", None), None);
        assert_eq!(read_netrc("machine a login joe password x", "b", None), None);
    }

    #[test]
    fn several_may_have_their_logins_on_one_machine() {
        let text = "machine a login joe password x\nmachine a login ann password y\nmachine b password z";
        let password = |host: &str, user: &str| read_netrc(text, host, Some(user)).map(|(_, password)| password);
        assert_eq!((password("a", "joe").as_deref(), password("a", "ann").as_deref()), (Some("x"), Some("y")));
        assert_eq!((password("a", "bob"), password("b", "bob").as_deref()), (None, Some("z")));
        assert_eq!(read_netrc(text, "a", None), Some(("joe".into(), "x".into())));
        assert_eq!(read_netrc(text, "b", None), None);
    }
}
