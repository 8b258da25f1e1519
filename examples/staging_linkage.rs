//! Names and numbers are pseudonyms, the key is safe. Who is still alone?
//!
//! An attacker knows a few ordinary things about a neighbour and looks for the rows
//! that fit. Look at `alone`: the share of 5,000 customers whom what he knows
//! singles out. Then at k, the size of the smallest group: data are k-anonymous for
//! these columns when nobody stands in a group of fewer than k. Coarser columns
//! make larger groups, and `groups` says how much is left of them to test with.
//!
//! Simplified: people invented, attributes independent except that cities differ in
//! size. What an attacker may know is assumed, and that is the weak point of k:
//! nobody can list it.

use std::collections::BTreeMap;

const CUSTOMERS: usize = 5_000;
const CITIES: u32 = 40;

#[derive(Clone)]
struct Customer {
    city: u32,
    born: u32, // year
    born_day: u32,
    purchases: u32,
}

fn customers(seed: u64) -> Vec<Customer> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let one = |_| Customer {
        city: rng.u32(..CITIES) * rng.u32(..CITIES) / CITIES, // few large ones
        born: rng.u32(1940..2006),
        born_day: rng.u32(..365),
        purchases: rng.u32(..8) * rng.u32(..8),
    };
    (0..CUSTOMERS).map(one).collect()
}

// ANCHOR: views
/// What a column shows: the attacker sees two customers as one if they agree here.
type View = fn(&Customer) -> Vec<u32>;

const VIEWS: [(&str, View); 6] = [
    ("city", |c| vec![c.city]),
    ("city, year of birth", |c| vec![c.city, c.born]),
    ("city, date of birth", |c| vec![c.city, c.born, c.born_day]),
    ("city, year, purchases", |c| {
        vec![c.city, c.born, c.purchases]
    }),
    ("region, decade, purchases", |c| {
        vec![c.city / 10, c.born / 10, c.purchases]
    }),
    ("region, generation, any", |c| {
        vec![c.city / 10, c.born / 30, u32::from(c.purchases > 0)]
    }),
];
// ANCHOR_END: views

struct Groups {
    sizes: Vec<usize>,
}

// ANCHOR: groups
impl Groups {
    fn of(customers: &[Customer], view: View) -> Self {
        let mut groups: BTreeMap<Vec<u32>, usize> = BTreeMap::new();
        for customer in customers {
            *groups.entry(view(customer)).or_default() += 1;
        }
        Self {
            sizes: groups.into_values().collect(),
        }
    }

    /// Customers in a group smaller than `k`.
    fn in_groups_below(&self, k: usize) -> usize {
        self.sizes.iter().filter(|size| **size < k).sum()
    }

    /// The data are k-anonymous for this k and none larger.
    fn k(&self) -> usize {
        self.sizes.iter().copied().min().unwrap_or(0)
    }
}
// ANCHOR_END: groups

fn main() {
    let customers = customers(26);
    println!("what is known                alone    of < 5      k   groups\n");
    for (known, view) in VIEWS {
        let groups = Groups::of(&customers, view);
        let share = |n: usize| 100.0 * n as f64 / CUSTOMERS as f64;
        let alone = share(groups.in_groups_below(2));
        let few = share(groups.in_groups_below(5));
        print!("{known:<26} {alone:>6.1}% {few:>8.1}%");
        println!(" {:>6} {:>8}", groups.k(), groups.sizes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(known: &str, customers: &[Customer]) -> Groups {
        let view = VIEWS.into_iter().find(|(name, _)| *name == known);
        Groups::of(customers, view.expect("a view of that name").1)
    }

    #[test]
    fn knowing_more_never_hides_anybody() {
        for seed in 0..20 {
            let customers = customers(seed);
            let alone = ["city", "city, year of birth", "city, date of birth"]
                .map(|known| groups(known, &customers).in_groups_below(2));
            assert!(alone[0] <= alone[1] && alone[1] <= alone[2], "{alone:?}");
        }
    }

    #[test]
    fn with_a_date_of_birth_and_a_city_nine_in_ten_are_alone() {
        let alone = groups("city, date of birth", &customers(26)).in_groups_below(2);
        assert!(alone * 10 > CUSTOMERS * 9, "{alone}");
    }

    #[test]
    fn three_ordinary_columns_without_a_date_single_out_most() {
        let alone =
            groups("city, year, purchases", &customers(26)).in_groups_below(2);
        assert!(alone * 2 > CUSTOMERS, "{alone}");
    }

    #[test]
    fn only_the_coarsest_view_is_5_anonymous() {
        let customers = customers(26);
        let k = VIEWS.map(|(_, view)| Groups::of(&customers, view).k());
        assert!(k[..5].iter().all(|k| *k < 5), "{k:?}");
        assert!(k[5] >= 5, "{k:?}");
    }

    #[test]
    fn grouping_counts_as_a_comparison_of_every_pair_does() {
        for seed in 0..5 {
            let customers = &customers(seed)[..200];
            for (known, view) in VIEWS {
                let alike = |one: &Customer| {
                    customers.iter().filter(|c| view(c) == view(one)).count()
                };
                let slow = customers.iter().filter(|one| alike(one) < 5).count();
                assert_eq!(groups(known, customers).in_groups_below(5), slow);
            }
        }
    }
}
