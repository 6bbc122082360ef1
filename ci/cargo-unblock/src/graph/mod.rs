//! What does each body call, once its generic parameters are known?
//!
//! A node is a body together with what its generic parameters stand for: `read_all::<File>` and `read_all::<Cursor>` are
//! two. An edge is a call that runs on the caller's thread. A closure that is handed on is an edge from where it is
//! called, not from where it stands. A closure that is handed to an offloader is no edge at all. [`Dispatch`] says how
//! far calls through `dyn`, function pointers and unknown parameters are followed.
//!
//! When a chain is missing: expand.rs takes the calls of a body, functions.rs and methods.rs find what they run in the
//! workspace, listed.rs and external.rs say what a function elsewhere does, values.rs what is run by a value, hidden.rs
//! which types a `dyn` stands for, and impls.rs which `impl` is for a type.

mod dispatch;
mod expand;
mod external;
mod functions;
mod hidden;
mod impls;
mod listed;
mod methods;
mod nodes;
mod values;

pub use self::dispatch::Dispatch;
pub use self::nodes::{Edge, Graph, NodeId, To};
