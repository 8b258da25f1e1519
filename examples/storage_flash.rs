//! What a write costs inside an SSD: flash that cannot be overwritten.
//!
//! A page of flash is written once; before it can be written again, its whole block
//! must be erased, and a block endures a limited number of erasures. So the drive
//! writes every change to a fresh page and remembers where it is. When fresh pages
//! run out, it picks a block, copies what is still valid and erases it. Look at the
//! column `written`: pages of flash for each page that you wrote. Then see how long
//! a drive lives when some of its data never changes.
//!
//! Simplified: one chip, greedy choice, uniform random writes, blocks that fail at
//! exactly the same erasure, and a drive that is dead with its first block.

const BLOCKS: usize = 100;
const PAGES_PER_BLOCK: usize = 32;
const PAGES: usize = BLOCKS * PAGES_PER_BLOCK;
/// An empty block is kept so that there is always somewhere to copy to.
const SPARE_BLOCKS: usize = 2;
/// Real flash endures thousands, and few blocks exactly as many.
const ERASURES_MAX: u32 = 60;
/// How far the most worn block may be ahead of the least worn one.
const WEAR_GAP_MAX: u32 = 5;

// ANCHOR: drive
/// Where a page of the host's data is in flash.
type Place = (usize, usize); // block, page

#[derive(Clone)]
struct Block {
    holds: Vec<Option<usize>>, // for each page written: whose data, if still valid
    valid: usize,
    erasures: u32,
}

struct Drive {
    blocks: Vec<Block>,
    map: Vec<Option<Place>>, // the flash translation layer
    empty: Vec<usize>,
    open: usize, // the block that is being filled
    written: u64,
    levels_wear: bool,
}
// ANCHOR_END: drive

impl Drive {
    fn new(levels_wear: bool) -> Drive {
        let block = Block {
            holds: Vec::with_capacity(PAGES_PER_BLOCK),
            valid: 0,
            erasures: 0,
        };
        Drive {
            blocks: vec![block; BLOCKS],
            map: vec![None; PAGES],
            empty: (1..BLOCKS).collect(),
            open: 0,
            written: 0,
            levels_wear,
        }
    }

    // ANCHOR: write
    /// The host writes a page. The old copy, if any, becomes garbage.
    fn write(&mut self, page: usize) {
        let mut collected = 0;
        while self.empty.len() < SPARE_BLOCKS {
            assert!(
                collected < BLOCKS,
                "nothing to collect: the drive is too full"
            );
            collected += 1;
            self.collect();
            if self.levels_wear {
                self.level();
            }
        }
        self.program(page);
    }

    /// To the next fresh page of the open block, wherever the data was before.
    fn program(&mut self, page: usize) {
        if self.is_full(self.open) {
            self.open = self.empty.remove(0);
        }
        self.put(page, self.open);
    }

    fn put(&mut self, page: usize, to: usize) {
        self.forget(page);
        let block = &mut self.blocks[to];
        self.map[page] = Some((to, block.holds.len()));
        block.holds.push(Some(page));
        block.valid += 1;
        self.written += 1;
    }

    /// What TRIM tells the drive, and what every overwrite does.
    fn forget(&mut self, page: usize) {
        if let Some((block, place)) = self.map[page].take() {
            self.blocks[block].holds[place] = None;
            self.blocks[block].valid -= 1;
        }
    }
    // ANCHOR_END: write

    fn valid(&self, block: usize) -> Vec<usize> {
        self.blocks[block].holds.iter().flatten().copied().collect()
    }

    // ANCHOR: collect
    /// Garbage collection: the full block with the least to copy.
    fn collect(&mut self) {
        let victim = self.full().min_by_key(|b| self.blocks[*b].valid);
        let Some(victim) = victim else { return };
        for page in self.valid(victim) {
            self.program(page); // the amplification
        }
        self.erase(victim);
    }

    fn erase(&mut self, block: usize) {
        self.blocks[block].holds.clear();
        self.blocks[block].erasures += 1;
        self.empty.push(block);
    }

    /// Wear levelling: what never changes moves to a worn block, and its own
    /// block, hardly ever erased, is free for what does.
    fn level(&mut self) {
        let worn = |b: &usize| self.blocks[*b].erasures;
        let most = (0..self.empty.len()).max_by_key(|i| worn(&self.empty[*i]));
        let least = self.full().min_by_key(worn);
        let (Some(most), Some(least)) = (most, least) else {
            return;
        };
        if worn(&self.empty[most]) > worn(&least) + WEAR_GAP_MAX {
            let to = self.empty.remove(most);
            for page in self.valid(least) {
                self.put(page, to);
            }
            self.blocks[to].holds.resize(PAGES_PER_BLOCK, None);
            self.erase(least);
        }
    }
    // ANCHOR_END: collect

    fn is_full(&self, block: usize) -> bool {
        self.blocks[block].holds.len() == PAGES_PER_BLOCK
    }

    fn full(&self) -> impl Iterator<Item = usize> + '_ {
        (0..BLOCKS).filter(|b| *b != self.open && self.is_full(*b))
    }

    fn most_worn(&self) -> u32 {
        self.blocks.iter().map(|b| b.erasures).max().unwrap_or(0)
    }
}

/// How many pages of data a drive holds when it is `percent` full.
fn pages_at(percent: usize) -> usize {
    PAGES * percent / 100
}

// ANCHOR: amplification
#[derive(Clone, Copy)]
enum Order {
    InTurn,
    Random,
}

/// Pages of flash written for each page of the host, in the long run.
fn amplification(percent: usize, order: Order) -> f64 {
    let (mut drive, mut rng) = (Drive::new(false), fastrand::Rng::with_seed(5));
    let pages = pages_at(percent);
    (0..pages).for_each(|page| drive.write(page));
    let mut write = |times: usize| {
        let before = drive.written;
        for i in 0..times {
            drive.write(match order {
                Order::InTurn => i % pages,
                Order::Random => rng.usize(0..pages),
            });
        }
        (drive.written - before) as f64 / times as f64
    };
    write(2 * PAGES); // the first rounds meet empty blocks, and are too cheap
    write(3 * PAGES)
}
// ANCHOR_END: amplification

// ANCHOR: life
/// How often the host can fill the drive's data area before a block is worn out.
/// Nine in ten pages are written once and stay; the tenth is rewritten for ever.
fn life(levels_wear: bool) -> (f64, u32, u32) {
    let (mut drive, mut rng) =
        (Drive::new(levels_wear), fastrand::Rng::with_seed(6));
    let pages = pages_at(80);
    (0..pages).for_each(|page| drive.write(page));
    let mut writes = 0;
    while drive.most_worn() < ERASURES_MAX {
        drive.write(rng.usize(0..pages / 10));
        writes += 1;
    }
    let least = drive.blocks.iter().map(|b| b.erasures).min().unwrap_or(0);
    let fills = f64::from(writes) / pages as f64;
    (fills, least, drive.most_worn())
}
// ANCHOR_END: life

fn main() {
    println!("{BLOCKS} blocks of {PAGES_PER_BLOCK} pages\n");
    println!("full   written in turn   at random");
    for percent in [50, 70, 80, 90] {
        let turn = amplification(percent, Order::InTurn);
        let random = amplification(percent, Order::Random);
        println!("{percent} % {turn:>16.2} {random:>11.2}");
    }
    println!("\n80 % full, a tenth of it rewritten until a block is worn out");
    println!("wear levelling   times filled   erasures, least and most");
    for levels in [false, true] {
        let (fills, least, most) = life(levels);
        let name = if levels { "yes" } else { "no" };
        println!("{name:<16} {fills:>12.1} {least:>15} {most:>9}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drive_returns_what_was_written_last() {
        let (mut drive, mut rng) = (Drive::new(true), fastrand::Rng::with_seed(1));
        let pages = pages_at(90);
        for _ in 0..20_000 {
            let page = rng.usize(0..pages);
            match rng.u8(0..10) {
                0 => drive.forget(page),
                _ => drive.write(page),
            }
        }
        let mut valid = 0;
        for (page, place) in drive.map.iter().enumerate() {
            let Some((block, at)) = place else { continue };
            assert_eq!(drive.blocks[*block].holds[*at], Some(page));
            valid += 1;
        }
        let counted: usize = drive.blocks.iter().map(|b| b.valid).sum();
        assert_eq!(valid, counted, "nothing is valid twice");
    }

    #[test]
    fn no_page_is_written_twice_between_two_erasures() {
        let (mut drive, mut rng) = (Drive::new(false), fastrand::Rng::with_seed(2));
        for _ in 0..20_000 {
            drive.write(rng.usize(0..pages_at(80)));
        }
        let fresh = |b: &Block| {
            (b.erasures as usize + 1) * PAGES_PER_BLOCK
                - (PAGES_PER_BLOCK - b.holds.len())
        };
        let programmed: usize = drive.blocks.iter().map(fresh).sum();
        assert_eq!(drive.written as usize, programmed);
        assert!(drive
            .blocks
            .iter()
            .all(|b| b.holds.len() <= PAGES_PER_BLOCK));
    }

    #[test]
    fn writing_in_turn_copies_nothing() {
        for percent in [50, 80, 95] {
            assert_eq!(amplification(percent, Order::InTurn), 1.0);
        }
    }

    #[test]
    fn random_writes_cost_more_the_fuller_the_drive_is() {
        let cost = [50, 70, 80, 90].map(|p| amplification(p, Order::Random));
        assert!(cost.is_sorted(), "{cost:?}");
        assert!(cost[0] < 1.5 && cost[3] > 5.0, "{cost:?}");
    }

    #[test]
    fn data_that_is_trimmed_is_not_copied() {
        let cost = |trims: bool| {
            let mut drive = Drive::new(false);
            let mut rng = fastrand::Rng::with_seed(3);
            (0..pages_at(90)).for_each(|page| drive.write(page));
            if trims {
                (pages_at(45)..pages_at(90)).for_each(|page| drive.forget(page));
            }
            for _ in 0..5 * PAGES {
                drive.write(rng.usize(0..pages_at(45))); // the other half is deleted
            }
            drive.written
        };
        assert!(cost(true) < cost(false));
    }

    #[test]
    fn wear_levelling_lengthens_the_life_of_a_drive_with_cold_data() {
        let ((without, least, most), (with, least_with, _)) =
            (life(false), life(true));
        assert_eq!((least, most), (0, ERASURES_MAX)); // cold blocks: never erased
        assert!(with > 3.0 * without, "{with} and {without}");
        assert!(least_with + 2 * WEAR_GAP_MAX > ERASURES_MAX);
    }
}
