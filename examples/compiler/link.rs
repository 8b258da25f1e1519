//! Phase 7, linking and loading: objects become one image, and the image a process.

use super::codegen::Object;
use super::cpu::{Cause, Cpu, Instruction, Reg};
use super::encode::{encode, to_bytes};
use super::interpret::{Ending, Outcome};
use std::collections::BTreeMap;
use std::fmt;

pub struct Image {
    pub words: Vec<u32>,
    /// Where each function starts, in bytes from the start of the image.
    pub symbols: BTreeMap<String, u32>,
    /// Where a division by zero stops: module and line.
    lines: BTreeMap<u32, (String, u32)>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkError {
    Undefined {
        symbol: String,
        module: String,
    },
    Duplicate {
        symbol: String,
        modules: [String; 2],
    },
    /// Who calls it believes in another signature than who has it.
    Signature {
        symbol: String,
        wanted: (String, String),
        found: (String, String),
    },
    Encoding(String),
}

/// Puts the modules one after the other, then writes into each call how far away
/// its function is.
pub fn link(objects: &[Object]) -> Result<Image, Vec<LinkError>> {
    let mut errors = Vec::new();
    let mut words = Vec::new();
    let mut bases = Vec::new();
    let mut defined: BTreeMap<&str, (u32, &Object, &str)> = BTreeMap::new();
    for object in objects {
        let base = words.len() as u32 * 4;
        bases.push(base);
        words.extend(&object.words);
        for symbol in &object.symbols {
            let Some(at) = symbol.at else { continue };
            let entry = (base + at, object, &*symbol.signature);
            if let Some((_, first, _)) = defined.insert(&symbol.name, entry) {
                errors.push(LinkError::Duplicate {
                    symbol: symbol.name.clone(),
                    modules: [first.module.clone(), object.module.clone()],
                });
            }
        }
    }
    for (object, base) in objects.iter().zip(bases) {
        errors.extend(unresolved(object, &defined));
        for relocation in &object.relocations {
            let at = base + relocation.at;
            if let Some((target, ..)) = defined.get(&*relocation.symbol) {
                let patched = patch_call(&mut words, at, *target);
                errors.extend(patched.err().map(LinkError::Encoding));
            }
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut symbols = BTreeMap::new();
    for (name, (at, ..)) in &defined {
        symbols.insert(name.to_string(), *at);
    }
    let mut lines = BTreeMap::new();
    let mut base = 0;
    for object in objects {
        for (at, line) in &object.lines {
            lines.insert(base + at, (object.module.clone(), *line));
        }
        base += object.words.len() as u32 * 4;
    }
    Ok(Image {
        symbols,
        words,
        lines,
    })
}

/// What this module wants and nobody has, or not as it thinks.
fn unresolved(
    object: &Object,
    defined: &BTreeMap<&str, (u32, &Object, &str)>,
) -> Vec<LinkError> {
    let wanted = object.symbols.iter().filter(|symbol| symbol.at.is_none());
    let errors = wanted.filter_map(|symbol| match defined.get(&*symbol.name) {
        None => Some(LinkError::Undefined {
            symbol: symbol.name.clone(),
            module: object.module.clone(),
        }),
        Some((_, owner, found)) if *found != symbol.signature => {
            Some(LinkError::Signature {
                symbol: symbol.name.clone(),
                wanted: (object.module.clone(), symbol.signature.clone()),
                found: (owner.module.clone(), found.to_string()),
            })
        }
        Some(_) => None,
    });
    errors.collect()
}

/// A distance has 32 bits and an instruction holds at most 20 of them: `auipc` adds
/// the upper 20, `jalr` the lower 12. The lower part has a sign, so the upper one is
/// rounded to the nearest.
fn patch_call(words: &mut [u32], at: u32, target: u32) -> Result<(), String> {
    let distance = target.wrapping_sub(at);
    let upper = distance.wrapping_add(0x800) >> 12;
    let lower = distance.wrapping_sub(upper << 12) as i32;
    let pair = [
        Instruction::Auipc(Reg::RA, upper),
        Instruction::Jalr(Reg::RA, lower, Reg::RA),
    ];
    let places = words.iter_mut().skip(at as usize / 4);
    for (place, instruction) in places.zip(pair) {
        *place = encode(instruction).map_err(|error| error.to_string())?;
    }
    Ok(())
}

pub const MEMORY_BYTES: u32 = 1 << 18;
/// The stack lies below the code and grows down: when it is full, the next store is
/// outside the memory and stops the program. Above the code it would overwrite it.
pub const LOAD_ADDRESS: u32 = 1 << 16;

/// The loader: copies the image to its place, and sets what the first instruction
/// expects.
pub fn load(image: &Image, address: u32) -> Result<Cpu, Cause> {
    let mut cpu = Cpu::new(MEMORY_BYTES);
    cpu.load(address, &to_bytes(&image.words))?;
    let start = image.symbols.get("_start").copied().unwrap_or(0);
    cpu.set_pc(address.wrapping_add(start));
    cpu.set_register(Reg::SP, LOAD_ADDRESS);
    Ok(cpu)
}

/// Runs an image; the second value is the number of cycles.
pub fn run(image: &Image, address: u32, cycles_max: u64) -> (Outcome, u64) {
    let mut cpu = match load(image, address) {
        Ok(cpu) => cpu,
        Err(_) => return (Outcome::new(Vec::new(), Ending::TooLarge), 0),
    };
    let (ending, cycles) = match cpu.run(cycles_max) {
        Ok(exit) => (Ending::Finished, exit.cycles),
        Err(fault) => {
            let at = fault.pc.wrapping_sub(address);
            let place = image.lines.get(&at).cloned();
            let ending = match (fault.cause, place) {
                (Cause::Breakpoint, Some((module, line))) => {
                    Ending::DividedByZero { module, line }
                }
                (Cause::OutsideMemory { .. }, _) => Ending::StackFull,
                (Cause::CyclesUsedUp | Cause::PrintedTooMuch, _) => Ending::TooLong,
                (cause, _) => Ending::Broken(cause.to_string()),
            };
            (ending, fault.cycle)
        }
    };
    (Outcome::new(cpu.printed().to_vec(), ending), cycles)
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::Undefined { symbol, module } => {
                write!(f, "{module} calls `{symbol}`, which no module has")
            }
            LinkError::Duplicate { symbol, modules } => {
                let [first, second] = modules;
                write!(f, "both {first} and {second} have a function `{symbol}`")
            }
            LinkError::Signature {
                symbol,
                wanted: (caller, wanted),
                found: (owner, found),
            } => write!(
                f,
                "{caller} calls `{symbol}` as {wanted}; in {owner} it is {found}"
            ),
            LinkError::Encoding(message) => f.write_str(message),
        }
    }
}
