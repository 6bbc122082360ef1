//! Which path or callee does a piece of the compiler's text spell?

use super::parser::Parser;
use super::tree::{Callee, Ty, TyId, Types};
use crate::notation::{angle_end, outside_brackets};

impl Types {
    /// The callee that `text` spells.
    pub fn parse_callee(&mut self, text: &str) -> Option<Callee> {
        Parser::new(self, text).callee()
    }
}

impl Parser<'_> {
    /// Reads segments with their arguments. Returns the text without arguments, the arguments before the last
    /// segment, and the arguments of the last segment.
    pub(super) fn path(&mut self) -> Option<(String, Vec<TyId>, Vec<TyId>)> {
        let (mut path, mut owner, mut own) = (String::new(), Vec::new(), Vec::new());
        loop {
            if self.cursor.rest().starts_with('{') {
                path.push_str(&self.cursor.braced()?);
            } else if self.cursor.rest().starts_with('<') && self.is_impl_segment() {
                let start = self.cursor.at;
                self.cursor.at += 1;
                self.cursor.skip_angle()?;
                path.push_str(&self.cursor.text[start..self.cursor.at]);
            } else {
                self.cursor.eat("r#");
                let word = self.cursor.word();
                if word.is_empty() {
                    return None;
                }
                path.push_str(word);
            }
            owner.append(&mut own);
            let generic = if self.cursor.rest().starts_with("::<") && !self.starts_impl_segment(2) {
                self.cursor.at += 3;
                true
            } else {
                self.cursor.rest().starts_with('<') && self.cursor.eat("<")
            };
            if generic {
                own = self.list(">")?.0;
            } else if self.cursor.rest().starts_with('(')
                && path.rsplit("::").next().is_some_and(|s| s.starts_with("Fn") || s.starts_with("AsyncFn"))
            {
                self.cursor.at += 1;
                let (inputs, _) = self.list(")")?;
                let tuple = self.types.add(Ty::Tuple(inputs));
                own = vec![tuple];
                if self.cursor.eat(" -> ") {
                    self.ty()?;
                }
            }
            if !self.cursor.eat("::") {
                return Some((path, owner, own));
            }
            path.push_str("::");
        }
    }

    fn is_impl_segment(&self) -> bool {
        self.starts_impl_segment(0)
    }

    /// `<impl …>` is a segment of its own when more of the path follows. Otherwise it is an argument.
    fn starts_impl_segment(&self, offset: usize) -> bool {
        let rest = &self.cursor.rest()[offset..];
        if !rest.starts_with("<impl ") {
            return false;
        }
        // `<impl Trait as Other>::method` is a method of a parameter's type.
        angle_end(&rest[1..]).is_some_and(|end| {
            rest[1 + end..].starts_with("::") && outside_brackets(&rest[1..end], " as ").is_none()
        })
    }

    pub(super) fn callee(&mut self) -> Option<Callee> {
        if self.cursor.rest().starts_with('<') && !self.is_impl_segment() {
            self.cursor.at += 1;
            let of = self.ty()?;
            self.cursor.space();
            if !self.cursor.eat("as ") {
                // `<[T]>::method`
                self.cursor.expect(">::")?;
                let (method, owner, own) = self.path()?;
                let path = format!("{}::{method}", self.types.show(of));
                let path = self.types.name(&path);
                return Some(Callee::Path { path, owner: [vec![of], owner].concat(), own });
            }
            let interface = self.ty()?;
            self.cursor.expect(">::")?;
            let (method, _, own) = self.path()?;
            let method = self.types.name(&method);
            return Some(Callee::Trait { of, interface, method, own });
        }
        let (path, mut owner, own) = self.path()?;
        // `module::<impl Type<A>>::method` is printed when the impl is in another module than the type.
        if let Some(start) = path.find("<impl ")
            && let Some((method, ty)) = path[start + 6..].rsplit_once(">::").map(|(ty, method)| (method, ty))
            && !ty.starts_with("at ")
        {
            let (ty, method) = (ty.to_owned(), method.to_owned());
            let of = self.types.parse(&ty);
            if let Ty::Path(name, args) = self.types.ty(of).clone() {
                owner = args;
                let path = format!("{}::{method}", self.types.text(name));
                return Some(Callee::Path { path: self.types.name(&path), owner, own });
            }
        }
        let path = self.types.scope.whole(&path, true);
        let path = self.types.name(&path);
        Some(Callee::Path { path, owner, own })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callees_are_told_apart() {
        let mut types = Types::default();
        for (text, expected) in [
            ("std::fs::read::<&str>", "std::fs::read"),
            ("std::sync::mpsc::Receiver::<u8>::recv", "std::sync::mpsc::Receiver::recv"),
            ("std::slice::<impl [u8]>::to_vec", "std::slice::<impl [u8]>::to_vec"),
            ("f::<impl std::io::Read>", "f"),
            (
                "<std::fs::File as std::io::Read>::read_to_string",
                "<std::fs::File as std::io::Read>::read_to_string",
            ),
            (
                "<{closure@a.rs:1:2: 3:4} as std::ops::Fn<(u8,)>>::call",
                "<closure at {closure@a.rs:1:2: 3:4} as std::ops::Fn>::call",
            ),
            (
                "inner::<impl at a.rs:6:5: 6:26>::go::{closure#0}",
                "inner::<impl at a.rs:6:5: 6:26>::go::{closure#0}",
            ),
        ] {
            let callee = types.parse_callee(text).unwrap_or_else(|| panic!("not understood: {text}"));
            assert_eq!(types.show_callee(&callee), expected);
        }
    }

    #[test]
    fn nothing_makes_it_panic_or_run_forever() {
        let deep = "&".repeat(100_000) + "u8";
        let open = "a::B<".repeat(10_000);
        for text in [
            deep.as_str(),
            open.as_str(),
            "",
            "<",
            "<<",
            "{",
            "a::",
            "fn(",
            "dyn ",
            "'",
            "[u8; {",
            "a<'",
            "\u{e9}<\u{e9}>",
        ] {
            let mut types = Types::default();
            types.parse(text);
            types.parse_callee(text);
        }
    }
}
