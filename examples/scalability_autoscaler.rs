//! A control loop that adds and removes servers: oscillating, then damped.
//!
//! The load jumps to nine times what it was, and stays. Each loop
//! decides every 15 seconds, by the mean utilisation of the last minute, and a new
//! server takes a minute to start: what it sees is old, and what it does is late.
//! Look at `turns`: how often the loop changes its mind between adding and
//! removing. After one step of the load, more than once is an oscillation.
//!
//! Simplified: the load spreads evenly, and what exceeds the capacity is refused
//! at once instead of waiting.

use std::collections::VecDeque;

const TICK_S: u64 = 15;
const START_S: u64 = 60; // a new server serves after this long
const METRIC_TICKS: usize = 4; // the mean of so many is what a loop sees
const END_S: u64 = 30 * 60;
const SERVER_RPS: f64 = 100.0;
const SERVERS_MIN: usize = 2;
const SERVERS_MAX: usize = 60;
const TARGET: f64 = 0.6; // utilisation

// ANCHOR: cluster
/// What a loop can see.
struct View {
    serving: usize,
    starting: usize,
    utilisation: f64, // of those that serve, the mean of the last minute
    asked_rps: f64,   // served and refused, the mean of the last minute
}

/// Serving servers, and when each of the others will be ready.
struct Cluster {
    serving: usize,
    starting: VecDeque<u64>,
}

impl Cluster {
    fn scale_to(&mut self, wanted: usize, now_s: u64) {
        let wanted = wanted.clamp(SERVERS_MIN, SERVERS_MAX);
        while self.serving + self.starting.len() < wanted {
            self.starting.push_back(now_s + START_S);
        }
        while self.serving + self.starting.len() > wanted {
            if self.starting.pop_back().is_none() {
                self.serving -= 1;
            }
        }
    }

    fn tick(&mut self, now_s: u64) {
        while self.starting.front().is_some_and(|ready| *ready <= now_s) {
            self.starting.pop_front();
            self.serving += 1;
        }
    }
}
// ANCHOR_END: cluster

/// Decides, each tick, how many servers there should be, starting ones included.
trait Loop {
    fn wanted(&mut self, view: &View) -> usize;
}

// ANCHOR: threshold
/// Too busy: more. Too idle: fewer. Looks at the ones that serve, as the graph on
/// the wall does.
struct Threshold;

impl Loop for Threshold {
    fn wanted(&mut self, view: &View) -> usize {
        let all = view.serving + view.starting;
        match view.utilisation {
            busy if busy > 0.7 => all + all.div_ceil(2),
            idle if idle < 0.5 => all - all / 3,
            _ => all,
        }
    }
}
// ANCHOR_END: threshold

// ANCHOR: target
/// Computes how many would bring the utilisation to the target, and counts those
/// that it has ordered already.
struct Target;

fn proportional(view: &View) -> usize {
    let needed = view.serving as f64 * view.utilisation / TARGET;
    (needed - 1e-9).ceil() as usize
}

impl Loop for Target {
    fn wanted(&mut self, view: &View) -> usize {
        proportional(view)
    }
}
// ANCHOR_END: target

// ANCHOR: damped
/// The same with three dampers. It waits until it can see what its last order
/// did; nothing happens close to the target; and servers go only when all that
/// it would have wanted in the last five minutes was fewer.
#[derive(Default)]
struct Damped {
    by_rate: bool, // what users ask for, instead of how busy the servers are
    since_order: usize, // ticks
    recent: VecDeque<usize>,
}

const COOL_DOWN_TICKS: usize = (START_S / TICK_S) as usize + METRIC_TICKS;
const TOLERANCE: f64 = 0.1;
const WINDOW_TICKS: usize = 20;

impl Loop for Damped {
    fn wanted(&mut self, view: &View) -> usize {
        let now = view.serving + view.starting;
        let needed = if self.by_rate {
            (view.asked_rps / (SERVER_RPS * TARGET)).ceil() as usize
        } else {
            proportional(view)
        };
        let close = needed.abs_diff(now) as f64 <= TOLERANCE * now as f64;
        let wanted = if close { now } else { needed };
        self.recent.push_back(wanted);
        if self.recent.len() > WINDOW_TICKS {
            self.recent.pop_front();
        }
        self.since_order += 1;
        if self.since_order <= COOL_DOWN_TICKS {
            return now;
        }
        let most = match self.recent.len() {
            WINDOW_TICKS => self.recent.iter().copied().max().unwrap_or(now),
            _ => now, // five minutes have not been seen yet
        };
        let next = if wanted > now { wanted } else { most.min(now) };
        if next != now {
            self.since_order = 0;
        }
        next
    }
}
// ANCHOR_END: damped

#[derive(Debug, Default)]
struct Run {
    sizes: Vec<usize>, // servers, starting ones included, after each tick
    refused: f64,      // requests
    server_s: u64,     // what is paid for
}

impl Run {
    fn turns(&self) -> usize {
        turns(&self.sizes)
    }
}

/// How often the number of servers turned from growing to shrinking or back.
fn turns(sizes: &[usize]) -> usize {
    let steps = sizes.windows(2).map(|w| w[1].cmp(&w[0]));
    let mut moves: Vec<_> = steps.filter(|step| step.is_ne()).collect();
    moves.dedup();
    moves.len().saturating_sub(1)
}

// ANCHOR: run
/// A cluster under load, and what was measured lately.
struct Simulation {
    now_s: u64,
    cluster: Cluster,
    seen: VecDeque<(f64, f64)>, // utilisation, requests a second
    run: Run,
}

impl Simulation {
    fn new() -> Simulation {
        Simulation {
            now_s: 0,
            cluster: Cluster {
                serving: SERVERS_MIN,
                starting: VecDeque::new(),
            },
            seen: VecDeque::new(),
            run: Run {
                sizes: vec![SERVERS_MIN],
                ..Run::default()
            },
        }
    }

    /// A tick in which users ask for `rps`, and what the loop saw when it decided.
    fn tick(&mut self, control: &mut dyn Loop, rps: f64) -> View {
        self.cluster.tick(self.now_s);
        let (serving, starting) =
            (self.cluster.serving, self.cluster.starting.len());
        let capacity = serving as f64 * SERVER_RPS;
        // A server cannot be more than fully busy: what is refused does not show.
        self.seen.push_back(((rps / capacity).min(1.0), rps));
        if self.seen.len() > METRIC_TICKS {
            self.seen.pop_front();
        }
        let mean = |f: fn(&(f64, f64)) -> f64| {
            self.seen.iter().map(f).sum::<f64>() / self.seen.len() as f64
        };
        let view = View {
            serving,
            starting,
            utilisation: mean(|(utilisation, _)| *utilisation),
            asked_rps: mean(|(_, rps)| *rps),
        };
        self.run.refused += (rps - capacity).max(0.0) * TICK_S as f64;
        self.run.server_s += (serving + starting) as u64 * TICK_S;
        self.cluster.scale_to(control.wanted(&view), self.now_s);
        let size = self.cluster.serving + self.cluster.starting.len();
        self.run.sizes.push(size);
        self.now_s += TICK_S;
        view
    }
}

/// Runs a loop against a load, in requests a second, with `noise` of it at random.
fn run(control: &mut dyn Loop, load: fn(u64) -> f64, noise: f64, seed: u64) -> Run {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut simulation = Simulation::new();
    while simulation.now_s < END_S {
        let rps = noisy(load(simulation.now_s), noise, &mut rng);
        simulation.tick(control, rps);
    }
    simulation.run
}
// ANCHOR_END: run

fn noisy(rps: f64, noise: f64, rng: &mut fastrand::Rng) -> f64 {
    rps * (1.0 + noise * (2.0 * rng.f64() - 1.0))
}

fn step(now_s: u64) -> f64 {
    if now_s < 120 {
        100.0
    } else {
        900.0
    }
}

fn loops() -> [(&'static str, Box<dyn Loop>); 4] {
    [
        ("threshold", Box::new(Threshold)),
        ("target", Box::new(Target)),
        ("damped", Box::new(Damped::default())),
        (
            "by rate",
            Box::new(Damped {
                by_rate: true,
                ..Damped::default()
            }),
        ),
    ]
}

fn main() {
    println!("servers, each minute, after a step from 100 to 900 requests/s");
    for (name, mut control) in loops() {
        let run = run(&mut *control, step, 0.0, 1);
        let per_minute = run.sizes.iter().step_by(4).take(18);
        let sizes: Vec<String> = per_minute.map(|n| format!("{n:2}")).collect();
        println!("{name:10} {}", sizes.join(" "));
    }
    for (noise, what) in [(0.0, "steady"), (0.2, "noisy, 20 % up or down")] {
        println!("\n{what:23}turns  refused  server-minutes");
        for (name, mut control) in loops() {
            let run = run(&mut *control, step, noise, 1);
            let (turns, refused) = (run.turns(), run.refused);
            println!(
                "{name:23}{turns:5}  {refused:7.0}  {:14}",
                run.server_s / 60
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, load: fn(u64) -> f64, noise: f64, seed: u64) -> Run {
        let found = loops().into_iter().find(|(other, _)| *other == name);
        let (_, mut control) = found.unwrap_or_else(|| panic!("no loop `{name}`"));
        run(&mut *control, load, noise, seed)
    }

    fn down(now_s: u64) -> f64 {
        if now_s < 600 {
            900.0
        } else {
            150.0
        }
    }

    #[test]
    fn the_threshold_loop_oscillates_on_a_step() {
        let run = of("threshold", step, 0.0, 1);
        assert!(run.turns() > 10, "{:?}", run.sizes);
        let last = &run.sizes[run.sizes.len() - 40..];
        assert!(last.iter().max() > last.iter().min(), "it never settles");
    }

    #[test]
    fn a_damped_loop_turns_at_most_once_on_a_step_up_or_down() {
        for name in ["damped", "by rate"] {
            assert!(of(name, step, 0.0, 1).turns() <= 1, "{name} up");
            // It starts too small for 900, so that it has to grow first.
            assert!(of(name, down, 0.0, 1).turns() <= 1, "{name} down");
        }
    }

    /// A view of ten servers that serve, at this utilisation.
    fn ten(utilisation: f64) -> View {
        View {
            serving: 10,
            starting: 0,
            utilisation,
            asked_rps: 1_000.0 * utilisation,
        }
    }

    #[test]
    fn a_server_goes_only_after_five_minutes_in_which_it_was_not_needed() {
        // Busy until `idle`, then at half of the target, where five would do.
        for idle in 0..60 {
            let mut control = Damped::default();
            let at = |tick| ten(if tick < idle { TARGET } else { TARGET / 2.0 });
            let gone = (0..200).find(|tick| control.wanted(&at(*tick)) < 10);
            assert_eq!(gone, Some(idle + WINDOW_TICKS - 1));
        }
    }

    #[test]
    fn nothing_is_ordered_close_to_the_target() {
        let cases = [(0.55, None), (0.65, None), (0.45, Some(8)), (0.7, Some(12))];
        for (utilisation, order) in cases {
            let mut control = Damped::default();
            let mut wanted = (0..50).map(|_| control.wanted(&ten(utilisation)));
            assert_eq!(wanted.find(|n| *n != 10), order, "{utilisation}");
        }
    }

    #[test]
    fn after_an_order_it_waits_until_its_effect_can_be_seen() {
        let mut control = Damped::default();
        let orders: Vec<usize> =
            (0..40).filter(|_| control.wanted(&ten(1.0)) > 10).collect();
        let waits = orders.windows(2).map(|pair| pair[1] - pair[0]);
        // A minute to start, a minute until the mean holds nothing older.
        assert!(waits.clone().all(|ticks| ticks as u64 * TICK_S > 2 * 60));
        assert!(waits.count() > 2, "it does order: {orders:?}");
    }

    #[test]
    fn under_noise_damping_saves_nine_turns_of_ten() {
        let turns = |name| -> usize {
            (1..50).map(|seed| of(name, step, 0.2, seed).turns()).sum()
        };
        let (target, damped) = (turns("target"), turns("by rate"));
        assert!(damped * 10 < target, "{damped} {target}");
    }

    #[test]
    fn what_users_ask_for_shows_the_whole_need_at_once() {
        let [busy, asked] = ["damped", "by rate"].map(|name| of(name, step, 0.0, 1));
        assert!(asked.refused < busy.refused / 1.5, "{asked:?} {busy:?}");
        for noise in [0.0, 0.2] {
            let [asked, target] =
                ["by rate", "target"].map(|name| of(name, step, noise, 1));
            assert!(asked.refused <= target.refused, "{noise}");
        }
    }

    #[test]
    fn no_loop_helps_in_the_minute_that_a_server_takes_to_start() {
        for (name, mut control) in loops() {
            let run = run(&mut *control, step, 0.0, 1);
            let too_much = 900.0 - SERVERS_MIN as f64 * SERVER_RPS;
            assert!(run.refused >= too_much * START_S as f64, "{name}");
        }
    }

    #[test]
    fn every_loop_ends_with_enough_servers_but_no_more_than_allowed() {
        for (name, mut control) in loops() {
            let run = run(&mut *control, step, 0.0, 1);
            assert!(run
                .sizes
                .iter()
                .all(|n| (SERVERS_MIN..=SERVERS_MAX).contains(n)));
            let settled = run.sizes[run.sizes.len() - 1];
            assert!(name == "threshold" || settled >= 9, "{name}: {settled}");
        }
    }
}
