//! Prints what each figure shows, run by run, as a hash of every picture: the WebAssembly modules have
//! to show the same, byte for byte. The runs are those of `labs::trace`.

fn main() {
    #[cfg(not(target_family = "wasm"))]
    for entry in labs::all() {
        for run in labs::trace::runs(entry.about) {
            println!("{}", labs::trace::line(entry, &run));
        }
    }
}
