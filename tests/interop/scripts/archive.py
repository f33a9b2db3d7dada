"""Python's mailbox module as a judge of our Maildirs and mboxes, and as their writer."""

import mailbox
import os
import sys


def text(message):
    return message.get_payload().replace("\r", "")


def judge_maildir(path):
    """What `write_maildir` wrote, after it went through an account."""
    box = mailbox.Maildir(path, create=False)
    assert sorted(box.list_folders())[-1] == "Work.Bills", box.list_folders()
    by_subject = {message["Subject"]: message for message in box}
    assert set(by_subject) == {"read", "unread"}, by_subject
    assert by_subject["read"].get_flags() == "FRS", by_subject["read"].get_flags()
    assert by_subject["unread"].get_flags() == ""
    assert int(by_subject["read"].get_date()) == 1_000_000_000, by_subject["read"].get_date()
    assert text(by_subject["read"]) == "From the start\n>From the end\n", repr(text(by_subject["read"]))
    (bill,) = box.get_folder("Work.Bills")
    assert bill["Subject"] == "bill" and bill.get_flags() == "DT", bill.get_flags()


def judge_mbox(path):
    box = mailbox.mbox(path + "/INBOX.mbox", create=False)
    by_subject = {message["Subject"]: message for message in box}
    assert set(by_subject) == {"read", "unread"}, by_subject
    assert by_subject["read"].get_flags() == "ROFA", by_subject["read"].get_flags()
    assert by_subject["unread"].get_flags() == "O", by_subject["unread"].get_flags()
    # How many > there are depends on who wrote it first: Python's own quoting is mboxo's, which cannot be undone.
    assert text(by_subject["read"]).replace(">", "") == "From the start\nFrom the end\n"
    assert "Sun Sep  9 01:46:40 2001" in by_subject["read"].get_from(), by_subject["read"].get_from()
    (bill,) = mailbox.mbox(path + "/Work/Bills.mbox", create=False)
    assert bill["Subject"] == "bill" and bill.get_flags() == "ODT", bill.get_flags()


def letters(kind):
    def letter(subject, body):
        return kind("Subject: %s\nFrom: a@far.example\n\n%s" % (subject, body))

    return letter("read", "From the start\n>From the end\n"), letter("unread", "x\n"), letter("bill", "y\n")


def write_maildir(path):
    box = mailbox.Maildir(path)
    read, unread, bill = letters(mailbox.MaildirMessage)
    read.set_subdir("cur")
    read.set_flags("FRS")
    read.set_date(1_000_000_000)
    bill.set_subdir("cur")
    bill.set_flags("DT")
    box.add(read)
    box.add(unread)
    box.add_folder("Work.Bills").add(bill)


def write_mbox(path):
    os.makedirs(path + "/Work")
    read, unread, bill = letters(mailbox.mboxMessage)
    read.set_flags("ROFA")
    read.set_from("a@far.example Sun Sep  9 01:46:40 2001")
    unread.set_flags("O")
    bill.set_flags("ODT")
    box = mailbox.mbox(path + "/INBOX")
    box.add(read)
    box.add(unread)
    box.flush()
    bills = mailbox.mbox(path + "/Work/Bills")
    bills.add(bill)
    bills.flush()


globals()[sys.argv[1]](sys.argv[2])
