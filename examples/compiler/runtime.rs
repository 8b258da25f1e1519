//! The library that every program is linked with, written by hand in assembly: where
//! a program starts, and the arithmetic that RV32I lacks. The linker cannot tell it
//! from a compiled module.

use super::codegen::{assemble, Item, Object, RUNTIME_SIGNATURE, T3};
use super::cpu::{AluOp, BranchOp, Instruction, Reg};

const ZERO: Reg = Reg::ZERO;
const T0: Reg = Reg::T0;
const T1: Reg = Reg::T1;
const T2: Reg = Reg::T2;
const A0: Reg = Reg::A0;
const A1: Reg = Reg::A1;

pub fn runtime() -> Result<Object, String> {
    let mut object = Object {
        module: "runtime".to_string(),
        words: Vec::new(),
        symbols: Vec::new(),
        relocations: Vec::new(),
        lines: Vec::new(),
    };
    let start = [
        Item::Call("main".to_string()),
        set(A0, 0),
        set(Reg::A7, 93),
        Item::Plain(Instruction::Ecall),
    ];
    assemble(&mut object, "_start", "fn()", &start)?;
    let signature = RUNTIME_SIGNATURE;
    assemble(&mut object, "__mul", signature, &multiply())?;
    assemble(&mut object, "__div", signature, &divide(false))?;
    assemble(&mut object, "__rem", signature, &divide(true))?;
    object.symbols.push(super::codegen::Symbol {
        name: "main".to_string(),
        signature: "fn()".to_string(),
        at: None,
    });
    Ok(object)
}

/// As on paper, in binary: for each bit of a1 that is 1, add the shifted a0.
fn multiply() -> Vec<Item> {
    let (again, skip) = (1, 2);
    vec![
        set(T0, 0),
        Item::Label(again),
        immediate(AluOp::And, T1, A1, 1),
        branch(BranchOp::Beq, T1, ZERO, skip),
        op(AluOp::Add, T0, T0, A0),
        Item::Label(skip),
        immediate(AluOp::Sll, A0, A0, 1),
        immediate(AluOp::Srl, A1, A1, 1),
        branch(BranchOp::Bne, A1, ZERO, again),
        immediate(AluOp::Add, A0, T0, 0),
        ret(),
    ]
}

/// Long division of the amounts, bit by bit: a0 becomes the quotient and t0 the
/// remainder. Then the sign: a quotient is negative if one operand is, a remainder
/// if the dividend is. The divisor is not 0: the compiler has seen to that.
fn divide(wants_remainder: bool) -> Vec<Item> {
    let (a_is_positive, b_is_positive, again, skip, end) = (1, 2, 3, 4, 5);
    let sign = match wants_remainder {
        true => immediate(AluOp::Add, T2, A0, 0),
        false => op(AluOp::Xor, T2, A0, A1),
    };
    let result = if wants_remainder { T0 } else { A0 };
    vec![
        sign,
        branch(BranchOp::Bge, A0, ZERO, a_is_positive),
        op(AluOp::Sub, A0, ZERO, A0),
        Item::Label(a_is_positive),
        branch(BranchOp::Bge, A1, ZERO, b_is_positive),
        op(AluOp::Sub, A1, ZERO, A1),
        Item::Label(b_is_positive),
        set(T0, 0),
        set(T1, 32),
        Item::Label(again),
        immediate(AluOp::Srl, T3, A0, 31),
        immediate(AluOp::Sll, T0, T0, 1),
        op(AluOp::Or, T0, T0, T3),
        immediate(AluOp::Sll, A0, A0, 1),
        branch(BranchOp::Bltu, T0, A1, skip),
        op(AluOp::Sub, T0, T0, A1),
        immediate(AluOp::Add, A0, A0, 1),
        Item::Label(skip),
        immediate(AluOp::Add, T1, T1, -1),
        branch(BranchOp::Bne, T1, ZERO, again),
        immediate(AluOp::Add, A0, result, 0),
        branch(BranchOp::Bge, T2, ZERO, end),
        op(AluOp::Sub, A0, ZERO, A0),
        Item::Label(end),
        ret(),
    ]
}

fn set(reg: Reg, number: i32) -> Item {
    immediate(AluOp::Add, reg, ZERO, number)
}

fn immediate(op: AluOp, to: Reg, from: Reg, number: i32) -> Item {
    Item::Plain(Instruction::OpImm(op, to, from, number))
}

fn op(op: AluOp, to: Reg, a: Reg, b: Reg) -> Item {
    Item::Plain(Instruction::Op(op, to, a, b))
}

fn branch(op: BranchOp, a: Reg, b: Reg, label: usize) -> Item {
    Item::Branch(op, a, b, label)
}

fn ret() -> Item {
    Item::Plain(Instruction::Jalr(ZERO, 0, Reg::RA))
}
