//! Program: geo_ttl, geo_routing
//!
//! The world of the first program, in which the reader takes regions away. How long a resolver still
//! gives the old address is what the second program plays; it is rounded to whole seconds.

use fastrand::Rng;

use super::super::{
    capacity, load, round_trip_ms, route, users, Policy, User, CITIES, NOBODY, POLICIES, REGIONS,
};
use super::{resolver, Seconds, BUSY, DETECTION};
use crate::figure::{About, Action, Control, Figure, Kind, Setup};
use crate::scene::{Scene, Shape, Tone};

const STEP_S: u64 = 5;
/// Resolvers in each city.
const RESOLVERS: usize = 5;
const WELL_AFTER_S: u64 = 45;
// Anycast has no TTL: it is not among the choices.
const CHOICES: [&str; 4] = [POLICIES[0].0, POLICIES[1].0, POLICIES[2].0, POLICIES[3].0];
const TONES: [Tone; 4] = [Tone::A, Tone::B, Tone::C, Tone::D];
const LETTERS: [&str; 4] = ["V", "I", "S", "P"];
const REGION_AT: [(f64, f64); 4] = [(98.0, 58.0), (132.0, 22.0), (246.0, 96.0), (118.0, 126.0)];
const CITY_AT: [(f64, f64); 14] = [
    (104.0, 32.0),
    (22.0, 54.0),
    (46.0, 86.0),
    (66.0, 116.0),
    (92.0, 152.0),
    (150.0, 140.0),
    (164.0, 28.0),
    (184.0, 46.0),
    (166.0, 92.0),
    (196.0, 134.0),
    (214.0, 72.0),
    (268.0, 122.0),
    (284.0, 56.0),
    (288.0, 150.0),
];

/// Where everybody is sent, and what is up.
pub struct Lab {
    users: Vec<User>,
    policy: Policy,
    ttl_s: u64,
    room: [usize; 4],
    rng: Rng,
    now_s: u64,
    /// Since when a region is down, and what the health check says of it.
    down_since: [Option<u64>; 4],
    known_up: [bool; 4],
    /// When the health check will say something else.
    switch_at: [Option<u64>; 4],
    sent_to: Vec<usize>,
    /// When the copy of a user's resolver ends, if it is out of date.
    held_until: Vec<Option<u64>>,
    away_s: Vec<u64>,
    longest_away_s: u64,
    by_overload: usize,
    well: bool,
    wrong: bool,
}

impl Lab {
    fn open(&self) -> Vec<usize> {
        (0..REGIONS.len())
            .filter(|region| self.known_up[*region])
            .collect()
    }

    fn is_away(&self, user: usize) -> bool {
        self.down_since
            .get(self.sent_to[user])
            .is_none_or(|since| since.is_some())
    }

    fn away(&self) -> usize {
        (0..self.users.len())
            .filter(|user| self.is_away(*user))
            .count()
    }

    fn wrong_percent(&self) -> usize {
        let all = self.open();
        let wrong = self
            .users
            .iter()
            .zip(&self.sent_to)
            .filter(|(user, region)| **region != route(Policy::Latency, user, &all));
        100 * wrong.count() / self.users.len()
    }

    fn slowest_ms(&self) -> i64 {
        let times = self
            .users
            .iter()
            .zip(&self.sent_to)
            .filter(|(_, region)| **region != NOBODY);
        times
            .map(|(user, region)| {
                (round_trip_ms(&CITIES[user.city], *region) + user.last_mile_ms).round() as i64
            })
            .max()
            .unwrap_or(0)
    }

    fn fail(&mut self, region: usize) {
        self.down_since[region] = Some(self.now_s);
        self.switch_at[region] = Some(self.now_s + DETECTION.0 as u64);
    }

    /// The name server's answer has changed: each resolver gives the old one until its copy ends.
    fn switch(&mut self) {
        let held: Vec<u64> = (0..CITIES.len() * RESOLVERS)
            .map(|_| {
                resolver(&mut self.rng, Seconds(self.ttl_s as f64), BUSY)
                    .held
                    .0
                    .round() as u64
            })
            .collect();
        let open = self.open();
        for (place, user) in self.users.iter().enumerate() {
            let ends = self.now_s + held[user.resolver * RESOLVERS + place % RESOLVERS];
            if route(self.policy, user, &open) != self.sent_to[place]
                && self.held_until[place].is_none()
            {
                self.held_until[place] = Some(ends);
            }
        }
    }

    fn outage(&self) -> bool {
        self.down_since.iter().any(Option::is_some)
    }
}

impl Figure for Lab {
    const ABOUT: &'static About = &About {
        title: "A region is gone: who still goes there?",
        controls: &[
            Control { key: "policy", label: "Policy", kind: Kind::Choice { options: &CHOICES, value: 2 } },
            Control {
                key: "ttl",
                label: "TTL",
                kind: Kind::Slider { min: 5, max: 300, step: 5, value: 60, unit: "s" },
            },
            Control {
                key: "headroom",
                label: "Headroom of each region",
                kind: Kind::Slider { min: 0, max: 150, step: 25, value: 50, unit: "%" },
            },
        ],
        actions: &[Action { label: "Stop or start a region", button: false }],
        goals: &[
            "Let somebody be sent to a dead region for longer than the TTL.",
            "Take one region away, and lose all four.",
            "Lose a region, and 45 seconds later have everybody served again.",
            "Without any outage, send more than one user in ten to a region that is not their fastest.",
        ],
        pace_ms: 300,
        still_acts: &[(0, 1)],
        still_steps: 4,
        steps_max: 400,
    };

    fn new(setup: &Setup) -> Self {
        let number = |key| setup.number(Self::ABOUT, key);
        let mut rng = Rng::with_seed(setup.seed);
        let users = users(&mut rng);
        let policy = POLICIES[number("policy") as usize].1;
        let sent_to: Vec<usize> = users
            .iter()
            .map(|user| route(policy, user, &[0, 1, 2, 3]))
            .collect();
        Lab {
            policy,
            ttl_s: number("ttl") as u64,
            room: capacity(load(&sent_to), number("headroom") as f64 / 100.0),
            rng,
            now_s: 0,
            down_since: [None; 4],
            known_up: [true; 4],
            switch_at: [None; 4],
            held_until: vec![None; users.len()],
            away_s: vec![0; users.len()],
            longest_away_s: 0,
            by_overload: 0,
            well: false,
            wrong: false,
            sent_to,
            users,
        }
    }

    fn step(&mut self) -> bool {
        self.now_s += STEP_S;
        let mut changed = false;
        for region in 0..REGIONS.len() {
            if self.switch_at[region].is_some_and(|at| at <= self.now_s) {
                self.switch_at[region] = None;
                let up = self.down_since[region].is_none();
                changed |= up != self.known_up[region];
                self.known_up[region] = up;
            }
        }
        if changed {
            self.switch();
        }
        let open = self.open();
        for place in 0..self.users.len() {
            if self.held_until[place].is_some_and(|until| until <= self.now_s) {
                self.held_until[place] = None;
                self.sent_to[place] = route(self.policy, &self.users[place], &open);
            }
        }
        // As in the program: a region that gets more than it can take fails too.
        let load = load(&self.sent_to);
        for region in 0..REGIONS.len() {
            if self.down_since[region].is_none() && load[region] > self.room[region] {
                self.fail(region);
                self.by_overload += 1;
            }
        }
        for place in 0..self.users.len() {
            self.away_s[place] = if self.is_away(place) {
                self.away_s[place] + STEP_S
            } else {
                0
            };
            if self.sent_to[place] != NOBODY {
                self.longest_away_s = self.longest_away_s.max(self.away_s[place]);
            }
        }
        let since = self.down_since.iter().flatten().min();
        let nobody_away = self.away() == 0;
        self.well |= since.is_some_and(|since| (1..=WELL_AFTER_S).contains(&(self.now_s - since)))
            && nobody_away;
        let normal = !self.outage() && self.known_up == [true; 4];
        self.wrong |=
            normal && self.held_until.iter().all(Option::is_none) && self.wrong_percent() > 10;
        true
    }

    fn act(&mut self, _: usize, value: i64) {
        let Some(region) = usize::try_from(value)
            .ok()
            .filter(|region| *region < REGIONS.len())
        else {
            return;
        };
        if self.down_since[region].take().is_some() {
            self.switch_at[region] = Some(self.now_s + DETECTION.0 as u64);
        } else {
            self.fail(region);
        }
    }

    fn draw(&self, scene: &mut Scene) {
        scene.height(280.0);
        for (city, (x, y)) in CITY_AT.into_iter().enumerate() {
            let mut counts = [0; 5];
            for (user, region) in self
                .users
                .iter()
                .zip(&self.sent_to)
                .filter(|(user, _)| user.city == city)
            {
                counts[*region] += usize::from(user.city == city);
            }
            // Where most of the city's users are sent; of equals the first.
            let most = (0..=NOBODY)
                .rev()
                .max_by_key(|region| counts[*region])
                .unwrap_or(NOBODY);
            let dead = self
                .down_since
                .get(most)
                .is_none_or(|since| since.is_some());
            let tone = if dead { Tone::Bad } else { TONES[most] };
            if let Some((to_x, to_y)) = REGION_AT.get(most) {
                scene.add(Shape::line(format!("way-{city}"), x, y, *to_x, *to_y).tone(tone));
            }
            let letter = LETTERS.get(most).copied().unwrap_or("–");
            scene.add(
                Shape::circle(format!("city-{city}"), x, y, 8.0)
                    .tone(tone)
                    .label(letter)
                    .small(),
            );
        }
        let load = load(&self.sent_to);
        for (region, (x, y)) in REGION_AT.into_iter().enumerate() {
            let name = REGIONS[region].0;
            let down = self.down_since[region].is_some();
            let does = if down {
                format!("Start {name}")
            } else {
                format!("Stop {name}")
            };
            let tone = if down { Tone::Bad } else { TONES[region] };
            scene.add(
                Shape::circle(format!("region-{region}"), x, y, 15.0)
                    .tone(tone)
                    .label(LETTERS[region])
                    .strong()
                    .tap(0, region as i64, does),
            );
            let y = 176.0 + 21.0 * region as f64;
            scene.add(
                Shape::words(
                    format!("name-{region}"),
                    0.0,
                    y,
                    format!("{} {name}", LETTERS[region]),
                )
                .small(),
            );
            let percent = 100 * load[region] / self.room[region].max(1);
            let full = 120.0 * percent.min(100) as f64 / 100.0;
            scene.add(
                Shape::rect(format!("room-{region}"), 76.0, y - 7.0, 120.0, 14.0).tone(Tone::Faint),
            );
            scene.add(Shape::rect(format!("load-{region}"), 76.0, y - 7.0, full, 14.0).tone(tone));
            let state = match (down, self.known_up[region]) {
                (true, true) => "down, unnoticed".to_owned(),
                (true, false) => "down, noticed".to_owned(),
                (false, false) => "up, unnoticed".to_owned(),
                (false, true) => format!("{percent} % of room"),
            };
            scene.add(Shape::words(format!("state-{region}"), 206.0, y, state).small());
        }
        let away = self.away();
        let text = format!(
            "{} s: {away} of {} users get no answer",
            self.now_s,
            self.users.len()
        );
        scene.add(Shape::words("away", 0.0, 264.0, text).small().strong());
        let down: Vec<String> = (0..REGIONS.len())
            .filter_map(|region| {
                let since = self.now_s - self.down_since[region]?;
                let seen = if self.known_up[region] {
                    "not noticed yet"
                } else {
                    "noticed"
                };
                Some(format!(
                    "{} is down for {since} s, {seen}",
                    REGIONS[region].0
                ))
            })
            .collect();
        let down = if down.is_empty() {
            "All regions are up".to_owned()
        } else {
            down.join("; ")
        };
        let loads: Vec<String> = (0..REGIONS.len())
            .map(|region| {
                format!(
                    "{} {} %",
                    REGIONS[region].0,
                    100 * load[region] / self.room[region].max(1)
                )
            })
            .collect();
        scene.say(format!(
            "At {} s: {down}. {away} of {} users get no answer, {} % are not sent to the fastest, the slowest \
             round trip is {} ms. Share of its room that is asked of each: {}.",
            self.now_s,
            self.users.len(),
            self.wrong_percent(),
            self.slowest_ms(),
            loads.join(", ")
        ));
    }

    fn reached(&self) -> Vec<bool> {
        let all_down = self.down_since.iter().all(Option::is_some);
        vec![
            self.longest_away_s > self.ttl_s,
            all_down && self.by_overload == 3,
            self.well,
            self.wrong,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::cascade;
    use super::*;

    fn lab(policy: usize, ttl: u64, headroom: u64) -> Lab {
        let (policy, ttl, headroom) = (policy.to_string(), ttl.to_string(), headroom.to_string());
        Lab::new(
            &Setup::new(1)
                .with("policy", &policy)
                .with("ttl", &ttl)
                .with("headroom", &headroom),
        )
    }

    fn play(lab: &mut Lab, seconds: u64) {
        for _ in 0..seconds / STEP_S {
            lab.step();
        }
    }

    #[test]
    fn an_ordinary_day_reaches_nothing_and_refuses_nobody() {
        let mut lab = lab(2, 60, 50);
        play(&mut lab, 600);
        assert_eq!((lab.away(), lab.reached()), (0, vec![false; 4]));
    }

    #[test]
    fn nobody_is_saved_before_detection_and_all_are_when_the_last_copy_has_ended() {
        let mut lab = lab(2, 60, 150);
        lab.act(0, 2);
        play(&mut lab, 25);
        assert_eq!(lab.away(), load(&lab.sent_to)[2]);
        assert_eq!(lab.away(), 460); // as printed by the program
        play(&mut lab, 65);
        assert_eq!(lab.away(), 0);
        assert_eq!(lab.reached(), [true, false, false, false]);
        assert!(lab.longest_away_s <= 90);
    }

    #[test]
    fn the_same_regions_die_as_in_the_programs_cascade() {
        for headroom in [0, 25, 50, 100, 150] {
            for dead in 0..4 {
                let mut lab = lab(2, 5, headroom);
                let died = cascade(&lab.users, lab.room, dead);
                lab.act(0, dead as i64);
                play(&mut lab, 600);
                let down = (0..4)
                    .filter(|region| lab.down_since[*region].is_some())
                    .count();
                assert_eq!(down == 4, died.len() == 4, "{headroom} {dead} {died:?}");
                assert_eq!(lab.reached()[1], died.len() == 4);
            }
        }
    }

    #[test]
    fn a_short_ttl_and_room_serve_everybody_after_45_seconds_and_a_long_one_does_not() {
        for (ttl, served) in [(5, true), (15, true), (60, false)] {
            let mut lab = lab(2, ttl, 150);
            lab.act(0, 2);
            play(&mut lab, 300);
            assert_eq!(lab.reached()[2], served, "{ttl}");
        }
    }

    #[test]
    fn a_name_server_that_sees_the_resolver_sends_one_in_ten_wrong() {
        for (policy, wrong) in [(0, false), (1, true), (2, false), (3, true)] {
            let mut lab = lab(policy, 60, 50);
            lab.step();
            assert_eq!(lab.reached()[3], wrong, "{policy}");
        }
    }

    #[test]
    fn a_region_that_returns_gets_its_users_back() {
        let mut lab = lab(2, 30, 150);
        let before = lab.sent_to.clone();
        lab.act(0, 3);
        play(&mut lab, 120);
        assert_ne!(lab.sent_to, before);
        lab.act(0, 3);
        play(&mut lab, 120);
        assert_eq!(lab.sent_to, before);
    }
}
