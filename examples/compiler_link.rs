//! Phases 6 and 7: two modules are compiled apart, linked, loaded and run.
//!
//! Look at the word at 0x14. In the object it is `auipc ra, 0x0`, because the
//! compiler cannot know where `__mul` will be; a relocation says that the linker
//! must write the distance there. Afterwards the pair reaches its target.

#[path = "compiler/phases.rs"]
mod phases;

use phases::codegen::Object;
use phases::cpu::decode;
use phases::diagnostics::Source;
use phases::link::{link, run, LOAD_ADDRESS};
use phases::optimise::Level;
use phases::{compile, runtime::runtime};

// ANCHOR: text
const SHAPES: &str = "fn square(side: int) -> int {
    return side * side;
}
";
const MAIN: &str = "extern fn square(side: int) -> int;
fn main() {
    print(square(12));
}
";
// ANCHOR_END: text

fn main() {
    if let Err(error) = story() {
        println!("{error}");
    }
}

fn story() -> Result<(), String> {
    let [shapes, main] = [("shapes", SHAPES), ("main", MAIN)].map(|(name, text)| {
        let source = Source::new(name, text);
        compile(&source, Level::On).map_err(|errors| source.render(&errors[0]))
    });
    let objects = [shapes?, main?, runtime()?];
    println!("6 the code of shapes");
    for (number, word) in objects[0].words.iter().enumerate() {
        println!("{:>6x}  {word:08x}  {}", number * 4, text(*word));
    }
    println!("7 before linking");
    objects.iter().for_each(symbols);
    let image = link(&objects).map_err(|errors| errors[0].to_string())?;
    println!("  after linking and loading at {LOAD_ADDRESS:#x}");
    let places = image.symbols.iter();
    let places = places.map(|(name, at)| format!("{name} {:x}", at + LOAD_ADDRESS));
    let places: Vec<String> = places.collect();
    println!(
        "    {}\n    {}",
        places[..3].join("  "),
        places[3..].join("  ")
    );
    for at in [0x14, 0x18] {
        let word = image.words[at / 4];
        let at = at as u32 + LOAD_ADDRESS;
        println!("{at:>10x}  {word:08x}  {}", text(word));
    }
    let (outcome, cycles) = run(&image, LOAD_ADDRESS, 10_000);
    println!("  prints {:?}, {cycles} cycles", outcome.printed);
    println!("  what the linker says");
    let [shapes, main, library] = objects;
    let without = [main.clone(), library.clone()];
    let mut copy = shapes.clone();
    copy.module = "copy".to_string();
    let twice = [shapes, copy, main, library];
    for (name, objects) in [("no shapes", &without[..]), ("a copy", &twice[..])] {
        for error in link(objects).err().unwrap_or_default() {
            println!("    {name}: {error}");
        }
    }
    Ok(())
}

fn text(word: u32) -> String {
    decode(word).map_or("?".to_string(), |instruction| instruction.to_string())
}

fn symbols(object: &Object) {
    let has = object.symbols.iter().filter_map(|symbol| {
        let at = symbol.at?;
        Some(format!("{} {at:x}", symbol.name))
    });
    let calls = object.relocations.iter();
    let calls = calls.map(|call| format!("{} at {:x}", call.symbol, call.at));
    let (has, calls): (Vec<_>, Vec<_>) = (has.collect(), calls.collect());
    let (has, calls) = (has.join("  "), calls.join("  "));
    println!("    {:<8}has {has}", object.module);
    println!("    {:<8}calls {calls}", "");
}
