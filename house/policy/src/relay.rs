//! May this client send to this address?
//!
//! RFC 5321 §3.6.1, §7.9 (who may use a relay); RFC 6409 §4.3 (submission asks for a login).
//!
//! ```text
//!                      domain of ours      foreign domain
//! exchange (port 25)
//!   anybody            if it reaches one   no
//!   trusted network    if it reaches one   yes
//!   logged in          if it reaches one   yes
//! submission (587, 465)
//!   logged in          if it reaches one   yes
//!   anybody else       no                  no
//! ```
//!
//! Invariants: mail goes to a foreign domain only for somebody who logged in or comes from a trusted network;
//! the trusted networks can never be the whole Internet.
//! Not here: what an address reaches (directory), under which sender (sender).

use std::net::IpAddr;

use directory::Resolution;

use crate::origin::Network;
use crate::verdict::{Reason, Verdict};

/// The largest private IPv4 network is 10.0.0.0/8; a larger trusted one is a mistake that opens a relay.
pub const TRUSTED_PREFIX_MIN_V4: u8 = 8;
/// The largest private IPv6 network is fc00::/7.
pub const TRUSTED_PREFIX_MIN_V6: u8 = 7;

/// What a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Mail from other servers (port 25).
    Exchange,
    /// Mail from our own people (ports 587 and 465).
    Submission,
}

/// Who stands at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// Where from.
    pub address: IpAddr,
    /// At which door.
    pub door: Door,
    /// The number of the account that logged in.
    pub account: Option<i64>,
}

/// The rules of relaying.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Relay {
    trusted: Vec<Network>,
}

/// A network too large to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot be trusted: it is larger than any private network, and would make an open relay")]
pub struct TooLarge(pub Network);

impl Relay {
    /// Clients from `trusted` networks may send anywhere through the exchange door, without login. Best left empty:
    /// a proxy on a trusted machine makes the world trusted.
    ///
    /// # Errors
    /// One of the networks is larger than any private one.
    pub fn new(trusted: Vec<Network>) -> Result<Relay, TooLarge> {
        let too_large = |network: &&Network| {
            network.prefix() < if network.is_ipv4() { TRUSTED_PREFIX_MIN_V4 } else { TRUSTED_PREFIX_MIN_V6 }
        };
        match trusted.iter().find(too_large) {
            Some(&network) => Err(TooLarge(network)),
            None => Ok(Relay { trusted }),
        }
    }

    /// May the client begin a mail at all? Asked at MAIL.
    pub fn begin(&self, client: &Client) -> Verdict {
        match (client.door, client.account) {
            (Door::Submission, None) => Reason::LoginNeeded.into(),
            _ => Verdict::Accept,
        }
    }

    /// May the client send to what the directory says of a recipient? Asked at RCPT.
    pub fn recipient(&self, client: &Client, resolution: &Resolution) -> Verdict {
        if let refused @ (Verdict::Refuse { .. } | Verdict::Defer { .. }) = self.begin(client) {
            return refused;
        }
        match resolution {
            Resolution::Deliver(_) => Verdict::Accept,
            Resolution::NotOurs if self.may_relay(client) => Verdict::Accept,
            Resolution::NotOurs => Reason::RelayDenied.into(),
            Resolution::Unknown => Reason::UnknownRecipient.into(),
            Resolution::Disabled => Reason::DisabledRecipient.into(),
            Resolution::Looped(why) => Reason::AliasLoop(*why).into(),
        }
    }

    fn may_relay(&self, client: &Client) -> bool {
        client.account.is_some() || self.trusts(client.address)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use directory::{Delivery, How, Loop};
    use proptest::prelude::*;

    fn rules() -> Relay {
        Relay::new(vec!["192.0.2.0/24".parse().expect("a network"), "2001:db8::/32".parse().expect("a network")])
            .expect("small")
    }

    fn ours() -> Resolution {
        Resolution::Deliver(Delivery { how: How::Account, local: vec![], remote: vec![] })
    }

    #[test]
    fn the_table_holds_for_every_client_and_every_address() {
        let clients = || {
            let accounts = [None, Some(1)].into_iter();
            let doors = accounts.flat_map(|account| [Door::Exchange, Door::Submission].map(|door| (account, door)));
            // The last of each row is trusted.
            doors.flat_map(|(account, door)| {
                ["203.0.113.1", "::1", "127.0.0.1", "2001:db9::1", "192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"]
                    .map(|address| Client { address: address.parse().expect("an address"), door, account })
            })
        };
        let trusted = |client: &Client| rules().trusts(client.address);
        for client in clients() {
            let judged = |resolution| rules().recipient(&client, &resolution);
            let welcome = client.door == Door::Exchange || client.account.is_some();
            assert_eq!(rules().begin(&client).is_accept(), welcome, "{client:?}");
            assert_eq!(judged(ours()).is_accept(), welcome, "{client:?}");
            let relays = client.account.is_some() || (client.door == Door::Exchange && trusted(&client));
            assert_eq!(judged(Resolution::NotOurs).is_accept(), relays, "{client:?}");
            for refused in [Resolution::Unknown, Resolution::Disabled, Resolution::Looped(Loop::Circle)] {
                assert!(!judged(refused).is_accept(), "{client:?}");
            }
        }
        assert_eq!(clients().filter(trusted).count(), 12);
    }

    #[test]
    fn each_refusal_says_why() {
        let stranger =
            Client { address: "203.0.113.1".parse().expect("an address"), door: Door::Exchange, account: None };
        let code = |client: &Client, resolution| {
            let verdict = rules().recipient(client, &resolution);
            let reply = verdict.reason().expect("refused").reply();
            (reply.code, reply.enhanced)
        };
        assert_eq!(code(&stranger, Resolution::NotOurs), (550, "5.7.1"));
        assert_eq!(code(&stranger, Resolution::Unknown), (550, "5.1.1"));
        assert_eq!(code(&stranger, Resolution::Disabled), (550, "5.2.1"));
        assert_eq!(code(&stranger, Resolution::Looped(Loop::TooDeep)), (550, "5.4.6"));
        assert_eq!(code(&Client { door: Door::Submission, ..stranger }, ours()), (530, "5.7.0"));
    }

    #[test]
    fn nobody_can_trust_the_whole_internet() {
        for network in ["0.0.0.0/0", "0.0.0.0/1", "::/0", "2000::/3"] {
            assert!(Relay::new(vec![network.parse().expect("a network")]).is_err(), "{network}");
        }
        assert!(
            Relay::new(vec!["10.0.0.0/8".parse().expect("a network"), "fc00::/7".parse().expect("a network")]).is_ok()
        );
    }

    proptest! {
        #[test]
        fn without_rules_no_stranger_relays(bits: u128, v4: bool, submission: bool) {
            let address = if v4 { IpAddr::V4((bits as u32).into()) } else { IpAddr::V6(bits.into()) };
            let door = if submission { Door::Submission } else { Door::Exchange };
            let client = Client { address, door, account: None };
            prop_assert!(!Relay::default().recipient(&client, &Resolution::NotOurs).is_accept());
        }
    }
}
