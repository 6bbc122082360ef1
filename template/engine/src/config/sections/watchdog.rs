//! How closely is the event loop watched?

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::range::{DAY, MILLISECOND, NONE, Range, Ranges, SECOND};

/// The heartbeat that measures how long the event loop was unavailable.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WatchdogConfig {
    /// Time between two beats of the event loop's heartbeat under load.
    ///
    /// Too high: short stalls are not seen.
    /// Too low: the heartbeat costs CPU time.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// A stall of the event loop that is longer than this is logged.
    ///
    /// Too high: stalls that users feel are not logged.
    /// Too low: the noise of scheduling fills the log.
    #[serde(with = "humantime_serde")]
    pub stall_warn: Duration,
    /// `/livez` turns 503 after a stall of this length; with 0s it never does.
    ///
    /// Too high: a process that hangs for good is restarted late.
    /// Too low: one slow call restarts a process that would have recovered.
    #[serde(with = "humantime_serde")]
    pub dead_after: Duration,
}

impl WatchdogConfig {
    pub(super) const RANGES: Ranges<Self> = &[
        ("interval", Range::Time(|s| s.interval, MILLISECOND, SECOND)),
        ("stall_warn", Range::Time(|s| s.stall_warn, MILLISECOND, DAY)),
        ("dead_after", Range::Time(|s| s.dead_after, NONE, DAY)),
    ];
}

impl Default for WatchdogConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(20),
            stall_warn: Duration::from_millis(100),
            dead_after: Duration::from_secs(60),
        }
    }
}
