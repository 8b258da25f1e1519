//! A leader's lease in etcd: what a paused leader may still write.
//!
//! A takes the lock under a lease of two seconds and stands still. etcd deletes the
//! lock when the lease is over, and B takes it. Then A wakes up and writes, first
//! plainly, then on condition that the lock is still its own. Look at the orders
//! after each of the two.
//!
//! Simplified: A and B are turns of one program, and "standing still" means that A
//! does not renew.

use anyhow::{bail, Context, Result};
use real::etcd::{Answer, Cluster, Read};
use real::program::ETCD;
use real::{machine, wait_until};
use std::process::ExitCode;
use std::time::Duration;

const LOCK: &str = "leader";
const ORDERS: &str = "orders";
const LEASE_S: u32 = 2;
const PATIENCE: Duration = Duration::from_secs(20);

fn orders(cluster: &Cluster) -> Result<String> {
    match cluster.read(0, ORDERS, Read::Linearizable)? {
        Answer::Done(Some(orders)) => Ok(orders),
        other => bail!("no orders: {other:?}"),
    }
}

fn say(what: &str, how: &str) {
    println!("{}", format!("{what:<37}{how}").trim_end());
}

fn word(ok: bool) -> &'static str {
    ["refused", "done"][usize::from(ok)]
}

fn run() -> Result<()> {
    println!("{}\n", machine::measured_on(&[ETCD])?);
    let cluster = Cluster::start()?;
    let write_if = |token, orders| {
        let done = cluster.write_if_holder(0, (LOCK, token), ORDERS, orders)?;
        anyhow::Ok(word(done))
    };

    let lease = cluster.lease(0, LEASE_S)?;
    let a = cluster.acquire(0, LOCK, "A", &lease)?.context("A is first")?;
    say("A takes the lock", "done");
    say("A writes 1, if the lock is its own", write_if(a, "1")?);

    let lease = cluster.lease(0, 60)?;
    let early = cluster.acquire(0, LOCK, "B", &lease)?;
    say("B takes the lock", word(early.is_some()));
    say("A stands still", "");
    let mut b = None;
    wait_until(PATIENCE, || {
        b = cluster.acquire(0, LOCK, "B", &lease).ok().flatten();
        b.is_some()
    });
    let b = b.context("the lease of A does not end")?;
    say("B takes the lock, again and again", "done");
    say("its token is larger than A's", ["no", "yes"][usize::from(b > a)]);
    say("B writes 1 3, if …", write_if(b, "1 3")?);

    say("A wakes up", "");
    let plainly = cluster.write(0, ORDERS, "1 2")? == Answer::Done(());
    say("A writes 1 2, without condition", word(plainly));
    say("the orders are", &orders(&cluster)?);
    say("B writes 1 3, if …", write_if(b, "1 3")?);
    say("A writes 1 2, if …", write_if(a, "1 2")?);
    say("the orders are", &orders(&cluster)?);
    Ok(())
}

fn main() -> ExitCode {
    real::exit_code(run())
}
