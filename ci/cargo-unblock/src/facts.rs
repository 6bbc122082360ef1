//! What is kept of one compiled crate?
//!
//! The wrapper writes these facts beside the crate's metadata, and the analysis reads the facts of all crates
//! of a workspace. Facts hold only what the compiler printed. Nothing in them depends on the list or on the
//! configuration, so that a change of either needs no new compilation.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// An index into [`Unit::strings`].
pub type Str = u32;

/// Everything known of one crate, compiled once.
#[derive(Serialize, Deserialize, Default, Debug)]
pub struct Unit {
    /// `rustc -vV` of the compiler that printed it.
    pub rustc: String,
    /// The compiler itself.
    pub rustc_path: String,
    /// As rustc writes it in paths: with `_` for `-`.
    pub crate_name: String,
    pub is_library: bool,
    /// The folder that the compiler ran in. Relative paths start there.
    pub directory: String,
    /// The source files that the compiler read.
    pub files: Vec<String>,
    pub strings: Vec<String>,
    pub bodies: Vec<Body>,
    /// Whether the crate was only compiled because another package needs it, and the user did not ask about
    /// its package. This is not saved, since the next run may ask about other packages.
    #[serde(skip)]
    pub for_others: bool,
}

/// One function, closure, async block or constant.
#[derive(Serialize, Deserialize, Default, Debug)]
pub struct Body {
    /// As the compiler prints it: `inner::<impl at a.rs:6:5: 6:26>::go::{closure#0}`.
    pub name: Str,
    /// Argument types, then the type that is returned.
    pub signature: Vec<Str>,
    /// Whether the first argument is called `self`.
    pub has_self: bool,
    /// The place of a closure's or an async body's text; for a function, the place of its return type.
    pub place: Span,
    /// The line of the last `return`, on which the body ends.
    pub last_line: u32,
    pub calls: Vec<Call>,
    pub casts: Vec<Cast>,
    /// Numbers of the async bodies and closures within it that it makes: `{closure#N}`.
    pub creates: Vec<u32>,
    pub kept: Vec<Kept>,
    pub suspends: Vec<Suspend>,
}

/// A piece of source text: lines and columns count from 1, columns in characters.
#[derive(Serialize, Deserialize, Default, Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    pub file: Str,
    pub line: u32,
    pub column: u32,
    pub end_line: u32,
    pub end_column: u32,
}

impl Span {
    pub fn encloses(&self, other: &Span) -> bool {
        self.file == other.file
            && (self.line, self.column) <= (other.line, other.column)
            && (other.end_line, other.end_column) <= (self.end_line, self.end_column)
    }
}

#[derive(Serialize, Deserialize, Debug)]
pub struct Call {
    pub callee: Target,
    /// The whole expression.
    pub span: Span,
    /// The name that is called, within it.
    pub name: Span,
    /// Whether it only runs while a panic unwinds.
    pub unwinding: bool,
    /// Which types its arguments had before a `dyn` or a function pointer hid them, as far as this body says.
    /// The first argument is 1; a function pointer that is called is 0.
    pub origins: Vec<(u32, Vec<Origin>)>,
}

/// What a `dyn Trait` or a function pointer was before.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// This type became it.
    Type(Str),
    /// It is this parameter of the body.
    Parameter(u32),
}

#[derive(Serialize, Deserialize, Debug)]
pub enum Target {
    /// The callee as printed, and its type, `fn(A) -> B {…}`.
    Function(Str, Str),
    /// A function pointer of this type.
    Pointer(Str),
    /// A value of this type is dropped.
    Drop(Str),
}

/// A value whose type is hidden from here on: the type that it has, and the type that it gets.
#[derive(Serialize, Deserialize, Debug)]
pub struct Cast {
    pub from: Str,
    pub to: Str,
}

/// A value that an async body keeps while it is suspended.
#[derive(Serialize, Deserialize, Debug)]
pub struct Kept {
    pub ty: Str,
    /// The first state it is kept in: a [`Suspend::state`].
    pub state: u32,
    /// Where it gets its value.
    pub span: Span,
}

/// A point where an async body is suspended: an `.await`.
#[derive(Serialize, Deserialize, Debug)]
pub struct Suspend {
    pub state: u32,
    pub span: Span,
}

/// Facts that another version of this tool wrote are not used, since that version may have read less from the
/// MIR text.
pub const FORMAT: u64 = fingerprint(&[
    include_str!("facts.rs"),
    include_str!("mir/comment.rs"),
    include_str!("mir/flow.rs"),
    include_str!("mir/lines.rs"),
    include_str!("mir/mod.rs"),
    include_str!("mir/open.rs"),
    include_str!("mir/statement.rs"),
    include_str!("mir/text.rs"),
    include_str!("notation.rs"),
]);

/// The hash FNV-1a of the texts. It is short and can run at compile time;
/// <http://www.isthe.com/chongo/tech/comp/fnv/>.
pub const fn fingerprint(texts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut text = 0;
    while text < texts.len() {
        let bytes = texts[text].as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
            at += 1;
        }
        text += 1;
    }
    hash
}

impl Unit {
    pub fn text(&self, index: Str) -> &str {
        self.strings.get(index as usize).map_or("", String::as_str)
    }

    /// Writes to another name first and then renames the file, so that a run that is interrupted leaves no
    /// incomplete file.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let bytes = postcard::to_stdvec(&(FORMAT, self)).map_err(io::Error::other)?;
        let partial = path.with_extension(format!("{}.part", std::process::id()));
        std::fs::write(&partial, bytes)?;
        std::fs::rename(&partial, path)
    }

    pub fn load(path: &Path) -> io::Result<Unit> {
        let bytes = std::fs::read(path)?;
        match postcard::from_bytes::<(u64, Unit)>(&bytes) {
            Ok((FORMAT, unit)) => Ok(unit),
            Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "written by another version")),
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }
}
