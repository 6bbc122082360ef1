//! How long may the end of the process take?

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::range::{DAY, MILLISECOND, NONE, Range, Ranges};

/// How long the work after `shutdown.grace` may take: cutting off requests, closing pools and writing the log.
/// Higher: the platform has to wait longer before it kills the process. Lower: the last log lines are lost.
pub const TAIL: Duration = Duration::from_secs(1);

/// What happens between SIGTERM and the exit.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ShutdownConfig {
    /// How long new connections are still accepted after SIGTERM, while `/readyz` is 503 already. In this time load
    /// balancers notice that the process is stopping.
    ///
    /// Too high: less of the grace is left for the requests.
    /// Too low: clients are sent to a port that is closed.
    #[serde(with = "humantime_serde")]
    pub drain_delay: Duration,
    /// Time from SIGTERM to the moment at which unfinished requests are cut off. `drain_delay` is part of it.
    ///
    /// Too high: the platform kills the process before its log is written.
    /// Too low: slow requests are cut off at each release.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
}

impl ShutdownConfig {
    pub(super) const RANGES: Ranges<Self> = &[
        ("drain_delay", Range::Time(|s| s.drain_delay, NONE, DAY)),
        ("grace", Range::Time(|s| s.grace, MILLISECOND, DAY)),
    ];
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self { drain_delay: Duration::ZERO, grace: Duration::from_secs(25) }
    }
}
