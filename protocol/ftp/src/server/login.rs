//! Who is who: USER, PASS, REIN, HOST, LANG, and what clients call themselves.
//!
//! RFC 959 §4.1.1 (USER again begins anew; REIN); RFC 2577 §5 and §7 (few attempts, 421; always 331); RFC 7151 §3 (HOST before
//! login, the same as in TLS); RFC 2640 §4 (LANG); RFC 1635 (guests).
//!
//! Departure: REIN is refused under TLS. RFC 4217 §13 wants the reply under TLS and all that follows in clear, on one
//! connection, for a command that nobody needs.
//!
//! Invariants: whoever is named, the reply is 331; the house is asked about every password; a login that ends is reported
//! before anything else is begun.
//! Not here: who exists, and how long a wrong password takes (house).

use super::ask::{Ask, Denied, HostRefusal, Login, Welcome};
use super::settings::Tls;
use super::stage::{AfterLogout, Member, Question, Span, Stage};
use super::{Link, Server, Then, Wishes};
use crate::command::{HostName, Mode, Representation};
use crate::reply::Reply;
use crate::words;
use line::Secret;

/// What guests call themselves (RFC 1635).
const GUESTS: [&str; 2] = ["anonymous", "ftp"];

impl Server {
    pub(super) fn user_named(&mut self, stage: Stage, name: String) -> Stage {
        match stage {
            // RFC 959 §4.1.1: the one before is out, whoever comes next.
            Stage::Member(_) => self.log_out(AfterLogout::User(name)),
            _ => self.name(name),
        }
    }

    fn name(&mut self, name: String) -> Stage {
        let anonymous = self.settings.anonymous && GUESTS.iter().any(|guest| guest.eq_ignore_ascii_case(&name));
        if self.must_protect_login(anonymous) && !self.link.is_private() {
            let reply = if self.link.cleared { &words::CLEARED_FOR_GOOD } else { &words::TLS_FIRST };
            return self.stay(Stage::Stranger, reply);
        }
        let reply = if anonymous { &words::ADDRESS_PLEASE } else { &words::PASSWORD_PLEASE };
        self.stay(Stage::Named { user: name, anonymous }, reply)
    }

    fn must_protect_login(&self, anonymous: bool) -> bool {
        match self.settings.tls {
            Tls::Absent | Tls::Optional => false,
            Tls::Named => !anonymous,
            Tls::Everybody => true,
        }
    }

    pub(super) fn pass(&mut self, stage: Stage, password: Secret) -> Stage {
        match stage {
            Stage::Named { user, anonymous } => {
                self.ask(Ask::Login(Login {
                    user: user.clone(),
                    password,
                    anonymous,
                    host: self.link.meant_host(),
                    client: self.link.client.clone(),
                    private: self.link.is_private(),
                }));
                Stage::AwaitingLogin { user }
            }
            Stage::Member(_) => self.stay(stage, &words::LOGGED_IN_ALREADY),
            stage => self.stay(stage, &words::USER_FIRST),
        }
    }

    pub(super) fn login_answered(&mut self, user: String, verdict: Result<Welcome, Denied>) -> Stage {
        match verdict {
            Ok(welcome) => self.welcome(user, welcome),
            Err(Denied::Credentials) => self.login_failed(&words::LOGIN_INCORRECT),
            Err(Denied::Policy(reason)) => self.login_failed(&Reply::new(530, reason)),
            Err(Denied::Throttled) => self.end(&words::LOGIN_TOO_OFTEN),
            Err(Denied::TooMany) => self.end(&words::LOGIN_TOO_MANY),
            Err(Denied::Temporary) => self.end(&words::LOGIN_NOT_NOW),
        }
    }

    fn welcome(&mut self, user: String, welcome: Welcome) -> Stage {
        self.link.failures = 0;
        let reply = welcome.message.map_or(words::WELCOME.clone(), |message| Reply::new(230, message));
        let member = Member {
            user,
            permissions: welcome.permissions,
            here: welcome.home.clone(),
            home: welcome.home,
            representation: Representation::default(),
            mode: Mode::default(),
            data_line: false,
            only_epsv: false,
            span: Span::Whole,
            announced: None,
            renaming: None,
            rename_from: None,
        };
        self.stay(Stage::Member(member), &reply)
    }

    fn login_failed(&mut self, reply: &Reply) -> Stage {
        self.link.failures += 1;
        if self.link.failures >= self.settings.failures_max {
            return self.end(&words::LOGIN_TOO_OFTEN);
        }
        self.stay(Stage::Stranger, reply)
    }

    pub(super) fn rein(&mut self, stage: Stage) -> Stage {
        match stage {
            stage if self.link.tls.is_some() => self.stay(stage, &words::NOT_UNDER_TLS),
            Stage::Member(_) => self.log_out(AfterLogout::Rein),
            _ => self.begin_anew(),
        }
    }

    /// As right after the greeting; but failures are not forgotten, or REIN would be a way to guess on.
    fn begin_anew(&mut self) -> Stage {
        self.link = Link { failures: self.link.failures, unknown: self.link.unknown, ..Link::default() };
        self.done_by = self.now + self.settings.login;
        self.stay(Stage::Stranger, &words::REINITIALIZED)
    }

    pub(super) fn log_out(&mut self, after: AfterLogout) -> Stage {
        self.ask(Ask::Logout);
        Stage::AwaitingLogout(after)
    }

    pub(super) fn logged_out(&mut self, after: AfterLogout) -> Stage {
        self.done_by = self.now + self.settings.login;
        match after {
            AfterLogout::User(name) => self.name(name),
            AfterLogout::Rein => self.begin_anew(),
            AfterLogout::Auth { protection } => self.begin_tls(protection),
        }
    }

    pub(super) fn host(&mut self, stage: Stage, name: HostName) -> Stage {
        if matches!(stage, Stage::Member(_)) {
            return self.stay(stage, &words::HOST_TOO_LATE);
        }
        match name {
            // RFC 7151 §3.1: who has dialled an address may name it, and gets what they would have got.
            HostName::Address(address) if address.to_canonical() == self.ends.local() => {
                self.link.host = None;
                self.stay(Stage::Stranger, &words::HOST_TAKEN)
            }
            HostName::Address(_) => self.stay(stage, &words::HOST_UNKNOWN),
            HostName::Domain(name) if !self.link.tls_allows(&name) => self.stay(stage, &words::HOST_NOT_OF_TLS),
            HostName::Domain(name) => {
                self.ask(Ask::Host(name.clone()));
                Stage::AwaitingHost { name }
            }
        }
    }

    /// RFC 7151 §3.3: a host that is not ours is as if it had not been named; so is whoever was named before.
    pub(super) fn host_answered(&mut self, name: String, verdict: Result<Option<String>, HostRefusal>) -> Stage {
        match verdict {
            Ok(welcome) => {
                self.link.host = Some(name);
                let reply = welcome.map_or(words::HOST_TAKEN.clone(), |welcome| Reply::new(220, welcome));
                self.stay(Stage::Stranger, &reply)
            }
            Err(HostRefusal::Unknown) => self.stay(Stage::Stranger, &words::HOST_UNKNOWN),
            Err(HostRefusal::Away) => self.end(&words::HOST_AWAY),
        }
    }

    pub(super) fn lang(&mut self, stage: Stage, tag: Option<&str>) -> Stage {
        let primary = tag.and_then(|tag| tag.split('-').next());
        let english = primary.is_none_or(|primary| primary.eq_ignore_ascii_case("en"));
        self.stay(stage, if english { &words::SPEAK_ENGLISH } else { &words::OTHER_LANGUAGE })
    }

    pub(super) fn client_named(&mut self, stage: Stage, name: String, reply: &Reply) -> Stage {
        self.link.client = Some(name.clone());
        match stage {
            Stage::Member(member) => {
                self.ask(Ask::Client(name));
                Stage::Awaiting { member, question: Question::Plain(reply.clone()) }
            }
            // Told with the login.
            stage => self.stay(stage, reply),
        }
    }

    /// After AUTH and REIN nothing is left of what was agreed (RFC 4217 §4.2), but which host was meant (RFC 7151 §3.2.2).
    pub(super) fn begin_tls(&mut self, protection: crate::command::Protection) -> Stage {
        self.link.wishes = Wishes::default();
        self.say(&words::BEGIN_TLS);
        self.queue.clear();
        self.then = Some(Then::Secure);
        Stage::Securing { protection }
    }
}

impl Link {
    /// Whether what is said now is said under TLS.
    pub(super) fn is_private(&self) -> bool {
        self.tls.is_some() && !self.cleared
    }

    /// By HOST, or by TLS.
    fn meant_host(&self) -> Option<String> {
        self.host.clone().or_else(|| self.tls.as_ref().and_then(|tls| tls.server_name.clone()))
    }

    /// RFC 7151 §3.2.2: the name in HOST must be that of TLS.
    fn tls_allows(&self, name: &str) -> bool {
        let server_name = self.tls.as_ref().and_then(|tls| tls.server_name.as_deref());
        server_name.is_none_or(|server_name| server_name.trim_end_matches('.').eq_ignore_ascii_case(name))
    }

    /// HOST came before TLS, which may have named another: then TLS counts.
    pub(super) fn forget_other_host(&mut self) {
        if self.host.as_deref().is_some_and(|host| !self.tls_allows(host)) {
            self.host = None;
        }
    }
}
