//! Which APIs block, and what is known of each?
//!
//! The list itself is blocking.tsv, whose head explains its columns. A project's configuration adds entries
//! and removes entries. Paths are compared as a whole, since their last names are ambiguous:
//! `RequestBuilder::send` of `reqwest` is async, and that of `reqwest::blocking` is not.

use std::fmt;

use rustc_hash::FxHashMap;

/// What an entry says of its path. The head of blocking.tsv explains each tier.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Tier {
    Block,
    Bounded,
    Reader,
    Resolve,
    Guard,
    Minor,
    Print,
    Source,
    Console,
    Iterator,
    Held,
    Dropped,
    DroppedMinor,
    Offload,
    Lazy,
    Loop,
    Calls,
    Entry,
}

const TIERS: [(&str, Tier); 18] = [
    ("block", Tier::Block),
    ("bounded", Tier::Bounded),
    ("reader", Tier::Reader),
    ("resolve", Tier::Resolve),
    ("guard", Tier::Guard),
    ("minor", Tier::Minor),
    ("print", Tier::Print),
    ("source", Tier::Source),
    ("console", Tier::Console),
    ("iterator", Tier::Iterator),
    ("held", Tier::Held),
    ("dropped", Tier::Dropped),
    ("dropped-minor", Tier::DroppedMinor),
    ("offload", Tier::Offload),
    ("lazy", Tier::Lazy),
    ("loop", Tier::Loop),
    ("calls", Tier::Calls),
    ("entry", Tier::Entry),
];

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = TIERS.iter().find(|(_, tier)| tier == self).map_or("", |(name, _)| name);
        f.pad(name)
    }
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub path: String,
    pub tier: Tier,
    pub category: String,
    pub instead: String,
    /// Whether the project's configuration brought it.
    pub own: bool,
}

impl Entry {
    /// What to use instead, with `{name}` replaced by the last name of the path.
    pub fn instead(&self) -> String {
        self.instead.replace("{name}", self.path.rsplit("::").next().unwrap_or(""))
    }
}

/// The list in force.
pub struct List {
    pub entries: Vec<Entry>,
    by_path: FxHashMap<String, Vec<usize>>,
    also: Vec<Tier>,
}

const DATA: &str = include_str!("blocking.tsv");

/// The crate whose functions are known one by one. Its name is also the category of its entries.
pub const ENGINE: &str = "longpole";

/// The list that is built into this tool.
pub fn built_in() -> Vec<Entry> {
    DATA.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let mut columns = line.split('\t');
            let mut next = || columns.next().unwrap_or("").to_owned();
            let (path, tier, category, instead) = (next(), next(), next(), next());
            let tier = TIERS.iter().find(|(name, _)| *name == tier).map_or(Tier::Block, |&(_, tier)| tier);
            Entry { path, tier, category, instead, own: false }
        })
        .collect()
}

impl List {
    /// `also` names the tiers that are reported in addition: [`Tier::Minor`], [`Tier::Print`] or both.
    pub fn new(entries: Vec<Entry>, also: Vec<Tier>) -> List {
        let mut by_path: FxHashMap<String, Vec<usize>> = FxHashMap::default();
        for (index, entry) in entries.iter().enumerate() {
            by_path.entry(entry.path.clone()).or_default().push(index);
        }
        List { entries, by_path, also }
    }

    /// The entries for a path. A path may lead through another crate that exports the item. The leading names
    /// are then left out, one after the other, until an entry is found.
    pub fn find(&self, path: &str) -> impl Iterator<Item = usize> {
        let mut rest = path;
        let found = loop {
            if let Some(found) = self.by_path.get(rest) {
                break found.as_slice();
            }
            if let Some(found) = at_root(rest).and_then(|path| self.by_path.get(&path)) {
                break found.as_slice();
            }
            match rest.split_once("::") {
                Some((_, after)) if after.contains("::") => rest = after,
                _ => break &[],
            }
        };
        found.iter().copied()
    }

    /// The entry for a path in one of these tiers.
    pub fn get(&self, path: &str, tiers: &[Tier]) -> Option<usize> {
        self.find(path).find(|&index| tiers.contains(&self.entries[index].tier))
    }

    /// Whether findings of this tier are reported.
    pub fn reports(&self, tier: Tier) -> bool {
        match tier {
            Tier::Minor | Tier::DroppedMinor => self.also.contains(&Tier::Minor),
            Tier::Print | Tier::Console => self.also.contains(&Tier::Print),
            _ => true,
        }
    }

    /// Whether the crate of the path calls the closures that it is given on the event loop.
    pub fn is_loop(&self, path: &str) -> bool {
        self.get(path.split("::").next().unwrap_or(path), &[Tier::Loop]).is_some()
    }

    /// The entry that says what a function of the engine does with what it is given.
    pub fn promised(&self, path: &str) -> Option<usize> {
        let tiers = [Tier::Offload, Tier::Calls, Tier::Loop];
        self.get(path, &tiers).filter(|&index| self.entries[index].category == ENGINE)
    }

    /// Whether the list says anything of this crate.
    pub fn knows(&self, crate_name: &str) -> bool {
        self.entries.iter().any(|entry| entry.path.split("::").next() == Some(crate_name))
    }
}

/// The path at the crate's root: `longpole::Offload::run` for `longpole::offload::Offload::run`. The private
/// modules between them are left out.
fn at_root(path: &str) -> Option<String> {
    let rest = path.strip_prefix(ENGINE)?.strip_prefix("::")?;
    let (modules, last) = rest.rsplit_once("::")?;
    let types = modules.split("::").filter(|name| name.starts_with(char::is_uppercase));
    Some([ENGINE].into_iter().chain(types).chain([last]).collect::<Vec<_>>().join("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_data_is_whole() {
        let mut seen = std::collections::HashSet::new();
        for line in DATA.lines().filter(|line| !line.starts_with('#')) {
            let columns: Vec<&str> = line.split('\t').collect();
            assert_eq!(columns.len(), 4, "{line}");
            assert!(TIERS.iter().any(|(name, _)| *name == columns[1]), "{line}");
            assert!(columns[1] == "loop" || columns[0].contains("::"), "{line}");
            assert!(!columns[0].contains(['<', '{', ' ']), "{line}");
            assert!(seen.insert((columns[0].to_owned(), columns[1].to_owned())), "twice: {line}");
            let named =
                ["block", "reader", "resolve", "minor", "source", "iterator", "held"].contains(&columns[1]);
            assert!(!named || !columns[3].is_empty(), "nothing to use instead: {line}");
        }
    }

    #[test]
    fn a_path_is_matched_whole() {
        let list = List::new(built_in(), Vec::new());
        let block = [Tier::Block];
        assert!(list.get("std::fs::read", &block).is_some());
        assert!(list.get("tokio::fs::read", &block).is_none());
        assert!(list.get("reqwest::RequestBuilder::send", &block).is_none());
        assert!(list.get("reqwest::blocking::RequestBuilder::send", &block).is_some());
        assert!(list.get("parking_lot::lock_api::Mutex::lock", &[Tier::Guard]).is_some());
        assert!(list.get("fs::read", &block).is_none());
    }

    #[test]
    fn an_item_of_the_engine_is_known_in_whatever_module_it_stands() {
        let list = List::new(built_in(), Vec::new());
        let known = |path: &str| list.promised(path).map(|index| list.entries[index].path.as_str());
        assert_eq!(known("longpole::Offload::run"), Some("longpole::Offload::run"));
        assert_eq!(known("longpole::offload::pool::Offload::run"), Some("longpole::Offload::run"));
        assert_eq!(known("longpole::ledger::follow::wait"), Some("longpole::wait"));
        assert_eq!(known("base::longpole::spawn"), Some("longpole::spawn"));
        assert_eq!(known("longpole::Offload::new"), None);
        assert_eq!(known("longpole::Clock::wait"), None);
        assert_eq!(known("longpole_testing::spawn"), None);
        assert_eq!(known("tokio::task::spawn_blocking"), None);
    }
}
