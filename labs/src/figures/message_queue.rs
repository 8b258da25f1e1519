//! Program: message_queues_delivery/world
//!
//! Six orders go from a producer by a broker to an account, one after another, and the reader says who
//! dies when. The consumer's database is a small one in memory: SQLite is no part of a page.

use std::collections::BTreeSet;
use std::convert::Infallible;

use super::Step::{self, *};
use super::Victim::{self, *};
use super::{
    Database, Event, Number, Packet, Scheme, World, AMOUNT, AT_LEAST_ONCE, AT_MOST_ONCE,
    EFFECTIVELY_ONCE, LOOKS_RIGHT, VICTIMS,
};
use crate::figure::{About, Action, Control, Figure, Kind, Setup};
use crate::scene::{Scene, Shape, Tone};

const ORDERS: usize = 6;
const NAMES: [&str; 8] = [
    AT_MOST_ONCE.name,
    AT_LEAST_ONCE.name,
    EFFECTIVELY_ONCE.name,
    LOOKS_RIGHT[0].name,
    LOOKS_RIGHT[1].name,
    LOOKS_RIGHT[2].name,
    LOOKS_RIGHT[3].name,
    LOOKS_RIGHT[4].name,
];
static FIRST: [Scheme; 3] = [AT_MOST_ONCE, AT_LEAST_ONCE, EFFECTIVELY_ONCE];
static REST: [Scheme; 5] = LOOKS_RIGHT;

/// Where the three stand: left edge and width.
const PLACES: [(f64, f64); 3] = [(0.0, 72.0), (102.0, 84.0), (216.0, 88.0)];
const PARTIES: [&str; 3] = ["producer", "broker", "consumer"];
const MEMORY: f64 = 62.0;
const DISK: f64 = 150.0;

#[derive(Clone, Default)]
struct Rows {
    balance: i64,
    keys: BTreeSet<String>,
}

/// The consumer's database: what is committed, and an open transaction's copy of it.
#[derive(Default)]
struct Memory {
    disk: Rows,
    open: Option<Rows>,
}

impl Memory {
    fn rows(&mut self) -> &mut Rows {
        self.open.as_mut().unwrap_or(&mut self.disk)
    }
}

impl Database for Memory {
    type Error = Infallible;

    fn begin(&mut self) -> Result<(), Infallible> {
        self.open = Some(self.disk.clone());
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Infallible> {
        if let Some(rows) = self.open.take() {
            self.disk = rows;
        }
        Ok(())
    }

    fn roll_back(&mut self) -> Result<(), Infallible> {
        self.open = None;
        Ok(())
    }

    fn add(&mut self, amount: i64) -> Result<(), Infallible> {
        self.rows().balance += amount;
        Ok(())
    }

    fn remember(&mut self, key: &str) -> Result<bool, Infallible> {
        Ok(self.rows().keys.insert(key.to_owned()))
    }

    fn is_done(&mut self, key: &str) -> Result<bool, Infallible> {
        Ok(self.rows().keys.contains(key))
    }
}

/// The way of the orders so far.
pub struct Lab {
    world: World<'static, Memory>,
    /// What each finished order added to the account.
    done: Vec<i64>,
    balance_before: i64,
    /// What happened last, in words.
    last: String,
    died: Option<Victim>,
    /// In this order the consumer died with the effect on its disk and the acknowledgement unsent.
    between: bool,
    survived_between: bool,
}

impl Lab {
    fn balance(&self) -> i64 {
        self.world.db.disk.balance
    }

    fn remembers(&self) -> bool {
        self.world.scheme.consumer.contains(&Remember)
    }

    /// The messages and answers under way, and those in the hands of the broker and the consumer.
    fn draw_tokens(&self, scene: &mut Scene) {
        let world = &self.world;
        let coming: Number = world.next + 1;
        let mut seen: BTreeSet<String> = world
            .stored
            .iter()
            .map(|number| format!("m{number}"))
            .collect();
        let mut put = |key: String, x: f64, y: f64, tone: Tone, label: &str, packet: bool| {
            let mut unique = key.clone();
            while !seen.insert(unique.clone()) {
                unique.push('+');
            }
            let mut shape = Shape::circle(unique, x, y, 12.0)
                .tone(tone)
                .label(label)
                .small();
            if packet {
                shape = shape.tap(1, 0, "Lose all packets");
            }
            scene.add(shape);
        };
        let order = (self.done.len() + 1).to_string();
        let broker = &world.plans[Broker as usize];
        if broker.iter().any(|(step, _)| *step == Store) {
            put(
                format!("m{coming}"),
                172.0,
                MEMORY + 4.0,
                Tone::A,
                &order,
                false,
            );
        }
        let consumer = &world.plans[Consumer as usize];
        if let Some((_, number)) = consumer.front() {
            let added = !consumer.iter().any(|(step, _)| *step == Add);
            let y = if added { DISK + 12.0 } else { MEMORY + 4.0 };
            put(format!("d{number}"), 290.0, y, Tone::A, &order, false);
        }
        let mut rows = [0.0, 0.0];
        for packet in &world.network {
            let (gap, tone, label, key) = match packet {
                Packet::Publish => (0, Tone::A, order.as_str(), format!("m{coming}")),
                Packet::Confirmed => (0, Tone::C, "ok", "confirmed".to_owned()),
                Packet::Delivery(number) => (1, Tone::A, order.as_str(), format!("d{number}")),
                Packet::Acked(number) => (1, Tone::C, "ok", format!("acked{number}")),
            };
            let x = [87.0, 201.0][gap];
            let y = 21.0 + 50.0 * rows[gap];
            put(key, x, y, tone, label, true);
            rows[gap] += 1.0;
        }
    }

    fn finish(&mut self) {
        let added = self.balance() - self.balance_before;
        self.done.push(added);
        self.survived_between |= self.between && added == AMOUNT;
        self.last = format!(
            "All is quiet: order {} added {added} to the account, which is {}.",
            self.done.len(),
            verdict(added)
        );
        self.balance_before = self.balance();
        self.between = false;
        if self.done.len() < ORDERS {
            self.world.take(self.done.len() as u32 + 1);
        }
    }
}

fn verdict(added: i64) -> &'static str {
    match added {
        0 => "a lost message",
        AMOUNT => "right",
        _ => "once too often",
    }
}

fn made(step: Step, known: bool) -> &'static str {
    match step {
        Note => "The producer notes on its disk that nothing is left to send.",
        Send => "The producer sends the message.",
        Store => "The broker stores the message on its disk.",
        Confirm => "The broker sends a confirmation.",
        Deliver => "The broker sends the message to the consumer.",
        Forget => "The broker forgets the message.",
        Look | Remember if known => {
            "The consumer finds the key: it knows the message and will not add."
        }
        Look => "The consumer looks for the key: the message is new.",
        Begin => "The consumer begins a transaction.",
        Remember => "The consumer writes the message's key.",
        Add => "The consumer adds 10 to the account.",
        Commit => "The consumer commits: what the transaction did is on its disk.",
        Ack => "The consumer sends the acknowledgement.",
    }
}

impl Figure for Lab {
    const ABOUT: &'static About = &About {
        title: "One message, and every place to die",
        controls: &[Control {
            key: "promise",
            label: "Promise",
            kind: Kind::Choice { options: &NAMES, value: 1 },
        }],
        actions: &[
            Action { label: "Crash", button: false },
            Action { label: "Lose all packets", button: true },
        ],
        goals: &[
            "Lose a message.",
            "Add an order to the account twice.",
            "Crash the consumer after the effect and before the acknowledgement, and still add once.",
            "Break a consumer that remembers keys: lose an order or add it twice all the same.",
        ],
        pace_ms: 900,
        still_acts: &[],
        still_steps: 10,
        steps_max: 600,
    };

    fn new(setup: &Setup) -> Self {
        let choice = setup.number(Self::ABOUT, "promise") as usize;
        let scheme = FIRST.iter().chain(&REST).nth(choice).unwrap_or(&FIRST[0]);
        let mut world = World::new(scheme, Memory::default());
        world.take(1);
        Lab {
            world,
            done: Vec::new(),
            balance_before: 0,
            last: "The producer has order 1 to send.".to_owned(),
            died: None,
            between: false,
            survived_between: false,
        }
    }

    fn step(&mut self) -> bool {
        self.died = None;
        let (arriving, delivered) = (self.world.network.front().copied(), self.world.delivered);
        let Ok(event) = self.world.next();
        match event {
            Some(Event::Made(step)) => {
                let known = self
                    .world
                    .transcript
                    .last()
                    .is_some_and(|line| line.ends_with("known)"));
                self.last = made(step, known).to_owned();
            }
            Some(Event::Woken) => {
                self.last = match arriving {
                    Some(Packet::Publish) => "The message arrives at the broker.",
                    Some(Packet::Confirmed) => "The confirmation arrives at the producer.",
                    Some(Packet::Delivery(_)) => "The message arrives at the consumer.",
                    Some(Packet::Acked(_)) => "The acknowledgement arrives at the broker.",
                    None if !delivered && self.world.delivered => "The broker turns to the message that waits.",
                    None if delivered => {
                        "No acknowledgement: the visibility time-out is over, and the broker will deliver again."
                    }
                    None => "The producer has a message to send, and no confirmation for it.",
                }
                .to_owned();
            }
            None => self.finish(),
        }
        self.done.len() < ORDERS
    }

    fn act(&mut self, action: usize, value: i64) {
        let value = if action == 1 { Network as i64 } else { value };
        let Some(victim) = VICTIMS.into_iter().find(|victim| *victim as i64 == value) else {
            return;
        };
        if self.done.len() >= ORDERS {
            return;
        }
        let unsent = self.world.plans[Consumer as usize]
            .iter()
            .any(|(step, _)| *step == Ack);
        self.between |= victim == Consumer && unsent && self.balance() > self.balance_before;
        let Ok(()) = self.world.die(victim);
        self.died = Some(victim);
        self.last = match victim {
            Producer => "The producer crashes and starts again with what is on its disk.",
            Broker => "The broker crashes and starts again with what is on its disk.",
            Consumer => "The consumer crashes and starts again: what was not committed is gone.",
            Network => "All packets under way are lost.",
        }
        .to_owned();
    }

    fn draw(&self, scene: &mut Scene) {
        scene.height(262.0);
        let world = &self.world;
        for (place, ((x, width), name)) in PLACES.into_iter().zip(PARTIES).enumerate() {
            let crashed = self.died.is_some_and(|victim| victim as usize == place);
            let tone = if crashed { Tone::Bad } else { Tone::Plain };
            scene.add(
                Shape::rect(name, x, 6.0, width, 30.0)
                    .tone(tone)
                    .label(name)
                    .strong()
                    .tap(0, place as i64, format!("Crash the {name}")),
            );
            if world.plans[place].is_empty() {
                scene.add(
                    Shape::words(format!("{name}-waits"), x, MEMORY, "waits")
                        .small()
                        .tone(Tone::Faint),
                );
            }
            for (row, (step, _)) in world.plans[place].iter().take(5).enumerate() {
                let sign = if row == 0 { "▸ " } else { "  " };
                let mut words = Shape::words(
                    format!("{name}-{row}"),
                    x,
                    MEMORY + 15.0 * row as f64,
                    format!("{sign}{step:?}"),
                )
                .small();
                if row == 0 {
                    words = words.strong();
                }
                scene.add(words);
            }
        }
        scene.add(
            Shape::words("memory", 0.0, 47.0, "in memory: what each does next")
                .small()
                .tone(Tone::Faint),
        );
        scene.add(
            Shape::words("disk", 0.0, DISK - 9.0, "on disk")
                .small()
                .tone(Tone::Faint),
        );

        let order = self.done.len() + 1;
        let (x, width) = PLACES[0];
        let (label, tone) = match world.nothing_to_send {
            true => ("all sent".to_owned(), Tone::Faint),
            false => (format!("order {order}"), Tone::A),
        };
        scene.add(
            Shape::rect("note", x, DISK, width, 50.0)
                .tone(tone)
                .label(label)
                .small(),
        );
        let (x, width) = PLACES[1];
        scene.add(Shape::rect("queue", x, DISK, width, 50.0).tone(Tone::Faint));
        for (place, number) in world.stored.iter().take(3).enumerate() {
            let x = x + 16.0 + 26.0 * place as f64;
            scene.add(
                Shape::circle(format!("m{number}"), x, DISK + 25.0, 11.0)
                    .tone(Tone::A)
                    .label(number.to_string())
                    .small(),
            );
        }
        let (x, width) = PLACES[2];
        scene.add(Shape::rect("account", x, DISK, width, 50.0).tone(Tone::Faint));
        let balance = format!("balance {}", self.balance());
        scene.add(
            Shape::words("balance", x + 6.0, DISK + 10.0, balance)
                .small()
                .strong(),
        );
        if self.remembers() {
            let keys = format!("keys: {}", world.db.disk.keys.len());
            scene.add(Shape::words("keys", x + 6.0, DISK + 24.0, keys).small());
        }
        if let Some(open) = &world.db.open {
            let label = format!("not yet: +{}", open.balance - self.balance());
            scene.add(
                Shape::rect("open", x + 3.0, DISK + 31.0, width - 6.0, 16.0)
                    .tone(Tone::B)
                    .label(label)
                    .small(),
            );
        }

        self.draw_tokens(scene);

        let heading = format!("added to the account by each order ({AMOUNT} is right)");
        scene.add(
            Shape::words("orders", 0.0, 214.0, heading)
                .small()
                .tone(Tone::Faint),
        );
        for place in 0..ORDERS {
            let (tone, label) = match self.done.get(place) {
                Some(&AMOUNT) => (Tone::Good, format!("{AMOUNT}")),
                Some(added) => (Tone::Bad, format!("{added}")),
                None if place == self.done.len() => (Tone::A, format!("order {order}")),
                None => (Tone::Faint, String::new()),
            };
            let x = 51.0 * place as f64;
            scene.add(
                Shape::rect(format!("order-{place}"), x, 230.0, 47.0, 26.0)
                    .tone(tone)
                    .label(label)
                    .small(),
            );
        }
        let next = world
            .plans
            .iter()
            .zip(PARTIES)
            .find_map(|(plan, name)| Some((name, plan.front()?)));
        let next = match next {
            Some((name, (step, _))) => format!(" Next: the {name}'s {step:?}."),
            None => String::new(),
        };
        scene.say(format!(
            "{}{next} Order {} of {ORDERS}, {}; the balance is {}.",
            self.last,
            order.min(ORDERS),
            world.scheme.name,
            self.balance()
        ));
    }

    fn reached(&self) -> Vec<bool> {
        vec![
            self.done.contains(&0),
            self.done.iter().any(|added| *added > AMOUNT),
            self.survived_between,
            self.remembers() && self.done.iter().any(|added| *added != AMOUNT),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab(promise: usize) -> Lab {
        Lab::new(&Setup::new(1).with("promise", &promise.to_string()))
    }

    /// Plays one order; `victim` dies as soon as so many steps of the program have been made.
    fn play(lab: &mut Lab, death: Option<(usize, Victim)>) -> (usize, i64) {
        let (orders, before) = (lab.done.len(), made_steps(lab));
        let mut open = death;
        while lab.done.len() == orders {
            if let Some((after, victim)) =
                open.filter(|(after, _)| made_steps(lab) - before >= *after)
            {
                assert!(made_steps(lab) - before == after);
                let action = if victim == Network {
                    (1, 0)
                } else {
                    (0, victim as i64)
                };
                lab.act(action.0, action.1);
                open = None;
            }
            lab.step();
        }
        (made_steps(lab) - before, lab.done[orders])
    }

    fn made_steps(lab: &Lab) -> usize {
        lab.world
            .transcript
            .iter()
            .filter(|line| !line.ends_with("dies)"))
            .count()
    }

    #[test]
    fn every_death_ends_as_in_the_programs_table_with_sqlite() {
        let printed = include_str!("../../../examples/message_queues_delivery.out");
        for (promise, name) in NAMES.iter().enumerate() {
            let (steps, _) = play(&mut lab(promise), None);
            let mut counts = [0; 4];
            for after in 0..=steps {
                for victim in VICTIMS {
                    let (_, added) = play(&mut lab(promise), Some((after, victim)));
                    counts[0] += 1;
                    counts[1 + (added / AMOUNT) as usize] += 1;
                }
            }
            let line = format!(
                "{name:<30}{:>6}{:>6}{:>6}{:>6}",
                counts[0], counts[1], counts[2], counts[3]
            );
            assert!(printed.lines().any(|printed| printed == line), "{line}");
        }
    }

    #[test]
    fn nobody_reaches_a_goal_without_a_crash() {
        for promise in 0..NAMES.len() {
            let mut lab = lab(promise);
            while lab.step() {}
            assert_eq!(lab.done, [AMOUNT; ORDERS]);
            assert_eq!(lab.reached(), [false; 4]);
        }
    }

    /// Steps until the consumer's next step is `step`, and crashes it.
    fn crash_before(lab: &mut Lab, step: Step) {
        while lab.world.plans[Consumer as usize]
            .front()
            .map(|next| next.0)
            != Some(step)
        {
            assert!(lab.step());
        }
        lab.act(0, Consumer as i64);
        let orders = lab.done.len();
        while lab.done.len() == orders {
            lab.step();
        }
    }

    #[test]
    fn at_most_once_loses_and_at_least_once_adds_twice() {
        let mut lab = lab(0);
        crash_before(&mut lab, Add);
        assert_eq!(lab.reached(), [true, false, false, false]);
        let mut lab = super::tests::lab(1);
        crash_before(&mut lab, Ack);
        assert_eq!(lab.reached(), [false, true, false, false]);
    }

    #[test]
    fn the_key_in_the_transaction_survives_a_crash_before_the_acknowledgement() {
        let mut lab = lab(2);
        crash_before(&mut lab, Commit);
        assert_eq!(lab.reached(), [false; 4]); // nothing was on the disk yet
        crash_before(&mut lab, Ack);
        assert_eq!(lab.reached(), [false, false, true, false]);
        assert_eq!(lab.done, [AMOUNT, AMOUNT]);
    }

    #[test]
    fn a_key_apart_from_the_effect_breaks() {
        let mut lab = lab(5);
        crash_before(&mut lab, Add);
        assert_eq!(lab.reached(), [true, false, false, true]);
        assert_eq!(lab.done, [0]);
    }

    #[test]
    fn the_brokers_numbers_go_on_from_order_to_order() {
        let mut lab = lab(7);
        while lab.step() {}
        assert_eq!(lab.world.db.disk.keys.len(), ORDERS);
    }
}
