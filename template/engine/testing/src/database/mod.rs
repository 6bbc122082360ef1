//! Which database does a test have? Each test has a database of its own, and can read and write it without the service.

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::thread;

#[cfg(feature = "postgres")]
pub use self::postgres::{Database, Server};
#[cfg(feature = "sqlite")]
pub use self::sqlite::Database;

/// Runs a future on a new thread with its own runtime, because the test may already be inside a runtime.
fn wait<T: Send>(ask: impl AsyncFnOnce() -> T + Send) -> T {
    let ask = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(ask())
    };
    thread::scope(|scope| scope.spawn(ask).join().unwrap())
}
