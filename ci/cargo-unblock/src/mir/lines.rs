//! What does a line of MIR text begin, end or belong to?

use super::open::{Open, Reader};
use super::text::{closing, split_commas, split_type};
use crate::facts::{Body, Origin};

impl Reader<'_> {
    pub(super) fn line(&mut self, line: &str) {
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

    /// Reads `alloc2 (static: NAME, size: 8, align: 8)` under a body, which says what `{alloc2: &T}` in that
    /// body refers to.
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

    /// Reads `fn name(_1: A) -> B {`, `static NAME: T = {` or `const NAME: T = {`.
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
}
