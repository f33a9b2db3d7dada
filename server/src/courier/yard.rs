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
