#[path = "phases.rs"]
mod phases;

use phases::diagnostics::Source;
use phases::link::{run, LOAD_ADDRESS};
use phases::optimise::Level;

fn main() {
    let text = "fn fact(n: int) -> int {\n if n < 2 { return 1; }\n return n * fact(n - 1);\n}\nfn main() { print(fact(5)); let i = -7; print(i / 2); print(i % 2); print(7 * 8); let z = i - i;\n print(1/z); }";
    let source = Source::new("main", text);
    for level in [Level::Off, Level::On] {
        match phases::build(&[Source::new("main", text)], level) {
            Ok(image) => println!("{:?}", run(&image, LOAD_ADDRESS, 100_000)),
            Err(e) => println!("{e:?}"),
        }
    }
    let (module, _) = phases::analyse(&source).unwrap();
    println!(
        "{:?}",
        phases::interpret::interpret(&[(&source, &module)], 10_000)
    );
}
