//! What does the project's own configuration say?
//!
//! The configuration is in `unblock.toml` beside the workspace's Cargo.toml, or in Cargo.toml under
//! `[workspace.metadata.unblock]`. A mistake in it is an error that names the line. Otherwise an exclusion
//! with a typing error would silently exclude nothing.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use crate::failure::Failure;
use crate::graph::Dispatch;
use crate::list::{self, Entry, Tier};
use crate::options::Also;
use crate::program::Program;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Table {
    /// APIs and own functions that block.
    #[serde(default)]
    block: Vec<Block>,
    /// Functions that run the closure they are given off the event loop.
    #[serde(default)]
    offload: Vec<Spanned<String>>,
    /// Paths to take off the list.
    #[serde(default)]
    exclude: Vec<Spanned<String>>,
    /// Tiers that are reported in addition to the usual ones.
    #[serde(default)]
    also: Vec<Also>,
    dispatch: Option<Dispatch>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Block {
    path: Spanned<String>,
    instead: Option<String>,
}

#[derive(Deserialize)]
struct Manifest {
    workspace: Option<WithMetadata>,
}

#[derive(Deserialize)]
struct WithMetadata {
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    unblock: Option<Table>,
}

pub struct Config {
    pub entries: Vec<Entry>,
    pub also: Vec<Also>,
    pub dispatch: Option<Dispatch>,
    /// The configured paths of functions, with their places in `text`. They are checked once the crates are
    /// known.
    named: Vec<(String, Range<usize>)>,
    file: PathBuf,
    text: String,
}

impl Config {
    /// Reads the configuration of the workspace at `root`, if it has one.
    pub fn read(root: &Path) -> Result<Config, Failure> {
        let manifest = root.join("Cargo.toml");
        let manifest_text = std::fs::read_to_string(&manifest).unwrap_or_default();
        let within = toml::from_str::<Manifest>(&manifest_text)
            .map_err(|error| mistake(&manifest, &manifest_text, error.span(), error.message()))?
            .workspace
            .and_then(|workspace| workspace.metadata)
            .and_then(|metadata| metadata.unblock);
        let file = root.join("unblock.toml");
        let own = match std::fs::read_to_string(&file) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(Failure::new(format!("cannot read {}: {error}", file.display()))),
        };
        match (within, own) {
            (Some(_), Some(_)) => Err(Failure::new(
                "both unblock.toml and [workspace.metadata.unblock] in Cargo.toml are there; keep one of them",
            )),
            (Some(table), None) => Config::of(table, manifest, manifest_text),
            (None, Some(text)) => {
                let table = toml::from_str(&text)
                    .map_err(|error| mistake(&file, &text, error.span(), error.message()))?;
                Config::of(table, file, text)
            }
            (None, None) => Config::of(Table::default(), file, String::new()),
        }
    }

    fn of(table: Table, file: PathBuf, text: String) -> Result<Config, Failure> {
        let wrong = |path: &Spanned<String>, what: &str| mistake(&file, &text, Some(path.span()), what);
        let mut entries = list::built_in();
        for path in &table.exclude {
            let before = entries.len();
            entries.retain(|entry| entry.path != *path.get_ref());
            if entries.len() == before {
                return Err(wrong(
                    path,
                    &format!("`{}` is not on the list; `cargo unblock list` prints it", path.get_ref()),
                ));
            }
        }
        let mut named = Vec::new();
        let blocks = table.block.iter().map(|block| (&block.path, Tier::Block, block.instead.as_deref()));
        let offloaders = table.offload.iter().map(|path| (path, Tier::Offload, None));
        for (path, tier, instead) in blocks.chain(offloaders) {
            if let Some(problem) = problem_of(path.get_ref()) {
                return Err(wrong(
                    path,
                    &format!("`{}` is no path of a function: {problem}", path.get_ref()),
                ));
            }
            entries.retain(|entry| entry.path != *path.get_ref());
            entries.push(Entry {
                path: path.get_ref().clone(),
                tier,
                category: "own".to_owned(),
                instead: instead.unwrap_or("tokio::task::spawn_blocking").to_owned(),
                own: true,
            });
            named.push((path.get_ref().clone(), path.span()));
        }
        Ok(Config { entries, also: table.also, dispatch: table.dispatch, named, file, text })
    }

    /// Checks that each path into a crate of the workspace names a function there.
    pub fn check(&self, program: &Program) -> Result<(), Failure> {
        for (path, span) in &self.named {
            if !program.may_have(path) {
                let crate_name = path.split("::").next().unwrap_or(path);
                let what = format!("`{path}`: crate `{crate_name}` has no such function");
                return Err(mistake(&self.file, &self.text, Some(span.clone()), &what));
            }
        }
        Ok(())
    }
}

/// Says why the text is not the path of a function.
fn problem_of(path: &str) -> Option<&'static str> {
    let segments: Vec<&str> = path.split("::").collect();
    let is_name = |segment: &&str| {
        segment.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && segment.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    match () {
        _ if path.contains('<') => {
            Some("leave out generic arguments; name a trait's method `krate::Trait::method`")
        }
        _ if path.contains('(') => Some("leave out the parentheses"),
        _ if !segments.iter().all(is_name) => Some("it should read like `krate::module::function`"),
        _ if segments.len() < 2 || segments[0] == "crate" || segments[0] == "self" => {
            Some("start with the crate's name, with `_` for `-`")
        }
        _ => None,
    }
}

fn mistake(file: &Path, text: &str, span: Option<Range<usize>>, what: &str) -> Failure {
    let line = span.map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let line = line.map(|line| format!(":{line}")).unwrap_or_default();
    Failure::new(format!("{}{line}: {}", file.display(), what.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        let table = toml::from_str::<Table>(text);
        let result = match table {
            Ok(table) => Config::of(table, "unblock.toml".into(), text.to_owned()).map(drop),
            Err(error) => Err(mistake(Path::new("unblock.toml"), text, error.span(), error.message())),
        };
        result.err().map_or(String::new(), |failure| failure.to_string())
    }

    #[test]
    fn a_mistake_names_its_line() {
        for (text, expected) in [
            ("\n\nexclude = [\"std::fs::nothing\"]", "unblock.toml:3: `std::fs::nothing` is not on the list"),
            (
                "offload = [\n  \"a::b\",\n  \"a::<T>::b\",\n]",
                "unblock.toml:3: `a::<T>::b` is no path of a function: leave out generic",
            ),
            ("[[block]]\npath = \"sleep\"", "unblock.toml:2: `sleep` is no path of a function: start with"),
            (
                "[[block]]\npath = \"crate::x\"",
                "unblock.toml:2: `crate::x` is no path of a function: start with",
            ),
            (
                "[[block]]\npath = \"a::b()\"",
                "unblock.toml:2: `a::b()` is no path of a function: leave out the par",
            ),
            ("\nblocking = []", "unblock.toml:2: unknown field `blocking`"),
            ("also = [\"everything\"]", "unblock.toml:1: unknown variant `everything`"),
            ("also = [", "unblock.toml:1: "),
        ] {
            let message = message(text);
            assert!(message.starts_with(expected), "{text}: {message}");
        }
        assert_eq!(message("exclude = [\"std::fs::read\"]\noffload = [\"a::b\"]\ndispatch = \"all\""), "");
    }
}
