//! Program: scalability_autoscaler
//!
//! A control loop follows a load that the reader changes. A step is a tick of 15 seconds.

use fastrand::Rng;

use super::{loops, noisy, turns, Loop, Simulation, SERVERS_MAX, SERVER_RPS, TARGET, TICK_S};
use crate::figure::{About, Action, Control, Figure, Kind, Setup};
use crate::scene::{Scene, Shape, Tone, WIDTH_MAX};

/// Requests a second, of which the reader chooses.
const LOADS: [u32; 4] = [100, 300, 900, 2_700];
/// The place of the first one: the jump has happened as the run begins.
const FIRST: usize = 2;
/// How many ticks the curves show: 23 minutes and a half.
const SHOWN: usize = 94;
const TICK_WIDTH: f64 = 3.0;
const LEFT: f64 = WIDTH_MAX - SHOWN as f64 * TICK_WIDTH;
/// Servers in a row of the picture.
const IN_A_ROW: usize = 30;
/// The curve of the servers: its bottom, and the height of a server.
const SERVERS_Y: f64 = 204.0;
const SERVER_HEIGHT: f64 = 1.7;
/// The curve of the utilisation: its bottom, and its height at 100 %.
const BUSY_Y: f64 = 282.0;
const BUSY_HEIGHT: f64 = 42.0;

/// Five minutes, in ticks.
const CALM_TICKS: usize = (5 * 60 / TICK_S) as usize;
const TURNS: usize = 10;
const REFUSED_EARLY: f64 = 10_000.0;

/// What one tick came to.
struct Moment {
    serving: usize,
    ordered: usize,
    /// Servers that would bring the utilisation to the target.
    needed: f64,
    /// Utilisation: of this tick, and the mean of a minute.
    busy: f64,
    seen: f64,
    /// Requests a second, the mean that the loop saw.
    asked: f64,
    refused: f64,
}

/// The cluster, its loop, and what happened since the reader changed the load.
pub struct Lab {
    simulation: Simulation,
    control: Box<dyn Loop>,
    name: &'static str,
    /// It sees what users ask for rather than how busy the servers are.
    by_rate: bool,
    noise: f64,
    rng: Rng,
    load: u32,
    moments: Vec<Moment>,
    /// The load before the last change, and the tick of the change.
    change: Option<(u32, usize)>,
    reached: [bool; 4],
}

impl Lab {
    /// The tick of a change is the first one under the new load.
    fn look(&mut self) {
        let (old, at) = self.change.unwrap_or((self.load, 0));
        let since = &self.moments[at..];
        // One size more: how many there were when the load changed.
        let sizes = &self.simulation.run.sizes[at..];
        let calm = since.len().saturating_sub(CALM_TICKS);
        let is_calm = since.len() > CALM_TICKS
            && since[calm..].iter().all(|moment| moment.refused == 0.0)
            && sizes[calm..].windows(2).all(|pair| pair[0] == pair[1]);
        let before_help = since
            .iter()
            .take_while(|moment| moment.serving <= since[0].serving);
        let early: f64 = before_help.map(|moment| moment.refused).sum();
        let now = [
            self.name == "target" && turns(sizes) >= TURNS,
            (old, self.load) == (LOADS[0], LOADS[2]) && is_calm && turns(sizes) == 0,
            self.change.is_some() && early >= REFUSED_EARLY,
            self.load >= 3 * old && is_calm && since.iter().all(|moment| moment.refused == 0.0),
        ];
        for (reached, now) in self.reached.iter_mut().zip(now) {
            *reached |= now;
        }
    }

    fn refused(&self) -> u64 {
        self.simulation.run.refused.round() as u64
    }
}

/// The points of a curve; time goes from left to right, now is at the right once there is enough.
fn curve(moments: &[Moment], height: impl Fn(&Moment) -> f64) -> Vec<(f64, f64)> {
    let points = moments.iter().enumerate();
    points
        .map(|(tick, moment)| (LEFT + tick as f64 * TICK_WIDTH, height(moment)))
        .collect()
}

fn percent(share: f64) -> u64 {
    (100.0 * share).round() as u64
}

impl Figure for Lab {
    const ABOUT: &'static About = &About {
        title: "A loop that adds and removes servers",
        controls: &[
            Control {
                key: "loop",
                label: "Loop",
                kind: Kind::Choice { options: &["threshold", "target", "damped", "damped, by rate"], value: 0 },
            },
            Control {
                key: "noise",
                label: "Noise of the load",
                kind: Kind::Slider { min: 0, max: 30, step: 10, value: 0, unit: "%" },
            },
        ],
        actions: &[Action { label: "Change the load", button: false }],
        goals: &[
            "Make the target loop turn ten times, without a change of the load.",
            "Go from 100 to 900 requests a second and settle without a turn: for five minutes no order, and nobody refused.",
            "Let 10,000 requests be refused after a change before one more server serves.",
            "Triple the load, or more, and refuse nobody until it has settled.",
        ],
        pace_ms: 250,
        still_acts: &[],
        still_steps: 90,
        steps_max: 480,
    };

    fn new(setup: &Setup) -> Self {
        let number = |key| setup.number(Self::ABOUT, key);
        let chosen = loops().into_iter().nth(number("loop") as usize);
        // The control offers as many as there are.
        let (name, control) = chosen.unwrap_or_else(|| ("threshold", Box::new(super::Threshold)));
        Lab {
            simulation: Simulation::new(),
            control,
            name,
            by_rate: name == "by rate",
            noise: number("noise") as f64 / 100.0,
            rng: Rng::with_seed(setup.seed),
            load: LOADS[FIRST],
            moments: Vec::new(),
            change: None,
            reached: [false; 4],
        }
    }

    fn step(&mut self) -> bool {
        let rps = noisy(self.load.into(), self.noise, &mut self.rng);
        let refused = self.simulation.run.refused;
        let view = self.simulation.tick(&mut *self.control, rps);
        self.moments.push(Moment {
            serving: view.serving,
            ordered: self.simulation.cluster.serving + self.simulation.cluster.starting.len(),
            needed: f64::from(self.load) / (SERVER_RPS * TARGET),
            busy: (rps / (view.serving as f64 * SERVER_RPS)).min(1.0),
            seen: view.utilisation,
            asked: view.asked_rps,
            refused: self.simulation.run.refused - refused,
        });
        self.look();
        true
    }

    fn act(&mut self, _: usize, value: i64) {
        let load = usize::try_from(value)
            .ok()
            .and_then(|place| LOADS.get(place));
        if let Some(load) = load.filter(|load| **load != self.load) {
            let at = self.moments.len();
            // Changed twice before anything happened, it changed once.
            let old = self
                .change
                .filter(|(_, tick)| *tick == at)
                .map_or(self.load, |(old, _)| old);
            self.load = *load;
            self.change = (old != *load).then_some((old, at));
        }
    }

    fn draw(&self, scene: &mut Scene) {
        scene.height(BUSY_Y + 18.0);
        scene.add(
            Shape::words("load", 0.0, 13.0, "Requests/s")
                .small()
                .strong(),
        );
        for (place, load) in LOADS.into_iter().enumerate() {
            let (tone, strong) = if load == self.load {
                (Tone::B, true)
            } else {
                (Tone::Plain, false)
            };
            let x = 76.0 + 58.0 * place as f64;
            let mut shape = Shape::rect(format!("load-{load}"), x, 0.0, 54.0, 26.0)
                .tone(tone)
                .label(load.to_string())
                .tap(
                    0,
                    place as i64,
                    format!("Change the load to {load} requests a second"),
                );
            if strong {
                shape = shape.strong();
            }
            scene.add(shape);
        }
        let cluster = &self.simulation.cluster;
        let (serving, starting) = (cluster.serving, cluster.starting.len());
        let count = format!("{serving} serve, {starting} start");
        scene.add(Shape::words("servers", 0.0, 40.0, count).small().strong());
        let refused = format!("refused: {}", self.refused());
        scene.add(
            Shape::words("refused", WIDTH_MAX, 40.0, refused)
                .to_the_left()
                .small(),
        );
        for server in 0..serving + starting {
            let x = 2.0 + (server % IN_A_ROW) as f64 * 10.1;
            let y = 50.0 + (server / IN_A_ROW) as f64 * 11.0;
            let tone = if server < serving {
                Tone::A
            } else {
                Tone::Faint
            };
            scene.add(Shape::rect(format!("server-{server}"), x, y, 8.0, 8.0).tone(tone));
        }

        let from = self.moments.len().saturating_sub(SHOWN);
        let shown = &self.moments[from..];
        let servers = |count: f64| SERVERS_Y - SERVER_HEIGHT * count;
        let busy = |share: f64| BUSY_Y - BUSY_HEIGHT * share;
        for (name, x, tone, words) in [
            ("ordered", LEFT, Tone::A, "ordered"),
            ("serving", LEFT + 76.0, Tone::C, "serving"),
            ("needed", LEFT + 150.0, Tone::D, "needed at 60 %"),
        ] {
            scene.add(
                Shape::line(format!("legend-{name}"), x, 83.0, x + 16.0, 83.0)
                    .tone(tone)
                    .strong(),
            );
            scene.add(Shape::words(format!("words-{name}"), x + 20.0, 83.0, words).small());
        }
        for (name, x, tone, words) in [
            ("busy", LEFT, Tone::Faint, "busy"),
            ("seen", LEFT + 76.0, Tone::B, "busy, mean of a minute"),
        ] {
            let y = BUSY_Y - BUSY_HEIGHT - 16.0;
            scene.add(
                Shape::line(format!("legend-{name}"), x, y, x + 16.0, y)
                    .tone(tone)
                    .strong(),
            );
            scene.add(Shape::words(format!("words-{name}"), x + 20.0, y, words).small());
        }
        for count in [0, SERVERS_MAX / 2, SERVERS_MAX] {
            let y = servers(count as f64);
            let to = if count == 0 { WIDTH_MAX } else { LEFT + 4.0 };
            scene.add(Shape::line(format!("grid-{count}"), LEFT, y, to, y));
            scene.add(
                Shape::words(format!("axis-{count}"), LEFT - 4.0, y, count.to_string())
                    .to_the_left()
                    .small(),
            );
        }
        for (share, words) in [(0.0, "0"), (0.6, "60"), (1.0, "100")] {
            let y = busy(share);
            let to = if share == 1.0 { LEFT + 4.0 } else { WIDTH_MAX };
            let line = Shape::line(format!("grid-busy-{words}"), LEFT, y, to, y);
            scene.add(if share == 0.6 { line.dashed() } else { line });
            scene.add(
                Shape::words(format!("axis-busy-{words}"), LEFT - 4.0, y, words)
                    .to_the_left()
                    .small(),
            );
        }
        for (name, tone, points) in [
            (
                "needed",
                Tone::D,
                curve(shown, |moment| servers(moment.needed)),
            ),
            (
                "serving",
                Tone::C,
                curve(shown, |moment| servers(moment.serving as f64)),
            ),
            (
                "ordered",
                Tone::A,
                curve(shown, |moment| servers(moment.ordered as f64)),
            ),
            (
                "busy",
                Tone::Plain,
                curve(shown, |moment| busy(moment.busy)),
            ),
            ("seen", Tone::B, curve(shown, |moment| busy(moment.seen))),
        ] {
            if points.len() > 1 {
                let path = Shape::path(format!("curve-{name}"), points).tone(tone);
                scene.add(if name == "ordered" {
                    path.strong()
                } else {
                    path
                });
            }
        }
        // Where somebody was refused, the ground is marked.
        let mut tick = 0;
        while tick < shown.len() {
            let length = shown[tick..]
                .iter()
                .take_while(|moment| moment.refused > 0.0)
                .count();
            if length > 0 {
                let (x, width) = (LEFT + tick as f64 * TICK_WIDTH, length as f64 * TICK_WIDTH);
                let key = format!("refused-{}", from + tick);
                scene.add(Shape::rect(key, x, SERVERS_Y + 2.0, width, 5.0).tone(Tone::Bad));
            }
            tick += length.max(1);
        }
        let end = LEFT + shown.len().saturating_sub(1) as f64 * TICK_WIDTH;
        scene.add(
            Shape::words("time", end.max(LEFT + 20.0), BUSY_Y + 10.0, "now")
                .to_the_left()
                .small(),
        );
        if end > LEFT + 100.0 {
            let minutes = shown.len() as u64 * TICK_S / 60;
            let words = format!("{minutes} min ago");
            scene.add(Shape::words("time-from", LEFT, BUSY_Y + 10.0, words).small());
        }
        scene.say(self.words());
    }

    fn reached(&self) -> Vec<bool> {
        self.reached.to_vec()
    }
}

impl Lab {
    fn words(&self) -> String {
        let Some(now) = self.moments.last() else {
            return format!(
                "The {} loop has two servers, and {} requests a second come from now on.",
                self.name, self.load
            );
        };
        let before = self
            .moments
            .iter()
            .nth_back(1)
            .map_or(super::SERVERS_MIN, |moment| moment.ordered);
        let order = match now.ordered as i64 - before as i64 {
            0 if before == SERVERS_MAX => "leaves it at the most allowed".to_owned(),
            0 => "orders none".to_owned(),
            more @ 1.. => format!("orders {more} more"),
            fewer => format!("removes {}", -fewer),
        };
        let sees = match self.by_rate {
            true => format!("{} requests a second", now.asked.round() as u64),
            false => format!("{} % busy (now {} %)", percent(now.seen), percent(now.busy)),
        };
        let cluster = &self.simulation.cluster;
        let seconds = self.simulation.now_s;
        let refused = match now.refused.round() as u64 {
            0 => "Nobody was refused".to_owned(),
            refused => format!("{refused} requests were refused"),
        };
        let (at, since) = match self.change {
            Some((_, at)) => (at, "since the load changed"),
            None => (0, "so far"),
        };
        let turned = match turns(&self.simulation.run.sizes[at..]) {
            0 => String::new(),
            1 => format!(" It turned once {since}."),
            turns => format!(" It turned {turns} times {since}."),
        };
        format!(
            "Minute {}:{:02}, load {}. The loop sees {sees} and {order}: {} serve, {} start. {refused} in these 15 seconds.{turned}",
            seconds / 60,
            seconds % 60,
            self.load,
            cluster.serving,
            cluster.starting.len(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::{run, step};
    use super::*;

    const DAMPED: &str = "2";
    const BY_RATE: &str = "3";

    fn lab(name: &str) -> Lab {
        Lab::new(&Setup::new(1).with("loop", name))
    }

    fn ticks(lab: &mut Lab, count: usize) {
        for _ in 0..count {
            lab.step();
        }
    }

    #[test]
    fn the_picture_is_the_programs_own_run() {
        for index in 0..loops().len() {
            for noise in [0.0, 0.2] {
                let percent = if noise > 0.0 { "20" } else { "0" };
                let setup = Setup::new(1)
                    .with("loop", &index.to_string())
                    .with("noise", percent);
                let mut lab = Lab::new(&setup);
                lab.act(0, 0);
                ticks(&mut lab, 8);
                lab.act(0, 2);
                ticks(&mut lab, 112);
                let program = run(
                    &mut *loops().into_iter().nth(index).expect("a loop").1,
                    step,
                    noise,
                    1,
                );
                assert_eq!(lab.simulation.run.sizes, program.sizes);
                assert_eq!(lab.simulation.run.refused, program.refused);
            }
        }
    }

    /// A run in which the load jumps from 100 to 900 requests a second.
    fn jump(name: &str) -> Lab {
        let mut lab = lab(name);
        lab.act(0, 0);
        ticks(&mut lab, 8);
        lab.act(0, 2);
        lab
    }

    #[test]
    fn without_a_change_and_without_noise_nothing_is_reached() {
        for name in ["0", "1", DAMPED, BY_RATE] {
            let mut lab = lab(name);
            ticks(&mut lab, 480);
            assert_eq!(lab.reached, [false; 4], "{name}");
        }
    }

    #[test]
    fn noise_makes_the_target_loop_turn_and_turn() {
        let turns_of = |name: &str, noise: &str| {
            let mut lab = Lab::new(&Setup::new(1).with("loop", name).with("noise", noise));
            ticks(&mut lab, 120);
            (turns(&lab.simulation.run.sizes), lab.reached[0])
        };
        assert!(turns_of("1", "0").0 < TURNS && !turns_of("1", "0").1);
        assert!(turns_of("1", "20").0 >= TURNS && turns_of("1", "20").1);
        assert!(turns_of("0", "0").0 >= TURNS && !turns_of("0", "0").1);
        assert!(turns_of(DAMPED, "20").0 < 3);
    }

    #[test]
    fn only_the_damped_loops_settle_without_a_turn() {
        for name in ["0", "1", DAMPED, BY_RATE] {
            let mut lab = jump(name);
            ticks(&mut lab, 200);
            assert_eq!(lab.reached[1], name == DAMPED || name == BY_RATE, "{name}");
        }
    }

    #[test]
    fn a_jump_overloads_the_servers_before_any_loop_can_help() {
        for name in ["0", "1", DAMPED, BY_RATE] {
            let mut lab = jump(name);
            ticks(&mut lab, 4);
            assert!(lab.reached[2], "{name}");
        }
    }

    #[test]
    fn a_triple_load_refuses_nobody_while_the_servers_for_it_are_still_there() {
        let mut lab = lab(BY_RATE);
        ticks(&mut lab, 60);
        lab.act(0, 1);
        ticks(&mut lab, 8);
        assert!(!lab.reached[3]);
        lab.act(0, 2);
        ticks(&mut lab, 40);
        assert!(lab.reached[3]);
        // Later, they are gone.
        let mut late = self::lab(BY_RATE);
        ticks(&mut late, 60);
        late.act(0, 1);
        ticks(&mut late, 60);
        late.act(0, 2);
        ticks(&mut late, 40);
        assert!(!late.reached[3]);
    }

    #[test]
    fn pressing_two_loads_at_once_is_one_change() {
        let mut lab = lab("0");
        lab.act(0, 1);
        lab.act(0, 0);
        assert_eq!(lab.change, Some((900, 0)));
        lab.act(0, 2);
        assert_eq!(lab.change, None);
        lab.act(0, 7);
        assert_eq!(lab.load, 900);
    }
}
