//! How many cache lines does a walk through memory fetch? Counted, not timed.
//!
//! The same numbers are summed in different orders, through a simulated first-level
//! cache. Look at the column `fetched`: lines that had to come from further away.
//! The time of a real walk differs from machine to machine; these counts do not.
//!
//! Simplified: one level, exact LRU, no prefetching, nothing else in the cache.

/// 32 KiB in 64 sets of 8 lines of 64 bytes, a common shape of an L1 data cache.
const LINE_BYTES: usize = 64;
const SETS: usize = 64;
const WAYS: usize = 8;
const U32_BYTES: usize = 4;

// ANCHOR: cache
/// A line may stand in one set only, which its address decides.
struct Cache {
    sets: Vec<Vec<usize>>, // the lines in each set, latest use last
    fetched: usize,
}

impl Cache {
    fn new() -> Cache {
        Cache {
            sets: vec![Vec::new(); SETS],
            fetched: 0,
        }
    }

    fn read(&mut self, address: usize) {
        let line = address / LINE_BYTES;
        let set = &mut self.sets[line % SETS];
        if let Some(place) = set.iter().position(|held| *held == line) {
            set.remove(place); // a hit: only its age changes
        } else {
            self.fetched += 1;
            if set.len() == WAYS {
                set.remove(0); // the set is full: its oldest line goes
            }
        }
        set.push(line);
    }
}
// ANCHOR_END: cache

/// A matrix of `u32`, one row after the other, as a `Vec<u32>` holds it.
#[derive(Clone, Copy)]
struct Matrix {
    rows: usize,
    columns: usize,
    row_bytes: usize, // with padding, if any
}

const fn matrix(rows: usize, columns: usize, padding: usize) -> Matrix {
    Matrix {
        rows,
        columns,
        row_bytes: (columns + padding) * U32_BYTES,
    }
}

// ANCHOR: walks
impl Matrix {
    fn address(&self, row: usize, column: usize) -> usize {
        row * self.row_bytes + column * U32_BYTES
    }

    fn by_rows(self, read: &mut dyn FnMut(usize)) {
        for row in 0..self.rows {
            for column in 0..self.columns {
                read(self.address(row, column));
            }
        }
    }

    fn by_columns(self, read: &mut dyn FnMut(usize)) {
        for column in 0..self.columns {
            for row in 0..self.rows {
                read(self.address(row, column));
            }
        }
    }

    /// Column by column inside a square of `side` × `side`, square by square.
    fn by_tiles(self, side: usize, read: &mut dyn FnMut(usize)) {
        for top in (0..self.rows).step_by(side) {
            for left in (0..self.columns).step_by(side) {
                for column in left..(left + side).min(self.columns) {
                    for row in top..(top + side).min(self.rows) {
                        read(self.address(row, column));
                    }
                }
            }
        }
    }
}
// ANCHOR_END: walks

/// Reads and fetched lines of a walk that starts with an empty cache.
fn count(walk: impl FnOnce(&mut dyn FnMut(usize))) -> (usize, usize) {
    let (mut cache, mut reads) = (Cache::new(), 0);
    walk(&mut |address| {
        reads += 1;
        cache.read(address);
    });
    (reads, cache.fetched)
}

const LARGE: Matrix = matrix(512, 1_024, 0); // 2 MiB
const SMALL: Matrix = matrix(64, 64, 0); // 16 KiB: fits
const FLAT: Matrix = matrix(64, 1_024, 0); // rows 4,096 bytes apart
const PADDED: Matrix = matrix(64, 1_024, 16); // one line further apart

const NODES: usize = 16_384; // 1 MiB of nodes, a line each

// ANCHOR: nodes
/// One read of each node, in the order of the array or of a shuffled list.
fn nodes(shuffled: bool, read: &mut dyn FnMut(usize)) {
    let mut order: Vec<usize> = (0..NODES).collect();
    if shuffled {
        fastrand::Rng::with_seed(7).shuffle(&mut order);
    }
    order.into_iter().for_each(|node| read(node * LINE_BYTES));
}
// ANCHOR_END: nodes

fn print(name: &str, (reads, fetched): (usize, usize)) {
    let per_line = reads as f64 / fetched as f64;
    println!("{name:<35} {reads:>7} {fetched:>8} {per_line:>9.1}");
}

fn main() {
    println!("a cache of 32 KiB                     reads  fetched  per line\n");
    print("512 x 1,024, by rows", count(|read| LARGE.by_rows(read)));
    print(
        "512 x 1,024, by columns",
        count(|read| LARGE.by_columns(read)),
    );
    print(
        "512 x 1,024, in tiles of 16 x 16",
        count(|read| LARGE.by_tiles(16, read)),
    );
    print(
        "512 x 1,024, in tiles of 8 x 8",
        count(|read| LARGE.by_tiles(8, read)),
    );
    print("64 x 64, by rows", count(|read| SMALL.by_rows(read)));
    print("64 x 64, by columns", count(|read| SMALL.by_columns(read)));
    print(
        "64 x 1,024, by columns",
        count(|read| FLAT.by_columns(read)),
    );
    print(
        "64 x 1,024, by columns, rows padded",
        count(|read| PADDED.by_columns(read)),
    );
    print(
        "nodes of 64 bytes, as an array",
        count(|read| nodes(false, read)),
    );
    print(
        "nodes of 64 bytes, as a list",
        count(|read| nodes(true, read)),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_rows_one_read_in_sixteen_fetches_a_line() {
        let (reads, fetched) = count(|read| LARGE.by_rows(read));
        assert_eq!(reads, 512 * 1_024);
        assert_eq!(fetched, reads / 16); // 64 bytes hold 16 of 4
    }

    #[test]
    fn by_columns_every_read_fetches_a_line() {
        let (reads, fetched) = count(|read| LARGE.by_columns(read));
        assert_eq!(fetched, reads);
    }

    #[test]
    fn tiles_of_as_many_rows_as_a_set_has_lines_fetch_as_little_as_rows() {
        let (reads, fetched) = count(|read| LARGE.by_tiles(8, read));
        assert_eq!((reads, fetched), (512 * 1_024, reads / 16));
        let (reads, fetched) = count(|read| LARGE.by_tiles(16, read));
        assert_eq!(fetched, reads); // 16 lines of one set, which holds 8
    }

    #[test]
    fn each_walk_reads_each_number_once() {
        let odd = matrix(37, 50, 3); // no multiple of a tile's side
        let walks: [&dyn Fn(&mut dyn FnMut(usize)); 3] = [
            &|read| odd.by_rows(read),
            &|read| odd.by_columns(read),
            &|read| odd.by_tiles(8, read),
        ];
        for walk in walks {
            let mut read = Vec::new();
            walk(&mut |address| read.push(address));
            read.sort_unstable();
            let row = |r| (0..50).map(move |c| odd.address(r, c));
            assert_eq!(read, (0..37).flat_map(row).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_fits_into_the_cache_may_be_walked_in_any_order() {
        let (reads, fetched) = count(|read| SMALL.by_columns(read));
        assert_eq!(fetched, reads / 16);
    }

    #[test]
    fn sixty_four_lines_of_one_set_do_not_fit_though_the_cache_is_empty() {
        let (reads, fetched) = count(|read| FLAT.by_columns(read));
        assert_eq!(fetched, reads);
        let (reads, fetched) = count(|read| PADDED.by_columns(read));
        assert_eq!(fetched, reads / 16);
    }

    #[test]
    fn a_shuffled_list_of_whole_lines_fetches_as_many_as_the_array() {
        let array = count(|read| nodes(false, read));
        assert_eq!(array, (NODES, NODES));
        assert_eq!(count(|read| nodes(true, read)), array);
    }

    /// The same rule written the slow way: one list for each set's whole past.
    #[test]
    fn the_cache_agrees_with_a_slow_model() {
        let mut rng = fastrand::Rng::with_seed(3);
        for lines in [400, 600, 2_000] {
            let (mut cache, mut past) = (Cache::new(), Vec::new());
            for _ in 0..1_500 {
                let line = rng.usize(0..lines);
                let since: std::collections::BTreeSet<usize> = past
                    .iter()
                    .rev()
                    .take_while(|other| **other != line)
                    .filter(|other| **other % SETS == line % SETS)
                    .copied()
                    .collect();
                let hit = past.contains(&line) && since.len() < WAYS;
                let before = cache.fetched;
                cache.read(line * LINE_BYTES + rng.usize(0..LINE_BYTES));
                assert_eq!(cache.fetched == before, hit);
                past.push(line);
            }
        }
    }
}
