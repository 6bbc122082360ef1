//! What is each worker of the event loop doing right now?
//!
//! A request or a background task that is polled writes its key into the slot of the worker. So the watchdog can name
//! who blocks a worker while the worker is still blocked.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// A slot for each worker.
#[derive(Debug)]
pub struct Workers(Vec<Slot>);

/// A slot has a cache line of its own, because the worker writes to it at each poll.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Slot {
    /// When the poll began, or 0.
    since: AtomicU64,
    key: AtomicU64,
}

/// A worker that has not come back from a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// `None` if nobody knows which worker it is.
    pub worker: Option<usize>,
    pub key: u64,
    /// When the poll began, in nanoseconds of the ledger's clock.
    pub since: u64,
}

/// A poll on a worker, which ends when this is dropped.
#[derive(Debug)]
pub struct OnWorker<'a>(&'a Slot);

impl Drop for OnWorker<'_> {
    fn drop(&mut self) {
        self.0.since.store(0, Relaxed);
    }
}

impl Workers {
    pub fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| Slot::default()).collect())
    }

    /// If this thread is a worker, notes in its slot who is polled since `now`.
    pub fn begins(&self, key: u64, now: u64) -> Option<OnWorker<'_>> {
        let slot = self.0.get(tokio::runtime::worker_index()?)?;
        slot.key.store(key, Relaxed);
        slot.since.store(now, Relaxed);
        Some(OnWorker(slot))
    }

    /// The workers whose poll began before `before`.
    pub fn stuck(&self, before: u64) -> Vec<Stuck> {
        let slots = self.0.iter().enumerate();
        let stuck = slots.map(|(worker, slot)| {
            let (since, key) = (slot.since.load(Relaxed), slot.key.load(Relaxed));
            Stuck { worker: Some(worker), key, since }
        });
        stuck.filter(|stuck| (1..before).contains(&stuck.since)).collect()
    }
}
