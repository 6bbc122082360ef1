//! Is the process alive, and may it be sent requests?
//!
//! `/livez` asks whether a restart would help: only a main runtime that has been stuck for
//! `watchdog.dead_after` says no. `/readyz` asks whether this replica should get requests now: not while
//! it starts or drains, while its event loop is stalled, or while its database does not answer. A
//! saturated pool is ready: taking a busy replica away makes the others busier.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::db::{Pulse, UNREADY_AFTER};

/// A stall of this length makes the replica unready. Higher: users wait longer in a stuck one. Lower: one
/// long poll moves its load to the others.
pub const UNREADY_STALL: Duration = Duration::from_secs(1);

/// What the probes know. Clones share it.
#[derive(Clone, Default)]
pub struct Health {
    state: Arc<Mutex<State>>,
    database: Arc<OnceLock<Pulse>>,
}

#[derive(Default)]
struct State {
    phase: Phase,
    /// When the beat that has not been answered yet was sent.
    beat_sent: Option<Instant>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Starting,
    Serving,
    Draining,
}

impl Health {
    pub(super) fn serving(&self, database: Pulse) {
        let _ = self.database.set(database);
        self.update(|state| {
            // A signal may have come first.
            if state.phase == Phase::Starting {
                state.phase = Phase::Serving;
            }
        });
    }

    pub(super) fn draining(&self) {
        self.update(|state| state.phase = Phase::Draining);
    }

    pub(super) fn beat_sent(&self, at: Instant) {
        self.update(|state| state.beat_sent = Some(at));
    }

    pub(super) fn beat_answered(&self) {
        self.update(|state| state.beat_sent = None);
    }

    /// How long the main runtime has not answered; zero when it is well.
    #[must_use]
    pub fn stall(&self) -> Duration {
        self.update(|state| state.beat_sent).map_or(Duration::ZERO, |sent| sent.elapsed())
    }

    /// Why this replica must not get requests; empty when it may.
    #[must_use]
    pub fn unready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        match self.update(|state| state.phase) {
            Phase::Starting => reasons.push("starting".to_owned()),
            Phase::Draining => reasons.push("draining".to_owned()),
            Phase::Serving => {}
        }
        let stall = self.stall();
        if stall > UNREADY_STALL {
            reasons.push(format!("event loop stalled for {} ms", stall.as_millis()));
        }
        let silent = self.database.get().map_or(Duration::ZERO, Pulse::age);
        // The probe runs on the event loop: while that is stalled, the database's silence says nothing.
        if silent > UNREADY_AFTER && stall <= UNREADY_STALL {
            reasons.push(format!("database has not answered for {} ms", silent.as_millis()));
        }
        reasons
    }

    fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
