//! Random programs: well typed, and they end. Loops count to a small number,
//! functions call earlier ones, and recursion counts down.

use super::phases::diagnostics::Source;
use std::fmt::Write;

/// Limits of the language and of the machine: that is where mistakes live.
const NUMBERS: [i32; 15] = [
    0,
    1,
    -1,
    2,
    3,
    10,
    -7,
    100,
    2046,
    2047,
    2048,
    -2047,
    -2048,
    i32::MAX,
    i32::MIN,
];

struct Generator {
    rng: fastrand::Rng,
    out: String,
    /// Functions that may be called: name, number of parameters (all int), returns.
    functions: Vec<(String, usize, bool)>,
    /// Variables in scope: name, is it a bool, may it be assigned.
    variables: Vec<(String, bool, bool)>,
    names: usize,
    depth: usize,
    /// Statements that are left for this function.
    statements: usize,
    /// Calls multiply: each function makes few, and none in a loop.
    calls: usize,
    loops: usize,
    returns: bool,
}

/// Two modules: `library` and, calling it, `main`.
pub fn program(seed: u64) -> Vec<Source> {
    let mut generator = Generator {
        rng: fastrand::Rng::with_seed(seed),
        out: String::new(),
        functions: Vec::new(),
        variables: Vec::new(),
        names: 0,
        depth: 0,
        statements: 0,
        calls: 0,
        loops: 0,
        returns: true,
    };
    for _ in 0..generator.rng.usize(1..4) {
        generator.function();
    }
    let library = std::mem::take(&mut generator.out);
    for (name, parameters, returns) in generator.functions.clone() {
        let parameters: Vec<String> =
            (0..parameters).map(|p| format!("p{p}: int")).collect();
        let result = if returns { " -> int" } else { "" };
        let parameters = parameters.join(", ");
        let line = format!("extern fn {name}({parameters}){result};\n");
        generator.out += &line;
    }
    for _ in 0..generator.rng.usize(0..3) {
        generator.function();
    }
    generator.body("main", 0, false);
    vec![
        Source::new("library", &library),
        Source::new("main", &generator.out),
    ]
}

impl Generator {
    fn function(&mut self) {
        let name = format!("f{}", self.functions.len());
        let (parameters, returns) = (self.rng.usize(1..4), self.rng.u8(0..4) > 0);
        self.body(&name, parameters, returns);
        self.functions.push((name, parameters, returns));
    }

    fn body(&mut self, name: &str, parameters: usize, returns: bool) {
        self.variables.clear();
        self.returns = returns;
        (self.statements, self.calls, self.loops, self.depth) = (14, 3, 0, 0);
        let mut list = Vec::new();
        for number in 0..parameters {
            let name = format!("p{number}");
            list.push(format!("{name}: int"));
            // The first counts the recursion down.
            self.variables.push((name, false, number > 0));
        }
        let result = if returns { " -> int" } else { "" };
        let _ = writeln!(self.out, "fn {name}({}){result} {{", list.join(", "));
        let recursive = returns && self.rng.bool();
        if recursive {
            self.out += "if p0 <= 0 || p0 > 5 {\n";
            let value = self.int(2);
            let _ = writeln!(self.out, "return {value};\n}}");
        }
        self.statements();
        if recursive {
            let mut arguments = vec!["p0 - 1".to_string()];
            for _ in 1..parameters {
                arguments.push(self.int(2));
            }
            let value = self.int(2);
            let call = format!("{name}({})", arguments.join(", "));
            let _ =
                writeln!(self.out, "let again = {call};\nreturn again + {value};");
        } else if returns {
            let value = self.int(3);
            let _ = writeln!(self.out, "return {value};");
        }
        self.out += "}\n\n";
    }

    fn statements(&mut self) {
        let scope = self.variables.len();
        self.depth += 1;
        for _ in 0..self.rng.usize(1..7) {
            if self.statements > 0 {
                self.statements -= 1;
                self.statement();
            }
        }
        self.depth -= 1;
        self.variables.truncate(scope);
    }

    fn statement(&mut self) {
        let line = match self.rng.u8(0..12) {
            0..=2 => {
                let is_bool = self.rng.u8(0..4) == 0;
                let value = if is_bool { self.bool(3) } else { self.int(3) };
                let name = self.name(is_bool);
                let text = format!("let {name} = {value};");
                self.variables.push((name, is_bool, true));
                text
            }
            3..=5 => {
                let assignable = self.variables.iter().filter(|v| v.2);
                let assignable: Vec<_> = assignable.cloned().collect();
                let Some((name, is_bool, _)) = self.rng.choice(&assignable).cloned()
                else {
                    return;
                };
                let value = if is_bool { self.bool(3) } else { self.int(3) };
                format!("{name} = {value};")
            }
            6..=7 => format!("print({});", self.int(3)),
            8 if self.depth < 4 => {
                let condition = self.bool(3);
                let _ = writeln!(self.out, "if {condition} {{");
                self.statements();
                if self.rng.bool() {
                    self.out += "} else {\n";
                    self.statements();
                }
                "}".to_string()
            }
            9 if self.depth < 4 && self.loops < 2 => {
                self.loops += 1;
                let name = self.new_name();
                let times = self.rng.usize(0..4);
                let _ =
                    writeln!(self.out, "let {name} = 0;\nwhile {name} < {times} {{");
                let _ = writeln!(self.out, "{name} = {name} + 1;");
                self.variables.push((name, false, false));
                self.statements();
                self.loops -= 1;
                "}".to_string()
            }
            10 => match self.call(3, false) {
                Some(call) => format!("{call};"),
                None => return,
            },
            11 if self.depth > 1 && self.rng.u8(0..4) == 0 => match self.returns {
                true => format!("return {};", self.int(2)),
                false => "return;".to_string(),
            },
            _ => return,
        };
        let _ = writeln!(self.out, "{line}");
    }

    /// Now and then the name of another variable of the type, which is hidden then.
    fn name(&mut self, is_bool: bool) -> String {
        let old = self.variables.iter().filter(|v| v.1 == is_bool && v.2);
        let old: Vec<_> = old.collect();
        if !old.is_empty() && self.rng.u8(0..5) == 0 {
            return old[self.rng.usize(..old.len())].0.clone();
        }
        self.new_name()
    }

    fn new_name(&mut self) -> String {
        self.names += 1;
        format!("v{}", self.names)
    }

    fn int(&mut self, depth: usize) -> String {
        if depth == 0 || self.rng.u8(0..4) == 0 {
            return self.leaf();
        }
        if self.rng.u8(0..8) == 0 {
            if let Some(call) = self.call(depth, true) {
                return call;
            }
        }
        if self.rng.u8(0..12) == 0 {
            return format!("-({})", self.int(depth - 1));
        }
        let operators = ["+", "-", "*", "+", "-", "*", "/", "%"];
        let operator = operators[self.rng.usize(..operators.len())];
        let a = self.int(depth - 1);
        // Often a divisor that is not 0, or no program would get far.
        let b = match operator {
            "/" | "%" if self.rng.u8(0..4) > 0 => self.rng.u8(1..20).to_string(),
            _ => self.int(depth - 1),
        };
        match self.rng.bool() {
            true => format!("({a} {operator} {b})"),
            false => format!("{a} {operator} {b}"),
        }
    }

    fn leaf(&mut self) -> String {
        let ints: Vec<_> = self.variables.iter().filter(|v| !v.1).collect();
        if !ints.is_empty() && self.rng.u8(0..3) > 0 {
            return ints[self.rng.usize(..ints.len())].0.clone();
        }
        NUMBERS[self.rng.usize(..NUMBERS.len())].to_string()
    }

    fn bool(&mut self, depth: usize) -> String {
        let bools: Vec<_> = self.variables.iter().filter(|v| v.1).collect();
        match self.rng.u8(0..8) {
            0 => self.rng.bool().to_string(),
            1 if !bools.is_empty() => bools[self.rng.usize(..bools.len())].0.clone(),
            2 if depth > 0 => format!("!({})", self.bool(depth - 1)),
            3..=4 if depth > 0 => {
                let operator = ["&&", "||"][self.rng.usize(..2)];
                let (a, b) = (self.bool(depth - 1), self.bool(depth - 1));
                format!("({a} {operator} {b})")
            }
            _ => {
                let operators = ["<", "<=", ">", ">=", "==", "!="];
                let operator = operators[self.rng.usize(..operators.len())];
                let depth = depth.saturating_sub(1);
                format!("{} {operator} {}", self.int(depth), self.int(depth))
            }
        }
    }

    fn call(&mut self, depth: usize, wants_value: bool) -> Option<String> {
        if self.calls == 0 || self.loops > 0 {
            return None;
        }
        let fitting = self.functions.iter().filter(|f| f.2 || !wants_value);
        let fitting: Vec<_> = fitting.cloned().collect();
        let (name, parameters, _) = self.rng.choice(&fitting).cloned()?;
        self.calls -= 1;
        let mut arguments = vec![self.rng.u8(0..5).to_string()];
        for _ in 1..parameters {
            arguments.push(self.int(depth.saturating_sub(1)));
        }
        Some(format!("{name}({})", arguments.join(", ")))
    }
}
