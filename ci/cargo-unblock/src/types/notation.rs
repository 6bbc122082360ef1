//! How is the compiler's notation read?

use super::{Callee, Name, Subst, Ty, TyId, Types};

/// Nesting beyond this is not followed: no type that people write comes near.
const MAX_NESTING: usize = 100;

pub(super) struct Parser<'a> {
    types: &'a mut Types,
    text: &'a str,
    at: usize,
    nesting: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(types: &'a mut Types, text: &'a str) -> Self {
        Parser { types, text, at: 0, nesting: 0 }
    }

    pub(super) fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Option<()> {
        self.eat(token).then_some(())
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    /// `for<'a, 'b> `, a lifetime, and words that do not change which code runs.
    fn skip_qualifiers(&mut self) {
        loop {
            self.space();
            if self.eat("for<") {
                while self.at < self.text.len() && !self.eat(">") {
                    self.at += self.rest().chars().next().map_or(1, char::len_utf8);
                }
            } else if self.rest().starts_with('\'') && !self.is_char_literal() {
                self.at += 1;
                self.word();
            } else if ["unsafe ", "mut ", "const ", "~const ", "[const] ", "async ", "safe "]
                .iter()
                .any(|word| self.eat(word))
            {
            } else if self.eat("extern ") {
                if self.eat("\"") {
                    while self.at < self.text.len() && !self.eat("\"") {
                        self.at += 1;
                    }
                }
            } else {
                return;
            }
        }
    }

    fn is_char_literal(&self) -> bool {
        let mut chars = self.rest().chars().skip(1);
        let first = chars.next();
        first == Some('\\') || chars.next() == Some('\'')
    }

    fn word(&mut self) -> &str {
        let start = self.at;
        let length = self
            .rest()
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '#'))
            .unwrap_or(self.rest().len());
        self.at += length;
        &self.text[start..start + length]
    }

    /// `{…}` with what is nested in it.
    fn braced(&mut self) -> Option<String> {
        let start = self.at;
        let mut depth = 0usize;
        for (offset, c) in self.rest().char_indices() {
            match c {
                '{' => depth += 1,
                '}' => {
                    depth -= 1;
                    if depth == 0 {
                        self.at = start + offset + 1;
                        return Some(self.text[start..self.at].to_owned());
                    }
                }
                _ => {}
            }
        }
        None
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
        self.skip_qualifiers();
        let ty = if self.eat("&") {
            self.skip_qualifiers();
            let of = self.ty()?;
            Ty::Ref(of)
        } else if self.eat("*const ") || self.eat("*mut ") {
            Ty::Ref(self.ty()?)
        } else if self.eat("(") {
            let (parts, commas) = self.list(")")?;
            match parts[..] {
                [only] if commas == 0 => return Some(only),
                _ => Ty::Tuple(parts),
            }
        } else if self.eat("[") {
            let of = self.ty()?;
            if self.eat("; ") {
                self.skip_to(']')?;
            }
            self.expect("]")?;
            Ty::Slice(of)
        } else if self.eat("dyn ") || self.eat("dyn* ") {
            Ty::Dyn(self.bounds()?)
        } else if self.eat("impl ") {
            let start = self.at;
            self.bounds()?;
            let text = format!("impl {}", &self.text[start..self.at]);
            Ty::Other(self.types.name(&text))
        } else if self.rest().starts_with("fn(") {
            self.at += 3;
            let (mut parts, _) = self.list(")")?;
            let output = if self.eat(" -> ") { self.ty()? } else { self.types.add(Ty::Tuple(Vec::new())) };
            parts.push(output);
            if self.eat(" {") {
                let callee = self.callee()?;
                self.expect("}")?;
                Ty::FnItem(Box::new(callee), parts)
            } else {
                Ty::FnPointer(parts)
            }
        } else if self.rest().starts_with('{') {
            let text = self.braced()?;
            let text = self.types.scope.at_home(&text);
            let name = self.types.name(&text);
            if text.starts_with("{closure@") {
                Ty::Closure(name, Subst::new())
            } else if text.starts_with("{async ") || text.contains("coroutine") || text.starts_with("{gen ") {
                Ty::Coroutine(name)
            } else {
                Ty::Other(name)
            }
        } else if self.eat("<") {
            let of = self.ty()?;
            self.space();
            self.expect("as ")?;
            let interface = self.ty()?;
            self.expect(">::")?;
            let word = self.word().to_owned();
            let name = self.types.name(&word);
            if self.eat("<") {
                self.list(">")?;
            }
            Ty::Projection(of, interface, name)
        } else if self.rest().starts_with(|c: char| c.is_alphabetic() || c == '_') {
            let (path, owner, own) = self.path()?;
            let path = self.types.scope.whole(&path, false);
            let name = self.types.name(&path);
            Ty::Path(name, [owner, own].concat())
        } else if self.eat("!") {
            Ty::Tuple(Vec::new())
        } else {
            Ty::Other(self.constant()?)
        };
        Some(self.types.add(ty))
    }

    /// A constant among generic arguments: up to the comma or bracket that ends it.
    fn constant(&mut self) -> Option<Name> {
        let start = self.at;
        if self.is_char_literal() && self.rest().starts_with('\'') {
            self.at += 1;
            let escaped = self.eat("\\");
            self.at += self.rest().chars().next().map_or(0, char::len_utf8);
            if escaped {
                while !self.rest().is_empty() && !self.rest().starts_with('\'') {
                    self.at += self.rest().chars().next().map_or(1, char::len_utf8);
                }
            }
            self.eat("'");
        }
        let length = self.rest().find([',', '>', ')', ']', ' ']).unwrap_or(self.rest().len());
        self.at += length;
        if self.at == start {
            return None;
        }
        let text = self.text[start..self.at].to_owned();
        Some(self.types.name(&text))
    }

    fn skip_to(&mut self, end: char) -> Option<()> {
        let mut depth = 0usize;
        for (offset, c) in self.rest().char_indices() {
            match c {
                '{' | '(' | '[' => depth += 1,
                c if c == end && depth == 0 => {
                    self.at += offset;
                    return Some(());
                }
                '}' | ')' | ']' => depth = depth.checked_sub(1)?,
                _ => {}
            }
        }
        None
    }

    /// Types up to `end`, and how many commas stood between them. Lifetimes and `Name = Type` are read
    /// and left out.
    fn list(&mut self, end: &str) -> Option<(Vec<TyId>, usize)> {
        let (mut parts, mut commas) = (Vec::new(), 0);
        loop {
            self.space();
            if self.eat(end) {
                return Some((parts, commas));
            }
            if self.rest().starts_with('\'') && !self.is_char_literal() {
                self.at += 1;
                self.word();
            } else if self.eat("...") {
            } else if let Some(binding) = self.binding() {
                self.at += binding;
                self.ty()?;
            } else {
                let part = self.ty()?;
                parts.push(part);
                // `dyn A + 'b` in parentheses has its bounds read already; a pattern type does not.
                if self.eat(" is ") {
                    self.constant();
                }
            }
            self.space();
            if self.eat(",") {
                commas += 1;
            }
        }
    }

    /// The length of `Name = ` if that comes next.
    fn binding(&self) -> Option<usize> {
        let rest = self.rest();
        let name = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'))?;
        (name > 0 && rest[name..].starts_with(" = ")).then_some(name + 3)
    }

    fn bounds(&mut self) -> Option<Vec<TyId>> {
        let mut bounds = Vec::new();
        loop {
            self.space();
            self.eat("?");
            if self.rest().starts_with('\'') {
                self.at += 1;
                self.word();
            } else {
                let bound = self.ty()?;
                bounds.push(bound);
            }
            if !self.eat(" + ") {
                return Some(bounds);
            }
        }
    }

    /// Segments with their arguments: the text without arguments, the arguments before the last segment,
    /// and the last segment's.
    fn path(&mut self) -> Option<(String, Vec<TyId>, Vec<TyId>)> {
        let (mut path, mut owner, mut own) = (String::new(), Vec::new(), Vec::new());
        loop {
            if self.rest().starts_with('{') {
                path.push_str(&self.braced()?);
            } else if self.rest().starts_with('<') && self.is_impl_segment() {
                let start = self.at;
                self.at += 1;
                self.skip_angle()?;
                path.push_str(&self.text[start..self.at]);
            } else {
                self.eat("r#");
                let word = self.word();
                if word.is_empty() {
                    return None;
                }
                path.push_str(word);
            }
            owner.append(&mut own);
            let generic = if self.rest().starts_with("::<") && !self.starts_impl_segment(2) {
                self.at += 3;
                true
            } else {
                self.rest().starts_with('<') && self.eat("<")
            };
            if generic {
                own = self.list(">")?.0;
            } else if self.rest().starts_with('(')
                && path.rsplit("::").next().is_some_and(|s| s.starts_with("Fn") || s.starts_with("AsyncFn"))
            {
                self.at += 1;
                let (inputs, _) = self.list(")")?;
                let tuple = self.types.add(Ty::Tuple(inputs));
                own = vec![tuple];
                if self.eat(" -> ") {
                    self.ty()?;
                }
            }
            if !self.eat("::") {
                return Some((path, owner, own));
            }
            path.push_str("::");
        }
    }

    fn is_impl_segment(&self) -> bool {
        self.starts_impl_segment(0)
    }

    /// `<impl …>` is a segment of its own when more of the path follows; else it is an argument.
    fn starts_impl_segment(&self, offset: usize) -> bool {
        let rest = &self.rest()[offset..];
        if !rest.starts_with("<impl ") {
            return false;
        }
        // `<impl Trait as Other>::method` is a method of a parameter's type.
        angle_end(&rest[1..])
            .is_some_and(|end| rest[1 + end..].starts_with("::") && !names_trait(&rest[1..end]))
    }

    fn skip_angle(&mut self) -> Option<()> {
        let end = angle_end(self.rest())?;
        self.at += end;
        Some(())
    }

    pub(super) fn callee(&mut self) -> Option<Callee> {
        if self.rest().starts_with('<') && !self.is_impl_segment() {
            self.at += 1;
            let of = self.ty()?;
            self.space();
            if !self.eat("as ") {
                // `<[T]>::method`
                self.expect(">::")?;
                let (method, owner, own) = self.path()?;
                let path = format!("{}::{method}", self.types.show(of));
                let path = self.types.name(&path);
                return Some(Callee::Path { path, owner: [vec![of], owner].concat(), own });
            }
            let interface = self.ty()?;
            self.expect(">::")?;
            let (method, _, own) = self.path()?;
            let method = self.types.name(&method);
            return Some(Callee::Trait { of, interface, method, own });
        }
        let (path, mut owner, own) = self.path()?;
        // `module::<impl Type<A>>::method`, when the impl is not where the type is.
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

/// Whether ` as ` stands in the text, outside of brackets.
fn names_trait(text: &str) -> bool {
    let mut depth = 0i32;
    let mut before = ' ';
    for (offset, c) in text.char_indices() {
        match c {
            '<' | '(' | '[' => depth += 1,
            '>' if before == '-' || before == '=' => {}
            '>' | ')' | ']' => depth -= 1,
            ' ' if depth == 0 && text[offset..].starts_with(" as ") => return true,
            _ => {}
        }
        before = c;
    }
    false
}

/// Where the `<` that stands before `text` is closed: just after its `>`.
pub fn angle_end(text: &str) -> Option<usize> {
    let mut depth = 1usize;
    let mut before = ' ';
    for (offset, c) in text.char_indices() {
        match c {
            '<' => depth += 1,
            '>' if before != '-' && before != '=' => {
                depth -= 1;
                if depth == 0 {
                    return Some(offset + 1);
                }
            }
            _ => {}
        }
        before = c;
    }
    None
}
