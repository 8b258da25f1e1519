//! DORA's five measures from a log of deployments. Two teams make the same 400
//! commits, of which the same ones are faulty. One ships each commit, the other
//! all of them every second week.
//!
//! Look at the change fail rate first, then at the last line: per deployment the
//! teams are far apart, per commit they are the same. Then see what the median of
//! the recovery times leaves out.
//!
//! Simplified: a deployment fails if a commit in it is faulty. Whoever looks for
//! the fault halves the commits, 20 minutes a look, and the mended code ships at
//! once.

const DAYS: u64 = 182;
const DAY_MINUTES: u64 = 24 * 60;
const COMMITS: usize = 400;
const LOOK_MINUTES: u64 = 20;

// ANCHOR: log
/// What a pipeline writes down. Times are minutes.
#[derive(Clone, Debug)]
struct Deployment {
    at: u64,
    commits: Vec<u64>,         // when each was made
    recovered_at: Option<u64>, // if it failed: when users were well again
    unplanned: bool,           // shipped because of a failure in production
}

#[derive(Debug, PartialEq)]
struct Dora {
    change_lead_time: u64, // minutes, median over commits
    deployments_a_day: f64,
    recovery_time: Option<u64>, // minutes, median over failed deployments
    change_fail_rate: f64,      // of all deployments
    deployment_rework_rate: f64, // of all deployments
}

fn measure(log: &[Deployment], days: u64) -> Option<Dora> {
    let leads = log
        .iter()
        .flat_map(|d| d.commits.iter().map(|made| d.at - made));
    let recoveries = log.iter().filter_map(|d| Some(d.recovered_at? - d.at));
    let recoveries: Vec<u64> = recoveries.collect();
    let all = log.len() as f64;
    let unplanned = log.iter().filter(|d| d.unplanned).count() as f64;
    Some(Dora {
        change_lead_time: median(leads.collect())?,
        deployments_a_day: all / days as f64,
        change_fail_rate: recoveries.len() as f64 / all,
        recovery_time: median(recoveries),
        deployment_rework_rate: unplanned / all,
    })
}

/// The upper of the two in the middle; none of nothing.
fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}
// ANCHOR_END: log

/// When each was made, and whether it is faulty.
fn commits(seed: u64) -> Vec<(u64, bool)> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let last = (DAYS - 14) * DAY_MINUTES;
    let mut commits: Vec<_> = (0..COMMITS)
        .map(|_| (rng.u64(..last), rng.u8(..100) < 3))
        .collect();
    commits.sort_unstable();
    commits
}

/// Ships what has been committed, a batch at each of these times.
fn ship(
    commits: &[(u64, bool)],
    times: impl Iterator<Item = u64>,
) -> Vec<Deployment> {
    let (mut log, mut shipped) = (vec![], 0);
    for at in times {
        let until = commits.partition_point(|commit| commit.0 <= at);
        let batch = &commits[shipped..until];
        shipped = until;
        if batch.is_empty() {
            continue;
        }
        let faulty = batch.iter().filter(|commit| commit.1).count() as u64;
        let looks = u64::from(batch.len().next_power_of_two().ilog2());
        let mended = at + LOOK_MINUTES * faulty * (looks + 1);
        log.push(Deployment {
            at,
            commits: batch.iter().map(|commit| commit.0).collect(),
            recovered_at: (faulty > 0).then_some(mended),
            unplanned: false,
        });
        for _ in 0..faulty {
            log.push(Deployment {
                at: mended,
                commits: vec![mended],
                recovered_at: None,
                unplanned: true,
            });
        }
    }
    log
}

fn each(commits: &[(u64, bool)]) -> Vec<Deployment> {
    ship(commits, commits.iter().map(|commit| commit.0 + 30))
}

fn fortnightly(commits: &[(u64, bool)]) -> Vec<Deployment> {
    ship(commits, (1..=DAYS / 14).map(|n| n * 14 * DAY_MINUTES))
}

fn main() {
    let commits = commits(1);
    let logs = [each(&commits), fortnightly(&commits)];
    let all = logs.each_ref().map(|log| measure(log, DAYS));
    let row = |name: &str, of: fn(&Dora) -> String| {
        let cells = all.each_ref().map(|m| m.as_ref().map_or("-".into(), of));
        println!("{name:<32} {:>12} {:>14}", cells[0], cells[1]);
    };
    println!("{:<32} {:>12} {:>14}", "", "each commit", "every 14 days");
    row("change lead time, median", |m| hours(m.change_lead_time));
    row("deployments a day", |m| {
        format!("{:.2}", m.deployments_a_day)
    });
    row("failed deployment recovery time", |m| {
        m.recovery_time.map_or("-".into(), hours)
    });
    row("change fail rate", |m| percent(m.change_fail_rate));
    row("deployment rework rate", |m| {
        percent(m.deployment_rework_rate)
    });
    println!();
    let faulty = commits.iter().filter(|commit| commit.1).count();
    let faulty = format!("{faulty} of {COMMITS}");
    println!("{:<32} {faulty:>12} {faulty:>14}", "faulty commits");
    let ill = logs.each_ref().map(|log| {
        let ill = log
            .iter()
            .filter_map(|d| Some(d.recovered_at? - d.at))
            .sum();
        hours(ill)
    });
    println!(
        "{:<32} {:>12} {:>14}",
        "production ill, in all", ill[0], ill[1]
    );
}

fn hours(minutes: u64) -> String {
    format!("{:.1} h", minutes as f64 / 60.0)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measures_are_those_of_a_log_counted_by_hand() {
        let planned = |at, commits: &[u64], recovered_at| Deployment {
            at,
            commits: commits.to_vec(),
            recovered_at,
            unplanned: false,
        };
        let mended = Deployment {
            unplanned: true,
            ..planned(170, &[160], None)
        };
        let log = [
            planned(100, &[40, 70], None),
            planned(150, &[110], Some(180)),
            mended,
            planned(300, &[200], Some(310)),
        ];
        let measures = Dora {
            change_lead_time: 40, // of 10, 30, 40, 60, 100
            deployments_a_day: 2.0,
            recovery_time: Some(30), // of 10, 30
            change_fail_rate: 0.5,
            deployment_rework_rate: 0.25,
        };
        assert_eq!(measure(&log, 2), Some(measures));
        assert_eq!(measure(&[], 2), None);
    }

    #[test]
    fn the_same_commits_fail_more_often_a_deployment_when_shipped_in_large_batches()
    {
        for seed in 0..20 {
            let commits = commits(seed);
            let [small, large] = [each(&commits), fortnightly(&commits)]
                .map(|log| measure(&log, DAYS).expect("a log"));
            assert!(large.change_fail_rate > 5.0 * small.change_fail_rate);
            assert!(large.change_lead_time > 100 * small.change_lead_time);
            assert!(large.recovery_time > small.recovery_time);
        }
    }

    #[test]
    fn a_fault_takes_a_look_for_each_halving_and_one_more_and_so_does_the_next() {
        let commits = [(10, true), (20, false), (30, true), (40, false)];
        let log = ship(&commits, [40].into_iter()); // the last one is in time
        assert_eq!(log[0].commits, [10, 20, 30, 40]);
        assert_eq!(log[0].recovered_at, Some(40 + 2 * 3 * LOOK_MINUTES));
        assert_eq!(log.iter().filter(|d| d.unplanned).count(), 2);
    }

    #[test]
    fn both_teams_ship_every_commit_once_and_mend_every_fault() {
        let commits = commits(1);
        let faulty = commits.iter().filter(|commit| commit.1).count();
        for log in [each(&commits), fortnightly(&commits)] {
            let planned = log.iter().filter(|d| !d.unplanned);
            let shipped: Vec<u64> =
                planned.flat_map(|d| d.commits.iter().copied()).collect();
            let made: Vec<u64> = commits.iter().map(|commit| commit.0).collect();
            assert_eq!(shipped, made);
            assert_eq!(log.iter().filter(|d| d.unplanned).count(), faulty);
        }
    }
}
