//! What does a statement of a body call, drop, hide or keep?

use super::open::{Awaits, Open, Reader, set_origin};
use super::text::{
    FIRST_SUSPENDED, arguments_start, base, call_part, closing, kept_place, split_assignment, split_cast,
    split_commas, taken_from,
};
use crate::facts::{Call, Cast, Kept, Origin, Span, Suspend, Target};

/// Methods that return their argument under another type.
const PASS_ON: [&str; 10] =
    ["deref", "deref_mut", "as_ref", "as_mut", "borrow", "borrow_mut", "clone", "by_ref", "from", "into"];

impl Reader<'_> {
    /// Reads a line of code, which has `in scope 3 at src/a.rs:1:2: 3:4` behind it.
    pub(super) fn code(&mut self, code: &str, at: &str, open: &mut Open) {
        let Some(span) = at.split_once(" at ").and_then(|(_, span)| self.span(span)) else {
            // The line is within a generated constant, or has `no-location`.
            return;
        };
        if code.starts_with("let ") {
            self.local(code, span, open);
            return;
        }
        if let Some(named) = code.strip_prefix("debug ") {
            if named.starts_with("self => ") {
                open.body.has_self = true;
            }
            return;
        }
        if code == "return;" && span.file == open.body.place.file {
            open.body.last_line = open.body.last_line.max(span.end_line);
        }
        open.awaits = Awaits::Nothing;
        let Some(code) = code.strip_suffix(';') else { return };
        if open.flow.is_async(&open.body, self.unit) {
            open.flow.note(open.block, code);
        }
        if let Some(dropped) = code.strip_prefix("drop(") {
            if let Some(end) = closing(dropped)
                && let Some(ty) = self.place_type(&dropped[..end], open)
            {
                let unwinding = open.cleanup;
                let origins = Vec::new();
                open.body.calls.push(Call { callee: Target::Drop(ty), span, name: span, unwinding, origins });
            }
        } else if let Some(state) = code.strip_prefix("discriminant(") {
            if let Some(end) = closing(state)
                && state.starts_with("(*_")
                && let Some(Ok(state)) = state[end + 1..].strip_prefix(" = ").map(str::parse)
                && state >= FIRST_SUSPENDED
            {
                open.body.suspends.push(Suspend { state, span });
                open.flow.suspend(open.block, state);
            }
        } else if let Some((place, value)) = split_assignment(code) {
            self.keep(place, span, open);
            self.value(place, value, span, open);
        } else if let Some(call) = call_part(code) {
            // A call that never returns has no place for what it returns.
            self.call(call, span, open);
        }
    }

    fn local(&mut self, code: &str, span: Span, open: &mut Open) {
        let declared = code.trim_start_matches("let ").trim_start_matches("mut ");
        let Some((number, ty)) = declared.trim_end_matches(';').split_once(": ") else { return };
        let Some(Ok(number)) = number.strip_prefix('_').map(str::parse::<u32>) else { return };
        if number == 0 {
            open.body.place = span;
            open.body.last_line = span.end_line;
        }
        let ty = self.string(ty);
        open.locals.insert(number, ty);
    }

    /// A value that gets a place in the state of an async body may live across an `.await`.
    fn keep(&mut self, place: &str, span: Span, open: &mut Open) {
        let Some((state, field, ty)) = kept_place(place) else { return };
        if state < FIRST_SUSPENDED || open.cleanup {
            return;
        }
        // These flags only say whether a value was moved.
        if ty == "bool" {
            return;
        }
        open.flow.fill(open.block, (state, field), open.body.kept.len());
        let ty = self.string(ty);
        open.body.kept.push(Kept { ty, state, span });
    }

    fn value(&mut self, place: &str, value: &str, span: Span, open: &mut Open) {
        let to_place = base(place);
        if let Some(call) = call_part(value) {
            let passed = self.call(call, span, open);
            set_origin(to_place, passed, open);
        } else if let Some((operand, cast)) = value.rfind(" (PointerCoercion(").map(|end| value.split_at(end))
        {
            let unsize = cast.contains("(Unsize");
            if !unsize && !cast.contains("FnPointer") {
                return;
            }
            let Some((operand, to)) = split_cast(operand) else { return };
            let to = self.string(to);
            match taken_from(operand).and_then(|place| self.place_type(place, open)) {
                Some(from) => {
                    open.body.casts.push(Cast { from, to });
                    set_origin(to_place, Some(vec![Origin::Type(from)]), open);
                }
                None => open.awaits = Awaits::CastOperand(to, to_place),
            }
        } else if ["{coroutine@", "{closure@", "{coroutine-closure@"]
            .iter()
            .any(|start| value.starts_with(start))
        {
            open.awaits = Awaits::Definition;
        } else {
            if let Some(allocation) = value.strip_prefix("const {").and_then(|rest| rest.split(':').next()) {
                let allocation = self.string(&format!("{{{allocation}}}"));
                set_origin(to_place, Some(vec![Origin::Type(allocation)]), open);
                return;
            }
            // This is a move, a borrow, or the pointer within a box.
            let operand =
                value.strip_suffix(" (Transmute)").and_then(split_cast).map_or(value, |(operand, _)| operand);
            let from = taken_from(operand)
                .and_then(base)
                .and_then(|from| open.origins.get(&from).cloned().flatten());
            set_origin(to_place, from, open);
        }
    }

    /// Notes a call. Some calls return their first argument under another type: the result is then what that
    /// type was before.
    fn call(&mut self, call: &str, span: Span, open: &mut Open) -> Option<Vec<Origin>> {
        let start = arguments_start(call)?;
        let callee = call[..start].trim_end();
        let mut origins = Vec::new();
        let mut passed = None;
        let arguments = split_commas(&call[start + 1..call.len() - 1]);
        let operands = std::iter::once(callee).chain(arguments);
        for (number, operand) in operands.enumerate() {
            let Some(place) = taken_from(operand) else { continue };
            let known = base(place).and_then(|place| open.origins.get(&place).cloned().flatten());
            let (Some(known), Some(ty)) = (known, self.place_type(place, open)) else { continue };
            let ty = &self.unit.strings[ty as usize];
            if ty.contains("dyn ") || ty.contains("fn(") || ty.contains("Lazy") {
                if number == 1 && PASS_ON.contains(&callee.rsplit("::").next().unwrap_or("")) {
                    passed = Some(known.clone());
                }
                origins.push((number as u32, known));
            }
        }
        let unwinding = open.cleanup;
        let callee = match taken_from(callee) {
            Some(place) => Target::Pointer(self.place_type(place, open)?),
            None => {
                open.awaits = Awaits::Callee;
                Target::Function(self.string(callee), 0)
            }
        };
        open.body.calls.push(Call { callee, span, name: span, unwinding, origins });
        passed
    }
}
