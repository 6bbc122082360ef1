//! Is the database there?
//!
//! Every answer to a request says so. When no request asks for a while, a probe does, on a connection of
//! its own: a saturated pool is not an outage. What it finds decides over readiness, over statements that
//! wait for an answer that will not come, and over connections that were idle meanwhile.
//!
//! How long an answer may take depends on how far away the database is. Nobody can know that beforehand, so the
//! last answers to the probe are the measure.

use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::opening::{self, unreached};
use super::session::Session;
use super::{ATTEMPT, Db, Trouble, driver};
use crate::units::millis;

/// Readiness turns 503 after this long without an answer of the database, where it is near. Higher: users see the
/// outage first. Lower: one slow checkpoint takes the service out of rotation.
const UNREADY_AFTER: Duration = Duration::from_secs(2);
/// A quiet service asks the database this often whether it is there.
const PROBE_EVERY: Duration = Duration::from_millis(500);
/// An answer that takes longer is none, where the database is near; two attempts with [`PROBE_EVERY`] before them,
/// and an outage is known within [`UNREADY_AFTER`]. Higher: statements wait longer for a lost database. Lower: they
/// are given up while it is only slow.
const PROBE_PATIENCE: Duration = Duration::from_millis(650);

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
    state: Arc<State>,
}

/// Times in milliseconds since the origin.
#[derive(Debug, Default)]
struct State {
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
    fn first_round_trip(&self, took: Duration) {
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

/// Why a question was not answered.
enum Silence {
    NoAnswer,
    /// Cannot be reached, or refuses us.
    Error(sqlx::Error),
}

impl Db {
    /// Asks the database whether it is there whenever no request did lately, and closes connections that nobody
    /// uses.
    pub(crate) async fn probe(self, stop: CancellationToken) {
        stop.run_until_cancelled(self.keep_asking()).await;
    }

    async fn keep_asking(&self) {
        let pulse = self.pulse();
        let mut connection = None;
        let mut pause = PROBE_EVERY;
        loop {
            sleep(pause).await;
            self.close_unused().await;
            pause = PROBE_EVERY.saturating_sub(pulse.age());
            if !pause.is_zero() {
                continue; // a request has asked meanwhile
            }
            pause = PROBE_EVERY;
            if let Some(open) = connection.take()
                && let Some(open) = still_there(open, &pulse).await
            {
                pulse.answered();
                connection = Some(if open.has_expired(tokio::time::Instant::now()) {
                    self.renewed(open).await
                } else {
                    open
                });
                continue;
            }
            connection = self.ask_anew(&pulse).await;
        }
    }

    /// A new connection in the place of one that is old and works. If it does not open soon, the old one stays: a busy
    /// server is no outage.
    async fn renewed(&self, old: Session) -> Session {
        match timeout(PROBE_PATIENCE, self.about.reader.connect()).await {
            Ok(Ok(new)) => {
                driver::discard(old.raw).await;
                new
            }
            _ => old,
        }
    }

    /// Asks on a new connection. Opening it goes on for `database.connect_timeout`, while the database already
    /// counts as away: otherwise one that has become far would be given up each time before it can answer.
    async fn ask_anew(&self, pulse: &Pulse) -> Option<Session> {
        let asked = Instant::now();
        let mut asking = pin!(async {
            let mut session = opening::in_time(&self.about.reader, pulse).await?;
            let asked = Instant::now();
            let answer = timeout(pulse.patience(ATTEMPT), driver::ask(&mut session.raw)).await;
            answer.unwrap_or_else(|_| Err(unreached("the time for an answer")))?;
            pulse.first_round_trip(asked.elapsed());
            Ok(session)
        });
        let mut outcome = timeout(PROBE_PATIENCE.max(OPENING * pulse.distance()), &mut asking).await;
        if outcome.is_err() {
            self.missed(asked, &Silence::NoAnswer);
            outcome = Ok(asking.await);
        }
        match outcome {
            Ok(Ok(session)) => {
                pulse.answered();
                Some(session)
            }
            // One that is full or refuses the question is there.
            Ok(Err(error)) if Trouble::of(&error) != Trouble::Away => {
                pulse.answered();
                None
            }
            Ok(Err(error)) => {
                self.missed(asked, &Silence::Error(error));
                None
            }
            _ => {
                self.missed(asked, &Silence::NoAnswer);
                None
            }
        }
    }

    fn missed(&self, asked: Instant, silence: &Silence) {
        let pulse = self.pulse();
        // Somebody else's statement may have been answered meanwhile.
        if pulse.age() >= asked.elapsed() {
            pulse.lost();
            pulse.state.away.store(true, Relaxed);
            pulse.refuse(match silence {
                Silence::Error(error) => error.as_database_error().map(|error| error.message().to_owned()),
                Silence::NoAnswer => None,
            });
        }
        let unanswered_ms = millis(pulse.age());
        match silence {
            Silence::NoAnswer => {
                tracing::warn!(error = "no answer", unanswered_ms, "database does not answer")
            }
            Silence::Error(error) => tracing::warn!(?error, unanswered_ms, "database does not answer"),
        }
    }

    async fn close_unused(&self) {
        self.read.close_unused().await;
        self.write.close_unused().await;
    }
}

/// The connection, if it answers.
async fn still_there(mut open: Session, pulse: &Pulse) -> Option<Session> {
    let asked = Instant::now();
    let answer = timeout(pulse.patience(PROBE_PATIENCE), driver::ask(&mut open.raw)).await;
    matches!(answer, Ok(Ok(()))).then(|| {
        pulse.round_trip(asked.elapsed());
        open
    })
}
