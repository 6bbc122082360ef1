//! Which nodes and edges follow from the bodies of the program?

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use super::dispatch::Dispatch;
use super::nodes::{Edge, Found, Graph, NodeId};
use crate::list::{List, Tier};
use crate::program::{Program, What};
use crate::types::{Subst, Ty, TyId};

/// So many times, types that became `dyn` in the round before are looked at again; two rounds are usual.
/// Higher: code that makes types without end takes longer. Lower: what is called through the types that come
/// last is missed.
const MAX_ROUNDS: usize = 6;

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
        // Generic functions may turn further types into a `dyn`. Calls elsewhere may then reach these types.
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

    /// `Future for Changed<D>` is polled for each `D` with which `Changed` occurs.
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
}
