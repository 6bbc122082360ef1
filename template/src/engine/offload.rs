//! Where does CPU work go, and is there a queue?
//!
//! Anything that keeps a thread for more than some 100 µs (hashing, parsing megabytes, blocking calls)
//! stops every request of its worker. It runs here instead, on as many threads as there are cores.
//! `offload_wait_seconds` rising means that they do not suffice.

use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use tokio::sync::Semaphore;

use super::config;
use super::context::{self, REQUEST};
use super::http::problem::Problem;
use super::metrics::{Counted, Timed};

/// The bounded pool of threads. Clones share it.
#[derive(Clone)]
pub struct Offload(Arc<Inner>);

struct Inner {
    threads: Arc<Semaphore>,
    queue: Semaphore,
    wait: Histogram,
    run: Histogram,
    queue_length: Gauge,
    rejected: Counter,
}

impl Offload {
    #[must_use]
    pub fn new(config: &config::Offload) -> Self {
        Self(Arc::new(Inner {
            threads: Arc::new(Semaphore::new(config.threads)),
            queue: Semaphore::new(config.max_queue),
            wait: histogram!("offload_wait_seconds"),
            run: histogram!("offload_run_seconds"),
            queue_length: gauge!("offload_queue_length"),
            rejected: counter!("offload_rejected_total"),
        }))
    }

    /// Runs `work` on a thread of the pool; its log lines carry the request's id. Dropping the future
    /// while the work is queued takes it out of the queue; work that has begun runs to its end.
    ///
    /// # Errors
    /// 503 when the queue is full, 500 when the work panics.
    pub async fn run<T, W>(&self, work: W) -> Result<T, Problem>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let pool = &*self.0;
        let waiting = Timed::into(&pool.wait);
        let thread = match Arc::clone(&pool.threads).try_acquire_owned() {
            Ok(thread) => Ok(thread),
            Err(_) => {
                let Ok(_place) = pool.queue.try_acquire() else {
                    pool.rejected.increment(1);
                    return Err(Problem::overloaded("Too much work is waiting for a thread."));
                };
                let _counted = Counted::enter(&pool.queue_length);
                Arc::clone(&pool.threads).acquire_owned().await
            }
        };
        drop(waiting);
        let run = pool.run.clone();
        let (request, span) = (context::current(), tracing::Span::current());
        let work = move || {
            // Freed when the work ends, also when nobody waits for it any more.
            let _thread = thread;
            let _running = Timed::into(&run);
            span.in_scope(|| match request {
                Some(request) => REQUEST.sync_scope(request, work),
                None => work(),
            })
        };
        #[expect(clippy::disallowed_methods, reason = "this is the pool that the ban points to")]
        let result = tokio::task::spawn_blocking(work).await;
        // The panic hook has logged it.
        result.map_err(|_| Problem::internal())
    }
}
