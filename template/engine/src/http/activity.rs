//! What is a connection doing?
//!
//! It serves requests, or its client is still reading an answer, or it is idle, or it has left HTTP. The requests, the
//! socket and the connection's own loop write what they know into this one record, and read it there.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::answer::{SentPieces, Unsent, millis_since};
use super::upgrade::Upgrade;
use crate::life::Life;
use crate::request::Request;

/// What a connection is doing. Each request of the connection has this as an extension; clones share it.
#[derive(Clone)]
pub(super) struct Activity(Arc<Record>);

/// The times are in milliseconds after `accepted`, and begin with 1. The value 0 means "never".
struct Record {
    accepted: Instant,
    open_requests: AtomicUsize,
    has_served: AtomicBool,
    http2: AtomicBool,
    /// When the last request ended.
    idle_since: AtomicU64,
    /// The time since which the socket takes nothing of what is to be written.
    blocked_since: AtomicU64,
    /// Answers over HTTP/2 that the client has not taken yet.
    unsent: Arc<Unsent>,
    /// Whether hyper has dropped a request before the service began to answer it.
    dropped_unseen: AtomicBool,
    /// Whether the next flush has to check if the socket has failed.
    asked: AtomicBool,
    upgrade: OnceLock<Upgrade>,
    /// Handlers of the connection ask it when to end.
    life: Life,
}

/// How much the client takes of its answers.
pub(super) enum Taken {
    /// The client took something of each answer within the limit. The next look is due after this time.
    Enough(Duration),
    /// This many answers were reset, because the client took nothing of them. The other answers go on.
    Reset(u64),
    /// The client takes nothing of some answers, and these cannot be reset. `others` says whether other requests go on.
    Stuck { others: bool },
    /// The socket took nothing at all within the limit.
    Nothing,
}

impl Activity {
    pub(super) fn new(life: Life) -> Self {
        let accepted = Instant::now();
        Self(Arc::new(Record {
            accepted,
            open_requests: AtomicUsize::new(0),
            has_served: AtomicBool::new(false),
            http2: AtomicBool::new(false),
            idle_since: AtomicU64::new(0),
            blocked_since: AtomicU64::new(0),
            unsent: Arc::new(Unsent::new(accepted)),
            dropped_unseen: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            upgrade: OnceLock::new(),
            life,
        }))
    }

    /// A token that is cancelled when the process begins to stop.
    pub(super) fn draining(&self) -> CancellationToken {
        self.0.life.draining()
    }

    pub(super) fn speaks_http2(&self) {
        self.0.http2.store(true, Relaxed);
    }

    pub(super) fn begin_request(&self) {
        self.0.has_served.store(true, Relaxed);
        self.0.open_requests.fetch_add(1, Release);
    }

    pub(super) fn end_request(&self) {
        self.0.idle_since.store(self.now(), Release);
        self.0.open_requests.fetch_sub(1, Release);
    }

    /// Follows the pieces of an answer that is about to be sent. `None` over HTTP/1, where the socket tells enough.
    pub(super) fn sent_pieces(&self) -> Option<SentPieces> {
        self.is_http2().then(|| SentPieces::new(Arc::clone(&self.0.unsent)))
    }

    /// Notes whether the socket took what was to be written.
    pub(super) fn wrote(&self, taken: bool) {
        if taken {
            self.0.blocked_since.store(0, Relaxed);
        } else if self.0.blocked_since.load(Relaxed) == 0 {
            self.0.blocked_since.store(self.now(), Relaxed);
        }
    }

    /// Resets the answers of which the client has taken nothing within the last `limit`. HTTP/2 has a window for each
    /// answer, so the socket can be free while an answer waits.
    pub(super) fn reset_stuck(&self, limit: Duration) -> Taken {
        let (now, limit) = (self.now(), limit.as_millis() as u64);
        let blocked = Some(self.0.blocked_since.load(Relaxed)).filter(|since| *since > 0);
        if blocked.is_some_and(|since| since + limit <= now) {
            return Taken::Nothing;
        }
        let found = self.0.unsent.reset_before(now.saturating_sub(limit), now);
        if found.reset > 0 {
            return Taken::Reset(found.reset);
        }
        if found.stuck {
            return Taken::Stuck { others: found.moving || self.0.open_requests.load(Acquire) > 0 };
        }
        let oldest = found.oldest.into_iter().chain(blocked).min().unwrap_or(now);
        Taken::Enough(Duration::from_millis((oldest + limit).saturating_sub(now).max(1)))
    }

    pub(super) fn is_busy(&self) -> bool {
        self.0.open_requests.load(Acquire) > 0
            || self.0.blocked_since.load(Relaxed) > 0
            || !self.0.unsent.is_empty()
    }

    pub(super) fn is_http2(&self) -> bool {
        self.0.http2.load(Relaxed)
    }

    pub(super) fn has_served(&self) -> bool {
        self.0.has_served.load(Relaxed)
    }

    /// For how long the connection has waited for its next request: since its last request ended, or since it was
    /// accepted. Zero while it is busy.
    pub(super) fn idle(&self) -> Duration {
        // This comes before the time is read, because a request that ends notes the time first.
        if self.is_busy() {
            return Duration::ZERO;
        }
        let since = self.0.idle_since.load(Acquire).max(self.0.unsent.rests_since());
        let since = Duration::from_millis(since);
        self.0.accepted.elapsed().saturating_sub(since)
    }

    /// Notes that hyper has dropped a request before the service began to answer it.
    pub(super) fn drop_unseen(&self) {
        self.0.dropped_unseen.store(true, Relaxed);
    }

    pub(super) fn was_dropped_unseen(&self) -> bool {
        self.0.dropped_unseen.load(Relaxed)
    }

    /// Lets the next flush check whether the socket has failed.
    pub(super) fn ask_socket(&self) {
        self.0.asked.store(true, Relaxed);
    }

    pub(super) fn is_socket_asked(&self) -> bool {
        self.0.asked.load(Relaxed) && self.0.asked.swap(false, Relaxed)
    }

    /// Notes that the answer to this request ends HTTP on the connection. Over HTTP/2 this does nothing.
    pub(super) fn leave_http(&self, request: Arc<Request>) {
        if !self.is_http2() {
            let _ = self.0.upgrade.set(Upgrade::new(request));
        }
    }

    pub(super) fn upgrade(&self) -> Option<&Upgrade> {
        self.0.upgrade.get()
    }

    fn now(&self) -> u64 {
        millis_since(self.0.accepted)
    }
}
