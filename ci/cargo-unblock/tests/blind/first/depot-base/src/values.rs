//! Values whose operators and conversions do more than they show.

use std::convert::Infallible;
use std::fmt;
use std::ops::{AddAssign, Deref, Index};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::OnceLock;

/// A password, given in place or as `file:PATH`.
#[derive(Clone)]
pub struct Secret(pub String);

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(s: &str) -> Result<Self, Infallible> {
        Ok(match s.strip_prefix("file:") {
            Some(path) => Secret(std::fs::read_to_string(path).unwrap_or_default()),
            None => Secret(s.to_owned()),
        })
    }
}

/// A level, parsed from its name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level(pub u8);

impl FromStr for Level {
    type Err = std::num::ParseIntError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        s.parse().map(Level)
    }
}

/// The sum of a file's bytes.
pub struct Digest(pub u64);

impl From<&Path> for Digest {
    fn from(path: &Path) -> Self {
        Digest(std::fs::read(path).unwrap_or_default().iter().map(|b| u64::from(*b)).sum())
    }
}

impl From<&[u8]> for Digest {
    fn from(data: &[u8]) -> Self {
        Digest(data.iter().map(|b| u64::from(*b)).sum())
    }
}

/// A text that is read at its first use.
pub struct LazyText {
    path: PathBuf,
    text: OnceLock<String>,
}

impl LazyText {
    pub fn of(path: &Path) -> Self {
        LazyText { path: path.to_owned(), text: OnceLock::new() }
    }
}

impl Deref for LazyText {
    type Target = str;

    fn deref(&self) -> &str {
        self.text.get_or_init(|| std::fs::read_to_string(&self.path).unwrap_or_default())
    }
}

/// A directory with one file per word.
pub struct Glossary {
    pub dir: PathBuf,
    pub loaded: std::collections::HashMap<&'static str, OnceLock<String>>,
}

impl Index<&str> for Glossary {
    type Output = String;

    fn index(&self, word: &str) -> &String {
        self.loaded[word].get_or_init(|| std::fs::read_to_string(self.dir.join(word)).unwrap_or_default())
    }
}

/// A ledger on disk.
pub struct Ledger {
    pub path: PathBuf,
}

impl AddAssign<u64> for Ledger {
    fn add_assign(&mut self, amount: u64) {
        let _ = depot_util::textio::append_line(&self.path, &amount.to_string());
    }
}

/// A ledger in memory.
#[derive(Default)]
pub struct Tally(pub Vec<u64>);

impl AddAssign<u64> for Tally {
    fn add_assign(&mut self, amount: u64) {
        self.0.push(amount);
    }
}

/// Shows how full a tree is; it looks when it is shown.
pub struct Usage<'a> {
    pub root: &'a Path,
}

impl fmt::Display for Usage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", crate::index::tree_size(self.root))
    }
}

/// Reads numbered segments of a log until one is missing.
pub struct Segments {
    pub dir: PathBuf,
    pub next: u32,
}

impl Iterator for Segments {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let path = self.dir.join(format!("{:04}.seg", self.next));
        self.next += 1;
        std::fs::read(path).ok()
    }
}
