//! One message, "add 10", travels from a producer by a broker to a consumer.
//! After every step somebody dies, and the run goes on until all is quiet: what is
//! in the account? 10 is right, 0 is a lost message, 20 one that was done twice.
//!
//! Look at the columns of the first table: which of the four deaths matters after
//! which step. The rows are in the order of the last two; at most once notes before
//! it sends, and forgets before it delivers. The second table adds ways that look
//! right and are not. Below it is one run, the steps before and after the death.
//!
//! Simplified: whoever dies starts again at once, with what it had on disk: the
//! producer a note that nothing is left to send, the broker its messages, the
//! consumer its database (SQLite; a death rolls back what is not committed). Packets
//! to the dead are lost. Time-outs fire when nothing else can happen.

mod consumer;
mod world;

use rusqlite::{Connection, Result};
use world::Step::{self, *};
use world::{Database, Event, Scheme, Victim, Victim::*, World, AMOUNT, VICTIMS};
use world::{AT_LEAST_ONCE, AT_MOST_ONCE, EFFECTIVELY_ONCE, LOOKS_RIGHT};

const STEPS_MAX: usize = 100;
const ORDER: u32 = 7;

/// The victim dies when so many steps have been made.
type Death = (usize, Victim);

impl Database for Connection {
    type Error = rusqlite::Error;

    fn begin(&mut self) -> Result<()> {
        self.execute_batch("BEGIN")
    }

    fn commit(&mut self) -> Result<()> {
        self.execute_batch("COMMIT")
    }

    fn roll_back(&mut self) -> Result<()> {
        if self.is_autocommit() {
            return Ok(());
        }
        self.execute_batch("ROLLBACK")
    }

    fn add(&mut self, amount: i64) -> Result<()> {
        consumer::add(self, amount)
    }

    fn remember(&mut self, key: &str) -> Result<bool> {
        consumer::remember(self, key)
    }

    fn is_done(&mut self, key: &str) -> Result<bool> {
        consumer::is_done(self, key)
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
    let mut world = World::new(scheme, db);
    world.take(ORDER);
    let mut steps = vec![];
    let mut deaths = deaths.iter().peekable();
    while steps.len() < STEPS_MAX {
        while let Some((_, victim)) = deaths.next_if(|death| death.0 <= steps.len())
        {
            world.die(*victim)?;
        }
        match world.next()? {
            Some(Event::Made(step)) => steps.push(step),
            Some(Event::Woken) => {}
            None => break,
        }
    }
    let (transcript, balance) = (world.transcript, consumer::balance(&world.db)?);
    Ok(Run {
        steps,
        transcript,
        balance,
    })
}

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

const SCHEMES: [Scheme; 3] = [AT_MOST_ONCE, AT_LEAST_ONCE, EFFECTIVELY_ONCE];

fn main() -> Result<()> {
    println!(
        "balance if producer, broker, consumer or all packets die after a step\n"
    );
    let names = SCHEMES.map(|scheme| format!("{:<20}", scheme.name));
    println!("{:<10}{}", "", names.concat().trim_end());
    println!("{:<10}{}", "", " P  B  C packets    ".repeat(3).trim_end());
    let mut deaths = vec![];
    for scheme in SCHEMES.iter().chain(&LOOKS_RIGHT) {
        let steps = run(scheme, &[])?.steps;
        deaths.push((scheme.name, steps, all_deaths(scheme)?));
    }
    let columns = &deaths[..SCHEMES.len()];
    // The last one makes every step of the other two.
    let rows = columns[2].1.iter().copied().map(Some);
    for row in [None].into_iter().chain(rows) {
        let name = row.map_or("(start)".to_string(), |step| format!("{step:?}"));
        let mut line = format!("{name:<10}");
        for (_, steps, outcomes) in columns {
            let made = |row| steps.iter().position(|step| *step == row);
            let after = row.map_or(Some(0), |row| made(row).map(|at| at + 1));
            let balances = outcomes.iter().filter(|((at, _), _)| Some(*at) == after);
            let cell: String = balances.map(|(_, b)| format!("{b:>2} ")).collect();
            line += &format!("{cell:<20}");
        }
        println!("{}", line.trim_end());
    }
    println!("\n{:<30}deaths  lost right twice", "");
    for (name, _, outcomes) in &deaths {
        print!("{name:<30}{:>6}", outcomes.len());
        for balance in [0, AMOUNT, 2 * AMOUNT] {
            print!("{:>6}", outcomes.iter().filter(|o| o.1 == balance).count());
        }
        println!();
    }
    println!("\neffectively once, the consumer dies before its ack:");
    let (before, after) = death_before_the_ack()?;
    println!("  {before}\n  {after}");
    let mut db = Connection::open_in_memory()?;
    db.execute_batch(consumer::SCHEMA)?;
    let added = [(); 2].map(|()| consumer::add_once(&mut db, "order 7", AMOUNT));
    let balance = consumer::balance(&db)?;
    println!("\nadd_once, called twice: {added:?}, balance {balance}");
    Ok(())
}

/// The steps until the consumer dies and those that follow.
fn death_before_the_ack() -> Result<(String, String)> {
    let steps = run(&EFFECTIVELY_ONCE, &[])?.steps;
    let ack = steps.iter().take_while(|step| **step != Ack).count();
    let transcript = run(&EFFECTIVELY_ONCE, &[(ack, Consumer)])?.transcript;
    let (before, after) = transcript.split_at(ack);
    Ok((before.join(" "), after.join(" ")))
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
        for first in (0..=steps).flat_map(|at| VICTIMS.map(|who| (at, who))) {
            // A run with a death is longer: what is done again can fail, too.
            let steps = run(scheme, &[first])?.steps.len();
            for at in first.0..=steps {
                for who in VICTIMS {
                    balances.push(run(scheme, &[first, (at, who)])?.balance);
                }
            }
        }
        Ok(balances)
    }

    #[test]
    fn without_a_death_every_scheme_is_right() -> Result<()> {
        for scheme in SCHEMES.iter().chain(&LOOKS_RIGHT) {
            assert_eq!(run(scheme, &[])?.balance, AMOUNT, "{}", scheme.name);
        }
        Ok(())
    }

    #[test]
    fn everyone_dies_before_the_first_step_and_after_each() -> Result<()> {
        for (scheme, steps) in SCHEMES.iter().zip([6, 8, 11]) {
            let deaths: Vec<Death> =
                all_deaths(scheme)?.into_iter().map(|(d, _)| d).collect();
            let expected =
                (0..=steps).flat_map(|at| VICTIMS.map(|victim| (at, victim)));
            assert!(deaths.into_iter().eq(expected), "{}", scheme.name);
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
        let (before, after) = death_before_the_ack()?;
        assert_eq!(
            before,
            "Send Store Confirm Note Deliver Begin Remember Add Commit"
        );
        assert_eq!(
            after,
            "(Consumer dies) Deliver Begin (Remember: known) Commit Ack Forget"
        );
        Ok(())
    }

    #[test]
    fn a_failure_inside_the_transaction_leaves_neither_key_nor_effect() -> Result<()>
    {
        let mut db = Connection::open_in_memory()?;
        db.execute_batch(consumer::SCHEMA)?;
        db.execute_batch(
            "CREATE TRIGGER full BEFORE UPDATE ON account
             BEGIN SELECT RAISE(ABORT, 'the disk is full'); END",
        )?;
        assert!(consumer::add_once(&mut db, "order 7", AMOUNT).is_err());
        assert!(!consumer::is_done(&db, "order 7")?);
        db.execute_batch("DROP TRIGGER full")?;
        assert!(consumer::add_once(&mut db, "order 7", AMOUNT)?);
        assert!(!consumer::add_once(&mut db, "order 7", AMOUNT)?);
        assert_eq!(consumer::balance(&db)?, AMOUNT);
        Ok(())
    }
}
