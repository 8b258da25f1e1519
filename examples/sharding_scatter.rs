//! What does a query cost that does not name the shard key?
//!
//! A shard answers in 2 ms, and one time in a hundred in 202 ms. With the shard
//! key a query asks one shard. Without it, it asks all and waits for the slowest.
//! Look at `slow`, the share of queries that meet a slow shard, computed and
//! simulated; at `queries/s`, which more shards do not raise; and at `scan`, one
//! report over the whole table, which they do make faster, up to a point.
//! The second table counts the shards that an index on another column asks, and
//! the third the rows that a join sends over the network.
//!
//! Simplified: slow answers are independent, the network is free, and no shard
//! has a queue.

use fastrand::Rng;
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ShardId(u64);

const USUAL_MS: f64 = 2.0;
const SLOW_MS: f64 = 202.0;
const SLOW_SHARE: f64 = 0.01;
const SHARD_QUERIES_PER_S: u64 = 1_000;
const WHOLE_SCAN_MS: f64 = 4_000.0; // the table's rows, read by one shard alone
const QUERIES: u32 = 4_000;
const INDEX_SHARDS: u64 = 16;
const ROWS: u64 = 10_000;

// ANCHOR: slowest
/// Ask `shards` of them at the same time and wait for the last answer.
fn slowest_ms(shards: u64, rng: &mut Rng) -> f64 {
    let answer_ms = |_| match rng.f64() < SLOW_SHARE {
        true => SLOW_MS,
        false => USUAL_MS,
    };
    (0..shards).map(answer_ms).fold(0.0, f64::max)
}

/// All are fast with probability (1 - p)^n.
fn at_least_one_slow(shards: u64) -> f64 {
    1.0 - (1.0 - SLOW_SHARE).powi(shards as i32)
}
// ANCHOR_END: slowest

/// (share of queries that are slow, mean time of a scan in milliseconds)
fn simulate(shards: u64) -> (f64, f64) {
    let mut rng = Rng::with_seed(1);
    let (mut slow, mut scan_ms) = (0, 0.0);
    for _ in 0..QUERIES {
        let slowest = slowest_ms(shards, &mut rng);
        slow += u32::from(slowest > USUAL_MS);
        scan_ms += slowest + WHOLE_SCAN_MS / shards as f64;
    }
    let queries = f64::from(QUERIES);
    (f64::from(slow) / queries, scan_ms / queries)
}

/// A mixed hash of a number: neighbours land on unrelated shards.
fn shard_of(key: u64) -> ShardId {
    let mut h = (key + 1).wrapping_mul(0xff51_afd7_ed55_8ccd);
    h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    ShardId((h ^ (h >> 33)) % INDEX_SHARDS)
}

// ANCHOR: index
#[derive(Clone, Copy)]
enum Index {
    /// Each shard indexes its own rows: written with the row.
    Local,
    /// The index is sharded by its own column: an entry lies elsewhere.
    Global,
}

/// Users are sharded by id. Here is who must be asked when an e-mail address
/// is stored, and when a user is looked up by it.
impl Index {
    fn shards_to_insert(self, user: u64, email: u64) -> BTreeSet<ShardId> {
        match self {
            Self::Local => [shard_of(user)].into(),
            Self::Global => [shard_of(user), shard_of(email)].into(),
        }
    }
    fn shards_to_find(self, user: u64, email: u64) -> BTreeSet<ShardId> {
        match self {
            Self::Local => (0..INDEX_SHARDS).map(ShardId).collect(),
            Self::Global => [shard_of(email), shard_of(user)].into(),
        }
    }
}
// ANCHOR_END: index

/// Mean number of shards asked: (to insert a row, to find it by e-mail).
fn asked(index: Index) -> (f64, f64) {
    let mut asked = (0, 0);
    for user in 0..ROWS {
        let email = user + 1_000_000; // stands for the hash of an address
        asked.0 += index.shards_to_insert(user, email).len();
        asked.1 += index.shards_to_find(user, email).len();
    }
    (asked.0 as f64 / ROWS as f64, asked.1 as f64 / ROWS as f64)
}

/// Join each order to its customer. An order whose shard lacks the customer has
/// to be sent to the shard that has the row.
fn rows_sent(sharded_by: fn(order: u64, customer: u64) -> u64) -> u64 {
    let customer_of = |order: u64| order % 700;
    let away = |order: &u64| {
        let customer = customer_of(*order);
        shard_of(sharded_by(*order, customer)) != shard_of(customer)
    };
    (0..ROWS).filter(away).count() as u64
}

fn main() {
    println!("        with the key      without it: all shards are asked");
    println!(
        "shards  slow queries/s   slow: computed simulated queries/s    scan\n"
    );
    for shards in [1, 2, 4, 8, 16, 32, 64, 100, 128] {
        let (slow, scan_ms) = simulate(shards);
        print!("{shards:>6}  {:>3.0}%", 100.0 * SLOW_SHARE);
        print!(" {:>9}", shards * SHARD_QUERIES_PER_S);
        print!(" {:>15.1}%", 100.0 * at_least_one_slow(shards));
        print!(" {:>8.1}%", 100.0 * slow);
        println!(" {SHARD_QUERIES_PER_S:>9} {scan_ms:>5.0} ms");
    }
    println!("\n16 shards, shards asked to      insert   find by e-mail");
    for (name, index) in [("local", Index::Local), ("global", Index::Global)] {
        let (insert, find) = asked(index);
        println!("{name:<6} index {insert:>25.2} {find:>16.2}");
    }
    println!("\n16 shards, 10,000 orders joined to their customers, rows sent");
    let (by_customer, by_order) = (
        rows_sent(|_, customer| customer),
        rows_sent(|order, _| order + 5_000),
    );
    println!("orders sharded by customer {by_customer:>10}");
    println!("orders sharded by order    {by_order:>10}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_answer_in_a_hundred_is_most_queries_when_a_hundred_are_asked() {
        assert!((at_least_one_slow(100) - 0.634).abs() < 0.0005);
        assert!((at_least_one_slow(1) - SLOW_SHARE).abs() < 1e-12);
    }

    #[test]
    fn the_simulation_agrees_with_the_formula() {
        for shards in [1, 4, 16, 64, 128] {
            let (slow, _) = simulate(shards);
            let p = at_least_one_slow(shards);
            let error = (p * (1.0 - p) / f64::from(QUERIES)).sqrt();
            assert!((slow - p).abs() < 4.0 * error, "{shards}: {slow} {p}");
        }
    }

    #[test]
    fn a_scan_gets_faster_but_not_in_proportion_and_at_last_slower() {
        let scan_ms = |shards| simulate(shards).1;
        assert!(scan_ms(1) / scan_ms(8) > 7.0);
        assert!(scan_ms(1) / scan_ms(64) < 30.0);
        assert!(scan_ms(128) > scan_ms(64));
    }

    #[test]
    fn a_local_index_asks_everyone_to_find_and_a_global_one_asks_two_to_insert() {
        assert_eq!(asked(Index::Local), (1.0, 16.0));
        let (insert, find) = asked(Index::Global);
        let expected = 2.0 - 1.0 / INDEX_SHARDS as f64; // both on one shard
        assert!((insert - expected).abs() < 0.01 && insert == find);
    }

    #[test]
    fn rows_that_are_joined_should_share_the_shard_key() {
        assert_eq!(rows_sent(|_, customer| customer), 0);
        let away = rows_sent(|order, _| order + 5_000) as f64 / ROWS as f64;
        assert!((away - 15.0 / 16.0).abs() < 0.01);
    }
}
