//! Where does CPU work go, and is there a queue?
//!
//! Anything that keeps a thread for more than some 100 µs (hashing, parsing megabytes, blocking calls)
//! stops every request of its worker. It runs here instead, on as many threads as there are cores.
//! `offload_wait_seconds` rising means that they do not suffice.

use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::config;
use super::ledger::Phase;
use super::measure::{Counted, Timed};
use super::request::{self, Entered, REQUEST};

/// Runs CPU work and blocking calls on threads of their own, away from the event loop. Clones share the threads.
///
/// How many threads there are is `offload.threads`, and how much work may wait for them `offload.max_queue`. What takes
/// less than some 100 µs is cheaper where it stands.
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

/// Why work on a thread of [`Offload`] brought no result. `?` in a handler makes it a [`Problem`](crate::Problem) with 503
/// or 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OffloadError {
    /// 503: as much work as `offload.max_queue` allows is waiting for a thread already.
    #[error("as much work as offload.max_queue allows is waiting for a thread already")]
    QueueFull,
    /// 500: the work has panicked. The log has the panic.
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

    /// Runs `work` on a thread of the pool; its log lines carry the request's id. Dropping the future
    /// while the work is queued takes it out of the queue; work that has begun runs to its end.
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
    /// The queue is full, or the work panics. `?` in a handler makes it 503 or 500.
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
            // Freed when the work ends, also when nobody waits for it any more.
            let _running = (thread, Timed::into(&run), Counted::enter(&running));
            let enter = |phase| ready.clone().map(|request| Entered::new(request, phase));
            let _entered = enter(Phase::OffloadRun);
            let result = span.in_scope(|| match request {
                Some(request) => REQUEST.sync_scope(request, work),
                None => work(),
            });
            // The request can go on; a worker has yet to see it.
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
        // Never closed.
        Arc::clone(&pool.threads).acquire_owned().await.map_err(|_| OffloadError::QueueFull)
    }
}
