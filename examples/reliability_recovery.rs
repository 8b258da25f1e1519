//! RPO and RTO: how much is lost, and how long until it runs again?
//!
//! Five plans, three disasters, each at every minute of a day: the worst case, not
//! the schedule, is what a plan achieves. Look at the nightly dump, which loses more
//! than a day, and at what a replica does for somebody's DELETE.
//!
//! Simplified: 600 GB that do not grow, one rate for copying, and people who need
//! the same time for every decision.

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Minutes(u64);

const DAY: u64 = 24 * 60;
const DUMP_AT: u64 = 2 * 60; // every night at two
const DUMP_TAKES: u64 = 3 * 60; // until it is complete, and off site
const LOG_EVERY: u64 = 5; // a piece of the log leaves the site
const COPY_TAKES: u64 = 600_000 / 100 / 60; // MB, at 100 MB/s
const REPLAY_SPEED: u64 = 10; // minutes of log in a minute
const NOTICE: u64 = 5; // until somebody decides
const PROMOTE: u64 = 2;
const VERIFY: u64 = 20;
const DELETE_SEEN_AFTER: u64 = 3 * 60;

const RPO_MAX: Minutes = Minutes(15); // what the business asked for
const RTO_MAX: Minutes = Minutes(4 * 60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    name: &'static str,
    replica: bool, // in the same site, and a minute behind at most
    dumps_per_day: u64,
    log: bool,
}

const REPLICA: Plan = Plan {
    name: "replica",
    replica: true,
    dumps_per_day: 0,
    log: false,
};
const DUMP: Plan = Plan {
    name: "nightly dump",
    replica: false,
    dumps_per_day: 1,
    log: false,
};
const DUMP_AND_LOG: Plan = Plan {
    name: "dump and log",
    log: true,
    ..DUMP
};
const ALL: Plan = Plan {
    name: "all three",
    replica: true,
    ..DUMP_AND_LOG
};
const TWICE: Plan = Plan {
    name: "… dump twice",
    dumps_per_day: 2,
    ..ALL
};
const PLANS: [Plan; 5] = [REPLICA, DUMP, DUMP_AND_LOG, ALL, TWICE];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disaster {
    Machine,
    Site,
    Delete, // by mistake, with every copy told of it
}

/// Writes of so many minutes are lost, and it runs again after so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Recovery {
    lost: Minutes,
    down: Minutes,
}

// ANCHOR: recover
/// The disaster happens at minute `at`; None when nothing is left.
fn recover(plan: Plan, disaster: Disaster, at: u64) -> Option<Recovery> {
    if plan.replica && disaster == Disaster::Machine {
        return Some(Recovery {
            lost: Minutes(1), // what the replica had not received
            down: Minutes(NOTICE + PROMOTE),
        });
    }
    if plan.dumps_per_day == 0 {
        return None; // the replica is gone too, or has deleted the same rows
    }
    let noticed = match disaster {
        Disaster::Delete => at + DELETE_SEEN_AFTER,
        _ => at,
    };
    // The newest dump that is complete by then and was begun before; it shows the
    // minute at which it began.
    let every = DAY / plan.dumps_per_day;
    let newest = (0..=at / every)
        .map(|dump| dump * every + DUMP_AT)
        .rfind(|began| *began <= at && began + DUMP_TAKES <= noticed)?;
    // Rows are wanted as they were before `at`; the log goes on until then.
    let restored_to = match (plan.log, disaster) {
        (false, _) => newest,
        (true, Disaster::Delete) => at, // its piece left the site long ago
        (true, _) => at / LOG_EVERY * LOG_EVERY,
    };
    Some(Recovery {
        // What was written after the mistake is undone with it.
        lost: Minutes(noticed - restored_to),
        down: Minutes(
            NOTICE + COPY_TAKES + (restored_to - newest) / REPLAY_SPEED + VERIFY,
        ),
    })
}
// ANCHOR_END: recover

#[derive(Debug, PartialEq)]
struct Worst {
    lost: Minutes,
    lost_mean: f64,
    down: Minutes,
}

/// Over every minute of a day, long after the first dump.
fn worst(plan: Plan, disaster: Disaster) -> Option<Worst> {
    let all: Option<Vec<Recovery>> = (30 * DAY..31 * DAY)
        .map(|at| recover(plan, disaster, at))
        .collect();
    let all = all?;
    Some(Worst {
        lost: all.iter().map(|r| r.lost).max()?,
        lost_mean: all.iter().map(|r| r.lost.0).sum::<u64>() as f64 / DAY as f64,
        down: all.iter().map(|r| r.down).max()?,
    })
}

fn clock(minutes: u64) -> String {
    format!("{}:{:02}", minutes / 60, minutes % 60)
}

const DISASTERS: [Disaster; 3] =
    [Disaster::Machine, Disaster::Site, Disaster::Delete];

fn main() {
    println!("in hours                     lost writes      down    15 min");
    println!("plan          disaster     worst    mean     worst   and 4 h?");
    for plan in PLANS {
        for disaster in DISASTERS {
            let what = format!("{disaster:?}");
            print!("{:<13} {what:<10}", plan.name);
            match worst(plan, disaster) {
                Some(w) => {
                    let mean = clock(w.lost_mean.round() as u64);
                    let (lost, down) = (clock(w.lost.0), clock(w.down.0));
                    let ok = w.lost <= RPO_MAX && w.down <= RTO_MAX;
                    print!(" {lost:>7} {mean:>7} {down:>9}");
                    println!("   {}", ["no", "yes"][usize::from(ok)]);
                }
                None => println!("     all     all     never   no"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_brings_nothing_back_that_somebody_deleted() {
        assert_eq!(worst(REPLICA, Disaster::Delete), None);
    }

    #[test]
    fn a_nightly_dump_may_lose_a_day_and_the_time_that_it_takes() {
        let lost = worst(DUMP, Disaster::Machine).map(|w| w.lost.0);
        assert_eq!(lost, Some(DAY + DUMP_TAKES - 1));
    }

    #[test]
    fn with_the_log_the_loss_is_at_most_the_interval_of_its_pieces() {
        let lost = worst(DUMP_AND_LOG, Disaster::Site).map(|w| w.lost.0);
        assert!(lost.is_some_and(|lost| lost < LOG_EVERY));
    }

    #[test]
    fn recovery_takes_notice_copy_replay_and_a_check() {
        // The nightly dump of the day before, all but a minute of 27 hours ago.
        let (at, old) = (31 * DAY + DUMP_AT + DUMP_TAKES - 1, DAY + DUMP_TAKES - 1);
        let down = |plan| recover(plan, Disaster::Site, at).map(|r| r.down.0);
        assert_eq!(down(DUMP), Some(5 + 100 + 20));
        let replayed = old / LOG_EVERY * LOG_EVERY / 10;
        assert_eq!(down(DUMP_AND_LOG), Some(5 + 100 + replayed + 20));
        let machine = recover(ALL, Disaster::Machine, at).map(|r| r.down.0);
        assert_eq!(machine, Some(5 + 2));
    }

    #[test]
    fn with_the_log_a_delete_costs_the_time_until_somebody_noticed() {
        for at in 30 * DAY..31 * DAY {
            let lost = recover(DUMP_AND_LOG, Disaster::Delete, at).map(|r| r.lost.0);
            assert_eq!(lost, Some(DELETE_SEEN_AFTER));
        }
    }

    #[test]
    fn a_dump_under_way_at_the_delete_is_complete_when_it_is_noticed() {
        let at = 30 * DAY + DUMP_AT + 1;
        let delete = recover(DUMP, Disaster::Delete, at).map(|r| r.lost.0);
        assert_eq!(delete, Some(1 + DELETE_SEEN_AFTER));
        let site = recover(DUMP, Disaster::Site, at).map(|r| r.lost.0);
        assert_eq!(site, Some(1 + DAY));
    }

    #[test]
    fn only_dumps_that_are_frequent_enough_meet_both_targets_for_the_site() {
        let meets = |plan: Plan, disaster| {
            worst(plan, disaster)
                .is_some_and(|w| w.lost <= RPO_MAX && w.down <= RTO_MAX)
        };
        assert!(meets(REPLICA, Disaster::Machine) && meets(ALL, Disaster::Machine));
        for plan in PLANS {
            assert_eq!(meets(plan, Disaster::Site), plan == TWICE, "{plan:?}");
            assert!(!meets(plan, Disaster::Delete));
        }
    }

    #[test]
    fn recovery_never_goes_back_before_the_dump_nor_beyond_the_disaster() {
        for plan in &PLANS[1..] {
            for disaster in DISASTERS {
                for at in 20 * DAY..22 * DAY {
                    let r = recover(*plan, disaster, at).expect("there is a dump");
                    assert!(r.lost.0 < DAY + DUMP_TAKES + DELETE_SEEN_AFTER);
                    assert!(r.down.0 >= NOTICE + PROMOTE);
                }
            }
        }
    }
}
