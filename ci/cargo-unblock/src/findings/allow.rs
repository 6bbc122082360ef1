//! Which findings does the source text allow?
//!
//! `// unblock: allow(REASON)` on the line of a call, or on the line above it, removes that call from every
//! chain. It is a comment because attributes for tools need a nightly compiler.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::{Finding, Kind};
use crate::place::Place;
use crate::sources::Source;

#[derive(Default)]
pub struct Allows {
    all: Vec<Allow>,
    by_line: HashMap<(PathBuf, u32), usize>,
}

struct Allow {
    place: Place,
    reason: Option<String>,
    used: bool,
    /// Whether it stands in a package that the user asked about.
    asked: bool,
    /// Whether the compiler saw code there. If it did not, a disabled feature may be the reason.
    compiled: bool,
}

impl Allows {
    /// Notes the exceptions in one file. `compiled` says whether code was compiled on a line.
    pub fn read(&mut self, file: &Path, source: &Source, asked: bool, compiled: impl Fn(u32) -> bool) {
        for comment in &source.comments {
            let Some(rest) = comment.text.trim().strip_prefix("unblock:") else { continue };
            let Some(rest) = rest.trim().strip_prefix("allow") else { continue };
            if rest.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let reason = rest
                .trim()
                .strip_prefix('(')
                .and_then(|rest| rest.rsplit_once(')'))
                .map(|(reason, _)| reason.trim())
                .filter(|reason| !reason.is_empty());
            // A comment on a line of its own is about the next line of code.
            let mut line = comment.line;
            if !comment.behind_code {
                line += 1;
                while line <= source.len() && is_passed(source.line(line)) {
                    line += 1;
                }
            }
            let width = source.line(comment.line).chars().count() as u32 + 1;
            let place = Place {
                file: file.to_owned(),
                line: comment.line,
                column: comment.column,
                end_line: comment.line,
                end_column: width.max(comment.column + 1),
            };
            self.by_line.insert((file.to_owned(), line), self.all.len());
            let reason = reason.map(str::to_owned);
            self.all.push(Allow { place, reason, used: false, asked, compiled: compiled(line) });
        }
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The exception for a line.
    pub fn at(&self, file: &Path, line: u32) -> Option<usize> {
        self.by_line.get(&(file.to_owned(), line)).copied()
    }

    pub fn used(&mut self, index: usize) {
        self.all[index].used = true;
    }

    /// The exceptions that are findings themselves.
    pub fn findings(&self) -> Vec<Finding> {
        let mut by_place = BTreeMap::new();
        for allow in self.all.iter().filter(|allow| allow.asked) {
            let kind = match allow {
                Allow { reason: None, .. } => Kind::AllowWithoutReason,
                Allow { used: false, compiled: true, .. } => Kind::UnusedAllow,
                _ => continue,
            };
            by_place.insert(allow.place.clone(), kind);
        }
        by_place
            .into_iter()
            .map(|(place, kind)| Finding {
                kind,
                cause: format!("{}:{}", place.file.display(), place.line),
                place,
                within: String::new(),
                path: String::new(),
                category: String::new(),
                instead: String::new(),
                steps: Vec::new(),
                calls_in_cause: 0,
            })
            .collect()
    }
}

/// Comments and attributes may stand between the exception and its code.
fn is_passed(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("//") || (line.starts_with("#[") && line.trim_end().ends_with(']'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "src/a.rs";

    fn allows(text: &str, compiled: bool) -> Allows {
        let mut allows = Allows::default();
        allows.read(Path::new(FILE), &Source::new(text), true, |_| compiled);
        allows
    }

    /// Where an exception stands, and for which lines.
    fn lines(text: &str) -> Vec<u32> {
        let allows = allows(text, true);
        (1..20).filter(|&line| allows.at(Path::new(FILE), line).is_some()).collect()
    }

    #[test]
    fn an_exception_is_for_its_own_line_or_for_the_next_line_of_code() {
        assert_eq!(lines("read(); // unblock: allow(once)"), [1]);
        assert_eq!(lines("// unblock: allow(once)\nread();"), [2]);
        assert_eq!(lines("// unblock: allow(once)\n// why\n#[cfg(unix)]\nread();"), [4]);
        assert_eq!(lines("//unblock:allow (once)\nread();"), [2]);
        assert_eq!(lines("// unblock: allowed\nread();"), [0; 0]);
        assert_eq!(lines("let text = \"// unblock: allow(once)\";"), [0; 0]);
    }

    #[test]
    fn an_exception_without_a_reason_or_a_use_is_a_finding() {
        let kinds = |allows: &Allows| allows.findings().into_iter().map(|it| it.kind).collect::<Vec<_>>();
        let mut used = allows("read(); // unblock: allow(once)", true);
        assert_eq!(kinds(&used), [Kind::UnusedAllow]);
        used.used(0);
        assert_eq!(kinds(&used), []);
        for text in ["read(); // unblock: allow", "read(); // unblock: allow( )"] {
            let mut without_reason = allows(text, true);
            without_reason.used(0);
            assert_eq!(kinds(&without_reason), [Kind::AllowWithoutReason], "{text}");
        }
        // A feature that is off may be why nothing was compiled there.
        assert_eq!(kinds(&allows("read(); // unblock: allow(once)", false)), []);
    }
}
