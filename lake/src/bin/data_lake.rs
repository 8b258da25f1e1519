//! One question to a week of events on object storage, asked by DataFusion in ten
//! ways; and a day on which a column has another name.
//!
//! Look at the bytes. Columns and folders each save something, both together save
//! more, and min/max on sorted rows most. Then look at the last line of the first
//! table: the same query with the settings as shipped. In the second table look at
//! the day after the rename: no error, unless somebody had said that there must be a
//! value.
//!
//! Simplified: server, client and engine are in one process, files and row groups are
//! small, and nothing is compressed.

use anyhow::{Result, ensure};
use datafusion::DATAFUSION_VERSION;
use datafusion::prelude::SessionContext;
use lake::events::{COLUMNS, DAY, Lake, NOON, SALES, Settings, number};
use std::process::ExitCode;

/// Ways to read what the question needs: table, query, settings.
fn ways() -> [(&'static str, &'static str, String, Settings); 10] {
    use Settings::{Shipped, Sparing};
    let folder = format!("SELECT at, cents FROM events WHERE {DAY}");
    let min_max = format!("{folder} AND {NOON}");
    [
        ("JSON", "json", "SELECT * FROM json".into(), Sparing),
        (
            "  the day's folder",
            "json",
            format!("SELECT * FROM json WHERE {DAY}"),
            Sparing,
        ),
        ("Parquet", "events", "SELECT * FROM events".into(), Sparing),
        ("  two columns", "events", "SELECT at, cents FROM events".into(), Sparing),
        (
            "  the day's folder",
            "events",
            format!("SELECT * FROM events WHERE {DAY}"),
            Sparing,
        ),
        ("  both", "events", folder, Sparing),
        ("  both, min/max", "events", min_max.clone(), Sparing),
        (
            "  both, min/max, rows shuffled",
            "shuffled",
            min_max.replace("events", "shuffled"),
            Sparing,
        ),
        (
            "  min/max, the day not named",
            "events",
            format!("SELECT at, cents FROM events WHERE {NOON}"),
            Sparing,
        ),
        ("  both, min/max, as shipped", "events", min_max, Shipped),
    ]
}

async fn pruning(lake: &Lake) -> Result<()> {
    println!("cents spent on 5 January from 12:00 to 13:00, out of 7 days\n");
    println!("{:<32}{:>8}{:>12}{:>10}", "read", "requests", "bytes", "answer");
    let mut answers = Vec::new();
    for (label, table, sql, settings) in ways() {
        let (answer, bill) = lake.ask(table, &sql, settings).await?;
        println!("{label:<32}{:>8}{:>12}{answer:>10}", bill.requests, bill.bytes);
        answers.push(answer);
    }
    answers.dedup();
    ensure!(answers.len() == 1, "the answers differ: {answers:?}");
    Ok(())
}

/// Cents of 7 January, of 8 January, of both; rows without.
async fn sums(session: &SessionContext, table: &str) -> Result<[Option<i64>; 4]> {
    let days = "day >= '2026-01-07'";
    let ask = async |what: &str, days: &str| {
        number(session, &format!("SELECT {what} FROM {table} WHERE {days}")).await
    };
    Ok([
        ask("sum(cents)", "day = '2026-01-07'").await?,
        ask("sum(cents)", "day = '2026-01-08'").await?,
        ask("sum(cents)", days).await?,
        ask("count(*) - count(cents)", days).await?,
    ])
}

fn print_sums(label: &str, sums: [Option<i64>; 4]) {
    let [a, b, both, without] =
        sums.map(|sum| sum.map_or("NULL".to_owned(), |sum| sum.to_string()));
    println!("{label:<24}{a:>11}{b:>11}{both:>11}{without:>15}");
}

async fn renaming(lake: &Lake) -> Result<()> {
    lake.next_release().await?;
    println!("\n8 January: cents is called amount_cents, and there is a new gift\n");
    println!(
        "{:<24}{:>11}{:>11}{:>11}{:>15}",
        "sum(cents)", "7 January", "8 January", "both", "rows without"
    );
    let declared = lake.session(Settings::Sparing)?;
    lake.declare(&declared, "events", Some(COLUMNS)).await?;
    print_sums("columns as declared", sums(&declared, "events").await?);
    let inferred = lake.session(Settings::Sparing)?;
    lake.declare(&inferred, "events", None).await?;
    print_sums("columns as found", sums(&inferred, "events").await?);
    let both = lake.session(Settings::Sparing)?;
    for statement in SALES.split_inclusive(';').filter(|part| part.contains(';')) {
        both.sql(statement).await?;
    }
    print_sums("view of both names", sums(&both, "sales").await?);
    let strict = lake.session(Settings::Sparing)?;
    let columns = COLUMNS.replace("cents BIGINT", "cents BIGINT NOT NULL");
    lake.declare(&strict, "events", Some(&columns)).await?;
    match sums(&strict, "events").await {
        Ok(sums) => print_sums("cents NOT NULL", sums),
        Err(error) => {
            let reason = error.root_cause().to_string();
            let reason = reason.strip_prefix("Execution error: ").unwrap_or(&reason);
            println!("cents NOT NULL: refused\n  {reason}");
        }
    }
    Ok(())
}

async fn run() -> Result<()> {
    println!("{}\n", measured_on()?);
    let lake = Lake::fill().await?;
    pruning(&lake).await?;
    renaming(&lake).await
}

fn measured_on() -> Result<String> {
    recorded::measured_on(&[("datafusion", DATAFUSION_VERSION)])
}

fn main() -> ExitCode {
    lake::exit_code(lake::block_on(run()))
}
