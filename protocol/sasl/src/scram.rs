//! SCRAM: the messages, read and written, and the arithmetic of keys, for both sides.
//!
//! RFC 5802 §3 (keys and signatures), §5.1 (attributes), §7 (grammar); RFC 7677 §3 (SHA-256).
//!
//! Invariants: every comparison of what depends on a secret takes the same time whatever differs;
//! the names inside a message are free of NUL and within limits, nonces are printable.
//! Not here: who speaks when (server, client).

use crate::wire;
use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use line::Secured;
use std::num::NonZeroU32;

/// A nonce of one side, in characters. We send 24; libraries send up to about 100.
const NONCE_MAX: usize = 512;

/// The length of a SHA-256 hash, so of keys, proofs and signatures.
pub(crate) const HASH_LEN: usize = 32;

pub(crate) type Hash = [u8; HASH_LEN];

/// What a server keeps of the passwords of a login to check a SCRAM proof. It does not contain them, and who steals it
/// cannot log in with it, but can guess at leisure.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    /// Random, 16 octets or so. The client is told it before it proves anything, so all passwords of a login have the same.
    pub salt: Vec<u8>,
    /// Rounds of PBKDF2; RFC 7677 §4 wants 4,096 at least.
    pub iterations: NonZeroU32,
    /// Those of each password. All are tried: how many there are shows in the time.
    pub pairs: Vec<KeyPair>,
}

/// What is kept of one password. Prints as `…`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyPair {
    /// The hash of the key that a client proves to have.
    pub stored_key: [u8; HASH_LEN],
    /// The key with which the server proves itself.
    pub server_key: [u8; HASH_LEN],
}

impl ScramKeys {
    /// The keys of a password, which is prepared first. Costs about 0.2 ms for each 1,000 `iterations`.
    pub fn derive(password: &[u8], salt: &[u8], iterations: NonZeroU32) -> Self {
        let salted = Salted::derive(password, salt, iterations);
        let pair = KeyPair { stored_key: sha256(&salted.client_key()), server_key: salted.server_key() };
        ScramKeys { salt: salt.to_vec(), iterations, pairs: vec![pair] }
    }
}

impl std::fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ScramKeys({} iterations, …)", self.iterations)
    }
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl KeyPair {
    /// Whether a client that has signed this text has the password.
    pub(crate) fn is_proved(&self, proof: &Hash, signed: &str) -> bool {
        let client_key = xor(proof, &sign(&self.stored_key, signed));
        same(&sha256(&client_key), &self.stored_key)
    }
}

/// The salted password, from which both keys come.
pub(crate) struct Salted(hmac::Key);

impl Salted {
    pub(crate) fn derive(password: &[u8], salt: &[u8], iterations: NonZeroU32) -> Self {
        let mut salted = [0; HASH_LEN];
        let password = crate::prepared_password(password);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, password.reveal(), &mut salted);
        Salted(hmac::Key::new(hmac::HMAC_SHA256, &salted))
    }

    pub(crate) fn client_key(&self) -> Hash {
        hash_of(&hmac::sign(&self.0, b"Client Key"))
    }

    pub(crate) fn server_key(&self) -> Hash {
        hash_of(&hmac::sign(&self.0, b"Server Key"))
    }
}

/// The signature of `text` by `key`.
pub(crate) fn sign(key: &Hash, text: &str) -> Hash {
    hash_of(&hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()))
}

/// `key` hidden or revealed by `signature`.
pub(crate) fn xor(key: &Hash, signature: &Hash) -> Hash {
    std::array::from_fn(|at| key[at] ^ signature[at])
}

pub(crate) fn sha256(octets: &[u8]) -> Hash {
    let mut hash = [0; HASH_LEN];
    hash.copy_from_slice(digest::digest(&digest::SHA256, octets).as_ref());
    hash
}

/// Whether two hashes are the same, in constant time.
pub(crate) fn same(one: &Hash, other: &Hash) -> bool {
    constant_time::verify_slices_are_equal(one, other).is_ok()
}

fn hash_of(tag: &hmac::Tag) -> Hash {
    let mut hash = [0; HASH_LEN];
    hash.copy_from_slice(tag.as_ref());
    hash
}

/// How a client stands to channel binding (RFC 5802 §6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Flag {
    /// `n`: it cannot, or will not.
    Unable,
    /// `y`: it could, but believes the server cannot.
    Unoffered,
    /// `p=`: it binds to the channel by this type.
    Bound(String),
}

/// The binding types we know, best first. `tls-unique` is unsafe before TLS 1.3 without extended master secret and
/// void in TLS 1.3 (RFC 9266 §3), so it is not among them.
pub(crate) const TLS_EXPORTER: &str = "tls-exporter";
pub(crate) const TLS_SERVER_END_POINT: &str = "tls-server-end-point";

/// What a channel has under a binding type.
pub(crate) fn binding<'a>(channel: &'a Secured, kind: &str) -> Option<&'a [u8]> {
    match kind {
        TLS_EXPORTER => channel.exporter.as_deref(),
        TLS_SERVER_END_POINT => channel.server_end_point.as_deref(),
        _ => None,
    }
}

/// The message a client begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientFirst {
    pub(crate) flag: Flag,
    pub(crate) acting_for: Option<String>,
    pub(crate) login: String,
    pub(crate) nonce: String,
    /// The part that is signed, as it came.
    pub(crate) bare: String,
    /// The part that goes into `c=`, as it came.
    pub(crate) gs2: String,
}

impl ClientFirst {
    pub(crate) fn compose(flag: Flag, acting_for: Option<&str>, login: &str, nonce: &str) -> Self {
        let flag_text = match &flag {
            Flag::Unable => "n".to_owned(),
            Flag::Unoffered => "y".to_owned(),
            Flag::Bound(kind) => format!("p={kind}"),
        };
        let acting_text = acting_for.map(|name| format!("a={}", escaped(name))).unwrap_or_default();
        ClientFirst {
            flag,
            acting_for: acting_for.map(str::to_owned),
            login: login.to_owned(),
            nonce: nonce.to_owned(),
            bare: format!("n={},r={nonce}", escaped(login)),
            gs2: format!("{flag_text},{acting_text},"),
        }
    }

    pub(crate) fn write(&self) -> String {
        format!("{}{}", self.gs2, self.bare)
    }

    pub(crate) fn parse(message: &[u8]) -> Option<Self> {
        let text = text(message)?;
        let (flag_text, rest) = text.split_once(',')?;
        let (acting_text, bare) = rest.split_once(',')?;
        let acting_for = match acting_text {
            "" => None,
            _ => Some(unescaped(acting_text.strip_prefix("a=")?)?),
        };
        // RFC 5802 §5.1: a mandatory extension, `m=`, would stand before `n=`, and we know none.
        let mut attributes = bare.split(',');
        let login = unescaped(attributes.next()?.strip_prefix("n=")?)?;
        let nonce = attributes.next()?.strip_prefix("r=").filter(|nonce| is_nonce(nonce))?;
        let gs2 = &text[..text.len() - bare.len()];
        attributes
            .all(is_extension)
            .then(|| ClientFirst {
                flag: Flag::Unable,
                acting_for,
                login,
                nonce: nonce.to_owned(),
                bare: bare.to_owned(),
                gs2: gs2.to_owned(),
            })?
            .with_flag(flag_text)
    }

    fn with_flag(mut self, text: &str) -> Option<Self> {
        self.flag = match text {
            "n" => Flag::Unable,
            "y" => Flag::Unoffered,
            _ => Flag::Bound(text.strip_prefix("p=").filter(|kind| is_binding_name(kind))?.to_owned()),
        };
        Some(self)
    }
}

/// The message a server answers with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerFirst {
    /// Both nonces, the client's in front.
    pub(crate) nonce: String,
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: NonZeroU32,
}

impl ServerFirst {
    pub(crate) fn write(&self) -> String {
        format!("r={},s={},i={}", self.nonce, wire::encode(&self.salt), self.iterations)
    }

    pub(crate) fn parse(message: &[u8]) -> Option<Self> {
        let mut attributes = text(message)?.split(',');
        let nonce = attributes.next()?.strip_prefix("r=").filter(|nonce| is_nonce(nonce))?.to_owned();
        let salt = wire::decode(attributes.next()?.strip_prefix("s=")?.as_bytes()).filter(|salt| !salt.is_empty())?;
        let iterations = positive(attributes.next()?.strip_prefix("i=")?)?;
        attributes.all(is_extension).then_some(ServerFirst { nonce, salt, iterations })
    }
}

/// The message with the client's proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientFinal {
    /// The content of `c=`: the GS2 header and the binding.
    pub(crate) bound: Vec<u8>,
    pub(crate) nonce: String,
    pub(crate) proof: Hash,
    /// The part that is signed, as it came.
    pub(crate) without_proof: String,
}

impl ClientFinal {
    /// The part that is signed.
    pub(crate) fn without_proof(bound: &[u8], nonce: &str) -> String {
        format!("c={},r={nonce}", wire::encode(bound))
    }

    pub(crate) fn write(&self) -> String {
        format!("{},p={}", self.without_proof, wire::encode(&self.proof))
    }

    pub(crate) fn parse(message: &[u8]) -> Option<Self> {
        let (without_proof, proof) = text(message)?.rsplit_once(",p=")?;
        let mut attributes = without_proof.split(',');
        let bound = wire::decode(attributes.next()?.strip_prefix("c=")?.as_bytes())?;
        let nonce = attributes.next()?.strip_prefix("r=").filter(|nonce| is_nonce(nonce))?.to_owned();
        let proof = wire::decode(proof.as_bytes())?.try_into().ok()?;
        let without_proof = without_proof.to_owned();
        attributes.all(is_extension).then_some(ClientFinal { bound, nonce, proof, without_proof })
    }
}

/// The last word of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ServerFinal {
    /// It knows the keys too.
    Verifier(Hash),
    /// It refuses, for this reason.
    Error(String),
}

impl ServerFinal {
    pub(crate) fn write(&self) -> String {
        match self {
            ServerFinal::Verifier(signature) => format!("v={}", wire::encode(signature)),
            ServerFinal::Error(reason) => format!("e={reason}"),
        }
    }

    pub(crate) fn parse(message: &[u8]) -> Option<Self> {
        let mut attributes = text(message)?.split(',');
        let first = attributes.next()?;
        let word = match first.strip_prefix("v=") {
            Some(signature) => ServerFinal::Verifier(wire::decode(signature.as_bytes())?.try_into().ok()?),
            None => ServerFinal::Error(first.strip_prefix("e=").filter(|reason| !reason.is_empty())?.to_owned()),
        };
        attributes.all(is_extension).then_some(word)
    }
}

/// RFC 5802 §3: what both sides sign.
pub(crate) fn auth_message(client_first_bare: &str, server_first: &str, client_final_without_proof: &str) -> String {
    format!("{client_first_bare},{server_first},{client_final_without_proof}")
}

/// Whether a text may stand behind `r=`. Twice [`NONCE_MAX`], for it may be both sides' nonces in one.
pub(crate) fn is_nonce(text: &str) -> bool {
    let printable = |octet: u8| octet.is_ascii_graphic() && octet != b',';
    !text.is_empty() && text.len() <= 2 * NONCE_MAX && text.bytes().all(printable)
}

/// A message as text: UTF-8 without NUL, within the limit.
fn text(message: &[u8]) -> Option<&str> {
    if message.len() > crate::MESSAGE_MAX || message.contains(&0) {
        return None;
    }
    std::str::from_utf8(message).ok()
}

/// RFC 5802 §7: `attr-val`, which we let pass unread.
fn is_extension(text: &str) -> bool {
    matches!(text.as_bytes(), [name, b'=', _, ..] if name.is_ascii_alphabetic())
}

fn is_binding_name(text: &str) -> bool {
    let allowed = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'.' || octet == b'-';
    !text.is_empty() && text.bytes().all(allowed)
}

/// RFC 5802 §7: `posit-number`: no zero in front, no sign.
fn positive(text: &str) -> Option<NonZeroU32> {
    let plain = text.bytes().all(|octet| octet.is_ascii_digit()) && !text.starts_with('0');
    plain.then(|| text.parse().ok())?
}

fn escaped(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

/// RFC 5802 §5.1: an `=` that begins neither `=2C` nor `=3D` fails.
fn unescaped(text: &str) -> Option<String> {
    if text.is_empty() || text.len() > 3 * crate::LOGIN_MAX {
        return None;
    }
    let mut pieces = text.split('=');
    let mut name = pieces.next()?.to_owned();
    for piece in pieces {
        let (sign, rest) = match piece.strip_prefix("2C") {
            Some(rest) => (',', rest),
            None => ('=', piece.strip_prefix("3D")?),
        };
        name.push(sign);
        name.push_str(rest);
    }
    (name.len() <= crate::LOGIN_MAX).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_first_message_of_a_client() {
        let wrong = [
            "",
            "n",
            "n,",
            "n,,",
            "n,,n=,r=x",
            "n,,n=u",
            "n,,n=u,r=",
            "n,,r=x,n=u",
            "n,,m=1,n=u,r=x",
            "x,,n=u,r=x",
            "p=,,n=u,r=x",
            "p=a b,,n=u,r=x",
            "p,,n=u,r=x",
            "n,b=z,n=u,r=x",
            "n,a=,n=u,r=x",
            "n,,n=a=b,r=x",
            "n,,n=a=2c,r=x",
            "n,,n=u,r=x y",
            "n,,n=u,r=\u{e9}",
            "n,,n=u,r=x,",
            "n,,n=u,r=x,1=y",
            "n,,n=u,r=x,y=",
            "n,,n=u\0,r=x",
            "N,,n=u,r=x",
        ];
        for text in wrong {
            assert_eq!(ClientFirst::parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(ClientFirst::parse(b"n,,n=\xff,r=x"), None);
        let long = format!("n,,n={},r=x", "u".repeat(crate::LOGIN_MAX + 1));
        assert_eq!(ClientFirst::parse(long.as_bytes()), None);
        let first = ClientFirst::parse(b"y,a=x=2Cy,n=u=3Dv,r=z,q=ignored").expect("a first message");
        assert_eq!((first.flag, first.acting_for.as_deref(), &first.login[..]), (Flag::Unoffered, Some("x,y"), "u=v"));
        assert_eq!((&first.gs2[..], &first.bare[..]), ("y,a=x=2Cy,", "n=u=3Dv,r=z,q=ignored"));
    }

    #[test]
    fn what_is_no_other_message() {
        for text in [
            "",
            "r=x",
            "r=x,s=YQ==",
            "r=x,s=YQ==,i=0",
            "r=x,s=YQ==,i=01",
            "r=x,s=YQ==,i=+1",
            "r=x,s=,i=1",
            "r=x,s=YQ,i=1",
            "m=y,r=x,s=YQ==,i=1",
            "r=x,s=YQ==,i=4294967296",
            "r=x,s=YQ==,i=1,",
            "s=YQ==,r=x,i=1",
        ] {
            assert_eq!(ServerFirst::parse(text.as_bytes()), None, "{text:?}");
        }
        for text in
            ["", "c=biws", "c=biws,r=x", "c=biws,r=x,p=", "c=biws,r=x,p=YQ==", "r=x,c=biws,p=YQ==", "c=*,r=x,p=YQ=="]
        {
            assert_eq!(ClientFinal::parse(text.as_bytes()), None, "{text:?}");
        }
        for text in ["", "v=", "v=YQ==", "e=", "x=y", "v"] {
            assert_eq!(ServerFinal::parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(ServerFinal::parse(b"e=other-error,x=y"), Some(ServerFinal::Error("other-error".into())));
    }

    #[test]
    fn keys_do_not_print() {
        let iterations = NonZeroU32::new(4096).expect("not zero");
        let keys = ScramKeys::derive(b"pickles", b"salt", iterations);
        assert_eq!(format!("{keys:?}"), "ScramKeys(4096 iterations, …)");
    }

    fn names() -> impl Strategy<Value = String> {
        "[a-z=,@\u{e9}\u{4e2d}]{1,30}"
    }

    fn nonces() -> impl Strategy<Value = String> {
        "[!-+--~]{1,60}"
    }

    proptest! {
        #[test]
        fn parse_after_write_is_identity(
            login in names(), acting_for in proptest::option::of(names()), nonce in nonces(), flag in 0..3,
            salt in proptest::collection::vec(any::<u8>(), 1..40), iterations in 1u32.., bound in proptest::collection::vec(any::<u8>(), 0..60),
            proof in any::<Hash>(),
        ) {
            let flag = [Flag::Unable, Flag::Unoffered, Flag::Bound(TLS_EXPORTER.into())][flag as usize].clone();
            let first = ClientFirst::compose(flag, acting_for.as_deref(), &login, &nonce);
            prop_assert_eq!(ClientFirst::parse(first.write().as_bytes()), Some(first));
            let reply = ServerFirst { nonce: nonce.clone(), salt, iterations: NonZeroU32::new(iterations).expect("not zero") };
            prop_assert_eq!(ServerFirst::parse(reply.write().as_bytes()), Some(reply));
            let last = ClientFinal { without_proof: ClientFinal::without_proof(&bound, &nonce), bound, nonce, proof };
            prop_assert_eq!(ClientFinal::parse(last.write().as_bytes()), Some(last));
            let word = ServerFinal::Verifier(proof);
            prop_assert_eq!(ServerFinal::parse(word.write().as_bytes()), Some(word));
        }

        #[test]
        fn no_message_makes_a_parser_stumble(message in proptest::collection::vec(any::<u8>(), 0..80), text in "[a-z=,]{0,40}") {
            for message in [&message[..], text.as_bytes()] {
                ClientFirst::parse(message);
                ServerFirst::parse(message);
                ClientFinal::parse(message);
                ServerFinal::parse(message);
            }
        }
    }
}
