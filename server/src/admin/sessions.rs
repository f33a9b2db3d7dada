//! Sessions, as an administrator has them: who is connected, and the end of it.
//!
//! Not here: what is known of a session (sessions), how it hears of its end (net).

use super::{Admin, Place, Trouble};
use crate::control::{Answer, SessionFilter, WhichSessions};
use crate::desk::door::Caller;
use crate::desk::ftp::GUEST;
use crate::house::House;
use crate::sessions::Present;
use std::sync::Arc;
use tracing::info;

/// How many sessions a list shows at most.
const LIST_MAX: usize = 10_000;

impl Admin {
    pub(super) fn sessions(&self, only: &SessionFilter) -> Result<Answer, Trouble> {
        let house = self.running_house()?;
        let (sessions, left_out) = house.sessions.list(only, LIST_MAX, house.now());
        Ok(Answer::Sessions { sessions, left_out })
    }

    pub(super) fn end_sessions(&self, which: &WhichSessions) -> Result<Answer, Trouble> {
        let sessions = &self.running_house()?.sessions;
        let (ended, missing) = match which {
            WhichSessions::Named(names) => {
                let (ended, unknown) = sessions.send_named_away(names);
                (ended, (!unknown.is_empty()).then(|| unknown.join(", ")))
            }
            WhichSessions::Fitting(only) => {
                self.knows(only)?;
                (sessions.send_away(only), None)
            }
        };
        ended.iter().for_each(|present| tell(present));
        match missing {
            Some(unknown) => Err(Trouble::Missing(format!(
                "there is no session {unknown}; `packetboat sessions` shows them{}",
                match ended.len() {
                    0 => String::new(),
                    _ => format!("; ended were {}", names(&ended).join(", ")),
                }
            ))),
            None => Ok(Answer::SessionsEnded { sessions: names(&ended) }),
        }
    }

    /// A slip of the pen should not look as if an account had no sessions.
    fn knows(&self, only: &SessionFilter) -> Result<(), Trouble> {
        let Some(account) = only.account.as_deref().filter(|account| *account != GUEST) else { return Ok(()) };
        match self.directory()?.account_named(account) {
            Some(_) => Ok(()),
            None => Err(Trouble::Missing(format!("there is no account {account}"))),
        }
    }

    fn running_house(&self) -> Result<&Arc<House>, Trouble> {
        match &self.place {
            Place::Running(house) => Ok(house),
            Place::Offline { .. } => Err(Trouble::refused("the server is not running; nobody is connected")),
        }
    }
}

fn names(sessions: &[Arc<Present>]) -> Vec<String> {
    sessions.iter().map(|present| present.caller().session.to_string()).collect()
}

fn tell(present: &Present) {
    let (Caller { session, peer, purpose }, account) = (present.caller(), present.account());
    info!(%session, %peer, account = account.as_deref(), service = purpose.name(), "ended by the administrator");
}
