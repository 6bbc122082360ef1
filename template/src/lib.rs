//! The service as a library, so that tests start the same parts as `main.rs` does.
//!
//! [`app`] is yours: routes, handlers, queries, background work. [`engine`] is what is the same in every
//! service. Read `main.rs` first: it tells the life of the process from top to bottom.

// No panics on a request's way: an error is answered, a panic is a bug.
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
// They panic when nobody reads what they print, and wait for a reader that sleeps. Use the log, or `engine::terminal`.
#![warn(clippy::dbg_macro, clippy::print_stdout, clippy::print_stderr)]

pub mod app;
pub mod engine;
