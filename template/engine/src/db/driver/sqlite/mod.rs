//! What is special to SQLite?
//!
//! [`driver`](super) has the list of the files.

pub mod advice;
pub mod brake;
pub mod changes;
pub mod codes;
pub mod connector;
pub mod limits;
pub mod migrator;
pub mod open;
pub mod transaction;
