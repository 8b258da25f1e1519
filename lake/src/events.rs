//! A week of seeded events in a bucket, as lines of JSON and as Parquet, and what it
//! costs to ask one question of them.
//!
//! The rows are those of the chapter's own program, more of them, with a date; the
//! agent ends in a number of the phone, so that it is no constant. The Parquet files
//! are not compressed, so that their sizes can be compared with the chapter's.
//!
//! May know of `s3` and `datafusion`; prints nothing.

use anyhow::{Context, Result, bail, ensure};
use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use datafusion::arrow::datatypes::DataType;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::scalar::ScalarValue;
use fastrand::Rng;
use s3::{BUCKET, Bill, Counting, Server};
use std::sync::Arc;

/// Days of the first release, from 1 January 2026 on.
pub const DAYS: i64 = 7;
/// Rows of one day.
pub const EVENTS_PER_DAY: i64 = 8_000;
/// Row groups of one day's file: far smaller ones than a real file has.
pub const ROW_GROUPS: i64 = 16;
/// 1 January 2026, in milliseconds since 1970.
const FIRST_DAY_MS: i64 = 1_767_225_600_000;
const DAY_MS: i64 = 86_400_000;
const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Firefox/143.0";

/// The columns in the files of the first release.
pub const COLUMNS: &str =
    "at TIMESTAMP(3), user BIGINT, cents BIGINT, agent VARCHAR";
/// The day that is asked for.
pub const DAY: &str = "day = '2026-01-05'";
/// The hour of it that is asked for.
pub const NOON: &str = "at >= '2026-01-05T12:00:00' AND at < '2026-01-05T13:00:00'";
/// The table and the view that know both releases.
pub const SALES: &str = include_str!("../sql/sales.sql");

/// What the producer writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Release {
    /// `at`, `user`, `cents`, `agent`.
    First,
    /// `cents` is called `amount_cents`, and there is a new column `gift`.
    Second,
}

/// How the engine reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settings {
    /// Nothing before a query needs it; a footer's length first, and then the footer.
    Sparing,
    /// As DataFusion ships, but for the one partition: the footers of all of a table's
    /// files as soon as the table is declared, with the last 512 KiB of each, in the
    /// hope that the footer is in there.
    Shipped,
}

/// The bucket, filled, and the client that counts.
pub struct Lake {
    store: Arc<Counting>,
    server: Server,
}

impl Lake {
    /// Starts the server and writes the week three times, each with a folder a day:
    /// `json/`; `events/`, Parquet with the rows in order of time; `shuffled/`, Parquet
    /// with each day's rows in no order.
    ///
    /// # Errors
    /// When the server does not start or refuses a write.
    pub async fn fill() -> Result<Lake> {
        let server = Server::start().await?;
        let lake = Lake { store: server.client()?, server };
        for day in 1..=DAYS {
            let mut order: Vec<i64> = (0..EVENTS_PER_DAY).collect();
            lake.write("json", day, Release::First, &order).await?;
            lake.write("events", day, Release::First, &order).await?;
            Rng::with_seed(1).shuffle(&mut order);
            lake.write("shuffled", day, Release::First, &order).await?;
        }
        Ok(lake)
    }

    /// Writes 8 January into `events/`, as the second release does.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn next_release(&self) -> Result<()> {
        let order: Vec<i64> = (0..EVENTS_PER_DAY).collect();
        self.write("events", DAYS + 1, Release::Second, &order).await
    }

    /// A new session of the query engine. It knows nothing of the files yet: no list,
    /// no schema, no footer.
    ///
    /// # Errors
    /// When the engine refuses its settings.
    pub fn session(&self, settings: Settings) -> Result<SessionContext> {
        let mut config = SessionConfig::new().with_target_partitions(1);
        if settings == Settings::Sparing {
            let options = &mut config.options_mut().execution;
            options.collect_statistics = false;
            options.parquet.metadata_size_hint = None;
        }
        let session = SessionContext::new_with_config(config);
        let url = ObjectStoreUrl::parse(format!("s3://{BUCKET}"))?;
        session.register_object_store(url.as_ref(), self.store.clone());
        Ok(session)
    }

    /// Declares the folder `name` as a table of that name. Its columns are those given,
    /// or, if there are none, those found in its files; the day comes from the key.
    ///
    /// # Errors
    /// When the engine refuses the declaration.
    pub async fn declare(
        &self,
        session: &SessionContext,
        name: &str,
        columns: Option<&str>,
    ) -> Result<()> {
        let format = if name == "json" { "JSON" } else { "PARQUET" };
        let columns = columns.map(|columns| format!("({columns}, day VARCHAR)"));
        let sql = format!(
            "CREATE EXTERNAL TABLE {name} {} STORED AS {format}
             PARTITIONED BY (day) LOCATION 's3://{BUCKET}/{name}/'",
            columns.unwrap_or_default()
        );
        session.sql(&sql).await.with_context(|| format!("declare {name}"))?;
        Ok(())
    }

    /// Declares the table `name` in a session of its own, reads what `sql` selects from
    /// it, and adds up the cents of that hour. Returns these, and what the reading
    /// cost from the declaration on.
    ///
    /// # Errors
    /// When the engine refuses the query or cannot read a file.
    pub async fn ask(
        &self,
        name: &str,
        sql: &str,
        settings: Settings,
    ) -> Result<(i64, Bill)> {
        let session = self.session(settings)?;
        self.store.take_bill();
        self.declare(&session, name, Some(COLUMNS)).await?;
        let rows = session.sql(sql).await?.collect().await?;
        let bill = self.store.take_bill();
        // What is left to do is done with what has been read.
        session.register_table("read", session.read_batches(rows)?.into_view())?;
        let sum = format!("SELECT sum(cents) FROM read WHERE {NOON}");
        let sum = number(&session, &sum).await?.context("nothing of that hour")?;
        Ok((sum, bill))
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    async fn write(
        &self,
        name: &str,
        day: i64,
        release: Release,
        order: &[i64],
    ) -> Result<()> {
        let session = self.session(Settings::Sparing)?;
        session.register_batch("rows", events(day, release, order)?)?;
        let (end, format) = match name {
            "json" => ("json", "JSON".to_owned()),
            _ => (
                "parquet",
                format!(
                    "PARQUET OPTIONS ('format.compression' 'uncompressed',
                     'format.max_row_group_size' '{}')",
                    EVENTS_PER_DAY / ROW_GROUPS
                ),
            ),
        };
        let sql = format!(
            "COPY rows TO 's3://{BUCKET}/{name}/day=2026-01-{day:02}/part-0.{end}'
             STORED AS {format}"
        );
        let written = number(&session, &sql).await;
        let written = written.with_context(|| format!("write {name}, day {day}"))?;
        ensure!(written == Some(EVENTS_PER_DAY), "{written:?} rows were written");
        Ok(())
    }
}

/// The one number that `sql` asks for; `None` if it is NULL.
///
/// # Errors
/// When it is no number, or more than one.
pub async fn number(session: &SessionContext, sql: &str) -> Result<Option<i64>> {
    let rows = session.sql(sql).await?.collect().await?;
    let [batch] = rows.as_slice() else {
        bail!("{} batches from {sql}", rows.len())
    };
    ensure!((batch.num_rows(), batch.num_columns()) == (1, 1), "not one: {sql}");
    let value = ScalarValue::try_from_array(batch.column(0), 0)?;
    match value.cast_to(&DataType::Int64)? {
        ScalarValue::Int64(number) => Ok(number),
        other => bail!("{other} is no number: {sql}"),
    }
}

/// A day's events, in this order of their places in time.
fn events(day: i64, release: Release, order: &[i64]) -> Result<RecordBatch> {
    let mut rng = Rng::with_seed(day.unsigned_abs());
    let event = |i: i64| {
        let at = FIRST_DAY_MS + (day - 1) * DAY_MS + i * DAY_MS / EVENTS_PER_DAY;
        (at, rng.i64(0..1_000), rng.i64(0..10_000), rng.u32(..))
    };
    let in_time: Vec<_> = (0..EVENTS_PER_DAY).map(event).collect();
    let rows =
        || order.iter().filter_map(|i| in_time.get(usize::try_from(*i).ok()?));
    let at = TimestampMillisecondArray::from_iter_values(rows().map(|row| row.0));
    let user = Int64Array::from_iter_values(rows().map(|row| row.1));
    let cents: ArrayRef =
        Arc::new(Int64Array::from_iter_values(rows().map(|row| row.2)));
    let agents = rows().map(|row| format!("{AGENT} phone/{:08x}", row.3));
    let agent = StringArray::from_iter_values(agents);
    let mut columns: Vec<(&str, ArrayRef)> =
        vec![("at", Arc::new(at)), ("user", Arc::new(user))];
    match release {
        Release::First => columns.push(("cents", cents)),
        Release::Second => {
            let gift = rows().map(|row| Some(row.1 % 10 == 0));
            columns.push(("amount_cents", cents));
            columns.push(("gift", Arc::new(gift.collect::<BooleanArray>())));
        }
    }
    columns.push(("agent", Arc::new(agent)));
    let nullable = columns.into_iter().map(|(name, column)| (name, column, true));
    RecordBatch::try_from_iter_with_nullable(nullable).context("make the columns")
}
