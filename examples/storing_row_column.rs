//! The same table stored by row and by column, and the pages that questions read.
//!
//! Look at how the winner changes with the question: a sum over a column, one
//! whole order, one more order. Then look at what a column shrinks to, and how
//! much of that is due to the order of the rows.
//!
//! Simplified: columns of fixed width, a row is found by its number, the disk
//! reads whole pages and none is cached. Counted, not timed.

use fastrand::Rng;
use std::collections::BTreeSet;

const PAGE_BYTES: usize = 4096;
const ROWS: usize = 20_000;
const ROW_BYTES: usize = 100;
const DAYS: usize = 365;

/// A column is a range of bytes in the row.
#[derive(Clone, Copy)]
struct Column {
    name: &'static str,
    at: usize,
    width: usize,
}

const fn column(name: &'static str, at: usize, width: usize) -> Column {
    Column { name, at, width }
}

const DAY: usize = 1;
const COUNTRY: usize = 2;
const CENTS: usize = 4;
const COLUMNS: [Column; 6] = [
    column("id", 0, 8),
    column("day", 8, 4),
    column("country", 12, 2),
    column("status", 14, 12),
    column("cents", 26, 4),
    column("address", 30, 70),
];

type Row = [u8; ROW_BYTES];

/// A year of orders, in the order in which they came.
fn orders(rng: &mut Rng) -> Vec<Row> {
    let mut order = |i: usize| {
        let mut row = [0; ROW_BYTES];
        row[..8].copy_from_slice(&(i as u64).to_le_bytes());
        row[8..12].copy_from_slice(&((i * DAYS / ROWS) as u32).to_le_bytes());
        let country = ["DE", "FR", "IN", "JP"][rng.usize(..4)];
        row[12..14].copy_from_slice(country.as_bytes());
        let status = ["delivered   ", "returned    "][rng.usize(..10) / 9];
        row[14..26].copy_from_slice(status.as_bytes());
        row[26..30].copy_from_slice(&rng.u32(100..20_000).to_le_bytes());
        row[30..].fill_with(|| rng.u8(b'a'..=b'z'));
        row
    };
    (0..ROWS).map(&mut order).collect()
}

// ANCHOR: layouts
#[derive(Clone, Copy, PartialEq)]
enum Layout {
    ByRow,    // one file: row after row
    ByColumn, // a file for each column: value after value
}

/// Remembers which pages have been touched.
struct Table {
    layout: Layout,
    files: Vec<Vec<u8>>,
    touched: BTreeSet<(usize, usize)>, // file, page
}

impl Table {
    fn new(rows: &[Row], layout: Layout) -> Table {
        let values = |Column { at, width, .. }| {
            let value = move |row: &Row| row[at..at + width].to_vec();
            rows.iter().flat_map(value).collect()
        };
        let files = match layout {
            Layout::ByRow => vec![rows.as_flattened().to_vec()],
            Layout::ByColumn => COLUMNS.map(values).into(),
        };
        let touched = BTreeSet::new();
        Table {
            layout,
            files,
            touched,
        }
    }

    fn field(&mut self, row: usize, column: usize) -> &[u8] {
        let Column { at, width, .. } = COLUMNS[column];
        let (file, at) = match self.layout {
            Layout::ByRow => (0, row * ROW_BYTES + at),
            Layout::ByColumn => (column, row * width),
        };
        let pages = at / PAGE_BYTES..=(at + width - 1) / PAGE_BYTES;
        self.touched.extend(pages.map(|page| (file, page)));
        &self.files[file][at..at + width]
    }
}
// ANCHOR_END: layouts

// ANCHOR: questions
type Rows = std::ops::Range<usize>;
const QUESTIONS: [(&str, Rows, &[usize]); 5] = [
    ("sum of the cents", 0..ROWS, &[CENTS]),
    ("cents by day and country", 0..ROWS, &[DAY, COUNTRY, CENTS]),
    ("everything, all orders", 0..ROWS, &[0, 1, 2, 3, 4, 5]),
    (
        "everything, order 12345",
        12_345..12_346,
        &[0, 1, 2, 3, 4, 5],
    ),
    ("write one more order", ROWS - 1..ROWS, &[0, 1, 2, 3, 4, 5]),
];

fn pages(table: &mut Table, rows: Rows, columns: &[usize]) -> usize {
    table.touched.clear();
    for row in rows {
        for column in columns {
            table.field(row, *column);
        }
    }
    table.touched.len()
}
// ANCHOR_END: questions

// ANCHOR: compress
/// Run lengths: each run of equal values once, with a count of 4 bytes.
fn run_lengths(values: &[u8], width: usize) -> usize {
    let all: Vec<&[u8]> = values.chunks(width).collect();
    let runs = all.chunk_by(|a, b| a == b).count();
    runs * (width + 4)
}

/// Dictionary: each distinct value once, and a byte a row to say which.
fn dictionary(values: &[u8], width: usize) -> Option<usize> {
    let distinct: BTreeSet<&[u8]> = values.chunks(width).collect();
    let one_byte = distinct.len() <= 256;
    one_byte.then_some(distinct.len() * width + values.len() / width)
}
// ANCHOR_END: compress

fn smallest(values: &[u8], width: usize) -> (usize, &'static str) {
    let dictionary = dictionary(values, width).unwrap_or(usize::MAX);
    let runs = run_lengths(values, width);
    let plain = (values.len(), "plain");
    plain.min((dictionary, "dictionary")).min((runs, "runs"))
}

fn main() {
    let mut rng = Rng::with_seed(1);
    let mut rows = orders(&mut rng);
    let mut by_row = Table::new(&rows, Layout::ByRow);
    let mut by_column = Table::new(&rows, Layout::ByColumn);
    println!("{ROWS} orders of {ROW_BYTES} bytes: pages touched, of 4 KiB\n");
    println!("question                     by row   by column");
    for (question, range, columns) in QUESTIONS {
        let row = pages(&mut by_row, range.clone(), columns);
        let column = pages(&mut by_column, range, columns);
        println!("{question:<27} {row:>7} {column:>11}");
    }
    println!("\ncolumn      bytes   as they came       after a shuffle");
    rng.shuffle(&mut rows);
    let shuffled = Table::new(&rows, Layout::ByColumn);
    for (i, Column { name, width, .. }) in COLUMNS.into_iter().enumerate() {
        let bytes = by_column.files[i].len();
        let (came, how) = smallest(&by_column.files[i], width);
        let (mixed, mixed_how) = smallest(&shuffled.files[i], width);
        println!("{name:<8} {bytes:>8} {came:>8} {how:<11} {mixed:>7} {mixed_how}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(seed: u64) -> [Table; 2] {
        let rows = orders(&mut Rng::with_seed(seed));
        [Layout::ByRow, Layout::ByColumn].map(|layout| Table::new(&rows, layout))
    }

    #[test]
    fn both_layouts_give_the_same_answers() {
        let [mut by_row, mut by_column] = tables(1);
        for row in (0..ROWS).step_by(997) {
            for c in 0..COLUMNS.len() {
                assert_eq!(by_row.field(row, c), by_column.field(row, c));
            }
        }
    }

    #[test]
    fn a_sum_reads_24_times_fewer_pages_by_column_and_one_row_six_times_more() {
        let mut tables = tables(2);
        let [sum, .., row, _] = QUESTIONS;
        let touched = tables.each_mut().map(|t| pages(t, sum.1.clone(), sum.2));
        assert_eq!(touched, [489, 20]);
        let touched = tables.each_mut().map(|t| pages(t, row.1.clone(), row.2));
        assert_eq!(touched, [1, 6]);
    }

    #[test]
    fn runs_need_an_order_and_a_dictionary_does_not() {
        let mut rng = Rng::with_seed(3);
        let mut rows = orders(&mut rng);
        let sorted = Table::new(&rows, Layout::ByColumn);
        rng.shuffle(&mut rows);
        let shuffled = Table::new(&rows, Layout::ByColumn);
        let runs = |table: &Table| run_lengths(&table.files[DAY], 4);
        let codes = |table: &Table| dictionary(&table.files[COUNTRY], 2);
        assert_eq!(runs(&sorted), DAYS * 8);
        assert!(runs(&shuffled) > 50 * runs(&sorted));
        assert_eq!(codes(&sorted), Some(ROWS + 4 * 2)); // four countries
        assert_eq!(codes(&shuffled), codes(&sorted));
    }
}
