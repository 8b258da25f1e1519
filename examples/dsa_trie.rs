//! A trie of bits finds the longest route that begins an address, as a router
//! does for every packet.
//!
//! Look at `steps`: a list of routes is read to its end, because a longer match
//! may follow. The trie walks down one bit at a time and never more than 32, with
//! any number of routes. The last table is what that costs: most nodes have one
//! child and decide nothing.
//!
//! Simplified: IPv4 only, one node a bit. A kernel skips the nodes that decide
//! nothing (path compression) and branches on several bits at once.

use std::fmt;
use std::net::Ipv4Addr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Prefix {
    bits: u32,
    len: u32, // how many of the bits count, from the left: 0 to 32
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NextHop(u16);

impl Prefix {
    fn new(a: u8, b: u8, c: u8, d: u8, len: u32) -> Self {
        Self {
            bits: u32::from_be_bytes([a, b, c, d]),
            len,
        }
    }

    fn covers(self, address: u32) -> bool {
        self.len == 0 || (self.bits ^ address) >> (32 - self.len) == 0
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.bits), self.len)
    }
}

// ANCHOR: trie
#[derive(Clone, Copy, Default)]
struct Node {
    children: [Option<usize>; 2], // by the next bit
    hop: Option<NextHop>,         // if a route ends here
}

struct Trie {
    nodes: Vec<Node>,
}

fn bit(address: u32, at: u32) -> usize {
    (address >> (31 - at)) as usize & 1 // the leftmost is bit 0
}

impl Trie {
    fn insert(&mut self, prefix: Prefix, hop: NextHop) {
        let mut node = 0;
        for at in 0..prefix.len {
            let bit = bit(prefix.bits, at);
            node = self.nodes[node].children[bit].unwrap_or_else(|| {
                self.nodes.push(Node::default());
                self.nodes[node].children[bit] = Some(self.nodes.len() - 1);
                self.nodes.len() - 1
            });
        }
        self.nodes[node].hop = Some(hop);
    }

    fn remove(&mut self, prefix: Prefix) -> Option<NextHop> {
        let mut node = 0;
        for at in 0..prefix.len {
            node = self.nodes[node].children[bit(prefix.bits, at)]?;
        }
        self.nodes[node].hop.take() // its nodes stay
    }

    /// The hop of the longest prefix of the address, and the nodes visited.
    fn longest(&self, address: u32) -> (Option<NextHop>, u32) {
        let (mut node, mut best) = (0, self.nodes[0].hop);
        for at in 0..32 {
            match self.nodes[node].children[bit(address, at)] {
                Some(child) => node = child,
                None => return (best, at + 1),
            }
            best = self.nodes[node].hop.or(best); // a longer one wins
        }
        (best, 33)
    }

    /// All routes inside a prefix: what a search box does with what you typed.
    fn under(&self, prefix: Prefix) -> Vec<NextHop> {
        let down = |node: usize, at| self.nodes[node].children[bit(prefix.bits, at)];
        let mut found = Vec::new();
        let mut open: Vec<usize> =
            (0..prefix.len).try_fold(0, down).into_iter().collect();
        while let Some(node) = open.pop() {
            found.extend(self.nodes[node].hop);
            open.extend(self.nodes[node].children.iter().rev().flatten());
        }
        found
    }
}
// ANCHOR_END: trie

// ANCHOR: list
type Routes = Vec<(Prefix, NextHop)>;

/// Reads every route, because a longer one may come.
fn longest_in_list(routes: &Routes, address: u32) -> Option<NextHop> {
    let matching = routes.iter().filter(|(prefix, _)| prefix.covers(address));
    matching
        .max_by_key(|(prefix, _)| prefix.len)
        .map(|(_, hop)| *hop)
}

/// Stops at the first that matches. Wrong, unless the list is sorted by length.
fn first_in_list(routes: &Routes, address: u32) -> Option<NextHop> {
    let first = routes.iter().find(|(prefix, _)| prefix.covers(address));
    first.map(|(_, hop)| *hop)
}
// ANCHOR_END: list

fn trie_of(routes: &Routes) -> Trie {
    let mut trie = Trie {
        nodes: vec![Node::default()],
    };
    routes
        .iter()
        .for_each(|(prefix, hop)| trie.insert(*prefix, *hop));
    trie
}

/// Invented routes, no prefix twice: half of them /24.
fn random_routes(rng: &mut fastrand::Rng, count: usize) -> Routes {
    let mut routes: Routes = vec![(Prefix { bits: 0, len: 0 }, NextHop(0))];
    let mut seen = std::collections::HashSet::new();
    while routes.len() < count {
        let len = if rng.bool() { 24 } else { rng.u32(8..=24) };
        let bits = rng.u32(..) >> (32 - len) << (32 - len);
        if seen.insert((bits, len)) {
            routes.push((Prefix { bits, len }, NextHop(routes.len() as u16)));
        }
    }
    routes
}

fn main() {
    let routes: Routes = vec![
        (Prefix::new(0, 0, 0, 0, 0), NextHop(1)),
        (Prefix::new(10, 0, 0, 0, 8), NextHop(2)),
        (Prefix::new(10, 1, 0, 0, 16), NextHop(3)),
        (Prefix::new(10, 1, 2, 0, 24), NextHop(4)),
    ];
    let mut trie = trie_of(&routes);
    let hop = |hop: Option<NextHop>| hop.map_or("-".into(), |h| h.0.to_string());
    let shown: Vec<String> = routes
        .iter()
        .map(|(prefix, hop)| format!("{prefix} > {}", hop.0))
        .collect();
    println!("{}", shown.join(", "));
    println!("\npacket to     trie   list: first match   read to its end");
    for to in ["10.1.2.3", "10.1.9.9", "10.9.9.9", "8.8.8.8"] {
        let Ok(address) = to.parse::<Ipv4Addr>() else {
            continue;
        };
        let address = u32::from(address);
        let first = hop(first_in_list(&routes, address));
        let longest = hop(longest_in_list(&routes, address));
        let trie = hop(trie.longest(address).0);
        println!("{to:<12} {trie:>5} {first:>19} {longest:>17}");
    }
    let under = trie.under(Prefix::new(10, 1, 0, 0, 16));
    let under: Vec<String> = under.iter().map(|hop| hop.0.to_string()).collect();
    println!("\nroutes inside 10.1.0.0/16: {}", under.join(" and "));
    trie.remove(Prefix::new(10, 1, 2, 0, 24));
    let address = u32::from(Ipv4Addr::new(10, 1, 2, 3));
    println!(
        "10.1.2.0/24 is withdrawn: 10.1.2.3 > {}",
        hop(trie.longest(address).0)
    );

    println!("\nroutes    steps: list    trie, mean    nodes   with one child");
    for count in [10, 100, 1_000, 10_000] {
        let mut rng = fastrand::Rng::with_seed(7);
        let routes = random_routes(&mut rng, count);
        let trie = trie_of(&routes);
        let visit = |_| trie.longest(rng.u32(..)).1;
        let steps = f64::from((0..1_000).map(visit).sum::<u32>()) / 1_000.0;
        let children = |node: &&Node| node.children.iter().flatten().count() == 1;
        let single = trie.nodes.iter().filter(children).count();
        print!("{count:>6} {:>14} {steps:>13.1}", routes.len());
        println!(
            " {:>8} {:>14} %",
            trie.nodes.len(),
            single * 100 / trie.nodes.len()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Few bits, so that routes nest.
    fn nested(rng: &mut fastrand::Rng) -> Routes {
        let mut routes = Routes::new();
        for hop in 0..rng.u16(1..40) {
            let len = rng.u32(..=32);
            let bits = rng.u32(..) & 0x8000_8081;
            let bits = bits.checked_shr(32 - len).unwrap_or(0);
            let prefix = Prefix {
                bits: bits.checked_shl(32 - len).unwrap_or(0),
                len,
            };
            routes.retain(|(other, _)| *other != prefix);
            routes.push((prefix, NextHop(hop)));
        }
        routes
    }

    #[test]
    fn the_longest_prefix_wins_as_in_a_list_read_to_its_end() {
        for seed in 0..300 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut routes = nested(&mut rng);
            let mut trie = trie_of(&routes);
            for _ in 0..50 {
                let address = rng.u32(..) & 0x8000_8081;
                let (hop, steps) = trie.longest(address);
                assert_eq!(hop, longest_in_list(&routes, address), "{seed}");
                assert!(steps <= 33);
            }
            while let Some((prefix, hop)) = routes.pop() {
                assert_eq!(trie.remove(prefix), Some(hop));
                let address = rng.u32(..) & 0x8000_8081;
                let expected = longest_in_list(&routes, address);
                assert_eq!(trie.longest(address).0, expected, "{seed}");
            }
        }
    }

    #[test]
    fn a_prefix_lists_what_is_under_it() {
        for seed in 0..200 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let routes = nested(&mut rng);
            let trie = trie_of(&routes);
            let (whole, _) = routes[rng.usize(..routes.len())];
            let mut expected = routes.clone();
            expected.retain(|(p, _)| p.len >= whole.len && whole.covers(p.bits));
            expected.sort_by_key(|(prefix, _)| (prefix.bits, prefix.len));
            let expected: Vec<NextHop> =
                expected.into_iter().map(|(_, hop)| hop).collect();
            assert_eq!(trie.under(whole), expected, "{seed}");
        }
    }

    #[test]
    fn the_first_match_sends_packets_the_wrong_way() {
        let all = (Prefix::new(0, 0, 0, 0, 0), NextHop(1));
        let ten = (Prefix::new(10, 0, 0, 0, 8), NextHop(2));
        let address = 0x0a01_0203;
        assert_eq!(first_in_list(&vec![all, ten], address), Some(NextHop(1)));
        assert_eq!(longest_in_list(&vec![all, ten], address), Some(NextHop(2)));
        assert_eq!(
            trie_of(&vec![all, ten]).longest(address).0,
            Some(NextHop(2))
        );
    }

    #[test]
    fn an_address_without_a_route_has_none() {
        let trie = trie_of(&vec![(Prefix::new(10, 0, 0, 0, 8), NextHop(2))]);
        assert_eq!(trie.longest(0x0b00_0000).0, None);
    }
}
