//! Which crate does a path belong to that is printed without its crate?

use rustc_hash::{FxHashMap, FxHashSet};

/// What a crate's own paths start with: rustc leaves the crate's name out of them.
#[derive(Default)]
pub struct Scope {
    pub crate_name: String,
    /// Modules at the crate's root.
    pub modules: FxHashSet<String>,
    /// Types and traits that the crate declares, by their last name.
    pub declared: FxHashSet<String>,
    /// Where the compiler ran: paths of other crates' files start with it.
    pub directory: String,
    /// What crates of the workspace export of std, by the path that rustc prints, which is the shortest
    /// there is and keeps the item's own name: `lib::read` for `pub use std::fs::read as slurp`.
    pub exports: FxHashMap<String, String>,
}

impl Scope {
    /// The path with its crate in front. `core` and `alloc` are called `std`, as they are in code that
    /// may use it.
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
