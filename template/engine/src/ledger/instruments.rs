//! What is measured beside the requests, and for all of them?
//!
//! It is measured for how long the event loop was unavailable, and noted what each of its workers polls.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::clock::Clock;
use super::workers::{OnWorker, Stuck, Workers};
use crate::config::Config;

/// The clock and the workers. A service has one of this, and clones share it.
#[derive(Clone, Debug)]
pub struct Instruments(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    workers: Workers,
    /// `watchdog.stall_warn`.
    long_poll: Duration,
    /// The names of background tasks.
    names: Mutex<Vec<&'static str>>,
}

/// To whom a key belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occupant {
    Request,
    /// A background task, by its name.
    Background(&'static str),
    /// Nothing that we follow.
    Unknown,
}

/// Keys of requests have this bit. Keys of background tasks do not have it.
const OF_REQUEST: u64 = 1 << 63;

impl Instruments {
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self(Arc::new(Inner {
            clock: Clock::default(),
            workers: Workers::new(config.server.worker_threads),
            long_poll: config.watchdog.stall_warn,
            names: Mutex::default(),
        }))
    }

    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// `watchdog.stall_warn`: a poll that takes longer than this is a long poll.
    #[must_use]
    pub fn long_poll(&self) -> Duration {
        self.0.long_poll
    }

    /// A new key for a request. The slot of a worker names the request by this key.
    #[must_use]
    pub fn key_of_request(&self) -> u64 {
        OF_REQUEST | fastrand::u64(..)
    }

    /// A new key for a background task. The first key is 1.
    fn key_of_task(&self, task: &'static str) -> u64 {
        let mut names = self.0.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.push(task);
        names.len() as u64
    }

    #[must_use]
    pub fn occupant(&self, key: u64) -> Occupant {
        if key & OF_REQUEST != 0 {
            return Occupant::Request;
        }
        let names = self.0.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.get((key as usize).wrapping_sub(1)).map_or(Occupant::Unknown, |name| Occupant::Background(name))
    }

    /// If this thread is a worker, notes in its slot who is polled since `now`.
    #[must_use]
    pub fn poll_begins(&self, key: u64, now: u64) -> Option<OnWorker<'_>> {
        self.0.workers.begins(key, now)
    }

    /// The workers that have not come back from a poll for `watchdog.stall_warn`. If there are none and the event
    /// loop has stalled for as long, something that we do not follow blocks it: then there is one entry without a
    /// worker.
    #[must_use]
    pub fn stuck(&self) -> Vec<Stuck> {
        let now = self.0.clock.now();
        let before = now.saturating_sub(self.0.long_poll.as_nanos() as u64);
        let mut stuck = self.0.workers.stuck(before);
        if stuck.is_empty() {
            let since = self.0.clock.outstanding().filter(|sent| *sent < before);
            stuck.extend(since.map(|since| Stuck { worker: None, key: 0, since }));
        }
        stuck
    }
}

/// Runs a background task. While the task is polled, the slot of its worker names it.
pub async fn named<F: Future>(instruments: Instruments, name: &'static str, task: F) -> F::Output {
    let key = instruments.key_of_task(name);
    let mut task = pin!(task);
    poll_fn(|cx| {
        let _on_worker = instruments.poll_begins(key, instruments.clock().now());
        task.as_mut().poll(cx)
    })
    .await
}
