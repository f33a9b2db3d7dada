-- Format 1 of the index. Never edited: a change is a new step (migrate.rs).
-- Octets of messages lie in segments; here is only what is small and must be found.
-- Times are Unix seconds. Totals are kept up to date by the index thread, and proved by the check.

-- Numbers below which everything may have been handed out: account, mailbox, mail, recipient, body, segment, uidvalidity.
CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    next  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE accounts (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    record     TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- Apart from accounts, because it changes with every delivery.
CREATE TABLE totals (
    account  INTEGER PRIMARY KEY REFERENCES accounts (id),
    modseq   INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    octets   INTEGER NOT NULL
) STRICT;

-- The directory's own: domains, aliases.
CREATE TABLE entries (
    kind  TEXT NOT NULL,
    key   TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE mailboxes (
    id          INTEGER PRIMARY KEY,
    account     INTEGER NOT NULL REFERENCES accounts (id),
    name        TEXT NOT NULL,
    special_use TEXT,
    subscribed  INTEGER NOT NULL,
    uidvalidity INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    uidnext     INTEGER NOT NULL,
    modseq      INTEGER NOT NULL,
    messages    INTEGER NOT NULL,
    unseen      INTEGER NOT NULL,
    octets      INTEGER NOT NULL,
    UNIQUE (account, name)
) STRICT;

CREATE TABLE messages (
    mailbox     INTEGER NOT NULL REFERENCES mailboxes (id),
    uid         INTEGER NOT NULL,
    modseq      INTEGER NOT NULL,
    body        INTEGER NOT NULL,
    size        INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    saved_at    INTEGER NOT NULL,
    flags       INTEGER NOT NULL,
    keywords    TEXT,
    prefix      BLOB NOT NULL,
    PRIMARY KEY (mailbox, uid)
) STRICT, WITHOUT ROWID;

-- UIDs that are gone, in ranges. Neighbouring ranges are joined under the newer modseq, so there are never more
-- ranges than messages that are still there, and one.
CREATE TABLE expunged (
    mailbox INTEGER NOT NULL REFERENCES mailboxes (id),
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    modseq  INTEGER NOT NULL,
    PRIMARY KEY (mailbox, first)
) STRICT, WITHOUT ROWID;

-- Where the octets are. refs counts messages and mails.
CREATE TABLE bodies (
    id      INTEGER PRIMARY KEY,
    segment INTEGER NOT NULL,
    offset  INTEGER NOT NULL,
    length  INTEGER NOT NULL,
    record  INTEGER NOT NULL,
    refs    INTEGER NOT NULL
) STRICT;

-- committed_len: octets beyond it are garbage. live: octets of records that bodies point at.
CREATE TABLE segments (
    id            INTEGER PRIMARY KEY,
    sealed        INTEGER NOT NULL,
    committed_len INTEGER NOT NULL,
    live          INTEGER NOT NULL
) STRICT;

CREATE TABLE mails (
    id           INTEGER PRIMARY KEY,
    body         INTEGER NOT NULL,
    size         INTEGER NOT NULL,
    sender       TEXT NOT NULL,
    queued_at    INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    smtputf8     INTEGER NOT NULL,
    eight_bit    INTEGER NOT NULL,
    envid        TEXT,
    ret          TEXT,
    submitted_by TEXT
) STRICT;

CREATE TABLE recipients (
    id           INTEGER PRIMARY KEY,
    mail         INTEGER NOT NULL REFERENCES mails (id),
    address      TEXT NOT NULL,
    original     TEXT,
    notify       INTEGER,
    next_attempt INTEGER NOT NULL,
    held         INTEGER NOT NULL,
    warned       INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    last_at      INTEGER,
    last_host    TEXT,
    last_reason  TEXT
) STRICT;

CREATE INDEX recipients_of_mail ON recipients (mail);
CREATE INDEX recipients_due ON recipients (next_attempt, id) WHERE held = 0;

CREATE TABLE attempts (
    recipient INTEGER NOT NULL REFERENCES recipients (id),
    number    INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    host      TEXT,
    reason    TEXT NOT NULL,
    PRIMARY KEY (recipient, number)
) STRICT, WITHOUT ROWID;
