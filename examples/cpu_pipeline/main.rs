//! How long does a program take? The same instructions, timed on pipelines.
//!
//! The machine of `cpu_emulator` runs a loop that adds up the bytes of 128 and
//! more. Its trace says what was done; this file says in which cycle. Five stages
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
//! needs its operands as early as an addition.

#[path = "../cpu_emulator/asm.rs"]
mod asm;
#[path = "../cpu_emulator/cpu.rs"]
mod cpu;
#[path = "../cpu_emulator/encode.rs"]
mod encode;
#[cfg(test)]
mod tests;

use cpu::{Cpu, Event, Instruction, Reg, Trace};

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
fn trace(text: &str, data: &[u8]) -> Result<Vec<Trace>, Failure> {
    let mut cpu = Cpu::new(4096);
    cpu.load(0, &encode::to_bytes(&asm::assemble(text)?))?;
    cpu.load(DATA, data)?;
    let mut trace = Vec::new();
    for _ in 0..CYCLES_MAX {
        let step = cpu.step()?;
        trace.push(step);
        if let Some(Event::Exit(_)) = step.effect.event {
            return Ok(trace);
        }
    }
    Err("the program does not end".into())
}

// ANCHOR: predictor
#[derive(Clone)]
enum Predictor {
    /// No branch is taken.
    NotTaken,
    /// Backwards is taken: the end of a loop.
    Backward,
    /// A counter from 0 to 3 for each of the branches; 2 and 3 mean taken. It
    /// takes two surprises to change its mind.
    TwoBit(Vec<u8>),
    /// Knows the future.
    Perfect,
}

impl Predictor {
    /// Was the guess wrong? Learns from the answer.
    fn misses(&mut self, pc: u32, offset: i32, taken: bool) -> bool {
        match self {
            Predictor::NotTaken => taken,
            Predictor::Backward => taken != (offset < 0),
            Predictor::TwoBit(counters) => {
                let place = pc as usize / 4 % counters.len();
                let counter = &mut counters[place];
                let guess = *counter >= 2;
                *counter = match taken {
                    true => (*counter + 1).min(3),
                    false => counter.saturating_sub(1),
                };
                guess != taken
            }
            Predictor::Perfect => false,
        }
    }
}
// ANCHOR_END: predictor

fn two_bit() -> Predictor {
    Predictor::TwoBit(vec![1; 256])
}

#[derive(Clone, Copy)]
struct Design {
    clock_mhz: u64,
    /// A result goes to the next instruction before it is in its register.
    forwards: bool,
    /// How many cycles later than the result of an addition a load has its own.
    load_cycles: u64,
    /// How many cycles of work are thrown away after a wrong guess.
    flush_cycles: u64,
}

/// Five stages. A branch is known at the end of execute, when two instructions
/// that may be wrong are in fetch and decode.
const FIVE: Design = Design {
    clock_mhz: 2_000,
    forwards: true,
    load_cycles: 1,
    flush_cycles: 2,
};

/// More and shorter stages: a higher clock, and more to throw away.
const DEEP: Design = Design {
    clock_mhz: 3_000,
    forwards: true,
    load_cycles: 3,
    flush_cycles: 14,
};

#[derive(Default, Clone, Copy, PartialEq, Debug)]
struct Timing {
    instructions: u64,
    branches: u64,
    missed: u64,
    stalls: u64,
    flushed: u64,
    cycles: u64,
}

impl Timing {
    /// Instructions per cycle.
    fn ipc(&self) -> f64 {
        self.instructions as f64 / self.cycles as f64
    }
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

// ANCHOR: time
/// In which cycle is each instruction in the stage execute?
fn time(trace: &[Trace], design: Design, mut predictor: Predictor) -> Timing {
    let mut timing = Timing::default();
    let mut ready = [0; 32]; // from when on a register's value can be used
    let mut executes = 2; // the first is fetched in cycle 1, executed in 3
    let mut flush = 0;
    for step in trace {
        let soonest = executes + 1 + flush;
        let [a, b] = sources(step.instruction).map(|reg| ready[reg.number()]);
        executes = soonest.max(a).max(b);
        timing.stalls += executes - soonest;

        if let Some((reg, _)) = step.effect.register {
            let after = match step.instruction {
                _ if !design.forwards => 3,
                Instruction::Load(..) => 1 + design.load_cycles,
                _ => 1,
            };
            if reg != Reg::ZERO {
                ready[reg.number()] = executes + after;
            }
        }
        let missed = match step.instruction {
            Instruction::Branch(_, _, _, offset) => {
                timing.branches += 1;
                let taken = step.effect.next_pc != step.pc.wrapping_add(4);
                predictor.misses(step.pc, offset, taken)
            }
            Instruction::Jalr(..) => true,
            _ => false,
        };
        flush = if missed { design.flush_cycles } else { 0 };
        timing.missed += u64::from(missed);
        timing.flushed += flush;
        timing.instructions += 1;
    }
    timing.cycles = executes + 2; // memory, write back
    timing
}
// ANCHOR_END: time

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
