"""ftplib against a server: one function each. The content to send comes on standard input."""

import ftplib
import io
import ssl
import sys

function, ftp, ftps, certificate, bob = sys.argv[1:]
content = sys.stdin.buffer.read()
bob, password = bob.split(":")
HOST = "localhost"
PATIENCE = 50


class Resuming(ftplib.FTP_TLS):
    """The same, whose data connections resume the session of the control connection, as those of other clients do."""

    def ntransfercmd(self, cmd, rest=None):
        data, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        if self._prot_p:
            data = self.context.wrap_socket(data, server_hostname=self.host, session=self.sock.session)
        return data, size


def fetched(client, name, rest=None):
    whole = io.BytesIO()
    client.retrbinary("RETR " + name, whole.write, rest=rest)
    return whole.getvalue()


def check_all(client):
    assert client.pwd() == "/"
    assert sorted(client.nlst()) == ["readme.txt", "recipes"]
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
    client.rename("lines", "../lines")
    client.delete("f.bin")
    client.cwd("..")
    client.rmd("a dir")
    listing = []
    client.dir(listing.append)
    assert [line.split()[-1] for line in listing] == ["lines", "readme.txt", "recipes"], listing
    try:
        client.delete("never")
        raise AssertionError("it was not there")
    except ftplib.error_perm as error:
        assert str(error).startswith("550"), error
    assert client.quit().startswith("221")


def in_clear(passive=True):
    client = ftplib.FTP(timeout=PATIENCE)
    client.connect(HOST, int(ftp))
    client.login(bob, password)
    client.set_pasv(passive)
    check_all(client)


def active():
    in_clear(passive=False)


def trusting():
    return ssl.create_default_context(cafile=certificate)


def protected(kind, context):
    client = kind(context=context, timeout=PATIENCE)
    client.connect(HOST, int(ftp))
    client.login(bob, password)
    client.prot_p()
    return client


def auth_tls():
    check_all(protected(Resuming, trusting()))


def auth_tls_1_2():
    context = trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    check_all(protected(Resuming, context))


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
