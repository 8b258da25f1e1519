//! One request's retries as a state machine: send, wait, send again, or give up.
//!
//! Look at the reasons for giving up. Only one of them is "too many attempts": a
//! request may not be safe to repeat, time may be up, or the budget may be spent,
//! which all requests of a client share. Then the waits that six rules choose.
//!
//! The rules with jitter are those of M. Brooker's article of 2015 and of its
//! simulator, which starts with twice the base.
//! Simplified: an attempt takes no time except where the story says so.

use fastrand::Rng;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Millis(u64);

const BASE: Millis = Millis(100);
const CAP: Millis = Millis(10_000);
const ATTEMPTS_MAX: u32 = 4;

// ANCHOR: rules
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    AtOnce,
    Fixed,
    Exponential,
    EqualJitter,
    FullJitter,
    Decorrelated,
}

impl Rule {
    /// How long to wait after the `failed`-th attempt; `last` was the wait before.
    fn wait(self, failed: u32, last: Millis, rng: &mut Rng) -> Millis {
        let doubled = BASE.0.saturating_mul(1 << failed.min(32).saturating_sub(1));
        let limit = doubled.min(CAP.0);
        Millis(match self {
            Rule::AtOnce => 0,
            Rule::Fixed => BASE.0,
            Rule::Exponential => limit,
            Rule::EqualJitter => limit / 2 + rng.u64(0..=limit / 2),
            Rule::FullJitter => rng.u64(0..=limit),
            Rule::Decorrelated => {
                let thrice = (last.0 * 3).max(BASE.0);
                rng.u64(BASE.0..=thrice).min(CAP.0)
            }
        })
    }
}
// ANCHOR_END: rules

// ANCHOR: budget
/// Tenths of a token. A new request brings one tenth, a retry takes a whole token:
/// in the long run there is one retry for ten requests.
#[derive(Debug)]
struct Budget(u32);

const TOKEN: u32 = 10;
const BUDGET_MAX: u32 = 7 * TOKEN;

impl Budget {
    fn request(&mut self) {
        self.0 = (self.0 + 1).min(BUDGET_MAX);
    }

    fn take(&mut self) -> bool {
        let enough = self.0 >= TOKEN;
        self.0 -= if enough { TOKEN } else { 0 };
        enough
    }
}
// ANCHOR_END: budget

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Done,
    NeverRight,
    MayBeDone,
    Attempts,
    Deadline,
    Budget,
}

// ANCHOR: retry
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Ok,
    Refused, // not begun: "503", or nobody listens
    Silence, // perhaps done, perhaps not
    Invalid, // it will never be right
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    SendAt(Millis),
    Stop(Why),
}

struct Retry {
    rule: Rule,
    idempotent: bool,
    deadline: Millis,
    sent: u32, // attempts so far
    last: Millis,
}

impl Retry {
    fn step(
        &mut self,
        now: Millis,
        answer: Answer,
        budget: &mut Budget,
        rng: &mut Rng,
    ) -> Next {
        match answer {
            Answer::Ok => return Next::Stop(Why::Done),
            Answer::Invalid => return Next::Stop(Why::NeverRight),
            Answer::Silence if !self.idempotent => {
                return Next::Stop(Why::MayBeDone);
            }
            Answer::Silence | Answer::Refused => {}
        }
        if self.sent == ATTEMPTS_MAX {
            return Next::Stop(Why::Attempts);
        }
        self.last = self.rule.wait(self.sent, self.last, rng);
        let at = Millis(now.0 + self.last.0);
        if at >= self.deadline {
            return Next::Stop(Why::Deadline); // nobody will wait for the answer
        }
        if !budget.take() {
            return Next::Stop(Why::Budget);
        }
        self.sent += 1;
        Next::SendAt(at)
    }
}
// ANCHOR_END: retry

struct Case {
    name: &'static str,
    idempotent: bool,
    deadline: Millis,
    answers: &'static [(u64, Answer)], // after how many ms, and what
}

use Answer::{Invalid, Ok, Refused, Silence};

const CASES: [Case; 7] = [
    Case {
        name: "GET price",
        idempotent: true,
        deadline: Millis(3_000),
        answers: &[(1, Refused), (500, Silence), (20, Ok)],
    },
    Case {
        name: "GET pryce",
        idempotent: true,
        deadline: Millis(3_000),
        answers: &[(20, Invalid)],
    },
    Case {
        name: "POST pay",
        idempotent: false,
        deadline: Millis(3_000),
        answers: &[(1, Refused), (500, Silence)],
    },
    Case {
        name: "POST pay, with a key",
        idempotent: true,
        deadline: Millis(3_000),
        answers: &[(500, Silence), (20, Ok)],
    },
    Case {
        name: "GET stock, 500 ms left",
        idempotent: true,
        deadline: Millis(500),
        answers: &[(500, Silence)],
    },
    Case {
        name: "GET stock",
        idempotent: true,
        deadline: Millis(3_000),
        answers: &[(1, Refused); 4],
    },
    Case {
        name: "GET stock again",
        idempotent: true,
        deadline: Millis(3_000),
        answers: &[(1, Refused)],
    },
];

/// The cases in turn, by one client with one budget: what happened, and the
/// tenths of a token that are left.
fn transcript() -> Vec<(String, Why, u32)> {
    let mut rng = Rng::with_seed(4);
    let mut budget = Budget(BUDGET_MAX);
    let run = |case: &Case| {
        budget.request();
        let (mut now, mut line) = (Millis(0), String::new());
        let mut retry = Retry {
            rule: Rule::FullJitter,
            idempotent: case.idempotent,
            deadline: case.deadline,
            sent: 1,
            last: BASE,
        };
        for (takes, answer) in case.answers {
            now.0 += takes;
            if !line.contains(&format!("{answer:?}")) {
                line += &format!("{answer:?} ");
            }
            match retry.step(now, *answer, &mut budget, &mut rng) {
                Next::SendAt(at) => {
                    line += &format!("+{} ", at.0 - now.0);
                    now = at;
                }
                Next::Stop(why) => return (line, why, budget.0),
            }
        }
        unreachable!("each case ends with a reason to stop")
    };
    CASES.iter().map(run).collect()
}

fn main() {
    println!("                       what came, + ms waited      ends as    tokens");
    for (case, (line, why, tenths)) in CASES.iter().zip(transcript()) {
        let tokens = f64::from(tenths) / 10.0;
        let why = format!("{why:?}");
        println!("{:<22} {line:<27} {why:<11}{tokens:>4.1}", case.name);
    }
    println!("\nms to wait after failure       1     2     3     4     5     6");
    for (name, rule) in RULES {
        let (mut rng, mut last) = (Rng::with_seed(9), BASE);
        print!("{name:<26}");
        for failed in 1..=6 {
            last = rule.wait(failed, last, &mut rng);
            print!(" {:>5}", last.0);
        }
        println!();
    }
}

const RULES: [(&str, Rule); 6] = [
    ("at once", Rule::AtOnce),
    ("fixed", Rule::Fixed),
    ("exponential", Rule::Exponential),
    ("… with equal jitter", Rule::EqualJitter),
    ("… with full jitter", Rule::FullJitter),
    ("… with decorrelated jitter", Rule::Decorrelated),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_case_stops_for_its_own_reason() {
        let whys: Vec<Why> = transcript().into_iter().map(|case| case.1).collect();
        let expected = [
            Why::Done,
            Why::NeverRight,
            Why::MayBeDone,
            Why::Done,
            Why::Deadline,
            Why::Attempts,
            Why::Budget,
        ];
        assert_eq!(whys, expected);
    }

    #[test]
    fn every_jitter_stays_within_its_published_bounds() {
        let mut rng = Rng::with_seed(2);
        for _ in 0..20_000 {
            let (failed, last) = (rng.u32(1..20), Millis(rng.u64(100..10_000)));
            let full = (100u64 << (failed - 1)).min(10_000);
            let exponential = Rule::Exponential.wait(failed, last, &mut rng).0;
            assert_eq!(exponential, full);
            let equal = Rule::EqualJitter.wait(failed, last, &mut rng).0;
            assert!((full / 2..=full).contains(&equal));
            assert!(Rule::FullJitter.wait(failed, last, &mut rng).0 <= full);
            let decorrelated = Rule::Decorrelated.wait(failed, last, &mut rng).0;
            assert!((100..=(3 * last.0).min(10_000)).contains(&decorrelated));
        }
    }

    #[test]
    fn every_jitter_uses_its_whole_range() {
        let mut rng = Rng::with_seed(5);
        for (rule, low, high) in [
            (Rule::EqualJitter, 200, 400),
            (Rule::FullJitter, 0, 400),
            (Rule::Decorrelated, 100, 600),
        ] {
            let waits: Vec<u64> = (0..5_000)
                .map(|_| rule.wait(3, Millis(200), &mut rng).0)
                .collect();
            assert_eq!(waits.iter().min(), Some(&low), "{rule:?}");
            assert_eq!(waits.iter().max(), Some(&high), "{rule:?}");
        }
    }

    #[test]
    fn no_retry_goes_out_at_its_deadline_or_later() {
        let mut rng = Rng::with_seed(6);
        for (deadline, next) in [
            (99, Next::Stop(Why::Deadline)),
            (100, Next::Stop(Why::Deadline)),
            (101, Next::SendAt(Millis(100))),
        ] {
            let mut budget = Budget(BUDGET_MAX);
            let mut retry = Retry {
                rule: Rule::Fixed,
                idempotent: true,
                deadline: Millis(deadline),
                sent: 1,
                last: BASE,
            };
            let said = retry.step(Millis(0), Refused, &mut budget, &mut rng);
            assert_eq!(said, next);
            let sends = matches!(next, Next::SendAt(_));
            assert_eq!(budget.0 < BUDGET_MAX, sends, "who stops pays nothing");
        }
    }

    #[test]
    fn a_quiet_client_saves_no_more_than_seven_retries() {
        let mut budget = Budget(0);
        for _request in 0..10_000 {
            budget.request();
        }
        assert_eq!((0..100).filter(|_| budget.take()).count(), 7);
    }

    #[test]
    fn a_request_that_may_be_done_is_never_sent_again_unless_idempotent() {
        let mut rng = Rng::with_seed(3);
        for _ in 0..2_000 {
            let mut budget = Budget(BUDGET_MAX);
            let mut retry = Retry {
                rule: Rule::FullJitter,
                idempotent: rng.bool(),
                deadline: Millis(1_000_000),
                sent: 1,
                last: BASE,
            };
            let mut silent = false;
            while let Some(&answer) = [Ok, Refused, Silence].get(rng.usize(..3)) {
                silent |= answer == Silence;
                let next = retry.step(Millis(0), answer, &mut budget, &mut rng);
                if let Next::Stop(_) = next {
                    break;
                }
                assert!(retry.idempotent || !silent);
            }
            assert!(retry.sent <= ATTEMPTS_MAX);
        }
    }

    #[test]
    fn the_budget_allows_one_retry_for_ten_requests_plus_what_was_saved() {
        let mut budget = Budget(BUDGET_MAX);
        let mut retries = 0;
        for _request in 0..1_000 {
            budget.request();
            retries += u32::from(budget.take());
        }
        assert!(
            (1_000 / 10..=1_000 / 10 + 7).contains(&retries),
            "{retries}"
        );
    }
}
