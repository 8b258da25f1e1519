//! From 32 bits to an instruction: a decoder for RISC-V's RV32I.
//!
//! What it shows: a machine instruction is a word cut into fields. The lowest
//! seven bits are the opcode; it decides how the rest is cut (one of six
//! formats); the fields name registers or hold a number, the immediate.
//! Formats and codes follow the listing "RV32/64G Instruction Set Listings"
//! of the RISC-V Unprivileged ISA manual.
//!
//! What to look for in the output: registers sit in the same place in every
//! format, immediates do not; and `add` and `sub` differ in one bit.
//!
//! What is simplified: RV32I without FENCE, no extensions, no 16-bit
//! (compressed) instructions, register numbers instead of their ABI names.

use std::fmt;

/// One of the 32 integer registers, x0 to x31.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Reg(u32);

type Name = &'static str;

/// An instruction by its format, operands in the order of assembly text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Instruction {
    /// rd, rs1, rs2: two registers in, one out.
    R(Name, Reg, Reg, Reg),
    /// rd, rs1, immediate: a register and a number in, one register out.
    I(Name, Reg, Reg, i32),
    /// rd, offset, base: format I again, read as an address (loads, jalr).
    Load(Name, Reg, i32, Reg),
    /// rs2, offset, base: a store.
    S(Name, Reg, i32, Reg),
    /// rs1, rs2, offset: a branch.
    B(Name, Reg, Reg, i32),
    /// rd, the upper 20 bits of a constant.
    U(Name, Reg, u32),
    /// rd, offset: a jump.
    J(Name, Reg, i32),
    /// A call to the environment, no operands.
    System(Name),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum DecodeError {
    /// The two lowest bits are not 11: not a 32-bit instruction.
    NotThirtyTwoBits,
    UnknownOpcode(u32),
    UnknownFunction,
}

// ANCHOR: fields
/// Bits `high` down to `low` of a word, both included, as in the manual.
fn bits(word: u32, high: u32, low: u32) -> u32 {
    word >> low & (u32::MAX >> (31 - (high - low)))
}

/// A field of `width` bits as a two's complement number: its top bit is
/// copied into all the bits above it.
fn signed(field: u32, width: u32) -> i32 {
    (field << (32 - width)) as i32 >> (32 - width)
}

/// The immediate of each format. B and J hold even offsets (bit 0 is not
/// stored) and scatter the bits so that most keep their place.
fn imm_i(word: u32) -> i32 {
    signed(bits(word, 31, 20), 12)
}
fn imm_s(word: u32) -> i32 {
    signed(bits(word, 31, 25) << 5 | bits(word, 11, 7), 12)
}
fn imm_b(word: u32) -> i32 {
    let (b12, b11) = (bits(word, 31, 31) << 12, bits(word, 7, 7) << 11);
    signed(
        b12 | b11 | bits(word, 30, 25) << 5 | bits(word, 11, 8) << 1,
        13,
    )
}
fn imm_j(word: u32) -> i32 {
    let (b20, b11) = (bits(word, 31, 31) << 20, bits(word, 20, 20) << 11);
    let middle = bits(word, 19, 12) << 12;
    signed(b20 | middle | b11 | bits(word, 30, 21) << 1, 21)
}
// ANCHOR_END: fields

// ANCHOR: decode
fn decode(word: u32) -> Result<Instruction, DecodeError> {
    use Instruction::*;
    let (rd, rs1) = (Reg(bits(word, 11, 7)), Reg(bits(word, 19, 15)));
    let rs2 = Reg(bits(word, 24, 20));
    let (funct3, funct7) = (bits(word, 14, 12), bits(word, 31, 25));
    // The name at place funct3 of a list; "-" is not an instruction.
    let name = |list: &'static str| match list.split(' ').nth(funct3 as usize) {
        Some("-") | None => Err(DecodeError::UnknownFunction),
        Some(name) => Ok(name),
    };
    let address = imm_i(word);
    Ok(match bits(word, 6, 0) {
        0b011_0011 => R(name(arithmetic(funct7))?, rd, rs1, rs2),
        0b001_0011 => match name("addi slli slti sltiu xori srli ori andi")? {
            "slli" | "srli" => {
                // A shift by a constant: its 5 bits stand where rs2 would.
                let op = name(shift(funct7))?;
                I(op, rd, rs1, rs2.0 as i32)
            }
            op => I(op, rd, rs1, imm_i(word)),
        },
        0b000_0011 => Load(name("lb lh lw - lbu lhu - -")?, rd, address, rs1),
        0b110_0111 => Load(name("jalr - - - - - - -")?, rd, address, rs1),
        0b010_0011 => S(name("sb sh sw - - - - -")?, rs2, imm_s(word), rs1),
        0b110_0011 => {
            let op = name("beq bne - - blt bge bltu bgeu")?;
            B(op, rs1, rs2, imm_b(word))
        }
        0b011_0111 => U("lui", rd, bits(word, 31, 12)),
        0b001_0111 => U("auipc", rd, bits(word, 31, 12)),
        0b110_1111 => J("jal", rd, imm_j(word)),
        0b111_0011 if word >> 7 == 0 => System("ecall"),
        0b111_0011 if word >> 7 == 1 << 13 => System("ebreak"),
        0b111_0011 => return Err(DecodeError::UnknownFunction),
        code if code & 0b11 != 0b11 => return Err(DecodeError::NotThirtyTwoBits),
        code => return Err(DecodeError::UnknownOpcode(code)),
    })
}
// ANCHOR_END: decode

/// Register-register operations by funct7, in the order of funct3.
fn arithmetic(funct7: u32) -> Name {
    match funct7 {
        0b000_0000 => "add sll slt sltu xor srl or and",
        0b010_0000 => "sub - - - - sra - -",
        _ => "- - - - - - - -",
    }
}

fn shift(funct7: u32) -> Name {
    match funct7 {
        0b000_0000 => "- slli - - - srli - -",
        0b010_0000 => "- - - - - srai - -",
        _ => "- - - - - - - -",
    }
}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "x{}", self.0)
    }
}

impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Instruction::*;
        match self {
            R(op, rd, rs1, rs2) => write!(f, "{op} {rd}, {rs1}, {rs2}"),
            I(op, rd, rs1, imm) => write!(f, "{op} {rd}, {rs1}, {imm}"),
            Load(op, rd, offset, base) => write!(f, "{op} {rd}, {offset}({base})"),
            S(op, from, offset, base) => write!(f, "{op} {from}, {offset}({base})"),
            B(op, rs1, rs2, offset) => write!(f, "{op} {rs1}, {rs2}, {offset:+}"),
            U(op, rd, imm) => write!(f, "{op} {rd}, {imm:#x}"),
            J(op, rd, offset) => write!(f, "{op} {rd}, {offset:+}"),
            System(op) => write!(f, "{op}"),
        }
    }
}

/// A word as assembly text, or why it is not an instruction.
fn read(word: u32) -> String {
    match decode(word) {
        Ok(instruction) => instruction.to_string(),
        Err(error) => format!("not an instruction: {error:?}"),
    }
}

fn main() {
    let word: u32 = 0x0051_0093;
    println!("word         {word:#010x}");
    println!("in memory    {:02x?}", word.to_le_bytes());
    let cuts = [
        (31, 20, "imm[11:0]", "5"),
        (19, 15, "rs1", "x2"),
        (14, 12, "funct3", "0: add"),
        (11, 7, "rd", "x1"),
        (6, 0, "opcode", "OP-IMM"),
    ];
    for (high, low, field, meaning) in cuts {
        let (value, width) = (bits(word, high, low), (high - low + 1) as usize);
        let cut = format!("{value:0width$b}");
        println!("  bits {high:>2}..{low:<2} {cut:<12}  {field:<9}  {meaning}");
    }
    println!("reads        {}", read(word));

    println!("\nword        format  reads");
    let words = [
        ("R", 0x0020_81b3),
        ("R", 0x4020_81b3),
        ("I", 0x0041_2503),
        ("S", 0x0011_2623),
        ("B", 0xfe20_9ce3),
        ("U", 0x1234_52b7),
        ("J", 0x0010_00ef),
        ("-", 0x0000_0000),
    ];
    for (format, word) in words {
        println!("{word:#010x}  {format}       {}", read(word));
    }
    let apart = (0x0020_81b3_u32 ^ 0x4020_81b3).count_ones();
    println!("\nadd and sub differ in {apart} bit of 32");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by LLVM's assembler (that of rustc 1.95, target riscv32i).
    const ASSEMBLED: &str = "
        123452b7 lui x5, 0x12345 | 00001317 auipc x6, 0x1 |
        001000ef jal x1, +2048 | ffdff06f jal x0, -4 | 010100e7 jalr x1, 16(x2) |
        00208463 beq x1, x2, +8 | fe209ce3 bne x1, x2, -8 |
        7e41cfe3 blt x3, x4, +4094 | 8041d063 bge x3, x4, -4096 |
        0062e863 bltu x5, x6, +16 | 0262f063 bgeu x5, x6, +32 |
        fff58503 lb x10, -1(x11) | 00259503 lh x10, 2(x11) |
        00412503 lw x10, 4(x2) | 0085c503 lbu x10, 8(x11) |
        7ff5d503 lhu x10, 2047(x11) | 80c68023 sb x12, -2048(x13) |
        00c69fa3 sh x12, 31(x13) | 00112623 sw x1, 12(x2) |
        00510093 addi x1, x2, 5 | ffb12093 slti x1, x2, -5 |
        00713093 sltiu x1, x2, 7 | fff14093 xori x1, x2, -1 |
        0ff16093 ori x1, x2, 255 | 00f17093 andi x1, x2, 15 |
        00311093 slli x1, x2, 3 | 01f15093 srli x1, x2, 31 |
        40715093 srai x1, x2, 7 | 002081b3 add x3, x1, x2 |
        402081b3 sub x3, x1, x2 | 002091b3 sll x3, x1, x2 |
        0020a1b3 slt x3, x1, x2 | 0020b1b3 sltu x3, x1, x2 |
        0020c1b3 xor x3, x1, x2 | 0020d1b3 srl x3, x1, x2 |
        4020d1b3 sra x3, x1, x2 | 0020e1b3 or x3, x1, x2 |
        01df7fb3 and x31, x30, x29 | 00000073 ecall | 00100073 ebreak
    ";

    #[test]
    fn every_word_of_a_real_assembler_reads_back_as_its_source() {
        let lines: Vec<&str> = ASSEMBLED.split('|').map(str::trim).collect();
        assert_eq!(lines.len(), 40, "all of RV32I but FENCE, jal twice");
        for line in lines {
            let (word, source) = line.split_once(' ').expect("word and text");
            let word = u32::from_str_radix(word, 16).expect("hexadecimal");
            assert_eq!(read(word), source, "{word:#010x}");
        }
    }

    #[test]
    fn the_lowest_seven_bits_and_the_fields_of_addi_are_those_of_the_manual() {
        let (imm, rs1, funct3, rd, opcode) = (5, 2, 0b000, 1, 0b001_0011);
        let word = imm << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode;
        assert_eq!(word, 0x0051_0093);
        let addi = Instruction::I("addi", Reg(1), Reg(2), 5);
        assert_eq!(decode(word), Ok(addi));
    }

    #[test]
    fn a_twelve_bit_immediate_reaches_from_minus_2048_to_2047() {
        assert_eq!(signed(0x800, 12), -2048);
        assert_eq!(signed(0x7FF, 12), 2047);
        assert_eq!(signed(0xFFF, 12), -1);
    }

    #[test]
    fn fewer_than_one_random_word_in_twenty_is_an_instruction() {
        let mut random = fastrand::Rng::with_seed(32);
        let valid = (0..100_000).filter(|_| decode(random.u32(..)).is_ok());
        assert!((4_000..5_000).contains(&valid.count()));
        assert_eq!(decode(0), Err(DecodeError::NotThirtyTwoBits));
        assert_eq!(decode(u32::MAX), Err(DecodeError::UnknownOpcode(0x7F)));
    }
}
