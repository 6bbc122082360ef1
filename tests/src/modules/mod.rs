//! Do the files of a crate import each other in a circle, and do two of its types share a name?
//!
//! A file that is part of a circle cannot be read, tested or moved without all the others in that circle. The compiler
//! accepts circles between modules, so the imports are read from the sources here. When a circle is reported that you
//! do not believe, look at source.rs (what is read from a file) and at resolve.rs (which file a path leads to).
//!
//! These are the rules:
//!
//! - A module is a file. A module that is written within a file, in braces, belongs to that file.
//! - A file imports the file that defines an item, whichever re-exports lie between them. A re-export of a file below
//!   is itself no import, and neither is `mod x;`.
//! - Code under `#[cfg(test)]` does not count. Files that only exist under a feature count like all others.

mod circles;
mod mentions;
mod namesakes;
mod resolve;
mod source;

pub use self::circles::{Circle, circles};
pub use self::source::Crate;

/// A reason why one file cannot do without another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    /// The file that imports, below `src`.
    pub from: String,
    /// The line in that file, counted from 1.
    pub line: usize,
    /// The file that defines what is imported.
    pub to: String,
    /// The path as it is written.
    pub path: String,
}

/// The part of a crate that a file below `src` belongs to: the folder or the file directly in `src`.
pub fn top_level(file: &str) -> String {
    file.split('/').next().unwrap().trim_end_matches(".rs").to_owned()
}
