//! Three failures that a small, quiet copy of production does not have.
//!
//! First a query, in steps of SQLite's own machine: cheap on staging's few hundred
//! rows with an index and without. Then requests that need a second connection of a
//! pool while they hold one: all is well until as many arrive at once as it has.
//! Then a value that one row in ten thousand has: how likely staging has it at all.
//!
//! Simplified: steps are no time, and the last column of the first table is not
//! run but continued from the counts before it. Requests take turns step by step.

use rusqlite::{Connection, Result, StatementStatus};

// ANCHOR: query
/// Which purchases are their customer's first? The index is what staging's copy has
/// no need of.
const FIRSTS: &str = "SELECT count(*) FROM purchase p WHERE NOT EXISTS
    (SELECT 1 FROM purchase q WHERE q.customer = p.customer AND q.day < p.day)";
const INDEX: &str = "CREATE INDEX by_customer ON purchase (customer, day)";

fn steps(rows: u32, index: bool) -> Result<i64> {
    let db = Connection::open_in_memory()?;
    db.execute_batch("CREATE TABLE purchase (customer INTEGER, day INTEGER)")?;
    let insert = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n
        WHERE i < ?1) INSERT INTO purchase SELECT i * 7919 % ?1, i FROM n";
    db.execute(insert, [rows])?;
    if index {
        db.execute_batch(INDEX)?;
    }
    let mut statement = db.prepare(FIRSTS)?;
    let _firsts: i64 = statement.query_row([], |row| row.get(0))?;
    Ok(i64::from(statement.get_status(StatementStatus::VmStep)))
}
// ANCHOR_END: query

// ANCHOR: pool
/// Each request takes a connection, and a second one before it gives back the
/// first. Returns how many are answered; the others wait for each other for ever.
fn answered(pool: usize, requests: usize) -> usize {
    let mut free = pool;
    let mut held = vec![0; requests];
    let mut done = 0;
    loop {
        let mut progress = false;
        for holds in &mut held {
            match *holds {
                0 | 1 if free > 0 => {
                    free -= 1;
                    *holds += 1;
                    progress = true;
                }
                2 => {
                    free += 2;
                    *holds = 3; // answered
                    done += 1;
                    progress = true;
                }
                _ => (), // waits, or is done
            }
        }
        if !progress {
            return done;
        }
    }
}
// ANCHOR_END: pool

/// Percent of `copies` in which a sample of `rows` has at least one value that a
/// row has with a chance of 1 in `rare`.
fn has_it_percent(rows: u32, rare: u32, copies: u32) -> f64 {
    let mut rng = fastrand::Rng::with_seed(u64::from(rows));
    let found = (0..copies).filter(|_| (0..rows).any(|_| rng.u32(..rare) == 0));
    100.0 * found.count() as f64 / f64::from(copies)
}

const ROWS: [u32; 3] = [50, 200, 800];
const PRODUCTION_ROWS: f64 = 1e6;

fn main() -> Result<()> {
    let [few, more, most] = ROWS;
    println!(
        "rows               {few:>8} {more:>9} {most:>9} {:>16}",
        1_000_000
    );
    for (name, index) in [("without index", false), ("with index", true)] {
        let steps = [steps(few, index)?, steps(more, index)?, steps(most, index)?];
        // How much it grew when the rows grew fourfold: 4 is linear, 16 quadratic.
        let growth = steps[2] as f64 / steps[1] as f64;
        let power = growth.ln() / 4_f64.ln();
        let fold = PRODUCTION_ROWS / f64::from(ROWS[2]);
        let there = steps[2] as f64 * fold.powf(power);
        print!("steps, {name:<13}");
        steps
            .iter()
            .zip([7, 9, 9])
            .for_each(|(n, width)| print!(" {n:>width$}"));
        println!(" {:>16}", format!("about 10^{:.0}", there.log10()));
    }
    println!("\npool of 10        {:>9} {:>9} {:>9} {:>9}", 1, 5, 9, 10);
    let [a, b, c, d] = [1, 5, 9, 10].map(|requests| answered(10, requests));
    println!("answered          {a:>9} {b:>9} {c:>9} {d:>9}");
    println!("\nrows in staging   {:>9} {:>9} {:>9}", 100, 1_000, 10_000);
    print!("has 1 in 10,000  ");
    for rows in [100, 1_000, 10_000] {
        let percent = format!("{:.0} %", has_it_percent(rows, 10_000, 300));
        print!(" {percent:>9}");
    }
    println!();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fourfold_rows_cost_sixteen_times_without_the_index_and_about_four_with() {
        let growth = |index| {
            let [few, many] = [200, 800].map(|n| steps(n, index).expect("steps"));
            many as f64 / few as f64
        };
        assert!((15.0..17.0).contains(&growth(false)), "{}", growth(false));
        assert!((3.9..4.5).contains(&growth(true)), "{}", growth(true));
    }

    #[test]
    fn nine_requests_on_ten_connections_are_all_answered_and_of_ten_none_is() {
        assert!((1..10).all(|requests| answered(10, requests) == requests));
        assert!((10..40).all(|requests| answered(10, requests) == 0));
    }

    #[test]
    fn a_sample_misses_a_rare_value_as_often_as_probability_says() {
        for (rows, expected) in [(100, 1.0), (1_000, 9.5), (10_000, 63.2)] {
            let found = has_it_percent(rows, 10_000, 300);
            assert!((found - expected).abs() < 5.0, "{rows}: {found}");
        }
    }
}
