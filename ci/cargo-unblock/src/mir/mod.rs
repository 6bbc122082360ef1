//! What does the compiler's MIR text say?
//!
//! Reads the output of `-Zunpretty=mir -Zmir-include-spans=yes -Ztrim-diagnostic-paths=no` line by line,
//! and keeps what the analysis asks about: calls, drops, values that lose their type, and what an async
//! body keeps across an `.await`. The text is not a stable interface; tests/golden pins what is read from
//! it, and the probe (probe.rs) checks each compiler that is met.

mod flow;
mod text;

use std::io::{self, BufRead};

use rustc_hash::FxHashMap;

use self::flow::Flow;
use self::text::{
    FIRST_SUSPENDED, arguments_start, base, call_part, closing, kept_place, split_assignment, split_cast,
    split_commas, split_type, taken_from,
};
use crate::facts::{Body, Call, Cast, Kept, Origin, Span, Str, Suspend, Target, Unit};

/// Reads all bodies; `unit` already says which crate they are of.
pub fn read(mut text: impl BufRead, unit: &mut Unit) -> io::Result<()> {
    let mut reader = Reader { unit, strings: FxHashMap::default(), body: None };
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
    strings: FxHashMap<String, Str>,
    body: Option<Open>,
}

/// The body whose lines are being read.
#[derive(Default)]
struct Open {
    body: Body,
    locals: FxHashMap<u32, Str>,
    /// What places of hidden types hold; none where that is not known.
    origins: FxHashMap<String, Option<Vec<Origin>>>,
    /// What the comments under a statement will complete.
    awaits: Awaits,
    /// Whether the block at hand only runs while a panic unwinds.
    cleanup: bool,
    /// What the blocks do with kept places, for async bodies.
    flow: Flow,
    block: u32,
}

#[derive(Default, PartialEq)]
enum Awaits {
    #[default]
    Nothing,
    /// The span of the callee, then its type.
    Callee,
    /// The type of a constant that is cast, and the place that takes the result.
    CastOperand(Str, Option<String>),
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
                        open.flow.settle(&mut open.body.kept);
                        self.unit.bodies.push(open.body);
                    }
                }
                _ if line.starts_with("alloc") => self.allocation(line),
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
            let digits = &text[2..text.find([' ', ':']).unwrap_or(text.len())];
            open.block = digits.parse().unwrap_or(0);
        }
        self.body = Some(open);
    }

    /// `alloc2 (static: NAME, size: 8, align: 8)` under a body: what `{alloc2: &T}` in it refers to.
    fn allocation(&mut self, line: &str) {
        let Some((number, rest)) = line.split_once(" (static: ") else { return };
        let Some(name) = rest.split([',', ')']).next() else { return };
        let (from, to) = (self.string(&format!("{{{number}}}")), self.string(&format!("{{static {name}}}")));
        let Some(body) = self.unit.bodies.last_mut() else { return };
        for (_, origins) in body.calls.iter_mut().flat_map(|call| &mut call.origins) {
            for origin in origins {
                if *origin == Origin::Type(from) {
                    *origin = Origin::Type(to);
                }
            }
        }
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
        let inputs = open.body.signature.len().saturating_sub(1);
        for (number, &ty) in open.body.signature.iter().take(inputs).enumerate() {
            let number = number as u32 + 1;
            open.locals.insert(number, ty);
            open.origins.insert(format!("_{number}"), Some(vec![Origin::Parameter(number)]));
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
        // Flags that say whether something was moved.
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
            // A move, a borrow, or the pointer within a box.
            let operand =
                value.strip_suffix(" (Transmute)").and_then(split_cast).map_or(value, |(operand, _)| operand);
            let from = taken_from(operand)
                .and_then(base)
                .and_then(|from| open.origins.get(&from).cloned().flatten());
            set_origin(to_place, from, open);
        }
    }

    /// Notes a call; what it returns hides the same type as its first argument if it passes that on.
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
                Awaits::CastOperand(to, place) => {
                    let from = self.string(ty);
                    open.body.casts.push(Cast { from, to });
                    set_origin(place, Some(vec![Origin::Type(from)]), open);
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
        // The syntax context, which some spans carry.
        let context = text.strip_suffix(')').and_then(|rest| rest.rsplit_once(" (#"));
        let text = match context {
            Some((before, number)) if number.bytes().all(|digit| digit.is_ascii_digit()) => before,
            _ => text,
        };
        let (start, end) = text.rsplit_once(": ")?;
        let (end_line, end_column) = end.split_once(':')?;
        let (start, column) = start.rsplit_once(':')?;
        let (file, line) = start.rsplit_once(':')?;
        let (line, column) = (line.parse().ok()?, column.parse().ok()?);
        let (end_line, end_column) = (end_line.parse().ok()?, end_column.parse().ok()?);
        Some(Span { file: self.string(file), line, column, end_line, end_column })
    }
}

/// Methods that return what they are given under another type.
const PASS_ON: [&str; 10] =
    ["deref", "deref_mut", "as_ref", "as_mut", "borrow", "borrow_mut", "clone", "by_ref", "from", "into"];

/// Adds to what a place may hold; once it may hold anything, it stays so.
fn set_origin(place: Option<String>, origin: Option<Vec<Origin>>, open: &mut Open) {
    let Some(place) = place else { return };
    match (open.origins.entry(place).or_insert_with(|| Some(Vec::new())), origin) {
        (Some(known), Some(new)) => {
            for origin in new {
                if !known.contains(&origin) {
                    known.push(origin);
                }
            }
        }
        (known, None) => *known = None,
        (None, Some(_)) => {}
    }
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

    /// What is kept of a text, as text.
    fn facts(text: &[u8]) -> String {
        let mut unit = Unit::default();
        read(text, &mut unit).unwrap();
        let place = |span: &Span| format!("{}:{}", span.line, span.column);
        let mut shown = String::new();
        for body in &unit.bodies {
            let types: Vec<&str> = body.signature.iter().map(|&ty| unit.text(ty)).collect();
            shown += &format!("{} ({}) to line {}\n", unit.text(body.name), types.join(", "), body.last_line);
            for call in &body.calls {
                let callee = match call.callee {
                    Target::Function(callee, _) => format!("call {}", unit.text(callee)),
                    Target::Pointer(ty) => format!("call a {}", unit.text(ty)),
                    Target::Drop(ty) => format!("drop {}", unit.text(ty)),
                };
                let origins: String = call
                    .origins
                    .iter()
                    .flat_map(|(number, origins)| origins.iter().map(move |origin| (number, origin)))
                    .map(|(number, origin)| match origin {
                        Origin::Type(ty) => format!(", {number} was {}", unit.text(*ty)),
                        Origin::Parameter(of) => format!(", {number} is parameter {of}"),
                    })
                    .collect();
                let unwinding = if call.unwinding { " when it unwinds" } else { "" };
                shown += &format!("    {} {callee}{origins}{unwinding}\n", place(&call.name));
            }
            for cast in &body.casts {
                shown += &format!("    {} becomes {}\n", unit.text(cast.from), unit.text(cast.to));
            }
            for kept in &body.kept {
                shown += &format!(
                    "    {} keeps {} in state {}\n",
                    place(&kept.span),
                    unit.text(kept.ty),
                    kept.state
                );
            }
            for suspend in &body.suspends {
                shown += &format!("    {} suspends in state {}\n", place(&suspend.span), suspend.state);
            }
            if !body.creates.is_empty() {
                shown += &format!("    creates {:?}\n", body.creates);
            }
        }
        shown
    }

    const GOLDEN: &str = include_str!("../../tests/golden/facts.txt");

    #[test]
    fn the_formats_of_known_compilers_are_understood() {
        for text in [
            &include_bytes!("../../tests/golden/stable.mir")[..],
            include_bytes!("../../tests/golden/nightly.mir"),
        ] {
            assert_eq!(facts(text), GOLDEN);
        }
    }

    #[test]
    fn the_format_of_the_compiler_at_hand_is_understood() {
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
        let output = std::process::Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
            .current_dir(golden)
            .args(["--edition=2021", "--crate-type=lib", "sample.rs"])
            .args(crate::wrapper::PRINT)
            .env("RUSTC_BOOTSTRAP", "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(facts(&output.stdout), GOLDEN);
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
