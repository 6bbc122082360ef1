//! Which database does a test have? One of its own, with a way into it past the service.

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::thread;

#[cfg(feature = "postgres")]
pub use self::postgres::{Database, Server};
#[cfg(feature = "sqlite")]
pub use self::sqlite::Database;

/// On a thread with a runtime of its own, since the test may be inside a runtime.
fn wait<T: Send>(ask: impl AsyncFnOnce() -> T + Send) -> T {
    let ask = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(ask())
    };
    thread::scope(|scope| scope.spawn(ask).join().unwrap())
}
