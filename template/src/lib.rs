//! The service as a library, so that tests start the same parts as `main.rs` does.
//!
//! [`app`] is yours: routes, handlers, queries, background work. [`engine`] is what is the same in every
//! service. Read `main.rs` first: it tells the life of the process from top to bottom.

pub mod app;
pub mod engine;
