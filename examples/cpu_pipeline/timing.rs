//! When each instruction of a trace is executed: a pipeline of five stages, with
//! a predictor of branches. Knows no instruction set: a step says which registers
//! it reads and writes, and of what kind it is.

/// An instruction that was carried out. Register 0 stands for none.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub pc: u32,
    pub reads: [u8; 2],
    pub writes: u8,
    pub kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    Plain,
    Load,
    Branch {
        is_backward: bool,
        taken: bool,
    },
    /// To an address in a register, as at the end of a function.
    JumpToRegister,
}

// ANCHOR: predictor
#[derive(Clone)]
pub enum Predictor {
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
    pub fn misses(&mut self, pc: u32, is_backward: bool, taken: bool) -> bool {
        match self {
            Predictor::NotTaken => taken,
            Predictor::Backward => taken != is_backward,
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

pub fn two_bit() -> Predictor {
    Predictor::TwoBit(vec![1; 256])
}

#[derive(Clone, Copy)]
pub struct Design {
    pub clock_mhz: u64,
    /// A result goes to the next instruction before it is in its register.
    pub forwards: bool,
    /// How many cycles later than the result of an addition a load has its own.
    pub load_cycles: u64,
    /// How many cycles of work are thrown away after a wrong guess.
    pub flush_cycles: u64,
}

/// Five stages. A branch is known at the end of execute, when two instructions
/// that may be wrong are in fetch and decode.
pub const FIVE: Design = Design {
    clock_mhz: 2_000,
    forwards: true,
    load_cycles: 1,
    flush_cycles: 2,
};

/// More and shorter stages: a higher clock, more to throw away, and a longer wait
/// for a load. 13 cycles are the usual penalty in AMD's optimization manual for
/// Zen 4; the clocks and the load are invented.
pub const DEEP: Design = Design {
    clock_mhz: 3_000,
    forwards: true,
    load_cycles: 3,
    flush_cycles: 13,
};

#[derive(Default, Clone, Copy, PartialEq, Debug)]
pub struct Timing {
    pub instructions: u64,
    pub branches: u64,
    pub missed: u64,
    pub stalls: u64,
    pub flushed: u64,
    pub cycles: u64,
}

impl Timing {
    /// Instructions per cycle.
    pub fn ipc(&self) -> f64 {
        self.instructions as f64 / self.cycles as f64
    }
}

// ANCHOR: time
/// In which cycle is each instruction in the stage execute?
pub fn time(trace: &[Step], design: Design, mut predictor: Predictor) -> Timing {
    let mut timing = Timing::default();
    let mut ready = [0; 32]; // from when on a register's value can be used
    let mut executes = 2; // the first is fetched in cycle 1, executed in 3
    let mut flush = 0;
    for step in trace {
        let soonest = executes + 1 + flush;
        let [a, b] = step.reads.map(|reg| ready[usize::from(reg)]);
        executes = soonest.max(a).max(b);
        timing.stalls += executes - soonest;
        if step.writes != 0 {
            ready[usize::from(step.writes)] = executes
                + match step.kind {
                    _ if !design.forwards => 3,
                    Kind::Load => 1 + design.load_cycles,
                    _ => 1,
                };
        }
        let missed = match step.kind {
            Kind::Branch { is_backward, taken } => {
                timing.branches += 1;
                predictor.misses(step.pc, is_backward, taken)
            }
            Kind::JumpToRegister => true,
            Kind::Plain | Kind::Load => false,
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
