use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

#[derive(Clone, Debug, Default)]
pub struct Index {
    sizes: BTreeMap<PathBuf, u64>,
}

impl Index {
    pub fn scan(root: &Path) -> io::Result<Index> {
        let mut index = Index::default();
        for entry in WalkDir::new(root) {
            let entry = entry?;
            index.add(entry.path())?;
        }
        Ok(index)
    }

    fn add(&mut self, path: &Path) -> io::Result<()> {
        let meta = std::fs::metadata(path)?;
        if meta.is_file() {
            self.sizes.insert(path.to_owned(), meta.len());
        }
        Ok(())
    }

    pub fn note(&mut self, path: PathBuf, size: u64) {
        self.sizes.insert(path, size);
    }

    pub fn total(&self) -> u64 {
        self.sizes.values().sum()
    }

    pub fn search(&self, needle: &str) -> Vec<&Path> {
        self.sizes
            .keys()
            .filter(|p| p.to_string_lossy().contains(needle))
            .map(PathBuf::as_path)
            .collect()
    }

    /// Gives the paths whose files are gone, one by one.
    pub fn stale(&self) -> impl Iterator<Item = &PathBuf> + '_ {
        self.sizes.keys().filter(|p| std::fs::symlink_metadata(p).is_err())
    }
}

/// The size of one tree.
pub fn tree_size(root: &Path) -> u64 {
    fn visit(dir: &Path, sum: &mut u64) {
        let Ok(entries) = std::fs::read_dir(dir) else { return };
        for entry in entries.flatten() {
            match entry.metadata() {
                Ok(m) if m.is_dir() => visit(&entry.path(), sum),
                Ok(m) => *sum += m.len(),
                Err(_) => {}
            }
        }
    }
    let mut sum = 0;
    visit(root, &mut sum);
    sum
}
