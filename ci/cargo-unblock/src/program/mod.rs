//! Which bodies does the workspace have, and what does each name stand for?
//!
//! Puts the facts of all crates together: every function, closure, async body and impl can then be found
//! by what a call elsewhere prints. Two crates print one function differently (`inner::f` at home,
//! `lib::f` where it is used, if `lib` exports it so); [`Program::functions`] bridges that.

mod names;
mod places;

use std::path::Path;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::facts::{Origin, Span, Str, Target, Unit};
use crate::sources::{self, Sources};
use crate::types::{Callee, Name, Scope, Ty, TyId, Types};

pub type BodyId = usize;

/// The path without the number that stands behind the name of a crate that is no library, so that its
/// paths are not taken for the library's.
pub fn plain(path: &str) -> String {
    match path.split_once('~') {
        Some((before, rest)) => {
            format!("{before}{}", plain(rest.trim_start_matches(|c: char| c.is_ascii_digit())))
        }
        None => path.to_owned(),
    }
}

pub struct Program {
    pub types: Types,
    pub units: Vec<Unit>,
    pub bodies: Vec<Body>,
    pub impls: Vec<Impl>,
    pub sources: Sources,
    /// Functions by their whole path.
    paths: FxHashMap<Name, Vec<BodyId>>,
    /// The same by the last name of the path.
    by_last: FxHashMap<Name, Vec<BodyId>>,
    /// Bodies of closures by the closure's type.
    pub closures: FxHashMap<Name, Vec<BodyId>>,
    /// Impls by the methods that they define.
    pub methods: FxHashMap<Name, Vec<(usize, BodyId)>>,
    /// The words in the types of fields, by the name of the struct or enum.
    pub fields: FxHashMap<String, FxHashSet<String>>,
    /// What becomes `dyn …` or a function pointer: (from, to).
    pub casts: FxHashSet<(TyId, TyId)>,
    /// Closures and async bodies by the body that they stand in.
    nested: FxHashMap<Option<BodyId>, Vec<BodyId>>,
    crates: FxHashSet<String>,
    /// Paths under which types have impls: these are their own, not another crate's export.
    pub homes: FxHashSet<String>,
    exports: FxHashMap<String, String>,
    /// Names of types that a crate declares: they are no generic parameters.
    declared: FxHashMap<String, FxHashSet<String>>,
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
    /// The module that it stands in, with the crate in front.
    pub module: String,
    pub methods: FxHashMap<Name, BodyId>,
    /// What it gives to the trait's types: the last names.
    pub associated: FxHashMap<String, String>,
}

impl Program {
    pub fn new(mut units: Vec<Unit>) -> Program {
        // A package's program is often called as its library is: their functions are different ones.
        for (number, unit) in units.iter_mut().enumerate().filter(|(_, unit)| !unit.is_library) {
            unit.crate_name = format!("{}~{number}", unit.crate_name);
        }
        let mut program = Program {
            types: Types::default(),
            units: Vec::new(),
            bodies: Vec::new(),
            impls: Vec::new(),
            sources: Sources::default(),
            paths: FxHashMap::default(),
            by_last: FxHashMap::default(),
            closures: FxHashMap::default(),
            methods: FxHashMap::default(),
            fields: FxHashMap::default(),
            casts: FxHashSet::default(),
            crates: units.iter().map(|unit| unit.crate_name.clone()).collect(),
            declared: FxHashMap::default(),
            homes: FxHashSet::default(),
            nested: FxHashMap::default(),
            exports: FxHashMap::default(),
        };
        for unit in &units {
            program.note_exports(unit);
        }
        for unit in units {
            program.add(unit);
        }
        for of in &program.impls {
            match (of.of.map(|ty| program.types.ty(ty)), &of.of_name) {
                (Some(Ty::Path(path, _)), _) => program.homes.insert(program.types.text(*path).to_owned()),
                (_, Some(name)) => program.homes.insert(format!("{}{name}", of.module)),
                _ => false,
            };
        }
        program
    }

    pub fn is_own_crate(&self, path: Name) -> bool {
        let text = self.types.text(path);
        self.crates.contains(text.split("::").next().unwrap_or(text))
    }

    /// The body, and all closures and async bodies in it.
    pub fn with_nested(&self, body: BodyId) -> Vec<BodyId> {
        let mut all = vec![body];
        let mut at = 0;
        while at < all.len() {
            all.extend(self.nested.get(&Some(all[at])).into_iter().flatten());
            at += 1;
        }
        all
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
        let mut types: FxHashMap<Str, TyId> = FxHashMap::default();
        let mut callees: FxHashMap<Str, Option<Callee>> = FxHashMap::default();
        let mut impls: FxHashMap<String, usize> = FxHashMap::default();
        let mut by_name: FxHashMap<&str, BodyId> = FxHashMap::default();
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
                    let mut new = self.types_of_impl(&unit, &name[start + 9..start + end]);
                    new.module = format!("{}::{}", unit.crate_name, &name[..start]);
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
                    self.nested.entry(self.bodies[id].within).or_default().push(id);
                    continue;
                }
                if let Some(index) = self.bodies[id].of {
                    let method = self.types.name(last.trim_start_matches("r#"));
                    self.impls[index].methods.insert(method, id);
                    self.methods.entry(method).or_default().push((index, id));
                    continue;
                }
            }
            if self.bodies[id].is_function {
                let name = name.replace("r#", "");
                let whole = format!("{}::{name}", unit.crate_name);
                let path = self.types.name(&whole);
                let last = self.types.name(name.rsplit("::").next().unwrap_or(&name));
                self.paths.entry(path).or_default().push(id);
                self.by_last.entry(last).or_default().push(id);
            }
        }
        self.units.push(unit);
    }

    /// What the crate exports of std.
    fn note_exports(&mut self, unit: &Unit) {
        let root = unit.files.first().and_then(|file| Path::new(file).parent()).unwrap_or(Path::new(""));
        for file in &unit.files {
            let Some(source) = self.sources.get(&unit.directory, file) else { continue };
            let module = Path::new(file).strip_prefix(root).unwrap_or(Path::new(file)).with_extension("");
            let mut before = unit.crate_name.clone();
            for part in module.iter().filter_map(|part| part.to_str()) {
                if !["lib", "main", "mod"].contains(&part) {
                    before = format!("{before}::{part}");
                }
            }
            for (name, path) in source.exports() {
                let first = path.split("::").next().unwrap_or(&path);
                if name != "*" && ["std", "core", "alloc"].contains(&first) {
                    let last = path.rsplit("::").next().unwrap_or(&path);
                    self.exports.insert(format!("{before}::{last}"), path.clone());
                }
            }
        }
    }

    /// Tells the types' reader which paths are the crate's own.
    fn scope(&mut self, unit: &Unit) {
        let mut scope = Scope {
            crate_name: unit.crate_name.clone(),
            directory: unit.directory.clone(),
            exports: self.exports.clone(),
            ..Scope::default()
        };
        for body in &unit.bodies {
            let name = unit.text(body.name);
            if let Some((first, _)) = name.split_once("::")
                && !first.starts_with(['<', '{'])
            {
                scope.modules.insert(first.trim_start_matches("r#").to_owned());
            }
        }
        for (index, file) in unit.files.iter().enumerate() {
            let Some(source) = self.sources.get(&unit.directory, file) else { continue };
            for (header, associated) in source.impls_with_types() {
                self.impls.push(Impl {
                    crate_name: unit.crate_name.clone(),
                    interface: header.interface,
                    of: None,
                    of_name: header.of.as_deref().map(last_name),
                    parameters: Vec::new(),
                    module: String::new(),
                    methods: FxHashMap::default(),
                    associated,
                });
            }
            for (name, words) in source.fields() {
                self.fields.entry(name).or_default().extend(words);
            }
            if index == 0 {
                // Only what stands at the root is printed without a path, as a generic parameter is.
                scope.declared = source.outer(&["struct", "enum", "union", "trait"]);
                scope.modules.extend(source.outer(&["mod"]));
            }
        }
        for root in ["std", "core", "alloc"] {
            scope.modules.remove(root);
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
            module: String::new(),
            methods: FxHashMap::default(),
            associated: FxHashMap::default(),
        };
        let Some((file, [line, column, end_line, end_column])) = place_of(place) else { return result };
        let Some(source) = self.sources.get(&unit.directory, file) else { return result };
        let header = sources::header(&source.between(line, column, end_line, end_column));
        result.parameters = header.parameters.iter().map(|name| self.types.name(name)).collect();
        let renames = source.renames();
        let at_home = |name: String| renames.get(&name).cloned().unwrap_or(name);
        result.interface = header.interface.map(at_home);
        result.of_name = header.of.as_deref().map(last_name).map(at_home);
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
