//! To which crate does a path belong when rustc prints it without its crate?

use rustc_hash::{FxHashMap, FxHashSet};

/// The names that the paths of the crate itself start with. Rustc leaves the crate's name out of these paths.
#[derive(Default)]
pub struct Scope {
    pub crate_name: String,
    /// Modules at the crate's root.
    pub modules: FxHashSet<String>,
    /// Types and traits that the crate declares, by their last name.
    pub declared: FxHashSet<String>,
    /// The folder that the compiler ran in. The paths of other crates' files start with it.
    pub directory: String,
    /// What crates of the workspace export of std, by the path that rustc prints. Rustc prints the shortest
    /// path, and the item's own name: `lib::read` for `pub use std::fs::read as slurp`.
    pub exports: FxHashMap<String, String>,
}

impl Scope {
    /// The path with its crate in front. `core` and `alloc` are called `std`.
    pub fn whole(&self, path: &str, is_function: bool) -> String {
        let own = match path.split_once("::") {
            None => is_function || self.declared.contains(path),
            Some((first, _)) => {
                self.modules.contains(first) || self.declared.contains(first) || first.starts_with('<')
            }
        };
        match path.split_once("::") {
            _ if own && !self.crate_name.is_empty() => format!("{}::{path}", self.crate_name),
            Some(("core" | "alloc", rest)) => format!("std::{rest}"),
            Some(_) if !self.exports.is_empty() => {
                self.behind_export(path).unwrap_or_else(|| path.to_owned())
            }
            _ => path.to_owned(),
        }
    }

    /// The path behind `lib::name::rest`, if `lib` exports `name` of std.
    fn behind_export(&self, path: &str) -> Option<String> {
        let ends = path.match_indices("::").map(|(at, _)| at).skip(1).chain([path.len()]);
        ends.into_iter().find_map(|end| Some(format!("{}{}", self.exports.get(&path[..end])?, &path[end..])))
    }

    /// A closure's place as its own crate prints it.
    pub(super) fn at_home(&self, text: &str) -> String {
        text.replacen(&format!("@{}/", self.directory), "@", 1)
    }
}
