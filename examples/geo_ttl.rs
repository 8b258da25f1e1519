//! A region dies, DNS gives another address: who is still sent to the dead one?
//!
//! Look at how the share falls in a straight line once the answer has changed, and
//! at the clients that never ask again. The second table is the price of a short
//! TTL: queries at your name servers, of which most are asked for nothing.
//!
//! Each resolver is simulated: somebody asks it now and then (gaps are random with
//! a given mean), and it asks the name server when it has nothing, or nothing
//! fresh. Simplified: all resolvers have equally many users, and a query takes no
//! time.

#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
struct Seconds(f64);

/// Three failed health checks, ten seconds apart.
const DETECTION: Seconds = Seconds(30.0);
const RESOLVERS: usize = 4_000;
/// Share of clients that keep an address as long as they run.
const STUBBORN: f64 = 0.05;
/// A busy resolver is asked for the name every half second, a quiet one every two
/// minutes.
const BUSY: Seconds = Seconds(0.5);
const QUIET: Seconds = Seconds(120.0);

/// The wait for the next request, when they come independently of each other.
fn next_gap(rng: &mut fastrand::Rng, mean: Seconds) -> Seconds {
    Seconds(-mean.0 * (1.0 - rng.f64()).ln())
}

struct Resolver {
    /// How long after the switch it still has the old address; zero: not at all.
    held: Seconds,
    /// Queries to the name server in each second before the switch.
    queries_per_s: f64,
}

// ANCHOR: resolver
/// Asks one resolver for the name until the address changes. It fetches the answer
/// when it has none, and keeps it for `ttl`.
fn resolver(rng: &mut fastrand::Rng, ttl: Seconds, gap: Seconds) -> Resolver {
    let cycle = ttl.0 + gap.0; // from one query to the next, on average
    let switch = 20.0 * cycle;
    // Resolvers start one after another, and their start is forgotten by half-time.
    let (mut now, mut expires, mut queries) = (rng.f64() * cycle, 0.0, 0);
    loop {
        // Requests that find a fresh answer change nothing: skip to its end.
        // Gaps without memory start anew at any moment.
        let request = now + next_gap(rng, gap).0;
        if request >= switch {
            break;
        }
        queries += u32::from(request > switch / 2.0);
        expires = request + ttl.0;
        if expires >= switch {
            break;
        }
        now = expires;
    }
    let held = Seconds(f64::max(0.0, expires - switch));
    Resolver {
        held,
        queries_per_s: f64::from(queries) / (switch / 2.0),
    }
}
// ANCHOR_END: resolver

// ANCHOR: formula
/// The share of users who are sent to the dead region, `after` it died. Until the
/// health check notices, everybody is. Then the cached answers run out evenly.
fn mis_sent(after: Seconds, ttl: Seconds, gap: Seconds) -> f64 {
    let since_switch = after.0 - DETECTION.0;
    if since_switch < 0.0 {
        return 1.0;
    }
    // A busy resolver always has an answer; a quiet one may have none to outlive.
    let has_one = ttl.0 / (ttl.0 + gap.0);
    has_one * f64::max(0.0, 1.0 - since_switch / ttl.0)
}

/// Queries to the name server in a second: one for each time that a resolver's
/// answer ran out and somebody asked again.
fn queries_per_s(resolvers: usize, ttl: Seconds, gap: Seconds) -> f64 {
    resolvers as f64 / (ttl.0 + gap.0)
}
// ANCHOR_END: formula

fn simulate(seed: u64, ttl: Seconds, gap: Seconds) -> Vec<Resolver> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..RESOLVERS)
        .map(|_| resolver(&mut rng, ttl, gap))
        .collect()
}

/// The simulated share, to stand beside `mis_sent`.
fn share(resolvers: &[Resolver], after: Seconds) -> f64 {
    let since_switch = after.0 - DETECTION.0;
    if since_switch < 0.0 {
        return 1.0;
    }
    let stale = resolvers.iter().filter(|r| r.held.0 > since_switch).count();
    stale as f64 / resolvers.len() as f64
}

fn main() {
    let ttl = Seconds(60.0);
    let (busy, quiet) = (simulate(1, ttl, BUSY), simulate(2, ttl, QUIET));
    println!("TTL 60 s; percent of users who are sent to the dead region\n");
    println!("after   busy resolvers    quiet resolvers   busy, 5% keep it");
    println!("          run  formula      run  formula         run");
    for after in [0.0, 29.0, 30.0, 45.0, 60.0, 75.0, 90.0, 3600.0].map(Seconds) {
        let percent = |share: f64| format!("{:>8.1}", 100.0 * share);
        let run = share(&busy, after);
        print!("{:>4} s", after.0);
        print!("{}{} ", percent(run), percent(mis_sent(after, ttl, BUSY)));
        print!("{}", percent(share(&quiet, after)));
        print!("{}", percent(mis_sent(after, ttl, QUIET)));
        println!("{:>12.1}", 100.0 * (run + STUBBORN * (1.0 - run)));
    }

    println!("\n{RESOLVERS} busy resolvers; a user is sent wrong for");
    println!("     TTL   on average   at most   queries/s   formula");
    for ttl in [5.0, 30.0, 60.0, 300.0, 3600.0].map(Seconds) {
        let resolvers = simulate(3, ttl, BUSY);
        let held: f64 = resolvers.iter().map(|r| r.held.0).sum();
        let mean = DETECTION.0 + held / resolvers.len() as f64;
        let queries: f64 = resolvers.iter().map(|r| r.queries_per_s).sum();
        print!("{:>6} s {mean:>10.0} s {:>7} s", ttl.0, DETECTION.0 + ttl.0);
        println!(
            "{queries:>12.1} {:>9.1}",
            queries_per_s(RESOLVERS, ttl, BUSY)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four standard deviations of a share of 4,000 resolvers are at most this.
    const TOLERANCE: f64 = 0.032;

    #[test]
    fn the_simulated_share_follows_the_formula() {
        for (seed, ttl) in [5.0, 30.0, 60.0, 300.0]
            .map(Seconds)
            .into_iter()
            .enumerate()
        {
            for gap in [BUSY, Seconds(10.0), QUIET] {
                let resolvers = simulate(seed as u64, ttl, gap);
                for step in 0..20 {
                    let after =
                        Seconds(DETECTION.0 + ttl.0 * f64::from(step) / 16.0);
                    let (run, formula) =
                        (share(&resolvers, after), mis_sent(after, ttl, gap));
                    assert!(
                        (run - formula).abs() < TOLERANCE,
                        "{ttl:?} {gap:?} {after:?}: {run} {formula}"
                    );
                }
            }
        }
    }

    #[test]
    fn nobody_is_saved_before_the_health_check_has_noticed() {
        for ttl in [Seconds(0.1), Seconds(60.0)] {
            assert_eq!(mis_sent(Seconds(29.9), ttl, QUIET), 1.0);
            assert_eq!(share(&simulate(1, ttl, QUIET), Seconds(29.9)), 1.0);
        }
    }

    #[test]
    fn no_resolver_that_honours_the_ttl_holds_an_answer_longer() {
        for ttl in [5.0, 60.0, 300.0].map(Seconds) {
            let resolvers = simulate(4, ttl, BUSY);
            assert!(resolvers.iter().all(|r| r.held <= ttl));
            let last = Seconds(DETECTION.0 + ttl.0);
            assert_eq!(share(&resolvers, last), 0.0);
        }
    }

    #[test]
    fn the_simulated_queries_follow_the_formula() {
        for (ttl, gap) in [(5.0, 0.5), (60.0, 0.5), (60.0, 120.0), (300.0, 10.0)] {
            let (ttl, gap) = (Seconds(ttl), Seconds(gap));
            let resolvers = simulate(8, ttl, gap);
            let run = resolvers.iter().map(|r| r.queries_per_s).sum::<f64>();
            let formula = queries_per_s(RESOLVERS, ttl, gap);
            assert!((run / formula - 1.0).abs() < 0.02, "{run} {formula}");
        }
    }

    #[test]
    fn a_tenth_of_the_ttl_costs_ten_times_the_queries_of_busy_resolvers() {
        let load = |ttl| {
            let resolvers = simulate(5, Seconds(ttl), BUSY);
            resolvers.iter().map(|r| r.queries_per_s).sum::<f64>()
        };
        let ratio = load(30.0) / load(300.0);
        assert!((ratio - 9.85).abs() < 0.1, "{ratio}");
    }

    /// The obvious resolver: every request is looked at, none is skipped.
    fn slow(rng: &mut fastrand::Rng, ttl: Seconds, gap: Seconds) -> Seconds {
        let switch = 20.0 * (ttl.0 + gap.0);
        let (mut now, mut expires) = (rng.f64() * (ttl.0 + gap.0), 0.0);
        while now < switch {
            if now >= expires {
                expires = now + ttl.0;
            }
            now += next_gap(rng, gap).0;
        }
        Seconds(f64::max(0.0, expires - switch))
    }

    #[test]
    fn skipping_the_cached_requests_changes_nothing() {
        let (ttl, gap) = (Seconds(10.0), Seconds(2.0));
        let mut rng = fastrand::Rng::with_seed(6);
        let quick = simulate(7, ttl, gap);
        let slow: Vec<_> =
            (0..RESOLVERS).map(|_| slow(&mut rng, ttl, gap)).collect();
        for since in 0..10 {
            let since = f64::from(since);
            let after = Seconds(DETECTION.0 + since);
            let slow = slow.iter().filter(|held| held.0 > since).count() as f64;
            let slow = slow / RESOLVERS as f64;
            assert!((share(&quick, after) - slow).abs() < 0.045);
        }
    }
}
