//! Which type does a piece of the compiler's text spell?

use super::cursor::Cursor;
use super::tree::{Name, Subst, Ty, TyId, Types};

/// Nesting beyond this is not followed. Higher: a text that nests without end overflows the stack. Lower: a type that
/// people write is not understood.
const MAX_NESTING: usize = 100;

impl Types {
    /// The type that `text` spells.
    pub fn parse(&mut self, text: &str) -> TyId {
        let mut parser = Parser::new(self, text);
        match parser.ty() {
            Some(id) if parser.cursor.rest().trim_start().is_empty() => id,
            _ => self.other(text),
        }
    }

    fn other(&mut self, text: &str) -> TyId {
        let name = self.name(text);
        self.add(Ty::Other(name))
    }
}

pub(super) struct Parser<'a> {
    pub types: &'a mut Types,
    pub cursor: Cursor<'a>,
    nesting: usize,
}

impl<'a> Parser<'a> {
    pub fn new(types: &'a mut Types, text: &'a str) -> Self {
        Parser { types, cursor: Cursor::new(text), nesting: 0 }
    }

    pub(super) fn ty(&mut self) -> Option<TyId> {
        if self.nesting > MAX_NESTING {
            return None;
        }
        self.nesting += 1;
        let ty = self.ty_within();
        self.nesting -= 1;
        ty
    }

    fn ty_within(&mut self) -> Option<TyId> {
        self.cursor.skip_qualifiers();
        let ty = if self.cursor.eat("&") {
            self.cursor.skip_qualifiers();
            let of = self.ty()?;
            Ty::Ref(of)
        } else if self.cursor.eat("*const ") || self.cursor.eat("*mut ") {
            Ty::Ref(self.ty()?)
        } else if self.cursor.eat("(") {
            let (parts, commas) = self.list(")")?;
            match parts[..] {
                [only] if commas == 0 => return Some(only),
                _ => Ty::Tuple(parts),
            }
        } else if self.cursor.eat("[") {
            let of = self.ty()?;
            if self.cursor.eat("; ") {
                self.cursor.skip_to(']')?;
            }
            self.cursor.expect("]")?;
            Ty::Slice(of)
        } else if self.cursor.eat("dyn ") || self.cursor.eat("dyn* ") {
            Ty::Dyn(self.bounds()?)
        } else if self.cursor.eat("impl ") {
            let start = self.cursor.at;
            self.bounds()?;
            let text = format!("impl {}", &self.cursor.text[start..self.cursor.at]);
            Ty::Other(self.types.name(&text))
        } else if self.cursor.rest().starts_with("fn(") {
            self.cursor.at += 3;
            let (mut parts, _) = self.list(")")?;
            let output =
                if self.cursor.eat(" -> ") { self.ty()? } else { self.types.add(Ty::Tuple(Vec::new())) };
            parts.push(output);
            if self.cursor.eat(" {") {
                let callee = self.callee()?;
                self.cursor.expect("}")?;
                Ty::FnItem(Box::new(callee), parts)
            } else {
                Ty::FnPointer(parts)
            }
        } else if self.cursor.rest().starts_with('{') {
            let text = self.cursor.braced()?;
            let text = self.types.scope.at_home(&text);
            let name = self.types.name(&text);
            if text.starts_with("{closure@") {
                Ty::Closure(name, Subst::new())
            } else if text.starts_with("{async ") || text.contains("coroutine") || text.starts_with("{gen ") {
                Ty::Coroutine(name)
            } else {
                Ty::Other(name)
            }
        } else if self.cursor.eat("<") {
            let of = self.ty()?;
            self.cursor.space();
            self.cursor.expect("as ")?;
            let interface = self.ty()?;
            self.cursor.expect(">::")?;
            let word = self.cursor.word().to_owned();
            let name = self.types.name(&word);
            if self.cursor.eat("<") {
                self.list(">")?;
            }
            Ty::Projection(of, interface, name)
        } else if self.cursor.rest().starts_with(|c: char| c.is_alphabetic() || c == '_') {
            let (path, owner, own) = self.path()?;
            let path = self.types.scope.whole(&path, false);
            let name = self.types.name(&path);
            Ty::Path(name, [owner, own].concat())
        } else if self.cursor.eat("!") {
            Ty::Tuple(Vec::new())
        } else {
            Ty::Other(self.constant()?)
        };
        Some(self.types.add(ty))
    }

    /// A constant among generic arguments: up to the comma or bracket that ends it.
    fn constant(&mut self) -> Option<Name> {
        let start = self.cursor.at;
        if self.cursor.is_char_literal() && self.cursor.rest().starts_with('\'') {
            self.cursor.at += 1;
            let escaped = self.cursor.eat("\\");
            self.cursor.at += self.cursor.rest().chars().next().map_or(0, char::len_utf8);
            if escaped {
                while !self.cursor.rest().is_empty() && !self.cursor.rest().starts_with('\'') {
                    self.cursor.at += self.cursor.rest().chars().next().map_or(1, char::len_utf8);
                }
            }
            self.cursor.eat("'");
        }
        let length = self.cursor.rest().find([',', '>', ')', ']', ' ']).unwrap_or(self.cursor.rest().len());
        self.cursor.at += length;
        if self.cursor.at == start {
            return None;
        }
        let text = self.cursor.text[start..self.cursor.at].to_owned();
        Some(self.types.name(&text))
    }

    /// Reads types up to `end`. Returns them with the number of commas between them. Lifetimes and `Name =
    /// Type` are read and left out.
    pub(super) fn list(&mut self, end: &str) -> Option<(Vec<TyId>, usize)> {
        let (mut parts, mut commas) = (Vec::new(), 0);
        loop {
            self.cursor.space();
            if self.cursor.eat(end) {
                return Some((parts, commas));
            }
            if self.cursor.rest().starts_with('\'') && !self.cursor.is_char_literal() {
                self.cursor.at += 1;
                self.cursor.word();
            } else if self.cursor.eat("...") {
            } else if let Some(binding) = self.cursor.binding() {
                self.cursor.at += binding;
                self.ty()?;
            } else {
                let part = self.ty()?;
                parts.push(part);
                // A pattern type has more text behind the type: `u32 is 1..`.
                if self.cursor.eat(" is ") {
                    self.constant();
                }
            }
            self.cursor.space();
            if self.cursor.eat(",") {
                commas += 1;
            }
        }
    }

    fn bounds(&mut self) -> Option<Vec<TyId>> {
        let mut bounds = Vec::new();
        loop {
            self.cursor.space();
            self.cursor.eat("?");
            if self.cursor.rest().starts_with('\'') {
                self.cursor.at += 1;
                self.cursor.word();
            } else {
                let bound = self.ty()?;
                bounds.push(bound);
            }
            if !self.cursor.eat(" + ") {
                return Some(bounds);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let mut types = Types::default();
        let id = types.parse(text);
        assert!(!matches!(types.ty(id), Ty::Other(_)), "not understood: {text}");
        types.show(id)
    }

    #[test]
    fn types_are_read_whole() {
        for (text, expected) in [
            ("u8", "u8"),
            ("&'a mut std::vec::Vec<u8>", "&std::vec::Vec<u8>"),
            ("std::sync::MutexGuard<'_, u8>", "std::sync::MutexGuard<u8>"),
            ("(u8, &str)", "(u8, &str)"),
            ("[u8; 4]", "[u8]"),
            ("*const (dyn a::Store + 'b)", "&dyn a::Store"),
            (
                "std::boxed::Box<dyn std::ops::Fn(&str, u8) -> u8 + std::marker::Send>",
                "std::boxed::Box<dyn std::ops::Fn<(&str, u8)>>",
            ),
            ("dyn std::iter::Iterator<Item = u8>", "dyn std::iter::Iterator"),
            ("fn(u8) -> std::result::Result<u8, ()> {a::b::<u8>}", "a::b"),
            ("for<'a> fn(&'a u8)", "fn pointer"),
            ("<T as a::B<u8>>::C", "<T as a::B<u8>>::C"),
            (
                "std::iter::Map<I, {closure@a b.rs:1:2: 3:4}>",
                "std::iter::Map<I, closure at {closure@a b.rs:1:2: 3:4}>",
            ),
            ("{async fn body of h<T>()}", "{async fn body of h<T>()}"),
            ("std::option::Option<!>", "std::option::Option<()>"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }
}
