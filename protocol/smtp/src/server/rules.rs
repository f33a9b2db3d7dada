//! Which command is allowed when: one table.
//!
//! RFC 5321 §4.1.4 (order); RFC 3207 §4 (what may be said before TLS where it is demanded); RFC 4954 §4 and §6 (AUTH
//! outside a transaction, what may be said before it); RFC 6409 §4.3.

use super::{Purpose, Server, State, Tls};
use crate::command::Verb;
use crate::reply::Reply;
use crate::words;

/// Where a command belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Anywhere,
    BehindHello,
    BetweenMails,
    InMail,
}

/// What a command needs.
struct Rule {
    verb: Verb,
    place: Place,
    /// Allowed in clear where TLS is demanded.
    in_clear: bool,
    /// Allowed without AUTH where it is demanded.
    by_anyone: bool,
}

const fn rule(verb: Verb, place: Place, in_clear: bool, by_anyone: bool) -> Rule {
    Rule { verb, place, in_clear, by_anyone }
}

const RULES: [Rule; 13] = [
    //    verb            place                in clear  by anyone
    rule(Verb::Ehlo, Place::Anywhere, true, true),
    rule(Verb::Helo, Place::Anywhere, true, true),
    rule(Verb::Noop, Place::Anywhere, true, true),
    rule(Verb::Quit, Place::Anywhere, true, true),
    rule(Verb::Help, Place::Anywhere, true, true),
    rule(Verb::Rset, Place::Anywhere, false, true),
    rule(Verb::StartTls, Place::BetweenMails, true, true),
    rule(Verb::Auth, Place::BetweenMails, false, true),
    rule(Verb::Vrfy, Place::BehindHello, false, false),
    rule(Verb::Expn, Place::BehindHello, false, false),
    rule(Verb::Mail, Place::BetweenMails, false, false),
    rule(Verb::Rcpt, Place::InMail, false, false),
    rule(Verb::Data, Place::InMail, false, false),
];

impl Server {
    /// Why a command is not allowed now, if it is not.
    pub(super) fn forbidden(&self, verb: Verb) -> Option<&'static Reply> {
        let rule = RULES.iter().find(|rule| rule.verb == verb)?;
        let in_mail = matches!(self.state, State::InTransaction(_));
        let greeted = in_mail || matches!(self.state, State::Ready(_));
        let clear = self.settings.tls == Tls::Demanded && self.tls.is_none();
        let nobody = self.settings.purpose == Purpose::Submission && self.login.is_none();
        match rule.place {
            _ if clear && !rule.in_clear => Some(&words::TLS_FIRST),
            Place::Anywhere => None,
            _ if !greeted => Some(&words::HELLO_FIRST),
            _ if nobody && !rule.by_anyone => Some(&words::LOGIN_FIRST),
            Place::BetweenMails if in_mail => Some(&words::IN_TRANSACTION),
            Place::InMail if !in_mail => Some(&words::MAIL_FIRST),
            _ => None,
        }
    }
}
