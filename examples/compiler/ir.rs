//! Phase 4, intermediate code: the tree becomes three-address code, a list of steps
//! with at most one operator each. It knows of no machine yet.

use super::diagnostics::{Source, Span};
use super::parser::*;
use super::types::{signature, Symbols, VariableId};
use std::fmt;

/// A place for a number: a variable, or what an inner expression comes to.
pub type Slot = usize;
pub type Label = usize;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value {
    Number(i32),
    Slot(Slot),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    Copy(Slot, Value),
    /// The line is for a division by zero.
    Binary(Slot, Op, Value, Value, Line),
    Call(Option<Slot>, String, Vec<Value>),
    Print(Value),
    Label(Label),
    Jump(Label),
    JumpIfZero(Value, Label),
    Return(Option<Value>),
}

pub type Line = u32;

// ANCHOR: op
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    ShiftLeft,
    Equal,
    NotEqual,
    Less,
    LessEqual,
}
// ANCHOR_END: op

/// The code of one function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Code {
    pub name: String,
    pub signature: String,
    pub parameters: usize,
    /// The first are the parameters.
    pub slots: Vec<String>,
    pub steps: Vec<Step>,
    pub labels: usize,
}

/// `module` has passed the checker.
pub fn lower(module: &Module, symbols: &Symbols, source: &Source) -> Vec<Code> {
    let functions = module.functions.iter();
    functions
        .filter_map(|function| {
            let body = function.body.as_ref()?;
            let mut lower = Lower {
                symbols,
                source,
                slot_of: vec![None; symbols.variables.len()],
                code: Code {
                    name: function.name.text.clone(),
                    signature: signature(function),
                    parameters: function.parameters.len(),
                    slots: Vec::new(),
                    steps: Vec::new(),
                    labels: 0,
                },
            };
            for (name, _) in &function.parameters {
                lower.variable(name.span);
            }
            lower.block(body);
            if function.result == Type::Nothing {
                lower.push(Step::Return(None));
            }
            Some(lower.code)
        })
        .collect()
}

struct Lower<'a> {
    symbols: &'a Symbols,
    source: &'a Source,
    /// By the number of the variable.
    slot_of: Vec<Option<Slot>>,
    code: Code,
}

impl Lower<'_> {
    fn block(&mut self, block: &Block) {
        for statement in block {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Let(name, _, value) | Statement::Assign(name, value) => {
                let slot = self.variable(name.span);
                self.expression(value, Some(slot));
            }
            Statement::If(condition, then, otherwise) => {
                let (other, end) = (self.label(), self.label());
                let condition = self.expression(condition, None);
                self.push(Step::JumpIfZero(condition, other));
                self.block(then);
                self.push(Step::Jump(end));
                self.push(Step::Label(other));
                self.block(otherwise);
                self.push(Step::Label(end));
            }
            Statement::While(condition, body) => {
                let (start, end) = (self.label(), self.label());
                self.push(Step::Label(start));
                let condition = self.expression(condition, None);
                self.push(Step::JumpIfZero(condition, end));
                self.block(body);
                self.push(Step::Jump(start));
                self.push(Step::Label(end));
            }
            Statement::Return(_, value) => {
                let value = value.as_ref().map(|value| self.expression(value, None));
                self.push(Step::Return(value));
            }
            Statement::Print(value) => {
                let value = self.expression(value, None);
                self.push(Step::Print(value));
            }
            Statement::Call(call) => {
                if let ExprKind::Call(name, arguments) = &call.kind {
                    let arguments = self.arguments(arguments);
                    self.push(Step::Call(None, name.text.clone(), arguments));
                }
            }
            Statement::Block(block) => self.block(block),
        }
    }

    /// Adds the steps of an expression; its value is where the last one puts it:
    /// in `into`, if that is given.
    fn expression(&mut self, expr: &Expr, into: Option<Slot>) -> Value {
        let line = self.source.line(expr.span.start);
        let value = match &expr.kind {
            ExprKind::Number(number) => Value::Number(*number),
            ExprKind::Bool(truth) => Value::Number(i32::from(*truth)),
            ExprKind::Variable(_) => Value::Slot(self.variable(expr.span)),
            ExprKind::Negate(of) => {
                let of = self.expression(of, None);
                return self.binary(into, Op::Subtract, Value::Number(0), of, line);
            }
            ExprKind::Not(of) => {
                let of = self.expression(of, None);
                return self.binary(into, Op::Equal, of, Value::Number(0), line);
            }
            ExprKind::Binary(operator @ (Operator::And | Operator::Or), a, b) => {
                return self.short_circuit(*operator, a, b, into);
            }
            ExprKind::Binary(operator, left, right) => {
                let left = self.expression(left, None);
                let right = self.expression(right, None);
                let (op, left, right) = match operator {
                    Operator::Greater => (Op::Less, right, left),
                    Operator::GreaterEqual => (Op::LessEqual, right, left),
                    _ => (op(*operator), left, right),
                };
                return self.binary(into, op, left, right, line);
            }
            ExprKind::Call(name, arguments) => {
                let arguments = self.arguments(arguments);
                let slot = into.unwrap_or_else(|| self.temporary());
                self.push(Step::Call(Some(slot), name.text.clone(), arguments));
                return Value::Slot(slot);
            }
            ExprKind::Wrong => Value::Number(0), // the checker lets none through
        };
        if let Some(slot) = into {
            self.push(Step::Copy(slot, value));
        }
        value
    }

    /// The right side of `&&` and `||` is not computed if the left one decides. The
    /// value gets a slot of its own: `into` may be a variable that `b` reads.
    fn short_circuit(
        &mut self,
        operator: Operator,
        a: &Expr,
        b: &Expr,
        into: Option<Slot>,
    ) -> Value {
        let (decided, end) = (self.label(), self.label());
        let slot = self.temporary();
        let left = self.expression(a, Some(slot));
        self.push(Step::JumpIfZero(left, decided));
        if operator == Operator::Or {
            self.push(Step::Copy(slot, Value::Number(1)));
            self.push(Step::Jump(end));
            self.push(Step::Label(decided));
            self.expression(b, Some(slot));
        } else {
            self.expression(b, Some(slot));
            self.push(Step::Label(decided));
        }
        self.push(Step::Label(end));
        let value = Value::Slot(slot);
        if let Some(into) = into {
            self.push(Step::Copy(into, value));
        }
        value
    }

    fn arguments(&mut self, arguments: &[Expr]) -> Vec<Value> {
        let values = arguments.iter();
        values
            .map(|argument| self.expression(argument, None))
            .collect()
    }

    fn binary(
        &mut self,
        into: Option<Slot>,
        op: Op,
        left: Value,
        right: Value,
        line: Line,
    ) -> Value {
        let slot = into.unwrap_or_else(|| self.temporary());
        self.push(Step::Binary(slot, op, left, right, line));
        Value::Slot(slot)
    }

    /// The slot of the variable that the name at this place means.
    fn variable(&mut self, at: Span) -> Slot {
        // The checker has seen to it that each name means a variable.
        let mut meaning = self.symbols.meaning.iter();
        let meant = meaning.find(|(start, _)| *start == at.start);
        let (_, VariableId(id)) = *meant.expect("a name means a variable");
        if let Some(slot) = self.slot_of[id] {
            return slot;
        }
        let name = &*self.symbols.variables[id].name.text;
        let same = |slot: &&String| slot.split('\'').next() == Some(name);
        let shadowed = self.code.slots.iter().filter(same).count();
        let slot = self.slot(name.to_string() + &"'".repeat(shadowed));
        self.slot_of[id] = Some(slot);
        slot
    }

    fn temporary(&mut self) -> Slot {
        self.slot(format!("_{}", self.code.slots.len()))
    }

    fn slot(&mut self, name: String) -> Slot {
        self.code.slots.push(name);
        self.code.slots.len() - 1
    }

    fn label(&mut self) -> Label {
        self.code.labels += 1;
        self.code.labels
    }

    fn push(&mut self, step: Step) {
        self.code.steps.push(step);
    }
}

fn op(operator: Operator) -> Op {
    match operator {
        Operator::Add => Op::Add,
        Operator::Subtract => Op::Subtract,
        Operator::Multiply => Op::Multiply,
        Operator::Divide => Op::Divide,
        Operator::Remainder => Op::Remainder,
        Operator::Equal => Op::Equal,
        Operator::NotEqual => Op::NotEqual,
        Operator::Less | Operator::Greater => Op::Less,
        Operator::LessEqual | Operator::GreaterEqual => Op::LessEqual,
        Operator::And | Operator::Or => Op::NotEqual, // see short_circuit
    }
}

impl Op {
    fn symbol(self) -> &'static str {
        match self {
            Op::Add => "+",
            Op::Subtract => "-",
            Op::Multiply => "*",
            Op::Divide => "/",
            Op::Remainder => "%",
            Op::ShiftLeft => "<<",
            Op::Equal => "==",
            Op::NotEqual => "!=",
            Op::Less => "<",
            Op::LessEqual => "<=",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "{}", self.text(step))?;
        }
        Ok(())
    }
}

impl Code {
    /// A step as text: `_3 = price * 7`.
    pub fn text(&self, step: &Step) -> String {
        let name =
            |slot: Slot| self.slots.get(slot).map_or("?", |name| name.as_str());
        let value = |value: &Value| match value {
            Value::Number(number) => number.to_string(),
            Value::Slot(slot) => name(*slot).to_string(),
        };
        match step {
            Step::Copy(to, from) => format!("{} = {}", name(*to), value(from)),
            Step::Binary(to, op, a, b, _) => {
                let (a, b) = (value(a), value(b));
                format!("{} = {a} {} {b}", name(*to), op.symbol())
            }
            Step::Call(to, function, arguments) => {
                let arguments: Vec<String> = arguments.iter().map(value).collect();
                let to = to.map_or(String::new(), |to| format!("{} = ", name(to)));
                format!("{to}call {function}({})", arguments.join(", "))
            }
            Step::Print(of) => format!("print {}", value(of)),
            Step::Label(label) => format!("L{label}:"),
            Step::Jump(label) => format!("jump L{label}"),
            Step::JumpIfZero(of, to) => format!("if {} == 0 jump L{to}", value(of)),
            Step::Return(None) => "return".to_string(),
            Step::Return(Some(of)) => format!("return {}", value(of)),
        }
    }
}
