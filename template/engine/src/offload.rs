//! Where does CPU work go, and is there a queue?
//!
//! Code that keeps a worker for more than some 100 µs (hashing, parsing megabytes, blocking calls) stops every request
//! of that worker. Such code runs here instead, on `offload.threads` threads. If `offload_wait_seconds` rises, these
//! threads do not suffice.

use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::config;
use super::ledger::Phase;
use super::measure::{Counted, Timed};
use super::request::{self, Entered, REQUEST};

/// Runs CPU work and blocking calls on threads of their own, away from the event loop. Clones share the threads.
///
/// Use it for code that computes, or blocks without an `.await`, for more than some 100 µs: a password hash, the files
/// of `std::fs`, a client library that is not async. Shorter work is cheaper without a thread.
///
/// At most `offload.threads` pieces of work run at once (by default as many as there are cores), and at most
/// `offload.max_queue` more pieces wait for a thread (by default 64 for each thread). More work is refused.
#[derive(Clone)]
pub struct Offload(Arc<Inner>);

struct Inner {
    threads: Arc<Semaphore>,
    queue: Semaphore,
    wait: Histogram,
    run: Histogram,
    queue_length: Gauge,
    running: Gauge,
    rejected: Counter,
}

/// Why work on a thread of [`Offload`] has no result. `?` in a handler turns the error into a
/// [`Problem`](crate::Problem) with 503 or 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OffloadError {
    /// 503: as much work as `offload.max_queue` allows is waiting for a thread already. The work was not begun.
    #[error("as much work as offload.max_queue allows is waiting for a thread already")]
    QueueFull,
    /// 500: the work has panicked. The panic is in the log.
    #[error("the work has panicked")]
    Panicked,
}

impl Offload {
    #[must_use]
    pub(crate) fn new(config: &config::OffloadConfig) -> Self {
        Self(Arc::new(Inner {
            threads: Arc::new(Semaphore::new(config.threads)),
            queue: Semaphore::new(config.max_queue),
            wait: histogram!("offload_wait_seconds"),
            run: histogram!("offload_run_seconds"),
            queue_length: gauge!("offload_queue_length"),
            running: gauge!("offload_running"),
            rejected: counter!("offload_rejected_total"),
        }))
    }

    /// Runs `work` on a thread of the pool, and returns what `work` returns. If no thread is free, this waits for a
    /// thread. The request's account books the time to the phases `offload_wait` and `offload_run`, and the log lines
    /// of `work` carry the request's id. Without a request, as in a background task, the work runs in the same way.
    ///
    /// The work has no timeout of its own. If the future is dropped, since the client has left or
    /// `server.request_timeout` has passed, work that waits in the queue never begins. Work that has begun runs to its
    /// end, because a thread cannot be stopped from outside. Its result is lost, and the shutdown does not wait for it.
    ///
    /// ```
    /// use longpole::{Offload, Problem};
    ///
    /// # fn slow_hash(password: &str) -> String { password.to_owned() }
    /// async fn hash(offload: &Offload, password: String) -> Result<String, Problem> {
    ///     Ok(offload.run(move || slow_hash(&password)).await?)
    /// }
    /// ```
    ///
    /// # Errors
    /// [`OffloadError::QueueFull`] if the queue is full, [`OffloadError::Panicked`] if `work` panics. In a handler, `?`
    /// turns the first into 503 and the second into 500.
    pub async fn run<T, W>(&self, work: W) -> Result<T, OffloadError>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let pool = &*self.0;
        let (request, span) = (request::current(), tracing::Span::current());
        let enter = |phase| request.clone().map(|request| Entered::new(request, phase));
        let waiting = (Timed::into(&pool.wait), enter(Phase::OffloadWait));
        let thread = self.thread().await?;
        let (run, running, ready) = (pool.run.clone(), pool.running.clone(), request.clone());
        let work = move || {
            drop(waiting);
            // The thread is free again when the work ends, also if nobody waits for the result any more.
            let _running = (thread, Timed::into(&run), Counted::enter(&running));
            let enter = |phase| ready.clone().map(|request| Entered::new(request, phase));
            let _entered = enter(Phase::OffloadRun);
            let result = span.in_scope(|| match request {
                Some(request) => REQUEST.sync_scope(request, work),
                None => work(),
            });
            // From here on the request could go on, and waits until a worker polls it.
            (result, enter(Phase::LoopDelay))
        };
        #[expect(clippy::disallowed_methods, reason = "this is the pool that the ban points to")]
        let outcome = tokio::task::spawn_blocking(work).await;
        outcome.map(|(result, _ready)| result).map_err(|_| OffloadError::Panicked)
    }

    async fn thread(&self) -> Result<OwnedSemaphorePermit, OffloadError> {
        let pool = &*self.0;
        if let Ok(thread) = Arc::clone(&pool.threads).try_acquire_owned() {
            return Ok(thread);
        }
        let Ok(_place) = pool.queue.try_acquire() else {
            pool.rejected.increment(1);
            return Err(OffloadError::QueueFull);
        };
        let _counted = Counted::enter(&pool.queue_length);
        // The semaphore is never closed.
        Arc::clone(&pool.threads).acquire_owned().await.map_err(|_| OffloadError::QueueFull)
    }
}
