//! Phase 6, code generation: steps become RISC-V instructions in an object file.
//!
//! Simplified: every slot has a place on the stack and no value stays in a register
//! from one step to the next. Real compilers spend much of their effort there.

use super::cpu::{AluOp, BranchOp, Instruction, LoadOp, Reg, StoreOp};
use super::encode::{encode, load_immediate};
use super::ir::*;

/// What the compiler leaves in a file for the linker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Object {
    pub module: String,
    pub words: Vec<u32>,
    pub symbols: Vec<Symbol>,
    pub relocations: Vec<Relocation>,
    /// Of each `ebreak` of a division by zero: where, and the line in the source.
    pub lines: Vec<(u32, Line)>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Symbol {
    pub name: String,
    pub signature: String,
    /// Bytes from the start of the module; None: another module has it.
    pub at: Option<u32>,
}

/// The two instructions at `at` are to call the function `symbol`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Relocation {
    pub at: u32,
    pub symbol: String,
}

pub const T3: Reg = match Reg::new(28) {
    Some(reg) => reg,
    None => Reg::ZERO,
};

/// An instruction, or something that becomes one when the addresses are known.
#[derive(Clone)]
pub enum Item {
    Plain(Instruction),
    Label(Label),
    Branch(BranchOp, Reg, Reg, Label),
    Jump(Label),
    Call(String),
    /// Stops the program with a division by zero in this line.
    Stop(Line),
}

/// Adds a function to an object.
pub fn assemble(
    object: &mut Object,
    name: &str,
    signature: &str,
    items: &[Item],
) -> Result<(), String> {
    let start = object.words.len() as u32 * 4;
    object.symbols.push(Symbol {
        name: name.to_string(),
        signature: signature.to_string(),
        at: Some(start),
    });
    // A branch reaches 4 KiB. In a long function it skips over a jump instead.
    let is_short = items.len() < 500;
    let size = |item: &Item| match item {
        Item::Plain(_) | Item::Jump(_) | Item::Stop(_) => 4,
        Item::Label(_) => 0,
        Item::Branch(..) => 4 + 4 * u32::from(!is_short),
        Item::Call(_) => 8,
    };
    let mut labels = Vec::new(); // by number, where each lies
    let mut at = start;
    for item in items {
        if let Item::Label(label) = item {
            labels.resize(labels.len().max(label + 1), None);
            labels[*label] = Some(at);
        }
        at += size(item);
    }
    let mut at = start;
    for item in items {
        let to = |label: &Label, from: u32| {
            let target = labels.get(*label).copied().flatten();
            let target = target.ok_or("a label is missing")?;
            Ok::<i32, String>(target.wrapping_sub(from) as i32)
        };
        let instructions = match item {
            Item::Plain(instruction) => vec![*instruction],
            Item::Label(_) => vec![],
            Item::Branch(op, a, b, label) if is_short => {
                vec![Instruction::Branch(*op, *a, *b, to(label, at)?)]
            }
            Item::Branch(op, a, b, label) => vec![
                Instruction::Branch(opposite(*op), *a, *b, 8),
                Instruction::Jal(Reg::ZERO, to(label, at + 4)?),
            ],
            Item::Jump(label) => vec![Instruction::Jal(Reg::ZERO, to(label, at)?)],
            Item::Call(symbol) => {
                let symbol = symbol.clone();
                object.relocations.push(Relocation { at, symbol });
                vec![
                    Instruction::Auipc(Reg::RA, 0),
                    Instruction::Jalr(Reg::RA, 0, Reg::RA),
                ]
            }
            Item::Stop(line) => {
                object.lines.push((at, *line));
                vec![Instruction::Ebreak]
            }
        };
        for instruction in instructions {
            let word = encode(instruction).map_err(|error| error.to_string())?;
            object.words.push(word);
        }
        at += size(item);
    }
    Ok(())
}

fn opposite(op: BranchOp) -> BranchOp {
    match op {
        BranchOp::Beq => BranchOp::Bne,
        BranchOp::Bne => BranchOp::Beq,
        BranchOp::Blt => BranchOp::Bge,
        BranchOp::Bge => BranchOp::Blt,
        BranchOp::Bltu => BranchOp::Bgeu,
        BranchOp::Bgeu => BranchOp::Bltu,
    }
}

/// The functions of one module, as an object.
pub fn generate(
    module: &str,
    functions: &[Code],
    declared: &[(String, String)],
) -> Result<Object, String> {
    let mut object = Object {
        module: module.to_string(),
        words: Vec::new(),
        symbols: Vec::new(),
        relocations: Vec::new(),
        lines: Vec::new(),
    };
    for code in functions {
        let items = select(code);
        assemble(&mut object, &code.name, &code.signature, &items)
            .map_err(|error| format!("`{}` is too long: {error}", code.name))?;
    }
    // What is called and not here must come from another module.
    for Relocation { symbol: name, .. } in &object.relocations {
        if object.symbols.iter().all(|symbol| symbol.name != *name) {
            let known = declared.iter().find(|(declared, _)| declared == name);
            let signature = known.map_or(RUNTIME_SIGNATURE, |(_, text)| text);
            object.symbols.push(Symbol {
                name: name.clone(),
                signature: signature.to_string(),
                at: None,
            });
        }
    }
    Ok(object)
}

/// Of `__mul`, `__div` and `__rem`, which the compiler itself calls.
pub const RUNTIME_SIGNATURE: &str = "fn(int, int) -> int";

struct Select {
    items: Vec<Item>,
    frame_bytes: i32,
    labels: Label,
}

/// Instruction selection for one function.
fn select(code: &Code) -> Vec<Item> {
    // One word a slot and one for the return address; a multiple of 16 bytes, as
    // the calling convention wants it.
    let frame_bytes = (code.slots.len() as i32 + 1) * 4;
    let frame_bytes = (frame_bytes + 15) / 16 * 16;
    let mut select = Select {
        items: Vec::new(),
        frame_bytes,
        labels: code.labels,
    };
    select.add_to_sp(-frame_bytes);
    select.memory(true, Reg::RA, frame_bytes - 4);
    for slot in 0..code.parameters {
        select.memory(true, argument(slot), slot as i32 * 4);
    }
    for step in &code.steps {
        select.step(step);
    }
    select.items
}

fn argument(number: usize) -> Reg {
    Reg::new(10 + number as u8).unwrap_or(Reg::A0)
}

impl Select {
    fn step(&mut self, step: &Step) {
        match step {
            Step::Copy(to, value) => {
                self.load(Reg::T0, *value);
                self.store(Reg::T0, *to);
            }
            Step::Binary(to, op, a, b, line) => {
                let result = self.binary(*op, *a, *b, *line);
                self.store(result, *to);
            }
            Step::Call(to, function, arguments) => {
                for (number, value) in arguments.iter().enumerate() {
                    self.load(argument(number), *value);
                }
                self.items.push(Item::Call(function.clone()));
                if let Some(slot) = to {
                    self.store(Reg::A0, *slot);
                }
            }
            Step::Print(value) => {
                self.load(Reg::A0, *value);
                self.load(Reg::A7, Value::Number(1));
                self.plain(Instruction::Ecall);
            }
            Step::Label(label) => self.items.push(Item::Label(*label)),
            Step::Jump(label) => self.items.push(Item::Jump(*label)),
            Step::JumpIfZero(value, label) => {
                self.load(Reg::T0, *value);
                let (a, b) = (Reg::T0, Reg::ZERO);
                self.items.push(Item::Branch(BranchOp::Beq, a, b, *label));
            }
            Step::Return(value) => {
                if let Some(value) = value {
                    self.load(Reg::A0, *value);
                }
                self.memory(false, Reg::RA, self.frame_bytes - 4);
                self.add_to_sp(self.frame_bytes);
                self.plain(Instruction::Jalr(Reg::ZERO, 0, Reg::RA));
            }
        }
    }

    /// Returns the register that has the result.
    fn binary(&mut self, op: Op, a: Value, b: Value, line: Line) -> Reg {
        let (t0, t1) = (Reg::T0, Reg::T1);
        if let Op::Multiply | Op::Divide | Op::Remainder = op {
            return self.runtime_call(op, a, b, line);
        }
        self.load(t0, a);
        // An immediate has 12 bits with a sign, for -number and number + 1 too.
        let small = match b {
            Value::Number(number @ -2047..=2046) => Some(number),
            _ => None,
        };
        match (op, small) {
            (Op::Add, Some(number)) => self.immediate(AluOp::Add, number),
            (Op::Subtract, Some(number)) => self.immediate(AluOp::Add, -number),
            (Op::Less, Some(number)) => self.immediate(AluOp::Slt, number),
            (Op::LessEqual, Some(number)) => self.immediate(AluOp::Slt, number + 1),
            (Op::ShiftLeft, Some(number)) => {
                self.immediate(AluOp::Sll, number & 31);
            }
            _ => {
                self.load(t1, b);
                let (alu, x, y) = match op {
                    Op::Add => (AluOp::Add, t0, t1),
                    Op::ShiftLeft => (AluOp::Sll, t0, t1),
                    Op::Less => (AluOp::Slt, t0, t1),
                    Op::LessEqual => (AluOp::Slt, t1, t0), // not b < a, see below
                    _ => (AluOp::Sub, t0, t1),
                };
                self.plain(Instruction::Op(alu, t0, x, y));
                match op {
                    Op::LessEqual => self.immediate(AluOp::Xor, 1),
                    Op::Equal => self.immediate(AluOp::Sltu, 1), // 0 and no other
                    Op::NotEqual => {
                        let not_zero =
                            Instruction::Op(AluOp::Sltu, t0, Reg::ZERO, t0);
                        self.plain(not_zero);
                    }
                    _ => {}
                }
            }
        }
        t0
    }

    /// RV32I cannot multiply or divide: the library `runtime` does it.
    fn runtime_call(&mut self, op: Op, a: Value, b: Value, line: Line) -> Reg {
        self.load(Reg::A0, a);
        self.load(Reg::A1, b);
        let divides = op != Op::Multiply;
        if divides && !matches!(b, Value::Number(divisor) if divisor != 0) {
            self.labels += 1;
            let fine = self.labels;
            let (a, b) = (Reg::A1, Reg::ZERO);
            self.items.push(Item::Branch(BranchOp::Bne, a, b, fine));
            self.items.push(Item::Stop(line));
            self.items.push(Item::Label(fine));
        }
        let function = match op {
            Op::Divide => "__div",
            Op::Remainder => "__rem",
            _ => "__mul",
        };
        self.items.push(Item::Call(function.to_string()));
        Reg::A0
    }

    fn immediate(&mut self, op: AluOp, number: i32) {
        self.plain(Instruction::OpImm(op, Reg::T0, Reg::T0, number));
    }

    fn load(&mut self, reg: Reg, value: Value) {
        match value {
            Value::Slot(slot) => self.memory(false, reg, slot as i32 * 4),
            Value::Number(number) => {
                self.items.extend(
                    load_immediate(reg, number).into_iter().map(Item::Plain),
                );
            }
        }
    }

    fn store(&mut self, reg: Reg, slot: Slot) {
        self.memory(true, reg, slot as i32 * 4);
    }

    /// Stores or loads a register at `sp + offset`.
    fn memory(&mut self, stores: bool, reg: Reg, offset: i32) {
        let (mut base, mut offset) = (Reg::SP, offset);
        if offset > 2047 {
            self.load(Reg::T2, Value::Number(offset));
            self.plain(Instruction::Op(AluOp::Add, Reg::T2, Reg::T2, Reg::SP));
            (base, offset) = (Reg::T2, 0);
        }
        self.plain(match stores {
            true => Instruction::Store(StoreOp::Sw, reg, offset, base),
            false => Instruction::Load(LoadOp::Lw, reg, offset, base),
        });
    }

    fn add_to_sp(&mut self, bytes: i32) {
        let sp = Reg::SP;
        if (-2048..=2047).contains(&bytes) {
            return self.plain(Instruction::OpImm(AluOp::Add, sp, sp, bytes));
        }
        self.load(Reg::T2, Value::Number(bytes));
        self.plain(Instruction::Op(AluOp::Add, sp, sp, Reg::T2));
    }

    fn plain(&mut self, instruction: Instruction) {
        self.items.push(Item::Plain(instruction));
    }
}
