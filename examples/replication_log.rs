//! One primary, two replicas, one log: when may the client hear "ok"?
//!
//! The primary numbers every change and sends it to the replicas. The rule says
//! how many replicas must have stored (or applied) a record before the client is
//! answered. Look at the transcript first: the replica that was away asks for
//! everything after the last number it has. Then at the table: no rule is both
//! safe and never stuck.
//!
//! Simplified: links keep the order and lose only what is sent to a replica that
//! is away; storing takes no time; the database is one number, x; nobody dies
//! (`replication_failover` kills the primary).

use std::collections::{BTreeMap, VecDeque};

const REPLICAS: [Node; 2] = [Node::R1, Node::R2];
const ONE_WAY_MS: [u64; 2] = [2, 40]; // the same city; another continent
const APPLY_MS: u64 = 5; // from the log into what queries read
const WATCH_MS: u64 = 12_000; // no answer by then counts as "never"

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Node {
    R1,
    R2,
    Primary,
    Client,
}

/// Log sequence number: a record's place in the log, counted from 1.
type Lsn = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    Write { x: u32 },
    Append { lsn: Lsn, x: u32 },
    Stored(Lsn),  // my log has everything up to here
    Applied(Lsn), // my queries see everything up to here
    SendAfter(Lsn),
    Ok(Lsn),
}
use Message::{Append, Applied, Ok, SendAfter, Stored, Write};

// ANCHOR: rule
#[derive(Clone, Copy)]
enum Stage {
    IsStored,
    IsApplied,
}

/// The client hears "ok" when `replicas` of them have reached `stage`.
#[derive(Clone, Copy)]
struct Rule {
    replicas: usize, // 0 is asynchronous
    stage: Stage,
    patience_ms: u64, // when it runs out, "ok" is sent all the same
}
// ANCHOR_END: rule

struct Primary {
    rule: Rule,
    log: Vec<u32>,
    stored: [Lsn; 2], // what each replica has reported
    applied: [Lsn; 2],
    waiting: VecDeque<(Lsn, u64)>, // not yet answered, and since when
}

impl Primary {
    fn new(rule: Rule) -> Self {
        Primary {
            rule,
            log: Vec::new(),
            stored: [0; 2],
            applied: [0; 2],
            waiting: VecDeque::new(),
        }
    }
}

// ANCHOR: primary
impl Primary {
    fn step(&mut self, now_ms: u64, from: Node, m: Message) -> Vec<(Node, Message)> {
        match m {
            Write { x } => {
                self.log.push(x);
                let lsn = self.log.len();
                self.waiting.push_back((lsn, now_ms));
                return REPLICAS.map(|r| (r, Append { lsn, x })).to_vec();
            }
            SendAfter(lsn) => {
                self.stored[from as usize] = lsn; // it says so itself
                let append = |(i, x): (usize, &u32)| Append { lsn: i + 1, x: *x };
                let missing = self.log.iter().enumerate().skip(lsn);
                return missing.map(|record| (from, append(record))).collect();
            }
            Stored(lsn) => self.stored[from as usize] = lsn,
            Applied(lsn) => self.applied[from as usize] = lsn,
            _ => {}
        }
        Vec::new()
    }

    /// Answers every write that the rule lets go, in the order of the log.
    fn tick(&mut self, now_ms: u64) -> Vec<(Node, Message)> {
        let mut reached = match self.rule.stage {
            Stage::IsStored => self.stored,
            Stage::IsApplied => self.applied,
        };
        reached.sort_unstable_by(|a, b| b.cmp(a)); // the furthest first
        let safe = match self.rule.replicas {
            0 => self.log.len(),
            k => reached[k - 1], // k replicas are here or further
        };
        let mut answers = Vec::new();
        while let Some(&(lsn, since_ms)) = self.waiting.front() {
            if lsn > safe && now_ms - since_ms < self.rule.patience_ms {
                break;
            }
            self.waiting.pop_front();
            answers.push((Node::Client, Ok(lsn)));
        }
        answers
    }
}
// ANCHOR_END: primary

// ANCHOR: replica
#[derive(Default)]
struct Replica {
    log: Vec<u32>,
    applied: Lsn,
    x: u32, // what queries read
    busy_until_ms: u64,
}

impl Replica {
    fn step(&mut self, now_ms: u64, m: Message) -> Option<Message> {
        match m {
            Append { lsn, x } if lsn == self.log.len() + 1 => {
                if self.applied == self.log.len() {
                    self.busy_until_ms = now_ms + APPLY_MS; // it was idle
                }
                self.log.push(x);
                Some(Stored(lsn))
            }
            _ => None, // a gap or a repetition: only the next record counts
        }
    }

    /// Applies the records one after another.
    fn tick(&mut self, now_ms: u64) -> Option<Message> {
        if self.applied == self.log.len() || now_ms < self.busy_until_ms {
            return None;
        }
        self.x = self.log[self.applied];
        self.applied += 1;
        self.busy_until_ms = now_ms + APPLY_MS;
        Some(Applied(self.applied))
    }
}
// ANCHOR_END: replica

/// The nodes, and what is on the way between them.
struct World {
    now_ms: u64,
    primary: Primary,
    replicas: [Replica; 2],
    one_way_ms: [u64; 2],
    back_ms: [u64; 2], // replica i is away until then
    outbox: Vec<(Node, Node, Message)>,
    network: BTreeMap<(u64, u64), (Node, Node, Message)>, // by arrival, then sending
    sent: u64,
    answered: Vec<(Lsn, u64)>, // what the client was told, and when
}

impl World {
    fn new(rule: Rule, back_ms: [u64; 2]) -> Self {
        World {
            now_ms: 0,
            primary: Primary::new(rule),
            replicas: Default::default(),
            one_way_ms: ONE_WAY_MS,
            back_ms,
            outbox: Vec::new(),
            network: BTreeMap::new(),
            sent: 0,
            answered: Vec::new(),
        }
    }

    fn write(&mut self, x: u32) {
        self.outbox.push((Node::Client, Node::Primary, Write { x }));
    }

    /// All that happens in this millisecond; then it is the next.
    fn tick(&mut self, print: bool) {
        for r in REPLICAS {
            let (i, replica) = (r as usize, &mut self.replicas[r as usize]);
            if self.now_ms == self.back_ms[i] && self.now_ms > 0 {
                if replica.applied > 0 {
                    let again = Applied(replica.applied); // it may have got lost
                    self.outbox.push((r, Node::Primary, again));
                }
                let have = SendAfter(replica.log.len());
                self.outbox.push((r, Node::Primary, have));
            }
            let applied = replica.tick(self.now_ms);
            self.outbox.extend(applied.map(|m| (r, Node::Primary, m)));
        }
        loop {
            let answers = self.primary.tick(self.now_ms).into_iter();
            let answers = answers.map(|(to, m)| (Node::Primary, to, m));
            self.outbox.extend(answers);
            self.post(print);
            let next = self.network.first_entry();
            let Some(next) = next.filter(|e| e.key().0 <= self.now_ms) else {
                break;
            };
            let (from, to, m) = next.remove();
            self.deliver(from, to, m);
        }
        self.now_ms += 1;
    }

    /// Puts on the wire what is to be sent, or loses it.
    fn post(&mut self, print: bool) {
        for (from, to, m) in self.outbox.drain(..) {
            let replica = REPLICAS.into_iter().find(|r| *r == from || *r == to);
            let i = replica.map(|r| r as usize);
            if i.is_some_and(|i| self.now_ms < self.back_ms[i]) {
                continue; // sent to a replica that is away, or by it
            }
            if print {
                let [from, to] = [from, to].map(|node| format!("{node:?}"));
                println!("{:>4} ms  {from:>7} -> {to:<7}  {m:?}", self.now_ms);
            }
            self.sent += 1;
            let arrival_ms = self.now_ms + i.map_or(0, |i| self.one_way_ms[i]);
            self.network.insert((arrival_ms, self.sent), (from, to, m));
        }
    }

    fn deliver(&mut self, from: Node, to: Node, m: Message) {
        let out = match (to, m) {
            (Node::Primary, m) => self.primary.step(self.now_ms, from, m),
            (Node::Client, Ok(lsn)) => {
                self.answered.push((lsn, self.now_ms));
                Vec::new()
            }
            (Node::Client, _) => Vec::new(),
            (r, m) => {
                let reply = self.replicas[r as usize].step(self.now_ms, m);
                reply.map(|m| (Node::Primary, m)).into_iter().collect()
            }
        };
        let out = out.into_iter().map(|(next, m)| (to, next, m));
        self.outbox.extend(out);
    }
}

/// One write at 0 ms; replica i is away until `back_ms[i]`.
fn simulate(rule: Rule, back_ms: [u64; 2], print: bool) -> Option<u64> {
    let mut world = World::new(rule, back_ms);
    world.write(7);
    for _ in 0..WATCH_MS {
        world.tick(print);
    }
    world.answered.last().map(|(_, ms)| *ms)
}

const NEVER_MS: u64 = u64::MAX;
const AWAY_UNTIL_MS: [[u64; 2]; 3] = [[0; 2], [0, NEVER_MS], [NEVER_MS; 2]];
const RULES: [(&str, usize, Stage, u64); 6] = [
    ("0 (async)", 0, Stage::IsStored, NEVER_MS),
    ("1 stored", 1, Stage::IsStored, NEVER_MS),
    ("1 stored, or 10 s", 1, Stage::IsStored, 10_000),
    ("1 applied", 1, Stage::IsApplied, NEVER_MS),
    ("2 stored", 2, Stage::IsStored, NEVER_MS),
    ("2 applied", 2, Stage::IsApplied, NEVER_MS),
];

fn rule(row: usize) -> Rule {
    let (_, replicas, stage, patience_ms) = RULES[row];
    Rule {
        replicas,
        stage,
        patience_ms,
    }
}

/// Milliseconds until the answer with both up, R2 away, both away.
fn answers_ms(row: usize) -> [Option<u64>; 3] {
    AWAY_UNTIL_MS.map(|back_ms| simulate(rule(row), back_ms, false))
}

fn main() {
    println!("rule: ok when 1 replica has stored it; R2 is away until 50 ms\n");
    simulate(rule(1), [0, 50], true);
    println!("\nms until ok       both up   R2 away   both away");
    for (row, (name, ..)) in RULES.iter().enumerate() {
        let shown = |ms: Option<u64>| ms.map_or("never".into(), |ms| ms.to_string());
        let [up, one, none] = answers_ms(row).map(shown);
        println!("{name:<17} {up:>7} {one:>9} {none:>11}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn async_never_waits_and_all_waits_for_the_slowest_round_trip() {
        assert_eq!(answers_ms(0), [Some(0); 3]);
        assert_eq!(answers_ms(4)[0], Some(2 * ONE_WAY_MS[1]));
    }

    #[test]
    fn one_dead_replica_stops_every_write_if_all_must_confirm() {
        assert_eq!(answers_ms(4)[1], None);
        assert_eq!(answers_ms(1)[1], Some(2 * ONE_WAY_MS[0]));
    }

    #[test]
    fn a_timeout_answers_although_no_replica_has_the_record() {
        assert_eq!(answers_ms(1)[2], None);
        assert_eq!(answers_ms(2)[2], Some(10_000));
    }

    #[test]
    fn waiting_for_applied_costs_the_apply_time_on_top() {
        for (stored, applied) in [(1, 3), (4, 5)] {
            let on_top = answers_ms(stored)[0].map(|ms| ms + APPLY_MS);
            assert_eq!(answers_ms(applied)[0], on_top);
        }
    }

    #[test]
    fn a_replica_takes_only_the_next_record() {
        let mut replica = Replica::default();
        assert_eq!(replica.step(0, Append { lsn: 2, x: 8 }), None);
        assert_eq!(replica.step(0, Append { lsn: 1, x: 7 }), Some(Stored(1)));
        assert_eq!(replica.step(0, Append { lsn: 1, x: 7 }), None);
        assert_eq!(replica.log, [7]);
    }

    #[test]
    fn a_report_that_got_lost_is_made_good_when_the_replica_is_back() {
        for row in [4, 5] {
            let mut world = World::new(rule(row), [0; 2]);
            world.write(7);
            for now_ms in 0..200 {
                match now_ms {
                    20 => world.back_ms[1] = NEVER_MS, // the record still arrives
                    100 => world.back_ms[1] = 101,
                    _ => {}
                }
                world.tick(false);
            }
            assert_eq!(world.answered, [(1, 101 + ONE_WAY_MS[1])], "row {row}");
        }
    }

    #[test]
    fn a_replica_that_was_away_catches_up_and_its_queries_see_the_last_write() {
        let (mut primary, mut replica) = (Primary::new(rule(0)), Replica::default());
        replica.step(0, Append { lsn: 1, x: 7 }); // then it is away
        for x in [7, 8, 9] {
            primary.step(0, Node::Client, Write { x });
        }
        for (_, append) in primary.step(50, Node::R2, SendAfter(1)) {
            assert!(replica.step(50, append).is_some(), "{append:?}");
        }
        for now_ms in 50..=50 + 3 * APPLY_MS {
            replica.tick(now_ms);
        }
        assert_eq!((&replica.log, replica.x), (&primary.log, 9));
    }
}
