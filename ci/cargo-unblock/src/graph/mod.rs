//! What does each body call, once its generic parameters are known?
//!
//! A node is a body together with what its generic parameters stand for: `read_all::<File>` and
//! `read_all::<Cursor>` are two. An edge is a call that runs on the caller's thread. A closure that is
//! handed on is an edge from where it is called, not from where it stands; one that is handed to an
//! offloader is no edge at all. [`Dispatch`] says how far calls through `dyn`, function pointers and
//! unknown parameters are followed.

mod callees;
mod external;
mod values;

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::facts::Span;
use crate::list::{List, Tier};
use crate::program::{Body, BodyId, HiddenType, Program, What};
use crate::types::{Name, Subst, Ty, TyId};

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
    ids: FxHashMap<(BodyId, Subst), NodeId>,
    per_body: FxHashMap<BodyId, usize>,
    queue: VecDeque<NodeId>,
    /// Nodes that run on the event loop, though nothing in the workspace polls them.
    pub called_by_loop: FxHashSet<NodeId>,
    /// Nodes that are handed to an offloader.
    pub offloaded: FxHashSet<NodeId>,
    /// Async bodies that a `block_on` drives, by the node that calls it.
    pub driven: Vec<(NodeId, Name)>,
    /// Async bodies that are handed to an event loop, by the node that does it.
    pub polled: Vec<(NodeId, Name)>,
    /// What the arguments of the call at hand were before their type was hidden: the first is 1, a
    /// pointer that is called is 0.
    origins: FxHashMap<u32, Vec<TyId>>,
    /// The node at hand, and those whose calls depend on what becomes `dyn` or a function pointer.
    current: NodeId,
    by_cast: FxHashSet<NodeId>,
    /// The last two names of the list's entries of [`Tier::Entry`].
    entries: FxHashSet<String>,
}

/// A generic function is looked at with at most so many sets of types. Higher costs time in code that
/// instantiates without end; lower misses the types that come last.
const MAX_NODES_PER_BODY: usize = 500;
/// Rounds after which no further types are looked for that become `dyn`: two are usual.
const MAX_ROUNDS: usize = 6;
/// Types nested deeper are taken to be recursion, and not followed.
const MAX_TYPE_DEPTH: usize = 24;

/// What passes calls on to the value that it holds.
const HOLDERS: [&str; 4] = ["std::boxed::Box", "std::sync::Arc", "std::rc::Rc", "std::pin::Pin"];

impl<'a> Graph<'a> {
    pub fn new(program: &'a mut Program, list: &'a List, dispatch: Dispatch) -> Graph<'a> {
        let entries = list.entries.iter().filter(|entry| entry.tier == Tier::Entry).map(|entry| {
            let start = entry.path.rmatch_indices("::").nth(1).map_or(0, |(at, _)| at + 2);
            entry.path[start..].to_owned()
        });
        let mut graph = Graph {
            program,
            list,
            dispatch,
            nodes: Vec::new(),
            ids: FxHashMap::default(),
            per_body: FxHashMap::default(),
            queue: VecDeque::new(),
            called_by_loop: FxHashSet::default(),
            offloaded: FxHashSet::default(),
            driven: Vec::new(),
            polled: Vec::new(),
            origins: FxHashMap::default(),
            current: 0,
            by_cast: FxHashSet::default(),
            entries: entries.collect(),
        };
        for body in 0..graph.program.bodies.len() {
            graph.node(body, Subst::new());
        }
        graph.implementations_of_async_traits();
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

    /// `Future for Changed<D>` is polled for each `D` that `Changed` is met with.
    fn implementations_of_async_traits(&mut self) {
        for body in 0..self.program.bodies.len() {
            let Some(of) = self.program.bodies[body].of else { continue };
            let called = self.program.bodies[body].is_async || self.is_entry(body);
            if !called || self.program.impls[of].parameters.is_empty() {
                continue;
            }
            for ty in self.program.types.all() {
                let mut subst = Subst::new();
                let is_own = matches!(self.program.types.ty(ty), Ty::Path(name, _) if self.program.is_own_crate(*name));
                if is_own && self.is_for(of, ty, &mut subst) {
                    self.node(body, subst);
                }
            }
        }
    }

    /// Whether frameworks call the method on the event loop, as `Service::call`.
    pub fn is_entry(&self, body: BodyId) -> bool {
        let body = &self.program.bodies[body];
        let interface = body.of.and_then(|of| self.program.impls[of].interface.as_deref());
        let Some(interface) = interface.filter(|_| body.within.is_none()) else { return false };
        let name = body.shown.rsplit("::").next().unwrap_or("");
        self.entries.contains(&format!("{interface}::{name}"))
    }

    pub fn body(&self, node: NodeId) -> &Body {
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
                    self.drop_value(ty, &mut found, &mut FxHashSet::default());
                }
                What::Function(callee, given) => {
                    let callee = self.program.types.substitute_callee(&callee, &subst);
                    let given: Vec<TyId> =
                        given.into_iter().map(|ty| self.program.types.substitute(ty, &subst)).collect();
                    self.call(&callee, &given, &mut found);
                }
            }
            self.driven.extend(found.driven.into_iter().map(|name| (id, name)));
            self.polled.extend(found.polled.into_iter().map(|name| (id, name)));
            let mut seen = FxHashSet::default();
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
    fn known(&mut self, origins: Vec<HiddenType>, subst: &Subst) -> Option<Vec<TyId>> {
        let mut known = Vec::new();
        for origin in origins {
            match origin {
                HiddenType::Type(ty) => match *self.program.types.ty(ty) {
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
                HiddenType::Parameter(number) => {
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
}

/// What one call comes to.
#[derive(Default)]
struct Found {
    to: Vec<To>,
    driven: Vec<Name>,
    polled: Vec<Name>,
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
