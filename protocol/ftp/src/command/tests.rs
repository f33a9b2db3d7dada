//! Reading and writing commands: the forms that clients use, and that nothing is lost between the two.

use super::*;
use crate::address::tests::{addresses, v4_addresses};
use crate::path::tests::wire_paths;
use proptest::prelude::*;

fn written(command: &Command) -> Vec<u8> {
    let mut wire = Vec::new();
    command.write(&mut wire);
    wire
}

/// Reads it, and writes it again.
fn again(line: &str) -> Result<String, Mistake> {
    let command = Command::parse(line.as_bytes())?;
    Ok(String::from_utf8_lossy(&written(&command)).trim_end_matches("\r\n").into())
}

#[test]
fn verbs_and_keywords_in_any_case() {
    for (line, command) in [
        ("user bob", "USER bob"),
        ("TYPE i", "TYPE I"),
        ("type a n", "TYPE A"),
        ("TYPE L 8", "TYPE I"),
        ("TYPE A T", "TYPE A"),
        ("stru f", "STRU F"),
        ("mode z", "MODE Z"),
        ("auth tls-c", "AUTH TLS"),
        ("AUTH ssl", "AUTH TLS-P"),
        ("prot p", "PROT P"),
        ("opts utf8 on", "OPTS UTF8 ON"),
        ("OPTS UTF-8 NLST", "OPTS UTF8 ON"),
        ("opts mlst Size;FROGS;type;", "OPTS MLST type;size;"),
        ("OPTS MLST", "OPTS MLST"),
        ("opts hash sha-512", "OPTS HASH SHA-512"),
        ("OPTS MODE Z ENGINE ZLIB LEVEL 6 METHOD 8", "OPTS MODE Z LEVEL 6"),
        ("epsv all", "EPSV ALL"),
        ("EPSV  2 ", "EPSV 2"),
        ("pwd ", "PWD"),
        ("XCWD a", "CWD a"),
        ("xcup", "CDUP"),
        ("P@SW", "PASV"),
        ("NOOP are you there", "NOOP"),
        ("ALLO 100 R 7", "ALLO 100"),
        ("site chmod 644 a b", "SITE CHMOD 644 a b"),
        ("SITE UTIME 202601020304 a b", "SITE UTIME 20260102030400 a b"),
        ("SITE UTIME a b 20260102030405 20260102030406 20260102030407 UTC", "SITE UTIME 20260102030406 a b"),
        ("SITE SYMLINK a \"b c\"", "SITE SYMLINK \"a\" \"b c\""),
        ("xsha my file", "XSHA1 \"my file\""),
        ("XCRC my file 0 100", "XCRC \"my file\" 0 100"),
        ("XMD5 \"a\"\"b\" 7", "XMD5 \"a\"\"b\" 7"),
        ("MFF unix.MODE=600;Modify=20260102030405.5; a b", "MFF modify=20260102030405;UNIX.mode=0600; a b"),
        ("MFMT 20020717210715 Fred.txt", "MFMT 20020717210715 Fred.txt"),
        ("COMB whole \"part 1\" part2", "COMB \"whole\" \"part 1\" \"part2\""),
        ("HOST [::1]", "HOST [::1]"),
        ("HOST Xn--e1afmkfd.COM", "HOST Xn--e1afmkfd.COM"),
        ("lang en-US", "LANG en-US"),
        ("LANG", "LANG"),
    ] {
        assert_eq!(again(line).as_deref(), Ok(command), "{line}");
    }
}

#[test]
fn of_a_path_every_blank_is_part() {
    for (line, path) in [("STOR   foo.bar", "  foo.bar"), ("RETR a  b ", "a  b "), ("CWD \t", "\t"), ("DELE  ", " ")] {
        let (Command::Stor(read) | Command::Retr(read) | Command::Cwd(read) | Command::Dele(read)) =
            Command::parse(line.as_bytes()).unwrap()
        else {
            panic!("{line}")
        };
        assert_eq!(read.as_bytes(), path.as_bytes(), "{line}");
    }
}

#[test]
fn flags_of_ls_are_no_names() {
    let wish = |line: &str| match Command::parse(line.as_bytes()) {
        Ok(Command::List(ListWish { recursive, itself, path })) => {
            (recursive, itself, path.map(|path| String::from_utf8_lossy(path.as_bytes()).into_owned()))
        }
        other => panic!("{line}: {other:?}"),
    };
    let path = |path: &str| Some(path.to_string());
    assert_eq!(wish("LIST"), (false, false, None));
    assert_eq!(wish("LIST "), (false, false, None));
    assert_eq!(wish("LIST -a"), (false, false, None));
    assert_eq!(wish("LIST -laR /dir with blanks "), (true, false, path("/dir with blanks ")));
    assert_eq!(wish("LIST -a -d x"), (false, true, path("x")));
    assert_eq!(wish("LIST ./-a"), (false, false, path("./-a")));
    assert_eq!(wish("LIST -"), (false, false, path("-")));
    assert_eq!(wish("LIST -- -a"), (false, false, path("-a")));
    assert_eq!(wish("LIST a -R"), (false, false, path("a -R")));
}

#[test]
fn mistakes_have_their_replies() {
    for (line, code) in [
        ("USER", 501),
        ("USER \u{7}", 501),
        ("RETR", 501),
        ("RETR ", 501),
        ("CDUP x", 501),
        ("FEAT x", 501),
        ("PASV x", 501),
        ("TYPE E", 504),
        ("TYPE A C", 504),
        ("TYPE L 7", 504),
        ("TYPE L", 504),
        ("TYPE X", 501),
        ("TYPE I X", 501),
        ("STRU R", 504),
        ("STRU X", 501),
        ("MODE B", 504),
        ("MODE C", 504),
        ("MODE X", 501),
        ("PROT X", 504),
        ("PBSZ x", 501),
        ("AUTH GSSAPI", 504),
        ("PORT 1,2,3,4,5", 501),
        ("EPRT |1|127.0.0.1|x|", 501),
        ("EPSV x", 501),
        ("REST -1", 501),
        ("REST 18446744073709551616", 501),
        ("RANG 1", 501),
        ("ALLO x", 501),
        ("OPTS UTF8 OFF", 501),
        ("OPTS MLST unique type;", 501),
        ("OPTS HASH CRC-37", 501),
        ("OPTS MODE Z LEVEL 10", 501),
        ("OPTS PASV x", 501),
        ("MFMT 20020230210715 x", 501),
        ("MFMT 20020717210715", 501),
        ("MFF Fish=1; x", 504),
        ("MFF ; x", 501),
        ("MFF Modify=20020230000000; x", 501),
        ("MFF Modify=20020717210715;", 501),
        ("SITE FLY", 504),
        ("SITE CHMOD 8 x", 501),
        ("SITE CHMOD 10000 x", 501),
        ("SITE CHMOD 644", 501),
        ("SITE UTIME x", 501),
        ("SITE SYMLINK x", 501),
        ("HOST 192.0.2.1:2112", 501),
        ("HOST [2001:db8::c000:201]:2112", 501),
        ("HOST -a.b", 501),
        ("HOST a..b", 501),
        ("LANG en_US", 501),
        ("COMB x", 501),
        ("COMB \"x", 501),
    ] {
        match Command::parse(line.as_bytes()) {
            Err(Mistake::Refused(reply)) => assert_eq!(reply.code(), code, "{line}"),
            other => panic!("{line}: {other:?}"),
        }
    }
    assert_eq!(Command::parse(b"STOR a\r\nb"), Err(Mistake::Refused(words::BAD_NAME.clone())));
    assert_eq!(Command::parse(b"EPRT |3|x|1|"), Ok(Command::Eprt(Extended::OtherFamily(3))));
    assert_eq!(Command::parse(b"BLAH"), Err(Mistake::Unknown));
    assert_eq!(Command::parse(b"ACCT x"), Err(Mistake::NotHere));
    assert_eq!(Command::parse(b"GET / HTTP/1.1"), Err(Mistake::Foreign));
}

#[test]
fn a_password_is_not_shown() {
    assert_eq!(shown(b"PASS hungry\r\n"), Some(5));
    assert_eq!(shown(b"pass hungry"), Some(5));
    assert_eq!(shown(b"acct x"), Some(5));
    assert_eq!(shown(b"\xff\xf1PASS hungry\r\n"), Some(0));
    assert_eq!(shown(b"PA\xff\xf1SS hungry\r\n"), Some(0));
    assert_eq!(shown(b"PASS"), None);
    assert_eq!(shown(b"USER bob"), None);
}

fn texts() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9@._\u{e9}-]([ -~]{0,10}[!-~])?"
}

fn moments() -> impl Strategy<Value = Moment> {
    (-20_000_000_000i64..200_000_000_000).prop_map(Moment::from_unix_secs)
}

fn wishes() -> impl Strategy<Value = ListWish> {
    (any::<bool>(), any::<bool>(), proptest::option::of(wire_paths())).prop_map(|(recursive, itself, path)| ListWish {
        recursive,
        itself,
        path,
    })
}

fn kinds() -> impl Strategy<Value = HashKind> {
    proptest::sample::select(HashKind::ALL.to_vec())
}

fn changes() -> impl Strategy<Value = Change> {
    (proptest::option::of(moments()), proptest::option::of(moments()), proptest::option::of(0u32..0o10000))
        .prop_map(|(modified, created, mode)| Change { modified, created, mode })
        .prop_filter("something changes", |change| *change != Change::default())
}

pub fn commands() -> impl Strategy<Value = Command> {
    let secret =
        proptest::collection::vec(1u8..=255, 0..12).prop_filter("an end of line", |octets| !octets.contains(&b'\n'));
    let stretches = (wire_paths(), 0u64..9, proptest::option::of(any::<u64>()))
        .prop_map(|(path, from, until)| Stretch { path, from, until });
    let options = prop_oneof![
        Just(Options::Utf8),
        proptest::collection::vec(proptest::sample::select(vec!["type;", "size;", "create;"]), 0..3)
            .prop_map(|facts| Options::Facts(Facts::parse(facts.concat().as_bytes()).unwrap())),
        proptest::option::of(kinds()).prop_map(Options::Hash),
        proptest::option::of(0u8..10).prop_map(Options::Deflate),
    ];
    let one = proptest::sample::select(vec![
        Command::Rein,
        Command::Quit,
        Command::Ccc,
        Command::Feat,
        Command::Noop,
        Command::Syst,
        Command::Stat(None),
        Command::Pwd,
        Command::Cdup,
        Command::Pasv,
        Command::Abor,
        Command::Stru,
        Command::Type(Representation::Ascii),
        Command::Type(Representation::Image),
        Command::Mode(Mode::Stream),
        Command::Mode(Mode::Deflate),
        Command::Auth(Mechanism::Tls),
        Command::Auth(Mechanism::TlsPrivate),
        Command::Prot(Protection::Clear),
        Command::Prot(Protection::Private),
        Command::Prot(Protection::Safe),
        Command::Prot(Protection::Confidential),
        Command::Epsv(PassiveWish::Same),
        Command::Epsv(PassiveWish::All),
        Command::Site(Site::Help),
        Command::Host(HostName::Domain("ftp.example.com".into())),
        Command::Lang(Some("en-US".into())),
        Command::Lang(None),
        Command::Help(None),
    ]);
    let with_path =
        (0usize..17, wire_paths(), proptest::option::of(wire_paths())).prop_map(|(which, path, perhaps)| match which {
            0 => Command::Cwd(path),
            1 => Command::Retr(path),
            2 => Command::Stor(path),
            3 => Command::Appe(path),
            4 => Command::Stou(perhaps),
            5 => Command::Mlsd(perhaps),
            6 => Command::Mlst(perhaps),
            7 => Command::Size(path),
            8 => Command::Mdtm(path),
            9 => Command::Dele(path),
            10 => Command::Rnfr(path),
            11 => Command::Rnto(path),
            12 => Command::Mkd(path),
            13 => Command::Rmd(path),
            14 => Command::Hash(path),
            15 => Command::Site(Site::Symlink(path.clone(), perhaps.unwrap_or(path))),
            _ => Command::Avbl(perhaps),
        });
    prop_oneof![
        8 => one,
        12 => with_path,
        1 => texts().prop_map(Command::User),
        1 => secret.prop_map(|octets| Command::Pass(Secret::new(octets))),
        1 => texts().prop_map(Command::Clnt),
        1 => texts().prop_map(Command::Csid),
        1 => texts().prop_map(|text| Command::Help(Some(text))),
        1 => any::<u32>().prop_map(Command::Pbsz),
        1 => any::<u32>().prop_map(|number| Command::Epsv(PassiveWish::Family(number))),
        1 => any::<core::net::IpAddr>().prop_map(|host| Command::Host(HostName::Address(host))),
        2 => options.prop_map(Command::Opts),
        1 => wishes().prop_filter("no argument", |wish| *wish != ListWish::default()).prop_map(|wish| Command::Stat(Some(wish))),
        2 => wishes().prop_map(Command::List),
        1 => wishes().prop_map(Command::Nlst),
        1 => v4_addresses().prop_map(Command::Port),
        1 => addresses().prop_map(|address| Command::Eprt(Extended::Known(address))),
        1 => (3u32..).prop_map(|number| Command::Eprt(Extended::OtherFamily(number))),
        1 => any::<u64>().prop_map(Command::Rest),
        1 => any::<(u64, u64)>().prop_map(|(first, last)| Command::Rang(first, last)),
        1 => any::<u64>().prop_map(Command::Allo),
        1 => (moments(), wire_paths()).prop_map(|(time, path)| Command::Mfmt(time, path)),
        1 => (moments(), wire_paths()).prop_map(|(time, path)| Command::Mfct(time, path)),
        1 => (changes(), wire_paths()).prop_map(|(change, path)| Command::Mff(change, path)),
        1 => (moments(), wire_paths()).prop_map(|(time, path)| Command::Site(Site::Utime(time, path))),
        1 => (0u32..0o10000, wire_paths()).prop_map(|(mode, path)| Command::Site(Site::Chmod(mode, path))),
        2 => (kinds(), stretches).prop_map(|(kind, stretch)| Command::Digest(kind, stretch)),
        1 => (wire_paths(), proptest::collection::vec(wire_paths(), 1..4)).prop_map(|(whole, parts)| Command::Comb(whole, parts)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn parse_after_write_is_identity(command in commands()) {
        let wire = written(&command);
        let Some(line) = wire.strip_suffix(b"\r\n") else { panic!("a line") };
        prop_assert_eq!(Command::parse(&telnet::decoded(line).0), Ok(command));
    }

    #[test]
    fn any_line_is_a_command_or_a_mistake(verb in proptest::sample::select(table::TABLE.to_vec()), line in proptest::collection::vec(any::<u8>(), 0..40)) {
        let _ = Command::parse(&line);
        let _ = Command::parse(&[verb.name.as_bytes(), b" ", &line[..]].concat());
    }
}
