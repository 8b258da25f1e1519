//! What users see when replicas lag, and what each cure costs.
//!
//! Each user posts, then reads the page three times, each time from a replica. Two
//! things can go wrong: the page lacks the post that its own author has made
//! (read-your-writes), or a reload shows an older page than before (monotonic
//! reads). Look at which cure mends which column, and at the price: waiting, or
//! reads that go to the primary.
//! The second table splits the data over two logs: an answer without its question.
//!
//! Simplified: a replica applies the log in order, the lag changes from record to
//! record, no replica dies, and messages between user and server take no time.

use fastrand::Rng;

const REPLICAS: usize = 3;
const WRITES: usize = 15_000; // one every WRITE_EVERY_MS, by one user each
const WRITE_EVERY_MS: u64 = 10;
const READS_AFTER_MS: [u64; 3] = [50, 400, 1_500]; // after the user's own write
const LAG_MEAN_MS: f64 = 20.0; // of one record, most of the time
const STALL_ONE_IN: u32 = 2_500; // records; then a replica stands still for
const STALL_MS: f64 = 2_500.0; // a long query, a big transaction, a backup
const WINDOW_MS: u64 = 1_000; // of the cure "primary for 1 s"
const ANSWER_AFTER_MS: u64 = 100; // in the second table

/// Log sequence number: how many records of the log a state contains.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Lsn(usize);

/// When each record became visible on one replica, in the order of the log.
struct Replica {
    visible_ms: Vec<u64>,
}

impl Replica {
    fn new(records: usize, every_ms: u64, rng: &mut Rng) -> Self {
        let mut last_ms = 0;
        let visible = (1..=records as u64).map(|i| {
            let stalled = rng.u32(..STALL_ONE_IN) == 0;
            let stall_ms = if stalled { STALL_MS } else { 0.0 };
            let lag_ms = stall_ms - LAG_MEAN_MS * (1.0 - rng.f64()).ln();
            last_ms = last_ms.max(i * every_ms + lag_ms as u64);
            last_ms
        });
        Replica {
            visible_ms: visible.collect(),
        }
    }

    fn at(&self, now_ms: u64) -> Lsn {
        Lsn(self.visible_ms.partition_point(|ms| *ms <= now_ms))
    }

    fn reaches_ms(&self, Lsn(records): Lsn) -> u64 {
        records
            .checked_sub(1)
            .map_or(0, |last| self.visible_ms[last])
    }
}

struct Database {
    replicas: [Replica; REPLICAS],
}

impl Database {
    fn new(rng: &mut Rng) -> Self {
        let replica = |_| Replica::new(WRITES, WRITE_EVERY_MS, rng);
        Database {
            replicas: [0; REPLICAS].map(replica),
        }
    }

    fn primary_at(&self, now_ms: u64) -> Lsn {
        Lsn(WRITES.min((now_ms / WRITE_EVERY_MS) as usize))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cure {
    Nothing,          // any replica, each time
    Sticky,           // one replica for each user
    PrimaryForAWhile, // after the user's own write; else any replica
    TokenWait,        // a replica that waits until it has what the user has seen
    TokenElsePrimary, // a replica if it has that already; else the primary
}

struct Read {
    saw: Lsn,
    waited_ms: u64,
    from_primary: bool,
}

// ANCHOR: cures
/// What a user carries from request to request.
struct Session {
    home: usize, // the replica of the sticky cure
    wrote_ms: u64,
    token: Lsn, // the newest state that this user has written or read
}

fn read(cure: Cure, s: &Session, now_ms: u64, db: &Database, rng: &mut Rng) -> Read {
    let any = rng.usize(..REPLICAS);
    let replica = &db.replicas[if cure == Cure::Sticky { s.home } else { any }];
    let behind = replica.at(now_ms) < s.token;
    let from_primary = match cure {
        Cure::PrimaryForAWhile => now_ms - s.wrote_ms < WINDOW_MS,
        Cure::TokenElsePrimary => behind,
        _ => false,
    };
    let read_ms = match cure {
        Cure::TokenWait if behind => replica.reaches_ms(s.token),
        _ => now_ms,
    };
    let saw = match from_primary {
        true => db.primary_at(now_ms),
        false => replica.at(read_ms),
    };
    Read {
        saw,
        waited_ms: read_ms - now_ms,
        from_primary,
    }
}
// ANCHOR_END: cures

#[derive(Default)]
struct Count {
    own_post_missing: usize,
    went_back: usize,
    from_primary: usize,
    waited_ms: u64,
    reads: usize,
}

fn simulate(cure: Cure, seed: u64) -> Count {
    let mut rng = Rng::with_seed(seed);
    let db = Database::new(&mut rng);
    let mut count = Count::default();
    for i in 1..=WRITES {
        let wrote_ms = i as u64 * WRITE_EVERY_MS;
        let mut session = Session {
            home: rng.usize(..REPLICAS),
            wrote_ms,
            token: Lsn(i),
        };
        let mut seen_before = Lsn(0);
        for after_ms in READS_AFTER_MS {
            let r = read(cure, &session, wrote_ms + after_ms, &db, &mut rng);
            count.own_post_missing += usize::from(r.saw < Lsn(i));
            count.went_back += usize::from(r.saw < seen_before);
            count.from_primary += usize::from(r.from_primary);
            count.waited_ms += r.waited_ms;
            count.reads += 1;
            seen_before = seen_before.max(r.saw);
            session.token = session.token.max(r.saw);
        }
    }
    count
}

/// Somebody reads a question and answers it. How many of a thousand answers does
/// a reader of the replicas see while the question is not there yet?
fn answers_first(logs: usize, seed: u64) -> f64 {
    let mut rng = Rng::with_seed(seed);
    let db = Database::new(&mut rng); // one log, or two that do not know each other
    let of_questions = &db.replicas[0].visible_ms;
    let of_answers = &db.replicas[logs - 1].visible_ms;
    let later = (ANSWER_AFTER_MS / WRITE_EVERY_MS) as usize;
    let pairs = of_questions.iter().zip(&of_answers[later..]);
    let n = pairs.len();
    let wrong = pairs.filter(|(question, answer)| answer < question);
    1000.0 * wrong.count() as f64 / n as f64
}

const CURES: [(&str, Cure); 5] = [
    ("nothing", Cure::Nothing),
    ("sticky replica", Cure::Sticky),
    ("primary for 1 s", Cure::PrimaryForAWhile),
    ("token, wait", Cure::TokenWait),
    ("token, else primary", Cure::TokenElsePrimary),
];

fn main() {
    println!("of 100 reads:          own post    went   from    mean ms");
    println!("cure                    missing    back   primary  waited");
    for (name, cure) in CURES {
        let c = simulate(cure, 1);
        let percent = |n: usize| 100.0 * n as f64 / c.reads as f64;
        let (own, back) = (percent(c.own_post_missing), percent(c.went_back));
        let primary = percent(c.from_primary);
        let waited_ms = c.waited_ms as f64 / c.reads as f64;
        println!(
            "{name:<20} {own:>10.2} {back:>7.2} {primary:>9.1} {waited_ms:>7.1}"
        );
    }
    println!("\nof 1000 answers, seen before their question:");
    for (name, logs) in [("both in one log", 1), ("each in its own log", 2)] {
        println!("{name:<20} {:>10.1}", answers_first(logs, 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    const SEEDS: std::ops::Range<u64> = 1..3;

    #[test]
    fn any_replica_breaks_both_promises() {
        for seed in SEEDS {
            let count = simulate(Cure::Nothing, seed);
            assert!(count.own_post_missing > 0 && count.went_back > 0);
        }
    }

    #[test]
    fn a_sticky_replica_never_goes_back_and_still_lacks_your_own_post() {
        for seed in SEEDS {
            let count = simulate(Cure::Sticky, seed);
            assert_eq!(count.went_back, 0, "seed {seed}");
            assert!(count.own_post_missing > 0, "seed {seed}");
        }
    }

    #[test]
    fn a_fixed_time_on_the_primary_is_a_bet_that_a_stall_wins() {
        for seed in SEEDS {
            let count = simulate(Cure::PrimaryForAWhile, seed);
            assert!(count.own_post_missing > 0, "seed {seed}");
        }
    }

    #[test]
    fn a_token_keeps_both_promises_whether_it_waits_or_asks_the_primary() {
        for (seed, cure) in [(1, Cure::TokenWait), (2, Cure::TokenElsePrimary)] {
            let count = simulate(cure, seed);
            assert_eq!((count.own_post_missing, count.went_back), (0, 0));
            assert!(count.waited_ms > 0 || count.from_primary > 0);
        }
    }

    #[test]
    fn one_log_never_shows_an_answer_before_its_question_and_two_do() {
        for seed in SEEDS {
            assert_eq!(answers_first(1, seed), 0.0);
            assert!(answers_first(2, seed) > 0.0);
        }
    }
}
