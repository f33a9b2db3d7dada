//! What we read of a certificate ourselves: a fingerprint, the hash that channel binding wants, and mail addresses.
//!
//! RFC 5929 §4.1 (tls-server-end-point), RFC 5280 §4.1 (the outer shape of a certificate), §4.2.1.6 (subjectAltName), RFC 4055 §3.1 (PSS).
//!
//! Invariants: hostile octets give `None`, never a panic; nothing is trusted because of what is read here.
//! Not here: verification (rustls).

use aws_lc_rs::digest::{self, Algorithm, SHA224, SHA256, SHA384, SHA512};

/// Object identifiers of signature algorithms (DER content) and the hash each one uses.
/// RFC 5929 §4.1: where a certificate is signed with MD5 or SHA-1, SHA-256 is taken instead.
static SIGNATURES: &[(&[u8], &Algorithm)] = &[
    // 1.2.840.113549.1.1.x: md5, sha1, sha224, sha256, sha384, sha512 WithRSAEncryption
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04", &SHA256),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05", &SHA256),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0e", &SHA224),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b", &SHA256),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c", &SHA384),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d", &SHA512),
    // 1.2.840.10045.4.x: ecdsa-with-SHA1, -SHA224, -SHA256, -SHA384, -SHA512
    (b"\x2a\x86\x48\xce\x3d\x04\x01", &SHA256),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x01", &SHA224),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x02", &SHA256),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x03", &SHA384),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x04", &SHA512),
];

/// 1.2.840.113549.1.1.10, RSASSA-PSS: the hash stands in its parameters.
const PSS: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a";

/// Object identifiers of hashes, 2.16.840.1.101.3.4.2.x.
static HASHES: &[(&[u8], &Algorithm)] = &[
    (b"\x60\x86\x48\x01\x65\x03\x04\x02\x01", &SHA256),
    (b"\x60\x86\x48\x01\x65\x03\x04\x02\x02", &SHA384),
    (b"\x60\x86\x48\x01\x65\x03\x04\x02\x03", &SHA512),
    (b"\x60\x86\x48\x01\x65\x03\x04\x02\x04", &SHA224),
];

/// Object identifier of subjectAltName, 2.5.29.17.
const SUBJECT_ALT_NAME: &[u8] = b"\x55\x1d\x11";

/// So many addresses of one certificate are looked at: more than anybody has.
const ADDRESSES_MAX: usize = 16;

/// RFC 5321 §4.5.3.1: no address is longer, in octets.
const ADDRESS_MAX: usize = 320;

const BOOLEAN: u8 = 0x01;
const OCTET_STRING: u8 = 0x04;
const EXTENSIONS: u8 = 0xa3;
const RFC822_NAME: u8 = 0x81;
const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
const EXPLICIT_0: u8 = 0xa0;

/// The channel binding `tls-server-end-point` of a certificate in DER. `None` where RFC 5929 §4.1 leaves it undefined:
/// signature algorithms without one hash (Ed25519), or unknown ones.
pub fn end_point_hash(certificate: &[u8]) -> Option<Vec<u8>> {
    let hash = signature_hash(certificate)?;
    Some(digest::digest(hash, certificate).as_ref().to_vec())
}

/// The SHA-256 fingerprint of a certificate in DER, as people compare it: `3F:A0:…`, 95 characters.
pub fn fingerprint(certificate: &[u8]) -> String {
    let hash = digest::digest(&SHA256, certificate);
    hash.as_ref().iter().map(|octet| format!("{octet:02X}")).collect::<Vec<_>>().join(":")
}

/// The mail addresses that a certificate in DER is for: `rfc822Name` of its subjectAltName. Those in the subject's name do
/// not count (RFC 5280 §4.1.2.6).
pub fn addresses(certificate: &[u8]) -> Vec<String> {
    let Some(mut names) = alternative_names(certificate) else { return Vec::new() };
    let mut found = Vec::new();
    while let Some((tag, name, rest)) = any_element(names).filter(|_| found.len() < ADDRESSES_MAX) {
        names = rest;
        let legal = name.len() <= ADDRESS_MAX && name.contains(&b'@') && name.iter().all(u8::is_ascii_graphic);
        if tag == RFC822_NAME && legal {
            found.push(String::from_utf8_lossy(name).into_owned());
        }
    }
    found
}

/// GeneralNames of the extension. TBSCertificate ::= SEQUENCE { …, extensions [3] EXPLICIT SEQUENCE OF Extension }
fn alternative_names(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (mut signed, _) = element(certificate, SEQUENCE)?;
    let extensions = loop {
        let (tag, content, rest) = any_element(signed)?;
        if tag == EXTENSIONS {
            break content;
        }
        signed = rest;
    };
    let (mut extensions, _) = element(extensions, SEQUENCE)?;
    while let Some((extension, rest)) = element(extensions, SEQUENCE) {
        extensions = rest;
        let (identifier, value) = element(extension, OBJECT_IDENTIFIER)?;
        if identifier == SUBJECT_ALT_NAME {
            // It may say that it is critical.
            let value = element(value, BOOLEAN).map_or(value, |(_, rest)| rest);
            let (value, _) = element(value, OCTET_STRING)?;
            return element(value, SEQUENCE).map(|(names, _)| names);
        }
    }
    None
}

/// Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm AlgorithmIdentifier, signatureValue }
fn signature_hash(certificate: &[u8]) -> Option<&'static Algorithm> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (_to_be_signed, rest) = element(certificate, SEQUENCE)?;
    let (identifier, parameters) = algorithm(rest)?;
    if identifier == PSS { pss_hash(parameters) } else { look_up(SIGNATURES, identifier) }
}

/// RSASSA-PSS-params ::= SEQUENCE { hashAlgorithm [0] AlgorithmIdentifier DEFAULT sha1, … }
fn pss_hash(parameters: &[u8]) -> Option<&'static Algorithm> {
    let (parameters, _) = element(parameters, SEQUENCE)?;
    match element(parameters, EXPLICIT_0) {
        Some((hash, _)) => look_up(HASHES, algorithm(hash)?.0),
        None => Some(&SHA256), // SHA-1 by default, and SHA-256 in its stead
    }
}

/// AlgorithmIdentifier ::= SEQUENCE { algorithm OBJECT IDENTIFIER, parameters ANY OPTIONAL }
fn algorithm(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (inside, _) = element(der, SEQUENCE)?;
    element(inside, OBJECT_IDENTIFIER)
}

fn look_up(table: &[(&[u8], &'static Algorithm)], identifier: &[u8]) -> Option<&'static Algorithm> {
    table.iter().find(|(known, _)| *known == identifier).map(|(_, hash)| *hash)
}

/// The content of the element at the front, if it has this tag, and what stands behind it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    any_element(der).filter(|(found, ..)| *found == tag).map(|(_, content, rest)| (content, rest))
}

/// The tag and the content of the element at the front, and what stands behind it.
fn any_element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // Four octets of length are 4 GiB; no certificate is longer.
        0x81..=0x84 => {
            let (len, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (len.iter().fold(0, |len, &octet| len << 8 | usize::from(octet)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(len).map(|(content, rest)| (tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let len = content.len();
        match len {
            0..=0x7f => [&[tag, len as u8], content].concat(),
            _ => [&[tag, 0x82, (len >> 8) as u8, len as u8], content].concat(),
        }
    }

    fn certificate(identifier: &[u8], parameters: &[u8]) -> Vec<u8> {
        let algorithm = der(SEQUENCE, &[der(OBJECT_IDENTIFIER, identifier), parameters.to_vec()].concat());
        der(SEQUENCE, &[der(SEQUENCE, &[7; 300]), algorithm, der(3, &[0; 65])].concat())
    }

    fn hash_len(identifier: &[u8], parameters: &[u8]) -> Option<usize> {
        end_point_hash(&certificate(identifier, parameters)).map(|hash| hash.len())
    }

    #[test]
    fn the_hash_is_that_of_the_signature() {
        assert_eq!(hash_len(b"\x2a\x86\x48\xce\x3d\x04\x03\x02", b""), Some(32));
        assert_eq!(hash_len(b"\x2a\x86\x48\xce\x3d\x04\x03\x03", b""), Some(48));
        assert_eq!(hash_len(b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d", b"\x05\x00"), Some(64));
    }

    fn with_names(names: &[(u8, &[u8])], critical: bool) -> Vec<u8> {
        let names: Vec<u8> = names.iter().flat_map(|(tag, name)| der(*tag, name)).collect();
        let critical = if critical { der(BOOLEAN, b"\xff") } else { Vec::new() };
        let value = der(OCTET_STRING, &der(SEQUENCE, &names));
        let other = der(SEQUENCE, &[der(OBJECT_IDENTIFIER, b"\x55\x1d\x0f"), der(OCTET_STRING, b"x")].concat());
        let extension = der(SEQUENCE, &[der(OBJECT_IDENTIFIER, SUBJECT_ALT_NAME), critical, value].concat());
        let extensions = der(EXTENSIONS, &der(SEQUENCE, &[other, extension].concat()));
        der(SEQUENCE, &der(SEQUENCE, &[der(0xa0, b"\x02\x01\x02"), der(2, b"\x07"), extensions].concat()))
    }

    #[test]
    fn addresses_are_those_of_the_subject() {
        let long = [&[b'a'; 400][..], b"@a.test"].concat();
        let names: [(u8, &[u8]); 6] = [
            (0x82, b"laptop.a.test"),
            (RFC822_NAME, b"joe@a.test"),
            (RFC822_NAME, b"nobody"),
            (RFC822_NAME, b"a\0b@a.test"),
            (RFC822_NAME, &long),
            (RFC822_NAME, b"sales@b.test"),
        ];
        for critical in [false, true] {
            assert_eq!(addresses(&with_names(&names, critical)), ["joe@a.test", "sales@b.test"]);
        }
        let many = [(RFC822_NAME, &b"a@b"[..]); 100];
        assert_eq!(addresses(&with_names(&many, false)).len(), ADDRESSES_MAX);
        assert!(addresses(&certificate(PSS, b"")).is_empty());
    }

    #[test]
    fn md5_and_sha1_become_sha256() {
        assert_eq!(hash_len(b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04", b"\x05\x00"), Some(32));
        assert_eq!(hash_len(b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05", b"\x05\x00"), Some(32));
        assert_eq!(hash_len(PSS, &der(SEQUENCE, b"")), Some(32));
    }

    #[test]
    fn pss_says_its_hash_in_the_parameters() {
        let sha384 = der(SEQUENCE, &der(OBJECT_IDENTIFIER, HASHES[1].0));
        let parameters = der(SEQUENCE, &der(EXPLICIT_0, &sha384));
        assert_eq!(hash_len(PSS, &parameters), Some(48));
    }

    #[test]
    fn ed25519_has_no_such_binding() {
        assert_eq!(hash_len(b"\x2b\x65\x70", b""), None);
    }

    #[test]
    fn a_fingerprint_is_what_openssl_prints() {
        let expected =
            "BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD";
        assert_eq!(fingerprint(b"abc"), expected);
    }

    proptest! {
        #[test]
        fn nothing_hostile_panics(octets in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..420, octet: u8) {
            let _ = (end_point_hash(&octets), addresses(&octets));
            let mut named = with_names(&[(RFC822_NAME, b"joe@a.test")], true);
            let place = at % named.len();
            named[place] = octet;
            let _ = (addresses(&named), addresses(&named[..place]));
            let mut near = certificate(PSS, &der(SEQUENCE, b""));
            let at = at % near.len();
            near[at] = octet;
            let _ = end_point_hash(&near);
            let _ = end_point_hash(&near[..at]);
        }
    }
}
