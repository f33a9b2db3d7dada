//! The rules of TLS, shown by handshakes over real sockets on loopback.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustls::{ClientConfig, HandshakeKind};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsConnector, TlsStream};

use super::*;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn identity(of: &[&str]) -> Identity {
    let dir = tempfile::tempdir().expect("a directory");
    self_signed(&names(of), dir.path()).expect("a certificate")
}

fn server(identities: &[&Identity]) -> ServerTls {
    ServerTls::new(identities.iter().map(|&identity| identity.clone()).collect()).expect("identities")
}

fn trusting(identities: &[&Identity]) -> Trust {
    Trust::Roots(identities.iter().map(|identity| identity.certificate().clone()).collect())
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let theirs = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connected");
    (theirs, listener.accept().await.expect("accepted").0)
}

type Shaken = Result<(Box<TlsStream<TcpStream>>, Secured), TlsError>;

/// Both sides' view of a handshake: the server's, the client's.
async fn shake(server: &ServerTls, client: &ClientTls, host: &str) -> (Shaken, Shaken) {
    let (theirs, ours) = pair().await;
    tokio::join!(server.accept(ours), client.connect(theirs, host))
}

fn untrusted(shaken: Shaken) -> String {
    match shaken {
        Err(TlsError::Untrusted(reason)) => reason,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("trusted"),
    }
}

#[tokio::test]
async fn the_certificate_is_chosen_by_name() {
    let (one, two) = (identity(&["one.example.org", "*.one.example.org"]), identity(&["two.example.org"]));
    let server = server(&[&one, &two]);
    let client = ClientTls::verifying(trusting(&[&one, &two])).expect("roots");
    for (host, expected) in [("one.example.org", &one), ("TWO.example.org", &two), ("sub.one.example.org", &one)] {
        let (ours, theirs) = shake(&server, &client, host).await;
        let (ours, theirs) = (ours.expect("shaken").1, theirs.expect("shaken").1);
        assert_eq!(ours.server_end_point, end_point_hash(expected.certificate()), "{host}");
        assert_eq!(ours.server_end_point, theirs.server_end_point, "{host}");
        assert_eq!(ours.server_name.as_deref(), Some(&host.to_lowercase()[..]));
    }
}

#[tokio::test]
async fn unknown_names_see_the_first_certificate() {
    let (one, two) = (identity(&["one.example.org"]), identity(&["two.example.org"]));
    let server = server(&[&one, &two]);
    let client = ClientTls::opportunistic(trusting(&[&one])).expect("roots");
    for host in ["three.example.org", "127.0.0.1"] {
        let (ours, theirs) = shake(&server, &client, host).await;
        let (ours, theirs) = (ours.expect("shaken").1, theirs.expect("shaken").1);
        assert_eq!(ours.server_end_point, end_point_hash(one.certificate()), "{host}");
        assert!(!theirs.verified, "{host}");
    }
}

#[tokio::test]
async fn opportunistic_encrypts_with_anyone_and_tells_whom_it_verified() {
    let (one, other) = (identity(&["one.example.org"]), identity(&["one.example.org"]));
    let server = server(&[&one]);
    for (trust, host, verified) in [
        (trusting(&[&one]), "one.example.org", true),
        (trusting(&[&one]), "one.example.org.", true),
        (trusting(&[&one]), "two.example.org", false),
        (trusting(&[&other]), "one.example.org", false),
        (Trust::Roots(Vec::new()), "one.example.org", false),
    ] {
        let client = ClientTls::opportunistic(trust).expect("roots");
        let (ours, theirs) = shake(&server, &client, host).await;
        assert!(ours.is_ok());
        assert_eq!(theirs.expect("shaken").1.verified, verified, "{host}");
    }
}

#[tokio::test]
async fn verifying_says_why_it_does_not_trust() {
    let (one, other) = (identity(&["one.example.org"]), identity(&["one.example.org"]));
    let server = server(&[&one]);
    let client = ClientTls::verifying(trusting(&[&one])).expect("roots");
    let (ours, theirs) = shake(&server, &client, "two.example.org").await;
    let reason = untrusted(theirs);
    assert!(reason.contains("one.example.org") && reason.contains("two.example.org"), "{reason}");
    assert!(matches!(ours, Err(TlsError::Refused(_))));
    let client = ClientTls::verifying(trusting(&[&other])).expect("roots");
    assert!(ClientTls::verifying(Trust::Roots(Vec::new())).is_err(), "who trusts nobody cannot verify");
    let reason = untrusted(shake(&server, &client, "one.example.org").await.1);
    assert!(reason.contains("authority"), "{reason}");
    let (_ours, theirs) = shake(&server, &client, "not a name").await;
    assert!(matches!(theirs, Err(TlsError::BadHost(_))));
}

#[tokio::test]
async fn an_expired_certificate_is_called_so() {
    let mut wanted = rcgen::CertificateParams::new(names(&["old.example.org"])).expect("a name");
    wanted.not_before = rcgen::date_time_ymd(2001, 1, 1);
    wanted.not_after = rcgen::date_time_ymd(2002, 1, 1);
    let pair = rcgen::KeyPair::generate().expect("a key");
    let certificate = wanted.self_signed(&pair).expect("a certificate");
    let old = Identity::from_pem("old", certificate.pem().as_bytes(), pair.serialize_pem().as_bytes()).expect("fits");
    let client = ClientTls::verifying(trusting(&[&old])).expect("roots");
    let reason = untrusted(shake(&server(&[&old]), &client, "old.example.org").await.1);
    assert!(reason.contains("expired"), "{reason}");
}

#[tokio::test]
async fn reloading_changes_what_is_shown_and_disturbs_nobody() {
    let (before, after) = (identity(&["one.example.org"]), identity(&["one.example.org"]));
    let server = server(&[&before]);
    let clone = server.speaking(&["imap"]);
    let client = ClientTls::opportunistic(trusting(&[&after])).expect("roots").speaking(&["imap"]);
    let (ours, theirs) = shake(&clone, &client, "one.example.org").await;
    let (mut ours, mut theirs) = (ours.expect("shaken").0, theirs.expect("shaken"));
    assert!(!theirs.1.verified);
    assert!(server.reload(Vec::new(), None).is_err(), "nothing to show is an error");
    server.reload(vec![after], None).expect("reloaded");
    let again = shake(&clone, &client, "one.example.org").await.1;
    assert!(again.expect("shaken").1.verified, "the new one is shown, in clones too");
    ours.write_all(b"still here").await.expect("written");
    ours.flush().await.expect("written");
    let mut heard = [0; 10];
    theirs.0.read_exact(&mut heard).await.expect("the old connection lives");
    assert_eq!(&heard, b"still here");
}

#[tokio::test]
async fn tickets_outlive_a_reload() {
    let one = identity(&["one.example.org"]);
    let server = server(&[&one]);
    let client = ClientTls::verifying(trusting(&[&one])).expect("roots");
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let (ours, theirs) = shake(&server, &client, "one.example.org").await;
        let (mut ours, mut theirs) = (ours.expect("shaken").0, theirs.expect("shaken").0);
        kinds.push(ours.get_ref().1.handshake_kind());
        // Tickets come with the first octets.
        ours.write_all(b"x").await.expect("written");
        ours.flush().await.expect("written");
        theirs.read_u8().await.expect("read");
        server.reload(vec![one.clone()], None).expect("reloaded");
    }
    assert!(
        matches!(
            kinds[..],
            [Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest), Some(HandshakeKind::Resumed)]
        ),
        "{kinds:?}"
    );
}

#[tokio::test]
async fn other_protocols_are_refused_and_none_is_welcome() {
    let one = identity(&["one.example.org"]);
    let server = server(&[&one]).speaking(&["imap"]);
    let client = ClientTls::verifying(trusting(&[&one])).expect("roots");
    assert!(shake(&server, &client, "one.example.org").await.0.is_ok(), "no ALPN");
    assert!(shake(&server, &client.speaking(&["imap"]), "one.example.org").await.0.is_ok());
    let (ours, theirs) = shake(&server, &client.speaking(&["http/1.1"]), "one.example.org").await;
    assert!(ours.is_err());
    assert!(matches!(theirs, Err(TlsError::Refused(reason)) if reason.contains("another protocol")));
}

#[tokio::test]
async fn an_authority_that_shows_itself_as_a_server_is_told_so() {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(["one.example.org".to_owned()]).expect("a name");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let own = params.self_signed(&key).expect("a certificate");
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let one = Identity::from_der(vec![own.der().clone()], key).expect("an identity");
    let client = ClientTls::verifying(trusting(&[&one])).expect("roots");
    let reason = untrusted(shake(&server(&[&one]), &client, "one.example.org").await.1);
    assert_eq!(reason, "it is that of an authority, not of a server");
}

#[tokio::test]
async fn the_cipher_is_one_that_the_server_is_quick_at() {
    let one = identity(&["one.example.org"]);
    let quickest = if is_quick_at_aes() { "TLS_AES_128_GCM_SHA256" } else { "TLS_CHACHA20_POLY1305_SHA256" };
    let ours = ClientTls::verifying(trusting(&[&one])).expect("roots");
    let both = shake(&server(&[&one]), &ours, "one.example.org").await;
    assert_eq!(
        (both.0.expect("shaken").1.cipher, both.1.expect("shaken").1.cipher),
        (quickest.into(), quickest.into())
    );

    // It has its own order: AES of 256 bits first.
    let mut roots = rustls::RootCertStore::empty();
    roots.add(one.certificate().clone()).expect("a root");
    let theirs = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let theirs = theirs.with_safe_default_protocol_versions().expect("versions").with_root_certificates(roots);
    let theirs = TlsConnector::from(Arc::new(theirs.with_no_client_auth()));
    let (there, here) = pair().await;
    let name = ServerName::try_from("one.example.org").expect("a name");
    let server = server(&[&one]);
    let (_shaken, accepted) = tokio::join!(theirs.connect(name, there), server.accept(here));
    assert_eq!(accepted.expect("shaken").1.cipher, quickest);
}

#[test]
fn without_instructions_for_aes_it_comes_last() {
    let by_cost = |is_quick_at_aes| {
        let mut all = [
            CipherSuite::TLS13_AES_256_GCM_SHA384,
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
            CipherSuite::TLS13_AES_128_GCM_SHA256,
        ];
        all.sort_by_key(|cipher| cost(*cipher, is_quick_at_aes));
        all.map(|cipher| cipher.as_str().expect("a name"))
    };
    assert_eq!(
        by_cost(true),
        ["TLS13_AES_128_GCM_SHA256", "TLS13_AES_256_GCM_SHA384", "TLS13_CHACHA20_POLY1305_SHA256"]
    );
    assert_eq!(
        by_cost(false),
        ["TLS13_CHACHA20_POLY1305_SHA256", "TLS13_AES_128_GCM_SHA256", "TLS13_AES_256_GCM_SHA384"]
    );
}

#[tokio::test]
async fn another_authority_of_the_same_name_is_told_so() {
    let signed = |algorithm| {
        let key = rcgen::KeyPair::generate_for(algorithm).expect("a key");
        let params = rcgen::CertificateParams::new(["one.example.org".to_owned()]).expect("a name");
        let own = params.self_signed(&key).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        Identity::from_der(vec![own.der().clone()], key).expect("an identity")
    };
    let known = signed(&rcgen::PKCS_ECDSA_P256_SHA256);
    let client = ClientTls::verifying(trusting(&[&known])).expect("roots");
    for other in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519] {
        let reason = untrusted(shake(&server(&[&signed(other)]), &client, "one.example.org").await.1);
        assert_eq!(reason, "it was not signed by the authority that we know by that name");
    }
}

/// An authority, and a certificate of its for these addresses, as a client shows it.
fn certified(names: &[&str]) -> (rcgen::Certificate, Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let authority_key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).expect("an authority");
    let issuer = rcgen::Issuer::new(params, authority_key);
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(["laptop.example.org".to_owned()]).expect("a name");
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let address = |name: &&str| rcgen::SanType::Rfc822Name((*name).try_into().expect("ASCII"));
    params.subject_alt_names.extend(names.iter().map(address));
    let own = params.signed_by(&key, &issuer).expect("a certificate");
    (authority, vec![own.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).expect("a key"))
}

/// A client that shows this certificate, or none.
fn showing(server: &Identity, shown: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(server.certificate().clone()).expect("a root");
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(super::VERSIONS)
        .expect("versions")
        .with_root_certificates(roots);
    let config = match shown {
        Some((chain, key)) => config.with_client_auth_cert(chain, key).expect("they fit"),
        None => config.with_no_client_auth(),
    };
    TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn a_client_is_whom_its_certificate_is_for_if_an_authority_says_so() {
    let one = identity(&["one.example.org"]);
    let (authority, chain, key) = certified(&["joe@a.test", "sales@b.test"]);
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("ca.pem");
    fs::write(&file, authority.pem()).expect("written");
    let server = ServerTls::with_clients(vec![one.clone()], ClientCa::from_pem_file(&file).ok()).expect("identities");
    let asking = server.asking_clients();
    let shown = || Some((chain.clone(), key.clone_key()));
    let (_, others, others_key) = certified(&["joe@a.test"]);
    for (server, shown, names) in [
        (&asking, shown(), Some(&["joe@a.test", "sales@b.test"][..])),
        (&asking, None, Some(&[][..])),
        (&server, shown(), Some(&[][..])),
        (&asking, Some((others, others_key)), None),
    ] {
        let (theirs, ours) = pair().await;
        let name = ServerName::try_from("one.example.org").expect("a name");
        let connector = showing(&one, shown);
        let (ours, _) = tokio::join!(server.accept(ours), connector.connect(name, theirs));
        let found = ours.ok().map(|(_, facts)| facts.client_names);
        assert_eq!(found, names.map(|names| names.iter().map(|name| (*name).to_owned()).collect()));
    }
    fs::write(&file, "nothing").expect("written");
    assert!(matches!(ClientCa::from_pem_file(&file), Err(IdentityError::BadCertificate { .. })));
}

/// Of a connection on which an octet came over: whom the client's certificate is for, and how it was shaken.
async fn heard(server: &ServerTls, connector: &TlsConnector) -> Option<(Vec<String>, Option<HandshakeKind>)> {
    let (theirs, ours) = pair().await;
    let name = ServerName::try_from("one.example.org").expect("a name");
    let (ours, theirs) = tokio::join!(server.accept(ours), connector.connect(name, theirs));
    let (mut ours, facts) = ours.ok()?;
    // Tickets come with the first octets.
    ours.write_all(b"x").await.expect("written");
    ours.flush().await.expect("written");
    theirs.expect("shaken").read_u8().await.expect("read");
    Some((facts.client_names, ours.get_ref().1.handshake_kind()))
}

#[tokio::test]
async fn a_reload_changes_who_vouches_for_clients_and_ends_the_tickets_of_those_before() {
    let one = identity(&["one.example.org"]);
    let (authority, chain, key) = certified(&["joe@a.test"]);
    let (other, ..) = certified(&["sue@a.test"]);
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("ca.pem");
    let vouching = |authority: &rcgen::Certificate| {
        fs::write(&file, authority.pem()).expect("written");
        Some(ClientCa::from_pem_file(&file).expect("an authority"))
    };
    let server = ServerTls::with_clients(vec![one.clone()], vouching(&authority)).expect("identities");
    let (asking, client) = (server.asking_clients(), showing(&one, Some((chain, key))));
    let joe = || vec!["joe@a.test".to_owned()];
    let (names, kind) = heard(&asking, &client).await.expect("shaken");
    assert_eq!(names, joe());
    assert!(kind != Some(HandshakeKind::Resumed), "{kind:?}");
    server.reload(vec![one.clone()], vouching(&authority)).expect("reloaded");
    assert_eq!(heard(&asking, &client).await, Some((joe(), Some(HandshakeKind::Resumed))), "the same as before");
    server.reload(vec![one.clone()], vouching(&other)).expect("reloaded");
    assert_eq!(heard(&asking, &client).await, None, "nobody vouches for him any more");
    server.reload(vec![one.clone()], None).expect("reloaded");
    let (names, kind) = heard(&asking, &client).await.expect("shaken");
    assert!(names.is_empty() && kind != Some(HandshakeKind::Resumed), "nobody is asked: {names:?}, {kind:?}");
}

#[tokio::test]
async fn tls_1_2_has_no_exporter_binding() {
    let one = identity(&["one.example.org"]);
    let server = server(&[&one]);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(one.certificate().clone()).expect("a root");
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .expect("1.2 is known")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (theirs, ours) = pair().await;
    let name = ServerName::try_from("one.example.org").expect("a name");
    let (ours, theirs) = tokio::join!(server.accept(ours), TlsConnector::from(Arc::new(config)).connect(name, theirs));
    theirs.expect("shaken");
    let facts = ours.expect("shaken").1;
    assert_eq!((&facts.version[..], facts.exporter), ("TLSv1.2", None));
    assert!(facts.server_end_point.is_some() && facts.cipher.starts_with("TLS_ECDHE_"), "{}", facts.cipher);
}

#[test]
fn our_own_certificate_is_made_once_and_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = self_signed(&names(&["one.example.org", "localhost", "127.0.0.1", "::1"]), dir.path()).expect("made");
    let second = self_signed(&names(&["two.example.org"]), dir.path()).expect("kept");
    assert_eq!(first.fingerprint(), second.fingerprint());
    for host in ["one.example.org", "localhost", "127.0.0.1", "::1"] {
        assert!(first.is_for(host), "{host}");
    }
    assert!(!first.is_for("two.example.org") && !first.is_for("127.0.0.2") && !first.is_for("not a name"));
    let mode = fs::metadata(dir.path().join("self-signed.key")).expect("a key").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "nobody else reads the key");
    let mut left: Vec<_> =
        fs::read_dir(dir.path()).expect("read").map(|file| file.expect("a file").file_name()).collect();
    left.sort();
    assert_eq!(left, ["self-signed.key", "self-signed.pem"], "nothing is left lying about");
}

#[test]
fn a_key_without_its_certificate_is_made_anew() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = self_signed(&names(&["one.example.org"]), dir.path()).expect("made");
    fs::remove_file(dir.path().join("self-signed.pem")).expect("removed");
    let second = self_signed(&names(&["one.example.org"]), dir.path()).expect("made anew");
    assert_ne!(first.fingerprint(), second.fingerprint());
}

#[test]
fn what_is_wrong_with_files_is_said() {
    let dir = tempfile::tempdir().expect("a directory");
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    let error = Identity::from_pem_files(&one, &two).expect_err("no files");
    assert!(error.to_string().contains("one"), "{error}");
    self_signed(&names(&["one.example.org"]), dir.path()).expect("made");
    let (chain, key) = (dir.path().join("self-signed.pem"), dir.path().join("self-signed.key"));
    assert!(matches!(Identity::from_pem_files(&key, &key), Err(IdentityError::BadCertificate { .. })));
    assert!(matches!(Identity::from_pem_files(&chain, &chain), Err(IdentityError::BadKey { .. })));
    let other = tempfile::tempdir().expect("a directory");
    self_signed(&names(&["one.example.org"]), other.path()).expect("made");
    let foreign = other.path().join("self-signed.key");
    assert!(matches!(Identity::from_pem_files(&chain, &foreign), Err(IdentityError::Unfit(_))));
    let both = [fs::read(&chain).expect("read"), fs::read(&key).expect("read")].concat();
    assert!(Identity::from_pem("both", &both, &both).is_ok(), "one file may hold both");
    assert!(matches!(ServerTls::new(Vec::new()), Err(IdentityError::None)));
}

#[tokio::test]
async fn a_pinned_certificate_gets_in_whoever_has_issued_it_and_no_other_does() {
    let dir = tempfile::tempdir().expect("a directory");
    let own = self_signed(&["ftp.example.org".to_owned()], dir.path()).expect("a certificate");
    let fingerprint = fingerprint(own.certificate());
    let server = ServerTls::new(vec![own]).expect("identities");
    let shake = async |client: &ClientTls| {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let stream = tokio::net::TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connected");
        let accepted = listener.accept().await.expect("accepted").0;
        let (_, shaken) = tokio::join!(server.accept(accepted), client.connect(stream, "elsewhere.example"));
        shaken.map(|(_, facts)| facts.verified)
    };
    for written in [fingerprint.clone(), fingerprint.replace(':', "").to_lowercase()] {
        assert!(shake(&ClientTls::pinned(&written).expect("a fingerprint")).await.expect("shaken"));
    }
    let other = ClientTls::pinned(&"00".repeat(32)).expect("a fingerprint");
    assert!(matches!(shake(&other).await, Err(TlsError::Untrusted(_))));
    assert_eq!(other.refused().as_ref(), Some(&fingerprint));
    assert!(ClientTls::pinned("00:11").is_err());
    let strict = ClientTls::verifying(trusting(&[&identity(&["other.example"])])).expect("roots");
    assert!(shake(&strict).await.is_err());
    assert_eq!(strict.refused(), Some(fingerprint));
}
