//! The chapter's transformation as SQL, over raw text in Parquet files: in this
//! process with DataFusion, then the same text on its distributed engine, Ballista.
//!
//! Look at what the engine's own reader of CSV makes of the messy file; at the
//! outcomes, which are those of the book's program; and at the stages: what has to
//! meet is handed on by its hash, to whichever executor has that part.
//!
//! Simplified: the scheduler and both executors run in this process, and all see the
//! same disk. Small data: here a cluster can only be slower.

use anyhow::{Result, ensure};
use ballista_core::BALLISTA_VERSION;
use datafusion::DATAFUSION_VERSION;
use lake::cluster::{Cluster, Stage};
use lake::orders::{self, ORDERS_CSV, Summary};
use std::process::ExitCode;
use std::time::Instant;

/// How many executors the cluster has.
const EXECUTORS: usize = 2;

async fn stock_reader() -> Result<()> {
    println!("orders.csv, by the engine's own reader of CSV:");
    for (label, options) in
        [("as it is", ""), ("short rows", ", 'format.truncated_rows' 'true'")]
    {
        match orders::stock_reader(ORDERS_CSV, options).await? {
            Ok(records) => println!("  {label:<12}{records} records"),
            Err(reason) => println!("  {label:<12}{reason}"),
        }
    }
    Ok(())
}

async fn one_file() -> Result<()> {
    let folder = tempfile::tempdir()?;
    orders::load(folder.path(), &[("orders.csv".into(), ORDERS_CSV.into())]).await?;
    let session = orders::embedded();
    orders::declare(&session, folder.path()).await?;
    println!("\nits lines loaded as they are, then SQL:");
    let sql = "SELECT outcome, count(*), string_agg(CAST(line AS VARCHAR), ' '
               ORDER BY line) FROM transformed GROUP BY outcome ORDER BY outcome";
    for row in orders::rows(&session, sql).await? {
        let mut cells = row.splitn(3, ' ');
        let mut cell = || cells.next().unwrap_or_default();
        println!("  {:<10}{:>3}   lines {}", cell(), cell(), cell());
    }
    let cents = orders::summary(&session).await?.cents;
    println!("  the orders are worth {}.{:02}", cents / 100, cents % 100);
    let (ours, book) = (orders::rejects(&session).await?, orders::book_rejects()?);
    let same = ours.iter().filter(|reject| book.contains(reject)).count();
    println!(
        "  same line and reason as the book's program: {same} of {}",
        book.len()
    );
    Ok(())
}

fn print_summary(label: &str, summary: Summary, took: &str) {
    let Summary { loaded, merged, rejected, cents } = summary;
    let line = format!(
        "{label:<18}{loaded:>8}{merged:>8}{rejected:>10}{cents:>12}{took:>12}"
    );
    println!("{}", line.trim_end());
}

fn print_stage(stage: &Stage) {
    let tasks: Vec<String> = stage.tasks.values().map(usize::to_string).collect();
    let line = format!(
        "{:<8}{:<20}{:>10}   {}",
        stage.number,
        tasks.join(" + "),
        stage.rows,
        stage.divided_by.join(", ")
    );
    println!("{}", line.trim_end());
}

async fn many_files() -> Result<()> {
    let delivery = orders::delivery();
    let folder = tempfile::tempdir()?;
    orders::load(folder.path(), &delivery.files).await?;
    println!("\nthe same SQL, {} files:", delivery.files.len());
    println!(
        "{:<18}{:>8}{:>8}{:>10}{:>12}{:>12}",
        "", "loaded", "merged", "rejected", "cents", "took"
    );
    print_summary("as generated", delivery.summary, "");

    let session = orders::embedded();
    orders::declare(&session, folder.path()).await?;
    let start = Instant::now();
    let embedded = orders::summary(&session).await?;
    let took = format!("{} ms", start.elapsed().as_millis());
    print_summary("in this process", embedded, &took);

    let cluster = Cluster::start(EXECUTORS).await?;
    let session = cluster.session(delivery.files.len()).await?;
    orders::declare(&session, folder.path()).await?;
    let start = Instant::now();
    let distributed = orders::summary(&session).await?;
    let took = format!("{} ms", start.elapsed().as_millis());
    let (major, _) =
        BALLISTA_VERSION.split_once('.').unwrap_or((BALLISTA_VERSION, ""));
    print_summary(&format!("on Ballista {major}"), distributed, &took);
    ensure!(embedded == distributed, "the answers differ");

    let stages = cluster.stages().await?;
    println!(
        "\n{:<8}{:<24}{:>8}   by hash of",
        "stage", "tasks by executor", "rows out"
    );
    stages.iter().for_each(print_stage);
    let fetched = stages.iter().any(|stage| stage.remote_pieces > 0);
    let fetched = if fetched { "yes" } else { "no" };
    println!("pieces of results fetched from the other executor: {fetched}");
    Ok(())
}

async fn run() -> Result<()> {
    println!("{}\n", recorded::measured_on(&[("datafusion", DATAFUSION_VERSION)])?);
    stock_reader().await?;
    one_file().await?;
    many_files().await
}

fn main() -> ExitCode {
    lake::exit_code(lake::block_on(run()))
}
