//! Which bodies does the workspace have, and what does each name stand for?
//!
//! Puts the facts of all crates together (build.rs, add.rs, impls.rs): every function, closure, async body and impl can
//! then be found by what a call elsewhere prints (names.rs), and shown where a reader looks for it (places.rs). Two
//! crates print one function differently: `inner::f` at home, `lib::f` where it is used, if `lib` exports it so.
//! [`Program::functions`] finds it by both. When a chain ends where it should go on, look there first.

mod add;
mod build;
mod impls;
mod model;
mod names;
mod places;

pub use self::model::{Body, BodyId, HiddenType, Program, What};
