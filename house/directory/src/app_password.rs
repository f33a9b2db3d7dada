//! App passwords: one for each program, made by us, taken back one by one.
//!
//! We make them from 100 random bits, so one round of SHA-256 is enough to keep them: nobody guesses 2^100.
//! That is why they cost microseconds where a chosen password costs argon2id, and why nobody may choose one.
//!
//! Invariants: the password itself is shown once, when it is made, and kept nowhere.
//! Not here: logging in with them (doorkeeper), adding and removing (change).

use aws_lc_rs::{constant_time, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};

use crate::chance;
use crate::secrets::{Password, PasswordHash, ScramKeys, ScramTerms, scram_keys};

/// Five bits a letter; without l, o, 0 and 1, which look alike.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// 20 letters are 100 bits.
const LENGTH: usize = 20;
/// Shown as `abcde-fghij-kmnpq-rstuv`.
const GROUP: usize = 5;
const SALT_BYTES: usize = 16;
/// The name of our hash in its PHC-like form `$packetboat-app$salt$hash`.
const SCHEME: &str = "packetboat-app";

/// What an app password may be for; the names are those of the configuration and the log.
pub const SERVICES: [&str; 4] = ["smtp", "pop3", "imap", "ftp"];

/// One app password as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppPassword {
    /// Its number within the account; never used twice while the highest is there.
    pub id: u32,
    /// What its owner calls it: "telephone".
    pub label: String,
    /// `$packetboat-app$salt$hash`.
    pub hash: PasswordHash,
    /// Keys for SCRAM-SHA-256 of the password as it was shown. None of those that were made before there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scram: Option<ScramKeys>,
    /// Seconds since 1970.
    pub created: i64,
    /// The services it opens, by their names in [`SERVICES`]; all of them if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
}

impl AppPassword {
    /// Whether it opens this service.
    pub fn opens(&self, service: &str) -> bool {
        self.services.is_empty() || self.services.iter().any(|one| one == service)
    }
}

/// Makes an app password: what is kept, and the password to be shown once. Takes as long as SCRAM keys do.
pub(crate) fn make(
    id: u32,
    label: &str,
    services: Vec<String>,
    terms: &ScramTerms,
    created: i64,
) -> (AppPassword, Password) {
    let bits: [u8; LENGTH] = chance::octets();
    let letters: Vec<u8> = bits.iter().map(|b| LETTERS[usize::from(b % 32)]).collect();
    let hash = hash(&chance::octets::<SALT_BYTES>(), &letters);
    let shown = Password::new(letters.chunks(GROUP).collect::<Vec<_>>().join(&b'-'));
    let scram = Some(scram_keys(&shown, terms));
    (AppPassword { id, label: label.to_owned(), hash, scram, created, services }, shown)
}

/// The letters of what may be an app password, however it was copied: blanks, hyphens and case do not count.
pub(crate) fn letters(offered: &Password) -> Option<Password> {
    let offered = offered.reveal();
    // Nothing we showed is longer than this with a separator behind every letter.
    if offered.len() > 2 * LENGTH {
        return None;
    }
    let letters = offered.iter().filter(|b| !b" -".contains(b)).map(u8::to_ascii_lowercase).collect::<Vec<_>>();
    (letters.len() == LENGTH && letters.iter().all(|b| LETTERS.contains(b))).then(|| Password::new(letters))
}

/// Whether `letters` are those of the app password that `kept` is the hash of.
pub(crate) fn fits(letters: &Password, kept: &PasswordHash) -> bool {
    let mut parts = kept.reveal().split('$').skip(1);
    let (Some(SCHEME), Some(salt), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let Ok(salt) = BASE64.decode(salt) else { return false };
    let made = hash(&salt, letters.reveal());
    constant_time::verify_slices_are_equal(made.reveal().as_bytes(), kept.reveal().as_bytes()).is_ok()
}

fn hash(salt: &[u8], letters: &[u8]) -> PasswordHash {
    let mut sha = digest::Context::new(&digest::SHA256);
    sha.update(salt);
    sha.update(letters);
    let hash = sha.finish();
    PasswordHash::new(format!("${SCHEME}${}${}", BASE64.encode(salt), BASE64.encode(hash.as_ref())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(id: u32) -> (AppPassword, Password) {
        make(id, "telephone", Vec::new(), &ScramTerms { salt: b"salt".to_vec(), iterations: 1 }, 0)
    }

    #[test]
    fn it_is_recognised_however_it_was_copied() {
        let (kept, shown) = made(1);
        let shown = String::from_utf8(shown.reveal().to_vec()).expect("letters");
        assert_eq!((shown.len(), shown.matches('-').count()), (23, 3));
        for copied in [shown.clone(), shown.to_uppercase(), shown.replace('-', ""), shown.replace('-', " ")] {
            let letters = letters(&Password::new(copied)).expect("has the form");
            assert!(fits(&letters, &kept.hash));
        }
    }

    #[test]
    fn another_one_does_not_fit() {
        let ((kept, _), (_, other)) = (made(1), made(2));
        assert!(!fits(&letters(&other).expect("has the form"), &kept.hash));
    }

    #[test]
    fn a_chosen_password_has_not_its_form() {
        for chosen in ["", "pickles", "abcde-fghij-kmnpq-rstu", "abcde-fghij-kmnpq-rstul", "abcdefghijkmnpqrstuvw"] {
            assert!(letters(&Password::new(chosen)).is_none(), "{chosen}");
        }
    }

    #[test]
    fn a_damaged_hash_fits_nothing() {
        let letters = letters(&Password::new("abcdefghijkmnpqrstuv")).expect("has the form");
        for damaged in ["", "$", "$packetboat-app$!$x", "$packetboat-app$YWJj$YWJj", "$packetboat-app$YWJj$YWJj$YWJj"] {
            assert!(!fits(&letters, &PasswordHash::new(damaged)), "{damaged}");
        }
    }
}
