//! Program: cap_register, cap_linearizability
//!
//! Three nodes hold one register, and the reader is their clients and their network: asks, writes,
//! cuts a node off, heals the cut. Below stands the history that the clients saw, and what the
//! chapter's checker makes of it.

use std::collections::BTreeMap;

use super::super as checker;
use super::{Answer, Call, Message, NodeId, Operation, Rule, World, AP, CP, N1, NODES};
use crate::figure::{About, Action, Control, Figure, Kind, Setup};
use crate::scene::{Scene, Shape, Tone, WIDTH_MAX};

const RULE_NAMES: [&str; 3] = [
    "2 of 3, reads write back (CP)",
    "2 of 3, no write-back",
    "1 of 3 (AP)",
];
/// Whatever ten operations are, the checker's memo stays below its limit: there are at most
/// 2^10 sets of them, and in each the value is 0 or one of those written in it.
const OPERATIONS_MAX: usize = 10;
const PARTS: [&str; NODES] = ["n1", "n2", "n3"];

const NODE_WIDTH: f64 = 90.0;
const NODE_HEIGHT: f64 = 28.0;
/// The upper left corner of each node.
const PLACES: [(f64, f64); NODES] = [(0.0, 100.0), (107.0, 2.0), (214.0, 100.0)];
/// The ends of the links n1–n2, n1–n3, n2–n3.
const LINKS: [(usize, usize, [f64; 4]); 3] = [
    (0, 1, [60.0, 100.0, 107.0, 20.0]),
    (0, 2, [90.0, 114.0, 214.0, 114.0]),
    (1, 2, [197.0, 20.0, 244.0, 100.0]),
];
const HISTORY_Y: f64 = 190.0;
const ROW: f64 = 26.0;
const LEFT: f64 = 24.0;

const CUT: usize = 0;
const WRITE: usize = 1;
const READ: usize = 2;

/// The program's world, and what the checker says of it.
pub struct Lab {
    world: World,
    written: u64,
    /// When each message in flight was sent, by its number.
    sent_at: BTreeMap<u64, u64>,
    /// When the last cut was made.
    cut_at: u64,
    /// Two writes confirmed on the two sides of one cut.
    both_sides: Option<[u64; 2]>,
    refused_and_consistent: bool,
    one_is_gone: bool,
    order: Option<Vec<usize>>,
    judged: Vec<checker::Operation>,
    event: String,
}

fn judged(op: &Operation) -> Option<checker::Operation> {
    let answered = op.ended.filter(|(_, answer)| *answer != Answer::Refused);
    let call = match (op.call, answered) {
        (Call::Write(x), _) => checker::Call::Write(x),
        (Call::Read, Some((_, Answer::Value(x)))) => checker::Call::Read(x),
        (Call::Read, _) => return None, // no answer and no effect
    };
    let ended = answered.map(|(end, _)| end);
    Some(checker::Operation {
        client: op.node.to_string(),
        call,
        started: op.started,
        ended,
    })
}

fn shortly(op: &Operation) -> String {
    match (op.call, op.ended) {
        (Call::Write(x), Some((_, Answer::Refused))) => format!("w{x}?"),
        (Call::Write(x), _) => format!("w{x}"),
        (Call::Read, Some((_, Answer::Value(x)))) => format!("r{x}"),
        (Call::Read, Some(_)) => "r?".to_owned(),
        (Call::Read, None) => "r".to_owned(),
    }
}

fn said(call: &checker::Call) -> String {
    match call {
        checker::Call::Write(x) => format!("write {x}"),
        checker::Call::Read(x) => format!("read {x}"),
    }
}

impl Lab {
    fn call(&mut self, node: usize, read: bool) {
        let is_new = self
            .world
            .history
            .iter()
            .all(|op| op.node.0 != node || op.started < self.world.now);
        if self.world.nodes[node].call.is_some() || !is_new {
            return;
        }
        if self.world.history.len() >= OPERATIONS_MAX {
            self.event = "This history is full: restart to make another.".to_owned();
            return;
        }
        self.written += u64::from(!read);
        self.event = match read {
            true => format!("A client reads from {}.", PARTS[node]),
            false => format!("A client writes {} to {}.", self.written, PARTS[node]),
        };
        self.world.call(
            NodeId(node),
            if read {
                Call::Read
            } else {
                Call::Write(self.written)
            },
        );
        self.look();
    }

    fn cut(&mut self, node: usize) {
        self.world.cut_off = match self.world.cut_off {
            Some(cut) if cut.0 == node => None,
            _ => Some(NodeId(node)),
        };
        self.cut_at = self.world.now;
        self.event = match self.world.cut_off {
            None => "The cut is healed.".to_owned(),
            Some(_) => format!("{} is cut off from the two others.", PARTS[node]),
        };
    }

    /// Asks the checker, and sees what has come about.
    fn look(&mut self) {
        let world = &self.world;
        self.sent_at
            .retain(|number, _| world.in_flight.keys().any(|(_, sent)| sent == number));
        for (_, number) in world.in_flight.keys() {
            self.sent_at.entry(*number).or_insert(world.now);
        }
        for op in world
            .history
            .iter()
            .filter(|op| op.ended.is_some_and(|(end, _)| end == world.now))
        {
            let node = PARTS[op.node.0];
            self.event = match (op.call, op.ended) {
                (Call::Write(x), Some((_, Answer::Refused))) => {
                    format!("{node} refuses to write {x}.")
                }
                (_, Some((_, Answer::Refused))) => format!("{node} refuses to read."),
                (Call::Write(x), _) => format!("{node} confirms the write of {x}."),
                (_, Some((_, Answer::Value(x)))) => format!("A read of {node} gives {x}."),
                _ => continue,
            };
        }
        self.judged = world.history.iter().filter_map(judged).collect();
        self.order = checker::linearize(&self.judged);
        let confirmed = |cut: NodeId, inside: bool, answer: Answer| {
            let mut since = world.history.iter().filter(|op| op.started >= self.cut_at);
            since.find_map(|op| match (op.call, op.ended) {
                (Call::Write(x), Some((_, found)))
                    if found == answer && (op.node == cut) == inside =>
                {
                    Some(x)
                }
                _ => None,
            })
        };
        match world.cut_off {
            Some(cut) => {
                let alone = confirmed(cut, true, Answer::Wrote);
                let sides = alone.zip(confirmed(cut, false, Answer::Wrote));
                self.both_sides = sides.map(|(one, other)| [one, other]).or(self.both_sides);
                self.refused_and_consistent |=
                    self.order.is_some() && confirmed(cut, true, Answer::Refused).is_some();
            }
            None => {
                let held = world.nodes.each_ref().map(|node| node.stored.value);
                let same = held.iter().all(|value| *value == held[0]);
                self.one_is_gone |= same
                    && self
                        .both_sides
                        .is_some_and(|sides| sides.contains(&held[0]));
            }
        }
    }

    fn draw_links(&self, scene: &mut Scene) {
        for (one, other, [x1, y1, x2, y2]) in LINKS {
            let is_cut = self
                .world
                .cut_off
                .is_some_and(|cut| [one, other].contains(&cut.0));
            let link = Shape::line(format!("link-{one}-{other}"), x1, y1, x2, y2);
            scene.add(if is_cut {
                link.tone(Tone::Bad).dashed()
            } else {
                link.strong()
            });
        }
    }

    fn draw_messages(&self, scene: &mut Scene) {
        for ((arrival, number), (from, to, message)) in &self.world.in_flight {
            let sent = self.sent_at.get(number).copied().unwrap_or(self.world.now);
            let Some((one, _, ends)) = LINKS
                .iter()
                .find(|(one, other, _)| [(*one, *other), (*other, *one)].contains(&(from.0, to.0)))
            else {
                continue;
            };
            let [mut x1, mut y1, mut x2, mut y2] = *ends;
            // Each direction has its own side of the link.
            let mut aside = 9.0;
            if *one != from.0 {
                (x1, y1, x2, y2) = (x2, y2, x1, y1);
                aside = -9.0;
            }
            let part = (self.world.now - sent) as f64 / arrival.saturating_sub(sent).max(1) as f64;
            let (tone, label) = match message {
                Message::Ask(_) => (Tone::Plain, "?".to_owned()),
                Message::Tell(_, version) => (Tone::C, version.value.to_string()),
                Message::Store(_, version) => (Tone::A, version.value.to_string()),
                Message::Stored(_) => (Tone::Plain, "ok".to_owned()),
                Message::Gossip(version) => (Tone::D, version.value.to_string()),
            };
            let (x, y) = (x1 + (x2 - x1) * part, y1 + (y2 - y1) * part - aside);
            scene.add(
                Shape::circle(format!("m-{number}"), x, y, 9.0)
                    .tone(tone)
                    .label(label)
                    .small(),
            );
        }
    }

    fn draw_nodes(&self, scene: &mut Scene) {
        let full = self.world.history.len() >= OPERATIONS_MAX;
        for (i, node) in self.world.nodes.iter().enumerate() {
            let ((x, y), name) = (PLACES[i], PARTS[i]);
            let is_cut = self.world.cut_off == Some(node.id);
            let does = if is_cut {
                format!("Heal the cut around {name}")
            } else {
                format!("Cut {name} off")
            };
            let tone = if is_cut { Tone::Bad } else { Tone::Plain };
            scene.add(
                Shape::rect(name, x, y, NODE_WIDTH, NODE_HEIGHT)
                    .tone(tone)
                    .label(format!("{name}: x={}", node.stored.value))
                    .strong()
                    .tap(CUT, i as i64, does),
            );
            let below = y + NODE_HEIGHT + 4.0;
            if let Some(call) = node.call {
                let what = match call {
                    Call::Write(x) => format!("write {x}: {}", self.world.now - node.since),
                    Call::Read => format!("read: {}", self.world.now - node.since),
                };
                let busy = Shape::rect(format!("busy-{name}"), x, below, NODE_WIDTH, 26.0);
                scene.add(busy.tone(Tone::B).label(format!("{what} ticks")).small());
                continue;
            }
            for (action, place, label) in [(WRITE, 0.0, "write"), (READ, 48.0, "read")] {
                let key = format!("{label}-{name}");
                let button = Shape::rect(key, x + place, below, 42.0, 26.0)
                    .label(label)
                    .small();
                scene.add(match full {
                    true => button.tone(Tone::Faint),
                    false => button.tap(action, i as i64, format!("{label} at {name}")),
                });
            }
        }
    }

    /// Each operation from its start to its end; moments at which nothing starts or ends take no room.
    fn draw_history(&self, scene: &mut Scene) {
        let history = &self.world.history;
        let mut moments: Vec<u64> = history.iter().map(|op| op.started).collect();
        moments.extend(history.iter().filter_map(|op| op.ended).map(|(end, _)| end));
        moments.sort_unstable();
        moments.dedup();
        let rank = |moment: u64| moments.partition_point(|known| *known < moment) as f64;
        let width = ((WIDTH_MAX - LEFT) / moments.len().max(1) as f64).min(26.0);
        let culprits = match self.order {
            Some(_) => Vec::new(),
            None => checker::culprits(&self.judged),
        };
        for (i, name) in PARTS.iter().enumerate() {
            let y = HISTORY_Y + i as f64 * ROW + 11.0;
            scene.add(
                Shape::words(format!("row-{name}"), 0.0, y, *name)
                    .small()
                    .strong(),
            );
        }
        for (number, op) in history.iter().enumerate() {
            let is_culprit = judged(op).is_some_and(|op| culprits.contains(&op));
            let tone = match op.ended {
                _ if is_culprit => Tone::Bad,
                None => Tone::B,
                Some((_, Answer::Refused)) => Tone::Faint,
                Some((_, Answer::Value(_))) => Tone::C,
                Some((_, Answer::Wrote)) => Tone::A,
            };
            let from = rank(op.started);
            let to = op
                .ended
                .map_or(moments.len() as f64, |(end, _)| rank(end) + 1.0);
            let (x, y) = (LEFT + from * width, HISTORY_Y + op.node.0 as f64 * ROW);
            let bar = Shape::rect(
                format!("op-{number}"),
                x,
                y,
                (to - from) * width - 2.0,
                22.0,
            );
            scene.add(bar.tone(tone).label(shortly(op)).small());
        }
    }

    fn verdict(&self) -> String {
        match &self.order {
            None => {
                let all: Vec<String> = checker::culprits(&self.judged)
                    .iter()
                    .map(|op| said(&op.call))
                    .collect();
                format!("No single order explains: {}.", all.join(", "))
            }
            Some(order) if order.is_empty() => "No client has an answer yet.".to_owned(),
            Some(order) => {
                let all: Vec<String> = order.iter().map(|i| said(&self.judged[*i].call)).collect();
                format!("One copy could have answered so: {}.", all.join(", "))
            }
        }
    }
}

impl Figure for Lab {
    const ABOUT: &'static About = &About {
        title: "One register on three nodes, and a checker",
        controls: &[
            Control {
                key: "rule",
                label: "Answers a node needs",
                kind: Kind::Choice { options: &RULE_NAMES, value: 0 },
            },
            Control {
                key: "delay",
                label: "Delay of a message, at most",
                kind: Kind::Slider { min: 1, max: 8, step: 1, value: 3, unit: "ticks" },
            },
        ],
        actions: &[
            Action { label: "Cut a node off or heal", button: false },
            Action { label: "Write", button: false },
            Action { label: "Read", button: false },
        ],
        goals: &[
            "Make a node that is cut off refuse a write, so that the history stays that of one copy.",
            "Keep the register available: get a write confirmed on both sides of one cut.",
            "Find a read that no single order explains.",
            "Heal the cut, and see a confirmed write gone from all three nodes.",
        ],
        pace_ms: 400,
        still_acts: &[],
        still_steps: 4,
        steps_max: 500,
    };

    fn new(setup: &Setup) -> Self {
        let rule = match setup.number(Self::ABOUT, "rule") {
            0 => CP,
            1 => Rule {
                write_back: false,
                ..CP
            },
            _ => AP,
        };
        let mut world = World::new(rule, setup.seed);
        world.delay_ticks_max = setup.number(Self::ABOUT, "delay") as u64;
        Lab {
            world,
            written: 0,
            sent_at: BTreeMap::new(),
            cut_at: 0,
            both_sides: None,
            refused_and_consistent: false,
            one_is_gone: false,
            order: Some(Vec::new()),
            judged: Vec::new(),
            event: "Nothing has happened yet.".to_owned(),
        }
    }

    fn step(&mut self) -> bool {
        self.world.tick();
        self.look();
        if self.world.now == 1 {
            self.call(N1.0, false); // something to see before the reader does anything
        }
        true
    }

    fn act(&mut self, action: usize, value: i64) {
        let node = (value.unsigned_abs() % NODES as u64) as usize;
        match action {
            CUT => self.cut(node),
            _ => self.call(node, action == READ),
        }
    }

    fn draw(&self, scene: &mut Scene) {
        scene.height(HISTORY_Y + 3.0 * ROW + 24.0);
        self.draw_links(scene);
        self.draw_nodes(scene);
        self.draw_messages(scene);
        let seen = "What the clients saw, in the order of time:";
        scene.add(Shape::words("seen", 0.0, 176.0, seen).small());
        self.draw_history(scene);
        let verdict = match self.order {
            Some(_) => "✓ one copy could have answered so",
            None => "✕ no single order explains what is marked",
        };
        let tone = if self.order.is_some() {
            Tone::Good
        } else {
            Tone::Bad
        };
        let y = HISTORY_Y + 3.0 * ROW + 12.0;
        scene.add(
            Shape::words("verdict", LEFT, y, verdict)
                .tone(tone)
                .small()
                .strong(),
        );
        let [n1, n2, n3] = self.world.nodes.each_ref().map(|node| node.stored.value);
        scene.say(format!(
            "Tick {}. {} n1 holds {n1}, n2 {n2}, n3 {n3}. {}",
            self.world.now,
            self.event,
            self.verdict()
        ));
    }

    fn reached(&self) -> Vec<bool> {
        vec![
            self.refused_and_consistent,
            self.both_sides.is_some(),
            self.order.is_none(),
            self.one_is_gone,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(rule: usize, seed: u64) -> Lab {
        Lab::new(&Setup::new(seed).with("rule", &rule.to_string()))
    }

    fn play(lab: &mut Lab, steps: usize) {
        for _ in 0..steps {
            lab.step();
        }
    }

    /// n3 is cut off, and both sides are asked to write.
    fn cut_and_write(lab: &mut Lab) {
        play(lab, 20);
        lab.act(CUT, 2);
        lab.act(WRITE, 0);
        lab.act(WRITE, 2);
        play(lab, 40);
    }

    #[test]
    fn playing_alone_reaches_no_goal_at_any_rule() {
        for rule in 0..3 {
            let mut lab = start(rule, 1);
            play(&mut lab, 200);
            assert_eq!(lab.reached(), [false; 4]);
        }
    }

    #[test]
    fn a_quorum_refuses_on_the_small_side_and_stays_consistent() {
        let mut lab = start(0, 1);
        cut_and_write(&mut lab);
        assert_eq!(lab.reached(), [true, false, false, false]);
    }

    #[test]
    fn a_node_that_answers_alone_is_available_and_the_checker_and_the_heal_show_the_price() {
        let mut lab = start(2, 1);
        cut_and_write(&mut lab);
        assert_eq!(lab.reached(), [false, true, false, false]);
        lab.act(READ, 0);
        assert!(!lab.reached()[2], "the other write may have come first");
        play(&mut lab, 1);
        lab.act(READ, 2);
        assert!(lab.reached()[2], "{}", lab.verdict());
        lab.act(CUT, 2);
        play(&mut lab, 40);
        assert!(lab.reached()[3]);
    }

    #[test]
    fn with_write_back_no_reader_however_busy_finds_a_read_without_an_order() {
        let mut found = [0; 3];
        for seed in 0..300 {
            let mut rng = fastrand::Rng::with_seed(seed);
            for rule in 0..3 {
                let mut lab = start(rule, seed);
                for _ in 0..120 {
                    match rng.u8(..8) {
                        0 => lab.act(CUT, rng.i64(0..3)),
                        1 => lab.act(WRITE, rng.i64(0..3)),
                        2 | 3 => lab.act(READ, rng.i64(0..3)),
                        _ => play(&mut lab, 1),
                    }
                }
                found[rule] += usize::from(lab.reached()[2]);
            }
        }
        assert_eq!(found[0], 0);
        assert!(found[1] > 0 && found[2] > 100, "{found:?}");
    }

    #[test]
    fn what_is_marked_is_what_the_checker_names() {
        let mut lab = start(2, 1);
        cut_and_write(&mut lab);
        lab.act(READ, 0);
        play(&mut lab, 1);
        lab.act(READ, 2);
        let mut scene = Scene::default();
        lab.draw(&mut scene);
        let marked = scene.svg("").matches("tone-bad").count();
        let links_node_and_verdict = 2 + 1 + 1;
        assert_eq!(
            marked,
            checker::culprits(&lab.judged).len() + links_node_and_verdict
        );
    }
}
