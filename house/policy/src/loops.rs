//! Is this message going in circles?
//!
//! RFC 5321 §6.3: count the Received fields, and let the limit be large, at least 100.
//!
//! Not here: counting them (message), loops of aliases (directory).

use crate::verdict::{Reason, Verdict};

/// Received fields a message may have when it comes. No honest way is that long.
pub const RECEIVED_MAX: usize = 100;

/// Judges by the number of Received fields the message came with, ours not counted.
pub fn judge(received: usize) -> Verdict {
    if received > RECEIVED_MAX { Reason::TooManyHops { received }.into() } else { Verdict::Accept }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_hops_are_a_way_and_one_more_is_a_circle() {
        assert!(judge(0).is_accept() && judge(RECEIVED_MAX).is_accept());
        let verdict = judge(RECEIVED_MAX + 1);
        let reply = verdict.reason().expect("refused").reply();
        assert_eq!((reply.code, reply.enhanced), (554, "5.4.6"));
    }
}
