//! PostgreSQL with one replica: when is a write answered, who can read it then, and
//! is it still there when the primary dies?
//!
//! Look at the same write at four values of `synchronous_commit`. The stronger the
//! promise, the sooner a replica in trouble stops the writes; and the write whose
//! wait is cancelled is reported as committed, and lost.
//!
//! Simplified: one replica, one machine, and the cut is made by pointing the replica
//! elsewhere, so that what is lost does not depend on luck.

use anyhow::Result;
use real::machine;
use real::program::POSTGRES;
use real::replication::{Answer, Level, Load, Pair};
use std::process::ExitCode;
use std::time::Duration;

/// How many transactions the load is.
const COMMITS: u32 = 500;

fn ms(time: Duration) -> String {
    format!("{} ms", time.as_micros().div_ceil(1000))
}

fn word(answer: Answer) -> &'static str {
    match answer {
        Answer::Acknowledged => "ack",
        Answer::Waits => "waits",
    }
}

fn line(label: &str, cells: [&str; 4]) {
    let [a, b, c, d] = cells;
    println!("{label:<22}{a:>8}{b:>14}{c:>8}{d:>14}");
}

/// The same write at each level, in one state of the replica; whether a read of the
/// replica finds it at once.
fn row(
    pair: &Pair,
    first_id: i32,
    before: impl Fn(&Pair) -> Result<()>,
    after: impl Fn(&Pair) -> Result<()>,
) -> Result<([&'static str; 4], [&'static str; 4])> {
    let (mut answers, mut found) = ([""; 4], [""; 4]);
    for (i, level) in Level::ALL.into_iter().enumerate() {
        before(pair)?;
        let id = first_id + i as i32;
        let write = pair.begin(level, id)?;
        answers[i] = word(write.answer);
        found[i] = match (write.answer, pair.replica_has(id)?) {
            (Answer::Waits, _) => "-",
            (_, true) => "yes",
            (_, false) => "no",
        };
        after(pair)?;
        write.finish()?;
    }
    Ok((answers, found))
}

fn answers() -> Result<()> {
    let pair = Pair::start()?;
    line("synchronous_commit =", Level::ALL.map(Level::name));
    println!("replay paused on the replica:");
    let (answers, found) = row(&pair, 0, Pair::pause_replay, Pair::resume_replay)?;
    line("  the write's answer", answers);
    line("  a read there has it", found);
    println!("replica cut off:");
    let (answers, found) = row(&pair, 10, Pair::cut, Pair::mend)?;
    line("  the write's answer", answers);
    line("  a read there has it", found);

    println!("\nread your own write, replay paused, synchronous_commit = local:");
    pair.pause_replay()?;
    pair.write(Level::Local, [20])?;
    let at_once = pair.replica_has(20)?;
    let position = pair.position()?;
    pair.resume_replay()?;
    pair.wait_for(&position)?;
    let waited = pair.replica_has(20)?;
    println!("  a read of the replica at once        {}", yes(at_once));
    println!("  after waiting for the log position   {}", yes(waited));

    let levels = [Level::Local, Level::On, Level::RemoteApply];
    println!(
        "\n{:<32}{:>10}{:>12}{:>14}",
        format!("{COMMITS} commits of 100 rows each:"),
        levels[0].name(),
        levels[1].name(),
        levels[2].name()
    );
    let mut loads = Vec::new();
    for level in levels {
        loads.push(pair.load(level, COMMITS)?);
    }
    let print = |label: &str, time: fn(&Load) -> Duration| {
        let cells: Vec<String> = loads.iter().map(|load| ms(time(load))).collect();
        println!("{label:<32}{:>10}{:>12}{:>14}", cells[0], cells[1], cells[2]);
    };
    print("  they take", |load| load.committing);
    print("  worst replay_lag reported", |load| load.worst);
    print("  replica done after the last", |load| load.after_the_last);
    Ok(())
}

fn yes(there: bool) -> &'static str {
    if there {
        "has it"
    } else {
        "does not have it"
    }
}

fn failover() -> Result<()> {
    println!("\n100 writes answered, a cut, 20 writes tried, the primary dies:");
    println!("{:<26}{:>9}{:>9}{:>12}", "", "answered", "lost", "promoted in");
    let print = |label: &str, answered: usize, lost: usize, within: Duration| {
        println!("{label:<26}{answered:>9}{lost:>9}{:>12}", ms(within));
    };

    let pair = Pair::start()?;
    pair.write(Level::Local, 0..100)?;
    pair.wait_for(&pair.position()?)?;
    pair.cut()?;
    pair.write(Level::Local, 100..120)?;
    let mut promoted = pair.fail_over()?;
    print("  local", 120, 120 - promoted.kept(0..120)?, promoted.within);
    let (takes_writes, timelines) = promoted.old_comes_back()?;

    for (label, cancel) in [("  on", false), ("  on, waits cancelled", true)] {
        let pair = Pair::start()?;
        pair.write(Level::On, 0..100)?;
        pair.cut()?;
        let mut answered: Vec<i32> = (0..100).collect();
        for id in 100..120 {
            let write = pair.begin(Level::On, id)?;
            if cancel {
                pair.cancel_waiting()?;
                write.finish()?;
                answered.push(id);
            }
        }
        let promoted = pair.fail_over()?;
        let kept = promoted.kept(answered.iter().copied())?;
        print(label, answered.len(), answered.len() - kept, promoted.within);
    }
    println!(
        "the old primary, started again: timeline {} beside {}, takes writes: {}",
        timelines[0],
        timelines[1],
        if takes_writes { "yes" } else { "no" }
    );
    Ok(())
}

fn run() -> Result<()> {
    println!("{}\n", machine::measured_on(&[POSTGRES])?);
    answers()?;
    failover()
}

fn main() -> ExitCode {
    real::exit_code(run())
}
