//! Topological sort: an order in which everything comes after what it needs, or
//! the cycle that makes this impossible.
//!
//! Look at the waves, which name what may start at the same time, and at the error,
//! which names the cycle and none of what only depends on it. `steps` compares
//! with looking through all that is left, again and again, for one that is ready.
//!
//! Simplified: names are text, and each step takes equally long.

use std::collections::BTreeMap;
use std::fmt;

// ANCHOR: sort
type Needs<'a> = BTreeMap<&'a str, Vec<&'a str>>;

#[derive(Debug, PartialEq)]
enum SortError {
    Cycle(Vec<String>), // the first needs the second, the last needs the first
    Unknown { name: String, needed_by: String },
}

/// The waves: each needs only what is in those before it. And the steps taken.
fn waves<'a>(needs: &Needs<'a>) -> Result<(Vec<Vec<&'a str>>, u64), SortError> {
    let mut missing: BTreeMap<&str, usize> = BTreeMap::new();
    let mut needed_by: Needs = BTreeMap::new(); // the arrows, turned around
    for (&item, its_needs) in needs {
        missing.insert(item, its_needs.len());
        for &need in its_needs {
            if !needs.contains_key(need) {
                let (name, needed_by) = (need.into(), item.into());
                return Err(SortError::Unknown { name, needed_by });
            }
            needed_by.entry(need).or_default().push(item);
        }
    }
    let ready = missing.iter().filter(|(_, missing)| **missing == 0);
    let mut wave: Vec<&str> = ready.map(|(item, _)| *item).collect();
    let (mut waves, mut steps) = (Vec::new(), 0);
    while !wave.is_empty() {
        let mut next = Vec::new();
        for item in &wave {
            missing.remove(item);
            for waiting in needed_by.remove(item).unwrap_or_default() {
                steps += 1;
                let left = missing.entry(waiting).or_default();
                *left -= 1;
                next.extend((*left == 0).then_some(waiting));
            }
        }
        next.sort_unstable(); // by name
        waves.push(std::mem::replace(&mut wave, next));
    }
    match missing.keys().next() {
        Some(stuck) => Err(SortError::Cycle(cycle(needs, &missing, stuck))),
        None => Ok((waves, steps)),
    }
}

/// Each item that is left needs another that is left: follow, until one comes
/// a second time.
fn cycle(needs: &Needs, left: &BTreeMap<&str, usize>, from: &str) -> Vec<String> {
    let mut path = vec![from];
    loop {
        let needed = needs[path[path.len() - 1]].iter();
        let Some(next) = needed.copied().find(|need| left.contains_key(need)) else {
            return vec![]; // not reached: it would have been ready
        };
        if let Some(start) = path.iter().position(|item| *item == next) {
            return path[start..].iter().map(ToString::to_string).collect();
        }
        path.push(next);
    }
}
// ANCHOR_END: sort

impl fmt::Display for SortError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Cycle(items) => {
                let first = items.first().map_or("", String::as_str);
                write!(f, "cycle: {} needs {first}", items.join(" needs "))
            }
            Self::Unknown { name, needed_by } => {
                write!(f, "{needed_by} needs {name}, which is not here")
            }
        }
    }
}

/// Looks for one that is ready among all that are left. None if there is a cycle.
fn by_looking<'a>(needs: &Needs<'a>) -> Option<(Vec<&'a str>, u64)> {
    let mut left: Vec<&str> = needs.keys().copied().collect();
    let (mut order, mut steps) = (Vec::new(), 0);
    while !left.is_empty() {
        let ready = left.iter().position(|item| {
            steps += 1;
            needs[item].iter().all(|need| order.contains(need))
        })?;
        order.push(left.remove(ready));
    }
    Some((order, steps))
}

fn needs<'a>(lines: &[&'a str]) -> Needs<'a> {
    let parse = |line: &&'a str| {
        let (item, needs) = line.split_once(':').unwrap_or((*line, ""));
        (item, needs.split_whitespace().collect())
    };
    lines.iter().map(parse).collect()
}

fn main() {
    let mut lines = vec![
        "config",
        "log: config",
        "network: config",
        "database: log network",
        "cache: network log",
        "api: database cache",
        "web: api",
        "metrics: log",
    ];
    match waves(&needs(&lines)) {
        Ok((waves, _)) => {
            for (number, wave) in waves.iter().enumerate() {
                println!("wave {}: {}", number + 1, wave.join(", "));
            }
        }
        Err(error) => println!("{error}"),
    }
    for (index, line) in [(1, "log: config api"), (1, "log: cnofig")] {
        let right = std::mem::replace(&mut lines[index], line);
        let result = waves(&needs(&lines));
        println!("\nwith \"{line}\"");
        println!(
            "  {}",
            result.err().map_or("sorted".into(), |e| e.to_string())
        );
        lines[index] = right;
    }
    println!("\na chain, last name first   waves   by looking, steps");
    for length in [10, 100, 200] {
        let names: Vec<String> = (0..=length).map(|i| format!("{i:03}")).collect();
        let pairs = names
            .windows(2)
            .map(|p| (p[0].as_str(), vec![p[1].as_str()]));
        let mut needs: Needs = pairs.collect();
        needs.insert(&names[length], vec![]);
        let kahn = waves(&needs).map_or(0, |(_, steps)| steps);
        let looking = by_looking(&needs).map_or(0, |(_, steps)| steps);
        println!("{:>6} items {kahn:>19} {looking:>19}", length + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 9] = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];

    fn random(rng: &mut fastrand::Rng) -> Needs<'static> {
        let some = |rng: &mut fastrand::Rng| {
            NAMES.into_iter().filter(|_| rng.u8(..8) == 0).collect()
        };
        NAMES.map(|name| (name, some(rng))).into()
    }

    #[test]
    fn each_comes_after_what_it_needs_and_as_early_as_it_can() {
        let mut sorted = 0;
        for seed in 0..2_000 {
            let needs = random(&mut fastrand::Rng::with_seed(seed));
            let Ok((waves, _)) = waves(&needs) else {
                continue;
            };
            sorted += 1;
            assert_eq!(waves.concat().len(), NAMES.len());
            assert!(waves.iter().all(|wave| wave.is_sorted()), "{seed}");
            let wave = |item: &&str| waves.iter().position(|w| w.contains(item));
            for (item, its_needs) in &needs {
                let latest = its_needs.iter().filter_map(wave).max();
                let earliest = latest.map_or(0, |wave| wave + 1);
                assert_eq!(wave(item), Some(earliest), "{seed} {item}");
            }
        }
        assert!(sorted > 200);
    }

    #[test]
    fn a_cycle_is_an_error_that_names_it() {
        let mut cycles = 0;
        for seed in 0..2_000 {
            let needs = random(&mut fastrand::Rng::with_seed(seed));
            let result = waves(&needs);
            assert_eq!(result.is_ok(), by_looking(&needs).is_some(), "{seed}");
            let Err(SortError::Cycle(items)) = result else {
                continue;
            };
            cycles += 1;
            assert!(!items.is_empty(), "{seed}");
            for (at, item) in items.iter().enumerate() {
                let next = items[(at + 1) % items.len()].as_str();
                assert!(needs[item.as_str()].contains(&next), "{items:?}");
                assert!(!items[..at].contains(item), "{items:?}");
            }
        }
        assert!(cycles > 200);
        let error = waves(&needs(&["a: b", "b: c", "c: b"])).expect_err("a cycle");
        assert_eq!(error.to_string(), "cycle: b needs c needs b");
        let error = waves(&needs(&["a: a"])).expect_err("a cycle");
        assert_eq!(error.to_string(), "cycle: a needs a");
    }

    #[test]
    fn what_nobody_has_is_an_error_of_its_own() {
        let error = waves(&needs(&["a: b"])).expect_err("there is no b");
        assert_eq!(error.to_string(), "a needs b, which is not here");
    }

    #[test]
    fn it_takes_one_step_a_need() {
        for seed in 0..500 {
            let needs = random(&mut fastrand::Rng::with_seed(seed));
            let edges: usize = needs.values().map(Vec::len).sum();
            if let Ok((_, steps)) = waves(&needs) {
                assert_eq!(steps, edges as u64);
            }
        }
    }
}
