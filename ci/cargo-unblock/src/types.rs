//! What does a type that rustc printed consist of?
//!
//! MIR text names types and callees in full: `<std::fs::File as std::io::Read>::read_to_string`,
//! `spawn_blocking::<{closure@src/a.rs:19:26: 19:33}, ()>`. This module reads that notation into trees
//! that can be compared, and in which a generic parameter can be replaced. Lifetimes are left out: no
//! verdict depends on one. What it does not understand becomes [`Ty::Other`]: it then matches nothing,
//! and the probe tells whether that happens where it matters.

use std::collections::{HashMap, HashSet};

/// A name in the [`Types`] that made it; equal names have equal numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Name(u32);

/// A type in the [`Types`] that made it; equal types have equal numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TyId(u32);

/// What stands for each generic parameter, sorted by name.
pub type Subst = Vec<(Name, TyId)>;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Ty {
    /// `a::b::C<X, Y>`, a primitive, or a generic parameter: a path with all its arguments in order.
    Path(Name, Vec<TyId>),
    /// `&T`, `&mut T`, `*const T`.
    Ref(TyId),
    /// `(A, B)`.
    Tuple(Vec<TyId>),
    /// `[T]` and `[T; N]`.
    Slice(TyId),
    /// `fn(A) -> B`: the inputs, then the output.
    FnPointer(Vec<TyId>),
    /// `fn(A) -> B {path}`: the type of one function, with its inputs and its output.
    FnItem(Box<Callee>, Vec<TyId>),
    /// A closure, named by where it stands, with what its surroundings' generic parameters stand for.
    Closure(Name, Subst),
    /// `{async fn body of f()}`, `{async block@…}` and other bodies that are polled.
    Coroutine(Name),
    /// `dyn A + B`.
    Dyn(Vec<TyId>),
    /// `<T as Trait>::Name`: the type, the trait, the name.
    Projection(TyId, TyId, Name),
    /// A constant among generic arguments, `impl Trait`, and whatever is not understood.
    Other(Name),
}

/// What a call names.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Callee {
    /// `a::b::f::<X>`, `a::Type::<T>::method::<X>`.
    Path { path: Name, owner: Vec<TyId>, own: Vec<TyId> },
    /// `<T as a::Trait<A>>::method::<X>`.
    Trait { of: TyId, interface: TyId, method: Name, own: Vec<TyId> },
}

/// Nesting beyond this is not followed: no type that people write comes near.
const MAX_NESTING: usize = 100;

/// What a crate's own paths start with: rustc leaves the crate's name out of them.
#[derive(Default)]
pub struct Scope {
    pub crate_name: String,
    /// Modules at the crate's root.
    pub modules: HashSet<String>,
    /// Types and traits that the crate declares, by their last name.
    pub declared: HashSet<String>,
}

#[derive(Default)]
pub struct Types {
    /// The crate whose text is read.
    pub scope: Scope,
    names: Vec<String>,
    name_ids: HashMap<String, Name>,
    types: Vec<Ty>,
    type_ids: HashMap<Ty, TyId>,
}

impl Scope {
    /// The path with its crate in front. `core` and `alloc` are called `std`, as they are in code that
    /// may use it.
    pub fn whole(&self, path: &str, is_function: bool) -> String {
        let own = match path.split_once("::") {
            None => is_function || self.declared.contains(path),
            Some((first, _)) => {
                self.modules.contains(first) || self.declared.contains(first) || first.starts_with('<')
            }
        };
        match path.split_once("::") {
            _ if own && !self.crate_name.is_empty() => format!("{}::{path}", self.crate_name),
            Some(("core" | "alloc", rest)) => format!("std::{rest}"),
            _ => path.to_owned(),
        }
    }
}

impl Types {
    pub fn name(&mut self, text: &str) -> Name {
        if let Some(&name) = self.name_ids.get(text) {
            return name;
        }
        let name = Name(self.names.len() as u32);
        self.names.push(text.to_owned());
        self.name_ids.insert(text.to_owned(), name);
        name
    }

    /// The name, if it was met.
    pub fn find_name(&self, text: &str) -> Option<Name> {
        self.name_ids.get(text).copied()
    }

    pub fn text(&self, name: Name) -> &str {
        &self.names[name.0 as usize]
    }

    pub fn ty(&self, id: TyId) -> &Ty {
        &self.types[id.0 as usize]
    }

    pub fn add(&mut self, ty: Ty) -> TyId {
        if let Some(&id) = self.type_ids.get(&ty) {
            return id;
        }
        let id = TyId(self.types.len() as u32);
        self.types.push(ty.clone());
        self.type_ids.insert(ty, id);
        id
    }

    /// The type that `text` spells.
    pub fn parse(&mut self, text: &str) -> TyId {
        let mut parser = Parser { types: self, text, at: 0, nesting: 0 };
        match parser.ty() {
            Some(id) if parser.rest().trim_start().is_empty() => id,
            _ => self.other(text),
        }
    }

    /// The callee that `text` spells.
    pub fn parse_callee(&mut self, text: &str) -> Option<Callee> {
        Parser { types: self, text, at: 0, nesting: 0 }.callee()
    }

    fn other(&mut self, text: &str) -> TyId {
        let name = self.name(text);
        self.add(Ty::Other(name))
    }

    /// The type with each generic parameter replaced. A closure that stands in a generic function takes
    /// along what the function's parameters stand for.
    pub fn substitute(&mut self, id: TyId, with: &Subst) -> TyId {
        if with.is_empty() {
            return id;
        }
        let new = match self.ty(id).clone() {
            Ty::Path(name, args) if args.is_empty() => {
                return with.iter().find(|(parameter, _)| *parameter == name).map_or(id, |&(_, ty)| ty);
            }
            Ty::Path(name, args) => Ty::Path(name, self.substitute_all(&args, with)),
            Ty::Ref(of) => Ty::Ref(self.substitute(of, with)),
            Ty::Tuple(parts) => Ty::Tuple(self.substitute_all(&parts, with)),
            Ty::Slice(of) => Ty::Slice(self.substitute(of, with)),
            Ty::FnPointer(parts) => Ty::FnPointer(self.substitute_all(&parts, with)),
            Ty::FnItem(callee, parts) => {
                Ty::FnItem(Box::new(self.substitute_callee(&callee, with)), self.substitute_all(&parts, with))
            }
            Ty::Closure(name, own) if own.is_empty() => Ty::Closure(name, with.clone()),
            Ty::Dyn(bounds) => Ty::Dyn(self.substitute_all(&bounds, with)),
            Ty::Projection(of, interface, name) => {
                Ty::Projection(self.substitute(of, with), self.substitute(interface, with), name)
            }
            // `impl Trait` among the arguments is a generic parameter without a name of its own.
            Ty::Other(name) => {
                return with.iter().find(|(parameter, _)| *parameter == name).map_or(id, |&(_, ty)| ty);
            }
            unchanged => unchanged,
        };
        self.add(new)
    }

    fn substitute_all(&mut self, ids: &[TyId], with: &Subst) -> Vec<TyId> {
        ids.iter().map(|&id| self.substitute(id, with)).collect()
    }

    pub fn substitute_callee(&mut self, callee: &Callee, with: &Subst) -> Callee {
        match callee {
            Callee::Path { path, owner, own } => Callee::Path {
                path: *path,
                owner: self.substitute_all(owner, with),
                own: self.substitute_all(own, with),
            },
            Callee::Trait { of, interface, method, own } => Callee::Trait {
                of: self.substitute(*of, with),
                interface: self.substitute(*interface, with),
                method: *method,
                own: self.substitute_all(own, with),
            },
        }
    }

    /// Whether `pattern`, a type as its definition spells it, fits `ty`; what its parameters then stand
    /// for is added to `found`. `same` says whether two different paths name one type, as they do when a
    /// crate exports a type under another path than its own.
    pub fn fits(
        &self,
        pattern: TyId,
        ty: TyId,
        same: &dyn Fn(Name, Name) -> bool,
        is_parameter: &dyn Fn(Name) -> bool,
        found: &mut Subst,
    ) -> bool {
        if let Ty::Path(name, args) = self.ty(pattern)
            && args.is_empty()
            && is_parameter(*name)
        {
            return match found.iter().find(|(parameter, _)| parameter == name) {
                Some(&(_, before)) => before == ty,
                None => {
                    found.push((*name, ty));
                    found.sort_unstable();
                    true
                }
            };
        }
        if let Ty::Other(name) = self.ty(pattern)
            && self.text(*name).starts_with("impl ")
        {
            found.push((*name, ty));
            found.sort_unstable();
            return true;
        }
        let mut all = |a: &[TyId], b: &[TyId]| {
            a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| self.fits(a, b, same, is_parameter, found))
        };
        match (self.ty(pattern), self.ty(ty)) {
            (Ty::Path(a, a_args), Ty::Path(b, b_args)) => (a == b || same(*a, *b)) && all(a_args, b_args),
            (Ty::Ref(a), Ty::Ref(b)) | (Ty::Slice(a), Ty::Slice(b)) => {
                self.fits(*a, *b, same, is_parameter, found)
            }
            (Ty::Tuple(a), Ty::Tuple(b)) | (Ty::FnPointer(a), Ty::FnPointer(b)) => all(a, b),
            (Ty::Dyn(a), Ty::Dyn(b)) => match (a.first(), b.first()) {
                (Some(&a), Some(&b)) => self.fits(a, b, same, is_parameter, found),
                _ => false,
            },
            // An associated type is not computed: it may be anything.
            (Ty::Projection(..), _) | (_, Ty::Projection(..)) => true,
            (Ty::Other(_), Ty::Other(_)) => true,
            (a, b) => a == b,
        }
    }

    /// Calls `see` with the type and every type within it; does not look into a type when `see` says no.
    pub fn walk(&self, id: TyId, see: &mut dyn FnMut(&Ty, TyId) -> bool) {
        let ty = self.ty(id);
        if !see(ty, id) {
            return;
        }
        match ty {
            Ty::Path(_, parts) | Ty::Tuple(parts) | Ty::FnPointer(parts) | Ty::Dyn(parts) => {
                parts.iter().for_each(|&part| self.walk(part, see));
            }
            Ty::Ref(of) | Ty::Slice(of) | Ty::Projection(of, ..) => self.walk(*of, see),
            Ty::FnItem(..) | Ty::Closure(..) | Ty::Coroutine(_) | Ty::Other(_) => {}
        }
    }

    /// How deep the type is nested.
    pub fn depth(&self, id: TyId) -> usize {
        match self.ty(id) {
            Ty::Path(_, parts) | Ty::Tuple(parts) | Ty::FnPointer(parts) | Ty::Dyn(parts) => {
                1 + parts.iter().map(|&part| self.depth(part)).max().unwrap_or(0)
            }
            Ty::Ref(of) | Ty::Slice(of) | Ty::Projection(of, ..) => 1 + self.depth(*of),
            Ty::Closure(_, with) => 1 + with.iter().map(|&(_, part)| self.depth(part)).max().unwrap_or(0),
            _ => 1,
        }
    }

    /// The type as a reader writes it.
    pub fn show(&self, id: TyId) -> String {
        let list = |parts: &[TyId]| parts.iter().map(|&p| self.show(p)).collect::<Vec<_>>().join(", ");
        match self.ty(id) {
            Ty::Path(name, args) if args.is_empty() => self.text(*name).to_owned(),
            Ty::Path(name, args) => format!("{}<{}>", self.text(*name), list(args)),
            Ty::Ref(of) => format!("&{}", self.show(*of)),
            Ty::Tuple(parts) => format!("({})", list(parts)),
            Ty::Slice(of) => format!("[{}]", self.show(*of)),
            Ty::FnPointer(_) => "fn pointer".to_owned(),
            Ty::FnItem(callee, _) => self.show_callee(callee),
            Ty::Closure(name, _) => format!("closure at {}", self.text(*name)),
            Ty::Coroutine(name) | Ty::Other(name) => self.text(*name).to_owned(),
            Ty::Dyn(bounds) => format!("dyn {}", list(&bounds[..bounds.len().min(1)])),
            Ty::Projection(of, interface, name) => {
                format!("<{} as {}>::{}", self.show(*of), self.show(*interface), self.text(*name))
            }
        }
    }

    /// The callee as a reader writes it, without generic arguments.
    pub fn show_callee(&self, callee: &Callee) -> String {
        match callee {
            Callee::Path { path, .. } => self.text(*path).to_owned(),
            Callee::Trait { of, interface, method, .. } => {
                let interface = match self.ty(*interface) {
                    Ty::Path(name, _) => self.text(*name).to_owned(),
                    _ => self.show(*interface),
                };
                format!("<{} as {interface}>::{}", self.show(*of), self.text(*method))
            }
        }
    }
}

struct Parser<'a> {
    types: &'a mut Types,
    text: &'a str,
    at: usize,
    nesting: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
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

    fn ty(&mut self) -> Option<TyId> {
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

    fn callee(&mut self) -> Option<Callee> {
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
    fn a_closure_keeps_what_its_surroundings_stand_for() {
        let mut types = Types::default();
        let (closure, file) = (types.parse("{closure@a.rs:1:2: 3:4}"), types.parse("std::fs::File"));
        let parameter = types.name("R");
        let first = types.substitute(closure, &vec![(parameter, file)]);
        assert_ne!(first, closure);
        let number = types.parse("u8");
        assert_eq!(types.substitute(first, &vec![(parameter, number)]), first);
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
