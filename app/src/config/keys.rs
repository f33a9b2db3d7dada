//! Every key of the configuration, declared once.
//!
//! The reader, the sample file, the reference page and `config check` all come from these tables.
//!
//! Not here: what the values mean to the server (`settings`).

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A path; relative ones start at the folder of the configuration file.
    Path,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number in this range.
    Count { min: u64, max: u64 },
    /// A list of texts.
    List,
}

/// What holds when the key is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// The key must be set.
    Required,
    /// Nothing; the sentence says what that means.
    Unset,
    /// This text, path or choice.
    Text(&'static str),
    /// This number.
    Count(u64),
    /// These texts.
    List(&'static [&'static str]),
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name with its table: `smtp.message_size_max_bytes`.
    pub name: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// What holds when it is not set.
    pub fallback: Fallback,
    /// What it is for, in one or two sentences.
    pub sentence: &'static str,
}

const fn key(name: &'static str, kind: Kind, fallback: Fallback, sentence: &'static str) -> Key {
    Key { name, kind, fallback, sentence }
}

const SECS_PER_DAY: u64 = 86_400;

/// A terabyte a second: beyond it there is nothing to limit.
const RATE_MAX: u64 = 1_000_000_000_000;

/// Keys that a server which runs does not read again.
pub const AT_START: &[&str] = &[
    "host_name",
    "data_dir",
    "user",
    "log.level",
    "log.format",
    "listen.smtp",
    "listen.submission",
    "listen.submissions",
    "listen.pop3",
    "listen.pop3s",
    "listen.imap",
    "listen.imaps",
    "listen.ftp",
    "listen.ftps",
    "listen.proxy_networks",
    "limits.connections_max",
    "limits.connections_per_address_max",
    "dns.servers",
    "ftp.sync_uploads",
];

/// The keys outside of lists, in the order of the sample file.
pub const KEYS: &[Key] = &[
    key(
        "host_name",
        Kind::Text,
        Fallback::Required,
        "The name this machine greets with and signs trace fields with. It should resolve to its public address, and that address back to it.",
    ),
    key(
        "data_dir",
        Kind::Path,
        Fallback::Text("packetboat-data"),
        "Where everything is kept: accounts, mail, the queue, the control socket.",
    ),
    key(
        "postmaster",
        Kind::Text,
        Fallback::Unset,
        "The account that gets mail to postmaster and abuse of every domain that has no alias for them. Unset: the first account of all.",
    ),
    key(
        "catch_all",
        Kind::Text,
        Fallback::Unset,
        "The account that gets all mail to addresses nobody has, of any domain, so that nothing ever leaves the machine. For testing only.",
    ),
    key(
        "user",
        Kind::Text,
        Fallback::Unset,
        "The system user to become once the ports are open, when started as root.",
    ),
    key(
        "log.level",
        Kind::Choice(&["error", "warn", "info", "debug"]),
        Fallback::Text("info"),
        "How much to log: `info` says when mail changes hands, `debug` adds the dialogues.",
    ),
    key(
        "log.format",
        Kind::Choice(&["text", "json"]),
        Fallback::Text("text"),
        "One line of text or one JSON object an event.",
    ),
    key(
        "tls.certificate",
        Kind::Path,
        Fallback::Unset,
        "The certificate chain in PEM form, read again on SIGHUP. Unset: a self-signed one is made in data_dir, which other servers accept and mail readers warn of.",
    ),
    key(
        "tls.client_ca",
        Kind::Path,
        Fallback::Unset,
        "Authorities, in PEM form, read again on SIGHUP, whose certificates let people log in by IMAP, POP3 and submission without a password (SASL EXTERNAL), as the account that is a mail address in the certificate. Unset: nobody is asked for a certificate.",
    ),
    key("tls.key", Kind::Path, Fallback::Unset, "The private key in PEM form that belongs to tls.certificate."),
    key(
        "listen.smtp",
        Kind::List,
        Fallback::List(&["0.0.0.0:25", "[::]:25"]),
        "Where mail from other servers comes in. STARTTLS is offered.",
    ),
    key(
        "listen.submission",
        Kind::List,
        Fallback::List(&["0.0.0.0:587", "[::]:587"]),
        "Where our users send mail, with STARTTLS and login.",
    ),
    key(
        "listen.submissions",
        Kind::List,
        Fallback::List(&["0.0.0.0:465", "[::]:465"]),
        "The same with TLS from the first octet (RFC 8314).",
    ),
    key(
        "listen.pop3",
        Kind::List,
        Fallback::List(&["0.0.0.0:110", "[::]:110"]),
        "Where mail is fetched by POP3, with STLS.",
    ),
    key(
        "listen.pop3s",
        Kind::List,
        Fallback::List(&["0.0.0.0:995", "[::]:995"]),
        "The same with TLS from the first octet.",
    ),
    key(
        "listen.imap",
        Kind::List,
        Fallback::List(&["0.0.0.0:143", "[::]:143"]),
        "Where mail is read by IMAP, with STARTTLS.",
    ),
    key(
        "listen.imaps",
        Kind::List,
        Fallback::List(&["0.0.0.0:993", "[::]:993"]),
        "The same with TLS from the first octet.",
    ),
    key(
        "listen.ftp",
        Kind::List,
        Fallback::List(&["0.0.0.0:21", "[::]:21"]),
        "Where files are fetched and stored by FTP, with AUTH TLS. Empty: nowhere.",
    ),
    key(
        "listen.ftps",
        Kind::List,
        Fallback::List(&["0.0.0.0:990", "[::]:990"]),
        "The same with TLS from the first octet.",
    ),
    key(
        "listen.proxy_networks",
        Kind::List,
        Fallback::List(&[]),
        "Proxies that announce the client's address by the PROXY protocol, as 192.0.2.0/24; every connection from there must begin with it.",
    ),
    key(
        "limits.connections_max",
        Kind::Count { min: 1, max: 1_000_000 },
        Fallback::Count(20_000),
        "Connections at once, over all ports.",
    ),
    key(
        "limits.connections_per_address_max",
        Kind::Count { min: 1, max: 1_000_000 },
        Fallback::Count(100),
        "Connections at once from one address, or from one /64 of IPv6.",
    ),
    key(
        "limits.messages_per_account_hour",
        Kind::Count { min: 0, max: 1_000_000 },
        Fallback::Count(300),
        "Messages an account may send in an hour, so that a stolen password is no catastrophe; 0 means any number.",
    ),
    key(
        "limits.messages_per_account_day",
        Kind::Count { min: 0, max: 10_000_000 },
        Fallback::Count(2_000),
        "Messages an account may send in a day; 0 means any number.",
    ),
    key(
        "limits.recipients_per_account_hour",
        Kind::Count { min: 0, max: 10_000_000 },
        Fallback::Count(2_000),
        "Recipients an account may write to in an hour; 0 means any number.",
    ),
    key(
        "limits.recipients_per_account_day",
        Kind::Count { min: 0, max: 100_000_000 },
        Fallback::Count(10_000),
        "Recipients an account may write to in a day; 0 means any number.",
    ),
    key(
        "login.in_clear",
        Kind::Choice(&["never", "loopback", "always"]),
        Fallback::Text("loopback"),
        "Whether passwords are taken over connections without TLS.",
    ),
    key(
        "login.default_domain",
        Kind::Text,
        Fallback::Unset,
        "The domain of a login without one. Unset: `bob` may log in when only one account is called bob.",
    ),
    key(
        "smtp.message_size_max_bytes",
        Kind::Count { min: 65_536, max: 4_294_967_296 },
        Fallback::Count(52_428_800),
        "The largest message that is taken.",
    ),
    key(
        "smtp.recipients_max",
        Kind::Count { min: 100, max: 100_000 },
        Fallback::Count(1_000),
        "Recipients of one message; more are deferred, as RFC 5321 wants.",
    ),
    key(
        "smtp.idle_limit_secs",
        Kind::Count { min: 60, max: 3_600 },
        Fallback::Count(300),
        "How long a client may say nothing. RFC 5321 §4.5.3.2.7 says at least five minutes.",
    ),
    key(
        "smtp.trusted_networks",
        Kind::List,
        Fallback::List(&[]),
        "Networks that may send to anywhere without login, as 192.0.2.0/24. Keep it empty unless a printer makes you.",
    ),
    key(
        "smtp.address_separator",
        Kind::Text,
        Fallback::Text("+"),
        "What separates an account from a tag: bob+shop@example.org reaches bob. Empty: nothing does.",
    ),
    key(
        "pop3.idle_limit_secs",
        Kind::Count { min: 600, max: 86_400 },
        Fallback::Count(600),
        "How long a client may say nothing. RFC 1939 §3 says at least ten minutes.",
    ),
    key(
        "imap.idle_limit_secs",
        Kind::Count { min: 1_800, max: 86_400 },
        Fallback::Count(1_800),
        "How long a client may say nothing, also in IDLE. RFC 9051 §5.4 says at least thirty minutes.",
    ),
    key(
        "imap.submitters",
        Kind::List,
        Fallback::List(&[]),
        "Accounts of submission servers: by IMAP they may use URLs that people have made for submission, `URLAUTH=submit+…` (RFC 4467).",
    ),
    key(
        "ftp.greeting",
        Kind::Text,
        Fallback::Unset,
        "What clients hear first, behind 220, as a notice of who may come in; several lines in `\"\"\"`. Names and versions of programs help attackers more than anybody else. Unset: `FTP server ready.`",
    ),
    key(
        "ftp.passive_ports",
        Kind::Text,
        Fallback::Text("50000-50999"),
        "The ports, first and last, to which clients come for their data. A firewall must let them through.",
    ),
    key(
        "ftp.public_address",
        Kind::Text,
        Fallback::Unset,
        "The public IPv4 address, if a router or container host translates it: PASV shows it to clients from public addresses. Unset: the address the client has dialled, and if that is a private one, the public one of host_name by DNS.",
    ),
    key(
        "ftp.require_tls",
        Kind::Choice(&["login", "always", "never"]),
        Fallback::Text("login"),
        "`login`: whoever may not log in without TLS by login.in_clear. `always` and `never` hold for every client.",
    ),
    key(
        "ftp.data_tls",
        Kind::Choice(&["resumed", "any"]),
        Fallback::Text("resumed"),
        "`resumed`: a data connection under TLS must resume the session of its control connection, so that nobody else can take its place. `any` is for clients that cannot.",
    ),
    key(
        "ftp.ccc",
        Kind::Choice(&["never", "allowed"]),
        Fallback::Text("never"),
        "Whether a client may end TLS on its control connection after login by CCC (RFC 4217 §5), for routers that must read along. From then on anybody on the way can read and forge commands; data stay protected.",
    ),
    key(
        "ftp.foreign_data",
        Kind::Choice(&["never", "allowed"]),
        Fallback::Text("never"),
        "Whether data may go to and come from others than the client, so that files pass from server to server. `allowed` lets every account make this machine dial any port from 1024 on, and lets whoever finds a waiting port first have the data.",
    ),
    key(
        "ftp.compression",
        Kind::Choice(&["off", "on"]),
        Fallback::Text("off"),
        "Whether clients may have files and listings compressed on their way (MODE Z). For slow networks: lftp does so unasked wherever FEAT tells of it, and on a fast network that costs more time than it saves.",
    ),
    key(
        "ftp.sessions_max",
        Kind::Count { min: 1, max: 100_000 },
        Fallback::Count(10_000),
        "How many sessions of FTP there may be at a time.",
    ),
    key(
        "ftp.sessions_per_account_max",
        Kind::Count { min: 1, max: 10_000 },
        Fallback::Count(50),
        "How many of them may be of one account. Clients that move trees open several, and one account may serve many printers.",
    ),
    key(
        "ftp.idle_limit_secs",
        Kind::Count { min: 300, max: 86_400 },
        Fallback::Count(300),
        "How long a client may say nothing while nothing is transferred. RFC 1123 §4.1.3.2 says at least five minutes.",
    ),
    key(
        "ftp.stall_limit_secs",
        Kind::Count { min: 10, max: 3_600 },
        Fallback::Count(300),
        "How long nothing may move in a transfer before it is given up. What fills the system's buffers moves in large steps: a client that reads 10 kB a second from 4 MB of them needs some minutes for one.",
    ),
    key(
        "ftp.transfer_log",
        Kind::Path,
        Fallback::Unset,
        "A file that gets one line for each transfer, in the format of wu-ftpd and vsftpd (xferlog), opened anew on SIGHUP. Unset: there is none.",
    ),
    key(
        "ftp.sync_uploads",
        Kind::Choice(&["always", "never"]),
        Fallback::Text("always"),
        "`always`: who hears 226 has a file that outlives a power cut. `never` is faster for many small files and breaks that promise: a crash of the machine may lose files that clients were told are stored, or leave them empty. Only for what can be sent again. Takes a restart.",
    ),
    key(
        "ftp.rate_per_session_bytes",
        Kind::Count { min: 0, max: RATE_MAX },
        Fallback::Count(0),
        "Octets of files and listings that a session may move in a second, both directions together. 0: as fast as it goes.",
    ),
    key(
        "ftp.rate_per_account_bytes",
        Kind::Count { min: 0, max: RATE_MAX },
        Fallback::Count(0),
        "The same for all sessions of an account together. 0: as fast as it goes.",
    ),
    key(
        "ftp.anonymous",
        Kind::Choice(&["no", "yes"]),
        Fallback::Text("no"),
        "Anonymous FTP (RFC 1635): whether `anonymous` and `ftp` log in with any password, without TLS too unless ftp.require_tls is `always`. They see each [[space]] whose `for` names `anonymous`, and nothing else.",
    ),
    key(
        "ftp.anonymous_sessions_max",
        Kind::Count { min: 1, max: 1_000_000 },
        Fallback::Count(50),
        "Anonymous sessions at once.",
    ),
    key(
        "ftp.anonymous_welcome",
        Kind::Path,
        Fallback::Unset,
        "A file with words for who has logged in anonymously, read at each login.",
    ),
    key(
        "files.own_space",
        Kind::Choice(&["full", "read-only", "none"]),
        Fallback::Text("full"),
        "What accounts may do with a space of their own, at `/`. `none`: they have none, only what is shared with them. `packetboat account permit` says otherwise for one account.",
    ),
    key(
        "files.keep_interrupted_secs",
        Kind::Count { min: 0, max: 30 * SECS_PER_DAY },
        Fallback::Count(SECS_PER_DAY),
        "How long an upload that broke off is kept in accounts' own spaces, to go on with; it counts in the quota. 0: not at all.",
    ),
    key(
        "queue.retry_first_secs",
        Kind::Count { min: 1, max: SECS_PER_DAY },
        Fallback::Count(300),
        "The pause before the second attempt; each later one is longer, up to queue.retry_last_secs.",
    ),
    key(
        "queue.retry_last_secs",
        Kind::Count { min: 1, max: SECS_PER_DAY },
        Fallback::Count(14_400),
        "The longest pause between two attempts; each is twice the one before until then.",
    ),
    key(
        "queue.give_up_after_secs",
        Kind::Count { min: 60, max: 30 * SECS_PER_DAY },
        Fallback::Count(5 * SECS_PER_DAY),
        "How long delivery is tried before the sender gets the mail back. RFC 5321 §4.5.4.1 says four to five days.",
    ),
    key(
        "queue.warn_after_secs",
        Kind::Count { min: 0, max: 30 * SECS_PER_DAY },
        Fallback::Count(14_400),
        "When the sender is told that a mail is late; 0 means never.",
    ),
    key(
        "queue.connections_per_host_max",
        Kind::Count { min: 1, max: 100 },
        Fallback::Count(5),
        "Connections at once to one destination.",
    ),
    key(
        "queue.connections_max",
        Kind::Count { min: 1, max: 10_000 },
        Fallback::Count(100),
        "Connections at once to all destinations together.",
    ),
    key(
        "queue.port",
        Kind::Count { min: 1, max: 65_535 },
        Fallback::Count(25),
        "The port of other mail servers. Anything but 25 is for tests.",
    ),
    key("queue.source_address", Kind::Text, Fallback::Unset, "The address to send from. Unset: the system chooses."),
    key("dns.servers", Kind::List, Fallback::List(&[]), "Name servers as address:port. Empty: those of the system."),
];

/// The keys of each `[[route]]`: where mail goes that does not go where DNS says.
pub const ROUTE_KEYS: &[Key] = &[
    key(
        "domain",
        Kind::Text,
        Fallback::Required,
        "The domain of the recipients, or `*` for all that no other route names.",
    ),
    key(
        "host",
        Kind::Text,
        Fallback::Required,
        "The host that takes their mail: a name or an address. No MX record is asked for.",
    ),
    key(
        "port",
        Kind::Count { min: 1, max: 65_535 },
        Fallback::Count(25),
        "Its port; 465 means TLS from the first octet.",
    ),
    key(
        "tls",
        Kind::Choice(&["opportunistic", "required", "none"]),
        Fallback::Text("opportunistic"),
        "`required` verifies the certificate for the host and sends nothing without.",
    ),
    key("login", Kind::Text, Fallback::Unset, "The name to log in with, for a smarthost."),
    key("password_file", Kind::Path, Fallback::Unset, "A file with the password, readable by the server only."),
];

/// The keys of each `[[hook]]`: who is told of what happens, by a command or over HTTP.
pub const HOOK_KEYS: &[Key] = &[
    key(
        "name",
        Kind::Text,
        Fallback::Required,
        "Its name in the log and in `packetboat hook`, unlike that of any other.",
    ),
    key(
        "events",
        Kind::List,
        Fallback::List(&["upload"]),
        "What it is told of: upload, download, delete, rename, upload-interrupted.",
    ),
    key(
        "paths",
        Kind::List,
        Fallback::List(&[]),
        "Only of files with such a path, as their account sees it: `*` stands for anything but a slash, `**` for anything, `?` for one character. Empty: of all.",
    ),
    key(
        "accounts",
        Kind::List,
        Fallback::List(&[]),
        "Only of files of such accounts, as joe@example.org or *@example.org. Empty: of all.",
    ),
    key(
        "command",
        Kind::List,
        Fallback::List(&[]),
        "The program to run and its arguments, as [\"/usr/local/bin/import\", \"--now\"]. No shell reads them.",
    ),
    key("url", Kind::Text, Fallback::Unset, "The http:// or https:// URL to post to, in place of a command."),
    key(
        "secret_file",
        Kind::Path,
        Fallback::Unset,
        "A file with the secret that posts are signed with, readable by the server only: `whsec_` and base64, or any text. Unset: they are not signed.",
    ),
    key("timeout_secs", Kind::Count { min: 1, max: 3_600 }, Fallback::Count(30), "How long one attempt may take."),
    key(
        "retry_first_secs",
        Kind::Count { min: 1, max: SECS_PER_DAY },
        Fallback::Count(10),
        "The pause before the second attempt; each later one is twice as long, up to an hour.",
    ),
    key(
        "give_up_after_secs",
        Kind::Count { min: 1, max: 30 * SECS_PER_DAY },
        Fallback::Count(SECS_PER_DAY),
        "How long it is tried to tell it of one event.",
    ),
    key("parallel", Kind::Count { min: 1, max: 32 }, Fallback::Count(4), "Attempts at once."),
];

/// The largest quota in octets or files.
const QUOTA_MAX: u64 = i64::MAX.cast_unsigned();

/// The keys of each `[[space]]`: a directory that several see.
pub const SPACE_KEYS: &[Key] = &[
    key(
        "name",
        Kind::Text,
        Fallback::Required,
        "Its name in the log and in `packetboat files`, unlike that of any other: small letters, digits, `-` and `_`.",
    ),
    key(
        "path",
        Kind::Path,
        Fallback::Unset,
        "Where it lies. The server must be able to write there, unless all permissions are read-only. Unset: `spaces/<name>` in data_dir, made when it is missing.",
    ),
    key(
        "at",
        Kind::Text,
        Fallback::Required,
        "Where those who have it see it, as `/shared/projects`. At `/` it takes the place of their own space.",
    ),
    key(
        "for",
        Kind::List,
        Fallback::Required,
        "Who has it: accounts by their addresses, domains as `@example.org`, `all` for all accounts, `anonymous` for those without one.",
    ),
    key(
        "permissions",
        Kind::List,
        Fallback::List(&["full"]),
        "What they may do there: `full`, `read-only`, `drop-box` (hand in new files, see none) or `none`, or words: `list`, `read`, `write`, `append`, `create`, `delete`, `rename`, `mkdir`, `rmdir`, `chmod`. `anonymous` gets no more of it than read-only, or drop-box where neither list nor read is among them.",
    ),
    key(
        "quota_bytes",
        Kind::Count { min: 0, max: QUOTA_MAX },
        Fallback::Count(0),
        "Octets it may hold, whoever brings them. 0: as many as the disk holds.",
    ),
    key(
        "quota_files",
        Kind::Count { min: 0, max: QUOTA_MAX },
        Fallback::Count(0),
        "Files, links and directories it may hold. 0: any number.",
    ),
    key(
        "keep_interrupted_secs",
        Kind::Count { min: 0, max: 30 * SECS_PER_DAY },
        Fallback::Count(SECS_PER_DAY),
        "How long an upload that broke off is kept for its account to go on with; it counts in the quota. 0: not at all.",
    ),
    key(
        "file_mode",
        Kind::Text,
        Fallback::Text("0640"),
        "Modes of new files, in octal digits, less what the server's umask takes away: `0644` lets other programs read them. A file that replaces another takes over its modes.",
    ),
    key("directory_mode", Kind::Text, Fallback::Text("0750"), "Modes of new directories, the same way."),
];

/// The keys of each `[[space.rule]]` behind a `[[space]]`: what holds in one of its directories and all below.
pub const SPACE_RULE_KEYS: &[Key] = &[
    key(
        "path",
        Kind::Text,
        Fallback::Required,
        "The directory, from the top of the space, which is `/`. Nobody can move or remove it.",
    ),
    key(
        "for",
        Kind::List,
        Fallback::List(&[]),
        "For whom, as in the space; for all who have the space if nobody is named. Of rules for one directory the first that fits holds.",
    ),
    key(
        "permissions",
        Kind::List,
        Fallback::Required,
        "What they may do there, in place of the permissions of the space or of a rule above.",
    ),
];
