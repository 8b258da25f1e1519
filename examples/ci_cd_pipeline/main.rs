//! A pipeline engine: a graph of stages, carried out in virtual time by a few
//! workers. It finds an order or names the cycle, starts what is ready, fails
//! fast, asks a person, and hands one artifact from stage to stage.
//!
//! Look at the two charts, a character a minute: `=` runs, `?` asks a person,
//! `x` failed, `c` was cancelled, `-` was skipped. The approval is all that tells
//! delivery from deployment. Then look at what is tested and what is shipped, and
//! at what users get when the canary, production's first minutes, goes wrong.
//!
//! Simplified: a stage is a length and an answer, and a worker takes any stage.

mod engine;

use engine::{Artifact, Hash, Plan, PlanError, Run, Settings, Stage, Status, Work};

// ANCHOR: stages
fn stages(asks: bool) -> Vec<Stage> {
    let mut stages = vec![
        Stage::run("build", 3, &[]).makes(),
        Stage::run("lint", 2, &[]),
        Stage::run("unit", 4, &[]).takes("build"),
        Stage::run("browser", 7, &[]).takes("build"),
        Stage::run("staging", 3, &["lint", "unit", "browser"]).takes("build"),
        Stage::run("production", 2, &["staging"]).ships("build"),
    ];
    if asks {
        stages.insert(5, Stage::approval("approval", &["staging"]));
        stages[6].needs.push("approval");
    }
    stages
}
// ANCHOR_END: stages

const SETTINGS: Settings = Settings {
    workers: 2,
    fail_fast: true,
    author: "Ada",
};

/// How a stage ended, a character a minute.
fn bar(plan: &Plan, run: &Run, at: usize) -> String {
    let record = &run.records[at];
    let (fill, end) = match (record.status, plan.stages[at].work) {
        (_, Work::Approval) if record.approved_by.is_some() => ("?", ""),
        (Status::Passed, _) => ("=", ""),
        (Status::Failed, _) => ("=", "x"),
        (Status::Cancelled, _) => ("=", "c"),
        (Status::Skipped, _) => ("", "-"),
        _ => ("", "…"),
    };
    let minutes = (record.ended - record.began) as usize;
    let before = " ".repeat(record.began as usize);
    format!("{before}{}{end}", fill.repeat(minutes))
}

fn chart(title: &str, plan: &Plan, run: &Run) {
    println!("{title}");
    for (at, stage) in plan.stages.iter().enumerate() {
        let bar = bar(plan, run, at);
        let who = run.records[at].approved_by;
        let who = who.map_or(String::new(), |who| format!("  {who} says yes"));
        println!("  {:<11}|{bar}{who}", stage.name);
    }
}

fn short(hash: Option<Hash>) -> String {
    let hex = |hash: Hash| hash.0[..4].iter().map(|b| format!("{b:02x}")).collect();
    hash.map_or("nothing".into(), hex)
}

fn shipped(plan: &Plan, stage: &str, run: &Run) -> Option<Hash> {
    let at = plan.stages.iter().position(|s| s.name == stage)?;
    run.records[at].artifact
}

fn failing(name: &str) -> Vec<Stage> {
    let mut stages = stages(false);
    for stage in stages.iter_mut().filter(|s| s.name == name) {
        if let Work::Run { passes, .. } = &mut stage.work {
            *passes = false;
        }
    }
    stages
}

fn main() -> Result<(), PlanError> {
    let delivery = Plan::new(stages(true))?;
    let mut run = Run::new(&delivery, SETTINGS);
    run.advance_to(18);
    let own = run.approve("approval", "Ada");
    run.advance_to(22);
    let other = run.approve("approval", "Bob");
    run.advance_to(60);
    chart("delivery: a person decides", &delivery, &run);
    println!("  Ada, who wrote the change, asked at 18: {own:?}");
    println!("  Bob, asked at 22: {other:?}");

    let deployment = Plan::new(stages(false))?;
    let mut run = Run::new(&deployment, SETTINGS);
    run.advance_to(60);
    let done = run.records.iter().map(|r| r.ended).max().unwrap_or(0);
    println!("\ndeployment, the same without the approval: live at {done}\n");

    let red = Plan::new(failing("unit"))?;
    let mut run = Run::new(&red, SETTINGS);
    run.advance_to(60);
    chart("unit fails, fail fast", &red, &run);
    let patient = Settings {
        fail_fast: false,
        ..SETTINGS
    };
    let mut run = Run::new(&red, patient);
    run.advance_to(60);
    let [browser, staging] = [3, 4].map(|at| run.records[at].status);
    println!("  else: browser {browser:?}, staging {staging:?}");

    println!("\nartifact        tested in staging   in production");
    let mut rebuilt = stages(false);
    rebuilt[5].artifact = Artifact::Makes;
    for (name, stages) in [("built once", stages(false)), ("built again", rebuilt)] {
        let plan = Plan::new(stages)?;
        let mut run = Run::new(&plan, SETTINGS);
        run.advance_to(60);
        let [tested, live] = ["staging", "production"]
            .map(|stage| short(shipped(&plan, stage, &run)));
        println!("  {name:<13} {tested:<19} {live}");
    }
    println!("\nproduction      before    a few users   everyone after");
    for (name, stages) in [
        ("all is well", stages(false)),
        ("errors", failing("production")),
    ] {
        let plan = Plan::new(stages)?;
        let mut run = Run::new(&plan, SETTINGS);
        run.live = Some(run.store.put(b"the release before".to_vec()));
        let before = run.live;
        run.advance_to(14);
        let few = run.canary();
        run.advance_to(60);
        let [before, few, after] = [before, few, run.live].map(short);
        println!("  {name:<13} {before}  {few:<13} {after}");
    }
    let mut knot = stages(false);
    knot[0].needs.push("staging");
    println!("\nif build also needs staging");
    println!(
        "  {}",
        Plan::new(knot).map_or_else(|e| e.to_string(), |_| "a plan".into())
    );
    Ok(())
}

#[cfg(test)]
mod tests;
