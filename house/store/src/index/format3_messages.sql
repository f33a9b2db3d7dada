-- Format 3, once the blocks are made of them: messages without modseq, size, flags and keywords.
CREATE TABLE unchanging (
    mailbox     INTEGER NOT NULL REFERENCES mailboxes (id),
    uid         INTEGER NOT NULL,
    body        INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    saved_at    INTEGER NOT NULL,
    prefix      BLOB NOT NULL,
    email       INTEGER NOT NULL,
    thread      INTEGER NOT NULL,
    added       INTEGER NOT NULL,
    PRIMARY KEY (mailbox, uid)
) STRICT, WITHOUT ROWID;

INSERT INTO unchanging (mailbox, uid, body, received_at, saved_at, prefix, email, thread, added)
    SELECT mailbox, uid, body, received_at, saved_at, prefix, email, thread, added FROM messages ORDER BY mailbox, uid;

DROP TABLE messages;
ALTER TABLE unchanging RENAME TO messages;
