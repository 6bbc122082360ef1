//! Which ways lead from async code to something that blocks?

use std::collections::VecDeque;
use std::path::Path;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Allows, Finding, Kind, Step};
use crate::facts::Span;
use crate::graph::{Edge, Graph, NodeId, To};
use crate::list::Tier;
use crate::place::Place;
use crate::program::{BodyId, What};
use crate::types::{Callee, Ty};

pub(super) struct Search<'g, 'a> {
    pub(super) graph: &'g Graph<'a>,
    pub(super) root: &'g Path,
    pub(super) allows: &'g mut Allows,
    /// Whether a blocking call is reached from the node, exceptions left out.
    pub(super) reaches: Vec<bool>,
    pub(super) places: FxHashMap<(BodyId, usize), Place>,
    pub(super) findings: Vec<Finding>,
    /// The place, the function that blocks and the API of each finding. An async closure has two bodies,
    /// which would give each finding twice.
    pub(super) seen: FxHashSet<(Place, String, String)>,
}

impl<'g, 'a> Search<'g, 'a> {
    pub(super) fn new(graph: &'g Graph<'a>, root: &'g Path, allows: &'g mut Allows) -> Self {
        Search {
            graph,
            root,
            allows,
            reaches: Vec::new(),
            places: FxHashMap::default(),
            findings: Vec::new(),
            seen: FxHashSet::default(),
        }
    }

    pub(super) fn run(&mut self) {
        let starts = self.starts();
        self.reaches = self.reach_blocking();
        self.use_allows(&starts);
        let starts = self.in_what_was_asked(starts);
        for &start in &starts {
            self.from(start);
        }
        for &start in &starts {
            self.guards(start);
        }
    }

    /// Reports the findings of one async body. The closures that stand in the body and run there belong to
    /// it.
    pub(super) fn from(&mut self, start: NodeId) {
        let mut region = vec![start];
        let mut at = 0;
        while at < region.len() {
            let node = region[at];
            at += 1;
            for edge in &self.graph.nodes[node].edges {
                if self.is_allowed(node, edge).is_some() {
                    continue;
                }
                match &edge.to {
                    To::Blocking(entry, shown) => self.report(start, node, edge, &[], *entry, shown, node),
                    To::Node(to) if self.reaches[*to] => self.follow(start, node, edge, *to, &mut region),
                    To::Node(_) => {}
                }
            }
        }
    }

    /// Reports all functions with blocking calls that one call reaches, each on the shortest way.
    fn follow(&mut self, start: NodeId, node: NodeId, first: &Edge, to: NodeId, region: &mut Vec<NodeId>) {
        let mut before: FxHashMap<NodeId, (NodeId, usize)> = FxHashMap::default();
        let mut queue = VecDeque::from([to]);
        let mut seen = FxHashSet::from_iter([to]);
        while let Some(current) = queue.pop_front() {
            // A closure within this call is a part of the async code's own text.
            if self.stands_in(current, node, first) {
                if !region.contains(&current) {
                    region.push(current);
                }
                continue;
            }
            let edges = &self.graph.nodes[current].edges;
            for (index, edge) in edges.iter().enumerate() {
                if self.is_allowed(current, edge).is_some() {
                    continue;
                }
                match &edge.to {
                    To::Blocking(entry, shown) => {
                        let mut chain = vec![(current, index)];
                        let mut back = current;
                        while let Some(&(caller, edge)) = before.get(&back) {
                            chain.push((caller, edge));
                            back = caller;
                        }
                        chain.reverse();
                        let chain: Vec<(NodeId, &Edge)> = chain
                            .into_iter()
                            .map(|(node, edge)| (node, &self.graph.nodes[node].edges[edge]))
                            .collect();
                        self.report(start, node, first, &chain, *entry, shown, current);
                    }
                    To::Node(next) => {
                        if self.reaches[*next] && seen.insert(*next) {
                            before.insert(*next, (current, index));
                            queue.push_back(*next);
                        }
                    }
                }
            }
        }
    }

    fn stands_in(&self, closure: NodeId, node: NodeId, edge: &Edge) -> bool {
        let program = &self.graph.program;
        let body = self.graph.nodes[closure].body;
        let mut around = program.bodies[body].within;
        while let Some(outer) = around {
            if outer == self.graph.nodes[node].body {
                let place = program.facts(body).place;
                return edge.span.encloses(&place) || self.is_lazy_argument(outer, place);
            }
            around = program.bodies[outer].within;
        }
        false
    }

    /// Whether the closure stands in a call that keeps it for later, as `map` of an iterator does. For such a
    /// closure, its own text says more than the place where the iterator is used.
    fn is_lazy_argument(&self, body: BodyId, closure: Span) -> bool {
        let program = &self.graph.program;
        program.bodies[body].calls.iter().any(|call| {
            let What::Function(callee, _) = &call.what else { return false };
            let path = match callee {
                Callee::Path { path, .. } => program.types.text(*path).to_owned(),
                Callee::Trait { interface, method, .. } => match program.types.ty(*interface) {
                    Ty::Path(name, _) => {
                        format!("{}::{}", program.types.text(*name), program.types.text(*method))
                    }
                    _ => return false,
                },
            };
            call.span.encloses(&closure) && self.graph.list.get(&path, &[Tier::Lazy]).is_some()
        })
    }

    #[expect(clippy::too_many_arguments, reason = "a finding has so many parts")]
    fn report(
        &mut self,
        start: NodeId,
        node: NodeId,
        first: &Edge,
        chain: &[(NodeId, &Edge)],
        entry: usize,
        shown: &str,
        cause: NodeId,
    ) {
        let place = self.place(node, first);
        let cause_body = self.graph.nodes[cause].body;
        let direct = chain.is_empty();
        let key = if direct { shown.to_owned() } else { String::new() };
        if !self.seen.insert((place.clone(), self.graph.program.bodies[cause_body].shown.clone(), key)) {
            return;
        }
        let mut steps = Vec::new();
        let mut calls: Vec<(NodeId, &Edge)> = vec![(node, first)];
        calls.extend(chain);
        for (node, edge) in calls {
            let calls = match &edge.to {
                To::Node(to) => self.graph.body(*to).shown.clone(),
                To::Blocking(_, shown) => shown.clone(),
            };
            steps.push(Step {
                place: self.place(node, edge),
                within: self.graph.body(node).shown.clone(),
                calls,
            });
        }
        let entry = &self.graph.list.entries[entry];
        let calls_in_cause =
            self.graph.nodes[cause].edges.iter().filter(|edge| matches!(edge.to, To::Blocking(..))).count();
        self.findings.push(Finding {
            kind: Kind::Blocking,
            place,
            within: self.graph.body(start).shown.clone(),
            path: shown.to_owned(),
            category: entry.category.clone(),
            instead: entry.instead(),
            steps,
            cause: self.graph.body(cause).shown.clone(),
            calls_in_cause,
        });
    }

    /// The place at which a reader finds the call.
    pub(super) fn place(&mut self, node: NodeId, edge: &Edge) -> Place {
        let body = self.graph.nodes[node].body;
        if let Some(place) = self.places.get(&(body, edge.call)) {
            return place.clone();
        }
        let program = &self.graph.program;
        let place = program.place(body, edge.name, program.rank(body, edge.call), self.root);
        self.places.insert((body, edge.call), place.clone());
        place
    }
}
