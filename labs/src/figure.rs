//! What a figure has to say and do.

use crate::scene::Scene;

/// A program that a reader can move.
pub trait Figure: Sized {
    /// What it is and how it is controlled.
    const ABOUT: &'static About;

    /// The run's beginning. Nothing but `setup` decides what follows.
    fn new(setup: &Setup) -> Self;

    /// One step of the program; `false` when there is none left.
    fn step(&mut self) -> bool;

    /// What the reader does between two steps: the action's place in [`About::actions`] and the
    /// value that the picture or the button gives it. An action that makes no sense now does nothing.
    fn act(&mut self, action: usize, value: i64);

    /// Draws this moment, and says it in words with [`Scene::say`].
    fn draw(&self, scene: &mut Scene);

    /// Which goals this run has reached, in the order of [`About::goals`].
    fn reached(&self) -> Vec<bool>;
}

/// What a figure is and how it is controlled.
#[derive(Debug)]
pub struct About {
    /// One line above the picture.
    pub title: &'static str,
    /// Sliders, choices and texts; a change of one starts a new run.
    pub controls: &'static [Control],
    /// What the reader may do during a run.
    pub actions: &'static [Action],
    /// Two to four goals, each a sentence that tells the reader what to bring about.
    pub goals: &'static [&'static str],
    /// Milliseconds from step to step while it plays.
    pub pace_ms: u32,
    /// What is done, before its first step, in the run of which the still picture in the page is a
    /// moment: actions with their values.
    pub still_acts: &'static [(usize, i64)],
    /// How far that run has gone.
    pub still_steps: usize,
    /// A run ends after this many steps at the latest.
    pub steps_max: usize,
}

/// Something the reader sets before a run.
#[derive(Debug)]
pub struct Control {
    /// Its name in a link: `servers`.
    pub key: &'static str,
    /// Its label: `Servers`.
    pub label: &'static str,
    /// What it can be.
    pub kind: Kind,
}

/// What a control can be set to.
#[derive(Debug)]
pub enum Kind {
    /// A whole number.
    Slider {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
        /// From one value to the next.
        step: i64,
        /// What it is at first.
        value: i64,
        /// Its unit, or nothing.
        unit: &'static str,
    },
    /// One of some words; its value is the word's place.
    Choice {
        /// The words.
        options: &'static [&'static str],
        /// The place of the one chosen at first.
        value: usize,
    },
    /// A text of several lines.
    Text {
        /// What it is at first.
        value: &'static str,
    },
}

/// Something the reader does during a run.
#[derive(Debug)]
pub struct Action {
    /// Its label: `Stop a server`.
    pub label: &'static str,
    /// Whether it has a button of its own (with value 0); otherwise the picture offers it.
    pub button: bool,
}

/// What decides a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// For the program's random numbers.
    pub seed: u64,
    /// What the reader set, by key.
    set: Vec<(String, String)>,
}

impl Setup {
    /// A setup with everything as it is at first.
    pub fn new(seed: u64) -> Setup {
        Setup {
            seed,
            set: Vec::new(),
        }
    }

    /// The setup in the form in which the page's script gives it: a line `key<TAB>value` each, in
    /// which the value's own line ends are written `\n` and its backslashes `\\`. What is not a line
    /// of that form is passed over.
    pub fn from_lines(seed: u64, lines: &str) -> Setup {
        let set = lines
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(key, value)| (key.to_owned(), unescaped(value)))
            .collect();
        Setup { seed, set }
    }

    /// Sets one control.
    pub fn with(mut self, key: &str, value: &str) -> Setup {
        self.set.push((key.to_owned(), value.to_owned()));
        self
    }

    /// The value of a slider or the place of a choice, within its bounds whatever was set.
    pub fn number(&self, about: &About, key: &str) -> i64 {
        let set = self.find(key).and_then(|value| value.parse::<i64>().ok());
        match about.controls.iter().find(|control| control.key == key) {
            Some(Control {
                kind: Kind::Slider {
                    min, max, value, ..
                },
                ..
            }) => set.unwrap_or(*value).clamp(*min, *max),
            Some(Control {
                kind: Kind::Choice { options, value },
                ..
            }) => {
                let last = options.len() as i64 - 1;
                set.unwrap_or(*value as i64).clamp(0, last)
            }
            _ => 0,
        }
    }

    /// The text of a text control.
    pub fn text(&self, about: &About, key: &str) -> String {
        let first = about
            .controls
            .iter()
            .find_map(|control| match control.kind {
                Kind::Text { value } if control.key == key => Some(value),
                _ => None,
            });
        self.find(key).or(first).unwrap_or_default().to_owned()
    }

    fn find(&self, key: &str) -> Option<&str> {
        let found = self.set.iter().rev().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    }
}

fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, letter == '\\') {
            (_, true) => match letters.next() {
                Some('n') => plain.push('\n'),
                Some(other) => plain.push(other),
                None => {}
            },
            (other, false) => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOUT: About = About {
        title: "",
        controls: &[
            Control {
                key: "servers",
                label: "Servers",
                kind: Kind::Slider {
                    min: 1,
                    max: 8,
                    step: 1,
                    value: 3,
                    unit: "",
                },
            },
            Control {
                key: "policy",
                label: "Policy",
                kind: Kind::Choice {
                    options: &["LRU", "LFU"],
                    value: 1,
                },
            },
        ],
        actions: &[],
        goals: &[],
        pace_ms: 500,
        still_acts: &[],
        still_steps: 0,
        steps_max: 10,
    };

    #[test]
    fn a_link_with_nonsense_in_it_gives_values_within_bounds() {
        let setup = Setup::from_lines(7, "servers\t99\npolicy\t-1\nnone\nservers\tx\n");
        assert_eq!(setup.number(&ABOUT, "servers"), 3);
        assert_eq!(setup.number(&ABOUT, "policy"), 0);
        let setup = Setup::from_lines(7, "servers\t99");
        assert_eq!(setup.number(&ABOUT, "servers"), 8);
        assert_eq!(setup.number(&ABOUT, "policy"), 1);
    }

    #[test]
    fn a_text_of_several_lines_comes_through() {
        let setup = Setup::from_lines(0, "source\ta\\nb\\\\n\n");
        assert_eq!(setup.find("source"), Some("a\nb\\n"));
    }
}
