//! How does a person read the findings?
//!
//! One diagnostic for each root cause, in rustc's style, and a summary that names the few functions
//! whose change would clear most.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::findings::{Finding, Kind, group};
use crate::place::Place;
use crate::report::{cure, message};

/// So many places of a finding are listed; the others are only counted. Higher: one diagnostic fills a
/// screen. Lower: the reader has to run the tool again for the rest.
const MAX_LISTED: usize = 10;
/// So many functions are named in the summary. Higher: the ones that matter most stand out less. Lower: some
/// that would clear many findings are not named.
const MAX_ADVICE: usize = 5;

pub fn print(findings: &[Finding], root: &Path, offload: &str, colored: bool) -> String {
    let renderer = if colored { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii);
    let mut texts = Texts { root, files: HashMap::new() };
    let mut output = String::new();
    let groups = group(findings);
    for (_, findings) in &groups {
        let report = diagnostic(findings, &mut texts, offload);
        output.push_str(&renderer.render(&[report]));
        output.push_str("\n\n");
    }
    output.push_str(&renderer.render(&[summary(findings, groups.len())]));
    output.push('\n');
    output
}

fn diagnostic<'a>(findings: &[&'a Finding], texts: &mut Texts, offload: &str) -> Group<'a> {
    let first = findings[0];
    let direct = first.kind != Kind::Blocking || first.steps.len() == 1;
    let title = match findings.len() {
        1 => message(first),
        count if direct => format!("{} (and {} more in `{}`)", message(first), count - 1, first.within),
        count => format!("{} (reached from {count} places)", message(first)),
    };
    let mut report = Level::ERROR.primary_title(title).element(origin(first, texts));
    if first.steps.len() > 1 {
        for snippet in steps(first, texts) {
            report = report.element(snippet);
        }
    }
    let rest: Vec<&&Finding> = findings[1..].iter().collect();
    if !rest.is_empty() {
        let mut text = String::from("also reached from");
        if direct {
            text = "also here".to_owned();
        }
        for finding in rest.iter().take(MAX_LISTED) {
            let place = &finding.place;
            text.push_str(&format!("\n{}:{}:{} ", place.file.display(), place.line, place.column));
            if direct {
                text.push_str(&format!("`{}`", finding.path));
            } else {
                let through =
                    finding.steps[..finding.steps.len() - 1].iter().enumerate().map(|(index, step)| {
                        match index {
                            0 => format!("`{}`", step.calls),
                            _ => format!(
                                "`{}` ({}:{})",
                                step.calls,
                                step.place.file.display(),
                                step.place.line
                            ),
                        }
                    });
                text.push_str(&format!(
                    "in `{}`: {}",
                    finding.within,
                    through.collect::<Vec<_>>().join(", ")
                ));
            }
        }
        if rest.len() > MAX_LISTED {
            text.push_str(&format!(
                "\nand {} more; `--message-format short` lists all",
                rest.len() - MAX_LISTED
            ));
        }
        report = report.element(Level::NOTE.message(text));
    }
    report.element(Level::HELP.message(cure(first, offload)))
}

/// The line in async code.
fn origin<'a>(finding: &'a Finding, texts: &mut Texts) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let label = match finding.kind {
        Kind::Blocking if finding.steps.len() == 1 => format!("in async `{}`", finding.within),
        Kind::Blocking => format!("async `{}` calls `{}`", finding.within, finding.steps[0].calls),
        Kind::Guard => "the lock is taken here".to_owned(),
        _ => String::new(),
    };
    let mut snippet = texts.snippet(&finding.place, AnnotationKind::Primary, label);
    if finding.kind == Kind::Guard
        && let Some(step) = finding.steps.get(1).filter(|step| step.place.file == finding.place.file)
        && let Some(span) = texts.span(&step.place)
    {
        snippet = snippet
            .annotation(AnnotationKind::Context.span(span).label("and is still held while this waits"));
    }
    snippet
}

/// The steps after the first one.
fn steps<'a>(finding: &'a Finding, texts: &mut Texts) -> Vec<Snippet<'a, annotate_snippets::Annotation<'a>>> {
    let mut snippets = Vec::new();
    if finding.kind == Kind::Guard {
        return snippets;
    }
    for (index, step) in finding.steps.iter().enumerate().skip(1) {
        let label = if index + 1 == finding.steps.len() {
            format!("`{}` calls `{}`, which blocks", step.within, step.calls)
        } else {
            format!("`{}` calls `{}`", step.within, step.calls)
        };
        snippets.push(texts.snippet(&step.place, AnnotationKind::Context, label));
    }
    snippets
}

fn summary(findings: &[Finding], causes: usize) -> Group<'static> {
    let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let title = format!("{}, {}", count(findings.len(), "finding"), count(causes, "root cause"));
    let mut report = Group::with_title(Level::ERROR.primary_title(title));
    let advice = advice(findings);
    if !advice.is_empty() {
        let mut text = String::from("off the event loop, these functions would clear most:");
        for (function, count) in advice {
            text.push_str(&format!("\n{count:4}  `{function}`"));
        }
        report = report.element(Level::HELP.message(text));
    }
    report.element(Level::NOTE.message(
        "`cargo unblock --explain PATH` says why an API is on the list; `// unblock: allow(REASON)` at a call makes an exception",
    ))
}

/// The functions that most findings lead through, each finding counted once.
fn advice(findings: &[Finding]) -> Vec<(String, usize)> {
    let mut left: HashSet<usize> = (0..findings.len())
        .filter(|&index| findings[index].kind == Kind::Blocking && findings[index].steps.len() > 1)
        .collect();
    let mut chosen = Vec::new();
    while chosen.len() < MAX_ADVICE {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for &index in &left {
            let steps = &findings[index].steps;
            let functions: HashSet<&str> =
                steps[..steps.len() - 1].iter().map(|step| step.calls.as_str()).collect();
            for function in functions {
                *counts.entry(function).or_default() += 1;
            }
        }
        let Some((function, count)) =
            counts.into_iter().max_by_key(|&(_, count)| count).filter(|&(_, count)| count > 1)
        else {
            break;
        };
        left.retain(|&index| !findings[index].steps.iter().any(|step| step.calls == function));
        chosen.push((function.to_owned(), count));
    }
    chosen
}

/// The source text behind places.
struct Texts<'a> {
    root: &'a Path,
    files: HashMap<std::path::PathBuf, Rc<str>>,
}

impl Texts<'_> {
    fn text(&mut self, place: &Place) -> Rc<str> {
        let root = self.root;
        self.files
            .entry(place.file.clone())
            .or_insert_with(|| {
                let bytes = std::fs::read(root.join(&place.file)).unwrap_or_default();
                String::from_utf8_lossy(&bytes).into()
            })
            .clone()
    }

    fn span(&mut self, place: &Place) -> Option<Range<usize>> {
        let text = self.text(place);
        let at = |line: u32, column: u32| {
            let mut start = 0;
            for _ in 1..line {
                start += text[start..].find('\n')? + 1;
            }
            let row = text[start..].split('\n').next().unwrap_or("");
            let offset = row.char_indices().nth(column as usize - 1).map_or(row.len(), |(offset, _)| offset);
            Some(start + offset)
        };
        let (start, end) =
            (at(place.line, place.column.max(1))?, at(place.end_line, place.end_column.max(1))?);
        // A mark on a long expression ends with the first line.
        let row_end = text[start..].find('\n').map_or(text.len(), |length| start + length);
        Some(start..end.clamp(start, row_end))
    }

    fn snippet<'a>(
        &mut self,
        place: &Place,
        kind: AnnotationKind,
        label: String,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let text = self.text(place).to_string();
        let span = self.span(place);
        let snippet = Snippet::source(text).path(place.file.display().to_string());
        match span {
            Some(span) if label.is_empty() => snippet.annotation(kind.span(span)),
            Some(span) => snippet.annotation(kind.span(span).label(label)),
            None => snippet,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(calls: &[&str]) -> Finding {
        let mut finding = Finding::example();
        let step = finding.steps.remove(0);
        finding.steps = calls
            .iter()
            .map(|calls| crate::findings::Step { calls: calls.to_string(), ..step.clone() })
            .collect();
        finding
    }

    #[test]
    fn advice_counts_each_finding_once_and_leaves_out_what_clears_only_one() {
        let findings = [
            finding(&["load", "parse", "std::fs::read"]),
            finding(&["load", "std::fs::read"]),
            finding(&["load", "parse", "std::fs::read"]),
            finding(&["parse", "std::fs::read"]),
            finding(&["std::fs::read"]),
        ];
        let advice = advice(&findings);
        assert_eq!(advice.len(), 1, "{advice:?}");
        assert_eq!(advice[0].1, 3);
    }

    #[test]
    fn a_span_counts_characters_and_ends_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.rs"), "fn f() {\n  é.read()\n}\n").unwrap();
        let mut texts = Texts { root: folder.path(), files: HashMap::new() };
        let mut span = |end_line, end_column| {
            let place = Place { file: "a.rs".into(), line: 2, column: 3, end_line, end_column };
            let span = texts.span(&place)?;
            Some(texts.text(&place)[span].to_owned())
        };
        assert_eq!(span(2, 4).as_deref(), Some("é"));
        assert_eq!(span(3, 2).as_deref(), Some("é.read()"));
        assert_eq!(span(9, 1), None);
    }
}
