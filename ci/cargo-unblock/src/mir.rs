//! What does the compiler's MIR text say?
//!
//! Reads the output of `-Zunpretty=mir -Zmir-include-spans=yes -Ztrim-diagnostic-paths=no` line by line,
//! and keeps what the analysis asks about: calls, drops, values that lose their type, and what an async
//! body keeps across an `.await`. The text is not a stable interface; tests/golden pins what is read from
//! it, and the probe (probe.rs) checks each compiler that is met.

use std::collections::HashMap;
use std::io::{self, BufRead};

use crate::facts::{Body, Build, Call, Cast, Kept, Span, Str, Suspend, Target, Unit};

/// Reads all bodies; `unit` already says which crate they are of.
pub fn read(mut text: impl BufRead, unit: &mut Unit) -> io::Result<()> {
    let mut reader = Reader { unit, strings: HashMap::new(), body: None };
    let mut line = Vec::new();
    loop {
        line.clear();
        if text.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let line = String::from_utf8_lossy(&line);
        reader.line(line.trim_end_matches(['\n', '\r']));
    }
}

struct Reader<'a> {
    unit: &'a mut Unit,
    strings: HashMap<String, Str>,
    body: Option<Open>,
}

/// The body whose lines are being read.
#[derive(Default)]
struct Open {
    body: Body,
    locals: HashMap<u32, Str>,
    /// States of the coroutine by the place that it keeps a value in: the first to be filled counts.
    kept: HashMap<(u32, u32), usize>,
    /// What the comments under a statement will complete.
    awaits: Awaits,
    /// Whether the block at hand only runs while a panic unwinds.
    cleanup: bool,
}

#[derive(Default, PartialEq)]
enum Awaits {
    #[default]
    Nothing,
    /// The span of the callee, then its type.
    Callee,
    /// The type of a constant that is cast.
    CastOperand(Str),
    /// Where the definition of an async body or closure is.
    Definition,
}

impl Reader<'_> {
    fn string(&mut self, text: &str) -> Str {
        if let Some(&index) = self.strings.get(text) {
            return index;
        }
        let index = self.unit.strings.len() as Str;
        self.unit.strings.push(text.to_owned());
        self.strings.insert(text.to_owned(), index);
        index
    }

    fn line(&mut self, line: &str) {
        if !line.starts_with(' ') {
            match line {
                "}" => {
                    if let Some(mut open) = self.body.take() {
                        open.body.kept.sort_by_key(|kept| kept.state);
                        self.unit.bodies.push(open.body);
                    }
                }
                _ => self.header(line),
            }
            return;
        }
        let Some(mut open) = self.body.take() else { return };
        let text = line.trim_start();
        if let Some(comment) = text.strip_prefix("// ") {
            self.comment(comment, &mut open);
        } else if let Some((code, span)) = text.rsplit_once("// ") {
            self.code(code.trim_end(), span, &mut open);
        } else if text.starts_with("bb") && text.ends_with('{') {
            open.cleanup = text.contains("(cleanup)");
        }
        self.body = Some(open);
    }

    /// `fn name(_1: A) -> B {`, `static NAME: T = {`, `const NAME: T = {`.
    fn header(&mut self, line: &str) {
        let Some(line) = line.strip_suffix(" {") else { return };
        let mut body = Body::default();
        if let Some(rest) = line.strip_prefix("fn ") {
            let Some(arguments) = rest.find("(_1: ").or_else(|| rest.find("() -> ")) else { return };
            body.name = self.string(&rest[..arguments]);
            let inside = &rest[arguments + 1..];
            let Some(end) = closing(inside) else { return };
            let output = inside[end + 1..].strip_prefix(" -> ").unwrap_or("()");
            for argument in split_commas(&inside[..end]) {
                let ty = argument.split_once(": ").map_or(argument, |(_, ty)| ty);
                let ty = self.string(ty);
                body.signature.push(ty);
            }
            let output = self.string(output);
            body.signature.push(output);
        } else {
            let Some(rest) = ["static mut ", "static ", "const ", "promoted"]
                .iter()
                .find_map(|prefix| line.strip_prefix(prefix))
                .and_then(|rest| rest.strip_suffix(" ="))
            else {
                return;
            };
            let name = split_type(rest).map_or(rest, |(name, _)| name);
            body.name = self.string(name);
        }
        let mut open = Open { body, ..Open::default() };
        for (number, &ty) in open.body.signature.iter().enumerate() {
            open.locals.insert(number as u32 + 1, ty);
        }
        self.body = Some(open);
    }

    /// A line of code with `in scope 3 at src/a.rs:1:2: 3:4` behind it.
    fn code(&mut self, code: &str, at: &str, open: &mut Open) {
        let Some(span) = at.split_once(" at ").and_then(|(_, span)| self.span(span)) else {
            // Within a generated constant, or `no-location`.
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
        if let Some(dropped) = code.strip_prefix("drop(") {
            if let Some(end) = closing(dropped)
                && let Some(ty) = self.place_type(&dropped[..end], open)
            {
                let unwinding = open.cleanup;
                open.body.calls.push(Call { callee: Target::Drop(ty), span, name: span, unwinding });
            }
        } else if let Some(state) = code.strip_prefix("discriminant(") {
            if let Some(end) = closing(state)
                && state.starts_with("(*_")
                && let Some(Ok(state)) = state[end + 1..].strip_prefix(" = ").map(str::parse)
                && state >= FIRST_SUSPENDED
            {
                open.body.suspends.push(Suspend { state, span });
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

    /// A value that gets its place in the state of an async body lives across an `.await`.
    fn keep(&mut self, place: &str, span: Span, open: &mut Open) {
        let Some((state, field, ty)) = kept_place(place) else { return };
        if state < FIRST_SUSPENDED || open.cleanup {
            return;
        }
        if !open.kept.contains_key(&(state, field)) {
            open.kept.insert((state, field), open.body.kept.len());
            let ty = self.string(ty);
            open.body.kept.push(Kept { ty, state, span });
        }
    }

    fn value(&mut self, place: &str, value: &str, span: Span, open: &mut Open) {
        if let Some(call) = call_part(value) {
            self.call(call, span, open);
        } else if let Some((operand, cast)) = value.rfind(" (PointerCoercion(").map(|end| value.split_at(end))
        {
            let unsize = cast.contains("(Unsize");
            if !unsize && !cast.contains("FnPointer") {
                return;
            }
            let Some((operand, to)) = split_cast(operand) else { return };
            let to = self.string(to);
            let place = operand.strip_prefix("move ").or_else(|| operand.strip_prefix("copy "));
            match place.and_then(|place| self.place_type(place, open)) {
                Some(from) => open.body.casts.push(Cast { from, to }),
                None => open.awaits = Awaits::CastOperand(to),
            }
        } else if value.starts_with("{coroutine@")
            || value.starts_with("{closure@")
            || value.starts_with("{coroutine-closure@")
        {
            open.awaits = Awaits::Definition;
        } else if !value.starts_with(['&', '*', '[', '(', '_']) && value.ends_with(['}', ')']) {
            self.build(place, value, open);
        }
    }

    fn build(&mut self, place: &str, value: &str, open: &mut Open) {
        let fields = if let Some((_, fields)) = value.split_once(" { ") {
            fields.trim_end_matches('}')
        } else if let Some(start) = arguments_start(value) {
            &value[start + 1..value.len() - 1]
        } else {
            return;
        };
        let Some(ty) = self.place_type(place, open) else { return };
        if ["std::", "core::", "alloc::"].iter().any(|root| self.unit.strings[ty as usize].starts_with(root))
        {
            return;
        }
        let mut types = Vec::new();
        for field in split_commas(fields) {
            let operand = match field.split_once(": ") {
                Some((name, operand)) if !name.contains(['(', ' ']) => operand,
                _ => field,
            };
            let place = operand.strip_prefix("move ").or_else(|| operand.strip_prefix("copy "));
            if let Some(ty) = place.and_then(|place| self.place_type(place, open)) {
                types.push(ty);
            }
        }
        if !types.is_empty() {
            open.body.builds.push(Build { ty, fields: types });
        }
    }

    fn call(&mut self, call: &str, span: Span, open: &mut Open) {
        let Some(start) = arguments_start(call) else { return };
        let callee = call[..start].trim_end();
        let unwinding = open.cleanup;
        let place = callee.strip_prefix("move ").or_else(|| callee.strip_prefix("copy "));
        let callee = match place {
            Some(place) => match self.place_type(place, open) {
                Some(ty) => Target::Pointer(ty),
                None => return,
            },
            None => {
                open.awaits = Awaits::Callee;
                Target::Function(self.string(callee), 0)
            }
        };
        open.body.calls.push(Call { callee, span, name: span, unwinding });
    }

    /// What stands under a statement: `+ span: …` and `+ const_: Const { ty: …, val: … }` of each
    /// constant in it, the callee first.
    fn comment(&mut self, comment: &str, open: &mut Open) {
        if let Some(span) = comment.strip_prefix("+ span: ") {
            if open.awaits == Awaits::Callee
                && let Some(span) = self.span(span)
                && let Some(call) = open.body.calls.last_mut()
            {
                call.name = span;
            }
        } else if let Some(constant) = comment.strip_prefix("+ const_: Const { ty: ") {
            let ty = constant.rfind(", val: ").map_or(constant, |end| &constant[..end]);
            match std::mem::take(&mut open.awaits) {
                Awaits::Callee => {
                    let ty = self.string(ty);
                    if let Some(Call { callee: Target::Function(_, signature), .. }) =
                        open.body.calls.last_mut()
                    {
                        *signature = ty;
                    }
                }
                Awaits::CastOperand(to) => {
                    let from = self.string(ty);
                    open.body.casts.push(Cast { from, to });
                }
                other => open.awaits = other,
            }
        } else if let Some(definition) = comment.strip_prefix("+ def_id: ")
            && open.awaits == Awaits::Definition
            && let Some(number) = definition.rsplit_once("{closure#")
            && let Ok(number) = number.1.trim_end_matches(['}', ')']).parse()
        {
            open.body.creates.push(number);
            open.awaits = Awaits::Nothing;
        }
    }

    /// The type of `_3`, `(*_3)`, `(_1.0: T)`, `((*_3).1: T)`.
    fn place_type(&mut self, place: &str, open: &Open) -> Option<Str> {
        if let Some(number) = place.strip_prefix('_') {
            return open.locals.get(&number.parse().ok()?).copied();
        }
        let inside = place.strip_prefix('(')?.strip_suffix(')')?;
        if let Some(pointer) = inside.strip_prefix('*') {
            let pointer = self.place_type(pointer, open)?;
            let pointed = self.unit.strings[pointer as usize].clone();
            let of = pointed.strip_prefix("&mut ").or_else(|| pointed.strip_prefix('&')).or_else(|| {
                pointed.strip_prefix("std::boxed::Box<").and_then(|rest| rest.strip_suffix('>'))
            })?;
            return Some(self.string(of));
        }
        let (_, ty) = split_type(inside)?;
        Some(self.string(ty))
    }

    /// `src/a b.rs:1:2: 3:4`, maybe with ` (#0)` behind it.
    fn span(&mut self, text: &str) -> Option<Span> {
        let text = text.rfind(" (#").map_or(text, |end| &text[..end]);
        let (start, end) = text.rsplit_once(": ")?;
        let (end_line, end_column) = end.split_once(':')?;
        let (start, column) = start.rsplit_once(':')?;
        let (file, line) = start.rsplit_once(':')?;
        let (line, column) = (line.parse().ok()?, column.parse().ok()?);
        let (end_line, end_column) = (end_line.parse().ok()?, end_column.parse().ok()?);
        Some(Span { file: self.string(file), line, column, end_line, end_column })
    }
}

/// The states before it are: not started, done, panicked.
const FIRST_SUSPENDED: u32 = 3;

/// `(((*_76) as variant#3).2: T)`: the state, the field, the type.
fn kept_place(place: &str) -> Option<(u32, u32, &str)> {
    let inside = place.strip_prefix("(((*_")?.strip_suffix(')')?;
    let (_, rest) = inside.split_once(" as variant#")?;
    let (state, rest) = rest.split_once(").")?;
    let (field, ty) = rest.split_once(": ")?;
    Some((state.parse().ok()?, field.parse().ok()?, ty))
}

/// Walks over `text` outside of brackets and strings, until `stop` says so.
fn find_outside(text: &str, mut stop: impl FnMut(usize, char) -> bool) -> Option<usize> {
    let mut depth = 0i32;
    let mut before = ' ';
    let mut chars = text.char_indices();
    while let Some((offset, c)) = chars.next() {
        if depth == 0 && stop(offset, c) {
            return Some(offset);
        }
        match c {
            '(' | '[' | '{' | '<' => depth += 1,
            '>' if before == '-' || before == '=' => {}
            ')' | ']' | '}' | '>' => depth -= 1,
            '"' => {
                while let Some((_, c)) = chars.next() {
                    match c {
                        '\\' => {
                            chars.next();
                        }
                        '"' => break,
                        _ => {}
                    }
                }
            }
            // A character, not a lifetime.
            '\'' => {
                let rest = &text[offset + 1..];
                let mut ahead = rest.chars();
                match (ahead.next(), ahead.next()) {
                    (Some('\\'), _) => {
                        chars.next();
                        chars.next();
                        while chars.next().is_some_and(|(_, c)| c != '\'') {}
                    }
                    (Some(_), Some('\'')) => {
                        chars.next();
                        chars.next();
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        before = c;
    }
    None
}

/// Where the bracket that stands before `text` is closed.
fn closing(text: &str) -> Option<usize> {
    find_outside(text, |_, c| c == ')')
}

fn split_commas(text: &str) -> Vec<&str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    while let Some(end) = find_outside(&text[start..], |_, c| c == ',') {
        parts.push(text[start..start + end].trim());
        start += end + 1;
    }
    let last = text[start..].trim();
    if !last.is_empty() {
        parts.push(last);
    }
    parts
}

/// `place = value`.
fn split_assignment(code: &str) -> Option<(&str, &str)> {
    if !code.starts_with(['_', '(']) {
        return None;
    }
    let at = find_outside(code, |offset, _| code[offset..].starts_with(" = "))?;
    Some((&code[..at], &code[at + 3..]))
}

/// `operand as type`: the last ` as ` outside of brackets.
fn split_cast(text: &str) -> Option<(&str, &str)> {
    let mut last = None;
    find_outside(text, |offset, _| {
        if text[offset..].starts_with(" as ") {
            last = Some(offset);
        }
        false
    });
    last.map(|at| (&text[..at], &text[at + 4..]))
}

/// `thing: type`: the last `: ` outside of brackets.
fn split_type(text: &str) -> Option<(&str, &str)> {
    let at = find_outside(text, |offset, _| text[offset..].starts_with(": "))?;
    Some((&text[..at], &text[at + 2..]))
}

/// The call in `f(x) -> [return: bb1, unwind: bb2]`, when it is one.
fn call_part(code: &str) -> Option<&str> {
    let end = code.rfind(") -> [return: ").or_else(|| code.rfind(") -> unwind "))?;
    let call = &code[..=end];
    let verb = call.split('(').next()?;
    (!["assert", "drop", "asm!", "yield", "falseEdge"].contains(&verb)).then_some(call)
}

/// Where the arguments of a call start: the first bracket outside of others.
fn arguments_start(call: &str) -> Option<usize> {
    let skip = match () {
        _ if call.starts_with("move (") || call.starts_with("copy (") => 6 + closing(&call[6..])? + 1,
        _ => 0,
    };
    find_outside(&call[skip..], |_, c| c == '(').map(|at| at + skip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_apart() {
        assert_eq!(
            split_commas("_1: &str, _2: Map<A, B>, _3: fn(u8, u8) -> u8"),
            ["_1: &str", "_2: Map<A, B>", "_3: fn(u8, u8) -> u8"]
        );
        assert_eq!(
            split_assignment("(_1.0: dyn Iterator<Item = u8>) = move _2"),
            Some(("(_1.0: dyn Iterator<Item = u8>)", "move _2"))
        );
        assert_eq!(
            call_part("f(const \") -> [return: \") -> [return: bb1, unwind continue]"),
            Some("f(const \") -> [return: \")")
        );
        assert_eq!(call_part("assert(move _1, \"x\") -> [success: bb1, unwind continue]"), None);
        assert_eq!(arguments_start("<A as B<fn() -> u8>>::c::<(u8, u8)>(move _1)"), Some(35));
        assert_eq!(arguments_start("copy (*_3)(const 1_u8)"), Some(10));
        assert_eq!(kept_place("(((*_76) as variant#3).2: a::B<u8>)"), Some((3, 2, "a::B<u8>")));
        assert_eq!(split_cast("move _1 as &dyn A<B = u8>"), Some(("move _1", "&dyn A<B = u8>")));
    }

    #[test]
    fn no_text_makes_it_panic() {
        let hostile = [
            "fn (",
            "fn f(_1: ",
            "fn f(_1: A) -> {",
            "static : = {",
            "    let _x: ;",
            "        drop(",
            "        _1 = ",
            "        // + def_id: {closure#",
            "        _1 = {closure@",
            "        _1 = f(\"\\",
            "        _1 = f('\\",
            "}",
            "        (((*_1) as variant#9999999999999).1: T) = f() -> [return: bb1]; // scope 0 at a:1:1: 1:2",
            "        _1 = x as y (PointerCoercion(Unsize)); // scope 0 at a.rs:1:1: 1:2",
            "    bb0: {",
            "\u{fffd}",
        ];
        for first in hostile {
            for second in hostile {
                let text = format!("fn f(_1: A) -> B {{\n{first}\n{second}\n}}\n{first}\n{second}\n");
                read(text.as_bytes(), &mut Unit::default()).unwrap();
            }
        }
    }
}
