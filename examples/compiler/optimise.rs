//! Phase 5, optimisation: the same answer with fewer steps.

use super::ir::*;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    Off,
    On,
    /// Wrong on purpose: also drops a call whose result nobody reads.
    DropsCalls,
    /// Wrong on purpose: also drops a division whose result nobody reads.
    DropsDivisions,
}

/// Each round can uncover work for the next; most functions need two or three.
const ROUNDS_MAX: usize = 30;

pub fn optimise(code: &mut Code, level: Level) {
    if level == Level::Off {
        return;
    }
    for _ in 0..ROUNDS_MAX {
        let before = code.steps.clone();
        fold(code);
        drop_unreachable(code);
        drop_unread(code, level);
        if code.steps == before {
            return;
        }
    }
}

// ANCHOR: compute
/// What the program would compute, or None where it would stop.
fn compute(op: Op, a: i32, b: i32) -> Option<i32> {
    Some(match op {
        Op::Add => a.wrapping_add(b),
        Op::Subtract => a.wrapping_sub(b),
        Op::Multiply => a.wrapping_mul(b),
        Op::Divide if b == 0 => return None,
        Op::Divide => a.wrapping_div(b),
        Op::Remainder if b == 0 => return None,
        Op::Remainder => a.wrapping_rem(b),
        Op::ShiftLeft => a << (b & 31),
        Op::Equal => i32::from(a == b),
        Op::NotEqual => i32::from(a != b),
        Op::Less => i32::from(a < b),
        Op::LessEqual => i32::from(a <= b),
    })
}
// ANCHOR_END: compute

/// Constant folding and propagation: a slot with a known value is replaced by it,
/// and what has only known operands is computed now.
fn fold(code: &mut Code) {
    let constants = constants(code);
    // What is known here. A label can be reached from elsewhere: nothing is known.
    let mut known: Vec<(Slot, Value)> = Vec::new();
    for step in &mut code.steps {
        for value in operands(step) {
            if let Value::Slot(slot) = value {
                let constant = constants[*slot].map(Value::Number);
                let known = known.iter().find(|(known, _)| known == slot);
                let known = known.map(|(_, value)| *value);
                *value = constant.or(known).unwrap_or(*value);
            }
        }
        if let Step::Binary(to, op, a, b, _) = *step {
            if let Some(value) = simpler(op, a, b) {
                *step = Step::Copy(to, value);
            } else if let Some((value, shift)) = as_shift(op, a, b) {
                *step = Step::Binary(to, Op::ShiftLeft, value, shift, 0);
            }
        }
        if let Step::Label(_) = step {
            known.clear();
        }
        if let Some(written) = written(step) {
            known.retain(|(slot, value)| {
                *slot != written && *value != Value::Slot(written)
            });
        }
        if let Step::Copy(to, value) = *step {
            if value != Value::Slot(to) {
                known.push((to, value));
            }
        }
    }
}

/// The slots that are written in one place only, and with a number. No path reads a
/// slot before it is written, so every reader finds this number.
fn constants(code: &Code) -> Vec<Option<i32>> {
    let mut writes = vec![0; code.slots.len()];
    writes[..code.parameters].fill(1);
    for slot in code.steps.iter().filter_map(written) {
        writes[slot] += 1;
    }
    let mut constants = vec![None; code.slots.len()];
    for step in &code.steps {
        match *step {
            Step::Copy(slot, Value::Number(number)) if writes[slot] == 1 => {
                constants[slot] = Some(number);
            }
            _ => {}
        }
    }
    constants
}

fn simpler(op: Op, a: Value, b: Value) -> Option<Value> {
    use Value::Number;
    match (op, a, b) {
        (_, Number(a), Number(b)) => compute(op, a, b).map(Number),
        (Op::Add, value, Number(0)) | (Op::Add, Number(0), value) => Some(value),
        (Op::Subtract | Op::ShiftLeft, value, Number(0)) => Some(value),
        (Op::Multiply, value, Number(1)) | (Op::Multiply, Number(1), value) => {
            Some(value)
        }
        (Op::Multiply, _, Number(0)) | (Op::Multiply, Number(0), _) => {
            Some(Number(0))
        }
        (Op::Divide, value, Number(1)) => Some(value),
        _ => None,
    }
}

/// A multiplication by 2, 4, 8 … is a shift.
fn as_shift(op: Op, a: Value, b: Value) -> Option<(Value, Value)> {
    match (op, a, b) {
        (Op::Multiply, value, Value::Number(factor))
        | (Op::Multiply, Value::Number(factor), value)
            if factor > 0 && (factor as u32).is_power_of_two() =>
        {
            Some((value, Value::Number(factor.trailing_zeros() as i32)))
        }
        _ => None,
    }
}

/// Steps that no path reaches, jumps that do not jump, labels that nobody uses.
fn drop_unreachable(code: &mut Code) {
    let mut is_reached = true;
    code.steps.retain(|step| {
        is_reached |= matches!(step, Step::Label(_));
        let keep = is_reached;
        is_reached &= !matches!(step, Step::Jump(_) | Step::Return(_));
        keep
    });
    let following = code.steps.clone();
    let is_next = |at: usize, label: Label| {
        let rest = following[at + 1..].iter();
        let mut labels = rest.take_while(|step| matches!(step, Step::Label(_)));
        labels.any(|step| *step == Step::Label(label))
    };
    let steps = std::mem::take(&mut code.steps).into_iter().enumerate();
    let steps = steps.filter_map(|(at, step)| match step {
        Step::JumpIfZero(Value::Number(0), label) => Some(Step::Jump(label)),
        Step::JumpIfZero(Value::Number(_), _) => None,
        Step::Jump(label) | Step::JumpIfZero(_, label) if is_next(at, label) => None,
        step => Some(step),
    });
    code.steps = steps.collect();
    let mut is_used = vec![false; code.labels + 1]; // they count from 1
    for label in code.steps.iter().filter_map(target) {
        is_used[label] = true;
    }
    code.steps
        .retain(|step| !matches!(step, Step::Label(label) if !is_used[*label]));
}

/// Dead-code elimination: from the end to the start, keep what has an effect and
/// what computes something that is read later.
fn drop_unread(code: &mut Code, level: Level) {
    let live_at = live_at_labels(code);
    let mut live = vec![false; code.slots.len()];
    let mut kept = Vec::new();
    for mut step in std::mem::take(&mut code.steps).into_iter().rev() {
        let is_unread = written(&step).is_some_and(|slot| !live[slot]);
        if is_unread && !has_effect(&step, level) {
            continue;
        }
        if let Step::Call(to, ..) = &mut step {
            *to = to.filter(|_| !is_unread); // call it, and forget its result
        }
        before(&mut step, &mut live, &live_at);
        kept.push(step);
    }
    kept.reverse();
    code.steps = kept;
}

// ANCHOR: has_effect
/// Would anyone notice if this step were missing, though nobody reads its result?
fn has_effect(step: &Step, level: Level) -> bool {
    match step {
        Step::Copy(..) => false,
        // It stops the program if the divisor is 0.
        Step::Binary(_, Op::Divide | Op::Remainder, _, Value::Number(0), _)
        | Step::Binary(_, Op::Divide | Op::Remainder, _, Value::Slot(_), _) => {
            level != Level::DropsDivisions
        }
        Step::Binary(..) => false,
        // It may print, stop the program, or never come back.
        Step::Call(..) => level != Level::DropsCalls,
        _ => true,
    }
}
// ANCHOR_END: has_effect

/// By the number of a slot: is it read later, before it is written?
type Live = Vec<bool>;

/// For each label the slots that are read after it before they are written. Loops
/// jump back, so this is repeated until nothing is added.
fn live_at_labels(code: &mut Code) -> Vec<Live> {
    let nothing = vec![false; code.slots.len()];
    let mut live_at = vec![nothing.clone(); code.labels + 1]; // they count from 1
    loop {
        let mut grew = false;
        let mut live = nothing.clone();
        for step in code.steps.iter_mut().rev() {
            before(step, &mut live, &live_at);
            if let Step::Label(label) = step {
                grew |= add(&mut live_at[*label], &live);
            }
        }
        if !grew {
            return live_at;
        }
    }
}

/// Adds `more` to `live`. Was any of it new?
fn add(live: &mut Live, more: &Live) -> bool {
    let mut grew = false;
    for (is_live, more) in live.iter_mut().zip(more) {
        grew |= *more && !*is_live;
        *is_live |= *more;
    }
    grew
}

/// Turns the slots that are live after a step into those that are live before it.
fn before(step: &mut Step, live: &mut Live, live_at: &[Live]) {
    match step {
        Step::Jump(label) => live.clone_from(&live_at[*label]),
        Step::JumpIfZero(_, label) => {
            add(live, &live_at[*label]);
        }
        Step::Return(_) => live.fill(false),
        _ => {}
    }
    if let Some(slot) = written(step) {
        live[slot] = false;
    }
    for value in operands(step) {
        if let Value::Slot(slot) = value {
            live[*slot] = true;
        }
    }
}

fn operands(step: &mut Step) -> Vec<&mut Value> {
    match step {
        Step::Copy(_, value)
        | Step::Print(value)
        | Step::JumpIfZero(value, _)
        | Step::Return(Some(value)) => vec![value],
        Step::Binary(_, _, a, b, _) => vec![a, b],
        Step::Call(_, _, arguments) => arguments.iter_mut().collect(),
        Step::Label(_) | Step::Jump(_) | Step::Return(None) => Vec::new(),
    }
}

fn written(step: &Step) -> Option<Slot> {
    match step {
        Step::Copy(slot, _) | Step::Binary(slot, ..) => Some(*slot),
        Step::Call(slot, ..) => *slot,
        _ => None,
    }
}

fn target(step: &Step) -> Option<Label> {
    match step {
        Step::Jump(label) | Step::JumpIfZero(_, label) => Some(*label),
        _ => None,
    }
}
