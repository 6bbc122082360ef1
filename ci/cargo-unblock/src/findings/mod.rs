//! Which async code reaches a blocking call, and through what?
//!
//! Starts at each async body, looks at the calls in it, and follows those that lead to something
//! blocking, on the shortest way. What comes out is grouped by root cause: the function that holds the
//! blocking call.

mod guards;
mod search;
mod starts;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use self::search::Search;
use crate::allow::Allows;
use crate::graph::Graph;

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
    /// Where async code enters the chain, or what was asked about.
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
