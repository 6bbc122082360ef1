//! How is a statement ended that runs too long?
//!
//! SQLite works on a thread of its own, and nobody's patience running out stops it: a writer that runs for
//! fifteen seconds would take all writes away for so long. But SQLite asks now and then whether it shall go on.
//! It does not ask while it waits for a lock, for the disk (`fsync`, a checkpoint), or within one function.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use sqlx::sqlite::SqliteConnection;
use tokio::time::Instant;

/// SQLite asks after so many steps of its virtual machine, some hundred microseconds. Higher: a statement runs on
/// for longer after its time. Lower: CPU.
const STEPS: i32 = 10_000;

/// One for each connection. Clones share it.
#[derive(Clone, Debug)]
pub struct Brake {
    origin: Instant,
    /// Microseconds after the origin; 0: whatever runs may go on.
    due: Arc<AtomicU64>,
}

impl Brake {
    pub async fn of(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let brake = Self { origin: Instant::now(), due: Arc::default() };
        let asked = brake.clone();
        connection.lock_handle().await?.set_progress_handler(STEPS, move || !asked.is_due());
        Ok(brake)
    }

    /// What runs at that moment is interrupted.
    pub fn set(&self, due: Instant) {
        self.due.store(self.micros(due), Relaxed);
    }

    /// What runs now is interrupted.
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
