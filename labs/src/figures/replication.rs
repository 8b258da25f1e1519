//! Program: replication_log
//!
//! A primary and two replicas, one near and one far, a millisecond a step. A column is a write: what
//! the client was told stands in the first row, and below it who has the write. Messages travel in
//! the column of their write.

use fastrand::Rng;

use super::{rule, Message, Node, Primary, World, NEVER_MS, RULES};
use crate::figure::{About, Action, Control, Figure, Kind, Setup};
use crate::scene::{Scene, Shape, Tone, WIDTH_MAX};

/// The rows of the program's table that a reader can choose: all but the one with a patience of 10 s.
const ROWS: [usize; 5] = [0, 1, 3, 4, 5];
const RULE_NAMES: [&str; ROWS.len()] = {
    let mut names = [""; ROWS.len()];
    let mut place = 0;
    while place < ROWS.len() {
        names[place] = RULES[ROWS[place]].0;
        place += 1;
    }
    names
};
const NAMES: [&str; 2] = ["R1", "R2"];
const WRITES_MAX: usize = 60;
/// Columns in the picture: the newest writes.
const COLUMNS: usize = 8;
/// So much longer for the far replica is a wait worth the name.
const LONG_MS: u64 = 10;
const LEFT: f64 = 78.0;
const COLUMN: f64 = 28.0;
const BOX: f64 = 28.0;
const CLIENT_Y: f64 = 2.0;
const PRIMARY_Y: f64 = 110.0;
const REPLICA_Y: [f64; 2] = [44.0, 210.0];

const WRITE: usize = 0;
const READ: [usize; 2] = [1, 2];
const KILL: usize = 3;
const PRESS: usize = 4;

/// What a read of a replica gave.
struct Answer {
    replica: usize,
    x: u32,
    old: bool,
}

/// The program's world, and what befell it.
pub struct Lab {
    world: World,
    rng: Rng,
    next_write_ms: u64,
    written: usize,
    dead: bool,
    promoted: Option<usize>,
    answer: Option<Answer>,
    waited_for_the_far: bool,
    read_an_old_value: bool,
    event: String,
}

fn key(kind: &str, number: usize) -> String {
    format!("{kind}-{number}")
}

impl Lab {
    fn write(&mut self) {
        if !self.dead && self.written < WRITES_MAX {
            self.written += 1;
            self.world.write(self.written as u32);
        }
    }

    fn is_acknowledged(&self, lsn: usize) -> bool {
        self.world
            .answered
            .iter()
            .any(|(answered, _)| *answered == lsn)
    }

    fn away(&self, replica: usize) -> bool {
        self.world.now_ms < self.world.back_ms[replica]
    }

    /// The acknowledged writes that the new primary lacks.
    fn lost(&self) -> Vec<usize> {
        let Some(promoted) = self.promoted else {
            return Vec::new();
        };
        let kept = self.world.replicas[promoted].log.len();
        let writes = kept + 1..=self.written;
        writes.filter(|lsn| self.is_acknowledged(*lsn)).collect()
    }

    fn read(&mut self, replica: usize) {
        let x = self.world.replicas[replica].x;
        let newest = self
            .world
            .answered
            .iter()
            .map(|(lsn, _)| *lsn)
            .max()
            .unwrap_or(0);
        let old = (x as usize) < newest;
        self.read_an_old_value |= old;
        let newer = if old {
            "an old value"
        } else {
            "a value that is not old"
        };
        self.event = format!("A read of {} gives {newer}, {x}.", NAMES[replica]);
        self.answer = Some(Answer { replica, x, old });
    }

    fn kill(&mut self) {
        if !self.dead {
            self.dead = true;
            self.world.network.clear();
            self.world.outbox.clear();
            self.event =
                "The primary is dead, and what was on the wire is gone. Promote a replica."
                    .to_owned();
        }
    }

    fn press(&mut self, replica: usize) {
        let name = NAMES[replica];
        if self.away(replica) {
            self.world.back_ms[replica] = self.world.now_ms;
            self.event = match self.dead {
                true => format!("{name} can be reached again."),
                false => format!("{name} is back and asks for what it lacks."),
            };
        } else if self.dead && self.promoted.is_none() {
            self.promoted = Some(replica);
            let kept = self.world.replicas[replica].log.len();
            let silent = (1..=kept).filter(|lsn| !self.is_acknowledged(*lsn)).count();
            let (lost, mut event) = (self.lost(), format!("{name} is the new primary. "));
            event += if lost.is_empty() {
                "No acknowledged write is lost."
            } else {
                "Acknowledged and lost:"
            };
            for lsn in lost {
                event += &format!(" {lsn}");
            }
            if silent > 0 {
                event += &format!(". Kept, although nobody was told: {silent}.");
            }
            self.event = event;
        } else if !self.dead {
            self.world.back_ms[replica] = NEVER_MS;
            self.event = format!("{name} is away: what is sent to it now is lost.");
        }
    }

    /// The place of a write's column, if it is in the picture.
    fn column(&self, lsn: usize) -> Option<f64> {
        let first = self.written.saturating_sub(COLUMNS);
        let place = lsn
            .checked_sub(first + 1)
            .filter(|place| *place < COLUMNS)?;
        Some(LEFT + place as f64 * COLUMN)
    }

    fn draw_client(&self, scene: &mut Scene) {
        scene.add(Shape::words("client", 0.0, CLIENT_Y + BOX / 2.0, "client").strong());
        let kept = self
            .promoted
            .map(|promoted| self.world.replicas[promoted].log.len());
        for lsn in 1..=self.written {
            let Some(x) = self.column(lsn) else {
                continue;
            };
            let tone = match (self.is_acknowledged(lsn), kept) {
                (true, Some(kept)) if lsn > kept => Tone::Bad,
                (true, _) => Tone::Good,
                (false, Some(kept)) if lsn > kept => Tone::Faint,
                (false, Some(_)) => Tone::B,
                (false, None) => Tone::Plain,
            };
            let cell = Shape::rect(key("c", lsn), x, CLIENT_Y, COLUMN - 4.0, BOX);
            scene.add(cell.tone(tone).label(lsn.to_string()).small());
        }
    }

    fn draw_log(&self, scene: &mut Scene, who: &str, y: f64, log: &[u32], applied: usize) {
        let dead = self.dead && who == "p";
        for (place, x) in log.iter().enumerate() {
            let Some(left) = self.column(place + 1) else {
                continue;
            };
            let tone = match place < applied {
                _ if dead => Tone::Faint,
                true => Tone::A,
                false => Tone::B,
            };
            let cell = Shape::rect(key(who, place + 1), left, y, COLUMN - 4.0, BOX);
            scene.add(cell.tone(tone).label(x.to_string()).small());
        }
    }

    fn draw_messages(&self, scene: &mut Scene) {
        let last_ms = self.world.now_ms.saturating_sub(1);
        for ((arrival_ms, number), (from, to, message)) in &self.world.network {
            let replica = if *from == Node::Primary { *to } else { *from } as usize;
            let (lsn, right, tone, label) = match *message {
                Message::Append { lsn, .. } => (lsn, 2.0, Tone::A, lsn.to_string()),
                Message::Stored(lsn) => (lsn, 12.0, Tone::C, "s".to_owned()),
                Message::Applied(lsn) => (lsn, 22.0, Tone::D, "a".to_owned()),
                Message::SendAfter(lsn) => (lsn.max(1), 2.0, Tone::Plain, "?".to_owned()),
                _ => continue,
            };
            let Some(x) = self.column(lsn) else {
                continue;
            };
            let far = match replica {
                0 => REPLICA_Y[0] + BOX,
                _ => REPLICA_Y[1],
            };
            let near = if replica == 0 {
                PRIMARY_Y
            } else {
                PRIMARY_Y + BOX
            };
            let (start, end) = if *from == Node::Primary {
                (near, far)
            } else {
                (far, near)
            };
            let delay = self.world.one_way_ms[replica] as f64;
            let left = arrival_ms.saturating_sub(last_ms) as f64;
            let y = end + (start - end) * left / delay;
            let token = Shape::circle(key("m", *number as usize), x + right, y, 7.0);
            scene.add(token.tone(tone).label(label).small());
        }
    }

    fn draw_nodes(&self, scene: &mut Scene) {
        for replica in 0..2 {
            let (y, away) = (REPLICA_Y[replica], self.away(replica));
            let (from, to) = match replica {
                0 => (PRIMARY_Y, y + BOX),
                _ => (PRIMARY_Y + BOX, y),
            };
            let link = Shape::line(key("link", replica), 20.0, from, 20.0, to);
            let way = format!("{} ms", self.world.one_way_ms[replica]);
            let (tone, words) = if away || self.dead {
                (Tone::Bad, "cut".to_owned())
            } else {
                (Tone::Plain, way)
            };
            scene.add(if tone == Tone::Bad {
                link.tone(tone).dashed()
            } else {
                link.strong()
            });
            scene.add(Shape::words(key("way", replica), 28.0, (from + to) / 2.0, words).small());
            let name = NAMES[replica];
            let x = self.world.replicas[replica].x;
            let node = Shape::rect(key("node", replica), 0.0, y, LEFT - 8.0, BOX);
            let (tone, does) = match (away, self.dead, self.promoted) {
                (true, ..) => (Tone::Faint, format!("Bring {name} back")),
                (_, false, _) => (Tone::Plain, format!("Cut {name} off")),
                (_, _, None) => (Tone::C, format!("Promote {name}")),
                (_, _, Some(promoted)) if promoted == replica => (Tone::Good, String::new()),
                _ => (Tone::Plain, String::new()),
            };
            let node = node
                .tone(tone)
                .label(format!("{name}: x={x}"))
                .strong()
                .small();
            scene.add(if does.is_empty() {
                node
            } else {
                node.tap(PRESS, replica as i64, does)
            });
        }
        let primary = Shape::rect("primary", 0.0, PRIMARY_Y, LEFT - 8.0, BOX)
            .strong()
            .small();
        scene.add(match self.dead {
            true => primary.label("primary").tone(Tone::Bad),
            false => primary.label("primary").tap(KILL, 0, "Kill the primary"),
        });
    }
}

impl Figure for Lab {
    const ABOUT: &'static About = &About {
        title: "One primary, a near replica and a far one",
        controls: &[
            Control {
                key: "rule",
                label: "Replicas to wait for",
                kind: Kind::Choice {
                    options: &RULE_NAMES,
                    value: 1,
                },
            },
            Control {
                key: "far",
                label: "One way to R2",
                kind: Kind::Slider {
                    min: 2,
                    max: 60,
                    step: 2,
                    value: 40,
                    unit: "ms",
                },
            },
        ],
        actions: &[
            Action {
                label: "Write",
                button: true,
            },
            Action {
                label: "Read R1",
                button: true,
            },
            Action {
                label: "Read R2",
                button: true,
            },
            Action {
                label: "Kill the primary",
                button: false,
            },
            Action {
                label: "Press a replica",
                button: false,
            },
        ],
        goals: &[
            "Read an old value from a replica, although a newer one was acknowledged.",
            "Let a client wait for the far replica, when the near one has long stored its write.",
            "Lose an acknowledged write that no replica had.",
            "Lose an acknowledged write that a replica has, because you promoted the other one.",
        ],
        pace_ms: 80,
        still_acts: &[],
        still_steps: 95,
        steps_max: 900,
    };

    fn new(setup: &Setup) -> Self {
        let row = setup.number(Self::ABOUT, "rule") as usize;
        let mut world = World::new(rule(ROWS[row]), [0; 2]);
        world.one_way_ms[1] = setup.number(Self::ABOUT, "far") as u64;
        Lab {
            world,
            rng: Rng::with_seed(setup.seed),
            next_write_ms: 0,
            written: 0,
            dead: false,
            promoted: None,
            answer: None,
            waited_for_the_far: false,
            read_an_old_value: false,
            event: "Nothing has been written yet.".to_owned(),
        }
    }

    fn step(&mut self) -> bool {
        if self.promoted.is_some() {
            return false;
        }
        let now_ms = self.world.now_ms;
        if self.dead {
            // The program's world ends with the primary; the replicas go on applying.
            for replica in &mut self.world.replicas {
                replica.tick(now_ms);
            }
            self.world.now_ms += 1;
            return true;
        }
        if now_ms >= self.next_write_ms {
            self.next_write_ms = now_ms + self.rng.u64(15..45);
            self.write();
        }
        let told = self.world.answered.len();
        self.world.tick(false);
        let Primary {
            rule,
            stored,
            waiting,
            ..
        } = &self.world.primary;
        let long_ago_ms = now_ms.saturating_sub(2 * self.world.one_way_ms[0] + LONG_MS);
        self.waited_for_the_far |= rule.replicas == 2
            && waiting
                .iter()
                .any(|(lsn, ms)| *lsn <= stored[0] && *ms < long_ago_ms);
        for &(lsn, _) in &self.world.answered[told..] {
            self.event = format!("Write {lsn} is acknowledged.");
        }
        true
    }

    fn act(&mut self, action: usize, value: i64) {
        match action {
            WRITE => self.write(),
            KILL => self.kill(),
            PRESS => self.press(usize::from(value % 2 != 0)),
            _ => self.read(usize::from(action == READ[1])),
        }
    }

    fn draw(&self, scene: &mut Scene) {
        scene.height(278.0);
        self.draw_client(scene);
        self.draw_log(scene, "p", PRIMARY_Y, &self.world.primary.log, usize::MAX);
        for (i, replica) in self.world.replicas.iter().enumerate() {
            self.draw_log(scene, NAMES[i], REPLICA_Y[i], &replica.log, replica.applied);
        }
        self.draw_nodes(scene);
        self.draw_messages(scene);
        if let Some(Answer { replica, x, old }) = &self.answer {
            let words = format!("read {x}{}", if *old { ", old" } else { "" });
            let tone = if *old { Tone::Bad } else { Tone::Good };
            let y = if *replica == 0 { 90.0 } else { 194.0 };
            scene.add(
                Shape::rect("answer", WIDTH_MAX - 76.0, y - 11.0, 72.0, 22.0)
                    .tone(tone)
                    .label(words)
                    .small(),
            );
        }
        let hint = match (self.dead, self.promoted) {
            (false, _) => "Press the primary to kill it, a replica to cut it off.",
            (true, None) => "Press the replica that is to take over.",
            (true, Some(_)) => "✕ in the first row: acknowledged and lost.",
        };
        scene.add(
            Shape::words("hint", WIDTH_MAX / 2.0, 262.0, hint)
                .centred()
                .small(),
        );
        let [near, far] = &self.world.replicas;
        scene.say(format!(
            "{} ms. {} Of {} writes {} are acknowledged; R1 has stored {} and applied {}, R2 has stored {} and applied {}.",
            self.world.now_ms,
            self.event,
            self.written,
            self.world.answered.len(),
            near.log.len(),
            near.applied,
            far.log.len(),
            far.applied
        ));
    }

    fn reached(&self) -> Vec<bool> {
        let lost = self.lost();
        let most = self
            .world
            .replicas
            .iter()
            .map(|replica| replica.log.len())
            .max()
            .unwrap_or(0);
        vec![
            self.read_an_old_value,
            self.waited_for_the_far,
            lost.iter().any(|lsn| *lsn > most),
            lost.iter().any(|lsn| *lsn <= most),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(lab: &mut Lab, steps: usize) {
        for _ in 0..steps {
            lab.step();
        }
    }

    fn run(rule: &str, steps: usize) -> Lab {
        let mut lab = Lab::new(&Setup::new(1).with("rule", rule));
        play(&mut lab, steps);
        lab
    }

    #[test]
    fn playing_alone_reaches_no_goal_under_the_first_rule() {
        let mut lab = Lab::new(&Setup::new(1));
        while lab.step() && lab.world.now_ms < 900 {}
        assert_eq!(lab.reached(), [false; 4]);
    }

    #[test]
    fn a_read_of_the_far_replica_is_old_and_under_2_applied_it_never_is() {
        for (rule, old) in [("1", true), ("4", false)] {
            let mut lab = run(rule, 30);
            for _ in 0..300 {
                lab.step();
                lab.act(READ[1], 0);
            }
            assert_eq!(lab.reached()[0], old, "rule {rule}");
        }
    }

    #[test]
    fn waiting_for_two_waits_for_the_far_one() {
        assert!(run("3", 120).reached()[1]);
        assert!(!run("1", 120).reached()[1]);
    }

    #[test]
    fn async_loses_what_no_replica_had_if_the_primary_dies_at_once() {
        let mut lab = run("0", 1);
        lab.act(KILL, 0);
        lab.act(PRESS, 0);
        assert_eq!(lab.reached(), [false, false, true, false]);
        assert!(!lab.step());
    }

    #[test]
    fn one_stored_loses_only_if_the_wrong_replica_is_promoted() {
        for (promoted, lost) in [(0, false), (1, true)] {
            let mut lab = run("1", 100);
            lab.act(KILL, 0);
            lab.act(PRESS, promoted);
            assert_eq!(lab.reached()[3], lost);
            assert!(!lab.reached()[2]);
        }
    }

    #[test]
    fn two_stored_loses_nothing_whenever_the_primary_dies_whoever_is_promoted() {
        for steps in 0..300 {
            for promoted in 0..2 {
                let mut lab = run("3", steps);
                lab.act(KILL, 0);
                lab.act(PRESS, promoted);
                assert_eq!(lab.lost(), [0; 0], "{steps}");
            }
        }
    }

    #[test]
    fn a_replica_that_is_away_stops_every_write_that_waits_for_both_and_catches_up() {
        let mut lab = run("3", 0);
        lab.act(PRESS, 1);
        play(&mut lab, 300);
        assert!(lab.written > 5 && lab.world.answered.is_empty());
        lab.act(PRESS, 1);
        play(&mut lab, 300);
        assert!(lab.world.answered.len() > 10);
    }

    #[test]
    fn a_token_is_between_its_nodes_and_the_words_are_the_programs_numbers() {
        let mut lab = run("1", 0);
        for _ in 0..200 {
            lab.step();
            let mut scene = Scene::default();
            lab.draw(&mut scene);
            let tokens = scene.keys().filter(|key| key.starts_with("m-")).count();
            assert_eq!(tokens, lab.world.network.len());
            let stored = format!("R1 has stored {} ", lab.world.replicas[0].log.len());
            assert!(scene.words().contains(&stored), "{}", scene.words());
        }
    }
}
