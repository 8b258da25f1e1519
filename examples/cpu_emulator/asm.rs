//! A small assembler: text in, words out. A line has a label, an instruction, or
//! both; `#` begins a comment.
//!
//! It knows the instructions of RV32I and the pseudo-instructions li, la, mv, j
//! and ret. The first pass notes where each label lies, the second encodes.

#![allow(dead_code)] // Other programs include this file and use a part of it.

use super::cpu::{AluOp, BranchOp, Instruction, LoadOp, Reg, StoreOp};
use super::encode::{encode, load_immediate, NAMES};
use std::collections::HashMap;
use std::fmt;

/// What is wrong, and in which line of the text, counted from 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AsmError {
    pub line: usize,
    pub message: String,
}

impl fmt::Display for AsmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for AsmError {}

/// Where each label lies, once the first pass has been through.
type Labels<'a> = HashMap<&'a str, u32>;

/// The words of a program that is to be loaded at address 0.
pub fn assemble(text: &str) -> Result<Vec<u32>, AsmError> {
    let mut labels = Labels::new();
    let mut words_before = 0;
    for (line, label, code) in lines(text) {
        let here = words_before * 4;
        let error = |message| AsmError { line, message };
        if let Some(label) = label {
            if labels.insert(label, here).is_some() {
                return Err(error(format!("label {label} stands twice")));
            }
        }
        let words = translate(code, here, None).map_err(error)?;
        words_before += words.len() as u32;
    }
    let mut words = Vec::new();
    for (line, _, code) in lines(text) {
        let here = words.len() as u32 * 4;
        let error = |message| AsmError { line, message };
        words.extend(translate(code, here, Some(&labels)).map_err(error)?);
    }
    Ok(words)
}

/// Number, label and code of each line.
fn lines(text: &str) -> impl Iterator<Item = (usize, Option<&str>, &str)> {
    text.lines().enumerate().map(|(i, line)| {
        let line = line.split('#').next().unwrap_or("");
        match line.split_once(':') {
            Some((label, code)) => (i + 1, Some(label.trim()), code.trim()),
            None => (i + 1, None, line.trim()),
        }
    })
}

/// The words of one line. The first pass has no labels yet; it only counts.
fn translate(
    code: &str,
    here: u32,
    labels: Option<&Labels>,
) -> Result<Vec<u32>, String> {
    if code.is_empty() {
        return Ok(Vec::new());
    }
    let (name, operands) = code.split_once(' ').unwrap_or((code, ""));
    let operands: Vec<&str> = operands.split(',').map(str::trim).collect();
    let at = |i: usize| -> Result<&str, String> {
        let operand = operands.get(i).filter(|text| !text.is_empty());
        operand
            .copied()
            .ok_or(format!("{name}: operand is missing"))
    };
    if name == ".word" {
        return operands
            .iter()
            .map(|text| Ok(number(text)? as u32))
            .collect();
    }
    let reg = |i| register(at(i)?);
    let imm = |i| number(at(i)?);
    let upper = |i| Ok::<u32, String>(imm(i)? as u32);
    // How far it is from here to a label, or a number with a sign.
    let offset = |i| -> Result<i32, String> {
        let label = at(i)?;
        match labels {
            _ if label.starts_with(['+', '-']) => number(label),
            None => Ok(0),
            Some(labels) => match labels.get(label) {
                Some(there) => Ok(there.wrapping_sub(here) as i32),
                None => Err(format!("no label {label}")),
            },
        }
    };
    let memory = |i| based(at(i)?);
    use Instruction::*;
    let instructions = match name {
        "li" => load_immediate(reg(0)?, imm(1)?),
        "la" => {
            let far = offset(1)?;
            let low = far << 20 >> 20;
            let high = far.wrapping_sub(low) as u32 >> 12;
            let (rd, add) = (reg(0)?, AluOp::Add);
            vec![Auipc(rd, high), OpImm(add, rd, rd, low)]
        }
        "mv" => vec![OpImm(AluOp::Add, reg(0)?, reg(1)?, 0)],
        "j" => vec![Jal(Reg::ZERO, offset(0)?)],
        "ret" => vec![Jalr(Reg::ZERO, 0, Reg::RA)],
        "lui" => vec![Lui(reg(0)?, upper(1)?)],
        "auipc" => vec![Auipc(reg(0)?, upper(1)?)],
        "jal" => vec![Jal(reg(0)?, offset(1)?)],
        "jalr" => {
            let (offset, base) = memory(1)?;
            vec![Jalr(reg(0)?, offset, base)]
        }
        "fence" => vec![Fence],
        "ecall" => vec![Ecall],
        "ebreak" => vec![Ebreak],
        _ => vec![if let Some(op) = find(LOADS, name) {
            let (offset, base) = memory(1)?;
            Load(op, reg(0)?, offset, base)
        } else if let Some(op) = find(STORES, name) {
            let (offset, base) = memory(1)?;
            Store(op, reg(0)?, offset, base)
        } else if let Some(op) = find(BRANCHES, name) {
            Branch(op, reg(0)?, reg(1)?, offset(2)?)
        } else if let Some(op) = find(OPS, name) {
            Op(op, reg(0)?, reg(1)?, reg(2)?)
        } else if let Some(op) = find(OPS_IMM, name) {
            OpImm(op, reg(0)?, reg(1)?, imm(2)?)
        } else {
            return Err(format!("no instruction {name}"));
        }],
    };
    let words = instructions.into_iter().map(encode);
    words
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}

const LOADS: &[(&str, LoadOp)] = &[
    ("lb", LoadOp::Lb),
    ("lh", LoadOp::Lh),
    ("lw", LoadOp::Lw),
    ("lbu", LoadOp::Lbu),
    ("lhu", LoadOp::Lhu),
];
const STORES: &[(&str, StoreOp)] = &[
    ("sb", StoreOp::Sb),
    ("sh", StoreOp::Sh),
    ("sw", StoreOp::Sw),
];
const BRANCHES: &[(&str, BranchOp)] = &[
    ("beq", BranchOp::Beq),
    ("bne", BranchOp::Bne),
    ("blt", BranchOp::Blt),
    ("bge", BranchOp::Bge),
    ("bltu", BranchOp::Bltu),
    ("bgeu", BranchOp::Bgeu),
];
const OPS: &[(&str, AluOp)] = &[
    ("add", AluOp::Add),
    ("sub", AluOp::Sub),
    ("sll", AluOp::Sll),
    ("slt", AluOp::Slt),
    ("sltu", AluOp::Sltu),
    ("xor", AluOp::Xor),
    ("srl", AluOp::Srl),
    ("sra", AluOp::Sra),
    ("or", AluOp::Or),
    ("and", AluOp::And),
];
const OPS_IMM: &[(&str, AluOp)] = &[
    ("addi", AluOp::Add),
    ("slli", AluOp::Sll),
    ("slti", AluOp::Slt),
    ("sltiu", AluOp::Sltu),
    ("xori", AluOp::Xor),
    ("srli", AluOp::Srl),
    ("srai", AluOp::Sra),
    ("ori", AluOp::Or),
    ("andi", AluOp::And),
];

fn find<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    let entry = table.iter().find(|(known, _)| *known == name);
    entry.map(|(_, op)| *op)
}

fn register(name: &str) -> Result<Reg, String> {
    let number = NAMES.iter().position(|known| *known == name);
    let reg = number.and_then(|number| Reg::new(number as u8));
    reg.ok_or(format!("no register {name}"))
}

/// A decimal or hexadecimal number, up to 32 bits, signed or unsigned.
fn number(text: &str) -> Result<i32, String> {
    let (digits, is_negative) = match text.strip_prefix('-') {
        Some(digits) => (digits, true),
        None => (text.strip_prefix('+').unwrap_or(text), false),
    };
    let value = match digits.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    let value: i64 = value.map_err(|_| format!("{text} is not a number"))?;
    // A second minus may have made it the smallest number, which has no opposite.
    let value = if is_negative {
        value.wrapping_neg()
    } else {
        value
    };
    if (i64::from(i32::MIN)..=i64::from(u32::MAX)).contains(&value) {
        Ok(value as i32)
    } else {
        Err(format!("{text} has more than 32 bits"))
    }
}

/// An address as in `lw a0, 8(sp)`.
fn based(text: &str) -> Result<(i32, Reg), String> {
    let parts = text.strip_suffix(')').and_then(|text| text.split_once('('));
    let (offset, base) = parts.ok_or(format!("{text} is not offset(base)"))?;
    Ok((number(offset)?, register(base)?))
}
