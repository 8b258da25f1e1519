mod consumer;

use rusqlite::{Connection, Result};

fn main() -> Result<()> {
    let mut db = Connection::open_in_memory()?;
    db.execute_batch(consumer::SCHEMA)?;
    consumer::add(&db, 1)?;
    consumer::add_once(&mut db, "m1", 1)?;
    consumer::remember(&db, "m1")?;
    println!("{}", consumer::balance(&db)?);
    Ok(())
}
