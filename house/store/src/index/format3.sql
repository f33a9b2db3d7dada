-- Format 3: what changes about messages stands in blocks of many, apart from what never changes. Why so: docs/decisions/0007.

-- The layout of a block is code (states), and versioned there; id is the mailbox and the UID a block begins at.
CREATE TABLE states (
    id    INTEGER PRIMARY KEY,
    block BLOB NOT NULL,
    words TEXT
) STRICT;
