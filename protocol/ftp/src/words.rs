//! What we say of our own accord: every fixed reply of the server, by name.
//!
//! RFC 959 §4.2 (codes) and §5.4 (which code may follow which command); RFC 2389 §4 (OPTS: 200, 451, 501);
//! RFC 2428 §2 (522); RFC 2577 §3 (504 for ports below 1024); RFC 4217 (234, 521, 522, 533, 534, 536); RFC 7151 §3.3.
//!
//! Not here: refusals of the house (refusal), replies that hold something of the moment (server).

// Each reply says itself what it is for.
#![allow(missing_docs)]

use crate::reply::Reply;

const fn say(code: u16, text: &'static str) -> Reply {
    Reply::fixed(code, text)
}

macro_rules! words {
    ($($(#[$meta:meta])* $name:ident = $reply:expr;)*) => {
        $($(#[$meta])* pub static $name: Reply = $reply;)*

        #[cfg(test)]
        pub const ALL: &[&Reply] = &[$(&$name),*];
    };
}

words! {
    // The line cannot be read, or not here.
    UNKNOWN = say(500, "Unknown command.");
    LINE_TOO_LONG = say(500, "Line too long.");
    FOREIGN = say(500, "This is an FTP server. Goodbye.");
    TLS_HELLO = say(500, "TLS begins here with AUTH TLS. Goodbye.");
    TOO_STRANGE = say(421, "Too many unknown commands. Goodbye.");
    NOT_HERE = say(502, "Not implemented here.");
    NO_ARGUMENT = say(501, "Takes no argument.");
    ARGUMENT_MISSING = say(501, "Needs an argument.");
    BAD_NAME = say(553, "No name here has a NUL or a line end in it.");
    LONG_NAME = say(553, "The name is too long.");
    BAD_NUMBER = say(501, "Not a number, or too large.");
    BAD_TIME = say(501, "Not a time: YYYYMMDDHHMMSS, then one space and the path.");
    BAD_QUOTES = say(501, "Put each path in quotation marks, with a space between them.");

    // The session.
    FAREWELL = say(221, "Goodbye.");
    IDLE = say(421, "Nothing was said for too long. Goodbye.");
    DISMISSED = say(421, "This account is closed. Goodbye.");
    LEAVING = say(421, "The server is closing. Goodbye.");
    SENT_AWAY = say(421, "The administrator has ended this session. Goodbye.");
    TOO_MANY_WAITING = say(421, "Too many commands are waiting behind the transfer. Goodbye.");
    NOTHING_DONE = say(200, "Nothing done.");
    SYSTEM = say(215, "UNIX Type: L8");
    CLIENT_NOTED = say(200, "Noted.");
    SERVER_NAMED = say(200, "Name=Packetboat; CaseSensitive=1; DirSep=/;");
    REINITIALIZED = say(220, "Ready for a new user.");
    NOT_UNDER_TLS = say(502, "Not under TLS. Open a new connection.");

    // Host and language.
    HOST_TAKEN = say(220, "Host accepted.");
    BAD_HOST = say(501, "Not a host name, or one with a port.");
    HOST_TOO_LATE = say(503, "HOST comes before login.");
    HOST_UNKNOWN = say(504, "No such host here.");
    HOST_NOT_OF_TLS = say(504, "TLS was begun with another host.");
    HOST_AWAY = say(421, "This host is not available now. Goodbye.");
    SPEAK_ENGLISH = say(200, "English it is.");
    BAD_LANGUAGE = say(501, "Not a language.");
    OTHER_LANGUAGE = say(504, "Only English is spoken here.");

    // Login.
    BAD_USER_NAME = say(501, "Not a name.");
    PASSWORD_PLEASE = say(331, "Password, please.");
    ADDRESS_PLEASE = say(331, "Guest login: your e-mail address as password, please.");
    NOT_LOGGED_IN = say(530, "Log in with USER and PASS first.");
    USER_FIRST = say(503, "Log in with USER first.");
    LOGGED_IN_ALREADY = say(503, "Already logged in.");
    WELCOME = say(230, "Welcome.");
    LOGIN_INCORRECT = say(530, "Login incorrect.");
    LOGIN_NOT_NOW = say(421, "Logins cannot be checked now. Try again later.");
    LOGIN_TOO_OFTEN = say(421, "Too many failed logins. Try again later.");
    LOGIN_TOO_MANY = say(421, "Too many sessions of this user. Try again later.");
    TLS_FIRST = say(530, "Begin with AUTH TLS: this login is not taken in clear.");

    // Protection.
    BEGIN_TLS = say(234, "Begin TLS.");
    NO_TLS = say(502, "There is no TLS here.");
    TLS_ALREADY = say(503, "TLS is up already.");
    CLEARED = say(503, "The control connection was cleared; protection cannot change any more.");
    CLEARED_FOR_GOOD = say(530, "Logins are not taken in clear, and protection was ended. Open a new connection.");
    OTHER_MECHANISM = say(504, "Only TLS.");
    TLS_BEFORE = say(503, "AUTH TLS comes first.");
    NO_BUFFERS = say(200, "PBSZ=0");
    PBSZ_BEFORE = say(503, "PBSZ comes first.");
    PROTECTED = say(200, "Data connections will be private.");
    UNPROTECTED = say(200, "Data connections will be clear.");
    HALF_PROTECTED = say(536, "Only C or P.");
    OTHER_PROTECTION = say(504, "Only C or P.");
    CLEARING = say(200, "Back to clear.");
    NOT_PROTECTED = say(533, "There is no TLS to be cleared.");
    STAYS_PROTECTED = say(534, "The control connection stays protected.");
    PROTECT_DATA = say(521, "Data connections must be protected here: say PROT P.");

    // Parameters.
    ASCII_TYPE = say(200, "Type is ASCII.");
    IMAGE_TYPE = say(200, "Type is image.");
    OTHER_TYPE = say(504, "Only A N, A T, I and L 8.");
    BAD_TYPE = say(501, "No such type.");
    FILE_STRUCTURE = say(200, "Structure is file.");
    OTHER_STRUCTURE = say(504, "Only F.");
    BAD_STRUCTURE = say(501, "No such structure.");
    STREAM_MODE = say(200, "Mode is stream.");
    DEFLATE_MODE = say(200, "Mode is deflate.");
    OTHER_MODE = say(504, "No such mode here.");
    BAD_MODE = say(501, "No such mode.");
    NOT_IN_ASCII = say(501, "Transfers can be resumed in TYPE I only.");
    NO_OFFSET_IN_ASCII = say(554, "A restart is possible in TYPE I only.");
    BAD_RANGE = say(501, "Not a range.");
    RANGE_RESET = say(350, "The whole file.");
    NOT_WITH_RANGE = say(503, "Not with a range.");
    UTF8_IS_ON = say(200, "UTF-8 is always on.");
    UTF8_STAYS_ON = say(501, "UTF-8 is always on.");
    BAD_FACTS = say(501, "Not a list of facts.");
    OTHER_HASH = say(501, "Unknown algorithm, current selection not changed.");
    NO_SUCH_OPTION = say(501, "No such option.");
    DEFLATE_SET = say(200, "MODE Z is set.");
    RESERVED = say(200, "There is room.");

    // Data connections.
    BAD_ADDRESS = say(501, "Not an address.");
    ADDRESS_TAKEN = say(200, "Address accepted.");
    FOREIGN_ADDRESS = say(504, "No data connection to a foreign address.");
    PRIVILEGED_PORT = say(504, "No data connection to a privileged port.");
    NO_ACTIVE = say(504, "The server opens no data connections here. Use EPSV or PASV.");
    USE_EPRT = say(425, "PORT is for IPv4 only. Use EPRT.");
    USE_EPSV = say(425, "PASV is for IPv4 only. Use EPSV.");
    ONLY_EPSV = say(503, "Only EPSV after EPSV ALL.");
    ALL_EPSV = say(200, "Only EPSV from now on.");
    CANNOT_LISTEN = say(425, "Cannot listen for a data connection now.");
    NO_DATA_LINE = say(425, "Use EPSV, PASV, EPRT or PORT first.");

    // Transfers.
    LISTING_FOLLOWS = say(150, "Here comes the listing.");
    LISTING_BEGINS = say(125, "Data connection already open; here comes the listing.");
    STORE_FOLLOWS = say(150, "Opening data connection; send.");
    STORE_BEGINS = say(125, "Data connection already open; send.");
    DIGEST_ABORTED = say(426, "Aborted.");
    ABORTED = say(226, "ABOR command successful.");
    NOTHING_TO_ABORT = say(225, "No transfer to abort.");
    DATA_LINE_CLOSED = say(225, "ABOR command successful; data channel closed.");

    // Files.
    NOT_PERMITTED = say(550, "Permission denied.");
    DIRECTORY_CHANGED = say(250, "Directory changed.");
    DELETED = say(250, "Deleted.");
    REMOVED = say(250, "Directory removed.");
    RENAMED = say(250, "Renamed.");
    RENAME_TO = say(350, "Ready for RNTO.");
    RNFR_FIRST = say(503, "RNFR comes right before RNTO.");
    COMBINED = say(250, "Combined.");
    SIZE_IN_ASCII = say(550, "SIZE is not told in TYPE A. Say TYPE I first.");
    NOT_A_FILE = say(550, "Not a file.");
    MODE_CHANGED = say(200, "Mode changed.");
    TIMES_CHANGED = say(200, "Times changed.");
    LINKED = say(200, "Linked.");
    NO_CREATION_TIMES = say(504, "Creation times cannot be set here.");
    MACHINE_LIST_OF_A_FILE = say(501, "MLSD lists directories. Use MLST.");
    HASH_OF_A_DIRECTORY = say(553, "A directory has no hash.");
    HASH_NOT_PERMITTED = say(552, "Permission denied.");
    NO_SUCH_SITE = say(504, "No such SITE command. Say SITE HELP.");
    BAD_FILE_MODE = say(501, "Not a mode: three or four octal digits, then one space and the path.");
    SITE_HELP = say(214, "SITE commands:\n\
        CHMOD <mode> <path>\n\
        HELP\n\
        SYMLINK \"<target>\" \"<link>\"\n\
        UTIME <YYYYMMDDhhmm[ss]> <path>\n\
        UTIME <path> <accessed> <modified> <created> UTC\n\
        End.");

    // We are wrong.
    CONFUSED = say(451, "The server is confused. Try again.");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reply_ends_where_it_should() {
        for reply in ALL {
            let mut wire = Vec::new();
            reply.write(&mut wire);
            let last = wire.split(|octet| *octet == b'\n').rev().nth(1).unwrap();
            assert!(last.starts_with(format!("{} ", reply.code()).as_bytes()), "{reply}");
            assert!(wire.iter().all(|octet| octet.is_ascii_graphic() || b" \r\n".contains(octet)), "{reply}");
        }
    }

    #[test]
    fn who_is_told_to_go_is_told_421_or_221_or_was_never_a_client() {
        for reply in ALL.iter().filter(|reply| reply.to_string().contains("Goodbye")) {
            assert!([221, 421, 500].contains(&reply.code()), "{reply}");
        }
    }
}
