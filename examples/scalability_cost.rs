//! What a load costs on one bigger machine, and on several small ones.
//!
//! Both ways lose something as they grow: inside a machine cores wait for memory
//! and locks, between machines there is a balancer and they must agree. Each
//! follows the Universal Scalability Law with numbers of its own. Look at where
//! the cheaper column changes, at the last load that one machine can carry, and
//! at the two columns that survive the loss of a machine.
//!
//! The prices and the numbers of the law are assumptions; put in your own. What
//! holds for all of them is tested: the shape.

// ANCHOR: ways
/// Requests a second that one core does alone.
const CORE_RPS: f64 = 100.0;
/// A core costs the same in every size: an assumption, look at your price list.
const CORE_PRICE: f64 = 20.0;
/// What machines cost beside their cores when there are several.
const BALANCER_PRICE: f64 = 30.0;

const SIZES: [u32; 8] = [1, 2, 4, 8, 16, 32, 64, 128]; // cores of one machine
const SMALL: u32 = 4; // cores of one of several
const MACHINES_MAX: u32 = 200;

/// The Universal Scalability Law: how many times the work of one `n` do.
fn capacity(n: f64, contention: f64, coherence: f64) -> f64 {
    n / (1.0 + contention * (n - 1.0) + coherence * n * (n - 1.0))
}

fn machine_rps(cores: u32) -> f64 {
    CORE_RPS * capacity(f64::from(cores), 0.01, 0.000_02)
}

fn cluster_rps(machines: u32) -> f64 {
    machine_rps(SMALL) * capacity(f64::from(machines), 0.005, 0.000_1)
}

/// The price of one machine that carries the load, or of two, one to spare.
fn up(load_rps: f64, spare: bool) -> Option<f64> {
    let cores = SIZES
        .into_iter()
        .find(|cores| machine_rps(*cores) >= load_rps)?;
    let machine = f64::from(cores) * CORE_PRICE;
    Some(if spare {
        2.0 * machine + BALANCER_PRICE
    } else {
        machine
    })
}

/// The price of the fewest small machines that carry the load, with one to spare.
fn out(load_rps: f64, spare: bool) -> Option<f64> {
    let fits = |n: &u32| cluster_rps(*n) >= load_rps;
    let machines = (1..=MACHINES_MAX).find(fits)? + u32::from(spare);
    let small = f64::from(SMALL) * CORE_PRICE;
    Some(f64::from(machines) * small + BALANCER_PRICE)
}
// ANCHOR_END: ways

const LOADS: [f64; 9] = [
    100.0, 400.0, 800.0, 1_600.0, 3_000.0, 5_000.0, 6_500.0, 9_000.0, 12_000.0,
];

fn main() {
    let cell = |price: Option<f64>| match price {
        Some(price) => format!("{price:9.0}"),
        None => format!("{:>9}", "none"),
    };
    println!("price of    one machine lost, none left  one lost, load carried");
    println!("requests/s       up      out  cheaper        up      out  cheaper");
    for load in LOADS {
        let row = [false, true].map(|spare| {
            let (up, out) = (up(load, spare), out(load, spare));
            let cheaper = match (up, out) {
                (Some(up), Some(out)) if up <= out => "up",
                (_, Some(_)) => "out",
                (Some(_), None) => "up",
                (None, None) => "none",
            };
            format!("{}{}  {cheaper:7}", cell(up), cell(out))
        });
        println!("{load:10.0}{}{}", row[0], row[1].trim_end());
    }
    println!("\nprice of 100 requests/s, no spare");
    for load in LOADS {
        let each = |price: Option<f64>| price.map(|price| price / load * 100.0);
        println!(
            "{load:10.0}{}{}",
            cell(each(up(load, false))),
            cell(each(out(load, false)))
        );
    }
    let most = |rps: &dyn Fn(u32) -> f64, sizes: &mut dyn Iterator<Item = u32>| {
        sizes.map(rps).fold(0.0, f64::max)
    };
    let up_max = most(&machine_rps, &mut SIZES.into_iter());
    let out_max = most(&cluster_rps, &mut (1..=MACHINES_MAX));
    println!("\nat most {up_max:.0} requests/s up, {out_max:.0} out");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_load_is_cheaper_on_one_machine_and_a_large_one_on_several() {
        assert!(up(100.0, false) < out(100.0, false));
        let large = LOADS.into_iter().rfind(|load| up(*load, false).is_some());
        let large = large.expect("some load fits one machine");
        assert!(out(large, false) < up(large, false));
    }

    #[test]
    fn one_machine_has_a_ceiling_and_several_have_a_higher_one() {
        assert_eq!(up(15_000.0, false), None);
        assert!(out(15_000.0, false).is_some());
        assert_eq!(out(1e6, false), None);
    }

    #[test]
    fn out_a_request_gets_cheaper_while_it_shares_the_balancer_then_dearer() {
        let full = |n: u32| f64::from(n * SMALL) * CORE_PRICE + BALANCER_PRICE;
        let price = |n: u32| full(n) / cluster_rps(n);
        let least =
            (1..=MACHINES_MAX).min_by(|a, b| price(*a).total_cmp(&price(*b)));
        let least = least.expect("there are sizes");
        assert!((2..MACHINES_MAX).contains(&least), "{least}");
        assert!((1..least).all(|n| price(n + 1) < price(n)));
        assert!((least..MACHINES_MAX).all(|n| price(n + 1) > price(n)));
    }

    #[test]
    fn each_machine_more_makes_the_machines_of_a_request_dearer() {
        let each = |n: u32| f64::from(n) / cluster_rps(n);
        assert!((1..MACHINES_MAX).all(|n| each(n + 1) > each(n)));
    }

    #[test]
    fn one_small_machine_and_a_balancer_are_the_least_that_out_costs() {
        assert_eq!(out(1.0, false), Some(4.0 * 20.0 + 30.0));
    }

    #[test]
    fn to_survive_a_loss_costs_double_up_and_one_machine_out() {
        for load in LOADS {
            if let (Some(plain), Some(spare)) = (up(load, false), up(load, true)) {
                assert_eq!(spare, 2.0 * plain + BALANCER_PRICE);
            }
            if let (Some(plain), Some(spare)) = (out(load, false), out(load, true)) {
                assert_eq!(spare - plain, f64::from(SMALL) * CORE_PRICE);
            }
        }
    }

    #[test]
    fn what_is_bought_carries_the_load() {
        for load in (50..12_000).step_by(50) {
            let load = f64::from(load);
            if let Some(price) = up(load, false) {
                let cores = (price / CORE_PRICE).round() as u32;
                assert!(machine_rps(cores) >= load);
                assert!(cores == 1 || machine_rps(cores / 2) < load);
            }
            if let Some(price) = out(load, false) {
                let small = f64::from(SMALL) * CORE_PRICE;
                let n = ((price - BALANCER_PRICE) / small).round() as u32;
                assert!(
                    cluster_rps(n) >= load && (n == 1 || cluster_rps(n - 1) < load)
                );
            }
        }
    }
}
