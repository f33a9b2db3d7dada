"""smtplib against a server: one function each. The letter comes on standard input."""

import smtplib
import ssl
import sys
from email.message import EmailMessage
from email.policy import SMTPUTF8

function, smtp, submission, submissions, pop3, pop3s, certificate, alice, bob, token = sys.argv[1:]
letter = sys.stdin.buffer.read()
alice, alice_password = alice.split(":")
bob, _ = bob.split(":")
HOST = "localhost"
PATIENCE = 50


def trusting():
    """The server's own certificate is the only authority."""
    return ssl.create_default_context(cafile=certificate)


def submit_with_starttls():
    client = smtplib.SMTP(HOST, int(submission), timeout=PATIENCE)
    client.ehlo("client.test")
    client.starttls(context=trusting())
    client.ehlo("client.test")
    return client


def in_clear():
    with smtplib.SMTP(HOST, int(smtp), timeout=PATIENCE) as client:
        assert client.sendmail(alice, [bob], letter) == {}


def starttls_plain():
    with submit_with_starttls() as client:
        client.user, client.password = alice, alice_password
        code, _ = client.auth("PLAIN", client.auth_plain)
        assert code == 235
        assert client.sendmail(alice, [bob], letter) == {}


def starttls_login():
    with submit_with_starttls() as client:
        client.user, client.password = alice, alice_password
        # Both forms: with the name in the first line, and asked for it.
        code, _ = client.auth("LOGIN", client.auth_login, initial_response_ok=False)
        assert code == 235
        assert client.sendmail(alice, [bob], letter) == {}


def over_tls():
    with smtplib.SMTP_SSL(HOST, int(submissions), context=trusting(), timeout=PATIENCE) as client:
        client.login(alice, alice_password)
        assert client.sendmail(alice, [bob], letter) == {}


def several_recipients():
    with smtplib.SMTP(HOST, int(smtp), timeout=PATIENCE) as client:
        refused = client.sendmail(alice, [alice, "not an address", bob], letter)
        assert list(refused) == ["not an address"], refused
        code, _ = refused["not an address"]
        assert 500 <= code < 600, refused


def twice():
    with smtplib.SMTP(HOST, int(smtp), timeout=PATIENCE) as client:
        for _ in range(2):
            assert client.sendmail(alice, [bob], letter) == {}


def smtputf8():
    message = EmailMessage(policy=SMTPUTF8)
    message["From"] = f"Élodie <{alice}>"
    message["To"] = f"{bob}, Ünïcødé <grüße@crêpes.test>"
    message["Subject"] = f"Crêpes {token}"
    message.set_content("Où sont les crêpes ?\n", cte="8bit")
    with smtplib.SMTP(HOST, int(smtp), timeout=PATIENCE) as client:
        client.ehlo("client.test")
        assert client.has_extn("smtputf8") and client.has_extn("8bitmime")
        assert client.send_message(message) == {}


def small_talk():
    with smtplib.SMTP(HOST, int(smtp), timeout=PATIENCE) as client:
        client.ehlo("client.test")
        assert int(client.esmtp_features["size"]) > 1_000_000
        assert client.noop()[0] == 250
        assert client.help()
        assert client.verify(bob)[0] == 252
        assert client.mail(alice)[0] == 250
        assert client.rcpt(bob)[0] == 250
        assert client.rset()[0] == 250
        code, _ = client.docmd("DATA")
        assert code == 503, "after RSET there is no recipient"
        code, _ = client.docmd("PICKLES")
        assert code == 500


globals()[function]()
