//! Program: efficiency_queue
//!
//! Two systems get the same draws at the same load: the plain queue (one server, work by chance,
//! oldest first), and the one that the reader sets up. The reader moves the load during the run, and
//! a bar for each load grows or shrinks with the mean time in the system.

use super::{draws, formula_us, percentile_us, Kind as Queue, Order, System, BUSY, SERVICE_US};
use crate::figure::{About, Action, Control, Figure, Kind, Setup};
use crate::scene::{Scene, Shape, Tone, WIDTH_MAX};

/// Virtual time of a step: the work of five requests.
const STEP_US: u64 = 50_000;
const STEPS: usize = 3_000;
/// Answers at one load, before their mean and their 99th percentile say something.
const ENOUGH: usize = 1_000;
/// Steps between two looks at the 99th percentiles.
const SELDOM: usize = 20;
/// A mean is drawn after this many.
const SOME: usize = 20;
/// Who waits longer than the work of ten requests is drawn otherwise.
const LONG_US: u64 = 100_000;
const HALF_FULL: usize = 0;
const LOAD_95: usize = 3;
const LOAD_98: usize = 4;

const SERVER: f64 = 31.0;
const TOKEN: f64 = 13.0;
const ROW: f64 = 62.0;
const FLOOR: f64 = 262.0;
/// A pixel of a bar.
const PIXEL_US: u64 = 6_000;
const BAR_MAX: f64 = 96.0;
const GROUP: f64 = WIDTH_MAX / BUSY.len() as f64;

/// A system, what is to come to it, and what came out at each load.
struct Line {
    system: System,
    draws: Box<dyn Iterator<Item = (f64, f64)>>,
    next: (f64, f64),
    arrival_us: u64,
    by_chance: bool,
    order: Order,
    times_us: [Vec<u64>; BUSY.len()],
}

impl Line {
    fn new(seed: u64, servers: usize, by_chance: bool, order: Order) -> Line {
        let mut draws: Box<dyn Iterator<Item = _>> = Box::new(draws(seed));
        Line {
            system: System::new(servers),
            next: draws.next().unwrap_or((1.0, 1.0)),
            draws,
            arrival_us: 0,
            by_chance,
            order,
            times_us: Default::default(),
        }
    }

    /// All that happens up to `until_us`, at the load `loads` had when each request arrived.
    fn run(&mut self, until_us: u64, load: usize, loads: &[(u64, usize)]) {
        let servers = self.system.in_service.len();
        loop {
            let done_us = self.system.next_done_us().unwrap_or(u64::MAX);
            if self.arrival_us.min(done_us) > until_us {
                return;
            }
            let (gap, work) = self.next;
            let work = if self.by_chance { work } else { 1.0 };
            let coming = (self.arrival_us, (work * SERVICE_US) as u64);
            if self.system.step(Some(coming), self.order) {
                self.arrival_us += (gap * SERVICE_US / BUSY[load] / servers as f64) as u64;
                self.next = self.draws.next().unwrap_or((1.0, 1.0));
            } else if let Some(&time_us) = self.system.times_us.last() {
                let arrived_us = self.system.now_us - time_us;
                let place = loads.partition_point(|(since_us, _)| *since_us <= arrived_us);
                self.times_us[loads[place.max(1) - 1].1].push(time_us);
            }
        }
    }

    fn mean_us(&self, load: usize) -> Option<u64> {
        let times = &self.times_us[load];
        (times.len() >= SOME).then(|| times.iter().sum::<u64>() / times.len() as u64)
    }

    fn told(&self, load: usize) -> String {
        let count = self.times_us[load].len();
        match self.mean_us(load) {
            Some(mean_us) if count >= ENOUGH / 5 => format!(
                "mean {} ms, p99 {} ms of {count}",
                mean_us / 1000,
                percentile_us(&self.times_us[load], 99) / 1000
            ),
            Some(mean_us) => format!("mean {} ms of {count}", mean_us / 1000),
            None => format!("{count} answered so far"),
        }
    }
}

/// The plain queue, the reader's, and the load over time.
pub struct Lab {
    lines: [Line; 2],
    same: bool,
    title: String,
    steps: usize,
    /// Since when the load was which place in [`BUSY`].
    loads: Vec<(u64, usize)>,
    reached: [bool; 4],
}

fn percent(load: usize) -> u64 {
    (BUSY[load] * 100.0).round() as u64
}

fn formula_ms(load: usize) -> u64 {
    (formula_us(Queue::Mm1, BUSY[load]) / 1000.0).round() as u64
}

impl Lab {
    fn load(&self) -> usize {
        self.loads.last().map_or(HALF_FULL, |(_, load)| *load)
    }

    /// Compares the two at the load of this moment.
    fn judge(&mut self) {
        let load = self.load();
        let [plain, yours] = &self.lines;
        let counts = self.lines.each_ref().map(|line| line.times_us[load].len());
        let (Some(plain_us), Some(yours_us)) = (plain.mean_us(load), yours.mean_us(load)) else {
            return;
        };
        if counts[0] >= ENOUGH {
            let off_ms = (plain_us / 1000).abs_diff(formula_ms(load));
            self.reached[2] |= load >= LOAD_95 && plain_us > 10 * SERVICE_US as u64;
            self.reached[3] |= load == LOAD_98 && 3 * off_ms >= formula_ms(load);
        }
        if counts.into_iter().all(|count| count >= ENOUGH) && !self.same {
            // Newest first, the mean of those answered leaves out who waits longest.
            let oldest_first = matches!(yours.order, Order::OldestFirst);
            self.reached[1] |= oldest_first && load > HALF_FULL && 2 * yours_us <= plain_us;
            if !self.reached[0] && self.steps.is_multiple_of(SELDOM) {
                let [plain_p99, yours_p99] = self
                    .lines
                    .each_ref()
                    .map(|line| percentile_us(&line.times_us[load], 99));
                self.reached[0] = yours_p99 >= 2 * plain_p99;
            }
        }
    }
}

impl Figure for Lab {
    const ABOUT: &'static About = &About {
        title: "A queue, and yours, at rising utilisation",
        controls: &[
            Control {
                key: "servers",
                label: "Your servers",
                kind: Kind::Slider { min: 1, max: 4, step: 1, value: 1, unit: "with one queue" },
            },
            Control {
                key: "work",
                label: "Your requests' work",
                kind: Kind::Choice { options: &["by chance, 10 ms on average", "10 ms each"], value: 0 },
            },
            Control {
                key: "order",
                label: "Your order",
                kind: Kind::Choice { options: &["oldest first", "newest first"], value: 0 },
            },
        ],
        actions: &[Action { label: "Set the load", button: false }],
        goals: &[
            "Double the 99th percentile and add no load: yours twice the plain queue's, after 1,000 answers of each.",
            "Halve the mean and take no load off: oldest first, yours at most half the plain queue's, at 80 % or more.",
            "Bring the load to 95 %, and see a mean of more than ten times the work, 100 ms, in the plain queue.",
            "Fool a load test: 1,000 answers at 98 %, and a mean that is a third or more off the formula's 500 ms.",
        ],
        pace_ms: 80,
        still_acts: &[],
        still_steps: 400,
        steps_max: STEPS,
    };

    fn new(setup: &Setup) -> Self {
        let number = |key| setup.number(Self::ABOUT, key);
        let (servers, by_chance) = (number("servers") as usize, number("work") == 0);
        let order = || match number("order") {
            0 => Order::OldestFirst,
            _ => Order::NewestFirst,
        };
        let oldest = number("order") == 0;
        Lab {
            lines: [
                Line::new(setup.seed, 1, true, Order::OldestFirst),
                Line::new(setup.seed, servers, by_chance, order()),
            ],
            same: servers == 1 && by_chance && oldest,
            title: format!(
                "Yours: {servers} server{}, {}, {} first",
                if servers == 1 { "" } else { "s" },
                if by_chance { "by chance" } else { "equal work" },
                if oldest { "oldest" } else { "newest" }
            ),
            steps: 0,
            loads: vec![(0, HALF_FULL)],
            reached: [false; 4],
        }
    }

    fn step(&mut self) -> bool {
        self.steps += 1;
        let (until_us, load) = (self.steps as u64 * STEP_US, self.load());
        for line in &mut self.lines {
            line.run(until_us, load, &self.loads);
        }
        self.judge();
        self.steps < STEPS
    }

    fn act(&mut self, _: usize, load: i64) {
        if let Some(load) = usize::try_from(load).ok().filter(|load| *load < BUSY.len()) {
            if load != self.load() {
                self.loads.push((self.steps as u64 * STEP_US, load));
            }
        }
    }

    fn draw(&self, scene: &mut Scene) {
        scene.height(FLOOR + 34.0);
        let titles = ["Plain: 1 server, by chance, oldest first", &self.title];
        let now_us = self.steps as u64 * STEP_US;
        for (row, (line, title)) in self.lines.iter().zip(titles).enumerate() {
            let y = row as f64 * ROW;
            scene.add(
                Shape::words(format!("title-{row}"), 0.0, y + 8.0, title)
                    .small()
                    .strong(),
            );
            let servers = line.system.in_service.len();
            for (place, server) in line.system.in_service.iter().enumerate() {
                let x = WIDTH_MAX - (servers - place) as f64 * SERVER;
                let (tone, label) = if server.is_some() {
                    (Tone::C, "busy")
                } else {
                    (Tone::Faint, "idle")
                };
                scene.add(
                    Shape::rect(
                        format!("server-{row}-{place}"),
                        x,
                        y + 18.0,
                        SERVER - 2.0,
                        22.0,
                    )
                    .tone(tone)
                    .label(label)
                    .small(),
                );
            }
            // Who is served next stands next to the servers.
            let waiting = &line.system.waiting;
            let queue: Vec<u64> = match line.order {
                Order::OldestFirst => waiting.iter().map(|(at, _)| *at).collect(),
                Order::NewestFirst => waiting.iter().rev().map(|(at, _)| *at).collect(),
            };
            let right = WIDTH_MAX - servers as f64 * SERVER - 6.0;
            let room = ((right - 34.0) / TOKEN) as usize;
            for (place, arrived_us) in queue.iter().take(room).enumerate() {
                let long = now_us.saturating_sub(*arrived_us) > LONG_US;
                let x = right - (place + 1) as f64 * TOKEN;
                scene.add(
                    Shape::rect(
                        format!("waits-{row}-{place}"),
                        x,
                        y + 20.0,
                        TOKEN - 3.0,
                        18.0,
                    )
                    .tone(if long { Tone::B } else { Tone::A }),
                );
            }
            if queue.len() > room {
                let more = format!("+ {}", queue.len() - room);
                scene.add(Shape::words(format!("more-{row}"), 0.0, y + 29.0, more).small());
            }
            let told = format!("At {} %: {}", percent(self.load()), line.told(self.load()));
            scene.add(Shape::words(format!("told-{row}"), 0.0, y + 50.0, told).small());
        }
        self.chart(scene);
        let [plain, yours] = &self.lines;
        let inside = |line: &Line| line.system.inside();
        let load = self.load();
        let formula = format!(
            "The formula for the plain queue says {} ms.",
            formula_ms(load)
        );
        let mut words = format!(
            "At {} %: the plain queue has {} inside, {}. ",
            percent(load),
            inside(plain),
            plain.told(load)
        );
        if !self.same {
            words += &format!("Yours has {} inside, {}. ", inside(yours), yours.told(load));
        }
        scene.say(words + &formula);
    }

    fn reached(&self) -> Vec<bool> {
        self.reached.to_vec()
    }
}

impl Lab {
    /// Mean times by load, as bars, with the formula's beside them. The loads can be pressed.
    fn chart(&self, scene: &mut Scene) {
        let top = 2.0 * ROW + 10.0;
        scene.add(
            Shape::words(
                "chart",
                0.0,
                top,
                "Mean ms in the system; line: formula, plain",
            )
            .small(),
        );
        let height = |us: u64| ((us / (PIXEL_US / 10)) as f64 / 10.0).min(BAR_MAX);
        let formula = (0..BUSY.len()).map(|load| {
            (
                GROUP * load as f64 + 16.0,
                FLOOR - height(formula_ms(load) * 1000),
            )
        });
        for load in 0..BUSY.len() {
            let x = GROUP * load as f64;
            for (row, line) in self.lines.iter().enumerate() {
                let Some(mean_us) = line.mean_us(load) else {
                    continue;
                };
                if row == 1 && self.same {
                    continue;
                }
                let (x, tone) = (x + 4.0 + 26.0 * row as f64, [Tone::A, Tone::D][row]);
                scene.add(
                    Shape::rect(
                        format!("bar-{row}-{load}"),
                        x,
                        FLOOR - height(mean_us),
                        24.0,
                        height(mean_us),
                    )
                    .tone(tone),
                );
                let number = Shape::words(
                    format!("ms-{row}-{load}"),
                    x + 12.0,
                    FLOOR - height(mean_us) - 7.0,
                    (mean_us / 1000).to_string(),
                );
                scene.add(number.centred().small());
            }
            let set = load == self.load();
            let does = if set {
                "the load of this moment"
            } else {
                "make it the load"
            };
            scene.add(
                Shape::rect(
                    format!("load-{load}"),
                    x + 1.0,
                    FLOOR + 4.0,
                    GROUP - 2.0,
                    26.0,
                )
                .tone(if set { Tone::C } else { Tone::Plain })
                .label(format!("{} %", percent(load)))
                .tap(0, load as i64, format!("{} %: {does}", percent(load))),
            );
        }
        scene.add(Shape::path("formula", formula.collect()).dashed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab(seed: u64, servers: i64, work: i64, order: i64) -> Lab {
        let setup = Setup::new(seed)
            .with("servers", &servers.to_string())
            .with("work", &work.to_string())
            .with("order", &order.to_string());
        Lab::new(&setup)
    }

    fn at(mut lab: Lab, load: i64, steps: usize) -> Lab {
        lab.act(0, load);
        (0..steps).for_each(|_| {
            lab.step();
        });
        lab
    }

    #[test]
    fn playing_at_the_first_load_reaches_nothing() {
        for order in [0, 1] {
            let lab = at(lab(1, 1, 0, order), HALF_FULL as i64, STEPS);
            assert_eq!(lab.reached, [false; 4], "order {order}");
        }
    }

    #[test]
    fn newest_first_doubles_the_p99_and_does_not_count_as_a_halved_mean() {
        for seed in 1..=3 {
            let lab = at(lab(seed, 1, 0, 1), 2, 700);
            assert_eq!(lab.reached, [true, false, false, false], "seed {seed}");
        }
        assert!(!at(lab(1, 1, 0, 1), LOAD_98 as i64, 1_500).reached[1]);
    }

    #[test]
    fn more_servers_behind_one_queue_halve_the_mean_at_the_same_load() {
        for seed in 1..=3 {
            for (servers, work) in [(2, 1), (3, 0), (4, 0)] {
                let lab = at(lab(seed, servers, work, 0), 2, 700);
                assert_eq!(
                    lab.reached,
                    [false, true, false, false],
                    "seed {seed}, {servers} servers"
                );
            }
        }
    }

    #[test]
    fn at_95_percent_the_mean_passes_ten_services_and_at_98_a_short_test_is_wrong() {
        for seed in 1..=3 {
            let lab = at(lab(seed, 1, 0, 0), LOAD_95 as i64, 1_500);
            assert_eq!(lab.reached, [false, false, true, false], "seed {seed}");
            let lab = at(lab, LOAD_98 as i64, 400);
            assert_eq!(lab.reached, [false, false, true, true], "seed {seed}");
        }
    }

    #[test]
    fn the_figure_is_the_programs_queue() {
        let lab = at(lab(7, 1, 0, 0), 2, 800);
        let (gaps, works): (Vec<f64>, Vec<f64>) = draws(7).take(5_000).unzip();
        let times_us = crate::queue::path(&gaps, &works, BUSY[2], Order::OldestFirst).times_us;
        let seen = &lab.lines[0].times_us[2];
        assert!(seen.len() > 3_000);
        assert_eq!(seen[..], times_us[..seen.len()]);
    }

    #[test]
    fn two_settings_alike_stay_alike() {
        let mut lab = at(lab(3, 1, 0, 0), 1, 300);
        lab.act(0, 4);
        let lab = at(lab, 3, 300);
        let [plain, yours] = &lab.lines;
        assert_eq!(plain.times_us, yours.times_us);
        assert!(plain.times_us[1].len() > 1_000 && plain.times_us[3].len() > 1_000);
    }
}
