//! What does a type that rustc printed consist of?
//!
//! MIR text names types and callees in full: `<std::fs::File as std::io::Read>::read_to_string`,
//! `spawn_blocking::<{closure@src/a.rs:19:26: 19:33}, ()>`. parser.rs and path.rs read that notation into trees that can be
//! compared (tree.rs), and in which a generic parameter can be replaced (substitute.rs). Lifetimes are left out, since
//! no verdict depends on them. What the parser does not understand becomes [`Ty::Other`], which matches nothing: when a
//! finding is missing, look whether its types are read. The probe tells whether that happens where it matters.

mod cursor;
mod parser;
mod path;
mod scope;
mod show;
mod substitute;
mod tree;

pub use self::scope::Scope;
pub use self::tree::{Callee, Name, Subst, Ty, TyId, Types};
