//! From which bodies is something blocking reached when exceptions are left out?

use super::search::Search;
use crate::graph::{Edge, NodeId, To};

impl Search<'_, '_> {
    pub(super) fn reachable(&self, from: impl Iterator<Item = NodeId>) -> Vec<bool> {
        let mut seen = vec![false; self.graph.nodes.len()];
        let mut queue: Vec<NodeId> = from.collect();
        while let Some(node) = queue.pop() {
            if !std::mem::replace(&mut seen[node], true) {
                queue.extend(self.graph.nodes[node].edges.iter().filter_map(|edge| match edge.to {
                    To::Node(to) => Some(to),
                    To::Blocking(..) => None,
                }));
            }
        }
        seen
    }

    pub(super) fn reach_blocking(&mut self) -> Vec<bool> {
        let graph = self.graph;
        let mut callers: Vec<Vec<NodeId>> = vec![Vec::new(); graph.nodes.len()];
        let mut reaches = vec![false; graph.nodes.len()];
        let mut queue = Vec::new();
        for (node, data) in graph.nodes.iter().enumerate() {
            for edge in &data.edges {
                if self.is_allowed(node, edge).is_some() {
                    continue;
                }
                match edge.to {
                    To::Node(to) => callers[to].push(node),
                    To::Blocking(..) => queue.push(node),
                }
            }
        }
        while let Some(node) = queue.pop() {
            if !std::mem::replace(&mut reaches[node], true) {
                queue.extend(callers[node].iter().copied());
            }
        }
        reaches
    }

    /// The exception that stands at the call.
    pub(super) fn is_allowed(&mut self, node: NodeId, edge: &Edge) -> Option<usize> {
        if self.allows.is_empty() {
            return None;
        }
        let place = self.place(node, edge);
        // The comment may stand above the first line of a long expression.
        self.allows.at(&place.file, place.line).or_else(|| {
            let is_there = edge.span.file == edge.name.file && edge.span.encloses(&edge.name);
            is_there.then(|| self.allows.at(&place.file, edge.span.line)).flatten()
        })
    }

    /// An exception is used when async code reaches its call and the call leads to something that blocks.
    pub(super) fn use_allows(&mut self, starts: &[NodeId]) {
        if self.allows.is_empty() {
            return;
        }
        let reached = self.reachable(starts.iter().copied());
        for (node, _) in reached.iter().enumerate().filter(|(_, reached)| **reached) {
            for edge in &self.graph.nodes[node].edges {
                let blocks = match edge.to {
                    To::Node(to) => self.reaches[to],
                    To::Blocking(..) => true,
                };
                if blocks && let Some(allow) = self.is_allowed(node, edge) {
                    self.allows.used(allow);
                }
            }
        }
    }
}
