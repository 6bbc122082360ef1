//! What works besides the requests, and does it end in time?
//!
//! Every background task is started here. The shutdown cancels the token of the task, and waits until the task has
//! removed its temporary files and ended its transactions.

use std::future::Future;

use metrics::gauge;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::ledger::{self, Instruments};
use super::life::Life;
use super::measure::Counted;

/// Starts tasks that live as long as the process, and tells them to stop at shutdown. Clones share one list of tasks.
///
/// Use it in your [`Start`](crate::Start) function, for work that belongs to no request, such as a loop that cleans up
/// each hour. For work that belongs to a request, see [`spawn`](crate::spawn).
///
/// ```
/// use std::time::Duration;
///
/// use longpole::Links;
/// use tokio::time::sleep;
///
/// # async fn clean_up() {}
/// fn start_cleaning(links: &Links) {
///     links.background.start("clean up", async move |stop| {
///         while stop.run_until_cancelled(sleep(Duration::from_secs(3600))).await.is_some() {
///             clean_up().await;
///         }
///     });
/// }
/// ```
#[derive(Clone)]
pub struct Background {
    instruments: Instruments,
    tasks: TaskTracker,
    life: Life,
}

impl Background {
    #[must_use]
    pub(crate) fn new(instruments: &Instruments, life: &Life) -> Self {
        Self { instruments: instruments.clone(), tasks: TaskTracker::default(), life: life.clone() }
    }

    /// Starts a task, and returns at once. `task` is a function that gets the token of the task and returns its future.
    /// `name` stands in the log lines about the task. If the task blocks the event loop, the log and the status page
    /// name it as the culprit.
    ///
    /// The token is cancelled at shutdown, when no request is left or `shutdown.grace` is over. Then the task should
    /// clean up and return. The shutdown waits for it for the rest of `shutdown.grace`, but at least 200 ms. A task
    /// that has not ended by then is cut off, and the process exits with 3.
    ///
    /// A task that ends before is not started again, and the process goes on. If the task has returned, the log has a
    /// warning; if it has panicked, the log has the panic. No setting bounds how many tasks there are, or how long they
    /// run. The metric `background_tasks` counts the tasks that run.
    ///
    /// # Panics
    /// On a thread without a Tokio runtime. Your [`Start`](crate::Start) function and your handlers have one.
    pub fn start<F>(&self, name: &'static str, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = self.life.closing(); // not the token of the task, since the task may cancel that token itself
        let task = ledger::named(self.instruments.clone(), name, task(self.life.closing()));
        let running = Counted::enter(&gauge!("background_tasks"));
        self.tasks.spawn(async move {
            let _running = running;
            task.await;
            if stop.is_cancelled() {
                info!(name, "background task stopped");
            } else {
                warn!(name, "background task ended by itself");
            }
        });
    }

    /// Starts a task that is expected to end by itself, so that the log says nothing about its end. The shutdown drops
    /// it.
    #[cfg(feature = "_database")]
    pub(crate) fn once<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let task = ledger::named(self.instruments.clone(), name, task);
        let stop = self.life.closing();
        let running = Counted::enter(&gauge!("background_tasks"));
        self.tasks.spawn(async move {
            let _running = running;
            stop.run_until_cancelled(task).await;
        });
    }

    /// The list of tasks. The tasks that requests have started are in it as well.
    pub(super) fn tasks(&self) -> TaskTracker {
        self.tasks.clone()
    }

    pub(super) fn running(&self) -> usize {
        self.tasks.len()
    }

    /// Waits until every task has ended. The shutdown calls this after [`Stage::Closing`](super::life::Stage), at which
    /// each task is told to end.
    pub(super) async fn finish(self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}
