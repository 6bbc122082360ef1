//! How is a statement ended that runs too long?
//!
//! SQLite works on a thread of its own, and goes on there when nobody waits for the answer any more. So a statement that
//! writes for fifteen seconds would hold up all other writes for fifteen seconds. But SQLite asks now and then whether it
//! shall go on. It does not ask while it waits for a lock or for the disk (`fsync`, a checkpoint), or within one
//! function.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use sqlx::sqlite::SqliteConnection;
use tokio::time::Instant;

/// SQLite asks after so many steps of its virtual machine, which take some hundred microseconds. Higher: a statement
/// runs on for longer after its time. Lower: asking costs CPU.
const STEPS: i32 = 10_000;

/// Ends the statement of one connection. Clones share it.
#[derive(Clone, Debug)]
pub struct Brake {
    origin: Instant,
    /// When the statement is interrupted, in microseconds after the origin. 0 means that it may go on.
    due: Arc<AtomicU64>,
}

impl Brake {
    pub async fn of(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let brake = Self { origin: Instant::now(), due: Arc::default() };
        let asked = brake.clone();
        connection.lock_handle().await?.set_progress_handler(STEPS, move || !asked.is_due());
        Ok(brake)
    }

    /// Interrupts the statement that runs at that moment.
    pub fn set(&self, due: Instant) {
        self.due.store(self.micros(due), Relaxed);
    }

    /// Interrupts the statement that runs now.
    pub fn pull(&self) {
        self.due.store(1, Relaxed);
    }

    pub fn release(&self) {
        self.due.store(0, Relaxed);
    }

    fn is_due(&self) -> bool {
        let due = self.due.load(Relaxed);
        due > 0 && self.micros(Instant::now()) >= due
    }

    fn micros(&self, at: Instant) -> u64 {
        1 + at.saturating_duration_since(self.origin).as_micros() as u64
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_statement_may_go_on_until_it_is_due_and_after_the_release() {
        let brake = Brake { origin: Instant::now(), due: Arc::default() };
        assert!(!brake.is_due());
        brake.set(Instant::now() + Duration::from_secs(3600));
        assert!(!brake.is_due());
        brake.set(Instant::now());
        assert!(brake.clone().is_due());
        brake.release();
        assert!(!brake.is_due());
        brake.pull();
        assert!(brake.is_due());
    }
}
