//! One message, "add 10", travels from a producer by a broker to a consumer.
//! After every step somebody dies, and the run goes on until all is quiet: what is
//! in the account? 10 is right, 0 is a lost message, 20 one that was done twice.
//!
//! Look at the columns of the first table: which of the four deaths matters after
//! which step. The second table adds ways that look right and are not. The third
//! is one run; `tests` compares it line by line.
//!
//! Simplified: whoever dies starts again at once, with what it had on disk: the
//! producer a note that nothing is left to send, the broker its messages, the
//! consumer its database (SQLite; a death rolls back what is not committed). Packets
//! to the dead are lost. Time-outs fire when nothing else can happen.

mod consumer;
mod schemes;

use rusqlite::{Connection, Result};
use schemes::Step::{self, *};
use schemes::{Scheme, AT_LEAST_ONCE, AT_MOST_ONCE, EFFECTIVELY_ONCE, LOOKS_RIGHT};
use std::collections::VecDeque;

const AMOUNT: i64 = 10;
const STEPS_MAX: usize = 100;

type Number = u32; // the broker's own name for a message

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Producer,
    Broker,
    Consumer,
    Network, // all packets that are under way are lost
}
use Victim::*;
const VICTIMS: [Victim; 4] = [Producer, Broker, Consumer, Network];

/// The victim dies when so many steps have been made.
type Death = (usize, Victim);

#[derive(Clone, Copy)]
enum Packet {
    Publish,
    Confirmed,
    Delivery(Number),
    Acked(Number),
}

struct World<'a> {
    scheme: &'a Scheme,
    nothing_to_send: bool,                // the producer's disk
    stored: VecDeque<Number>,             // the broker's disk
    next: Number,                         // the broker's disk
    db: &'a Connection,                   // the consumer's disk
    delivered: bool,                      // the broker's memory
    plans: [VecDeque<(Step, Number)>; 3], // what each is about to do: memory
    network: VecDeque<Packet>,
    transcript: Vec<String>,
}

impl World<'_> {
    fn plan(&mut self, who: Victim, steps: &[Step], number: Number) {
        let steps = steps.iter().map(|step| (*step, number));
        self.plans[who as usize].extend(steps);
    }

    // ANCHOR: die
    fn die(&mut self, victim: Victim) -> Result<()> {
        self.transcript.push(format!("{victim:?} dies"));
        if victim == Network {
            self.network.clear();
            return Ok(());
        }
        self.plans[victim as usize].clear();
        self.network.retain(|packet| packet.to() != victim);
        match victim {
            Consumer if !self.db.is_autocommit() => {
                self.db.execute_batch("ROLLBACK")
            }
            Broker => {
                self.delivered = false;
                Ok(())
            }
            _ => Ok(()),
        }
    }
    // ANCHOR_END: die

    /// Arrivals and time-outs fill the plans; false when all is quiet.
    fn wake(&mut self) -> bool {
        let scheme = self.scheme;
        if let Some(packet) = self.network.pop_front() {
            match packet {
                Packet::Publish => self.plan(Broker, scheme.broker[0], 0),
                Packet::Confirmed => self.plan(Producer, scheme.producer[1], 0),
                Packet::Delivery(n) => self.plan(Consumer, scheme.consumer, n),
                Packet::Acked(n) => self.plan(Broker, scheme.broker[2], n),
            }
        } else if let (Some(&number), false) = (self.stored.front(), self.delivered)
        {
            self.plan(Broker, scheme.broker[1], number);
            self.delivered = true;
        } else if !self.nothing_to_send {
            self.plan(Producer, scheme.producer[0], 0);
        } else if !self.stored.is_empty() {
            self.delivered = false; // no acknowledgement: the time-out
        } else {
            return false;
        }
        true
    }

    fn make(&mut self, step: Step, number: Number) -> Result<()> {
        let key = match self.scheme.key_is_the_producers {
            true => "order 7".to_string(),
            false => number.to_string(),
        };
        let is_new = match step {
            Look => !consumer::is_done(self.db, &key)?,
            Remember => consumer::remember(self.db, &key)?,
            _ => true,
        };
        if !is_new {
            self.plans[Consumer as usize].retain(|(step, _)| *step != Add);
        }
        match step {
            Note => self.nothing_to_send = true,
            Send => self.network.push_back(Packet::Publish),
            Store => {
                self.next += 1;
                self.stored.push_back(self.next);
            }
            Confirm => self.network.push_back(Packet::Confirmed),
            Deliver => self.network.push_back(Packet::Delivery(number)),
            Forget => {
                self.stored.retain(|stored| *stored != number);
                self.delivered = false;
            }
            Begin => self.db.execute_batch("BEGIN")?,
            Add => consumer::add(self.db, AMOUNT)?,
            Commit => self.db.execute_batch("COMMIT")?,
            Ack => self.network.push_back(Packet::Acked(number)),
            Look | Remember => {}
        }
        let note = if is_new { "" } else { ": known" };
        self.transcript.push(format!("{step:?}{note}"));
        Ok(())
    }
}

impl Packet {
    fn to(self) -> Victim {
        match self {
            Packet::Publish | Packet::Acked(_) => Broker,
            Packet::Confirmed => Producer,
            Packet::Delivery(_) => Consumer,
        }
    }
}

struct Run {
    steps: Vec<Step>,
    transcript: Vec<String>,
    balance: i64,
}

fn run(scheme: &Scheme, deaths: &[Death]) -> Result<Run> {
    let db = Connection::open_in_memory()?;
    db.execute_batch(consumer::SCHEMA)?;
    let mut world = World {
        scheme,
        nothing_to_send: false,
        stored: VecDeque::new(),
        next: 0,
        db: &db,
        delivered: false,
        plans: [const { VecDeque::new() }; 3],
        network: VecDeque::new(),
        transcript: vec![],
    };
    let mut steps = vec![];
    let mut deaths = deaths.iter().peekable();
    while steps.len() < STEPS_MAX {
        while let Some((_, victim)) = deaths.next_if(|death| death.0 <= steps.len())
        {
            world.die(*victim)?;
        }
        let next = world.plans.iter_mut().find_map(VecDeque::pop_front);
        match next {
            Some((step, number)) => {
                world.make(step, number)?;
                steps.push(step);
            }
            None if world.wake() => {}
            None => break,
        }
    }
    let (transcript, balance) = (world.transcript, consumer::balance(&db)?);
    Ok(Run {
        steps,
        transcript,
        balance,
    })
}

// ANCHOR: enumerate
/// Every death of every victim: before the first step and after each one.
fn all_deaths(scheme: &Scheme) -> Result<Vec<(Death, i64)>> {
    let mut outcomes = vec![];
    for after in 0..=run(scheme, &[])?.steps.len() {
        for victim in VICTIMS {
            let death = (after, victim);
            outcomes.push((death, run(scheme, &[death])?.balance));
        }
    }
    Ok(outcomes)
}
// ANCHOR_END: enumerate

fn main() -> Result<()> {
    println!("balance when producer, broker, consumer die, or all packets are");
    println!("lost, after the step:\n");
    let schemes = [AT_MOST_ONCE, AT_LEAST_ONCE, EFFECTIVELY_ONCE];
    let [a, b, c] = schemes.each_ref().map(|scheme| scheme.name);
    println!("{:<10}{a:<20}{b:<20}{c}", "");
    let mut columns = vec![];
    for scheme in &schemes {
        columns.push((run(scheme, &[])?.steps, all_deaths(scheme)?));
    }
    println!("{:<10}{}", "", " P  B  C packets    ".repeat(3).trim_end());
    let rows = [
        None,
        Some(Note),
        Some(Send),
        Some(Store),
        Some(Confirm),
        Some(Forget),
        Some(Deliver),
        Some(Begin),
        Some(Remember),
        Some(Add),
        Some(Commit),
        Some(Ack),
    ];
    for row in rows {
        let name = row.map_or("(start)".to_string(), |step| format!("{step:?}"));
        let mut line = format!("{name:<10}");
        for (steps, outcomes) in &columns {
            let after = match row {
                None => Some(0),
                Some(row) => {
                    steps.iter().position(|step| *step == row).map(|i| i + 1)
                }
            };
            let balances = outcomes.iter().filter(|((at, _), _)| Some(*at) == after);
            let cell: String = balances.map(|(_, b)| format!("{b:>2} ")).collect();
            line += &format!("{:<20}", if after.is_some() { &cell } else { "" });
        }
        println!("{}", line.trim_end());
    }
    println!(
        "\n{:<30}{:>6}{:>6}{:>6}{:>6}",
        "", "deaths", "lost", "right", "twice"
    );
    for scheme in schemes.iter().chain(&LOOKS_RIGHT) {
        let deaths = all_deaths(scheme)?;
        print!("{:<30}{:>6}", scheme.name, deaths.len());
        for balance in [0, AMOUNT, 2 * AMOUNT] {
            print!("{:>6}", deaths.iter().filter(|d| d.1 == balance).count());
        }
        println!();
    }
    for scheme in [AT_LEAST_ONCE, EFFECTIVELY_ONCE] {
        println!("\n{}, the consumer dies before its ack:", scheme.name);
        let steps = run(&scheme, &[])?.steps;
        let ack = steps.iter().position(|step| *step == Ack).unwrap_or(0);
        print!("{}", wrapped(&run(&scheme, &[(ack, Consumer)])?.transcript));
    }
    let mut db = Connection::open_in_memory()?;
    db.execute_batch(consumer::SCHEMA)?;
    let added = [(); 2].map(|()| consumer::add_once(&mut db, "order 7", AMOUNT));
    let balance = consumer::balance(&db)?;
    println!("\nadd_once, called twice: {added:?}, balance {balance}");
    Ok(())
}

fn wrapped(transcript: &[String]) -> String {
    let (mut text, mut column) = (String::new(), 0);
    for word in transcript {
        if column == 0 || column + word.len() > 66 {
            text += if column == 0 { " " } else { "\n " };
            column = 1;
        }
        text += &format!(" {word}.");
        column += word.len() + 2;
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where it goes wrong: the step before the death, the victim, the balance.
    fn wrong(scheme: &Scheme) -> Result<Vec<(Step, Victim, i64)>> {
        let steps = run(scheme, &[])?.steps;
        let deaths = all_deaths(scheme)?.into_iter();
        let wrong = deaths.filter(|(_, balance)| *balance != AMOUNT);
        Ok(wrong
            .map(|((at, who), b)| (steps[at - 1], who, b))
            .collect())
    }

    /// Balances after any two deaths.
    fn after_two_deaths(scheme: &Scheme) -> Result<Vec<i64>> {
        let mut balances = vec![];
        let steps = run(scheme, &[])?.steps.len();
        for first in 0..=steps {
            for second in first..=steps {
                for who in VICTIMS {
                    for next in VICTIMS {
                        let deaths = [(first, who), (second, next)];
                        balances.push(run(scheme, &deaths)?.balance);
                    }
                }
            }
        }
        Ok(balances)
    }

    #[test]
    fn without_a_death_every_scheme_is_right() -> Result<()> {
        let schemes = [AT_MOST_ONCE, AT_LEAST_ONCE, EFFECTIVELY_ONCE];
        for scheme in schemes.iter().chain(&LOOKS_RIGHT) {
            assert_eq!(run(scheme, &[])?.balance, AMOUNT, "{}", scheme.name);
        }
        Ok(())
    }

    #[test]
    fn at_most_once_loses_and_never_repeats() -> Result<()> {
        let lost = [
            (Note, Producer, 0),
            (Send, Broker, 0),
            (Send, Network, 0),
            (Forget, Broker, 0),
            (Deliver, Consumer, 0),
            (Deliver, Network, 0),
        ];
        assert_eq!(wrong(&AT_MOST_ONCE)?, lost);
        assert!(after_two_deaths(&AT_MOST_ONCE)?
            .iter()
            .all(|b| *b <= AMOUNT));
        Ok(())
    }

    #[test]
    fn at_least_once_repeats_and_never_loses() -> Result<()> {
        let repeated = [
            (Store, Broker, 20),
            (Confirm, Producer, 20),
            (Confirm, Network, 20),
            (Add, Consumer, 20),
            (Ack, Broker, 20),
            (Ack, Network, 20),
        ];
        assert_eq!(wrong(&AT_LEAST_ONCE)?, repeated);
        let twice = after_two_deaths(&AT_LEAST_ONCE)?;
        assert!(twice.iter().all(|balance| *balance >= AMOUNT));
        assert!(twice.contains(&(3 * AMOUNT)));
        Ok(())
    }

    #[test]
    fn effect_and_key_in_one_transaction_are_right_after_any_two_deaths(
    ) -> Result<()> {
        assert_eq!(wrong(&EFFECTIVELY_ONCE)?, []);
        let balances = after_two_deaths(&EFFECTIVELY_ONCE)?;
        assert!(balances.iter().all(|balance| *balance == AMOUNT));
        Ok(())
    }

    #[test]
    fn an_ack_before_the_effect_loses_and_repeats() -> Result<()> {
        let wrong = wrong(&LOOKS_RIGHT[0])?;
        assert!(wrong.contains(&(Ack, Consumer, 0)));
        assert!(wrong.contains(&(Ack, Broker, 20)));
        Ok(())
    }

    #[test]
    fn a_broker_that_confirms_before_it_stores_loses() -> Result<()> {
        assert_eq!(wrong(&LOOKS_RIGHT[1])?, [(Confirm, Broker, 0)]);
        Ok(())
    }

    #[test]
    fn a_key_remembered_apart_from_the_effect_loses_or_repeats() -> Result<()> {
        assert_eq!(wrong(&LOOKS_RIGHT[2])?, [(Remember, Consumer, 0)]);
        assert_eq!(wrong(&LOOKS_RIGHT[3])?, [(Add, Consumer, 20)]);
        Ok(())
    }

    #[test]
    fn the_brokers_number_does_not_recognise_what_is_sent_again() -> Result<()> {
        let sent_again = [
            (Store, Broker, 20),
            (Confirm, Producer, 20),
            (Confirm, Network, 20),
        ];
        assert_eq!(wrong(&LOOKS_RIGHT[4])?, sent_again);
        Ok(())
    }

    #[test]
    fn the_second_delivery_meets_a_key_that_is_known() -> Result<()> {
        let steps = run(&EFFECTIVELY_ONCE, &[])?.steps;
        let ack = steps.iter().position(|step| *step == Ack).unwrap();
        let transcript = run(&EFFECTIVELY_ONCE, &[(ack, Consumer)])?.transcript;
        let expected = "Send, Store, Confirm, Note, Deliver, Begin, Remember, Add, \
            Commit, Consumer dies, Deliver, Begin, Remember: known, Commit, Ack, \
            Forget";
        assert_eq!(transcript.join(", "), expected);
        Ok(())
    }

    #[test]
    fn a_death_inside_the_transaction_leaves_neither_key_nor_effect() -> Result<()> {
        let mut db = Connection::open_in_memory()?;
        db.execute_batch(consumer::SCHEMA)?;
        let tx = db.transaction()?;
        assert!(consumer::remember(&tx, "order 7")?);
        consumer::add(&tx, AMOUNT)?;
        drop(tx);
        assert_eq!(consumer::balance(&db)?, 0);
        assert!(!consumer::is_done(&db, "order 7")?);
        assert!(consumer::add_once(&mut db, "order 7", AMOUNT)?);
        assert!(!consumer::add_once(&mut db, "order 7", AMOUNT)?);
        assert_eq!(consumer::balance(&db)?, AMOUNT);
        Ok(())
    }
}
