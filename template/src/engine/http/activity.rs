//! What is a connection doing?
//!
//! It serves requests, its client is still reading an answer, or it is idle. The requests, the socket and
//! the connection's own loop tell and ask this one record.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use slab::Slab;

/// Travels with each request of the connection as an extension.
#[derive(Clone)]
pub(super) struct Activity(Arc<Record>);

/// Times are in milliseconds after `accepted`, from 1 on; 0 is never.
struct Record {
    accepted: Instant,
    open_requests: AtomicUsize,
    has_served: AtomicBool,
    http2: AtomicBool,
    /// When the last request ended, and the last piece of an answer was taken.
    idle_since: AtomicU64,
    /// Since when the socket takes nothing of what is to be written.
    blocked_since: AtomicU64,
    /// HTTP/2 answers of which pieces are not sent yet, each with when the last one was.
    unsent: Mutex<Slab<u64>>,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self(Arc::new(Record {
            accepted: Instant::now(),
            open_requests: AtomicUsize::new(0),
            has_served: AtomicBool::new(false),
            http2: AtomicBool::new(false),
            idle_since: AtomicU64::new(0),
            blocked_since: AtomicU64::new(0),
            unsent: Mutex::default(),
        }))
    }

    pub(super) fn begin_request(&self, http2: bool) {
        self.0.http2.store(http2, Relaxed);
        self.0.has_served.store(true, Relaxed);
        self.0.open_requests.fetch_add(1, Release);
    }

    pub(super) fn end_request(&self) {
        self.0.idle_since.store(self.0.now(), Release);
        self.0.open_requests.fetch_sub(1, Release);
    }

    /// An answer that is about to be sent, if it has to be followed: over HTTP/1 the socket tells.
    pub(super) fn answer(&self) -> Option<Answer> {
        let answer = || Answer(Arc::new(Pieces { record: Arc::clone(&self.0), state: Mutex::default() }));
        self.is_http2().then(answer)
    }

    /// Whether the socket took what was to be written.
    pub(super) fn wrote(&self, taken: bool) {
        if taken {
            self.0.blocked_since.store(0, Relaxed);
        } else if self.0.blocked_since.load(Relaxed) == 0 {
            self.0.blocked_since.store(self.0.now(), Relaxed);
        }
    }

    /// How long the client has taken nothing that was to be sent. HTTP/2 has a window for each answer, so its
    /// socket can be free while an answer waits.
    pub(super) fn stuck(&self) -> Duration {
        let oldest = self.0.unsent().iter().map(|(_, moved)| *moved).min();
        let blocked = Some(self.0.blocked_since.load(Relaxed)).filter(|since| *since > 0);
        let since = oldest.into_iter().chain(blocked).min();
        since.map_or(Duration::ZERO, |since| Duration::from_millis(self.0.now().saturating_sub(since)))
    }

    pub(super) fn is_busy(&self) -> bool {
        self.0.open_requests.load(Acquire) > 0
            || self.0.blocked_since.load(Relaxed) > 0
            || !self.0.unsent().is_empty()
    }

    pub(super) fn is_http2(&self) -> bool {
        self.0.http2.load(Relaxed)
    }

    pub(super) fn has_served(&self) -> bool {
        self.0.has_served.load(Relaxed)
    }

    /// How long the next request has been awaited: since the last one ended, or since the connection came.
    pub(super) fn idle(&self) -> Duration {
        // First: whoever ends now notes the time before it is no longer busy.
        if self.is_busy() {
            return Duration::ZERO;
        }
        let since = Duration::from_millis(self.0.idle_since.load(Acquire));
        self.0.accepted.elapsed().saturating_sub(since)
    }
}

impl Record {
    fn now(&self) -> u64 {
        1 + self.accepted.elapsed().as_millis() as u64
    }

    fn unsent(&self) -> MutexGuard<'_, Slab<u64>> {
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An HTTP/2 answer. hyper takes its pieces before the client has room for them, so their being handed over says
/// nothing: a piece is sent when hyper lets go of it.
pub(super) struct Answer(Arc<Pieces>);

struct Pieces {
    record: Arc<Record>,
    /// How many are not sent yet, and the place among the `unsent`.
    state: Mutex<(usize, usize)>,
}

impl Answer {
    /// The same bytes, followed until they are let go of.
    pub(super) fn follow(&self, bytes: Bytes) -> Bytes {
        self.0.count(|pieces| pieces + 1);
        Bytes::from_owner(Piece { bytes, pieces: Arc::clone(&self.0) })
    }
}

struct Piece {
    bytes: Bytes,
    pieces: Arc<Pieces>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.pieces.count(|pieces| pieces - 1);
    }
}

impl Pieces {
    fn count(&self, change: impl FnOnce(usize) -> usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (pieces, place) = &mut *state;
        let before = *pieces;
        *pieces = change(before);
        let mut unsent = self.record.unsent();
        match (before, *pieces) {
            (0, _) => *place = unsent.insert(self.record.now()),
            (_, 0) => {
                self.record.idle_since.store(self.record.now(), Release);
                unsent.remove(*place);
            }
            // One more to be sent is no progress.
            (before, after) if after > before => {}
            _ => unsent[*place] = self.record.now(),
        }
    }
}
