//! The claims about timings and predictors.

use super::timing::Timing;
use super::*;

/// Stages as boxes, moved cycle by cycle: slow and obvious.
fn move_boxes(trace: &[Step], misses: &[bool], forwards: bool) -> u64 {
    let (mut fetched, mut cycle, mut waits_for) = (0, 0, None);
    // The places in the trace of what is in execute, memory, write back.
    let (mut fetch, mut decode) = (None, None);
    let (mut execute, mut memory) = (None, None);
    let writes = |at: Option<usize>, reg: u8| {
        reg != 0 && at.is_some_and(|at: usize| trace[at].writes == reg)
    };
    loop {
        // The end of a cycle: everyone moves on, the last stage first.
        let write_back = memory;
        memory = execute;
        // What was in execute is in `memory` now, and what was in memory
        // is in `write_back`.
        let must_wait = decode.is_some_and(|at: usize| {
            trace[at].reads.iter().any(|reg| {
                let is_load =
                    memory.is_some_and(|at: usize| trace[at].kind == Kind::Load);
                match forwards {
                    true => is_load && writes(memory, *reg),
                    false => writes(memory, *reg) || writes(write_back, *reg),
                }
            })
        });
        execute = if must_wait { None } else { decode };
        if !must_wait {
            decode = fetch.take();
        }
        // Fetch sees the right address one cycle after execute knew it.
        if waits_for.is_some() && waits_for == memory {
            waits_for = None;
        }
        if fetch.is_none() && waits_for.is_none() && fetched < trace.len() {
            fetch = Some(fetched);
            if misses[fetched] {
                waits_for = fetch;
            }
            fetched += 1;
        }
        cycle += 1;
        if write_back == Some(trace.len() - 1) {
            return cycle;
        }
    }
}

fn random_step(random: &mut fastrand::Rng) -> Step {
    // Few registers, so that many instructions wait for another.
    let mut reg = || random.u8(..4);
    let (reads, writes) = ([reg(), reg()], reg());
    let (is_backward, taken) = (random.bool(), random.bool());
    let (kind, writes) = match random.u32(..6) {
        0 => (Kind::Load, writes),
        1 => (Kind::Branch { is_backward, taken }, 0),
        2 => (Kind::JumpToRegister, writes),
        3 => (Kind::Plain, 0), // a store
        _ => (Kind::Plain, writes),
    };
    Step {
        pc: 0,
        reads,
        writes,
        kind,
    }
}

#[test]
fn the_cycles_are_those_of_boxes_moved_one_by_one() {
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..3_000 {
        let trace: Vec<Step> = (0..1 + random.usize(..30))
            .map(|_| random_step(&mut random))
            .collect();
        let misses: Vec<bool> = trace
            .iter()
            .map(|step| match step.kind {
                Kind::Branch { taken, .. } => taken,
                kind => kind == Kind::JumpToRegister,
            })
            .collect();
        for forwards in [true, false] {
            let design = Design { forwards, ..FIVE };
            let timing = time(&trace, design, Predictor::NotTaken);
            assert_eq!(timing.cycles, move_boxes(&trace, &misses, forwards));
            // Each cycle is accounted for: four until the first is through.
            let unused = match misses.last() {
                Some(true) => 2, // nothing comes after the last
                _ => 0,
            };
            let (work, lost) = (timing.instructions, timing.stalls);
            let all = 4 + work + lost + timing.flushed - unused;
            assert_eq!(timing.cycles, all);
        }
    }
}

fn timing(sorted: bool, design: Design, predictor: Predictor) -> Timing {
    let trace = trace(SUM, &bytes(sorted)).expect("runs");
    time(&trace, design, predictor)
}

#[test]
fn sorting_the_data_makes_the_same_instructions_faster() {
    let random = timing(false, FIVE, two_bit());
    let sorted = timing(true, FIVE, two_bit());
    assert_eq!(random.instructions, sorted.instructions);
    assert!(random.missed > 80 * sorted.missed);
    assert!(random.cycles > sorted.cycles);
}

#[test]
fn a_predictor_that_does_not_learn_cannot_tell_sorted_data() {
    for predictor in [Predictor::NotTaken, Predictor::Backward] {
        let random = timing(false, FIVE, predictor.clone());
        assert_eq!(random, timing(true, FIVE, predictor));
    }
}

#[test]
fn the_end_of_a_loop_is_a_branch_backwards() {
    // The numbers on the page: what remains are the small bytes, which jump
    // forwards, and the end of the loop.
    let small = bytes(false).iter().filter(|byte| **byte < 128).count() as u64;
    let timing = timing(false, FIVE, Predictor::Backward);
    assert_eq!((timing.missed, timing.cycles), (small + 1, 6_522));
}

/// What an instruction does when one register holds something else.
fn effect(text: &str, other: Option<(Reg, u32)>) -> cpu::Effect {
    let mut cpu = Cpu::new(64);
    let words = asm::assemble(text).expect("right");
    cpu.load(0, &encode::to_bytes(&words)).expect("fits");
    cpu.load(32 + 4, &[7]).expect("fits");
    for number in 1..32 {
        cpu.set_register(Reg::new(number).expect("below 32"), 32);
    }
    cpu.set_register(Reg::A7, cpu::CALL_EXIT);
    if let Some((reg, value)) = other {
        cpu.set_register(reg, value);
    }
    cpu.step().expect("no fault").effect
}

#[test]
fn an_instruction_reads_the_registers_on_which_its_effect_depends() {
    for text in [
        "add t0, s0, s1",
        "addi t0, s0, 4",
        "lw t0, 4(s0)",
        "sw s1, 4(s0)",
        "beq s0, s1, +8",
        "jal t0, +8",
        "jalr t0, 4(s0)",
        "lui t0, 5",
        "auipc t0, 5",
        "fence",
    ] {
        let words = asm::assemble(text).expect("right");
        let reads = sources(cpu::decode(words[0]).expect("right"));
        for reg in (1..32).filter_map(Reg::new) {
            let depends = effect(text, Some((reg, 0))) != effect(text, None);
            assert_eq!(depends, reads.contains(&reg), "{text}: {reg}");
        }
    }
    // A call: which one, and with what.
    assert_eq!(sources(Instruction::Ecall), [Reg::A0, Reg::A7]);
}

#[test]
fn two_bits_miss_a_loop_once_each_time_it_ends() {
    let mut predictor = two_bit();
    let mut missed = 0;
    for _ in 0..100 {
        for round in 0..10 {
            missed += u32::from(predictor.misses(40, true, round < 9));
        }
    }
    assert_eq!(missed, 100 + 1, "and once to learn");
}

#[test]
fn two_bits_can_be_wrong_about_every_branch_that_alternates() {
    let mut predictor = two_bit();
    let missed = (0..100).filter(|i| predictor.misses(40, false, i % 2 == 0));
    assert_eq!(missed.count(), 100);
}

#[test]
fn the_higher_clock_wins_on_one_input_and_loses_on_the_other() {
    let cycles = |sorted, design| timing(sorted, design, two_bit()).cycles;
    let nanoseconds =
        |sorted, design: Design| cycles(sorted, design) * 1000 / design.clock_mhz;
    assert!(nanoseconds(false, DEEP) > nanoseconds(false, FIVE));
    assert!(nanoseconds(true, DEEP) < nanoseconds(true, FIVE));
    // The numbers on the page.
    assert_eq!((cycles(true, FIVE), cycles(true, DEEP)), (5_508, 7_563));
    assert_eq!((cycles(false, FIVE), cycles(false, DEEP)), (6_436, 13_595));
    assert_eq!(timing(true, FIVE, two_bit()).instructions, 4_494);
}

#[test]
fn rearranging_removes_each_stall_and_not_one_instruction() {
    let data = bytes(false);
    let [before, after] = [SUM.to_string(), rearranged()]
        .map(|text| time(&trace(&text, &data).expect("runs"), FIVE, two_bit()));
    assert_eq!((before.stalls, after.stalls), (DATA_BYTES as u64, 0));
    assert_eq!(before.instructions, after.instructions);
}

#[test]
fn both_loops_add_up_the_bytes_of_128_and_more() {
    for text in [SUM.to_string(), rearranged()] {
        for data in [bytes(false), bytes(true)] {
            let large = data.iter().filter(|byte| **byte >= 128);
            let sum: u32 = large.map(|byte| u32::from(*byte)).sum();
            let program = encode::to_bytes(&asm::assemble(&text).expect("right"));
            let mut cpu = Cpu::new(4096);
            cpu.load(0, &program).expect("fits");
            cpu.load(DATA, &data).expect("fits");
            let exit = cpu.run(CYCLES_MAX).expect("ends");
            assert_eq!(exit.code as u32, sum);
        }
    }
}
