// ImapFlow against a server; Bob's INBOX has three letters. Throws where it sees what it should not.
'use strict';
const assert = require('node:assert/strict');
const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const { ImapFlow } = require('imapflow');

const [port, security, certificate, user, pass, token] = process.argv.slice(2);

const MIXED = [
    'From: Alice <alice@crepes.test>', 'Subject: With a menu', 'Date: Sun, 01 Feb 2026 10:00:00 +0000', 'MIME-Version: 1.0',
    'Content-Type: multipart/mixed; boundary=cut', '', '--cut', 'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: quoted-printable', '', 'Do you like cr=C3=AApes?', '--cut', 'Content-Type: application/octet-stream; name=menu.bin',
    'Content-Disposition: attachment; filename=menu.bin', 'Content-Transfer-Encoding: base64', '', 'AAECA/8=', '--cut--', '',
].join('\r\n');

async function session() {
    const client = new ImapFlow({
        host: 'localhost', port: Number(port), secure: security === 'tls', doSTARTTLS: security === 'starttls' ? true : undefined,
        auth: { user, pass }, tls: { ca: readFileSync(certificate) }, logger: false, qresync: true, disableAutoIdle: true,
    });
    client.on('error', error => { throw error; });
    await client.connect();
    return client;
}

async function mailboxes(client) {
    for (const name of ['CONDSTORE', 'QRESYNC']) assert(client.enabled.has(name), `${name} was not enabled`);
    const list = await client.list({ statusQuery: { messages: true, unseen: true, uidNext: true } });
    const uses = list.filter(mailbox => mailbox.specialUse).map(mailbox => mailbox.specialUse).sort();
    assert.deepEqual(uses, ['\\Archive', '\\Drafts', '\\Inbox', '\\Junk', '\\Sent', '\\Trash']);
    const inbox = list.find(mailbox => mailbox.path === 'INBOX');
    assert.deepEqual([inbox.status.messages, inbox.status.unseen], [3, 3]);

    await client.mailboxCreate(['Filed', 'Crêpes ☃']);
    await client.mailboxCreate('Gone');
    await client.mailboxRename('Filed/Crêpes ☃', 'Filed/Here');
    await client.mailboxDelete('Gone');
    const paths = (await client.list()).map(mailbox => mailbox.path);
    assert(paths.includes('Filed/Here') && !paths.includes('Gone') && !paths.includes('Filed/Crêpes ☃'), paths.join());
}

async function messages(client) {
    const lock = await client.getMailboxLock('INBOX');
    const [uid] = await client.search({ header: { subject: token } }, { uid: true });
    assert.equal(uid, 2);
    const letter = await client.fetchOne(uid, {
        envelope: true, bodyStructure: true, flags: true, internalDate: true, size: true, source: true, threadId: true, headers: ['subject'],
    }, { uid: true });
    assert.equal(letter.envelope.subject, token);
    assert.equal(letter.source.length, letter.size);
    assert.match(letter.headers.toString(), new RegExp(`^Subject: ${token}`, 'i'));
    assert(letter.emailId && letter.threadId && letter.modseq > 0n, 'ids and a modseq');

    await client.messageFlagsAdd(uid, ['\\Flagged', '$Forwarded'], { uid: true });
    const found = await client.search({ flagged: true, keyword: '$Forwarded' }, { uid: true });
    assert.deepEqual(found, [uid]);
    const copied = await client.messageCopy(uid, 'Filed/Here', { uid: true });
    assert.deepEqual([...copied.uidMap], [[2, 1]]);
    const moved = await client.messageMove(3, 'Archive', { uid: true });
    assert.deepEqual([...moved.uidMap], [[3, 1]]);
    await client.messageDelete(1, { uid: true });
    assert.equal(client.mailbox.exists, 1);
    lock.release();
}

async function parts(client) {
    const put = await client.append('Drafts', MIXED, ['\\Seen', '\\Draft'], new Date('2026-02-01T12:00:00Z'));
    assert.equal(put.uid, 1);
    const lock = await client.getMailboxLock('Drafts');
    const { bodyStructure, internalDate, flags } = await client.fetchOne('*', { bodyStructure: true, internalDate: true, flags: true });
    assert.deepEqual(bodyStructure.childNodes.map(node => node.type), ['text/plain', 'application/octet-stream']);
    assert.equal(internalDate.toISOString(), '2026-02-01T12:00:00.000Z');
    assert.deepEqual([...flags].sort(), ['\\Draft', '\\Seen']);
    assert.deepEqual(await client.search({ body: 'CRÊPES?' }), [1]);
    const { meta, content } = await client.download('*', '2');
    assert.equal(meta.filename, 'menu.bin');
    const octets = Buffer.concat(await content.toArray());
    assert.deepEqual([...octets], [0, 1, 2, 3, 255]);
    lock.release();
}

// One idles, the other makes the changes.
async function notices(client) {
    const other = await session();
    const hears = async (event, change) => {
        const heard = once(client, event);
        await change();
        return (await heard)[0];
    };
    const lock = await client.getMailboxLock('Filed/Here');
    await other.mailboxOpen('Filed/Here');
    const idle = client.idle();
    assert.equal((await hears('exists', () => other.append('Filed/Here', MIXED))).count, 2);
    assert((await hears('flags', () => other.messageFlagsAdd(2, ['\\Answered'], { uid: true }))).flags.has('\\Answered'));
    const gone = await hears('expunge', () => other.messageDelete(2, { uid: true }));
    assert.deepEqual([gone.uid, gone.vanished], [2, true]);
    await other.logout();
    await client.noop();
    await idle;
    lock.release();
}

(async () => {
    const client = await session();
    await mailboxes(client);
    await messages(client);
    await parts(client);
    await notices(client);
    await client.logout();
})().catch(error => { console.error(error); process.exit(1); });
