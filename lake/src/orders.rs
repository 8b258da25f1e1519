//! Orders as text, in files that arrive as they do, and the one SQL text that makes
//! typed orders and rejects of them.
//!
//! Loading first and transforming later (ELT): what is loaded is the line as it
//! stands in the file, its bytes and its number. All rules are in
//! `sql/transforming.sql`.
//!
//! May know of `datafusion`; prints nothing.

use anyhow::{Context, Result, bail};
use datafusion::arrow::array::{
    ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray,
};
use datafusion::prelude::{SessionConfig, SessionContext};
use fastrand::Rng;
use std::path::Path;
use std::sync::Arc;

/// The chapter's own file, byte for byte: 20 records in 25 lines, six of them orders.
pub const ORDERS_CSV: &[u8] = include_bytes!("../../examples/transforming_etl.csv");
/// The transformation: reads the table `raw`, selects a row for each record.
pub const TRANSFORMING: &str = include_str!("../sql/transforming.sql");

/// How many files a larger delivery has.
pub const FILES: usize = 8;
/// How many records each of these files holds.
pub const RECORDS_PER_FILE: usize = 1_000;

/// The printed run of the chapter's own program: its rejects, line by line.
const BOOK: &str = include_str!("../../examples/transforming_etl.out");

/// Line and reason of each reject, as the chapter's own program has them.
///
/// # Errors
/// When its printed run does not look as it did.
pub fn book_rejects() -> Result<Vec<(i64, String)>> {
    let (_, table) =
        BOOK.split_once("line  reason").context("no table of rejects")?;
    let reject = |row: &str| {
        // Two spaces stand between the columns, and nowhere in a reason.
        let mut cells = row.trim_start().splitn(3, "  ");
        let (line, reason) = (cells.next()?, cells.next()?);
        Some((line.parse().ok()?, reason.to_owned()))
    };
    let rows = table.lines().skip(1);
    rows.map(|row| reject(row).with_context(|| format!("no reject: {row}")))
        .collect()
}

/// Line and reason of each reject in `transformed`, in the order of the lines.
///
/// # Errors
/// When the engine cannot answer.
pub async fn rejects(session: &SessionContext) -> Result<Vec<(i64, String)>> {
    let sql = "SELECT line, reason FROM transformed WHERE outcome = 'rejected'
               ORDER BY line";
    let reject = |row: &String| {
        let (line, reason) = row.split_once(' ').context("no reason")?;
        Ok((line.parse()?, reason.to_owned()))
    };
    rows(session, sql).await?.iter().map(reject).collect()
}

/// What the engine's own reader of CSV says of a file: the number of records in it, or
/// why it reads none. `options` are more of its options, in SQL.
///
/// # Errors
/// When the file cannot be written or declared.
pub async fn stock_reader(
    content: &[u8],
    options: &str,
) -> Result<std::result::Result<i64, String>> {
    let folder = tempfile::tempdir().context("make a folder")?;
    let file = folder.path().join("orders.csv");
    std::fs::write(&file, content).context("write the file")?;
    let session = embedded();
    let sql = format!(
        "CREATE EXTERNAL TABLE orders(order_id VARCHAR, date VARCHAR, customer VARCHAR,
           amount VARCHAR, note VARCHAR) STORED AS CSV LOCATION '{}'
         OPTIONS ('format.has_header' 'true'{options})",
        file.display()
    );
    session.sql(&sql).await.context("declare the CSV file")?;
    let counted =
        crate::events::number(&session, "SELECT count(order_id) FROM orders");
    Ok(match counted.await {
        Ok(records) => Ok(records.unwrap_or_default()),
        Err(error) => {
            let cause = error.root_cause().to_string();
            let (_, reason) = cause.rsplit_once("error: ").unwrap_or(("", &cause));
            Err(reason.to_owned())
        }
    })
}

/// What became of all records in `transformed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How many are orders.
    pub loaded: i64,
    /// How many repeat one.
    pub merged: i64,
    /// How many break a rule, or contradict an order.
    pub rejected: i64,
    /// What the orders are worth, in euro cents.
    pub cents: i64,
}

/// Counts them, and adds up.
///
/// # Errors
/// When the engine cannot answer, or there is a fourth outcome.
pub async fn summary(session: &SessionContext) -> Result<Summary> {
    let sql = "SELECT outcome, count(*), coalesce(sum(cents), 0) FROM transformed
               GROUP BY outcome ORDER BY outcome";
    let mut summary = Summary { loaded: 0, merged: 0, rejected: 0, cents: 0 };
    for row in rows(session, sql).await? {
        let cells: Vec<&str> = row.split(' ').collect();
        let [outcome, records, cents] = cells.as_slice() else {
            bail!("odd: {row}")
        };
        let records = records.parse()?;
        match *outcome {
            "loaded" => (summary.loaded, summary.cents) = (records, cents.parse()?),
            "merged" => summary.merged = records,
            "rejected" => summary.rejected = records,
            other => bail!("an outcome is {other}"),
        }
    }
    Ok(summary)
}

/// An engine in this process, on one thread of work.
pub fn embedded() -> SessionContext {
    SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1))
}

/// Writes each file's lines to a Parquet file in `folder`, as they are.
///
/// # Errors
/// When a file cannot be written.
pub async fn load(folder: &Path, files: &[(String, Vec<u8>)]) -> Result<()> {
    for (name, content) in files {
        let session = embedded();
        session.register_batch("lines", lines(name, content)?)?;
        let to = folder.join(name).with_extension("parquet");
        let to = to.to_str().context("a folder that is not UTF-8")?;
        let copy = format!("COPY lines TO '{to}' STORED AS PARQUET");
        let copied = session.sql(&copy).await?.collect().await;
        copied.with_context(|| format!("load {name}"))?;
    }
    Ok(())
}

/// Declares the Parquet files in `folder` as the table `raw`, and the transformation
/// of it as the view `transformed`.
///
/// # Errors
/// When the engine refuses either.
pub async fn declare(session: &SessionContext, folder: &Path) -> Result<()> {
    let folder = folder.to_str().context("a folder that is not UTF-8")?;
    let raw = format!(
        "CREATE EXTERNAL TABLE raw(file VARCHAR, line BIGINT, bytes BYTEA)
         STORED AS PARQUET LOCATION '{folder}/'"
    );
    session.sql(&raw).await.context("declare raw")?;
    let view = format!("CREATE VIEW transformed AS {TRANSFORMING}");
    session.sql(&view).await.context("declare transformed")?;
    Ok(())
}

/// The answer to `sql`, a line a row, its cells separated by one space.
///
/// # Errors
/// When the engine refuses the query or cannot answer it.
pub async fn rows(session: &SessionContext, sql: &str) -> Result<Vec<String>> {
    let batches = session.sql(sql).await?.collect().await?;
    let mut rows = Vec::new();
    for batch in &batches {
        for row in 0..batch.num_rows() {
            let cell = |column: &ArrayRef| {
                datafusion::arrow::util::display::array_value_to_string(column, row)
            };
            let cells =
                batch.columns().iter().map(cell).collect::<Result<Vec<_>, _>>();
            rows.push(cells?.join(" "));
        }
    }
    Ok(rows)
}

/// A file's lines, numbered from one, without their line ends.
fn lines(name: &str, content: &[u8]) -> Result<RecordBatch> {
    let content = content.strip_suffix(b"\n").unwrap_or(content);
    let bytes: Vec<&[u8]> = content.split(|byte| *byte == b'\n').collect();
    let count = i64::try_from(bytes.len()).context("too many lines")?;
    let file = StringArray::from_iter_values(bytes.iter().map(|_| name));
    let line = Int64Array::from_iter_values(1..=count);
    let columns: [(&str, ArrayRef, bool); 3] = [
        ("file", Arc::new(file), true),
        ("line", Arc::new(line), true),
        ("bytes", Arc::new(BinaryArray::from_iter_values(bytes)), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns)
        .context("put the lines together")
}

/// A larger delivery, and what is in it.
pub struct Delivery {
    /// The files: name and content.
    pub files: Vec<(String, Vec<u8>)>,
    /// What must become of its records.
    pub summary: Summary,
}

/// Eight files of a thousand records. Of a hundred, two break a rule and one repeats
/// an order that was sent before, mostly in another file.
pub fn delivery() -> Delivery {
    let mut rng = Rng::with_seed(1);
    let mut sent: Vec<String> = Vec::new();
    let mut summary = Summary { loaded: 0, merged: 0, rejected: 0, cents: 0 };
    let mut files = Vec::new();
    for file in 0..FILES {
        let mut text = String::from("order_id,date,customer,amount,note\n");
        for record in 0..RECORDS_PER_FILE {
            let id = 1 + file * RECORDS_PER_FILE + record;
            let (day, cents) = (rng.u8(1..=28), rng.i64(100..100_000));
            let start = format!("{id},2024-03-{day:02},Customer {}", rng.u16(..500));
            let euros = format!("{}.{:02}", cents / 100, cents % 100);
            let order = match rng.u8(..4) {
                0 => format!("{start},{euros},\n"),
                1 => format!("{start},\"{}\",comma\n", euros.replace('.', ",")),
                2 => format!("{start},€{euros},\n"),
                _ => format!("{start},EUR {euros},\"two\nlines\"\n"),
            };
            let again = sent.get(rng.usize(..sent.len().max(1)));
            match (rng.u8(..100), again) {
                (0, _) => {
                    text += &format!("{start},{euros}0,thousands?\n");
                    summary.rejected += 1;
                }
                (1, _) => {
                    text += &format!("{start},{euros}\n");
                    summary.rejected += 1;
                }
                (2, Some(again)) => {
                    text += again;
                    summary.merged += 1;
                }
                _ => {
                    text += &order;
                    sent.push(order);
                    summary.loaded += 1;
                    summary.cents += cents;
                }
            }
        }
        files.push((format!("orders-{file}.csv"), text.into_bytes()));
    }
    Delivery { files, summary }
}
