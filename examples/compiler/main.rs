//! A compiler for a small language, whose code runs on this book's CPU.
//!
//! Look at the cycles: both columns print the same, and the optimised code needs
//! fewer. Look at the last two lines: two optimisations that seem harmless change the
//! answers of random programs, and the comparison with the evaluator finds them.
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

const PRIMES: &str = "
extern fn is_prime(n: int) -> bool;
fn main() {
    let limit = 4 * 5 * 2;
    let n = 2;
    let found = 0;
    while n < limit {
        if is_prime(n) && true { found = found * 1 + n; }
        n = n + 1;
    }
    print(found);
}
";
const ARITHMETIC: &str = "
fn is_prime(n: int) -> bool {
    let trace = false;
    let divisor = 2;
    while divisor * divisor <= n {
        if trace { print(divisor); }
        if n % divisor == 0 { return false; }
        divisor = divisor + 1;
    }
    return true;
}
";

const PROGRAMS: u64 = 40;
const STEPS_MAX: u64 = 20_000;
const CYCLES_MAX: u64 = 1_000_000;

// ANCHOR: differs
/// Does a program, compiled like this, do something else than it should?
fn differs(sources: &[Source], level: Level) -> bool {
    let wanted = evaluate(sources);
    let got = build(sources, level).map(|image| {
        let (outcome, _) = run(&image, LOAD_ADDRESS, CYCLES_MAX);
        outcome
    });
    got.ok() != wanted
}
// ANCHOR_END: differs

fn evaluate(sources: &[Source]) -> Option<Outcome> {
    let checked = sources.iter().map(|source| analyse(source).ok());
    let checked: Option<Vec<_>> = checked.collect();
    let checked = checked?;
    let trees = checked.iter().map(|(module, _)| module);
    let modules: Vec<_> = sources.iter().zip(trees).collect();
    Some(interpret(&modules, STEPS_MAX))
}

fn main() {
    let sources = [("primes", PRIMES), ("arithmetic", ARITHMETIC)];
    let sources = sources.map(|(name, text)| Source::new(name, text));
    println!("primes below 40, added up   instructions   cycles   prints");
    for (name, level) in [("as lowered", Level::Off), ("optimised", Level::On)] {
        let Ok(image) = build(&sources, level) else {
            return println!("does not compile");
        };
        let (outcome, cycles) = run(&image, LOAD_ADDRESS, CYCLES_MAX);
        let (words, printed) = (image.words.len(), outcome.printed);
        println!("  {name:<26}{words:>12}{cycles:>9}   {printed:?}");
    }
    println!("\n{PROGRAMS} random programs: how many do not do what they should?");
    for (name, level) in [
        ("as lowered", Level::Off),
        ("optimised", Level::On),
        (
            "wrong: drops calls whose result is unread",
            Level::DropsCalls,
        ),
        ("wrong: drops divisions likewise", Level::DropsDivisions),
    ] {
        let programs = (0..PROGRAMS).map(random::program);
        let wrong = programs.filter(|sources| differs(sources, level)).count();
        println!("  {name:<44}{wrong:>3}");
    }
}
