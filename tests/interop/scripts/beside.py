"""What two IMAP servers say of the same messages: `beside.py PORT USER PASSWORD COMMAND FOLDER`.

Puts each file of a folder that begins with a header field into the server at a port of loopback and into the one that a command speaks for on its
standard input and output, fetches all that is said of it, and prints what differs: file, item, what the first says, what the second says.
"""

import itertools
import os
import re
import socket
import subprocess
import sys

# Larger files are no messages.
FILE_MAX = 4 << 20
# Seconds within which something must be said.
PATIENCE = 20


class Gone(Exception):
    """The connection has ended."""


class Session:
    """One session, in a mailbox of its own."""

    def __init__(self, connect, login):
        self.connect, self.login, self.ended = connect, login, 0
        self.enter()

    def enter(self):
        self.reading, self.writing = self.connect()
        self.reading.readline()
        if self.login:
            self.must(f"LOGIN {self.login}")

    def say(self, command, literal=None):
        """Says a command: what is told, each line with its literals, and how it ends."""
        line = f"t {command}".encode()
        if literal is not None:
            mark = b"~" if b"\0" in literal else b""
            line += b" %s{%d+}\r\n%s" % (mark, len(literal), literal)
        try:
            self.writing.write(line + b"\r\n")
            self.writing.flush()
        except OSError:
            raise Gone from None
        told = []
        while True:
            heard = self.hear()
            if heard.startswith(b"t "):
                return told, heard[2:].decode("utf-8", "replace")
            told.append(heard)

    def must(self, command, literal=None):
        told, end = self.say(command, literal)
        assert end.startswith("OK"), (command, end)
        return told

    def hear(self):
        whole = b""
        while True:
            try:
                line = self.reading.readline()
            except OSError:
                raise Gone from None
            if not line.endswith(b"\n"):
                raise Gone
            whole += line.rstrip(b"\r\n")
            count = re.search(rb"\{(\d+)\}$", line.rstrip(b"\r\n"))
            if not count:
                return whole
            whole += b"\r\n" + self.reading.read(int(count[1]))

    def fetch(self, number, items):
        """Item by item; a refusal stands for all."""
        try:
            told, end = self.say(f"FETCH {number} ({' '.join(items)})")
        except Gone:
            self.ended += 1
            self.enter()
            self.must("SELECT Corpus")
            return dict.fromkeys(map(upper, items), "the connection ends")
        if not end.startswith("OK"):
            return dict.fromkeys(map(upper, items), end.split(" ")[0])
        found = {}
        for line in told:
            match = re.match(rb"\* \d+ FETCH ", line)
            if match:
                values = value(line, match.end())[0]
                found.update(zip((upper(name.decode()) for _, name in values[::2]), values[1::2]))
        return found


def upper(item):
    return item.upper().replace(".PEEK[", "[")


def value(line, at):
    """The value that begins there, and where it ends: a list, None, or a text with what kind it is."""
    if line[at:at + 1] == b"(":
        values, at = [], at + 1
        while line[at:at + 1] != b")":
            if line[at:at + 1] == b" ":
                at += 1
            else:
                found, at = value(line, at)
                values.append(found)
        return values, at + 1
    if line[at:at + 1] == b'"':
        match = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.S).match(line, at)
        return ("text", re.sub(rb"\\(.)", rb"\1", match[1], flags=re.S)), match.end()
    match = re.compile(rb"~?\{(\d+)\}\r\n").match(line, at)
    if match:
        end = match.end() + int(match[1])
        return ("text", line[match.end():end]), end
    match = re.compile(rb"[^ ()\[\]]+(\[[^\]]*\](<\d+>)?)?").match(line, at)
    word = match[0]
    return (None if word == b"NIL" else ("word", word)), match.end()


def same(ours, theirs, of_text):
    """Whether they are alike, down to the texts, of which only this is compared. A word may be said as a text."""
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(same(one, other, of_text) for one, other in zip(ours, theirs))
    if isinstance(ours, tuple) and isinstance(theirs, tuple):
        return of_text(ours[1]) == of_text(theirs[1])
    return ours == theirs


def parts(structure, path=""):
    """The parts' numbers, and whether each is a message."""
    below = lambda number: f"{path}.{number}" if path else str(number)
    if isinstance(structure[0], list):
        children = itertools.takewhile(lambda it: isinstance(it, list), structure)
        for number, part in enumerate(children, 1):
            yield from parts(part, below(number))
        return
    path = path or "1"
    is_message = words(structure[:2]) == [b"message", b"rfc822"] and isinstance(structure[8], list)
    yield path, is_message
    if is_message:
        inner = structure[8]
        yield from parts(inner, path if isinstance(inner[0], list) else f"{path}.1")


def words(values):
    return [it[1].lower() if it else b"" for it in values]


def differences(ours, theirs, number):
    """Item, what is said here, what is said there."""
    heads = ["RFC822.SIZE", "BODY.PEEK[]", "BODY.PEEK[HEADER]", "BODY.PEEK[TEXT]", "ENVELOPE", "BODYSTRUCTURE",
             "BODY.PEEK[HEADER.FIELDS (From To Subject Date)]", "BODY.PEEK[HEADER.FIELDS.NOT (From To Subject Date)]"]
    said = [server.fetch(number, heads) for server in (ours, theirs)]
    yield from unlike(said)
    structures = [it["BODYSTRUCTURE"] for it in said]
    found = [dict(parts(structure)) if isinstance(structure, list) else {} for structure in structures]
    for path in sorted({**found[0], **found[1]}):
        items = [f"BODY.PEEK[{path}]", f"BODY.PEEK[{path}.MIME]"]
        if found[0].get(path) or found[1].get(path):
            items += [f"BODY.PEEK[{path}.HEADER]", f"BODY.PEEK[{path}.TEXT]"]
        yield from unlike([server.fetch(number, items) for server in (ours, theirs)])
        yield from unlike([server.fetch(number, [f"BINARY.PEEK[{path}]"]) for server in (ours, theirs)])


def unlike(said):
    for item in said[0].keys() | said[1].keys():
        ours, theirs = said[0].get(item, "nothing"), said[1].get(item, "nothing")
        # Names of types, parameters and encodings mean the same in capitals.
        if not same(ours, theirs, bytes.lower if item == "BODYSTRUCTURE" else bytes):
            yield item, ours, theirs


def messages(folder):
    for top, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(top, name)
            if os.path.getsize(path) > FILE_MAX:
                continue
            with open(path, "rb") as file:
                text = file.read()
            if re.match(rb"[!-9;-~]+:", text):
                # Line ends as mail has them.
                yield os.path.relpath(path, folder), re.sub(rb"\r?\n", b"\r\n", text)


def shown(what):
    """On one line, and not for ever."""
    if isinstance(what, list):
        return "(" + " ".join(map(shown, what)) + ")"
    if isinstance(what, tuple):
        return repr(what[1])[1:] if what[0] == "text" else what[1].decode("utf-8", "replace")
    return "NIL" if what is None else what


def main():
    port, user, password, command, folder = sys.argv[1:]

    def by_socket():
        stream = socket.create_connection(("127.0.0.1", int(port)), PATIENCE)
        return stream.makefile("rb"), stream.makefile("wb")

    def by_command():
        stream, other = socket.socketpair()
        subprocess.Popen(["sh", "-c", command + " 2>/dev/null"], stdin=other, stdout=other)
        other.close()
        stream.settimeout(PATIENCE)
        return stream.makefile("rb"), stream.makefile("wb")

    ours, theirs = Session(by_socket, f"{user} {password}"), Session(by_command, None)
    names = []
    for server in (ours, theirs):
        server.must("CREATE Corpus")
    for name, text in messages(folder):
        if any(not server.say("APPEND Corpus", text)[1].startswith("OK") for server in (ours, theirs)):
            print(f"{name}: not taken by both")
            continue
        names.append(name)
    for server in (ours, theirs):
        server.must("SELECT Corpus")
    count = 0
    for number, name in enumerate(names, 1):
        for item, here, there in sorted(differences(ours, theirs, number), key=lambda it: it[0]):
            count += 1
            print(f"{name}: {item}\n  {shown(here)}\n  {shown(there)}")
    print(f"{len(names)} messages, {count} differences; connections that ended: {ours.ended} and {theirs.ended}")


main()
