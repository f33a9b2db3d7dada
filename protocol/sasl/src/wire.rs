//! Base64 as the lines of a dialogue carry it.
//!
//! RFC 4648 §3.2–3.5 (padding needed, no foreign characters, no loose bits), §4 (alphabet); RFC 4422 §3.3.
//!
//! Invariants: `decode(encode(m)) == m`; one message has one text.
//! Not here: `*`, which cancels and is no base64 (the dialogues).

use base64::{Engine, engine::general_purpose::STANDARD};

/// The text of a message.
pub fn encode(message: &[u8]) -> String {
    STANDARD.encode(message)
}

/// The message of a text; `None` if it is no base64 or longer than [`crate::LINE_MAX`].
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    if text.len() > crate::LINE_MAX {
        return None;
    }
    STANDARD.decode(text).ok()
}

/// An initial response beside the command: as [`decode`], but `=` stands for an empty one (RFC 4954 §4, RFC 5034 §4).
pub fn decode_initial(text: &[u8]) -> Option<Vec<u8>> {
    match text {
        b"=" => Some(Vec::new()),
        b"" => None,
        _ => decode(text),
    }
}

/// The text of an initial response beside the command; `=` for an empty one.
pub fn encode_initial(message: &[u8]) -> String {
    if message.is_empty() { "=".to_owned() } else { encode(message) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_clean_base64_is_read() {
        for text in ["YQ", "YQ=", "YR==", "Y Q==", "YQ==\r", "====", "*", "-_==", "YQ==YQ=="] {
            assert_eq!(decode(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(decode(b""), Some(vec![]));
        assert_eq!(decode_initial(b"="), Some(vec![]));
        assert_eq!(decode_initial(b""), None);
        assert_eq!(decode(&vec![b'A'; crate::LINE_MAX + 4]), None);
    }

    proptest! {
        #[test]
        fn decode_after_encode_is_identity(message in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(decode(encode(&message).as_bytes()), Some(message.clone()));
            prop_assert_eq!(decode_initial(encode_initial(&message).as_bytes()), Some(message));
        }
    }
}
