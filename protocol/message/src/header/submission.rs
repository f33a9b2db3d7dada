//! What a submission server may add to a message that lacks it.
//!
//! RFC 6409 §8 (what may be repaired, and that only here), RFC 5322 §3.6.1 (Date), §3.6.4 (Message-ID).
//!
//! Invariants: chance comes in as a parameter; what is written is exactly one field with its line end.
//! Not here: what is missing (scan), who may submit (policy).

use crate::address::Domain;
use crate::date::Date;

/// Digits that cannot be taken for one another, and that no filter of bad words minds.
const DIGITS: &[u8; 32] = b"0123456789bcdfghjkmnpqrstvwxyzBC";

/// A message identifier that nobody else will make: from the time, and 128 bits of chance.
pub fn message_id(date: Date, chance: u128, domain: &Domain) -> String {
    let secs = u128::from(date.unix_secs().unsigned_abs());
    format!("<{}.{}@{domain}>", digits(secs), digits(chance))
}

/// Appends `Date:`.
pub fn write_date(date: Date, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("Date: {date}\r\n").as_bytes());
}

/// Appends `Message-ID:` with a new identifier; see [`message_id`].
pub fn write_message_id(date: Date, chance: u128, domain: &Domain, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("Message-ID: {}\r\n", message_id(date, chance, domain)).as_bytes());
}

fn digits(mut number: u128) -> String {
    let mut digits = Vec::new();
    while number > 0 || digits.is_empty() {
        digits.push(char::from(DIGITS[(number % 32) as usize]));
        number /= 32;
    }
    digits.into_iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::scan::HeaderScan;
    use proptest::prelude::*;

    #[test]
    fn what_is_missing_is_added() {
        let domain = Domain::parse("crepes.test").expect("a domain");
        let mut out = Vec::new();
        write_date(Date::utc(1_795_428_000), &mut out);
        write_message_id(Date::utc(1_795_428_000), 33, &domain, &mut out);
        assert_eq!(out, b"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1qj83q0.11@crepes.test>\r\n");
    }

    proptest! {
        #[test]
        fn chance_makes_identifiers_differ(one in any::<u128>(), other in any::<u128>()) {
            let domain = Domain::parse("[192.0.2.1]").expect("a domain");
            let (a, b) = (message_id(Date::utc(0), one, &domain), message_id(Date::utc(0), other, &domain));
            prop_assert_eq!(a == b, one == other);
            let mut scan = HeaderScan::new();
            scan.feed(format!("Message-ID: {a}\r\n\r\n").as_bytes());
            prop_assert_eq!(scan.finish().message_id, Some(a));
        }
    }
}
