//! How do facts become findings?
//!
//! The project and the probe both go through this function, so that the probe checks what the project gets.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::facts::Unit;
use crate::failure::Failure;
use crate::findings::{self, Allows, Finding};
use crate::graph::{Dispatch, Graph};
use crate::list::List;
use crate::program::Program;

pub struct Outcome {
    pub findings: Vec<Finding>,
    /// The source files of the packages that the user asked about, from the workspace's root.
    pub files: HashSet<PathBuf>,
}

/// `check` may refuse a configuration that names functions which the crates do not have.
pub fn run(
    units: Vec<Unit>,
    list: &List,
    dispatch: Dispatch,
    root: &Path,
    check: impl FnOnce(&Program) -> Result<(), Failure>,
) -> Result<Outcome, Failure> {
    let mut program = Program::new(units);
    check(&program)?;
    let (mut allows, files) = exceptions(&program, root);
    let graph = Graph::new(&mut program, list, dispatch);
    let mut findings = findings::collect(&graph, root, &mut allows);
    findings.extend(allows.findings());
    findings.sort_by(|a, b| (&a.place, &a.path).cmp(&(&b.place, &b.path)));
    Ok(Outcome { findings, files })
}

/// The exceptions in all files that were compiled, and the files of the packages that the user asked about.
fn exceptions(program: &Program, root: &Path) -> (Allows, HashSet<PathBuf>) {
    let mut lines: HashMap<PathBuf, Vec<(u32, u32)>> = HashMap::new();
    for (id, body) in program.bodies.iter().enumerate() {
        let unit = &program.units[body.unit];
        let facts = program.facts(id);
        let file = Path::new(&unit.directory).join(unit.text(facts.place.file));
        lines.entry(file).or_default().push((facts.place.line, facts.last_line.max(facts.place.end_line)));
    }
    let mut allows = Allows::default();
    let (mut files, mut seen) = (HashSet::new(), HashSet::new());
    // A file may belong to two packages. Those that the user asked about come first, since only the first one
    // counts.
    let (asked, others): (Vec<&Unit>, _) = program.units.iter().partition(|unit| !unit.for_others);
    for unit in asked.into_iter().chain(others) {
        for file in &unit.files {
            let Some(source) = program.sources.get(&unit.directory, file) else { continue };
            let whole = Path::new(&unit.directory).join(file);
            let relative = whole.strip_prefix(root).unwrap_or(&whole).to_owned();
            if !unit.for_others {
                files.insert(relative.clone());
            }
            if seen.insert(relative.clone()) {
                let ranges = lines.get(&whole).map_or(&[][..], Vec::as_slice);
                allows.read(&relative, &source, !unit.for_others, |line| {
                    ranges.iter().any(|(first, last)| (*first..=*last).contains(&line))
                });
            }
        }
    }
    (allows, files)
}
