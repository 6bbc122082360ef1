//! What does a type that rustc printed consist of?
//!
//! MIR text names types and callees in full: `<std::fs::File as std::io::Read>::read_to_string`,
//! `spawn_blocking::<{closure@src/a.rs:19:26: 19:33}, ()>`. This module reads that notation into trees
//! that can be compared, and in which a generic parameter can be replaced. Lifetimes are left out: no
//! verdict depends on one. What it does not understand becomes [`Ty::Other`]: it then matches nothing,
//! and the probe tells whether that happens where it matters.

mod notation;

use notation::Parser;
pub use notation::angle_end;
use rustc_hash::{FxHashMap, FxHashSet};

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

/// What a crate's own paths start with: rustc leaves the crate's name out of them.
#[derive(Default)]
pub struct Scope {
    pub crate_name: String,
    /// Modules at the crate's root.
    pub modules: FxHashSet<String>,
    /// Types and traits that the crate declares, by their last name.
    pub declared: FxHashSet<String>,
    /// Where the compiler ran: paths of other crates' files start with it.
    pub directory: String,
    /// What crates of the workspace export of std, by the path that rustc prints, which is the shortest
    /// there is and keeps the item's own name: `lib::read` for `pub use std::fs::read as slurp`.
    pub exports: FxHashMap<String, String>,
}

#[derive(Default)]
pub struct Types {
    /// The crate whose text is read.
    pub scope: Scope,
    names: Vec<String>,
    name_ids: FxHashMap<String, Name>,
    types: Vec<Ty>,
    type_ids: FxHashMap<Ty, TyId>,
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
            Some(_) if !self.exports.is_empty() => {
                self.behind_export(path).unwrap_or_else(|| path.to_owned())
            }
            _ => path.to_owned(),
        }
    }
}

impl Scope {
    /// The path behind `lib::name::rest`, if `lib` exports `name` of std.
    fn behind_export(&self, path: &str) -> Option<String> {
        let ends = path.match_indices("::").map(|(at, _)| at).skip(1).chain([path.len()]);
        ends.into_iter().find_map(|end| Some(format!("{}{}", self.exports.get(&path[..end])?, &path[end..])))
    }

    /// A closure's place as its own crate prints it.
    fn at_home(&self, text: &str) -> String {
        text.replacen(&format!("@{}/", self.directory), "@", 1)
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

    /// Every type that was met.
    pub fn all(&self) -> impl Iterator<Item = TyId> + use<> {
        (0..self.types.len() as u32).map(TyId)
    }

    /// The type that `text` spells.
    pub fn parse(&mut self, text: &str) -> TyId {
        let mut parser = Parser::new(self, text);
        match parser.ty() {
            Some(id) if parser.rest().trim_start().is_empty() => id,
            _ => self.other(text),
        }
    }

    /// The callee that `text` spells.
    pub fn parse_callee(&mut self, text: &str) -> Option<Callee> {
        Parser::new(self, text).callee()
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

    fn shown(&self, name: Name) -> String {
        crate::program::plain(self.text(name))
    }

    /// The type as a reader writes it.
    pub fn show(&self, id: TyId) -> String {
        let list = |parts: &[TyId]| parts.iter().map(|&p| self.show(p)).collect::<Vec<_>>().join(", ");
        match self.ty(id) {
            Ty::Path(name, args) if args.is_empty() => self.shown(*name),
            Ty::Path(name, args) => format!("{}<{}>", self.shown(*name), list(args)),
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
