//! Phase 7, linking and loading: objects become one image, and the image a process.

use super::codegen::{Object, Symbol};
use super::cpu::{Cause, Cpu, Instruction, Reg};
use super::encode::{encode, to_bytes};
use super::interpret::{Ending, Outcome};
use std::fmt;

pub struct Image {
    pub words: Vec<u32>,
    /// Where each function starts, in bytes from the start of the image; the first
    /// comes first.
    pub symbols: Vec<(String, u32)>,
    /// Where a division by zero stops, and its module and line.
    lines: Vec<(u32, String, u32)>,
}

/// A function that a module has.
struct Defined<'a> {
    /// Bytes from the start of the image.
    at: u32,
    module: &'a str,
    symbol: &'a Symbol,
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
    let mut lines = Vec::new();
    let mut bases = Vec::new();
    let mut defined: Vec<Defined> = Vec::new();
    for object in objects {
        let (base, module) = (words.len() as u32 * 4, &object.module);
        bases.push(base);
        words.extend(&object.words);
        for (at, line) in &object.lines {
            lines.push((base + at, module.clone(), *line));
        }
        for symbol in &object.symbols {
            let Some(at) = symbol.at else { continue };
            if let Some(first) = find(&defined, &symbol.name) {
                errors.push(LinkError::Duplicate {
                    symbol: symbol.name.clone(),
                    modules: [first.module.to_string(), module.clone()],
                });
            }
            let at = base + at;
            defined.push(Defined { at, module, symbol });
        }
    }
    for (object, base) in objects.iter().zip(bases) {
        errors.extend(unresolved(object, &defined));
        for relocation in &object.relocations {
            let at = base + relocation.at;
            if let Some(target) = find(&defined, &relocation.symbol) {
                let patched = patch_call(&mut words, at, target.at);
                errors.extend(patched.err().map(LinkError::Encoding));
            }
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let symbols = defined.iter();
    let symbols = symbols.map(|defined| (defined.symbol.name.clone(), defined.at));
    Ok(Image {
        symbols: symbols.collect(),
        words,
        lines,
    })
}

fn find<'a>(defined: &'a [Defined<'a>], name: &str) -> Option<&'a Defined<'a>> {
    defined.iter().find(|defined| defined.symbol.name == name)
}

/// What this module wants and nobody has, or not as it thinks.
fn unresolved(object: &Object, defined: &[Defined]) -> Vec<LinkError> {
    let mut errors = Vec::new();
    for wanted in object.symbols.iter().filter(|symbol| symbol.at.is_none()) {
        let (symbol, module) = (wanted.name.clone(), object.module.clone());
        match find(defined, &symbol) {
            None => errors.push(LinkError::Undefined { symbol, module }),
            Some(found) if found.symbol.signature != wanted.signature => {
                let owner = found.module.to_string();
                errors.push(LinkError::Signature {
                    symbol,
                    wanted: (module, wanted.signature.clone()),
                    found: (owner, found.symbol.signature.clone()),
                });
            }
            Some(_) => {}
        }
    }
    errors
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
    let start = image.symbols.iter().find(|(name, _)| name == "_start");
    cpu.set_pc(address.wrapping_add(start.map_or(0, |(_, at)| *at)));
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
            let place = image.lines.iter().find(|(stop, ..)| *stop == at).cloned();
            let ending = match (fault.cause, place) {
                (Cause::Breakpoint, Some((_, module, line))) => {
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
