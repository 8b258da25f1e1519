//! Program: spof_finder
//!
//! The reader stops parts, adds copies, cuts links and draws racks; the finder says after each change
//! which single loss stops the client. Every step loses the next thing that can be lost, alone.

use std::collections::BTreeSet;

use fastrand::Rng;

use super::{in_one_rack, read, statement, BoxId, Diagram, Part, TODAY, TWO_RACKS};
use crate::figure::{About, Action, Control, Figure, Kind, Setup};
use crate::scene::{Scene, Shape, Tone, WIDTH_MAX};

const STARTS: [&str; 3] = [
    "today",
    "all doubled, in one rack",
    "all doubled, in two racks",
];

const STOP: usize = 0;
const ADD: usize = 1;
const CUT: usize = 2;
const STOP_RACK: usize = 3;
const RACKS: usize = 4;

/// Where a box can stand: what it is, and its upper left corner. Copies are neighbours.
const SLOTS: [(&str, f64, f64); 11] = [
    ("DNS", 6.0, 0.0),
    ("DNS", 6.0, 30.0),
    ("login", 222.0, 0.0),
    ("login", 222.0, 30.0),
    ("balancer", 6.0, 86.0),
    ("balancer", 222.0, 86.0),
    ("app", 6.0, 148.0),
    ("app", 222.0, 148.0),
    ("orders", 6.0, 210.0),
    ("orders", 222.0, 210.0),
    ("cache", 122.0, 148.0),
];
const CACHE: usize = 10;
/// Where the boxes of the program's diagrams stand, by their names there.
const NAMED: [(&str, usize); 10] = [
    ("D", 0),
    ("B", 4),
    ("B1", 4),
    ("B2", 5),
    ("A1", 6),
    ("A2", 7),
    ("O", 8),
    ("O1", 8),
    ("O2", 9),
    ("K", CACHE),
];
const LEFT: [usize; 3] = [4, 6, 8];
const RIGHT: [usize; 3] = [5, 7, 9];
const ALL: [usize; 7] = [4, 5, 6, 7, 8, 9, CACHE];
/// The links that can be cut, from place to place.
const LINKS: [(usize, usize); 8] = [
    (4, 6),
    (4, 7),
    (5, 6),
    (5, 7),
    (6, 8),
    (6, 9),
    (7, 8),
    (7, 9),
];
const BOX: (f64, f64) = (76.0, 26.0);
const BEAD: f64 = 12.5;

/// Every box and every rack is down for one thousandth of the time, whatever the others do.
const DOWN: f64 = 0.001;
const MONTH_S: f64 = 30.0 * 86_400.0;

/// The diagram as the reader has made it, and what is stopped in it.
pub struct Lab {
    diagram: Diagram,
    from_today: bool,
    slots: [Option<BoxId>; SLOTS.len()],
    racks: usize,
    /// Names of boxes and racks, the one stopped last at the end.
    stopped: Vec<String>,
    /// The next that a step will lose.
    next: usize,
    added: usize,
    /// What the reader has just changed, in words.
    changed: String,
    singles: Vec<String>,
    down_s: i64,
    goals: [bool; 4],
    rng: Rng,
}

impl Lab {
    fn part(&self, slot: usize) -> Option<&Part> {
        self.slots
            .get(slot)
            .copied()
            .flatten()
            .map(|id| &self.diagram.parts[id.0])
    }

    /// What can be lost at once, by name.
    fn suspects(&self) -> Vec<String> {
        self.diagram
            .suspects()
            .into_iter()
            .map(|(name, _)| name.to_owned())
            .collect()
    }

    /// All boxes that the stopped boxes and racks take with them.
    fn lost(&self) -> BTreeSet<BoxId> {
        let mut lost = BTreeSet::new();
        for (name, boxes) in self.diagram.suspects() {
            if self.is_stopped(name) {
                lost.extend(boxes);
            }
        }
        lost
    }

    fn is_stopped(&self, name: &str) -> bool {
        self.stopped.iter().any(|stopped| stopped == name)
    }

    fn client_works(&self) -> bool {
        !self.diagram.stops_a_client(&self.lost())
    }

    fn linked(&self, link: usize) -> bool {
        let (from, to) = LINKS[link];
        match (self.part(from), self.slots[to]) {
            (Some(part), Some(to)) => part.needs.contains(&to),
            _ => false,
        }
    }

    /// Whether the link's box has another one to the same thing. Without any, the diagram would say that
    /// it can do without.
    fn is_last(&self, link: usize) -> bool {
        let (from, to) = LINKS[link];
        let other = LINKS.iter().position(|other| *other == (from, to ^ 1));
        !other.is_some_and(|other| self.linked(other))
    }

    fn draw_racks(&mut self) {
        let racks: &[(&str, &[usize])] = match self.racks {
            0 => &[],
            1 => &[("the only rack", &ALL)],
            _ => &[("rack 1", &LEFT), ("rack 2", &RIGHT)],
        };
        self.diagram.frames.clear();
        for (title, slots) in racks {
            let mut boxes = BTreeSet::new();
            boxes.extend(slots.iter().filter_map(|slot| self.slots[*slot]));
            self.diagram.frames.push(((*title).to_owned(), boxes));
        }
    }

    /// A second copy, or a first part that the client needs from now on.
    fn add(&mut self, slot: usize) {
        let (thing, ..) = SLOTS[slot];
        let before = self.down_s;
        if self.slots[slot].is_some() || slot == CACHE {
            return;
        }
        if let Some(copied) = self.part(slot ^ 1) {
            let label = copied.label.clone();
            self.diagram.add_copy(&label);
            self.changed = format!("A second copy of {thing} is there.");
        } else {
            let line = format!("C --> L(\"{thing}\")");
            if slot % 2 == 1 || statement(&line, &mut self.diagram, &[]).is_err() {
                return;
            }
            self.changed = format!("The client needs a {thing} service, too.");
        }
        self.slots[slot] = Some(BoxId(self.diagram.parts.len() - 1));
        self.added += 1;
        self.draw_racks();
        self.judge();
        self.goals[3] |= self.down_s > before;
    }

    fn cut_or_mend(&mut self, link: usize) {
        let (from, to) = LINKS[link];
        let (Some(from), Some(to)) = (self.slots[from], self.slots[to]) else {
            return;
        };
        let mend = !self.linked(link);
        if !mend && self.is_last(link) {
            return;
        }
        let (from_label, to_label) = (
            &self.diagram.parts[from.0].label,
            &self.diagram.parts[to.0].label,
        );
        let done = if mend { "mended" } else { "cut" };
        self.changed = format!("The link from {from_label} to {to_label} is {done}.");
        let needs = &mut self.diagram.parts[from.0].needs;
        if mend {
            needs.push(to);
        } else {
            needs.retain(|needed| *needed != to);
        }
        self.judge();
    }

    fn next_racks(&mut self) {
        self.racks = (self.racks + 1) % 3;
        self.changed = match self.racks {
            0 => "No rack is drawn.",
            1 => "Drawn: all but DNS and login stands in one rack.",
            _ => "The left side stands in rack 1, the right side in rack 2.",
        }
        .to_owned();
        self.draw_racks();
        let still_there = self.suspects();
        self.stopped.retain(|name| still_there.contains(name));
        self.judge();
    }

    fn stop_only(&mut self, name: String) {
        self.stopped = vec![name];
        self.changed.clear();
        self.look();
    }

    fn stop_or_start(&mut self, name: String) {
        match self.stopped.iter().position(|stopped| *stopped == name) {
            Some(place) => drop(self.stopped.remove(place)),
            None => self.stopped.push(name),
        }
        self.changed.clear();
        self.look();
    }

    /// Asks the finder about the changed diagram.
    fn judge(&mut self) {
        self.singles = self.diagram.single_points();
        self.down_s = (MONTH_S * unavailability(&self.diagram)).round() as i64;
        let two_balancers = self.slots[4].is_some() && self.slots[5].is_some();
        let whole = (0..LINKS.len()).all(|link| {
            let (from, to) = LINKS[link];
            self.linked(link) || self.slots[from].is_none() || self.slots[to].is_none()
        });
        self.goals[0] |= self.from_today
            && self.racks > 0
            && self.added <= 3
            && whole
            && self.singles.is_empty();
        self.goals[2] |= two_balancers && self.singles.iter().any(|name| name.starts_with("app "));
        self.look();
    }

    /// Sees whether one stopped rack is all it took.
    fn look(&mut self) {
        let one_rack = self.stopped.len() == 1
            && self
                .diagram
                .frames
                .iter()
                .any(|(title, _)| self.is_stopped(title));
        let parts = &self.diagram.parts;
        let needed = parts.iter().flat_map(|part| &part.needs);
        let all_twice = needed.into_iter().all(|id| {
            let thing = &parts[id.0].thing;
            parts.iter().filter(|part| part.thing == *thing).count() > 1
        });
        self.goals[1] |= one_rack && all_twice && !self.client_works();
    }

    /// Why the client stops: what it lacks, what that lacks, and so on down to what is stopped.
    fn why(&self) -> String {
        let (lost, parts) = (self.lost(), &self.diagram.parts);
        let working = self.diagram.working_without(&lost);
        let (mut words, mut at) = ("it".to_owned(), 0);
        for _ in 0..parts.len() {
            let lacks = |needed: &&BoxId| {
                let thing = &parts[needed.0].thing;
                let of_it = parts[at]
                    .needs
                    .iter()
                    .filter(|id| parts[id.0].thing == *thing);
                let only = Part {
                    needs: of_it.copied().collect(),
                    ..parts[at].clone()
                };
                !self.diagram.has_what_it_needs(&only, &working)
            };
            let Some(needed) = parts[at].needs.iter().find(lacks) else {
                break;
            };
            let thing = &parts[needed.0].thing;
            words += &format!(" needs {thing}");
            let mut copies = parts[at]
                .needs
                .iter()
                .filter(|id| parts[id.0].thing == *thing);
            match copies.find(|id| !lost.contains(id)) {
                Some(fallen) => {
                    at = fallen.0;
                    words += &format!(", {thing}");
                }
                None => {
                    words += &format!(", and no copy of {thing} is up");
                    break;
                }
            }
        }
        words
    }

    fn words(&self) -> String {
        let stopped = &self.stopped;
        let state = match (stopped.is_empty(), self.client_works()) {
            (true, _) => "Everything is up, and the client works.".to_owned(),
            (_, true) => format!("Stopped: {}. The client still works.", stopped.join(", ")),
            _ => format!(
                "Stopped: {}. The client stops: {}.",
                stopped.join(", "),
                self.why()
            ),
        };
        if self.changed.is_empty() && !stopped.is_empty() {
            return state;
        }
        let singles = match self.singles.is_empty() {
            true => "There is no single point of failure.".to_owned(),
            false => format!("Single points of failure: {}.", self.singles.join(", ")),
        };
        let down = time(self.down_s);
        format!(
            "{} {state} {singles} Down in 30 days: {down}.",
            self.changed
        )
        .trim()
        .to_owned()
    }
}

/// The share of time in which the client is stopped, by boxes and racks that fail for themselves. All
/// cases with one or two of them down; three at once would add less than a second in 30 days.
fn unavailability(diagram: &Diagram) -> f64 {
    let suspects: Vec<BTreeSet<BoxId>> = diagram
        .suspects()
        .into_iter()
        .map(|(_, boxes)| boxes)
        .collect();
    let stops: Vec<bool> = suspects
        .iter()
        .map(|lost| diagram.stops_a_client(lost))
        .collect();
    let (mut ones, mut twos) = (0, 0);
    for (first, boxes) in suspects.iter().enumerate() {
        ones += i32::from(stops[first]);
        for second in first + 1..suspects.len() {
            // What stops the client alone stops it in company.
            let both = || {
                let mut both = boxes.clone();
                both.extend(&suspects[second]);
                both
            };
            twos += i32::from(stops[first] || stops[second] || diagram.stops_a_client(&both()));
        }
    }
    let up = |count: usize| (0..count).fold(1.0, |product, _| product * (1.0 - DOWN));
    let count = suspects.len();
    f64::from(ones) * DOWN * up(count.saturating_sub(1))
        + f64::from(twos) * DOWN * DOWN * up(count.saturating_sub(2))
}

fn time(seconds: i64) -> String {
    let minutes = (seconds + 30) / 60;
    match (seconds, minutes) {
        (0..60, _) => format!("{seconds} s"),
        (_, 0..60) => format!("{minutes} min"),
        _ => format!("{} h {} min", minutes / 60, minutes % 60),
    }
}

/// The names in lines that fit the picture's width.
fn in_lines(names: &[String]) -> Vec<String> {
    const LETTERS_MAX: usize = 48;
    let mut lines = vec!["Single points: ".to_owned()];
    if names.is_empty() {
        lines[0] += "none";
    }
    for (place, name) in names.iter().enumerate() {
        let comma = if place + 1 < names.len() { ", " } else { "" };
        let last = lines.len() - 1;
        if lines[last].len() + name.len() > LETTERS_MAX {
            lines.push(String::new());
        }
        let last = lines.len() - 1;
        lines[last] += &format!("{name}{comma}");
    }
    lines
}

impl Figure for Lab {
    const ABOUT: &'static About = &About {
        title: "Lose each part, and ask the client",
        controls: &[Control {
            key: "start",
            label: "Begin with",
            kind: Kind::Choice { options: &STARTS, value: 0 },
        }],
        actions: &[
            Action { label: "Stop or start a part", button: false },
            Action { label: "Add a part", button: false },
            Action { label: "Cut or mend a link", button: false },
            Action { label: "Stop or start a rack", button: false },
            Action { label: "Draw racks", button: false },
            Action { label: "Stop a random part", button: true },
        ],
        goals: &[
            "From today’s diagram, with racks drawn, leave no single point: add three copies at most.",
            "Let one rack stop the client, although every part that it needs is there twice.",
            "With two balancers, cut links until one app is a single point, although there are two.",
            "Add a part and lengthen the downtime.",
        ],
        pace_ms: 1_400,
        still_acts: &[],
        still_steps: 5,
        steps_max: 600,
    };

    fn new(setup: &Setup) -> Self {
        let racks = setup.number(Self::ABOUT, "start") as usize;
        let text = [TODAY, &in_one_rack(), TWO_RACKS][racks].to_owned();
        let mut diagram = read(&text).unwrap_or_default();
        let mut slots = [None; SLOTS.len()];
        for (name, slot) in NAMED {
            let id = diagram.parts.iter().position(|part| part.name == name);
            slots[slot] = slots[slot].or(id.map(BoxId));
        }
        // Two in one box: here they can be stopped one by one.
        if let Some(id) = slots[0].filter(|id| diagram.parts[id.0].doubled) {
            diagram.parts[id.0].doubled = false;
            diagram.parts[id.0].label = "DNS".to_owned();
            diagram.add_copy("DNS");
            slots[1] = Some(BoxId(diagram.parts.len() - 1));
        }
        let mut lab = Lab {
            diagram,
            from_today: racks == 0,
            slots,
            racks,
            stopped: Vec::new(),
            next: 0,
            added: 0,
            changed: String::new(),
            singles: Vec::new(),
            down_s: 0,
            goals: [false; 4],
            rng: Rng::with_seed(setup.seed),
        };
        lab.draw_racks();
        lab.judge();
        lab
    }

    fn step(&mut self) -> bool {
        match self.suspects().into_iter().nth(self.next) {
            Some(name) => {
                self.next += 1;
                self.stop_only(name);
            }
            None => {
                self.next = 0;
                self.stopped.clear();
                self.changed.clear();
            }
        }
        true
    }

    fn act(&mut self, action: usize, value: i64) {
        let value = usize::try_from(value).unwrap_or(usize::MAX);
        match action {
            STOP if value < SLOTS.len() => {
                if let Some(name) = self.part(value).map(|part| part.label.clone()) {
                    self.stop_or_start(name);
                }
            }
            ADD if value < SLOTS.len() => self.add(value),
            CUT if value < LINKS.len() => self.cut_or_mend(value),
            STOP_RACK if value < self.diagram.frames.len() => {
                self.stop_or_start(self.diagram.frames[value].0.clone());
            }
            RACKS => self.next_racks(),
            STOP..=RACKS => {}
            _ => {
                let mut suspects = self.suspects();
                // Not `usize`, which has fewer bits in a browser and would draw another number.
                let struck = self.rng.u32(..suspects.len() as u32);
                self.stop_only(suspects.swap_remove(struck as usize));
            }
        }
    }

    fn draw(&self, scene: &mut Scene) {
        let (width, height) = BOX;
        let lost = self.lost();
        let working = self.diagram.working_without(&lost);
        let wide = |slot| if slot == CACHE { 60.0 } else { width };
        let middle = |slot: usize| SLOTS[slot].1 + wide(slot) / 2.0;
        scene.height(322.0);

        let frames: &[(f64, f64)] = match self.racks {
            0 => &[],
            1 => &[(0.0, WIDTH_MAX)],
            _ => &[(0.0, 88.0), (216.0, 88.0)],
        };
        for (place, (x, wide)) in frames.iter().enumerate() {
            let frame = Shape::rect(format!("frame-{place}"), *x, 80.0, *wide, 190.0);
            scene.add(frame.tone(Tone::Faint));
        }

        // The client, what it needs, and what can be done without.
        let client = (152.0, 15.0);
        for slot in 0..6 {
            let (_, x, y) = SLOTS[slot];
            if self.slots[slot].is_none() {
                continue;
            }
            let (from, to) = match slot {
                0 | 1 => (
                    (client.0 - width / 2.0, 28.0),
                    (x + width, y + height / 2.0),
                ),
                2 | 3 => ((client.0 + width / 2.0, 28.0), (x, y + height / 2.0)),
                _ => ((client.0, client.1 + height), (middle(slot), y)),
            };
            scene.add(Shape::line(format!("need-{slot}"), from.0, from.1, to.0, to.1).arrow());
        }
        if self.slots[CACHE].is_some() {
            let y = SLOTS[CACHE].2 + height / 2.0;
            scene.add(Shape::line("cache-1", 82.0, y, 122.0, y).arrow().dashed());
            scene.add(Shape::line("cache-2", 222.0, y, 182.0, y).arrow().dashed());
        }
        let ends = |link: usize| {
            let (from, to) = LINKS[link];
            (
                middle(from),
                SLOTS[from].2 + height,
                middle(to),
                SLOTS[to].2,
            )
        };
        for link in (0..LINKS.len()).filter(|link| self.linked(*link)) {
            let (x1, y1, x2, y2) = ends(link);
            scene.add(Shape::line(format!("link-{link}"), x1, y1, x2, y2).arrow());
        }

        let tone = if working[0] { Tone::Good } else { Tone::Bad };
        scene.add(
            Shape::rect("client", client.0 - width / 2.0, client.1, width, height)
                .tone(tone)
                .label("client")
                .strong(),
        );
        for (slot, (thing, x, y)) in SLOTS.into_iter().enumerate() {
            let shape = Shape::rect(format!("box-{slot}"), x, y, wide(slot), height);
            let Some(id) = self.slots[slot] else {
                let first = self.part(slot ^ 1).is_none();
                if slot != CACHE && !(first && slot % 2 == 1) {
                    let does = if first {
                        format!("Let the client need a {thing} service")
                    } else {
                        format!("Add a second copy of {thing}")
                    };
                    scene.add(shape.tone(Tone::Faint).label(format!("+ {thing}")).tap(
                        ADD,
                        slot as i64,
                        does,
                    ));
                }
                continue;
            };
            let name = &self.diagram.parts[id.0].label;
            let tone = match () {
                _ if lost.contains(&id) => Tone::Bad,
                _ if !working[id.0] => Tone::D,
                _ if self.singles.contains(name) => Tone::B,
                _ => Tone::A,
            };
            let does = if self.is_stopped(name) {
                "Start"
            } else {
                "Stop"
            };
            scene.add(shape.tone(tone).label(thing).tap(
                STOP,
                slot as i64,
                format!("{does} {name}"),
            ));
        }

        for (link, (from, to)) in LINKS.into_iter().enumerate() {
            let (Some(from_part), Some(to_part)) = (self.part(from), self.part(to)) else {
                continue;
            };
            let linked = self.linked(link);
            if linked && self.is_last(link) {
                continue;
            }
            let (x1, y1, x2, y2) = ends(link);
            let along = if x1 == x2 { 0.5 } else { 1.0 / 3.0 };
            let bead = Shape::circle(
                format!("bead-{link}"),
                x1 + (x2 - x1) * along,
                y1 + (y2 - y1) * 0.5,
                BEAD,
            );
            let (does, bead) = if linked {
                ("Cut", bead)
            } else {
                ("Mend", bead.tone(Tone::Faint).label("cut"))
            };
            let does = format!(
                "{does} the link from {} to {}",
                from_part.label, to_part.label
            );
            scene.add(bead.small().tap(CUT, link as i64, does));
        }

        for (place, (title, _)) in self.diagram.frames.iter().enumerate() {
            let x = if place == 0 { 6.0 } else { 222.0 };
            let tone = match () {
                _ if self.is_stopped(title) => Tone::Bad,
                _ if self.singles.contains(title) => Tone::B,
                _ => Tone::A,
            };
            let does = if self.is_stopped(title) {
                "Start"
            } else {
                "Stop"
            };
            let tab = Shape::rect(format!("rack-{place}"), x, 241.0, width, 25.0)
                .tone(tone)
                .label(title)
                .small();
            scene.add(tab.tap(STOP_RACK, place as i64, format!("{does} {title}")));
        }
        let label = ["Draw the rack", "Split in two racks", "Draw no racks"][self.racks];
        let button = Shape::rect("racks", 94.0, 241.0, 116.0, 25.0)
            .label(label)
            .small();
        scene.add(button.tap(RACKS, 0, label));

        let mut lines = in_lines(&self.singles);
        lines.truncate(2);
        for (place, line) in lines.into_iter().enumerate() {
            let y = 300.0 + 14.0 * place as f64;
            scene.add(
                Shape::words(format!("singles-{place}"), 0.0, y, line)
                    .small()
                    .strong(),
            );
        }
        let down = format!(
            "Down in 30 days, each part being up 99.9 %: {}",
            time(self.down_s)
        );
        scene.add(Shape::words("down", 0.0, 284.0, down).small());
        scene.say(self.words());
    }

    fn reached(&self) -> Vec<bool> {
        self.goals.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_RACK: [(usize, i64); 2] = [(RACKS, 0), (RACKS, 0)];
    const THREE_COPIES: [(usize, i64); 3] = [(ADD, 1), (ADD, 5), (ADD, 9)];

    fn begun(start: &str) -> Lab {
        Lab::new(&Setup::new(1).with("start", start))
    }

    fn done(start: &str, acts: &[(usize, i64)]) -> Lab {
        let mut lab = begun(start);
        for (action, value) in acts {
            lab.act(*action, *value);
        }
        lab
    }

    fn words(lab: &Lab) -> String {
        let mut scene = Scene::default();
        lab.draw(&mut scene);
        scene.words().to_owned()
    }

    #[test]
    fn playing_the_first_diagram_reaches_no_goal() {
        let mut lab = begun("0");
        for _ in 0..Lab::ABOUT.steps_max {
            lab.step();
        }
        assert_eq!(lab.reached(), [false; 4]);
    }

    #[test]
    fn three_copies_and_a_second_rack_leave_no_single_point() {
        let lab = done("0", &[&THREE_COPIES[..], &SECOND_RACK].concat());
        assert_eq!(lab.reached(), [true, false, false, false]);
        assert!(lab.singles.is_empty());
        let copies_only = done("0", &THREE_COPIES);
        assert!(
            copies_only.singles.is_empty() && !copies_only.goals[0],
            "no rack is drawn"
        );
        let one_rack = done("0", &[&THREE_COPIES[..], &SECOND_RACK[1..]].concat());
        assert_eq!(one_rack.singles, ["the only rack"]);
        assert!(!one_rack.goals[0]);
    }

    #[test]
    fn a_fourth_copy_a_cut_link_or_a_finished_diagram_is_not_the_first_goal() {
        let fourth = [&[(ADD, 2), (ADD, 3)], &THREE_COPIES[..], &SECOND_RACK].concat();
        assert!(!done("0", &fourth).goals[0]);
        let cut = [&THREE_COPIES[..], &[(CUT, 5)], &SECOND_RACK].concat();
        let cut = done("0", &cut);
        assert!(cut.singles.is_empty() && !cut.goals[0]);
        assert!(!done("2", &[(RACKS, 0), (RACKS, 0), (RACKS, 0)]).goals[0]);
    }

    #[test]
    fn the_only_rack_stops_a_client_whose_parts_are_all_there_twice() {
        let mut lab = begun("1");
        while lab.step() && !lab.stopped.is_empty() && !lab.goals[1] {}
        assert_eq!(lab.reached(), [false, true, false, false]);
        assert!(
            words(&lab).contains("needs balancer, and no copy of balancer is up"),
            "{}",
            words(&lab)
        );
        let built = done(
            "0",
            &[&THREE_COPIES[..], &[(RACKS, 0), (STOP_RACK, 0)]].concat(),
        );
        assert!(built.goals[1]);
        // Not redundant, or not one rack alone.
        assert!(!done("0", &[(RACKS, 0), (STOP_RACK, 0)]).goals[1]);
        assert!(!done("2", &[(STOP_RACK, 0), (STOP_RACK, 1)]).goals[1]);
    }

    #[test]
    fn an_app_that_no_balancer_can_reach_is_no_copy() {
        let mut lab = begun("2");
        lab.act(CUT, 0);
        assert_eq!(lab.singles, ["rack 2"], "both balancers lean on its app");
        lab.act(CUT, 2);
        assert_eq!(lab.singles, ["app copy 2", "rack 2"]);
        assert_eq!(lab.reached(), [false, false, true, false]);
        lab.act(CUT, 0);
        lab.act(CUT, 2);
        assert!(lab.singles.is_empty(), "mended");
        assert!(!done("0", &[(CUT, 0)]).goals[2], "there is one balancer");
    }

    #[test]
    fn one_more_part_that_is_needed_lengthens_the_downtime_and_a_copy_does_not() {
        for (slot, more) in [(2, true), (1, false), (5, false), (9, false)] {
            let lab = done("0", &[(ADD, slot)]);
            assert_eq!(lab.down_s > begun("0").down_s, more, "{slot}");
            assert_eq!(lab.goals[3], more, "{slot}");
        }
    }

    #[test]
    fn the_last_link_to_a_thing_cannot_be_cut() {
        let lab = done("2", &[(CUT, 0), (CUT, 1)]);
        assert!(!lab.linked(0) && lab.linked(1));
        assert_eq!(done("0", &[(CUT, 4)]).singles, begun("0").singles);
    }

    #[test]
    fn the_picture_names_the_single_points_of_the_programs_diagrams() {
        for (start, text) in [("0", TODAY), ("1", &in_one_rack()), ("2", TWO_RACKS)] {
            let read = read(text).expect("a diagram");
            let lab = begun(start);
            assert_eq!(lab.singles, read.single_points());
            let racks =
                |diagram: &Diagram| -> BTreeSet<_> { diagram.frames.iter().cloned().collect() };
            assert_eq!(racks(&lab.diagram), racks(&read), "{start}");
        }
        assert_eq!(begun("0").singles, ["DNS", "balancer", "orders"]);
    }

    #[test]
    fn a_step_loses_one_thing_alone_and_the_client_stops_where_the_finder_says_so() {
        for start in ["0", "1", "2"] {
            let mut lab = begun(start);
            let mut stopped_it = Vec::new();
            lab.step();
            while let Some(name) = lab.stopped.first().cloned() {
                assert_eq!(lab.stopped.len(), 1);
                if !lab.client_works() {
                    stopped_it.push(name);
                }
                lab.step();
            }
            assert_eq!(stopped_it, lab.singles);
        }
    }

    #[test]
    fn the_words_say_why() {
        let lab = done("0", &[(STOP, 8)]);
        assert_eq!(
            words(&lab),
            "Stopped: orders. The client stops: it needs balancer, balancer needs app, app needs orders, \
             and no copy of orders is up."
        );
        assert_eq!(
            words(&done("0", &[(STOP, 6)])),
            "Stopped: app copy 1. The client still works."
        );
        assert_eq!(
            words(&begun("0")),
            "Everything is up, and the client works. Single points of failure: DNS, balancer, orders. \
             Down in 30 days: 2 h 10 min."
        );
    }

    /// Adds up all cases, however many are down at once.
    fn exact(diagram: &Diagram) -> f64 {
        let suspects = diagram.suspects();
        let mut down = 0.0;
        for case in 0..1_u32 << suspects.len() {
            let is_lost = |place: &usize| case >> place & 1 == 1;
            let lost = (0..suspects.len())
                .filter(is_lost)
                .flat_map(|place| suspects[place].1.clone())
                .collect();
            if diagram.stops_a_client(&lost) {
                let share = |place| if is_lost(&place) { DOWN } else { 1.0 - DOWN };
                down += (0..suspects.len()).map(share).product::<f64>();
            }
        }
        down
    }

    #[test]
    fn the_downtime_is_that_of_all_cases_to_a_second() {
        let login = [(ADD, 2), (ADD, 3)];
        let edits = [
            ("0", vec![]),
            ("0", [&THREE_COPIES[..], &SECOND_RACK[1..]].concat()),
            ("0", THREE_COPIES.to_vec()),
            ("1", login.to_vec()),
            ("2", [&login[..], &[(CUT, 0), (CUT, 2)]].concat()),
            ("2", vec![]),
        ];
        for (start, acts) in edits {
            let lab = done(start, &acts);
            let off = MONTH_S * exact(&lab.diagram) - lab.down_s as f64;
            assert!(off.abs() < 1.0, "{start} {acts:?}: {off}");
        }
        // Three parts of 99.9 % in series and a pair.
        let by_hand = 1.0 - 0.999_f64.powi(3) * (1.0 - 0.001_f64.powi(2));
        assert!((begun("0").down_s as f64 - MONTH_S * by_hand).abs() < 1.0);
    }

    #[test]
    fn times_are_written_in_seconds_minutes_or_hours() {
        assert_eq!([9, 2_592, 7_771].map(time), ["9 s", "43 min", "2 h 10 min"]);
    }
}
