//! Is the public API of the engine the one that is written down?

use std::{env, fs};

use longpole_tests::api::list;
use longpole_tests::repo;

/// A change of the API is a change for every owner. The file shows it in review.
#[test]
fn the_api_is_the_one_that_is_written_down() {
    let engine = repo().join("template/engine");
    let (file, list) = (engine.join("api.txt"), list(&engine));
    if env::var_os("BLESS").is_some() {
        return fs::write(file, list).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (before, after) = (lines(&written), lines(&list));
    let gone = before.iter().filter(|line| !after.contains(line)).map(|line| format!("- {line}\n"));
    let new = after.iter().filter(|line| !before.contains(line)).map(|line| format!("+ {line}\n"));
    assert!(
        before == after,
        "the public API is not the one of template/engine/api.txt. If that is meant, say in CHANGELOG.md what owners do, \
         and write the file anew: BLESS=1 cargo test -p longpole-tests --test api\n{}",
        gone.chain(new).collect::<String>()
    );
}
