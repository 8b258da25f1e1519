//! Renaming a column while two releases serve: at once, or in steps.
//!
//! Look at `back to`, the roll-back: in the naive way it makes matters worse. In the
//! steps of expand and contract it works until the last one, which waits until
//! nobody wants to go back.
//!
//! Simplified: the table is small. On a large one the filling-in is done in parts,
//! since it would keep others from writing. SQLite, in memory.

use rusqlite::{Connection, Result};

// ANCHOR: releases
#[derive(Clone, Copy, Debug, PartialEq)]
struct Release {
    name: &'static str,
    write: &'static str,
    read: &'static str,
}

const OLD: Release = Release {
    name: "old",
    write: "INSERT INTO users(name) VALUES (?1)",
    read: "SELECT count(name) FROM users",
};
const WRITES_BOTH: Release = Release {
    name: "writes both",
    write: "INSERT INTO users(name, full_name) VALUES (?1, ?1)",
    read: "SELECT count(name) FROM users",
};
const READS_NEW: Release = Release {
    name: "reads new",
    write: "INSERT INTO users(name, full_name) VALUES (?1, ?1)",
    read: "SELECT count(full_name) FROM users",
};
const NEW: Release = Release {
    name: "new",
    write: "INSERT INTO users(full_name) VALUES (?1)",
    read: "SELECT count(full_name) FROM users",
};

struct Step {
    migrate: &'static str, // first
    serve: &'static [Release],
    back_to: Release, // if what serves now turns out to be bad
}
// ANCHOR_END: releases

const START: &str = "CREATE TABLE users(name TEXT) STRICT;
    INSERT INTO users VALUES ('Ada'), ('Bob')";

const AT_ONCE: &[Step] = &[
    Step {
        migrate: "",
        serve: &[OLD],
        back_to: OLD,
    },
    Step {
        migrate: "ALTER TABLE users RENAME COLUMN name TO full_name",
        serve: &[OLD, NEW],
        back_to: OLD,
    },
];

// ANCHOR: steps
const IN_STEPS: &[Step] = &[
    Step {
        migrate: "",
        serve: &[OLD],
        back_to: OLD,
    },
    Step {
        migrate: "ALTER TABLE users ADD COLUMN full_name TEXT", // expand
        serve: &[OLD, WRITES_BOTH],
        back_to: OLD,
    },
    Step {
        migrate: "UPDATE users SET full_name = name WHERE full_name IS NULL",
        serve: &[WRITES_BOTH, READS_NEW],
        back_to: WRITES_BOTH,
    },
    Step {
        migrate: "",
        serve: &[READS_NEW, NEW],
        back_to: READS_NEW,
    },
    Step {
        migrate: "ALTER TABLE users DROP COLUMN name", // contract
        serve: &[NEW],
        back_to: READS_NEW,
    },
];
// ANCHOR_END: steps

// ANCHOR: serve
/// Each release writes a user, then each has to see all of them.
fn serve(db: &Connection, releases: &[Release]) -> std::result::Result<(), String> {
    let told = |release: &Release, error: rusqlite::Error| {
        let error = error.to_string();
        let error = error.split(" in ").next().unwrap_or_default();
        format!("{}: {}", release.name, error.replace("table users ", ""))
    };
    for release in releases {
        let written = db.execute(release.write, ["Eve"]);
        written.map_err(|error| told(release, error))?;
    }
    let all: Result<i64> =
        db.query_row("SELECT count(*) FROM users", [], |r| r.get(0));
    let all = all.map_err(|error| error.to_string())?;
    for release in releases {
        let seen: Result<i64> = db.query_row(release.read, [], |row| row.get(0));
        let seen = seen.map_err(|error| told(release, error))?;
        if seen != all {
            return Err(format!("{}: sees {seen} of {all} users", release.name));
        }
    }
    Ok(())
}
// ANCHOR_END: serve

type Outcome = std::result::Result<(), String>;

/// For each step: do the releases work side by side, and does going back?
fn carry_out(steps: &[Step]) -> Result<Vec<(Outcome, Outcome)>> {
    let db = Connection::open_in_memory()?;
    db.execute_batch(START)?;
    let mut outcomes = vec![];
    for step in steps {
        db.execute_batch(step.migrate)?;
        let side_by_side = serve(&db, step.serve);
        db.execute_batch("BEGIN")?;
        let back = serve(&db, &[step.back_to]);
        db.execute_batch("ROLLBACK")?; // of the trial
        outcomes.push((side_by_side, back));
    }
    Ok(outcomes)
}

fn main() -> Result<()> {
    for (title, steps) in [("at once", AT_ONCE), ("expand and contract", IN_STEPS)] {
        println!("{title}");
        for (step, (side, back)) in steps.iter().zip(carry_out(steps)?) {
            let migrate = [step.migrate, "the table as it is"]
                [usize::from(step.migrate.is_empty())];
            println!("  {migrate}");
            let names: Vec<_> = step.serve.iter().map(|r| r.name).collect();
            let said =
                |outcome: Outcome| outcome.map_or_else(|e| e, |()| "works".into());
            println!("    {:<24} {}", names.join(" + "), said(side));
            let back_to = format!("back to {}", step.back_to.name);
            println!("    {back_to:<24} {}", said(back));
        }
        println!();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rename_at_once_breaks_the_old_release_and_the_roll_back() {
        let outcomes = carry_out(AT_ONCE).expect("SQLite");
        assert_eq!(outcomes[0], (Ok(()), Ok(())));
        let error = Err("old: has no column named name".to_string());
        assert_eq!(outcomes[1], (error.clone(), error));
    }

    #[test]
    fn in_steps_neighbours_work_side_by_side_and_only_the_last_cannot_go_back() {
        let outcomes = carry_out(IN_STEPS).expect("SQLite");
        assert!(outcomes
            .iter()
            .all(|(side_by_side, _)| side_by_side.is_ok()));
        let back: Vec<bool> =
            outcomes.iter().map(|(_, back)| back.is_ok()).collect();
        assert_eq!(back, [true, true, true, true, false]);
    }

    #[test]
    fn filling_in_while_the_old_release_still_writes_leaves_rows_that_are_not_seen()
    {
        let fill = "UPDATE users SET full_name = name WHERE full_name IS NULL";
        let early = [
            Step {
                migrate: "ALTER TABLE users ADD COLUMN full_name TEXT",
                serve: &[],
                back_to: OLD,
            },
            Step {
                migrate: fill,
                serve: &[OLD, WRITES_BOTH],
                back_to: OLD,
            },
            Step {
                migrate: "",
                serve: &[READS_NEW],
                back_to: WRITES_BOTH,
            },
        ];
        let outcomes = carry_out(&early).expect("SQLite");
        let error = "reads new: sees 4 of 5 users".to_string();
        assert_eq!(outcomes[2].0, Err(error));
    }

    #[test]
    fn two_releases_back_is_too_far() {
        let mut steps: Vec<Step> = vec![];
        for step in &IN_STEPS[..4] {
            steps.push(Step { ..*step });
        }
        steps[3].back_to = WRITES_BOTH; // it reads what NEW no longer writes
        let outcomes = carry_out(&steps).expect("SQLite");
        assert!(outcomes[3].0.is_ok() && outcomes[3].1.is_err());
    }
}
