//! Does this tool understand the compiler at hand?
//!
//! Any new rustc may print MIR differently, and a check that silently sees nothing is worse than no check. So
//! each compiler first has to print a small crate whose findings are known (probe/sample.rs). If a finding is
//! missing, or if there is one too many, the findings of the project cannot be trusted either, and the tool
//! stops. A compiler that passed is remembered in the target folder.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::facts::{self, Unit};
use crate::failure::Failure;
use crate::list::{self, List};
use crate::{analysis, graph, wrapper};

const SAMPLE: &str = include_str!("probe/sample.rs");

/// What a verdict about a compiler rests on. A compiler is probed again when any of these files has changed.
const TOOL: u64 = facts::fingerprint(&[
    SAMPLE,
    include_str!("blocking.tsv"),
    include_str!("analysis.rs"),
    include_str!("facts.rs"),
    include_str!("findings/allow.rs"),
    include_str!("findings/finding.rs"),
    include_str!("findings/guards.rs"),
    include_str!("findings/mod.rs"),
    include_str!("findings/reach.rs"),
    include_str!("findings/search.rs"),
    include_str!("findings/starts.rs"),
    include_str!("graph/dispatch.rs"),
    include_str!("graph/expand.rs"),
    include_str!("graph/external.rs"),
    include_str!("graph/functions.rs"),
    include_str!("graph/hidden.rs"),
    include_str!("graph/impls.rs"),
    include_str!("graph/listed.rs"),
    include_str!("graph/methods.rs"),
    include_str!("graph/mod.rs"),
    include_str!("graph/nodes.rs"),
    include_str!("graph/values.rs"),
    include_str!("list.rs"),
    include_str!("mir/comment.rs"),
    include_str!("mir/flow.rs"),
    include_str!("mir/lines.rs"),
    include_str!("mir/mod.rs"),
    include_str!("mir/open.rs"),
    include_str!("mir/statement.rs"),
    include_str!("mir/text.rs"),
    include_str!("notation.rs"),
    include_str!("place.rs"),
    include_str!("program/add.rs"),
    include_str!("program/build.rs"),
    include_str!("program/impls.rs"),
    include_str!("program/mod.rs"),
    include_str!("program/model.rs"),
    include_str!("program/names.rs"),
    include_str!("program/places.rs"),
    include_str!("sources/blank.rs"),
    include_str!("sources/declarations.rs"),
    include_str!("sources/exports.rs"),
    include_str!("sources/header.rs"),
    include_str!("sources/macros.rs"),
    include_str!("sources/mod.rs"),
    include_str!("sources/source.rs"),
    include_str!("sources/workspace.rs"),
    include_str!("types/cursor.rs"),
    include_str!("types/mod.rs"),
    include_str!("types/parser.rs"),
    include_str!("types/path.rs"),
    include_str!("types/scope.rs"),
    include_str!("types/show.rs"),
    include_str!("types/substitute.rs"),
    include_str!("types/tree.rs"),
    include_str!("wrapper.rs"),
]);

/// Checks the compilers that printed these crates.
pub fn check(units: &[Unit], cache: &Path) -> Result<(), Failure> {
    let compilers: BTreeSet<(&str, &str)> =
        units.iter().map(|unit| (unit.rustc.as_str(), unit.rustc_path.as_str())).collect();
    for (version, path) in compilers {
        let passed = cache.join(format!("probe-{:016x}-{TOOL:016x}", facts::fingerprint(&[version])));
        if passed.exists() {
            continue;
        }
        let release = version.lines().next().unwrap_or(version);
        probe(path, cache).map_err(|problem| {
            Failure::new(format!(
                "this cargo-unblock ({}) does not understand {release}: {problem}.\n\
                 Its findings would not be complete. Use another version of the tool or of the toolchain, and please report it.",
                env!("CARGO_PKG_VERSION")
            ))
        })?;
        // If this fails, the next run probes the compiler again.
        let _ = std::fs::write(passed, version);
    }
    Ok(())
}

fn probe(rustc: &str, cache: &Path) -> Result<(), String> {
    let folder = cache.join(format!("probe.{}", std::process::id()));
    let result = std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(folder.join("sample.rs"), SAMPLE))
        .map_err(|error| format!("cannot write the probe: {error}"))
        .and_then(|()| compare(rustc, &folder));
    let _ = std::fs::remove_dir_all(&folder);
    result
}

fn compare(rustc: &str, folder: &Path) -> Result<(), String> {
    let mut unit = Unit {
        crate_name: "sample".to_owned(),
        is_library: true,
        directory: folder.to_string_lossy().into_owned(),
        files: vec!["sample.rs".to_owned()],
        ..Unit::default()
    };
    let mut command = Command::new(rustc);
    command
        .current_dir(folder)
        .args(["--crate-name=sample", "--crate-type=lib", "--edition=2021", "--cap-lints=allow", "sample.rs"])
        .args(wrapper::PRINT);
    wrapper::print(command, &mut unit).map_err(|error| error.to_string())?;
    let list = List::new(list::built_in(), Vec::new());
    let found: BTreeSet<u32> = analysis::run(vec![unit], &list, graph::Dispatch::Seen, folder, |_| Ok(()))
        .map_err(|failure| failure.to_string())?
        .findings
        .iter()
        .map(|finding| finding.place.line)
        .collect();
    let marked: BTreeSet<u32> = (1u32..)
        .zip(SAMPLE.lines())
        .filter(|(_, line)| line.ends_with("// BAD"))
        .map(|(number, _)| number)
        .collect();
    let lines =
        |lines: Vec<&u32>| lines.iter().map(|line| format!("line {line}")).collect::<Vec<_>>().join(", ");
    let missing: Vec<&u32> = marked.difference(&found).collect();
    let too_much: Vec<&u32> = found.difference(&marked).collect();
    match (missing.is_empty(), too_much.is_empty()) {
        (true, true) => Ok(()),
        (false, _) => Err(format!("of its probe it does not see {}", lines(missing))),
        (true, false) => Err(format!("in its probe it sees too much: {}", lines(too_much))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::path::PathBuf;

    /// What has no part in a verdict: how the user asks, how crates are compiled, and how findings are told.
    const WITHOUT_PART: [&str; 13] = [
        "arguments.rs",
        "baseline.rs",
        "compile.rs",
        "config.rs",
        "explain.rs",
        "failure.rs",
        "human.rs",
        "main.rs",
        "options.rs",
        "packages.rs",
        "probe.rs",
        "probe/sample.rs",
        "report.rs",
    ];

    /// The files below `folder`, from `src` on.
    fn files(src: &Path, folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                files(src, &path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.insert(path.strip_prefix(src).unwrap().to_str().unwrap().to_owned());
            }
        }
    }

    /// Otherwise a compiler that passed with the old code, or facts that the old code read, would be trusted.
    #[test]
    fn verdicts_and_facts_are_made_anew_when_the_code_behind_them_changes() {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut all = BTreeSet::new();
        files(&src, &src, &mut all);
        let included = |text: &str| -> BTreeSet<String> {
            let names = text.split("include_str!(\"").skip(1).filter_map(|rest| rest.split('"').next());
            names.filter(|name| name.ends_with(".rs")).map(str::to_owned).collect()
        };
        let of_verdict = included(include_str!("probe.rs").split("#[cfg(test)]").next().unwrap());
        let without: BTreeSet<String> = WITHOUT_PART.map(str::to_owned).into();
        let expected: BTreeSet<String> = all.difference(&without).cloned().collect();
        let sample = "probe/sample.rs".to_owned();
        let of_verdict: BTreeSet<String> = of_verdict.into_iter().filter(|name| *name != sample).collect();
        assert_eq!(of_verdict, expected, "the list of files for a verdict, in probe.rs");
        let reads =
            |name: &&String| name.starts_with("mir/") || ["facts.rs", "notation.rs"].contains(&name.as_str());
        let expected: BTreeSet<String> = all.iter().filter(reads).cloned().collect();
        assert_eq!(included(include_str!("facts.rs")), expected, "the list of files for facts, in facts.rs");
    }
}
