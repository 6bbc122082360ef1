//! What is SQLite's own?

mod file;
mod locks;
mod rebuilds;
mod runaway;
mod sessions;
