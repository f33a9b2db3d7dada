"""poplib against a server: one function each. The maildrop has three letters, the last comes on standard input, too."""

import poplib
import ssl
import sys

function, smtp, submission, submissions, pop3, pop3s, certificate, alice, bob, token = sys.argv[1:]
letter = sys.stdin.buffer.read()
bob, password = bob.split(":")
HOST = "localhost"
PATIENCE = 50


def trusting():
    """The server's own certificate is the only authority."""
    return ssl.create_default_context(cafile=certificate)


def logged_in(client):
    client.user(bob)
    client.pass_(password)
    return client


def open_in_clear():
    return logged_in(poplib.POP3(HOST, int(pop3), timeout=PATIENCE))


def check_all(client):
    """All that a reader sees agrees with itself and with the letter."""
    count, octets = client.stat()
    assert count == 3
    sizes = [int(line.split()[1]) for line in client.list()[1]]
    assert len(sizes) == 3 and sum(sizes) == octets
    for number, size in enumerate(sizes, start=1):
        _, lines, _ = client.retr(number)
        assert sum(len(line) + 2 for line in lines) == size, (number, size)
    assert b"\r\n".join(lines).endswith(letter.rstrip(b"\r\n")), lines
    client.quit()


def in_clear():
    check_all(open_in_clear())


def stls():
    client = poplib.POP3(HOST, int(pop3), timeout=PATIENCE)
    assert "STLS" in client.capa()
    client.stls(context=trusting())
    assert "STLS" not in client.capa(), "TLS is up already"
    check_all(logged_in(client))


def over_tls():
    check_all(logged_in(poplib.POP3_SSL(HOST, int(pop3s), context=trusting(), timeout=PATIENCE)))


def tops_and_uids():
    client = open_in_clear()
    capabilities = client.capa()
    for name in ["TOP", "UIDL", "USER", "SASL", "PIPELINING", "RESP-CODES", "UTF8"]:
        assert name in capabilities, (name, capabilities)
    uids = [line.split()[1] for line in client.uidl()[1]]
    assert len(set(uids)) == 3
    assert client.uidl(2).split()[2] == uids[1]
    _, header, _ = client.top(3, 0)
    assert any(token.encode() in line for line in header)
    assert not any(b"ketchup" in line for line in header)
    _, more, _ = client.top(3, 2)
    assert more[-2:] == [b"Do you like ketchup?", b".How about pickles?"], more
    client.quit()
    again = open_in_clear()
    assert [line.split()[1] for line in again.uidl()[1]] == uids, "unique ids never change"
    again.quit()


def deletes():
    client = open_in_clear()
    client.dele(1)
    client.rset()
    assert client.stat()[0] == 3
    client.dele(1)
    client.dele(3)
    assert client.stat()[0] == 1
    assert [line.split()[0] for line in client.list()[1]] == [b"2"], "numbers stay"
    try:
        client.retr(1)
        raise AssertionError("a deleted message was given out")
    except poplib.error_proto:
        pass
    client.quit()


def deletes_without_quit():
    client = open_in_clear()
    for number in range(1, 4):
        client.dele(number)
    client.close()


def utf8():
    client = poplib.POP3_SSL(HOST, int(pop3s), context=trusting(), timeout=PATIENCE)
    client.utf8()
    check_all(logged_in(client))


globals()[function]()
