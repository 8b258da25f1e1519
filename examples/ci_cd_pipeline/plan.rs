//! What is to be done, and an order in which it can be.

use std::fmt;

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
    /// What it leaves behind, or the stage whose artifact it is given.
    pub artifact: Artifact,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Artifact {
    None,
    Makes,
    Takes(&'static str),
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
// ANCHOR_END: plan

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
