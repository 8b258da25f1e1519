//! One bad release, five ways to bring it to 6,000 users: how many of them see an
//! error before it is taken back, and how long does that take?
//!
//! Look at the two kinds of bug. One hits everybody, so a few users are enough to
//! notice it. The other hits one user in fifty, and a small step hides it.
//!
//! Simplified: each user makes one request a minute. The old release never fails.
//! The release is taken back a minute after the 20th error, and stopping or
//! starting servers costs nobody a request.

const USERS: u64 = 6_000;
const ALARM_ERRORS: u64 = 20;
const ALARM_SECONDS: u64 = 60; // from the 20th error to the roll-back
const SECONDS_MAX: u64 = 3_600;

const BY_TEN: &[(u64, f64)] = &[
    (0, 0.1),
    (60, 0.2),
    (120, 0.3),
    (180, 0.4),
    (240, 0.5),
    (300, 0.6),
    (360, 0.7),
    (420, 0.8),
    (480, 0.9),
    (540, 1.0),
];

// ANCHOR: strategy
#[derive(Clone, Copy, PartialEq)]
enum Chosen {
    PerRequest, // any request may meet any server
    PerUser,    // a user stays with one release
}

struct Strategy {
    name: &'static str,
    chosen: Chosen,
    steps: &'static [(u64, f64)], // from this second on, this share is new
    back: (u64, f64),             // every so many seconds, so much less
    spare: u32,                   // servers needed beside the 100, and flags
}

const CAREFUL: &[(u64, f64)] = &[(0, 0.01), (600, 0.1), (1_200, 0.5), (1_800, 1.0)];

const STRATEGIES: [Strategy; 5] = [
    Strategy {
        name: "all at once",
        chosen: Chosen::PerRequest,
        steps: &[(0, 1.0)],
        back: (300, 1.0), // install the old one again
        spare: 0,
    },
    Strategy {
        name: "rolling, ten by ten",
        chosen: Chosen::PerRequest,
        steps: BY_TEN,
        back: (60, 0.1), // the same way back
        spare: 0,
    },
    Strategy {
        name: "blue-green",
        chosen: Chosen::PerRequest,
        steps: &[(0, 1.0)],
        back: (5, 1.0), // switch to the servers that are still there
        spare: 100,
    },
    Strategy {
        name: "canary, by request",
        chosen: Chosen::PerRequest,
        steps: CAREFUL,
        back: (5, 1.0),
        spare: 1,
    },
    Strategy {
        name: "flag, by user",
        chosen: Chosen::PerUser,
        steps: CAREFUL,
        back: (5, 1.0),
        spare: 0,
    },
];
// ANCHOR_END: strategy

/// Spreads the users, so that those who come first are not those with the bug.
fn rank(user: u64) -> f64 {
    (user * 2_654_435_769 % USERS) as f64 / USERS as f64
}

#[derive(Debug, PartialEq)]
struct Harm {
    users: usize,
    errors: u64,
    seconds: Option<u64>, // until nobody meets the release; None: not in an hour
}

// ANCHOR: simulate
fn simulate(strategy: &Strategy, hits_one_in: u64) -> Harm {
    let mut rng = fastrand::Rng::with_seed(hits_one_in);
    let (mut hit, mut errors, mut decided) = (vec![false; USERS as usize], 0, None);
    let mut share = 0.0;
    for now in 0..SECONDS_MAX {
        let begun = |step: &&(u64, f64)| step.0 <= now;
        match decided {
            Some(decided) if now >= decided => {
                let (every, less) = strategy.back;
                if (now - decided) % every == 0 && now > decided {
                    share = f64::max(share - less, 0.0);
                }
                if share < 0.001 {
                    let users = hit.iter().filter(|hit| **hit).count();
                    let seconds = Some(now);
                    return Harm {
                        users,
                        errors,
                        seconds,
                    };
                }
            }
            _ => share = strategy.steps.iter().rfind(begun).map_or(share, |s| s.1),
        }
        for user in (now % 60..USERS).step_by(60) {
            let is_new = match strategy.chosen {
                Chosen::PerRequest => rng.f64() < share,
                Chosen::PerUser => rank(user) < share,
            };
            if is_new && user / 60 % hits_one_in == 0 {
                hit[user as usize] = true;
                errors += 1;
            }
        }
        if errors >= ALARM_ERRORS && decided.is_none() {
            decided = Some(now + ALARM_SECONDS);
        }
    }
    let users = hit.iter().filter(|hit| **hit).count();
    Harm {
        users,
        errors,
        seconds: None,
    }
}
// ANCHOR_END: simulate

fn main() {
    println!("                     hits everybody     hits one in 50     spare");
    println!("                     users   seconds    users   seconds   servers\n");
    for strategy in &STRATEGIES {
        print!("{:<19}", strategy.name);
        for one_in in [1, 50] {
            let harm = simulate(strategy, one_in);
            let seconds = harm.seconds.map_or("never".into(), |s| s.to_string());
            print!(" {:>6} {seconds:>9}  ", harm.users);
        }
        println!(" {:>6}", strategy.spare);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn harm(name: &str, hits_one_in: u64) -> Harm {
        let named = STRATEGIES.iter().find(|s| s.name == name);
        simulate(named.expect("a strategy of that name"), hits_one_in)
    }

    #[test]
    fn blue_green_is_back_sooner_and_hits_as_many_users_as_all_at_once() {
        let (at_once, switched) = (harm("all at once", 1), harm("blue-green", 1));
        assert!(switched.seconds < at_once.seconds);
        assert_eq!((switched.users, at_once.users), (6_000, 6_000));
        assert!(3 * switched.errors < at_once.errors);
    }

    #[test]
    fn one_percent_of_the_requests_meets_more_than_one_percent_of_the_users() {
        let by_request = harm("canary, by request", 1);
        let by_user = harm("flag, by user", 1);
        assert_eq!(by_user.users, 60); // and not one more, however long it takes
        assert!(by_request.users > 60, "{by_request:?}");
        assert!(by_request.errors.abs_diff(by_user.errors) < 30);
    }

    #[test]
    fn a_small_step_spares_nearly_all_users_a_bug_that_hits_everybody() {
        for name in ["canary, by request", "flag, by user"] {
            assert!(harm(name, 1).users < 100);
        }
        assert!(harm("rolling, ten by ten", 1).users > 1_500);
    }

    #[test]
    fn a_rare_bug_gets_through_the_first_step() {
        for name in ["canary, by request", "flag, by user"] {
            assert!(harm(name, 50).seconds > Some(CAREFUL[1].0), "{name}");
        }
    }

    #[test]
    fn the_release_is_taken_back_a_minute_after_the_twentieth_error() {
        let (mut errors, mut now) = (0, 0);
        loop {
            let users = (now..USERS).step_by(60);
            errors += users.filter(|user| rank(*user) < CAREFUL[0].1).count();
            if errors >= 20 {
                break;
            }
            now += 1;
        }
        let back = harm("flag, by user", 1).seconds;
        assert_eq!(back, Some(now + 60 + 5)); // and the switch takes 5 seconds
    }

    #[test]
    fn with_a_flag_no_more_users_are_hit_than_the_step_holds() {
        let flag = STRATEGIES.iter().find(|s| s.name == "flag, by user");
        let flag = flag.expect("a flag");
        for one_in in 1..60 {
            let harm = simulate(flag, one_in);
            let step = CAREFUL.iter().rfind(|s| Some(s.0) <= harm.seconds);
            let share = step.expect("a step").1;
            assert!(harm.users as f64 <= share * USERS as f64, "{harm:?}");
        }
    }
}
