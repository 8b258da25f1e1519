//! The engine jumps from event to event. The model below looks at every stage in
//! every minute, and knows of no events.

use super::*;
use engine::{Record, Refusal};

const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
const END: u64 = 120;

/// Each may need any of those before it, so their order is an order.
fn random_stages(rng: &mut fastrand::Rng) -> Vec<Stage> {
    let mut stages = vec![];
    for (at, name) in NAMES.into_iter().enumerate() {
        let before = NAMES[..at].iter().copied();
        let needs: Vec<_> = before.filter(|_| rng.u8(..3) == 0).collect();
        let mut stage = Stage::run(name, 0, &needs);
        let (minutes, passes) = (rng.u64(1..8), rng.u8(..8) > 0);
        if rng.u8(..5) > 0 {
            stage.work = Work::Run { minutes, passes };
        } else {
            stage.work = Work::Approval;
        }
        stages.push(stage);
    }
    stages
}

fn settings(rng: &mut fastrand::Rng) -> Settings {
    Settings {
        workers: rng.usize(1..5),
        fail_fast: rng.bool(),
        ..SETTINGS
    }
}

fn approve_all(run: &mut Run) {
    for name in NAMES {
        let _ = run.approve(name, "Bob"); // most do not ask
    }
}

/// What each stage is, and since when, looking at all of them every minute.
fn model(plan: &Plan, set: Settings, asked: &[u64]) -> Vec<(Status, u64)> {
    use Status::*;
    let mut all = vec![(Waiting, 0); plan.stages.len()];
    let mut began = vec![0; all.len()];
    for now in 0..=END {
        let mut stop = false;
        for at in 0..all.len() {
            let Work::Run { minutes, passes } = plan.stages[at].work else {
                continue;
            };
            if all[at].0 == Running && began[at] + minutes == now {
                all[at] = (if passes { Passed } else { Failed }, now);
                stop |= !passes && set.fail_fast;
            }
        }
        for at in 0..all.len() {
            let bad = |n: &usize| matches!(all[*n].0, Failed | Cancelled | Skipped);
            match all[at].0 {
                Running if stop => all[at] = (Cancelled, now),
                Waiting | Asking if stop => all[at] = (Skipped, now),
                Waiting if plan.needs[at].iter().any(bad) => {
                    all[at] = (Skipped, now)
                }
                _ => {}
            }
        }
        for round in 0..2 {
            for at in 0..all.len() {
                let ready = plan.needs[at].iter().all(|n| all[*n].0 == Passed);
                let busy = all.iter().filter(|one| one.0 == Running).count();
                let asks = matches!(plan.stages[at].work, Work::Approval);
                if all[at].0 == Waiting && ready && (asks || busy < set.workers) {
                    all[at] = (if asks { Asking } else { Running }, now);
                    began[at] = now;
                }
            }
            let asking = all.iter_mut().filter(|one| one.0 == Asking);
            if round == 0 && asked.contains(&now) {
                asking.for_each(|one| *one = (Passed, now));
            }
        }
    }
    all
}

#[test]
fn the_engine_does_what_a_model_does_that_looks_at_all_stages_every_minute() {
    let mut seen = std::collections::BTreeMap::new();
    for seed in 0..600 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let plan = Plan::new(random_stages(&mut rng)).expect("no cycle");
        let set = settings(&mut rng);
        let mut asked: Vec<u64> = (0..3).map(|_| rng.u64(..20)).collect();
        asked.sort_unstable();
        asked.dedup();
        let mut run = Run::new(&plan, set);
        for minute in &asked {
            run.advance_to(*minute);
            approve_all(&mut run);
        }
        run.advance_to(END);
        let since = |r: &Record| (r.status, r.ended);
        let ours: Vec<_> = run.records.iter().map(since).collect();
        assert_eq!(ours, model(&plan, set, &asked), "seed {seed}");
        for (status, _) in ours {
            *seen.entry(format!("{status:?}")).or_insert(0) += 1;
        }
    }
    let often = |name: &&str| seen.get(*name).is_some_and(|times| *times > 15);
    let all = ["Passed", "Failed", "Cancelled", "Skipped", "Asking"];
    assert!(all.iter().all(often), "{seen:?}");
}

#[test]
fn no_stage_begins_before_what_it_needs_has_passed() {
    for seed in 0..600 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut stages = random_stages(&mut rng);
        rng.shuffle(&mut stages);
        let plan = Plan::new(stages).expect("no cycle");
        let set = settings(&mut rng);
        let mut run = Run::new(&plan, set);
        for minute in 0..END {
            run.advance_to(minute);
            approve_all(&mut run);
            let running = |r: &&Record| r.status == Status::Running;
            let busy = run.records.iter().filter(running).count();
            assert!(busy <= set.workers, "seed {seed}");
        }
        for (at, record) in run.records.iter().enumerate() {
            if record.status != Status::Skipped {
                for need in &plan.needs[at] {
                    assert_eq!(run.records[*need].status, Status::Passed);
                    assert!(run.records[*need].ended <= record.began);
                }
            }
        }
    }
}

#[test]
fn with_a_worker_for_each_stage_it_takes_as_long_as_the_longest_path() {
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut stages = random_stages(&mut rng);
        for stage in &mut stages {
            let (minutes, passes) = (rng.u64(1..8), true);
            stage.work = Work::Run { minutes, passes };
        }
        let plan = Plan::new(stages).expect("no cycle");
        let mut run = Run::new(
            &plan,
            Settings {
                workers: NAMES.len(),
                ..SETTINGS
            },
        );
        run.advance_to(END);
        let mut longest = vec![0; NAMES.len()];
        for at in 0..NAMES.len() {
            let Work::Run { minutes, .. } = plan.stages[at].work else {
                continue;
            };
            let before = plan.needs[at].iter().map(|need| longest[*need]).max();
            longest[at] = before.unwrap_or(0) + minutes;
        }
        let ended: Vec<_> = run.records.iter().map(|r| r.ended).collect();
        assert_eq!(ended, longest, "seed {seed}");
    }
}

#[test]
fn a_cycle_is_an_error_that_names_it() {
    let mut cycles = 0;
    for seed in 0..1_000 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut stages = random_stages(&mut rng);
        for stage in &mut stages {
            if rng.u8(..4) == 0 {
                stage.needs.push(NAMES[rng.usize(..NAMES.len())]);
            }
        }
        // Take away what is ready, again and again: what stays is in a knot.
        let mut left: Vec<&Stage> = stages.iter().collect();
        while let Some(ready) = left.iter().position(|stage| {
            let gone = |need: &&str| left.iter().all(|other| other.name != *need);
            stage.needs.iter().all(gone)
        }) {
            left.remove(ready);
        }
        match Plan::new(stages.clone()) {
            Ok(plan) => {
                assert!(left.is_empty(), "seed {seed}");
                assert_eq!(plan.order.len(), NAMES.len());
            }
            Err(PlanError::Cycle(names)) => {
                cycles += 1;
                for (at, name) in names.iter().enumerate() {
                    let next = names[(at + 1) % names.len()].as_str();
                    let stage = stages.iter().find(|s| s.name == name);
                    assert!(stage.expect("a stage").needs.contains(&next));
                    assert!(!names[..at].contains(name));
                }
            }
            other => panic!("seed {seed}: {other:?}"),
        }
    }
    assert!(cycles > 200);
    let knot = [("a", "b"), ("b", "c"), ("c", "b")];
    let knot = knot.map(|(name, need)| Stage::run(name, 1, &[need]));
    let error = Plan::new(knot.into()).expect_err("a cycle");
    assert_eq!(error.to_string(), "cycle: b needs c needs b");
    let error = Plan::new(vec![Stage::run("a", 1, &["a"])]).expect_err("a cycle");
    assert_eq!(error.to_string(), "cycle: a needs a");
}

#[test]
fn an_unknown_need_a_name_twice_and_too_many_stages_are_errors() {
    let error = |stages| Plan::new(stages).expect_err("an error").to_string();
    let unknown = vec![Stage::run("a", 1, &["b"])];
    assert_eq!(error(unknown), "a needs b, which is not here");
    let twice = vec![Stage::run("a", 1, &[]), Stage::run("a", 2, &[])];
    assert_eq!(error(twice), "two stages are called a");
    let names: Vec<&str> = (0..=engine::STAGES_MAX).map(|_| "a").collect();
    let many = names.iter().map(|name| Stage::run(name, 1, &[])).collect();
    assert_eq!(error(many), "101 stages, and 100 is the limit");
    // A hundred are not too many: what is wrong with these is their one name.
    let many = names[1..].iter().map(|name| Stage::run(name, 1, &[]));
    assert_eq!(error(many.collect()), "two stages are called a");
}

#[test]
fn delivery_is_deployment_and_one_approval() {
    let (asks, ships) = (stages(true), stages(false));
    assert_eq!(asks.len(), ships.len() + 1);
    let plan = Plan::new(asks).expect("a plan");
    let mut run = Run::new(&plan, SETTINGS);
    run.advance_to(1_000);
    assert_eq!(run.records[5].status, Status::Asking);
    assert_eq!(run.records[6].status, Status::Waiting);
    let own = run.approve("approval", SETTINGS.author);
    assert_eq!(own, Err(Refusal::OwnChange));
    assert_eq!(run.approve("production", "Bob"), Err(Refusal::NobodyAsks));
    assert_eq!(run.approve("approval", "Bob"), Ok(()));
    assert_eq!(run.approve("approval", "Eve"), Err(Refusal::NobodyAsks));
    run.advance_to(1_002);
    assert_eq!(run.records[6].status, Status::Passed);
    assert_eq!(run.records[5].approved_by, Some("Bob"));
    let plan = Plan::new(ships).expect("a plan");
    let mut run = Run::new(&plan, SETTINGS);
    run.advance_to(1_000);
    assert!(run.records.iter().all(|r| r.status == Status::Passed));
    assert_eq!(run.records[5].ended, 15);
}

#[test]
fn fail_fast_cancels_what_runs_and_skips_what_has_not_begun() {
    let statuses = |fail_fast| {
        let plan = Plan::new(failing("unit")).expect("a plan");
        let set = Settings {
            fail_fast,
            ..SETTINGS
        };
        let mut run = Run::new(&plan, set);
        run.advance_to(60);
        run.records.iter().map(|r| r.status).collect::<Vec<_>>()
    };
    use Status::*;
    let fast = [Passed, Passed, Failed, Cancelled, Skipped, Skipped];
    assert_eq!(statuses(true), fast);
    let slow = [Passed, Passed, Failed, Passed, Skipped, Skipped];
    assert_eq!(statuses(false), slow);
}

#[test]
fn a_stage_that_hangs_is_ended_and_fails() {
    let longest = Stage::run("a", engine::TIMEOUT_MINUTES_MAX, &[]);
    let plan = Plan::new(vec![longest]).expect("a plan");
    let mut run = Run::new(&plan, SETTINGS);
    run.advance_to(10_000);
    assert_eq!(run.records[0].status, Status::Passed);
    let hangs = vec![Stage::run("a", 10_000, &[]), Stage::run("b", 1, &["a"])];
    let plan = Plan::new(hangs).expect("a plan");
    let mut run = Run::new(&plan, SETTINGS);
    run.advance_to(10_000);
    assert_eq!(run.records[0].status, Status::Failed);
    assert_eq!(run.records[0].ended, engine::TIMEOUT_MINUTES_MAX);
    assert_eq!(run.records[1].status, Status::Skipped);
}

#[test]
fn what_is_shipped_is_what_was_tested_unless_it_is_built_again() {
    let same = |stages| {
        let plan = Plan::new(stages).expect("a plan");
        let mut run = Run::new(&plan, SETTINGS);
        run.advance_to(60);
        let hash = |stage| shipped(&plan, stage, &run).expect("an artifact");
        hash("staging") == hash("production")
    };
    assert!(same(stages(false)));
    let mut rebuilt = stages(false);
    rebuilt[5].artifact = Artifact::Makes;
    assert!(!same(rebuilt));
}

#[test]
fn an_artifact_that_somebody_changed_is_not_shipped() {
    let plan = Plan::new(stages(false)).expect("a plan");
    let mut run = Run::new(&plan, SETTINGS);
    run.advance_to(4); // built, and being tested
    for content in run.store.0.values_mut() {
        content.extend_from_slice(b" and a little more");
    }
    run.advance_to(60);
    assert_eq!(run.records[2].status, Status::Failed);
    assert_eq!(run.records[5].status, Status::Skipped);
    // Nor is it when the change comes as late as in the canary.
    let mut run = Run::new(&plan, SETTINGS);
    run.live = Some(run.store.put(b"the release before".to_vec()));
    let before = run.live;
    run.advance_to(13);
    assert!(run.canary().is_some());
    for content in run.store.0.values_mut() {
        content.extend_from_slice(b" and a little more");
    }
    assert_eq!(run.canary(), None);
    run.advance_to(60);
    assert_eq!((run.records[5].status, run.live), (Status::Failed, before));
}

#[test]
fn a_canary_that_fails_or_is_cancelled_leaves_the_former_release_live() {
    let mut cancelled = stages(false);
    let mut fails = Stage::run("load test", 1, &["staging"]);
    fails.work = Work::Run {
        minutes: 1,
        passes: false,
    };
    cancelled.push(fails);
    let all = [stages(false), failing("production"), cancelled];
    for (stages, is_new) in all.into_iter().zip([true, false, false]) {
        let plan = Plan::new(stages).expect("a plan");
        let mut run = Run::new(&plan, SETTINGS);
        run.live = Some(run.store.put(b"the release before".to_vec()));
        let before = run.live;
        run.advance_to(12);
        assert_eq!((run.live, run.canary()), (before, None));
        run.advance_to(13);
        let new = run.records[0].artifact;
        assert_eq!((run.live, run.canary()), (before, new));
        run.advance_to(60);
        let after = [before, new][usize::from(is_new)];
        assert_eq!((run.live, run.canary()), (after, None));
    }
}
