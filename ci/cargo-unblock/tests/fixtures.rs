//! Does it find what it must, and nothing else?
//!
//! The fixtures are a workspace whose lines say what must come of them: `//~ BAD <path>` must be reported,
//! all others must not; `//~ OK <why>` marks those that look as if.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use common::{Run, unblock};

type Line = (String, u32);

/// The marked lines: the blocking path, or nothing for a look-alike.
fn marks(root: &Path) -> BTreeMap<Line, Option<String>> {
    let mut marks = BTreeMap::new();
    common::visit(root, &mut |path| {
        let text = fs::read_to_string(path).unwrap();
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        for (number, line) in (1..).zip(text.lines()) {
            let Some((_, mark)) = line.split_once("//~ ") else { continue };
            let mark = mark.trim_end_matches('`');
            // The second sets name a kind instead of the path.
            if let Some(path) = mark.strip_prefix("BAD ").or_else(|| mark.strip_prefix("BAD(")) {
                marks.insert((name.clone(), number), Some(path.trim().to_owned()));
            } else if mark.starts_with("OK ") {
                marks.insert((name.clone(), number), None);
            }
        }
    });
    marks
}

/// The marks of a workspace and what is found at each line, after holding one against the other.
fn compared(root: &Path) -> (BTreeMap<Line, Option<String>>, BTreeMap<Line, Vec<String>>) {
    let run = unblock(root, &["--message-format", "json", "--locked"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    let marks = marks(root);
    let bad: BTreeSet<&Line> =
        marks.iter().filter(|(_, path)| path.is_some()).map(|(line, _)| line).collect();
    println!("{}: {} lines to report, {} look-alikes", root.display(), bad.len(), marks.len() - bad.len());

    let mut found: BTreeMap<Line, Vec<String>> = BTreeMap::new();
    let mut once = BTreeSet::new();
    for finding in run.json() {
        assert!(once.insert(finding.to_string()), "twice: {finding}");
        let file = finding["place"]["file"].as_str().unwrap().to_owned();
        let line = finding["place"]["line"].as_u64().unwrap() as u32;
        found.entry((file, line)).or_default().push(finding["path"].as_str().unwrap().to_owned());
    }
    let found_lines: BTreeSet<&Line> = found.keys().collect();
    let missing: Vec<_> = bad.difference(&found_lines).collect();
    let too_much: Vec<_> = found_lines.difference(&bad).map(|line| (line, &found[*line])).collect();
    assert!(missing.is_empty() && too_much.is_empty(), "missing: {missing:#?}\ntoo much: {too_much:#?}");

    (marks, found)
}

#[test]
fn every_marked_line_and_no_other_is_reported() {
    let (marks, found) = compared(&common::here().join("tests/fixtures"));
    assert!(found.len() >= 400 && marks.len() >= 700, "{} of {}", found.len(), marks.len());
    for (line, paths) in &found {
        let marked = marks[line].as_deref().unwrap();
        assert!(paths.iter().any(|path| names(path, marked)), "{line:?}: {paths:?} is not {marked}");
    }
}

/// The sets that were written without knowledge of the tool. What it scored on them at first is in the
/// README; since then they are fixtures like others.
#[test]
fn every_marked_line_of_the_blind_sets_and_no_other_is_reported() {
    let sets = fs::read_dir(common::here().join("tests/blind")).unwrap();
    for set in sets {
        let (marks, found) = compared(&set.unwrap().path());
        assert!(found.len() >= 100 && marks.len() >= 200, "{} of {}", found.len(), marks.len());
    }
}

/// Whether a finding's path is the marked one. A trait's method is marked without its receiver, an
/// iterator's items as `next`, and parking_lot's guards by the name under which it exports them.
fn names(found: &str, marked: &str) -> bool {
    let plain = match found.strip_prefix('<').and_then(|rest| rest.rsplit_once(" as ")) {
        Some((_, rest)) => rest.replacen('>', "", 1),
        None => found.to_owned(),
    };
    let last = |path: &str| path.rsplit("::").next().unwrap_or(path).to_owned();
    plain == marked
        || marked.ends_with("::next")
        || (last(&plain) == last(marked) && !plain.starts_with("std::fs"))
}

/// Further switches change what is seen as they say.
#[test]
fn dispatch_and_tiers_are_switches() {
    let run = |arguments: &[&str]| -> Run {
        let package = common::package(
            "switches",
            "pub trait Store { fn load(&self); }
             pub struct Disk;
             impl Store for Disk { fn load(&self) { let _ = std::fs::read(\"x\"); } }
             pub struct Other;
             impl Store for Other { fn load(&self) { let _ = std::fs::metadata(\"x\"); } }
             pub async fn seen() { let store: &dyn Store = &Disk; store.load(); }
             pub async fn unknown<S: Store>(store: S) { store.load(); }
             pub async fn minor(path: &std::path::Path) -> bool { path.exists() }
             pub async fn print() { println!(\"x\"); }",
        );
        let mut all = vec!["--message-format", "short"];
        all.extend(arguments);
        unblock(package.path(), &all)
    };
    let lines = |run: Run| -> Vec<u32> { run.places().into_iter().map(|(_, line, _)| line).collect() };
    assert_eq!(lines(run(&[])), [6]);
    assert_eq!(lines(run(&["--dispatch", "none"])), [0; 0]);
    assert_eq!(lines(run(&["--dispatch", "all"])), [6, 6, 7, 7]);
    assert_eq!(lines(run(&["--also", "minor"])), [6, 8]);
    assert_eq!(lines(run(&["--also", "minor,print"])), [6, 8, 9]);
}
