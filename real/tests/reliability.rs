//! What the chapter says of a lease in etcd: a lock that is over does not stop a plain
//! write, and a write on condition of the lock is refused.

use anyhow::{ensure, Context, Result};
use real::etcd::{Answer, Cluster, Read};
use real::program::skip_if_missing;
use real::wait_until;
use std::time::Duration;

#[test]
fn a_lease_that_is_over_stops_only_a_write_that_names_its_token() -> Result<()> {
    let Some(cluster) = skip_if_missing(Cluster::start())? else { return Ok(()) };
    let (short, long) = (cluster.lease(0, 2)?, cluster.lease(0, 60)?);
    let a = cluster.acquire(0, "lock", "A", &short)?.context("A is first")?;
    ensure!(cluster.acquire(0, "lock", "B", &long)?.is_none(), "A holds it");

    let mut b = None;
    wait_until(Duration::from_secs(20), || {
        b = cluster.acquire(0, "lock", "B", &long).ok().flatten();
        b.is_some()
    });
    let b = b.context("the lease of A does not end")?;
    ensure!(b > a, "the token grows");
    ensure!(cluster.write_if_holder(0, ("lock", b), "x", "of B")?);
    ensure!(!cluster.write_if_holder(0, ("lock", a), "x", "of A")?);
    let found = cluster.read(0, "x", Read::Linearizable)?;
    ensure!(found == Answer::Done(Some("of B".to_owned())));
    ensure!(cluster.write(0, "x", "of A")? == Answer::Done(()));
    Ok(())
}
