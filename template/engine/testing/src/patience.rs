//! How long does a test wait for something?

use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a test waits for something. It is longer than anything takes, also on a machine that is busy with other work.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Calls `look` again and again until it returns a value, and returns this value. `what` says in the error what was awaited.
///
/// # Panics
/// `look` returns nothing for [`PATIENCE`].
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        sleep(Duration::from_millis(5));
    }
}
