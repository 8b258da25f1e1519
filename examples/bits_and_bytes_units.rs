//! Sizes in two systems of units that the compiler keeps apart.
//!
//! What it shows: SI prefixes (kB, MB, GB) are powers of 1000, IEC prefixes
//! (KiB, MiB, GiB) are powers of 1024. A [`Size`] carries its system in its
//! type, so adding gigabytes to gibibytes does not compile, and crossing over
//! is a call that you can see: [`Size::to`].
//!
//! What to look for in the output: the gap between the two systems grows with
//! every step, from 2.4 % at kilo to 12.6 % at peta, and the "1 TB" disk that
//! some tools report as "931 GB".
//!
//! What is simplified: whole bytes only, six steps (u64 holds 18 exabytes),
//! one decimal, sums beyond u64 overflow like any other, and no third type for
//! the JEDEC habit of writing "GB" on a memory module that holds gibibytes:
//! its bytes are counted from its addresses.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Add;
use std::str::FromStr;

/// What a memory module sold as "32GB" can address: Micron MTA16ATF4G64HZ,
/// data sheet rev. G, table 1. Each column is 64 bits wide.
const ROWS: u64 = 128 * 1024;
const COLUMNS: u64 = 1024;
const BANKS: u64 = 16;
const RANKS: u64 = 2;
const COLUMN_BYTES: u64 = 8;
const MODULE_BYTES: u64 = ROWS * COLUMNS * BANKS * RANKS * COLUMN_BYTES;

// ANCHOR: systems
/// A system of prefixes: how far apart its steps are, and their symbols.
trait System {
    const STEP: u64;
    const SYMBOLS: [&'static str; 6];
}

/// The decimal prefixes of the International System of Units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Si;

/// The binary prefixes of IEC 80000-13.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Iec;

impl System for Si {
    const STEP: u64 = 1000;
    const SYMBOLS: [&'static str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
}

impl System for Iec {
    const STEP: u64 = 1024;
    const SYMBOLS: [&'static str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
}

/// An exact number of bytes that remembers the system it is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size<S> {
    bytes: u64,
    system: PhantomData<S>,
}
// ANCHOR_END: systems

#[derive(Debug, PartialEq, Eq)]
enum SizeError {
    /// Not of the form `<whole number> <symbol>`.
    NotASize(String),
    /// A symbol that this system does not have: "GiB" is not an SI unit.
    ForeignUnit(String),
    /// More bytes than a u64 can count.
    TooLarge,
}

impl<S: System> Size<S> {
    const fn from_bytes(bytes: u64) -> Self {
        Size {
            bytes,
            system: PhantomData,
        }
    }

    /// The same bytes, from now on counted in the other system.
    const fn to<T: System>(self) -> Size<T> {
        Size::from_bytes(self.bytes)
    }
}

/// Only sizes of one and the same system add up.
impl<S: System> Add for Size<S> {
    type Output = Size<S>;

    fn add(self, other: Self) -> Self {
        Size::from_bytes(self.bytes + other.bytes)
    }
}

// ANCHOR: display
impl<S: System> fmt::Display for Size<S> {
    /// Integers all the way: floats would round before we decide the unit.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = |scale: u64| {
            let scale = u128::from(scale);
            (u128::from(self.bytes) * 10 + scale / 2) / scale
        };
        let full = u128::from(S::STEP) * 10;
        let (mut step, mut scale) = (0, 1);
        // Asks the *rounded* value: 999,950 bytes are 1.0 MB, not 1000.0 kB.
        while tenths(scale) >= full && step + 1 < S::SYMBOLS.len() {
            scale *= S::STEP;
            step += 1;
        }
        match step {
            0 => write!(f, "{} {}", self.bytes, S::SYMBOLS[0]),
            _ => {
                let t = tenths(scale);
                write!(f, "{}.{} {}", t / 10, t % 10, S::SYMBOLS[step])
            }
        }
    }
}
// ANCHOR_END: display

impl<S: System> FromStr for Size<S> {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let not_a_size = || SizeError::NotASize(text.to_string());
        let (count, symbol) = text.split_once(' ').ok_or_else(not_a_size)?;
        let count: u64 = count.parse().map_err(|_| not_a_size())?;
        let step = S::SYMBOLS
            .iter()
            .position(|known| *known == symbol)
            .ok_or_else(|| SizeError::ForeignUnit(symbol.to_string()))?;
        let scale = (0..step).fold(1, |scale, _| scale * S::STEP);
        let bytes = count.checked_mul(scale).ok_or(SizeError::TooLarge)?;
        Ok(Size::from_bytes(bytes))
    }
}

fn main() -> Result<(), SizeError> {
    println!("one unit       SI, bytes          IEC, bytes         gap");
    let (mut si, mut iec) = (1_u64, 1_u64);
    for (s, i) in Si::SYMBOLS.iter().zip(Iec::SYMBOLS).skip(1) {
        si *= Si::STEP;
        iec *= Iec::STEP;
        let gap_per_mille = ((iec - si) * 1000 + si / 2) / si;
        let (whole, tenth) = (gap_per_mille / 10, gap_per_mille % 10);
        println!("{s} and {i:<5}  {si:<17}  {iec:<17}  {whole:>2}.{tenth} %");
    }

    let disk: Size<Si> = "1 TB".parse()?;
    println!("\na disk sold as      {disk} = {} bytes", disk.bytes);
    println!("counted in IEC      {}", disk.to::<Iec>());

    let addresses = Size::<Iec>::from_bytes(1 << 32);
    println!(
        "\n2^32 addresses      {addresses} = {}",
        addresses.to::<Si>()
    );
    let module = Size::<Iec>::from_bytes(MODULE_BYTES);
    println!("memory sold as 32GB {module} = {}", module.to::<Si>());

    let card: Size<Si> = "16 GB".parse()?;
    let image: Size<Iec> = "8 GiB".parse()?;
    let both = card + image.to::<Si>();
    println!("\n16 GB plus 8 GiB    {both}, after an explicit to::<Si>()");
    let mixed = "8 GiB".parse::<Size<Si>>();
    println!("\"8 GiB\" read as SI  {mixed:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn si(text: &str) -> Size<Si> {
        text.parse().expect("a size in SI units")
    }

    fn iec(text: &str) -> Size<Iec> {
        text.parse().expect("a size in IEC units")
    }

    #[test]
    fn a_terabyte_disk_is_931_gibibytes() {
        assert_eq!(si("1 TB").bytes, 1_000_000_000_000);
        assert_eq!(si("1 TB").to::<Iec>().to_string(), "931.3 GiB");
    }

    #[test]
    fn thirty_two_address_bits_reach_four_gibibytes() {
        assert_eq!(iec("4 GiB").bytes, 1 << 32);
        assert_eq!(iec("4 GiB").to::<Si>().to_string(), "4.3 GB");
    }

    #[test]
    fn a_memory_module_sold_as_32_gb_holds_32_gibibytes() {
        assert_eq!(MODULE_BYTES, iec("32 GiB").bytes);
        assert_ne!(MODULE_BYTES, si("32 GB").bytes);
    }

    #[test]
    fn a_system_refuses_the_other_ones_symbols() {
        let foreign = |unit: &str| SizeError::ForeignUnit(unit.to_string());
        assert_eq!("1 GiB".parse::<Size<Si>>(), Err(foreign("GiB")));
        assert_eq!("1 GB".parse::<Size<Iec>>(), Err(foreign("GB")));
    }

    #[test]
    fn rounding_up_moves_on_to_the_next_unit() {
        assert_eq!(Size::<Si>::from_bytes(999_949).to_string(), "999.9 kB");
        assert_eq!(Size::<Si>::from_bytes(999_950).to_string(), "1.0 MB");
        assert_eq!(
            Size::<Iec>::from_bytes((1 << 20) - 1).to_string(),
            "1.0 MiB"
        );
    }

    #[test]
    fn the_largest_size_still_prints_and_a_larger_one_is_refused() {
        assert_eq!(Size::<Si>::from_bytes(u64::MAX).to_string(), "18446.7 PB");
        assert_eq!("20000 PB".parse::<Size<Si>>(), Err(SizeError::TooLarge));
    }

    #[test]
    fn changing_the_system_never_changes_the_bytes() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..10_000 {
            let size = Size::<Si>::from_bytes(random.u64(..));
            assert_eq!(size.to::<Iec>().to::<Si>(), size);
        }
    }
}
