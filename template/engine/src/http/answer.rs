//! Which answer of an HTTP/2 connection is not taken?
//!
//! Each stream of HTTP/2 has a window of its own, which its client opens while it reads. So the socket can be free
//! while one answer waits. hyper accepts the pieces of an answer before there is room to send them, so a piece counts
//! as sent only when hyper drops it.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use futures_util::future::{AbortHandle, Abortable};
use hyper::rt::Executor;
use slab::Slab;
use tokio_util::task::TaskTracker;

tokio::task_local! {
    /// Ends the task of the HTTP/2 stream for which this code works. hyper then resets this stream, and no other.
    static STREAM: AbortHandle;
}

/// Runs the streams of HTTP/2 connections for hyper. Shutdown waits for these tasks, because a stream can write the log
/// line of its request after its connection has ended.
#[derive(Clone)]
pub(super) struct Streams(pub(super) TaskTracker);

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let (handle, registration) = AbortHandle::new_pair();
        self.0.spawn(STREAM.scope(handle, Abortable::new(stream, registration)));
    }
}

/// The answers of one connection that wait: hyper holds pieces of them that are not sent yet.
pub(super) struct Unsent {
    accepted: Instant,
    waiting: Mutex<Slab<UnsentAnswer>>,
    /// When an answer last stopped to wait.
    rests_since: AtomicU64,
}

/// The time now, in milliseconds after a connection was accepted. It begins with 1, so that 0 can mean "never".
pub(super) fn millis_since(accepted: Instant) -> u64 {
    1 + accepted.elapsed().as_millis() as u64
}

struct UnsentAnswer {
    /// When the answer last moved: a piece was sent, or the answer began to wait, or it was reset.
    moved: u64,
    /// `None` if hyper has the whole answer, or if the answer was reset: then there is nothing left to reset.
    stream: Option<AbortHandle>,
}

/// What was found among the answers that wait.
pub(super) struct Found {
    /// How many answers were reset by this look.
    pub(super) reset: u64,
    /// Whether there are stuck answers that cannot be reset.
    pub(super) stuck: bool,
    /// Whether there are answers that are not stuck.
    pub(super) moving: bool,
    /// When the answer that has not moved for the longest time last moved.
    pub(super) oldest: Option<u64>,
}

impl Unsent {
    pub(super) fn new(accepted: Instant) -> Self {
        Self { accepted, waiting: Mutex::default(), rests_since: AtomicU64::new(0) }
    }

    /// When an answer last stopped to wait. If no answer waits now, none has waited since then.
    pub(super) fn rests_since(&self) -> u64 {
        self.rests_since.load(Acquire)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Resets the answers of which nothing was taken after the time `before`.
    pub(super) fn reset_before(&self, before: u64, now: u64) -> Found {
        let mut found = Found { reset: 0, stuck: false, moving: false, oldest: None };
        for (_, answer) in &mut *self.lock() {
            if answer.moved > before {
                found.moving = true;
            } else if let Some(stream) = answer.stream.take() {
                stream.abort();
                found.reset += 1;
                answer.moved = now;
            } else {
                found.stuck = true;
            }
            found.oldest = found.oldest.into_iter().chain([answer.moved]).min();
        }
        found
    }

    fn lock(&self) -> MutexGuard<'_, Slab<UnsentAnswer>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pieces of an HTTP/2 answer that is being handed to hyper.
pub(super) struct SentPieces(Arc<Pieces>);

struct Pieces {
    of_connection: Arc<Unsent>,
    state: Mutex<State>,
}

struct State {
    /// How many pieces are not sent yet.
    unsent: usize,
    /// The answer's place in [`Unsent`]. It means nothing while `unsent` is 0.
    place: usize,
    stream: Option<AbortHandle>,
}

impl SentPieces {
    pub(super) fn new(of_connection: Arc<Unsent>) -> Self {
        let stream = STREAM.try_with(AbortHandle::clone).ok();
        Self(Arc::new(Pieces { of_connection, state: Mutex::new(State { unsent: 0, place: 0, stream }) }))
    }

    /// Returns the same bytes, which count as sent when they are dropped.
    pub(super) fn follow(&self, bytes: Bytes) -> Bytes {
        self.0.count(|pieces| pieces + 1);
        Bytes::from_owner(Piece { bytes, pieces: Arc::clone(&self.0) })
    }
}

/// This is dropped when hyper has the whole answer, or when the answer is given up. Then there is nothing left to
/// reset.
impl Drop for SentPieces {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.stream = None;
        if state.unsent > 0 {
            self.0.of_connection.lock()[state.place].stream = None;
        }
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
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, change: impl FnOnce(usize) -> usize) {
        let mut state = self.lock();
        let before = state.unsent;
        state.unsent = change(before);
        let now = millis_since(self.of_connection.accepted);
        let mut unsent = self.of_connection.lock();
        match (before, state.unsent) {
            (0, _) => state.place = unsent.insert(UnsentAnswer { moved: now, stream: state.stream.clone() }),
            (_, 0) => {
                self.of_connection.rests_since.store(now, Release);
                unsent.remove(state.place);
            }
            // It is no progress that hyper got another piece.
            (before, after) if after > before => {}
            _ => unsent[state.place].moved = now,
        }
    }
}
