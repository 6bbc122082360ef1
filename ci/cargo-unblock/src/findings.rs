//! Which async code reaches a blocking call, and through what?
//!
//! Starts at each async body, looks at the calls in it, and follows those that lead to something
//! blocking, on the shortest way. What comes out is grouped by root cause: the function that holds the
//! blocking call.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};

use crate::allow::Allows;
use crate::graph::{Edge, Graph, NodeId, To};
use crate::list::Tier;
use crate::program::{BodyId, What};
use crate::types::{Callee, Ty};

/// A place in the sources: line and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Place {
    /// From the workspace's root where it is below it.
    pub file: PathBuf,
    pub line: u32,
    pub column: u32,
    pub end_line: u32,
    pub end_column: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Async code reaches a blocking call.
    Blocking,
    /// A guard is alive across an await.
    Guard,
    /// An exception says no reason.
    AllowWithoutReason,
    /// An exception excuses nothing.
    UnusedAllow,
}

/// One call on the way.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Step {
    pub place: Place,
    /// The function that the call stands in.
    pub within: String,
    /// What is called.
    pub calls: String,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    pub kind: Kind,
    /// Where async code enters the chain.
    pub place: Place,
    /// The async function.
    pub within: String,
    /// The blocking API's path.
    pub path: String,
    pub category: String,
    pub instead: String,
    /// From the async code to the blocking call; for a guard, the await.
    pub steps: Vec<Step>,
    /// The function that holds the blocking calls: what findings have in common.
    pub cause: String,
    /// How many blocking calls that function makes.
    pub calls_in_cause: usize,
}

/// Everything that is found, sorted by place.
pub fn collect(graph: &Graph, root: &Path, allows: &mut Allows) -> Vec<Finding> {
    let mut search = Search::new(graph, root, allows);
    search.run();
    let mut findings = search.findings;
    findings.sort_by(|a, b| (&a.place, &a.path).cmp(&(&b.place, &b.path)));
    findings
}

struct Search<'g, 'a> {
    graph: &'g Graph<'a>,
    root: &'g Path,
    allows: &'g mut Allows,
    /// Whether a blocking call is reached from the node, exceptions left out.
    reaches: Vec<bool>,
    places: HashMap<(BodyId, usize), Place>,
    findings: Vec<Finding>,
    seen: HashSet<(Place, BodyId, String)>,
}

impl<'g, 'a> Search<'g, 'a> {
    fn new(graph: &'g Graph<'a>, root: &'g Path, allows: &'g mut Allows) -> Self {
        Search {
            graph,
            root,
            allows,
            reaches: Vec::new(),
            places: HashMap::new(),
            findings: Vec::new(),
            seen: HashSet::new(),
        }
    }

    fn run(&mut self) {
        let starts = self.starts();
        self.reaches = self.reach_blocking();
        self.use_allows(&starts);
        for &start in &starts {
            self.from(start);
        }
        for &start in &starts {
            self.guards(start);
        }
    }

    /// Async bodies, and what frameworks call on the event loop.
    fn starts(&self) -> Vec<NodeId> {
        let away = self.driven_away();
        let entries: HashSet<(&str, &str)> = self
            .graph
            .list
            .entries
            .iter()
            .filter(|entry| entry.tier == Tier::Entry)
            .filter_map(|entry| {
                let mut parts = entry.path.rsplit("::");
                let method = parts.next()?;
                Some((parts.next()?, method))
            })
            .collect();
        (0..self.graph.nodes.len())
            .filter(|&node| {
                let body = self.graph.body(node);
                let entry = || {
                    let interface = body.of.and_then(|of| self.graph.program.impls[of].interface.as_deref());
                    let name = body.shown.rsplit("::").next().unwrap_or("");
                    body.within.is_none()
                        && interface.is_some_and(|interface| entries.contains(&(interface, name)))
                };
                (body.is_async && !away.contains(&self.graph.nodes[node].body))
                    || self.graph.called_by_loop.contains(&node)
                    || entry()
            })
            .collect()
    }

    /// Async bodies that only a `block_on` on an offloaded thread drives.
    fn driven_away(&self) -> HashSet<BodyId> {
        let off = self.reachable(self.graph.offloaded.iter().copied());
        let mut by_name = HashMap::new();
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
        let mut callers: HashMap<BodyId, Vec<NodeId>> = HashMap::new();
        for (node, data) in self.graph.nodes.iter().enumerate() {
            for edge in &data.edges {
                if let To::Node(to) = edge.to {
                    for &made in &self.graph.body(to).creates {
                        callers.entry(made).or_default().push(node);
                    }
                }
            }
        }
        let mut away: HashSet<BodyId> = self
            .graph
            .driven
            .iter()
            .filter(|(node, _)| off[*node])
            .filter_map(|(node, name)| by_name.get(&(*name, self.graph.body(*node).unit)).copied())
            .collect();
        // Whoever else calls the function polls it elsewhere; whoever is called by these alone is away too.
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

    fn reachable(&self, from: impl Iterator<Item = NodeId>) -> Vec<bool> {
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

    fn reach_blocking(&mut self) -> Vec<bool> {
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
    fn is_allowed(&mut self, node: NodeId, edge: &Edge) -> Option<usize> {
        if self.allows.is_empty() {
            return None;
        }
        let place = self.place(node, edge);
        // A long expression may have the comment over its first line.
        self.allows.at(&place.file, place.line).or_else(|| {
            let is_there = edge.span.file == edge.name.file && edge.span.encloses(&edge.name);
            is_there.then(|| self.allows.at(&place.file, edge.span.line)).flatten()
        })
    }

    /// An exception counts as used when async code comes to it, and something blocking lies behind it.
    fn use_allows(&mut self, starts: &[NodeId]) {
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

    /// The findings of one async body, with the closures that stand in it and run where they stand.
    fn from(&mut self, start: NodeId) {
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

    /// All functions with blocking calls that one call reaches, each on the shortest way.
    fn follow(&mut self, start: NodeId, node: NodeId, first: &Edge, to: NodeId, region: &mut Vec<NodeId>) {
        let mut before: HashMap<NodeId, (NodeId, usize)> = HashMap::new();
        let mut queue = VecDeque::from([to]);
        let mut seen = HashSet::from([to]);
        while let Some(current) = queue.pop_front() {
            // A closure that stands within this call is async code's own text.
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

    /// Whether the closure stands in a call that keeps it for later, as `map` of an iterator does: where
    /// the iterator is used says less than the closure's own text.
    fn is_lazy_argument(&self, body: BodyId, closure: crate::facts::Span) -> bool {
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
        if !self.seen.insert((place.clone(), cause_body, key)) {
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

    fn guards(&mut self, start: NodeId) {
        let graph = self.graph;
        let body = graph.nodes[start].body;
        // The body's own facts say it: what its parameters stand for makes no difference.
        if !graph.nodes[start].subst.is_empty() {
            return;
        }
        let facts = graph.program.facts(body);
        let place = |span| graph.program.place(body, span, 0, self.root);
        let mut first = true;
        for (kept, &ty) in facts.kept.iter().zip(&graph.program.bodies[body].kept) {
            let Some(entry) = self.guard_in(ty) else { continue };
            let lock = graph.program.bodies[body].calls.iter().find(|call| {
                let near = kept.span.encloses(&call.span) || call.span.encloses(&kept.span);
                let What::Function(callee, _) = &call.what else { return false };
                near && graph.list.get(&graph.program.types.show_callee(callee), &[Tier::Guard]).is_some()
            });
            // A guard that another place gave it is reported there.
            if lock.is_none() && !std::mem::replace(&mut first, false) {
                continue;
            }
            first = false;
            let span = lock.map_or(kept.span, |call| call.name);
            let at = place(span);
            let path = graph.list.entries[entry].path.clone();
            if !self.seen.insert((at.clone(), body, path.clone())) {
                continue;
            }
            let within = graph.body(start).shown.clone();
            let held = place(kept.span);
            let suspended =
                facts.suspends.iter().find(|suspend| suspend.state == kept.state).map(|suspend| suspend.span);
            if let Some(allow) =
                self.allows.at(&at.file, at.line).or_else(|| self.allows.at(&held.file, held.line))
            {
                self.allows.used(allow);
                continue;
            }
            let mut steps = vec![Step { place: at.clone(), within: within.clone(), calls: path.clone() }];
            if let Some(span) = suspended {
                steps.push(Step { place: place(span), within: within.clone(), calls: ".await".to_owned() });
            }
            self.findings.push(Finding {
                kind: Kind::Guard,
                place: at,
                within: within.clone(),
                path,
                category: graph.list.entries[entry].category.clone(),
                instead: graph.list.entries[entry].instead(),
                steps,
                cause: within,
                calls_in_cause: 1,
            });
        }
    }

    /// The guard that the type is or holds.
    fn guard_in(&self, ty: crate::types::TyId) -> Option<usize> {
        let types = &self.graph.program.types;
        let mut found = None;
        let mut own = Vec::new();
        types.walk(ty, &mut |part, _| match part {
            Ty::Path(name, _) => {
                found = found.or_else(|| self.graph.list.get(types.text(*name), &[Tier::Held]));
                if self.graph.program.is_own_crate(*name) {
                    own.push(*name);
                }
                found.is_none()
            }
            Ty::Ref(_) => false,
            _ => true,
        });
        if found.is_some() {
            return found;
        }
        // A struct of the project's own that holds one, by the words of its definition.
        own.iter().find_map(|name| {
            let last = types.text(*name).rsplit("::").next().unwrap_or("");
            let words = self.graph.program.fields.get(last).filter(|words| !words.contains("tokio"))?;
            let held = |path: &str| words.contains(path.rsplit("::").next().unwrap_or(path));
            let entries = &self.graph.list.entries;
            entries.iter().position(|entry| entry.tier == Tier::Held && held(&entry.path))
        })
    }

    /// Where the call is for a reader.
    fn place(&mut self, node: NodeId, edge: &Edge) -> Place {
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

/// Findings by root cause, the largest group first: those that reach one function, or the calls of one
/// kind that one async function makes itself.
pub fn group(findings: &[Finding]) -> Vec<(String, Vec<&Finding>)> {
    let mut groups: BTreeMap<(&str, &str, bool), Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        let direct = finding.steps.len() <= 1 || finding.kind != Kind::Blocking;
        let category = if direct { finding.category.as_str() } else { "" };
        groups.entry((&finding.cause, category, direct)).or_default().push(finding);
    }
    let mut groups: Vec<(String, Vec<&Finding>)> =
        groups.into_iter().map(|((cause, ..), findings)| (cause.to_owned(), findings)).collect();
    groups.sort_by_key(|(_, findings)| std::cmp::Reverse(findings.len()));
    groups
}
