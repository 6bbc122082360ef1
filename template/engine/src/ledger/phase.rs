//! What can a request be doing?

use std::fmt;
use std::ops::{AddAssign, Index, IndexMut};
use std::time::Duration;

/// What a request is doing at a moment: each moment belongs to exactly one of these. The one with most of the time is the
/// request's `long_pole` in the log.
///
/// For a wait of your own, give the phase that fits best to [`wait`](crate::wait). Without it, the time is `other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Waiting to be let in: `admission.max_in_flight` requests are served already.
    Admission,
    /// Waiting for the client to send.
    RequestBody,
    /// Waiting for a permit to use a database connection: the pool is too small, or connections are held for too long.
    DbWait,
    /// Opening or checking a database connection.
    DbConnect,
    /// Waiting for the database to answer.
    DbQuery,
    /// Waiting for a place to call another service.
    HttpWait,
    /// Waiting for another service.
    HttpUpstream,
    /// Waiting for a thread of [`Offload`](crate::Offload).
    OffloadWait,
    /// Working on a thread of [`Offload`](crate::Offload).
    OffloadRun,
    /// Ready to go on, but waiting for the event loop, which is busy or blocked by somebody else.
    LoopDelay,
    /// Computing on the event loop.
    Cpu,
    /// Waiting for the client to read.
    ResponseBody,
    /// Waiting for something that has no name.
    Other,
}

/// How many there are.
pub const PHASES: usize = 13;

impl Phase {
    /// Each with its name in log and metrics, and in words: "the request is …".
    pub(crate) const ALL: [(Self, &'static str, &'static str); PHASES] = [
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

    /// Those that a request of this build can be in.
    pub(crate) fn there() -> impl Iterator<Item = &'static (Self, &'static str, &'static str)> {
        let is_of_database = |phase| matches!(phase, Self::DbWait | Self::DbConnect | Self::DbQuery);
        Self::ALL.iter().filter(move |(phase, ..)| cfg!(feature = "_database") || !is_of_database(*phase))
    }

    /// Its name in the log and in metrics, such as `db_wait`.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// What the request is doing, in words: "waiting for a database connection".
    #[must_use]
    pub(crate) fn words(self) -> &'static str {
        Self::ALL[self as usize].2
    }
}

/// A time for each phase, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases([u64; PHASES]);

impl Phases {
    /// The phases that took any time.
    pub fn taken(&self) -> impl Iterator<Item = (Phase, Duration)> + '_ {
        let all = Phase::ALL.iter().zip(self.0);
        all.filter(|(_, nanos)| *nanos > 0).map(|((phase, ..), nanos)| (*phase, Duration::from_nanos(nanos)))
    }

    /// The long pole: where most of the time went.
    #[must_use]
    pub fn longest(&self) -> Phase {
        let longest = Phase::ALL.iter().max_by_key(|(phase, ..)| self[*phase]);
        longest.map_or(Phase::Other, |(phase, ..)| *phase)
    }
}

impl Index<Phase> for Phases {
    type Output = u64;

    fn index(&self, phase: Phase) -> &u64 {
        &self.0[phase as usize]
    }
}

impl IndexMut<Phase> for Phases {
    fn index_mut(&mut self, phase: Phase) -> &mut u64 {
        &mut self.0[phase as usize]
    }
}

impl AddAssign<(Phase, u64)> for Phases {
    fn add_assign(&mut self, (phase, nanos): (Phase, u64)) {
        self[phase] += nanos;
    }
}

/// As a JSON object, in milliseconds, without what took less than a microsecond: `{"db_wait":12.345}`.
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
