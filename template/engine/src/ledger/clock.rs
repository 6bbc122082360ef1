//! For how long was the event loop unavailable?
//!
//! A socket or a timer wakes a request only when a worker asks the system for events, and no worker asks while all
//! workers are blocked. So a stall looks as if the link had been slow, and the delay between wake-up and poll does
//! not show the stall. It is measured from outside instead: the control thread sends a beat into the runtime, and
//! this clock runs from that moment until a worker has answered the beat. The time in which a wait overlaps with a
//! stall is taken out of the wait. The idea of a beat from outside comes from InfluxDB (`tokio_watchdog`).

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, fence};
use std::time::Instant;

/// The ledger's clock. All times are in nanoseconds since the clock was made. Clones share the clock.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    origin: Instant,
    /// The version is odd while `stalled` and `sent` are being changed.
    version: AtomicU64,
    /// How long all answered beats have waited together.
    stalled: AtomicU64,
    /// When the beat that is not answered yet was sent. 0 if there is none.
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

    /// For how long the event loop was unavailable until `now`, in all stalls together. The value never decreases, so
    /// the difference of two readings is the time of the stalls between them.
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

    /// Notes that a beat is sent, and returns the time. Only the control thread may call this, and only when the last
    /// beat was answered.
    pub fn beat_sent(&self) -> u64 {
        let now = self.now().max(1);
        self.change(|inner| inner.sent.store(now, Relaxed));
        now
    }

    /// Notes that the beat is answered, and returns for how long it has waited. The worker that runs the beat calls
    /// this, because nobody else knows when the stall ended.
    pub fn beat_answered(&self) -> u64 {
        let waited = self.now().saturating_sub(self.0.sent.load(Relaxed));
        self.change(|inner| {
            inner.stalled.fetch_add(waited, Relaxed);
            inner.sent.store(0, Relaxed);
        });
        waited
    }

    /// When the beat that is not answered yet was sent. `None` if there is none.
    pub fn outstanding(&self) -> Option<u64> {
        Some(self.0.sent.load(Relaxed)).filter(|sent| *sent > 0)
    }

    /// There is only one writer at a time, because the next beat is sent only after the last beat was answered.
    fn change(&self, change: impl FnOnce(&Inner)) {
        let version = self.0.version.load(Relaxed);
        self.0.version.store(version + 1, Relaxed);
        fence(Release);
        change(&self.0);
        self.0.version.store(version + 2, Release);
    }
}
