//! In which unit does a log line tell a time?

use std::time::Duration;

/// A duration as the fields named `…_ms` of log lines have it: milliseconds, with a fraction.
#[must_use]
pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
