//! One register on three nodes, and a network that delays, loses and cuts.
//!
//! One state machine, two registers. The difference is how many nodes must have
//! answered before the client gets its answer: two of three is the CP register
//! (Attiya, Bar-Noy and Dolev 1995), one of three the AP register. Follow n3,
//! which is cut off. In the first transcript it refuses. In the second it
//! answers at once, and after the cut a write is gone.
//!
//! Simplified: nodes do not crash and take no time, each serves one request at
//! a time, and a cut isolates one node (of three, no cut can do otherwise).

use fastrand::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::{fmt, mem};

const NODES: usize = 3;
const RETRY_TICKS: u64 = 10; // send again, if there are not enough answers yet
const TIMEOUT_TICKS: u64 = 20; // then refuse: the limit on every wait
const GOSSIP_TICKS: u64 = 15; // AP nodes tell each other what they hold

#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct NodeId(usize);

// ANCHOR: types
/// A value and its place in the order of writes. The derived order compares
/// the counter first, then the writer, so no two writes have the same place.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    counter: u64,
    writer: NodeId,
    value: u64,
}

/// What a node does before it answers its client.
#[derive(Clone, Copy, Default)]
struct Rule {
    quorum: usize,    // how many nodes must have answered, itself included
    write_back: bool, // must a quorum hold what a read is about to return?
}
const CP: Rule = Rule {
    quorum: NODES / 2 + 1,
    write_back: true,
};
const AP: Rule = Rule {
    quorum: 1,
    write_back: false,
};

/// The number is that of the phase: answers to an earlier one do not count.
#[derive(Clone, Copy, Debug)]
enum Message {
    Ask(u64),
    Tell(u64, Version),
    Store(u64, Version),
    Stored(u64),
    Gossip(Version), // AP only; nobody answers it
}
// ANCHOR_END: types

#[derive(Clone, Copy, Debug)]
enum Call {
    Write(u64),
    Read,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Wrote,
    Value(u64),
    Refused, // a read has no value; a write may or may not happen
}

#[derive(Default)]
struct Node {
    id: NodeId,
    rule: Rule,
    now: u64,
    stored: Version,
    call: Option<Call>, // the request it is working on, and for this request:
    since: u64,
    phase: u64,
    asking: bool,            // first phase, not yet second
    best: Version,           // the newest it has heard of; then what it stores
    heard: BTreeSet<NodeId>, // who has answered in this phase
    outbox: Vec<(NodeId, Message)>,
    answer: Option<Answer>,
}

impl Node {
    /// A client's request. First phase: what is the newest version?
    fn call(&mut self, call: Call) {
        (self.call, self.since) = (Some(call), self.now);
        (self.asking, self.best) = (true, self.stored);
        self.begin_phase();
    }

    /// Second phase: a quorum must hold this version.
    fn store(&mut self, version: Version) {
        self.stored = self.stored.max(version);
        (self.asking, self.best) = (false, version);
        self.begin_phase();
    }

    fn begin_phase(&mut self) {
        self.phase += 1;
        self.heard.clear();
        if self.rule.quorum > 1 || !self.asking {
            self.send_phase();
        }
        self.heard_from(self.id);
    }

    // ANCHOR: quorum
    /// Counts an answer. With enough of them: the second phase, or the client.
    fn heard_from(&mut self, node: NodeId) {
        self.heard.insert(node);
        if self.heard.len() < self.rule.quorum {
            return;
        }
        match self.call {
            Some(Call::Write(value)) if self.asking => self.store(Version {
                counter: self.best.counter + 1,
                writer: self.id,
                value,
            }),
            Some(Call::Read) if self.asking && self.rule.write_back => {
                self.store(self.best)
            }
            Some(Call::Read) => self.reply(Answer::Value(self.best.value)),
            Some(Call::Write(_)) => self.reply(Answer::Wrote),
            None => {} // more answers than it needed
        }
    }
    // ANCHOR_END: quorum

    // ANCHOR: message
    fn step(&mut self, from: NodeId, message: Message) {
        use Message::*;
        match message {
            Ask(phase) => self.outbox.push((from, Tell(phase, self.stored))),
            Store(phase, version) => {
                self.stored = self.stored.max(version); // the last write wins
                self.outbox.push((from, Stored(phase)));
            }
            Gossip(version) => self.stored = self.stored.max(version),
            Tell(phase, version) if phase == self.phase => {
                self.best = self.best.max(version);
                self.heard_from(from);
            }
            Stored(phase) if phase == self.phase => self.heard_from(from),
            Tell(..) | Stored(_) => {} // of an earlier phase
        }
    }

    /// Time passes: give up, send again, gossip.
    fn tick(&mut self, now: u64) {
        self.now = now;
        let waited_ticks = now - self.since;
        if self.call.is_some() && waited_ticks >= TIMEOUT_TICKS {
            self.reply(Answer::Refused);
        } else if self.call.is_some() && waited_ticks.is_multiple_of(RETRY_TICKS) {
            self.send_phase();
        }
        if self.rule.quorum == 1 && now.is_multiple_of(GOSSIP_TICKS) {
            self.broadcast(Message::Gossip(self.stored));
        }
    }
    // ANCHOR_END: message

    fn send_phase(&mut self) {
        self.broadcast(match self.asking {
            true => Message::Ask(self.phase),
            false => Message::Store(self.phase, self.best),
        });
    }

    fn broadcast(&mut self, message: Message) {
        let others = (0..NODES).map(NodeId).filter(|n| *n != self.id);
        self.outbox.extend(others.map(|to| (to, message)));
    }

    fn reply(&mut self, answer: Answer) {
        self.call = None;
        self.answer = Some(answer);
    }
}

/// What a client saw. All of these are the history.
struct Operation {
    node: NodeId,
    call: Call,
    started: u64,
    ended: Option<(u64, Answer)>,
}

struct World {
    now: u64,
    nodes: [Node; NODES],
    in_flight: BTreeMap<(u64, u64), (NodeId, NodeId, Message)>, // by arrival
    sent: u64,
    cut_off: Option<NodeId>,
    delay_ticks_max: u64,
    loss: f64,
    rng: Rng,
    history: Vec<Operation>,
    transcript: Vec<String>,
}

impl World {
    fn new(rule: Rule, seed: u64) -> World {
        let node = |id| Node {
            id: NodeId(id),
            rule,
            ..Node::default()
        };
        World {
            now: 0,
            nodes: [0, 1, 2].map(node),
            in_flight: BTreeMap::new(),
            sent: 0,
            cut_off: None,
            delay_ticks_max: 1,
            loss: 0.0,
            rng: Rng::with_seed(seed),
            history: Vec::new(),
            transcript: Vec::new(),
        }
    }

    fn call(&mut self, node: NodeId, call: Call) {
        self.note("client", &node.to_string(), &format!("{call:?}"));
        self.history.push(Operation {
            node,
            call,
            started: self.now,
            ended: None,
        });
        self.nodes[node.0].call(call);
        self.collect(node);
    }

    fn run_until(&mut self, tick: u64) {
        while self.now < tick {
            self.tick();
        }
    }

    // ANCHOR: network
    fn tick(&mut self) {
        self.now += 1;
        while let Some(packet) = self.in_flight.first_entry() {
            let (arrival, _) = *packet.key();
            if arrival > self.now {
                break;
            }
            let (from, to, message) = packet.remove();
            self.nodes[to.0].step(from, message);
            self.collect(to);
        }
        for id in (0..NODES).map(NodeId) {
            self.nodes[id.0].tick(self.now);
            self.collect(id);
        }
    }

    /// Puts on the wire what a node wants to send, or loses it.
    fn post(&mut self, from: NodeId) {
        let outbox = mem::take(&mut self.nodes[from.0].outbox);
        let mut receivers = Vec::new();
        for &(to, message) in &outbox {
            let is_cut = [from, to].map(Some).contains(&self.cut_off);
            receivers.push(format!("{to}{}", if is_cut { " (cut)" } else { "" }));
            if !is_cut && self.rng.f64() >= self.loss {
                let arrival = self.now + self.rng.u64(1..=self.delay_ticks_max);
                self.sent += 1; // keeps packets of one arrival apart, in order
                let packet = (from, to, message);
                self.in_flight.insert((arrival, self.sent), packet);
            }
        }
        if let Some((_, message)) = outbox.first() {
            let message = format!("{message:?}");
            self.note(&from.to_string(), &receivers.join(", "), &message);
        }
    }
    // ANCHOR_END: network

    fn collect(&mut self, from: NodeId) {
        self.post(from);
        if let Some(answer) = self.nodes[from.0].answer.take() {
            let last = self.history.iter_mut().rfind(|op| op.node == from);
            let operation = last.expect("a node answers what was called");
            operation.ended = Some((self.now, answer));
            let (call, ticks) = (operation.call, self.now - operation.started);
            let answer = format!("{call:?}: {answer:?}, {ticks} ticks");
            self.note(&from.to_string(), "client", &answer);
        }
    }

    fn note(&mut self, from: &str, to: &str, what: &str) {
        let line = format!("{:>3} {from:>7} -> {to:<18}  {what}", self.now);
        self.transcript.push(line);
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "n{}", self.0 + 1)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (counter, writer, value) = (self.counter, self.writer, self.value);
        write!(f, "x={value} @{counter}.{writer}")
    }
}

const N1: NodeId = NodeId(0);
const N3: NodeId = NodeId(2);

/// n3 is cut off, and both sides are asked to write. A message takes one tick.
fn cut_story(rule: Rule) -> World {
    let mut world = World::new(rule, 0);
    world.cut_off = Some(N3);
    world.run_until(1);
    world.call(N1, Call::Write(7));
    world.run_until(6);
    world.call(N3, Call::Write(8));
    world.run_until(8);
    world
}

/// Reads on both sides, the cut heals, and a read after that.
fn after_the_cut(mut world: World) -> World {
    world.call(N1, Call::Read);
    world.call(N3, Call::Read);
    world.run_until(10);
    world.cut_off = None;
    world.run_until(18);
    world.call(N1, Call::Read);
    world
}

fn main() {
    println!("quorum 2 of 3 (CP); n3 is cut off");
    let mut cp = cut_story(CP);
    cp.run_until(30);
    println!("{}", cp.transcript.join("\n"));

    println!("\nquorum 1 of 3 (AP); n3 is cut off until tick 10");
    let ap = after_the_cut(cut_story(AP));
    println!("{}", ap.transcript.join("\n"));
}

/// Clients at every node, cuts that come and go, delay and loss, all from one
/// seed.
#[cfg(test)]
fn storm(rule: Rule, seed: u64) -> World {
    let mut world = World::new(rule, seed);
    (world.delay_ticks_max, world.loss) = (6, 0.1);
    while world.now < 150 {
        world.tick();
        let node = NodeId(world.rng.u64(..NODES as u64) as usize);
        if world.rng.u8(..40) == 0 {
            world.cut_off = Some(node).filter(|_| world.cut_off.is_none());
        } else if world.rng.u8(..4) == 0 && world.nodes[node.0].call.is_none() {
            let write = Call::Write(world.history.len() as u64 + 1);
            let call = if world.rng.bool() { Call::Read } else { write };
            world.call(node, call);
        }
    }
    world
}

/// What the clients of a storm saw, for the tests of `cap_linearizability`.
#[cfg(test)]
pub fn storm_history(quorum: usize, write_back: bool, seed: u64) -> String {
    history(&storm(Rule { quorum, write_back }, seed))
}

#[cfg(test)]
pub fn ap_story_history() -> String {
    history(&after_the_cut(cut_story(AP)))
}

#[cfg(test)]
fn history(world: &World) -> String {
    let line = |op: &Operation| {
        let Operation { node, started, .. } = op;
        match (op.call, op.ended) {
            (Call::Write(x), Some((end, Answer::Wrote))) => {
                format!("{node} write {x} {started}..{end}\n")
            }
            (Call::Write(x), _) => format!("{node} write {x} {started}..\n"),
            (Call::Read, Some((end, Answer::Value(x)))) => {
                format!("{node} read {x} {started}..{end}\n")
            }
            (Call::Read, _) => String::new(), // no answer and no effect
        }
    };
    world.history.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// n3 is cut off for the whole run; everybody asks, all the time.
    fn cut_run(rule: Rule, loss: f64, seed: u64) -> World {
        let mut world = World::new(rule, seed);
        (world.delay_ticks_max, world.loss) = (4, loss);
        world.cut_off = Some(N3);
        for turn in 0..300 {
            world.tick();
            let node = NodeId(turn as usize % NODES);
            if world.nodes[node.0].call.is_none() {
                let calls = [Call::Write(turn), Call::Read];
                world.call(node, calls[turn as usize % 2]);
            }
        }
        world.run_until(330);
        world
    }

    #[test]
    fn cp_refuses_every_request_at_the_cut_off_node_within_the_timeout() {
        for seed in 0..100 {
            let world = cut_run(CP, 0.2, seed);
            for op in world.history.iter().filter(|op| op.node == N3) {
                let (end, answer) = op.ended.expect("nobody waits for ever");
                assert_eq!(answer, Answer::Refused, "seed {seed}");
                assert_eq!(end - op.started, TIMEOUT_TICKS, "seed {seed}");
            }
        }
    }

    #[test]
    fn cp_serves_the_majority_side_all_through_the_cut() {
        for seed in 0..100 {
            let world = cut_run(CP, 0.0, seed);
            for op in world.history.iter().filter(|op| op.node != N3) {
                let (_, answer) = op.ended.expect("nobody waits for ever");
                assert_ne!(answer, Answer::Refused, "seed {seed}");
            }
        }
    }

    #[test]
    fn ap_answers_everybody_at_once_cut_or_not() {
        for seed in 0..100 {
            for op in cut_run(AP, 0.2, seed).history {
                let (end, answer) = op.ended.expect("nobody waits at all");
                assert_ne!(answer, Answer::Refused, "seed {seed}");
                assert_eq!(end, op.started, "seed {seed}");
            }
        }
    }

    #[test]
    fn ap_nodes_agree_after_the_cut_and_a_confirmed_write_is_gone() {
        let world = after_the_cut(cut_story(AP));
        assert_eq!(world.history[0].ended, Some((1, Answer::Wrote)));
        assert_eq!(world.nodes.map(|node| node.stored.value), [8, 8, 8]);
    }

    #[test]
    fn ap_reads_an_old_value_without_any_cut() {
        let mut world = World::new(AP, 0);
        world.call(N1, Call::Write(7));
        world.call(N3, Call::Read);
        assert_eq!(world.history[1].ended, Some((0, Answer::Value(0))));
    }

    #[test]
    fn cp_waits_for_two_round_trips_ap_for_none() {
        for (rule, ticks) in [(CP, 4), (AP, 0)] {
            for call in [Call::Write(1), Call::Read] {
                let mut world = World::new(rule, 0);
                world.call(N1, call);
                world.run_until(10);
                let (end, _) = world.history[0].ended.expect("nothing is cut");
                assert_eq!(end, ticks);
            }
        }
    }

    #[test]
    fn a_write_that_was_refused_may_be_read_later() {
        let surfaces = |seed: &u64| {
            let history = storm(CP, *seed).history;
            let is_read_after = |start: u64, x: u64| {
                let reads = history.iter().filter(|op| op.started > start);
                let answers = reads.filter_map(|op| op.ended);
                answers
                    .into_iter()
                    .any(|(_, answer)| answer == Answer::Value(x))
            };
            history.iter().any(|op| match (op.call, op.ended) {
                (Call::Write(x), Some((end, Answer::Refused))) => {
                    is_read_after(end, x)
                }
                _ => false,
            })
        };
        assert_eq!((0..100).filter(surfaces).count(), 20);
    }
}
