//! Program: load_balancer_policies
//!
//! Five policies deal the same requests, one at a time, each to a fleet of its own. A row is a fleet,
//! a column a server; a bar is what is in flight there. A server that the reader lets die refuses at
//! once, and stays on the list: nobody checks.

use fastrand::Rng;

use super::{
    capacity, Fleet, LeastConnections, Policy, Random, RoundRobin, ServerId, Traffic, TwoChoices,
    View, WeightedRoundRobin, SERVERS, WEIGHTS, WORK_US,
};
use crate::figure::{About, Action, Control, Figure, Kind, Setup};
use crate::scene::{Scene, Shape, Tone, WIDTH_MAX};

const REQUESTS: usize = 1_500;
/// A 99th percentile says little before so many answers.
const ENOUGH: usize = 400;
/// Requests while a server is dead, before its share of them says something.
const EXPOSED: u32 = 60;
/// The load that the chapter's table has, and the figure begins with.
const LOAD_FIRST: i64 = 60;

const RANDOM: usize = 0;
const ROUND_ROBIN: usize = 1;
const WEIGHTED: usize = 2;
const LEAST_CONNECTIONS: usize = 4;

const TOP: f64 = 50.0;
const ROW: f64 = 50.0;
const COLUMN: f64 = WIDTH_MAX / SERVERS as f64;
const BAR_MAX: f64 = 32.0;

struct Lane {
    name: &'static str,
    policy: Box<dyn Policy>,
    fleet: Fleet,
    dice: Rng,
    longest: u32,
    refused: [u32; SERVERS],
    /// Requests that died with their server.
    lost: usize,
    sent_to: Option<usize>,
}

impl Lane {
    fn p99_ms(&self) -> Option<u64> {
        (self.fleet.latencies_us.len() >= ENOUGH / 4).then(|| self.fleet.outcome().p99_us / 1000)
    }

    fn refusals(&self) -> u32 {
        self.refused.iter().sum()
    }
}

/// The fleets, one for each policy, and the requests to come.
pub struct Lab {
    lanes: Vec<Lane>,
    traffic: Traffic,
    alive: [bool; SERVERS],
    work_us: [f64; SERVERS],
    load: i64,
    requests: usize,
    /// Requests that came while a server was dead.
    exposed: u32,
}

fn is_slow(server: usize) -> bool {
    WEIGHTS[server] < WEIGHTS[0]
}

impl Lab {
    fn work_ms(&self, server: usize) -> i64 {
        self.work_us[server] as i64 / 1000
    }

    fn died(&self) -> bool {
        self.lanes
            .iter()
            .any(|lane| lane.refusals() > 0 || lane.lost > 0)
    }
}

impl Figure for Lab {
    const ABOUT: &'static About = &About {
        title: "Five policies deal the same requests to eight servers",
        controls: &[
            Control {
                key: "load",
                label: "Load",
                kind: Kind::Slider { min: 5, max: 95, step: 5, value: LOAD_FIRST, unit: "% of what all eight can do" },
            },
            Control {
                key: "slow",
                label: "Two servers take",
                kind: Kind::Slider { min: 10, max: 40, step: 5, value: 15, unit: "ms a request, the others 10" },
            },
        ],
        actions: &[Action { label: "Let a server die or come back", button: false }],
        goals: &[
            "At a load of 60 % or less, make round robin's longest queue ten times that of least connections.",
            "Let a server die, and see one policy send twice as many requests into the hole as random does.",
            "Find a load at which the policy hardly matters: after 400 requests, the largest p99 within a quarter of the smallest.",
            "The weights are 3 to 2, whatever the servers do. Make them so wrong that the longest queue of weighted round robin, too, is ten times that of least connections.",
        ],
        pace_ms: 80,
        still_acts: &[],
        still_steps: 300,
        steps_max: REQUESTS,
    };

    fn new(setup: &Setup) -> Self {
        let load = setup.number(Self::ABOUT, "load");
        let slow_us = setup.number(Self::ABOUT, "slow") as f64 * 1000.0;
        let work_us = std::array::from_fn(|s| if is_slow(s) { slow_us } else { WORK_US[s] });
        let mut rng = Rng::with_seed(setup.seed);
        let dice = rng.fork();
        let gap_us = 1.0 / (capacity(&work_us) * load as f64 / 100.0);
        let policies: [(_, Box<dyn Policy>); 5] = [
            ("random", Box::new(Random)),
            ("round robin", Box::new(RoundRobin(0))),
            ("weighted round robin", Box::<WeightedRoundRobin>::default()),
            ("two choices", Box::new(TwoChoices)),
            ("least connections", Box::new(LeastConnections(0))),
        ];
        let lanes = policies.into_iter().map(|(name, policy)| Lane {
            name,
            policy,
            fleet: Fleet::new(work_us),
            dice: dice.clone(),
            longest: 0,
            refused: [0; SERVERS],
            lost: 0,
            sent_to: None,
        });
        Lab {
            lanes: lanes.collect(),
            traffic: Traffic::new(rng, gap_us),
            alive: [true; SERVERS],
            work_us,
            load,
            requests: 0,
            exposed: 0,
        }
    }

    fn step(&mut self) -> bool {
        let request = self.traffic.arrive();
        let up: Vec<ServerId> = (0..SERVERS).map(ServerId).collect();
        self.requests += 1;
        self.exposed += u32::from(self.alive.contains(&false));
        for lane in &mut self.lanes {
            lane.fleet.answer(request.now_us, &mut *lane.policy);
            let view = View {
                now_us: request.now_us,
                client: request.client,
                up: &up,
                in_flight: &lane.fleet.in_flight,
            };
            let server = lane.policy.pick(&view, &mut lane.dice);
            lane.sent_to = Some(server.0);
            if self.alive[server.0] {
                lane.fleet.send(&request, server);
                lane.longest = lane.longest.max(lane.fleet.in_flight[server.0]);
            } else {
                lane.refused[server.0] += 1;
            }
        }
        self.requests < REQUESTS
    }

    fn act(&mut self, _: usize, server: i64) {
        let Some(server) = usize::try_from(server)
            .ok()
            .filter(|server| *server < SERVERS)
        else {
            return;
        };
        self.alive[server] = !self.alive[server];
        if !self.alive[server] {
            for Lane { fleet, lost, .. } in &mut self.lanes {
                *lost += fleet.queues[server].drain(..).count();
                fleet.in_flight[server] = 0;
                fleet.free_at_us[server] = 0;
            }
        }
    }

    fn draw(&self, scene: &mut Scene) {
        scene.height(TOP + ROW * self.lanes.len() as f64);
        scene.add(
            Shape::words("press", 0.0, 8.0, "Press a server: it dies, or comes back.").small(),
        );
        for server in 0..SERVERS {
            let (number, ms) = (server + 1, self.work_ms(server));
            let (tone, does) = match (self.alive[server], is_slow(server)) {
                (false, _) => (Tone::Bad, "is dead: let it come back"),
                (_, true) => (Tone::B, "works: let it die"),
                (_, false) => (Tone::A, "works: let it die"),
            };
            scene.add(
                Shape::rect(
                    format!("server-{server}"),
                    server as f64 * COLUMN + 1.0,
                    18.0,
                    COLUMN - 2.0,
                    26.0,
                )
                .tone(tone)
                .label(if self.alive[server] {
                    format!("{ms} ms")
                } else {
                    "dead".to_owned()
                })
                .small()
                .tap(
                    0,
                    server as i64,
                    format!("Server {number}, {ms} ms a request, {does}"),
                ),
            );
        }
        for (row, lane) in self.lanes.iter().enumerate() {
            let name = lane.name;
            let y = TOP + row as f64 * ROW;
            scene.add(
                Shape::words(format!("name-{row}"), 0.0, y + 8.0, name)
                    .small()
                    .strong(),
            );
            let p99 = lane
                .p99_ms()
                .map_or(String::new(), |ms| format!("p99 {ms} ms"));
            let refused = match lane.refusals() {
                0 => format!("longest {}", lane.longest),
                refused => format!("refused {refused}"),
            };
            let numbers = [refused, p99].join(" · ");
            scene.add(
                Shape::words(
                    format!("numbers-{row}"),
                    WIDTH_MAX,
                    y + 8.0,
                    numbers.trim_end_matches(" · "),
                )
                .to_the_left()
                .small(),
            );
            for server in 0..SERVERS {
                let waiting = lane.fleet.in_flight[server];
                let x = server as f64 * COLUMN + 1.0;
                let floor = y + 15.0 + BAR_MAX;
                let height = (f64::from(waiting) * 2.0).min(BAR_MAX);
                let newest = lane.sent_to == Some(server);
                let (tone, count) = match (self.alive[server], is_slow(server)) {
                    (false, _) => (Tone::Bad, lane.refused[server]),
                    (_, true) => (Tone::B, waiting),
                    (_, false) => (Tone::A, waiting),
                };
                let height = if self.alive[server] { height } else { 18.0 };
                if height > 0.0 {
                    scene.add(
                        Shape::rect(
                            format!("bar-{row}-{server}"),
                            x,
                            floor - height,
                            COLUMN - 17.0,
                            height,
                        )
                        .tone(tone),
                    );
                }
                let mut count = Shape::words(
                    format!("count-{row}-{server}"),
                    x + COLUMN - 2.0,
                    floor - 6.0,
                    count.to_string(),
                )
                .to_the_left()
                .small();
                if newest {
                    count = count.strong();
                }
                scene.add(count);
            }
            scene.add(Shape::line(
                format!("floor-{row}"),
                0.0,
                y + 15.0 + BAR_MAX,
                WIDTH_MAX,
                y + 15.0 + BAR_MAX,
            ));
        }
        scene.say(self.words());
    }

    fn reached(&self) -> Vec<bool> {
        let longest = |lane: usize| self.lanes[lane].longest;
        let ten_times = |lane| longest(lane) >= 10 * longest(LEAST_CONNECTIONS).max(1);
        let (blind, refusals) = (
            self.lanes[RANDOM].refusals(),
            self.lanes.iter().map(Lane::refusals),
        );
        let enough = self.requests >= ENOUGH && !self.died();
        let p99 = |lane: usize| self.lanes[lane].p99_ms().unwrap_or(0);
        let all = || (0..self.lanes.len()).map(p99);
        let (least, most) = (all().min().unwrap_or(0), all().max().unwrap_or(0));
        vec![
            self.load <= LOAD_FIRST && ten_times(ROUND_ROBIN),
            self.exposed >= EXPOSED && refusals.max().unwrap_or(0) >= 2 * blind.max(1),
            enough && 4 * most <= 5 * least,
            ten_times(WEIGHTED),
        ]
    }
}

impl Lab {
    fn words(&self) -> String {
        if self.requests == 0 {
            return format!("No request has come yet. The load will be {} %.", self.load);
        }
        let dead: Vec<String> = (0..SERVERS)
            .filter(|s| !self.alive[*s])
            .map(|s| (s + 1).to_string())
            .collect();
        let told = |number: fn(&Lane) -> String| {
            let all: Vec<String> = self
                .lanes
                .iter()
                .map(|lane| format!("{} {}", lane.name, number(lane)))
                .collect();
            all.join(", ")
        };
        let mut words = format!("Request {}. ", self.requests);
        if !dead.is_empty() {
            words += &format!("Dead and still on the list: server {}. ", dead.join(", "));
        }
        if self.died() {
            words += &format!(
                "Sent into the hole: {}. ",
                told(|lane| lane.refusals().to_string())
            );
        } else {
            words += &format!(
                "Longest queue so far: {}. ",
                told(|lane| lane.longest.to_string())
            );
        }
        match self.lanes.iter().all(|lane| lane.p99_ms().is_some()) {
            true => {
                words
                    + &format!(
                        "99 of 100 were answered within, in ms: {}.",
                        told(|lane| lane.p99_ms().unwrap_or(0).to_string())
                    )
            }
            false => words + "It is too early for a p99.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(seed: u64, load: i64, slow: i64, steps: usize) -> Lab {
        let setup = Setup::new(seed)
            .with("load", &load.to_string())
            .with("slow", &slow.to_string());
        let mut lab = Lab::new(&setup);
        (0..steps).for_each(|_| {
            lab.step();
        });
        lab
    }

    #[test]
    fn the_first_settings_reach_nothing_by_themselves() {
        for seed in 1..=20 {
            let mut lab = run(seed, LOAD_FIRST, 15, 0);
            for step in 0..REQUESTS {
                lab.step();
                if step % 50 == 0 || step + 1 == REQUESTS {
                    assert_eq!(lab.reached(), [false; 4], "seed {seed}, request {step}");
                }
            }
        }
    }

    #[test]
    fn slower_servers_drown_round_robin_and_still_slower_ones_the_weights() {
        for seed in 1..=10 {
            let slower = run(seed, 60, 25, REQUESTS).reached();
            assert!(slower[0] && !slower[3], "seed {seed}: {slower:?}");
            let slowest = run(seed, 60, 40, REQUESTS).reached();
            assert!(slowest[0] && slowest[3], "seed {seed}: {slowest:?}");
            // More load alone is not what was asked for.
            assert!(!run(seed, 95, 30, 900).reached()[0], "seed {seed}");
        }
    }

    #[test]
    fn a_dead_server_draws_in_least_connections_more_than_random() {
        for seed in 1..=10 {
            let mut lab = run(seed, 85, 15, 100);
            lab.act(0, 2);
            let reached = (0..400).any(|_| lab.step() && lab.reached()[1]);
            assert!(reached, "seed {seed}: {}", lab.words());
            let most = lab.lanes.iter().map(Lane::refusals).max();
            assert_eq!(
                most,
                Some(lab.lanes[LEAST_CONNECTIONS].refusals()),
                "seed {seed}"
            );
        }
    }

    #[test]
    fn an_almost_idle_fleet_does_not_care_for_policies() {
        for seed in 1..=10 {
            let mut lab = run(seed, 5, 15, ENOUGH);
            let reached = (0..400).any(|_| lab.step() && lab.reached()[2]);
            assert!(reached, "seed {seed}: {}", lab.words());
        }
    }

    #[test]
    fn a_server_that_comes_back_answers_again() {
        let mut lab = run(1, 60, 15, 50);
        lab.act(0, 0);
        assert!(lab.lanes.iter().all(|lane| lane.fleet.in_flight[0] == 0));
        (0..50).for_each(|_| {
            lab.step();
        });
        let refused: Vec<u32> = lab.lanes.iter().map(|lane| lane.refused[0]).collect();
        assert!(refused.iter().all(|refused| *refused > 0), "{refused:?}");
        lab.act(0, 0);
        (0..50).for_each(|_| {
            lab.step();
        });
        let after: Vec<u32> = lab.lanes.iter().map(|lane| lane.refused[0]).collect();
        assert_eq!(after, refused);
        for lane in &lab.lanes {
            let told = lane.fleet.latencies_us.len() + lane.refused[0] as usize;
            assert_eq!(
                told, lab.requests,
                "{}: each request was sent or refused",
                lane.name
            );
        }
    }

    #[test]
    fn the_figure_measures_what_the_program_measures() {
        let mut policy = RoundRobin(0);
        let long = crate::load_balancing::simulate(&mut policy, 1);
        let mut lab = run(1, 60, 15, 0);
        (0..crate::load_balancing::REQUESTS).for_each(|_| {
            lab.step();
        });
        let lane = lab.lanes[ROUND_ROBIN].fleet.outcome();
        assert_eq!((lane.p50_us, lane.p99_us), (long.p50_us, long.p99_us));
    }
}
