//! What is PostgreSQL's own?

mod errors;
mod hangs;
mod sessions;
mod url;
mod wire;
