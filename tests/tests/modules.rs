//! Can a file of our crates be read without a circle of others, and does each name mean one thing?

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use longpole_tests::modules::{Crate, circles, top_level};
use longpole_tests::repo;

/// Types of the engine that share a name on purpose, and why.
const NAMESAKES: [(&str, &str); 8] = [
    ("Brake", "each database has its own, and a build has one database"),
    ("Connector", "each database has its own, and a build has one database"),
    ("DatabaseConfig", "each database has its own, and a build has one database"),
    ("Driver", "each database has its own, and a build has one database"),
    ("Migrator", "each database has its own, and a build has one database"),
    ("Raw", "each database has its own, and a build has one database"),
    ("Inner", "it is private to its file: what the type of that file shares between its clones"),
    ("State", "it is private to its file: how far the type of that file has come"),
];

fn engine() -> PathBuf {
    repo().join("template/engine/src")
}

/// A file in a circle is read, tested and changed only together with the whole circle.
#[test]
fn no_files_of_the_engine_import_each_other_in_a_circle() {
    has_no_circle(&Crate::read(&engine()), 50);
}

#[test]
fn no_files_of_longpole_testing_import_each_other_in_a_circle() {
    has_no_circle(&Crate::read(&repo().join("template/engine/testing/src")), 20);
}

#[test]
fn no_files_of_cargo_unblock_import_each_other_in_a_circle() {
    has_no_circle(&Crate::read(&repo().join("ci/cargo-unblock/src")), 50);
}

/// The crate has more than `few` imports. If fewer are found, the sources were not read correctly.
fn has_no_circle(of: &Crate, few: usize) {
    let imports = of.imports();
    assert!(imports.len() > few, "the imports are not read: {imports:#?}");
    let mut text = String::new();
    for circle in circles(&imports, str::to_owned) {
        text.push_str(&format!("\nfiles in a circle:\n{circle}"));
    }
    for circle in circles(&imports, top_level) {
        text.push_str(&format!("\ntop-level modules in a circle:\n{circle}"));
    }
    assert!(text.is_empty(), "move what both sides need to a place of its own:\n{text}");
}

/// A reader of a file has to know what each name means without a look at the imports.
#[test]
fn no_two_types_of_the_engine_share_a_name() {
    let mut namesakes = Crate::read(&engine()).namesakes();
    let mut text = String::new();
    for (name, _) in NAMESAKES {
        if namesakes.remove(name).is_none() {
            text.push_str(&format!("{name}: no exception any more, only one type has this name\n"));
        }
    }
    for (name, places) in &namesakes {
        text.push_str(&format!("{name}: {}\n", places.join(", ")));
    }
    assert!(text.is_empty(), "these types share a name; give each a name that says which one it is:\n{text}");
}

/// The map promises that a newcomer can follow a request, and the signal, through few files.
#[test]
fn the_ways_on_the_map_are_short_and_name_files_that_exist() {
    for (way, most_files, most_returns) in
        [("## A request, file by file", 20, 2), ("## SIGTERM, file by file", 10, 0)]
    {
        let mut visits = BTreeMap::<PathBuf, usize>::new();
        for file in files_of(way) {
            *visits.entry(file).or_default() += 1;
        }
        let missing: Vec<_> = visits.keys().filter(|file| !file.is_file()).collect();
        assert!(missing.is_empty(), "{way}: {missing:?}");
        assert!((5..=most_files).contains(&visits.len()), "{way}: {} files", visits.len());
        let often: Vec<_> = visits.iter().filter(|(_, visits)| **visits > 1 + most_returns).collect();
        assert!(often.is_empty(), "{way}: {often:?}");
    }
}

/// The files in the table below a heading of the map, in their order.
fn files_of(heading: &str) -> Vec<PathBuf> {
    let map = fs::read_to_string(repo().join("docs/architecture.md")).unwrap();
    let (_, section) = map.split_once(heading).unwrap_or_else(|| panic!("the map has no {heading:?}"));
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.split('`').nth(1));
    rows.map(|file| match file.starts_with("src/") {
        true => repo().join("template").join(file),
        false => engine().join(file),
    })
    .collect()
}
