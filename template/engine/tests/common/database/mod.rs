//! A database of each test's own, and a way into it past the service.

mod sqlite;

pub use self::sqlite::Database;
