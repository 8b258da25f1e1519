//! After the cut: two ways to make two replicas of a shopping cart agree.
//!
//! Both replicas took orders while they could not talk. The last write wins: one
//! side's orders are gone, though each was confirmed. A version vector sees that
//! neither side knew of the other, and keeps both carts for the application to
//! merge. Look at the last column too: keeping both is not yet a right merge.
//!
//! Simplified: a client reads and writes at the same replica in one step, so
//! what it writes replaces all that the replica holds. A real client sends back
//! the version vector that it has read (Dynamo calls it the context).

use fastrand::Rng;
use std::collections::BTreeSet;

const REPLICAS: usize = 2;
const CUTS: u64 = 1000;
const ORDERS_MAX: u64 = 4; // at each replica during one cut
const BEHIND_MS: i64 = 5_000; // the error of the second replica's clock

type Cart = BTreeSet<String>;

/// One replica of one cart.
trait Replica: Clone {
    /// What a client reads: one cart, or siblings for it to merge.
    fn values(&self) -> Vec<Cart>;
    /// Replaces all of them. The clock is that of this replica.
    fn write(&mut self, id: usize, clock_ms: i64, cart: Cart);
    fn merge(&mut self, other: &Self);
}

// ANCHOR: last_write
/// Keeps the write with the highest time, and drops the other one.
#[derive(Clone, Default)]
struct LastWriteWins {
    stamp: (i64, usize), // the writer's clock, and who it was to break a tie
    cart: Cart,
}

impl Replica for LastWriteWins {
    fn values(&self) -> Vec<Cart> {
        vec![self.cart.clone()]
    }
    fn write(&mut self, id: usize, clock_ms: i64, cart: Cart) {
        let stamp = (clock_ms, id);
        self.merge(&LastWriteWins { stamp, cart });
    }
    fn merge(&mut self, other: &Self) {
        if other.stamp > self.stamp {
            *self = other.clone();
        }
    }
}
// ANCHOR_END: last_write

// ANCHOR: vector
/// How many writes of each replica stand behind a value. No clock.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct VersionVector([u64; REPLICAS]);

impl VersionVector {
    /// Whoever wrote this had seen the other.
    fn covers(self, other: VersionVector) -> bool {
        self.0
            .iter()
            .zip(other.0)
            .all(|(mine, theirs)| *mine >= theirs)
    }
}

/// Keeps every value that no other value covers.
#[derive(Clone, Default)]
struct Siblings(Vec<(VersionVector, Cart)>);
// ANCHOR_END: vector

// ANCHOR: siblings
impl Replica for Siblings {
    fn values(&self) -> Vec<Cart> {
        self.0.iter().map(|(_, cart)| cart.clone()).collect()
    }
    fn write(&mut self, id: usize, _clock_ms: i64, cart: Cart) {
        let mut seen = VersionVector::default();
        for (vector, _) in &self.0 {
            for (most, count) in seen.0.iter_mut().zip(vector.0) {
                *most = count.max(*most);
            }
        }
        seen.0[id] += 1;
        self.0 = vec![(seen, cart)];
    }
    fn merge(&mut self, other: &Self) {
        let theirs = other.0.iter().cloned();
        for (vector, cart) in theirs {
            if !self.0.iter().any(|(mine, _)| mine.covers(vector)) {
                self.0.retain(|(mine, _)| !vector.covers(*mine));
                self.0.push((vector, cart));
            }
        }
    }
}
// ANCHOR_END: siblings

/// The application's merge.
fn union(siblings: Vec<Cart>) -> Cart {
    siblings.into_iter().flatten().collect()
}

enum Order {
    Add(String),
    Remove(String),
}

struct Shop<R> {
    replicas: [R; REPLICAS],
    clock_error_ms: [i64; REPLICAS],
    now_ms: i64,
}

impl<R: Replica + Default> Shop<R> {
    fn new(behind_ms: i64) -> Self {
        Shop {
            replicas: [R::default(), R::default()],
            clock_error_ms: [0, -behind_ms],
            now_ms: 0,
        }
    }

    /// Takes one order at one replica and confirms it, a second after the last.
    fn order(&mut self, id: usize, order: Order) {
        self.now_ms += 1_000;
        let clock_ms = self.now_ms + self.clock_error_ms[id];
        let replica = &mut self.replicas[id];
        let mut cart = union(replica.values());
        match order {
            Order::Add(item) => cart.insert(item),
            Order::Remove(item) => cart.remove(&item),
        };
        replica.write(id, clock_ms, cart);
    }

    fn heal(&mut self) {
        let [one, two] = &mut self.replicas;
        one.merge(two);
        two.merge(one);
    }
}

/// What 1000 cuts did to confirmed orders.
#[derive(Debug, Default, PartialEq)]
struct Damage {
    orders: u64,
    adds_lost: usize,
    removals_undone: usize,
}

fn many_cuts<R: Replica + Default>(behind_ms: i64) -> Damage {
    let mut damage = Damage::default();
    for seed in 0..CUTS {
        let mut rng = Rng::with_seed(seed); // the same orders for every kind
        let mut shop = Shop::<R>::new(behind_ms);
        for item in ["bread", "cheese", "tea"] {
            shop.order(0, Order::Add(item.to_owned()));
        }
        shop.now_ms += BEHIND_MS; // long ago
        shop.heal();
        let (mut added, mut removed) = (Cart::new(), Cart::new());
        let mut orders_left = [(); REPLICAS].map(|()| rng.u64(..=ORDERS_MAX));
        damage.orders += orders_left.iter().sum::<u64>();
        while orders_left.iter().sum::<u64>() > 0 {
            let id = rng.u64(..REPLICAS as u64) as usize;
            if orders_left[id] == 0 {
                continue;
            }
            orders_left[id] -= 1;
            let cart = union(shop.replicas[id].values());
            let any = rng.u64(..cart.len().max(1) as u64) as usize;
            let order = match cart.into_iter().nth(any) {
                Some(item) if rng.u8(..3) == 0 => Order::Remove(item),
                _ => Order::Add(format!("item {}", shop.now_ms)),
            };
            match &order {
                Order::Add(item) => added.insert(item.clone()),
                Order::Remove(item) => removed.insert(item.clone()),
            };
            shop.order(id, order);
        }
        shop.heal();
        let cart = union(shop.replicas[0].values());
        damage.adds_lost += (&(&added - &removed) - &cart).len();
        damage.removals_undone += (&removed & &cart).len();
    }
    damage
}

/// Bread is in the cart. Both sides add to it, and meet again.
fn two_sides<R: Replica + Default>(is_cut: bool, behind_ms: i64) -> String {
    let mut shop = Shop::<R>::new(behind_ms);
    for (id, item) in [(0, "bread"), (0, "milk"), (1, "eggs")] {
        shop.order(id, Order::Add(item.to_owned()));
        if item == "bread" || !is_cut {
            shop.heal();
        }
    }
    shop.heal();
    let text = |cart: Cart| Vec::from_iter(cart).join(", ");
    let values = shop.replicas[0].values().into_iter().map(text);
    Vec::from_iter(values).join("  |  ")
}

fn main() {
    println!("bread; then a cut: milk at n1, a second later eggs at n2");
    println!(
        "  last write wins     {}",
        two_sides::<LastWriteWins>(true, 0)
    );
    println!("  version vector      {}", two_sides::<Siblings>(true, 0));
    println!("\nthe same without any cut, but n2's clock is 5 s behind");
    let behind = two_sides::<LastWriteWins>(false, BEHIND_MS);
    println!("  last write wins     {behind}");
    println!(
        "  version vector      {}",
        two_sides::<Siblings>(false, BEHIND_MS)
    );

    println!("\n1000 cuts          confirmed  adds lost  removals undone");
    let row = |name: &str, damage: Damage| {
        let Damage {
            orders,
            adds_lost,
            removals_undone,
        } = damage;
        println!("  {name:<18} {orders:>7} {adds_lost:>10} {removals_undone:>16}");
    };
    row("last write wins", many_cuts::<LastWriteWins>(0));
    row("vector, union", many_cuts::<Siblings>(0));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_write_wins_drops_confirmed_orders() {
        assert_eq!(two_sides::<LastWriteWins>(true, 0), "bread, eggs");
        assert!(many_cuts::<LastWriteWins>(0).adds_lost > 800);
    }

    #[test]
    fn a_slow_clock_drops_a_later_order_without_any_cut() {
        assert_eq!(two_sides::<LastWriteWins>(false, 0), "bread, eggs, milk");
        assert_eq!(two_sides::<LastWriteWins>(false, BEHIND_MS), "bread, milk");
    }

    #[test]
    fn a_version_vector_keeps_both_sides_whatever_the_clocks_say() {
        for behind_ms in [-BEHIND_MS, 0, BEHIND_MS] {
            let both = "bread, milk  |  bread, eggs";
            assert_eq!(two_sides::<Siblings>(true, behind_ms), both);
            let one = "bread, eggs, milk";
            assert_eq!(two_sides::<Siblings>(false, behind_ms), one);
            assert_eq!(many_cuts::<Siblings>(behind_ms).adds_lost, 0);
        }
    }

    #[test]
    fn a_union_brings_removed_items_back() {
        let union = many_cuts::<Siblings>(0);
        let last = many_cuts::<LastWriteWins>(0);
        assert!(union.removals_undone > 2 * last.removals_undone);
    }

    #[test]
    fn replicas_agree_whoever_merges_first_and_however_often() {
        let mut shop = Shop::<Siblings>::new(0);
        for (id, item) in [(0, "a"), (1, "b"), (0, "c")] {
            shop.order(id, Order::Add(item.to_owned()));
        }
        let [one, two] = shop.replicas.clone();
        shop.order(0, Order::Add("d".to_owned()));
        shop.replicas[0].merge(&one); // what it had before: nothing new
        assert_eq!(shop.replicas[0].values().len(), 1);

        let (mut left, mut right) = (one.clone(), two.clone());
        left.merge(&two);
        right.merge(&one);
        right.merge(&left);
        assert_eq!(left.values().len(), 2);
        assert!(left.0.iter().all(|sibling| right.0.contains(sibling)));
        assert_eq!(left.0.len(), right.0.len());
    }
}
