//! Which source files does the workspace have?

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustc_hash::FxHashMap;

use super::Source;

/// The sources of a workspace, read when they are asked for.
#[derive(Default)]
pub struct Sources {
    files: RefCell<FxHashMap<PathBuf, Option<Rc<Source>>>>,
}

impl Sources {
    /// `file` is the name that the compiler uses, and `directory` the folder that it ran in. The result is
    /// `None` when the file cannot be read, as with the standard library's files.
    pub fn get(&self, directory: &str, file: &str) -> Option<Rc<Source>> {
        let path = Path::new(directory).join(file);
        let mut files = self.files.borrow_mut();
        files
            .entry(path)
            .or_insert_with_key(|path| {
                let bytes = std::fs::read(path).ok()?;
                Some(Rc::new(Source::new(&String::from_utf8_lossy(&bytes))))
            })
            .clone()
    }
}
