//! Which async code reaches a blocking call, and through what?
//!
//! Starts at each async body (starts.rs), looks at the calls in it, and follows those that lead to something blocking,
//! on the shortest way (search.rs, reach.rs). Guards that are held across an `.await` are in guards.rs, and exceptions
//! in the source text in allow.rs. What is found is grouped by root cause: the function that holds the blocking call.

mod allow;
mod finding;
mod guards;
mod reach;
mod search;
mod starts;

use std::collections::BTreeMap;
use std::path::Path;

pub use self::allow::Allows;
pub use self::finding::{Finding, Kind, Step};
use self::search::Search;
use crate::graph::Graph;

/// Everything that is found, sorted by place.
pub fn collect(graph: &Graph, root: &Path, allows: &mut Allows) -> Vec<Finding> {
    let mut search = Search::new(graph, root, allows);
    search.run();
    let mut findings = search.findings;
    findings.sort_by(|a, b| (&a.place, &a.path).cmp(&(&b.place, &b.path)));
    findings
}

/// Findings by root cause, the largest group first. A group has the findings that reach the same function, or
/// the calls of one category that one async function makes itself.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(cause: &str, category: &str, steps: usize) -> Finding {
        let finding = Finding::example();
        let steps = vec![finding.steps[0].clone(); steps];
        Finding { cause: cause.to_owned(), category: category.to_owned(), steps, ..finding }
    }

    #[test]
    fn chains_to_one_function_are_a_group_and_direct_calls_are_a_group_for_each_kind() {
        let findings = [
            finding("g", "fs", 2),
            finding("f", "fs", 1),
            finding("g", "net", 3),
            finding("f", "net", 1),
            finding("g", "fs", 2),
        ];
        let groups: Vec<(String, usize)> =
            group(&findings).into_iter().map(|(cause, findings)| (cause, findings.len())).collect();
        assert_eq!(groups, [("g".to_owned(), 3), ("f".to_owned(), 1), ("f".to_owned(), 1)]);
    }
}
