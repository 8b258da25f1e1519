//! A compiler for a small language, whose code runs on this book's CPU.
//!
//! Look at the cycles: both lines print the same, and the optimised code needs
//! fewer. Look at the last two lines: two optimisations that seem harmless change
//! the answers of random programs; the comparison with the interpreter finds it.
//!
//! The phases are files of this folder, in the order of `phases.rs`: `lexer.rs`,
//! `parser.rs`, `types.rs`, `ir.rs`, `optimise.rs`, `codegen.rs`, `link.rs`.
//! `interpret.rs` says what a program means, `random.rs` writes programs, `tests.rs`
//! holds the one against the other.
//!
//! Simplified: ints and bools only, one file a module, every value on the stack.

#[path = "phases.rs"]
mod phases;
mod random;
#[cfg(test)]
mod tests;

use phases::diagnostics::Source;
use phases::interpret::{interpret, Outcome};
use phases::link::{run, LOAD_ADDRESS};
use phases::optimise::Level;
use phases::{analyse, build};

// ANCHOR: text
const TILL: &str = "
extern fn discount(pence: int) -> int;
fn main() {
    let tax = 100 + 4 * 5;
    let pence = 0;
    let sum = 0;
    while pence < 10 * 50 {
        pence = pence + 25;
        sum = sum + discount(pence * 8) * tax;
    }
    print(sum / 100);
}
";
const PRICES: &str = "
fn discount(pence: int) -> int {
    let trace = false;
    if trace { print(pence); }
    let threshold = 10 * 100 + 1000 / 2;
    let unused = pence * 3;
    if pence > threshold && true { return pence - 4 * 25; }
    return pence;
}
";
// ANCHOR_END: text

const PROGRAMS: u64 = 50;
const STEPS_MAX: u64 = 20_000;
const CYCLES_MAX: u64 = 1_000_000;

/// Does a program, compiled like this, do something else than it should?
fn differs(sources: &[Source], level: Level, wanted: &Option<Outcome>) -> bool {
    let image = build(sources, level);
    let got = image.map(|image| run(&image, LOAD_ADDRESS, CYCLES_MAX).0);
    got.ok() != *wanted
}

fn evaluate(sources: &[Source]) -> Option<Outcome> {
    let checked = sources.iter().map(|source| analyse(source).ok());
    let checked: Option<Vec<_>> = checked.collect();
    let checked = checked?;
    let trees = checked.iter().map(|(module, _)| module);
    let modules: Vec<_> = sources.iter().zip(trees).collect();
    Some(interpret(&modules, STEPS_MAX))
}

fn main() {
    let sources = [("till", TILL), ("prices", PRICES)];
    let sources = sources.map(|(name, text)| Source::new(name, text));
    println!("twenty sales   instructions  cycles  prints");
    for (name, level) in [("as lowered", Level::Off), ("optimised", Level::On)] {
        let Ok(image) = build(&sources, level) else {
            return println!("does not compile");
        };
        let (outcome, cycles) = run(&image, LOAD_ADDRESS, CYCLES_MAX);
        let (words, printed) = (image.words.len(), outcome.printed);
        println!("  {name:<13}{words:>12}{cycles:>8}  {printed:?}");
    }
    println!("\n{PROGRAMS} random programs: how many go wrong?");
    let programs: Vec<_> = (0..PROGRAMS).map(random::program).collect();
    let wanted: Vec<_> = programs.iter().map(|sources| evaluate(sources)).collect();
    for (name, level) in [
        ("as lowered", Level::Off),
        ("optimised", Level::On),
        ("wrong: drops unread calls", Level::DropsCalls),
        ("wrong: drops unread divisions", Level::DropsDivisions),
    ] {
        let pairs = programs.iter().zip(&wanted);
        let wrong =
            pairs.filter(|(sources, wanted)| differs(sources, level, wanted));
        println!("  {name:<34}{:>3}", wrong.count());
    }
}
