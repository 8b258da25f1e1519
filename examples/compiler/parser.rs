//! Phase 2, syntax analysis: tokens become a tree.

use super::diagnostics::{Diagnostic, Span};
use super::lexer::{Kind, Token};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    Int,
    Bool,
    /// The result of a function that returns nothing.
    Nothing,
    /// After an error, so that one mistake is not reported twice.
    Unknown,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name {
    pub text: String,
    pub span: Span,
}

/// The functions of one file: those with a body, and those that another module has.
#[derive(Default, Debug)]
pub struct Module {
    pub functions: Vec<Function>,
}

#[derive(Debug)]
pub struct Function {
    pub name: Name,
    pub parameters: Vec<(Name, Type)>,
    pub result: Type,
    /// None: `extern`, to be found by the linker.
    pub body: Option<Block>,
}

pub type Block = Vec<Statement>;

#[derive(Debug)]
pub enum Statement {
    Let(Name, Option<Type>, Expr),
    Assign(Name, Expr),
    If(Expr, Block, Block),
    While(Expr, Block),
    Return(Span, Option<Expr>),
    Print(Expr),
    Call(Expr),
    Block(Block),
}

#[derive(Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
    height: u32,
}

#[derive(Debug)]
pub enum ExprKind {
    Number(i32),
    Bool(bool),
    Variable(String),
    Negate(Box<Expr>),
    Not(Box<Expr>),
    Binary(Operator, Box<Expr>, Box<Expr>),
    Call(Name, Vec<Expr>),
    /// Where no expression could be read.
    Wrong,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// Symbol, meaning, and how tightly it binds.
pub const OPERATORS: [(&str, Operator, u32); 13] = [
    ("||", Operator::Or, 1),
    ("&&", Operator::And, 2),
    ("==", Operator::Equal, 3),
    ("!=", Operator::NotEqual, 3),
    ("<", Operator::Less, 4),
    ("<=", Operator::LessEqual, 4),
    (">", Operator::Greater, 4),
    (">=", Operator::GreaterEqual, 4),
    ("+", Operator::Add, 5),
    ("-", Operator::Subtract, 5),
    ("*", Operator::Multiply, 6),
    ("/", Operator::Divide, 6),
    ("%", Operator::Remainder, 6),
];

/// Trees are walked by recursion, and a tree as deep as the file is long would use
/// up the compiler's own stack. So blocks and expressions nest this deep at most.
pub const NESTING_MAX: u32 = 64;
/// Arguments go in registers a0 to a7.
pub const PARAMETERS_MAX: usize = 8;

/// The error is in the list already; whoever gets this looks for a place to go on.
struct Failed;
type Parsed<T> = Result<T, Failed>;

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: u32,
    errors: Vec<Diagnostic>,
}

/// `tokens` as the lexer makes them: the last is `End`.
pub fn parse(tokens: &[Token]) -> (Module, Vec<Diagnostic>) {
    let mut module = Module::default();
    let mut parser = Parser {
        tokens,
        at: 0,
        depth: 0,
        errors: Vec::new(),
    };
    while *parser.kind() != Kind::End {
        match parser.function() {
            Ok(function) => module.functions.push(function),
            Err(Failed) => parser.skip_to_function(),
        }
        parser.depth = 0;
    }
    (module, parser.errors)
}

impl Parser<'_> {
    fn function(&mut self) -> Parsed<Function> {
        let is_extern = self.take("extern");
        self.expect("fn")?;
        let name = self.name("a function's name")?;
        self.expect("(")?;
        let mut parameters = Vec::new();
        while !self.is(")") {
            let name = self.name("a parameter's name")?;
            self.expect(":")?;
            parameters.push((name, self.a_type()?));
            if !self.take(",") {
                break;
            }
        }
        self.expect(")")?;
        if parameters.len() > PARAMETERS_MAX {
            let message = format!("at most {PARAMETERS_MAX} parameters");
            self.errors.push(Diagnostic::new(name.span, message));
        }
        let result = match self.take("->") {
            true => self.a_type()?,
            false => Type::Nothing,
        };
        let body = if is_extern {
            self.expect(";")?;
            None
        } else {
            Some(self.block()?)
        };
        Ok(Function {
            name,
            parameters,
            result,
            body,
        })
    }

    fn a_type(&mut self) -> Parsed<Type> {
        match self.kind() {
            Kind::Word("int") => self.advance(),
            Kind::Word("bool") => {
                self.advance();
                return Ok(Type::Bool);
            }
            _ => return self.fail("`int` or `bool`"),
        }
        Ok(Type::Int)
    }

    /// A statement that cannot be read costs itself; the next one is read again.
    fn block(&mut self) -> Parsed<Block> {
        self.expect("{")?;
        self.nest()?;
        let mut statements = Vec::new();
        let depth = self.depth;
        while !self.is("}") && !self.is("fn") && *self.kind() != Kind::End {
            match self.statement() {
                Ok(statement) => statements.push(statement),
                Err(Failed) => self.skip_statement(),
            }
            self.depth = depth;
        }
        self.depth -= 1;
        self.expect("}")?;
        Ok(statements)
    }

    fn statement(&mut self) -> Parsed<Statement> {
        let span = self.span();
        match self.kind().clone() {
            Kind::Word("let") => self.let_statement(),
            Kind::Word("if") => self.if_statement(),
            Kind::Word("while") => {
                self.advance();
                let condition = self.expression()?;
                Ok(Statement::While(condition, self.block()?))
            }
            Kind::Word("return") => {
                self.advance();
                let value = match self.is(";") {
                    true => None,
                    false => Some(self.expression()?),
                };
                self.expect(";")?;
                Ok(Statement::Return(span, value))
            }
            Kind::Word("print") => {
                self.advance();
                self.expect("(")?;
                let value = self.expression()?;
                self.expect(")")?;
                self.expect(";")?;
                Ok(Statement::Print(value))
            }
            Kind::Symbol("{") => Ok(Statement::Block(self.block()?)),
            Kind::Name(text) if self.next_is("=") => {
                self.at += 2;
                let value = self.expression()?;
                self.expect(";")?;
                Ok(Statement::Assign(Name { text, span }, value))
            }
            Kind::Name(_) if self.next_is("(") => {
                let call = self.expression()?;
                self.expect(";")?;
                if !matches!(call.kind, ExprKind::Call(..)) {
                    let message = "the value of this is not used";
                    self.errors.push(Diagnostic::new(call.span, message));
                }
                Ok(Statement::Call(call))
            }
            _ => self.fail("a statement"),
        }
    }

    /// If the value cannot be read, the name is known all the same.
    fn let_statement(&mut self) -> Parsed<Statement> {
        self.advance();
        let name = self.name("a variable's name")?;
        let mut declared = None;
        if self.take(":") {
            declared = Some(self.a_type()?);
        }
        let value = self.expect("=").and_then(|()| self.expression());
        let value = value.and_then(|value| self.expect(";").map(|()| value));
        let value = value.unwrap_or_else(|Failed| {
            self.skip_statement();
            Expr::new(ExprKind::Wrong, name.span, 0)
        });
        Ok(Statement::Let(name, declared, value))
    }

    fn if_statement(&mut self) -> Parsed<Statement> {
        self.advance();
        let condition = self.expression()?;
        let then = self.block()?;
        let mut otherwise = Vec::new();
        if self.take("else") {
            if self.is("if") {
                self.nest()?;
                otherwise.push(self.if_statement()?);
                self.depth -= 1;
            } else {
                otherwise = self.block()?;
            }
        }
        Ok(Statement::If(condition, then, otherwise))
    }

    fn expression(&mut self) -> Parsed<Expr> {
        self.binary(1)
    }

    /// Operators that bind at least as tightly as `tightness`. What stands to the
    /// right of one must bind tighter: so `9 - 3 - 1` is `(9 - 3) - 1`.
    fn binary(&mut self, tightness: u32) -> Parsed<Expr> {
        let mut left = self.unary()?;
        while let Some((operator, binds)) = self.operator() {
            if binds < tightness {
                break;
            }
            self.advance();
            let right = self.binary(binds + 1)?;
            let span = left.span.to(right.span);
            let height = left.height.max(right.height);
            let (left_box, right) = (Box::new(left), Box::new(right));
            let kind = ExprKind::Binary(operator, left_box, right);
            left = self.node(kind, span, height)?;
        }
        Ok(left)
    }

    fn operator(&self) -> Option<(Operator, u32)> {
        let found = OPERATORS.iter().find(|(symbol, ..)| self.is(symbol));
        found.map(|(_, operator, binds)| (*operator, *binds))
    }

    fn unary(&mut self) -> Parsed<Expr> {
        self.nest()?;
        let start = self.span();
        let kind = if self.take("!") {
            let of = self.unary()?;
            let (span, height) = (start.to(of.span), of.height);
            self.node(ExprKind::Not(Box::new(of)), span, height)?
        } else if self.take("-") {
            match *self.kind() {
                // The smallest number: its positive counterpart does not exist.
                Kind::Number(number) => {
                    let span = start.to(self.span());
                    self.advance();
                    let number = 0_i32.wrapping_sub_unsigned(number);
                    self.node(ExprKind::Number(number), span, 0)?
                }
                _ => {
                    let of = self.unary()?;
                    let (span, height) = (start.to(of.span), of.height);
                    self.node(ExprKind::Negate(Box::new(of)), span, height)?
                }
            }
        } else {
            self.primary()?
        };
        self.depth -= 1;
        Ok(kind)
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let span = self.span();
        match self.kind().clone() {
            Kind::Number(number) => {
                self.advance();
                let value = i32::try_from(number).unwrap_or_else(|_| {
                    let message = "this number does not fit 32 bits";
                    self.errors.push(Diagnostic::new(span, message));
                    0
                });
                self.node(ExprKind::Number(value), span, 0)
            }
            Kind::Word(word @ ("true" | "false")) => {
                self.advance();
                self.node(ExprKind::Bool(word == "true"), span, 0)
            }
            Kind::Symbol("(") => {
                self.advance();
                let mut inner = self.expression()?;
                inner.span = span.to(self.span());
                self.expect(")")?;
                Ok(inner)
            }
            Kind::Name(text) => {
                self.advance();
                if !self.take("(") {
                    return self.node(ExprKind::Variable(text), span, 0);
                }
                let mut arguments = Vec::new();
                while !self.is(")") {
                    arguments.push(self.expression()?);
                    if !self.take(",") {
                        break;
                    }
                }
                let whole = span.to(self.span());
                self.expect(")")?;
                let height = arguments.iter().map(|argument| argument.height).max();
                let kind = ExprKind::Call(Name { text, span }, arguments);
                self.node(kind, whole, height.unwrap_or(0))
            }
            _ => self.fail("an expression"),
        }
    }

    /// A node above trees of this height. Without recursion too, as in `1 + 1 + …`,
    /// a tree can become too high.
    fn node(&mut self, kind: ExprKind, span: Span, height: u32) -> Parsed<Expr> {
        match height < NESTING_MAX {
            true => Ok(Expr::new(kind, span, height + 1)),
            false => self.too_deep(span),
        }
    }

    fn nest(&mut self) -> Parsed<()> {
        self.depth += 1;
        match self.depth <= NESTING_MAX {
            true => Ok(()),
            false => self.too_deep(self.span()),
        }
    }

    /// Nothing sensible can follow: go to the end.
    fn too_deep<T>(&mut self, span: Span) -> Parsed<T> {
        let message = format!("nested deeper than {NESTING_MAX}");
        self.errors.push(Diagnostic::new(span, message));
        self.at = self.tokens.len() - 1;
        Err(Failed)
    }

    fn skip_statement(&mut self) {
        loop {
            match self.kind() {
                Kind::End | Kind::Symbol("}") => return,
                Kind::Word("let" | "if" | "while" | "return" | "print" | "fn") => {
                    return
                }
                Kind::Symbol(";") => return self.advance(),
                _ => self.advance(),
            }
        }
    }

    fn skip_to_function(&mut self) {
        while !matches!(self.kind(), Kind::Word("fn" | "extern") | Kind::End) {
            self.advance();
        }
    }

    fn name(&mut self, what: &str) -> Parsed<Name> {
        let span = self.span();
        match self.kind().clone() {
            Kind::Name(text) => {
                self.advance();
                Ok(Name { text, span })
            }
            _ => self.fail(what),
        }
    }

    fn expect(&mut self, text: &str) -> Parsed<()> {
        match self.take(text) {
            true => Ok(()),
            false => self.fail(&format!("`{text}`")),
        }
    }

    fn fail<T>(&mut self, wanted: &str) -> Parsed<T> {
        let message = format!("expected {wanted}, found {}", self.kind().quoted());
        let is_after_stop =
            self.at + 1 == self.tokens.len() && !self.errors.is_empty();
        if !is_after_stop {
            self.errors.push(Diagnostic::new(self.span(), message));
        }
        Err(Failed)
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.is(text);
        if found {
            self.advance();
        }
        found
    }

    fn is(&self, text: &str) -> bool {
        matches!(self.kind(), Kind::Word(t) | Kind::Symbol(t) if *t == text)
    }

    fn next_is(&self, text: &str) -> bool {
        let next = self.tokens.get(self.at + 1).map(|token| &token.kind);
        matches!(next, Some(Kind::Symbol(t)) if *t == text)
    }

    fn kind(&self) -> &Kind {
        self.tokens
            .get(self.at)
            .map_or(&Kind::End, |token| &token.kind)
    }

    fn span(&self) -> Span {
        let token = self.tokens.get(self.at).or(self.tokens.last());
        token.map_or(Span { start: 0, end: 0 }, |token| token.span)
    }

    fn advance(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len() - 1);
    }
}

impl Expr {
    fn new(kind: ExprKind, span: Span, height: u32) -> Expr {
        Expr { kind, span, height }
    }
}

impl Operator {
    pub fn symbol(self) -> &'static str {
        let found = OPERATORS.iter().find(|(_, operator, _)| *operator == self);
        found.map_or("?", |(symbol, ..)| symbol)
    }
}

impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Type::Int => "int",
            Type::Bool => "bool",
            Type::Nothing => "nothing",
            Type::Unknown => "unknown",
        })
    }
}
