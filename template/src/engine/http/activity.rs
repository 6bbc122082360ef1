//! What is a connection doing?
//!
//! It serves requests, its client is still reading an answer, or it is idle. The requests, the socket and
//! the connection's own loop tell and ask this one record.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::time::{Duration, Instant};

/// Travels with each request of the connection as an extension.
#[derive(Clone)]
pub(super) struct Activity(Arc<Record>);

struct Record {
    accepted: Instant,
    open_requests: AtomicUsize,
    has_served: AtomicBool,
    sending: AtomicBool,
    /// When the last request ended, in milliseconds after `accepted`.
    idle_since: AtomicU64,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self(Arc::new(Record {
            accepted: Instant::now(),
            open_requests: AtomicUsize::new(0),
            has_served: AtomicBool::new(false),
            sending: AtomicBool::new(false),
            idle_since: AtomicU64::new(0),
        }))
    }

    pub(super) fn begin_request(&self) {
        self.0.has_served.store(true, Relaxed);
        self.0.open_requests.fetch_add(1, Relaxed);
    }

    pub(super) fn end_request(&self) {
        self.0.idle_since.store(self.0.accepted.elapsed().as_millis() as u64, Relaxed);
        self.0.open_requests.fetch_sub(1, Relaxed);
    }

    /// Whether the client has yet to read what was written.
    pub(super) fn set_sending(&self, sending: bool) {
        self.0.sending.store(sending, Relaxed);
    }

    pub(super) fn is_busy(&self) -> bool {
        self.0.open_requests.load(Relaxed) > 0 || self.0.sending.load(Relaxed)
    }

    pub(super) fn has_served(&self) -> bool {
        self.0.has_served.load(Relaxed)
    }

    /// How long the next request has been awaited: since the last one ended, or since the connection came.
    pub(super) fn idle(&self) -> Duration {
        let since = Duration::from_millis(self.0.idle_since.load(Relaxed));
        if self.is_busy() { Duration::ZERO } else { self.0.accepted.elapsed().saturating_sub(since) }
    }
}
