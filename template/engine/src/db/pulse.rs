//! Is the database there?
//!
//! Every answer to a request says so. When no request asks for a while, a probe does, on a connection of
//! its own: a saturated pool is not an outage. What it finds decides over readiness, over statements that
//! wait for an answer that will not come, and over connections that were idle meanwhile.
//!
//! How long an answer may take depends on how far away the database is. Nobody can know that beforehand, so the
//! last answers to the probe are the measure.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Readiness turns 503 after this long without an answer of the database, where it is near. Higher: users see the
/// outage first. Lower: one slow checkpoint takes the service out of rotation.
const UNREADY_AFTER: Duration = Duration::from_secs(2);
/// A quiet service asks the database this often whether it is there.
pub(super) const PROBE_EVERY: Duration = Duration::from_millis(500);

/// In round trips: how long a short answer may take, and how long opening a connection may, which takes some ten with
/// TLS, log-in and settings. Higher: the silence of a far database is noticed late. Lower: it is never ready.
const ANSWER: u32 = 4;
const OPENING: u32 = 14;

/// Answers by which the distance is judged. Higher: a database that has moved away counts as silent for longer. Lower: a
/// few slow answers make it look far away.
const REMEMBERED: usize = 16;

/// The first attempt to open a connection, where the database is near; each further one may take twice as long. Higher:
/// after an outage requests wait for attempts that began in it. Lower: a busy database is asked again and again.
const FIRST_ATTEMPT: Duration = Duration::from_secs(2);

/// What is known of the database without asking it. Clones share it.
#[derive(Clone, Debug)]
pub struct Pulse {
    origin: Instant,
    state: Arc<PulseState>,
}

/// Times in milliseconds since the origin.
#[derive(Debug, Default)]
struct PulseState {
    answered: AtomicU64,
    lost: AtomicU64,
    away: AtomicBool,
    /// How long the last answers took, in microseconds, and how many there were. The shortest counts: the others
    /// were slow because the database was busy, and that must not make it look far away.
    round_trips: [AtomicU64; REMEMBERED],
    answers: AtomicUsize,
    /// The shortest of them, since each statement asks for it.
    distance: AtomicU64,
    /// What it said when it refused us.
    refusal: Mutex<Option<String>>,
}

impl Pulse {
    pub(super) fn now() -> Self {
        Self { origin: Instant::now(), state: Arc::default() }
    }

    /// The database answered.
    pub(super) fn answered(&self) {
        self.state.answered.store(self.millis(), Relaxed);
        // Read first: a store by each statement would make the cores wait for each other.
        if self.away() {
            self.state.away.store(false, Relaxed);
            self.refuse(None);
        }
    }

    /// The database answered a short question, and that took so long.
    pub(super) fn round_trip(&self, took: Duration) {
        let place = self.state.answers.fetch_add(1, Relaxed) % REMEMBERED;
        self.state.round_trips[place].store(took.as_micros() as u64, Relaxed);
        let answers = self.state.round_trips.iter().map(|took| took.load(Relaxed));
        self.state.distance.store(answers.filter(|took| *took > 0).min().unwrap_or_default(), Relaxed);
    }

    /// The same on a new connection: the database may be another one, elsewhere.
    pub(super) fn first_round_trip(&self, took: Duration) {
        let took = took.as_micros() as u64;
        self.state.round_trips.iter().for_each(|place| place.store(took, Relaxed));
        self.state.distance.store(took, Relaxed);
    }

    /// How long to wait for a short answer: `near`, or longer where the database is farther away.
    pub(super) fn patience(&self, near: Duration) -> Duration {
        near.max(ANSWER * self.distance())
    }

    /// How long one attempt to open a connection may take before the next one begins. A packet that was lost, or a
    /// host that swallows them, must not keep everybody waiting once the database is there.
    pub(super) fn opening_patience(&self) -> Duration {
        FIRST_ATTEMPT.max(2 * OPENING * self.distance())
    }

    /// How long the first answer on a new connection may take: `near`, or longer where the database is farther away.
    pub(super) fn first_answer_patience(&self, near: Duration) -> Duration {
        near.max(OPENING * self.distance())
    }

    /// After this long without an answer the replica is not ready. That one connection was lost must not be
    /// enough: it has to be found out, and another one to be opened.
    #[must_use]
    pub fn unready_after(&self) -> Duration {
        UNREADY_AFTER.max(PROBE_EVERY + (ANSWER + OPENING) * self.distance())
    }

    /// What the database said, if it answers only to refuse us.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        self.state.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn refuse(&self, why: Option<String>) {
        *self.state.refusal.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// A round trip.
    fn distance(&self) -> Duration {
        Duration::from_micros(self.state.distance.load(Relaxed))
    }

    /// A connection was lost.
    pub(super) fn lost(&self) {
        self.state.lost.store(self.millis(), Relaxed);
    }

    /// Whether a connection was lost after `idle_since`: then that one may be lost, too.
    pub(super) fn lost_since(&self, idle_since: Instant) -> bool {
        let idle_since = idle_since.saturating_duration_since(self.origin).as_millis() as u64;
        let lost = self.state.lost.load(Relaxed);
        lost > 0 && lost >= idle_since
    }

    /// The probe got no answer to a question that it asked at `asked`, or was refused with these words.
    pub(super) fn missed(&self, asked: Instant, refusal: Option<String>) {
        // Somebody else's statement may have been answered meanwhile.
        if self.age() >= asked.elapsed() {
            self.lost();
            self.state.away.store(true, Relaxed);
            self.refuse(refusal);
        }
    }

    /// Whether the probe found nobody, and nothing has answered since.
    pub(super) fn away(&self) -> bool {
        self.state.away.load(Relaxed)
    }

    /// Time since the database last answered anything.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.origin.elapsed().saturating_sub(Duration::from_millis(self.state.answered.load(Relaxed)))
    }

    fn millis(&self) -> u64 {
        self.origin.elapsed().as_millis() as u64
    }
}
