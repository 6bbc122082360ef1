//! What is the database allowed to cost? The limits of the one that this service has.

mod sqlite;

pub use self::sqlite::Database;
