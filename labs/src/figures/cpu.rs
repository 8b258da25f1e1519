//! Program: cpu_pipeline
//!
//! The reader's program in five stages, a cycle a step. What an instruction does is the emulator's
//! answer, and when it executes is the timing model's: the picture puts the two together.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::cpu::{decode, Cpu, Event, Instruction, Reg};
use super::encode::to_bytes;
use super::timing::{time, two_bit, Design, Kind as StepKind, Predictor, Step, Timing, FIVE};
use super::{asm, step, DATA};
use crate::figure::{About, Control, Figure, Kind, Setup};
use crate::scene::{Scene, Shape, Tone, WIDTH_MAX};

/// The loop of the chapter, over fewer bytes.
const PROGRAM: &str = "        li   a1, 0x400
        li   a2, 0x40c
        li   a3, 128
loop:   lbu  t0, 0(a1)
        blt  t0, a3, small
        add  a0, a0, t0
small:  addi a1, a1, 1
        bne  a1, a2, loop
        li   a7, 93
        ecall";
/// Half of them are less than 128.
const DATA_BYTES: usize = 12;
const MEMORY_BYTES: u32 = 4096;
/// A program that goes on for longer is stopped.
const INSTRUCTIONS_MAX: usize = 250;
const ORDERS: [&str; 3] = ["as they came", "sorted", "small and large in turn"];
const GUESSES: [&str; 4] = [
    "never taken",
    "backward is taken",
    "two-bit counters",
    "perfect",
];
const STAGES: [&str; 5] = ["fetch", "decode", "execute", "memory", "write back"];
const DECODE: usize = 1;
const EXECUTE: usize = 2;
const REGISTERS_SHOWN_MAX: usize = 9;
const ROW: f64 = 32.0;
const TOP: f64 = 18.0;
const BOX_LEFT: f64 = 66.0;
const BOX_WIDTH: f64 = 118.0;

/// An instruction of the run and when it is where.
struct Passage {
    text: String,
    /// What the pipeline knows of it.
    step: Step,
    /// The first cycle in each stage.
    enters: [u64; 5],
    /// How long it waits in decode, and for which register.
    waits: u64,
    waits_for: u8,
    /// What it reads before that is in its register: the register, and how many cycles ahead its
    /// writer is.
    forwarded: Vec<(u8, u64)>,
    /// The two that were fetched after a wrong guess.
    wrong: Vec<String>,
    does: String,
}

/// How the program's run ends.
enum End {
    Exit(i32),
    /// In the reader's words: what went wrong.
    Stopped(String),
}

/// A program that can be run.
struct Ready {
    passages: Vec<Passage>,
    timing: Timing,
    end: End,
    registers: Vec<u8>,
    goals: [bool; 4],
}

/// The pipeline at one cycle.
pub struct Lab {
    ready: Result<Ready, String>,
    cpu: Cpu,
    cycle: u64,
    /// Instructions that have left the pipeline: what they changed is in `cpu`.
    done: usize,
}

fn name_of(reg: u8) -> String {
    Reg::new(reg).map_or(String::new(), |reg| reg.to_string())
}

/// The same bytes for each order.
fn bytes(seed: u64, order: i64) -> Vec<u8> {
    let mut rng = Rng::with_seed(seed);
    let half = DATA_BYTES / 2;
    let small: Vec<u8> = (0..half).map(|_| rng.u8(..128)).collect();
    let large: Vec<u8> = (0..half).map(|_| rng.u8(128..)).collect();
    if order == 2 {
        return small
            .iter()
            .zip(&large)
            .flat_map(|(a, b)| [*a, *b])
            .collect();
    }
    let mut bytes = Vec::with_capacity(DATA_BYTES);
    for byte in [small, large].concat() {
        let place = match order {
            1 => bytes.partition_point(|other| *other < byte),
            // Not of `usize`, whose width is the machine's.
            _ => rng.u32(..=bytes.len() as u32) as usize,
        };
        bytes.insert(place, byte);
    }
    bytes
}

/// A machine with the program and the bytes in its memory.
fn machine(words: &[u32], data: &[u8]) -> Result<Cpu, String> {
    if words.len() * 4 > DATA as usize {
        return Err(format!(
            "a program has at most {} words here: at {DATA:#x} the bytes begin",
            DATA / 4
        ));
    }
    let mut cpu = Cpu::new(MEMORY_BYTES);
    cpu.load(0, &to_bytes(words))
        .map_err(|cause| cause.to_string())?;
    cpu.load(DATA, data).map_err(|cause| cause.to_string())?;
    Ok(cpu)
}

/// What the program does, instruction by instruction, and what each changes, in words.
fn run(cpu: &mut Cpu) -> (Vec<(Step, Instruction, String)>, End) {
    let mut steps = Vec::new();
    while steps.len() < INSTRUCTIONS_MAX {
        let trace = match cpu.step() {
            Ok(trace) => trace,
            Err(fault) => return (steps, End::Stopped(fault.cause.to_string())),
        };
        let effect = trace.effect;
        let does = match (effect.register, effect.memory, effect.event) {
            (Some((reg, _)), ..) if reg == Reg::ZERO => String::new(),
            (Some((reg, value)), ..) => format!("{reg} = {}", value as i32),
            (_, Some(write), _) => format!("[{:#x}] = {}", write.address, write.value as i32),
            (.., Some(Event::Print(number))) => format!("prints {number}"),
            (.., Some(Event::Exit(code))) => format!("ends with {code}"),
            _ => String::new(),
        };
        steps.push((step(&trace), trace.instruction, does));
        if let Some(Event::Exit(code)) = effect.event {
            return (steps, End::Exit(code));
        }
    }
    (
        steps,
        End::Stopped(format!(
            "has not ended after {INSTRUCTIONS_MAX} instructions"
        )),
    )
}

/// The two instructions at `pc` and after it.
fn following(words: &[u32], pc: u32) -> Vec<String> {
    let text = |place: u32| {
        let word = words
            .get((pc.wrapping_add(place) / 4) as usize)
            .copied()
            .unwrap_or(0);
        decode(word).map_or("not an instruction".to_owned(), |instruction| {
            instruction.to_string()
        })
    };
    vec![text(0), text(4)]
}

fn passages(
    words: &[u32],
    steps: &[(Step, Instruction, String)],
    design: Design,
    predictor: &Predictor,
) -> (Vec<Passage>, Timing) {
    let bare: Vec<Step> = steps.iter().map(|(step, ..)| *step).collect();
    let mut passages: Vec<Passage> = Vec::new();
    let (mut before, mut writers) = (Timing::default(), BTreeMap::new());
    for (place, (step, instruction, does)) in steps.iter().enumerate() {
        let timing = time(&bare[..=place], design, predictor.clone());
        let executes = timing.cycles - 2;
        let last = passages.last();
        let [fetch, decode] = match last {
            None => [1, 2],
            Some(last) if !last.wrong.is_empty() => {
                [last.enters[EXECUTE] + 1, last.enters[EXECUTE] + 2]
            }
            Some(last) => [last.enters[DECODE], last.enters[EXECUTE]],
        };
        let waits = timing.stalls - before.stalls;
        // It waits for the operand without which it would wait less.
        let without = |operand: usize| {
            let mut other = bare[..=place].to_vec();
            other[place].reads[operand] = 0;
            time(&other, design, predictor.clone()).stalls
        };
        let waits_for = match waits {
            0 => 0,
            _ => step.reads[usize::from(without(1) < without(0))],
        };
        let mut forwarded = Vec::new();
        for reg in step.reads {
            if let Some(ahead) = writers.get(&reg).map(|writer: &u64| executes - writer) {
                if design.forwards && ahead < 3 && !forwarded.contains(&(reg, ahead)) {
                    forwarded.push((reg, ahead));
                }
            }
        }
        if step.writes != 0 {
            writers.insert(step.writes, executes);
        }
        let wrong = match (timing.missed > before.missed, step.kind, instruction) {
            (false, ..) => Vec::new(),
            // The guess was the other way.
            (_, StepKind::Branch { taken: false, .. }, Instruction::Branch(.., offset)) => {
                following(words, step.pc.wrapping_add(*offset as u32))
            }
            _ => following(words, step.pc.wrapping_add(4)),
        };
        passages.push(Passage {
            text: instruction.to_string(),
            step: *step,
            enters: [fetch, decode, executes, executes + 1, executes + 2],
            waits,
            waits_for,
            forwarded,
            wrong,
            does: does.clone(),
        });
        before = timing;
    }
    (passages, before)
}

fn predictor(number: i64) -> Predictor {
    match number {
        0 => Predictor::NotTaken,
        1 => Predictor::Backward,
        2 => two_bit(),
        _ => Predictor::Perfect,
    }
}

/// Is there a branch, met at least six times, about which every guess was wrong?
fn always_wrong(passages: &[Passage]) -> bool {
    let mut met: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
    for passage in passages {
        if let StepKind::Branch { .. } = passage.step.kind {
            let entry = met.entry(passage.step.pc).or_default();
            *entry = (
                entry.0 + 1,
                entry.1 + usize::from(!passage.wrong.is_empty()),
            );
        }
    }
    met.values().any(|(met, wrong)| *met >= 6 && met == wrong)
}

/// The program on these settings, and which goals its end will reach.
fn ready(words: &[u32], setup: &Setup, design: Design) -> Result<Ready, String> {
    let number = |key| setup.number(Lab::ABOUT, key);
    let guess = predictor(number("guess"));
    let of_order = |order| Ok::<_, String>(run(&mut machine(words, &bytes(setup.seed, order))?));
    let (steps, end) = of_order(number("order"))?;
    let (passages, timing) = passages(words, &steps, design, &guess);
    if steps.is_empty() {
        return match end {
            End::Stopped(why) => Err(why),
            End::Exit(_) => Err("there is nothing to run".to_owned()),
        };
    }
    let uses = |reg: u8| {
        steps
            .iter()
            .any(|(step, ..)| step.writes == reg || step.reads.contains(&reg))
    };
    let registers = (1..32)
        .filter(|reg| uses(*reg))
        .take(REGISTERS_SHOWN_MAX)
        .collect();
    let data = bytes(setup.seed, number("order"));
    let first = asm::assemble(PROGRAM).map_err(|error| error.to_string())?;
    let first_steps = run(&mut machine(&first, &data)?).0.len();
    let sum: i32 = data
        .iter()
        .filter(|byte| **byte >= 128)
        .map(|byte| i32::from(*byte))
        .sum();
    let exits = matches!(end, End::Exit(_));
    let adds_up = matches!(end, End::Exit(code) if code == sum) && steps.len() == first_steps;
    let mut worst = 0;
    for order in 0..ORDERS.len() as i64 {
        let steps: Vec<Step> = of_order(order)?
            .0
            .into_iter()
            .map(|(step, ..)| step)
            .collect();
        worst = worst.max(time(&steps, design, guess.clone()).missed);
    }
    let goals = [
        adds_up && timing.stalls == 0,
        adds_up && timing.cycles >= 2 * timing.instructions,
        exits && worst > 0 && timing.missed * 2 <= worst,
        exits && number("guess") == 2 && always_wrong(&passages),
    ];
    Ok(Ready {
        passages,
        timing,
        end,
        registers,
        goals,
    })
}

impl Ready {
    fn cycles(&self) -> u64 {
        self.timing.cycles
    }
}

impl Lab {
    /// The instruction in a stage in this cycle.
    fn at(&self, stage: usize) -> Option<(usize, &Passage)> {
        let ready = self.ready.as_ref().ok()?;
        let mut passages = ready.passages.iter().enumerate();
        passages.find(|(_, passage)| {
            let leaves = passage
                .enters
                .get(stage + 1)
                .copied()
                .unwrap_or(passage.enters[4] + 1);
            (passage.enters[stage]..leaves).contains(&self.cycle)
        })
    }

    /// The branch whose guess was wrong, and where the two after it are now, the newest first.
    fn mistaken(&self) -> Option<(usize, &Passage, [Option<usize>; 2])> {
        let ready = self.ready.as_ref().ok()?;
        let mut passages = ready
            .passages
            .iter()
            .enumerate()
            .filter(|(_, passage)| !passage.wrong.is_empty());
        passages.find_map(|(number, passage)| {
            let [decode, execute] = [passage.enters[DECODE], passage.enters[EXECUTE]];
            match self.cycle {
                now if now == execute => Some((number, passage, [Some(1), Some(0)])),
                now if now >= decode && now < execute => Some((number, passage, [Some(0), None])),
                _ => None,
            }
        })
    }

    fn ended(&self) -> bool {
        self.ready
            .as_ref()
            .is_ok_and(|ready| self.cycle >= ready.cycles())
    }

    /// How much of the run lies behind: stalls and instructions thrown away.
    fn lost(&self) -> (u64, u64) {
        let (mut stalls, mut thrown) = (0, 0);
        for passage in self.ready.iter().flat_map(|ready| &ready.passages) {
            let execute = passage.enters[EXECUTE];
            stalls += passage
                .waits
                .min((self.cycle + 2 + passage.waits).saturating_sub(execute));
            thrown += if self.cycle >= execute {
                passage.wrong.len() as u64
            } else {
                0
            };
        }
        (stalls, thrown)
    }

    fn say(&self, ready: &Ready) -> String {
        if self.cycle == 0 {
            return format!(
                "The first instruction, {}, is about to be fetched.",
                ready.passages[0].text
            );
        }
        let mut words = format!("Cycle {}:", self.cycle);
        let mut told = false;
        let mut tell = |text: String| {
            words.push_str(if told { "; " } else { " " });
            words.push_str(&text);
            told = true;
        };
        if let Some((_, passage)) = self.at(DECODE).filter(|(_, passage)| self.waits(passage)) {
            tell(format!(
                "{} waits for {}",
                passage.text,
                name_of(passage.waits_for)
            ));
        }
        if let Some((_, passage)) = self.at(EXECUTE) {
            let mut text = format!("{} executes", passage.text);
            for (reg, _) in &passage.forwarded {
                text.push_str(&format!(", {} forwarded", name_of(*reg)));
            }
            if !passage.wrong.is_empty() {
                text.push_str(
                    " and shows that the guess was wrong: the two fetched after it are thrown away",
                );
            }
            tell(text);
        }
        if let Some((_, passage)) = self.at(4).filter(|(_, passage)| !passage.does.is_empty()) {
            tell(format!(
                "{} is written back: {}",
                passage.text, passage.does
            ));
        }
        if !told {
            words.push_str(" nothing executes");
        }
        words.push('.');
        if self.ended() {
            let Timing {
                instructions,
                branches,
                missed,
                stalls,
                flushed,
                cycles,
            } = ready.timing;
            let hundredths = (instructions * 200 + cycles) / (2 * cycles);
            words.push_str(&match &ready.end {
                End::Exit(code) => format!(" The program ends with {code}"),
                End::Stopped(why) => format!(" The program is stopped: {why}"),
            });
            words.push_str(&format!(
                ". {instructions} instructions took {cycles} cycles, {}.{:02} a cycle: {stalls} stalls, \
                 {flushed} thrown away, {missed} of {branches} guesses wrong.",
                hundredths / 100,
                hundredths % 100
            ));
        }
        words
    }

    fn waits(&self, passage: &Passage) -> bool {
        passage.waits > 0 && self.cycle + 1 < passage.enters[EXECUTE]
    }

    fn draw_stages(&self, scene: &mut Scene) {
        let y = |stage: usize| TOP + stage as f64 * ROW;
        let middle = |stage: usize| y(stage) + 13.0;
        let row = |key: String, stage: usize, tone: Tone, label: &str| {
            let label: String = if label.chars().count() > 19 {
                label.chars().take(18).chain(['…']).collect()
            } else {
                label.to_owned()
            };
            Shape::rect(key, BOX_LEFT, y(stage), BOX_WIDTH, 26.0)
                .tone(tone)
                .label(label)
                .small()
        };
        let note = |key: &str, stage: usize, text: String| {
            Shape::words(key, BOX_LEFT + BOX_WIDTH + 8.0, middle(stage), text).small()
        };
        for (stage, name) in STAGES.iter().enumerate() {
            scene.add(
                Shape::words(format!("stage-{stage}"), 0.0, middle(stage), *name)
                    .small()
                    .strong(),
            );
            scene.add(row(format!("empty-{stage}"), stage, Tone::Faint, ""));
        }
        for stage in (0..STAGES.len()).rev() {
            if let Some((number, passage)) = self.at(stage) {
                let waits = stage == DECODE && self.waits(passage);
                let tone = if waits { Tone::B } else { Tone::A };
                scene.add(row(format!("i-{number}"), stage, tone, &passage.text));
                if waits {
                    scene.add(note(
                        "waits",
                        stage,
                        format!("waits for {}", name_of(passage.waits_for)),
                    ));
                }
                if stage == 4 {
                    scene.add(note("does", stage, passage.does.clone()));
                }
                if stage == EXECUTE && passage.wrong.is_empty() {
                    let names: Vec<String> = passage
                        .forwarded
                        .iter()
                        .map(|(reg, _)| name_of(*reg))
                        .collect();
                    if !names.is_empty() {
                        scene.add(note("gets", stage, format!("gets {}", names.join(" and "))));
                    }
                }
                if stage == EXECUTE {
                    for (reg, ahead) in &passage.forwarded {
                        let x = BOX_LEFT - 3.0 - *ahead as f64 * 3.0;
                        let from = middle(stage + *ahead as usize);
                        let points = vec![(BOX_LEFT, from), (x, from), (x, middle(stage) + 6.0)];
                        scene.add(
                            Shape::path(format!("forward-{reg}"), points)
                                .tone(Tone::C)
                                .strong(),
                        );
                        scene.add(
                            Shape::line(
                                format!("into-{reg}"),
                                x,
                                middle(stage) + 6.0,
                                BOX_LEFT,
                                middle(stage) + 6.0,
                            )
                            .tone(Tone::C)
                            .arrow(),
                        );
                    }
                }
            }
        }
        if let Some((number, passage, places)) = self.mistaken() {
            for (text, (which, stage)) in passage.wrong.iter().zip(places.iter().enumerate()) {
                if let Some(stage) = stage {
                    scene.add(row(
                        format!("wrong-{number}-{which}"),
                        *stage,
                        Tone::Bad,
                        text,
                    ));
                    if self.cycle == passage.enters[EXECUTE] {
                        scene.add(note(
                            &format!("thrown-{which}"),
                            *stage,
                            "thrown away".to_owned(),
                        ));
                    }
                }
            }
            if self.cycle == passage.enters[EXECUTE] {
                scene.add(note("missed", EXECUTE, "wrong guess".to_owned()));
            }
        }
    }

    fn draw_state(&self, scene: &mut Scene, ready: &Ready) {
        let written = self.at(4).map(|(_, passage)| passage);
        let mut top = TOP + 5.0 * ROW + 6.0;
        for (place, reg) in ready.registers.iter().enumerate() {
            let (x, y) = ((place % 3) as f64 * 102.0, top + (place / 3) as f64 * 24.0);
            let value = Reg::new(*reg).map_or(0, |reg| self.cpu.register(reg)) as i32;
            let tone = match written {
                Some(passage) if passage.step.writes == *reg => Tone::C,
                _ => Tone::Plain,
            };
            let label = format!("{} = {value}", name_of(*reg));
            scene.add(
                Shape::rect(format!("r-{reg}"), x, y, 98.0, 20.0)
                    .tone(tone)
                    .label(label)
                    .small(),
            );
        }
        top += ready.registers.len().div_ceil(3) as f64 * 24.0 + 10.0;
        let label = format!("bytes from {DATA:#x}");
        scene.add(Shape::words("bytes", 0.0, top, label).small().strong());
        let width = WIDTH_MAX / DATA_BYTES as f64;
        let memory = self.cpu.memory().iter().skip(DATA as usize);
        for (place, byte) in memory.take(DATA_BYTES).enumerate() {
            let tone = if *byte < 128 { Tone::Plain } else { Tone::D };
            scene.add(
                Shape::rect(
                    format!("m-{place}"),
                    place as f64 * width,
                    top + 9.0,
                    width - 2.0,
                    20.0,
                )
                .tone(tone)
                .label(byte.to_string())
                .small(),
            );
        }
        scene.height(top + 32.0);
    }
}

impl Figure for Lab {
    const ABOUT: &'static About = &About {
        title: "Five stages, cycle by cycle",
        controls: &[
            Control { key: "program", label: "Program", kind: Kind::Text { value: PROGRAM } },
            Control { key: "order", label: "Bytes", kind: Kind::Choice { options: &ORDERS, value: 0 } },
            Control { key: "forwarding", label: "Forwarding", kind: Kind::Choice { options: &["off", "on"], value: 1 } },
            Control { key: "guess", label: "Guess", kind: Kind::Choice { options: &GUESSES, value: 1 } },
        ],
        actions: &[],
        goals: &[
            "Add up the bytes without one stall and without one instruction more or less: move a line.",
            "Add up the same bytes in two cycles an instruction or more, without one more instruction.",
            "Order the bytes so that half as many guesses are wrong as in another order.",
            "Let the two-bit counters be wrong about one branch every time.",
        ],
        pace_ms: 700,
        still_acts: &[],
        still_steps: 6,
        steps_max: 2_000,
    };

    fn new(setup: &Setup) -> Self {
        let number = |key| setup.number(Self::ABOUT, key);
        let design = Design {
            forwards: number("forwarding") == 1,
            ..FIVE
        };
        let data = bytes(setup.seed, number("order"));
        let words = asm::assemble(&setup.text(Self::ABOUT, "program"));
        let ready = words.map_err(|error| error.to_string()).and_then(|words| {
            let ready = ready(&words, setup, design)?;
            Ok((ready, machine(&words, &data)?))
        });
        let (ready, cpu) = match ready {
            Ok((ready, cpu)) => (Ok(ready), cpu),
            Err(why) => (Err(why), Cpu::new(0)),
        };
        Lab {
            ready,
            cpu,
            cycle: 0,
            done: 0,
        }
    }

    fn step(&mut self) -> bool {
        let Ok(ready) = &self.ready else {
            return false;
        };
        if self.ended() {
            return false;
        }
        self.cycle += 1;
        let written = ready
            .passages
            .iter()
            .take_while(|passage| passage.enters[4] <= self.cycle)
            .count();
        for _ in self.done..written {
            // It went well when the run was prepared.
            let _ = self.cpu.step();
        }
        self.done = written;
        !self.ended()
    }

    fn act(&mut self, _: usize, _: i64) {}

    fn draw(&self, scene: &mut Scene) {
        let ready = match &self.ready {
            Ok(ready) => ready,
            Err(why) => {
                let letters: Vec<char> = why.chars().take(132).collect();
                scene.height(40.0 + 16.0 * letters.len().div_ceil(44) as f64);
                scene.add(
                    Shape::rect("wrong", 4.0, 8.0, WIDTH_MAX - 12.0, 22.0)
                        .tone(Tone::Bad)
                        .label("This program does not run"),
                );
                for (place, line) in letters.chunks(44).enumerate() {
                    let text: String = line.iter().collect();
                    scene.add(
                        Shape::words(
                            format!("why-{place}"),
                            4.0,
                            44.0 + 16.0 * place as f64,
                            text,
                        )
                        .small(),
                    );
                }
                let why: String = why.chars().take(400).collect();
                return scene.say(format!("This program does not run: {why}."));
            }
        };
        let (stalls, thrown) = self.lost();
        let count = format!(
            "cycle {} · done {} · stalls {stalls} · thrown away {thrown}",
            self.cycle, self.done
        );
        scene.add(Shape::words("count", 0.0, 6.0, count).small());
        self.draw_stages(scene);
        self.draw_state(scene, ready);
        scene.say(self.say(ready));
    }

    fn reached(&self) -> Vec<bool> {
        match &self.ready {
            Ok(ready) if self.ended() => ready.goals.to_vec(),
            _ => vec![false; 4],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::SUM;
    use super::*;

    fn setup() -> Setup {
        Setup::new(1)
    }

    fn at_the_end(setup: &Setup) -> Lab {
        let mut lab = Lab::new(setup);
        for _ in 0..Lab::ABOUT.steps_max {
            if !lab.step() {
                break;
            }
        }
        lab
    }

    fn said(lab: &Lab) -> String {
        let mut scene = Scene::default();
        lab.draw(&mut scene);
        scene.words().to_owned()
    }

    fn rearranged() -> String {
        let load = "lbu  t0, 0(a1)\n";
        let moved = format!("{load}        addi a1, a1, 1\n");
        PROGRAM
            .replace("small:  addi a1, a1, 1\n        bne", "small:  bne")
            .replace(load, &moved)
    }

    #[test]
    fn the_first_program_is_the_chapters_loop_over_fewer_bytes() {
        let code = |text: &str| -> Vec<String> {
            let lines = text
                .lines()
                .map(|line| line.split('#').next().unwrap_or("").trim().to_owned());
            lines.filter(|line| !line.is_empty()).collect()
        };
        assert_eq!(code(PROGRAM), code(&SUM.replace("0x7e8", "0x40c")));
    }

    #[test]
    fn play_with_the_first_settings_reaches_no_goal() {
        assert_eq!(at_the_end(&setup()).reached(), [false; 4]);
    }

    #[test]
    fn a_line_moved_takes_the_stalls_away() {
        let lab = at_the_end(&setup().with("program", &rearranged()));
        assert_eq!(lab.reached()[0], true);
        // Fewer instructions are another program, and so is another sum.
        for other in [
            rearranged().replace("add  a0, a0, t0", "add  a0, a0, a0"),
            rearranged().replace("        add  a0, a0, t0\n", ""),
            "li a7, 93\necall".to_owned(),
        ] {
            assert_eq!(
                at_the_end(&setup().with("program", &other)).reached()[0],
                false,
                "{other}"
            );
        }
    }

    #[test]
    fn without_forwarding_an_instruction_takes_two_cycles() {
        assert_eq!(
            at_the_end(&setup().with("forwarding", "0").with("guess", "0")).reached()[1],
            true
        );
        assert_eq!(at_the_end(&setup().with("guess", "0")).reached()[1], false);
        // A run of three instructions is mostly the filling of the stages.
        assert_eq!(
            at_the_end(&setup().with("program", "li a7, 93\necall")).reached()[1],
            false
        );
    }

    #[test]
    fn sorting_halves_the_wrong_guesses_of_a_predictor_that_learns() {
        let sorted = setup().with("order", "1");
        assert_eq!(
            at_the_end(&sorted.clone().with("guess", "2")).reached()[2],
            true
        );
        assert_eq!(at_the_end(&sorted.with("guess", "1")).reached()[2], false);
    }

    #[test]
    fn two_bits_are_wrong_every_time_about_bytes_that_alternate() {
        let turns = setup().with("order", "2");
        assert_eq!(
            at_the_end(&turns.clone().with("guess", "2")).reached()[3],
            true
        );
        assert_eq!(at_the_end(&turns.with("guess", "0")).reached()[3], false);
    }

    #[test]
    fn what_the_picture_counts_is_what_the_model_timed() {
        for seed in 1..6 {
            for guess in ["0", "1", "2", "3"] {
                for forwarding in ["0", "1"] {
                    let set = Setup::new(seed)
                        .with("guess", guess)
                        .with("forwarding", forwarding);
                    let lab = at_the_end(&set);
                    let Ok(ready) = &lab.ready else {
                        panic!("runs")
                    };
                    assert_eq!((ready.timing.stalls, ready.timing.flushed), lab.lost());
                    assert_eq!(lab.cycle, ready.timing.cycles);
                    assert_eq!(lab.done, ready.passages.len());
                    // The emulator in the picture has come as far as the model.
                    assert!(
                        lab.cpu.pc() > 0 && said(&lab).contains("ends with"),
                        "{}",
                        said(&lab)
                    );
                }
            }
        }
    }

    #[test]
    fn no_two_instructions_are_in_one_stage() {
        for forwarding in ["0", "1"] {
            let mut lab = Lab::new(&setup().with("forwarding", forwarding));
            while lab.step() {
                for stage in 0..STAGES.len() {
                    let Ok(ready) = &lab.ready else {
                        panic!("runs")
                    };
                    let here = ready.passages.iter().filter(|passage| {
                        let leaves = passage
                            .enters
                            .get(stage + 1)
                            .copied()
                            .unwrap_or(passage.enters[4] + 1);
                        (passage.enters[stage]..leaves).contains(&lab.cycle)
                    });
                    let wrong = lab.mistaken().map_or(0, |(.., places)| {
                        places.iter().filter(|place| **place == Some(stage)).count()
                    });
                    assert!(
                        here.count() + wrong <= 1,
                        "cycle {}, {}",
                        lab.cycle,
                        STAGES[stage]
                    );
                }
            }
        }
    }

    #[test]
    fn an_instruction_waits_for_what_is_being_loaded() {
        let mut lab = Lab::new(&setup());
        let mut seen = false;
        while lab.step() {
            seen |= said(&lab).contains("blt t0, a3, +8 waits for t0");
        }
        assert!(seen);
    }

    #[test]
    fn a_program_that_does_not_assemble_is_told_by_line_and_reason() {
        for (text, says) in [
            ("li a0, 1\nlbx t0, 0(a1)", "line 2: no instruction lbx"),
            ("", "0x00000000 is not an instruction"),
            (&".word 1\n".repeat(257), "at most 256 words"),
            ("lw a0, 2(zero)", "address 0x2 is not a multiple of 4"),
        ] {
            let mut lab = Lab::new(&setup().with("program", text));
            assert!(said(&lab).contains(says), "{}", said(&lab));
            assert!(!lab.step());
            assert_eq!(lab.reached(), [false; 4]);
        }
    }

    #[test]
    fn a_program_that_fails_or_does_not_end_is_shown_as_far_as_it_came() {
        let lab = at_the_end(&setup().with("program", "li a0, 2\nlw a0, 0(a0)"));
        assert!(
            said(&lab).contains("stopped: address 0x2 is not a multiple of 4"),
            "{}",
            said(&lab)
        );
        let lab = at_the_end(&setup().with("program", "here: j here"));
        assert!(
            said(&lab).contains("has not ended after 250 instructions"),
            "{}",
            said(&lab)
        );
        assert_eq!(lab.reached(), [false; 4]);
    }

    #[test]
    fn no_text_stops_the_figure() {
        let words = [
            "li",
            "a0",
            ",",
            "0x400",
            "lw",
            "-",
            "(",
            ")",
            "sp",
            ":",
            "loop",
            "\n",
            "\n",
            "j",
            "+4",
            "-4",
            "jalr",
            "ra",
            "ret",
            "ecall",
            ".word",
            "é",
            "#",
            "beq",
            "0",
            "9223372036854775808",
            "sw",
            "fence",
            "la",
        ];
        let mut rng = Rng::with_seed(3);
        for _ in 0..500 {
            let text: Vec<&str> = (0..rng.usize(1..30))
                .filter_map(|_| rng.choice(words))
                .collect();
            let joined = text.join([" ", ""][rng.usize(..2)]);
            let lab = at_the_end(&setup().with("program", &joined));
            assert!(!said(&lab).is_empty());
        }
    }
}
