//! Where to go: `ftp://user@host:port/path`.
//!
//! RFC 1738 §3.2.2 (paths begin where the login leads; `%2F` or a second `/` at the start means the root); RFC 3986 §2.1.
//!
//! | scheme | |
//! |---|---|
//! | `ftp` | port 21; TLS by AUTH, required unless the host is loopback, see `Site` |
//! | `ftpes` | the same, required everywhere |
//! | `ftps` | port 990, TLS from the first octet |
//!
//! Invariants: nothing of a URL can end a line of the dialogue.
//! Not here: passwords in URLs are read, because people write them; whether that is wise is said elsewhere.

use crate::directory::parted;
use crate::error::Error;
use ftp::WirePath;
use line::percent_decoded;
use std::fmt;
use std::str::FromStr;

/// How it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `ftp`
    Ftp,
    /// `ftpes`
    ExplicitTls,
    /// `ftps`
    ImplicitTls,
}

/// A URL of FTP.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    /// How it begins.
    pub scheme: Scheme,
    /// Who.
    pub user: Option<String>,
    /// With what, if somebody has written that down there.
    pub password: Option<String>,
    /// A name or an address, without brackets.
    pub host: String,
    /// Where it listens.
    pub port: u16,
    /// What is meant; nothing for where the login leads. It ends in `/` if the URL does.
    pub path: Vec<u8>,
}

impl FromStr for Url {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |why: &str| Error::Url(format!("{}: {why}", crate::error::printable(&hide_password(text))));
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("not like ftp://host/path"))?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "ftp" => Scheme::Ftp,
            "ftpes" => Scheme::ExplicitTls,
            "ftps" => Scheme::ImplicitTls,
            _ => return Err(wrong("the scheme is none of ftp, ftps and ftpes")),
        };
        let (authority, path) = rest.split_once('/').map_or((rest, None), |(authority, path)| (authority, Some(path)));
        let (login, place) =
            authority.rsplit_once('@').map_or((None, authority), |(login, place)| (Some(login), place));
        let (user, password) =
            match login.map(|login| login.split_once(':').map_or((login, None), |(u, p)| (u, Some(p)))) {
                Some((user, password)) => (Some(user), password),
                None => (None, None),
            };
        let text_of = |part: &str| {
            let octets = percent_decoded(part).ok_or_else(|| wrong("% wants two hexadecimal digits"))?;
            let text = String::from_utf8(octets).map_err(|_| wrong("the login is not UTF-8"))?;
            if text.contains(char::is_control) { Err(wrong("control characters in the login")) } else { Ok(text) }
        };
        let (host, port) = host_and_port(place).ok_or_else(|| wrong("the host or the port cannot be read"))?;
        let path = without_type(path.unwrap_or("")).map_err(wrong)?;
        let path = percent_decoded(path).ok_or_else(|| wrong("% wants two hexadecimal digits"))?;
        if path.iter().any(|octet| matches!(octet, 0 | b'\n' | b'\r')) {
            return Err(wrong("a path has no line ends"));
        }
        Ok(Url {
            scheme,
            user: user.filter(|user| !user.is_empty()).map(text_of).transpose()?,
            password: password.map(text_of).transpose()?,
            host,
            port: port.unwrap_or(if scheme == Scheme::ImplicitTls { 990 } else { 21 }),
            path,
        })
    }
}

/// RFC 1738 §3.2.2: how it is to be moved may stand behind a path. A `;` that belongs to a name is written `%3B`.
fn without_type(path: &str) -> Result<&str, &'static str> {
    match path.rsplit_once(";type=") {
        None => Ok(path),
        Some((path, "i" | "I" | "d" | "D")) => Ok(path),
        Some((_, "a" | "A")) => Err("files are moved as they are, octet for octet: there is no ;type=a"),
        Some(_) => Err(";type= is i or d, and ; in a name %3B"),
    }
}

impl Url {
    /// The path as a command takes it; `None` for where the login leads.
    pub fn wire_path(&self) -> Option<WirePath> {
        WirePath::new(self.path.clone())
    }

    /// Its last name, if there is one.
    pub fn name(&self) -> Option<&[u8]> {
        let path = self.path.strip_suffix(b"/").unwrap_or(&self.path);
        Some(parted(path).1).filter(|name| !matches!(name, [] | [b'.'] | [b'.', b'.']))
    }

    /// The same place with another path.
    pub fn with_path(&self, path: impl Into<Vec<u8>>) -> Url {
        Url { path: path.into(), ..self.clone() }
    }
}

impl fmt::Display for Url {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Ftp => "ftp",
            Scheme::ExplicitTls => "ftpes",
            Scheme::ImplicitTls => "ftps",
        };
        write!(f, "{scheme}://")?;
        if let Some(user) = &self.user {
            write!(f, "{}@", encoded(user.as_bytes()))?;
        }
        let usual = self.port == if self.scheme == Scheme::ImplicitTls { 990 } else { 21 };
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?
        } else {
            write!(f, "{}", self.host)?
        }
        if !usual {
            write!(f, ":{}", self.port)?;
        }
        // An absolute path is told from one below the login by `%2F`.
        match self.path.strip_prefix(b"/") {
            Some(rest) => write!(f, "/%2F{}", encoded(rest)),
            None => write!(f, "/{}", encoded(&self.path)),
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What to show of a URL that could not be read.
fn hide_password(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, place)) => format!("…@{place}"),
        None => text.into(),
    }
}

fn host_and_port(place: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    let good = !host.is_empty() && host.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-._:%".contains(&octet));
    let port = match port {
        Some(port) => Some(port.parse().ok().filter(|port| *port != 0)?),
        None => None,
    };
    good.then(|| (host.to_owned(), port))
}

fn encoded(octets: &[u8]) -> String {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~/!$&'()*+,=".contains(&octet);
    octets
        .iter()
        .map(|&octet| if plain(octet) { char::from(octet).to_string() } else { format!("%{octet:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().expect("a URL")
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        for text in [
            "ftp://ftp.hamburger.test/",
            "ftps://bob%40hamburger.test@ftp.hamburger.test/menus/a%20b.txt",
            "ftpes://bob@[::1]:2121/%2Fetc/motd",
            "ftp://127.0.0.1:10021/menus/",
        ] {
            assert_eq!(url(text).to_string(), text);
        }
        let full = url("FTP://bob:hun%3Agry@host//etc/motd");
        assert_eq!((full.user.as_deref(), full.password.as_deref()), (Some("bob"), Some("hun:gry")));
        assert_eq!((&full.path[..], full.name()), (&b"/etc/motd"[..], Some(&b"motd"[..])));
        assert!(!format!("{full:?}").contains("gry"));
        assert_eq!((url("ftp://h").port, url("ftps://h").port, url("ftp://h").wire_path()), (21, 990, None));
        assert_eq!(url("ftp://h/menus/").name(), Some(&b"menus"[..]));
        assert_eq!(url("ftp://h/a/..").name(), None);
        assert_eq!(url("ftp://h/menu;type=i").path, b"menu");
        assert_eq!(url("ftp://h/menu%3Btype=a").to_string(), "ftp://h/menu%3Btype=a");
    }

    #[test]
    fn what_cannot_be_meant_is_refused_and_no_password_is_shown() {
        for text in [
            "h/x",
            "http://h/",
            "ftp:///x",
            "ftp://h:0/",
            "ftp://h:x/",
            "ftp://[h]/",
            "ftp://h/%zz",
            "ftp://h/a%0Ab",
            "ftp://h/menu;type=a",
            "ftp://h/menu;type=",
            "ftp://a%0d@h/",
        ] {
            assert!(text.parse::<Url>().is_err(), "{text}");
        }
        let error = "ftp://bob:secret@h:x/".parse::<Url>().expect_err("no port").to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
