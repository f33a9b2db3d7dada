//! Nonces: one random seed a session, a fresh nonce for each of its exchanges.
//!
//! RFC 5802 §5.1 (`r`: printable, no comma, different for each authentication).
//!
//! Not here: the randomness itself; whoever starts the session brings it.

use aws_lc_rs::hmac;

/// Makes nonces out of a seed. Who has seen some of them cannot tell the next.
pub struct Nonces {
    /// A key made of it is forty times as large: too much for a session that draws once.
    seed: [u8; 32],
    count: u64,
}

impl Nonces {
    /// `seed` is 32 octets from the system's random source, fresh for each session.
    pub fn new(seed: &[u8; 32]) -> Self {
        Nonces { seed: *seed, count: 0 }
    }

    /// The next nonce: 24 characters of base64, 144 bits.
    pub fn draw(&mut self) -> String {
        self.count += 1;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.seed);
        let tag = hmac::sign(&key, &self.count.to_be_bytes());
        crate::wire::encode(&tag.as_ref()[..18])
    }
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Nonces({})", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_nonce_comes_twice() {
        let mut nonces = Nonces::new(&[7; 32]);
        let drawn: std::collections::HashSet<String> = (0..100).map(|_| nonces.draw()).collect();
        assert_eq!(drawn.len(), 100);
        assert!(drawn.iter().all(|nonce| crate::scram::is_nonce(nonce) && nonce.len() == 24));
        assert_ne!(Nonces::new(&[8; 32]).draw(), Nonces::new(&[7; 32]).draw());
        assert_eq!(format!("{nonces:?}"), "Nonces(100)");
    }
}
