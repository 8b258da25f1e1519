//! The language's meaning, without a compiler: walks the tree and does what it says.
//! Slow and short. The tests hold the compiled programs against it.

use super::diagnostics::Source;
use super::parser::*;
use std::fmt;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    Finished,
    DividedByZero { module: String, line: u32 },
    StackFull,
    TooLong,
    TooLarge,
    Broken(String),
}

/// All that one sees of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    pub printed: Vec<i32>,
    pub ending: Ending,
}

impl Outcome {
    pub fn new(printed: Vec<i32>, ending: Ending) -> Outcome {
        Outcome { printed, ending }
    }
}

/// How deep blocks, expressions and calls may nest at run time, together.
const DEPTH_MAX: u32 = 400;
const PRINTED_MAX: usize = 1_000;

/// Runs `main` of modules that the checker has passed.
pub fn interpret(modules: &[(&Source, &Module)], steps_max: u64) -> Outcome {
    let mut run = Run {
        modules,
        printed: Vec::new(),
        steps_left: steps_max,
        depth: 0,
    };
    let ending = match run.call("main", Vec::new()) {
        Ok(_) => Ending::Finished,
        Err(ending) => ending,
    };
    Outcome::new(run.printed, ending)
}

struct Run<'a> {
    modules: &'a [(&'a Source, &'a Module)],
    printed: Vec<i32>,
    steps_left: u64,
    depth: u32,
}

/// The variables of one call: the innermost is the last.
type Variables<'a> = Vec<(&'a str, i32)>;

/// What a statement makes of the rest: go on, or return this value.
enum Next {
    GoOn,
    Return(i32),
}

impl<'a> Run<'a> {
    fn call(&mut self, name: &str, arguments: Vec<i32>) -> Result<i32, Ending> {
        for (source, module) in self.modules {
            for function in &module.functions {
                let Some(body) = &function.body else { continue };
                if function.name.text == name {
                    let names = function.parameters.iter();
                    let names = names.map(|(name, _)| &*name.text);
                    let mut variables = names.zip(arguments).collect();
                    let next = self.block(source, body, &mut variables)?;
                    return Ok(match next {
                        Next::Return(value) => value,
                        Next::GoOn => 0,
                    });
                }
            }
        }
        Err(Ending::Broken(format!("there is no function `{name}`")))
    }

    fn block(
        &mut self,
        source: &Source,
        block: &'a Block,
        variables: &mut Variables<'a>,
    ) -> Result<Next, Ending> {
        let outer = variables.len();
        self.enter()?;
        for statement in block {
            let next = self.statement(source, statement, variables)?;
            if let Next::Return(_) = next {
                self.depth -= 1;
                return Ok(next);
            }
        }
        self.depth -= 1;
        variables.truncate(outer);
        Ok(Next::GoOn)
    }

    fn enter(&mut self) -> Result<(), Ending> {
        self.depth += 1;
        self.steps_left = self.steps_left.checked_sub(1).ok_or(Ending::TooLong)?;
        match self.depth <= DEPTH_MAX {
            true => Ok(()),
            false => Err(Ending::StackFull),
        }
    }

    fn statement(
        &mut self,
        source: &Source,
        statement: &'a Statement,
        variables: &mut Variables<'a>,
    ) -> Result<Next, Ending> {
        match statement {
            Statement::Let(name, _, value) => {
                let value = self.expression(source, value, variables)?;
                variables.push((&name.text, value));
            }
            Statement::Assign(name, value) => {
                let value = self.expression(source, value, variables)?;
                let mut known = variables.iter_mut().rev();
                if let Some(place) = known.find(|(known, _)| *known == name.text) {
                    place.1 = value;
                }
            }
            Statement::If(condition, then, otherwise) => {
                let truth = self.expression(source, condition, variables)?;
                let block = if truth != 0 { then } else { otherwise };
                return self.block(source, block, variables);
            }
            Statement::While(condition, body) => {
                while self.expression(source, condition, variables)? != 0 {
                    if let Next::Return(value) =
                        self.block(source, body, variables)?
                    {
                        return Ok(Next::Return(value));
                    }
                }
            }
            Statement::Return(_, value) => {
                let value = match value {
                    Some(value) => self.expression(source, value, variables)?,
                    None => 0,
                };
                return Ok(Next::Return(value));
            }
            Statement::Print(value) => {
                let value = self.expression(source, value, variables)?;
                if self.printed.len() >= PRINTED_MAX {
                    return Err(Ending::TooLong);
                }
                self.printed.push(value);
            }
            Statement::Call(call) => {
                self.expression(source, call, variables)?;
            }
            Statement::Block(block) => return self.block(source, block, variables),
        }
        Ok(Next::GoOn)
    }

    fn expression(
        &mut self,
        source: &Source,
        expr: &'a Expr,
        variables: &mut Variables<'a>,
    ) -> Result<i32, Ending> {
        self.enter()?;
        let value = match &expr.kind {
            ExprKind::Number(number) => *number,
            ExprKind::Bool(truth) => i32::from(*truth),
            ExprKind::Variable(name) => {
                let mut known = variables.iter().rev();
                let found = known.find(|(known, _)| known == name);
                found.map_or(0, |(_, value)| *value)
            }
            ExprKind::Negate(of) => {
                self.expression(source, of, variables)?.wrapping_neg()
            }
            ExprKind::Not(of) => {
                i32::from(self.expression(source, of, variables)? == 0)
            }
            ExprKind::Binary(operator, a, b) => {
                let a = self.expression(source, a, variables)?;
                match (operator, a) {
                    (Operator::And, 0) => 0,
                    (Operator::Or, 1) => 1,
                    _ => {
                        let b = self.expression(source, b, variables)?;
                        let zero = || Ending::DividedByZero {
                            module: source.name.clone(),
                            line: source.line(expr.span.start),
                        };
                        compute(*operator, a, b).ok_or_else(zero)?
                    }
                }
            }
            ExprKind::Call(name, arguments) => {
                let mut values = Vec::new();
                for argument in arguments {
                    values.push(self.expression(source, argument, variables)?);
                }
                self.call(&name.text, values)?
            }
            ExprKind::Wrong => {
                return Err(Ending::Broken("not checked".to_string()))
            }
        };
        self.depth -= 1;
        Ok(value)
    }
}

fn compute(operator: Operator, a: i32, b: i32) -> Option<i32> {
    Some(match operator {
        Operator::Or | Operator::And => b, // the left one has not decided
        Operator::Equal => i32::from(a == b),
        Operator::NotEqual => i32::from(a != b),
        Operator::Less => i32::from(a < b),
        Operator::LessEqual => i32::from(a <= b),
        Operator::Greater => i32::from(a > b),
        Operator::GreaterEqual => i32::from(a >= b),
        Operator::Add => a.wrapping_add(b),
        Operator::Subtract => a.wrapping_sub(b),
        Operator::Multiply => a.wrapping_mul(b),
        Operator::Divide if b == 0 => return None,
        Operator::Divide => a.wrapping_div(b),
        Operator::Remainder if b == 0 => return None,
        Operator::Remainder => a.wrapping_rem(b),
    })
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Finished => f.pad("finished"),
            Ending::DividedByZero { module, line } => {
                f.pad(&format!("stopped: division by zero at {module}:{line}"))
            }
            Ending::StackFull => f.pad("stopped: the stack is full"),
            Ending::TooLong => f.pad("stopped: it takes too long"),
            Ending::TooLarge => f.pad("does not fit into the memory"),
            Ending::Broken(message) => f.pad(message),
        }
    }
}
