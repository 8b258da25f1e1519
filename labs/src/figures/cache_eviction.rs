//! Program: caching_policies
//!
//! Five policies get the same requests, one at a time. Each row is a cache: a box keeps its place
//! until its key is evicted.

use std::collections::VecDeque;

use fastrand::Rng;

use super::policies::{self, Cache, Key};
use super::traces;
use crate::figure::{About, Action, Control, Figure, Kind, Setup};
use crate::scene::{Scene, Shape, Tone, WIDTH_MAX};

const REQUESTS: usize = 240;
const TRACES: [&str; 4] = [
    "popular keys (Zipf)",
    "a loop",
    "popularity that moves",
    "popular keys and scans",
];
/// Keys that nothing but the reader's scan asks for.
const SCANNED: u64 = 1_000;
/// A hit ratio says little before so many requests.
const ENOUGH: usize = 60;
const ROW: f64 = 34.0;
const LEFT: f64 = 54.0;

struct Row {
    name: &'static str,
    cache: Box<dyn Cache<()>>,
    /// Which key stands in which box.
    boxes: Vec<Option<Key>>,
    hits: usize,
    last: Option<bool>,
}

/// The caches, the requests to come and what happened.
pub struct Lab {
    rows: Vec<Row>,
    capacity: usize,
    coming: VecDeque<Key>,
    asked: Vec<Key>,
    scans: usize,
    /// The keys that half of the caches' room was used for before the reader's scan.
    hot: Vec<Key>,
}

impl Lab {
    fn ratio(&self, row: usize) -> f64 {
        self.rows[row].hits as f64 / self.asked.len().max(1) as f64
    }

    fn kept(&self, row: usize) -> usize {
        let boxes = &self.rows[row].boxes;
        self.hot
            .iter()
            .filter(|key| boxes.contains(&Some(**key)))
            .count()
    }
}

impl Figure for Lab {
    const ABOUT: &'static About = &About {
        title: "Five eviction policies on the same requests",
        controls: &[
            Control {
                key: "trace",
                label: "Requests",
                kind: Kind::Choice {
                    options: &TRACES,
                    value: 0,
                },
            },
            Control {
                key: "capacity",
                label: "Room in each cache",
                kind: Kind::Slider {
                    min: 4,
                    max: 10,
                    step: 1,
                    value: 8,
                    unit: "entries",
                },
            },
            Control {
                key: "keys",
                label: "Different keys",
                kind: Kind::Slider {
                    min: 6,
                    max: 40,
                    step: 1,
                    value: 24,
                    unit: "",
                },
            },
        ],
        actions: &[Action {
            label: "Scan once",
            button: true,
        }],
        goals: &[
            "Find requests of which LRU answers none, and another policy some.",
            "Let one scan empty LRU of all that it held, while another cache keeps half.",
            "Make LFU the worst of the five, after 60 requests or more.",
        ],
        pace_ms: 350,
        still_acts: &[],
        still_steps: 60,
        steps_max: 600,
    };

    fn new(setup: &Setup) -> Self {
        let number = |key| setup.number(Self::ABOUT, key) as usize;
        let (capacity, keys) = (number("capacity"), number("keys") as u64);
        let mut rng = Rng::with_seed(setup.seed);
        let coming = match number("trace") {
            0 => traces::zipf(keys, REQUESTS, &mut rng),
            1 => traces::cycle(keys, REQUESTS),
            2 => traces::shifting(keys, REQUESTS, REQUESTS / 4, &mut rng),
            _ => traces::zipf_with_scans(keys, REQUESTS, (4 * capacity, 2 * capacity), &mut rng),
        };
        let rows = policies::all(capacity).map(|(name, cache)| Row {
            name,
            cache,
            boxes: vec![None; capacity],
            hits: 0,
            last: None,
        });
        Lab {
            rows: rows.into(),
            capacity,
            coming: coming.into(),
            asked: Vec::new(),
            scans: 0,
            hot: Vec::new(),
        }
    }

    fn step(&mut self) -> bool {
        let Some(key) = self.coming.pop_front() else {
            return false;
        };
        self.asked.push(key);
        for row in &mut self.rows {
            let hit = row.cache.get(key).is_some();
            row.hits += usize::from(hit);
            row.last = Some(hit);
            if !hit {
                let left = row.cache.put(key, ()).map(|(key, ())| key);
                // An empty box is the place of nobody who left.
                if let Some(free) = row.boxes.iter_mut().find(|here| **here == left) {
                    *free = Some(key);
                }
            }
        }
        !self.coming.is_empty()
    }

    fn act(&mut self, _: usize, _: i64) {
        let first = SCANNED + (self.scans * 2 * self.capacity) as u64;
        self.scans += 1;
        self.hot = self.rows[1].boxes.iter().flatten().copied().collect();
        for key in traces::scan(first, 2 * self.capacity).into_iter().rev() {
            self.coming.push_front(key);
        }
    }

    fn draw(&self, scene: &mut Scene) {
        let top = 44.0;
        scene.height(top + ROW * self.rows.len() as f64 + 4.0);
        let shown = |key: &Key| {
            if key.0 >= SCANNED {
                format!("s{}", key.0 - SCANNED)
            } else {
                key.0.to_string()
            }
        };
        scene.add(Shape::words("next-label", 0.0, 12.0, "Next").small());
        for (place, key) in self.coming.iter().take(8).enumerate() {
            let number = self.asked.len() + place;
            let tone = if key.0 >= SCANNED { Tone::B } else { Tone::A };
            let x = LEFT + place as f64 * 28.0;
            scene.add(
                Shape::rect(format!("next-{number}"), x, 2.0, 24.0, 20.0)
                    .tone(tone)
                    .label(shown(key))
                    .small(),
            );
        }
        let newest = self.asked.last();
        let width = ((WIDTH_MAX - LEFT - 38.0) / self.capacity as f64).min(30.0);
        for (index, row) in self.rows.iter().enumerate() {
            let y = top + index as f64 * ROW;
            scene.add(
                Shape::words(format!("name-{}", row.name), 0.0, y + 12.0, row.name)
                    .small()
                    .strong(),
            );
            for (place, key) in row.boxes.iter().enumerate() {
                let (tone, label) = match key {
                    None => (Tone::Faint, String::new()),
                    Some(key) if Some(key) == newest && row.last == Some(true) => {
                        (Tone::Good, shown(key))
                    }
                    Some(key) if Some(key) == newest => (Tone::C, shown(key)),
                    Some(key) if key.0 >= SCANNED => (Tone::B, shown(key)),
                    Some(key) => (Tone::A, shown(key)),
                };
                let x = LEFT + place as f64 * width;
                scene.add(
                    Shape::rect(format!("{}-{place}", row.name), x, y, width - 3.0, 24.0)
                        .tone(tone)
                        .label(label)
                        .small(),
                );
            }
            let percent = format!("{:.0} %", 100.0 * self.ratio(index));
            scene.add(
                Shape::words(format!("hits-{}", row.name), WIDTH_MAX, y + 12.0, percent)
                    .to_the_left()
                    .small(),
            );
        }
        let ratios: Vec<String> = self
            .rows
            .iter()
            .enumerate()
            .map(|(index, row)| format!("{} {:.0} %", row.name, 100.0 * self.ratio(index)))
            .collect();
        scene.say(match newest {
            None => "Nothing was asked for yet.".to_owned(),
            Some(key) => {
                let found: Vec<&str> = self
                    .rows
                    .iter()
                    .filter(|row| row.last == Some(true))
                    .map(|row| row.name)
                    .collect();
                let found = match found.len() {
                    0 => "no cache has it".to_owned(),
                    5 => "every cache has it".to_owned(),
                    _ => format!("{} have it", found.join(", ")),
                };
                format!(
                    "Request {} asks for key {}: {found}. Hits so far: {}.",
                    self.asked.len(),
                    shown(key),
                    ratios.join(", ")
                )
            }
        });
    }

    fn reached(&self) -> Vec<bool> {
        let enough = self.asked.len() >= ENOUGH;
        let scanned = !self.hot.is_empty() && self.coming.front().is_none_or(|key| key.0 < SCANNED);
        let half = self.hot.len().div_ceil(2);
        let lfu = self.rows[2].hits;
        vec![
            enough && self.rows[1].hits == 0 && self.rows.iter().any(|row| row.hits > 0),
            scanned && self.kept(1) == 0 && (0..5).any(|row| self.kept(row) >= half),
            enough
                && self
                    .rows
                    .iter()
                    .enumerate()
                    .all(|(index, row)| index == 2 || row.hits > lfu),
        ]
    }
}
