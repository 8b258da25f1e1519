//! Program: compiler
//!
//! The reader's program goes through the seven phases, one a step, and then runs on the processor, one
//! instruction a step. Every phase is the chapter's; here is only how its result is shown.

use super::phases::codegen::Object;
use super::phases::cpu::{decode, Cpu, Event, Reg};
use super::phases::diagnostics::{Diagnostic, Source};
use super::phases::encode::to_bytes;
use super::phases::interpret::{interpret, Ending, Outcome};
use super::phases::ir::{lower, Code, Step};
use super::phases::lexer::{lex, Kind as TokenKind, Token};
use super::phases::link::{link, load, run, Image, LOAD_ADDRESS};
use super::phases::optimise::{optimise, Level};
use super::phases::parser::{parse, Block, Expr, ExprKind, Module, Statement};
use super::phases::runtime::runtime;
use super::phases::types::{check, signature, Symbols};
use super::phases::{analyse, translate};
use crate::figure::{About, Action, Control, Figure, Kind, Setup};
use crate::scene::{Scene, Shape, Tone, COLUMNS, WIDTH_MAX};

const PROGRAM: &str = "fn main() {
    let day = 8 * 3;
    let n = 0;
    while n < 2 {
        n = n + 1;
        print(n * day);
    }
}";
const LEVELS: [&str; 4] = [
    "off",
    "on",
    "wrong: drops unread calls",
    "wrong: drops unread divisions",
];
const CYCLES_MAX: u64 = 20_000;
const INTERPRETER_STEPS_MAX: u64 = 20_000;
/// The phases, and then the processor.
const CHIPS: [&str; 8] = ["1", "2", "3", "4", "5", "6", "7", "run"];
const RUN: usize = 8;
/// How fast the optimised program has to be, for a goal.
const TIMES_AS_FAST: u64 = 10;
const LINES_MAX: usize = 18;
const LINE: f64 = 14.0;
const TOP: f64 = 56.0;
const TOKENS_MAX: usize = 80;

/// What comes of a program that compiles.
struct Made {
    lowered: Vec<Code>,
    optimised: Vec<Code>,
    object: Object,
    /// Or what the linker says.
    image: Result<Image, Vec<String>>,
    /// What the run prints and how it ends, its cycles, and those without the optimiser.
    outcome: Outcome,
    cycles: u64,
    plain_cycles: u64,
    /// What the interpreter says that the program does.
    wanted: Outcome,
}

/// A program on its way through the phases.
pub struct Lab {
    source: Source,
    level: Level,
    tokens: Vec<Token>,
    module: Module,
    symbols: Symbols,
    /// How many mistakes each of the first three phases finds.
    found: [usize; 3],
    made: Result<Made, Vec<Diagnostic>>,
    /// How many phases lie behind; then how many cycles.
    phase: usize,
    cpu: Cpu,
    cycles: u64,
    last: Option<Instant>,
    ended: bool,
}

/// One cycle of the processor.
struct Instant {
    pc: u32,
    text: String,
    does: String,
}

/// The program compiled, linked and run, for a reader who has not stepped there yet.
fn made(
    source: &Source,
    module: &Module,
    symbols: &Symbols,
    level: Level,
) -> Result<Made, Vec<Diagnostic>> {
    let lowered = lower(module, symbols, source);
    let mut optimised = lowered.clone();
    for code in &mut optimised {
        optimise(code, level);
    }
    let object = translate(source, module, symbols, level)?;
    let linked = |object: &Object| {
        let library = runtime().map_err(|message| vec![message])?;
        let linked = link(&[object.clone(), library]);
        linked.map_err(|errors| errors.iter().map(ToString::to_string).collect())
    };
    let image: Result<Image, Vec<String>> = linked(&object);
    let ran = |image: &Result<Image, Vec<String>>| match image {
        Ok(image) => run(image, LOAD_ADDRESS, CYCLES_MAX),
        Err(_) => (Outcome::new(Vec::new(), Ending::TooLarge), 0),
    };
    let (outcome, cycles) = ran(&image);
    let plain_cycles = ran(&linked(&translate(source, module, symbols, Level::Off)?)).1;
    let wanted = interpret(&[(source, module)], INTERPRETER_STEPS_MAX);
    Ok(Made {
        lowered,
        optimised,
        object,
        image,
        outcome,
        cycles,
        plain_cycles,
        wanted,
    })
}

fn plural(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

fn list(numbers: &[i32]) -> String {
    let shown: Vec<String> = numbers.iter().take(8).map(ToString::to_string).collect();
    match numbers.len() {
        0 => "nothing".to_owned(),
        1..=8 => shown.join(", "),
        many => format!("{} and {} more", shown.join(", "), many - 8),
    }
}

/// At most so many letters, the last of them an ellipsis if it is longer.
fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    text.chars().take(columns - 1).chain(['…']).collect()
}

/// At most [`LINES_MAX`] lines; the last says how many more there are.
fn fit(mut lines: Vec<String>, most: usize) -> Vec<String> {
    if lines.len() > most {
        let more = lines.len() - most + 1;
        lines.truncate(most - 1);
        lines.push(format!("… {more} more lines"));
    }
    lines
}

fn tree(module: &Module) -> Vec<String> {
    let mut lines = Vec::new();
    for function in &module.functions {
        lines.push(format!("{}: {}", function.name.text, signature(function)));
        function
            .body
            .iter()
            .for_each(|body| block(body, 1, &mut lines));
    }
    lines
}

fn line(depth: usize, text: &str, lines: &mut Vec<String>) {
    lines.push(format!("{}{text}", "  ".repeat(depth)));
}

fn block(statements: &Block, depth: usize, lines: &mut Vec<String>) {
    for statement in statements {
        match statement {
            Statement::Let(name, _, value) => {
                line(depth, &format!("let {}", name.text), lines);
                expression(value, depth + 1, lines);
            }
            Statement::Assign(name, value) => {
                line(depth, &format!("{} =", name.text), lines);
                expression(value, depth + 1, lines);
            }
            Statement::If(condition, then, otherwise) => {
                line(depth, "if", lines);
                expression(condition, depth + 1, lines);
                block(then, depth + 1, lines);
                if !otherwise.is_empty() {
                    line(depth, "else", lines);
                    block(otherwise, depth + 1, lines);
                }
            }
            Statement::While(condition, body) => {
                line(depth, "while", lines);
                expression(condition, depth + 1, lines);
                block(body, depth + 1, lines);
            }
            Statement::Return(_, value) => {
                line(depth, "return", lines);
                value
                    .iter()
                    .for_each(|value| expression(value, depth + 1, lines));
            }
            Statement::Print(value) => {
                line(depth, "print", lines);
                expression(value, depth + 1, lines);
            }
            Statement::Call(call) => expression(call, depth, lines),
            Statement::Block(inner) => {
                line(depth, "block", lines);
                block(inner, depth + 1, lines);
            }
        }
    }
}

fn expression(expr: &Expr, depth: usize, lines: &mut Vec<String>) {
    match &expr.kind {
        ExprKind::Number(number) => line(depth, &number.to_string(), lines),
        ExprKind::Bool(truth) => line(depth, if *truth { "true" } else { "false" }, lines),
        ExprKind::Variable(name) => line(depth, name, lines),
        ExprKind::Negate(of) => {
            line(depth, "-", lines);
            expression(of, depth + 1, lines);
        }
        ExprKind::Not(of) => {
            line(depth, "!", lines);
            expression(of, depth + 1, lines);
        }
        ExprKind::Binary(operator, left, right) => {
            line(depth, operator.symbol(), lines);
            expression(left, depth + 1, lines);
            expression(right, depth + 1, lines);
        }
        ExprKind::Call(name, arguments) => {
            line(depth, &format!("call {}", name.text), lines);
            arguments
                .iter()
                .for_each(|argument| expression(argument, depth + 1, lines));
        }
        ExprKind::Wrong => line(depth, "?", lines),
    }
}

/// The steps of a function: labels at the margin.
fn steps(code: &Code) -> Vec<String> {
    let text = |step: &Step| match step {
        Step::Label(_) => code.text(step),
        _ => format!(" {}", code.text(step)),
    };
    code.steps.iter().map(text).collect()
}

/// Which lines of `before` are still there in `after`, in the same order.
fn kept(before: &[String], after: &[String]) -> Vec<bool> {
    let mut kept = vec![false; before.len()];
    let mut from = 0;
    for line in after {
        if let Some(place) = before[from..].iter().position(|other| other == line) {
            kept[from + place] = true;
            from += place + 1;
        }
    }
    kept
}

fn instruction(word: u32) -> String {
    decode(word).map_or("not an instruction".to_owned(), |instruction| {
        instruction.to_string()
    })
}

fn ending(outcome: &Outcome) -> String {
    format!("prints {}, {}", list(&outcome.printed), outcome.ending)
}

impl Lab {
    fn compiles(&self) -> bool {
        self.made.is_ok()
    }

    fn image(&self) -> Option<&Image> {
        self.made.as_ref().ok()?.image.as_ref().ok()
    }

    /// The last phase of this program.
    fn last_phase(&self) -> usize {
        match &self.made {
            // The mistakes are shown after the phases that find them.
            Err(_) => 4,
            Ok(made) if made.image.is_err() => 7,
            Ok(_) => RUN,
        }
    }

    fn symbols(&self) -> Vec<String> {
        let place = |at: usize| {
            let (line, column) = self.source.place(at);
            format!("{line}:{column}")
        };
        let variables = self.symbols.variables.iter().enumerate();
        let lines = variables.map(|(number, variable)| {
            let at = variable.name.span.start;
            let meaning = self.symbols.meaning.iter();
            let uses: Vec<String> = meaning
                .filter(|(place, id)| id.0 == number && *place != at)
                .map(|(at, _)| place(*at))
                .collect();
            let used = if uses.is_empty() {
                "not used".to_owned()
            } else {
                format!("used {}", uses.join(" "))
            };
            format!(
                "{:<8}{:<5} of {:<6}{used}",
                variable.name.text,
                variable.ty,
                place(at)
            )
        });
        lines.collect()
    }

    fn functions(&self, codes: &[Code]) -> Vec<String> {
        let mut lines = Vec::new();
        for code in codes {
            lines.push(format!("{}:", code.name));
            lines.extend(steps(code));
        }
        lines
    }

    fn object(object: &Object) -> Vec<String> {
        let mut lines = Vec::new();
        for (number, word) in object.words.iter().enumerate() {
            let at = number as u32 * 4;
            let symbols = object.symbols.iter().filter(|symbol| symbol.at == Some(at));
            lines.extend(symbols.map(|symbol| format!("{}:", symbol.name)));
            let call = object
                .relocations
                .iter()
                .find(|relocation| relocation.at == at);
            let missing = call.map_or(String::new(), |call| format!("  <- {}", call.symbol));
            lines.push(format!(
                "{at:>4x} {word:08x} {}{missing}",
                instruction(*word)
            ));
        }
        lines
    }

    fn linked(object: &Object, image: &Image) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, at) in &image.symbols {
            lines.push(format!("{:x} {name}", at + LOAD_ADDRESS));
        }
        lines.push("calls, with the distance written in:".to_owned());
        for call in &object.relocations {
            for at in [call.at, call.at + 4] {
                let word = image.words.get(at as usize / 4).copied().unwrap_or(0);
                lines.push(format!(
                    "{:x} {word:08x} {}",
                    at + LOAD_ADDRESS,
                    instruction(word)
                ));
            }
        }
        lines
    }

    fn diagnostics(&self, errors: &[Diagnostic]) -> Vec<String> {
        let rendered: String = errors
            .iter()
            .map(|error| self.source.render(error))
            .collect();
        rendered.lines().map(str::to_owned).collect()
    }

    /// The text below the phases, and what is said of it.
    fn told(&self) -> (&'static str, Vec<String>, String) {
        let mistakes = self.found[..self.phase.min(3)].iter().sum::<usize>();
        let wrong = match mistakes {
            0 => ".".to_owned(),
            _ => format!(", and {}.", plural(mistakes, "mistake")),
        };
        let nothing = Vec::new;
        let Ok(made) = &self.made else {
            return match self.phase {
                0..=3 => self.told_of_front(&wrong),
                _ => {
                    let errors = self.made.as_ref().err().map_or(&[][..], |errors| errors);
                    let said: Vec<String> = errors
                        .iter()
                        .take(5)
                        .map(|error| {
                            let (line, column) = self.source.place(error.span.start);
                            format!("line {line}, column {column}: {}", cut(&error.message, 80))
                        })
                        .collect();
                    let count = plural(errors.len(), "mistake");
                    (
                        "no code",
                        self.diagnostics(errors),
                        format!("{count}, and no code is made. {}.", said.join("; ")),
                    )
                }
            };
        };
        match self.phase {
            0..=3 => self.told_of_front(&wrong),
            4 => {
                let count: usize = made.lowered.iter().map(|code| code.steps.len()).sum();
                (
                    "intermediate code",
                    self.functions(&made.lowered),
                    format!(
                        "Phase 4 makes {} with at most one operator each.",
                        plural(count, "step")
                    ),
                )
            }
            5 => {
                let count =
                    |codes: &[Code]| codes.iter().map(|code| code.steps.len()).sum::<usize>();
                let (before, after) = (count(&made.lowered), count(&made.optimised));
                let said = match self.level {
                    Level::Off => format!("Phase 5 is off: {} stay.", plural(before, "step")),
                    _ => format!("Phase 5 makes {after} of {}.", plural(before, "step")),
                };
                ("optimisation", nothing(), said)
            }
            6 => {
                let missing = made.object.relocations.len();
                (
                    "code generation",
                    Self::object(&made.object),
                    format!(
                        "Phase 6 makes {} of machine code; {missing} calls have no distance yet.",
                        plural(made.object.words.len(), "word")
                    ),
                )
            }
            _ => match &made.image {
                Err(errors) => (
                    "linking",
                    errors.clone(),
                    format!("Phase 7 finds no program: {}.", errors.join("; ")),
                ),
                Ok(image) if self.phase == 7 => (
                    "linking and loading",
                    Self::linked(&made.object, image),
                    format!(
                        "Phase 7 adds the library and loads {} at {LOAD_ADDRESS:#x}.",
                        plural(image.words.len(), "word")
                    ),
                ),
                Ok(_) => ("the processor", nothing(), self.told_of_run(made)),
            },
        }
    }

    fn told_of_front(&self, wrong: &str) -> (&'static str, Vec<String>, String) {
        match self.phase {
            0 => {
                let lines: Vec<String> = self.source.text.lines().map(str::to_owned).collect();
                let said = format!("{} of text, before phase 1.", plural(lines.len(), "line"));
                ("the text", lines, said)
            }
            1 => {
                let count = plural(self.tokens.len(), "token");
                (
                    "lexical analysis",
                    Vec::new(),
                    format!("Phase 1 makes {count} of the text{wrong}"),
                )
            }
            2 => {
                let lines = tree(&self.module);
                let said = format!(
                    "Phase 2 makes a tree of {}{wrong}",
                    plural(lines.len(), "line")
                );
                ("syntax analysis", lines, said)
            }
            _ => {
                let lines = self.symbols();
                let said = format!("Phase 3 finds {}{wrong}", plural(lines.len(), "variable"));
                ("semantic analysis", lines, said)
            }
        }
    }

    fn told_of_run(&self, made: &Made) -> String {
        let Some(last) = &self.last else {
            return format!(
                "The processor is about to fetch the word at {:#x}.",
                self.cpu.pc()
            );
        };
        let mut said = format!("Cycle {}: {}", self.cycles, last.text);
        if !last.does.is_empty() {
            said.push_str(&format!(", {}", last.does));
        }
        said.push('.');
        if self.ended {
            let agrees = if made.outcome == made.wanted {
                "The interpreter says the same".to_owned()
            } else {
                format!("The interpreter {}", ending(&made.wanted))
            };
            said = format!(
                "After {} cycles the program {}. {agrees}. Without the optimiser it takes {} cycles.",
                made.cycles,
                ending(&made.outcome),
                made.plain_cycles
            );
        }
        said
    }

    fn draw_tokens(&self, scene: &mut Scene) {
        let (mut x, mut y) = (0.0, TOP);
        for (number, token) in self.tokens.iter().take(TOKENS_MAX).enumerate() {
            let (tone, text) = match &token.kind {
                TokenKind::Number(value) => (Tone::C, value.to_string()),
                TokenKind::Name(name) => (Tone::A, name.clone()),
                TokenKind::Word(word) => (Tone::B, (*word).to_owned()),
                TokenKind::Symbol(symbol) => (Tone::Plain, (*symbol).to_owned()),
                TokenKind::End => (Tone::Faint, "end".to_owned()),
            };
            let text = cut(&text, 24);
            let width = text.chars().count() as f64 * 6.7 + 8.0;
            if x + width > WIDTH_MAX {
                (x, y) = (0.0, y + 23.0);
            }
            if y > TOP + (LINES_MAX - 2) as f64 * LINE {
                let more = format!("… {} more tokens", self.tokens.len() - number);
                scene.add(Shape::words("more", 0.0, y + 9.0, more).small());
                break;
            }
            scene.add(
                Shape::rect(format!("t-{number}"), x, y, width, 19.0)
                    .tone(tone)
                    .label(text)
                    .mono(),
            );
            x += width + 4.0;
        }
    }

    fn draw_columns(&self, scene: &mut Scene, made: &Made) {
        let half = COLUMNS / 2;
        let mut y = TOP + 5.0;
        let mut rows = 0;
        for (before, after) in made.lowered.iter().zip(&made.optimised) {
            let (left, right) = (steps(before), steps(after));
            let (stays, known) = (kept(&left, &right), kept(&right, &left));
            for row in 0..=left.len().max(right.len()) {
                if rows == LINES_MAX {
                    scene.add(Shape::words("more", 0.0, y, "… and more").small());
                    return;
                }
                let mut put = |side: &str, x: f64, text: String, tone: Tone| {
                    let shape = Shape::words(format!("{side}-{rows}"), x, y, cut(&text, half - 1));
                    scene.add(shape.tone(tone).mono());
                };
                if row == 0 {
                    put(
                        "before",
                        0.0,
                        format!("{}: {}", before.name, left.len()),
                        Tone::Plain,
                    );
                    put(
                        "after",
                        WIDTH_MAX / 2.0,
                        format!("{}: {}", after.name, right.len()),
                        Tone::Plain,
                    );
                } else {
                    if let Some(text) = left.get(row - 1) {
                        let (sign, tone) = if stays[row - 1] {
                            (' ', Tone::Plain)
                        } else {
                            ('-', Tone::Faint)
                        };
                        put("before", 0.0, format!("{sign}{text}"), tone);
                    }
                    if let Some(text) = right.get(row - 1) {
                        let sign = if known[row - 1] { ' ' } else { '+' };
                        put(
                            "after",
                            WIDTH_MAX / 2.0,
                            format!("{sign}{text}"),
                            Tone::Plain,
                        );
                    }
                }
                rows += 1;
                y += LINE;
            }
        }
    }

    fn draw_run(&self, scene: &mut Scene, image: &Image) {
        let pc = self.cpu.pc();
        let here = pc.wrapping_sub(LOAD_ADDRESS) / 4;
        let first = here
            .saturating_sub(4)
            .min((image.words.len() as u32).saturating_sub(9));
        let mut y = TOP + 5.0;
        for number in first..(first + 9).min(image.words.len() as u32) {
            let at = number * 4;
            let address = at + LOAD_ADDRESS;
            let word = image.words[number as usize];
            let name = image.symbols.iter().find(|(_, place)| *place == at);
            let name = name.map_or(String::new(), |(name, _)| format!("  <- {name}"));
            if address == pc && !self.ended {
                scene.add(Shape::rect("pc", -3.0, y - 7.5, WIDTH_MAX + 3.0, 15.0).tone(Tone::A));
            }
            let text = format!("{address:x} {word:08x} {}{name}", instruction(word));
            scene.add(Shape::words(format!("w-{number}"), 0.0, y, cut(&text, COLUMNS)).mono());
            y += LINE;
        }
        y += 4.0;
        let done = match &self.last {
            None => "nothing has run yet".to_owned(),
            Some(last) if last.does.is_empty() => {
                format!("cycle {}: {:x} {}", self.cycles, last.pc, last.text)
            }
            Some(last) => format!("cycle {}: {:x} {}", self.cycles, last.pc, last.does),
        };
        scene.add(Shape::words("done", 0.0, y, cut(&done, COLUMNS)).mono());
        y += 11.0;
        let changed = self
            .last
            .as_ref()
            .map_or("", |last| last.does.split(' ').next().unwrap_or(""));
        for (place, reg) in [
            Reg::RA,
            Reg::SP,
            Reg::A0,
            Reg::A1,
            Reg::A7,
            Reg::T0,
            Reg::T1,
            Reg::T2,
        ]
        .iter()
        .enumerate()
        {
            let (x, y) = ((place % 4) as f64 * 77.0, y + (place / 4) as f64 * 23.0);
            let name = reg.to_string();
            let value = self.cpu.register(*reg);
            let value = match value as i32 {
                -99_999..=99_999 => (value as i32).to_string(),
                _ => format!("{value:x}h"),
            };
            let tone = if name == changed {
                Tone::C
            } else {
                Tone::Plain
            };
            scene.add(
                Shape::rect(format!("r-{name}"), x, y, 73.0, 19.0)
                    .tone(tone)
                    .label(format!("{name} {value}"))
                    .small(),
            );
        }
        let printed = format!("printed: {}", cut(&list(self.cpu.printed()), 34));
        scene.add(
            Shape::words("printed", 0.0, y + 57.0, printed)
                .small()
                .strong(),
        );
    }

    fn cycle(&mut self) {
        let Some(made) = self.made.as_ref().ok().filter(|_| !self.ended) else {
            return;
        };
        match self.cpu.step() {
            Ok(trace) => {
                let effect = trace.effect;
                let does = match (effect.register, effect.memory, effect.event) {
                    (Some((reg, value)), ..) if reg != Reg::ZERO => {
                        format!("{reg} = {}", value as i32)
                    }
                    (_, Some(write), _) => {
                        format!("[{:x}] = {}", write.address, write.value as i32)
                    }
                    (.., Some(Event::Print(number))) => format!("prints {number}"),
                    (.., Some(Event::Exit(_))) => "the end".to_owned(),
                    _ if effect.next_pc != trace.pc + 4 => "jumps".to_owned(),
                    _ => String::new(),
                };
                self.cycles += 1;
                self.last = Some(Instant {
                    pc: trace.pc,
                    text: trace.instruction.to_string(),
                    does,
                });
                self.ended =
                    matches!(effect.event, Some(Event::Exit(_))) || self.cycles >= made.cycles;
            }
            Err(fault) => {
                let text = fault.cause.to_string();
                self.last = Some(Instant {
                    pc: fault.pc,
                    text,
                    does: String::new(),
                });
                self.ended = true;
            }
        }
    }
}

impl Figure for Lab {
    const ABOUT: &'static About = &About {
        title: "A program on its way to the processor",
        controls: &[
            Control { key: "program", label: "Program", kind: Kind::Text { value: PROGRAM } },
            Control { key: "optimiser", label: "Optimiser", kind: Kind::Choice { options: &LEVELS, value: 1 } },
        ],
        actions: &[Action { label: "Run to the end", button: true }],
        goals: &[
            "Write a program with two mistakes or more that are reported in one go.",
            "Print 42 and nothing else, computed by the optimiser: no operator is left after phase 5.",
            "Let the optimiser make a program ten times as fast, and print the same.",
            "Catch a wrong optimiser: let the program do something else than the interpreter says.",
        ],
        pace_ms: 900,
        still_acts: &[],
        still_steps: 5,
        steps_max: 3_000,
    };

    fn new(setup: &Setup) -> Self {
        let source = Source::new("program", &setup.text(Self::ABOUT, "program"));
        let level = match setup.number(Self::ABOUT, "optimiser") {
            0 => Level::Off,
            1 => Level::On,
            2 => Level::DropsCalls,
            _ => Level::DropsDivisions,
        };
        let (tokens, lexical) = lex(&source.text);
        let (module, syntactic) = parse(&tokens);
        let (symbols, semantic) = check(&module);
        let made =
            analyse(&source).and_then(|(module, symbols)| made(&source, &module, &symbols, level));
        let image = made.as_ref().ok().and_then(|made| made.image.as_ref().ok());
        let cpu = image.and_then(|image| load(image, LOAD_ADDRESS).ok());
        Lab {
            level,
            tokens,
            module,
            symbols,
            found: [lexical.len(), syntactic.len(), semantic.len()],
            cpu: cpu.unwrap_or_else(|| Cpu::new(0)),
            made,
            phase: 0,
            cycles: 0,
            last: None,
            ended: false,
            source,
        }
    }

    fn step(&mut self) -> bool {
        if self.phase < self.last_phase() {
            self.phase += 1;
        } else if self.phase == RUN {
            self.cycle();
        }
        self.phase < self.last_phase() || self.phase == RUN && !self.ended
    }

    fn act(&mut self, _: usize, _: i64) {
        self.phase = self.last_phase();
        while self.phase == RUN && !self.ended {
            self.cycle();
        }
    }

    fn draw(&self, scene: &mut Scene) {
        scene.height(TOP + LINES_MAX as f64 * LINE + 6.0);
        let (title, lines, said) = self.told();
        for (number, chip) in CHIPS.iter().enumerate() {
            let finds = self.found.get(number).is_some_and(|found| *found > 0);
            // Without code there is no fourth phase.
            let come = if self.compiles() {
                self.phase
            } else {
                self.phase.min(3)
            };
            let tone = match number + 1 {
                phase if phase > come => Tone::Faint,
                _ if finds => Tone::Bad,
                phase if phase == come => Tone::A,
                _ => Tone::C,
            };
            let x = number as f64 * 38.4;
            scene.add(
                Shape::rect(format!("chip-{number}"), x, 4.0, 35.0, 22.0)
                    .tone(tone)
                    .label(*chip)
                    .small(),
            );
        }
        let name = match self.phase {
            1..=7 if title != "no code" => format!("{} {title}", self.phase),
            _ => title.to_owned(),
        };
        scene.add(Shape::words("title", 0.0, 40.0, name).strong());
        match (&self.made, self.phase) {
            (_, 1) => self.draw_tokens(scene),
            (Ok(made), 5) => self.draw_columns(scene, made),
            (Ok(_), RUN) => {
                if let Some(image) = self.image() {
                    self.draw_run(scene, image);
                }
            }
            _ => {
                for (number, text) in fit(lines, LINES_MAX).iter().enumerate() {
                    let y = TOP + 5.0 + number as f64 * LINE;
                    let key = format!("l-{}-{number}", self.phase);
                    scene.add(Shape::words(key, 0.0, y, cut(text, COLUMNS)).mono());
                }
            }
        }
        scene.say(said);
    }

    fn reached(&self) -> Vec<bool> {
        let told = self.phase == self.last_phase();
        let operators = |codes: &[Code]| {
            let steps = codes.iter().flat_map(|code| &code.steps);
            steps
                .filter(|step| matches!(step, Step::Binary(..)))
                .count()
        };
        match &self.made {
            Err(errors) => vec![told && errors.len() > 1, false, false, false],
            Ok(made) if self.ended => {
                let [finished, wanted] =
                    [&made.outcome, &made.wanted].map(|outcome| outcome.ending == Ending::Finished);
                let right = made.outcome == made.wanted && self.level == Level::On;
                let computed = operators(&made.optimised) == 0 && operators(&made.lowered) > 0;
                let stops = matches!(made.wanted.ending, Ending::DividedByZero { .. });
                let differs = made.outcome != made.wanted && finished && (wanted || stops);
                let wrong = matches!(self.level, Level::DropsCalls | Level::DropsDivisions);
                vec![
                    false,
                    right && finished && made.outcome.printed == [42] && computed,
                    right && finished && made.cycles * TIMES_AS_FAST <= made.plain_cycles,
                    wrong && differs,
                ]
            }
            Ok(_) => vec![false; 4],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(program: &str, optimiser: &str) -> Setup {
        Setup::new(1)
            .with("program", program)
            .with("optimiser", optimiser)
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

    fn picture(lab: &Lab) -> String {
        let mut scene = Scene::default();
        lab.draw(&mut scene);
        scene.svg("")
    }

    #[test]
    fn play_with_the_first_settings_reaches_no_goal() {
        let lab = at_the_end(&Setup::new(1));
        assert_eq!(lab.cpu.printed(), [24, 48]);
        assert!(
            said(&lab).contains("The interpreter says the same"),
            "{}",
            said(&lab)
        );
        assert_eq!(lab.reached(), [false; 4]);
    }

    #[test]
    fn two_mistakes_are_reported_in_one_go_with_their_places() {
        let lab = at_the_end(&setup(
            "fn main() {\n    let a = b;\n    print(1 + );\n}",
            "1",
        ));
        assert_eq!(lab.reached(), [true, false, false, false]);
        let said = said(&lab);
        assert!(
            said.contains("line 2, column 13: there is no variable `b`"),
            "{said}"
        );
        assert!(
            said.contains("line 3, column 15: expected an expression"),
            "{said}"
        );
        assert!(
            picture(&lab).contains("  |               ^"),
            "the caret stands below its place"
        );
        let one = at_the_end(&setup("fn main() { let a = b; }", "1"));
        assert_eq!(one.reached(), [false; 4]);
    }

    #[test]
    fn the_optimiser_computes_42_and_nobody_else_may() {
        let goal = |program: &str, level| at_the_end(&setup(program, level)).reached()[1];
        assert!(goal("fn main() { print(6 * 7); }", "1"));
        assert!(!goal("fn main() { print(6 * 7); }", "0"));
        assert!(!goal("fn main() { print(42); }", "1"));
        assert!(!goal("fn main() { print(6 * 7); print(1); }", "1"));
    }

    #[test]
    fn a_division_that_is_computed_early_makes_ten_times_as_fast() {
        assert!(at_the_end(&setup("fn main() { print(84 / 2); }", "1")).reached()[2]);
        assert!(!at_the_end(&setup("fn main() { print(84 / 2); }", "0")).reached()[2]);
    }

    #[test]
    fn the_interpreter_catches_both_wrong_optimisers() {
        let call = "fn f() -> int { print(1); return 1; } fn main() { let a = f(); }";
        let division = "fn main() { let a = 0; let b = 1 / a; print(7); }";
        for (program, wrong, right) in [(call, "2", "3"), (division, "3", "2")] {
            let lab = at_the_end(&setup(program, wrong));
            assert_eq!(lab.reached(), [false, false, false, true], "{}", said(&lab));
            for level in ["0", "1", right] {
                assert_eq!(at_the_end(&setup(program, level)).reached()[3], false);
            }
        }
    }

    #[test]
    fn what_the_processor_shows_is_what_the_chapters_run_says() {
        for level in ["0", "1"] {
            let lab = at_the_end(&setup(
                "fn main() { let a = 3; while a > 0 { a = a - 1; print(a % 2); } }",
                level,
            ));
            let Ok(made) = &lab.made else {
                panic!("compiles")
            };
            assert_eq!(
                (lab.cpu.printed(), lab.cycles),
                (&*made.outcome.printed, made.cycles)
            );
        }
    }

    #[test]
    fn a_division_by_zero_names_the_line() {
        let lab = at_the_end(&setup("fn main() {\n  let a = 0;\n  print(1 / a);\n}", "1"));
        assert!(
            said(&lab).contains("division by zero at program:3"),
            "{}",
            said(&lab)
        );
    }

    #[test]
    fn the_linker_says_what_is_missing_and_nothing_runs() {
        for (program, says) in [
            (
                "extern fn far() -> int; fn main() { print(far()); }",
                "calls `far`, which no module has",
            ),
            ("fn other() { }", "calls `main`, which no module has"),
        ] {
            let lab = at_the_end(&setup(program, "1"));
            assert!(said(&lab).contains(says), "{}", said(&lab));
            assert_eq!((lab.phase, lab.reached()), (7, vec![false; 4]));
        }
    }

    #[test]
    fn running_to_the_end_is_what_stepping_there_shows() {
        let mut lab = Lab::new(&Setup::new(1));
        lab.act(0, 0);
        assert_eq!(picture(&lab), picture(&at_the_end(&Setup::new(1))));
        assert!(!lab.step());
    }

    #[test]
    fn a_program_that_does_not_end_is_stopped() {
        let mut lab = Lab::new(&setup("fn main() { while true { } }", "1"));
        lab.act(0, 0);
        assert!(said(&lab).contains("it takes too long"), "{}", said(&lab));
        assert_eq!(lab.reached(), [false; 4]);
    }

    #[test]
    fn no_text_stops_the_figure() {
        let words = [
            "fn",
            "main",
            "(",
            ")",
            "{",
            "}",
            "let",
            "a",
            "=",
            "1",
            "0",
            "+",
            "/",
            "%",
            ";",
            "while",
            "if",
            "else",
            "print",
            "return",
            "int",
            "bool",
            ":",
            "->",
            ",",
            "true",
            "&&",
            "é",
            "\n",
            "99999999999",
            "extern",
            "-",
            "!",
        ];
        let mut rng = fastrand::Rng::with_seed(5);
        for _ in 0..300 {
            let text: Vec<&str> = (0..rng.usize(0..40))
                .filter_map(|_| rng.choice(words))
                .collect();
            let lab = at_the_end(&setup(&text.join(" "), "1"));
            assert!(!said(&lab).is_empty());
        }
        let deep = format!(
            "fn main() {{ print({}1{}); }}",
            "(".repeat(500),
            ")".repeat(500)
        );
        assert!(said(&at_the_end(&setup(&deep, "1"))).contains("no code is made"));
    }
}
