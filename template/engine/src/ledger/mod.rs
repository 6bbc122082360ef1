//! Which link held a request up?
//!
//! Every request has an [`Account`]: each moment between its parsed head and the end of its answer's body belongs to
//! exactly one [`Phase`]. The links of the engine name their own waits, and [`wait`](crate::wait) names a wait of
//! yours. The result is in `long_pole` and `phases` of the request's log line, in the metric
//! `http_request_phase_seconds`, on the status page, and in the header `server-timing` if that is switched on.
//!
//! The [`instruments`] measure what all accounts need: for how long the event loop was unavailable ([`clock`]), and
//! what each worker is doing ([`workers`]).

mod account;
mod clock;
mod instruments;
mod names;
mod phase;
mod workers;

pub use self::account::{Account, Statement};
pub use self::clock::Clock;
pub use self::instruments::{Instruments, Occupant, named};
pub use self::phase::{PHASES, Phase, Phases};
pub use self::workers::{OnWorker, Stuck};
