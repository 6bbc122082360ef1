//! How much CPU work and how many blocking calls run beside the event loop?

use serde::{Deserialize, Serialize};

use crate::config::machine::cores;
use crate::config::range::{Range, Ranges};

/// Threads for CPU work and blocking calls.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OffloadConfig {
    /// Pieces of CPU work and blocking calls that run at once.
    ///
    /// Default: the number of cores.
    /// Too high: the threads take the cores from the event loop.
    /// Too low: work waits in `offload_wait_seconds` while cores idle.
    pub threads: usize,
    /// Work that may wait for a thread. More work is refused with 503.
    ///
    /// Default: 64 for each thread.
    /// Too high: answers come after the client has left.
    /// Too low: short bursts are refused with 503.
    pub max_queue: usize,
}

impl OffloadConfig {
    pub(super) const RANGES: Ranges<Self> = &[
        // tokio's pool of blocking threads holds no more than this.
        ("threads", Range::Count(|s| s.threads as u64, 1, 512)),
        ("max_queue", Range::Count(|s| s.max_queue as u64, 0, 1_000_000)),
    ];
}

impl Default for OffloadConfig {
    fn default() -> Self {
        // `align` computes what follows from other values, once they are known.
        Self { threads: cores(), max_queue: 64 * cores() }
    }
}
