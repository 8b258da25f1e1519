//! Instructions as words and as text: the inverse of `decode` in `cpu.rs`.
//!
//! `encode` refuses an operand that does not fit its field, because a field that
//! is cut off is a different, valid instruction.

#![allow(dead_code)] // Other programs include this file and use a part of it.

use super::cpu::{AluOp, BranchOp, Instruction, LoadOp, Reg, StoreOp};
use std::fmt;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EncodeError {
    /// The immediate does not fit: smallest and largest that do.
    OutOfRange { value: i64, min: i64, max: i64 },
    /// A jump goes to an even address; this offset is odd.
    Odd { offset: i32 },
    /// There is no such instruction with an immediate (`sub`: add a negative one).
    NoImmediateForm(AluOp),
}

pub fn encode(instruction: Instruction) -> Result<u32, EncodeError> {
    use Instruction::*;
    Ok(match instruction {
        Op(op, d, s1, s2) => {
            let (funct3, funct7) = alu_code(op);
            funct7 << 25 | rs2(s2) | rs1(s1) | funct3 << 12 | rd(d) | 0b011_0011
        }
        OpImm(AluOp::Sub, ..) => {
            return Err(EncodeError::NoImmediateForm(AluOp::Sub))
        }
        OpImm(op @ (AluOp::Sll | AluOp::Srl | AluOp::Sra), d, s1, shift) => {
            let (funct3, funct7) = alu_code(op);
            let imm = funct7 << 5 | fits(shift, 0, 31)?;
            imm << 20 | rs1(s1) | funct3 << 12 | rd(d) | 0b001_0011
        }
        OpImm(op, d, s1, imm) => {
            let (funct3, _) = alu_code(op);
            imm_i(imm)? | rs1(s1) | funct3 << 12 | rd(d) | 0b001_0011
        }
        Load(op, d, offset, base) => {
            let funct3 = match op {
                LoadOp::Lb => 0b000,
                LoadOp::Lh => 0b001,
                LoadOp::Lw => 0b010,
                LoadOp::Lbu => 0b100,
                LoadOp::Lhu => 0b101,
            };
            imm_i(offset)? | rs1(base) | funct3 << 12 | rd(d) | 0b000_0011
        }
        Store(op, from, offset, base) => {
            let funct3 = match op {
                StoreOp::Sb => 0b000,
                StoreOp::Sh => 0b001,
                StoreOp::Sw => 0b010,
            };
            let imm = fits(offset, -2048, 2047)?;
            let scattered = (imm >> 5 & 0x7f) << 25 | (imm & 0x1f) << 7;
            scattered | rs2(from) | rs1(base) | funct3 << 12 | 0b010_0011
        }
        Branch(op, s1, s2, offset) => {
            let funct3 = match op {
                BranchOp::Beq => 0b000,
                BranchOp::Bne => 0b001,
                BranchOp::Blt => 0b100,
                BranchOp::Bge => 0b101,
                BranchOp::Bltu => 0b110,
                BranchOp::Bgeu => 0b111,
            };
            let imm = even(offset, -4096, 4094)?;
            let upper = (imm >> 12 & 1) << 31 | (imm >> 5 & 0x3f) << 25;
            let lower = (imm >> 1 & 0xf) << 8 | (imm >> 11 & 1) << 7;
            upper | rs2(s2) | rs1(s1) | funct3 << 12 | lower | 0b110_0011
        }
        Lui(d, upper) => imm_u(upper)? | rd(d) | 0b011_0111,
        Auipc(d, upper) => imm_u(upper)? | rd(d) | 0b001_0111,
        Jal(d, offset) => {
            let imm = even(offset, -1_048_576, 1_048_574)?;
            let upper = (imm >> 20 & 1) << 31 | (imm >> 1 & 0x3ff) << 21;
            let lower = (imm >> 11 & 1) << 20 | imm & 0xff000;
            upper | lower | rd(d) | 0b110_1111
        }
        Jalr(d, offset, base) => imm_i(offset)? | rs1(base) | rd(d) | 0b110_0111,
        // Orders all reads and writes: the "fence" of assembly text.
        Fence => 0x0ff0_000f,
        Ecall => 0x0000_0073,
        Ebreak => 0x0010_0073,
    })
}

/// The words of a program as they lie in memory.
pub fn to_bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The one or two instructions that put any number into a register. The `addi`
/// extends its sign, so the `lui` has one more where the lower part is negative.
pub fn load_immediate(rd: Reg, value: i32) -> Vec<Instruction> {
    let lower = value << 20 >> 20;
    let upper = value.wrapping_sub(lower) as u32 >> 12;
    match (upper, lower) {
        (0, _) => vec![Instruction::OpImm(AluOp::Add, rd, Reg::ZERO, lower)],
        (_, 0) => vec![Instruction::Lui(rd, upper)],
        _ => vec![
            Instruction::Lui(rd, upper),
            Instruction::OpImm(AluOp::Add, rd, rd, lower),
        ],
    }
}

fn rd(reg: Reg) -> u32 {
    (reg.number() as u32) << 7
}

fn rs1(reg: Reg) -> u32 {
    (reg.number() as u32) << 15
}

fn rs2(reg: Reg) -> u32 {
    (reg.number() as u32) << 20
}

/// funct3 and funct7.
fn alu_code(op: AluOp) -> (u32, u32) {
    match op {
        AluOp::Add => (0b000, 0),
        AluOp::Sub => (0b000, 0b010_0000),
        AluOp::Sll => (0b001, 0),
        AluOp::Slt => (0b010, 0),
        AluOp::Sltu => (0b011, 0),
        AluOp::Xor => (0b100, 0),
        AluOp::Srl => (0b101, 0),
        AluOp::Sra => (0b101, 0b010_0000),
        AluOp::Or => (0b110, 0),
        AluOp::And => (0b111, 0),
    }
}

fn fits(value: i32, min: i32, max: i32) -> Result<u32, EncodeError> {
    if (min..=max).contains(&value) {
        return Ok(value as u32);
    }
    let (value, min, max) = (value.into(), min.into(), max.into());
    Err(EncodeError::OutOfRange { value, min, max })
}

fn even(offset: i32, min: i32, max: i32) -> Result<u32, EncodeError> {
    match offset % 2 {
        0 => fits(offset, min, max),
        _ => Err(EncodeError::Odd { offset }),
    }
}

fn imm_i(imm: i32) -> Result<u32, EncodeError> {
    Ok(fits(imm, -2048, 2047)? << 20)
}

fn imm_u(upper: u32) -> Result<u32, EncodeError> {
    if upper < 1 << 20 {
        return Ok(upper << 12);
    }
    let (value, max) = (upper.into(), (1 << 20) - 1);
    Err(EncodeError::OutOfRange { value, min: 0, max })
}

/// The registers' names in the calling convention, by number.
pub const NAMES: [&str; 32] = [
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2",
    "a3", "a4", "a5", "a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9",
    "s10", "s11", "t3", "t4", "t5", "t6",
];

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EncodeError::OutOfRange { value, min, max } => {
                write!(f, "{value} is not between {min} and {max}")
            }
            EncodeError::Odd { offset } => write!(f, "offset {offset} is odd"),
            EncodeError::NoImmediateForm(op) => {
                write!(f, "{op:?} has no form with an immediate")
            }
        }
    }
}

impl std::error::Error for EncodeError {}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES[self.number()])
    }
}

/// The mnemonic of an operation is its name in small letters.
fn small(op: &dyn fmt::Debug) -> String {
    format!("{op:?}").to_ascii_lowercase()
}

impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Instruction::*;
        let text = match *self {
            Op(op, rd, rs1, rs2) => format!("{} {rd}, {rs1}, {rs2}", small(&op)),
            OpImm(AluOp::Sltu, rd, rs1, imm) => format!("sltiu {rd}, {rs1}, {imm}"),
            OpImm(op, rd, rs1, imm) => format!("{}i {rd}, {rs1}, {imm}", small(&op)),
            Load(op, rd, offset, base) => {
                format!("{} {rd}, {offset}({base})", small(&op))
            }
            Store(op, from, offset, base) => {
                format!("{} {from}, {offset}({base})", small(&op))
            }
            Branch(op, rs1, rs2, offset) => {
                format!("{} {rs1}, {rs2}, {offset:+}", small(&op))
            }
            Lui(rd, upper) => format!("lui {rd}, {upper:#x}"),
            Auipc(rd, upper) => format!("auipc {rd}, {upper:#x}"),
            Jal(rd, offset) => format!("jal {rd}, {offset:+}"),
            Jalr(rd, offset, base) => format!("jalr {rd}, {offset}({base})"),
            Fence => "fence".to_string(),
            Ecall => "ecall".to_string(),
            Ebreak => "ebreak".to_string(),
        };
        f.pad(&text)
    }
}
