//! What must be true between rows: a query that finds offenders and says what is wrong, and what mends it.
//!
//! Order matters: rows that point at nothing go first, then references are counted, then figures are added up.
//!
//! Blocks of states are no rows: they stand in the temporary table `unpacked`, and are made anew of it after mending.
//!
//! Invariants: a query has one column, a sentence; a statement that mends makes its query find nothing.

use rusqlite::Connection;

use super::Report;
use crate::error::ReadError;

/// The largest number of each kind that is in use: `name`, `number`.
macro_rules! numbers_in_use {
    () => {
        "SELECT 'account' AS name, max(id) AS number FROM accounts \
         UNION ALL SELECT 'mailbox', max(id) FROM mailboxes \
         UNION ALL SELECT 'uidvalidity', max(uidvalidity) FROM mailboxes \
         UNION ALL SELECT 'email', max(max(email), max(thread)) FROM messages \
         UNION ALL SELECT 'mail', max(id) FROM mails \
         UNION ALL SELECT 'recipient', max(id) FROM recipients \
         UNION ALL SELECT 'body', max(id) FROM bodies \
         UNION ALL SELECT 'segment', max(id) FROM segments"
    };
}

/// One thing that must be true.
pub(crate) struct Rule {
    /// Finds offenders: one sentence each.
    find: &'static str,
    /// Mends all of them.
    pub(super) mend: &'static str,
    /// What mending means to people.
    mending: &'static str,
}

impl Rule {
    /// Adds offenders to the report; says whether there are any.
    pub(super) fn find(&self, conn: &Connection, report: &mut Report) -> Result<bool, ReadError> {
        let mut select = conn.prepare_cached(self.find)?;
        let mut rows = select.query([])?;
        let mut found = false;
        while let Some(row) = rows.next()? {
            found = true;
            report.add(row.get::<_, String>(0)?, Some(self.mending));
        }
        Ok(found)
    }
}

/// Everything that must be true.
pub(crate) const RULES: &[Rule] = &[
    // Where octets are.
    Rule {
        find: "SELECT format('body %d lies in segment %d, which does not exist', id, segment) FROM bodies \
               WHERE segment NOT IN (SELECT id FROM segments)",
        mend: "DELETE FROM bodies WHERE segment NOT IN (SELECT id FROM segments)",
        mending: "removed with what points at it",
    },
    Rule {
        find: "SELECT format('body %d lies behind the end of segment %d', b.id, b.segment) \
               FROM bodies b JOIN segments s ON s.id = b.segment WHERE b.offset + b.length > s.committed_len",
        mend: "DELETE FROM bodies WHERE id IN (SELECT b.id FROM bodies b JOIN segments s ON s.id = b.segment \
               WHERE b.offset + b.length > s.committed_len)",
        mending: "removed with what points at it",
    },
    Rule {
        find: "SELECT format('segment %d is open beside a later one', id) FROM segments \
               WHERE sealed = 0 AND id < (SELECT max(id) FROM segments WHERE sealed = 0)",
        mend: "UPDATE segments SET sealed = 1 \
               WHERE sealed = 0 AND id < (SELECT max(id) FROM segments WHERE sealed = 0)",
        mending: "sealed",
    },
    // Rows that point at nothing.
    Rule {
        find: "SELECT format('mailbox %d (%s) belongs to no account', id, name) FROM mailboxes \
               WHERE account NOT IN (SELECT id FROM accounts)",
        mend: "DELETE FROM mailboxes WHERE account NOT IN (SELECT id FROM accounts)",
        mending: "removed with its messages",
    },
    Rule {
        find: "SELECT format('message %d is in mailbox %d, which does not exist', uid, mailbox) FROM messages \
               WHERE mailbox NOT IN (SELECT id FROM mailboxes)",
        mend: "DELETE FROM messages WHERE mailbox NOT IN (SELECT id FROM mailboxes)",
        mending: "removed",
    },
    Rule {
        find: "SELECT format('UIDs %d to %d are remembered of mailbox %d, which does not exist', first, last, mailbox) \
               FROM expunged WHERE mailbox NOT IN (SELECT id FROM mailboxes)",
        mend: "DELETE FROM expunged WHERE mailbox NOT IN (SELECT id FROM mailboxes)",
        mending: "removed",
    },
    Rule {
        find: "SELECT format('message %d in mailbox %s of account %s has lost its octets (body %d)', \
                   m.uid, b.name, a.name, m.body) \
               FROM messages m JOIN mailboxes b ON b.id = m.mailbox JOIN accounts a ON a.id = b.account \
               WHERE m.body NOT IN (SELECT id FROM bodies)",
        mend: "DELETE FROM messages WHERE body NOT IN (SELECT id FROM bodies)",
        mending: "removed",
    },
    Rule {
        find: "SELECT format('message %d in mailbox %d has a state and is not there', uid, mailbox) FROM unpacked \
               WHERE (mailbox, uid) NOT IN (SELECT mailbox, uid FROM messages)",
        mend: "DELETE FROM unpacked WHERE (mailbox, uid) NOT IN (SELECT mailbox, uid FROM messages)",
        mending: "removed",
    },
    Rule {
        find: "SELECT format('queued mail %d from <%s> has lost its octets (body %d)', id, sender, body) FROM mails \
               WHERE body NOT IN (SELECT id FROM bodies)",
        mend: "DELETE FROM mails WHERE body NOT IN (SELECT id FROM bodies)",
        mending: "removed with its recipients",
    },
    Rule {
        find: "SELECT format('recipient %d <%s> belongs to mail %d, which does not exist', id, address, mail) \
               FROM recipients WHERE mail NOT IN (SELECT id FROM mails)",
        mend: "DELETE FROM recipients WHERE mail NOT IN (SELECT id FROM mails)",
        mending: "removed",
    },
    Rule {
        find: "SELECT format('queued mail %d from <%s> has no recipient', id, sender) FROM mails \
               WHERE id NOT IN (SELECT mail FROM recipients)",
        mend: "DELETE FROM mails WHERE id NOT IN (SELECT mail FROM recipients)",
        mending: "removed",
    },
    Rule {
        find: "SELECT format('attempt %d belongs to recipient %d, who does not exist', number, recipient) \
               FROM attempts WHERE recipient NOT IN (SELECT id FROM recipients)",
        mend: "DELETE FROM attempts WHERE recipient NOT IN (SELECT id FROM recipients)",
        mending: "removed",
    },
    Rule {
        find: "SELECT format('account %d (%s) has no totals', id, name) FROM accounts \
               WHERE id NOT IN (SELECT account FROM totals)",
        mend: "INSERT INTO totals (account, modseq, messages, octets) SELECT id, 1, 0, 0 FROM accounts \
               WHERE id NOT IN (SELECT account FROM totals)",
        mending: "added up again",
    },
    Rule {
        find: "SELECT format('there are totals of account %d, which does not exist', account) FROM totals \
               WHERE account NOT IN (SELECT id FROM accounts)",
        mend: "DELETE FROM totals WHERE account NOT IN (SELECT id FROM accounts)",
        mending: "removed",
    },
    Rule {
        find: "SELECT format('account %d subscribes to %s and does not exist', account, name) FROM subscriptions \
               WHERE account NOT IN (SELECT id FROM accounts)",
        mend: "DELETE FROM subscriptions WHERE account NOT IN (SELECT id FROM accounts)",
        mending: "removed",
    },
    Rule {
        find: "SELECT format('annotation %s is of mailbox %d of account %d, which does not exist', entry, mailbox, account) \
               FROM annotations a WHERE account NOT IN (SELECT id FROM accounts) OR (mailbox <> 0 AND NOT EXISTS \
                   (SELECT 1 FROM mailboxes b WHERE b.id = a.mailbox AND b.account = a.account))",
        mend: "DELETE FROM annotations WHERE account NOT IN (SELECT id FROM accounts) OR (mailbox <> 0 AND NOT EXISTS \
                   (SELECT 1 FROM mailboxes b WHERE b.id = annotations.mailbox AND b.account = annotations.account))",
        mending: "removed",
    },
    Rule {
        find: "SELECT format('%s has rights on mailbox %d, which does not exist', who, mailbox) FROM rights \
               WHERE mailbox NOT IN (SELECT id FROM mailboxes)",
        mend: "DELETE FROM rights WHERE mailbox NOT IN (SELECT id FROM mailboxes)",
        mending: "removed",
    },
    Rule {
        find: "SELECT format('%d keys of discussions are of account %d, which does not exist', count(*), account) \
               FROM threads WHERE account NOT IN (SELECT id FROM accounts) GROUP BY account",
        mend: "DELETE FROM threads WHERE account NOT IN (SELECT id FROM accounts)",
        mending: "removed",
    },
    Rule {
        find: "SELECT format('mailbox %d is remembered as removed of account %d, which does not exist', mailbox, account) \
               FROM removed_mailboxes WHERE account NOT IN (SELECT id FROM accounts)",
        mend: "DELETE FROM removed_mailboxes WHERE account NOT IN (SELECT id FROM accounts)",
        mending: "removed",
    },
    Rule {
        find: "SELECT format('account %d (%s) has no INBOX', id, name) FROM accounts a \
               WHERE NOT EXISTS (SELECT 1 FROM mailboxes b WHERE b.account = a.id AND b.name = 'INBOX')",
        mend: "INSERT INTO mailboxes (id, account, name, uidvalidity, created_at, uidnext, modseq, messages, unseen, octets) \
               SELECT n.mailbox + row_number() OVER (), a.id, 'INBOX', n.uidvalidity + row_number() OVER (), \
                   a.created_at, 1, 1, 0, 0, 0 \
               FROM accounts a, (SELECT \
                   max(ifnull((SELECT max(id) FROM mailboxes), 0), ifnull((SELECT next FROM counters WHERE name = 'mailbox'), 0)) AS mailbox, \
                   max(ifnull((SELECT max(uidvalidity) FROM mailboxes), 0), ifnull((SELECT next FROM counters WHERE name = 'uidvalidity'), 0)) AS uidvalidity) n \
               WHERE NOT EXISTS (SELECT 1 FROM mailboxes b WHERE b.account = a.id AND b.name = 'INBOX')",
        mending: "made, empty",
    },
    // References and figures.
    Rule {
        find: "SELECT format('body %d counts %d references and has %d', b.id, b.refs, ifnull(c.number, 0)) \
               FROM bodies b LEFT JOIN (SELECT body, count(*) AS number FROM \
                   (SELECT body FROM messages UNION ALL SELECT body FROM mails) GROUP BY body) c ON c.body = b.id \
               WHERE b.refs <= 0 OR b.refs <> ifnull(c.number, 0)",
        mend: "UPDATE bodies SET refs = 0; \
               UPDATE bodies SET refs = c.number FROM (SELECT body, count(*) AS number FROM \
                   (SELECT body FROM messages UNION ALL SELECT body FROM mails) GROUP BY body) c \
                   WHERE c.body = bodies.id; \
               DELETE FROM bodies WHERE refs = 0;",
        mending: "counted again",
    },
    Rule {
        find: "SELECT format('segment %d counts %d live octets and has %d', s.id, s.live, ifnull(c.number, 0)) \
               FROM segments s LEFT JOIN (SELECT segment, sum(record) AS number FROM bodies GROUP BY segment) c \
                   ON c.segment = s.id \
               WHERE s.live <> ifnull(c.number, 0)",
        mend: "UPDATE segments SET live = 0; \
               UPDATE segments SET live = c.number \
                   FROM (SELECT segment, sum(record) AS number FROM bodies GROUP BY segment) c \
                   WHERE c.segment = segments.id;",
        mending: "counted again",
    },
    Rule {
        find: "SELECT format('message %d in mailbox %d has no flags, not even none', uid, mailbox) FROM messages \
               WHERE (mailbox, uid) NOT IN (SELECT mailbox, uid FROM unpacked)",
        mend: "INSERT INTO unpacked (mailbox, uid, modseq, size, received_at, flags) \
               SELECT m.mailbox, m.uid, b.modseq, o.length + length(m.prefix), m.received_at, 0 \
               FROM messages m JOIN mailboxes b ON b.id = m.mailbox JOIN bodies o ON o.id = m.body \
               WHERE (m.mailbox, m.uid) NOT IN (SELECT mailbox, uid FROM unpacked)",
        mending: "it has none from now on",
    },
    Rule {
        find: "SELECT format('message %d in mailbox %d is said to have %d octets and has %d', \
                   m.uid, m.mailbox, s.size, b.length + length(m.prefix)) \
               FROM messages m JOIN bodies b ON b.id = m.body JOIN unpacked s ON s.mailbox = m.mailbox AND s.uid = m.uid \
               WHERE s.size <> b.length + length(m.prefix)",
        mend: "UPDATE unpacked SET size = b.length + length(m.prefix) FROM messages m JOIN bodies b ON b.id = m.body \
               WHERE m.mailbox = unpacked.mailbox AND m.uid = unpacked.uid AND size <> b.length + length(m.prefix)",
        mending: "corrected",
    },
    Rule {
        find: "SELECT format('message %d in mailbox %d arrived at %d and at %d', m.uid, m.mailbox, m.received_at, s.received_at) \
               FROM messages m JOIN unpacked s ON s.mailbox = m.mailbox AND s.uid = m.uid WHERE s.received_at <> m.received_at",
        mend: "UPDATE unpacked SET received_at = m.received_at FROM messages m \
               WHERE m.mailbox = unpacked.mailbox AND m.uid = unpacked.uid",
        mending: "the former counts",
    },
    Rule {
        find: "SELECT format('queued mail %d is said to have %d octets and has %d', q.id, q.size, b.length) \
               FROM mails q JOIN bodies b ON b.id = q.body WHERE q.size <> b.length",
        mend: "UPDATE mails SET size = b.length FROM bodies b WHERE b.id = mails.body AND size <> b.length",
        mending: "corrected",
    },
    Rule {
        find: "SELECT format('mailbox %d (%s) counts %d messages, %d unseen, %d deleted, %d octets and has %d, %d, %d, %d', \
                   b.id, b.name, b.messages, b.unseen, b.deleted, b.octets, \
                   ifnull(c.messages, 0), ifnull(c.unseen, 0), ifnull(c.deleted, 0), ifnull(c.octets, 0)) \
               FROM mailboxes b LEFT JOIN (SELECT mailbox, count(*) AS messages, sum(flags & 1 = 0) AS unseen, \
                   sum(flags & 8 <> 0) AS deleted, sum(size) AS octets FROM unpacked GROUP BY mailbox) c ON c.mailbox = b.id \
               WHERE b.messages <> ifnull(c.messages, 0) OR b.unseen <> ifnull(c.unseen, 0) \
                   OR b.deleted <> ifnull(c.deleted, 0) OR b.octets <> ifnull(c.octets, 0)",
        mend: "UPDATE mailboxes SET messages = 0, unseen = 0, deleted = 0, octets = 0; \
               UPDATE mailboxes SET messages = c.messages, unseen = c.unseen, deleted = c.deleted, octets = c.octets \
                   FROM (SELECT mailbox, count(*) AS messages, sum(flags & 1 = 0) AS unseen, \
                       sum(flags & 8 <> 0) AS deleted, sum(size) AS octets FROM unpacked GROUP BY mailbox) c \
                   WHERE c.mailbox = mailboxes.id;",
        mending: "counted again",
    },
    Rule {
        find: "SELECT format('account %d counts %d messages, %d octets and has %d, %d', \
                   t.account, t.messages, t.octets, ifnull(c.messages, 0), ifnull(c.octets, 0)) \
               FROM totals t LEFT JOIN (SELECT account, sum(messages) AS messages, sum(octets) AS octets \
                   FROM mailboxes GROUP BY account) c ON c.account = t.account \
               WHERE t.messages <> ifnull(c.messages, 0) OR t.octets <> ifnull(c.octets, 0)",
        mend: "UPDATE totals SET messages = 0, octets = 0; \
               UPDATE totals SET messages = c.messages, octets = c.octets \
                   FROM (SELECT account, sum(messages) AS messages, sum(octets) AS octets \
                       FROM mailboxes GROUP BY account) c \
                   WHERE c.account = totals.account;",
        mending: "counted again",
    },
    Rule {
        find: "SELECT format('UIDs %d to %d of mailbox %d are both there and expunged', e.first, e.last, e.mailbox) \
               FROM expunged e WHERE EXISTS (SELECT 1 FROM messages m \
                   WHERE m.mailbox = e.mailbox AND m.uid BETWEEN e.first AND e.last)",
        mend: "DELETE FROM expunged WHERE EXISTS (SELECT 1 FROM messages m \
                   WHERE m.mailbox = expunged.mailbox AND m.uid BETWEEN expunged.first AND expunged.last)",
        mending: "forgotten",
    },
    Rule {
        find: "SELECT format('message %d in mailbox %d has no name among the account''s messages', uid, mailbox) FROM messages \
               WHERE email <= 0 OR thread <= 0",
        mend: "UPDATE messages SET email = n.number, thread = iif(thread > 0, thread, n.number) \
                   FROM (SELECT mailbox, uid, row_number() OVER (ORDER BY mailbox, uid) + \
                       max(ifnull((SELECT max(max(email), max(thread)) FROM messages), 0), \
                           ifnull((SELECT next FROM counters WHERE name = 'email'), 0)) AS number \
                       FROM messages WHERE email <= 0 OR thread <= 0) n \
                   WHERE n.mailbox = messages.mailbox AND n.uid = messages.uid",
        mending: "named anew",
    },
    // Numbers that must not come twice.
    Rule {
        find: "SELECT format('mailbox %d (%s) would give UID %d again', id, name, uidnext) FROM mailboxes \
               WHERE uidnext <= (SELECT max(uid) FROM messages WHERE mailbox = id) \
                   OR uidnext <= (SELECT max(last) FROM expunged WHERE mailbox = id)",
        mend: "UPDATE mailboxes SET uidnext = max(uidnext, \
                   1 + ifnull((SELECT max(uid) FROM messages WHERE mailbox = id), 0), \
                   1 + ifnull((SELECT max(last) FROM expunged WHERE mailbox = id), 0))",
        mending: "raised",
    },
    Rule {
        find: "SELECT format('mailbox %d (%s) has modseq %d and a later change in it', id, name, modseq) \
               FROM mailboxes \
               WHERE modseq < (SELECT max(m.modseq) FROM unpacked m WHERE m.mailbox = mailboxes.id) \
                   OR modseq < (SELECT max(e.modseq) FROM expunged e WHERE e.mailbox = mailboxes.id)",
        mend: "UPDATE mailboxes SET modseq = max(modseq, \
                   ifnull((SELECT max(m.modseq) FROM unpacked m WHERE m.mailbox = mailboxes.id), 0), \
                   ifnull((SELECT max(e.modseq) FROM expunged e WHERE e.mailbox = mailboxes.id), 0))",
        mending: "raised",
    },
    Rule {
        find: "SELECT format('account %d has modseq %d and a later change in a mailbox', account, modseq) FROM totals \
               WHERE modseq < (SELECT max(b.modseq) FROM mailboxes b WHERE b.account = totals.account)",
        mend: "UPDATE totals SET modseq = max(modseq, \
                   ifnull((SELECT max(b.modseq) FROM mailboxes b WHERE b.account = totals.account), 0))",
        mending: "raised",
    },
    Rule {
        find: concat!(
            "SELECT format('the next %s would be %d, but %d is in use', u.name, ifnull(c.next, 1), u.number) FROM (",
            numbers_in_use!(),
            ") u LEFT JOIN counters c ON c.name = u.name WHERE ifnull(c.next, 1) <= u.number"
        ),
        mend: RAISE_NUMBERS,
        mending: "raised",
    },
];

/// Raises what comes next above everything that is there.
pub(crate) const RAISE_NUMBERS: &str = concat!(
    "INSERT INTO counters (name, next) SELECT u.name, u.number + 1 FROM (",
    numbers_in_use!(),
    ") u WHERE u.number IS NOT NULL ON CONFLICT (name) DO UPDATE SET next = max(next, excluded.next)"
);
