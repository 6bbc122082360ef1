//! What may calls to other services cost?

use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use crate::config::range::{DAY, MILLISECOND, Range, Ranges};

/// Calls to other services.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HttpClientConfig {
    /// Calls at once, over all hosts. More calls wait.
    ///
    /// Too high: file descriptors and memory go to slow services.
    /// Too low: requests wait in `http_client_wait_seconds` for services that are fast.
    pub max_in_flight: usize,
    /// Calls at once to one host. More calls wait.
    ///
    /// Too high: one slow service takes all places.
    /// Too low: requests wait for a service that could do more.
    pub max_per_host: usize,
    /// Longest time to connect. Then the client gets 504.
    ///
    /// Too high: requests wait for a host that is gone.
    /// Too low: a lost packet becomes an error.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// Longest time without a byte of the answer. Then the client gets 504.
    ///
    /// Too high: a service that hangs holds its place.
    /// Too low: slow but good answers break off.
    #[serde(with = "humantime_serde")]
    pub read_timeout: Duration,
    /// A connection on which nothing happened for so long is not used again. The value must be lower than the other
    /// service's own idle timeout: gunicorn closes after 2s, Node and uvicorn after 5s, nginx after 75s.
    ///
    /// Too high: requests are sent on connections that the other service is closing, and requests that must not be sent
    /// twice become 502.
    /// Too low: more calls wait for a new connection.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// Longest time from the sending to the last byte of the answer, unless the call sets a timeout of its own. Then the
    /// client gets 504.
    ///
    /// Too high: the request's own timeout comes first, and nobody learns the cause.
    /// Too low: slow but good answers are given up.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// The largest body of an answer. An answer that is larger becomes 502.
    ///
    /// Too high: one service fills the memory.
    /// Too low: good answers become 502.
    pub body_limit: ByteSize,
}

impl HttpClientConfig {
    pub(super) const RANGES: Ranges<Self> = &[
        ("max_in_flight", Range::Count(|s| s.max_in_flight as u64, 1, 100_000)),
        ("max_per_host", Range::Count(|s| s.max_per_host as u64, 1, 100_000)),
        ("connect_timeout", Range::Time(|s| s.connect_timeout, MILLISECOND, DAY)),
        ("read_timeout", Range::Time(|s| s.read_timeout, MILLISECOND, DAY)),
        ("idle_timeout", Range::Time(|s| s.idle_timeout, MILLISECOND, DAY)),
        ("timeout", Range::Time(|s| s.timeout, MILLISECOND, DAY)),
        ("body_limit", Range::Size(|s| s.body_limit, ByteSize::b(1), ByteSize::gib(4))),
    ];
}

impl Default for HttpClientConfig {
    fn default() -> Self {
        Self {
            max_in_flight: 100,
            max_per_host: 20,
            connect_timeout: Duration::from_secs(1),
            read_timeout: Duration::from_secs(3),
            idle_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(5),
            body_limit: ByteSize::mib(8),
        }
    }
}
