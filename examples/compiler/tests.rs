//! What the compiler promises: over many random programs, and over much that is no
//! program.

use super::phases::codegen::Object;
use super::phases::diagnostics::Source;
use super::phases::interpret::{interpret, Ending, Outcome};
use super::phases::ir::lower;
use super::phases::lexer::lex;
use super::phases::link::{link, run, Image, LinkError, LOAD_ADDRESS};
use super::phases::optimise::{optimise, Level};
use super::phases::parser::{Module, NESTING_MAX};
use super::phases::runtime::runtime;
use super::phases::types::Symbols;
use super::phases::{analyse, build, compile, translate, BuildError, ERRORS_MAX};
use super::{random, PRICES, TILL};

const PROGRAMS: u64 = 1_000;
const STEPS_MAX: u64 = 20_000;
const CYCLES_MAX: u64 = 2_000_000;

type Checked = (Module, Symbols);

fn checked(sources: &[Source]) -> Vec<Checked> {
    let checked = sources.iter().map(|source| {
        analyse(source).unwrap_or_else(|errors| {
            panic!("{}{}", source.render(&errors[0]), source.text)
        })
    });
    checked.collect()
}

fn evaluated(sources: &[Source], checked: &[Checked]) -> Outcome {
    let trees = checked.iter().map(|(module, _)| module);
    let modules: Vec<_> = sources.iter().zip(trees).collect();
    interpret(&modules, STEPS_MAX)
}

fn built(sources: &[Source], checked: &[Checked], level: Level) -> Image {
    let objects = sources.iter().zip(checked);
    let objects = objects.map(|(source, (module, symbols))| {
        translate(source, module, symbols, level)
            .unwrap_or_else(|errors| panic!("{errors:?}"))
    });
    let mut objects: Vec<Object> = objects.collect();
    objects.push(runtime().unwrap_or_else(|error| panic!("{error}")));
    link(&objects).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn compiled(
    sources: &[Source],
    checked: &[Checked],
    level: Level,
) -> (Outcome, u64) {
    let image = built(sources, checked, level);
    run(&image, LOAD_ADDRESS, CYCLES_MAX)
}

/// Compiled in two ways and evaluated, the program does the same.
fn outcome(text: &str) -> Outcome {
    let sources = one(text);
    let checked = checked(&sources);
    let wanted = evaluated(&sources, &checked);
    assert_eq!(compiled(&sources, &checked, Level::Off).0, wanted, "{text}");
    assert_eq!(compiled(&sources, &checked, Level::On).0, wanted, "{text}");
    wanted
}

fn one(text: &str) -> Vec<Source> {
    vec![Source::new("main", text)]
}

fn prints(text: &str) -> Vec<i32> {
    let outcome = outcome(text);
    assert_eq!(outcome.ending, Ending::Finished);
    outcome.printed
}

fn messages(text: &str) -> Vec<String> {
    let source = Source::new("main", text);
    let errors = analyse(&source).err().unwrap_or_default();
    errors.into_iter().map(|error| error.message).collect()
}

#[test]
fn compiled_programs_answer_as_the_evaluator_does_optimised_or_not() {
    let (mut compared, mut plain_total, mut total) = (0, 0, 0);
    for seed in 0.. {
        if compared == PROGRAMS {
            break;
        }
        let sources = random::program(seed);
        let checked = checked(&sources);
        let wanted = evaluated(&sources, &checked);
        if wanted.ending == Ending::TooLong {
            continue;
        }
        let (plain, plain_cycles) = compiled(&sources, &checked, Level::Off);
        let (optimised, cycles) = compiled(&sources, &checked, Level::On);
        let text = || format!("{}{}", sources[0].text, sources[1].text);
        assert_eq!(plain, wanted, "seed {seed}, not optimised\n{}", text());
        assert_eq!(optimised, wanted, "seed {seed}, optimised\n{}", text());
        plain_total += plain_cycles;
        total += cycles;
        compared += 1;
    }
    assert!(total < plain_total); // of all: of one it need not be, see below
}

#[test]
fn fewer_steps_are_not_always_fewer_cycles() {
    let text = "fn main() { let far = 100000; let i = 0;
        while i < 100 { i = i + 1; if i == far { print(i); } } }";
    let sources = one(text);
    let checked = checked(&sources);
    let steps = |level| {
        let (module, symbols) = &checked[0];
        let mut codes = lower(module, symbols, &sources[0]);
        codes.iter_mut().for_each(|code| optimise(code, level));
        codes[0].steps.len()
    };
    assert!(steps(Level::On) < steps(Level::Off));
    let cycles = |level| compiled(&sources, &checked, level).1;
    assert!(cycles(Level::On) > cycles(Level::Off)); // `lui` and `addi`, or `lw`
}

#[test]
fn each_wrong_optimisation_is_caught_by_random_programs() {
    for wrong in [Level::DropsCalls, Level::DropsDivisions] {
        let is_caught = |seed| {
            let sources = random::program(seed);
            let checked = checked(&sources);
            let wanted = evaluated(&sources, &checked);
            compiled(&sources, &checked, wrong).0 != wanted
        };
        let caught = (0..100).filter(|seed| is_caught(*seed)).count();
        assert!(caught > 0, "{wrong:?} was not caught");
    }
}

/// Whatever the text is: errors, or a program that runs or stops.
fn survives(text: &str) {
    let sources = one(text);
    for level in [Level::Off, Level::On] {
        match build(&sources, level) {
            Ok(image) => drop(run(&image, LOAD_ADDRESS, 2_000)),
            Err(BuildError::Compile(errors)) => {
                assert!((1..=ERRORS_MAX).contains(&errors.len()));
            }
            Err(BuildError::Link(_)) => {}
        }
    }
    if let Ok((module, _)) = analyse(&sources[0]) {
        interpret(&[(&sources[0], &module)], 2_000);
    }
}

#[test]
fn no_bytes_make_a_phase_panic() {
    let mut rng = fastrand::Rng::with_seed(1);
    for _ in 0..1_000 {
        let bytes: Vec<u8> = (0..rng.usize(..200)).map(|_| rng.u8(..)).collect();
        survives(&String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn no_order_of_tokens_makes_a_phase_panic() {
    let mut rng = fastrand::Rng::with_seed(2);
    let words =
        "fn main ( ) { } let x = 1 ; while if else true false && || ! < - * / \
                 + print return extern -> int bool , : 2147483648 x main é \t \n";
    let words: Vec<&str> = words.split(' ').collect();
    for _ in 0..1_000 {
        let mut text = String::from("fn main() { let x = 1; ");
        for _ in 0..rng.usize(..60) {
            text += words[rng.usize(..words.len())];
            text += " ";
        }
        survives(&text);
    }
}

#[test]
fn no_damage_to_a_program_makes_a_phase_panic() {
    let mut rng = fastrand::Rng::with_seed(3);
    let mut compiled = 0;
    for seed in 0..1_000 {
        let source = random::program(seed).swap_remove(1);
        let (tokens, _) = lex(&source.text);
        let mut text = source.text.clone();
        for _ in 0..rng.usize(1..3) {
            // A token goes, or stands where another was; positions may be stale.
            let (at, other) = (rng.choice(&tokens), rng.choice(&tokens));
            let (Some(at), Some(other)) = (at, other) else {
                continue;
            };
            let new = source.text.get(other.span.start..other.span.end);
            let new = new.filter(|_| rng.bool()).unwrap_or("");
            if text.is_char_boundary(at.span.end.min(text.len())) {
                let end = at.span.end.min(text.len());
                text.replace_range(at.span.start.min(end)..end, new);
            }
        }
        survives(&text);
        compiled += usize::from(messages(&text).is_empty());
    }
    assert!(
        (20..900).contains(&compiled),
        "{compiled} are still programs"
    );
}

#[test]
fn nesting_is_bounded_in_every_form() {
    let deep = |before: &str, unit: &str, after: &str| {
        for count in [3_000, NESTING_MAX as usize + 1, 20] {
            let text = format!("{before}{}{after}", unit.repeat(count));
            let is_too_deep = messages(&text).iter().any(|message| {
                *message == format!("nested deeper than {NESTING_MAX}")
            });
            assert_eq!(is_too_deep, count > 20, "{unit}: {:?}", messages(&text));
            survives(&text);
        }
    };
    deep("fn main() { print(", "(", "1");
    deep("fn main() { print(1", " + 1", "); }");
    deep("fn main() { print(", "-", "x); }");
    deep("fn main() { print(", "f(", "");
    deep("fn main() ", "{ ", "");
    deep("fn main() { ", "if true {} else ", "{} }");
    deep("fn main() { ", "while true { ", "");
}

#[test]
fn one_run_reports_the_errors_of_three_phases() {
    let text = "fn main() {\n let a = 1 @ 2;\n let b = ;\n print(b + c);\n}";
    let wanted = [
        "`@` is not part of the language",
        "expected `;`, found `2`",
        "expected an expression, found `;`",
        "there is no variable `c`",
    ];
    assert_eq!(messages(text), wanted); // and nothing about `b`, which is unknown
}

#[test]
fn errors_stand_in_the_order_of_the_source_whichever_phase_found_them() {
    let text = "fn main() {\n print(c);\n let b = ;\n print(1) @;\n}";
    let wanted = [
        "there is no variable `c`",
        "expected an expression, found `;`",
        "`@` is not part of the language",
    ];
    assert_eq!(messages(text), wanted);
}

#[test]
fn a_caret_stands_below_what_is_wrong_after_tabs_and_wide_characters() {
    let caret = |text: &str| {
        let source = Source::new("main", text);
        let errors = analyse(&source).err().unwrap_or_default();
        let shown = source.render(&errors[0]);
        let lines: Vec<String> = shown.lines().map(str::to_string).collect();
        (lines[1].clone(), lines[4].clone())
    };
    let (place, carets) = caret("fn main() {\n\t\tprint(total);\n}");
    assert_eq!(place, " --> main:2:9"); // characters, as editors count
    assert_eq!(carets, format!("  | {}^^^^^", " ".repeat(8 + 6)));
    let (place, carets) = caret("fn main() { 値段 }");
    assert_eq!(place, " --> main:1:13");
    assert_eq!(carets, format!("  | {}^^^^", " ".repeat(12)));
    let (place, carets) = caret("é fn main() { print(x); }");
    assert_eq!((&*place, &*carets), (" --> main:1:1", "  | ^"));
    let source = Source::new("main", "fn main() { € print(x); }");
    let errors = analyse(&source).err().unwrap_or_default();
    assert_eq!(source.place(errors[1].span.start), (1, 21)); // 2 bytes further
    assert!(source.render(&errors[1]).contains(" --> main:1:21\n"));
}

#[test]
fn each_rule_of_the_language_has_a_message() {
    let body = |body: &str| {
        let text = format!(
            "fn f(a: int) -> int {{ return a; }} fn g() {{}} fn main() {{ {body} }}"
        );
        messages(&text)
    };
    let cases = [
        ("print(true);", "expected int, found bool"),
        ("if 1 {}", "expected bool, found int"),
        ("let b: bool = 1;", "expected bool, found int"),
        ("let y = 1 < 2 == 3;", "expected bool, found int"),
        ("let x = g(); print(x);", "this call returns nothing"),
        ("if g() == 1 {}", "this call returns nothing"),
        ("let x: int = g();", "expected int, found nothing"),
        ("print(f());", "`f` takes 1 values, not 0"),
        ("print(f(1, 2));", "`f` takes 1 values, not 2"),
        ("h();", "there is no function `h`"),
        ("x = 1;", "there is no variable `x`"),
        ("{ let x = 1; } print(x);", "there is no variable `x`"),
        ("return 1;", "expected nothing, found int"),
        ("f(1) + 1;", "the value of this is not used"),
        ("print(2147483648);", "this number does not fit 32 bits"),
        ("print(9999999999);", "this number does not fit 32 bits"),
        ("let x = 1 f(true);", "expected `;`, found `f`"), // skipped
        ("print(12a);", "a number cannot have a `a` in it"),
    ];
    for (text, message) in cases {
        assert_eq!(body(text), [message], "{text}");
    }
    assert_eq!(body("print(-2147483648);"), [""; 0]);
    let library = "extern fn __div(a: int, b: int) -> int; fn main() {}";
    let reserved = "functions with a `_` in front are the library's";
    assert_eq!(messages(library), [reserved]);
    let missing = "fn f() -> int { while true { return 1; } } fn main() {}";
    assert_eq!(messages(missing), ["`f` can end without returning its int"]);
}

#[test]
fn operators_bind_as_in_school_and_group_to_the_left() {
    assert_eq!(prints("fn main() { print(2 + 3 * 4); }"), [14]);
    assert_eq!(prints("fn main() { print(9 - 3 - 1); }"), [5]);
    assert_eq!(prints("fn main() { print((2 + 3) * -4 % 7); }"), [-6]);
    let logic = "fn main() { if true || false && false { print(1); } }";
    assert_eq!(prints(logic), [1]);
}

#[test]
fn the_right_side_of_and_and_or_is_computed_only_if_needed() {
    let text = "fn say(n: int) -> bool { print(n); return n > 0; }
        fn main() {
            if say(0) && say(1) { print(100); }
            if say(2) || say(3) { print(200); }
            let x = false; x = true && !x; if x { print(300); }
        }";
    assert_eq!(prints(text), [0, 2, 200, 300]);
}

#[test]
fn arithmetic_wraps_and_division_drops_the_fraction() {
    let mut numbers = vec![0, 1, -1, 2, -2, 7, -7, i32::MAX, i32::MIN, i32::MIN + 1];
    let mut rng = fastrand::Rng::with_seed(4);
    numbers.extend((0..8).map(|_| rng.i32(..)));
    for a in &numbers {
        for b in &numbers {
            let mut wanted =
                vec![a.wrapping_add(*b), a.wrapping_sub(*b), a.wrapping_mul(*b)];
            let mut text = format!(
                "fn f(a: int, b: int) {{ print(a + b); print(a - b); print(a * b); \
                 if b != 0 {{ print(a / b); print(a % b); }} }} \
                 fn main() {{ f({a}, {b}); print({a} * {b}); "
            );
            if *b != 0 {
                let both = [a.wrapping_div(*b), a.wrapping_rem(*b)];
                wanted.extend(both);
                wanted.push(a.wrapping_mul(*b));
                wanted.extend(both);
                text += &format!("print({a} / {b}); print({a} % {b}); ");
            } else {
                wanted.push(0);
            }
            text += "}";
            assert_eq!(prints(&text), wanted, "{a} and {b}");
        }
    }
}

#[test]
fn constants_at_the_limits_of_an_immediate_compare_and_add_as_they_should() {
    let limits = [-2049, -2048, -2047, 0, 2046, 2047, 2048, i32::MAX, i32::MIN];
    for constant in limits {
        let (mut tests, mut calls, mut wanted) =
            (String::new(), String::new(), vec![]);
        for operator in ["<", "<=", ">", ">=", "==", "!="] {
            tests += &format!("if x {operator} {constant} {{ print(1); }} ");
            tests += &format!("if {constant} {operator} x {{ print(2); }} ");
        }
        for x in limits {
            calls += &format!("f({x}); ");
            let sides = [(x, constant, 1), (constant, x, 2)];
            let tests: [fn(&i32, &i32) -> bool; 6] =
                [i32::lt, i32::le, i32::gt, i32::ge, i32::eq, i32::ne];
            for test in tests {
                let true_sides = sides.iter().filter(|(a, b, _)| test(a, b));
                wanted.extend(true_sides.map(|(.., number)| *number));
            }
            wanted.push(x.wrapping_add(constant));
            wanted.push(x.wrapping_sub(constant));
        }
        let text = format!(
            "fn f(x: int) {{ {tests} print(x + {constant}); print(x - {constant}); }}
             fn main() {{ {calls} }}"
        );
        assert_eq!(prints(&text), wanted, "{constant}");
    }
}

#[test]
fn a_division_by_zero_names_its_line_even_if_nobody_reads_the_result() {
    let text = "fn main() {\n let zero = 1 - 1;\n print(5);\n let x = 7 / zero;\n}";
    let ending = "stopped: division by zero at main:4";
    assert_eq!(outcome(text).ending.to_string(), ending);
    let checked = checked(&one(text));
    let (wrong, _) = compiled(&one(text), &checked, Level::DropsDivisions);
    assert_eq!(wrong.ending, Ending::Finished);
}

#[test]
fn endless_recursion_fills_the_stack_and_nothing_else() {
    let text = "fn f(n: int) -> int { return f(n + 1) + 1; }
                fn main() { print(1); print(f(0)); }";
    assert_eq!(outcome(text), Outcome::new(vec![1], Ending::StackFull));
    let text =
        "fn f() { if true { while true { f(); } } } fn main() { print(1); f(); }";
    assert_eq!(outcome(text), Outcome::new(vec![1], Ending::StackFull));
}

#[test]
fn long_functions_and_large_frames_are_in_reach() {
    let mut text = String::from("fn main() { let i = 0; while i < 2 { i = i + 1;\n");
    for number in 0..700 {
        text += &format!("let v{number} = i + {number};\n");
    }
    text += "print(v0 + v699); } }";
    assert_eq!(prints(&text), [701, 703]);
}

#[test]
fn a_function_that_no_jump_can_cross_is_an_error_that_names_it() {
    let division = format!("a={}a;", "a/".repeat(60));
    let body = division.repeat(400);
    let text = format!("fn far() {{ let a=7; while a>0 {{ {body} }} }}");
    let object = compile(&Source::new("main", &text), Level::Off);
    let errors = object.err().unwrap_or_default();
    assert!(errors[0].message.starts_with("`far` is too long: "));
}

#[test]
fn an_image_runs_at_any_address_because_its_calls_are_distances() {
    let text = "fn f(n: int) -> int { return n * n; } fn main() { print(f(12)); }";
    let image = built(&one(text), &checked(&one(text)), Level::On);
    for address in [LOAD_ADDRESS, LOAD_ADDRESS + 4, 0x2_0000, 0x3_0ffc] {
        let (outcome, _) = run(&image, address, CYCLES_MAX);
        assert_eq!(outcome, Outcome::new(vec![144], Ending::Finished));
    }
    let (outcome, _) = run(&image, 0x3_fffc, CYCLES_MAX);
    assert_eq!(outcome.ending, Ending::TooLarge);
}

fn link_errors(sources: &[Source]) -> Vec<LinkError> {
    match build(sources, Level::On) {
        Err(BuildError::Link(errors)) => errors,
        Err(BuildError::Compile(errors)) => panic!("{errors:?}"),
        Ok(_) => Vec::new(),
    }
}

#[test]
fn the_linker_names_the_modules_of_a_symbol_that_is_missing_or_there_twice() {
    let a = "extern fn f(n: int) -> int; fn main() { print(f(1)); }";
    let say = |other: &str| {
        let sources = [Source::new("a", a), Source::new("b", other)];
        let errors = link_errors(&sources);
        errors.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(say("fn f(n: int) -> int { return n; }"), [""; 0]);
    assert_eq!(say(""), ["a calls `f`, which no module has"]);
    let twice = "fn f(n: int) -> int { return n; } fn main() {}";
    assert_eq!(say(twice), ["both a and b have a function `main`"]);
    let other = "fn f(a: int, b: int) -> int { return a; }";
    let wanted = "a calls `f` as fn(int) -> int; in b it is fn(int, int) -> int";
    assert_eq!(say(other), [wanted]);
    let none = link_errors(&one("fn start() {}"));
    assert_eq!(
        none[0].to_string(),
        "runtime calls `main`, which no module has"
    );
}

#[test]
fn one_folded_division_is_most_of_what_the_till_gains() {
    let cycles = |prices: &str, level| {
        let sources = [Source::new("till", TILL), Source::new("prices", prices)];
        compiled(&sources, &checked(&sources), level).1
    };
    let by_hand = PRICES.replace("1000 / 2", "500");
    assert_ne!(by_hand, PRICES);
    let plain = cycles(PRICES, Level::Off);
    assert_eq!(plain - cycles(&by_hand, Level::Off), 5_000);
    assert!(plain - cycles(PRICES, Level::On) < 2 * 5_000);
}

#[test]
fn a_module_is_compiled_without_the_text_of_the_others() {
    let main = "extern fn f(n: int) -> int; fn main() { print(f(20)); }";
    let user = compile(&Source::new("main", main), Level::On);
    let user = user.unwrap_or_else(|errors| panic!("{errors:?}"));
    let library = runtime().unwrap_or_else(|error| panic!("{error}"));
    for (text, answer) in [("n + 1", 21), ("n * 3 / 4", 15)] {
        let text = format!("fn f(n: int) -> int {{ return {text}; }}");
        let other = compile(&Source::new("f", &text), Level::On);
        let other = other.unwrap_or_else(|errors| panic!("{errors:?}"));
        let image = link(&[other, user.clone(), library.clone()]);
        let image = image.unwrap_or_else(|errors| panic!("{errors:?}"));
        let (outcome, _) = run(&image, LOAD_ADDRESS, CYCLES_MAX);
        assert_eq!(outcome.printed, [answer]);
    }
}
