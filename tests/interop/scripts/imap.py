"""imaplib against a server: one function each. Bob's INBOX has three letters, the last comes on standard input, too."""

import email
import imaplib
import re
import ssl
import sys
import time
import zlib

function, imap, imaps, certificate, bob, alice, token = sys.argv[1:]
letter = sys.stdin.buffer.read()
bob, password = bob.split(":")
alice, alices_password = alice.split(":")
HOST = "localhost"
PATIENCE = 50


def trusting():
    """The server's own certificate is the only authority."""
    return ssl.create_default_context(cafile=certificate)


def ok(answer):
    """What a command was answered with; it must have gone well."""
    state, data = answer
    assert state == "OK", answer
    return data


def no(answer):
    state, data = answer
    assert state == "NO", answer
    return data


def connect():
    return imaplib.IMAP4(HOST, int(imap), timeout=PATIENCE)


def entered():
    client = connect()
    ok(client.login(bob, password))
    return client


def check_all(client):
    """All that a reader sees agrees with itself and with the letter."""
    assert ok(client.select("INBOX")) == [b"3"]
    assert ok(client.search(None, "ALL")) == [b"1 2 3"]
    for number in "123":
        (head, text), _ = ok(client.fetch(number, "(RFC822.SIZE BODY.PEEK[])"))
        assert int(re.search(rb"RFC822.SIZE (\d+)", head).group(1)) == len(text)
    assert text.endswith(letter.split(b"\r\n\r\n", 1)[1]), text
    ok(client.close())
    assert client.logout()[0] == "BYE"


def in_clear():
    check_all(entered())


def starttls():
    client = connect()
    assert "STARTTLS" in client.capabilities
    ok(client.starttls(trusting()))
    assert "STARTTLS" not in client.capabilities, "TLS is up already"
    ok(client.login(bob, password))
    check_all(client)


def over_tls():
    client = imaplib.IMAP4_SSL(HOST, int(imaps), ssl_context=trusting(), timeout=PATIENCE)
    ok(client.login(bob, password))
    check_all(client)


def authenticates():
    client = connect()
    assert "AUTH=PLAIN" in client.capabilities
    ok(client.authenticate("PLAIN", lambda _: f"\0{bob}\0{password}".encode()))
    check_all(client)


def is_refused():
    client = connect()
    for call in [lambda: client.login(bob, "thirsty"), lambda: client.authenticate("PLAIN", lambda _: b"\0bob\0thirsty")]:
        try:
            call()
            raise AssertionError("a wrong password was taken")
        except imaplib.IMAP4.error as error:
            assert "AUTHENTICATIONFAILED" in str(error), error
    ok(client.login(bob, password))
    client.logout()


def mailboxes():
    client = entered()
    names = ["Plain", "With blank", 'A "quoted" one', "Tree/Leaf", "Entw&APw-rfe", "100%", "paren(s)", "back\\slash"]
    quoted = {name: '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"' for name in names}
    for name in names:
        if name in ("100%",):
            continue
        ok(client.create(quoted[name]))
        ok(client.subscribe(quoted[name]))
        assert ok(client.select(quoted[name])) == [b"0"]
    no(client.create(quoted["Plain"]))
    no(client.create("INBOX"))
    no(client.select("Nowhere"))
    no(client.delete("INBOX"))
    listed = b"\n".join(line if isinstance(line, bytes) else b" ".join(line) for line in ok(client.list()))
    for name in ["Plain", "With blank", "Tree", "Tree/Leaf", "Entw&APw-rfe", "INBOX", "Drafts", "Sent", "Junk", "Trash", "Archive"]:
        assert name.encode() in listed, (name, listed)
    for use in [b"\\Drafts", b"\\Sent", b"\\Junk", b"\\Trash", b"\\Archive"]:
        assert use in listed, (use, listed)
    assert [line.split(b' "/" ')[1] for line in ok(client.list("Tree/", "%"))] == [b"Tree/Leaf"]
    assert ok(client.list('""', "Nowhere*")) == [None]
    ok(client.rename("Tree", "Wood"))
    assert ok(client.list('""', "Tree*")) == [None]
    assert len(ok(client.list('""', "Wood*"))) == 2
    ok(client.unsubscribe("Plain"))
    assert ok(client.lsub('""', "Plain")) == [None]
    assert ok(client.lsub('""', "With*")) == [b'() "/" "With blank"']
    ok(client.delete("Wood/Leaf"))
    ok(client.delete("Wood"))
    assert ok(client.list('""', "Wood*")) == [None]
    status = ok(client.status("INBOX", "(MESSAGES UNSEEN UIDNEXT UIDVALIDITY RECENT)"))[0]
    assert b"MESSAGES 3" in status and b"UNSEEN 3" in status and b"UIDNEXT 4" in status, status
    assert ok(client.namespace()) == [b'(("" "/")) (("Other Users/" "/")) NIL']
    ok(client.getquotaroot("INBOX"))
    client.logout()


def messages():
    client = entered()
    ok(client.create("Kept"))
    date = '"05-Feb-2024 10:20:30 +0100"'
    parts = (
        b"From: =?utf-8?q?J=C3=B6rg?= <joerg@x.test>\r\nTo: bob@hamburger.test\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
        b"Message-ID: <1@x.test>\r\nDate: Mon, 5 Feb 2024 09:00:00 +0000\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\na8Okc2U=\r\n--b\r\nContent-Type: application/octet-stream; name=\"x.bin\"\r\n"
        b"Content-Disposition: attachment; filename=\"x.bin\"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAwQ=\r\n--b--\r\n"
    )
    appended = ok(client.append("Kept", r"(\Seen \Flagged $Label1)", date, parts))[0]
    assert b"APPENDUID" in appended, appended
    no(client.append("Nowhere", None, None, parts))
    assert ok(client.select("Kept")) == [b"1"]
    assert client.response("UIDVALIDITY")[1] != [None]
    data = ok(client.fetch("1", "(FLAGS INTERNALDATE UID RFC822.SIZE ENVELOPE BODYSTRUCTURE)"))[0]
    assert set(imaplib.ParseFlags(data)) >= {b"\\Seen", b"\\Flagged", b"$Label1"}, data
    assert time.mktime(imaplib.Internaldate2tuple(data)) == 1707124830, data
    assert b"RFC822.SIZE %d" % len(parts) in data, data
    assert b'"joerg" "x.test"' in data and b'"<1@x.test>"' in data, data
    assert b'"attachment" ("filename" "x.bin")' in data, data
    def section(name, of="1"):
        found = ok(client.fetch(of, f"({name})"))[0]
        return found[1] if isinstance(found, tuple) else found
    assert section("BODY[]") == parts
    assert section("RFC822") == parts
    assert section("BODY[]<5.10>") == parts[5:15]
    assert section("BODY[HEADER]") + section("BODY[TEXT]") == parts
    assert section("BODY[1]") == b"a8Okc2U="
    assert section("BODY[2.MIME]").startswith(b"Content-Type: application/octet-stream")
    assert section("BODY[HEADER.FIELDS (MESSAGE-ID)]") == b"Message-ID: <1@x.test>\r\n\r\n"
    assert section("BINARY[2]") == b"\0\1\2\3\4"
    assert b"BINARY.SIZE[2] 5" in section("BINARY.SIZE[2]")
    assert email.message_from_bytes(section("BODY[]")).get_payload()[1].get_payload(decode=True) == b"\0\1\2\3\4"
    assert b"BODY[9] NIL" in section("BODY[9]")
    for words, hits in [
        (("FROM", "joerg"), b"1"), (("SINCE", "4-Feb-2024"), b"1"), (("BEFORE", "4-Feb-2024"), b""), (("KEYWORD", "$Label1"), b"1"),
        (("NOT", "SEEN"), b""), (("OR", "DELETED", "FLAGGED"), b"1"), (("LARGER", "10"), b"1"), (("HEADER", "Message-ID", "1@x"), b"1"),
        (("UID", "1:*"), b"1"), (("TEXT", "multipart"), b"1"), (("BODY", '"nothing of that"'), b""),
    ]:
        assert ok(client.search(None, *words)) == [hits], words
    client.literal = "GRÜ".encode()
    assert ok(client.search("UTF-8", "SUBJECT")) == [b"1"]
    client.literal = "käse".encode()
    assert ok(client.uid("SEARCH", "CHARSET", "UTF-8", "BODY")) == [b"1"]
    assert ok(client.sort("(REVERSE DATE)", "UTF-8", "ALL")) == [b"1"]
    assert ok(client.thread("REFERENCES", "UTF-8", "ALL")) == [b"(1)"]
    assert b"\\Answered" in ok(client.store("1", "+FLAGS", r"(\Answered)"))[0]
    assert b"\\Flagged" not in ok(client.store("1", "-FLAGS", r"(\Flagged)"))[0]
    assert b"(\\Seen)" in ok(client.store("1", "FLAGS", r"(\Seen)"))[0]
    assert ok(client.store("1", "+FLAGS.SILENT", r"(\Draft)")) == [None]
    ok(client.copy("1", "INBOX"))
    assert client.response("COPYUID")[1] != [None]
    no(client.copy("1", "Nowhere"))
    ok(client.uid("MOVE", "1", "Trash"))
    assert ok(client.noop()) is not None
    assert ok(client.search(None, "ALL")) == [b""]
    assert ok(client.select("INBOX")) == [b"4"]
    ok(client.store("1:2", "+FLAGS", r"\Deleted"))
    assert len(ok(client.expunge())) == 2
    assert ok(client.search(None, "ALL")) == [b"1 2"]
    ok(client.check())
    ok(client.unselect())
    ok(client.select("INBOX", readonly=True))
    assert ok(client.fetch("1", "(FLAGS)")) and client.is_readonly
    ok(client.close())
    client.logout()


def hears_of_others():
    one, two = entered(), entered()
    ok(one.select("INBOX"))
    assert one.response("EXISTS") == ("EXISTS", [b"3"])
    ok(two.append("INBOX", None, None, b"Subject: four\r\n\r\nx\r\n"))
    ok(one.noop())
    assert one.response("EXISTS") == ("EXISTS", [b"4"])
    tag = one._new_tag()
    one.send(tag + b" IDLE\r\n")
    assert one.readline().startswith(b"+ ")
    ok(two.append("INBOX", None, None, b"Subject: five\r\n\r\nx\r\n"))
    assert one.readline() == b"* 5 EXISTS\r\n"
    one.send(b"DONE\r\n")
    line = one.readline()
    while not line.startswith(tag):
        line = one.readline()
    assert line.startswith(tag + b" OK "), line
    one.logout()
    two.logout()


def shares():
    """Bob lets Alice see a mailbox, then work in it, and takes it back."""
    one, two = entered(), connect()
    ok(two.login(alice, alices_password))
    theirs = f'"Other Users/{bob}/Work"'
    ok(one.create("Work"))
    ok(one.append("Work", None, None, b"Subject: shared\r\n\r\nx\r\n"))
    no(two.select(theirs))
    assert ok(two.list('""', '"Other Users*"')) == [None]
    ok(one.setacl("Work", alice, "lr"))
    acl = ok(one.getacl("Work"))[0].split()
    assert acl[0] == b"Work" and acl[acl.index(alice.encode()) + 1] == b"lr", acl
    assert acl[acl.index(bob.encode()) + 1].startswith(b"lrswipkxtea"), acl
    assert ok(two.myrights(theirs))[0].endswith(b" lr")
    assert b"/Work" in ok(two.list('""', '"Other Users*"'))[-1]
    assert ok(two.select(theirs, readonly=True)) == [b"1"]
    (_, text), _ = ok(two.fetch("1", "(BODY.PEEK[TEXT])"))
    assert text == b"x\r\n"
    no(two.append(theirs, None, None, b"Subject: not yet\r\n\r\nx\r\n"))
    no(two.getacl(theirs))
    no(two.setacl(theirs, alice, "lrswi"))
    ok(one.setacl("Work", alice, "+swite"))
    assert set(ok(two.myrights(theirs))[0].split()[-1].decode()) >= set("lrswite")
    ok(two.append(theirs, r"(\Seen)", None, b"Subject: by Alice\r\n\r\ny\r\n"))
    assert ok(one.select("Work")) == [b"2"]
    assert ok(two.select(theirs)) == [b"2"]
    ok(two.store("1", "+FLAGS", r"(\Deleted)"))
    assert ok(two.expunge()) == [b"1"]
    ok(one.noop())
    assert one.response("EXPUNGE") == ("EXPUNGE", [b"1"])
    assert ok(one.search(None, "SEEN")) == [b"1"]
    no(two.delete(theirs))
    no(one.setacl("Work", "nobody-of-that-name@hamburger.test", "lr"))
    ok(one.deleteacl("Work", alice))
    assert ok(one.getacl("Work"))[0].split()[1::2] == [bob.encode()]
    assert two.search(None, "ALL")[0] != "OK", "what is taken back is gone at once"
    no(two.status(theirs, "(MESSAGES)"))
    one.logout()


def utf8():
    client = entered()
    ok(client.create('"K&AOQ-se"'))
    # Before ENABLE: in UTF-8 this imaplib writes `UTF8 (` into the message itself.
    ok(client.append('"K&AOQ-se"', None, None, "Subject: Grüße\r\n\r\nx\r\n".encode()))
    ok(client.enable("UTF8=ACCEPT"))
    assert any("Käse".encode() in line for line in ok(client.list()))
    assert ok(client.select('"Käse"')) == [b"1"]
    assert ok(client.search(None, 'SUBJECT "grüße"')) == [b"1"]
    client.logout()


class Squeezed:
    """imaplib's streams behind COMPRESS: zlib makes and reads them, a flush behind each line."""

    def __init__(self, client):
        self.client, self.read_raw, self.send_raw = client, client.read, client.send
        self.socket = client.socket()
        self.deflater, self.inflater = zlib.compressobj(wbits=-15), zlib.decompressobj(wbits=-15)
        self.heard, self.wire = b"", 0
        client.send, client.read, client.readline = self.send, self.read, self.readline

    def send(self, octets):
        self.send_raw(self.deflater.compress(octets) + self.deflater.flush(zlib.Z_SYNC_FLUSH))

    def more(self):
        octets = self.socket.recv(65536)
        assert octets, "the server is still there"
        self.wire += len(octets)
        self.heard += self.inflater.decompress(octets)

    def take(self, size):
        taken, self.heard = self.heard[:size], self.heard[size:]
        return taken

    def read(self, size):
        while len(self.heard) < size:
            self.more()
        return self.take(size)

    def readline(self):
        while b"\n" not in self.heard:
            self.more()
        return self.take(self.heard.index(b"\n") + 1)


def squeeze(client):
    """Compression from here on; what imaplib has read so far was in clear."""
    imaplib.Commands["COMPRESS"] = ("AUTH",)
    assert "COMPRESS=DEFLATE" in ok(client.capability())[0].decode()
    ok(client._simple_command("COMPRESS", "DEFLATE"))
    squeezed = Squeezed(client)
    assert "COMPRESS=DEFLATE" not in ok(client.capability())[0].decode()
    assert no(client._simple_command("COMPRESS", "DEFLATE"))
    return squeezed


def compressed():
    client = entered()
    squeezed = squeeze(client)
    large = b"Subject: large\r\n\r\n" + b"Do you like pickles?\r\n" * 20000
    ok(client.append("INBOX", None, None, large))
    ok(client.select("INBOX"))
    before = squeezed.wire
    (_, text), _ = ok(client.fetch("4", "(BODY.PEEK[])"))
    assert text == large
    assert squeezed.wire - before < len(large) // 20, squeezed.wire
    ok(client.store("4", "+FLAGS", "\\Deleted"))
    ok(client.expunge())
    check_all(client)


def compressed_over_tls():
    client = imaplib.IMAP4_SSL(HOST, int(imaps), ssl_context=trusting(), timeout=PATIENCE)
    ok(client.login(bob, password))
    squeeze(client)
    check_all(client)


def is_told_of_nonsense():
    client = entered()
    for command in [("FETCH", "1", "(NONSENSE)"), ("STORE", "1", "FLAGS"), ("SEARCH", "WHENEVER")]:
        ok(client.select("INBOX"))
        try:
            answer = client._simple_command(*command)
            assert answer[0] == "BAD", answer
        except imaplib.IMAP4.error as error:
            assert "BAD" in str(error), error
    client.logout()


globals()[function]()
