//! Phones send one JSON line a sale. The app renames a field, then turns it
//! into a string, and each release reaches a tenth more of the phones a day.
//!
//! Look at `naive`: sales fade a little every day, and nobody sees an error.
//! Then at the reports: the same lines, but what does not fit is counted, and
//! next to the missing field stands the unknown one. Each report mends the
//! schema for the next reader. The last column is the same check, made before
//! a line is stored: it speaks up on the first morning.
//!
//! Simplified: one process, amounts are whole cents, values are integers.
//! Iceberg keeps field ids in its files. JSON has only names, so here the
//! schema maps every name that a field ever had to its id.

use fastrand::Rng;
use serde_json::Value;
use std::collections::BTreeMap;

const DAYS: u64 = 8;
const SALES_PER_DAY: u64 = 1_000;
const CUT_OFF_EVERY: u64 = 500; // lines: a phone dies while it sends

/// Cents, and the line that the phone's release makes of them.
fn sale(day: u64, rng: &mut Rng) -> (u64, String) {
    let (user, cents, phone) =
        (rng.u64(..1_000), rng.u64(500..1_500), rng.u64(..10));
    let renamed = phone < day.saturating_sub(2); // from day 3
    let text = phone < day.saturating_sub(5); // from day 6, with a new field
    let line = match (renamed, text) {
        (_, true) => {
            format!(r#"{{"user":{user},"amount_cents":"{cents}","gift":true}}"#)
        }
        (true, _) => format!(r#"{{"user":{user},"amount_cents":{cents}}}"#),
        _ => format!(r#"{{"user":{user},"amount":{cents}}}"#),
    };
    (cents, line)
}

/// What was earned on a day, and the lines that arrived.
fn day(day: u64) -> (u64, Vec<String>) {
    let (mut earned, mut lines, mut rng) = (0, Vec::new(), Rng::with_seed(day));
    for i in 1..=SALES_PER_DAY {
        let (cents, mut line) = sale(day, &mut rng);
        if i.is_multiple_of(CUT_OFF_EVERY) {
            line.truncate(line.len() / 2);
        }
        earned += cents;
        lines.push(line);
    }
    (earned, lines)
}

// ANCHOR: naive
/// Takes the field that it knows. No such field, no number: then zero.
fn naive(lines: &[String]) -> u64 {
    let amount = |line: &String| {
        let row: Value = serde_json::from_str(line).unwrap_or_default();
        row["amount"].as_u64().unwrap_or(0)
    };
    lines.iter().map(amount).sum()
}
// ANCHOR_END: naive

// ANCHOR: schema
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Field {
    User = 1, // the id of a field never changes, whatever its name does
    Amount = 2,
    Gift = 3,
}

struct Column {
    field: Field,
    names: &'static [&'static str], // every name that it ever had
    parse: fn(&Value) -> Option<u64>, // every type that we accept
    default: Option<u64>,           // for rows older than the field
}

fn number_or_digits(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn flag(value: &Value) -> Option<u64> {
    value.as_bool().map(u64::from)
}
// ANCHOR_END: schema

// ANCHOR: versions
const fn column(
    field: Field,
    names: &'static [&'static str],
    parse: fn(&Value) -> Option<u64>,
) -> Column {
    let default = None;
    Column {
        field,
        names,
        parse,
        default,
    }
}

const USER: Column = column(Field::User, &["user"], Value::as_u64);
const FIRST: &[Column] = &[USER, column(Field::Amount, &["amount"], Value::as_u64)];
const BOTH: &[&str] = &["amount", "amount_cents"];
const SECOND: &[Column] = &[USER, column(Field::Amount, BOTH, Value::as_u64)];
const THIRD: &[Column] = &[
    USER,
    column(Field::Amount, BOTH, number_or_digits),
    Column {
        default: Some(0),
        ..column(Field::Gift, &["gift"], flag)
    },
];
// ANCHOR_END: versions

// ANCHOR: read
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    NotJson,
    Missing(Field),
    WrongType(Field),
}

type Row = BTreeMap<Field, u64>;

/// The row, or why not; and the names that the schema does not have.
fn read(schema: &[Column], line: &str) -> (Result<Row, Reason>, Vec<String>) {
    let Ok(Value::Object(mut found)) = serde_json::from_str(line) else {
        return (Err(Reason::NotJson), Vec::new());
    };
    let cell = |c: &Column| {
        let value = c.names.iter().find_map(|name| found.remove(*name));
        let number = match value {
            None => c.default.ok_or(Reason::Missing(c.field)),
            Some(v) => (c.parse)(&v).ok_or(Reason::WrongType(c.field)),
        };
        Ok((c.field, number?))
    };
    let cells: Vec<_> = schema.iter().map(cell).collect();
    let row = cells.into_iter().collect();
    (row, found.into_iter().map(|(name, _)| name).collect())
}
// ANCHOR_END: read

// ANCHOR: report
/// Every line is read or refused: nothing is dropped without a count.
#[derive(Default)]
struct Report {
    read: usize,
    refused: BTreeMap<Reason, usize>,
    unknown: BTreeMap<String, usize>,
}

fn sum(schema: &[Column], lines: &[String], report: &mut Report) -> u64 {
    let mut cents = 0;
    for line in lines {
        let (row, unknown) = read(schema, line);
        match row {
            Ok(row) => {
                report.read += 1;
                cents += row[&Field::Amount];
            }
            Err(reason) => *report.refused.entry(reason).or_default() += 1,
        }
        for name in unknown {
            *report.unknown.entry(name).or_default() += 1;
        }
    }
    cents
}
// ANCHOR_END: report

// ANCHOR: door
/// Schema on write: what does not fit, and what nobody has declared, stays out.
fn may_enter(schema: &[Column], line: &str) -> bool {
    let (row, unknown) = read(schema, line);
    row.is_ok() && unknown.is_empty()
}
// ANCHOR_END: door

fn main() {
    let schemas = [("1st", FIRST), ("2nd", SECOND), ("3rd", THIRD)];
    let mut reports: [Report; 3] = Default::default();
    println!("sales in euros                              schema     1st schema");
    println!("day   earned    naive      1st    2nd    3rd     refuses");
    for d in 1..=DAYS {
        let (earned, lines) = day(d);
        print!("{d:>3} {:>8} {:>8}  ", earned / 100, naive(&lines) / 100);
        for ((_, schema), report) in schemas.iter().zip(&mut reports) {
            print!(" {:>6}", sum(schema, &lines, report) / 100);
        }
        let refused = lines.iter().filter(|line| !may_enter(FIRST, line));
        println!("{:>12}", refused.count());
    }
    for ((name, _), report) in schemas.iter().zip(&reports) {
        println!("\n{name} schema, {} lines read", report.read);
        for (reason, lines) in &report.refused {
            println!("  refused {lines:>5}   {reason:?}");
        }
        for (name, lines) in &report.unknown {
            println!("  unknown {lines:>5}   {name}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rename_makes_the_naive_sum_fade_day_by_day() {
        let share = |d| {
            let (earned, lines) = day(d);
            naive(&lines) as f64 / earned as f64
        };
        for d in 3..=DAYS {
            assert!(share(d) < share(d - 1) - 0.05, "day {d}");
        }
        assert!(share(DAYS) < 0.4);
    }

    #[test]
    fn every_line_is_read_or_refused_with_a_reason() {
        for schema in [FIRST, SECOND, THIRD] {
            for d in 1..=DAYS {
                let (mut report, lines) = (Report::default(), day(d).1);
                sum(schema, &lines, &mut report);
                let refused: usize = report.refused.values().sum();
                assert_eq!(report.read + refused, lines.len());
            }
        }
    }

    #[test]
    fn the_strict_reader_has_the_naive_sum_and_a_report_of_the_rename() {
        let lines: Vec<String> = (1..=DAYS).flat_map(|d| day(d).1).collect();
        let mut report = Report::default();
        assert_eq!(sum(FIRST, &lines, &mut report), naive(&lines));
        let missing = report.refused[&Reason::Missing(Field::Amount)];
        assert_eq!(missing, 2_103);
        assert_eq!(report.unknown["amount_cents"], missing);
    }

    #[test]
    fn the_mended_schema_misses_only_the_lines_that_were_cut_off() {
        for d in 1..=DAYS {
            let ((earned, lines), mut rng) = (day(d), Rng::with_seed(d));
            let sales: Vec<u64> =
                lines.iter().map(|_| sale(d, &mut rng).0).collect();
            let cut_off = |i: &usize| i.is_multiple_of(CUT_OFF_EVERY as usize);
            let lost = (1..=lines.len()).filter(cut_off).map(|i| sales[i - 1]);
            let lost: u64 = lost.sum();
            let mut report = Report::default();
            assert_eq!(sum(THIRD, &lines, &mut report) + lost, earned);
            assert_eq!(report.refused, BTreeMap::from([(Reason::NotJson, 2)]));
        }
    }

    #[test]
    fn the_door_refuses_the_new_release_and_lets_the_old_one_in() {
        for line in (1..=DAYS).flat_map(|d| day(d).1) {
            let old = line.contains(r#""amount":"#) && line.ends_with('}');
            assert_eq!(may_enter(FIRST, &line), old, "{line}");
        }
    }

    #[test]
    fn the_door_refuses_a_name_that_nobody_has_declared() {
        let line = r#"{"user":1,"amount":700,"currency":"SEK"}"#;
        assert!(read(FIRST, line).0.is_ok() && !may_enter(FIRST, line));
    }

    #[test]
    fn rows_older_than_a_field_get_its_default() {
        let (row, _) = read(THIRD, r#"{"user":1,"amount":700}"#);
        assert_eq!(row.map(|row| row[&Field::Gift]), Ok(0));
    }
}
