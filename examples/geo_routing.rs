//! Which region should answer a user? Five policies over one world, then an outage.
//!
//! Look at `median` and `p95` (round trips of users, in milliseconds), at `wrong`
//! (users who are not sent to the region that is fastest for them) and at the load
//! of each region. Below it, one region is gone: where do its users go, and is
//! there room for them?
//!
//! Simplified: light in fibre covers 200 km in a millisecond (two thirds of its
//! speed in vacuum), a cable is 1.5 times as long as the great circle, the last
//! mile adds 5 to 25 ms, and nothing queues. Cities, their weights and who peers
//! with whom are invented. BGP is reduced to its shortest path of networks; among
//! equals the nearest exit wins.

use std::collections::{BTreeMap, VecDeque};

const KM_PER_MS: f64 = 200.0;
const DETOUR: f64 = 1.5;
const LAST_MILE_MS: std::ops::RangeInclusive<u32> = 5..=25;
/// Share of users whose resolver stands in another city than they do.
const FAR_RESOLVERS: f64 = 0.15;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    lat: f64,
    lon: f64,
}

const fn at(lat: f64, lon: f64) -> Place {
    Place { lat, lon }
}

const REGIONS: [(&str, Place); 4] = [
    ("virginia", at(39.0, -77.5)),
    ("ireland", at(53.3, -6.3)),
    ("singapore", at(1.4, 103.8)),
    ("sao paulo", at(-23.5, -46.6)),
];
const NOBODY: usize = REGIONS.len();

/// A city: its users, where its cables come ashore, and its upstream network.
type City = (&'static str, usize, Place, Option<Place>, &'static str);
const LONDON: Place = at(51.5, -0.1);
const MIAMI: Place = at(25.8, -80.2);
const CITIES: [City; 14] = [
    ("new york", 180, at(40.7, -74.0), None, "north"),
    ("los angeles", 150, at(34.1, -118.2), None, "north"),
    ("mexico city", 80, at(19.4, -99.1), None, "north"),
    ("lima", 50, at(-12.0, -77.0), Some(MIAMI), "south"),
    ("buenos aires", 60, at(-34.6, -58.4), None, "south"),
    ("rio", 90, at(-22.9, -43.2), None, "south"),
    ("london", 120, LONDON, None, "north"),
    ("frankfurt", 150, at(50.1, 8.7), None, "north"),
    ("lagos", 70, at(6.5, 3.4), Some(LONDON), "north"),
    ("johannesburg", 50, at(-26.2, 28.0), Some(LONDON), "north"),
    ("mumbai", 150, at(19.1, 72.9), None, "north"),
    ("jakarta", 110, at(-6.2, 106.8), None, "east"),
    ("tokyo", 140, at(35.7, 139.7), None, "east"),
    ("sydney", 60, at(-33.9, 151.2), None, "east"),
];

/// Networks that know a route to each other; a region announces itself to some.
const PEERS: [(&str, &str); 6] = [
    ("north", "virginia"),
    ("north", "ireland"),
    ("east", "singapore"),
    ("south", "sao paulo"),
    ("north", "east"),
    ("north", "south"),
];

// ANCHOR: latency
/// The great circle between two places (haversine), in kilometres.
fn distance_km(a: Place, b: Place) -> f64 {
    const EARTH_RADIUS_KM: f64 = 6_371.0;
    let half = |from: f64, to: f64| ((to - from).to_radians() / 2.0).sin().powi(2);
    let (up, across) = (half(a.lat, b.lat), half(a.lon, b.lon));
    let h = up + a.lat.to_radians().cos() * b.lat.to_radians().cos() * across;
    2.0 * EARTH_RADIUS_KM * h.sqrt().min(1.0).asin()
}

/// The round trip from a city to a region. A city whose cables all end at one
/// landing place reaches every region through it.
fn round_trip_ms((_, _, city, landing, _): &City, region: usize) -> f64 {
    let goal = REGIONS[region].1;
    let km = match *landing {
        Some(landing) => distance_km(*city, landing) + distance_km(landing, goal),
        None => distance_km(*city, goal),
    };
    2.0 * km * DETOUR / KM_PER_MS
}
// ANCHOR_END: latency

/// How many networks lie on the shortest way between two, as BGP counts them.
fn hops(from: &str, to: &str) -> Option<u32> {
    let mut seen = BTreeMap::from([(from, 0)]);
    let mut queue = VecDeque::from([from]);
    while let Some(network) = queue.pop_front() {
        for (a, b) in PEERS {
            for (here, next) in [(a, b), (b, a)] {
                if here == network && !seen.contains_key(next) {
                    seen.insert(next, seen[network] + 1);
                    queue.push_back(next);
                }
            }
        }
    }
    seen.get(to).copied()
}

struct User {
    city: usize,
    resolver: usize, // the city in which the user's resolver stands
    dice: f64,       // 0 to 1, for the weighted policy
    last_mile_ms: f64,
}

fn users(rng: &mut fastrand::Rng) -> Vec<User> {
    let mut users = Vec::new();
    for (city, (_, count, ..)) in CITIES.iter().enumerate() {
        for _ in 0..*count {
            let far = rng.f64() < FAR_RESOLVERS;
            // Any of the others, all alike.
            // (A u64 is as wide on every machine, and so the dice fall alike.)
            let further = rng.u64(1..CITIES.len() as u64) as usize;
            let other = (city + further) % CITIES.len();
            let resolver = if far { other } else { city };
            let last_mile_ms = f64::from(rng.u32(LAST_MILE_MS));
            users.push(User {
                city,
                resolver,
                dice: rng.f64(),
                last_mile_ms,
            });
        }
    }
    users
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Policy {
    Nearest,
    NearestToResolver,
    Latency,
    Weighted,
    Anycast,
}

// ANCHOR: policy
/// The region of `open` that a policy sends a user to; `NOBODY` if none is open.
fn route(policy: Policy, user: &User, open: &[usize]) -> usize {
    let best = |cost: &dyn Fn(usize) -> f64| {
        let regions = open.iter().copied();
        regions
            .min_by(|a, b| cost(*a).total_cmp(&cost(*b)))
            .unwrap_or(NOBODY)
    };
    let km = |city: usize, r: usize| distance_km(CITIES[city].2, REGIONS[r].1);
    match policy {
        // GeoDNS that is told the user's network (EDNS client subnet).
        Policy::Nearest => best(&|region| km(user.city, region)),
        // GeoDNS that sees whoever asks: the user's resolver.
        Policy::NearestToResolver => best(&|region| km(user.resolver, region)),
        // Needs measurements, which is what makes it the best of the five.
        Policy::Latency => best(&|r| round_trip_ms(&CITIES[user.city], r)),
        // Equal weights: every place is as good as any other.
        Policy::Weighted => {
            let pick = (user.dice * open.len() as f64) as usize;
            open.get(pick).copied().unwrap_or(NOBODY)
        }
        // BGP: the fewest networks; among equals the nearest exit.
        Policy::Anycast => best(&|region| {
            let path = hops(CITIES[user.city].4, REGIONS[region].0);
            f64::from(path.unwrap_or(99)) * 1e6 + km(user.city, region)
        }),
    }
}
// ANCHOR_END: policy

fn load(routes: &[usize]) -> [usize; 4] {
    let mut load = [0; 4];
    for route in routes.iter().filter(|route| **route != NOBODY) {
        load[*route] += 1;
    }
    load
}

struct Report {
    median_ms: f64,
    p95_ms: f64,
    wrong: f64, // percent of users
    load: [usize; 4],
}

fn report(users: &[User], routes: &[usize], open: &[usize]) -> Report {
    let mut times = Vec::new();
    let mut wrong = 0;
    for (user, region) in users.iter().zip(routes).filter(|(_, r)| **r != NOBODY) {
        times.push(round_trip_ms(&CITIES[user.city], *region) + user.last_mile_ms);
        wrong += usize::from(*region != route(Policy::Latency, user, open));
    }
    times.sort_by(f64::total_cmp);
    let rank = |share: f64| {
        let index = (times.len() as f64 * share) as usize;
        times.get(index).copied().unwrap_or(f64::NAN)
    };
    let wrong = 100.0 * wrong as f64 / users.len() as f64;
    Report {
        median_ms: rank(0.5),
        p95_ms: rank(0.95),
        wrong,
        load: load(routes),
    }
}

/// What each region is built for: its load on a normal day plus the headroom.
fn capacity(load: [usize; 4], headroom: f64) -> [usize; 4] {
    load.map(|load| (load as f64 * (1.0 + headroom)).ceil() as usize)
}

// ANCHOR: outage
/// Everyone goes to the fastest region that is up. One that gets more than it can
/// take fails too, so its users move on. Returns what died, in order.
fn cascade(users: &[User], room: [usize; 4], dead: usize) -> Vec<usize> {
    let mut died = vec![dead];
    loop {
        let open: Vec<_> = (0..4).filter(|region| !died.contains(region)).collect();
        let go = |user: &User| route(Policy::Latency, user, &open);
        let load = load(&users.iter().map(go).collect::<Vec<_>>());
        match open.iter().find(|region| load[**region] > room[**region]) {
            Some(overloaded) => died.push(*overloaded),
            None => return died,
        }
    }
}

/// The same, but nobody is sent to a region that is full: users overflow to the
/// next fastest, and when all are full they are turned away at once.
fn overflow(users: &[User], room: [usize; 4], dead: usize) -> Vec<usize> {
    let mut left = room;
    left[dead] = 0;
    let mut place = |user: &User| {
        let open: Vec<_> = (0..4).filter(|region| left[*region] > 0).collect();
        let region = route(Policy::Latency, user, &open);
        if region != NOBODY {
            left[region] -= 1;
        }
        region
    };
    users.iter().map(&mut place).collect()
}
// ANCHOR_END: outage

const POLICIES: [(&str, Policy); 5] = [
    ("nearest to the user", Policy::Nearest),
    ("nearest to resolver", Policy::NearestToResolver),
    ("lowest latency", Policy::Latency),
    ("weighted, equal", Policy::Weighted),
    ("anycast", Policy::Anycast),
];

fn main() {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut users = users(&mut rng);
    rng.shuffle(&mut users); // in whatever order they come
    let all = [0, 1, 2, 3];
    println!("{} users                             users in", users.len());
    println!("ms                  median  p95 wrong  virg  irel  sing  saop");
    for (name, policy) in POLICIES {
        let go = |user: &User| route(policy, user, &all);
        let routes: Vec<_> = users.iter().map(go).collect();
        let report = report(&users, &routes, &all);
        print!("{name:<20}{:>6.0} {:>4.0}", report.median_ms, report.p95_ms);
        print!(" {:>4.0}%", report.wrong);
        println!("{}", report.load.map(|load| format!("{load:>6}")).concat());
    }

    println!("\nnearest is not fastest (ms to the nearest, to the fastest)");
    for city in CITIES.iter().enumerate().map(|(city, _)| city) {
        let user = User {
            city,
            resolver: city,
            dice: 0.0,
            last_mile_ms: 0.0,
        };
        let [near, fast] = [Policy::Nearest, Policy::Latency].map(|policy| {
            let region = route(policy, &user, &all);
            (REGIONS[region].0, round_trip_ms(&CITIES[city], region))
        });
        if near.0 != fast.0 {
            print!("{:<14} {:<10}{:>4.0}", CITIES[city].0, near.0, near.1);
            println!("   {:<10}{:>4.0}", fast.0, fast.1);
        }
    }

    let dead = rng.usize(..REGIONS.len());
    let go = |user: &User| route(Policy::Latency, user, &all);
    let normal = load(&users.iter().map(go).collect::<Vec<_>>());
    let hit = 100.0 * normal[dead] as f64 / users.len() as f64;
    let open: Vec<_> = all.into_iter().filter(|r| *r != dead).collect();
    let go = |user: &User| route(Policy::Latency, user, &open);
    let after = load(&users.iter().map(go).collect::<Vec<_>>());
    println!(
        "\n{} is gone, and with it {hit:.0}% of users",
        REGIONS[dead].0
    );
    print!("load of the others, percent of normal:");
    for region in &open {
        let percent = 100 * after[*region] / normal[*region];
        print!(" {} {percent}", REGIONS[*region].0);
    }
    println!("\nheadroom   overload kills   overflow: p95  refused");
    for headroom in [0.0, 0.25, 0.5, 1.0, 1.5] {
        let room = capacity(normal, headroom);
        let left = REGIONS.len() - cascade(&users, room, dead).len();
        let routes = overflow(&users, room, dead);
        let refused = routes.iter().filter(|r| **r == NOBODY).count();
        let p95 = report(&users, &routes, &open).p95_ms;
        print!("{:>7.0}%    {left} of 4 are up", headroom * 100.0);
        println!("{p95:>16.0} {refused:>8}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [usize; 4] = [0, 1, 2, 3];

    fn world(seed: u64) -> Vec<User> {
        users(&mut fastrand::Rng::with_seed(seed))
    }

    fn run(policy: Policy, users: &[User]) -> Report {
        let routes: Vec<_> = users.iter().map(|u| route(policy, u, &ALL)).collect();
        report(users, &routes, &ALL)
    }

    #[test]
    fn the_great_circle_has_known_lengths() {
        let (pole, equator) = (at(90.0, 0.0), at(0.0, 50.0));
        let quarter = 6_371.0 * std::f64::consts::FRAC_PI_2;
        assert!((distance_km(pole, equator) - quarter).abs() < 1e-6);
        let half = distance_km(at(0.0, -90.0), at(0.0, 90.0));
        assert!((half - 2.0 * quarter).abs() < 1e-6);
        assert_eq!(distance_km(LONDON, LONDON), 0.0);
    }

    #[test]
    fn a_round_trip_goes_both_ways_and_through_the_landing_place() {
        let home = |landing| ("home", 1, REGIONS[0].1, landing, "north");
        assert_eq!(round_trip_ms(&home(None), 0), 0.0);
        let there = distance_km(REGIONS[0].1, MIAMI);
        // There and back to Miami, out and home, at 1.5 km a km and 200 km a ms.
        let expected = 4.0 * there * 1.5 / 200.0;
        assert!((round_trip_ms(&home(Some(MIAMI)), 0) - expected).abs() < 1e-9);
    }

    #[test]
    fn equal_weights_spread_users_evenly_whatever_their_city() {
        let users = world(1);
        for city in [0, 7, 13] {
            let mut users: Vec<User> = world(2);
            users.retain(|user| user.city == city);
            let load = run(Policy::Weighted, &users).load;
            assert!(load.iter().all(|load| 6 * load > users.len()), "{load:?}");
        }
        let load = run(Policy::Weighted, &users).load;
        assert!(
            load.iter().all(|load| (320..410).contains(load)),
            "{load:?}"
        );
    }

    #[test]
    fn the_median_and_p95_have_so_many_users_below_them() {
        let users = world(1);
        let times = users.iter().map(|user| {
            let region = route(Policy::Latency, user, &ALL);
            round_trip_ms(&CITIES[user.city], region) + user.last_mile_ms
        });
        let report = run(Policy::Latency, &users);
        let below = |limit| times.clone().filter(|ms| *ms < limit).count();
        assert!((below(report.median_ms) as f64 / 1460.0 - 0.5).abs() < 0.01);
        assert!((below(report.p95_ms) as f64 / 1460.0 - 0.95).abs() < 0.01);
    }

    #[test]
    fn no_policy_beats_lowest_latency_for_any_user() {
        for seed in 0..3 {
            for user in world(seed) {
                let time =
                    |p| round_trip_ms(&CITIES[user.city], route(p, &user, &ALL));
                let best = time(Policy::Latency);
                assert!(POLICIES.iter().all(|(_, policy)| time(*policy) >= best));
            }
        }
    }

    #[test]
    fn nearest_is_not_fastest_where_the_cables_go_elsewhere() {
        for (name, near, fast) in [("lima", 3, 0), ("johannesburg", 3, 1)] {
            let city = CITIES.iter().position(|c| c.0 == name).expect("a city");
            let user = User {
                city,
                resolver: city,
                dice: 0.0,
                last_mile_ms: 0.0,
            };
            assert_eq!(route(Policy::Nearest, &user, &ALL), near);
            assert_eq!(route(Policy::Latency, &user, &ALL), fast);
        }
    }

    #[test]
    fn a_far_resolver_sends_users_wrong_who_were_right_before() {
        let users = world(1);
        let near = run(Policy::Nearest, &users).wrong;
        assert!(run(Policy::NearestToResolver, &users).wrong > near + 5.0);
        let far = users
            .iter()
            .filter(|user| user.resolver != user.city)
            .count();
        let share = far as f64 / users.len() as f64;
        assert!((share - FAR_RESOLVERS).abs() < 0.03, "{share}");
    }

    #[test]
    fn anycast_counts_networks_and_takes_mumbai_past_singapore() {
        assert_eq!(hops("north", "ireland"), Some(1));
        assert_eq!(hops("north", "singapore"), Some(2));
        let city = CITIES.iter().position(|c| c.0 == "mumbai").expect("a city");
        let user = User {
            city,
            resolver: city,
            dice: 0.0,
            last_mile_ms: 0.0,
        };
        assert_eq!(REGIONS[route(Policy::Latency, &user, &ALL)].0, "singapore");
        assert_eq!(REGIONS[route(Policy::Anycast, &user, &ALL)].0, "ireland");
    }

    #[test]
    fn without_headroom_one_outage_takes_every_region_and_overflow_none() {
        let users = world(1);
        let go = |user: &User| route(Policy::Latency, user, &ALL);
        let normal = load(&users.iter().map(go).collect::<Vec<_>>());
        for dead in ALL {
            let room = capacity(normal, 0.0);
            assert_eq!(cascade(&users, room, dead).len(), 4);
            let taken = load(&overflow(&users, room, dead));
            assert!((0..4).all(|r| taken[r] <= room[r]) && taken[dead] == 0);
            // What fits in three regions is served, the rest is turned away.
            let served: usize = taken.iter().sum();
            assert_eq!(served, users.len() - normal[dead]);
        }
    }

    #[test]
    fn an_outage_falls_on_one_neighbour_so_even_double_room_is_too_little() {
        let users = world(1);
        let go = |user: &User| route(Policy::Latency, user, &ALL);
        let normal = load(&users.iter().map(go).collect::<Vec<_>>());
        let left = |headroom| cascade(&users, capacity(normal, headroom), 2).len();
        assert_eq!((left(1.0), left(1.5)), (4, 1));
        // Half as much room again, used by all together, would have been enough.
        let overflow = overflow(&users, capacity(normal, 0.5), 2);
        assert!(!overflow.contains(&NOBODY));
    }

    #[test]
    fn room_for_the_worst_neighbour_holds_the_others_up_to_the_last_user() {
        let users = world(1);
        for dead in ALL {
            let open: Vec<_> = ALL.into_iter().filter(|r| *r != dead).collect();
            let go = |user: &User| route(Policy::Latency, user, &open);
            let mut room = load(&users.iter().map(go).collect::<Vec<_>>());
            assert_eq!(cascade(&users, room, dead), [dead]);
            room[open[0]] -= 1;
            assert_eq!(cascade(&users, room, dead)[..2], [dead, open[0]]);
        }
        let go = |user: &User| route(Policy::Latency, user, &ALL);
        let normal = load(&users.iter().map(go).collect::<Vec<_>>());
        assert_eq!(capacity([3, 4, 0, 1], 0.5), [5, 6, 0, 2]);
        for (dead, percent) in ALL.into_iter().flat_map(|d| [(d, 101), (d, 103)]) {
            let room = capacity(normal, f64::from(percent) / 100.0);
            let held = cascade(&users, room, dead).len() == 1;
            assert_eq!(held, dead != 2 || percent == 103, "{dead} {percent}");
        }
    }

    #[test]
    fn users_of_other_regions_stay_where_they_are_when_one_dies() {
        for user in world(1) {
            let home = route(Policy::Latency, &user, &ALL);
            for dead in ALL.into_iter().filter(|dead| *dead != home) {
                let open: Vec<_> = ALL.into_iter().filter(|r| *r != dead).collect();
                assert_eq!(route(Policy::Latency, &user, &open), home);
            }
        }
    }
}
