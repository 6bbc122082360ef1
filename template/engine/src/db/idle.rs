//! Which of the idle connections is used next, and which is closed?

use std::mem;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::Gauge;
use sqlx::Connection as _;
use tokio::time::{Instant, timeout_at};

use super::driver;
use super::pulse::Pulse;
use super::session::DbSession;

/// A connection that was idle for longer is asked whether it is still there before it is used. Higher: first statements
/// fail after a restart of the database, or after a firewall has forgotten the connection. Lower: a service that is not
/// busy needs one more round trip.
const TRUSTED: Duration = Duration::from_secs(1);
/// A connection that does not answer within this time is given up for a new one; a far database has
/// [longer](Pulse::patience). Higher: requests wait for dead connections. Lower: a slow network costs connections.
const CHECK: Duration = Duration::from_millis(500);

/// A connection that nobody uses.
#[derive(Debug)]
pub(super) struct Idle {
    pub session: DbSession,
    since: Instant,
}

impl Idle {
    /// Whether it may be used without asking.
    pub fn is_trusted(&self, pulse: &Pulse) -> bool {
        self.since.elapsed() < TRUSTED && !pulse.lost_since(self.since.into_std())
    }

    /// The connection, if it answers. Otherwise it is closed.
    pub async fn checked(self, pulse: &Pulse, deadline: Instant) -> Option<DbSession> {
        let mut session = self.session;
        let patience = deadline.min(Instant::now() + pulse.patience(CHECK));
        if let Ok(Ok(())) = timeout_at(patience, session.raw.ping()).await {
            pulse.answered();
            return Some(session);
        }
        pulse.lost(); // connections that were idle at the same time may be lost, too
        let _ = timeout_at(patience, driver::discard(session.raw)).await;
        None
    }
}

/// The connection that was used last is used next, so that the others can rest.
#[derive(Debug)]
pub(super) struct IdleStack {
    stack: Mutex<Vec<Idle>>,
    /// How many idle connections there are.
    gauge: Gauge,
}

impl IdleStack {
    pub fn new(gauge: Gauge) -> Self {
        Self { stack: Mutex::default(), gauge }
    }

    pub fn push(&self, session: DbSession, now: Instant) {
        self.change(|stack| stack.push(Idle { session, since: now }));
    }

    pub fn pop(&self) -> Option<Idle> {
        self.change(Vec::pop)
    }

    pub fn take_all(&self) -> Vec<Idle> {
        self.change(mem::take)
    }

    /// A connection that is too old, or was not used for longer than `idle_timeout`. The last one stays however long it
    /// was idle, so that the next request need not open one.
    pub fn take_unused(&self, now: Instant, idle_timeout: Duration) -> Option<Idle> {
        self.change(|stack| {
            let may_go = stack.len() > 1;
            let is_unused = |idle: &Idle| may_go && now - idle.since > idle_timeout;
            let place = stack.iter().position(|idle| idle.session.has_expired(now) || is_unused(idle));
            place.map(|place| stack.remove(place))
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Vec<Idle>) -> T) -> T {
        let mut stack = self.stack.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut stack);
        self.gauge.set(stack.len() as f64);
        changed
    }
}
