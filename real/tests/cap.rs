//! What the chapter says of etcd: a member without a majority refuses, unless it is
//! asked for less.

use anyhow::{ensure, Result};
use real::etcd::{Answer, Cluster, Read};
use real::program::skip_if_missing;

#[test]
fn a_leader_without_a_majority_refuses_and_reads_stale_only_when_asked_to(
) -> Result<()> {
    let Some(cluster) = skip_if_missing(Cluster::start())? else { return Ok(()) };
    let value = |text: &str| Answer::Done(Some(text.to_owned()));
    let old = cluster.wait_for_leader(&[0, 1, 2])?;
    ensure!(cluster.write(old, "x", "1")? == Answer::Done(()));
    ensure!(cluster.read(old, "x", Read::Linearizable)? == value("1"));

    cluster.cut_off(old);
    let others: Vec<usize> = (0..3).filter(|member| *member != old).collect();
    let new = cluster.wait_for_leader(&others)?;
    ensure!(cluster.write(new, "x", "2")? == Answer::Done(()));
    ensure!(cluster.read(old, "x", Read::Linearizable)? == Answer::Refused);
    ensure!(cluster.read(old, "x", Read::Serializable)? == value("1"));

    cluster.mend();
    cluster.wait_for_leader(&[0, 1, 2])?;
    ensure!(cluster.read(old, "x", Read::Linearizable)? == value("2"));
    Ok(())
}
