//! What can a request be doing?

use std::borrow::Cow;
use std::ops::{AddAssign, Index, IndexMut};
use std::sync::Once;
use std::time::Duration;
use std::{fmt, iter};

use super::names::{NAMES, Name, NameError};

/// What a request is doing at a moment. Each moment of a request belongs to exactly one phase. The phase with most of
/// the time is the request's `long_pole` in the log.
///
/// The engine books the waits of its own links. For a wait of your own, give a phase to [`wait`](crate::wait). Take one of
/// the variants if it tells an operator where to look, such as [`HttpUpstream`](Self::HttpUpstream) for another service.
/// Otherwise make a phase with a [name](Self::named) of your own. If a wait has no phase, its time is booked to
/// [`Other`](Self::Other). The page `docs/phases.md` of Longpole says what to do about each phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// The request waits to be let in, because `admission.max_in_flight` requests are served already.
    Admission,
    /// The request waits for its client to send.
    RequestBody,
    /// The request waits for the right to use a database connection: the pool is too small, or connections are held for
    /// too long.
    DbWait,
    /// A database connection is opened or checked for the request.
    DbConnect,
    /// The request waits for the database to answer.
    DbQuery,
    /// The request waits for a place to call another service.
    HttpWait,
    /// The request waits for another service.
    HttpUpstream,
    /// The request waits for a thread of [`Offload`](crate::Offload).
    OffloadWait,
    /// Work of the request runs on a thread of [`Offload`](crate::Offload).
    OffloadRun,
    /// The request could go on, but it waits for the event loop, which is busy or which something else blocks.
    LoopDelay,
    /// The request computes on the event loop.
    Cpu,
    /// The request waits for its client to read.
    ResponseBody,
    /// The request waits for something that has no name.
    Other,
    /// The request waits for something that you have named: see [`named`](Self::named).
    #[doc(hidden)]
    Named(Name),
}

/// How many phases are the engine's.
const OURS: usize = 13;
/// How many phases there can be.
pub const PHASES: usize = OURS + NAMES;

impl Phase {
    /// Each phase with its name in log and metrics, and with words that follow "the request is …".
    const OURS: [(Self, &'static str, &'static str); OURS] = [
        (Self::Admission, "admission", "waiting to be let in"),
        (Self::RequestBody, "request_body", "waiting for the client to send"),
        (Self::DbWait, "db_wait", "waiting for a database connection"),
        (Self::DbConnect, "db_connect", "opening a database connection"),
        (Self::DbQuery, "db_query", "waiting for the database to answer"),
        (Self::HttpWait, "http_wait", "waiting for a place to call another service"),
        (Self::HttpUpstream, "http_upstream", "waiting for another service"),
        (Self::OffloadWait, "offload_wait", "waiting for a thread"),
        (Self::OffloadRun, "offload_run", "working on a thread"),
        (Self::LoopDelay, "loop_delay", "waiting for the event loop"),
        (Self::Cpu, "cpu", "computing on the event loop"),
        (Self::ResponseBody, "response_body", "waiting for the client to read"),
        (Self::Other, "other", "waiting for something that has no name"),
    ];

    /// A phase with a name of your own, for [`wait`](crate::wait): `Phase::named("mail")` is `mail` in the log line,
    /// in the metric `http_request_phase_seconds`, and on the status page. The same name is the same phase
    /// everywhere. If `name` is the name of a phase of the engine's, such as `db_query`, the result is that phase.
    ///
    /// ```
    /// use longpole::{Phase, Problem, wait};
    ///
    /// # struct Mail;
    /// # impl Mail {
    /// #     async fn send(&self, _: &str) -> Result<(), Problem> { Ok(()) }
    /// # }
    /// async fn greet(mail: &Mail) -> Result<(), Problem> {
    ///     wait(Phase::named("mail"), mail.send("Welcome!")).await
    /// }
    /// # assert_eq!(Phase::named("mail").name(), "mail");
    /// # assert_eq!(Phase::named("db_query"), Phase::DbQuery);
    /// ```
    ///
    /// Each name is a series of every route, so a process can have at most 8 names. A name begins with `a` to `z`,
    /// and has at most 32 characters of `a` to `z`, `0` to `9` and `_`. For any other name, and for a ninth name, the
    /// result is [`Other`](Self::Other), and the log says so, once for each
    /// of the two reasons.
    #[must_use]
    pub fn named(name: &'static str) -> Self {
        if let Some((ours, ..)) = Self::OURS.iter().find(|(_, ours, _)| *ours == name) {
            return *ours;
        }
        Name::of(name).map(Self::Named).unwrap_or_else(|error| {
            static MALFORMED: Once = Once::new();
            static TOO_MANY: Once = Once::new();
            let told = match error {
                NameError::Malformed => &MALFORMED,
                NameError::TooMany => &TOO_MANY,
            };
            told.call_once(|| {
                tracing::error!(name, "a wait has no phase of its own and is `other`: {error}");
            });
            Self::Other
        })
    }

    /// The phases in which a request of this build can be.
    pub(crate) fn there() -> impl Iterator<Item = Self> {
        let is_of_database = |phase: &Self| matches!(phase, Self::DbWait | Self::DbConnect | Self::DbQuery);
        Self::all().filter(move |phase| cfg!(feature = "_database") || !is_of_database(phase))
    }

    /// All phases: first those of the engine, then those that the owner has named.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let mut place = 0;
        let named = iter::from_fn(move || {
            let name = Name::at(place)?;
            place += 1;
            Some(Self::Named(name))
        });
        Self::OURS.iter().map(|(phase, ..)| *phase).chain(named)
    }

    /// Whether the owner has named it.
    pub(super) fn is_named(self) -> bool {
        matches!(self, Self::Named(_))
    }

    /// Its place in an array with one place for each phase. It is less than [`PHASES`].
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Admission => 0,
            Self::RequestBody => 1,
            Self::DbWait => 2,
            Self::DbConnect => 3,
            Self::DbQuery => 4,
            Self::HttpWait => 5,
            Self::HttpUpstream => 6,
            Self::OffloadWait => 7,
            Self::OffloadRun => 8,
            Self::LoopDelay => 9,
            Self::Cpu => 10,
            Self::ResponseBody => 11,
            Self::Other => 12,
            Self::Named(name) => OURS + name.place(),
        }
    }

    /// The name of the phase in the log and in metrics, such as `db_wait`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Named(name) => name.as_str(),
            ours => Self::OURS[ours.index()].1,
        }
    }

    /// What the request is doing, in words: "waiting for a database connection".
    #[must_use]
    pub(crate) fn words(self) -> Cow<'static, str> {
        match self {
            Self::Named(name) => format!("waiting for {}", name.as_str()).into(),
            ours => Self::OURS[ours.index()].2.into(),
        }
    }
}

/// A time for each phase, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases([u64; PHASES]);

impl Phases {
    /// The phases that took any time.
    pub fn taken(&self) -> impl Iterator<Item = (Phase, Duration)> + '_ {
        let all = Phase::all().zip(self.0);
        all.filter(|(_, nanos)| *nanos > 0).map(|(phase, nanos)| (phase, Duration::from_nanos(nanos)))
    }

    /// The long pole: the phase that took most of the time.
    #[must_use]
    pub fn longest(&self) -> Phase {
        // Of phases with equal times, the last of the engine's is taken: `other`, if no time has passed at all.
        let longest = Phase::all().max_by_key(|phase| (self[*phase], !phase.is_named()));
        longest.unwrap_or(Phase::Other)
    }
}

impl Index<Phase> for Phases {
    type Output = u64;

    fn index(&self, phase: Phase) -> &u64 {
        &self.0[phase.index()]
    }
}

impl IndexMut<Phase> for Phases {
    fn index_mut(&mut self, phase: Phase) -> &mut u64 {
        &mut self.0[phase.index()]
    }
}

impl AddAssign<(Phase, u64)> for Phases {
    fn add_assign(&mut self, (phase, nanos): (Phase, u64)) {
        self[phase] += nanos;
    }
}

/// Writes a JSON object with the time of each phase in milliseconds, such as `{"db_wait":12.345}`. A phase that took
/// less than half a microsecond is left out.
impl fmt::Display for Phases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = '{';
        for (phase, time) in self.taken().filter(|(_, time)| time.as_nanos() >= 500) {
            let micros = (time.as_nanos() + 500) / 1000;
            write!(f, "{separator}\"{}\":{}.{:03}", phase.name(), micros / 1000, micros % 1000)?;
            separator = ',';
        }
        f.write_str(if separator == '{' { "{}" } else { "}" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_of_ours_has_its_own_place() {
        for (place, (phase, name, _)) in Phase::OURS.iter().enumerate() {
            assert_eq!(phase.index(), place, "{name}");
            assert_eq!(phase.name(), *name);
        }
    }

    #[test]
    fn the_long_pole_is_the_phase_with_most_of_the_time() {
        let mut phases = Phases::default();
        phases += (Phase::DbQuery, 2_000);
        phases += (Phase::Cpu, 3_000);

        assert_eq!(phases.longest(), Phase::Cpu);
        assert_eq!(phases.to_string(), r#"{"db_query":0.002,"cpu":0.003}"#);
    }

    #[test]
    fn of_equal_times_the_engines_phase_is_the_long_pole() {
        let named = Phase::named("a"); // the first name of the test of names, which counts their places

        assert_eq!(Phases::default().longest(), Phase::Other, "no time has passed");
        let mut phases = Phases::default();
        phases += (Phase::DbQuery, 5);
        phases += (named, 5);
        assert_eq!(phases.longest(), Phase::DbQuery);
    }

    #[test]
    fn what_takes_less_than_half_a_microsecond_is_not_shown() {
        let mut phases = Phases::default();
        phases += (Phase::Cpu, 499);

        assert_eq!(phases.to_string(), "{}");
    }
}
