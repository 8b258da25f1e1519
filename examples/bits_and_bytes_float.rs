//! An IEEE 754 dissector: why 0.1 + 0.2 is not 0.3.
//!
//! What it shows: the 64 bits of an `f64` are a sign, 11 bits of exponent and
//! 52 bits of fraction, and together they are a whole number times a power of
//! two. One tenth is not such a number, so the nearest one is stored. Then the
//! sum is done by hand, in integers, with the rounding that the standard asks
//! for, and comes out as the hardware's, bit for bit.
//!
//! What to look for in the output: the sum falls exactly half-way between two
//! doubles; the tie goes to the even one, which is one step above 0.3.
//!
//! What is simplified: the hand-made sum takes positive normal numbers only,
//! and the default rounding (to nearest, ties to even).

/// Bits of the fraction field of binary64, and the bias of its exponent.
const FRACTION_BITS: u32 = 52;
const EXPONENT_BIAS: i32 = 1023;
const EXPONENT_FIELD_MAX: u64 = 0x7FF;

// ANCHOR: dissect
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Zero,
    Subnormal,
    Normal,
    Infinite,
    NotANumber,
}

/// The three fields of a binary64 number, as they lie in the 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Fields {
    negative: bool,
    exponent: u64,
    fraction: u64,
}

impl Fields {
    fn of(number: f64) -> Fields {
        let bits = number.to_bits();
        Fields {
            negative: bits >> 63 == 1,
            exponent: bits >> FRACTION_BITS & EXPONENT_FIELD_MAX,
            fraction: bits & ((1 << FRACTION_BITS) - 1),
        }
    }

    fn kind(self) -> Kind {
        match (self.exponent, self.fraction) {
            (0, 0) => Kind::Zero,
            (0, _) => Kind::Subnormal,
            (EXPONENT_FIELD_MAX, 0) => Kind::Infinite,
            (EXPONENT_FIELD_MAX, _) => Kind::NotANumber,
            _ => Kind::Normal,
        }
    }
}
// ANCHOR_END: dissect

/// A positive normal number as `significand` × 2^`power`, exactly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Exact {
    significand: u64,
    power: i32,
}

impl Exact {
    fn of(number: f64) -> Option<Exact> {
        let fields = Fields::of(number);
        if fields.negative || fields.kind() != Kind::Normal {
            return None;
        }
        Some(Exact {
            // The leading 1 of a normal number is implied, not stored.
            significand: 1 << FRACTION_BITS | fields.fraction,
            power: fields.exponent as i32 - EXPONENT_BIAS - FRACTION_BITS as i32,
        })
    }

    fn to_f64(self) -> f64 {
        let exponent = (self.power + EXPONENT_BIAS + FRACTION_BITS as i32) as u64;
        let fraction = self.significand & ((1 << FRACTION_BITS) - 1);
        f64::from_bits(exponent << FRACTION_BITS | fraction)
    }
}

// ANCHOR: add
/// a + b the way the standard says: the exact sum, then rounded once.
/// None when the sum is too large for a finite f64.
fn add(a: Exact, b: Exact) -> Option<Exact> {
    let (low, high) = if a.power <= b.power { (a, b) } else { (b, a) };
    let apart = (high.power - low.power) as u32;
    if apart > 64 {
        return Some(high); // the smaller one is below half a step
    }
    let (small, large) = (u128::from(low.significand), u128::from(high.significand));
    let sum = small + (large << apart);
    // Keep 53 bits; what does not fit (one bit at least) decides the rounding.
    let extra = 128 - sum.leading_zeros() - (FRACTION_BITS + 1);
    let mut kept = (sum >> extra) as u64;
    let mut power = low.power + extra as i32;
    let lost = sum & ((1 << extra) - 1);
    let half = 1 << (extra - 1);
    let tie_to_even = lost == half && kept % 2 == 1;
    if lost > half || tie_to_even {
        kept += 1;
        if kept == 1 << (FRACTION_BITS + 1) {
            kept /= 2;
            power += 1;
        }
    }
    let power_max = EXPONENT_BIAS - FRACTION_BITS as i32;
    (power <= power_max).then_some(Exact {
        significand: kept,
        power,
    })
}
// ANCHOR_END: add

fn main() {
    println!("number  sign  exponent     fraction (52 bits in hex)  kind");
    for number in [1.0, 0.1, -0.5, 0.0, 5e-324, f64::INFINITY, f64::NAN] {
        let f = Fields::of(number);
        let (sign, exponent, fraction) = (f.negative as u8, f.exponent, f.fraction);
        let (kind, name) = (f.kind(), format!("{number:?}"));
        println!("{name:<6}  {sign}     {exponent:011b}  {fraction:013x}  {kind:?}");
    }

    println!("\nwhat is really stored");
    for (name, number) in [("0.1", 0.1), ("0.2", 0.2), ("0.3", 0.3)] {
        println!("{name}  {number:.55}");
    }
    println!("sum  {:.55}", 0.1 + 0.2);

    println!("\nas whole number * power of two");
    for (name, number) in [("0.1", 0.1), ("0.2", 0.2), ("0.3", 0.3)] {
        if let Some(e) = Exact::of(number) {
            println!("{name}  0x{:x} * 2^{}", e.significand, e.power);
        }
    }
    let sum = Exact::of(0.1).zip(Exact::of(0.2));
    if let Some(sum) = sum.and_then(|(a, b)| add(a, b)) {
        println!("sum  0x{:x} * 2^{}, by hand", sum.significand, sum.power);
        println!("by hand == by hardware: {}", sum.to_f64() == 0.1 + 0.2);
    }
    let above = 2_f64.powi(53) + 1.0;
    println!("\n2^53 + 1 as f64: {above:.0}, it has no bit left for the 1");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_plus_two_tenths_is_one_step_above_three_tenths() {
        assert_ne!(0.1 + 0.2, 0.3);
        assert_eq!((0.1_f64 + 0.2).to_bits(), 0.3_f64.to_bits() + 1);
    }

    #[test]
    fn the_exact_sum_is_a_tie_and_the_even_neighbour_wins() {
        let [a, b, c] = [0.1, 0.2, 0.3].map(|x| Exact::of(x).expect("normal"));
        assert_eq!((a.power, b.power, c.power), (-56, -55, -54));
        // In units of 2^-56 a step of 2^-54 is 4, so a remainder of 2 is a tie.
        let exact = a.significand + 2 * b.significand;
        assert_eq!(exact % 4, 2);
        assert_eq!(exact / 4, c.significand);
        assert_eq!(c.significand % 2, 1, "0.3 is the odd neighbour");
    }

    #[test]
    fn the_hand_made_sum_equals_the_hardware_on_random_pairs() {
        let mut random = fastrand::Rng::with_seed(754);
        let mut normal = |exponent: u64| {
            let fraction = random.u64(..1 << FRACTION_BITS);
            f64::from_bits(exponent << FRACTION_BITS | fraction)
        };
        for round in 0..200_000 {
            let x = normal(1 + round % 2_046);
            let y = normal((1 + round % 2_046 + round % 71).min(2_046));
            let ours = Exact::of(x).zip(Exact::of(y)).and_then(|(a, b)| add(a, b));
            let ours = ours.map_or(f64::INFINITY, Exact::to_f64);
            assert_eq!(ours, x + y, "{x:e} + {y:e}");
        }
    }

    #[test]
    fn rounding_up_a_row_of_ones_carries_into_the_exponent() {
        let ones = ((1_u64 << 53) - 1) as f64;
        let pair = Exact::of(ones).zip(Exact::of(0.75));
        let sum = pair.and_then(|(a, b)| add(a, b)).map(Exact::to_f64);
        assert_eq!(sum, Some(2_f64.powi(53)));
        assert_eq!(ones + 0.75, 2_f64.powi(53));
    }

    #[test]
    fn the_kinds_follow_from_the_exponent_field() {
        let kind = |x: f64| Fields::of(x).kind();
        assert_eq!(kind(-0.0), Kind::Zero);
        assert_eq!(kind(f64::MIN_POSITIVE), Kind::Normal);
        assert_eq!(kind(f64::MIN_POSITIVE / 2.0), Kind::Subnormal);
        assert_eq!(kind(1.0 / 0.0), Kind::Infinite);
        assert_eq!(kind((-1.0_f64).sqrt()), Kind::NotANumber);
    }

    #[test]
    fn integers_are_exact_up_to_two_to_the_53_and_not_beyond() {
        let limit = 1_u64 << 53;
        assert_eq!((limit - 1) as f64 as u64, limit - 1);
        assert_eq!((limit + 1) as f64 as u64, limit);
    }
}
