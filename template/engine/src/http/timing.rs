//! What does an answer say of where its time went?
//!
//! It says nothing, unless `server.server_timing` is on. Then it tells the time until now: the time after the head
//! cannot be in the head.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};

use crate::ledger::Account;
use crate::units::millis;

/// The header of <https://www.w3.org/TR/server-timing/>. Browsers draw its values in their network panel.
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// The time of each phase, in milliseconds.
pub(super) fn header(account: &Account) -> Option<(HeaderName, HeaderValue)> {
    let shares = account.shares();
    let phases = shares.taken().map(|(phase, time)| format!("{};dur={:.3}", phase.name(), millis(time)));
    let value = HeaderValue::try_from(phases.collect::<Vec<_>>().join(", ")).ok()?;
    Some((SERVER_TIMING, value))
}

/// A sentence with the whole time and the time of the longest phase.
pub(super) fn in_words(account: &Account) -> String {
    let (age, shares) = (account.age(), account.shares());
    let longest = shares.longest();
    let time = Duration::from_nanos(shares[longest]);
    format!("It took {:.3} s, {:.3} s of it {}.", age.as_secs_f64(), time.as_secs_f64(), longest.words())
}
