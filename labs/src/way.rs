//! A way to a goal, found by trying what a reader can try: settings, buttons, what the picture offers
//! to press, steps. The page's tests walk it in the browser by keyboard.

use crate::figure::{About, Kind, Setup};
use crate::player::quoted;
use crate::trace::{self, Event};
use crate::{Entry, Run};

/// Runs tried before a figure counts as one without a way.
const TRIES: u64 = 400;
/// Steps and actions of a run, at most.
const EVENTS_MAX: usize = 400;
/// Letters that are typed into a text where they are likely to change what it means.
const TYPED: [char; 4] = ['0', '9', '?', '+'];

/// A run of seed 1 that reaches a goal.
pub struct Way {
    /// The place of the goal in [`About::goals`].
    pub goal: usize,
    /// The controls that are set to something else than at first, with their values.
    pub set: Vec<(&'static str, String)>,
    /// What is done then, in order: steps and actions, never back.
    pub events: Vec<Event>,
}

/// The shortest way found to any goal of a figure, always the same; `None` when no try got there.
pub fn to_a_goal(entry: &Entry) -> Option<Way> {
    let mut way = (0..TRIES).find_map(|number| stroll(entry, number))?;
    for place in (0..way.set.len()).rev() {
        way.shorten(entry, |way| drop(way.set.remove(place)));
    }
    // Large pieces first, so that a long run is not walked once for each of its events.
    let mut piece = way.events.len() / 2;
    while piece > 0 {
        let mut from = way.events.len();
        while from >= piece {
            from -= piece;
            way.shorten(entry, |way| drop(way.events.drain(from..from + piece)));
            from = from.min(way.events.len());
        }
        piece /= 2;
    }
    Some(way)
}

/// One try: settings by lot, and then one thing after the other by lot until a goal is reached.
fn stroll(entry: &Entry, number: u64) -> Option<Way> {
    let mut rng = fastrand::Rng::with_seed(number);
    let set = settings(entry.about, &mut rng);
    let mut run = entry.start(&setup(&set));
    // In some runs the reader mostly watches, in others mostly acts.
    let acts_in_64 = [1, 4, 32][(number % 3) as usize];
    let mut events = Vec::new();
    while events.len() < EVENTS_MAX {
        let mut event = Event::Step;
        if rng.u32(0..64) < acts_in_64 {
            let offered = offered(entry.about, &run.view());
            if !offered.is_empty() {
                event = offered[rng.usize(0..offered.len())];
            }
        }
        event.happen(run.as_mut());
        events.push(event);
        if let Some(goal) = reached(run.as_ref()) {
            return Some(Way { goal, set, events });
        }
    }
    None
}

fn settings(about: &About, rng: &mut fastrand::Rng) -> Vec<(&'static str, String)> {
    let mut set = Vec::new();
    for control in about.controls {
        if rng.bool() {
            continue;
        }
        let value = match control.kind {
            Kind::Slider { min, max, step, .. } => {
                (min + step * rng.i64(0..=(max - min) / step)).to_string()
            }
            Kind::Choice { options, .. } => rng.usize(0..options.len()).to_string(),
            Kind::Text { value } => edited(value, rng),
        };
        set.push((control.key, value));
    }
    set
}

/// A text as a reader may leave it who tries things: a line moved, or some letters typed over.
fn edited(text: &str, rng: &mut fastrand::Rng) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines.len() > 1 && rng.bool() {
        let line = lines.remove(rng.usize(0..lines.len()));
        lines.insert(rng.usize(0..=lines.len()), line);
        return lines.join("\n");
    }
    let mut letters: Vec<char> = text.chars().collect();
    for _ in 0..rng.usize(1..4) {
        if !letters.is_empty() {
            let at = rng.usize(0..letters.len());
            if letters[at] != '\n' {
                letters[at] = TYPED[rng.usize(0..TYPED.len())];
            }
        }
    }
    letters.into_iter().collect()
}

/// What a reader can press at a moment: buttons, and what the picture offers.
fn offered(about: &About, view: &str) -> Vec<Event> {
    let buttons = about.actions.iter().enumerate();
    let buttons = buttons.filter(|(_, action)| action.button);
    let mut offered: Vec<Event> = buttons.map(|(place, _)| Event::Act(place, 0)).collect();
    for rest in view.split("data-act=\\\"").skip(1) {
        let mut parts = rest.split("\\\"");
        let action = parts.next().and_then(|text| text.parse().ok());
        let value = parts.nth(1).and_then(|text| text.parse().ok());
        if let (Some(action), Some(value)) = (action, value) {
            offered.push(Event::Act(action, value));
        }
    }
    offered
}

fn setup(set: &[(&'static str, String)]) -> Setup {
    let first = Setup::new(1);
    set.iter()
        .fold(first, |setup, (key, value)| setup.with(key, value))
}

/// The first goal that is reached.
fn reached(run: &dyn Run) -> Option<usize> {
    run.reached().into_iter().position(|reached| reached)
}

impl Way {
    /// Leaves something out, if the goal is reached without it, too, and by what a reader can press.
    fn shorten(&mut self, entry: &Entry, leave_out: impl FnOnce(&mut Way)) {
        let mut shorter = Way {
            goal: self.goal,
            set: self.set.clone(),
            events: self.events.clone(),
        };
        leave_out(&mut shorter);
        if let Some(events) = shorter.walk(entry) {
            shorter.events.truncate(events);
            *self = shorter;
        }
    }

    /// Walks it and returns how many events it took to the goal; `None` when it does not get there, or
    /// when something is pressed that is not there to be pressed.
    pub fn walk(&self, entry: &Entry) -> Option<usize> {
        let mut run = entry.start(&setup(&self.set));
        for (place, event) in self.events.iter().enumerate() {
            let can_be_done =
                *event == Event::Step || offered(entry.about, &run.view()).contains(event);
            if !can_be_done {
                return None;
            }
            event.happen(run.as_mut());
            if reached(run.as_ref()) == Some(self.goal) {
                return Some(place + 1);
            }
        }
        None
    }

    /// The way as a line of JSON.
    pub fn line(&self, entry: &Entry) -> String {
        let set = self.set.iter();
        let set = set.map(|(key, value)| format!("[{},{}]", quoted(key), quoted(value)));
        format!(
            "{{\"figure\":\"{}\",\"goal\":{},\"set\":[{}],\"way\":{}}}",
            entry.name,
            self.goal,
            set.collect::<Vec<_>>().join(","),
            trace::listed(&self.events)
        )
    }
}
