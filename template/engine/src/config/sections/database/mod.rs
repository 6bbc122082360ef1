//! What is the database allowed to cost? Here are the limits of the database that this build has.

#[cfg(all(feature = "postgres", not(feature = "sqlite")))]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(all(feature = "postgres", not(feature = "sqlite")))]
pub use self::postgres::DatabaseConfig;
#[cfg(feature = "sqlite")]
pub use self::sqlite::DatabaseConfig;
