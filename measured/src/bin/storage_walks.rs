//! The same sums over the same bytes, in different orders: how much slower is the unkind one?
//!
//! A matrix by rows and by columns, then lines of 64 bytes as an array and as a list whose links
//! follow the array or jump about. Look at the ratios. `examples/storage_cache_lines.rs` counts
//! the cache lines that the matrix walks fetch; the list fetches no more lines than the array, and
//! is slower all the same, because it cannot ask for a line before it has the one before.
//!
//! Simplified: one thread, the fastest of a few rounds.

use std::hint::black_box;

use anyhow::Result;

const SIDE: usize = 4_096; // 64 MiB of u32
const PADDING: usize = 16; // a cache line
const LINES: usize = 1 << 20; // 64 MiB
const ROUNDS: u32 = 4;

// ANCHOR: matrix
/// `row_len` numbers a row, of which the first `SIDE` count.
fn by_rows(matrix: &[u32], row_len: usize) -> u32 {
    let mut sum = 0_u32;
    for row in 0..SIDE {
        for column in 0..SIDE {
            sum = sum.wrapping_add(matrix[row * row_len + column]);
        }
    }
    sum
}

fn by_columns(matrix: &[u32], row_len: usize) -> u32 {
    let mut sum = 0_u32;
    for column in 0..SIDE {
        for row in 0..SIDE {
            sum = sum.wrapping_add(matrix[row * row_len + column]);
        }
    }
    sum
}
// ANCHOR_END: matrix

// ANCHOR: list
#[derive(Clone)]
#[repr(align(64))]
struct Line {
    value: u32,
    next: u32,
}

fn stream(lines: &[Line]) -> u32 {
    lines.iter().fold(0, |sum, line| sum.wrapping_add(line.value))
}

fn chase(lines: &[Line]) -> u32 {
    let (mut sum, mut at) = (0_u32, 0);
    for _ in 0..lines.len() {
        let line = &lines[at];
        sum = sum.wrapping_add(line.value);
        at = line.next as usize;
    }
    sum
}
// ANCHOR_END: list

/// A list through all lines, in the order of the array or in a random one.
fn list(is_shuffled: bool) -> Vec<Line> {
    let mut order: Vec<u32> = (0..LINES as u32).collect();
    if is_shuffled {
        fastrand::Rng::with_seed(1).shuffle(&mut order);
    }
    let mut lines = vec![Line { value: 1, next: 0 }; LINES];
    for i in 0..LINES {
        lines[order[i] as usize].next = order[(i + 1) % LINES];
    }
    lines
}

fn main() -> Result<()> {
    println!("{}\n", recorded::measured_on(&[recorded::RUSTC])?);

    let (square, padded) = (vec![1; SIDE * SIDE], vec![1; SIDE * (SIDE + PADDING)]);
    let times = measured::fastest(
        ROUNDS,
        [
            &mut || _ = black_box(by_rows(black_box(&square), SIDE)),
            &mut || _ = black_box(by_columns(black_box(&padded), SIDE + PADDING)),
            &mut || _ = black_box(by_columns(black_box(&square), SIDE)),
        ],
    );
    println!("4,096 x 4,096 numbers of 4 bytes   a number   times rows");
    for (name, time) in
        ["by rows", "by columns, rows padded", "by columns"].iter().zip(times)
    {
        let each = time.as_secs_f64() * 1e9 / (SIDE * SIDE) as f64;
        let ratio = time.as_secs_f64() / times[0].as_secs_f64();
        println!("{name:<30} {each:>9.2} ns   {ratio:>9.1}x");
    }

    let (ordered, shuffled) = (list(false), list(true));
    let times = measured::fastest(
        ROUNDS,
        [
            &mut || _ = black_box(stream(black_box(&ordered))),
            &mut || _ = black_box(chase(black_box(&ordered))),
            &mut || _ = black_box(chase(black_box(&shuffled))),
        ],
    );
    println!("\n1,048,576 lines of 64 bytes          a line   times array");
    for (name, time) in
        ["array", "list in the array's order", "list, shuffled"].iter().zip(times)
    {
        let each = time.as_secs_f64() * 1e9 / LINES as f64;
        let ratio = time.as_secs_f64() / times[0].as_secs_f64();
        println!("{name:<30} {each:>9.2} ns   {ratio:>9.1}x");
    }
    Ok(())
}
