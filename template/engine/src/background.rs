//! What works besides the requests, and does it end in time?
//!
//! A background task is started here and nowhere else: shutdown tells it to stop through its token and
//! waits for it, so that temporary files and open transactions are cleaned up.

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

    /// Runs `task` until it ends by itself, which is logged as a warning, or its token is cancelled. Then it should clean
    /// up and return: shutdown waits for it until `shutdown.grace` is over, and cuts it off there. `name` is what the
    /// log says of it, and the culprit of a stall that it causes.
    pub fn start<F>(&self, name: &'static str, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = self.life.closing(); // not the task's own, which the task may cancel
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

    /// Runs `task` until it ends, which is no news, or is dropped at shutdown.
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

    /// The tasks of requests are tracked beside the background ones.
    pub(super) fn tasks(&self) -> TaskTracker {
        self.tasks.clone()
    }

    pub(super) fn running(&self) -> usize {
        self.tasks.len()
    }

    /// Waits until every task has ended. For the shutdown: each is told so at [`Stage::Closing`](super::life::Stage).
    pub(super) async fn finish(self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}
