//! For how long was the event loop unavailable?
//!
//! What a request awaits (a socket, a timer, a permit) wakes it only when a worker asks the system, and while
//! all workers are blocked none does. So a stall looks as if the link had been slow, and the delay between
//! wake-up and poll does not show it. The stall is measured from outside instead: the control thread sends a
//! beat into the runtime, and this clock runs from the sending until a worker has taken it. Each wait gives
//! back what it overlaps with. The idea of a beat from outside is InfluxDB's (`tokio_watchdog`).

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, fence};
use std::time::Instant;

/// All times are in nanoseconds since it was made. Clones share it.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    origin: Instant,
    /// Odd while the two below are being changed.
    version: AtomicU64,
    /// What all beats that were answered have waited together.
    stalled: AtomicU64,
    /// When the beat was sent that is not answered yet, or 0.
    sent: AtomicU64,
}

impl Default for Clock {
    fn default() -> Self {
        Self(Arc::new(Inner {
            origin: Instant::now(),
            version: AtomicU64::new(0),
            stalled: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        }))
    }
}

impl Clock {
    pub fn now(&self) -> u64 {
        self.0.origin.elapsed().as_nanos() as u64
    }

    /// How long the event loop has been unavailable until `now`, all stalls together. Never decreases, so the
    /// difference of two readings is what of the time between them was a stall.
    pub fn stalled(&self, now: u64) -> u64 {
        loop {
            let version = self.0.version.load(Acquire);
            let (stalled, sent) = (self.0.stalled.load(Relaxed), self.0.sent.load(Relaxed));
            fence(Acquire);
            if version.is_multiple_of(2) && self.0.version.load(Relaxed) == version {
                let outstanding = if sent == 0 { 0 } else { now.saturating_sub(sent) };
                return stalled + outstanding;
            }
            std::hint::spin_loop();
        }
    }

    /// To be called by the control thread alone, and only when the last beat was answered.
    pub fn beat_sent(&self) -> u64 {
        let now = self.now().max(1);
        self.change(|inner| inner.sent.store(now, Relaxed));
        now
    }

    /// To be called by the worker that runs the beat: nobody else knows when the stall ended. Returns how long
    /// it waited.
    pub fn beat_answered(&self) -> u64 {
        let waited = self.now().saturating_sub(self.0.sent.load(Relaxed));
        self.change(|inner| {
            inner.stalled.fetch_add(waited, Relaxed);
            inner.sent.store(0, Relaxed);
        });
        waited
    }

    /// When the beat was sent that is not answered yet.
    pub fn outstanding(&self) -> Option<u64> {
        Some(self.0.sent.load(Relaxed)).filter(|sent| *sent > 0)
    }

    /// One writer at a time: a beat is sent, answered, and then the next one sent.
    fn change(&self, change: impl FnOnce(&Inner)) {
        let version = self.0.version.load(Relaxed);
        self.0.version.store(version + 1, Relaxed);
        fence(Release);
        change(&self.0);
        self.0.version.store(version + 2, Release);
    }
}
