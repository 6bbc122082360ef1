//! Are the files that exist twice still the same?

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use longpole_tests::generate::{LEFTOVERS, NEWEST, generate, template};
use longpole_tests::repo;
use longpole_tests::tree::{files, first_difference};

/// With the template's own name and the defaults, a service is the template itself.
#[test]
fn every_twin_renders_to_its_original() {
    let dir = tempfile::tempdir().unwrap();
    let rendered = files(&generate(NEWEST, "service-template", dir.path()).done());
    let originals = files(&template().join("template"));

    let config = fs::read_to_string(repo().join("cargo-generate.toml")).unwrap();
    let config: toml::Table = config.parse().unwrap();
    let dropped = config["conditional"]["database == \"sqlite\""]["ignore"].as_array().unwrap();
    let dropped: Vec<_> = dropped.iter().map(|name| name.as_str().unwrap()).collect();
    let expected: BTreeSet<_> = originals
        .keys()
        .filter(|name| {
            !name.ends_with(".liquid") && !LEFTOVERS.iter().any(|dir| Path::new(name).starts_with(dir))
        })
        .filter(|name| !dropped.iter().any(|path| Path::new(name).starts_with(path)))
        .map(String::as_str)
        .chain([".template.toml"])
        .collect();
    assert_eq!(rendered.keys().map(String::as_str).collect::<BTreeSet<_>>(), expected);

    let mut drifted = Vec::new();
    for (name, (content, executable)) in &rendered {
        let Some((original, was_executable)) = originals.get(name) else { continue };
        assert_eq!(executable, was_executable, "{name}");
        if let Some(difference) = first_difference(content, original) {
            let advice = match name.as_str() {
                "Cargo.lock" => "run `sh ci/twins`".to_owned(),
                _ => format!("make the same change in template/{name}.liquid"),
            };
            drifted.push(format!("template/{name} and its twin differ; {advice}\n  {difference}"));
        }
    }
    assert!(drifted.is_empty(), "\n{}\n", drifted.join("\n"));
}

/// Each copy is where it is used. A service has no docs/, and a service that depends on the engine has no engine/.
#[test]
fn what_is_needed_in_two_places_is_the_same_in_both() {
    let read = |name: &str| fs::read(repo().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    for (original, copy) in [
        ("docs/checklist.md", "template/CHECKLIST.md"),
        ("template/clippy.toml", "template/engine/clippy.toml"),
        ("template/ci/postgres", "template/engine/testing/src/database/postgres.sh"),
    ] {
        let difference = first_difference(&read(copy), &read(original));
        assert_eq!(difference, None, "run `cp {original} {copy}`");
    }
}
