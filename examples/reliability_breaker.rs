//! A circuit breaker: stop asking a dependency that does not answer.
//!
//! First the state machine by itself, as a transcript. Look at call 3: it went out
//! while the breaker was closed, and its failure arrives when that no longer says
//! anything. Look at the lost probe, too. Then 100 calls a second for a minute, in
//! which the dependency hangs for 20 s: how many were in flight meanwhile (mean),
//! and how many did the breaker refuse in vain, as they would have been answered?
//! Last, one server of three hangs, behind one breaker and behind one each.
//!
//! Simplified: failures in a row, where libraries count a share of the last calls;
//! an answer takes 20 ms, a hanging call is given up after one second.

use fastrand::Rng;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Millis(u64);

impl std::ops::Add for Millis {
    type Output = Millis;
    fn add(self, other: Millis) -> Millis {
        Millis(self.0 + other.0)
    }
}

const FAILURES_MAX: u32 = 3; // in a row
const OPEN: Millis = Millis(2_000);
const PROBE_MAX: Millis = Millis(1_500); // after that a probe counts as lost

// ANCHOR: breaker
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Millis },     // nobody may call
    HalfOpen { until: Millis }, // one probe is out
}

/// Permission for one call. It belongs to an era: each change of state begins one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticket(u32);

struct Breaker {
    state: State,
    era: u32,
}

impl Breaker {
    /// May I call? Without a ticket, fail at once.
    fn ask(&mut self, now: Millis) -> Option<Ticket> {
        match self.state {
            State::Closed { .. } => {}
            State::Open { until } | State::HalfOpen { until } if now < until => {
                return None;
            }
            // Time is up, or the probe has not come back: one may try.
            _ => self.enter(State::HalfOpen {
                until: now + PROBE_MAX,
            }),
        }
        Some(Ticket(self.era))
    }

    fn tell(&mut self, now: Millis, ticket: Ticket, ok: bool) {
        if ticket != Ticket(self.era) {
            return; // it began before the last change, and knows nothing newer
        }
        match (self.state, ok) {
            (State::Closed { .. }, true) => {
                self.state = State::Closed { failures: 0 };
            }
            (State::Closed { failures }, false) if failures + 1 < FAILURES_MAX => {
                self.state = State::Closed {
                    failures: failures + 1,
                };
            }
            (_, true) => self.enter(State::Closed { failures: 0 }),
            (_, false) => self.enter(State::Open { until: now + OPEN }),
        }
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.era += 1;
    }
}
// ANCHOR_END: breaker

impl Default for Breaker {
    fn default() -> Breaker {
        Breaker {
            state: State::Closed { failures: 0 },
            era: 0,
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            State::Closed { failures } => write!(f, "closed, failures {failures}"),
            State::Open { until } => write!(f, "open until {}", until.0),
            State::HalfOpen { .. } => write!(f, "half-open"),
        }
    }
}

/// The story of the transcript: at, call, and how it ended if this is its end.
const STORY: [(u64, usize, Option<bool>); 20] = [
    (0, 1, None),
    (20, 1, Some(true)),
    (100, 2, None),
    (150, 3, None), // slow: its failure comes last
    (200, 4, None),
    (300, 5, None),
    (1_100, 2, Some(false)),
    (1_200, 4, Some(false)),
    (1_300, 5, Some(false)),
    (1_400, 6, None),
    (1_500, 3, Some(false)),
    (3_300, 7, None),
    (3_400, 8, None),
    (4_300, 7, Some(false)),
    (6_300, 9, None), // its answer is lost
    (7_800, 10, None),
    (7_820, 10, Some(true)),
    (7_900, 11, None),
    (7_910, 9, Some(false)),
    (7_920, 11, Some(true)),
];

fn transcript() -> Vec<String> {
    let mut breaker = Breaker::default();
    let mut tickets = [None; 12];
    let line = |(at, call, end): (u64, usize, Option<bool>)| {
        let event = match end {
            Some(ok) => {
                if let Some(ticket) = tickets[call] {
                    breaker.tell(Millis(at), ticket, ok);
                }
                ["has failed", "is answered"][usize::from(ok)]
            }
            None => {
                tickets[call] = breaker.ask(Millis(at));
                match tickets[call] {
                    Some(_) => "goes out",
                    None => "FAILS AT ONCE",
                }
            }
        };
        format!("{at:>5}  call {call:<2} {event:<14} {}", breaker.state)
    };
    STORY.into_iter().map(line).collect()
}

const RUN: Millis = Millis(60_000);
const HANGS: std::ops::Range<u64> = 20_000..40_000;
const ANSWER: Millis = Millis(20);
const TIME_OUT: Millis = Millis(1_000);

#[derive(Debug, Default, PartialEq)]
struct Report {
    answered: u32,
    timed_out: u32,
    failed_fast: u32,
    in_vain: u32,    // refused although the server would have answered
    held_max: usize, // calls in flight at once
    held_sum: usize, // over the calls that came while it hung
}

/// A call every 10 ms, to a random server. Server 0 hangs for a while.
fn run(servers: usize, breakers: usize) -> Report {
    let mut rng = Rng::with_seed(7);
    let mut guards: Vec<Breaker> =
        (0..breakers).map(|_| Breaker::default()).collect();
    let mut report = Report::default();
    // Calls in flight by the time they end: guard, era, and whether it went well.
    let mut held: BinaryHeap<Reverse<(u64, usize, u32, bool)>> = BinaryHeap::new();
    for at in (0..RUN.0).step_by(10) {
        while let Some(&Reverse((end, guard, era, ok))) = held.peek() {
            if end > at {
                break;
            }
            held.pop();
            if let Some(breaker) = guards.get_mut(guard) {
                breaker.tell(Millis(end), Ticket(era), ok);
            }
        }
        let server = rng.usize(..servers);
        let up = server != 0 || !HANGS.contains(&at);
        let guard = if breakers == 1 { 0 } else { server };
        let ticket = match guards.get_mut(guard) {
            Some(breaker) => breaker.ask(Millis(at)),
            None => Some(Ticket(0)), // no breaker at all
        };
        match (ticket, up) {
            (None, up) => {
                report.failed_fast += 1;
                report.in_vain += u32::from(up);
            }
            (Some(_), true) => report.answered += 1,
            (Some(_), false) => report.timed_out += 1,
        }
        if let Some(Ticket(era)) = ticket {
            let takes = if up { ANSWER } else { TIME_OUT };
            held.push(Reverse((at + takes.0, guard, era, up)));
        }
        report.held_max = report.held_max.max(held.len());
        if HANGS.contains(&at) {
            report.held_sum += held.len();
        }
    }
    report
}

fn main() {
    println!("at ms  what happens            the breaker is");
    for line in transcript() {
        println!("{line}");
    }
    println!("\n6000 calls       answered  timed out  at once  in vain  held");
    for (name, servers, breakers) in [
        ("no breaker", 1, 0),
        ("breaker", 1, 1),
        ("1 of 3 hangs", 3, 0),
        ("one breaker", 3, 1),
        ("one each", 3, 3),
    ] {
        let r = run(servers, breakers);
        print!("{name:<16} {:>8} {:>10}", r.answered, r.timed_out);
        let held = r.held_sum / ((HANGS.end - HANGS.start) / 10) as usize;
        println!(" {:>8} {:>8} {held:>5}", r.failed_fast, r.in_vain);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transcript_closed_open_half_open_closed() {
        let all = transcript();
        let has = |at: &str, what: &str| {
            let line = all.iter().find(|line| line.trim_start().starts_with(at));
            assert!(line.is_some_and(|l| l.contains(what)), "{at}: {line:?}");
        };
        has("1300", "open until 3300");
        has("1400", "call 6  FAILS AT ONCE");
        has("1500", "open until 3300"); // call 3 changes nothing
        has("3300", "call 7  goes out       half-open");
        has("3400", "call 8  FAILS AT ONCE");
        has("4300", "open until 6300");
        has("7800", "call 10 goes out       half-open"); // call 9 was lost
        has("7820", "closed, failures 0");
        has("7910", "closed, failures 0"); // the lost probe's late failure
    }

    /// Everything that was asked and told, against rules that look at all of it.
    #[test]
    fn in_any_history_no_call_goes_out_while_open_and_one_probe_while_half_open() {
        let mut rng = Rng::with_seed(1);
        for _history in 0..300 {
            let (mut breaker, mut now) = (Breaker::default(), Millis(0));
            let mut out: Vec<Ticket> = Vec::new();
            let mut in_a_row = 0; // failures told in this era
            let mut probe_since = None;
            for _event in 0..200 {
                now = now + Millis(rng.u64(..600));
                let (before, era) = (breaker.state, breaker.era);
                if rng.bool() || out.is_empty() {
                    let ticket = breaker.ask(now);
                    match before {
                        State::Closed { .. } => assert!(ticket.is_some()),
                        State::Open { until } => {
                            assert_eq!(ticket.is_some(), now >= until);
                        }
                        State::HalfOpen { .. } => {
                            let since: Millis = probe_since.expect("a probe");
                            let lost = now >= since + PROBE_MAX;
                            assert_eq!(ticket.is_some(), lost, "a second probe");
                        }
                    }
                    out.extend(ticket);
                    if matches!(breaker.state, State::HalfOpen { .. })
                        && breaker.era != era
                    {
                        probe_since = Some(now);
                    }
                } else {
                    let ticket = out.swap_remove(rng.usize(..out.len()));
                    let ok = rng.u8(..3) == 0;
                    breaker.tell(now, ticket, ok);
                    if ticket == Ticket(era) {
                        in_a_row = if ok { 0 } else { in_a_row + 1 };
                    } else {
                        assert_eq!(breaker.state, before, "a late answer counts");
                    }
                    if let (State::Closed { .. }, State::Open { until }) =
                        (before, breaker.state)
                    {
                        assert_eq!((in_a_row, until), (FAILURES_MAX, now + OPEN));
                    }
                }
                if breaker.era != era {
                    in_a_row = 0;
                }
                assert!(in_a_row < FAILURES_MAX, "it should be open");
            }
        }
    }

    #[test]
    fn a_breaker_frees_the_callers_and_costs_at_most_one_open_time_of_answers() {
        let (none, one) = (run(1, 0), run(1, 1));
        assert_eq!((none.held_max, none.timed_out), (100, 2_000));
        assert!(one.timed_out < none.timed_out / 10);
        assert!(one.held_sum * 10 < none.held_sum);
        assert!(u64::from(one.in_vain) <= (OPEN.0 + TIME_OUT.0) / 10);
    }

    #[test]
    fn one_breaker_for_three_servers_refuses_what_two_would_have_answered() {
        let (none, one, each) = (run(3, 0), run(3, 1), run(3, 3));
        assert!(one.answered < none.answered);
        assert!(each.in_vain * 10 < one.in_vain);
        assert!(each.timed_out * 10 < none.timed_out);
    }
}
