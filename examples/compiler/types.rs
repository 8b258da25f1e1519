//! Phase 3, semantic analysis: does each name stand for something, and do the types
//! fit? The result is the symbol table: which variable each use of a name means.

use super::diagnostics::{Diagnostic, Span};
use super::parser::*;

/// The number of a variable in its module, in the order of declaration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct VariableId(pub usize);

#[derive(Debug)]
pub struct Variable {
    pub name: Name,
    pub ty: Type,
}

#[derive(Default)]
pub struct Symbols {
    pub variables: Vec<Variable>,
    /// For each name, where it begins in the source and which variable it means.
    pub meaning: Vec<(usize, VariableId)>,
}

/// What a caller has to know about a function: `fn(int, bool) -> int`.
pub fn signature(function: &Function) -> String {
    let types = function.parameters.iter().map(|(_, ty)| ty.to_string());
    let types: Vec<String> = types.collect();
    match function.result {
        Type::Nothing => format!("fn({})", types.join(", ")),
        result => format!("fn({}) -> {result}", types.join(", ")),
    }
}

pub fn check(module: &Module) -> (Symbols, Vec<Diagnostic>) {
    let mut checker = Checker {
        functions: Vec::new(),
        symbols: Symbols::default(),
        visible: Vec::new(),
        result: Type::Nothing,
        errors: Vec::new(),
    };
    for function in &module.functions {
        let Name { text, span } = &function.name;
        if text.starts_with('_') {
            // `__div` expects that somebody has tested the divisor.
            let message = "functions with a `_` in front are the library's";
            checker.error(*span, message);
        }
        if checker.named(text).is_some() {
            checker.error(*span, format!("there are two functions `{text}`"));
        }
        checker.functions.push(function);
    }
    for function in &module.functions {
        checker.function(function);
    }
    (checker.symbols, checker.errors)
}

struct Checker<'a> {
    functions: Vec<&'a Function>,
    symbols: Symbols,
    /// The variables of all scopes around this place: the innermost is the last.
    visible: Vec<VariableId>,
    /// What the function that is being checked returns.
    result: Type,
    errors: Vec<Diagnostic>,
}

impl<'a> Checker<'a> {
    fn function(&mut self, function: &'a Function) {
        let Some(body) = &function.body else {
            return;
        };
        self.result = function.result;
        self.visible.clear();
        for (name, ty) in &function.parameters {
            if self.innermost(&name.text).is_some() {
                let message = format!("there are two parameters `{}`", name.text);
                self.error(name.span, message);
            }
            self.declare(name, *ty);
        }
        self.block(body);
        if function.result != Type::Nothing && !returns(body) {
            let Name { text, span } = &function.name;
            let message = format!(
                "`{text}` can end without returning its {}",
                function.result
            );
            self.error(*span, message);
        }
    }

    fn block(&mut self, block: &'a Block) {
        let outer = self.visible.len();
        for statement in block {
            self.statement(statement);
        }
        self.visible.truncate(outer);
    }

    fn statement(&mut self, statement: &'a Statement) {
        match statement {
            Statement::Let(name, declared, value) => {
                let found = match declared {
                    Some(ty) => self.expect(value, *ty),
                    None => self.something(value),
                };
                let ty = declared.unwrap_or(found);
                self.declare(name, ty); // now: its value may use an outer one
            }
            Statement::Assign(name, value) => {
                let ty = self.variable(&name.text, name.span);
                self.expect(value, ty);
            }
            Statement::If(condition, then, otherwise) => {
                self.expect(condition, Type::Bool);
                self.block(then);
                self.block(otherwise);
            }
            Statement::While(condition, body) => {
                self.expect(condition, Type::Bool);
                self.block(body);
            }
            Statement::Return(_, Some(value)) => {
                self.expect(value, self.result);
            }
            Statement::Return(span, None) => {
                if self.result != Type::Nothing {
                    let message = format!("this must return its {}", self.result);
                    self.error(*span, message);
                }
            }
            Statement::Print(value) => {
                self.expect(value, Type::Int);
            }
            Statement::Call(call) => {
                self.expression(call);
            }
            Statement::Block(block) => self.block(block),
        }
    }

    /// The type of an expression, which should be `wanted`. Where one of the two is
    /// unknown there was an error already, and a second one would not help.
    fn expect(&mut self, expr: &'a Expr, wanted: Type) -> Type {
        let found = self.expression(expr);
        let is_known = found != Type::Unknown && wanted != Type::Unknown;
        if is_known && found != wanted {
            self.error(expr.span, format!("expected {wanted}, found {found}"));
        }
        found
    }

    /// The type of an expression, which may be any but nothing.
    fn something(&mut self, expr: &'a Expr) -> Type {
        let found = self.expression(expr);
        if found != Type::Nothing {
            return found;
        }
        self.error(expr.span, "this call returns nothing");
        Type::Unknown
    }

    fn expression(&mut self, expr: &'a Expr) -> Type {
        use Operator::*;
        match &expr.kind {
            ExprKind::Number(_) => Type::Int,
            ExprKind::Bool(_) => Type::Bool,
            ExprKind::Wrong => Type::Unknown,
            ExprKind::Variable(name) => self.variable(name, expr.span),
            ExprKind::Negate(of) => {
                self.expect(of, Type::Int);
                Type::Int
            }
            ExprKind::Not(of) => {
                self.expect(of, Type::Bool);
                Type::Bool
            }
            ExprKind::Binary(operator, left, right) => {
                let (of, result) = match operator {
                    Or | And => (Type::Bool, Type::Bool),
                    Equal | NotEqual => (self.something(left), Type::Bool),
                    Less | LessEqual | Greater | GreaterEqual => {
                        (Type::Int, Type::Bool)
                    }
                    Add | Subtract | Multiply | Divide | Remainder => {
                        (Type::Int, Type::Int)
                    }
                };
                if !matches!(operator, Equal | NotEqual) {
                    self.expect(left, of);
                }
                self.expect(right, of);
                result
            }
            ExprKind::Call(name, arguments) => self.call(name, arguments),
        }
    }

    fn call(&mut self, name: &'a Name, arguments: &'a [Expr]) -> Type {
        let Some(function) = self.named(&name.text) else {
            let message = format!("there is no function `{}`", name.text);
            self.error(name.span, message);
            for argument in arguments {
                self.expression(argument);
            }
            return Type::Unknown;
        };
        let (wanted, given) = (function.parameters.len(), arguments.len());
        if wanted != given {
            let message =
                format!("`{}` takes {wanted} values, not {given}", name.text);
            self.error(name.span, message);
        }
        let types = function.parameters.iter().map(|(_, ty)| *ty);
        let types = types.chain(std::iter::repeat(Type::Unknown));
        for (argument, ty) in arguments.iter().zip(types) {
            self.expect(argument, ty);
        }
        function.result
    }

    fn named(&self, name: &str) -> Option<&'a Function> {
        let mut functions = self.functions.iter();
        functions
            .find(|function| function.name.text == name)
            .copied()
    }

    /// What a name means is what the innermost scope that has it says.
    fn innermost(&self, name: &str) -> Option<VariableId> {
        let is_named = |id: &&VariableId| {
            let variable = &self.symbols.variables[id.0];
            variable.name.text == name
        };
        self.visible.iter().rev().find(is_named).copied()
    }

    fn variable(&mut self, name: &str, span: Span) -> Type {
        let Some(id) = self.innermost(name) else {
            self.error(span, format!("there is no variable `{name}`"));
            return Type::Unknown;
        };
        self.symbols.meaning.push((span.start, id));
        self.symbols.variables[id.0].ty
    }

    fn declare(&mut self, name: &'a Name, ty: Type) {
        let id = VariableId(self.symbols.variables.len());
        let variable = Variable {
            name: name.clone(),
            ty,
        };
        self.symbols.variables.push(variable);
        self.symbols.meaning.push((name.span.start, id));
        self.visible.push(id);
    }

    fn error(&mut self, span: Span, message: impl Into<String>) {
        self.errors.push(Diagnostic::new(span, message));
    }
}

/// Does every way through the block end in a return? A loop is taken as one that may
/// be left, whatever its condition.
fn returns(block: &Block) -> bool {
    block.iter().any(|statement| match statement {
        Statement::Return(..) => true,
        Statement::If(_, then, otherwise) => returns(then) && returns(otherwise),
        Statement::Block(inner) => returns(inner),
        _ => false,
    })
}
