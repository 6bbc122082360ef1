//! Which request is this code working for?
//!
//! Everything that belongs to one request is in one record, [`Request`]. The record is in a task-local and not in a
//! tracing span, because to read it there costs only 2 ns, and every log line of the task gets the request's id. A
//! task-local does not cross `tokio::spawn` by itself: [`spawn`] and [`Offload::run`](crate::Offload::run) carry it
//! along, and clippy bans the raw calls.
//!
//! [`ids`] reads the ids that the client sends. [`meters`] has the metrics of each route. [`follow`] books
//! what the request waits for. [`tasks`] and [`finishing`] are about work beside the answer.

mod finishing;
mod follow;
mod ids;
mod meters;
mod tasks;

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use slab::Slab;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

pub use self::finishing::{Afterwards, Finishing};
pub use self::follow::{Entered, Followed, Polling, follow, wait};
pub use self::ids::{REQUEST_ID, RequestId, TRACEPARENT, Trace};
pub use self::meters::{Meters, Routes};
pub use self::tasks::{carry, spawn};
use crate::config::Config;
use crate::ledger::{Account, Instruments};
use crate::life::Life;

tokio::task_local! {
    pub(crate) static REQUEST: Arc<Request>;
}

/// Everything that belongs to one request.
#[derive(Debug)]
pub struct Request {
    pub id: RequestId,
    pub trace: Trace,
    /// The address of the client, as far as it can be believed: see `server.trusted_proxies`. `None` if the request did
    /// not come through the engine's server.
    pub client: Option<IpAddr>,
    /// Its method and route, and their metrics.
    pub meters: Arc<Meters>,
    /// Where its time goes.
    pub account: Account,
    /// What all requests share.
    pub all: Arc<Requests>,
    /// `server.request_timeout` after its head was parsed. Only the body of its answer may come later.
    pub deadline: Instant,
    /// Whether the head of its answer is known.
    pub is_answered: AtomicBool,
    pub finishing: Finishing,
}

impl Request {
    /// Begins the record and the account of a request whose head is parsed.
    pub fn open(
        all: &Arc<Requests>,
        headers: &HeaderMap,
        method: &'static str,
        route: &str,
        client: Option<IpAddr>,
    ) -> Arc<Self> {
        Arc::new(Self {
            account: Account::open(&all.instruments), // this comes first, because it takes the time
            id: RequestId::from_headers(headers),
            trace: Trace::from_headers(headers),
            meters: all.routes.meters(method, route),
            client,
            all: Arc::clone(all),
            deadline: Instant::now() + all.request_timeout,
            is_answered: AtomicBool::new(false),
            finishing: Finishing::default(),
        })
    }
}

/// What all requests share. A service has one of this.
pub struct Requests {
    pub instruments: Instruments,
    /// How far the process has come.
    pub life: Life,
    pub routes: Routes,
    /// `server.request_timeout`.
    pub request_timeout: Duration,
    /// The tasks that requests have started. Shutdown waits for them together with the background tasks.
    pub tasks: TaskTracker,
    /// The work that goes on whether or not the client is still there. Shutdown waits for it together with the
    /// requests.
    pub finishing: TaskTracker,
    /// Requests whose response is not finished.
    open: Mutex<Slab<Arc<Request>>>,
    /// The request of each task that was started and has not ended. Such a task may outlive its request.
    at_work: Mutex<Slab<Arc<Request>>>,
}

impl Requests {
    /// `tasks` tracks the tasks that requests start.
    #[must_use]
    pub fn new(config: &Config, instruments: &Instruments, tasks: TaskTracker, life: Life) -> Arc<Self> {
        Arc::new(Self {
            instruments: instruments.clone(),
            life,
            routes: Routes::default(),
            request_timeout: config.server.request_timeout,
            tasks,
            finishing: TaskTracker::default(),
            open: Mutex::default(),
            at_work: Mutex::default(),
        })
    }

    /// Lists an open request. Returns its place.
    pub fn insert(&self, request: Arc<Request>) -> usize {
        lock(&self.open).insert(request)
    }

    pub fn remove(&self, place: usize) {
        lock(&self.open).remove(place);
    }

    /// Requests whose response is not finished.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Request>> {
        lock(&self.open).iter().map(|(_, request)| Arc::clone(request)).collect()
    }

    /// How many requests have a response that is not finished.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.open).len()
    }

    /// The request with this key, as long as the request is open or one of its tasks runs.
    #[must_use]
    pub fn with_key(&self, key: u64) -> Option<Arc<Request>> {
        let find = |requests: &Slab<Arc<Request>>| {
            let mut requests = requests.iter().map(|(_, request)| request);
            requests.find(|request| request.account.key() == key).map(Arc::clone)
        };
        let open = find(&lock(&self.open));
        open.or_else(|| find(&lock(&self.at_work)))
    }

    /// Waits for the work that goes on without its client. It is for the shutdown, when no request begins any more.
    pub async fn finish(&self) {
        self.finishing.close();
        self.finishing.wait().await;
    }
}

fn lock(requests: &Mutex<Slab<Arc<Request>>>) -> MutexGuard<'_, Slab<Arc<Request>>> {
    requests.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").finish_non_exhaustive()
    }
}

/// The request that this task serves, if any.
#[must_use]
pub fn current() -> Option<Arc<Request>> {
    REQUEST.try_with(Arc::clone).ok()
}

/// Like [`current`], but does not clone the `Arc`.
pub fn with_current<R>(read: impl FnOnce(&Request) -> R) -> Option<R> {
    REQUEST.try_with(|request| read(request)).ok()
}
