//! Phases 4 and 5: three-address code, as it is lowered and as it is optimised.
//!
//! Look at what is gone: the multiplications of constants are computed, the branch
//! that is never taken has no code, and what nobody reads is not written. The
//! multiplication by 8 is a shift. The call stays: `note` prints.

#[path = "compiler/phases.rs"]
mod phases;

use phases::diagnostics::Source;
use phases::ir::lower;
use phases::optimise::{optimise, Level};
use phases::{analyse, ir::Code};

// ANCHOR: text
const TEXT: &str = "fn note(n: int) -> int {
    print(n);
    return n;
}
fn main() {
    let day = 60 * 60 * 24;
    let debug = false;
    if debug { print(day); }
    let weeks = 0;
    while weeks < 3 {
        weeks = weeks + 1;
        let ignored = note(weeks * 8 * day);
    }
}
";
// ANCHOR_END: text

fn main() {
    let source = Source::new("weeks", TEXT);
    let Ok((module, symbols)) = analyse(&source) else {
        return println!("errors");
    };
    let codes = lower(&module, &symbols, &source);
    let Some(plain) = codes.into_iter().find(|code| code.name == "main") else {
        return println!("no main");
    };
    let mut better = plain.clone();
    optimise(&mut better, Level::On);
    let [left, right] = [&plain, &better].map(lines);
    println!(
        "{:<28}optimised: {} steps",
        counted(&plain),
        better.steps.len()
    );
    for number in 0..left.len().max(right.len()) {
        let of = |lines: &[String]| lines.get(number).cloned().unwrap_or_default();
        let text = format!("{:<28}{}", of(&left), of(&right));
        println!("{}", text.trim_end());
    }
}

fn counted(code: &Code) -> String {
    format!("as lowered: {} steps", code.steps.len())
}

/// Labels at the margin, steps indented.
fn lines(code: &Code) -> Vec<String> {
    let text = code.to_string();
    let lines = text.lines().map(|line| match line.ends_with(':') {
        true => line.to_string(),
        false => format!("  {line}"),
    });
    lines.collect()
}
