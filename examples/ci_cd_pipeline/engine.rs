//! The engine: a plan that is known to have an order, and a run that carries it out
//! in virtual time, a minute its unit.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest as _, Sha256};

/// More is refused: whoever draws such a plan has made a mistake.
pub const STAGES_MAX: usize = 100;

// ANCHOR: stage
#[derive(Clone, Copy, Debug)]
pub enum Work {
    /// Keeps a worker busy for so many minutes, and passes or fails.
    Run { minutes: u64, passes: bool },
    /// Keeps nobody busy, and ends when a person says yes.
    Approval,
}

#[derive(Clone, Debug)]
pub struct Stage {
    pub name: &'static str,
    pub needs: Vec<&'static str>,
    pub work: Work,
    /// What it leaves behind, is given, or shows to users.
    pub artifact: Artifact,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Artifact {
    None,
    Makes,
    Takes(&'static str), // from that stage
    Ships(&'static str), // to a few users while it runs, to all if it passes
}
// ANCHOR_END: stage

impl Stage {
    pub fn run(name: &'static str, minutes: u64, needs: &[&'static str]) -> Self {
        let work = Work::Run {
            minutes,
            passes: true,
        };
        Self {
            name,
            needs: needs.to_vec(),
            work,
            artifact: Artifact::None,
        }
    }

    pub fn approval(name: &'static str, needs: &[&'static str]) -> Self {
        let work = Work::Approval;
        Self {
            work,
            ..Self::run(name, 0, needs)
        }
    }

    pub fn makes(self) -> Self {
        let artifact = Artifact::Makes;
        Self { artifact, ..self }
    }

    /// Whoever takes an artifact also needs the stage that makes it.
    pub fn takes(mut self, maker: &'static str) -> Self {
        if !self.needs.contains(&maker) {
            self.needs.push(maker);
        }
        let artifact = Artifact::Takes(maker);
        Self { artifact, ..self }
    }

    pub fn ships(self, maker: &'static str) -> Self {
        let artifact = Artifact::Ships(maker);
        Self {
            artifact,
            ..self.takes(maker)
        }
    }
}

// ANCHOR: plan
#[derive(Debug, PartialEq)]
pub enum PlanError {
    Twice(String),
    Unknown { name: String, needed_by: String },
    Cycle(Vec<String>), // each needs the next, the last needs the first
    TooMany(usize),
}

/// A plan that can be carried out: there is no other way to make one.
#[derive(Debug)]
pub struct Plan {
    pub stages: Vec<Stage>,
    pub needs: Vec<Vec<usize>>,
    pub order: Vec<usize>, // each stage stands after those it needs
}

impl Plan {
    pub fn new(stages: Vec<Stage>) -> Result<Self, PlanError> {
        if stages.len() > STAGES_MAX {
            return Err(PlanError::TooMany(stages.len()));
        }
        let place = |name: &str| stages.iter().position(|s| s.name == name);
        let mut needs = vec![vec![]; stages.len()];
        for (at, stage) in stages.iter().enumerate() {
            if place(stage.name) != Some(at) {
                return Err(PlanError::Twice(stage.name.into()));
            }
            for need in &stage.needs {
                let Some(need) = place(need) else {
                    let (name, needed_by) = ((*need).into(), stage.name.into());
                    return Err(PlanError::Unknown { name, needed_by });
                };
                needs[at].push(need);
            }
        }
        let mut order = vec![];
        for at in 0..stages.len() {
            visit(at, &needs, &mut vec![], &mut order).map_err(|cycle| {
                let name = |at: &usize| stages[*at].name.to_string();
                PlanError::Cycle(cycle.iter().map(name).collect())
            })?;
        }
        Ok(Self {
            stages,
            needs,
            order,
        })
    }
}
// ANCHOR_END: plan

// ANCHOR: cycle
/// Depth first: `path` is how we came here, so meeting it again is a cycle.
fn visit(
    at: usize,
    needs: &[Vec<usize>],
    path: &mut Vec<usize>,
    order: &mut Vec<usize>,
) -> Result<(), Vec<usize>> {
    if order.contains(&at) {
        return Ok(());
    }
    if let Some(start) = path.iter().position(|on_path| *on_path == at) {
        return Err(path[start..].to_vec());
    }
    path.push(at);
    for need in &needs[at] {
        visit(*need, needs, path, order)?;
    }
    path.pop();
    order.push(at);
    Ok(())
}
// ANCHOR_END: cycle

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Twice(name) => write!(f, "two stages are called {name}"),
            Self::Unknown { name, needed_by } => {
                write!(f, "{needed_by} needs {name}, which is not here")
            }
            Self::Cycle(names) => {
                let first = names.first().map_or("", String::as_str);
                write!(f, "cycle: {} needs {first}", names.join(" needs "))
            }
            Self::TooMany(stages) => {
                write!(f, "{stages} stages, and {STAGES_MAX} is the limit")
            }
        }
    }
}

/// A stage that takes longer has hung, and is ended.
pub const TIMEOUT_MINUTES_MAX: u64 = 30;

// ANCHOR: status
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Status {
    Waiting,   // for what it needs, or for a worker
    Running,   // until the minute in `ended`
    Asking,    // a person, who has not answered yet
    Passed,    // and only now may others begin
    Failed,    // it ran and said no, or hung
    Cancelled, // it ran, and another failed: we do not know what it would say
    Skipped,   // it never ran
}
// ANCHOR_END: status

/// SHA-256 of the content: a name that only this content has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

// ANCHOR: store
#[derive(Clone, Debug, Default)]
pub struct Store(pub BTreeMap<Hash, Vec<u8>>);

impl Store {
    pub fn put(&mut self, content: Vec<u8>) -> Hash {
        let hash = Hash(Sha256::digest(&content).into());
        self.0.insert(hash, content);
        hash
    }

    /// None if it is not there, or is no longer what was put there.
    pub fn get(&self, hash: Hash) -> Option<&[u8]> {
        let content = self.0.get(&hash)?;
        (Sha256::digest(content)[..] == hash.0).then_some(content)
    }
}
// ANCHOR_END: store

#[derive(Clone, Debug)]
pub struct Record {
    pub status: Status,
    pub began: u64,
    pub ended: u64,
    pub artifact: Option<Hash>, // that it made or was given
    pub approved_by: Option<&'static str>,
}

#[derive(Clone, Copy)]
pub struct Settings {
    pub workers: usize,
    pub fail_fast: bool,
    pub author: &'static str, // of the change
}

#[derive(Debug, PartialEq)]
pub enum Refusal {
    NobodyAsks,
    OwnChange,
}

pub struct Run<'a> {
    plan: &'a Plan,
    settings: Settings,
    now: u64,
    pub records: Vec<Record>,
    pub store: Store,
    pub live: Option<Hash>, // what users get
}

impl<'a> Run<'a> {
    pub fn new(plan: &'a Plan, settings: Settings) -> Self {
        let record = Record {
            status: Status::Waiting,
            began: 0,
            ended: 0,
            artifact: None,
            approved_by: None,
        };
        let records = vec![record; plan.stages.len()];
        let store = Store::default();
        Self {
            plan,
            settings,
            now: 0,
            records,
            store,
            live: None,
        }
    }

    // ANCHOR: start
    /// Lets time pass: whatever ends until then ends, and makes room for others.
    pub fn advance_to(&mut self, minute: u64) {
        self.start();
        let next =
            |run: &Self| run.in_status(Status::Running).map(|r| r.ended).min();
        while let Some(end) = next(self).filter(|end| *end <= minute) {
            self.now = end;
            self.finish();
            self.start();
        }
        self.now = minute.max(self.now);
    }

    fn start(&mut self) {
        for &at in &self.plan.order {
            let passed = |need: &usize| self.records[*need].status == Status::Passed;
            let ready = self.plan.needs[at].iter().all(passed);
            if self.records[at].status != Status::Waiting || !ready {
                continue;
            }
            let busy = self.in_status(Status::Running).count();
            let (status, ended) = match self.plan.stages[at].work {
                Work::Approval => (Status::Asking, self.now),
                Work::Run { .. } if busy >= self.settings.workers => continue,
                Work::Run { minutes, .. } => {
                    let minutes = minutes.min(TIMEOUT_MINUTES_MAX);
                    (Status::Running, self.now + minutes)
                }
            };
            let record = &mut self.records[at];
            (record.status, record.began, record.ended) = (status, self.now, ended);
        }
    }
    // ANCHOR_END: start

    // ANCHOR: finish
    fn finish(&mut self) {
        let mut failed = false;
        for at in 0..self.records.len() {
            let record = &self.records[at];
            if record.status == Status::Running && record.ended == self.now {
                let passed = self.passes(at) && self.handle_artifact(at);
                let end = [Status::Failed, Status::Passed][usize::from(passed)];
                self.records[at].status = end;
                failed |= !passed;
            }
        }
        let stop = failed && self.settings.fail_fast;
        for &at in &self.plan.order {
            let bad = |need: &usize| {
                use Status::{Cancelled, Failed, Skipped};
                matches!(self.records[*need].status, Failed | Cancelled | Skipped)
            };
            let blocked = self.plan.needs[at].iter().any(bad);
            let now = self.now;
            let record = &mut self.records[at];
            match record.status {
                Status::Running if stop => record.status = Status::Cancelled,
                Status::Asking if stop => record.status = Status::Skipped,
                Status::Waiting if stop || blocked => {
                    record.status = Status::Skipped;
                    record.began = now;
                }
                _ => continue,
            }
            record.ended = now;
        }
    }
    // ANCHOR_END: finish

    // ANCHOR: approve
    /// Says yes for a stage that asks. Nobody says yes to their own change.
    pub fn approve(
        &mut self,
        stage: &str,
        who: &'static str,
    ) -> Result<(), Refusal> {
        let named = |at: &usize| self.plan.stages[*at].name == stage;
        let asks = |at: &usize| self.records[*at].status == Status::Asking;
        let at = (0..self.records.len()).find(|at| named(at) && asks(at));
        let record = &mut self.records[at.ok_or(Refusal::NobodyAsks)?];
        if who == self.settings.author {
            return Err(Refusal::OwnChange);
        }
        (record.status, record.ended) = (Status::Passed, self.now);
        record.approved_by = Some(who);
        Ok(())
    }
    // ANCHOR_END: approve

    fn in_status(&self, status: Status) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(move |r| r.status == status)
    }

    fn passes(&self, at: usize) -> bool {
        match self.plan.stages[at].work {
            Work::Run { minutes, passes } => {
                passes && minutes <= TIMEOUT_MINUTES_MAX
            }
            Work::Approval => true,
        }
    }

    // ANCHOR: artifact
    /// Few builds are reproducible: this one writes the time into what it makes.
    fn handle_artifact(&mut self, at: usize) -> bool {
        let artifact = match self.plan.stages[at].artifact {
            Artifact::None => return true,
            Artifact::Makes => {
                let content = format!("program, built in minute {}", self.now);
                Some(self.store.put(content.into_bytes()))
            }
            Artifact::Takes(maker) | Artifact::Ships(maker) => {
                let hash = self.artifact_of(maker);
                hash.filter(|hash| self.store.get(*hash).is_some())
            }
        };
        self.records[at].artifact = artifact;
        if matches!(self.plan.stages[at].artifact, Artifact::Ships(_)) {
            self.live = artifact.or(self.live);
        }
        artifact.is_some()
    }

    /// What a few users get. When the stage ends, however it ends, they get what
    /// is live: nobody has to do anything to roll back.
    pub fn canary(&self) -> Option<Hash> {
        let running = |r: &Record| r.status == Status::Running;
        let pairs = self.plan.stages.iter().zip(&self.records);
        let mut running = pairs.filter(|(_, record)| running(record));
        let shipped = running.find_map(|(stage, _)| match stage.artifact {
            Artifact::Ships(maker) => self.artifact_of(maker),
            _ => None,
        });
        shipped.filter(|hash| self.store.get(*hash).is_some())
    }
    // ANCHOR_END: artifact

    fn artifact_of(&self, stage: &str) -> Option<Hash> {
        let at = self.plan.stages.iter().position(|s| s.name == stage)?;
        self.records[at].artifact
    }
}
