//! The one table of commands: what holds for many verbs is said here once.
//!
//! RFC 959 §4.1 and §5.3; RFC 5797 (the registry); the drafts and habits behind the others are named where they are read.
//!
//! Invariants: a verb is in one row, and stands at its own number; what FEAT tells is what is here.
//! Not here: what a command does (server), how its argument is read (command).

use crate::permissions::Permissions;

/// A command's first word, whichever of its names was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Verb {
    User,
    Pass,
    Rein,
    Quit,
    Host,
    Lang,
    Clnt,
    Csid,
    Auth,
    Pbsz,
    Prot,
    Ccc,
    Feat,
    Opts,
    Help,
    Noop,
    Syst,
    Stat,
    Pwd,
    Cwd,
    Cdup,
    Port,
    Eprt,
    Pasv,
    Epsv,
    Type,
    Stru,
    Mode,
    Rest,
    Rang,
    Allo,
    Retr,
    Stor,
    Appe,
    Stou,
    List,
    Nlst,
    Mlsd,
    Mlst,
    Abor,
    Size,
    Mdtm,
    Mfmt,
    Mfct,
    Mff,
    Dele,
    Rnfr,
    Rnto,
    Mkd,
    Rmd,
    Hash,
    Xcrc,
    Xmd5,
    Xsha1,
    Xsha256,
    Xsha512,
    Comb,
    Avbl,
    Site,
}

/// Who may say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Also before login.
    Anyone,
    /// After login.
    Member,
}

/// Whether something follows the verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Argument {
    /// Nothing.
    No,
    /// Perhaps.
    May,
    /// Always.
    Must,
}

/// Whether it may be said in clear where TLS is demanded of everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InClear {
    /// It gives nothing away, or leads to TLS.
    Yes,
    /// 530
    No,
}

/// What becomes of it while a transfer runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meanwhile {
    /// It is obeyed at once. STAT only without argument.
    Now,
    /// It waits for the end of the transfer, and for those before it.
    Waits,
}

/// What FEAT tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// Nothing: it is of RFC 959 or RFC 2389, or another line implies it.
    Silent,
    /// This line.
    Line(&'static str),
    /// This line, where there is TLS.
    Tls(&'static str),
    /// CCC, where it is allowed.
    Ccc,
    /// MODE Z, where it is allowed.
    Deflate,
    /// MFCT, where creation times can be set.
    CreationTimes,
    /// MFF with its facts.
    ChangeableFacts,
    /// MLST with its facts, the selected ones starred.
    Facts,
    /// HASH with its functions, the selected one starred.
    Hashes,
}

/// What holds for one verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The verb.
    pub verb: Verb,
    /// Its name in capitals.
    pub name: &'static str,
    /// What HELP says stands behind it.
    pub syntax: &'static str,
    /// Who may say it.
    pub who: Who,
    /// Whether something follows it.
    pub argument: Argument,
    /// An account without any of these is refused at once.
    pub needs: Permissions,
    /// Whether it may be said in clear where TLS is demanded of everybody.
    pub in_clear: InClear,
    /// What becomes of it while a transfer runs.
    pub meanwhile: Meanwhile,
    /// What FEAT tells of it.
    pub feature: Feature,
}

#[allow(clippy::too_many_arguments)] // It is a row of a table.
const fn row(
    verb: Verb,
    name: &'static str,
    syntax: &'static str,
    who: Who,
    argument: Argument,
    needs: Permissions,
    in_clear: InClear,
    meanwhile: Meanwhile,
    feature: Feature,
) -> Row {
    Row { verb, name, syntax, who, argument, needs, in_clear, meanwhile, feature }
}

const NONE: Permissions = Permissions::NONE;
const LIST: Permissions = Permissions::LIST;
const READ: Permissions = Permissions::READ;
/// Whoever may read may sum; who may only bring may sum what he has begun himself, and the house knows what that is.
const SUM: Permissions = READ.and(Permissions::CREATE);
const STORE: Permissions = Permissions::WRITE.and(Permissions::CREATE);
const APPEND: Permissions = Permissions::APPEND.and(Permissions::CREATE);
const CREATE: Permissions = Permissions::CREATE;
const CHANGE: Permissions = Permissions::CHANGE.and(Permissions::WRITE);

/// The table. HELP and FEAT list it in this order.
#[rustfmt::skip]
pub const TABLE: [Row; 59] = {
    use Argument::{May, Must, No};
    use Feature::{Ccc, ChangeableFacts, CreationTimes, Deflate, Facts, Hashes, Line, Silent, Tls};
    use InClear::{No as Hidden, Yes as Clear};
    use Meanwhile::{Now, Waits};
    use Who::{Anyone, Member};
    [
    //  verb           name       what follows it                who     arg   needs one of                   in clear meanwhile in FEAT
    row(Verb::User,    "USER",    "<name>",                      Anyone, Must, NONE,                          Hidden, Waits, Silent),
    row(Verb::Pass,    "PASS",    "<password>",                  Anyone, May,  NONE,                          Hidden, Waits, Silent),
    row(Verb::Rein,    "REIN",    "",                            Anyone, No,   NONE,                          Hidden, Waits, Silent),
    row(Verb::Quit,    "QUIT",    "",                            Anyone, No,   NONE,                          Clear,  Waits, Silent),
    row(Verb::Host,    "HOST",    "<host name>",                 Anyone, Must, NONE,                          Clear,  Waits, Line("HOST")),
    row(Verb::Lang,    "LANG",    "[<language>]",                Anyone, May,  NONE,                          Clear,  Waits, Line("LANG EN*")),
    row(Verb::Clnt,    "CLNT",    "<client name>",               Anyone, Must, NONE,                          Clear,  Waits, Line("CLNT")),
    row(Verb::Csid,    "CSID",    "Name=<name>; Version=<v>;",   Anyone, May,  NONE,                          Clear,  Waits, Line("CSID")),
    row(Verb::Auth,    "AUTH",    "TLS",                         Anyone, Must, NONE,                          Clear,  Waits, Tls("AUTH TLS")),
    row(Verb::Pbsz,    "PBSZ",    "0",                           Anyone, Must, NONE,                          Clear,  Waits, Tls("PBSZ")),
    row(Verb::Prot,    "PROT",    "C | P",                       Anyone, Must, NONE,                          Clear,  Waits, Tls("PROT")),
    row(Verb::Ccc,     "CCC",     "",                            Member, No,   NONE,                          Hidden, Waits, Ccc),
    row(Verb::Feat,    "FEAT",    "",                            Anyone, No,   NONE,                          Clear,  Waits, Silent),
    row(Verb::Opts,    "OPTS",    "<command> [<options>]",       Anyone, Must, NONE,                          Clear,  Waits, Silent),
    row(Verb::Help,    "HELP",    "[<command>]",                 Anyone, May,  NONE,                          Clear,  Waits, Silent),
    row(Verb::Noop,    "NOOP",    "",                            Anyone, May,  NONE,                          Clear,  Waits, Silent),
    row(Verb::Syst,    "SYST",    "",                            Anyone, No,   NONE,                          Clear,  Waits, Silent),
    row(Verb::Stat,    "STAT",    "[<path>]",                    Member, May,  NONE,                          Hidden, Now,   Silent),
    row(Verb::Pwd,     "PWD",     "",                            Member, No,   NONE,                          Hidden, Waits, Silent),
    row(Verb::Cwd,     "CWD",     "<path>",                      Member, Must, NONE,                          Hidden, Waits, Silent),
    row(Verb::Cdup,    "CDUP",    "",                            Member, No,   NONE,                          Hidden, Waits, Silent),
    row(Verb::Port,    "PORT",    "h1,h2,h3,h4,p1,p2",           Member, Must, NONE,                          Hidden, Waits, Silent),
    row(Verb::Eprt,    "EPRT",    "|<family>|<address>|<port>|", Member, Must, NONE,                          Hidden, Waits, Line("EPRT")),
    row(Verb::Pasv,    "PASV",    "",                            Member, No,   NONE,                          Hidden, Waits, Silent),
    row(Verb::Epsv,    "EPSV",    "[1 | 2 | ALL]",               Member, May,  NONE,                          Hidden, Waits, Line("EPSV")),
    row(Verb::Type,    "TYPE",    "A | I | L 8",                 Member, Must, NONE,                          Hidden, Waits, Silent),
    row(Verb::Stru,    "STRU",    "F",                           Member, Must, NONE,                          Hidden, Waits, Silent),
    row(Verb::Mode,    "MODE",    "S | Z",                       Member, Must, NONE,                          Hidden, Waits, Deflate),
    row(Verb::Rest,    "REST",    "<offset>",                    Member, Must, NONE,                          Hidden, Waits, Line("REST STREAM")),
    row(Verb::Rang,    "RANG",    "<first> <last>",              Member, Must, NONE,                          Hidden, Waits, Line("RANG STREAM")),
    row(Verb::Allo,    "ALLO",    "<octets>",                    Member, Must, NONE,                          Hidden, Waits, Silent),
    row(Verb::Retr,    "RETR",    "<path>",                      Member, Must, READ,                          Hidden, Waits, Silent),
    row(Verb::Stor,    "STOR",    "<path>",                      Member, Must, STORE,                         Hidden, Waits, Silent),
    row(Verb::Appe,    "APPE",    "<path>",                      Member, Must, APPEND,                        Hidden, Waits, Silent),
    row(Verb::Stou,    "STOU",    "[<path>]",                    Member, May,  CREATE,                        Hidden, Waits, Silent),
    row(Verb::List,    "LIST",    "[-R] [-d] [<path>]",          Member, May,  LIST,                          Hidden, Waits, Silent),
    row(Verb::Nlst,    "NLST",    "[<path>]",                    Member, May,  LIST,                          Hidden, Waits, Silent),
    row(Verb::Mlsd,    "MLSD",    "[<path>]",                    Member, May,  LIST,                          Hidden, Waits, Silent),
    row(Verb::Mlst,    "MLST",    "[<path>]",                    Member, May,  NONE,                          Hidden, Waits, Facts),
    row(Verb::Abor,    "ABOR",    "",                            Member, No,   NONE,                          Hidden, Now,   Silent),
    row(Verb::Size,    "SIZE",    "<path>",                      Member, Must, NONE,                          Hidden, Waits, Line("SIZE")),
    row(Verb::Mdtm,    "MDTM",    "<path>",                      Member, Must, NONE,                          Hidden, Waits, Line("MDTM")),
    row(Verb::Mfmt,    "MFMT",    "<YYYYMMDDHHMMSS> <path>",     Member, Must, CHANGE,                        Hidden, Waits, Line("MFMT")),
    row(Verb::Mfct,    "MFCT",    "<YYYYMMDDHHMMSS> <path>",     Member, Must, CHANGE,                        Hidden, Waits, CreationTimes),
    row(Verb::Mff,     "MFF",     "<fact>=<value>; <path>",      Member, Must, CHANGE,                        Hidden, Waits, ChangeableFacts),
    row(Verb::Dele,    "DELE",    "<path>",                      Member, Must, Permissions::DELETE,           Hidden, Waits, Silent),
    row(Verb::Rnfr,    "RNFR",    "<path>",                      Member, Must, Permissions::RENAME,           Hidden, Waits, Silent),
    row(Verb::Rnto,    "RNTO",    "<path>",                      Member, Must, Permissions::RENAME,           Hidden, Waits, Silent),
    row(Verb::Mkd,     "MKD",     "<path>",                      Member, Must, Permissions::MAKE_DIRECTORY,   Hidden, Waits, Silent),
    row(Verb::Rmd,     "RMD",     "<path>",                      Member, Must, Permissions::REMOVE_DIRECTORY, Hidden, Waits, Silent),
    row(Verb::Hash,    "HASH",    "<path>",                      Member, Must, SUM,                           Hidden, Waits, Hashes),
    row(Verb::Xcrc,    "XCRC",    "<path> [<from> <until>]",     Member, Must, SUM,                           Hidden, Waits, Line("XCRC")),
    row(Verb::Xmd5,    "XMD5",    "<path> [<from> <until>]",     Member, Must, SUM,                           Hidden, Waits, Line("XMD5")),
    row(Verb::Xsha1,   "XSHA1",   "<path> [<from> <until>]",     Member, Must, SUM,                           Hidden, Waits, Line("XSHA1")),
    row(Verb::Xsha256, "XSHA256", "<path> [<from> <until>]",     Member, Must, SUM,                           Hidden, Waits, Line("XSHA256")),
    row(Verb::Xsha512, "XSHA512", "<path> [<from> <until>]",     Member, Must, SUM,                           Hidden, Waits, Line("XSHA512")),
    row(Verb::Comb,    "COMB",    "\"<whole>\" \"<part>\"...",   Member, Must, APPEND,                        Hidden, Waits, Line("COMB target;source_list")),
    row(Verb::Avbl,    "AVBL",    "[<path>]",                    Member, May,  NONE,                          Hidden, Waits, Line("AVBL")),
    row(Verb::Site,    "SITE",    "CHMOD | HELP | SYMLINK | UTIME", Member, Must, NONE,                       Hidden, Waits, Silent),
    ]
};

/// Other names of theirs: RFC 1123 §4.1.3.1 demands the X verbs; `P@SW` is what a broken firewall makes of PASV;
/// XSHA is SHA-1 wherever it is known.
const ALIASES: [(&str, Verb); 7] = [
    ("XCWD", Verb::Cwd),
    ("XCUP", Verb::Cdup),
    ("XPWD", Verb::Pwd),
    ("XMKD", Verb::Mkd),
    ("XRMD", Verb::Rmd),
    ("XSHA", Verb::Xsha1),
    ("P@SW", Verb::Pasv),
];

/// What FEAT tells that no verb stands for: names are UTF-8 wherever they can be (RFC 2640 §3.2), and paths are those
/// of RFC 3659 §6.
pub const OTHER_FEATURES: [&str; 2] = ["TVFS", "UTF8"];

/// Known to the registry, and not here: 502 rather than 500 (RFC 959 §4.2).
const NOT_HERE: [&str; 10] = ["ACCT", "SMNT", "ADAT", "MIC", "CONF", "ENC", "LPRT", "LPSV", "ALGS", "THMB"];

/// First words of those who think that they talk to a web or mail server, or whom someone else has led here:
/// an attack over protocols (ALPACA) needs a server that answers them and goes on.
const FOREIGN: [&str; 22] = [
    "GET", "POST", "HEAD", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI", // HTTP
    "EHLO", "HELO", "LHLO", "MAIL", "RCPT", "DATA", "STARTTLS", "VRFY", // SMTP
    "APOP", "CAPA", "UIDL",  // POP3
    "LOGIN", // IMAP, behind a tag that happens to be missing
];

/// What a first word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// One of ours.
    Known(&'static Row),
    /// Known, and not here.
    NotHere,
    /// Of another protocol.
    Foreign,
    /// Of none that we know.
    Unknown,
}

impl Verb {
    /// Its row.
    pub fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }
}

/// Looks a word up, in any case.
pub fn look_up(word: &[u8]) -> Word {
    let is = |name: &str| name.as_bytes().eq_ignore_ascii_case(word);
    if let Some(row) = TABLE.iter().find(|row| is(row.name)) {
        return Word::Known(row);
    }
    if let Some((_, verb)) = ALIASES.iter().find(|(name, _)| is(name)) {
        return Word::Known(verb.row());
    }
    if NOT_HERE.iter().any(|name| is(name)) {
        return Word::NotHere;
    }
    // `Host:` is a header line, `SSH-2.0-…` a greeting.
    let header = word.len() > 1 && word.ends_with(b":") || word.starts_with(b"SSH-");
    if header || FOREIGN.iter().any(|name| is(name)) { Word::Foreign } else { Word::Unknown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_stands_at_its_number() {
        for (at, row) in TABLE.iter().enumerate() {
            assert_eq!(row.verb as usize, at, "{}", row.name);
            assert_eq!(row.verb.row(), row);
            assert_eq!(look_up(row.name.to_lowercase().as_bytes()), Word::Known(row));
        }
    }

    #[test]
    fn no_word_is_in_two_lists() {
        let aliases = ALIASES.iter().map(|(name, _)| name);
        let mut names: Vec<&str> =
            TABLE.iter().map(|row| &row.name).chain(aliases).chain(&NOT_HERE).chain(&FOREIGN).copied().collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn all_of_rfc_959_is_known() {
        for word in
            "USER PASS ACCT CWD CDUP SMNT REIN QUIT PORT PASV TYPE STRU MODE RETR STOR STOU APPE ALLO REST RNFR \
                     RNTO ABOR DELE RMD MKD PWD LIST NLST SITE SYST STAT HELP NOOP"
                .split_whitespace()
        {
            assert!(matches!(look_up(word.as_bytes()), Word::Known(_) | Word::NotHere), "{word}");
        }
    }

    #[test]
    fn strangers_are_told_apart() {
        for word in ["GET", "ehlo", "Host:", "SSH-2.0-OpenSSH_9.6"] {
            assert_eq!(look_up(word.as_bytes()), Word::Foreign, "{word}");
        }
        for word in ["", ":", "BLAH", "\u{fc}ser"] {
            assert_eq!(look_up(word.as_bytes()), Word::Unknown, "{word}");
        }
        assert_eq!(look_up(b"smnt"), Word::NotHere);
    }
}
