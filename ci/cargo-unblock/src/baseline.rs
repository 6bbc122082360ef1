//! Which findings were there before?
//!
//! A baseline lets old findings pass and fails on new ones. It names functions and not lines, so that it
//! stays true when the file is edited elsewhere. The number in front of a line says how many findings the
//! line covers. A baseline never grows: what is gone from the code is removed from the file.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::findings::Finding;

const HEAD: &str = "# Findings of `cargo unblock` that may pass: how many, file, async function, function that blocks, API.\n";

/// File, async function, function that blocks, API.
type Key = [String; 4];

#[derive(Default)]
pub struct Baseline {
    known: BTreeMap<Key, usize>,
}

impl Baseline {
    pub fn of(findings: &[Finding]) -> Baseline {
        let mut known = BTreeMap::new();
        for finding in findings {
            *known.entry(key(finding)).or_default() += 1;
        }
        Baseline { known }
    }

    pub fn read(path: &Path) -> Result<Baseline, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::new(format!(
                "cannot read the baseline {}: {error}; --write-baseline makes one",
                path.display()
            ))
        })?;
        let mut known = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let columns: Vec<&str> = line.split('\t').collect();
            let (&[count, file, within, cause, api], Some(Ok(number))) = (
                &columns[..].try_into().unwrap_or([""; 5]),
                columns.first().map(|count| count.parse::<usize>()),
            ) else {
                return Err(malformed(path, index));
            };
            if count.is_empty() {
                return Err(malformed(path, index));
            }
            let count: &mut usize = known.entry([file, within, cause, api].map(str::to_owned)).or_default();
            *count = count.saturating_add(number);
        }
        Ok(Baseline { known })
    }

    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        let mut text = HEAD.to_owned();
        for ([file, within, cause, api], count) in &self.known {
            let _ = writeln!(text, "{count}\t{file}\t{within}\t{cause}\t{api}");
        }
        std::fs::write(path, text)
            .map_err(|error| Failure::new(format!("cannot write the baseline {}: {error}", path.display())))
    }

    pub fn len(&self) -> usize {
        self.known.values().fold(0, |sum, &count| sum.saturating_add(count))
    }

    /// Returns the findings that are new, and forgets those that are gone. A file that exists but was not
    /// compiled in this run keeps its findings.
    pub fn sift(&mut self, findings: Vec<Finding>, compiled: &HashSet<PathBuf>, root: &Path) -> Vec<Finding> {
        let mut found: BTreeMap<Key, usize> = BTreeMap::new();
        let new = findings
            .into_iter()
            .filter(|finding| {
                let key = key(finding);
                let count = found.entry(key.clone()).or_default();
                *count += 1;
                *count > self.known.get(&key).copied().unwrap_or(0)
            })
            .collect();
        self.known.retain(|key, count| {
            let file = Path::new(&key[0]);
            if compiled.contains(file) || !root.join(file).exists() {
                *count = (*count).min(found.get(key).copied().unwrap_or(0));
            }
            *count > 0
        });
        new
    }
}

fn malformed(path: &Path, index: usize) -> Failure {
    Failure::new(format!(
        "{}:{}: not a line of a baseline; --write-baseline makes a new one",
        path.display(),
        index + 1
    ))
}

fn key(finding: &Finding) -> Key {
    let clean = |text: &str| text.replace(['\t', '\n'], " ");
    [
        clean(&finding.place.file.to_string_lossy()),
        clean(&finding.within),
        clean(&finding.cause),
        clean(&finding.path),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(file: &str, within: &str) -> Finding {
        let mut finding = Finding::example();
        finding.place.file = file.into();
        Finding { within: within.to_owned(), cause: within.to_owned(), ..finding }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let findings = [finding("a.rs", "f"), finding("a.rs", "f"), finding("b.rs", "g\th")];
        Baseline::of(&findings).write(file.path()).unwrap();
        let mut read = Baseline::read(file.path()).unwrap();
        assert_eq!(read.len(), 3);
        let compiled = HashSet::from(["a.rs".into(), "b.rs".into()]);
        assert_eq!(read.sift(findings.to_vec(), &compiled, Path::new("/nowhere")), []);
        std::fs::write(file.path(), "# head\n\nx\ta.rs\tf\tf\tstd::fs::read\n").unwrap();
        let failure = Baseline::read(file.path()).err().unwrap().to_string();
        assert!(failure.contains(":3: not a line of a baseline"), "{failure}");
    }

    #[test]
    fn one_finding_more_than_known_is_new_and_what_is_gone_is_forgotten() {
        let mut known = Baseline::of(&[finding("a.rs", "f"), finding("a.rs", "g"), finding("gone.rs", "h")]);
        let compiled = HashSet::from([PathBuf::from("a.rs")]);
        let new =
            known.sift(vec![finding("a.rs", "f"), finding("a.rs", "f")], &compiled, Path::new("/nowhere"));
        assert_eq!(new.len(), 1);
        assert_eq!(known.len(), 1);
    }

    #[test]
    fn a_file_that_was_not_compiled_keeps_its_findings_while_it_exists() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("other.rs"), "").unwrap();
        let mut known = Baseline::of(&[finding("other.rs", "f")]);
        assert_eq!(known.sift(Vec::new(), &HashSet::new(), root.path()), []);
        assert_eq!(known.len(), 1);
    }
}
