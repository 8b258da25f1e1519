//! Program: acid_anomalies
//!
//! One of the program's scripts, with the turns dealt by the reader: whose statement is next? After
//! each one the program runs the whole history so far, at the level that the reader chose.

use fastrand::Rng;

use super::scripts::{judge, run, Database, Outcome, Run, Session, Step, Verdict, SCRIPTS};
use super::{Sessions, LEVELS};
use crate::figure::{About, Action, Control, Figure, Kind, Setup};
use crate::scene::{Scene, Shape, Tone, WIDTH_MAX};

const SCRIPT_NAMES: [&str; SCRIPTS.len()] = {
    let mut names = [""; SCRIPTS.len()];
    let mut place = 0;
    while place < names.len() {
        names[place] = SCRIPTS[place].name;
        place += 1;
    }
    names
};
const LEVEL_NAMES: [&str; 4] = [LEVELS[0].1, LEVELS[1].1, LEVELS[2].1, LEVELS[3].1];
const WHO: [Session; 2] = [Session::A, Session::B];
const NAMES: [&str; 2] = ["A", "B"];
const COLUMN: f64 = 156.0;
const WIDTH: f64 = 148.0;
const TOP: f64 = 26.0;
const ROW: f64 = 27.0;

/// Whose statements are to come, and what the program made of those that came.
pub struct Lab {
    script: usize,
    level: usize,
    rng: Rng,
    taken: Vec<(Session, Step)>,
    run: Run,
}

impl Lab {
    fn todo(&self, who: usize) -> Vec<Step> {
        let taken = self
            .taken
            .iter()
            .filter(|(session, _)| *session == WHO[who])
            .count();
        let own = SCRIPTS[self.script]
            .steps
            .iter()
            .filter(|(session, _)| *session == WHO[who]);
        own.skip(taken).map(|(_, step)| *step).collect()
    }

    fn take(&mut self, who: usize) {
        if let Some(step) = self.todo(who).first() {
            self.taken.push((WHO[who], *step));
            self.run = played(self.script, self.level, &self.taken);
        }
    }

    fn is_over(&self) -> bool {
        self.taken.len() == SCRIPTS[self.script].steps.len()
    }

    fn verdict(&self) -> Option<Verdict> {
        self.is_over().then(|| judge(&self.run))
    }

    fn conclusion(&self) -> &'static str {
        match self.verdict() {
            None => "Not all statements have run yet.",
            Some(Verdict::Happens) => "No order of whole transactions explains this.",
            Some(Verdict::Fine) => "One after the other gives the same.",
            Some(Verdict::Refused(_)) => "It is as if the refused one had not been there.",
        }
    }

    /// The script is of that kind, and isolation failed.
    fn happened(&self, kind: &str) -> bool {
        self.verdict() == Some(Verdict::Happens) && SCRIPT_NAMES[self.script].starts_with(kind)
    }
}

fn played(script: usize, level: usize, steps: &[(Session, Step)]) -> Run {
    let Ok(run) = run(
        &mut Sessions::new(LEVELS[level].0),
        SCRIPTS[script].rows,
        steps,
    );
    run
}

fn rows_said(rows: &[(i64, i64)]) -> String {
    let all: Vec<String> = rows
        .iter()
        .map(|(id, value)| format!("({id},{value})"))
        .collect();
    if all.is_empty() {
        "no rows".to_owned()
    } else {
        all.join(" ")
    }
}

fn said(step: Step) -> String {
    match step {
        Step::Begin => "BEGIN".to_owned(),
        Step::Read(id) => format!("SELECT row {id}"),
        Step::ReadAtLeast(min) => format!("SELECT ≥ {min}"),
        Step::Write(id, value) => format!("UPDATE row {id} to {value}"),
        Step::WriteReadPlus(id, plus) => format!("UPDATE row {id} to read + {plus}"),
        Step::Insert(id, value) => format!("INSERT ({id},{value})"),
        Step::Commit => "COMMIT".to_owned(),
        Step::Rollback => "ROLLBACK".to_owned(),
    }
}

fn said_with(step: Step, outcome: &Outcome) -> (Tone, String) {
    let words = said(step);
    // The box has no room for what was to be written as well.
    let short = words.split(" to ").next().unwrap_or(&words);
    match outcome {
        Outcome::Done if step == Step::Commit => (Tone::Good, words),
        Outcome::Done => (Tone::Plain, words),
        Outcome::Value(Some(value)) => (Tone::Plain, format!("{words} = {value}")),
        Outcome::Value(None) => (Tone::Plain, format!("{words}: none")),
        Outcome::Rows(rows) => (Tone::Plain, format!("{words}: {}", rows_said(rows))),
        Outcome::Refused(_) => (Tone::Bad, format!("{short}: refused")),
        Outcome::Skipped => (Tone::Faint, format!("{short}: not run")),
    }
}

impl Figure for Lab {
    const ABOUT: &'static About = &About {
        title: "Two transactions, and you deal the turns",
        controls: &[
            Control {
                key: "script",
                label: "Transactions",
                kind: Kind::Choice {
                    options: &SCRIPT_NAMES,
                    value: 5,
                },
            },
            Control {
                key: "level",
                label: "Isolation level",
                kind: Kind::Choice {
                    options: &LEVEL_NAMES,
                    value: 2,
                },
            },
        ],
        actions: &[
            Action {
                label: "Next of A",
                button: true,
            },
            Action {
                label: "Next of B",
                button: true,
            },
        ],
        goals: &[
            "Lose an update: both commit, and one addition is gone.",
            "Read what is later rolled back.",
            "Make write skew at the level snapshot.",
            "Make the database refuse a commit.",
        ],
        pace_ms: 900,
        still_acts: &[],
        still_steps: 5,
        steps_max: 20,
    };

    fn new(setup: &Setup) -> Self {
        let number = |key| setup.number(Self::ABOUT, key) as usize;
        let (script, level) = (number("script"), number("level"));
        Lab {
            script,
            level,
            rng: Rng::with_seed(setup.seed),
            taken: Vec::new(),
            run: played(script, level, &[]),
        }
    }

    fn step(&mut self) -> bool {
        let who = usize::from(self.rng.bool());
        self.take(if self.todo(who).is_empty() {
            1 - who
        } else {
            who
        });
        !self.is_over()
    }

    fn act(&mut self, action: usize, _: i64) {
        self.take(action);
    }

    fn draw(&self, scene: &mut Scene) {
        let all = SCRIPTS[self.script].steps.len();
        let bottom = TOP + all as f64 * ROW;
        scene.height(bottom + 48.0);
        for (who, name) in NAMES.iter().enumerate() {
            let (x, title) = (who as f64 * COLUMN, format!("Transaction {name}"));
            scene.add(Shape::words(format!("name-{name}"), x, 10.0, title).strong());
            let todo = self.todo(who);
            let done = SCRIPTS[self.script]
                .steps
                .iter()
                .filter(|(session, _)| *session == WHO[who]);
            let first = done.count() - todo.len();
            for (place, step) in todo.iter().enumerate() {
                let y = TOP + (self.taken.len() + place) as f64 * ROW;
                let key = format!("{name}-{}", first + place);
                let line = Shape::rect(key, x, y, WIDTH, ROW - 3.0)
                    .label(said(*step))
                    .small();
                scene.add(match place {
                    0 => line
                        .tone(Tone::B)
                        .tap(who, 0, format!("Next of {name}: {}", said(*step))),
                    _ => line.tone(Tone::Faint),
                });
            }
        }
        let mut counts = [0, 0];
        for (place, (session, step, outcome)) in self.run.history.iter().enumerate() {
            let who = usize::from(*session == Session::B);
            let (tone, label) = said_with(*step, outcome);
            let tone = match tone {
                Tone::Plain => [Tone::A, Tone::D][who],
                other => other,
            };
            let key = format!("{}-{}", NAMES[who], counts[who]);
            counts[who] += 1;
            let (x, y) = (who as f64 * COLUMN, TOP + place as f64 * ROW);
            scene.add(
                Shape::rect(key, x, y, WIDTH, ROW - 3.0)
                    .tone(tone)
                    .label(label)
                    .small(),
            );
        }
        let table = format!("A new transaction reads: {}", rows_said(&self.run.after));
        scene.add(
            Shape::words("table", WIDTH_MAX / 2.0, bottom + 12.0, table.clone())
                .centred()
                .small(),
        );
        let sign = match self.verdict() {
            None => "",
            Some(Verdict::Happens) => "✕ ",
            Some(_) => "✓ ",
        };
        let conclusion = format!("{sign}{}", self.conclusion());
        let verdict = Shape::words("verdict", WIDTH_MAX / 2.0, bottom + 32.0, conclusion);
        scene.add(verdict.centred().small().strong());
        let last = self.run.history.last().map(|(session, step, outcome)| {
            let who = NAMES[usize::from(*session == Session::B)];
            format!("{who}: {}. ", said_with(*step, outcome).1)
        });
        let next = [0, 1].map(|who| match self.todo(who).first() {
            Some(step) => format!("Next of {}: {}. ", NAMES[who], said(*step)),
            None => String::new(),
        });
        scene.say(format!(
            "{}{}{}{table}. {}",
            last.unwrap_or_default(),
            next[0],
            next[1],
            self.conclusion()
        ));
    }

    fn reached(&self) -> Vec<bool> {
        let refused = |(_, step, outcome): &(Session, Step, Outcome)| {
            *step == Step::Commit && matches!(outcome, Outcome::Refused(_))
        };
        vec![
            self.happened("lost update"),
            self.happened("dirty read"),
            self.happened("write skew") && LEVEL_NAMES[self.level] == "snapshot",
            self.run.history.iter().any(refused),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(names: &[&str], name: &str) -> String {
        names
            .iter()
            .position(|known| *known == name)
            .expect("a name")
            .to_string()
    }

    /// The turns as words: `ABAB`.
    fn dealt(script: &str, level: &str, turns: &str) -> Lab {
        let setup = Setup::new(1)
            .with("script", &place(&SCRIPT_NAMES, script))
            .with("level", &place(&LEVEL_NAMES, level));
        let mut lab = Lab::new(&setup);
        for turn in turns.chars() {
            lab.act(usize::from(turn == 'B'), 0);
        }
        lab
    }

    #[test]
    fn playing_reaches_no_goal_with_the_first_settings_whatever_the_seed() {
        for seed in 0..200 {
            let mut lab = Lab::new(&Setup::new(seed));
            while lab.step() {}
            assert_eq!(lab.reached(), [false; 4], "seed {seed}");
            assert!(lab.verdict().is_some());
        }
    }

    #[test]
    fn an_update_is_lost_at_committed_if_both_read_before_the_first_commit() {
        let lost = |level, turns| dealt("lost update", level, turns).reached()[0];
        assert!(lost("committed", "ABABAABB"));
        assert!(!lost("committed", "AAAABBBB"), "one after the other");
        assert!(!lost("snapshot", "ABABAABB"), "refused");
    }

    #[test]
    fn what_is_rolled_back_is_read_only_at_uncommitted() {
        for (level, _) in LEVEL_NAMES.iter().zip(0..) {
            let reached = dealt("dirty read", level, "AABBBA").reached()[1];
            assert_eq!(reached, *level == "uncommitted", "{level}");
        }
    }

    #[test]
    fn a_snapshot_lets_write_skew_through_and_serializable_refuses_the_commit() {
        for (script, turns) in [
            ("write skew", "ABABABAB"),
            ("write skew, inserts", "ABABABAB"),
        ] {
            assert_eq!(
                dealt(script, "snapshot", turns).reached(),
                [false, false, true, false]
            );
            assert_eq!(
                dealt(script, "serializable", turns).reached(),
                [false, false, false, true]
            );
        }
    }

    #[test]
    fn turns_dealt_as_in_the_script_give_the_programs_table() {
        for script in &SCRIPTS {
            for (level, name) in LEVELS {
                let turns = script
                    .steps
                    .iter()
                    .map(|(who, _)| if *who == Session::A { 'A' } else { 'B' });
                let lab = dealt(script.name, name, &turns.collect::<String>());
                let printed = judge(&super::super::run_at(level, script.name));
                assert_eq!(lab.verdict(), Some(printed), "{} {name}", script.name);
            }
        }
    }

    #[test]
    fn what_stands_in_a_box_has_room_there() {
        for script in SCRIPTS {
            for (level, _) in LEVELS {
                for (_, step, outcome) in super::super::run_at(level, script.name).history {
                    let label = said_with(step, &outcome).1;
                    assert!(label.chars().count() <= 26, "{label}");
                }
            }
        }
    }

    #[test]
    fn the_words_name_both_next_statements_and_the_table() {
        let lab = dealt("lost update", "committed", "ABABAA");
        let mut scene = Scene::default();
        lab.draw(&mut scene);
        let words =
            "A: COMMIT. Next of B: UPDATE row 1 to read + 7. A new transaction reads: (1,15). \
                     Not all statements have run yet.";
        assert_eq!(scene.words(), words);
    }
}
