//! What is each worker of the event loop doing right now?
//!
//! Whoever is polled writes its key into its worker's slot. So the watchdog can name who blocks a worker while
//! it still does.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// A slot for each worker.
#[derive(Debug)]
pub struct Workers(Vec<Slot>);

/// In a cache line of its own: workers write to their slots at each poll.
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
    /// None: nobody knows which.
    pub worker: Option<usize>,
    pub key: u64,
    /// When the poll began, in the ledger's time.
    pub since: u64,
}

/// A poll on a worker, until this is dropped.
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

    /// Notes who is polled on the current worker, if this is one.
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
