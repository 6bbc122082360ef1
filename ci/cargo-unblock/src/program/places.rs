//! Where does a reader find a call?

use std::path::Path;

use rustc_hash::FxHashSet;

use super::{BodyId, Program};
use crate::facts::{Span, Str, Unit};
use crate::place::Place;

impl Program {
    /// The place at which a reader finds a piece of a body, from the workspace's root. For code from a macro
    /// it is the place where the macro is invoked. `rank` says which of several invocations that is, since
    /// bodies are printed in the order of their text.
    pub fn place(&self, id: BodyId, span: Span, rank: usize, root: &Path) -> Place {
        let body = &self.bodies[id];
        let unit = &self.units[body.unit];
        let facts = &unit.bodies[body.index];
        let own = facts.place.file;
        let place = |span: Span| {
            let path = Path::new(&unit.directory).join(unit.text(span.file));
            let file = path.strip_prefix(root).map(Path::to_owned).unwrap_or(path);
            let Span { line, column, end_line, end_column, .. } = span;
            Place { file, line, column, end_line, end_column }
        };
        let mut names = self.macros_at(unit, span);
        let text = unit.text(span.file);
        if names.is_empty() && (span.file == own || unit.files.iter().any(|file| file == text)) {
            return place(span);
        }
        // When the whole function comes from a macro, the invocation contains its name.
        let from_macro = !self.macros_at(unit, facts.place).is_empty();
        let shown = body.shown.rsplit("::").next().unwrap_or("");
        let (first, last) = (facts.place.line, facts.last_line.max(facts.place.end_line));
        let mut known: FxHashSet<String> = names.iter().cloned().collect();
        while !names.is_empty() {
            let mut found: Vec<(Str, u32, u32, usize)> = Vec::new();
            for file in &unit.files {
                let Some(index) = unit.strings.iter().position(|text| text == file) else { continue };
                if !from_macro && index as Str != own {
                    continue;
                }
                let Some(source) = self.sources.get(&unit.directory, file) else { continue };
                let (first, last) = if from_macro { (1, source.len()) } else { (first, last) };
                for name in &names {
                    let length = name.chars().count() + 1;
                    let at = source.invocations(name, first, last).into_iter();
                    let at = at.filter(|(line, _)| !from_macro || source.line(*line).contains(shown));
                    found.extend(at.map(|(line, column)| (index as Str, line, column, length)));
                }
            }
            found.sort_unstable();
            let rank = if from_macro { 0 } else { rank };
            if let Some(&(file, line, column, length)) = found.get(rank).or(found.last()) {
                let end_column = column + length as u32;
                return place(Span { file, line, column, end_line: line, end_column });
            }
            // Another macro may invoke this macro.
            let files = unit.files.iter().filter_map(|file| self.sources.get(&unit.directory, file));
            names = files
                .flat_map(|file| names.iter().flat_map(|name| file.macros_that_use(name)).collect::<Vec<_>>())
                .collect();
            names.retain(|name| known.insert(name.clone()));
        }
        // Otherwise the place is that of the last call before it in the body's own text.
        let is_own = |span: &Span| span.file == own && (first..=last).contains(&span.line);
        let before = body.calls.iter().take_while(|call| call.name != span && call.span != span);
        place(before.map(|call| call.name).filter(is_own).last().unwrap_or(facts.place))
    }

    /// The macros by example that code at this place may come from.
    fn macros_at(&self, unit: &Unit, span: Span) -> Vec<String> {
        let file = unit.text(span.file);
        if let Some(source) = self.sources.get(&unit.directory, file) {
            return source.macro_around(span.line).map(str::to_owned).into_iter().collect();
        }
        // The sources of the standard library are usually not installed.
        let standard = ["println", "print", "eprintln", "eprint", "writeln", "write", "dbg"];
        if file.starts_with("/rustc/") || file.contains("/library/") {
            standard.map(str::to_owned).into()
        } else {
            Vec::new()
        }
    }

    /// How many calls before this one have the same place within a macro.
    pub fn rank(&self, id: BodyId, call: usize) -> usize {
        let calls = &self.bodies[id].calls;
        calls[..call].iter().filter(|other| other.name == calls[call].name).count()
    }
}
