//! Passwords, and what we keep instead of them.
//!
//! RFC 9106 §3.1 (argon2id), RFC 5802 §3 and RFC 7677 §3 (SCRAM-SHA-256), RFC 8018 §5.2 (PBKDF2).
//!
//! From one password we keep two things: an argon2id hash for logins that show the password over TLS (PLAIN, LOGIN,
//! USER/PASS), and SCRAM keys for logins that never show it. Whoever steals the SCRAM keys has to guess against
//! PBKDF2, which is cheaper than argon2id: that is the price of a login that gives the server nothing to steal.
//! A password is octets here; SASLprep (RFC 4013) is done before, in the sasl room, for both ways alike.
//!
//! Invariants: nothing here prints a password, a hash or a key; [`Secrets`] exist only of passwords that keep the rules.
//! Not here: who owns them (records), how a login is checked without telling who exists (doorkeeper).

use std::fmt;
use std::num::NonZeroU32;

use argon2::password_hash::phc;
use argon2::{Argon2, Params, PasswordHasher, PasswordVerifier};
use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use crate::chance;

/// OWASP's first choice for argon2id (2023 and since): 19 MiB, two passes, one lane. Some 20 ms of one core.
const ARGON2_MEMORY_KIB: u32 = 19_456;
/// See [`ARGON2_MEMORY_KIB`].
const ARGON2_PASSES: u32 = 2;
/// See [`ARGON2_MEMORY_KIB`].
const ARGON2_LANES: u32 = 1;

/// PBKDF2 rounds for new SCRAM keys. RFC 7677 §4 asks for 4,096 at least; each login costs the *client* that many
/// rounds and us none, so more is free for the server: 100,000 are 10 to 50 ms of a telephone.
/// We pay them once, when a password is set.
pub const SCRAM_ITERATIONS: u32 = 100_000;
/// Octets of salt, for argon2id and for SCRAM. RFC 9106 §3.1 recommends 16.
pub const SALT_BYTES: usize = 16;

/// Longer passwords are refused when set and wrong when offered. No generator makes them; 1 KiB keeps work bounded.
pub const PASSWORD_MAX_BYTES: usize = 1024;
/// Characters a new password must have unless the settings say otherwise: NIST SP 800-63B's least.
pub const PASSWORD_MIN_CHARS: usize = 8;

/// A well-formed hash of no password anyone knows: it is verified where there is none, so that the work is the same.
pub(crate) const NOBODYS_HASH: &str =
    concat!("$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGlzIGhlcmU", "$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");

/// What somebody typed. Prints as `…`, and is wiped from memory as well as safe code can.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Vec<u8>);

impl Password {
    /// Takes a password as octets: UTF-8 when it comes from a person, SASLprepped when it comes from SASL.
    pub fn new(octets: impl Into<Vec<u8>>) -> Self {
        Password(octets.into())
    }

    /// The password itself, for the one place that needs it.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        self.0.fill(0);
        // Without this the compiler may see that nobody reads the zeros.
        std::hint::black_box(&mut self.0);
    }
}

/// What a new password must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordRules {
    /// The least number of characters, 1 or more.
    pub min_chars: usize,
}

impl Default for PasswordRules {
    fn default() -> Self {
        PasswordRules { min_chars: PASSWORD_MIN_CHARS }
    }
}

/// Why a password may not be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordRefused {
    /// Fewer characters than the rules ask for.
    #[error("the password is too short: it needs at least {min_chars} characters")]
    TooShort {
        /// How many it needs.
        min_chars: usize,
    },
    /// More than [`PASSWORD_MAX_BYTES`].
    #[error("the password is too long: it may have at most {PASSWORD_MAX_BYTES} octets")]
    TooLong,
    /// Not UTF-8, or with a control character. NUL, CR and LF cannot travel in SASL PLAIN and POP3.
    #[error("the password has a control character, or is not UTF-8")]
    Untypable,
}

impl PasswordRules {
    /// The fewest rules there are: a password is not empty, not endless, and can be typed. For `dev`.
    pub fn none() -> Self {
        PasswordRules { min_chars: 1 }
    }

    /// Judges a new password.
    ///
    /// # Errors
    /// The rule it breaks.
    pub fn check(&self, password: &Password) -> Result<(), PasswordRefused> {
        if password.0.len() > PASSWORD_MAX_BYTES {
            return Err(PasswordRefused::TooLong);
        }
        let text = std::str::from_utf8(&password.0).map_err(|_| PasswordRefused::Untypable)?;
        if text.chars().any(char::is_control) {
            return Err(PasswordRefused::Untypable);
        }
        let min_chars = self.min_chars.max(1);
        if text.chars().count() < min_chars {
            return Err(PasswordRefused::TooShort { min_chars });
        }
        Ok(())
    }
}

/// The hash of a password as a PHC string. Prints as `…`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes a PHC string, such as another server's `$argon2id$…`.
    pub fn new(phc: impl Into<String>) -> Self {
        PasswordHash(phc.into())
    }

    /// The PHC string, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether [`verifies`] can work with it.
    pub fn is_readable(&self) -> bool {
        readable(&self.0).is_some()
    }
}

/// What a server keeps for SCRAM-SHA-256 (RFC 5802 §3). Its keys print as `…`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WireKeys", into = "WireKeys")]
pub struct ScramKeys {
    /// Random octets, sent to the client.
    pub salt: Vec<u8>,
    /// PBKDF2 rounds, sent to the client.
    pub iterations: u32,
    /// `H(ClientKey)`: what a client's proof is checked against.
    pub stored_key: [u8; 32],
    /// What we prove ourselves with.
    pub server_key: [u8; 32],
}

/// Under what SCRAM keys are made. All passwords of an account have the same, for a client is told them before it has
/// proved any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScramTerms {
    /// Random octets.
    pub salt: Vec<u8>,
    /// PBKDF2 rounds, 1 or more.
    pub iterations: u32,
}

impl ScramTerms {
    /// New ones.
    pub fn fresh() -> Self {
        ScramTerms { salt: chance::octets::<SALT_BYTES>().to_vec(), iterations: SCRAM_ITERATIONS }
    }
}

/// [`ScramKeys`] without the terms. Prints as `…`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ScramPair {
    /// See [`ScramKeys::stored_key`].
    pub stored_key: [u8; 32],
    /// See [`ScramKeys::server_key`].
    pub server_key: [u8; 32],
}

impl ScramKeys {
    pub(crate) fn pair(&self) -> ScramPair {
        ScramPair { stored_key: self.stored_key, server_key: self.server_key }
    }

    /// Whether they were made under these terms.
    pub(crate) fn are_under(&self, terms: &ScramTerms) -> bool {
        (&self.salt, self.iterations) == (&terms.salt, terms.iterations)
    }

    pub(crate) fn terms(&self) -> ScramTerms {
        ScramTerms { salt: self.salt.clone(), iterations: self.iterations }
    }
}

/// [`ScramKeys`] as they stand in a record: base64.
#[derive(Serialize, Deserialize)]
struct WireKeys {
    salt: String,
    iterations: u32,
    stored_key: String,
    server_key: String,
}

impl From<ScramKeys> for WireKeys {
    fn from(keys: ScramKeys) -> Self {
        WireKeys {
            salt: BASE64.encode(&keys.salt),
            iterations: keys.iterations,
            stored_key: BASE64.encode(keys.stored_key),
            server_key: BASE64.encode(keys.server_key),
        }
    }
}

impl TryFrom<WireKeys> for ScramKeys {
    type Error = &'static str;

    fn try_from(wire: WireKeys) -> Result<Self, Self::Error> {
        let octets = |text: &str| BASE64.decode(text).map_err(|_| "a SCRAM key is not base64");
        let key = |text: &str| octets(text)?.try_into().map_err(|_| "a SCRAM key has not 32 octets");
        if wire.iterations == 0 {
            return Err("SCRAM iterations are zero");
        }
        Ok(ScramKeys {
            salt: octets(&wire.salt)?,
            iterations: wire.iterations,
            stored_key: key(&wire.stored_key)?,
            server_key: key(&wire.server_key)?,
        })
    }
}

/// What is kept of one password. To have one is to know that the password kept the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secrets {
    /// argon2id.
    pub hash: PasswordHash,
    /// SCRAM-SHA-256.
    pub scram: ScramKeys,
}

/// Makes what we keep of a new password, its SCRAM keys under those terms.
///
/// Some 50 ms of one core and 19 MiB for that time: call it on a blocking thread.
///
/// # Errors
/// The rule the password breaks.
pub fn derive(password: &Password, rules: &PasswordRules, terms: &ScramTerms) -> Result<Secrets, PasswordRefused> {
    derive_with(password, rules, chance::octets(), terms)
}

/// [`derive()`] with a given salt for the hash.
///
/// # Errors
/// The rule the password breaks.
pub fn derive_with(
    password: &Password,
    rules: &PasswordRules,
    hash_salt: [u8; SALT_BYTES],
    terms: &ScramTerms,
) -> Result<Secrets, PasswordRefused> {
    rules.check(password)?;
    let hash = argon2().hash_password_with_salt(password.reveal(), &hash_salt);
    let hash = hash.expect("argon2 takes our salt and any password below 4 GiB").to_string();
    Ok(Secrets { hash: PasswordHash(hash), scram: scram_keys(password, terms) })
}

/// Whether `hash` is the hash of `password`. Some 20 ms of one core for hashes of ours; a blocking thread's work.
///
/// Where `hash` cannot be read, the answer is no after the same work.
pub fn verifies(password: &Password, hash: &PasswordHash) -> bool {
    // A longer one was never set. Its start is hashed all the same, so that the work stays the same and bounded.
    let offered = &password.0[..password.0.len().min(PASSWORD_MAX_BYTES)];
    let fits = offered.len() == password.0.len();
    let (known, hash) = match readable(hash.reveal()) {
        Some(hash) => (true, hash),
        None => (false, readable(NOBODYS_HASH).expect("a constant PHC string")),
    };
    // The parameters of the hash rule, not ours: old hashes stay good when ours grow.
    let right = argon2().verify_password(offered, &hash).is_ok();
    right && known && fits
}

/// RFC 5802 §3: SaltedPassword, ClientKey, StoredKey, ServerKey.
///
/// # Panics
/// When the iterations are 0.
pub fn scram_keys(password: &Password, terms: &ScramTerms) -> ScramKeys {
    let ScramTerms { salt, iterations } = terms.clone();
    let rounds = NonZeroU32::new(iterations).expect("PBKDF2 has at least one round");
    let mut salted = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, password.reveal(), &mut salted);
    let salted = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let client_key = hmac::sign(&salted, b"Client Key");
    ScramKeys {
        salt,
        iterations,
        stored_key: octets32(digest::digest(&digest::SHA256, client_key.as_ref()).as_ref()),
        server_key: octets32(hmac::sign(&salted, b"Server Key").as_ref()),
    }
}

/// A secret made once for each installation and kept in its store: it gives unknown users their steady salt.
#[derive(Clone, PartialEq, Eq)]
pub struct InstallationSecret([u8; 32]);

impl InstallationSecret {
    /// A new one, from chance.
    pub fn generate() -> Self {
        InstallationSecret(chance::octets())
    }

    /// The one that was kept.
    pub fn new(octets: [u8; 32]) -> Self {
        InstallationSecret(octets)
    }

    /// Its octets, to be kept.
    pub fn reveal(&self) -> &[u8; 32] {
        &self.0
    }

    /// Keys of a user who is not there (RFC 5802 §9): the same at every asking, and no password fits them.
    pub(crate) fn fake_keys(&self, login: &str) -> ScramKeys {
        let part = |part: &str| {
            let mut made = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
            made.update(part.as_bytes());
            made.update(login.as_bytes());
            octets32(made.sign().as_ref())
        };
        ScramKeys {
            salt: part("salt\0")[..SALT_BYTES].to_vec(),
            iterations: SCRAM_ITERATIONS,
            stored_key: part("stored\0"),
            server_key: part("server\0"),
        }
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(ARGON2_MEMORY_KIB, ARGON2_PASSES, ARGON2_LANES, None);
    Argon2::from(params.expect("constants within argon2's bounds"))
}

fn readable(phc: &str) -> Option<phc::PasswordHash> {
    let hash = phc::PasswordHash::new(phc).ok()?;
    let whole = hash.salt.is_some() && hash.hash.is_some();
    let ours = hash.algorithm.as_str().starts_with("argon2") && Params::try_from(&hash).is_ok();
    (whole && ours).then_some(hash)
}

fn octets32(octets: &[u8]) -> [u8; 32] {
    octets.try_into().expect("SHA-256 gives 32 octets")
}

/// `…`, whatever it is.
macro_rules! prints_as_ellipsis {
    ($($secret:ty),*) => {$(
        impl fmt::Debug for $secret {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("…")
            }
        }
    )*};
}

prints_as_ellipsis!(Password, PasswordHash, ScramKeys, ScramPair, InstallationSecret);

impl fmt::Display for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(salt: Vec<u8>) -> ScramTerms {
        ScramTerms { salt, iterations: 4096 }
    }

    fn password(text: &str) -> Password {
        Password::new(text)
    }

    #[test]
    fn secrets_print_as_an_ellipsis() {
        let secrets =
            derive(&password("pickles!"), &PasswordRules::default(), &ScramTerms::fresh()).expect("a good password");
        let installation = InstallationSecret::generate();
        assert_eq!(format!("{:?} {}", password("pickles"), password("pickles")), "… …");
        assert_eq!(format!("{secrets:?} {installation:?}"), "Secrets { hash: …, scram: … } …");
    }

    #[test]
    fn a_password_is_verified_against_its_own_hash_only() {
        let secrets =
            derive(&password("pickles!"), &PasswordRules::default(), &ScramTerms::fresh()).expect("a good password");
        assert!(secrets.hash.reveal().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(verifies(&password("pickles!"), &secrets.hash));
        assert!(!verifies(&password("pickles"), &secrets.hash));
        assert!(!verifies(&password(""), &secrets.hash));
    }

    #[test]
    fn the_same_salts_give_the_same_secrets_and_fresh_ones_differ() {
        let rules = PasswordRules::default();
        let with =
            |a, b| derive_with(&password("pickles!"), &rules, [a; 16], &terms(vec![b; 16])).expect("a good password");
        assert_eq!(with(1, 2), with(1, 2));
        assert_ne!(with(1, 2).hash, with(3, 2).hash);
        let fresh = || derive(&password("pickles!"), &rules, &ScramTerms::fresh()).expect("a good password");
        assert_ne!(fresh(), fresh());
    }

    /// Vectors of the reference implementation (phc-winner-argon2, test.c).
    #[test]
    fn hashes_of_other_servers_are_read() {
        let hashes = [
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
        ];
        for hash in hashes.map(PasswordHash::new) {
            assert!(hash.is_readable());
            assert!(verifies(&password("password"), &hash));
            assert!(!verifies(&password("passwore"), &hash));
        }
    }

    #[test]
    fn nobodys_hash_is_whole_costs_what_ours_cost_and_fits_nothing() {
        let hash = readable(NOBODYS_HASH).expect("a constant PHC string");
        assert_eq!(Params::try_from(&hash).expect("params").m_cost(), ARGON2_MEMORY_KIB);
        assert!(!verifies(&password(""), &PasswordHash::new(NOBODYS_HASH)));
        for broken in ["", "{SSHA}abc", "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGlzIGhlcmU", "$scrypt$ln=1$aaaa$bbbb"]
        {
            let hash = PasswordHash::new(broken);
            assert!(!hash.is_readable(), "{broken}");
            assert!(!verifies(&password("pickles"), &hash), "{broken}");
        }
    }

    #[test]
    fn the_rules_are_kept() {
        let rules = PasswordRules::default();
        let refused = |text: &[u8]| rules.check(&Password::new(text)).expect_err("refused");
        assert_eq!(refused(b""), PasswordRefused::TooShort { min_chars: 8 });
        assert_eq!(refused(b"pickles"), PasswordRefused::TooShort { min_chars: 8 });
        assert_eq!(refused("crêpes!".as_bytes()), PasswordRefused::TooShort { min_chars: 8 });
        assert_eq!(refused(b"pick\0les"), PasswordRefused::Untypable);
        assert_eq!(refused(b"pick\r\nles"), PasswordRefused::Untypable);
        assert_eq!(refused(b"pickles\xff"), PasswordRefused::Untypable);
        assert_eq!(refused(&[b'x'; 1025]), PasswordRefused::TooLong);
        assert_eq!(rules.check(&Password::new([b'x'; 1024])), Ok(()));
        assert_eq!(PasswordRules { min_chars: 6 }.check(&password("hungry")), Ok(()));
        for fewest in [PasswordRules { min_chars: 0 }, PasswordRules::none()] {
            assert_eq!(fewest.check(&password("")), Err(PasswordRefused::TooShort { min_chars: 1 }));
            assert_eq!(fewest.check(&password("x")), Ok(()));
        }
    }

    #[test]
    fn a_password_longer_than_any_we_set_is_wrong() {
        let longest = Password::new([b'x'; PASSWORD_MAX_BYTES]);
        let secrets = derive(&longest, &PasswordRules::default(), &ScramTerms::fresh()).expect("a good password");
        assert!(verifies(&longest, &secrets.hash));
        assert!(!verifies(&Password::new([b'x'; PASSWORD_MAX_BYTES + 1]), &secrets.hash));
    }

    /// RFC 7677 §3: the whole exchange of its example.
    #[test]
    fn scram_keys_are_those_of_the_rfc() {
        let decode = |text: &str| BASE64.decode(text).expect("base64");
        let keys = scram_keys(&password("pencil"), &terms(decode("W22ZaJ0SNY7soEsUEjb6gQ==")));
        let dialogue = concat!(
            "n=user,r=rOprNGfwEbeRWgbNEkqO,",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
        );
        let signed = |key: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), dialogue.as_bytes());
        let proof = decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        let client_key: Vec<u8> = proof.iter().zip(signed(&keys.stored_key).as_ref()).map(|(a, b)| a ^ b).collect();
        assert_eq!(digest::digest(&digest::SHA256, &client_key).as_ref(), keys.stored_key);
        assert_eq!(signed(&keys.server_key).as_ref(), decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
    }

    #[test]
    fn scram_keys_survive_their_record() {
        let keys = scram_keys(&password("pencil"), &terms(b"salt".to_vec()));
        let json = serde_json::to_string(&keys).expect("writes");
        assert_eq!(serde_json::from_str::<ScramKeys>(&json).expect("reads"), keys);
        for wrong in ["\"iterations\":0", "\"iterations\":-1"] {
            assert!(serde_json::from_str::<ScramKeys>(&json.replace("\"iterations\":4096", wrong)).is_err());
        }
        assert!(
            serde_json::from_str::<ScramKeys>(&json.replace("\"stored_key\":\"", "\"stored_key\":\"AAAA")).is_err()
        );
    }

    #[test]
    fn fake_keys_are_steady_and_each_users_own() {
        let secret = InstallationSecret::new([7; 32]);
        assert_eq!(secret.fake_keys("eve"), secret.fake_keys("eve"));
        assert_ne!(secret.fake_keys("eve").salt, secret.fake_keys("mallory").salt);
        assert_ne!(secret.fake_keys("eve").salt, InstallationSecret::new([8; 32]).fake_keys("eve").salt);
        assert_eq!(
            (secret.fake_keys("eve").salt.len(), secret.fake_keys("eve").iterations),
            (SALT_BYTES, SCRAM_ITERATIONS)
        );
    }
}
