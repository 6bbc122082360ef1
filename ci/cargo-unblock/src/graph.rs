//! What does each body call, once its generic parameters are known?
//!
//! A node is a body together with what its generic parameters stand for: `read_all::<File>` and
//! `read_all::<Cursor>` are two. An edge is a call that runs on the caller's thread. A closure that is
//! handed on is an edge from where it is called, not from where it stands; one that is handed to an
//! offloader is no edge at all. [`Dispatch`] says how far calls through `dyn`, function pointers and
//! unknown parameters are followed.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::facts::Span;
use crate::list::{List, Tier};
use crate::program::{BodyId, Program, Source, What};
use crate::types::{Callee, Name, Subst, Ty, TyId};

pub type NodeId = usize;

/// Which implementations a call through `dyn Trait`, `dyn Fn` or `fn` may reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Dispatch {
    /// None: such calls are taken to be harmless.
    None,
    /// Those whose type becomes that `dyn Trait` or `fn` somewhere in the workspace.
    #[default]
    Seen,
    /// Every implementation in the workspace, and for generic functions too that nobody calls.
    All,
}

/// A body with what its generic parameters stand for.
pub struct Node {
    pub body: BodyId,
    pub subst: Subst,
    pub edges: Vec<Edge>,
}

#[derive(Clone, Debug)]
pub struct Edge {
    pub to: To,
    pub span: Span,
    /// The name that is called.
    pub name: Span,
    /// Which of the body's calls it is.
    pub call: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum To {
    Node(NodeId),
    /// An entry of the list, and what is called as a reader writes it.
    Blocking(usize, String),
}

pub struct Graph<'a> {
    pub program: &'a mut Program,
    pub list: &'a List,
    dispatch: Dispatch,
    pub nodes: Vec<Node>,
    ids: HashMap<(BodyId, Subst), NodeId>,
    per_body: HashMap<BodyId, usize>,
    queue: VecDeque<NodeId>,
    /// Nodes that run on the event loop, though nothing in the workspace polls them.
    pub called_by_loop: HashSet<NodeId>,
    /// Nodes that are handed to an offloader.
    pub offloaded: HashSet<NodeId>,
    /// Async bodies that a `block_on` drives, by the node that calls it.
    pub driven: Vec<(NodeId, Name)>,
    /// What the arguments of the call at hand were before their type was hidden: the first is 1, a
    /// pointer that is called is 0.
    origins: HashMap<u32, Vec<TyId>>,
    /// The node at hand, and those whose calls depend on what becomes `dyn` or a function pointer.
    current: NodeId,
    by_cast: HashSet<NodeId>,
}

/// A generic function is looked at with at most so many sets of types. Higher costs time in code that
/// instantiates without end; lower misses the types that come last.
const MAX_NODES_PER_BODY: usize = 500;
/// Rounds after which no further types are looked for that become `dyn`: two are usual.
const MAX_ROUNDS: usize = 6;
/// Types nested deeper are taken to be recursion, and not followed.
const MAX_TYPE_DEPTH: usize = 24;

/// A type that implements a trait is often used through another one: what is called, which trait, which
/// method. The last names say enough: no list of what blocks is involved.
const CONVERSIONS: [(&str, &str, &str); 13] = [
    ("parse", "FromStr", "from_str"),
    ("into", "From", "from"),
    ("try_into", "TryFrom", "try_from"),
    ("to_string", "Display", "fmt"),
    ("new_display", "Display", "fmt"),
    ("new_debug", "Debug", "fmt"),
    ("new_lower_hex", "LowerHex", "fmt"),
    ("collect", "FromIterator", "from_iter"),
    ("sum", "Sum", "sum"),
    ("unwrap_or_default", "Default", "default"),
    ("take", "Default", "default"),
    ("extend", "Extend", "extend"),
    ("contains", "PartialEq", "eq"),
];

/// What passes calls on to the value that it holds.
const HOLDERS: [&str; 4] = ["std::boxed::Box", "std::sync::Arc", "std::rc::Rc", "std::pin::Pin"];

const LAZY_VALUES: [&str; 3] = ["std::sync::LazyLock", "std::cell::LazyCell", "once_cell::sync::Lazy"];

const IO_TRAITS: [&str; 4] = ["Read", "BufRead", "Write", "Seek"];

impl<'a> Graph<'a> {
    pub fn new(program: &'a mut Program, list: &'a List, dispatch: Dispatch) -> Graph<'a> {
        let mut graph = Graph {
            program,
            list,
            dispatch,
            nodes: Vec::new(),
            ids: HashMap::new(),
            per_body: HashMap::new(),
            queue: VecDeque::new(),
            called_by_loop: HashSet::new(),
            offloaded: HashSet::new(),
            driven: Vec::new(),
            origins: HashMap::new(),
            current: 0,
            by_cast: HashSet::new(),
        };
        for body in 0..graph.program.bodies.len() {
            graph.node(body, Subst::new());
        }
        // Generic functions bring further types to `dyn`, which calls elsewhere may then reach.
        for _ in 0..MAX_ROUNDS {
            let before = graph.program.casts.len();
            while let Some(node) = graph.queue.pop_front() {
                graph.expand(node);
            }
            if graph.program.casts.len() == before {
                break;
            }
            graph.queue.extend(&graph.by_cast);
        }
        graph
    }

    pub fn body(&self, node: NodeId) -> &crate::program::Body {
        &self.program.bodies[self.nodes[node].body]
    }

    fn node(&mut self, body: BodyId, subst: Subst) -> Option<NodeId> {
        if let Some(&id) = self.ids.get(&(body, subst.clone())) {
            return Some(id);
        }
        if subst.iter().any(|&(_, ty)| self.program.types.depth(ty) > MAX_TYPE_DEPTH) {
            return None;
        }
        let count = self.per_body.entry(body).or_default();
        if *count >= MAX_NODES_PER_BODY {
            return None;
        }
        *count += 1;
        let id = self.nodes.len();
        self.nodes.push(Node { body, subst: subst.clone(), edges: Vec::new() });
        self.ids.insert((body, subst), id);
        self.queue.push_back(id);
        Some(id)
    }

    fn expand(&mut self, id: NodeId) {
        let body = self.nodes[id].body;
        let subst = self.nodes[id].subst.clone();
        self.current = id;
        if !subst.is_empty() {
            for (from, to) in self.program.bodies[body].casts.clone() {
                let pair =
                    (self.program.types.substitute(from, &subst), self.program.types.substitute(to, &subst));
                self.program.casts.insert(pair);
            }
        }
        // An async body runs with the parameters of the function that makes it.
        for child in self.program.bodies[body].creates.clone() {
            self.node(child, subst.clone());
        }
        let mut edges = Vec::new();
        for index in 0..self.program.bodies[body].calls.len() {
            let call = &self.program.bodies[body].calls[index];
            let (span, name, what) = (call.span, call.name, call.what.clone());
            let origins = if self.dispatch == Dispatch::None { Vec::new() } else { call.origins.clone() };
            self.origins = origins
                .into_iter()
                .filter_map(|(number, of)| Some((number, self.known(of, &subst)?)))
                .collect();
            let mut found = Found::default();
            match what {
                What::Pointer(ty) => {
                    let ty = self.program.types.substitute(ty, &subst);
                    match self.origins.get(&0).cloned() {
                        Some(origins) => origins.into_iter().for_each(|ty| self.run_value(ty, &mut found)),
                        None => self.run_value(ty, &mut found),
                    }
                }
                What::Drop(ty) => {
                    let ty = self.program.types.substitute(ty, &subst);
                    self.drop_value(ty, &mut found, &mut HashSet::new());
                }
                What::Function(callee, given) => {
                    let callee = self.program.types.substitute_callee(&callee, &subst);
                    let given: Vec<TyId> =
                        given.into_iter().map(|ty| self.program.types.substitute(ty, &subst)).collect();
                    self.call(&callee, &given, &mut found);
                }
            }
            for name in found.driven {
                self.driven.push((id, name));
            }
            let mut seen = HashSet::new();
            edges.extend(found.to.into_iter().filter(|to| seen.insert(to.clone())).map(|to| Edge {
                to,
                span,
                name,
                call: index,
            }));
        }
        self.nodes[id].edges = edges;
    }

    /// What hidden types are, if all of it is known.
    fn known(&mut self, origins: Vec<Source>, subst: &Subst) -> Option<Vec<TyId>> {
        let mut known = Vec::new();
        for origin in origins {
            match origin {
                Source::Type(ty) => match *self.program.types.ty(ty) {
                    // A static holds what its own text puts there.
                    Ty::Other(name) => {
                        let unit = self.program.bodies[self.nodes[self.current].body].unit;
                        let name =
                            self.program.types.text(name).strip_prefix("{static ")?.trim_end_matches('}');
                        let body = self.program.constant(unit, name)?;
                        let casts = &self.program.bodies[body].casts;
                        known.extend(casts.iter().map(|&(from, _)| from));
                        if casts.is_empty() {
                            return None;
                        }
                    }
                    _ => known.push(self.program.types.substitute(ty, subst)),
                },
                Source::Parameter(number) => {
                    let name = self.program.types.name(&format!("_{number}"));
                    let &(_, ty) = subst.iter().find(|(parameter, _)| *parameter == name)?;
                    let Ty::Tuple(parts) = self.program.types.ty(ty) else { return None };
                    known.extend(parts);
                }
            }
        }
        let bare: Vec<TyId> = known.into_iter().map(|ty| self.bare(ty)).collect();
        // One `dyn` that becomes another says nothing new.
        (!bare.iter().any(|&ty| matches!(self.program.types.ty(ty), Ty::Dyn(_)))).then_some(bare)
    }

    /// The type within references and boxes.
    fn bare(&self, ty: TyId) -> TyId {
        match self.program.types.ty(ty) {
            &Ty::Ref(of) => self.bare(of),
            Ty::Path(name, args) if HOLDERS.contains(&self.program.types.text(*name)) => {
                args.first().map_or(ty, |&of| self.bare(of))
            }
            _ => ty,
        }
    }

    /// Hands on to a body what hidden types its arguments are.
    fn pass_origins(&mut self, body: BodyId, subst: &mut Subst) {
        let mut numbers: Vec<u32> = self.origins.keys().copied().filter(|&number| number > 0).collect();
        numbers.sort_unstable();
        for number in numbers {
            let hides = self.program.bodies[body].inputs.get(number as usize - 1).is_some_and(|&input| {
                let mut hides = false;
                self.program.types.walk(input, &mut |ty, _| {
                    hides |= matches!(ty, Ty::Dyn(_) | Ty::FnPointer(_));
                    true
                });
                hides
            });
            if hides {
                let name = self.program.types.name(&format!("_{number}"));
                let parts = self.origins[&number].clone();
                let parts = self.program.types.add(Ty::Tuple(parts));
                subst.push((name, parts));
            }
        }
        subst.sort_unstable();
    }

    fn into(&mut self, body: BodyId, subst: Subst, found: &mut Found) {
        // What is polled is an entry of its own: calling it only makes the future, or is `poll` itself.
        if self.program.bodies[body].is_async {
            return;
        }
        if let Some(node) = self.node(body, subst) {
            found.to.push(To::Node(node));
        }
    }

    fn blocks(&mut self, entry: usize, shown: String, found: &mut Found) {
        if self.list.reports(self.list.entries[entry].tier) {
            found.to.push(To::Blocking(entry, shown));
        }
    }

    fn call(&mut self, callee: &Callee, given: &[TyId], found: &mut Found) {
        match callee {
            Callee::Trait { of, interface, method, own } => {
                self.call_method(*of, *interface, *method, own, given, found)
            }
            Callee::Path { path, owner, own } => self.call_path(*path, owner, own, given, found),
        }
    }

    fn call_path(&mut self, path: Name, owner: &[TyId], own: &[TyId], given: &[TyId], found: &mut Found) {
        let text = self.program.types.text(path).to_owned();
        // The project's own entries go before its own functions.
        if let Some(entry) =
            self.list.get(&text, &[Tier::Block, Tier::Offload]).filter(|&entry| self.list.entries[entry].own)
        {
            return self.listed(entry, &text, owner, own, given, found);
        }
        if self.program.is_own_crate(path) {
            let functions = self.program.functions(path);
            let known = functions.iter().map(|&body| (body, Subst::new())).collect();
            if self.fitting(known, own, given, found) || self.inherent(&text, owner, own, given, found) {
                return;
            }
            let exported = self.program.exported(path).into_iter().map(|body| (body, Subst::new())).collect();
            if self.fitting(exported, own, given, found) {
                return;
            }
        }
        // A module of the workspace may be called as a crate is.
        let outer = text.split_once("::").map_or(text.as_str(), |(first, rest)| {
            if self.program.is_own_crate(path) && rest.contains("::") {
                rest
            } else {
                let _ = first;
                text.as_str()
            }
        });
        let tiers = [Tier::Block, Tier::Offload, Tier::Minor, Tier::Print, Tier::Reader, Tier::Resolve];
        match self.list.get(outer, &tiers) {
            Some(entry) => self.listed(entry, outer, owner, own, given, found),
            None => self.external(outer, None, own, given, owner, found),
        }
    }

    /// A method of an `impl` without a trait. Says whether there is one.
    fn inherent(
        &mut self,
        path: &str,
        owner: &[TyId],
        own: &[TyId],
        given: &[TyId],
        found: &mut Found,
    ) -> bool {
        let Some((ty, method)) = path.rsplit_once("::") else { return false };
        let (ty, method) = (self.program.types.name(ty), self.program.types.name(method));
        let ty = self.program.types.add(Ty::Path(ty, owner.to_vec()));
        let mut candidates = Vec::new();
        for (index, body) in self.program.methods.get(&method).cloned().unwrap_or_default() {
            let mut subst = Subst::new();
            if self.program.impls[index].interface.is_none() && self.is_for(index, ty, &mut subst) {
                candidates.push((body, subst));
            }
        }
        self.fitting(candidates, own, given, found)
    }

    /// Calls those bodies that take what is given: all, if none seems to. Says whether there are any.
    fn fitting(
        &mut self,
        candidates: Vec<(BodyId, Subst)>,
        own: &[TyId],
        given: &[TyId],
        found: &mut Found,
    ) -> bool {
        let mut bound: Vec<(bool, BodyId, Subst)> = candidates
            .into_iter()
            .map(|(body, mut subst)| (self.program.bind(body, given, &mut subst), body, subst))
            .collect();
        if bound.iter().any(|(fits, ..)| *fits) {
            bound.retain(|(fits, ..)| *fits);
        }
        let any = !bound.is_empty();
        for (_, body, mut subst) in bound {
            self.bind_by_name(body, own, &mut subst);
            self.pass_origins(body, &mut subst);
            self.into(body, subst, found);
        }
        any
    }

    /// A parameter that no argument shows, as in `load::<T>()`, is found when it is the only one left.
    fn bind_by_name(&mut self, body: BodyId, own: &[TyId], subst: &mut Subst) {
        let crate_name = self.program.units[self.program.bodies[body].unit].crate_name.clone();
        let mut open = Vec::new();
        for call in &self.program.bodies[body].calls {
            let What::Function(callee, given) = &call.what else { continue };
            let mut look = |ty: TyId| {
                self.program.types.walk(ty, &mut |ty, _| {
                    if let Ty::Path(name, args) = ty
                        && args.is_empty()
                        && self.program.is_parameter(*name, &crate_name)
                        && !subst.iter().any(|(known, _)| known == name)
                        && !open.contains(name)
                    {
                        open.push(*name);
                    }
                    true
                });
            };
            given.iter().for_each(|&ty| look(ty));
            match callee {
                Callee::Path { owner, own, .. } => owner.iter().chain(own).for_each(|&ty| look(ty)),
                Callee::Trait { of, own, .. } => [of].into_iter().chain(own).for_each(|&ty| look(ty)),
            }
        }
        let known: Vec<TyId> = subst.iter().map(|&(_, ty)| ty).collect();
        let left: Vec<TyId> = own.iter().copied().filter(|ty| !known.contains(ty)).collect();
        if let ([name], [ty]) = (&open[..], &left[..]) {
            subst.push((*name, *ty));
            subst.sort_unstable();
        }
    }

    /// Whether the impl is for this type, and what its parameters then stand for.
    fn is_for(&self, index: usize, ty: TyId, subst: &mut Subst) -> bool {
        let of = &self.program.impls[index];
        if matches!(self.program.types.ty(ty), Ty::Projection(..)) {
            return false;
        }
        match (of.of, &of.of_name) {
            (Some(pattern), _) => {
                let parameters = &of.parameters;
                let mut found = Subst::new();
                let fits = self.program.types.fits(
                    pattern,
                    ty,
                    &|a, b| self.program.same(a, b),
                    &|name| {
                        parameters.contains(&name)
                            || (parameters.is_empty() && self.program.is_parameter(name, &of.crate_name))
                    },
                    &mut found,
                );
                if fits {
                    subst.extend(found);
                    subst.sort_unstable();
                    subst.dedup();
                }
                fits
            }
            (None, Some(name)) => match self.program.types.ty(ty) {
                Ty::Path(path, _) => self.program.types.text(*path).rsplit("::").next() == Some(name),
                _ => false,
            },
            (None, None) => false,
        }
    }

    fn interface_name(&self, interface: TyId) -> String {
        match self.program.types.ty(interface) {
            Ty::Path(name, _) => self.program.types.text(*name).to_owned(),
            _ => String::new(),
        }
    }

    fn call_method(
        &mut self,
        of: TyId,
        interface: TyId,
        method: Name,
        own: &[TyId],
        given: &[TyId],
        found: &mut Found,
    ) {
        let interface_name = self.interface_name(interface);
        let last = interface_name.rsplit("::").next().unwrap_or("").to_owned();
        if matches!(last.as_str(), "Fn" | "FnMut" | "FnOnce" | "AsyncFn" | "AsyncFnMut" | "AsyncFnOnce")
            && interface_name.starts_with("std::ops")
        {
            let hidden = self.bare(of);
            return match self.origins.get(&1).cloned() {
                Some(known) if matches!(self.program.types.ty(hidden), Ty::Dyn(_) | Ty::FnPointer(_)) => {
                    known.into_iter().for_each(|ty| self.run_value(ty, found));
                }
                _ => self.run_value(of, found),
            };
        }
        let of = self.resolved(of);
        let text = format!("{interface_name}::{}", self.program.types.text(method));
        if let Some(entry) =
            self.list.get(&text, &[Tier::Block, Tier::Offload]).filter(|&entry| self.list.entries[entry].own)
        {
            return self.listed(entry, &text, &[of], own, given, found);
        }
        if self.methods_of(of, interface, &last, method, own, given, found, 0) {
            return;
        }
        let tiers = [Tier::Block, Tier::Offload, Tier::Minor, Tier::Print, Tier::Reader, Tier::Resolve];
        match self.list.get(&text, &tiers) {
            Some(entry) => {
                let shown = format!(
                    "<{} as {interface_name}>::{}",
                    self.program.types.show(of),
                    self.program.types.text(method)
                );
                self.listed_as(entry, &text, shown, &[of], own, given, found);
            }
            None => {
                let around = match self.program.types.ty(interface) {
                    Ty::Path(_, args) => args.clone(),
                    _ => Vec::new(),
                };
                self.external(&text, Some(of), own, given, &around, found);
            }
        }
    }

    /// The type behind `<T as Trait>::Name`, where the impl's text says it.
    fn resolved(&mut self, ty: TyId) -> TyId {
        let Ty::Projection(of, interface, name) = *self.program.types.ty(ty) else { return ty };
        let of = self.resolved(of);
        let interface = self.interface_name(interface);
        let last = interface.rsplit("::").next().unwrap_or("");
        let name = self.program.types.text(name).to_owned();
        for index in 0..self.program.impls.len() {
            let candidate = &self.program.impls[index];
            if candidate.interface.as_deref() != Some(last) || !self.is_for(index, of, &mut Subst::new()) {
                continue;
            }
            let Some(named) = candidate.associated.get(&name) else { continue };
            let found = self.program.impls.iter().filter_map(|of| of.of).find(|&ty| {
                match self.program.types.ty(ty) {
                    Ty::Path(path, _) => self.program.types.text(*path).rsplit("::").next() == Some(named),
                    _ => false,
                }
            });
            if let Some(found) = found {
                return found;
            }
        }
        // What a collection gives out is not known by name; an iterator gives itself.
        if (last, name.as_str()) == ("IntoIterator", "IntoIter") { of } else { ty }
    }

    /// The bodies in the workspace that `<of as interface>::method` runs. Says whether there are any, or
    /// none could be anywhere else.
    #[expect(clippy::too_many_arguments, reason = "a call has so many parts")]
    fn methods_of(
        &mut self,
        of: TyId,
        interface: TyId,
        last: &str,
        method: Name,
        own: &[TyId],
        given: &[TyId],
        found: &mut Found,
        depth: usize,
    ) -> bool {
        if depth > 4 {
            return false;
        }
        if let Ty::Dyn(_) = self.program.types.ty(of) {
            let before = found.to.len();
            let seen = match self.origins.get(&1) {
                Some(known) => known.clone(),
                None => self.cast_to(of),
            };
            // What nobody in the workspace makes comes from outside: it may be any of them.
            if seen.is_empty() && self.dispatch == Dispatch::Seen {
                self.every_impl(last, method, found);
                self.default_method(of, interface, method, given, found);
            }
            for from in seen {
                if !self.methods_of(from, interface, last, method, own, &[], found, depth + 1) {
                    let name = self.interface_name(interface);
                    let text = format!("{name}::{}", self.program.types.text(method));
                    if let Some(entry) = self.list.get(&text, &[Tier::Block, Tier::Reader, Tier::Minor]) {
                        let shown = format!(
                            "<{} as {name}>::{}",
                            self.program.types.show(from),
                            self.program.types.text(method)
                        );
                        self.listed_as(entry, &text, shown, &[from], own, given, found);
                    }
                }
            }
            if self.dispatch == Dispatch::All {
                self.every_impl(last, method, found);
            }
            // A method that the trait itself defines may be called on the `dyn`.
            if found.to.len() == before {
                self.default_method(of, interface, method, given, found);
            }
            return true;
        }
        let mut candidates = Vec::new();
        for (index, body) in self.program.methods.get(&method).cloned().unwrap_or_default() {
            let mut subst = Subst::new();
            if self.program.impls[index].interface.as_deref() == Some(last)
                && self.is_for(index, of, &mut subst)
            {
                candidates.push((body, subst));
            }
        }
        if self.fitting(candidates, own, given, found) {
            return true;
        }
        if self.default_method(of, interface, method, given, found) {
            return true;
        }
        // A parameter that nobody fills in.
        if let Ty::Path(name, args) = self.program.types.ty(of)
            && args.is_empty()
            && !self.program.types.text(*name).contains("::")
            && self.dispatch == Dispatch::All
        {
            self.every_impl(last, method, found);
        }
        // `&T` and `Box<T>` pass on what `T` does.
        let inner = match self.program.types.ty(of) {
            &Ty::Ref(inner) => Some(inner),
            Ty::Path(name, args) if self.program.types.text(*name) == "std::boxed::Box" => {
                args.first().copied()
            }
            _ => None,
        };
        match inner {
            Some(inner) => self.methods_of(inner, interface, last, method, own, &[], found, depth + 1),
            None => false,
        }
    }

    fn default_method(
        &mut self,
        of: TyId,
        interface: TyId,
        method: Name,
        given: &[TyId],
        found: &mut Found,
    ) -> bool {
        let Ty::Path(interface, _) = *self.program.types.ty(interface) else { return false };
        if !self.program.is_own_crate(interface) {
            return false;
        }
        let path = format!("{}::{}", self.program.types.text(interface), self.program.types.text(method));
        let path = self.program.types.name(&path);
        let this = self.program.types.name("Self");
        let functions = self.program.functions(path);
        for &body in &functions {
            let mut subst = vec![(this, of)];
            self.program.bind(body, given, &mut subst);
            subst.sort_unstable();
            self.into(body, subst, found);
        }
        !functions.is_empty()
    }

    fn every_impl(&mut self, last: &str, method: Name, found: &mut Found) {
        for (index, body) in self.program.methods.get(&method).cloned().unwrap_or_default() {
            if self.program.impls[index].interface.as_deref() == Some(last) {
                self.into(body, Subst::new(), found);
            }
        }
    }

    /// The types that become this `dyn Trait` somewhere.
    fn cast_to(&mut self, dynamic: TyId) -> Vec<TyId> {
        if self.dispatch == Dispatch::None {
            return Vec::new();
        }
        let Ty::Dyn(bounds) = self.program.types.ty(dynamic).clone() else { return Vec::new() };
        let Some(&principal) = bounds.first() else { return Vec::new() };
        self.by_cast.insert(self.current);
        let casts = std::mem::take(&mut self.program.casts);
        let mut sources = Vec::new();
        for &(from, to) in &casts {
            // `Box<Disk>` becomes `Box<dyn Store>`: what they hold differs.
            let (mut from, mut to) = (from, to);
            loop {
                match (self.program.types.ty(from), self.program.types.ty(to)) {
                    (&Ty::Ref(a), &Ty::Ref(b)) => (from, to) = (a, b),
                    (Ty::Path(a, a_args), Ty::Path(b, b_args))
                        if a == b && !a_args.is_empty() && a_args.len() == b_args.len() =>
                    {
                        let differs = a_args.iter().zip(b_args).find(|(a, b)| a != b);
                        let Some((&a, &b)) = differs else { break };
                        (from, to) = (a, b);
                    }
                    _ => break,
                }
            }
            if let Ty::Dyn(other) = self.program.types.ty(to)
                && let Some(&other) = other.first()
                && self.same_interface(other, principal)
                && !matches!(self.program.types.ty(from), Ty::Dyn(_))
            {
                sources.push(from);
            }
        }
        self.program.casts = casts;
        sources.sort_unstable();
        sources.dedup();
        sources
    }

    fn same_interface(&self, a: TyId, b: TyId) -> bool {
        let mut found = Subst::new();
        self.program.types.fits(
            a,
            b,
            &|a, b| self.program.same(a, b),
            &|name| !self.program.types.text(name).contains("::") && self.program.is_parameter(name, ""),
            &mut found,
        )
    }

    /// Runs a value that can be called: a closure, a function, a pointer, or something that holds one.
    fn run_value(&mut self, ty: TyId, found: &mut Found) {
        if found.enter() {
            self.run_value_within(ty, found);
            found.depth -= 1;
        }
    }

    fn run_value_within(&mut self, ty: TyId, found: &mut Found) {
        match self.program.types.ty(ty).clone() {
            Ty::Closure(name, subst) => {
                for body in self.program.closures.get(&name).cloned().unwrap_or_default() {
                    self.into(body, subst.clone(), found);
                }
            }
            Ty::FnItem(callee, parts) => self.call(&callee, &parts[..parts.len() - 1], found),
            Ty::FnPointer(_) if self.dispatch != Dispatch::None => {
                self.by_cast.insert(self.current);
                let casts = std::mem::take(&mut self.program.casts);
                let sources: Vec<TyId> = casts
                    .iter()
                    .filter(|&&(from, to)| {
                        to == ty && matches!(self.program.types.ty(from), Ty::FnItem(..) | Ty::Closure(..))
                    })
                    .map(|&(from, _)| from)
                    .collect();
                self.program.casts = casts;
                for source in sources {
                    self.run_value(source, found);
                }
            }
            Ty::Dyn(_) => {
                for source in self.cast_to(ty) {
                    if !matches!(self.program.types.ty(source), Ty::Dyn(_)) {
                        self.run_value(source, found);
                    }
                }
            }
            Ty::Ref(of) => self.run_value(of, found),
            Ty::Path(name, args) if HOLDERS.contains(&self.program.types.text(name)) => {
                args.iter().for_each(|&arg| self.run_value(arg, found));
            }
            _ => {}
        }
    }

    /// Takes the next items of an iterator: of those it is made of too, with their closures.
    fn iterate(&mut self, ty: TyId, found: &mut Found) {
        if found.enter() {
            self.iterate_within(ty, found);
            found.depth -= 1;
        }
    }

    fn iterate_within(&mut self, ty: TyId, found: &mut Found) {
        let (name, args) = match self.program.types.ty(ty).clone() {
            Ty::Path(name, args) => (name, args),
            Ty::Ref(of) => return self.iterate(of, found),
            Ty::Dyn(bounds) => {
                let is_iterator =
                    bounds.first().is_some_and(|&bound| self.interface_name(bound).ends_with("Iterator"));
                for source in if is_iterator { self.cast_to(ty) } else { Vec::new() } {
                    self.iterate(source, found);
                }
                return;
            }
            _ => return,
        };
        let text = self.program.types.text(name).to_owned();
        if let Some(entry) = self.list.get(&text, &[Tier::Iterator]) {
            return self.blocks(entry, format!("<{text} as Iterator>::next"), found);
        }
        if ["std::io::Lines", "std::io::Bytes", "std::io::Split"].contains(&text.as_str()) {
            for &arg in &args {
                self.read_from(arg, &format!("{text}::next"), found);
            }
            return;
        }
        if self.program.is_own_crate(name) {
            self.all_methods(ty, &["Iterator"], found);
        } else if text == "std::boxed::Box" {
            args.iter().for_each(|&arg| self.iterate(arg, found));
        } else if ["std::iter::", "itertools::", "rayon::iter"].iter().any(|start| text.starts_with(start)) {
            for arg in args {
                match self.program.types.ty(self.bare(arg)) {
                    Ty::Closure(..) | Ty::FnItem(..) | Ty::FnPointer(_) => self.run_value(arg, found),
                    Ty::Dyn(_) => {
                        self.run_value(arg, found);
                        self.iterate(arg, found);
                    }
                    _ => self.iterate(arg, found),
                }
            }
        }
    }

    /// Every method of this type's impls of these traits.
    fn all_methods(&mut self, ty: TyId, interfaces: &[&str], found: &mut Found) {
        for index in 0..self.program.impls.len() {
            let of = &self.program.impls[index];
            if !of.interface.as_deref().is_some_and(|name| interfaces.contains(&name)) {
                continue;
            }
            let bodies: Vec<BodyId> = of.methods.values().copied().collect();
            let mut subst = Subst::new();
            if self.is_for(index, ty, &mut subst) {
                for body in bodies {
                    self.into(body, subst.clone(), found);
                }
            }
        }
    }

    /// Reads from or writes to a value of this type: blocks if a file, socket or pipe is within.
    fn read_from(&mut self, ty: TyId, shown: &str, found: &mut Found) {
        if found.enter() {
            self.read_from_within(ty, shown, found);
            found.depth -= 1;
        }
    }

    fn read_from_within(&mut self, ty: TyId, shown: &str, found: &mut Found) {
        let mut sources = Vec::new();
        let mut inner = Vec::new();
        self.program.types.walk(ty, &mut |part, id| {
            match part {
                Ty::Path(name, _) => {
                    if let Some(entry) =
                        self.list.get(self.program.types.text(*name), &[Tier::Source, Tier::Console])
                    {
                        sources.push((entry, id));
                        return false;
                    }
                    if self.program.is_own_crate(*name) {
                        inner.push(id);
                    }
                }
                Ty::Dyn(_) => inner.push(id),
                _ => {}
            }
            true
        });
        for (entry, _) in sources {
            self.blocks(entry, shown.to_owned(), found);
        }
        for id in inner {
            if matches!(self.program.types.ty(id), Ty::Dyn(_)) {
                let known = self.origins.get(&1).filter(|_| found.depth == 1).cloned();
                for source in known.unwrap_or_else(|| self.cast_to(id)) {
                    if !matches!(self.program.types.ty(source), Ty::Dyn(_)) {
                        self.read_from(source, shown, found);
                    }
                }
            } else {
                self.all_methods(id, &IO_TRAITS, found);
            }
        }
    }

    fn drop_value(&mut self, ty: TyId, found: &mut Found, seen: &mut HashSet<TyId>) {
        if !seen.insert(ty) || seen.len() > 1000 {
            return;
        }
        match self.program.types.ty(ty).clone() {
            Ty::Path(name, args) => {
                let text = self.program.types.text(name).to_owned();
                if [
                    "std::mem::ManuallyDrop",
                    "std::marker::PhantomData",
                    "std::sync::Arc",
                    "std::rc::Rc",
                    "std::sync::Weak",
                ]
                .contains(&text.as_str())
                {
                    return;
                }
                if let Some(entry) = self.list.get(&text, &[Tier::Dropped, Tier::DroppedMinor]) {
                    return self.blocks(entry, format!("<{text} as Drop>::drop"), found);
                }
                if self.program.is_own_crate(name) {
                    self.all_methods(ty, &["Drop"], found);
                    let last = text.rsplit("::").next().unwrap_or(&text).to_owned();
                    self.drop_fields(&last, found, &mut HashSet::new());
                    args.iter().for_each(|&arg| self.drop_value(arg, found, seen));
                } else {
                    args.iter().for_each(|&arg| self.drop_value(arg, found, seen));
                }
            }
            Ty::Tuple(parts) => parts.iter().for_each(|&part| self.drop_value(part, found, seen)),
            Ty::Slice(of) => self.drop_value(of, found, seen),
            Ty::Dyn(_) => {
                for source in self.cast_to(ty) {
                    self.drop_value(source, found, seen);
                }
            }
            _ => {}
        }
    }

    /// Drops what a struct or enum of this name holds, by the words in its definition.
    fn drop_fields(&mut self, name: &str, found: &mut Found, seen: &mut HashSet<String>) {
        if !seen.insert(name.to_owned()) {
            return;
        }
        let Some(words) = self.program.fields.get(name).cloned() else { return };
        for index in 0..self.program.impls.len() {
            let of = &self.program.impls[index];
            let named = of.of_name.as_ref().is_some_and(|name| words.contains(name));
            if named && of.interface.as_deref() == Some("Drop") {
                for body in of.methods.values().copied().collect::<Vec<_>>() {
                    self.into(body, Subst::new(), found);
                }
            }
        }
        for word in words {
            if self.program.fields.contains_key(&word) {
                self.drop_fields(&word, found, seen);
            }
        }
    }

    fn listed(
        &mut self,
        entry: usize,
        path: &str,
        owner: &[TyId],
        own: &[TyId],
        given: &[TyId],
        found: &mut Found,
    ) {
        self.listed_as(entry, path, path.to_owned(), owner, own, given, found);
    }

    #[expect(clippy::too_many_arguments, reason = "a call has so many parts")]
    fn listed_as(
        &mut self,
        entry: usize,
        path: &str,
        shown: String,
        owner: &[TyId],
        own: &[TyId],
        given: &[TyId],
        found: &mut Found,
    ) {
        match self.list.entries[entry].tier {
            Tier::Offload => {
                let mut off = Found::default();
                own.iter().chain(given).for_each(|&ty| self.run_value(ty, &mut off));
                self.offloaded.extend(off.to.iter().filter_map(|to| match to {
                    To::Node(node) => Some(*node),
                    To::Blocking(..) => None,
                }));
            }
            Tier::Reader => {
                let before = found.to.len();
                for &ty in owner.iter().chain(own) {
                    self.read_from(ty, &shown, found);
                }
                if found.to.len() == before {
                    self.external(path, owner.first().copied(), own, given, &[], found);
                }
                // One call is one finding, though it copies from one file to another.
                let mut seen = false;
                found.to.retain(|to| {
                    !matches!(to, To::Blocking(_, text) if *text == shown)
                        || !std::mem::replace(&mut seen, true)
                });
            }
            Tier::Resolve => {
                let names = ["str", "std::string::String"];
                let mut by_name = false;
                for &ty in owner {
                    self.program.types.walk(ty, &mut |part, _| {
                        by_name |= matches!(part, Ty::Path(name, _) if names.contains(&self.program.types.text(*name)));
                        true
                    });
                }
                if by_name {
                    self.blocks(entry, shown, found);
                }
            }
            tier => {
                // A runtime's own `block_on` is an event loop; the others only drive the future they are given.
                if self.list.entries[entry].category == "block_on"
                    && !path.starts_with("tokio::runtime::Runtime")
                {
                    for &ty in own.iter().chain(given) {
                        if let Ty::Coroutine(name) = self.program.types.ty(self.program.pointee(ty)) {
                            found.driven.push(*name);
                        }
                    }
                }
                if self.list.reports(tier) {
                    self.blocks(entry, shown, found);
                } else {
                    self.external(path, None, own, given, &[], found);
                }
            }
        }
    }

    /// A function that the workspace does not have: it calls what it is given, if it calls anything.
    /// `around`: the other types that the call names, as `B` in `<A as Into<B>>::into` or `T` in
    /// `Option::<T>::unwrap_or_default`.
    fn external(
        &mut self,
        path: &str,
        of: Option<TyId>,
        own: &[TyId],
        given: &[TyId],
        around: &[TyId],
        found: &mut Found,
    ) {
        let last = path.rsplit("::").next().unwrap_or("").to_owned();
        if path == "std::mem::drop" {
            return given.iter().for_each(|&ty| self.drop_value(ty, found, &mut HashSet::new()));
        }
        if self.list.get(path, &[Tier::Lazy]).is_some() {
            return;
        }
        let before = found.to.len();
        let interface = path
            .strip_suffix(&format!("::{last}"))
            .and_then(|rest| rest.rsplit("::").next())
            .unwrap_or("")
            .to_owned();
        if path.starts_with("std::iter::") && of.is_none() {
            around.iter().for_each(|&ty| self.iterate(ty, found));
        }
        // The first use of a lazy value runs what makes it, which is kept as `fn() -> T`.
        let lazy = of.filter(|_| interface == "Deref");
        let lazy = lazy.or_else(|| given.first().copied().filter(|_| last == "force"));
        if let Some(lazy) = lazy.map(|ty| self.program.pointee(ty))
            && let Ty::Path(name, args) = self.program.types.ty(lazy).clone()
            && LAZY_VALUES.contains(&self.program.types.text(name))
        {
            match self.origins.get(&1).cloned() {
                Some(known) => known.into_iter().for_each(|ty| self.run_value(ty, found)),
                None => {
                    let makes = self.program.types.add(Ty::FnPointer(args[..args.len().min(1)].to_vec()));
                    self.run_value(makes, found);
                }
            }
        }
        if let Some(of) = of {
            if matches!(
                interface.as_str(),
                "Iterator"
                    | "DoubleEndedIterator"
                    | "ExactSizeIterator"
                    | "Itertools"
                    | "ParallelIterator"
                    | "IndexedParallelIterator"
            ) {
                self.iterate(of, found);
            } else if IO_TRAITS.contains(&interface.as_str()) {
                self.read_from(of, path, found);
            } else if !["Clone", "Drop", "Debug", "Default", "Future", "IntoFuture", "Stream", "Service"]
                .contains(&interface.as_str())
            {
                // A method that the trait itself defines calls those that the type defines.
                let pointee = self.program.pointee(of);
                if matches!(self.program.types.ty(pointee), Ty::Path(name, _) if self.program.is_own_crate(*name))
                {
                    self.all_methods(pointee, &[&interface], found);
                }
            }
        }
        for &ty in own {
            match self.program.types.ty(self.bare(ty)) {
                Ty::Closure(..) | Ty::FnItem(..) | Ty::FnPointer(_) => self.run_value(ty, found),
                Ty::Dyn(_) => {
                    self.run_value(ty, found);
                    self.iterate(ty, found);
                }
                Ty::Path(..) => self.iterate(ty, found),
                _ => {}
            }
        }
        for (called, interface, method) in CONVERSIONS {
            if called != last {
                continue;
            }
            let method = self.program.types.name(method);
            let all: Vec<TyId> = own
                .iter()
                .copied()
                .chain(of)
                .chain(given.iter().copied())
                .chain(around.iter().copied())
                .collect();
            for ty in all {
                let ty = self.program.pointee(ty);
                if !matches!(self.program.types.ty(ty), Ty::Path(name, _) if self.program.is_own_crate(*name))
                {
                    continue;
                }
                for (index, body) in self.program.methods.get(&method).cloned().unwrap_or_default() {
                    if self.program.impls[index].interface.as_deref() == Some(interface) {
                        let mut subst = Subst::new();
                        // `from` takes what is converted.
                        let converts = last == "into" || last == "try_into";
                        let takes = !converts || self.program.bind(body, given, &mut Subst::new());
                        if takes && self.is_for(index, ty, &mut subst) {
                            self.into(body, subst, found);
                        }
                    }
                }
            }
        }
        if self.list.is_loop(path) {
            for to in &found.to[before..] {
                if let To::Node(node) = *to
                    && self.body(node).within.is_some()
                {
                    self.called_by_loop.insert(node);
                }
            }
        }
    }
}

/// What one call comes to.
#[derive(Default)]
struct Found {
    to: Vec<To>,
    driven: Vec<Name>,
    depth: usize,
}

impl Found {
    /// Says no when types lead round in a circle: a box of `dyn Fn` may itself become `dyn Fn`.
    fn enter(&mut self) -> bool {
        let may = self.depth < MAX_TYPE_DEPTH;
        self.depth += usize::from(may);
        may
    }
}
