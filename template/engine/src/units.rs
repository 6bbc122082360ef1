//! In which unit does a log line give a time?

use std::time::Duration;

/// A duration in milliseconds, with a fraction, for the fields of log lines that are named `…_ms`.
#[must_use]
pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
