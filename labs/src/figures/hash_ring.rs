//! Program: sharding_hashing
//!
//! The same keys on a ring and under modulo, while the reader adds and removes servers. A step copies
//! one key that moved in each of the two, or reads a key when all have been copied.

use fastrand::Rng;

use super::{mixed, ring, Map, ShardId};
use crate::figure::{About, Action, Control, Figure, Kind, Setup};
use crate::scene::{Scene, Shape, Tone, WIDTH_MAX};

/// The places of the actions.
const REMOVE: usize = 0;
const ADD: usize = 1;
/// The two schemes.
const RING: usize = 0;
const MODULO: usize = 1;

const KEYS: usize = 48;
const SERVERS_FIRST: usize = 4;
const SERVERS_MIN: usize = 2;
/// One a tone.
const SERVERS_MAX: usize = 6;
const TONES: [Tone; SERVERS_MAX] = [Tone::A, Tone::B, Tone::C, Tone::D, Tone::Plain, Tone::Faint];
const LETTERS: u32 = 26;
/// Added to the seed, so that a reader's first ring is visibly uneven: 12, 21, 13 and 2 keys.
const FIRST: u64 = 178;

/// Two keys are at least so far apart that their strokes do not touch.
const KEYS_APART: u64 = u64::MAX / 96;
/// Two points are so far apart that both have room for their letters.
const LETTERS_APART: u64 = u64::MAX / 24;
/// A curve has a corner so often.
const CORNER: u64 = 1 << 57;

const MIDDLE: (f64, f64) = (101.0, 102.0);
const RADIUS: f64 = 80.0;
/// How far from the ring a key is that has to move.
const OUTSIDE: f64 = 11.0;
/// How long the line of a point is that has no letter.
const TICK: f64 = 8.0;
const COLUMN: f64 = 206.0;
const ROW: f64 = 31.0;
const STRIP: f64 = 234.0;
const CELLS: usize = 16;
const SHELF: f64 = 23.0;

#[derive(Clone, Copy, PartialEq, Eq)]
struct Server {
    id: ShardId,
    letter: char,
    slot: usize,
}

impl Server {
    fn tone(self) -> Tone {
        TONES[self.slot]
    }
}

struct Key {
    name: String,
    hash: u64,
    /// Who has it now, in each scheme.
    at: [Server; 2],
}

/// What the reader did last to the servers.
struct Change {
    joined: bool,
    server: Server,
    moved: [usize; 2],
    /// From whom or to whom keys move on the ring, and how many.
    others: Vec<(char, usize)>,
}

/// The servers, the keys, and what still has to be copied.
pub struct Lab {
    servers: Vec<Server>,
    maps: [Map; 2],
    keys: Vec<Key>,
    points: u32,
    first_id: u32,
    next: u32,
    rng: Rng,
    change: Option<Change>,
    read: Option<usize>,
    did: String,
    reached: [bool; 4],
}

/// The place of a hash on a circle that begins at the top and goes clockwise. Halves of angles need
/// nothing but square roots, which are exact to the last bit on every machine.
fn on_circle(hash: u64, radius: f64) -> (f64, f64) {
    let (mut x, mut y) = (0.0, -radius);
    let (mut cos, mut sin) = (-1.0_f64, 0.0_f64); // of half a turn
    for bit in 1..=12 {
        if hash >> (64 - bit) & 1 == 1 {
            (x, y) = (x * cos - y * sin, x * sin + y * cos);
        }
        (cos, sin) = (((1.0 + cos) / 2.0).sqrt(), ((1.0 - cos) / 2.0).sqrt());
    }
    (MIDDLE.0 + x, MIDDLE.1 + y)
}

/// How far two hashes are from each other, the shorter way round.
fn apart(one: u64, other: u64) -> u64 {
    let apart = one.wrapping_sub(other);
    apart.min(apart.wrapping_neg())
}

/// The curve from one hash clockwise to another.
fn arc(from: u64, to: u64, radius: f64) -> Vec<(f64, f64)> {
    let mut points = vec![on_circle(from, radius)];
    let mut corner = (from / CORNER).wrapping_add(1).wrapping_mul(CORNER);
    while corner.wrapping_sub(from) < to.wrapping_sub(from) {
        points.push(on_circle(corner, radius));
        corner = corner.wrapping_add(CORNER);
    }
    points.push(on_circle(to, radius));
    points
}

fn listed(parts: &[(char, usize)]) -> String {
    let parts: Vec<String> = parts
        .iter()
        .map(|(letter, keys)| format!("{letter} {keys}"))
        .collect();
    parts.join(", ")
}

impl Lab {
    fn server(&self, id: ShardId) -> Server {
        let known = self.servers.iter().find(|server| server.id == id);
        *known.unwrap_or(&self.servers[0])
    }

    /// Who has to have a key.
    fn home(&self, scheme: usize, key: usize) -> Server {
        self.server(self.maps[scheme].place(self.keys[key].hash))
    }

    fn waits(&self, scheme: usize, key: usize) -> bool {
        self.keys[key].at[scheme] != self.home(scheme, key)
    }

    fn to_copy(&self, scheme: usize) -> usize {
        (0..KEYS).filter(|key| self.waits(scheme, *key)).count()
    }

    fn owned(&self, scheme: usize, server: Server) -> usize {
        (0..KEYS)
            .filter(|key| self.home(scheme, *key) == server)
            .count()
    }

    fn largest(&self) -> usize {
        let owned = self.servers.iter().map(|server| self.owned(RING, *server));
        owned.max().unwrap_or(0)
    }

    fn points(&self) -> &[(u64, ShardId)] {
        match &self.maps[RING] {
            Map::Ring(points) => points,
            _ => &[],
        }
    }

    /// The point that a hash belongs to.
    fn point(&self, hash: u64) -> u64 {
        let points = self.points();
        let next = points.iter().find(|(point, _)| *point >= hash);
        next.or(points.first()).map_or(0, |(point, _)| *point)
    }

    fn build(&mut self) {
        let ids: Vec<ShardId> = self.servers.iter().map(|server| server.id).collect();
        self.maps = [ring(self.points, mixed, &ids), Map::Modulo(ids)];
    }

    fn copy(&mut self, scheme: usize, key: usize) {
        self.keys[key].at[scheme] = self.home(scheme, key);
    }

    fn copy_all(&mut self) {
        for scheme in [RING, MODULO] {
            (0..KEYS).for_each(|key| self.copy(scheme, key));
        }
    }

    /// A server with a name that none had before and a letter that none has now.
    fn newcomer(&mut self, slot: usize) -> Server {
        loop {
            let number = self.next;
            self.next += 1;
            let letter = (b'A' + (number % LETTERS) as u8) as char;
            if self.servers.iter().all(|server| server.letter != letter) {
                let id = ShardId(self.first_id + number);
                return Server { id, letter, slot };
            }
        }
    }

    fn add(&mut self, slot: usize) {
        let server = self.newcomer(slot);
        self.change(true, server);
    }

    fn change(&mut self, joined: bool, server: Server) {
        self.copy_all();
        let before = self.largest();
        if joined {
            self.servers.push(server);
        } else {
            self.servers.retain(|other| *other != server);
        }
        self.build();
        self.read = None;
        let mut others = Vec::new();
        for other in &self.servers {
            let moves = |key: &usize| {
                let (from, to) = (self.keys[*key].at[RING], self.home(RING, *key));
                from != to && *other == if joined { from } else { to }
            };
            match (0..KEYS).filter(moves).count() {
                0 => {}
                keys => others.push((other.letter, keys)),
            }
        }
        let (servers, largest) = (self.servers.len(), self.largest());
        let swollen = 2 * before <= KEYS && 2 * largest > KEYS;
        self.reached[1] |= !joined && servers >= 3 && swollen;
        self.reached[2] |= !joined && others.len() >= 3;
        self.reached[3] |= servers >= 5 && 4 * largest * servers <= 5 * KEYS;
        let moved = [self.to_copy(RING), self.to_copy(MODULO)];
        let way = if joined { "from" } else { "to" };
        let on_ring = match others.as_slice() {
            [] => "On the ring no key moves".to_owned(),
            [(other, keys)] => format!("On the ring {keys} of {KEYS} keys move, all {way} {other}"),
            _ => format!(
                "On the ring {} of {KEYS} keys move, {way} {}",
                moved[RING],
                listed(&others)
            ),
        };
        self.did = format!(
            "Server {} {}. {on_ring}; under modulo {}.",
            server.letter,
            if joined { "joins" } else { "leaves" },
            moved[MODULO]
        );
        self.change = Some(Change {
            joined,
            server,
            moved,
            others,
        });
    }

    fn read(&mut self, key: usize) {
        let Key { name, hash, .. } = &self.keys[key];
        let on = self.point(*hash).wrapping_sub(*hash);
        let percent = u128::from(on) * 100 >> 64;
        let servers = self.servers.len() as u64;
        self.did = format!(
            "Read {name}. On the ring the next point is {percent} % of a turn further on, one of {}. \
             Under modulo its hash leaves {} when divided by {servers}: {}.",
            self.home(RING, key).letter,
            hash % servers,
            self.home(MODULO, key).letter,
        );
        self.read = Some(key);
    }
}

impl Figure for Lab {
    const ABOUT: &'static About = &About {
        title: "The same 48 keys on a ring and under modulo",
        controls: &[Control {
            key: "points",
            label: "Points of each server on the ring",
            kind: Kind::Slider { min: 1, max: 8, step: 1, value: 1, unit: "" },
        }],
        actions: &[
            Action { label: "Remove a server", button: false },
            Action { label: "Add a server", button: true },
        ],
        goals: &[
            "With one change, make modulo move more than three quarters of the keys and the ring fewer than one quarter, and let both finish.",
            "Remove a server, so that another of at least three owns more than half of the keys on the ring, as none did before.",
            "Remove a server whose keys go to three different servers on the ring.",
            "Have five servers or more, none of which owns more than one and a quarter of its fair share on the ring.",
        ],
        pace_ms: 300,
        still_acts: &[(ADD, 0)],
        still_steps: 1,
        steps_max: 900,
    };

    fn new(setup: &Setup) -> Self {
        let mut rng = Rng::with_seed(setup.seed.wrapping_add(FIRST));
        let first_id = rng.u32(1..10_000) * 100;
        let mut lab = Lab {
            servers: Vec::new(),
            maps: [Map::Modulo(Vec::new()), Map::Modulo(Vec::new())],
            keys: Vec::new(),
            points: setup.number(Self::ABOUT, "points") as u32,
            first_id,
            next: 0,
            rng,
            change: None,
            read: None,
            did: String::new(),
            reached: [false; 4],
        };
        for slot in 0..SERVERS_FIRST {
            let server = lab.newcomer(slot);
            lab.servers.push(server);
        }
        lab.build();
        let at = [lab.servers[0]; 2];
        while lab.keys.len() < KEYS {
            let name = format!("user-{}", lab.rng.u32(1000..10_000));
            let hash = mixed(&name);
            let near = |key: &Key| apart(key.hash, hash) < KEYS_APART;
            if !lab.keys.iter().any(near) {
                lab.keys.push(Key { name, hash, at });
            }
        }
        lab.keys.sort_unstable_by_key(|key| key.hash);
        lab.copy_all();
        lab
    }

    fn step(&mut self) -> bool {
        let mut copied = Vec::new();
        for (scheme, name) in [(RING, "on the ring"), (MODULO, "under modulo")] {
            if let Some(key) = (0..KEYS).find(|key| self.waits(scheme, *key)) {
                let from = self.keys[key].at[scheme].letter;
                self.copy(scheme, key);
                let Key { name: key, at, .. } = &self.keys[key];
                copied.push(format!("{name} {key} from {from} to {}", at[scheme].letter));
            }
        }
        let left = [self.to_copy(RING), self.to_copy(MODULO)];
        if copied.is_empty() {
            let key = self.rng.u32(0..KEYS as u32) as usize;
            self.read(key);
        } else {
            self.did = format!(
                "Copied {}. Still to copy: ring {}, modulo {}.",
                copied.join(", "),
                left[RING],
                left[MODULO]
            );
        }
        if let (Some(Change { moved, .. }), [0, 0]) = (&self.change, left) {
            self.reached[0] |= 4 * moved[MODULO] > 3 * KEYS && 4 * moved[RING] < KEYS;
        }
        true
    }

    fn act(&mut self, action: usize, value: i64) {
        let in_slot = |slot: usize| {
            self.servers
                .iter()
                .find(|server| server.slot == slot)
                .copied()
        };
        let servers = self.servers.len();
        match (action, usize::try_from(value)) {
            (REMOVE, Ok(slot)) => match in_slot(slot) {
                Some(_) if servers == SERVERS_MIN => {
                    self.did = "The last two servers stay.".to_owned();
                }
                Some(server) => self.change(false, server),
                None => {}
            },
            (ADD, Ok(_)) if servers == SERVERS_MAX => {
                self.did = "There are six servers, as many as fit into the picture.".to_owned();
            }
            // The button says 0, an empty place its number from 1 on.
            (ADD, Ok(place)) if place <= SERVERS_MAX => {
                let mut free = (0..SERVERS_MAX).filter(|slot| in_slot(*slot).is_none());
                let slot = match place {
                    0 => free.next(),
                    _ => free.find(|slot| slot + 1 == place),
                };
                if let Some(slot) = slot {
                    self.add(slot);
                }
            }
            _ => {}
        }
    }

    fn draw(&self, scene: &mut Scene) {
        scene.height(STRIP + 3.0 * SHELF - 5.0);
        self.draw_ring(scene);
        self.draw_centre(scene);
        self.draw_servers(scene);
        self.draw_modulo(scene);
        let counts = [RING, MODULO].map(|scheme| {
            let counts: Vec<(char, usize)> = self
                .servers
                .iter()
                .map(|server| (server.letter, self.owned(scheme, *server)))
                .collect();
            listed(&counts)
        });
        let did = match self.did.as_str() {
            "" => format!(
                "{} servers, {}, nothing has moved.",
                self.servers.len(),
                self.points_each()
            ),
            did => did.to_owned(),
        };
        scene.say(format!(
            "{did} Keys on the ring: {}; under modulo: {}.",
            counts[RING], counts[MODULO]
        ));
    }

    fn reached(&self) -> Vec<bool> {
        self.reached.to_vec()
    }
}

impl Lab {
    fn points_each(&self) -> String {
        match self.points {
            1 => "1 point each".to_owned(),
            points => format!("{points} points each"),
        }
    }

    fn draw_ring(&self, scene: &mut Scene) {
        let points = self.points();
        let mut from = points.last().map_or(0, |(point, _)| *point);
        let mut arcs: Vec<(u64, u64, Server)> = Vec::new();
        for (point, id) in points {
            let server = self.server(*id);
            match arcs.last_mut() {
                Some((_, to, last)) if *last == server => *to = *point,
                _ => arcs.push((from, *point, server)),
            }
            from = *point;
        }
        for (from, to, server) in arcs {
            let key = format!("arc-{to}");
            let shape = Shape::path(key, arc(from, to, RADIUS))
                .tone(server.tone())
                .strong();
            scene.add(if server.tone() == Tone::Faint {
                shape.dashed()
            } else {
                shape
            });
        }
        for (number, key) in self.keys.iter().enumerate() {
            let out = if self.waits(RING, number) {
                OUTSIDE
            } else {
                0.0
            };
            let long = if self.read == Some(number) { 6.0 } else { 0.0 };
            let (x1, y1) = on_circle(key.hash, RADIUS + 3.0 + out);
            let (x2, y2) = on_circle(key.hash, RADIUS + 10.0 + out + long);
            scene.add(
                Shape::line(format!("key-{number}"), x1, y1, x2, y2)
                    .tone(key.at[RING].tone())
                    .strong(),
            );
        }
        let points = self.lettered();
        for (point, id, inwards) in &points {
            let (x, y) = on_circle(*point, RADIUS);
            let (to_x, to_y) = on_circle(*point, RADIUS - inwards.unwrap_or(TICK));
            let tick = Shape::line(format!("tick-{point}"), x, y, to_x, to_y);
            scene.add(tick.tone(self.server(*id).tone()));
        }
        for (point, id, inwards) in points {
            if let Some(inwards) = inwards {
                let server = self.server(id);
                let (x, y) = on_circle(point, RADIUS - inwards);
                let circle = Shape::circle(format!("point-{point}"), x, y, 8.0);
                scene.add(circle.tone(server.tone()).label(server.letter).small());
            }
        }
        if let Some(key) = self.read {
            let hash = self.keys[key].hash;
            let point = self.point(hash);
            let mut way = arc(hash, point, RADIUS + 16.0);
            way.push(on_circle(point, RADIUS + 3.0));
            let tone = self.home(RING, key).tone();
            scene.add(Shape::path("way", way).tone(tone).strong());
        }
    }

    /// The points, and how far inwards those have their letter for which there is room.
    fn lettered(&self) -> Vec<(u64, ShardId, Option<f64>)> {
        let rows = if self.points <= 2 { 2 } else { 1 };
        let mut taken: Vec<(u64, usize)> = Vec::new();
        let mut lettered = Vec::new();
        for (point, id) in self.points() {
            let free = |row: &usize| {
                let mut here = taken.iter().filter(|(_, other)| other == row);
                here.all(|(other, _)| apart(*point, *other) >= LETTERS_APART)
            };
            let row = (0..rows).find(free);
            taken.extend(row.map(|row| (*point, row)));
            lettered.push((*point, *id, row.map(|row| 11.0 + 17.0 * row as f64)));
        }
        lettered
    }

    fn draw_centre(&self, scene: &mut Scene) {
        let lines = match &self.change {
            None => [
                "on the ring".to_owned(),
                format!("{} servers", self.servers.len()),
                self.points_each(),
                String::new(),
            ],
            Some(Change {
                joined,
                server,
                moved,
                others,
            }) => {
                let letters: Vec<String> = others
                    .iter()
                    .map(|(letter, _)| letter.to_string())
                    .collect();
                [
                    format!(
                        "{} {}",
                        server.letter,
                        if *joined { "joins" } else { "leaves" }
                    ),
                    format!("moved: {} of {KEYS}", moved[RING]),
                    match letters.is_empty() {
                        true => String::new(),
                        false => format!(
                            "{} {}",
                            if *joined { "from" } else { "to" },
                            letters.join(", ")
                        ),
                    },
                    format!("to copy: {}", self.to_copy(RING)),
                ]
            }
        };
        for (row, line) in lines
            .into_iter()
            .enumerate()
            .filter(|(_, line)| !line.is_empty())
        {
            let y = MIDDLE.1 - 24.0 + 16.0 * row as f64;
            let words = Shape::words(format!("centre-{row}"), MIDDLE.0, y, line)
                .centred()
                .small();
            scene.add(if row == 0 { words.strong() } else { words });
        }
    }

    fn draw_servers(&self, scene: &mut Scene) {
        let columns = [(RING, "ring", 254.0), (MODULO, "modulo", 284.0)];
        for (_, name, x) in columns {
            scene.add(
                Shape::words(format!("column-{name}"), x, 6.0, name)
                    .centred()
                    .small(),
            );
        }
        for slot in 0..SERVERS_MAX {
            let y = 16.0 + ROW * slot as f64;
            let shape = Shape::rect(format!("slot-{slot}"), COLUMN, y, 32.0, 26.0);
            let Some(server) = self.servers.iter().find(|server| server.slot == slot) else {
                let does = format!("Add a server in place {}", slot + 1);
                scene.add(shape.dashed().label("+").tap(ADD, slot as i64 + 1, does));
                continue;
            };
            let counts = [RING, MODULO].map(|scheme| self.owned(scheme, *server));
            let does = format!(
                "Remove server {}: {} keys on the ring, {} under modulo",
                server.letter, counts[RING], counts[MODULO]
            );
            scene.add(shape.tone(server.tone()).label(server.letter).strong().tap(
                REMOVE,
                slot as i64,
                does,
            ));
            for (scheme, name, x) in columns {
                let count = counts[scheme].to_string();
                scene.add(Shape::words(format!("{name}-{slot}"), x, y + 13.0, count).centred());
            }
        }
    }

    fn draw_modulo(&self, scene: &mut Scene) {
        let title = match &self.change {
            None => "under modulo, the same keys".to_owned(),
            Some(change) => {
                format!(
                    "under modulo: moved {} of {KEYS}, to copy {}",
                    change.moved[MODULO],
                    self.to_copy(MODULO)
                )
            }
        };
        scene.add(Shape::words("modulo", 0.0, STRIP - 15.0, title).small());
        let width = WIDTH_MAX / CELLS as f64;
        for shelf in 0..KEYS / CELLS {
            let y = STRIP + SHELF * shelf as f64 + 15.6;
            scene.add(Shape::line(format!("shelf-{shelf}"), 0.0, y, WIDTH_MAX, y));
        }
        for (number, key) in self.keys.iter().enumerate() {
            let out = if self.waits(MODULO, number) { 5.0 } else { 0.0 };
            let x = width * (number % CELLS) as f64;
            let y = STRIP + SHELF * (number / CELLS) as f64 - out;
            let server = key.at[MODULO];
            let cell = Shape::rect(format!("cell-{number}"), x + 1.5, y, width - 3.0, 14.0);
            let cell = cell.tone(server.tone()).label(server.letter).small();
            scene.add(if self.read == Some(number) {
                cell.strong()
            } else {
                cell
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab(seed: u64, points: u32) -> Lab {
        Lab::new(&Setup::new(seed).with("points", &points.to_string()))
    }

    const SEEDS: std::ops::RangeInclusive<u64> = 1..=40;

    fn play(lab: &mut Lab) {
        for _ in 0..KEYS {
            lab.step();
        }
    }

    fn owned(lab: &Lab) -> Vec<usize> {
        lab.servers
            .iter()
            .map(|server| lab.owned(RING, *server))
            .collect()
    }

    /// The slots of the servers, from the one that owns most on the ring.
    fn slots(lab: &Lab) -> Vec<usize> {
        let mut servers = lab.servers.clone();
        servers.sort_by_key(|server| std::cmp::Reverse(lab.owned(RING, *server)));
        servers.iter().map(|server| server.slot).collect()
    }

    fn moved(lab: &Lab) -> [usize; 2] {
        lab.change.as_ref().expect("a change").moved
    }

    #[test]
    fn playing_alone_reaches_nothing_with_any_number_of_points() {
        for points in 1..=8 {
            for seed in SEEDS {
                let mut lab = lab(seed, points);
                (0..5).for_each(|_| play(&mut lab));
                assert_eq!(lab.reached, [false; 4], "seed {seed}, {points} points");
            }
        }
    }

    #[test]
    fn the_first_ring_is_uneven_and_a_newcomer_takes_all_from_one_neighbour() {
        let mut lab = lab(1, 1);
        assert_eq!(owned(&lab), [12, 21, 13, 2]);
        lab.act(ADD, 0);
        let others = &lab.change.as_ref().expect("a change").others;
        assert_eq!(
            (moved(&lab), others.as_slice()),
            ([8, 40], [('C', 8)].as_slice())
        );
    }

    /// Adds or removes, copies all but the last key, and says whether the last one reaches the goal.
    fn change_and_finish(lab: &mut Lab, action: usize, value: i64) -> bool {
        lab.act(action, value);
        let [ring, modulo] = moved(lab);
        for _ in 1..modulo {
            lab.step();
        }
        assert!(
            ring >= modulo || lab.to_copy(RING) == 0,
            "the ring has finished before"
        );
        assert!(!lab.reached[0], "not before the last key is copied");
        lab.step();
        assert_eq!(lab.reached[0], modulo >= 37 && ring < 12);
        lab.reached[0]
    }

    #[test]
    fn one_change_moves_over_three_quarters_under_modulo_and_under_a_quarter_on_the_ring() {
        assert!(
            change_and_finish(&mut lab(1, 1), ADD, 0),
            "the reader's first"
        );
        for seed in SEEDS {
            let mut six = lab(seed, 4);
            let reached = change_and_finish(&mut six, ADD, 0)
                || change_and_finish(&mut six, ADD, 0)
                || (0..2 * SERVERS_MAX).any(|turn| {
                    change_and_finish(&mut six, REMOVE, (turn % SERVERS_MAX) as i64)
                        || change_and_finish(&mut six, ADD, 0)
                });
            assert!(reached, "seed {seed}");
        }
    }

    #[test]
    fn with_one_point_a_neighbour_gets_all_and_comes_to_own_more_than_half() {
        for seed in SEEDS {
            let even = 2 * lab(seed, 1).largest() <= KEYS;
            let reached = (0..SERVERS_FIRST).any(|slot| {
                let mut lab = lab(seed, 1);
                lab.act(REMOVE, slot as i64);
                let others = lab.change.as_ref().expect("a change").others.len();
                assert!(others <= 1 && !lab.reached[2]);
                lab.reached[1]
            });
            // Where one owns more than half already, it has to be helped first.
            assert_eq!(reached, even, "seed {seed}");
        }
    }

    #[test]
    fn with_eight_points_the_keys_of_one_that_leaves_go_to_three_others() {
        for seed in SEEDS {
            let reached = (0..=SERVERS_FIRST).any(|slot| {
                let mut lab = lab(seed, 8);
                lab.act(ADD, 0);
                lab.act(REMOVE, slot as i64);
                lab.reached[2]
            });
            assert!(reached, "seed {seed}");
        }
    }

    /// Adds up to six, then replaces the one that owns most until the shares are even.
    fn replacements(lab: &mut Lab) -> Option<u32> {
        lab.act(ADD, 0);
        lab.act(ADD, 0);
        for times in 0..=12 {
            if lab.reached[3] {
                return Some(times);
            }
            lab.act(REMOVE, slots(lab)[0] as i64);
            lab.act(ADD, 0);
        }
        None
    }

    #[test]
    fn more_points_make_even_shares_likely_and_one_point_does_not() {
        let even = |points| {
            SEEDS
                .filter(|seed| replacements(&mut lab(*seed, points)).is_some())
                .count()
        };
        assert_eq!([even(1), even(4), even(8)], [1, 19, 38], "of 40 rings");
        for seed in SEEDS {
            let reached = (6..=8).any(|points| replacements(&mut lab(seed, points)).is_some());
            assert!(reached, "seed {seed}");
        }
        assert_eq!(replacements(&mut lab(1, 8)), Some(1));
    }

    #[test]
    fn the_picture_counts_as_the_programs_maps_place() {
        for seed in SEEDS {
            let mut lab = lab(seed, 3);
            for (action, value) in [(ADD, 0), (REMOVE, 1), (ADD, 6), (REMOVE, 0), (REMOVE, 5)] {
                let ids = |lab: &Lab| lab.servers.iter().map(|s| s.id).collect::<Vec<_>>();
                let before = [ring(3, mixed, &ids(&lab)), Map::Modulo(ids(&lab))];
                lab.act(action, value);
                let after = [ring(3, mixed, &ids(&lab)), Map::Modulo(ids(&lab))];
                for scheme in [RING, MODULO] {
                    let place = |map: &[Map; 2], key: &Key| map[scheme].place(mixed(&key.name));
                    let moves = lab
                        .keys
                        .iter()
                        .filter(|key| place(&before, key) != place(&after, key));
                    assert_eq!(moves.count(), moved(&lab)[scheme]);
                    let mut owned = 0;
                    for server in &lab.servers {
                        let here = lab
                            .keys
                            .iter()
                            .filter(|key| place(&after, key) == server.id)
                            .count();
                        assert_eq!(here, lab.owned(scheme, *server));
                        owned += here;
                    }
                    assert_eq!(owned, KEYS);
                }
                let others = &lab.change.as_ref().expect("a change").others;
                assert_eq!(
                    others.iter().map(|(_, keys)| keys).sum::<usize>(),
                    moved(&lab)[RING]
                );
            }
            play(&mut lab);
            assert_eq!((lab.to_copy(RING), lab.to_copy(MODULO)), (0, 0));
        }
    }

    #[test]
    fn the_point_that_is_shown_belongs_to_who_has_the_key() {
        for seed in SEEDS {
            let lab = lab(seed, 5);
            for key in 0..KEYS {
                let point = lab.point(lab.keys[key].hash);
                let owner = lab
                    .points()
                    .iter()
                    .find(|(p, _)| *p == point)
                    .expect("a point")
                    .1;
                assert!(owner == lab.home(RING, key).id);
            }
        }
    }

    #[test]
    fn a_change_first_finishes_the_copying_before_it() {
        let mut lab = lab(1, 1);
        lab.act(ADD, 0);
        lab.step();
        lab.act(REMOVE, 0);
        let gone = |key: &Key| key.at[RING].letter == 'A';
        let waiting = (0..KEYS).filter(|key| lab.waits(RING, *key));
        assert!(waiting.map(|key| &lab.keys[key]).all(gone));
    }

    #[test]
    fn two_servers_stay_and_six_are_all_and_a_place_is_filled_once() {
        let mut lab = lab(1, 1);
        for slot in [3, 2, 1, 0, 0, 9] {
            lab.act(REMOVE, slot);
        }
        assert_eq!(lab.servers.len(), SERVERS_MIN);
        for place in [4, 4, 4, 7, 99] {
            lab.act(ADD, place);
        }
        assert_eq!(lab.servers.len(), 3);
        for _ in 0..9 {
            lab.act(ADD, 0);
        }
        let letters: Vec<char> = lab.servers.iter().map(|server| server.letter).collect();
        assert_eq!(letters, ['A', 'B', 'E', 'F', 'G', 'H']);
        assert!(lab.did.contains("six"));
    }

    #[test]
    fn a_curve_begins_and_ends_at_its_points_on_the_circle() {
        let near = |(x, y): (f64, f64), (to_x, to_y): (f64, f64)| (x - to_x).hypot(y - to_y) < 0.2;
        let (x, y) = MIDDLE;
        for (hash, place) in [
            (0, (x, y - RADIUS)),
            (1 << 62, (x + RADIUS, y)),
            (1 << 63, (x, y + RADIUS)),
            (3 << 62, (x - RADIUS, y)),
        ] {
            assert!(near(on_circle(hash, RADIUS), place));
        }
        let across_the_top = arc(u64::MAX - (1 << 60), 1 << 60, RADIUS);
        assert!(across_the_top.len() > 16 && across_the_top.len() < 20);
        for place in across_the_top {
            assert!((f64::hypot(place.0 - x, place.1 - y) - RADIUS).abs() < 1e-9);
        }
    }
}
