//! Which packages does the workspace have, and which of them did the user ask about?

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::failure::Failure;
use crate::options::CargoOptions;

/// What `cargo metadata` says.
#[derive(Deserialize)]
pub struct Workspace {
    pub workspace_root: PathBuf,
    pub target_directory: PathBuf,
    /// The ids of its packages.
    #[serde(rename = "workspace_members")]
    pub members: HashSet<String>,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
}

/// The cargo that runs this program.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Where the workspace is.
pub fn workspace(options: &CargoOptions) -> Result<Workspace, Failure> {
    let output = cargo()
        .args(["metadata", "--no-deps", "--format-version=1"])
        .args(options.common())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failure::new(format!("cannot run cargo: {error}")))?;
    if !output.status.success() {
        return Err(Failure::new("cargo cannot read the workspace; what it said stands above"));
    }
    let mut workspace: Workspace = serde_json::from_slice(&output.stdout).map_err(|error| {
        Failure::new(format!("`cargo metadata` answered something else than expected: {error}"))
    })?;
    // Cargo runs compilers in this folder under its name without symbolic links.
    if let Ok(whole) = workspace.workspace_root.canonicalize() {
        workspace.workspace_root = whole;
    }
    Ok(workspace)
}

/// The members of the workspace that the user asks about. Without `--package` and `--exclude`, these are all
/// members.
pub fn asked<'a>(workspace: &'a Workspace, options: &CargoOptions) -> Result<HashSet<&'a str>, Failure> {
    let names = |spec: &str, package: &Package| spec == package.id || matches(name_in(spec), &package.name);
    for spec in &options.packages {
        if !workspace.packages.iter().any(|package| names(spec, package)) {
            let mut members: Vec<&str> = workspace.packages.iter().map(|package| &*package.name).collect();
            members.sort_unstable();
            return Err(Failure::new(format!(
                "`--package {spec}` names no member of the workspace, and only members are analysed; these are: {}",
                members.join(", ")
            )));
        }
    }
    let named = |specs: &[String], package: &Package| specs.iter().any(|spec| names(spec, package));
    let asked = workspace.packages.iter().filter(|package| match options.packages.is_empty() {
        true => !named(&options.exclude, package),
        false => named(&options.packages, package),
    });
    Ok(asked.map(|package| package.id.as_str()).collect())
}

/// The name in a package's specification, which is `name`, `name@1.0.0` or `URL#name@1.0.0`. If the last
/// folder of the URL is the name, it may be `URL#1.0.0`.
pub fn name_in(spec: &str) -> &str {
    let (url, rest) = spec.rsplit_once('#').unwrap_or(("", spec));
    if !url.is_empty() && rest.starts_with(|c: char| c.is_ascii_digit()) {
        return url.rsplit('/').next().unwrap_or(url);
    }
    rest.split(['@', ':']).next().unwrap_or(rest)
}

/// Whether a name fits a pattern of cargo's: `*` stands for any text, `?` for any letter, `[ab]` for one of
/// these letters and `[!ab]` for any other letter.
fn matches(pattern: &str, name: &str) -> bool {
    let mut signs = pattern.chars();
    match signs.next() {
        None => name.is_empty(),
        Some('*') => {
            let ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            ends.into_iter().any(|end| matches(signs.as_str(), &name[end..]))
        }
        Some(sign) => {
            let mut letters = name.chars();
            let Some(letter) = letters.next() else { return false };
            let (fits, rest) = match (sign, signs.as_str().split_once(']')) {
                ('?', _) => (true, signs.as_str()),
                ('[', Some((set, rest))) => match set.strip_prefix('!') {
                    Some(set) => (!set.contains(letter), rest),
                    None => (set.contains(letter), rest),
                },
                _ => (sign == letter, signs.as_str()),
            };
            fits && matches(rest, letters.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_found_in_each_form_of_a_specification() {
        for (spec, name) in [
            ("server", "server"),
            ("server@1.0.0", "server"),
            ("path+file:///work/apps/server#0.1.0", "server"),
            ("path+file:///work/apps/api#server@0.1.0", "server"),
            ("registry+https://github.com/rust-lang/crates.io-index#serde@1.0.0", "serde"),
        ] {
            assert_eq!(name_in(spec), name, "{spec}");
        }
    }

    #[test]
    fn a_pattern_fits_as_cargo_lets_it() {
        for (pattern, fitting, others) in [
            ("server", &["server"][..], &["serve", "server2", ""][..]),
            ("ser*", &["server", "ser", "serde"], &["se", "aser"]),
            ("*-lib", &["a-lib", "-lib"], &["a-lib2", "lib"]),
            ("a?c", &["abc", "aéc"], &["ac", "abbc"]),
            ("[ab]-x", &["a-x", "b-x"], &["c-x", "-x"]),
            ("[!ab]-x", &["c-x"], &["a-x", "-x"]),
            ("", &[""], &["a"]),
            ("[", &["["], &["a"]),
        ] {
            for name in fitting {
                assert!(matches(pattern, name), "{pattern} {name}");
            }
            for name in others {
                assert!(!matches(pattern, name), "{pattern} {name}");
            }
        }
    }

    #[test]
    fn without_a_package_all_are_asked_about_but_the_excluded_ones() {
        let package =
            |name: &str| Package { id: format!("path+file:///w/{name}#0.1.0"), name: name.to_owned() };
        let workspace = Workspace {
            workspace_root: PathBuf::new(),
            target_directory: PathBuf::new(),
            members: HashSet::new(),
            packages: ["server", "worker", "kit"].map(package).into(),
        };
        let asked = |packages: &[&str], exclude: &[&str]| {
            let strings = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
            let options = CargoOptions {
                packages: strings(packages),
                exclude: strings(exclude),
                ..CargoOptions::default()
            };
            let asked = asked(&workspace, &options).map_err(|failure| failure.to_string())?;
            let mut names: Vec<&str> = asked.into_iter().map(name_in).collect();
            names.sort_unstable();
            Ok(names.join(" "))
        };
        assert_eq!(asked(&[], &[]), Ok("kit server worker".to_owned()));
        assert_eq!(asked(&[], &["wor*"]), Ok("kit server".to_owned()));
        assert_eq!(asked(&["server", "k?t"], &[]), Ok("kit server".to_owned()));
        let refused: Result<String, String> = asked(&["sever"], &[]);
        assert!(refused.unwrap_err().ends_with("these are: kit, server, worker"));
    }
}
