"""imaplib and poplib with a client's certificate: SASL EXTERNAL by two foreign TLS clients, and nobody without one."""

import base64
import imaplib
import poplib
import ssl
import sys

imap, pop3, certificate, chain, key, account = sys.argv[1:]
HOST = "localhost"
PATIENCE = 50


def context(shows):
    trusting = ssl.create_default_context(cafile=certificate)
    if shows:
        trusting.load_cert_chain(chain, key)
    return trusting


def imap_client(shows):
    client = imaplib.IMAP4(HOST, int(imap), timeout=PATIENCE)
    assert client.starttls(context(shows))[0] == "OK"
    return client


client = imap_client(False)
assert "AUTH=EXTERNAL" not in client.capabilities, client.capabilities
client.logout()

client = imap_client(True)
assert "AUTH=EXTERNAL" in client.capabilities, client.capabilities
try:
    client.authenticate("EXTERNAL", lambda _: b"postmaster@hamburger.test")
    raise AssertionError("a certificate is nobody else's")
except imaplib.IMAP4.error as error:
    assert "AUTHENTICATIONFAILED" in str(error), error
assert client.authenticate("EXTERNAL", lambda _: b"")[0] == "OK"
assert client.select("INBOX")[0] == "OK"
client.logout()

client = imap_client(True)
assert client.authenticate("EXTERNAL", lambda _: account.encode())[0] == "OK"
client.logout()

maildrop = poplib.POP3(HOST, int(pop3), timeout=PATIENCE)
maildrop.stls(context(True))
assert "EXTERNAL" in maildrop.capa()["SASL"], maildrop.capa()
assert maildrop._shortcmd("AUTH EXTERNAL " + base64.b64encode(account.encode()).decode()).startswith(b"+OK")
assert maildrop.stat() == (0, 0)
maildrop.quit()
