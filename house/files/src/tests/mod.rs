//! The rules of the room as tests: what is asked of a space, and what is found on disk afterwards.

mod yard;

mod appending;
mod faults;
mod jail;
mod listing;
mod model;
mod names;
mod quota;
mod rules;
mod uploads;
