//! Measures: how long a piece of work takes, and how many times longer than another in the
//! same run.
//!
//! Programs in `src/bin/` measure the book's own mechanisms, taken from `examples/`, beside
//! what one would use in production. May know of the clock; prints nothing.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod caching;
pub mod scalability;

use std::time::{Duration, Instant};

/// The time of the fastest of `rounds` runs of each piece of work: the others were disturbed
/// by something else on the machine. The pieces take turns, so that a slow minute of the
/// machine meets all of them. No rounds count as one.
pub fn fastest<const N: usize>(
    rounds: u32,
    mut pieces: [&mut dyn FnMut(); N],
) -> [Duration; N] {
    let mut fastest = [Duration::MAX; N];
    for _ in 0..rounds.max(1) {
        for (piece, fastest) in pieces.iter_mut().zip(&mut fastest) {
            let start = Instant::now();
            piece();
            *fastest = start.elapsed().min(*fastest);
        }
    }
    fastest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_take_turns() {
        let order = std::cell::RefCell::new(Vec::new());
        let (mut one, mut two) =
            (|| order.borrow_mut().push(1), || order.borrow_mut().push(2));
        fastest(2, [&mut one, &mut two]);
        assert_eq!(*order.borrow(), [1, 2, 1, 2]);
    }
}
