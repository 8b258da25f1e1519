//! How long does a program take? The same instructions, timed on pipelines.
//!
//! The machine of `cpu_emulator` runs a loop that adds up the bytes of 128 and
//! more. Its trace says what was done; `timing.rs` says in which cycle. Five stages
//! (fetch, decode, execute, memory, write back) each hold one instruction, so at
//! best one ends every cycle. An instruction waits for the operands that are not
//! ready, and after a branch that was predicted wrongly the stages are emptied.
//!
//! What to look for: the same work takes 5 cycles an instruction or little more
//! than one; sorting the data makes the same loop faster; and the design with
//! the higher clock is not always the first to end.
//!
//! Simplified: no cache, so every load takes as long. The address that a taken
//! branch or a `jal` goes to is known in time, that of a `jalr` never is. A store
//! needs its operands as early as an addition. The few cycles more until the first
//! instruction is through the longer pipeline are not counted.

#[path = "../cpu_emulator/asm.rs"]
mod asm;
#[path = "../cpu_emulator/cpu.rs"]
mod cpu;
#[path = "../cpu_emulator/encode.rs"]
mod encode;
#[cfg(test)]
mod tests;
mod timing;

use cpu::{Cpu, Event, Instruction, Reg, Trace};
use timing::{time, two_bit, Design, Kind, Predictor, Step, DEEP, FIVE};

const DATA: u32 = 0x400;
const DATA_BYTES: usize = 1_000;
const CYCLES_MAX: u64 = 100_000;

const SUM: &str = "
# ANCHOR: sum
        li   a1, 0x400         # where the next byte is
        li   a2, 0x7e8         # where the bytes end
        li   a3, 128
loop:   lbu  t0, 0(a1)
        blt  t0, a3, small     # needs t0 at once: a stall
        add  a0, a0, t0
small:  addi a1, a1, 1
        bne  a1, a2, loop
        li   a7, 93
        ecall
# ANCHOR_END: sum
";
const LOAD: &str = "lbu  t0, 0(a1)\n";
const STEP: &str = "small:  addi a1, a1, 1\n        bne";

/// The same loop with an instruction between the load and its use.
fn rearranged() -> String {
    let load_and_step = format!("{LOAD}        addi a1, a1, 1\n");
    SUM.replace(STEP, "small:  bne")
        .replace(LOAD, &load_and_step)
}

type Failure = Box<dyn std::error::Error>;

/// What the program does, instruction by instruction.
fn trace(text: &str, data: &[u8]) -> Result<Vec<Step>, Failure> {
    let mut cpu = Cpu::new(4096);
    cpu.load(0, &encode::to_bytes(&asm::assemble(text)?))?;
    cpu.load(DATA, data)?;
    let mut trace = Vec::new();
    for _ in 0..CYCLES_MAX {
        let cycle = cpu.step()?;
        trace.push(step(&cycle));
        if let Some(Event::Exit(_)) = cycle.effect.event {
            return Ok(trace);
        }
    }
    Err("the program does not end".into())
}

/// The registers that an instruction reads.
fn sources(instruction: Instruction) -> [Reg; 2] {
    use Instruction::*;
    match instruction {
        Op(_, _, rs1, rs2) | Branch(_, rs1, rs2, _) => [rs1, rs2],
        OpImm(_, _, rs1, _) => [rs1, Reg::ZERO],
        Load(_, _, _, base) | Jalr(_, _, base) => [base, Reg::ZERO],
        Store(_, from, _, base) => [from, base],
        Ecall => [Reg::A0, Reg::A7],
        Lui(..) | Auipc(..) | Jal(..) | Fence | Ebreak => [Reg::ZERO; 2],
    }
}

/// What the pipeline has to know of a line of the trace.
fn step(trace: &Trace) -> Step {
    let number = |reg: Reg| reg.number() as u8;
    Step {
        pc: trace.pc,
        reads: sources(trace.instruction).map(number),
        writes: trace.effect.register.map_or(0, |(reg, _)| number(reg)),
        kind: match trace.instruction {
            Instruction::Load(..) => Kind::Load,
            Instruction::Branch(_, _, _, offset) => Kind::Branch {
                is_backward: offset < 0,
                taken: trace.effect.next_pc != trace.pc.wrapping_add(4),
            },
            Instruction::Jalr(..) => Kind::JumpToRegister,
            _ => Kind::Plain,
        },
    }
}

fn bytes(sorted: bool) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(128);
    let mut bytes: Vec<u8> = (0..DATA_BYTES).map(|_| random.u8(..)).collect();
    if sorted {
        bytes.sort();
    }
    bytes
}

fn main() -> Result<(), Failure> {
    let random = trace(SUM, &bytes(false))?;
    let sorted = trace(SUM, &bytes(true))?;
    let (n, slow) = (
        random.len(),
        Design {
            forwards: false,
            ..FIVE
        },
    );
    println!("random bytes                stalls  flushed  cycles   IPC");
    println!(
        "one at a time, 5 cycles          0        0  {:>6}  0.20",
        n * 5
    );
    for (name, text, design, predictor) in [
        ("5 stages", SUM, slow, Predictor::NotTaken),
        ("+ forwarding", SUM, FIVE, Predictor::NotTaken),
        ("+ backward is taken", SUM, FIVE, Predictor::Backward),
        (
            "+ no use right after load",
            &rearranged(),
            FIVE,
            Predictor::Backward,
        ),
    ] {
        let t = time(&trace(text, &bytes(false))?, design, predictor);
        let ipc = t.ipc();
        let (stalls, flushed, cycles) = (t.stalls, t.flushed, t.cycles);
        println!("{name:<26}  {stalls:>6}  {flushed:>7}  {cycles:>6}  {ipc:.2}");
    }

    println!("\npredictor           data    branches  missed  cycles   IPC");
    for (name, predictor) in [
        ("never taken", Predictor::NotTaken),
        ("backward is taken", Predictor::Backward),
        ("two-bit counters", two_bit()),
        ("perfect", Predictor::Perfect),
    ] {
        for (data, trace) in [("random", &random), ("sorted", &sorted)] {
            let t = time(trace, FIVE, predictor.clone());
            let (ipc, missed, cycles) = (t.ipc(), t.missed, t.cycles);
            let branches = t.branches;
            println!(
                "{name:<18}  {data:<6}  {branches:>8}  {missed:>6}  \
                 {cycles:>6}  {ipc:.2}"
            );
        }
    }

    println!("\ndesign               clock    data     IPC  per ns     time");
    for (name, design) in [("5 stages", FIVE), ("more, shorter stages", DEEP)] {
        for (data, trace) in [("random", &random), ("sorted", &sorted)] {
            let t = time(trace, design, two_bit());
            let ghz = design.clock_mhz as f64 / 1000.0;
            let (ipc, per_ns) = (t.ipc(), t.ipc() * ghz);
            let nanoseconds = t.cycles * 1000 / design.clock_mhz;
            println!(
                "{name:<20} {ghz:.0} GHz    {data}  {ipc:.2}    {per_ns:.2}  \
                 {nanoseconds} ns"
            );
        }
    }
    Ok(())
}
