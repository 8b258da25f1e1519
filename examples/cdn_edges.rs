//! Readers, edges, a shield and an origin on a map: who is asked, and how long
//! does a reader wait?
//!
//! Look at `edge hits` going down as edges are added, while readers wait less
//! all the same: the way to the edge gets shorter. Then at `origin`, which the
//! shield brings down again. In the second table everybody asks for one new page
//! at once: collapsing at the edges spares the shield, at the shield the origin.
//! (With the shield alone, edges wait longer for their first copy, and ask more.)
//!
//! Simplified: great circles, light in fibre at 200,000 km/s and no detours or
//! queues, so real networks are slower. Every reader opens a new connection: one
//! round trip for TCP, one for TLS 1.3, one for the request. Connections between
//! our own machines are open already. All pages stay fresh for ten minutes. A
//! question is taken to be sent when the reader's arrives at the edge.

use std::collections::HashMap;

#[derive(Clone, Copy)]
struct Place {
    name: &'static str,
    north: f64, // degrees
    east: f64,
    readers: u32, // share of all readers
}

const fn place(name: &'static str, north: f64, east: f64, readers: u32) -> Place {
    Place {
        name,
        north,
        east,
        readers,
    }
}

// The first four edges are far apart; the rest fills in.
const PLACES: [Place; 16] = [
    place("Frankfurt", 50.1, 8.7, 10),
    place("New York", 40.7, -74.0, 10),
    place("Singapore", 1.4, 103.8, 8),
    place("Sao Paulo", -23.5, -46.6, 8),
    place("Tokyo", 35.7, 139.7, 8),
    place("Los Angeles", 34.1, -118.2, 7),
    place("Mumbai", 19.1, 72.9, 8),
    place("Johannesburg", -26.2, 28.0, 5),
    place("London", 51.5, -0.1, 7),
    place("Sydney", -33.9, 151.2, 4),
    place("Chicago", 41.9, -87.6, 5),
    place("Seoul", 37.6, 127.0, 5),
    place("Cairo", 30.0, 31.2, 4),
    place("Mexico City", 19.4, -99.1, 4),
    place("Lagos", 6.5, 3.4, 4),
    place("Warsaw", 52.2, 21.0, 3),
];
const ORIGIN: usize = 0;

// ANCHOR: distance
type Millis = f64;
const FIBRE_KM_PER_MS: f64 = 200.0; // 2/3 of the speed of light
const EARTH_KM: f64 = 6_371.0;

/// Along the great circle (haversine formula).
fn km(a: Place, b: Place) -> f64 {
    let half = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
    let cosines = a.north.to_radians().cos() * b.north.to_radians().cos();
    let h = half(a.north - b.north) + cosines * half(a.east - b.east);
    2.0 * EARTH_KM * h.sqrt().asin()
}

/// There and back: 1 ms for each 100 km.
fn round_trip(a: Place, b: Place) -> Millis {
    2.0 * km(a, b) / FIBRE_KM_PER_MS
}
// ANCHOR_END: distance

const FRESH: Millis = 600_000.0;
const WORK: Millis = 50.0; // the origin makes a page
const HANDSHAKES: f64 = 2.0; // TCP and TLS, before the request

#[derive(Clone, Copy)]
struct Network {
    edges: usize, // 0: readers go to the origin
    shield: bool, // beside the origin
    collapse_edge: bool,
    collapse_shield: bool,
}

/// When the newest copy arrives; it is fresh from then on for `FRESH`.
#[derive(Default)]
struct Cache {
    arrives: HashMap<u32, Millis>,
}

impl Cache {
    // ANCHOR: collapse
    /// When can the page be sent on? `ask` returns when an answer would be here.
    fn get(
        &mut self,
        page: u32,
        now: Millis,
        collapse: bool,
        ask: impl FnOnce() -> Millis,
    ) -> (Millis, bool) {
        match self.arrives.get(&page) {
            Some(&at) if at <= now && now < at + FRESH => return (now, true),
            Some(&at) if now < at && collapse => return (at, false), // wait for it
            _ => {}
        }
        let at = ask();
        let newest = self.arrives.entry(page).or_insert(at);
        *newest = if *newest > now { newest.min(at) } else { at };
        (at, false)
    }
    // ANCHOR_END: collapse
}

#[derive(Default)]
struct Report {
    edge_hits: f64, // percent of requests
    origin: u32,    // requests that it got
    mean: Millis,   // until the reader has the page
    slow: Millis,   // 95 of 100 wait less
    shield: u32,    // requests that it got
}

/// Serves requests: when, whose, and for which page.
fn serve(network: Network, requests: &[(Millis, usize, u32)]) -> Report {
    let mut edges: Vec<Cache> =
        (0..network.edges).map(|_| Cache::default()).collect();
    let (mut shield, mut report) = (Cache::default(), Report::default());
    let mut waits = Vec::new();
    let distance = |from: usize, edge: &usize| km(PLACES[from], PLACES[*edge]);
    for &(now, reader, page) in requests {
        let nearest = (0..network.edges)
            .min_by(|a, b| distance(reader, a).total_cmp(&distance(reader, b)));
        let near = nearest.unwrap_or(ORIGIN);
        let inward = round_trip(PLACES[near], PLACES[ORIGIN]);
        let (origin, at_shield) = (&mut report.origin, &mut report.shield);
        let mut ask_origin = |now: Millis| {
            *origin += 1;
            now + WORK
        };
        let (ready, hit) = match nearest {
            None => (ask_origin(now), false),
            Some(edge) => {
                let ask = || {
                    let there = now + inward / 2.0;
                    let made = match network.shield {
                        false => ask_origin(there),
                        true => {
                            let collapse = network.collapse_shield;
                            *at_shield += 1;
                            let ask = || ask_origin(there);
                            shield.get(page, there, collapse, ask).0
                        }
                    };
                    made + inward / 2.0
                };
                edges[edge].get(page, now, network.collapse_edge, ask)
            }
        };
        let last_mile = round_trip(PLACES[reader], PLACES[near]);
        waits.push((HANDSHAKES + 1.0) * last_mile + ready - now);
        report.edge_hits += f64::from(u8::from(hit));
    }
    let all = requests.len() as f64;
    report.edge_hits *= 100.0 / all;
    report.mean = waits.iter().sum::<f64>() / all;
    waits.sort_by(f64::total_cmp);
    report.slow = waits[waits.len() * 95 / 100];
    report
}

const PAGES: usize = 2_000;
const REQUESTS: usize = 12_000;

/// Twenty minutes of requests; the n-th page is 1/n as popular as the first.
fn traffic() -> Vec<(Millis, usize, u32)> {
    let mut rng = fastrand::Rng::with_seed(2026);
    let mut sums = vec![0.0];
    for n in 1..=PAGES {
        sums.push(sums[n - 1] + 1.0 / n as f64);
    }
    let mut now = 0.0;
    let mut one = |_| {
        now += rng.f64() * 200.0; // ten a second on average
        let draw = rng.f64() * sums[PAGES];
        let page = sums.partition_point(|sum| *sum <= draw) as u32;
        (now, someone(&mut rng), page)
    };
    (0..REQUESTS).map(&mut one).collect()
}

/// Where a reader lives.
fn someone(rng: &mut fastrand::Rng) -> usize {
    let all: u32 = PLACES.iter().map(|place| place.readers).sum();
    let mut draw = rng.u32(..all);
    let lives_here = |place: &Place| {
        let here = draw < place.readers;
        draw = draw.saturating_sub(place.readers);
        here
    };
    PLACES.iter().position(lives_here).unwrap_or(0)
}

/// A page nobody has yet: 1,000 readers in 100 ms.
fn rush() -> Vec<(Millis, usize, u32)> {
    let mut rng = fastrand::Rng::with_seed(7);
    let one = |n| (f64::from(n) / 10.0, someone(&mut rng), 1);
    (0..1_000).map(one).collect()
}

fn network(edges: usize, shield: bool) -> Network {
    Network {
        edges,
        shield,
        collapse_edge: true,
        collapse_shield: true,
    }
}

fn main() {
    let [origin, far] = [PLACES[ORIGIN], PLACES[9]];
    let (km, trip) = (km(far, origin), round_trip(far, origin));
    println!(
        "{} - {}: {km:.0} km, {trip:.0} ms there and back\n",
        far.name, origin.name
    );
    println!("network             edge hits  origin   mean    95 % below");
    let requests = traffic();
    for (name, network) in [
        ("no CDN", network(0, false)),
        ("1 edge", network(1, false)),
        ("4 edges", network(4, false)),
        ("16 edges", network(16, false)),
        ("16 edges + shield", network(16, true)),
    ] {
        let r = serve(network, &requests);
        print!("{name:<20} {:>7.1}% {:>7}", r.edge_hits, r.origin);
        println!(" {:>4.0} ms {:>8.0} ms", r.mean, r.slow);
    }
    println!("\n1,000 readers at once, 16 edges    to shield  to origin");
    for (name, collapse_edge, collapse_shield) in [
        ("no collapsing", false, false),
        ("at the edges", true, false),
        ("at the shield", false, true),
        ("at both", true, true),
    ] {
        let network = Network {
            collapse_edge,
            collapse_shield,
            ..network(16, true)
        };
        let r = serve(network, &rush());
        println!("{name:<34} {:>9} {:>10}", r.shield, r.origin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_kilometres_cost_a_millisecond_there_and_back() {
        let [a, b] = [place("", 0.0, 0.0, 0), place("", 0.0, 0.8993, 0)];
        assert!((km(a, b) - 100.0).abs() < 0.1);
        assert!((round_trip(a, b) - 1.0).abs() < 0.001);
        let [pole, equator] = [place("", 90.0, 5.0, 0), place("", 0.0, 99.0, 0)];
        let quarter = EARTH_KM * std::f64::consts::PI / 2.0;
        assert!((km(pole, equator) - quarter).abs() < 0.001);
    }

    #[test]
    fn more_edges_make_the_hit_ratio_at_each_edge_worse() {
        let ratio = |edges| serve(network(edges, false), &traffic()).edge_hits;
        let ratios = [1, 2, 4, 8, 16].map(ratio);
        assert!(
            ratios.windows(2).all(|pair| pair[1] < pair[0]),
            "{ratios:?}"
        );
    }

    #[test]
    fn and_make_readers_wait_less_all_the_same() {
        let mean = |edges| serve(network(edges, false), &traffic()).mean;
        let means = [0, 1, 4, 16].map(mean);
        assert!(means.windows(2).all(|pair| pair[1] < pair[0]), "{means:?}");
    }

    #[test]
    fn a_shield_brings_the_origin_s_load_down_to_that_of_one_cache() {
        let load = |edges, shield| serve(network(edges, shield), &traffic()).origin;
        let (one, bare, shielded) =
            (load(1, false), load(16, false), load(16, true));
        assert!(bare > 2 * one, "{bare} {one}");
        let near_one = shielded.abs_diff(one) * 50 < one;
        assert!(near_one, "{shielded} is within 2 % of {one}");
    }

    #[test]
    fn a_shield_beside_the_origin_makes_nobody_wait_longer() {
        let bare = serve(network(16, false), &traffic());
        let shielded = serve(network(16, true), &traffic());
        assert!((bare.edge_hits - shielded.edge_hits).abs() < 0.1);
        assert!(shielded.mean < bare.mean && shielded.slow < bare.slow);
    }

    #[test]
    fn collapsing_at_edges_spares_the_shield_and_at_the_shield_the_origin() {
        let load = |collapse_edge, collapse_shield| {
            let network = Network {
                collapse_edge,
                collapse_shield,
                ..network(16, true)
            };
            let report = serve(network, &rush());
            (report.shield, report.origin)
        };
        let (shield, origin) = load(false, false);
        assert!(shield > 500 && origin > 100, "{shield} {origin}");
        let (more, one) = load(false, true);
        assert!(more >= shield && one == 1, "who waits keeps no page yet");
        assert_eq!(load(true, true), (16, 1));
        let (shield, origin) = load(true, false);
        assert!(shield == 16 && (2..=16).contains(&origin), "{origin}");
    }

    #[test]
    fn a_copy_is_fresh_for_ten_minutes_after_it_arrived() {
        let mut cache = Cache::default();
        let mut get = |now| cache.get(1, now, true, || now + 5.0);
        assert_eq!(get(0.0), (5.0, false));
        assert_eq!(get(600_004.0), (600_004.0, true));
        assert_eq!(get(600_005.0), (600_010.0, false));
    }

    #[test]
    fn handshakes_end_at_the_edge_and_only_a_miss_goes_the_whole_way() {
        let trip = round_trip(PLACES[1], PLACES[ORIGIN]);
        let mean =
            |edges, requests: &[_]| serve(network(edges, false), requests).mean;
        let one = [(0.0, 1, 1)]; // New York, the second edge
        assert!((mean(0, &one) - (3.0 * trip + WORK)).abs() < 1e-9);
        assert!((mean(2, &one) - (trip + WORK)).abs() < 1e-9);
        let two = [one[0], (10_000.0, 1, 1)];
        assert!((mean(2, &two) - (trip + WORK) / 2.0).abs() < 1e-9, "a hit");
    }

    #[test]
    fn the_second_page_is_half_as_popular_as_the_first() {
        let all = traffic();
        let of = |page| all.iter().filter(|request| request.2 == page).count();
        assert!(
            (18..=22).contains(&(10 * of(1) / of(2))),
            "{} {}",
            of(1),
            of(2)
        );
    }

    #[test]
    fn without_a_shield_collapsing_leaves_one_request_an_edge() {
        assert_eq!(serve(network(16, false), &rush()).origin, 16);
    }
}
