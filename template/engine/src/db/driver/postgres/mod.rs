//! What is special to PostgreSQL?
//!
//! [`driver`](super) has the list of the files. One more is `pooler.rs`: does a pooler change servers under our
//! sessions?

pub mod advice;
pub mod brake;
pub mod changes;
pub mod codes;
pub mod connector;
pub mod limits;
pub mod migrator;
pub mod open;
mod pooler;
pub mod transaction;
