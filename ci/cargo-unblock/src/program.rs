//! Which bodies does the workspace have, and what does each name stand for?
//!
//! Puts the facts of all crates together: every function, closure, async body and impl can then be found
//! by what a call elsewhere prints. Two crates print one function differently (`inner::f` at home,
//! `lib::f` where it is used, if `lib` exports it so); [`Program::functions`] bridges that.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::facts::{Origin, Span, Str, Target, Unit};
use crate::findings::Place;
use crate::sources::{self, Sources};
use crate::types::{Callee, Name, Scope, Subst, Ty, TyId, Types};

pub type BodyId = usize;

pub struct Program {
    pub types: Types,
    pub units: Vec<Unit>,
    pub bodies: Vec<Body>,
    pub impls: Vec<Impl>,
    pub sources: Sources,
    /// Functions by their whole path.
    paths: HashMap<Name, Vec<BodyId>>,
    /// The same by the last name of the path.
    by_last: HashMap<Name, Vec<BodyId>>,
    /// Bodies of closures by the closure's type.
    pub closures: HashMap<Name, Vec<BodyId>>,
    /// Impls by the methods that they define.
    pub methods: HashMap<Name, Vec<(usize, BodyId)>>,
    /// The words in the types of fields, by the name of the struct or enum.
    pub fields: HashMap<String, HashSet<String>>,
    /// What becomes `dyn …` or a function pointer: (from, to).
    pub casts: HashSet<(TyId, TyId)>,
    crates: HashSet<String>,
    /// Names of types that a crate declares: they are no generic parameters.
    declared: HashMap<String, HashSet<String>>,
}

pub struct Body {
    pub unit: usize,
    pub index: usize,
    /// Its name with the crate's in front, as a reader writes it.
    pub shown: String,
    pub inputs: Vec<TyId>,
    /// Whether something polls it: one of its arguments is `&mut Context`.
    pub is_async: bool,
    pub is_function: bool,
    /// The impl that it is a method of.
    pub of: Option<usize>,
    pub calls: Vec<Call>,
    /// The async bodies that it makes.
    pub creates: Vec<BodyId>,
    /// The body that it stands in, if it is a closure or an async body.
    pub within: Option<BodyId>,
    /// The types of what it keeps while it is suspended, as in the facts.
    pub kept: Vec<TyId>,
    /// What becomes `dyn …` or a function pointer in it: (from, to).
    pub casts: Vec<(TyId, TyId)>,
}

/// What a `dyn Trait` or a function pointer was before.
#[derive(Clone)]
pub enum Source {
    Type(TyId),
    Parameter(u32),
}

pub struct Call {
    pub what: What,
    pub span: Span,
    /// The name that is called.
    pub name: Span,
    /// As in the facts.
    pub origins: Vec<(u32, Vec<Source>)>,
}

#[derive(Clone)]
pub enum What {
    /// The callee, and the types that it takes.
    Function(Callee, Vec<TyId>),
    Pointer(TyId),
    Drop(TyId),
}

/// One `impl` block.
pub struct Impl {
    pub crate_name: String,
    /// The last name of the trait; none for an inherent impl.
    pub interface: Option<String>,
    pub of: Option<TyId>,
    /// The last name of the type, where the type itself is not known.
    pub of_name: Option<String>,
    pub parameters: Vec<Name>,
    pub methods: HashMap<Name, BodyId>,
    /// What it gives to the trait's types: the last names.
    pub associated: HashMap<String, String>,
}

impl Program {
    pub fn new(units: Vec<Unit>) -> Program {
        let mut program = Program {
            types: Types::default(),
            units: Vec::new(),
            bodies: Vec::new(),
            impls: Vec::new(),
            sources: Sources::default(),
            paths: HashMap::new(),
            by_last: HashMap::new(),
            closures: HashMap::new(),
            methods: HashMap::new(),
            fields: HashMap::new(),
            casts: HashSet::new(),
            crates: units.iter().map(|unit| unit.crate_name.clone()).collect(),
            declared: HashMap::new(),
        };
        for unit in units {
            program.add(unit);
        }
        program
    }

    pub fn is_own_crate(&self, path: Name) -> bool {
        let text = self.types.text(path);
        self.crates.contains(text.split("::").next().unwrap_or(text))
    }

    pub fn facts(&self, body: BodyId) -> &crate::facts::Body {
        let body = &self.bodies[body];
        &self.units[body.unit].bodies[body.index]
    }

    /// A name without `<impl at …>`: `lib::Disk::load::{closure}`.
    fn readable(&self, unit: &Unit, name: &str, of: Option<usize>) -> String {
        let mut text = name.to_owned();
        if let Some(start) = text.find("<impl at ")
            && let Some(end) = crate::types::angle_end(&text[start + 1..])
        {
            let ty = of.map(|index| &self.impls[index]).map(|of| match (of.of, &of.of_name) {
                (Some(ty), _) => {
                    let shown = self.types.show(ty);
                    shown.strip_prefix(&format!("{}::", unit.crate_name)).unwrap_or(&shown).to_owned()
                }
                (None, Some(name)) => name.clone(),
                (None, None) => "impl".to_owned(),
            });
            let ty = ty.unwrap_or_else(|| "impl".to_owned());
            // A type's own path says where it is.
            let before = if ty.contains("::") { "" } else { &text[..start] };
            text = format!("{before}{ty}{}", &text[start + 1 + end..]);
        }
        text.split("::").filter(|part| !part.starts_with("{closure#")).collect::<Vec<_>>().join("::")
    }

    fn add(&mut self, unit: Unit) {
        let unit_index = self.units.len();
        self.scope(&unit);
        let mut types: HashMap<Str, TyId> = HashMap::new();
        let mut callees: HashMap<Str, Option<Callee>> = HashMap::new();
        let mut impls: HashMap<String, usize> = HashMap::new();
        let mut by_name: HashMap<&str, BodyId> = HashMap::new();
        let first = self.bodies.len();
        let mut ty = |index: Str, types_of: &mut Types| {
            *types.entry(index).or_insert_with(|| types_of.parse(unit.text(index)))
        };
        for (index, facts) in unit.bodies.iter().enumerate() {
            let name = unit.text(facts.name);
            let id = self.bodies.len();
            let mut inputs: Vec<TyId> = facts.signature.iter().map(|&s| ty(s, &mut self.types)).collect();
            // What it returns stands last; a constant has no signature.
            let is_function = inputs.pop().is_some();
            let is_async = facts.signature.iter().any(|&s| {
                unit.text(s).contains("std::task::Context<") || unit.text(s).contains("core::task::Context<")
            });
            let calls = facts
                .calls
                .iter()
                .filter(|call| !call.unwinding)
                .filter_map(|call| {
                    let what = match call.callee {
                        Target::Pointer(pointer) => What::Pointer(ty(pointer, &mut self.types)),
                        Target::Drop(dropped) => What::Drop(ty(dropped, &mut self.types)),
                        Target::Function(callee, signature) => {
                            let callee = callees
                                .entry(callee)
                                .or_insert_with(|| self.types.parse_callee(unit.text(callee)))
                                .clone()?;
                            let signature = ty(signature, &mut self.types);
                            let takes = match self.types.ty(signature) {
                                Ty::FnItem(_, parts) | Ty::FnPointer(parts) => {
                                    parts[..parts.len() - 1].to_vec()
                                }
                                _ => Vec::new(),
                            };
                            What::Function(callee, takes)
                        }
                    };
                    let origins = call.origins.iter().map(|(number, origins)| {
                        let origins = origins.iter().map(|origin| match *origin {
                            Origin::Type(of) => Source::Type(ty(of, &mut self.types)),
                            Origin::Parameter(number) => Source::Parameter(number),
                        });
                        (*number, origins.collect())
                    });
                    let origins = origins.collect();
                    Some(Call { what, span: call.span, name: call.name, origins })
                })
                .collect();
            let kept = facts.kept.iter().map(|kept| ty(kept.ty, &mut self.types)).collect();
            let casts: Vec<(TyId, TyId)> = facts
                .casts
                .iter()
                .map(|cast| (ty(cast.from, &mut self.types), ty(cast.to, &mut self.types)))
                .collect();
            self.casts.extend(&casts);
            // `inner::<impl at a.rs:6:5: 6:26>::go`, and what is nested in it.
            let mut of = None;
            if let Some(start) = name.find("<impl at ")
                && let Some(end) = crate::types::angle_end(&name[start + 1..])
            {
                let key = &name[..start + 1 + end];
                let index = *impls.entry(key.to_owned()).or_insert_with(|| {
                    let new = self.types_of_impl(&unit, &name[start + 9..start + end]);
                    self.impls.push(new);
                    self.impls.len() - 1
                });
                of = Some(index);
                if facts.has_self && name.rfind("{closure#").is_none() && self.impls[index].of.is_none() {
                    self.impls[index].of = inputs
                        .first()
                        .map(|&first| self.own_type(first, self.impls[index].of_name.as_deref()));
                }
            }
            let is_closure = name.rsplit("::").next().is_some_and(|last| last.starts_with("{closure#"));
            let first = inputs.first().map(|&first| self.types.ty(self.pointee(first)));
            if let Some(&Ty::Closure(closure, _)) = first.filter(|_| is_function && is_closure) {
                self.closures.entry(closure).or_default().push(id);
            }
            by_name.insert(name, id);
            self.bodies.push(Body {
                unit: unit_index,
                index,
                shown: String::new(),
                inputs,
                is_async,
                is_function,
                of,
                calls,
                creates: Vec::new(),
                within: None,
                kept,
                casts,
            });
        }
        for id in first..self.bodies.len() {
            let facts = &unit.bodies[self.bodies[id].index];
            let name = unit.text(facts.name);
            let mut shown = self.readable(&unit, name, self.bodies[id].of);
            if !self.bodies[id].is_async && name.ends_with('}') {
                shown.push_str("::{closure}");
            }
            self.bodies[id].shown = shown;
            self.bodies[id].creates = facts
                .creates
                .iter()
                .filter_map(|number| by_name.get(format!("{name}::{{closure#{number}}}").as_str()).copied())
                .filter(|&child| self.bodies[child].is_async)
                .collect();
            if let Some((before, last)) = name.rsplit_once("::") {
                if last.starts_with("{closure#") {
                    self.bodies[id].within = by_name.get(before).copied();
                    continue;
                }
                if let Some(index) = self.bodies[id].of {
                    let method = self.types.name(last);
                    self.impls[index].methods.insert(method, id);
                    self.methods.entry(method).or_default().push((index, id));
                    continue;
                }
            }
            if self.bodies[id].is_function {
                let whole = format!("{}::{name}", unit.crate_name);
                let path = self.types.name(&whole);
                let last = self.types.name(name.rsplit("::").next().unwrap_or(name));
                self.paths.entry(path).or_default().push(id);
                self.by_last.entry(last).or_default().push(id);
            }
        }
        self.units.push(unit);
    }

    /// Tells the types' reader which paths are the crate's own.
    fn scope(&mut self, unit: &Unit) {
        let mut scope = Scope { crate_name: unit.crate_name.clone(), ..Scope::default() };
        for body in &unit.bodies {
            let name = unit.text(body.name);
            if let Some((first, _)) = name.split_once("::")
                && !first.starts_with(['<', '{'])
            {
                scope.modules.insert(first.to_owned());
            }
        }
        for (index, file) in unit.files.iter().enumerate() {
            let Some(source) = self.sources.get(&unit.directory, file) else { continue };
            scope.declared.extend(source.declared(&["struct", "enum", "union", "trait", "type"]));
            for (header, associated) in source.impls_with_types() {
                self.impls.push(Impl {
                    crate_name: unit.crate_name.clone(),
                    interface: header.interface,
                    of: None,
                    of_name: header.of.as_deref().map(last_name),
                    parameters: Vec::new(),
                    methods: HashMap::new(),
                    associated,
                });
            }
            for (name, words) in source.fields() {
                self.fields.entry(name).or_default().extend(words);
            }
            if index == 0 {
                scope.modules.extend(source.declared(&["mod"]));
            }
        }
        self.declared.entry(unit.crate_name.clone()).or_default().extend(scope.declared.iter().cloned());
        // A module at the root that is called as a type is would take every path of that type.
        self.types.scope = scope;
    }

    fn types_of_impl(&mut self, unit: &Unit, place: &str) -> Impl {
        let mut result = Impl {
            crate_name: unit.crate_name.clone(),
            interface: None,
            of: None,
            of_name: None,
            parameters: Vec::new(),
            methods: HashMap::new(),
            associated: HashMap::new(),
        };
        let Some((file, [line, column, end_line, end_column])) = place_of(place) else { return result };
        let Some(source) = self.sources.get(&unit.directory, file) else { return result };
        let header = sources::header(&source.between(line, column, end_line, end_column));
        result.parameters = header.parameters.iter().map(|name| self.types.name(name)).collect();
        result.interface = header.interface;
        result.of_name = header.of.as_deref().map(last_name);
        // A blanket impl is for its own parameter.
        let own =
            header.of.as_deref().and_then(|of| header.parameters.iter().find(|parameter| *parameter == of));
        if let Some(own) = own {
            let parameter = self.types.name(own);
            result.of = Some(self.types.add(Ty::Path(parameter, Vec::new())));
        }
        result
    }

    /// What `self` is of: `&T`, `Box<T>`, `Pin<&mut T>` are ways to pass `T`, unless the impl is for a
    /// `Box` itself.
    fn own_type(&self, ty: TyId, of_name: Option<&str>) -> TyId {
        match self.types.ty(ty) {
            &Ty::Ref(of) => of,
            Ty::Path(name, args) => {
                let text = self.types.text(*name);
                let passes =
                    ["std::pin::Pin", "std::boxed::Box", "std::sync::Arc", "std::rc::Rc"].contains(&text);
                match args.first() {
                    Some(&of) if passes && text.rsplit("::").next() != of_name => self.own_type(of, of_name),
                    _ => ty,
                }
            }
            _ => ty,
        }
    }

    pub fn pointee(&self, ty: TyId) -> TyId {
        match self.types.ty(ty) {
            &Ty::Ref(of) => self.pointee(of),
            _ => ty,
        }
    }

    /// Where a piece of a body is for a reader, from the workspace's root. Code that a macro brought is
    /// where the macro is invoked; `rank` says which of several invocations: bodies are printed in the
    /// order of their text.
    pub fn place(&self, id: BodyId, span: Span, rank: usize, root: &Path) -> Place {
        let body = &self.bodies[id];
        let unit = &self.units[body.unit];
        let facts = &unit.bodies[body.index];
        let own = facts.place.file;
        let place = |span: Span| {
            let path = Path::new(&unit.directory).join(unit.text(span.file));
            let file = path.strip_prefix(root).map(Path::to_owned).unwrap_or(path);
            let Span { line, column, end_line, end_column, .. } = span;
            Place { file, line, column, end_line, end_column }
        };
        let mut names = self.macros_at(unit, span);
        let text = unit.text(span.file);
        if names.is_empty() && (span.file == own || unit.files.iter().any(|file| file == text)) {
            return place(span);
        }
        // The whole function may come from a macro: then its invocation names it.
        let from_macro = !self.macros_at(unit, facts.place).is_empty();
        let shown = body.shown.rsplit("::").next().unwrap_or("");
        let (first, last) = (facts.place.line, facts.last_line.max(facts.place.end_line));
        let mut known: HashSet<String> = names.iter().cloned().collect();
        while !names.is_empty() {
            let mut found: Vec<(Str, u32, u32, usize)> = Vec::new();
            for file in &unit.files {
                let Some(index) = unit.strings.iter().position(|text| text == file) else { continue };
                if !from_macro && index as Str != own {
                    continue;
                }
                let Some(source) = self.sources.get(&unit.directory, file) else { continue };
                let (first, last) = if from_macro { (1, source.len()) } else { (first, last) };
                for name in &names {
                    let length = name.chars().count() + 1;
                    let at = source.invocations(name, first, last).into_iter();
                    let at = at.filter(|(line, _)| !from_macro || source.line(*line).contains(shown));
                    found.extend(at.map(|(line, column)| (index as Str, line, column, length)));
                }
            }
            found.sort_unstable();
            let rank = if from_macro { 0 } else { rank };
            if let Some(&(file, line, column, length)) = found.get(rank).or(found.last()) {
                let end_column = column + length as u32;
                return place(Span { file, line, column, end_line: line, end_column });
            }
            // Perhaps another macro invokes it.
            let files = unit.files.iter().filter_map(|file| self.sources.get(&unit.directory, file));
            names = files
                .flat_map(|file| names.iter().flat_map(|name| file.macros_that_use(name)).collect::<Vec<_>>())
                .collect();
            names.retain(|name| known.insert(name.clone()));
        }
        // The last code before it that is the body's own.
        let is_own = |span: &Span| span.file == own && (first..=last).contains(&span.line);
        let before = body.calls.iter().take_while(|call| call.name != span && call.span != span);
        place(before.map(|call| call.name).filter(is_own).last().unwrap_or(facts.place))
    }

    /// The macros by example that code at this place may come from.
    fn macros_at(&self, unit: &Unit, span: Span) -> Vec<String> {
        let file = unit.text(span.file);
        if let Some(source) = self.sources.get(&unit.directory, file) {
            return source.macro_around(span.line).map(str::to_owned).into_iter().collect();
        }
        // The standard library's sources are not at hand as a rule.
        let standard = ["println", "print", "eprintln", "eprint", "writeln", "write", "dbg"];
        if file.starts_with("/rustc/") || file.contains("/library/") {
            standard.map(str::to_owned).into()
        } else {
            Vec::new()
        }
    }

    /// How many calls before this one have the same place in a macro.
    pub fn rank(&self, id: BodyId, call: usize) -> usize {
        let calls = &self.bodies[id].calls;
        calls[..call].iter().filter(|other| other.name == calls[call].name).count()
    }

    /// Whether the name can only be a generic parameter.
    pub fn is_parameter(&self, name: Name, crate_name: &str) -> bool {
        let text = self.types.text(name);
        !text.contains("::")
            && !PRIMITIVES.contains(&text)
            && !self.declared.get(crate_name).is_some_and(|declared| declared.contains(text))
    }

    /// Whether two paths may name one type: the last names agree, and one path is the other's shorter
    /// form, or leads through another crate of the workspace.
    pub fn same(&self, a: Name, b: Name) -> bool {
        let (a, b) = (self.types.text(a), self.types.text(b));
        if a.rsplit("::").next() != b.rsplit("::").next() || !a.contains("::") || !b.contains("::") {
            return false;
        }
        let (first_a, first_b) = (a.split("::").next().unwrap_or(a), b.split("::").next().unwrap_or(b));
        if !self.crates.contains(first_a) || !self.crates.contains(first_b) {
            return false;
        }
        first_a != first_b || is_subsequence(a, b) || is_subsequence(b, a)
    }

    /// The functions of the workspace that a path may name.
    pub fn functions(&self, path: Name) -> Vec<BodyId> {
        if let Some(found) = self.paths.get(&path) {
            return found.clone();
        }
        let text = self.types.text(path);
        let Some((_, last)) = text.rsplit_once("::") else { return Vec::new() };
        let Some(last) = self.types.find_name(last) else { return Vec::new() };
        if !self.is_own_crate(path) {
            return Vec::new();
        }
        let candidates = self.by_last.get(&last).map_or(&[][..], Vec::as_slice);
        let whole = |id: &BodyId| {
            let body = &self.bodies[*id];
            format!(
                "{}::{}",
                self.units[body.unit].crate_name,
                self.units[body.unit].text(self.facts(*id).name)
            )
        };
        candidates.iter().copied().filter(|id| is_subsequence(text, &whole(id))).collect()
    }

    /// The functions of other crates of the workspace that the path may name, if its crate only exports
    /// them.
    pub fn exported(&self, path: Name) -> Vec<BodyId> {
        let text = self.types.text(path);
        let Some(last) = text.rsplit("::").next().and_then(|last| self.types.find_name(last)) else {
            return Vec::new();
        };
        let home = text.split("::").next().unwrap_or(text);
        let candidates = self.by_last.get(&last).map_or(&[][..], Vec::as_slice);
        let found = candidates.iter().copied().filter(|&id| {
            let unit = &self.units[self.bodies[id].unit];
            unit.crate_name != home && unit.is_library
        });
        found.collect()
    }

    /// The constant or static of this name, as its crate prints it.
    pub fn constant(&self, unit: usize, name: &str) -> Option<BodyId> {
        (0..self.bodies.len()).find(|&id| {
            let body = &self.bodies[id];
            !body.is_function && body.unit == unit && self.units[unit].text(self.facts(id).name) == name
        })
    }

    /// Whether the path may name a function: of a crate at hand it has to be there.
    pub fn may_have(&self, path: &str) -> bool {
        let Some((crate_name, rest)) = path.split_once("::") else { return false };
        if !self.crates.contains(crate_name) {
            return true;
        }
        let last = rest.rsplit("::").next().unwrap_or(rest);
        self.bodies.iter().any(|body| {
            body.is_function
                && self.units[body.unit].crate_name == crate_name
                && body.shown.rsplit("::").next() == Some(last)
        })
    }

    /// Fits what a body takes to what it is given: what its generic parameters stand for.
    /// Says whether all fits.
    pub fn bind(&self, body: BodyId, given: &[TyId], found: &mut Subst) -> bool {
        let crate_name = &self.units[self.bodies[body].unit].crate_name;
        let pairs = self.bodies[body].inputs.iter().zip(given);
        pairs.fold(true, |all, (&pattern, &ty)| self.fits(pattern, ty, crate_name, found) && all)
    }

    pub fn fits(&self, pattern: TyId, ty: TyId, crate_name: &str, found: &mut Subst) -> bool {
        self.types.fits(
            pattern,
            ty,
            &|a, b| self.same(a, b),
            &|name| self.is_parameter(name, crate_name),
            found,
        )
    }
}

/// `Type` of `&'a path::Type<T>`.
fn last_name(ty: &str) -> String {
    let path = ty.trim_start_matches(['&', ' ']).split('<').next().unwrap_or("").trim();
    path.rsplit("::").next().unwrap_or(path).to_owned()
}

/// `src/a.rs:6:5: 6:26`.
fn place_of(text: &str) -> Option<(&str, [u32; 4])> {
    let (start, end) = text.rsplit_once(": ")?;
    let (end_line, end_column) = end.split_once(':')?;
    let (start, column) = start.rsplit_once(':')?;
    let (file, line) = start.rsplit_once(':')?;
    Some((file, [line.parse().ok()?, column.parse().ok()?, end_line.parse().ok()?, end_column.parse().ok()?]))
}

fn is_subsequence(short: &str, long: &str) -> bool {
    let mut rest = long.split("::");
    short.split("::").all(|part| rest.any(|other| other == part))
}

const PRIMITIVES: [&str; 19] = [
    "bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128",
    "isize", "f16", "f32", "f64", "f128",
];
