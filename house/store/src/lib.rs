//! Mailboxes, messages, UIDs and the outgoing queue: what is kept, durably
