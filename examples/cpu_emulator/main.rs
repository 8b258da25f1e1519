//! A processor runs a program.

mod cpu;
mod encode;

use cpu::{AluOp, Cpu, Instruction, Reg};

fn main() {
    let mut cpu = Cpu::new(1024);
    let mut code = encode::load_immediate(Reg::A0, 42);
    code.extend(encode::load_immediate(Reg::A7, 93));
    code.push(Instruction::OpImm(AluOp::Add, Reg::T0, Reg::SP, -16));
    code.push(Instruction::Ecall);
    let words: Result<Vec<u32>, _> = code.into_iter().map(encode::encode).collect();
    let bytes = encode::to_bytes(&words.expect("operands fit"));
    cpu.load(0, &bytes).expect("fits");
    println!("{:?}", cpu.run(100));
}
