//! What this session can do, now and here: CAPA, LANG, and the rules behind them.
//!
//! RFC 2449 §5–6 (CAPA), RFC 2595 §4 (STLS), RFC 6856 §3 (LANG), RFC 8314 §3 (no password in clear).
//!
//! Invariants: nothing is announced that would be refused; the software's name is told after login only.
//! Not here: which mechanisms fit which channel (sasl).

use super::Server;
use sasl::Mechanism;

impl Server {
    /// What we can do on this channel, in this state.
    ///
    /// RFC 2449 §5: what is announced before login is announced after it, too. RFC 2595 §4: except STLS,
    /// which says that it is permitted now.
    pub(super) fn capabilities(&mut self, logged_in: bool) {
        self.ok("capabilities follow");
        let mut lines: Vec<String> = Vec::new();
        let always = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "UTF8 USER", "LANG"];
        lines.extend(always.map(str::to_owned));
        let mechanisms: Vec<&str> = self.mechanisms().into_iter().map(Mechanism::name).collect();
        if !mechanisms.is_empty() {
            lines.push(format!("SASL {}", mechanisms.join(" ")));
        }
        if self.may_show_password() {
            lines.push("USER".to_owned());
        }
        if self.may_secure() && !logged_in {
            lines.push("STLS".to_owned());
        }
        if logged_in {
            lines.push(format!("IMPLEMENTATION {}", self.settings.implementation));
        }
        self.multi_line(&lines);
    }

    /// The lines behind a `+OK`, and the final dot. The lines are ours: none begins with a dot.
    pub(super) fn multi_line<T: AsRef<[u8]>>(&mut self, lines: &[T]) {
        for line in lines {
            self.replies.extend_from_slice(line.as_ref());
            self.replies.extend_from_slice(b"\r\n");
        }
        self.replies.extend_from_slice(b".\r\n");
    }

    /// RFC 6856 §3: our texts are English, and so is `i-default`, the language for those whose language nobody knows.
    pub(super) fn language(&mut self, range: Option<&str>) {
        const LANGUAGES: [(&str, &str); 2] = [("en", "English"), ("i-default", "Default")];
        let Some(range) = range else {
            self.ok("languages follow");
            let lines = LANGUAGES.map(|(tag, name)| format!("{tag} {name}"));
            return self.multi_line(&lines);
        };
        // The lookup of RFC 4647: a range that is too narrow is cut at its hyphens until it fits.
        let fits = |tag: &str| {
            let behind = range.get(tag.len()..).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
            behind && range[..tag.len()].eq_ignore_ascii_case(tag)
        };
        match LANGUAGES.iter().find(|(tag, _)| range == "*" || fits(tag)) {
            Some((tag, _)) => self.ok(format!("{tag} language changed")),
            None => self.err("no such language here"),
        }
    }

    pub(super) fn securable(&self) -> bool {
        self.tls.is_none() && self.settings.tls_available
    }

    /// Whether STLS makes sense now.
    fn may_secure(&self) -> bool {
        self.securable() && !self.utf8
    }

    /// Whether a password may be shown on this channel.
    pub(super) fn may_show_password(&self) -> bool {
        self.tls.is_some() || self.settings.clear_login
    }

    pub(super) fn mechanisms(&self) -> Vec<Mechanism> {
        sasl::available(&self.settings.mechanisms, self.tls.as_ref(), self.settings.clear_login)
    }
}
