//! Three etcd members, the leader cut off from the two others: who answers what?
//!
//! Look at the old leader's column while the cut lasts. It refuses the write and the
//! linearizable read, and answers the serializable one: the same product chooses
//! consistency or availability for each request.
//!
//! Simplified: the cut is between the members only; the client reaches all three.

use anyhow::{bail, Result};
use real::etcd::{Answer, Cluster, Read};
use real::machine;
use real::program::ETCD;
use std::process::ExitCode;
use std::thread;

const KEY: &str = "x";

fn line(label: &str, minority: &str, majority: &str) {
    println!("{}", format!("{label:<28}{minority:>14}{majority:>18}").trim_end());
}

fn value(answer: Answer<Option<String>>) -> String {
    match answer {
        Answer::Done(Some(value)) => format!("x = {value}"),
        Answer::Done(None) => "nothing".to_owned(),
        Answer::Refused => "refused".to_owned(),
    }
}

fn done(answer: Answer<()>) -> &'static str {
    match answer {
        Answer::Done(()) => "done",
        Answer::Refused => "refused",
    }
}

fn reads(cluster: &Cluster, members: [usize; 2]) -> Result<()> {
    let ask = |how| members.map(|member| cluster.read(member, KEY, how));
    let [minority, majority] = ask(Read::Linearizable);
    line("read, linearizable", &value(minority?), &value(majority?));
    let [minority, majority] = ask(Read::Serializable);
    line("read, serializable", &value(minority?), &value(majority?));
    Ok(())
}

/// Writes on both sides at once: a refusal takes etcd some seconds.
fn writes(cluster: &Cluster, [minority, majority]: [usize; 2]) -> Result<()> {
    thread::scope(|scope| {
        let refused = scope.spawn(|| cluster.write(minority, KEY, "2"));
        let kept = done(cluster.write(majority, KEY, "3")?);
        match refused.join() {
            Ok(refused) => line("write x = 2", done(refused?), ""),
            Err(_) => bail!("the writer panicked"),
        }
        line("write x = 3", "", kept);
        Ok(())
    })
}

fn run() -> Result<()> {
    println!("{}\n", machine::measured_on(&[ETCD])?);
    let cluster = Cluster::start()?;
    let old = cluster.wait_for_leader(&[0, 1, 2])?;
    let others: Vec<usize> = (0..3).filter(|member| *member != old).collect();

    line("", "old leader", "the two others");
    println!("whole cluster");
    line("write x = 1", done(cluster.write(old, KEY, "1")?), "");
    reads(&cluster, [old, others[0]])?;

    println!("the old leader is cut off");
    cluster.cut_off(old);
    let new = cluster.wait_for_leader(&others)?;
    writes(&cluster, [old, new])?;
    reads(&cluster, [old, new])?;

    println!("the cut is mended");
    cluster.mend();
    cluster.wait_for_leader(&[0, 1, 2])?;
    reads(&cluster, [old, new])
}

fn main() -> ExitCode {
    real::exit_code(run())
}
