//! Is each setting described once, and the same everywhere?
//!
//! The sources are the comments of the fields and the ranges in template/engine/src/config/sections/. The docs and the
//! configuration file are made from them: `BLESS=1 cargo test -p longpole-tests --test settings` writes both.

use std::path::PathBuf;
use std::{env, fs};

use longpole_tests::repo;
use longpole_tests::settings::{Section, docs, file, sections};
use longpole_tests::tree::first_difference;

const TWIN: &str = "template/config/service.toml.liquid";

fn engine() -> Vec<Section> {
    sections(&repo().join("template/engine"))
}

fn is_as_made(name: &str, make: impl FnOnce(&str) -> String) {
    let path: PathBuf = repo().join(name);
    let written = fs::read_to_string(&path).unwrap();
    let made = make(&written);
    if env::var_os("BLESS").is_some() {
        return fs::write(path, made).unwrap();
    }
    let difference = first_difference(written.as_bytes(), made.as_bytes());
    assert_eq!(
        difference, None,
        "{name} does not say what the engine's sources say. Change the comment or the range there, and write the file \
         anew: BLESS=1 cargo test -p longpole-tests --test settings"
    );
}

#[test]
fn the_configuration_file_says_what_each_setting_is() {
    let sections = engine();
    for name in ["template/config/service.toml", TWIN] {
        is_as_made(name, |written| file::commented(written, &sections));
    }
}

#[test]
fn the_docs_say_what_each_setting_is_and_what_happens_beyond_its_bounds() {
    let twin = fs::read_to_string(repo().join(TWIN)).unwrap();
    is_as_made("docs/configuration.md", |written| docs::with_tables(written, &engine(), &twin));
}

/// Each field of the sources has to be in the file, so that nobody can add a setting and forget the file.
#[test]
fn every_setting_has_its_default_in_the_configuration_file() {
    let sections = engine();
    let twin = fs::read_to_string(repo().join(TWIN)).unwrap();
    for section in &sections {
        for setting in &section.settings {
            assert!(!file::default(&twin, &sections, section, setting).is_empty(), "{}", setting.name);
        }
    }
}
