//! Which bodies are nodes of the graph, and which calls lead from one to another?

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use super::dispatch::Dispatch;
use crate::facts::Span;
use crate::list::List;
use crate::program::{Body, BodyId, Program};
use crate::types::{Name, Subst, TyId};

pub type NodeId = usize;

/// A generic function is analysed with at most so many sets of types. Higher: code that instantiates without
/// end takes longer. Lower: the types that come last are missed.
const MAX_NODES_PER_BODY: usize = 500;
/// Types that are nested deeper are taken for recursion and not followed. Higher: recursion takes longer.
/// Lower: what stands behind deeply nested types is missed.
const MAX_TYPE_DEPTH: usize = 24;

/// Types that pass calls on to the value that they hold.
pub(super) const HOLDERS: [&str; 4] = ["std::boxed::Box", "std::sync::Arc", "std::rc::Rc", "std::pin::Pin"];

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
    pub(super) dispatch: Dispatch,
    pub nodes: Vec<Node>,
    pub(super) ids: FxHashMap<(BodyId, Subst), NodeId>,
    pub(super) per_body: FxHashMap<BodyId, usize>,
    pub(super) queue: VecDeque<NodeId>,
    /// Nodes that run on the event loop although nothing in the workspace polls them.
    pub called_by_loop: FxHashSet<NodeId>,
    /// Nodes that are handed to an offloader.
    pub offloaded: FxHashSet<NodeId>,
    /// Async bodies that a `block_on` drives, by the node that calls it.
    pub driven: Vec<(NodeId, Name)>,
    /// Async bodies that are handed to an event loop, by the node that does it.
    pub polled: Vec<(NodeId, Name)>,
    /// The types that the arguments of the current call had before they were hidden. The first argument is 1;
    /// a function pointer that is called is 0.
    pub(super) origins: FxHashMap<u32, Vec<TyId>>,
    /// The node at hand, and those whose calls depend on what becomes `dyn` or a function pointer.
    pub(super) current: NodeId,
    pub(super) by_cast: FxHashSet<NodeId>,
    /// The last two names of the list's entries of `Tier::Entry`.
    pub(super) entries: FxHashSet<String>,
}

impl Graph<'_> {
    /// Whether frameworks call the method on the event loop, as they call `Service::call`.
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

    pub(super) fn node(&mut self, body: BodyId, subst: Subst) -> Option<NodeId> {
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

    pub(super) fn into(&mut self, body: BodyId, subst: Subst, found: &mut Found) {
        // A body that is polled is a start of its own: a call of it only makes the future, or is `poll`
        // itself.
        if self.program.bodies[body].is_async {
            return;
        }
        if let Some(node) = self.node(body, subst) {
            found.to.push(To::Node(node));
        }
    }
}

/// What one call leads to.
#[derive(Default)]
pub(super) struct Found {
    pub to: Vec<To>,
    pub driven: Vec<Name>,
    pub polled: Vec<Name>,
    pub depth: usize,
}

impl Found {
    /// Returns false when types lead round in a circle: a box of `dyn Fn` may itself become a `dyn Fn`.
    pub fn enter(&mut self) -> bool {
        let may = self.depth < MAX_TYPE_DEPTH;
        self.depth += usize::from(may);
        may
    }
}
