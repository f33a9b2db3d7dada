//! The rules of the room as tests: what is asked of a space, and what is found on disk afterwards.

mod yard;

mod appending;
mod faults;
mod jail;
mod listing;
mod model;
mod nameless;
mod names;
mod quota;
mod ranges;
mod rules;
mod uploads;

#[test]
fn everything_may_go_to_another_thread() {
    fn sent<T: Send>() {}
    fn shared<T: Send + Sync>() {}
    shared::<crate::Space>();
    shared::<crate::Volume>();
    sent::<crate::Upload>();
    sent::<crate::Listing>();
    sent::<crate::Download>();
}
