//! What did cargo tell rustc?

use std::ffi::{OsStr, OsString};
use std::fs;

/// Replaces each `@file` by the lines of that file. Cargo writes arguments that are too long for a command
/// line into such a file, each on a line of its own.
pub fn of_files(arguments: &[OsString]) -> Vec<OsString> {
    let mut expanded = Vec::with_capacity(arguments.len());
    for argument in arguments {
        match argument.to_str().and_then(|text| text.strip_prefix('@')).map(fs::read_to_string) {
            Some(Ok(lines)) => expanded.extend(lines.lines().map(OsString::from)),
            _ => expanded.push(argument.clone()),
        }
    }
    expanded
}

/// The value of `--name value` or `--name=value`.
pub fn option<'a>(arguments: &'a [OsString], name: &str) -> Option<&'a OsStr> {
    arguments.iter().enumerate().find_map(|(index, argument)| {
        if argument == name {
            return arguments.get(index + 1).map(OsString::as_os_str);
        }
        argument.to_str()?.strip_prefix(name)?.strip_prefix('=').map(OsStr::new)
    })
}

/// The value of `-C name=value`.
pub fn codegen_option(arguments: &[OsString], name: &str) -> Option<String> {
    arguments.iter().find_map(|argument| {
        let argument = argument.to_str()?;
        let argument = argument.strip_prefix("-C").unwrap_or(argument);
        argument.strip_prefix(name)?.strip_prefix('=').map(str::to_owned)
    })
}

/// The arguments without some options. Without `--emit`, the options for incremental compilation are left out
/// too: a run that only prints must not store anything.
pub fn without(arguments: &[OsString], names: &[&str]) -> Vec<OsString> {
    let mut kept = Vec::with_capacity(arguments.len());
    let mut rest = arguments.iter().peekable();
    while let Some(argument) = rest.next() {
        let text = argument.to_str().unwrap_or("");
        let is_option = names.contains(&text);
        let is_incremental =
            names.contains(&"--emit") && text == "-C" && rest.peek().is_some_and(|next| incremental(next));
        if is_option || is_incremental {
            rest.next();
        } else if !names.iter().any(|name| text.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')))
        {
            kept.push(argument.clone());
        }
    }
    kept
}

fn incremental(argument: &OsStr) -> bool {
    argument.to_str().is_some_and(|text| text.starts_with("incremental="))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn an_option_has_its_value_behind_it_or_behind_a_sign() {
        let given =
            arguments("--crate-name a --emit=dep-info,metadata -C extra-filename=-1f -Cmetadata=2 --test");
        assert_eq!(option(&given, "--crate-name"), Some(OsStr::new("a")));
        assert_eq!(option(&given, "--emit"), Some(OsStr::new("dep-info,metadata")));
        assert_eq!(option(&given, "--out-dir"), None);
        assert_eq!(option(&given, "--test"), None);
        assert_eq!(codegen_option(&given, "extra-filename").as_deref(), Some("-1f"));
        assert_eq!(codegen_option(&given, "metadata").as_deref(), Some("2"));
        assert_eq!(codegen_option(&given, "incremental"), None);
    }

    #[test]
    fn options_are_left_out_with_their_values() {
        let left = |given: &str, names: &[&str]| without(&arguments(given), names).join(OsStr::new(" "));
        let given = "a.rs --cap-lints allow --cap-lints=warn --cfg x -C incremental=/i -C opt-level=1";
        assert_eq!(left(given, &["--cap-lints"]), "a.rs --cfg x -C incremental=/i -C opt-level=1");
        // Incremental compilation is only left out of a run that emits nothing.
        assert_eq!(left(given, &["--cap-lints", "--emit"]), "a.rs --cfg x -C opt-level=1");
        assert_eq!(left("a.rs --emit", &["--emit"]), "a.rs");
    }

    #[test]
    fn a_file_of_arguments_is_put_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("arguments");
        fs::write(&file, "--cfg\nfeature=\"a b\"\n").unwrap();
        let given = ["a.rs".to_owned(), format!("@{}", file.display()), "@nowhere".to_owned()];
        let expanded = of_files(&given.map(OsString::from));
        assert_eq!(expanded, ["a.rs", "--cfg", "feature=\"a b\"", "@nowhere"]);
    }
}
