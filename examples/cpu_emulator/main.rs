//! A processor runs a program: Fibonacci numbers by recursion, then a sort.
//!
//! `cpu.rs` is the machine, `encode.rs` turns instructions into words and text,
//! `asm.rs` reads assembly text. The text below becomes 59 words in memory,
//! and the machine knows nothing but these words.
//!
//! What to look for: each line is one cycle, with the address, the word in
//! memory, the instruction that it is, and the one thing that it changes. At the
//! end come programs with a mistake: each ends with an error that names the cycle
//! and the address, and nothing is half changed.
//!
//! Simplified: see `cpu.rs`. An `ecall` stands for an operating system that can
//! print a number (a7 is 1) and end the program (a7 is 93).

mod asm;
mod cpu;
mod encode;
#[cfg(test)]
mod tests;

use asm::assemble;
use cpu::{Cpu, Event, Trace};
use encode::to_bytes;

const MEMORY_BYTES: u32 = 4096;
const CYCLES_MAX: u64 = 100_000;

const PROGRAM: &str = "
# ANCHOR: fib
main:   li   sp, 0x1000        # the stack grows down from the end of memory
        li   a0, 10
        jal  ra, fib           # ra: where to return to
        jal  ra, print
        j    sort

fib:    li   t0, 2             # fib(n) in a0: n if n < 2,
        blt  a0, t0, done      # otherwise fib(n - 1) + fib(n - 2)
        addi sp, sp, -16       # a place on the stack for what a call destroys
        sw   ra, 12(sp)
        sw   s0, 8(sp)
        addi s0, a0, -2
        addi a0, a0, -1
        jal  ra, fib
        sw   a0, 4(sp)
        mv   a0, s0
        jal  ra, fib
        lw   t0, 4(sp)
        add  a0, a0, t0
        lw   s0, 8(sp)
        lw   ra, 12(sp)
        addi sp, sp, 16
done:   ret
# ANCHOR_END: fib

print:  li   a7, 1
        ecall
        ret

sort:   la   a0, first         # insertion sort: t0 is the number to insert,
        la   a1, end           # t1 its value, t2 the place that may be its own
        addi t0, a0, 4
outer:  bgeu t0, a1, show
        lw   t1, 0(t0)
        mv   t2, t0
inner:  beq  t2, a0, place
        lw   t3, -4(t2)
        bge  t1, t3, place
        sw   t3, 0(t2)
        addi t2, t2, -4
        j    inner
place:  sw   t1, 0(t2)
        addi t0, t0, 4
        j    outer

show:   mv   s0, a0
        mv   s1, a1
next:   lw   a0, 0(s0)
        jal  ra, print
        addi s0, s0, 4
        bne  s0, s1, next
        li   a0, 0
        li   a7, 93
        ecall

first:  .word 31, -4, 15, 92, -65, 35, 8, 9
end:
";

/// Programs with a mistake.
const BROKEN: [(&str, &str); 6] = [
    ("one past the end", "li a0, 0x1000 \n sw a0, 0(a0)"),
    ("a word at 6", "li a0, 6 \n lw a0, 0(a0)"),
    ("a pointer is gone", "jalr ra, -8(zero)"),
    ("data as code", "j over \n over: .word 0"),
    ("no way out", "here: j here"),
    (
        "never returns",
        "li sp, 0x1000 \n f: addi sp, sp, -16 \n sw ra, 0(sp) \n jal ra, f",
    ),
];

fn machine(text: &str) -> Result<Cpu, Box<dyn std::error::Error>> {
    let mut cpu = Cpu::new(MEMORY_BYTES);
    cpu.load(0, &to_bytes(&assemble(text)?))?;
    Ok(cpu)
}

/// One cycle as a line.
fn line(trace: &Trace) -> String {
    let change = match (trace.effect.register, trace.effect.memory) {
        (Some((reg, value)), _) => format!("{reg} = {}", value as i32),
        (_, Some(write)) => {
            format!("[{:#x}] = {}", write.address, write.value as i32)
        }
        _ if trace.effect.next_pc != trace.pc + 4 => "jumps".to_string(),
        _ => match trace.effect.event {
            Some(Event::Print(number)) => format!("prints {number}"),
            Some(Event::Exit(code)) => format!("ends, code {code}"),
            None => "goes on".to_string(),
        },
    };
    format!(
        "{:>5}  {:04x}  {:08x}  {:<22}  {change}",
        trace.cycle,
        trace.pc,
        trace.word,
        trace.instruction.to_string()
    )
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut cpu = machine(PROGRAM)?;
    println!("cycle    pc  word      instruction             change");
    let last = loop {
        let trace = cpu.step()?;
        if trace.cycle <= 12 || (23..=27).contains(&trace.cycle) {
            println!("{}", line(&trace));
        }
        if trace.cycle == 13 {
            println!("  ...");
        }
        if let Some(Event::Exit(_)) = trace.effect.event {
            break trace;
        }
        if trace.cycle >= CYCLES_MAX {
            return Err("the program does not end".into());
        }
    };
    println!("  ...\n{}", line(&last));
    println!("printed: {:?}", cpu.printed());

    println!("\nmistake            ends with");
    for (name, text) in BROKEN {
        match machine(text)?.run(CYCLES_MAX) {
            Ok(exit) => println!("{name:<17}  {exit:?}"),
            Err(fault) => println!("{name:<17}  {fault}"),
        }
    }
    Ok(())
}
