//! Which anomaly happens at which isolation level: found by running them.
//!
//! Look first down each column: every level takes away what the one to its left
//! let happen, and the last pays for it with a refusal that was not needed. Then
//! read the two transcripts: the same steps, told apart by one check at commit.
//!
//! The interleavings and their judge are in `scripts.rs`, the engine with its
//! simplifications in `mvcc.rs`. Here the two are joined.

mod mvcc;
mod scripts;

use mvcc::{Engine, Level, Refused, TxId};
use scripts::{judge, run, table, transcript};
use scripts::{Database, Outcome, Refusal, Session, Step, SCRIPTS};
use std::collections::BTreeMap;
use std::convert::Infallible;

const LEVELS: [(Level, &str); 4] = [
    (Level::ReadUncommitted, "uncommitted"),
    (Level::ReadCommitted, "committed"),
    (Level::Snapshot, "snapshot"),
    (Level::Serializable, "serializable"),
];

struct Sessions {
    level: Level,
    engine: Engine,
    open: BTreeMap<Session, TxId>,
}

impl Sessions {
    fn new(level: Level) -> Sessions {
        let (engine, open) = (Engine::new(level, &[]), BTreeMap::new());
        Sessions {
            level,
            engine,
            open,
        }
    }
}

impl Database for Sessions {
    type Error = Infallible;

    fn reset(&mut self, rows: &[(i64, i64)]) -> Result<(), Infallible> {
        *self = Sessions::new(self.level);
        self.engine = Engine::new(self.level, rows);
        Ok(())
    }

    fn step(&mut self, who: Session, step: Step) -> Result<Outcome, Infallible> {
        let engine = &mut self.engine;
        let tx = *self.open.entry(who).or_insert_with(|| engine.begin());
        let done = match step {
            Step::Read(id) => return Ok(Outcome::Value(engine.read(tx, id))),
            Step::ReadAtLeast(min) => {
                return Ok(Outcome::Rows(engine.read_at_least(tx, min)))
            }
            Step::Write(id, value) => engine.write(tx, id, value),
            Step::WriteReadPlus(..) => unreachable!("it arrives as a Write"),
            Step::Insert(id, value) => engine.insert(tx, id, value),
            Step::Begin => Ok(()),
            Step::Commit => engine.commit(tx),
            Step::Rollback => {
                engine.rollback(tx);
                Ok(())
            }
        };
        Ok(match done {
            Ok(()) => Outcome::Done,
            Err(Refused::Conflict) => Outcome::Refused(Refusal::Conflict),
            Err(Refused::WouldWait) => Outcome::Refused(Refusal::WouldWait),
        })
    }

    fn rows(&mut self) -> Result<Vec<(i64, i64)>, Infallible> {
        let reader = self.engine.begin();
        Ok(self.engine.read_at_least(reader, i64::MIN))
    }
}

fn run_at(level: Level, name: &str) -> scripts::Run {
    let script = SCRIPTS.iter().find(|script| script.name == name);
    let script = script.expect("a script of that name");
    let Ok(run) = run(&mut Sessions::new(level), script.rows, script.steps);
    run
}

fn main() {
    let verdicts: Vec<Vec<scripts::Verdict>> = SCRIPTS
        .iter()
        .map(|s| {
            LEVELS
                .map(|(level, _)| judge(&run_at(level, s.name)))
                .to_vec()
        })
        .collect();
    println!("{}", table(&LEVELS.map(|(_, name)| name), &verdicts));
    for (level, name) in &LEVELS[2..] {
        let run = run_at(*level, "write skew");
        println!("\nwrite skew, {name}, at the end {:?}", run.after);
        println!("{}", transcript(&run));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scripts::{Id, Value, Verdict};
    use Level::{ReadCommitted, ReadUncommitted, Serializable, Snapshot};

    type Steps = Vec<(Session, Step)>;

    fn verdict(
        level: Level,
        rows: &[(Id, Value)],
        steps: &[(Session, Step)],
    ) -> Verdict {
        let Ok(run) = run(&mut Sessions::new(level), rows, steps);
        judge(&run)
    }

    /// Every order in which the two sessions' steps can meet.
    fn interleavings(a: &[(Session, Step)], b: &[(Session, Step)]) -> Vec<Steps> {
        let (Some(first_a), Some(first_b)) = (a.first(), b.first()) else {
            return vec![[a, b].concat()];
        };
        let head = |first: &(Session, Step), rest: Vec<Steps>| {
            let with = |steps: Steps| [vec![*first], steps].concat();
            rest.into_iter().map(with).collect::<Vec<_>>()
        };
        let mut all = head(first_a, interleavings(&a[1..], b));
        all.extend(head(first_b, interleavings(a, &b[1..])));
        all
    }

    /// The scripts that show an anomaly in at least one interleaving.
    fn happening_at(level: Level) -> Vec<&'static str> {
        let happens = |script: &&scripts::Script| {
            let of = |who| script.steps.iter().filter(move |s| s.0 == who).copied();
            let (a, b): (Steps, Steps) =
                (of(Session::A).collect(), of(Session::B).collect());
            let mut all = interleavings(&a, &b).into_iter();
            all.any(|steps| verdict(level, script.rows, &steps) == Verdict::Happens)
        };
        SCRIPTS.iter().filter(happens).map(|s| s.name).collect()
    }

    #[test]
    fn read_committed_stops_dirty_reads_and_writes_in_every_interleaving() {
        let all = happening_at(ReadUncommitted);
        assert!(all.contains(&"dirty read") && !all.contains(&"dirty write"));
        let left = happening_at(ReadCommitted);
        assert!(!left.contains(&"dirty read") && !left.contains(&"dirty write"));
        assert!(left.contains(&"lost update") && left.contains(&"phantom"));
    }

    #[test]
    fn a_snapshot_leaves_write_skew_and_nothing_else() {
        let left = ["write skew", "write skew, inserts"];
        assert_eq!(happening_at(Snapshot), left);
    }

    #[test]
    fn serializable_stops_everything_in_every_interleaving() {
        assert!(happening_at(Serializable).is_empty());
    }

    /// No level lets one happen, so the judge is given what it would look like.
    #[test]
    fn a_dirty_write_is_told_by_the_final_table() {
        let script = &SCRIPTS[0];
        let done = |&(who, step): &(Session, Step)| (who, step, Outcome::Done);
        let judged = |after: [(Id, Value); 2]| {
            judge(&scripts::Run {
                before: script.rows.to_vec(),
                history: script.steps.iter().map(done).collect(),
                after: after.to_vec(),
            })
        };
        assert_eq!(judged([(1, 12), (2, 11)]), Verdict::Happens);
        assert_eq!(judged([(1, 11), (2, 11)]), Verdict::Fine);
    }

    /// Two sessions of three random steps each, in a random order.
    fn random_script(rng: &mut fastrand::Rng) -> Steps {
        let mut todo = [Session::A, Session::B].map(|who| {
            let mut steps = vec![Step::Commit];
            for _ in 0..3 {
                let (id, value) = (rng.i64(1..4), rng.i64(1..30));
                steps.push(match rng.u8(..5) {
                    0 => Step::Read(id),
                    1 => Step::ReadAtLeast(value),
                    2 => Step::WriteReadPlus(id, value),
                    3 => Step::Insert(id + 2, value),
                    _ => Step::Write(id, value),
                });
            }
            steps.push(Step::Begin);
            steps.into_iter().map(|s| (who, s)).collect::<Steps>()
        });
        let mut steps = Vec::new();
        while todo.iter().any(|t| !t.is_empty()) {
            steps.extend(todo[rng.usize(..2)].pop());
        }
        steps
    }

    #[test]
    fn serializable_explains_thousands_of_random_scripts_and_a_snapshot_does_not() {
        let mut rng = fastrand::Rng::with_seed(1);
        let (mut skewed, mut both_committed) = (0, 0);
        for _ in 0..4_000 {
            let steps = random_script(&mut rng);
            let at = |level| verdict(level, &[(1, 10), (2, 20)], &steps);
            assert_ne!(at(Serializable), Verdict::Happens, "{steps:?}");
            both_committed += usize::from(at(Serializable) == Verdict::Fine);
            skewed += usize::from(at(Snapshot) == Verdict::Happens);
        }
        assert!(skewed > 20, "{skewed}");
        assert!(both_committed > 1_000, "{both_committed}");
    }

    #[test]
    fn a_transaction_that_only_reads_is_never_refused() {
        for name in ["non-repeatable read", "read skew", "phantom"] {
            for level in [Snapshot, Serializable] {
                assert_eq!(judge(&run_at(level, name)), Verdict::Fine, "{name}");
            }
        }
    }

    #[test]
    fn only_serializable_refuses_a_harmless_overlap() {
        let refused = Verdict::Refused(Refusal::Conflict);
        let wanted = [Verdict::Fine, Verdict::Fine, Verdict::Fine, refused];
        let found =
            LEVELS.map(|(level, _)| judge(&run_at(level, "(harmless overlap)")));
        assert_eq!(found, wanted);
    }
}
