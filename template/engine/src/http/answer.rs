//! Which answer of an HTTP/2 connection is not taken?
//!
//! Each stream of HTTP/2 has a window of its own, which its client opens while it reads. So the socket can be free
//! while one answer waits. hyper takes the pieces of an answer before there is room for them, so their being handed
//! over says nothing: a piece is sent when hyper lets go of it.

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
    /// Ends the task of the HTTP/2 stream that this code works for. Then hyper resets the stream, and only it.
    static STREAM: AbortHandle;
}

/// Runs the streams of HTTP/2 connections for hyper. Shutdown waits for them: a stream can write its request's line
/// after its connection has ended.
#[derive(Clone)]
pub(super) struct Streams(pub(super) TaskTracker);

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let (handle, registration) = AbortHandle::new_pair();
        self.0.spawn(STREAM.scope(handle, Abortable::new(stream, registration)));
    }
}

/// The answers of one connection of which pieces are not sent yet.
pub(super) struct Unsent {
    accepted: Instant,
    waiting: Mutex<Slab<UnsentAnswer>>,
    /// When the last piece of an answer was taken.
    rests_since: AtomicU64,
}

/// The times of a connection: in milliseconds after it was accepted, from 1 on. 0 is never.
pub(super) fn millis_since(accepted: Instant) -> u64 {
    1 + accepted.elapsed().as_millis() as u64
}

struct UnsentAnswer {
    /// When the last piece was sent.
    moved: u64,
    /// None once hyper has all of the answer: then nobody can reset it.
    stream: Option<AbortHandle>,
}

/// What was found among the answers that wait.
pub(super) struct Found {
    /// Answers that are reset now.
    pub(super) reset: u64,
    /// Whether others are stuck that cannot be reset.
    pub(super) stuck: bool,
    /// Whether there are others, which are not stuck.
    pub(super) moving: bool,
    /// When the last piece of the one that has waited longest was sent.
    pub(super) oldest: Option<u64>,
}

impl Unsent {
    pub(super) fn new(accepted: Instant) -> Self {
        Self { accepted, waiting: Mutex::default(), rests_since: AtomicU64::new(0) }
    }

    /// Since when nothing of an answer waits, if so.
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
    /// Pieces that are not sent yet.
    unsent: usize,
    /// The answer's place among those of its connection, while there are such pieces.
    place: usize,
    stream: Option<AbortHandle>,
}

impl SentPieces {
    pub(super) fn new(of_connection: Arc<Unsent>) -> Self {
        let stream = STREAM.try_with(AbortHandle::clone).ok();
        Self(Arc::new(Pieces { of_connection, state: Mutex::new(State { unsent: 0, place: 0, stream }) }))
    }

    /// The same bytes, followed until they are let go of.
    pub(super) fn follow(&self, bytes: Bytes) -> Bytes {
        self.0.count(|pieces| pieces + 1);
        Bytes::from_owner(Piece { bytes, pieces: Arc::clone(&self.0) })
    }
}

/// hyper has all of it, or nobody wants it any more.
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
            // One more to be sent is no progress.
            (before, after) if after > before => {}
            _ => unsent[state.place].moved = now,
        }
    }
}
