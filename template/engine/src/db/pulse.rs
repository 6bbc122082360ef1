//! Is the database there?
//!
//! Every answer to a request shows that the database is there. When no request asks the database for a while, the
//! [probe](super::probe) asks it. The pulse decides whether the service is ready, whether a statement goes on waiting for
//! its answer, and whether an idle connection is trusted.
//!
//! How long an answer may take depends on how far away the database is. Nobody knows that beforehand, so the last
//! answers to the probe are the measure.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Readiness turns 503 after this long without an answer, where the database is near. Higher: users see the outage
/// first. Lower: one slow checkpoint takes the service out of rotation.
const UNREADY_AFTER: Duration = Duration::from_secs(2);
/// A quiet service asks the database this often whether it is there.
pub(super) const PROBE_EVERY: Duration = Duration::from_millis(500);

/// A short answer may take this many round trips. Higher: the silence of a far database is noticed late. Lower: a
/// service with a far database is never ready.
const ANSWER: u32 = 4;
/// Opening a connection may take this many round trips. It takes some ten, with TLS, log-in and settings. Higher: it is
/// noticed late that a far database does not answer. Lower: connections to a far database are given up too early.
const OPENING: u32 = 14;

/// The distance is judged by this many answers. Higher: a database that has moved away counts as silent for longer.
/// Lower: a few slow answers make a near database look far away.
const REMEMBERED: usize = 16;

/// The first attempt to open a connection may take this long, where the database is near. Each further attempt may
/// take twice as long as the one before. Higher: after an outage, requests wait for attempts that began during the
/// outage. Lower: a busy database is asked again and again.
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
    /// How long the last answers took, in microseconds. The shortest of them counts: the others were slow because the
    /// database was busy, and a busy database must not look far away.
    round_trips: [AtomicU64; REMEMBERED],
    /// How many answers there were.
    answers: AtomicUsize,
    /// The shortest of these times, kept because each statement asks for it.
    distance: AtomicU64,
    /// What the database said when it refused us.
    refusal: Mutex<Option<String>>,
}

impl Pulse {
    pub(super) fn now() -> Self {
        Self { origin: Instant::now(), state: Arc::default() }
    }

    /// The database answered.
    pub(super) fn answered(&self) {
        self.state.answered.store(self.millis(), Relaxed);
        // The flag is read before it is written: if each statement wrote it, the cores would wait for each other.
        if self.away() {
            self.state.away.store(false, Relaxed);
            self.refuse(None);
        }
    }

    /// The database answered a short question, and the answer took this long.
    pub(super) fn round_trip(&self, took: Duration) {
        let place = self.state.answers.fetch_add(1, Relaxed) % REMEMBERED;
        self.state.round_trips[place].store(took.as_micros() as u64, Relaxed);
        let answers = self.state.round_trips.iter().map(|took| took.load(Relaxed));
        self.state.distance.store(answers.filter(|took| *took > 0).min().unwrap_or_default(), Relaxed);
    }

    /// The same on a new connection. The distance is judged anew, since the database may be another one in another
    /// place.
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
    /// host that swallows packets, must not keep everybody waiting once the database is there.
    pub(super) fn opening_patience(&self) -> Duration {
        FIRST_ATTEMPT.max(2 * OPENING * self.distance())
    }

    /// How long the first answer on a new connection may take: `near`, or longer where the database is farther away.
    pub(super) fn first_answer_patience(&self, near: Duration) -> Duration {
        near.max(OPENING * self.distance())
    }

    /// After this long without an answer the replica is not ready. The loss of one connection must not be enough for
    /// that. So the time suffices to notice the loss and to open another connection.
    #[must_use]
    pub fn unready_after(&self) -> Duration {
        UNREADY_AFTER.max(PROBE_EVERY + (ANSWER + OPENING) * self.distance())
    }

    /// What the database said, if its only answer is that it refuses us.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        self.state.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn refuse(&self, why: Option<String>) {
        *self.state.refusal.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// How long a round trip takes.
    fn distance(&self) -> Duration {
        Duration::from_micros(self.state.distance.load(Relaxed))
    }

    /// A connection was lost.
    pub(super) fn lost(&self) {
        self.state.lost.store(self.millis(), Relaxed);
    }

    /// Whether a connection was lost after `idle_since`. Then a connection that was idle at that moment may be lost,
    /// too.
    pub(super) fn lost_since(&self, idle_since: Instant) -> bool {
        let idle_since = idle_since.saturating_duration_since(self.origin).as_millis() as u64;
        let lost = self.state.lost.load(Relaxed);
        lost > 0 && lost >= idle_since
    }

    /// The probe got no answer to a question that it asked at `asked`, or was refused with these words.
    pub(super) fn missed(&self, asked: Instant, refusal: Option<String>) {
        // The statement of a request may have been answered meanwhile.
        if self.age() >= asked.elapsed() {
            self.lost();
            self.state.away.store(true, Relaxed);
            self.refuse(refusal);
        }
    }

    /// Whether the probe got no answer, and the database has not answered anything since.
    pub(super) fn away(&self) -> bool {
        self.state.away.load(Relaxed)
    }

    /// The time since the database last answered anything.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.origin.elapsed().saturating_sub(Duration::from_millis(self.state.answered.load(Relaxed)))
    }

    fn millis(&self) -> u64 {
        self.origin.elapsed().as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn a_near_database_has_the_time_of_a_near_one() {
        let pulse = Pulse::now();
        pulse.round_trip(MILLI);
        assert_eq!(pulse.patience(500 * MILLI), 500 * MILLI);
        assert_eq!(pulse.first_answer_patience(650 * MILLI), 650 * MILLI);
        assert_eq!(pulse.opening_patience(), FIRST_ATTEMPT);
        assert_eq!(pulse.unready_after(), UNREADY_AFTER);
    }

    #[test]
    fn a_far_database_has_more_time_and_the_shortest_answer_is_the_measure() {
        let pulse = Pulse::now();
        for took in [900, 200, 500] {
            pulse.round_trip(took * MILLI);
        }
        assert_eq!(pulse.patience(500 * MILLI), 800 * MILLI);
        assert_eq!(pulse.first_answer_patience(650 * MILLI), 2800 * MILLI);
        assert_eq!(pulse.opening_patience(), 5600 * MILLI);
        assert_eq!(pulse.unready_after(), PROBE_EVERY + 3600 * MILLI);
    }

    #[test]
    fn a_short_answer_is_forgotten_after_as_many_as_are_remembered_or_with_a_new_connection() {
        let pulse = Pulse::now();
        pulse.round_trip(MILLI);
        for _ in 1..REMEMBERED {
            pulse.round_trip(200 * MILLI);
        }
        assert_eq!(pulse.distance(), MILLI);
        pulse.round_trip(200 * MILLI);
        assert_eq!(pulse.distance(), 200 * MILLI);
        pulse.first_round_trip(3 * MILLI);
        assert_eq!(pulse.distance(), 3 * MILLI);
    }

    #[test]
    fn away_lasts_until_anything_is_answered() {
        let pulse = Pulse { origin: Instant::now() - 10_000 * MILLI, state: Arc::default() };
        let asked = Instant::now() - 1000 * MILLI;
        pulse.missed(asked, Some("too many clients".to_owned()));
        assert!(pulse.away() && pulse.lost_since(asked));
        assert_eq!(pulse.refusal().as_deref(), Some("too many clients"));
        pulse.answered();
        assert!(!pulse.away() && pulse.refusal().is_none());
        pulse.missed(asked, None);
        assert!(!pulse.away(), "a statement was answered since the question was asked");
    }

    #[test]
    fn only_connections_that_were_idle_at_a_loss_may_be_lost_with_it() {
        let pulse = Pulse { origin: Instant::now() - 10_000 * MILLI, state: Arc::default() };
        let idle_since = Instant::now() - 5000 * MILLI;
        assert!(!pulse.lost_since(idle_since), "nothing was lost");
        pulse.lost();
        assert!(pulse.lost_since(idle_since));
        assert!(!pulse.lost_since(Instant::now() + 1000 * MILLI));
    }
}
