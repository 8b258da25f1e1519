//! Which modules need which, is there a cycle, and what a change may reach.
//!
//! The input is a list of `user -> used`. Without a cycle the modules form
//! layers, and each can be built, understood and tested with those below it
//! alone. With one, all modules of the cycle are a single module in several
//! files. Look at `a change of … may reach`: before and after the code that
//! closed the circle moves up to where both sides are known.
//!
//! Simplified: a dependency is a name in a list; how strong it is, is not asked.

use std::collections::{BTreeMap, BTreeSet};

const MODULES_MAX: usize = 10_000;

// ANCHOR: graph
/// Modules, and what each of them uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    pub uses: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// Reads lines such as `orders -> billing`; `#` begins a remark.
    fn parse(text: &str) -> Result<Graph, String> {
        let mut graph = Graph::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            let [user, "->", used] = words[..] else {
                return Err(format!("line {number}: `{line}` is not `a -> b`"));
            };
            graph.add(user, used);
            if graph.uses.len() > MODULES_MAX {
                return Err(format!("line {number}: over {MODULES_MAX} modules"));
            }
        }
        Ok(graph)
    }

    pub fn add(&mut self, user: &str, used: &str) {
        self.uses.entry(used.to_owned()).or_default();
        self.uses
            .entry(user.to_owned())
            .or_default()
            .insert(used.to_owned());
    }
}
// ANCHOR_END: graph

// ANCHOR: layers
/// A cycle by its names: the first is used by the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle(pub Vec<String>);

impl Graph {
    /// Layers from the bottom: a module's layer is above all that it uses.
    /// Takes away whatever uses nothing that is left, until nothing is left; what
    /// cannot be taken away is on a cycle, or uses one.
    pub fn layers(&self) -> Result<Vec<Vec<&str>>, Cycle> {
        let mut left = self.uses.clone();
        let mut layers = Vec::new();
        while !left.is_empty() {
            let free = |used: &BTreeSet<String>| {
                used.iter().all(|name| !left.contains_key(name))
            };
            let layer: Vec<&str> = (self.uses.iter())
                .filter(|(name, used)| left.contains_key(*name) && free(used))
                .map(|(name, _)| name.as_str())
                .collect();
            if layer.is_empty() {
                return Err(cycle_in(&left));
            }
            for name in &layer {
                left.remove(*name);
            }
            layers.push(layer);
        }
        Ok(layers)
    }
}

/// Each module of `left` uses another of them, so a walk from one to the next
/// must come back to where it has been.
fn cycle_in(left: &BTreeMap<String, BTreeSet<String>>) -> Cycle {
    let mut walk: Vec<&String> = left.keys().take(1).collect();
    loop {
        let next = left[walk[walk.len() - 1]]
            .iter()
            .find(|n| left.contains_key(*n));
        let Some(next) = next else {
            return Cycle(Vec::new());
        }; // not if each uses one
        if let Some(start) = walk.iter().position(|name| *name == next) {
            return Cycle(
                walk[start..].iter().map(|name| name.to_string()).collect(),
            );
        }
        walk.push(next);
    }
}
// ANCHOR_END: layers

impl std::fmt::Display for Cycle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let first = self.0.first().map_or("", String::as_str);
        write!(f, "{} -> {first}", self.0.join(" -> "))
    }
}

// ANCHOR: reach
impl Graph {
    /// What a change of `module` may reach: all that uses it, and all that uses
    /// those. It has to be built and tested again.
    pub fn reach(&self, module: &str) -> BTreeSet<&str> {
        let mut reached = BTreeSet::new();
        let mut next = vec![module];
        while let Some(name) = next.pop() {
            let users = self.uses.iter().filter(|(_, used)| used.contains(name));
            for (user, _) in users {
                if reached.insert(user.as_str()) {
                    next.push(user);
                }
            }
        }
        reached.remove(module);
        reached
    }
}
// ANCHOR_END: reach

const BEFORE: &str = "
    web -> orders
    web -> customers
    orders -> billing
    billing -> customers
    customers -> orders   # a customer's page lists her orders
    orders -> money
    billing -> money
";

// The page that lists them moves up to where both are known.
const AFTER: &str = "
    web -> account
    web -> orders
    account -> orders
    account -> customers
    orders -> billing
    billing -> customers
    orders -> money
    billing -> money
";

fn main() -> Result<(), String> {
    for (name, text) in [("before", BEFORE), ("after", AFTER)] {
        let graph = Graph::parse(text)?;
        println!("{name}");
        match graph.layers() {
            Err(cycle) => println!("  cycle: {cycle}"),
            Ok(layers) => {
                for (number, layer) in (0..).zip(layers) {
                    println!("  layer {number}: {}", layer.join(", "));
                }
            }
        }
        for module in ["money", "customers", "orders", "billing"] {
            let reached: Vec<&str> = graph.reach(module).into_iter().collect();
            println!("  a change of {module} may reach {}", reached.join(", "));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(rng: &mut fastrand::Rng) -> Graph {
        let modules = rng.usize(1..9);
        let mut graph = Graph::default();
        for _ in 0..rng.usize(0..14) {
            let [user, used] = [0, 0].map(|_| rng.usize(0..modules).to_string());
            graph.add(&user, &used);
        }
        graph
    }

    /// The slow way: does a walk lead from one module to the other? A module is
    /// on a cycle if it can come back to itself.
    fn can_come(graph: &Graph, from: &str, to: &str) -> bool {
        let mut seen = BTreeSet::new();
        let mut next: Vec<&String> = graph.uses[from].iter().collect();
        while let Some(name) = next.pop() {
            if seen.insert(name) {
                next.extend(&graph.uses[name]);
            }
        }
        seen.iter().any(|name| *name == to)
    }

    #[test]
    fn a_cycle_is_found_if_there_is_one_and_each_of_its_steps_is_real() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut cyclic = 0;
        for _ in 0..2_000 {
            let graph = random(&mut rng);
            let expected = graph.uses.keys().any(|m| can_come(&graph, m, m));
            let found = graph.layers();
            assert_eq!(found.is_err(), expected, "{graph:?}");
            if let Err(Cycle(names)) = found {
                cyclic += 1;
                let steps = names.iter().zip(names.iter().cycle().skip(1));
                assert!(!names.is_empty());
                for (user, used) in steps {
                    assert!(graph.uses[user].contains(used), "{names:?}");
                }
                let distinct: BTreeSet<_> = names.iter().collect();
                assert_eq!(distinct.len(), names.len(), "{names:?}");
            }
        }
        assert!((400..1_600).contains(&cyclic), "{cyclic}");
    }

    #[test]
    fn each_module_stands_above_all_that_it_uses() {
        let mut rng = fastrand::Rng::with_seed(2);
        for _ in 0..2_000 {
            let graph = random(&mut rng);
            let Ok(layers) = graph.layers() else { continue };
            let layer_of =
                |name: &str| layers.iter().position(|l| l.contains(&name));
            for (user, used) in &graph.uses {
                for used in used {
                    assert!(layer_of(user) > layer_of(used));
                }
            }
            assert_eq!(layers.concat().len(), graph.uses.len());
        }
    }

    #[test]
    fn in_a_cycle_a_change_of_one_reaches_all() -> Result<(), String> {
        let before = Graph::parse(BEFORE)?;
        for module in ["orders", "billing", "customers"] {
            assert_eq!(before.reach(module).len(), 3, "{module}");
        }
        let cycle = before.layers().expect_err("there is a circle");
        assert_eq!(
            cycle.to_string(),
            "billing -> customers -> orders -> billing"
        );
        let after = Graph::parse(AFTER)?;
        assert_eq!(after.layers().map(|layers| layers.len()), Ok(5));
        assert_eq!(after.reach("orders"), BTreeSet::from(["account", "web"]));
        Ok(())
    }

    #[test]
    fn a_change_reaches_whoever_can_come_to_it() {
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..500 {
            let graph = random(&mut rng);
            for module in graph.uses.keys() {
                let reached = graph.reach(module);
                for user in graph.uses.keys().filter(|user| *user != module) {
                    let expected = can_come(&graph, user, module);
                    assert_eq!(reached.contains(user.as_str()), expected);
                }
                assert!(!reached.contains(module.as_str()));
            }
        }
    }

    #[test]
    fn a_module_that_uses_itself_is_a_cycle_of_one() -> Result<(), String> {
        let graph = Graph::parse("a -> a")?;
        assert_eq!(graph.layers(), Err(Cycle(vec!["a".to_owned()])));
        Ok(())
    }

    #[test]
    fn one_dependency_turned_round_makes_layers_of_a_circle() -> Result<(), String> {
        let circle =
            "orders -> billing\n billing -> customers\n customers -> orders";
        assert!(Graph::parse(circle)?.layers().is_err());
        let turned = circle.replace("customers -> orders", "orders -> customers");
        let turned = Graph::parse(&turned)?;
        let layers = vec![vec!["customers"], vec!["billing"], vec!["orders"]];
        assert_eq!(turned.layers(), Ok(layers));
        assert_eq!(turned.reach("billing"), BTreeSet::from(["orders"]));
        Ok(())
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = Graph::parse("a -> b\nb => c").expect_err("line 2 is wrong");
        assert_eq!(error, "line 2: `b => c` is not `a -> b`");
    }

    #[test]
    fn more_modules_than_the_limit_are_refused() {
        let names = (1..MODULES_MAX).map(|n| format!("m -> m{n}\n"));
        let full = names.collect::<String>();
        assert!(Graph::parse(&full).is_ok());
        let over = Graph::parse(&(full + "m -> one_more")).expect_err("too many");
        assert_eq!(over, "line 10000: over 10000 modules");
    }
}
