//! Which clients change server when one of ten servers leaves or joins?
//!
//! Look at `needless`: clients that were moved although their server is still
//! there. Each of them loses its session or finds a cold cache. Then look at
//! `busiest/mean`: a circle with one point a server is stable and very unfair,
//! more points make it fair.
//!
//! Simplified: every client sends the same load, and all servers are equal.

use std::collections::BTreeMap;

type Lookup = Box<dyn Fn(u64) -> ServerId>;
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ServerId(u64);

const CLIENTS: u64 = 40_000;
const SERVERS: u64 = 10;
const MAGLEV_SLOTS: usize = 65_537; // must be a prime; also Envoy's default

/// SplitMix64's mixing step: neighbouring keys get unrelated hashes.
fn hash(key: u64) -> u64 {
    let mut z = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

// ANCHOR: modulo
/// Position in the list of servers that are up: the list shrinks, all shift.
fn modulo(_listed: &[ServerId], up: &[ServerId]) -> Lookup {
    let up = up.to_vec();
    Box::new(move |client| up[(hash(client) % up.len() as u64) as usize])
}

/// Position in the configured list; if that server is down, hash once more.
fn modulo_rehash(listed: &[ServerId], up: &[ServerId]) -> Lookup {
    let (listed, up) = (listed.to_vec(), up.to_vec());
    Box::new(move |client| {
        let mut key = hash(client);
        loop {
            let server = listed[(key % listed.len() as u64) as usize];
            if up.contains(&server) {
                return server;
            }
            key = hash(key);
        }
    })
}
// ANCHOR_END: modulo

// ANCHOR: ring
/// Each server owns `points` places on a circle of 2^64; a client belongs to
/// the first place at or after its own hash.
fn ring(points: u64, up: &[ServerId]) -> Lookup {
    let mut circle = BTreeMap::new();
    for &ServerId(server) in up {
        for point in 0..points {
            circle.insert(hash(hash(server) ^ point), ServerId(server));
        }
    }
    Box::new(move |client| {
        let mut around = circle.range(hash(client)..).chain(&circle);
        *around.next().expect("at least one server is up").1
    })
}
// ANCHOR_END: ring

// ANCHOR: maglev
/// Maglev: a table that the servers fill in turns, each in its own order, so
/// that all own almost the same number of slots. A look-up is one array access.
fn maglev(_listed: &[ServerId], up: &[ServerId]) -> Lookup {
    let size = MAGLEV_SLOTS as u64;
    let mut table = vec![None; MAGLEV_SLOTS];
    let mut free = MAGLEV_SLOTS;
    let start = |s: &ServerId| (hash(s.0) % size, hash(!s.0) % (size - 1) + 1);
    let mut wish: Vec<(u64, u64)> = up.iter().map(start).collect();
    'fill: loop {
        for (server, (slot, skip)) in up.iter().zip(&mut wish) {
            while table[*slot as usize].is_some() {
                *slot = (*slot + *skip) % size;
            }
            table[*slot as usize] = Some(*server);
            free -= 1;
            if free == 0 {
                break 'fill;
            }
        }
    }
    let table: Vec<ServerId> = table.into_iter().flatten().collect();
    Box::new(move |client| table[(hash(client) % size) as usize])
}
// ANCHOR_END: maglev

type Scheme = fn(&[ServerId], &[ServerId]) -> Lookup;
const SCHEMES: [(&str, Scheme); 7] = [
    ("modulo, list of the living", modulo),
    ("modulo, fixed list, rehash", modulo_rehash),
    ("circle, 1 point a server", |_, up| ring(1, up)),
    ("circle, 10 points", |_, up| ring(10, up)),
    ("circle, 100 points", |_, up| ring(100, up)),
    ("circle, 1000 points", |_, up| ring(1000, up)),
    ("Maglev table, 65537 slots", maglev),
];

fn servers(range: std::ops::Range<u64>) -> Vec<ServerId> {
    range.map(ServerId).collect()
}

/// (moved, moved needlessly) in percent of all clients.
fn moved(before: &Lookup, after: &Lookup, gone: Option<ServerId>) -> (f64, f64) {
    let mut count = (0.0, 0.0);
    for client in 0..CLIENTS {
        let (old, new) = (before(client), after(client));
        if old != new {
            count.0 += 100.0 / CLIENTS as f64;
            // With a newcomer, the only good reason to move is to go to it.
            if gone.map_or(new != ServerId(SERVERS), |gone| old != gone) {
                count.1 += 100.0 / CLIENTS as f64;
            }
        }
    }
    count
}

fn leave(scheme: Scheme, gone: ServerId) -> (f64, f64) {
    let all = servers(0..SERVERS);
    let mut left = all.clone();
    left.retain(|s| *s != gone);
    moved(&scheme(&all, &all), &scheme(&all, &left), Some(gone))
}

fn join(scheme: Scheme) -> (f64, f64) {
    let (old, new) = (servers(0..SERVERS), servers(0..SERVERS + 1));
    moved(&scheme(&old, &old), &scheme(&new, &new), None)
}

fn busiest_to_mean(scheme: Scheme) -> f64 {
    let all = servers(0..SERVERS);
    let lookup = scheme(&all, &all);
    let mut clients = [0; SERVERS as usize];
    (0..CLIENTS).for_each(|client| clients[lookup(client).0 as usize] += 1);
    let busiest = clients.into_iter().max().unwrap_or(0);
    f64::from(busiest) * SERVERS as f64 / CLIENTS as f64
}

fn main() {
    println!("                            one of 10 leaves  an 11th joins  busiest");
    println!("                            moved needless   moved needless  /mean\n");
    for (name, scheme) in SCHEMES {
        let (left, needless) = leave(scheme, ServerId(4));
        print!("{name:<28} {left:>4.1} {needless:>8.1}");
        let (joined, needless) = join(scheme);
        print!("    {joined:>4.1} {needless:>8.1}");
        println!(" {:>7.2}", busiest_to_mean(scheme));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of n(n-1) hash values in a row, exactly (n-1)^2 change server: the share
    /// is (n-1)/n, whichever server leaves. 1/n had to move, (n-2)/n did not.
    #[test]
    fn modulo_moves_exactly_n_minus_1_of_n_clients_when_a_server_leaves() {
        for n in 2..=20_u64 {
            for gone in 0..n {
                let moves = |h: &u64| {
                    let (old, new) = (h % n, h % (n - 1));
                    old != new + u64::from(new >= gone) // those behind it shift
                };
                let moved = (0..n * (n - 1)).filter(moves).count() as u64;
                assert_eq!(moved, (n - 1) * (n - 1), "n {n}, gone {gone}");
            }
        }
    }

    #[test]
    fn modulo_hashing_moves_most_clients_when_a_server_leaves() {
        for gone in servers(0..SERVERS) {
            assert!((leave(modulo, gone).0 - 90.0).abs() < 0.5);
        }
    }

    #[test]
    fn consistent_hashing_moves_only_the_clients_of_the_server_that_left() {
        let circle: Scheme = |_, up| ring(100, up);
        let moved = servers(0..SERVERS).into_iter().map(|gone| {
            let (moved, needless) = leave(circle, gone);
            assert_eq!(needless, 0.0);
            moved
        });
        let mean = moved.sum::<f64>() / SERVERS as f64;
        assert!((mean - 10.0).abs() < 1e-6, "on average exactly 1/n: {mean}");
    }

    #[test]
    fn a_newcomer_takes_one_in_n_plus_1_and_disturbs_nobody_else() {
        let (moved, needless) = join(|_, up| ring(1000, up));
        assert!((moved - 100.0 / 11.0).abs() < 1.0 && needless == 0.0);
        assert!((join(modulo).0 - 1000.0 / 11.0).abs() < 0.5);
    }

    #[test]
    fn one_point_a_server_is_unfair_and_a_thousand_points_are_nearly_fair() {
        assert!(busiest_to_mean(|_, up| ring(1, up)) > 2.5);
        assert!(busiest_to_mean(|_, up| ring(1000, up)) < 1.1);
    }

    #[test]
    fn a_fixed_list_moves_nobody_needlessly_on_leaving_and_most_on_joining() {
        assert_eq!(leave(modulo_rehash, ServerId(4)).1, 0.0);
        assert!(join(modulo_rehash).0 > 85.0);
    }

    #[test]
    fn maglev_is_fair_and_moves_next_to_nobody_needlessly() {
        assert!(busiest_to_mean(maglev) < 1.03);
        for gone in servers(0..SERVERS) {
            assert!(leave(maglev, gone).1 < 0.5);
        }
    }
}
