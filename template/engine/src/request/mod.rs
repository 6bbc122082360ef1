//! Which request is this code working for?
//!
//! Everything that belongs to one request travels in one record, [`Request`], in a task-local and not in a tracing span:
//! reading it costs 2 ns, and every log line of the task has the request's id. A task-local does not cross `tokio::spawn`
//! by itself: [`spawn`] and [`Offload::run`](crate::Offload::run) carry it along, and clippy bans the raw calls.
//!
//! [`id`] and [`trace`] read what the client says of itself, [`meters`] counts by route, [`follow`] books what the request
//! waits for, [`tasks`] and [`finishing`] are about work beside the answer.

mod finishing;
mod follow;
mod id;
mod meters;
mod tasks;
mod trace;

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
pub use self::id::{REQUEST_ID, RequestId};
pub use self::meters::{Meters, Routes};
pub use self::tasks::{carry, spawn};
pub use self::trace::{TRACEPARENT, Trace};
use crate::config::Config;
use crate::ledger::{Account, Instruments};
use crate::life::Life;

tokio::task_local! {
    pub(crate) static REQUEST: Arc<Request>;
}

/// What a request carries wherever it goes.
#[derive(Debug)]
pub struct Request {
    pub id: RequestId,
    pub trace: Trace,
    /// Who has sent it, as far as that can be believed: see `server.trusted_proxies`.
    pub client: Option<IpAddr>,
    /// Its method and route, and what measures them.
    pub meters: Arc<Meters>,
    /// Where its time goes.
    pub account: Account,
    /// What all requests share.
    pub all: Arc<Requests>,
    /// `server.request_timeout` after its head. Only its answer's body may come later.
    pub deadline: Instant,
    /// Whether the head of its answer is known.
    pub is_answered: AtomicBool,
    pub finishing: Finishing,
}

impl Request {
    /// The head is parsed: the account begins.
    pub fn open(
        all: &Arc<Requests>,
        headers: &HeaderMap,
        method: &'static str,
        route: &str,
        client: Option<IpAddr>,
    ) -> Arc<Self> {
        Arc::new(Self {
            account: Account::open(&all.instruments), // first: it holds the time
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

/// What all requests share. One per service.
pub struct Requests {
    pub instruments: Instruments,
    /// How far the process has come.
    pub life: Life,
    pub routes: Routes,
    /// `server.request_timeout`.
    pub request_timeout: Duration,
    /// What requests have started beside themselves; shutdown waits for it with the background tasks.
    pub tasks: TaskTracker,
    /// What is done whether or not the client is still there; shutdown waits for it with the requests.
    pub finishing: TaskTracker,
    /// Requests whose response is not finished.
    open: Mutex<Slab<Arc<Request>>>,
    /// By tasks that requests have started and that have not ended: such a task may outlive its request.
    at_work: Mutex<Slab<Arc<Request>>>,
}

impl Requests {
    /// `tasks` is where the tasks of requests are tracked.
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

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.open).len()
    }

    /// The request with this key, as long as it is open or a task of it runs.
    #[must_use]
    pub fn with_key(&self, key: u64) -> Option<Arc<Request>> {
        let find = |requests: &Slab<Arc<Request>>| {
            let mut requests = requests.iter().map(|(_, request)| request);
            requests.find(|request| request.account.key() == key).map(Arc::clone)
        };
        let open = find(&lock(&self.open));
        open.or_else(|| find(&lock(&self.at_work)))
    }

    /// Waits for what goes on without its client. For the shutdown: no request begins any more.
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

/// Like [`current`], without counting a reference.
pub fn with_current<R>(read: impl FnOnce(&Request) -> R) -> Option<R> {
    REQUEST.try_with(|request| read(request)).ok()
}
