//! Commands that wait for the end of a transfer.
//!
//! RFC 1123 §4.1.3.3: what arrives during a transfer must at least be accepted and deferred. A client may send many commands
//! behind a RETR, and a careful one says NOOP every half minute for a day; both must find their answers in order.
//!
//! The session takes them from the input, since ABOR behind them must be seen. The same line many times in a row is kept
//! once, with a count.
//!
//! Invariants: lines come out in the order in which they came in; what is held is bounded.
//! Not here: which commands wait (table).

use std::collections::VecDeque;

/// What waits may hold so much; more is an attack on our memory. It is a thousand commands of a mirror.
const HELD_MAX_OCTETS: usize = 32 * 1024;
/// What a line costs besides its octets.
const LINE_COST_OCTETS: usize = 48;
/// The same line so often: more than a day of NOOPs each second.
const TIMES_MAX: u32 = 100_000;

/// Lines that wait.
#[derive(Debug, Default)]
pub struct Queue {
    lines: VecDeque<(Waiting, u32)>,
    held: usize,
}

/// One that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// A line, decoded.
    Line(Vec<u8>),
    /// One that was too long to be kept, and gets its refusal in its turn.
    TooLong,
}

impl Waiting {
    fn cost(&self) -> usize {
        LINE_COST_OCTETS + if let Waiting::Line(line) = self { line.len() } else { 0 }
    }
}

impl Queue {
    /// Says whether there was room.
    pub fn push(&mut self, waiting: Waiting) -> bool {
        match self.lines.back_mut() {
            Some((last, times)) if *last == waiting && *times < TIMES_MAX => *times += 1,
            _ => {
                self.held += waiting.cost();
                self.lines.push_back((waiting, 1));
            }
        }
        self.held <= HELD_MAX_OCTETS
    }

    /// The one that waits longest.
    pub fn pop(&mut self) -> Option<Waiting> {
        let (waiting, times) = self.lines.front_mut()?;
        if *times > 1 {
            *times -= 1;
            return Some(waiting.clone());
        }
        let (waiting, _) = self.lines.pop_front()?;
        self.held -= waiting.cost();
        Some(waiting)
    }

    /// Whether a line for which this holds is among them.
    pub fn has(&self, is: impl Fn(&[u8]) -> bool) -> bool {
        self.lines.iter().any(|(waiting, _)| matches!(waiting, Waiting::Line(line) if is(line)))
    }

    /// Throws all away.
    pub fn clear(&mut self) {
        *self = Queue::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_day_of_noops_is_held_and_a_flood_is_not() {
        let mut queue = Queue::default();
        assert!((0..86_400).all(|_| queue.push(Waiting::Line(b"NOOP".to_vec()))));
        assert_eq!(std::iter::from_fn(|| queue.pop()).count(), 86_400);
        assert_eq!(queue.held, 0);
        let room = (0..100_000u32).take_while(|n| queue.push(Waiting::Line(n.to_be_bytes().to_vec()))).count();
        assert!((500..1000).contains(&room), "{room}");
    }

    proptest! {
        #[test]
        fn what_comes_in_comes_out_in_order(lines in proptest::collection::vec(0u8..3, 0..60)) {
            let waiting = |line: &u8| if *line == 0 { Waiting::TooLong } else { Waiting::Line(vec![*line]) };
            let mut queue = Queue::default();
            for line in &lines {
                prop_assert!(queue.push(waiting(line)));
            }
            let out: Vec<Waiting> = std::iter::from_fn(|| queue.pop()).collect();
            prop_assert_eq!(out, lines.iter().map(waiting).collect::<Vec<_>>());
        }
    }
}
