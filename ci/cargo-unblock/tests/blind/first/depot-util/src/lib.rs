//! Small helpers shared by the depot crates.

pub mod chan;
pub mod mem;
pub mod offload;
pub mod retry;
pub mod textio;
pub mod vfs;

#[macro_use]
mod macros;

pub use std::fs::read_to_string as slurp_file;
