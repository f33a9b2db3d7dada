//! SMTP: both sides of the dialogue
