//! Three ways to look for the boxes that everything must pass, on one graph.
//!
//! Look at the first table. Articulation points are where an *undirected* graph
//! falls apart: they miss the end points, accuse the client, and one box that
//! watches others hides the balancer. Dominators follow the arrows: each box on
//! every path from the client to an end point, the end point itself included.
//! Then look at the work: the loss test walks the graph once for each box, the
//! tree of dominators needs a few rounds in all.
//!
//! Simplified: any path will do, so every fork is a choice between copies.
//! `spof_finder` knows when two arrows mean two different needs.

use std::collections::BTreeSet;

/// Arrows from each box to others. Box 0 is the client.
type Graph = Vec<Vec<usize>>;

const CLIENT: usize = 0;

// ANCHOR: loss
/// Boxes that a walk from the client reaches when one box is lost.
/// `looked_at` counts the arrows that it follows.
fn reached(graph: &Graph, lost: Option<usize>, looked_at: &mut u64) -> Vec<bool> {
    let mut seen = vec![false; graph.len()];
    let mut to_visit = vec![CLIENT];
    seen[CLIENT] = true;
    while let Some(at) = to_visit.pop() {
        for &next in &graph[at] {
            *looked_at += 1;
            if !seen[next] && Some(next) != lost {
                seen[next] = true;
                to_visit.push(next);
            }
        }
    }
    seen
}

/// Every box without which `end` is out of reach: one walk a box.
fn by_loss(graph: &Graph, end: usize, looked_at: &mut u64) -> BTreeSet<usize> {
    let boxes = (0..graph.len()).filter(|lost| *lost != CLIENT);
    boxes
        .filter(|lost| !reached(graph, Some(*lost), looked_at)[end])
        .collect()
}
// ANCHOR_END: loss

// ANCHOR: dominators
/// For each box the nearest one that every path to it passes: its immediate
/// dominator. Rounds in the manner of Cooper, Harvey and Kennedy.
fn dominators(graph: &Graph, looked_at: &mut u64) -> Vec<Option<usize>> {
    let order = leaving_order(graph, looked_at);
    let mut place = vec![0; graph.len()]; // in the order
    let mut from = vec![Vec::new(); graph.len()];
    for (index, &id) in order.iter().enumerate() {
        place[id] = index;
        for &to in &graph[id] {
            *looked_at += 1;
            from[to].push(id);
        }
    }
    let mut above = vec![None; graph.len()];
    above[CLIENT] = Some(CLIENT); // every climb ends here
    let mut changed = true;
    while changed {
        changed = false;
        for &id in order.iter().rev().skip(1) {
            let mut nearest = None;
            for &before in from[id].iter().filter(|b| above[**b].is_some()) {
                *looked_at += 1;
                nearest = match nearest {
                    None => Some(before),
                    Some(other) => meet(&above, &place, before, other, looked_at),
                };
            }
            changed |= above[id] != nearest;
            above[id] = nearest;
        }
    }
    above[CLIENT] = None;
    above
}

/// The nearest box above both: whichever is left earlier climbs.
fn meet(
    above: &[Option<usize>],
    place: &[usize],
    mut a: usize,
    mut b: usize,
    looked_at: &mut u64,
) -> Option<usize> {
    while a != b {
        *looked_at += 1;
        match place[a] < place[b] {
            true => a = above[a]?,
            false => b = above[b]?,
        }
    }
    Some(a)
}
// ANCHOR_END: dominators

/// Boxes in the order in which a depth-first walk leaves them, the client last.
fn leaving_order(graph: &Graph, looked_at: &mut u64) -> Vec<usize> {
    let (mut order, mut seen) = (Vec::new(), vec![false; graph.len()]);
    let mut path = vec![(CLIENT, 0)]; // box, and its next arrow
    seen[CLIENT] = true;
    while let Some((at, arrow)) = path.last_mut() {
        let (at, next) = (*at, graph[*at].get(*arrow).copied());
        *arrow += 1;
        match next {
            None => {
                order.push(at);
                path.pop();
            }
            Some(next) => {
                *looked_at += 1;
                if !seen[next] {
                    seen[next] = true;
                    path.push((next, 0));
                }
            }
        }
    }
    order
}

/// The dominators of `end`, itself included and the client not.
fn by_tree(above: &[Option<usize>], end: usize) -> BTreeSet<usize> {
    let climb = std::iter::successors(Some(end), |id| above[*id]);
    climb.filter(|id| *id != CLIENT).collect()
}

// ANCHOR: articulation
/// Boxes without which the graph, its arrows taken for lines, falls apart.
/// Tarjan's rule: a box is one if something that the walk found through it has
/// no line back to a box above it.
fn articulation_points(graph: &Graph) -> BTreeSet<usize> {
    let mut lines = vec![BTreeSet::new(); graph.len()];
    for (from, arrows) in graph.iter().enumerate() {
        for &to in arrows.iter().filter(|to| **to != from) {
            lines[from].insert(to);
            lines[to].insert(from);
        }
    }
    let mut found = BTreeSet::new();
    walk(
        &lines,
        CLIENT,
        None,
        &mut vec![0; graph.len()],
        &mut 0,
        &mut found,
    );
    found
}

/// Returns how far up the boxes below `at` have a line.
fn walk(
    lines: &[BTreeSet<usize>],
    at: usize,
    parent: Option<usize>,
    entered: &mut [usize], // when; 0 is not yet
    clock: &mut usize,
    found: &mut BTreeSet<usize>,
) -> usize {
    *clock += 1;
    entered[at] = *clock;
    let (mut highest, mut children) = (entered[at], 0);
    for &next in &lines[at] {
        if entered[next] > 0 {
            highest = highest.min(entered[next]);
            continue;
        }
        children += 1;
        let below = walk(lines, next, Some(at), entered, clock, found);
        highest = highest.min(below);
        if parent.is_some() && below >= entered[at] {
            found.insert(at);
        }
    }
    if parent.is_none() && children > 1 {
        found.insert(at);
    }
    highest
}
// ANCHOR_END: articulation

const NAMES: [&str; 7] = [
    "client", "DNS", "balancer", "app 1", "app 2", "orders", "monitor",
];
const DNS: usize = 1;
const ORDERS: usize = 5;

/// The chapter's first diagram without what the parts can do without, and
/// perhaps with a program that watches DNS and the database.
fn today(monitored: bool) -> Graph {
    let mut graph = vec![vec![1, 2], vec![], vec![3, 4], vec![5], vec![5], vec![]];
    if monitored {
        graph.push(vec![DNS, ORDERS]);
    }
    graph
}

/// `layers` times three boxes, each with arrows to all three of the next.
fn ladder(layers: usize) -> Graph {
    let mut graph = vec![vec![1, 2, 3]];
    for layer in 1..=layers {
        let next: Vec<usize> = (1..=3).map(|i| layer * 3 + i).collect();
        let next = if layer == layers { vec![] } else { next };
        graph.extend([next.clone(), next.clone(), next]);
    }
    graph
}

fn names(boxes: &BTreeSet<usize>) -> String {
    let names: Vec<&str> = boxes.iter().map(|id| NAMES[*id]).collect();
    if names.is_empty() {
        "none".to_string()
    } else {
        names.join(", ")
    }
}

fn main() {
    for (title, monitored) in [("today", false), ("with a monitor", true)] {
        let graph = today(monitored);
        let above = dominators(&graph, &mut 0);
        println!("{title}");
        println!(
            "  articulation points    {}",
            names(&articulation_points(&graph))
        );
        println!("  client to DNS          {}", names(&by_tree(&above, DNS)));
        println!(
            "  client to orders       {}",
            names(&by_tree(&above, ORDERS))
        );
    }
    println!("\nboxes   arrows   looked at by loss   by the tree\n");
    for layers in [3, 30, 300] {
        let graph = ladder(layers);
        let (mut loss, mut tree) = (0, 0);
        by_loss(&graph, layers * 3, &mut loss);
        dominators(&graph, &mut tree);
        let arrows: usize = graph.iter().map(Vec::len).sum();
        println!("{:>5} {arrows:>8} {loss:>19} {tree:>13}", graph.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Up to ten boxes and arrows anywhere, also back and in circles.
    fn random(rng: &mut fastrand::Rng) -> Graph {
        let count = rng.usize(2..=10);
        let mut graph = vec![Vec::new(); count];
        for _ in 0..rng.usize(0..=2 * count) {
            graph[rng.usize(0..count)].push(rng.usize(0..count));
        }
        graph
    }

    #[test]
    fn a_dominator_is_a_box_whose_loss_cuts_the_end_off() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut between = 0;
        for _ in 0..5_000 {
            let graph = random(&mut rng);
            let above = dominators(&graph, &mut 0);
            let reached = reached(&graph, None, &mut 0);
            for end in (1..graph.len()).filter(|end| reached[*end]) {
                let tree = by_tree(&above, end);
                assert_eq!(tree, by_loss(&graph, end, &mut 0), "{graph:?}");
                assert!(tree.contains(&end), "the end point itself");
                between += tree.len() - 1;
            }
        }
        assert!(between > 3_000, "{between}");
    }

    /// Boxes other than the lost one that a walk along lines finds.
    fn found_without(lines: &Graph, lost: Option<usize>) -> usize {
        let start = usize::from(lost == Some(0));
        let (mut seen, mut to_visit) = (BTreeSet::from([start]), vec![start]);
        while let Some(at) = to_visit.pop() {
            for &next in &lines[at] {
                if Some(next) != lost && seen.insert(next) {
                    to_visit.push(next);
                }
            }
        }
        seen.len()
    }

    #[test]
    fn an_articulation_point_is_a_box_whose_loss_parts_the_others() {
        let mut rng = fastrand::Rng::with_seed(2);
        let mut points = 0;
        for _ in 0..5_000 {
            let mut lines = random(&mut rng);
            for from in 0..lines.len() {
                for to in lines[from].clone() {
                    lines[to].push(from);
                }
            }
            let count = lines.len();
            if found_without(&lines, None) == count {
                let parts =
                    |lost: &usize| found_without(&lines, Some(*lost)) < count - 1;
                let expected: BTreeSet<_> = (0..count).filter(parts).collect();
                assert_eq!(articulation_points(&lines), expected, "{lines:?}");
                points += expected.len();
            }
        }
        assert!(points > 1_000, "{points}");
    }

    #[test]
    fn articulation_points_miss_both_end_points_and_accuse_the_client() {
        let graph = today(false);
        let found = articulation_points(&graph);
        assert_eq!(names(&found), "client, balancer");
        let above = dominators(&graph, &mut 0);
        assert_eq!(names(&by_tree(&above, DNS)), "DNS");
        assert_eq!(names(&by_tree(&above, ORDERS)), "balancer, orders");
    }

    #[test]
    fn a_monitor_hides_the_balancer_from_articulation_points_only() {
        let graph = today(true);
        assert!(articulation_points(&graph).is_empty());
        let above = dominators(&graph, &mut 0);
        assert_eq!(names(&by_tree(&above, ORDERS)), "balancer, orders");
    }

    #[test]
    fn ten_times_the_boxes_are_100_times_the_work_by_loss_and_10_by_tree() {
        let work = |layers| {
            let (mut loss, mut tree) = (0, 0);
            by_loss(&ladder(layers), layers * 3, &mut loss);
            dominators(&ladder(layers), &mut tree);
            (loss as f64, tree as f64)
        };
        let (small, large) = (work(30), work(300));
        assert!((90.0..110.0).contains(&(large.0 / small.0)), "{large:?}");
        assert!((9.0..11.0).contains(&(large.1 / small.1)), "{large:?}");
    }
}
