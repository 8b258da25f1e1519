#[allow(dead_code)]
mod policies;
mod traces;

use policies::{Cache, Key};

const CAPACITY: usize = 100; // entries

fn hits(cache: &mut dyn Cache<()>, requests: &[Key]) -> usize {
    let mut hits = 0;
    for key in requests {
        if cache.get(*key).is_some() {
            hits += 1;
        } else {
            cache.put(*key, ());
        }
    }
    hits
}

fn main() {
    for trace in traces::all(1, CAPACITY) {
        print!("{:<17}", trace.name);
        for (_, mut cache) in policies::all(trace.capacity) {
            let hits = hits(&mut *cache, &trace.requests);
            let percent = 100.0 * hits as f64 / trace.requests.len() as f64;
            print!(" {percent:>7.1}");
        }
        println!();
    }
}
