-- Format 2: mailboxes in a tree, flags that change, and what lists of messages say. Why so: docs/decisions/0004.

-- Names, whether there is such a mailbox or not.
CREATE TABLE subscriptions (
    account INTEGER NOT NULL REFERENCES accounts (id),
    name    TEXT NOT NULL,
    PRIMARY KEY (account, name)
) STRICT, WITHOUT ROWID;

INSERT INTO subscriptions (account, name) SELECT account, name FROM mailboxes WHERE subscribed <> 0;

-- deleted: how many messages are \Deleted. made, changed: the account's modseq when the mailbox itself (not what is in it) was made
-- and last changed.
ALTER TABLE mailboxes DROP COLUMN subscribed;
ALTER TABLE mailboxes ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE mailboxes ADD COLUMN made INTEGER NOT NULL DEFAULT 1;
ALTER TABLE mailboxes ADD COLUMN changed INTEGER NOT NULL DEFAULT 1;

UPDATE mailboxes SET deleted = (SELECT count(*) FROM messages m WHERE m.mailbox = mailboxes.id AND m.flags & 8);

-- Mailboxes that are gone, for who asks what has changed.
CREATE TABLE removed_mailboxes (
    account INTEGER NOT NULL REFERENCES accounts (id),
    mailbox INTEGER NOT NULL,
    modseq  INTEGER NOT NULL,
    PRIMARY KEY (account, mailbox)
) STRICT, WITHOUT ROWID;

-- email: the same for all copies of a message in an account. thread: the first email of its discussion. added: the modseq with which it
-- came into the mailbox.
ALTER TABLE messages ADD COLUMN email INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN thread INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN added INTEGER NOT NULL DEFAULT 1;

UPDATE messages SET email = n.number, thread = n.number, added = modseq
    FROM (SELECT mailbox, uid, row_number() OVER (ORDER BY mailbox, uid) AS number FROM messages) n
    WHERE n.mailbox = messages.mailbox AND n.uid = messages.uid;

INSERT INTO counters (name, next) SELECT 'email', 1 + count(*) FROM messages;

-- Which discussion a message belongs to, by a hash of what it is called and what it is about.
CREATE TABLE threads (
    account INTEGER NOT NULL REFERENCES accounts (id),
    key     INTEGER NOT NULL,
    thread  INTEGER NOT NULL,
    PRIMARY KEY (account, key)
) STRICT, WITHOUT ROWID;

-- What lists say of the message (message::outline); NULL until somebody asks, where the message is older than this format.
ALTER TABLE bodies ADD COLUMN outline BLOB;

-- Mailbox 0 is the account as a whole.
CREATE TABLE annotations (
    account INTEGER NOT NULL REFERENCES accounts (id),
    mailbox INTEGER NOT NULL,
    entry   TEXT NOT NULL,
    value   BLOB NOT NULL,
    PRIMARY KEY (account, mailbox, entry)
) STRICT, WITHOUT ROWID;

CREATE TABLE rights (
    mailbox INTEGER NOT NULL REFERENCES mailboxes (id),
    who     TEXT NOT NULL,
    rights  TEXT NOT NULL,
    PRIMARY KEY (mailbox, who)
) STRICT, WITHOUT ROWID;

CREATE INDEX rights_of_somebody ON rights (who);
