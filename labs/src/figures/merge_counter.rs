//! Program: replication_multi_leader
//!
//! Two leaders count likes in both ways, over a link that the reader cuts. A step is 20 ms.

use fastrand::Rng;

use super::Leader::{self, Eu, Us};
use super::{is_liked, last_write_wins, Counter, Pair, DELAY_MS};
use crate::figure::{About, Action, Control, Figure, Kind, Setup};
use crate::scene::{Scene, Shape, Tone, WIDTH_MAX};

/// The places of the actions.
const LIKE: usize = 0;
const LINK: usize = 1;
const STEP_MS: u64 = 20;
const NAMES: [&str; 2] = ["EU", "US"];
const TONES: [Tone; 2] = [Tone::A, Tone::B];
/// The box of a leader, and where the bars begin.
const BOX: f64 = 112.0;
const BARS: f64 = 104.0;

const APART: u64 = 10;
const LOST: u64 = 5;
const KEPT: u64 = 3;

/// A cut of the link, until both leaders have heard of each other again.
struct Cut {
    given: u64,
    lost: u64,
    /// How many likes were given during the cut, and when the last news arrives.
    healed: Option<(u64, u64)>,
}

/// The pair of leaders, their link, and what the reader did.
pub struct Lab {
    pair: Pair,
    rng: Rng,
    at_random: bool,
    link_is_cut: bool,
    cut: Option<Cut>,
    did: &'static str,
    reached: [bool; 3],
}

impl Lab {
    fn like(&mut self, leader: Leader) {
        self.pair.like_at(leader);
        if self.link_is_cut {
            self.pair.inbox.iter_mut().for_each(|inbox| inbox.clear());
        }
    }

    /// Likes that the registers will not show once each knows all of the other's. It can fall: a
    /// later write of the one that knows more wins over one that knows less.
    fn lost(&self) -> u64 {
        let [eu, us] = &self.pair.sites;
        self.pair.given - last_write_wins(eu.register, us.register).value
    }

    fn merged(&self) -> u64 {
        let [eu, us] = &self.pair.sites;
        let Counter(mut most) = eu.counter;
        for (mine, theirs) in most.iter_mut().zip(us.counter.0) {
            *mine = theirs.max(*mine);
        }
        most.iter().sum()
    }

    fn pass(&mut self, ms: u64, random: bool) {
        for _ in 0..ms {
            self.pair.now_ms += 1;
            self.pair.receive();
            for leader in [Eu, Us] {
                if random && is_liked(&mut self.rng) {
                    self.like(leader);
                }
            }
            self.look();
        }
    }

    fn look(&mut self) {
        let [eu, us] = self.pair.sites.map(|site| site.counter.value());
        self.reached[0] |= eu.abs_diff(us) >= APART;
        let lost = self.lost();
        if let Some(Cut {
            lost: before,
            healed: Some((during, due_ms)),
            ..
        }) = self.cut
        {
            if self.pair.now_ms >= due_ms {
                self.reached[1] |= lost >= before + LOST && self.merged() == self.pair.given;
                self.reached[2] |= during >= KEPT && lost <= before;
                self.cut = None;
            }
        }
    }

    fn toggle(&mut self) {
        self.link_is_cut = !self.link_is_cut;
        let (given, lost) = (self.pair.given, self.lost());
        if self.link_is_cut {
            // What is under way is gone; the sender still has it.
            self.pair.inbox.iter_mut().for_each(|inbox| inbox.clear());
            let cut = self.cut.take();
            self.cut = Some(cut.map_or(
                Cut {
                    given,
                    lost,
                    healed: None,
                },
                |cut| Cut {
                    healed: None,
                    ..cut
                },
            ));
        } else {
            for leader in [Eu, Us] {
                self.pair.send_from(leader);
            }
            if let Some(cut) = &mut self.cut {
                cut.healed = Some((given - cut.given, self.pair.now_ms + DELAY_MS));
            }
        }
    }
}

fn plural(likes: u64) -> String {
    match likes {
        1 => "1 like".to_owned(),
        _ => format!("{likes} likes"),
    }
}

impl Figure for Lab {
    const ABOUT: &'static About = &About {
        title: "Likes counted at two leaders, in two ways",
        controls: &[Control {
            key: "likes",
            label: "Likes",
            kind: Kind::Choice { options: &["at random, and yours", "only yours"], value: 0 },
        }],
        actions: &[
            Action { label: "Like", button: false },
            Action { label: "Cut or heal the link", button: false },
        ],
        goals: &[
            "Make the counters that merge differ by ten.",
            "Cut the link and heal it, so that last write wins loses five likes by it, and the merge none.",
            "Give three likes during a cut and heal it, so that not even last write wins loses one.",
        ],
        pace_ms: 300,
        still_acts: &[],
        still_steps: 24,
        steps_max: 900,
    };

    fn new(setup: &Setup) -> Self {
        Lab {
            pair: Pair::new(),
            rng: Rng::with_seed(setup.seed),
            at_random: setup.number(Self::ABOUT, "likes") == 0,
            link_is_cut: false,
            cut: None,
            did: "",
            reached: [false; 3],
        }
    }

    fn step(&mut self) -> bool {
        self.did = "";
        self.pass(STEP_MS, self.at_random);
        true
    }

    fn act(&mut self, action: usize, value: i64) {
        match (action, value) {
            (LIKE, 0 | 1) => {
                // No two likes at one leader have the same time.
                self.pass(1, false);
                let (leader, did) = if value == 0 {
                    (Eu, "A like at EU. ")
                } else {
                    (Us, "A like at US. ")
                };
                self.like(leader);
                self.did = did;
            }
            (LINK, _) => {
                self.toggle();
                self.did = if self.link_is_cut {
                    "The link is cut. "
                } else {
                    "The link is whole again, and each sends what it has. "
                };
            }
            _ => {}
        }
        self.look();
    }

    fn draw(&self, scene: &mut Scene) {
        for (index, site) in self.pair.sites.iter().enumerate() {
            let (name, x) = (NAMES[index], index as f64 * (WIDTH_MAX - BOX));
            let middle = x + BOX / 2.0;
            scene.add(Shape::rect(format!("box-{name}"), x, 0.0, BOX, 142.0).tone(Tone::Plain));
            scene.add(
                Shape::words(format!("name-{name}"), middle, 12.0, name)
                    .centred()
                    .strong(),
            );
            let like = Shape::rect(format!("like-{name}"), x + 22.0, 23.0, BOX - 44.0, 26.0);
            scene.add(like.tone(TONES[index]).label("Like").tap(
                LIKE,
                index as i64,
                format!("Like at {name}"),
            ));
            scene.add(
                Shape::words(format!("lww-{name}"), middle, 60.0, "last write wins")
                    .centred()
                    .small(),
            );
            let value = site.register.value.to_string();
            scene.add(
                Shape::rect(format!("register-{name}"), x + 36.0, 68.0, 40.0, 22.0)
                    .label(value)
                    .strong(),
            );
            scene.add(
                Shape::words(format!("merge-{name}"), middle, 101.0, "merge: EU + US")
                    .centred()
                    .small(),
            );
            for (part, count) in site.counter.0.into_iter().enumerate() {
                let left = x + 6.0 + 36.0 * part as f64;
                let shape = Shape::rect(format!("part-{name}-{part}"), left, 110.0, 32.0, 22.0);
                scene.add(shape.tone(TONES[part]).label(count.to_string()).small());
            }
            let sum = format!("= {}", site.counter.value());
            scene.add(Shape::words(format!("sum-{name}"), x + 78.0, 121.0, sum).strong());
        }

        let (left, right) = (BOX + 2.0, WIDTH_MAX - BOX - 2.0);
        let (does, tone) = if self.link_is_cut {
            ("Heal", Tone::Bad)
        } else {
            ("Cut", Tone::Plain)
        };
        let link = Shape::rect("link", left + 12.0, 2.0, right - left - 24.0, 26.0);
        scene.add(
            link.tone(tone)
                .label(does)
                .tap(LINK, 0, format!("{does} the link")),
        );
        for (lane, y) in [("there", 60.0), ("back", 98.0)] {
            let (from, to) = if lane == "there" {
                (left, right)
            } else {
                (right, left)
            };
            if self.link_is_cut {
                let gap = (to - from) / 3.0;
                for (piece, start) in [("a", from), ("b", to - gap)] {
                    let line =
                        Shape::line(format!("lane-{lane}-{piece}"), start, y, start + gap, y);
                    scene.add(line.tone(Tone::Bad).dashed());
                }
            } else {
                scene.add(Shape::line(format!("lane-{lane}"), from, y, to, y).arrow());
            }
        }
        if self.link_is_cut {
            scene.add(
                Shape::words("cut", (left + right) / 2.0, 79.0, "cut")
                    .centred()
                    .small()
                    .strong(),
            );
        }
        for (to, inbox) in self.pair.inbox.iter().enumerate() {
            let from = 1 - to;
            for (due_ms, state) in inbox.iter().take(12) {
                let gone =
                    DELAY_MS.saturating_sub(due_ms - self.pair.now_ms) as f64 / DELAY_MS as f64;
                let space = right - left - 36.0;
                let x = if to == 1 {
                    left + gone * space
                } else {
                    right - 36.0 - gone * space
                };
                let y = if to == 1 { 51.0 } else { 89.0 };
                let [eu, us] = state.counter.0;
                // Two can start in one millisecond, but not two that know the same.
                let key = format!("news-{to}-{due_ms}-{eu}-{us}");
                let message = Shape::rect(key, x, y, 36.0, 18.0);
                scene.add(
                    message
                        .tone(TONES[from])
                        .label(format!("{eu}+{us}"))
                        .small(),
                );
            }
        }

        let [eu, us] = &self.pair.sites;
        let (given, lost) = (self.pair.given, self.lost());
        let bars = [
            ("given", given, Tone::D, 0.0),
            ("last write, EU", eu.register.value, Tone::A, 22.0),
            ("last write, US", us.register.value, Tone::B, 38.0),
            ("merge, EU", eu.counter.value(), Tone::A, 60.0),
            ("merge, US", us.counter.value(), Tone::B, 76.0),
        ];
        let per_like = (WIDTH_MAX - BARS - 26.0) / given.max(20) as f64;
        for (name, likes, tone, down) in bars {
            let y = 158.0 + down;
            scene.add(
                Shape::words(format!("bar-name-{name}"), BARS - 6.0, y, name)
                    .to_the_left()
                    .small(),
            );
            let width = likes as f64 * per_like;
            scene.add(
                Shape::rect(format!("bar-{name}"), BARS, y - 6.0, width.max(1.0), 12.0).tone(tone),
            );
            let words = Shape::words(
                format!("bar-likes-{name}"),
                BARS + width + 5.0,
                y,
                likes.to_string(),
            );
            scene.add(words.small().strong());
        }
        let time = format!("{} ms", self.pair.now_ms);
        scene.add(
            Shape::words("time", (left + right) / 2.0, 128.0, time)
                .centred()
                .small(),
        );
        let verdict = format!(
            "Once all is told, last write wins loses {lost}, the merge {}",
            given - self.merged()
        );
        scene.add(
            Shape::words("verdict", WIDTH_MAX, 254.0, verdict)
                .to_the_left()
                .small()
                .strong(),
        );
        scene.height(264.0);
        let link = if self.link_is_cut {
            " The link is cut."
        } else {
            ""
        };
        scene.say(format!(
            "{}{} given. Last write wins shows {} at EU and {} at US, and loses {lost} once all is told. The counter that merges \
             shows {} at EU and {} at US.{link}",
            self.did,
            plural(given),
            eu.register.value,
            us.register.value,
            eu.counter.value(),
            us.counter.value(),
        ));
    }

    fn reached(&self) -> Vec<bool> {
        self.reached.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::super::LIKES_MS;
    use super::*;

    fn quiet() -> Lab {
        Lab::new(&Setup::new(1).with("likes", "1"))
    }

    fn likes(lab: &mut Lab, leader: i64, count: usize) {
        for _ in 0..count {
            lab.act(LIKE, leader);
        }
    }

    fn steps(lab: &mut Lab, count: usize) {
        for _ in 0..count {
            lab.step();
        }
    }

    #[test]
    fn playing_alone_reaches_nothing_but_loses_likes() {
        let mut lab = Lab::new(&Setup::new(1));
        steps(&mut lab, 200);
        assert_eq!(lab.reached, [false; 3]);
        assert!(lab.lost() > 5 && lab.merged() == lab.pair.given);
    }

    #[test]
    fn the_figure_counts_as_the_program_does() {
        // The program asks for the first like at 0 ms, the figure at 1 ms.
        let program = super::super::likes(1);
        let mut lab = Lab::new(&Setup::new(1));
        lab.pass(LIKES_MS, true);
        lab.pass(2 * DELAY_MS, false);
        assert_eq!(lab.pair.given, program.given);
        assert_eq!(
            lab.pair.sites[0].register.value,
            program.sites[0].register.value
        );
        assert_eq!(lab.lost(), program.given - program.sites[0].register.value);
    }

    #[test]
    fn during_a_cut_the_counters_drift_apart_and_not_before() {
        let mut lab = quiet();
        likes(&mut lab, 0, 4);
        assert!(!lab.reached[0]);
        steps(&mut lab, 5);
        lab.act(LINK, 0);
        likes(&mut lab, 1, 10);
        steps(&mut lab, 10);
        assert_eq!(lab.pair.sites.map(|site| site.counter.value()), [4, 14]);
        assert!(lab.reached[0]);
    }

    #[test]
    fn a_cut_with_likes_on_both_sides_costs_last_write_wins_those_of_one() {
        let mut lab = quiet();
        lab.act(LINK, 0);
        likes(&mut lab, 0, 5);
        likes(&mut lab, 1, 6);
        lab.act(LINK, 0);
        assert!(!lab.reached[1]);
        steps(&mut lab, 4);
        let [eu, us] = lab.pair.sites;
        assert_eq!(
            (eu.register.value, us.register.value, lab.lost()),
            (6, 6, 5)
        );
        assert_eq!((eu.counter.value(), us.counter.value()), (11, 11));
        assert_eq!(lab.reached, [false, true, false]);
    }

    #[test]
    fn a_cut_with_likes_on_one_side_costs_nothing() {
        let mut lab = quiet();
        lab.act(LINK, 0);
        likes(&mut lab, 0, 3);
        steps(&mut lab, 20);
        assert_eq!(lab.reached, [false; 3]);
        lab.act(LINK, 0);
        steps(&mut lab, 4);
        assert_eq!(lab.lost(), 0);
        assert_eq!(lab.reached, [false, false, true]);
    }

    #[test]
    fn a_later_write_of_the_one_that_knows_more_wins_back_what_was_lost() {
        let mut lab = quiet();
        lab.act(LINK, 0);
        likes(&mut lab, 0, 4);
        likes(&mut lab, 1, 1);
        assert_eq!(lab.lost(), 4);
        likes(&mut lab, 0, 1);
        assert_eq!(lab.lost(), 1);
    }

    #[test]
    fn a_cut_right_after_the_healing_is_the_same_cut() {
        let mut lab = quiet();
        lab.act(LINK, 0);
        likes(&mut lab, 0, 3);
        lab.act(LINK, 0);
        steps(&mut lab, 1);
        lab.act(LINK, 0);
        steps(&mut lab, 10);
        assert_eq!(
            (lab.reached, lab.pair.sites[1].counter.value()),
            ([false; 3], 0)
        );
        lab.act(LINK, 0);
        steps(&mut lab, 4);
        assert!(lab.reached[2]);
    }
}
