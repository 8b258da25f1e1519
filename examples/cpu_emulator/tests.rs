//! The claims about the machine, the encoder and the assembler.

use super::asm::{assemble, AsmError};
use super::cpu::*;
use super::encode::{encode, load_immediate, to_bytes, EncodeError};
use super::{machine, BROKEN, CYCLES_MAX, MEMORY_BYTES, PROGRAM};

/// Words and text from another assembler, llvm-mc of LLVM 14 (-triple=riscv32),
/// with the smallest and largest immediates of each format.
const ASSEMBLED: &str = "
    123452b7 lui t0, 0x12345 | ffffffb7 lui t6, 0xfffff |
    00001317 auipc t1, 0x1 | 001000ef jal ra, +2048 | ffdff06f jal zero, -4 |
    7ffff06f jal zero, +1048574 | 800000ef jal ra, -1048576 |
    010100e7 jalr ra, 16(sp) | 800f8067 jalr zero, -2048(t6) |
    7ff08467 jalr s0, 2047(ra) | 00208463 beq ra, sp, +8 |
    fe209ce3 bne ra, sp, -8 | 7e41cfe3 blt gp, tp, +4094 |
    8041d063 bge gp, tp, -4096 | 0062e863 bltu t0, t1, +16 |
    0062f0e3 bgeu t0, t1, +2048 | fff58503 lb a0, -1(a1) |
    00259583 lh a1, 2(a1) | 00412503 lw a0, 4(sp) | 0085c503 lbu a0, 8(a1) |
    7ff5d583 lhu a1, 2047(a1) | 80c68023 sb a2, -2048(a3) |
    00c69fa3 sh a2, 31(a3) | 00112623 sw ra, 12(sp) | 7fff2fa3 sw t6, 2047(t5) |
    00510093 addi ra, sp, 5 | 80050513 addi a0, a0, -2048 |
    ffb12093 slti ra, sp, -5 | 00713093 sltiu ra, sp, 7 |
    fff13093 sltiu ra, sp, -1 | fff14093 xori ra, sp, -1 |
    0ff16093 ori ra, sp, 255 | 00f17093 andi ra, sp, 15 |
    00311093 slli ra, sp, 3 | 01f15093 srli ra, sp, 31 |
    40715093 srai ra, sp, 7 | 41ffdf93 srai t6, t6, 31 |
    002081b3 add gp, ra, sp | 402081b3 sub gp, ra, sp |
    002091b3 sll gp, ra, sp | 0020a1b3 slt gp, ra, sp |
    0020b1b3 sltu gp, ra, sp | 0020c1b3 xor gp, ra, sp |
    0020d1b3 srl gp, ra, sp | 4020d1b3 sra gp, ra, sp | 0020e1b3 or gp, ra, sp |
    01df7fb3 and t6, t5, t4 | 0ff0000f fence | 00000073 ecall |
    00100073 ebreak";

/// What the same llvm-mc makes of `PROGRAM`.
const PROGRAM_ASSEMBLED: &str = "
    00001137 00a00513 00c000ef 04c000ef 0540006f 00200293 02554e63 ff010113
    00112623 00812423 ffe50413 fff50513 fe5ff0ef 00a12223 00040513 fd9ff0ef
    00412283 00550533 00812403 00c12083 01010113 00008067 00100893 00000073
    00008067 00000517 06850513 00000597 08058593 00450293 02b2f863 0002a303
    00028393 00a38c63 ffc3ae03 01c35863 01c3a023 ffc38393 fedff06f 0063a023
    00428293 fd5ff06f 00050413 00058493 00042503 fa5ff0ef 00440413 fe941ae3
    00000513 05d00893 00000073 0000001f fffffffc 0000000f 0000005c ffffffbf
    00000023 00000008 00000009";

fn hex(word: &str) -> u32 {
    u32::from_str_radix(word, 16).expect("hexadecimal")
}

#[test]
fn every_word_of_another_assembler_is_read_and_written_alike() {
    let lines: Vec<&str> = ASSEMBLED.split('|').map(str::trim).collect();
    assert_eq!(
        lines.len(),
        50,
        "all 40 of RV32I, some with several operands"
    );
    for line in lines {
        let (word, text) = line.split_once(' ').expect("word and text");
        let word = hex(word);
        let instruction = decode(word).expect(text);
        assert_eq!(instruction.to_string(), text);
        assert_eq!(encode(instruction), Ok(word), "{text}");
        assert_eq!(assemble(text), Ok(vec![word]), "{text}");
    }
}

#[test]
fn the_whole_program_is_what_another_assembler_makes_of_it() {
    let words: Vec<u32> = PROGRAM_ASSEMBLED.split_whitespace().map(hex).collect();
    assert_eq!(assemble(PROGRAM), Ok(words));
}

#[test]
fn encode_undoes_decode_for_every_word_that_is_an_instruction() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut instructions = 0;
    for _ in 0..60_000 {
        // Opcodes end in 11: that makes instructions less rare.
        let word = random.u32(..) | 0b11;
        let Ok(instruction) = decode(word) else {
            continue;
        };
        instructions += 1;
        if instruction != Instruction::Fence {
            assert_eq!(encode(instruction), Ok(word), "{instruction}");
            let text = instruction.to_string();
            assert_eq!(assemble(&text), Ok(vec![word]), "{text}");
        }
    }
    assert!(instructions > 10_000);
    // "All zeros" and "all ones" are illegal by definition.
    for word in [0, u32::MAX] {
        assert_eq!(decode(word), Err(Cause::IllegalInstruction { word }));
    }
}

#[test]
fn instructions_of_extensions_and_of_rv64i_are_illegal() {
    // fence.i; csrrw; mul; mret; ld, lwu and sd; shifts by 32; addiw.
    let words = [
        0x0000_100f,
        0x3000_1073,
        0x0220_81b3,
        0x3020_0073,
        0x0005_3503,
        0x0005_6503,
        0x00a5_3023,
        0x0205_1513,
        0x0205_5513,
        0x4205_5513,
        0x0015_051b,
    ];
    for word in words {
        assert_eq!(decode(word), Err(Cause::IllegalInstruction { word }));
    }
}

#[test]
fn an_operand_that_does_not_fit_is_refused() {
    let (a, add) = (Reg::A0, AluOp::Add);
    let too_large = [
        Instruction::OpImm(add, a, a, 2048),
        Instruction::OpImm(AluOp::Sll, a, a, 32),
        Instruction::OpImm(AluOp::Srl, a, a, -1),
        Instruction::Load(LoadOp::Lw, a, -2049, a),
        Instruction::Store(StoreOp::Sw, a, 2048, a),
        Instruction::Branch(BranchOp::Beq, a, a, 4096),
        Instruction::Jal(a, -1_048_578),
        Instruction::Lui(a, 1 << 20),
    ];
    for instruction in too_large {
        let error = encode(instruction);
        assert!(matches!(error, Err(EncodeError::OutOfRange { .. })));
    }
    let odd = encode(Instruction::Jal(a, 7));
    assert_eq!(odd, Err(EncodeError::Odd { offset: 7 }));
    let subi = encode(Instruction::OpImm(AluOp::Sub, a, a, 1));
    assert_eq!(subi, Err(EncodeError::NoImmediateForm(AluOp::Sub)));
}

/// A machine whose registers hold random numbers, many of them special.
fn random_machine(random: &mut fastrand::Rng) -> Cpu {
    let mut cpu = Cpu::new(MEMORY_BYTES);
    let bytes: Vec<u8> = (0..MEMORY_BYTES).map(|_| random.u8(..)).collect();
    cpu.load(0, &bytes).expect("fits");
    for number in 0..32 {
        let value = match random.u32(..4) {
            0 => {
                [0, 1, 31, 32, 0x7fff_ffff, 0x8000_0000, u32::MAX][random.usize(..7)]
            }
            1 => random.u32(..MEMORY_BYTES),
            _ => random.u32(..),
        };
        cpu.set_register(Reg::new(number).expect("below 32"), value);
    }
    cpu
}

fn any_reg(random: &mut fastrand::Rng) -> Reg {
    Reg::new(random.u8(..32)).expect("below 32")
}

fn registers(cpu: &Cpu) -> Vec<u32> {
    let all = (0..32).filter_map(Reg::new);
    all.map(|reg| cpu.register(reg)).collect()
}

/// Puts the instruction at `pc` and carries it out.
fn carry_out(cpu: &mut Cpu, pc: u32, it: Instruction) -> Result<Trace, Fault> {
    let word = encode(it).expect("operands fit");
    cpu.load(pc, &to_bytes(&[word])).expect("fits");
    cpu.set_pc(pc);
    cpu.step()
}

/// Arithmetic as one would write it with large numbers, then cut to 32 bits.
fn model(op: AluOp, a: u32, b: u32) -> u32 {
    let (signed_a, signed_b) = (i128::from(a as i32), i128::from(b as i32));
    let (wide_a, wide_b) = (i128::from(a), i128::from(b));
    let power = 2_i128.pow(b % 32);
    let result = match op {
        AluOp::Add => wide_a + wide_b,
        AluOp::Sub => wide_a - wide_b,
        AluOp::Sll => wide_a * power,
        AluOp::Srl => wide_a / power,
        AluOp::Sra => signed_a.div_euclid(power),
        AluOp::Slt => i128::from(signed_a < signed_b),
        AluOp::Sltu => i128::from(wide_a < wide_b),
        AluOp::Xor => wide_a + wide_b - 2 * i128::from(a & b),
        AluOp::Or => wide_a + wide_b - i128::from(a & b),
        AluOp::And => (0..32)
            .map(|i| ((wide_a >> i & 1) * (wide_b >> i & 1)) << i)
            .sum(),
    };
    result.rem_euclid(1 << 32) as u32
}

const ALU_OPS: [AluOp; 10] = [
    AluOp::Add,
    AluOp::Sub,
    AluOp::Sll,
    AluOp::Slt,
    AluOp::Sltu,
    AluOp::Xor,
    AluOp::Srl,
    AluOp::Sra,
    AluOp::Or,
    AluOp::And,
];

#[test]
fn arithmetic_is_that_of_a_plain_model_and_changes_one_register() {
    let mut random = fastrand::Rng::with_seed(2);
    for _ in 0..300 {
        let mut cpu = random_machine(&mut random);
        for op in ALU_OPS {
            let [rd, rs1, rs2] = [(); 3].map(|()| any_reg(&mut random));
            let immediate = match op {
                AluOp::Sll | AluOp::Srl | AluOp::Sra => random.i32(..32).abs() % 32,
                _ => random.i32(-2048..2048),
            };
            let mut instructions = vec![
                (Instruction::Op(op, rd, rs1, rs2), cpu.register(rs2)),
                (Instruction::OpImm(op, rd, rs1, immediate), immediate as u32),
            ];
            if op == AluOp::Sub {
                instructions.pop();
            }
            for (instruction, second) in instructions {
                let second = match instruction {
                    Instruction::Op(..) => cpu.register(rs2),
                    _ => second,
                };
                let mut expected = registers(&cpu);
                expected[rd.number()] = model(op, cpu.register(rs1), second);
                expected[0] = 0;
                let pc = random.u32(..1000) * 4;
                carry_out(&mut cpu, pc, instruction).expect("no fault");
                assert_eq!(registers(&cpu), expected, "{instruction}");
                assert_eq!(cpu.pc(), pc + 4);
            }
        }
    }
}

#[test]
fn a_load_reads_little_endian_bytes_and_extends_them_as_its_name_says() {
    use LoadOp::{Lb, Lbu, Lh, Lhu, Lw};
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..500 {
        let mut cpu = random_machine(&mut random);
        for (op, bytes) in [(Lb, 1), (Lbu, 1), (Lh, 2), (Lhu, 2), (Lw, 4)] {
            let (rd, offset) = (any_reg(&mut random), random.i32(-2048..2048));
            let address = 4 + random.u32(..(MEMORY_BYTES - 8) / bytes) * bytes;
            let address = address / bytes * bytes;
            cpu.set_register(Reg::A0, address.wrapping_sub(offset as u32));
            let load = Instruction::Load(op, rd, offset, Reg::A0);
            cpu.load(0, &to_bytes(&[encode(load).expect("fits")]))
                .expect("fits");
            let mut expected = registers(&cpu);
            let mut value: i64 = 0;
            for i in (0..bytes).rev() {
                let byte = cpu.memory()[(address + i) as usize];
                value = value * 256 + i64::from(byte);
            }
            let half = 1 << (8 * bytes - 1);
            if matches!(op, Lb | Lh) && value >= half {
                value -= 2 * half;
            }
            expected[rd.number()] = value as u32;
            expected[0] = 0;
            carry_out(&mut cpu, 0, load).expect("no fault");
            assert_eq!(registers(&cpu), expected, "{load}");
        }
    }
}

#[test]
fn a_store_changes_its_bytes_and_nothing_else() {
    use StoreOp::{Sb, Sh, Sw};
    let mut random = fastrand::Rng::with_seed(4);
    for _ in 0..300 {
        let mut cpu = random_machine(&mut random);
        for (op, bytes) in [(Sb, 1), (Sh, 2), (Sw, 4)] {
            let offset = random.i32(-2048..2048);
            let address = random.u32(..MEMORY_BYTES / bytes) * bytes;
            cpu.set_register(Reg::A0, address.wrapping_sub(offset as u32));
            let store = Instruction::Store(op, Reg::A1, offset, Reg::A0);
            let pc = random.u32(..MEMORY_BYTES / 4) * 4;
            let word = encode(store).expect("fits");
            cpu.load(pc, &to_bytes(&[word])).expect("fits");
            let (before, mut memory) = (registers(&cpu), cpu.memory().to_vec());
            let mut value = cpu.register(Reg::A1);
            for i in 0..bytes {
                memory[(address + i) as usize] = (value % 256) as u8;
                value /= 256;
            }
            carry_out(&mut cpu, pc, store).expect("no fault");
            assert!(cpu.memory() == memory, "{store} at {address:#x}");
            assert_eq!(registers(&cpu), before);
        }
    }
}

#[test]
fn a_branch_compares_signed_or_unsigned_as_its_name_says() {
    use BranchOp::{Beq, Bge, Bgeu, Blt, Bltu, Bne};
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..500 {
        let mut cpu = random_machine(&mut random);
        for op in [Beq, Bne, Blt, Bge, Bltu, Bgeu] {
            let rs1 = any_reg(&mut random);
            // The same register now and then: equal operands.
            let rs2 = [rs1, any_reg(&mut random)][random.usize(..2)];
            let (a, b) = (cpu.register(rs1), cpu.register(rs2));
            let (x, y) = (i64::from(a as i32), i64::from(b as i32));
            let is_taken = match op {
                Beq => x == y,
                Bne => x != y,
                Blt => x < y,
                Bge => x >= y,
                Bltu => i64::from(a) < i64::from(b),
                Bgeu => i64::from(a) >= i64::from(b),
            };
            let offset = random.i32(-1024..1024) * 4;
            let branch = Instruction::Branch(op, rs1, rs2, offset);
            let before = registers(&cpu);
            carry_out(&mut cpu, 2048, branch).expect("no fault");
            let expected = if is_taken { 2048 + offset } else { 2052 };
            assert_eq!(cpu.pc(), expected as u32, "{branch}: {x} and {y}");
            assert_eq!(registers(&cpu), before);
        }
    }
}

#[test]
fn jumps_save_where_to_return_and_jalr_clears_the_lowest_bit() {
    let mut cpu = Cpu::new(MEMORY_BYTES);
    carry_out(&mut cpu, 100, Instruction::Jal(Reg::RA, -96)).expect("no fault");
    assert_eq!((cpu.pc(), cpu.register(Reg::RA)), (4, 104));
    for (base, offset) in [(200, 1), (201, 0), (199, 2), (203, -2), (200, 0)] {
        cpu.set_register(Reg::A0, base);
        let jump = Instruction::Jalr(Reg::RA, offset, Reg::A0);
        carry_out(&mut cpu, 40, jump).expect("no fault");
        assert_eq!((cpu.pc(), cpu.register(Reg::RA)), (200, 44));
    }
    // The same register as base and as result: the old value is the base.
    cpu.set_register(Reg::A0, 300);
    let jump = Instruction::Jalr(Reg::A0, 0, Reg::A0);
    carry_out(&mut cpu, 40, jump).expect("no fault");
    assert_eq!((cpu.pc(), cpu.register(Reg::A0)), (300, 44));
}

#[test]
fn the_upper_twenty_bits_come_from_lui_and_are_added_to_the_counter_by_auipc() {
    let mut cpu = Cpu::new(MEMORY_BYTES);
    carry_out(&mut cpu, 8, Instruction::Lui(Reg::A0, 0xf_ffff)).expect("no fault");
    assert_eq!(cpu.register(Reg::A0), 0xffff_f000);
    let auipc = Instruction::Auipc(Reg::A0, 0xf_ffff);
    carry_out(&mut cpu, 8, auipc).expect("no fault");
    assert_eq!(cpu.register(Reg::A0), 0xffff_f008);
}

#[test]
fn two_instructions_load_any_number() {
    let mut random = fastrand::Rng::with_seed(6);
    let special = [0, 1, -1, 2047, 2048, -2048, -2049, 0x800, 0xfff, 4096];
    let edges = special
        .into_iter()
        .chain([i32::MIN, i32::MAX, i32::MAX - 2047]);
    let numbers: Vec<i32> = edges.chain((0..2000).map(|_| random.i32(..))).collect();
    for number in numbers {
        let mut cpu = Cpu::new(64);
        for instruction in load_immediate(Reg::A0, number) {
            carry_out(&mut cpu, 0, instruction).expect("no fault");
        }
        assert_eq!(cpu.register(Reg::A0) as i32, number);
    }
}

#[test]
fn random_words_never_panic_and_x0_stays_0_and_a_fault_changes_nothing() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut cycles = 0;
    for _ in 0..500 {
        let mut cpu = random_machine(&mut random);
        // Half of the programs are valid words only, which run for longer.
        if random.bool() {
            let words = (0..256).map(|_| loop {
                let word = random.u32(..) | 0b11;
                if decode(word).is_ok() {
                    break word;
                }
            });
            let words: Vec<u32> = words.collect();
            cpu.load(0, &to_bytes(&words)).expect("fits");
        }
        cpu.set_pc([0, 0, random.u32(..)][random.usize(..3)]);
        for _ in 0..100 {
            let (pc, before) = (cpu.pc(), registers(&cpu));
            let memory_before = cpu.memory().to_vec();
            match cpu.step() {
                Ok(_) => cycles += 1,
                Err(fault) => {
                    assert_eq!((fault.pc, cpu.pc()), (pc, pc));
                    assert_eq!(registers(&cpu), before);
                    assert!(cpu.memory() == memory_before);
                    assert!(!fault.to_string().is_empty());
                    cpu.set_pc([pc.wrapping_add(4), 0][random.usize(..2)]);
                }
            }
            assert_eq!(cpu.register(Reg::ZERO), 0);
        }
    }
    assert!(cycles > 10_000, "{cycles}");
}

#[test]
fn a_mistake_ends_with_the_cycle_and_the_cause() {
    let ends: Vec<(u64, Cause)> = BROKEN
        .iter()
        .map(|(name, text)| {
            let run = machine(text).expect(name).run(CYCLES_MAX);
            let fault = run.expect_err(name);
            (fault.cycle, fault.cause)
        })
        .collect();
    let (outside, misaligned) = (0x1000, 6);
    let expected = [
        (
            2,
            Cause::OutsideMemory {
                address: outside,
                bytes: 4,
            },
        ),
        (
            2,
            Cause::Misaligned {
                address: misaligned,
                bytes: 4,
            },
        ),
        (
            2,
            Cause::FetchOutsideMemory {
                address: 0xffff_fff8,
            },
        ),
        (2, Cause::IllegalInstruction { word: 0 }),
        (CYCLES_MAX, Cause::CyclesUsedUp),
    ];
    assert_eq!(ends[..5], expected);
    // 256 places of 16 bytes fill the memory, with three cycles for each.
    let (address, bytes) = (0u32.wrapping_sub(16), 4);
    let full = Cause::OutsideMemory { address, bytes };
    assert_eq!(ends[5], (1 + 256 * 3 + 2, full));
}

#[test]
fn a_stack_without_end_overwrites_the_program_before_it_leaves_the_memory() {
    let (_, text) = BROKEN[5];
    let mut cpu = machine(text).expect("assembles");
    let first = cpu.memory()[..4].to_vec();
    assert!(cpu.run(CYCLES_MAX).is_err());
    assert_ne!(cpu.memory()[..4], first);
    assert_eq!(cpu.memory()[..4], 16_u32.to_le_bytes(), "a return address");
}

#[test]
fn a_jump_to_an_odd_half_word_is_the_fault_of_the_jump() {
    let mut cpu = Cpu::new(MEMORY_BYTES);
    for jump in [
        Instruction::Jal(Reg::RA, 6),
        Instruction::Jalr(Reg::RA, 6, Reg::ZERO),
        Instruction::Branch(BranchOp::Beq, Reg::A0, Reg::A0, 6),
    ] {
        let fault = carry_out(&mut cpu, 0, jump).expect_err("misaligned");
        assert_eq!(fault.cause, Cause::MisalignedJump { target: 6 });
        assert_eq!((fault.pc, cpu.register(Reg::RA)), (0, 0));
    }
    // Nor does a machine start there.
    cpu.set_pc(6);
    let fault = cpu.step().expect_err("misaligned");
    assert_eq!(fault.cause, Cause::MisalignedJump { target: 6 });
    // A branch that is not taken goes nowhere, so nothing is wrong.
    let branch = Instruction::Branch(BranchOp::Bne, Reg::A0, Reg::A0, 6);
    assert!(carry_out(&mut cpu, 0, branch).is_ok());
}

#[test]
fn calls_print_and_exit_and_others_are_refused() {
    let mut cpu = machine("li a7, 1\n li a0, -7\n ecall\n li a7, 93\n ecall")
        .expect("assembles");
    assert_eq!(
        cpu.run(10),
        Ok(Exit {
            code: -7,
            cycles: 5
        })
    );
    assert_eq!(cpu.printed(), [-7]);
    assert_eq!(cpu.step().expect_err("over").cause, Cause::HasExited);

    let fault = machine("li a7, 2\n ecall").expect("assembles").run(10);
    assert_eq!(
        fault.expect_err("refused").cause,
        Cause::UnknownCall { a7: 2 }
    );
    let endless = "li a7, 1\n here: ecall\n j here";
    let mut cpu = machine(endless).expect("assembles");
    let fault = cpu.run(CYCLES_MAX).expect_err("refused");
    assert_eq!(fault.cause, Cause::PrintedTooMuch);
    assert_eq!(cpu.printed().len(), PRINTED_MAX);
    let fault = machine("ebreak").expect("assembles").run(10);
    assert_eq!(fault.expect_err("stops").cause, Cause::Breakpoint);
}

fn run_program(n: u32, numbers: &[i32]) -> Vec<i32> {
    let list: Vec<String> = numbers.iter().map(i32::to_string).collect();
    let text = PROGRAM
        .replace("31, -4, 15, 92, -65, 35, 8, 9", &list.join(", "))
        .replace("li   a0, 10", &format!("li   a0, {n}"));
    let mut cpu = machine(&text).expect("assembles");
    cpu.run(CYCLES_MAX).expect("ends");
    cpu.printed().to_vec()
}

#[test]
fn the_program_computes_fibonacci_numbers_and_sorts() {
    let mut random = fastrand::Rng::with_seed(8);
    let (mut this, mut next) = (0, 1);
    for n in 0..15 {
        let numbers: Vec<i32> = (0..1 + random.usize(..40))
            .map(|_| [random.i32(..), random.i32(-3..3)][random.usize(..2)])
            .collect();
        let mut expected = numbers.clone();
        expected.sort();
        expected.insert(0, this);
        assert_eq!(run_program(n, &numbers), expected);
        (this, next) = (next, this + next);
    }
}

#[test]
fn the_assembler_names_the_line_and_what_is_wrong_with_it() {
    for (text, line, message) in [
        ("nop nop", 1, "no instruction nop"),
        ("ret\nadd a0, a1", 2, "add: operand is missing"),
        ("add a0, a1, x9", 1, "no register x9"),
        ("\n\nj nowhere", 3, "no label nowhere"),
        ("a: ret\na: ret", 2, "label a stands twice"),
        ("addi a0, a0, 2048", 1, "2048 is not between -2048 and 2047"),
        ("subi a0, a0, 1", 1, "no instruction subi"),
        ("lw a0, 4", 1, "4 is not offset(base)"),
        ("li a0, ten", 1, "ten is not a number"),
        (".word 4294967296", 1, "4294967296 has more than 32 bits"),
        (
            ".word --9223372036854775808",
            1,
            "--9223372036854775808 has more than 32 bits",
        ),
    ] {
        let message = message.to_string();
        assert_eq!(assemble(text), Err(AsmError { line, message }));
    }
}

#[test]
fn a_program_that_does_not_fit_is_refused() {
    let mut cpu = Cpu::new(8);
    assert!(cpu.load(4, &[0; 5]).is_err());
    assert!(cpu.load(u32::MAX, &[0]).is_err());
    assert!(cpu.load(8, &[]).is_ok());
    let program = |words| format!(".word 1{}", ", 1".repeat(words - 1));
    let fits = MEMORY_BYTES as usize / 4;
    assert!(machine(&program(fits)).is_ok());
    let error = machine(&program(fits + 1))
        .map(|_| ())
        .expect_err("too large");
    assert_eq!(
        error.to_string(),
        "4100 bytes at 0x0 are outside the memory"
    );
}

#[test]
fn la_reaches_a_label_at_any_distance() {
    for words in [0, 1, 510, 511, 512, 513, 900] {
        let gap = ".word 1\n".repeat(words);
        let forwards = format!("la a0, there\n ebreak\n {gap}there: .word 0");
        let mut cpu = machine(&forwards).expect("fits");
        assert!(cpu.run(10).is_err(), "ebreak");
        assert_eq!(cpu.register(Reg::A0) as usize, 12 + 4 * words);

        let backwards =
            format!("j start\nthere:\n {gap}start: la a0, there\n ebreak");
        let mut cpu = machine(&backwards).expect("fits");
        assert!(cpu.run(10).is_err(), "ebreak");
        assert_eq!(cpu.register(Reg::A0), 4);
    }
}
