//! What a server says that it can do.
//!
//! RFC 5321 §4.1.1.1 (EHLO's answer); RFC 1870 §3 (SIZE); RFC 4954 §3 (AUTH); RFC 9422 (LIMITS).

use crate::reply::Reply;
use sasl::Mechanism;

/// The extensions that matter to a client of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Capabilities {
    pub pipelining: bool,
    pub starttls: bool,
    pub eight_bit: bool,
    pub smtputf8: bool,
    pub dsn: bool,
    /// SIZE is offered.
    pub size: bool,
    /// The largest message, if the server says so.
    pub size_max: Option<u64>,
    /// The most recipients of one transaction, if the server says so.
    pub recipients_max: Option<usize>,
    pub mechanisms: Vec<Mechanism>,
    /// We have used one of them.
    pub logged_in: bool,
}

impl Capabilities {
    pub fn read(reply: &Reply) -> Self {
        let mut capabilities = Capabilities::default();
        // The first line is the greeting.
        reply.lines().skip(1).for_each(|line| capabilities.take(line));
        capabilities
    }

    fn take(&mut self, line: &str) {
        let line = line.to_ascii_uppercase();
        // `AUTH=LOGIN PLAIN` is what some servers say for clients older than the RFC.
        let (keyword, values) = line.split_once([' ', '=']).unwrap_or((&line, ""));
        match keyword {
            "PIPELINING" => self.pipelining = true,
            "STARTTLS" => self.starttls = true,
            "8BITMIME" => self.eight_bit = true,
            "SMTPUTF8" => self.smtputf8 = true,
            "DSN" => self.dsn = true,
            "SIZE" => {
                self.size = true;
                // RFC 1870 §3: zero means no limit.
                self.size_max = values.trim().parse().ok().filter(|max| *max > 0);
            }
            "AUTH" => self.offer(values),
            "LIMITS" => self.recipients_max = values.split(' ').find_map(recipients_max),
            _ => {}
        }
    }

    fn offer(&mut self, names: &str) {
        for mechanism in names.split(' ').filter_map(|name| Mechanism::parse(name.as_bytes())) {
            if !self.mechanisms.contains(&mechanism) {
                self.mechanisms.push(mechanism);
            }
        }
    }
}

fn recipients_max(limit: &str) -> Option<usize> {
    limit.strip_prefix("RCPTMAX=")?.parse().ok().filter(|max| *max > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_read_in_any_case() {
        let text = "mx.test hello PIPELINING\nsize 1000\nAuth plain login X-OWN\nAUTH=LOGIN PLAIN\n\
            LIMITS MAILMAX=5 RCPTMAX=20\nXYZZY";
        let read = Capabilities::read(&Reply::new(250, None, text));
        assert!(!read.pipelining && read.size && !read.starttls);
        assert_eq!((read.size_max, read.recipients_max), (Some(1000), Some(20)));
        assert_eq!(read.mechanisms, [Mechanism::Plain, Mechanism::Login]);
        assert_eq!(Capabilities::read(&Reply::new(250, None, "x\nSIZE 0")).size_max, None);
        assert!(Capabilities::read(&Reply::new(250, None, "x\nSIZE")).size);
    }
}
