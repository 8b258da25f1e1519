//! What the chapters say of Parquet on object storage, of SQL over raw text, and of
//! the distributed engine.

use anyhow::{Result, ensure};
use datafusion::prelude::SessionContext;
use lake::block_on;
use lake::cluster::Cluster;
use lake::events::{COLUMNS, DAY, Lake, NOON, SALES, Settings, number};
use lake::orders::{self, ORDERS_CSV, Summary};
use object_store::ObjectStoreExt;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use s3::BUCKET;

#[test]
fn columns_and_folders_together_read_less_than_either_and_min_max_least()
-> Result<()> {
    block_on(async {
        let lake = Lake::fill().await?;
        let ask = async |table: &str, sql: &str| {
            let sql = format!("SELECT {sql}");
            let before = lake.server().answered();
            let (answer, bill) = lake.ask(table, &sql, Settings::Sparing).await?;
            let answered = lake.server().answered() - before;
            ensure!(answered == bill.requests, "{answered} and {bill:?}: {sql}");
            anyhow::Ok((answer, bill.bytes))
        };
        let json = ask("json", "* FROM json").await?;
        let json_day = ask("json", &format!("* FROM json WHERE {DAY}")).await?;
        let all = ask("events", "* FROM events").await?;
        let columns = ask("events", "at, cents FROM events").await?;
        let day = ask("events", &format!("* FROM events WHERE {DAY}")).await?;
        let two = "at, cents FROM";
        let both = ask("events", &format!("{two} events WHERE {DAY}")).await?;
        let and = format!("WHERE {DAY} AND {NOON}");
        let min_max = ask("events", &format!("{two} events {and}")).await?;
        let shuffled = ask("shuffled", &format!("{two} shuffled {and}")).await?;
        let no_day = ask("events", &format!("{two} events WHERE {NOON}")).await?;

        let answers =
            [json, json_day, all, columns, day, both, min_max, shuffled, no_day];
        for (answer, bytes) in answers {
            ensure!(answer == json.0, "{answer} from {bytes} bytes");
        }
        ensure!(all.1 < json.1 && json_day.1 < json.1);
        ensure!(both.1 < columns.1 && both.1 < day.1);
        ensure!(columns.1 < all.1 && day.1 < all.1);
        ensure!(min_max.1 * 5 < both.1, "min/max skips most of a sorted day");
        ensure!(shuffled.1 >= both.1, "min/max skips nothing of a shuffled day");
        ensure!(min_max.1 < no_day.1 && no_day.1 < both.1, "seven footers, no more");
        Ok(())
    })
}

#[test]
fn the_shipped_settings_guess_seven_footers_to_read_one_hour() -> Result<()> {
    block_on(async {
        let lake = Lake::fill().await?;
        let sql = format!("SELECT at, cents FROM events WHERE {DAY} AND {NOON}");
        let (answer, sparing) = lake.ask("events", &sql, Settings::Sparing).await?;
        let (same, shipped) = lake.ask("events", &sql, Settings::Shipped).await?;
        ensure!(answer == same);
        ensure!(shipped.bytes > 7 * 512 * 1024);
        ensure!(shipped.bytes > 100 * sparing.bytes);
        // One list, seven footers, one piece of the one file.
        ensure!(shipped.requests == 9 && sparing.requests == 5, "{shipped:?}");
        Ok(())
    })
}

#[test]
fn a_request_without_a_signature_is_refused() -> Result<()> {
    block_on(async {
        let lake = Lake::fill().await?;
        let stranger = AmazonS3Builder::new()
            .with_endpoint(format!("http://{}", lake.server().addr()))
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_bucket_name(BUCKET)
            .with_skip_signature(true)
            .build()?;
        let file = Path::from("events/day=2026-01-05/part-0.parquet");
        ensure!(stranger.head(&file).await.is_err());
        Ok(())
    })
}

async fn sum(session: &SessionContext, table: &str) -> Result<Option<i64>> {
    let sql = format!("SELECT sum(cents) FROM {table} WHERE day = '2026-01-08'");
    number(session, &sql).await
}

#[test]
fn a_renamed_column_lowers_the_sum_in_silence_and_a_view_restores_it() -> Result<()>
{
    block_on(async {
        let lake = Lake::fill().await?;
        lake.next_release().await?;
        for columns in [Some(COLUMNS), None] {
            let session = lake.session(Settings::Sparing)?;
            lake.declare(&session, "events", columns).await?;
            ensure!(sum(&session, "events").await?.is_none(), "{columns:?}");
            let rows = "SELECT count(*) FROM events WHERE day = '2026-01-08'";
            ensure!(number(&session, rows).await? == Some(8_000));
        }
        let session = lake.session(Settings::Sparing)?;
        for statement in SALES.split_inclusive(';').filter(|part| part.contains(';'))
        {
            session.sql(statement).await?;
        }
        ensure!(sum(&session, "sales").await? == Some(39_977_809));
        let gifts = "SELECT count(gift) FROM sales";
        ensure!(number(&session, gifts).await? == Some(8_000), "before: NULL");

        let session = lake.session(Settings::Sparing)?;
        let strict = COLUMNS.replace("cents BIGINT", "cents BIGINT NOT NULL");
        lake.declare(&session, "events", Some(&strict)).await?;
        ensure!(sum(&session, "events").await.is_err());
        // The declaration is believed where the column need not be read.
        let nulls = "SELECT count(*) FROM events WHERE cents IS NULL";
        ensure!(number(&session, nulls).await? == Some(0));
        Ok(())
    })
}

/// A session in which `transformed` is what becomes of these files, and the folder that
/// it reads.
async fn transformed(
    files: &[(String, Vec<u8>)],
) -> Result<(SessionContext, tempfile::TempDir)> {
    let folder = tempfile::tempdir()?;
    orders::load(folder.path(), files).await?;
    let session = orders::embedded();
    orders::declare(&session, folder.path()).await?;
    Ok((session, folder))
}

fn one(content: &[u8]) -> [(String, Vec<u8>); 1] {
    [("orders.csv".to_owned(), content.to_owned())]
}

#[test]
fn the_sql_decides_as_the_books_program_does() -> Result<()> {
    block_on(async {
        let expected =
            Summary { loaded: 6, merged: 1, rejected: 13, cents: 128_900 };
        let windows = ORDERS_CSV.split(|byte| *byte == b'\n').collect::<Vec<_>>();
        let windows = windows.join(&b"\r\n"[..]);
        for content in [ORDERS_CSV, &windows] {
            let (session, _folder) = transformed(&one(content)).await?;
            ensure!(orders::summary(&session).await? == expected);
            ensure!(orders::rejects(&session).await? == orders::book_rejects()?);
        }
        let (session, _folder) = transformed(&one(ORDERS_CSV)).await?;
        let merged = "SELECT line, reason FROM transformed WHERE outcome = 'merged'";
        ensure!(orders::rows(&session, merged).await? == ["16 same as line 3"]);
        let lines: Vec<i64> =
            orders::book_rejects()?.iter().map(|reject| reject.0).collect();
        ensure!(lines == [6, 7, 8, 9, 10, 11, 12, 17, 18, 19, 20, 21, 23]);
        Ok(())
    })
}

#[test]
fn an_order_is_compared_with_those_of_other_files_too() -> Result<()> {
    block_on(async {
        let header = "order_id,date,customer,amount,note\n";
        let file = |name: &str, rows: &str| {
            (name.to_owned(), format!("{header}{rows}").into_bytes())
        };
        let monday = file("1.csv", "7,2024-03-04,Ada,1.00,\n");
        let rows = "7,2024-03-04,Ada,1.00,\n7,2024-03-04,Ada,2.00,\n";
        let tuesday = file("2.csv", rows);
        let (session, _folder) = transformed(&[monday, tuesday]).await?;
        let sql = "SELECT file, line, outcome, reason FROM transformed
                   ORDER BY file, line";
        let expected = [
            "1.csv 2 loaded ",
            "2.csv 2 merged same as 1.csv, line 2",
            "2.csv 3 rejected contradicts 1.csv, line 2",
        ];
        let rows = orders::rows(&session, sql).await?;
        ensure!(rows == expected, "{rows:?}");
        Ok(())
    })
}

#[test]
fn only_days_that_exist_and_amounts_with_one_meaning_pass() -> Result<()> {
    block_on(async {
        let good = [
            ("2024-02-29", "1.20"),
            ("2000-02-29", "€7.50"),
            ("2024-03-01", "EUR 1200"),
            ("2024-03-01", "\"7,50\""),
        ];
        let bad = [
            ("2023-02-29", "1.00"),
            ("1900-02-29", "1.00"),
            ("2024-13-01", "1.00"),
            ("2024-00-10", "1.00"),
            ("2024-1-01", "1.00"),
            ("2024-03-01", "1.200"),
            ("2024-03-01", "\"1,200.00\""),
            ("2024-03-01", "-3.00"),
            ("2024-03-01", "$5"),
            ("2024-03-01", ".50"),
            ("2024-03-01", "5."),
            ("2024-03-01", "1e3"),
            ("2024-03-01", "EUR"),
            ("2024-03-01", "99999999999999999999.00"),
        ];
        let mut file = String::from("order_id,date,customer,amount,note\n");
        for (id, (day, amount)) in good.iter().chain(&bad).enumerate() {
            file += &format!("{id},{day},Ada,{amount},\n");
        }
        let (session, _folder) = transformed(&one(file.as_bytes())).await?;
        let summary = orders::summary(&session).await?;
        let cents = 120 + 750 + 120_000 + 750;
        let (loaded, rejected) = (good.len() as i64, bad.len() as i64);
        let expected = Summary { loaded, merged: 0, rejected, cents };
        ensure!(summary == expected, "{summary:?}");
        Ok(())
    })
}

#[test]
fn where_the_sql_differs_it_rejects() -> Result<()> {
    block_on(async {
        let file = b"anything\n1,2024-03-01,\"Ada \"\"A\"\"\",1.00,\n2,\xE9\n";
        let (session, _folder) = transformed(&one(file)).await?;
        let expected =
            [(2, "quote inside a field".to_owned()), (3, "not UTF-8".to_owned())];
        let rejects = orders::rejects(&session).await?;
        ensure!(rejects == expected, "{rejects:?}");
        Ok(())
    })
}

#[test]
fn the_stock_reader_of_csv_reads_all_or_nothing() -> Result<()> {
    block_on(async {
        let clean = b"order_id,date,customer,amount,note\n1,2024-03-01,Ada,1.00,\n";
        ensure!(orders::stock_reader(clean, "").await? == Ok(1));
        for options in ["", ", 'format.truncated_rows' 'true'"] {
            ensure!(orders::stock_reader(ORDERS_CSV, options).await?.is_err());
        }
        Ok(())
    })
}

#[test]
fn the_same_sql_gives_the_same_on_two_executors_after_shuffles() -> Result<()> {
    block_on(async {
        let delivery = orders::delivery();
        let folder = tempfile::tempdir()?;
        orders::load(folder.path(), &delivery.files).await?;
        let session = orders::embedded();
        orders::declare(&session, folder.path()).await?;
        ensure!(orders::summary(&session).await? == delivery.summary);

        let cluster = Cluster::start(2).await?;
        let session = cluster.session(delivery.files.len()).await?;
        orders::declare(&session, folder.path()).await?;
        ensure!(orders::summary(&session).await? == delivery.summary);

        let stages = cluster.stages().await?;
        let keys: Vec<String> =
            stages.iter().map(|stage| stage.divided_by.join(",")).collect();
        ensure!(keys == ["file", "id,valid", "outcome", "", ""], "{keys:?}");
        for stage in &stages[..4] {
            let tasks: Vec<usize> = stage.tasks.values().copied().collect();
            ensure!(tasks == [4, 4], "{stage:?}");
        }
        let records = orders::FILES * orders::RECORDS_PER_FILE;
        ensure!(stages[1].rows == records, "every record is handed on");
        // Combined before the shuffle: at most one row an outcome and task.
        ensure!(stages[2].rows <= 3 * 8 && stages[4].rows == 3);
        ensure!(stages.iter().any(|stage| stage.remote_pieces > 0));
        Ok(())
    })
}
