//! What does a type that rustc printed consist of?
//!
//! MIR text names types and callees in full: `<std::fs::File as std::io::Read>::read_to_string`,
//! `spawn_blocking::<{closure@src/a.rs:19:26: 19:33}, ()>`. parser.rs and path.rs read that notation into
//! trees (tree.rs). Trees can be compared, and a generic parameter in them can be replaced (substitute.rs).
//! Lifetimes are left out, since no verdict depends on them.
//!
//! A text that the parser does not understand becomes [`Ty::Other`], which matches nothing. When a finding is
//! missing, look whether its types are read. The probe tells whether that happens where it matters.

mod cursor;
mod parser;
mod path;
mod scope;
mod show;
mod substitute;
mod tree;

pub use self::scope::Scope;
pub use self::tree::{Callee, Name, Subst, Ty, TyId, Types};
