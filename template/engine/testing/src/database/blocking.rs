//! How does a test that is not async use a connection of sqlx?

use std::thread;

/// Runs a future on a new thread with its own runtime, because the test may already be inside a runtime.
pub fn wait<T: Send>(ask: impl AsyncFnOnce() -> T + Send) -> T {
    let ask = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(ask())
    };
    thread::scope(|scope| scope.spawn(ask).join().unwrap())
}
