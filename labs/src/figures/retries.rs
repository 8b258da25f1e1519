//! Program: reliability_breaker, reliability_storm
//!
//! Users come at a steady rate, and the reader stops the server for a second. Which guards the callers
//! have can change in the middle of the storm; the server never gets faster.

use std::collections::VecDeque;

use fastrand::Rng;

use super::super::{Crowd, Defence, QUEUE_LONG, SERVE_PER_TICK, TIME_OUT_TICKS, TRIES};
use super::{Breaker, Millis, State, Ticket};
use crate::figure::{About, Action, Control, Figure, Kind, Setup};
use crate::scene::{Scene, Shape, Tone, WIDTH_MAX};

const TICK_MS: u64 = 100;
const STANDSTILL_TICKS: u64 = 10;
const BUDGET_PERCENT: u32 = 10;
const QUEUE_SHORT: usize = 400;

/// A storm outlives its cause when so long after it hardly anybody is answered.
const STORM_TICKS: u32 = 50;
const JITTER_TICKS: u32 = 100;
const WELL_TICKS: u32 = 20;

const SHOWN_TICKS: usize = 200;
const CALLS_SHOWN_MAX: u32 = 400;
const QUEUE_SHOWN_MAX: usize = 12_000;
const CHART: (f64, f64, f64, f64) = (26.0, 112.0, 276.0, 112.0); // x, y, width, height

/// What the reader can switch: name and width.
const GUARDS: [(&str, f64); 5] = [
    ("retries", 57.0),
    ("jitter", 47.0),
    ("budget", 53.0),
    ("short queue", 81.0),
    ("breaker", 58.0),
];
const RETRIES: usize = 0;
const JITTER: usize = 1;
const BUDGET: usize = 2;
const SHORT: usize = 3;
const BREAKER: usize = 4;

#[derive(Clone, Copy, Default)]
struct Moment {
    calls: u32,
    in_time: u32,
    turned_away: u32,
    stands: bool,
}

/// The callers, their breaker, the server, and what happened.
pub struct Lab {
    crowd: Crowd,
    guards: [bool; 5],
    breaker: Breaker,
    /// The breaker's era in which the calls of the last ticks went out; the newest is last.
    eras: VecDeque<(u64, Ticket)>,
    load: u32,
    now: u64,
    stands_until: u64,
    moments: VecDeque<Moment>,
    /// Ticks without a break, up to now: hardly anybody answered; the same with jitter; all well.
    storm: u32,
    storm_with_jitter: u32,
    well: u32,
    stormed: bool,
    jitter_failed: bool,
    ended: bool,
    opened: bool,
    closed_again: bool,
}

impl Lab {
    fn stands(&self) -> bool {
        self.now < self.stands_until
    }

    fn defend(&mut self) {
        let on = self.guards;
        self.crowd.defence = Defence {
            tries: if on[RETRIES] { TRIES } else { 1 },
            jitter: on[JITTER],
            budget_percent: on[BUDGET].then_some(BUDGET_PERCENT),
            queue_len_max: if on[SHORT] { QUEUE_SHORT } else { QUEUE_LONG },
        };
    }

    fn clock(&self) -> Millis {
        Millis(self.now * TICK_MS)
    }

    /// Tells the breaker how a call ended that was sent at `sent`.
    fn tell(&mut self, sent: u64, ok: bool) {
        let ticket = self
            .eras
            .iter()
            .find(|(at, _)| *at == sent)
            .map(|(_, ticket)| *ticket);
        if let Some(ticket) = ticket {
            let now = self.clock();
            self.breaker.tell(now, ticket, ok);
        }
    }

    fn breaker_says(&self) -> &'static str {
        match (self.guards[BREAKER], self.breaker.state) {
            (false, _) => "no breaker",
            (true, State::Closed { .. }) => "breaker closed",
            (true, State::Open { .. }) => "breaker open",
            (true, State::HalfOpen { .. }) => "breaker half-open",
        }
    }

    fn judge(&mut self, in_time: u32) {
        let count =
            |counter: &mut u32, goes_on: bool| *counter = if goes_on { *counter + 1 } else { 0 };
        let works = !self.stands();
        let storm = works && in_time * 10 < self.load;
        let retries = self.guards[RETRIES];
        count(&mut self.storm, storm && retries);
        count(
            &mut self.storm_with_jitter,
            storm && retries && self.guards[JITTER],
        );
        count(&mut self.well, works && in_time >= self.load);
        let well = self.well >= WELL_TICKS;
        self.stormed |= self.storm >= STORM_TICKS;
        self.jitter_failed |= self.storm_with_jitter >= JITTER_TICKS;
        self.ended |= self.stormed && well;
        let on = self.guards[BREAKER];
        self.opened |= on && matches!(self.breaker.state, State::Open { .. });
        self.closed_again |=
            self.opened && on && well && matches!(self.breaker.state, State::Closed { .. });
    }

    fn waits(&self) -> u64 {
        self.crowd
            .queue
            .front()
            .map_or(0, |(sent, _)| self.now.saturating_sub(*sent))
    }
}

fn seconds(ticks: u64) -> String {
    format!("{}.{} s", ticks / 10, ticks % 10)
}

impl Figure for Lab {
    const ABOUT: &'static About = &About {
        title: "A storm of retries, and what ends it",
        controls: &[Control {
            key: "load",
            label: "New requests a tick",
            kind: Kind::Slider { min: 30, max: 120, step: 5, value: 100, unit: "" },
        }],
        actions: &[
            Action { label: "Stop the server for a second", button: true },
            Action { label: "Switch a guard", button: false },
        ],
        goals: &[
            "Start a storm: five seconds after the server is back, not one request in ten is answered in time.",
            "Switch jitter on, and see the storm go on for ten seconds.",
            "End the storm: the same users, the same server, and for two seconds all are answered in time.",
            "Let the breaker open, and see it close again with all answered in time.",
        ],
        pace_ms: 100,
        still_acts: &[(0, 0)],
        still_steps: 120,
        steps_max: 1_500,
    };

    fn new(setup: &Setup) -> Self {
        let defence = Defence {
            tries: TRIES,
            jitter: false,
            budget_percent: None,
            queue_len_max: QUEUE_LONG,
        };
        let mut crowd = Crowd::new(defence);
        crowd.rng = Rng::with_seed(setup.seed);
        Lab {
            crowd,
            guards: [true, false, false, false, false],
            breaker: Breaker::default(),
            eras: VecDeque::new(),
            load: setup.number(Self::ABOUT, "load") as u32,
            now: 0,
            stands_until: 0,
            moments: VecDeque::new(),
            storm: 0,
            storm_with_jitter: 0,
            well: 0,
            stormed: false,
            jitter_failed: false,
            ended: false,
            opened: false,
            closed_again: false,
        }
    }

    fn step(&mut self) -> bool {
        let mut sends = self.crowd.sends(self.now, self.load);
        let wanted = sends.len();
        if self.guards[BREAKER] {
            let clock = self.clock();
            let breaker = &mut self.breaker;
            // Whoever is turned away here does not try again: the breaker says that it makes no sense.
            sends.retain(|_| breaker.ask(clock).is_some());
            self.eras.push_back((self.now, Ticket(self.breaker.era)));
            if self.eras.len() > TIME_OUT_TICKS as usize {
                self.eras.pop_front();
            }
        }
        let calls = sends.len();
        let serve = if self.stands() { 0 } else { SERVE_PER_TICK };
        let tick = self.crowd.tick(self.now, sends, serve);
        if self.guards[BREAKER] {
            for sent in &tick.in_time {
                self.tell(*sent, true);
            }
            for _ in 0..tick.refused {
                self.tell(self.now, false);
            }
            for _ in 0..tick.timed_out {
                self.tell(self.now + 1 - TIME_OUT_TICKS, false);
            }
        }
        let in_time = tick.in_time.len() as u32;
        self.judge(in_time);
        self.moments.push_back(Moment {
            calls: calls as u32,
            in_time,
            turned_away: (wanted - calls) as u32,
            stands: self.stands(),
        });
        if self.moments.len() > SHOWN_TICKS {
            self.moments.pop_front();
        }
        self.now += 1;
        true
    }

    fn act(&mut self, action: usize, value: i64) {
        if action == 0 {
            self.stands_until = self.now + STANDSTILL_TICKS;
        } else if let Some(guard) = usize::try_from(value)
            .ok()
            .and_then(|place| self.guards.get_mut(place))
        {
            *guard = !*guard;
            if value as usize == BREAKER {
                self.breaker = Breaker::default();
                self.eras.clear();
            }
            self.defend();
        }
    }

    fn draw(&self, scene: &mut Scene) {
        let (left, top, width, height) = CHART;
        scene.height(top + height + 20.0);
        let mut x = 0.0;
        for (place, (name, width)) in GUARDS.into_iter().enumerate() {
            let on = self.guards[place];
            let (tone, label, does) = match on {
                true => (Tone::A, format!("✓ {name}"), format!("Switch off: {name}")),
                false => (Tone::Faint, name.to_owned(), format!("Switch on: {name}")),
            };
            scene.add(
                Shape::rect(format!("guard-{place}"), x, 2.0, width, 26.0)
                    .tone(tone)
                    .label(label)
                    .small()
                    .tap(1, place as i64, does),
            );
            x += width + 2.0;
        }
        let (tone, label) = if self.stands() {
            (Tone::Bad, "stands still")
        } else {
            (Tone::Plain, "server")
        };
        scene.add(
            Shape::rect("server", 214.0, 38.0, 84.0, 28.0)
                .tone(tone)
                .label(label)
                .small()
                .strong()
                .tap(0, 0, "Stop the server for a second"),
        );
        let waiting = self.crowd.queue.len();
        let share = waiting.min(QUEUE_SHOWN_MAX) as f64 / QUEUE_SHOWN_MAX as f64;
        scene.add(Shape::rect("queue", 0.0, 56.0, 206.0, 10.0).tone(Tone::Faint));
        scene.add(
            Shape::rect("waiting", 206.0 - 206.0 * share, 56.0, 206.0 * share, 10.0).tone(Tone::B),
        );
        let text = match waiting {
            0 => "nobody waits".to_owned(),
            _ => format!("{waiting} wait, the first for {}", seconds(self.waits())),
        };
        scene.add(Shape::words("queue-words", 0.0, 45.0, text).small());

        let last = self.moments.back().copied().unwrap_or_default();
        let mut says = self.breaker_says().to_owned();
        if last.turned_away > 0 {
            says.push_str(&format!(": {} turned away", last.turned_away));
        }
        scene.add(Shape::words("breaker", 0.0, 81.0, says).small());
        scene.add(
            Shape::line("calls-key", 0.0, 99.0, 18.0, 99.0)
                .tone(Tone::B)
                .strong(),
        );
        scene.add(Shape::words("calls-words", 22.0, 99.0, format!("calls {}", last.calls)).small());
        scene.add(
            Shape::line("good-key", 84.0, 99.0, 102.0, 99.0)
                .tone(Tone::Good)
                .strong(),
        );
        scene.add(
            Shape::words(
                "good-words",
                106.0,
                99.0,
                format!("in time {}", last.in_time),
            )
            .small(),
        );
        scene.add(Shape::line("room-key", 182.0, 99.0, 200.0, 99.0).dashed());
        scene
            .add(Shape::words("room-words", 204.0, 99.0, format!("room {SERVE_PER_TICK}")).small());

        let y = |calls: u32| {
            top + height
                * (1.0 - f64::from(calls.min(CALLS_SHOWN_MAX)) / f64::from(CALLS_SHOWN_MAX))
        };
        let x = |place: usize| left + width * place as f64 / (SHOWN_TICKS - 1) as f64;
        scene.add(Shape::rect("chart", left, top, width, height).tone(Tone::Faint));
        let mut begun = None;
        for place in 0..=self.moments.len() {
            let stands = self.moments.get(place).is_some_and(|moment| moment.stands);
            match (begun, stands) {
                (None, true) => begun = Some(place),
                (Some(first), false) => {
                    begun = None;
                    let tick = self.now as usize + first - self.moments.len();
                    let width = (x(place) - x(first)).max(1.0);
                    scene.add(
                        Shape::rect(format!("still-{tick}"), x(first), top, width, height)
                            .tone(Tone::Bad),
                    );
                }
                _ => {}
            }
        }
        for calls in [0, 100, 200, 300] {
            let text = Shape::words(
                format!("axis-{calls}"),
                left - 4.0,
                y(calls),
                calls.to_string(),
            );
            scene.add(text.to_the_left().small().tone(Tone::Faint));
        }
        scene.add(
            Shape::line(
                "room",
                left,
                y(SERVE_PER_TICK),
                left + width,
                y(SERVE_PER_TICK),
            )
            .dashed(),
        );
        let curve = |value: fn(&Moment) -> u32| {
            self.moments
                .iter()
                .enumerate()
                .map(|(place, moment)| (x(place), y(value(moment))))
                .collect()
        };
        scene.add(
            Shape::path("calls", curve(|moment| moment.calls))
                .tone(Tone::B)
                .strong(),
        );
        scene.add(
            Shape::path("good", curve(|moment| moment.in_time))
                .tone(Tone::Good)
                .strong(),
        );
        scene.add(
            Shape::words(
                "time",
                WIDTH_MAX - 2.0,
                top + height + 11.0,
                format!("{} s shown", SHOWN_TICKS / 10),
            )
            .to_the_left()
            .small()
            .tone(Tone::Faint),
        );
        let on: Vec<&str> = GUARDS
            .iter()
            .zip(self.guards)
            .filter(|(_, on)| *on)
            .map(|((name, _), _)| *name)
            .collect();
        let on = if on.is_empty() {
            "no guard".to_owned()
        } else {
            on.join(", ")
        };
        scene.say(format!(
            "After {}: {} calls in the last tick, {} answers in time for {} new requests. {waiting} calls wait, \
             the first for {}. The server {}. On: {on}; {}.",
            seconds(self.now),
            last.calls,
            last.in_time,
            self.load,
            seconds(self.waits()),
            if self.stands() { "stands still" } else { "works" },
            self.breaker_says(),
        ));
    }

    fn reached(&self) -> Vec<bool> {
        vec![
            self.stormed,
            self.jitter_failed,
            self.ended,
            self.closed_again,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{ARRIVE_PER_TICK, DEFENCES, RUN_TICKS, STANDS_STILL};
    use super::*;

    fn lab(guards: &[usize]) -> Lab {
        let mut lab = Lab::new(&Setup::new(1));
        guards.iter().for_each(|guard| lab.act(1, *guard as i64));
        lab
    }

    fn play(lab: &mut Lab, ticks: u32) {
        for _ in 0..ticks {
            lab.step();
        }
    }

    /// In a storm that has outlived its cause.
    fn stormy() -> Lab {
        let mut lab = lab(&[]);
        play(&mut lab, 20);
        lab.act(0, 0);
        play(&mut lab, 80);
        assert_eq!(lab.reached(), [true, false, false, false]);
        lab
    }

    #[test]
    fn nothing_is_reached_while_the_server_goes_on() {
        for guards in [&[][..], &[JITTER], &[BREAKER], &[SHORT, BUDGET]] {
            let mut lab = lab(guards);
            play(&mut lab, 600);
            assert_eq!(lab.reached(), [false; 4]);
            assert!(lab.moments.iter().all(|moment| moment.in_time == lab.load));
        }
    }

    #[test]
    fn the_figure_goes_on_as_the_program_does() {
        for (name, defence) in DEFENCES {
            let mut lab = lab(&[]);
            lab.crowd = Crowd::new(defence);
            let mut program = Crowd::new(defence);
            for now in 0..RUN_TICKS {
                if now == STANDS_STILL.start {
                    lab.act(0, 0);
                }
                let sends = program.sends(now, ARRIVE_PER_TICK);
                let calls = sends.len() as u32;
                let serve = if STANDS_STILL.contains(&now) {
                    0
                } else {
                    SERVE_PER_TICK
                };
                let good = program.tick(now, sends, serve).in_time.len() as u32;
                lab.step();
                let seen = lab.moments[lab.moments.len() - 1];
                assert_eq!((seen.calls, seen.in_time), (calls, good), "{name} {now}");
            }
        }
    }

    #[test]
    fn jitter_does_not_end_the_storm() {
        let mut lab = stormy();
        lab.act(1, JITTER as i64);
        play(&mut lab, 110);
        assert_eq!(lab.reached(), [true, true, false, false]);
    }

    #[test]
    fn a_budget_comes_too_late_for_a_long_queue_and_not_for_a_short_one() {
        let mut lab = stormy();
        lab.act(1, BUDGET as i64);
        play(&mut lab, 300);
        assert!(!lab.ended);
        lab.act(1, SHORT as i64);
        play(&mut lab, 200);
        assert!(lab.ended);
    }

    #[test]
    fn without_retries_the_long_queue_still_has_to_go() {
        let mut lab = stormy();
        lab.act(1, RETRIES as i64);
        play(&mut lab, 300);
        assert!(!lab.ended);
    }

    #[test]
    fn the_breaker_ends_the_storm_and_closes_again() {
        let mut lab = stormy();
        lab.act(1, BREAKER as i64);
        play(&mut lab, 300);
        assert_eq!(lab.reached(), [true, false, true, true]);
        assert_eq!(lab.breaker_says(), "breaker closed");
    }

    #[test]
    fn an_open_breaker_turns_away_before_the_server() {
        let mut lab = stormy();
        lab.act(1, BREAKER as i64);
        let opens = (0..50).any(|_| lab.step() && lab.breaker_says() == "breaker open");
        assert!(opens);
        play(&mut lab, TIME_OUT_TICKS as u32 + 2); // the last who waited come, and are turned away too
        let last = lab.moments[lab.moments.len() - 1];
        assert_eq!((last.calls, last.turned_away), (0, lab.load));
    }

    #[test]
    fn a_server_with_three_times_the_room_has_no_storm() {
        let mut lab = Lab::new(&Setup::new(1).with("load", "35"));
        lab.act(0, 0);
        play(&mut lab, 300);
        assert_eq!(lab.reached(), [false; 4]);
    }
}
