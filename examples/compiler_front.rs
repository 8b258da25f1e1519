//! Phases 1 to 3 of the compiler: text, tokens, tree, symbol table.
//!
//! Look at the tree: `*` stands below `+`, so it is computed first. Look at the
//! table: two variables are called `total`, and each use means one of them.
//!
//! The phases are in `examples/compiler/`. Their tests are in `compiler`'s own.

#[path = "compiler/phases.rs"]
mod phases;

use phases::diagnostics::Source;
use phases::lexer::{lex, Kind};
use phases::parser::{parse, Block, Expr, ExprKind, Statement};
use phases::types::check;

// ANCHOR: text
const TEXT: &str = "fn main() {
    let total = 2 + 3 * 4;
    if total > 9 { let total = true; }
    print(total);
}
";
// ANCHOR_END: text

fn main() {
    let source = Source::new("till", TEXT);
    let (tokens, _) = lex(&source.text);
    println!(
        "1 {} characters, {} tokens; those of line 2",
        TEXT.len(),
        tokens.len()
    );
    for token in &tokens {
        let (line, column) = source.place(token.span.start);
        if line == 2 {
            println!("  {line}:{column:<4} {}", named(&token.kind));
        }
    }

    let (module, _) = parse(&tokens);
    println!("2 the tree of the first two statements");
    for function in &module.functions {
        let statements = function.body.iter().flatten();
        let first: Vec<&Statement> = statements.take(2).collect();
        first.iter().for_each(|statement| show(statement, 1));
    }

    let (symbols, _) = check(&module);
    println!("3 the symbol table");
    for (number, variable) in symbols.variables.iter().enumerate() {
        let at = variable.name.span.start;
        let uses = symbols.meaning.iter();
        let uses = uses.filter(|(place, id)| id.0 == number && *place != at);
        let uses: Vec<String> =
            uses.map(|(place, _)| here(&source, *place)).collect();
        let used = match uses.is_empty() {
            true => "not used".to_string(),
            false => format!("used at {}", uses.join(" and ")),
        };
        let (place, name) = (here(&source, at), &variable.name.text);
        println!("  {name} of {place:<5} {:<4}  {used}", variable.ty);
    }
}

fn here(source: &Source, at: usize) -> String {
    let (line, column) = source.place(at);
    format!("{line}:{column}")
}

fn named(kind: &Kind) -> String {
    match kind {
        Kind::Word(word) => format!("word    {word}"),
        Kind::Name(name) => format!("name    {name}"),
        Kind::Number(number) => format!("number  {number}"),
        Kind::Symbol(symbol) => format!("symbol  {symbol}"),
        Kind::End => "end".to_string(),
    }
}

fn line(depth: usize, text: &str) {
    println!("{}{text}", "  ".repeat(depth));
}

fn show(statement: &Statement, depth: usize) {
    match statement {
        Statement::Let(name, _, value) => {
            line(depth, &format!("let {}", name.text));
            tree(value, depth + 1);
        }
        Statement::If(condition, then, _) => {
            line(depth, "if");
            tree(condition, depth + 1);
            block(then, depth + 1);
        }
        _ => line(depth, "…"),
    }
}

fn block(statements: &Block, depth: usize) {
    statements.iter().for_each(|inner| show(inner, depth));
}

fn tree(expr: &Expr, depth: usize) {
    match &expr.kind {
        ExprKind::Number(number) => line(depth, &number.to_string()),
        ExprKind::Bool(truth) => line(depth, &truth.to_string()),
        ExprKind::Variable(name) => line(depth, name),
        ExprKind::Binary(operator, left, right) => {
            line(depth, operator.symbol());
            tree(left, depth + 1);
            tree(right, depth + 1);
        }
        _ => line(depth, "…"),
    }
}
