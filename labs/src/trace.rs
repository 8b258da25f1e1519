//! Runs to compare: for each figure several seeds and settings with actions thrown in, each run told as
//! one line. The page's tests replay every line in the browser's engine.

use crate::figure::{About, Kind, Setup};
use crate::player::quoted;
use crate::{Entry, Run};

/// Runs of each figure.
pub const RUNS: u64 = 25;
/// Steps and actions of a run.
const EVENTS: u64 = 120;

/// One run: how it is set up, and what happens.
pub struct Traced {
    /// The seed.
    pub seed: u32,
    /// What is set, as `key<TAB>value` lines.
    pub lines: String,
    /// What happens, in order.
    pub events: Vec<Event>,
}

/// What can happen in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// One step.
    Step,
    /// One event back.
    Back,
    /// An action and its value.
    Act(usize, i64),
}

impl Event {
    /// Lets it happen.
    pub fn happen(self, run: &mut dyn Run) {
        match self {
            Event::Step => drop(run.step()),
            Event::Back => drop(run.back()),
            Event::Act(action, value) => run.act(action, value),
        }
    }

    /// As JSON: `"step"`, `"back"` or `[action,value]`.
    pub fn json(self) -> String {
        match self {
            Event::Step => "\"step\"".to_owned(),
            Event::Back => "\"back\"".to_owned(),
            Event::Act(action, value) => format!("[{action},{value}]"),
        }
    }
}

/// Several events as JSON.
pub fn listed(events: &[Event]) -> String {
    let events: Vec<String> = events.iter().map(|event| event.json()).collect();
    format!("[{}]", events.join(","))
}

/// The runs of one figure: always the same.
pub fn runs(about: &About) -> Vec<Traced> {
    (0..RUNS).map(|number| run(about, number)).collect()
}

fn run(about: &About, number: u64) -> Traced {
    let mut rng = fastrand::Rng::with_seed(number);
    // The first run is the one that a reader sees at first.
    let seed = if number == 0 { 1 } else { rng.u32(..) };
    let mut lines = String::new();
    for control in about.controls.iter().filter(|_| number > 0) {
        let value = match control.kind {
            Kind::Slider { min, max, .. } => rng.i64(min..=max),
            Kind::Choice { options, .. } => rng.i64(0..options.len() as i64),
            Kind::Text { .. } => continue,
        };
        lines.push_str(&format!("{}\t{value}\n", control.key));
    }
    let acts = about.actions.len();
    let events = (0..EVENTS).map(|_| match rng.u32(0..20) {
        0 if number > 0 => Event::Back,
        1..=3 if number > 0 && acts > 0 => Event::Act(rng.usize(0..acts), rng.i64(0..16)),
        _ => Event::Step,
    });
    Traced {
        seed,
        lines,
        events: events.collect(),
    }
}

/// A run and the hash of what it showed after each event, as a line of JSON.
pub fn line(entry: &Entry, run: &Traced) -> String {
    let mut shown = entry.start(&Setup::from_lines(run.seed.into(), &run.lines));
    let mut hash = Fnv::default();
    hash.add(shown.view().as_bytes());
    for event in &run.events {
        event.happen(shown.as_mut());
        hash.add(shown.view().as_bytes());
    }
    format!(
        "{{\"figure\":\"{}\",\"seed\":{},\"lines\":{},\"events\":{},\"hash\":\"{:08x}\"}}",
        entry.name,
        run.seed,
        quoted(&run.lines),
        listed(&run.events),
        hash.0
    )
}

/// FNV-1a, 32 bits (draft-eastlake-fnv, section 2): short to write in any language.
struct Fnv(u32);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv(0x811c_9dc5)
    }
}

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    }
}
