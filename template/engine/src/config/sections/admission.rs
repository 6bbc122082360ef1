//! How many requests are worked on at once, and who may wait?

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::range::{DAY, NONE, Range, Ranges};

/// How many requests are worked on at once. Probes and metrics are not among them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AdmissionConfig {
    /// Requests that are worked on at once, each to the last byte of its answer. Slow clients hold places, too: put a
    /// proxy before the service that takes in whole requests and answers.
    ///
    /// Default: 64, or eight times `database.max_connections` if that is more.
    /// Too high: all requests are slow at once, and they fill the memory.
    /// Too low: requests wait although everything behind them is idle.
    pub max_in_flight: usize,
    /// Requests that may wait to be let in. This bounds the memory; `max_wait` bounds the queue. More requests get 503.
    ///
    /// Too high: a flood fills the memory, with some 20 KB for each request, and over HTTP/2 with up to 64 KiB more for its
    /// body.
    /// Too low: bursts are refused that would have been served in time.
    pub max_queue: usize,
    /// Longest wait to be let in. Then the client gets 503. A request that would have to wait for longer is refused at once.
    ///
    /// Too high: clients wait for an answer that comes late.
    /// Too low: short bursts are refused with 503.
    #[serde(with = "humantime_serde")]
    pub max_wait: Duration,
}

impl AdmissionConfig {
    pub(super) const RANGES: Ranges<Self> = &[
        ("max_in_flight", Range::Count(|s| s.max_in_flight as u64, 1, 1_000_000)),
        ("max_queue", Range::Count(|s| s.max_queue as u64, 0, 1_000_000)),
        ("max_wait", Range::Time(|s| s.max_wait, NONE, DAY)),
    ];
}

impl Default for AdmissionConfig {
    fn default() -> Self {
        // `align` computes what follows from other values, once they are known.
        Self { max_in_flight: 64, max_queue: 10_000, max_wait: Duration::from_millis(500) }
    }
}
