//! A tree of named texts, with modules named like std's.

use std::collections::BTreeMap;

#[derive(Default, Clone)]
pub struct Tree {
    pub files: BTreeMap<String, String>,
}

pub mod fs {
    use super::Tree;

    pub fn read_to_string(tree: &Tree, name: &str) -> Option<String> {
        tree.files.get(name).cloned()
    }

    pub fn write(tree: &mut Tree, name: &str, text: &str) {
        tree.files.insert(name.to_owned(), text.to_owned());
    }

    pub fn remove_file(tree: &mut Tree, name: &str) -> bool {
        tree.files.remove(name).is_some()
    }

    pub fn read_dir<'a>(tree: &'a Tree, prefix: &'a str) -> impl Iterator<Item = &'a String> + 'a {
        tree.files.keys().filter(move |k| k.starts_with(prefix))
    }
}

pub mod thread {
    use std::time::Duration;

    /// Adds to a simulated clock.
    pub fn sleep(clock: &mut Duration, d: Duration) {
        *clock += d;
    }
}
