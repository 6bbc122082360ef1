//! Which bodies does the workspace have, and what does each name stand for?
//!
//! The facts of all crates are put together here (build.rs, add.rs, impls.rs). Every function, closure, async
//! body and impl can then be found by what a call elsewhere prints (names.rs), and shown where a reader looks
//! for it (places.rs). Two crates may print one function differently: its own crate prints `inner::f`, and a
//! crate that uses it prints `lib::f` if `lib` exports it so. [`Program::functions`] finds it by both paths.
//! When a chain ends too early, look there first.

mod add;
mod build;
mod impls;
mod model;
mod names;
mod places;

pub use self::model::{Body, BodyId, HiddenType, Program, What};
