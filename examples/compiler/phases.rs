//! The phases, one module each, and all of them in a row.

#![allow(dead_code)] // Each program of the chapter uses a part.

#[path = "../cpu_emulator/cpu.rs"]
pub mod cpu;
#[path = "../cpu_emulator/encode.rs"]
pub mod encode;

pub mod codegen;
pub mod diagnostics;
pub mod interpret;
pub mod ir;
pub mod lexer;
pub mod link;
pub mod optimise;
pub mod parser;
pub mod runtime;
pub mod types;

use codegen::Object;
use diagnostics::{Diagnostic, Source, Span};
use link::{Image, LinkError};
use optimise::Level;
use parser::Module;
use types::{signature, Symbols};

pub const SOURCE_BYTES_MAX: usize = 64 << 10;
/// After so many errors the rest helps nobody.
pub const ERRORS_MAX: usize = 20;

/// Phases 1 to 3. Each looks at what the one before could make of the source, so
/// that one run shows the errors of all three, in the order of the source.
pub fn analyse(source: &Source) -> Result<(Module, Symbols), Vec<Diagnostic>> {
    if source.text.len() > SOURCE_BYTES_MAX {
        let span = Span { start: 0, end: 0 };
        let message = format!("longer than {SOURCE_BYTES_MAX} bytes");
        return Err(vec![Diagnostic::new(span, message)]);
    }
    let (tokens, lexical_errors) = lexer::lex(&source.text);
    let (module, syntax_errors) = parser::parse(&tokens);
    let (symbols, type_errors) = types::check(&module);
    let all = [lexical_errors, syntax_errors, type_errors];
    let mut errors: Vec<Diagnostic> = Vec::new();
    for error in all.into_iter().flatten() {
        let start = error.span.start;
        // Of two errors at one place the earlier phase's is shown.
        if let Err(place) = errors.binary_search_by_key(&start, |e| e.span.start) {
            errors.insert(place, error);
        }
    }
    errors.truncate(ERRORS_MAX);
    match errors.is_empty() {
        true => Ok((module, symbols)),
        false => Err(errors),
    }
}

/// Phases 1 to 6: one module becomes one object.
pub fn compile(source: &Source, level: Level) -> Result<Object, Vec<Diagnostic>> {
    let (module, symbols) = analyse(source)?;
    translate(source, &module, &symbols, level)
}

/// Phases 4 to 6, for what `analyse` has found correct.
pub fn translate(
    source: &Source,
    module: &Module,
    symbols: &Symbols,
    level: Level,
) -> Result<Object, Vec<Diagnostic>> {
    let mut codes = ir::lower(module, symbols, source);
    for code in &mut codes {
        optimise::optimise(code, level);
    }
    let functions = module.functions.iter();
    let declared = functions.map(|f| (f.name.text.clone(), signature(f)));
    let declared: Vec<(String, String)> = declared.collect();
    codegen::generate(&source.name, &codes, &declared).map_err(|message| {
        let span = Span { start: 0, end: 0 };
        vec![Diagnostic::new(span, message)]
    })
}

#[derive(Debug)]
pub enum BuildError {
    Compile(Vec<String>),
    Link(Vec<LinkError>),
}

/// All phases: each module is compiled alone, then all are linked.
pub fn build(sources: &[Source], level: Level) -> Result<Image, BuildError> {
    let mut objects = Vec::new();
    for source in sources {
        let object = compile(source, level).map_err(|errors| {
            let errors = errors.iter().map(|error| source.render(error));
            BuildError::Compile(errors.collect())
        })?;
        objects.push(object);
    }
    let unlinked = |message| BuildError::Link(vec![LinkError::Encoding(message)]);
    objects.push(runtime::runtime().map_err(unlinked)?);
    link::link(&objects).map_err(BuildError::Link)
}
