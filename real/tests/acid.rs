//! What the chapter says of PostgreSQL's isolation levels.

use anyhow::{Context, Result};
use real::acid::scripts::{Verdict, SCRIPTS};
use real::acid::{verdicts, LEVELS};
use real::postgres::Postgres;
use real::program::skip_if_missing;

#[test]
fn each_level_prevents_what_the_chapter_says_and_no_more() -> Result<()> {
    let Some(server) = skip_if_missing(Postgres::start(&["fsync=off"]))? else {
        return Ok(());
    };
    let verdicts = verdicts(&server)?;
    let happens = |script: &str, level: &str| -> Result<bool> {
        let row = SCRIPTS.iter().position(|s| s.name == script).context("script")?;
        let column = LEVELS.iter().position(|l| *l == level).context("level")?;
        Ok(verdicts[row][column] == Verdict::Happens)
    };
    for level in LEVELS {
        assert!(!happens("dirty write", level)?, "{level}");
        assert!(!happens("dirty read", level)?, "{level}");
        let repeatable = ["repeatable read", "serializable"].contains(&level);
        for script in ["non-repeatable read", "read skew", "phantom", "lost update"]
        {
            assert_eq!(happens(script, level)?, !repeatable, "{script}, {level}");
        }
        assert_eq!(
            happens("write skew", level)?,
            level != "serializable",
            "{level}"
        );
    }
    Ok(())
}
