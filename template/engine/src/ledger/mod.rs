//! Which link held a request up?
//!
//! Every request has an [`Account`]: each moment between its parsed head and its body's end belongs to
//! exactly one [`Phase`]. The engine's links name their own waits; [`wait`] names one of yours. Where it shows:
//! `long_pole` and `phases` in the request's log line, `http_request_phase_seconds`, the status page, and the
//! header `server-timing` where that is switched on.
//!
//! The ledger knows all open accounts, how long the event loop was unavailable ([`clock`]), and what each
//! worker is doing ([`workers`]).

mod account;
mod clock;
mod follow;
mod phase;
mod workers;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use slab::Slab;

pub use self::account::{Account, Statement};
pub(super) use self::clock::Clock;
pub use self::follow::wait;
pub(super) use self::follow::{Entered, Followed, Polling, named, task};
pub use self::phase::{PHASES, Phase, Phases};
pub(super) use self::workers::Stuck;
use self::workers::Workers;
use super::config::Config;
use super::context::Request;

/// All open requests. Clones share it.
#[derive(Clone, Debug)]
pub struct Ledger(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    workers: Workers,
    /// `watchdog.stall_warn`.
    long_poll: Duration,
    open: Mutex<Slab<Arc<Request>>>,
    /// By tasks that requests have started and that have not ended.
    tasks: Mutex<Slab<Arc<Request>>>,
    /// Of background tasks.
    names: Mutex<Vec<&'static str>>,
}

/// Who is on a worker.
#[derive(Clone, Debug)]
pub enum Holder {
    Request(Arc<Request>),
    Background(&'static str),
    /// Nothing that we follow.
    Unknown,
}

/// Keys of requests have this bit, those of background tasks have not.
const OF_REQUEST: u64 = 1 << 63;

impl Ledger {
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self(Arc::new(Inner {
            clock: Clock::default(),
            workers: Workers::new(config.server.worker_threads),
            long_poll: config.watchdog.stall_warn,
            open: Mutex::default(),
            tasks: Mutex::default(),
            names: Mutex::default(),
        }))
    }

    pub(super) fn account(&self) -> Account {
        Account::open(self, OF_REQUEST | fastrand::u64(..))
    }

    /// A key for a background task, from 1 on.
    fn name(&self, task: &'static str) -> u64 {
        let mut names = self.0.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.push(task);
        names.len() as u64
    }

    pub(super) fn holder(&self, key: u64) -> Holder {
        if key & OF_REQUEST == 0 {
            let names = self.0.names.lock().unwrap_or_else(PoisonError::into_inner);
            return names
                .get((key as usize).wrapping_sub(1))
                .map_or(Holder::Unknown, |name| Holder::Background(name));
        }
        let find = |requests: MutexGuard<'_, Slab<Arc<Request>>>| {
            requests
                .iter()
                .find(|(_, request)| request.account.key() == key)
                .map(|(_, request)| Arc::clone(request))
        };
        let request = find(self.lock()).or_else(|| find(self.tasks()));
        request.map_or(Holder::Unknown, Holder::Request)
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    fn workers(&self) -> &Workers {
        &self.0.workers
    }

    /// The workers that have not come back from a poll for `watchdog.stall_warn`; nobody's worker if the event
    /// loop is stalled by something that we do not follow.
    pub(super) fn stuck(&self) -> Vec<Stuck> {
        let now = self.0.clock.now();
        let before = now.saturating_sub(self.0.long_poll.as_nanos() as u64);
        let mut stuck = self.0.workers.stuck(before);
        if stuck.is_empty() {
            let since = self.0.clock.outstanding().filter(|sent| *sent < before);
            stuck.extend(since.map(|since| Stuck { worker: None, key: 0, since }));
        }
        stuck
    }

    /// Returns its place.
    pub(super) fn open(&self, request: Arc<Request>) -> usize {
        self.lock().insert(request)
    }

    pub(super) fn close(&self, place: usize) {
        self.lock().remove(place);
    }

    /// Requests whose response is not finished.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Request>> {
        self.lock().iter().map(|(_, request)| Arc::clone(request)).collect()
    }

    pub(super) fn open_requests(&self) -> usize {
        self.lock().len()
    }

    fn tasks(&self) -> MutexGuard<'_, Slab<Arc<Request>>> {
        self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Slab<Arc<Request>>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
