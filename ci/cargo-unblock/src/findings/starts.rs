//! Where does async code start?

use rustc_hash::{FxHashMap, FxHashSet};

use super::search::Search;
use crate::graph::{NodeId, To};
use crate::program::BodyId;
use crate::types::{Name, Ty};

impl Search<'_, '_> {
    /// Async bodies, and methods that frameworks call on the event loop.
    pub(super) fn starts(&self) -> Vec<NodeId> {
        let away = self.driven_away();
        (0..self.graph.nodes.len())
            .filter(|&node| {
                let body = self.graph.nodes[node].body;
                (self.graph.program.bodies[body].is_async && !away.contains(&body))
                    || self.graph.called_by_loop.contains(&node)
                    || self.graph.is_entry(body)
            })
            .collect()
    }

    /// The starts within the packages that the user asked about. Async code of another package may call into
    /// these packages, as a crate of the workspace calls a closure that it was given. The start is then in
    /// the package that the user asked about, since the user can change that package.
    pub(super) fn in_what_was_asked(&mut self, starts: Vec<NodeId>) -> Vec<NodeId> {
        let graph = self.graph;
        let is_asked =
            |node: NodeId| !graph.program.units[graph.program.bodies[graph.nodes[node].body].unit].for_others;
        let (mut asked, mut queue): (Vec<NodeId>, Vec<NodeId>) =
            starts.into_iter().partition(|&node| is_asked(node));
        let mut seen = FxHashSet::default();
        while let Some(node) = queue.pop() {
            if !seen.insert(node) {
                continue;
            }
            for edge in &graph.nodes[node].edges {
                match edge.to {
                    To::Node(_) | To::Blocking(..) if self.is_allowed(node, edge).is_some() => {}
                    To::Node(to) if is_asked(to) => asked.push(to),
                    To::Node(to) => queue.push(to),
                    To::Blocking(..) => {}
                }
            }
        }
        asked.sort_unstable();
        asked.dedup();
        asked
    }

    /// Async bodies that are only driven by a `block_on` on an offloaded thread.
    fn driven_away(&self) -> FxHashSet<BodyId> {
        let off = self.reachable(self.graph.offloaded.iter().copied());
        let mut by_name = FxHashMap::default();
        for (id, body) in self.graph.program.bodies.iter().enumerate() {
            if !body.is_async {
                continue;
            }
            for &input in &body.inputs {
                self.graph.program.types.walk(input, &mut |ty, _| {
                    if let Ty::Coroutine(name) = ty {
                        by_name.insert((*name, body.unit), id);
                    }
                    true
                });
            }
        }
        let mut callers: FxHashMap<BodyId, Vec<NodeId>> = FxHashMap::default();
        for (node, data) in self.graph.nodes.iter().enumerate() {
            for edge in &data.edges {
                if let To::Node(to) = edge.to {
                    for &made in &self.graph.body(to).creates {
                        callers.entry(made).or_default().push(node);
                    }
                }
            }
        }
        let body_of =
            |&(node, name): &(NodeId, Name)| by_name.get(&(name, self.graph.body(node).unit)).copied();
        let polled: FxHashSet<BodyId> = self.graph.polled.iter().filter_map(body_of).collect();
        let driven = self.graph.driven.iter().filter(|(node, _)| off[*node]).filter_map(body_of);
        let mut away: FxHashSet<BodyId> = driven.filter(|made| !polled.contains(made)).collect();
        // Any other caller of a body's function polls the body elsewhere. A body that is only called by
        // bodies which are away is away too.
        loop {
            let before = away.len();
            away.retain(|made| {
                callers.get(made).is_none_or(|nodes| {
                    nodes.iter().all(|&node| off[node] || self.graph.nodes[node].body == *made)
                })
            });
            let more: Vec<BodyId> = callers
                .iter()
                .filter(|(made, nodes)| {
                    !away.contains(made)
                        && !polled.contains(made)
                        && nodes.iter().all(|&node| away.contains(&self.graph.nodes[node].body))
                })
                .map(|(&made, _)| made)
                .collect();
            away.extend(more);
            if away.len() <= before {
                return away;
            }
        }
    }
}
