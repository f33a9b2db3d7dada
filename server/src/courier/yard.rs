//! Lanes and who works on them: how many connections there are, and where the next one goes.
//!
//! Invariants: never more workers than the settings allow, for each lane and in all; a lane in which something waits
//! has a worker or stands in line for one; a lane in which nothing waits and nobody works is forgotten.
//! Not here: the work itself (the courier's workers).

use super::carrier::{Lane, Package};
use super::route::Route;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// How many workers there may be.
#[derive(Debug, Clone, Copy)]
pub struct Staff {
    /// On one lane.
    pub per_lane: usize,
    /// In all.
    pub in_all: usize,
}

/// All lanes.
#[derive(Debug, Default)]
pub struct Yard {
    lanes: HashMap<Route, Staffed>,
    /// Lanes that nobody works on yet, the longest waiting first.
    in_line: VecDeque<Route>,
    workers: usize,
}

#[derive(Debug)]
struct Staffed {
    lane: Arc<Lane>,
    workers: usize,
}

impl Yard {
    /// Puts a package into its lane. Gives the lane for which a new worker shall begin, if one may.
    pub fn put(&mut self, route: Route, package: Package, staff: Staff) -> Option<Arc<Lane>> {
        let is_new = !self.lanes.contains_key(&route);
        let new = || Staffed { lane: Arc::new(Lane::new(route.clone())), workers: 0 };
        let staffed = self.lanes.entry(route.clone()).or_insert_with(new);
        staffed.lane.put(package);
        let useful = staffed.workers < staff.per_lane && staffed.workers < staffed.lane.len();
        if useful && self.workers < staff.in_all && (is_new || staffed.workers > 0) {
            staffed.workers += 1;
            self.workers += 1;
            return Some(Arc::clone(&staffed.lane));
        }
        if is_new {
            self.in_line.push_back(route);
        }
        None
    }

    /// Where a worker goes who comes back from a lane; nowhere means home. `weary` are those who could not do
    /// anything there: they leave the lane to the others, if there are any.
    pub fn next(&mut self, from: &Arc<Lane>, weary: bool) -> Option<Arc<Lane>> {
        let staffed = self.lanes.get_mut(&from.route).expect("a lane with a worker is not forgotten");
        let stays = !from.is_empty() && (!weary || staffed.workers == 1);
        if stays && self.in_line.is_empty() {
            return Some(Arc::clone(from));
        }
        staffed.workers -= 1;
        if staffed.workers == 0 {
            match from.is_empty() {
                true => drop(self.lanes.remove(&from.route)),
                // Others have waited longer.
                false => self.in_line.push_back(from.route.clone()),
            }
        }
        let next = self.in_line.pop_front().and_then(|route| self.lanes.get_mut(&route));
        match next {
            Some(staffed) => {
                staffed.workers += 1;
                Some(Arc::clone(&staffed.lane))
            }
            None => {
                self.workers -= 1;
                None
            }
        }
    }

    /// Takes everything out of a lane whose end cannot be reached: unless others work on it, who have reached it or
    /// will say so themselves.
    pub fn give_up(&self, lane: &Lane) -> Vec<Package> {
        let alone = self.lanes.get(&lane.route).is_none_or(|staffed| staffed.workers <= 1);
        if alone { lane.empty() } else { Vec::new() }
    }

    /// How many work.
    pub fn workers(&self) -> usize {
        self.workers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::{MailId, MailRow};

    const STAFF: Staff = Staff { per_lane: 2, in_all: 3 };

    fn to(domain: &str) -> Route {
        Route::Domain(domain.into())
    }

    fn package() -> Package {
        let mail = MailRow {
            mail: MailId(1),
            sender: String::new(),
            size: 0,
            queued_at: 0,
            expires: 0,
            smtputf8: false,
            eight_bit: false,
            envid: None,
            ret: None,
            submitted_by: None,
            recipients: Vec::new(),
        };
        Package { mail: Arc::new(mail), recipients: Vec::new(), claimed_at: 0, spared: false }
    }

    #[test]
    fn a_lane_has_workers_as_it_needs_them_and_as_it_may() {
        let mut yard = Yard::default();
        let hired: Vec<bool> = (0..4).map(|_| yard.put(to("a"), package(), STAFF).is_some()).collect();
        assert_eq!(hired, [true, true, false, false]);
    }

    #[test]
    fn a_lane_that_waits_gets_the_first_worker_who_comes_free() {
        let mut yard = Yard::default();
        let busy: Vec<Arc<Lane>> = ["a", "b", "c"].iter().filter_map(|at| yard.put(to(at), package(), STAFF)).collect();
        assert_eq!(busy.len(), 3);
        for late in ["d", "e", "d"] {
            assert!(yard.put(to(late), package(), STAFF).is_none());
        }
        busy[0].empty();
        let next = yard.next(&busy[0], false).expect("a lane");
        assert_eq!((&next.route, yard.workers()), (&to("d"), 3));
        // Something waits in b still, but e has waited longer.
        let next = yard.next(&busy[1], false).expect("a lane");
        assert_eq!(next.route, to("e"));
        next.empty();
        assert_eq!(yard.next(&next, false).expect("a lane").route, to("b"), "and b was not forgotten");
    }

    #[test]
    fn workers_go_home_when_nothing_waits() {
        let mut yard = Yard::default();
        let lane = yard.put(to("a"), package(), STAFF).expect("a worker");
        lane.empty();
        assert!(yard.next(&lane, false).is_none());
        assert_eq!(yard.workers(), 0);
        assert!(yard.put(to("a"), package(), STAFF).is_some(), "the lane was forgotten, and begins anew");
    }

    #[test]
    fn who_is_refused_leaves_the_lane_to_those_who_are_not() {
        let mut yard = Yard::default();
        let lane = yard.put(to("a"), package(), STAFF).expect("a worker");
        yard.put(to("a"), package(), STAFF).expect("another");
        assert!(yard.give_up(&lane).is_empty(), "the other may get through");
        assert!(yard.next(&lane, true).is_none());
        assert_eq!((lane.len(), yard.workers()), (2, 1));
        assert_eq!(yard.give_up(&lane).len(), 2, "the last one speaks for all");
        assert!(yard.next(&lane, true).is_none());
    }
}
