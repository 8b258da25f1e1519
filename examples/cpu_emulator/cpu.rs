//! A processor for RV32I, the base instruction set of RISC-V: registers, memory
//! and the four steps fetch, decode, execute and store.
//!
//! Operands stand in the order of the assembly text. Numbers of codes are from
//! the "RV32I Base Instruction Set" listing of the RISC-V Unprivileged ISA.
//!
//! Simplified: one instruction a cycle, one memory for instructions and data, no
//! interrupts, no privileged part. `fence` does nothing, since nobody else looks
//! at the memory. An address that is not a multiple of the size is an error (the
//! specification lets each machine choose). Nothing here prints.

#![allow(dead_code)] // Other programs include this file and use a part of it.

use std::fmt;

/// One of the 32 registers. x0 is always 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reg(u8);

impl Reg {
    pub const ZERO: Reg = Reg(0);
    /// The return address of a call.
    pub const RA: Reg = Reg(1);
    /// The stack pointer.
    pub const SP: Reg = Reg(2);
    pub const T0: Reg = Reg(5);
    pub const T1: Reg = Reg(6);
    pub const T2: Reg = Reg(7);
    pub const S0: Reg = Reg(8);
    pub const S1: Reg = Reg(9);
    /// The first argument, and the result of a call.
    pub const A0: Reg = Reg(10);
    pub const A1: Reg = Reg(11);
    pub const A2: Reg = Reg(12);
    /// The number of what an `ecall` asks for.
    pub const A7: Reg = Reg(17);

    /// The register with this number; `None` from 32 up.
    pub const fn new(number: u8) -> Option<Reg> {
        match number {
            0..=31 => Some(Reg(number)),
            _ => None,
        }
    }

    pub const fn number(self) -> usize {
        self.0 as usize
    }
}

/// What the arithmetic logic unit can do, in the order of the manual.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AluOp {
    Add,
    Sub,
    Sll,
    Slt,
    Sltu,
    Xor,
    Srl,
    Sra,
    Or,
    And,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoadOp {
    Lb,
    Lh,
    Lw,
    Lbu,
    Lhu,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoreOp {
    Sb,
    Sh,
    Sw,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BranchOp {
    Beq,
    Bne,
    Blt,
    Bge,
    Bltu,
    Bgeu,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Instruction {
    /// rd, rs1, rs2
    Op(AluOp, Reg, Reg, Reg),
    /// rd, rs1, immediate
    OpImm(AluOp, Reg, Reg, i32),
    /// rd, offset, base
    Load(LoadOp, Reg, i32, Reg),
    /// the register to store, offset, base
    Store(StoreOp, Reg, i32, Reg),
    /// rs1, rs2, offset from this instruction
    Branch(BranchOp, Reg, Reg, i32),
    /// rd, the upper 20 bits
    Lui(Reg, u32),
    /// rd, the upper 20 bits of what is added to the program counter
    Auipc(Reg, u32),
    /// rd, offset from this instruction
    Jal(Reg, i32),
    /// rd, offset, base
    Jalr(Reg, i32, Reg),
    Fence,
    Ecall,
    Ebreak,
}

/// What the program asked of the world outside with `ecall`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// a7 is 1: a number, a0, was printed.
    Print(i32),
    /// a7 is 93: the program ended with the code a0.
    Exit(i32),
}

/// Why an instruction could not be carried out. It has changed nothing then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    IllegalInstruction { word: u32 },
    MisalignedJump { target: u32 },
    FetchOutsideMemory { address: u32 },
    Misaligned { address: u32, bytes: u32 },
    OutsideMemory { address: u32, bytes: u32 },
    UnknownCall { a7: u32 },
    Breakpoint,
    PrintedTooMuch,
    CyclesUsedUp,
    HasExited,
}

/// An error, with the cycle and the address of the instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    pub cycle: u64,
    pub pc: u32,
    pub cause: Cause,
}

/// What an instruction is about to change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Effect {
    pub next_pc: u32,
    pub register: Option<(Reg, u32)>,
    pub memory: Option<Write>,
    pub event: Option<Event>,
}

/// The lowest `bytes` bytes of `value` go to `address`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Write {
    pub address: u32,
    pub bytes: u32,
    pub value: u32,
}

/// One cycle: an instruction and what it changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trace {
    pub cycle: u64,
    pub pc: u32,
    pub word: u32,
    pub instruction: Instruction,
    pub effect: Effect,
}

/// How a program ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exit {
    pub code: i32,
    pub cycles: u64,
}

pub const CALL_PRINT: u32 = 1;
pub const CALL_EXIT: u32 = 93;
pub const PRINTED_MAX: usize = 10_000;

// ANCHOR: cpu
pub struct Cpu {
    registers: [u32; 32],
    /// The program counter: the address of the next instruction.
    pc: u32,
    memory: Vec<u8>,
    cycle: u64,
    printed: Vec<i32>,
    has_exited: bool,
}
// ANCHOR_END: cpu

impl Cpu {
    /// All registers, the program counter and the memory are 0.
    pub fn new(memory_bytes: u32) -> Cpu {
        Cpu {
            registers: [0; 32],
            pc: 0,
            memory: vec![0; memory_bytes as usize],
            cycle: 0,
            printed: Vec::new(),
            has_exited: false,
        }
    }

    /// Puts a program or data into the memory.
    pub fn load(&mut self, address: u32, bytes: &[u8]) -> Result<(), Cause> {
        let start = address as usize;
        let place = start.checked_add(bytes.len());
        match place.and_then(|end| self.memory.get_mut(start..end)) {
            Some(place) => {
                place.copy_from_slice(bytes);
                Ok(())
            }
            None => Err(Cause::OutsideMemory {
                address,
                bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            }),
        }
    }

    pub fn register(&self, reg: Reg) -> u32 {
        self.registers[reg.number()]
    }

    pub fn set_register(&mut self, reg: Reg, value: u32) {
        if reg != Reg::ZERO {
            self.registers[reg.number()] = value;
        }
    }

    pub fn pc(&self) -> u32 {
        self.pc
    }

    pub fn set_pc(&mut self, address: u32) {
        self.pc = address;
    }

    pub fn memory(&self) -> &[u8] {
        &self.memory
    }

    /// What the program has printed so far.
    pub fn printed(&self) -> &[i32] {
        &self.printed
    }

    // ANCHOR: step
    /// One cycle: the four steps, one after the other.
    pub fn step(&mut self) -> Result<Trace, Fault> {
        let (cycle, pc) = (self.cycle + 1, self.pc);
        let fault = |cause| Fault { cycle, pc, cause };
        if self.has_exited {
            return Err(fault(Cause::HasExited));
        }
        let word = self.fetch().map_err(fault)?;
        let instruction = decode(word).map_err(fault)?;
        let effect = self.execute(instruction).map_err(fault)?;
        self.store(effect);
        self.cycle = cycle;
        Ok(Trace {
            cycle,
            pc,
            word,
            instruction,
            effect,
        })
    }
    // ANCHOR_END: step

    /// Steps until the program exits, at most `cycles_max` times.
    pub fn run(&mut self, cycles_max: u64) -> Result<Exit, Fault> {
        for _ in 0..cycles_max {
            let trace = self.step()?;
            if let Some(Event::Exit(code)) = trace.effect.event {
                let cycles = trace.cycle;
                return Ok(Exit { code, cycles });
            }
        }
        Err(Fault {
            cycle: self.cycle,
            pc: self.pc,
            cause: Cause::CyclesUsedUp,
        })
    }

    // ANCHOR: fetch
    /// Fetch: the word at the program counter.
    fn fetch(&self) -> Result<u32, Cause> {
        let address = self.pc;
        if !address.is_multiple_of(4) {
            return Err(Cause::MisalignedJump { target: address });
        }
        self.read(address, 4)
            .map_err(|_| Cause::FetchOutsideMemory { address })
    }
    // ANCHOR_END: fetch

    // ANCHOR: execute
    /// Execute: the ALU computes a result or an address; loads read the memory.
    /// Nothing changes yet (`&self`), so that an error leaves no half of a change.
    fn execute(&self, instruction: Instruction) -> Result<Effect, Cause> {
        use Instruction::*;
        let get = |reg| self.register(reg);
        let add = |value: u32, offset: i32| alu(AluOp::Add, value, offset as u32);
        let mut effect = Effect {
            next_pc: add(self.pc, 4),
            register: None,
            memory: None,
            event: None,
        };
        match instruction {
            Op(op, rd, rs1, rs2) => {
                effect.register = Some((rd, alu(op, get(rs1), get(rs2))));
            }
            OpImm(op, rd, rs1, imm) => {
                effect.register = Some((rd, alu(op, get(rs1), imm as u32)));
            }
            Load(op, rd, offset, base) => {
                let address = add(get(base), offset);
                effect.register = Some((rd, self.load_value(op, address)?));
            }
            Store(op, from, offset, base) => {
                let (address, value) = (add(get(base), offset), get(from));
                let bytes = op.bytes();
                self.place(address, bytes)?;
                effect.memory = Some(Write {
                    address,
                    bytes,
                    value,
                });
            }
            Branch(op, rs1, rs2, offset) => {
                if is_taken(op, get(rs1), get(rs2)) {
                    effect.next_pc = aligned(add(self.pc, offset))?;
                }
            }
            Lui(rd, upper) => effect.register = Some((rd, upper << 12)),
            Auipc(rd, upper) => {
                let sum = alu(AluOp::Add, self.pc, upper << 12);
                effect.register = Some((rd, sum));
            }
            Jal(rd, offset) => {
                effect.register = Some((rd, effect.next_pc));
                effect.next_pc = aligned(add(self.pc, offset))?;
            }
            Jalr(rd, offset, base) => {
                effect.register = Some((rd, effect.next_pc));
                effect.next_pc = aligned(add(get(base), offset) & !1)?;
            }
            Fence => {}
            Ecall => effect.event = Some(self.call()?),
            Ebreak => return Err(Cause::Breakpoint),
        }
        Ok(effect)
    }
    // ANCHOR_END: execute

    // ANCHOR: store
    /// Store: the result goes to its register or to memory, and the program
    /// counter to the next instruction.
    fn store(&mut self, effect: Effect) {
        if let Some((reg, value)) = effect.register {
            self.set_register(reg, value); // which leaves x0 at 0
        }
        if let Some(write) = effect.memory {
            let bytes = write.value.to_le_bytes();
            let start = write.address as usize;
            let place = self.memory[start..].iter_mut();
            for (to, from) in place.zip(bytes).take(write.bytes as usize) {
                *to = from;
            }
        }
        match effect.event {
            Some(Event::Print(number)) => self.printed.push(number),
            Some(Event::Exit(_)) => self.has_exited = true,
            None => {}
        }
        self.pc = effect.next_pc;
    }
    // ANCHOR_END: store

    fn load_value(&self, op: LoadOp, address: u32) -> Result<u32, Cause> {
        Ok(match op {
            LoadOp::Lb => self.read(address, 1)? as u8 as i8 as u32,
            LoadOp::Lbu => self.read(address, 1)?,
            LoadOp::Lh => self.read(address, 2)? as u16 as i16 as u32,
            LoadOp::Lhu => self.read(address, 2)?,
            LoadOp::Lw => self.read(address, 4)?,
        })
    }

    /// `bytes` bytes as a little-endian number.
    fn read(&self, address: u32, bytes: u32) -> Result<u32, Cause> {
        let place = &self.memory[self.place(address, bytes)?];
        let value = place.iter().rev();
        Ok(value.fold(0, |value, byte| value << 8 | u32::from(*byte)))
    }

    /// Where these bytes lie in the memory.
    fn place(
        &self,
        address: u32,
        bytes: u32,
    ) -> Result<std::ops::Range<usize>, Cause> {
        if !address.is_multiple_of(bytes) {
            return Err(Cause::Misaligned { address, bytes });
        }
        let start = address as usize;
        match start.checked_add(bytes as usize) {
            Some(end) if end <= self.memory.len() => Ok(start..end),
            _ => Err(Cause::OutsideMemory { address, bytes }),
        }
    }

    fn call(&self) -> Result<Event, Cause> {
        let a0 = self.register(Reg::A0) as i32;
        match self.register(Reg::A7) {
            CALL_PRINT if self.printed.len() >= PRINTED_MAX => {
                Err(Cause::PrintedTooMuch)
            }
            CALL_PRINT => Ok(Event::Print(a0)),
            CALL_EXIT => Ok(Event::Exit(a0)),
            a7 => Err(Cause::UnknownCall { a7 }),
        }
    }
}

// ANCHOR: alu
/// The arithmetic logic unit.
pub fn alu(op: AluOp, a: u32, b: u32) -> u32 {
    let shift = b & 31; // a shift looks at five bits
    match op {
        AluOp::Add => a.wrapping_add(b),
        AluOp::Sub => a.wrapping_sub(b),
        AluOp::Sll => a << shift,
        AluOp::Srl => a >> shift,
        AluOp::Sra => (a as i32 >> shift) as u32,
        AluOp::Slt => u32::from((a as i32) < b as i32),
        AluOp::Sltu => u32::from(a < b),
        AluOp::Xor => a ^ b,
        AluOp::Or => a | b,
        AluOp::And => a & b,
    }
}
// ANCHOR_END: alu

fn is_taken(op: BranchOp, a: u32, b: u32) -> bool {
    match op {
        BranchOp::Beq => a == b,
        BranchOp::Bne => a != b,
        BranchOp::Blt => (a as i32) < b as i32,
        BranchOp::Bge => a as i32 >= b as i32,
        BranchOp::Bltu => a < b,
        BranchOp::Bgeu => a >= b,
    }
}

impl StoreOp {
    fn bytes(self) -> u32 {
        match self {
            StoreOp::Sb => 1,
            StoreOp::Sh => 2,
            StoreOp::Sw => 4,
        }
    }
}

fn aligned(target: u32) -> Result<u32, Cause> {
    match target % 4 {
        0 => Ok(target),
        _ => Err(Cause::MisalignedJump { target }),
    }
}

// ANCHOR: decode
/// Decode: which instruction a word is, and with which operands.
pub fn decode(word: u32) -> Result<Instruction, Cause> {
    use Instruction::*;
    let reg = |low: u32| Reg((word >> low & 31) as u8);
    let (rd, rs1, rs2) = (reg(7), reg(15), reg(20));
    let (funct3, funct7) = (word >> 12 & 7, word >> 25);
    let illegal = Err(Cause::IllegalInstruction { word });
    Ok(match (word & 0x7f, funct3) {
        (0b011_0011, _) => match alu_op(funct3, funct7) {
            Some(op) => Op(op, rd, rs1, rs2),
            None => return illegal,
        },
        // A shift by a constant has 5 bits of it; the other 7 are a funct7.
        (0b001_0011, 0b001 | 0b101) => match alu_op(funct3, funct7) {
            Some(op) => OpImm(op, rd, rs1, i32::from(rs2.0)),
            None => return illegal,
        },
        (0b001_0011, _) => match alu_op(funct3, 0) {
            Some(op) => OpImm(op, rd, rs1, imm_i(word)),
            None => return illegal,
        },
        (0b000_0011, 0b000) => Load(LoadOp::Lb, rd, imm_i(word), rs1),
        (0b000_0011, 0b001) => Load(LoadOp::Lh, rd, imm_i(word), rs1),
        (0b000_0011, 0b010) => Load(LoadOp::Lw, rd, imm_i(word), rs1),
        (0b000_0011, 0b100) => Load(LoadOp::Lbu, rd, imm_i(word), rs1),
        (0b000_0011, 0b101) => Load(LoadOp::Lhu, rd, imm_i(word), rs1),
        (0b010_0011, 0b000) => Store(StoreOp::Sb, rs2, imm_s(word), rs1),
        (0b010_0011, 0b001) => Store(StoreOp::Sh, rs2, imm_s(word), rs1),
        (0b010_0011, 0b010) => Store(StoreOp::Sw, rs2, imm_s(word), rs1),
        (0b110_0011, 0b000) => Branch(BranchOp::Beq, rs1, rs2, imm_b(word)),
        (0b110_0011, 0b001) => Branch(BranchOp::Bne, rs1, rs2, imm_b(word)),
        (0b110_0011, 0b100) => Branch(BranchOp::Blt, rs1, rs2, imm_b(word)),
        (0b110_0011, 0b101) => Branch(BranchOp::Bge, rs1, rs2, imm_b(word)),
        (0b110_0011, 0b110) => Branch(BranchOp::Bltu, rs1, rs2, imm_b(word)),
        (0b110_0011, 0b111) => Branch(BranchOp::Bgeu, rs1, rs2, imm_b(word)),
        (0b110_0111, 0b000) => Jalr(rd, imm_i(word), rs1),
        (0b110_1111, _) => Jal(rd, imm_j(word)),
        (0b011_0111, _) => Lui(rd, word >> 12),
        (0b001_0111, _) => Auipc(rd, word >> 12),
        (0b000_1111, 0b000) => Fence,
        (0b111_0011, _) if word == 0x0000_0073 => Ecall,
        (0b111_0011, _) if word == 0x0010_0073 => Ebreak,
        _ => return illegal,
    })
}
// ANCHOR_END: decode

fn alu_op(funct3: u32, funct7: u32) -> Option<AluOp> {
    Some(match (funct3, funct7) {
        (0b000, 0) => AluOp::Add,
        (0b000, 0b010_0000) => AluOp::Sub,
        (0b001, 0) => AluOp::Sll,
        (0b010, 0) => AluOp::Slt,
        (0b011, 0) => AluOp::Sltu,
        (0b100, 0) => AluOp::Xor,
        (0b101, 0) => AluOp::Srl,
        (0b101, 0b010_0000) => AluOp::Sra,
        (0b110, 0) => AluOp::Or,
        (0b111, 0) => AluOp::And,
        _ => return None,
    })
}

// An immediate keeps its sign in bit 31 of the word, in every format. So a right
// shift of the word as a signed number copies the sign into all upper bits.
fn imm_i(word: u32) -> i32 {
    word as i32 >> 20
}

fn imm_s(word: u32) -> i32 {
    word as i32 >> 25 << 5 | (word >> 7 & 0x1f) as i32
}

fn imm_b(word: u32) -> i32 {
    let low = (word >> 25 & 0x3f) << 5 | (word >> 8 & 0xf) << 1;
    word as i32 >> 31 << 12 | ((word >> 7 & 1) << 11 | low) as i32
}

fn imm_j(word: u32) -> i32 {
    let low = (word >> 20 & 1) << 11 | (word >> 21 & 0x3ff) << 1;
    word as i32 >> 31 << 20 | (word & 0xff000 | low) as i32
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::IllegalInstruction { word } => {
                write!(f, "{word:#010x} is not an instruction")
            }
            Cause::MisalignedJump { target } => {
                write!(f, "{target:#x} is no place for an instruction")
            }
            Cause::FetchOutsideMemory { address } => {
                write!(f, "no instruction at {address:#x}")
            }
            Cause::Misaligned { address, bytes } => {
                write!(f, "address {address:#x} is not a multiple of {bytes}")
            }
            Cause::OutsideMemory { address, bytes } => {
                write!(f, "{bytes} bytes at {address:#x} are outside the memory")
            }
            Cause::UnknownCall { a7 } => write!(f, "there is no call {a7}"),
            Cause::Breakpoint => write!(f, "stopped at ebreak"),
            Cause::PrintedTooMuch => write!(f, "the program prints too much"),
            Cause::CyclesUsedUp => write!(f, "has not ended"),
            Cause::HasExited => write!(f, "the program has ended"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { cycle, pc, cause } = self;
        write!(f, "cycle {cycle}, pc {pc:#x}: {cause}")
    }
}

impl std::error::Error for Cause {}
impl std::error::Error for Fault {}
