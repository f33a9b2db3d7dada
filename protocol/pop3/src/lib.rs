//! POP3: both sides of the dialogue
