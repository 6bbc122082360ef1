//! Which database does a test have? Each test has a database of its own, and can read and write it without the service.

mod blocking;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "postgres")]
pub use self::postgres::{Database, Server};
#[cfg(feature = "sqlite")]
pub use self::sqlite::{Database, Lock};
