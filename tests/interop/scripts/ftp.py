"""ftplib against a server: one function each. The content to send comes on standard input."""

import ftplib
import io
import socket
import ssl
import sys

function, ftp, ftps, certificate, bob = sys.argv[1:]
content = sys.stdin.buffer.read()
bob, password = bob.split(":")
HOST = "localhost"
PATIENCE = 50
VAST = (1 << 32) + 1000
TAIL = b"behind four gigabytes of nothing"


class Resuming(ftplib.FTP_TLS):
    """The same, whose data connections resume the session of the control connection, as those of other clients do."""

    def ntransfercmd(self, cmd, rest=None):
        data, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        if self._prot_p:
            data = self.context.wrap_socket(data, server_hostname=self.host, session=self.sock.session)
        return data, size


class Implicit(Resuming):
    """The same with TLS from the first octet, which ftplib does not know by itself."""

    def connect(self, host, port):
        raw = socket.create_connection((host, port), PATIENCE)
        self.host, self.timeout, self.af = host, PATIENCE, raw.family
        self.sock = self.context.wrap_socket(raw, server_hostname=host)
        self.file = self.sock.makefile("r", encoding=self.encoding)
        self.welcome = self.getresp()


def fetched(client, name, rest=None):
    whole = io.BytesIO()
    client.retrbinary("RETR " + name, whole.write, rest=rest)
    return whole.getvalue()


def check_all(client):
    assert client.pwd() == "/"
    assert sorted(client.nlst()) == ["readme.txt", "recipes", "shared"]
    client.mkd("a dir")
    client.cwd("a dir")
    client.storbinary("STOR f.bin", io.BytesIO(content))
    assert client.size("f.bin") == len(content)
    assert fetched(client, "f.bin") == content
    assert fetched(client, "f.bin", rest=1_000_000) == content[1_000_000:]
    client.storbinary("STOR f.bin", io.BytesIO(content[2_000_000:]), rest=2_000_000)
    client.storbinary("APPE f.bin", io.BytesIO(b"more"))
    assert fetched(client, "f.bin") == content + b"more"
    client.storlines("STOR lines", io.BytesIO(b"one\ntwo\n"))
    lines = []
    client.retrlines("RETR lines", lines.append)
    assert lines == ["one", "two"]
    assert fetched(client, "lines") == b"one\ntwo\n"
    facts = dict(client.mlsd(facts=["type", "size"]))
    assert facts == {"f.bin": {"type": "file", "size": str(len(content) + 4)}, "lines": {"type": "file", "size": "8"}}, facts
    names = ["two  words", "dr\u00fcben \u2603", "[x] & 'y' #1.txt"]
    for name in names:
        client.storbinary("STOR " + name, io.BytesIO(content))
        assert fetched(client, name) == content
    assert sorted(client.nlst()) == sorted(names + ["f.bin", "lines"])
    for name in names:
        client.delete(name)
    client.rename("lines", "../lines")
    client.delete("f.bin")
    client.cwd("..")
    client.rmd("a dir")
    listing = []
    client.dir(listing.append)
    assert [line.split()[-1] for line in listing] == ["lines", "readme.txt", "recipes", "shared"], listing
    try:
        client.delete("never")
        raise AssertionError("it was not there")
    except ftplib.error_perm as error:
        assert str(error).startswith("550"), error
    assert client.quit().startswith("221")


def open_in_clear(host=HOST):
    client = ftplib.FTP(timeout=PATIENCE)
    client.connect(host, int(ftp))
    client.login(bob, password)
    return client


def in_clear(passive=True, host=HOST):
    client = open_in_clear(host)
    client.set_pasv(passive)
    check_all(client)


def over_ipv6():
    in_clear(host="::1")


def active_over_ipv6():
    in_clear(passive=False, host="::1")


def on_with_what_broke_off():
    client = open_in_clear()
    client.voidcmd("TYPE I")
    at = client.size("half.bin")
    assert at == 1_000_000, at
    client.storbinary("STOR half.bin", io.BytesIO(content[at:]), rest=at)


def beyond_four_gigabytes():
    client = open_in_clear()
    assert client.voidcmd("TYPE I") and client.size("vast") == VAST
    at = VAST - len(TAIL)
    assert fetched(client, "vast", rest=at) == TAIL
    client.storbinary("STOR vast", io.BytesIO(b"tail of another kind"), rest=at)
    assert client.size("vast") == at + 20
    assert fetched(client, "vast", rest=at - 1) == b"\0tail of another kind"


def active():
    in_clear(passive=False)


def trusting():
    return ssl.create_default_context(cafile=certificate)


def protected(kind, context):
    client = kind(context=context, timeout=PATIENCE)
    client.connect(HOST, int(ftps if kind is Implicit else ftp))
    client.login(bob, password)
    client.prot_p()
    return client


def auth_tls():
    check_all(protected(Resuming, trusting()))


def auth_tls_1_2():
    context = trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    check_all(protected(Resuming, context))


def active_tls():
    client = protected(Resuming, trusting())
    client.set_pasv(False)
    check_all(client)


def implicit_tls():
    check_all(protected(Implicit, trusting()))


def implicit_tls_1_2():
    context = trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    check_all(protected(Implicit, context))


def back_to_clear():
    client = protected(ftplib.FTP_TLS, ssl._create_unverified_context())
    client.ccc()
    client.storbinary("STOR f.bin", io.BytesIO(content))
    assert fetched(client, "f.bin") == content
    assert client.nlst() == ["f.bin"]
    assert client.quit().startswith("221")


def auth_tls_without_resumption():
    client = protected(ftplib.FTP_TLS, trusting())
    try:
        client.nlst()
        raise AssertionError("a stranger could have come")
    except ftplib.error_perm as error:
        assert str(error).startswith("522"), error
    except (OSError, EOFError):
        # It wrote to the connection that we had closed, before it read why.
        pass


globals()[function]()
