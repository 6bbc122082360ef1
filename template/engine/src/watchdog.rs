//! How long was the event loop unavailable, and who held it?
//!
//! The control thread sends a beat into the main runtime. The delay is the time until a worker has run the beat. It is
//! measured from outside, because the timers of a stalled runtime do not fire. The beat also wakes an idle worker,
//! which then serves the sockets that a blocked worker neglects (<https://github.com/tokio-rs/tokio/issues/4730>).
//! Between beats, the watchdog looks at the workers. A worker that has not come back from a poll for
//! `watchdog.stall_warn` is stuck, and the task that it polls is the culprit.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use metrics::{Histogram, histogram};
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{sleep_until, timeout};
use tracing::{info, warn};

use super::config;
use super::ledger::{Occupant, Stuck};
use super::request::{REQUEST, Request, Requests};
use super::units::millis;

/// While no request is in flight, beats are rarer by this factor. Higher: stalls of background tasks are seen later.
/// Lower: an idle service wakes up for nothing.
const IDLE_FACTOR: u32 = 10;
/// Stalls that the status page can show. Higher: they take more memory. Lower: the culprit of an hour ago is gone.
const REMEMBERED: usize = 20;

/// The last stalls, newest first. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Stalls(Arc<Mutex<VecDeque<Stall>>>);

/// A worker that did not come back from a poll.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Stall {
    /// What held the worker, such as `GET /reports/{id}` or a background task.
    pub culprit: String,
    pub request_id: Option<String>,
    /// None if nobody knows which worker it was.
    pub worker: Option<usize>,
    /// When the stall began, in milliseconds since 1970.
    pub began: u64,
    /// The time until now, or until the stall ended.
    pub duration_ms: f64,
    pub ended: bool,
    #[serde(skip)]
    since: u64,
}

impl Stalls {
    pub(super) fn list(&self) -> Vec<Stall> {
        self.lock(|stalls| stalls.iter().cloned().collect())
    }

    /// The tasks that hold a worker right now.
    pub(super) fn culprits(&self) -> Vec<String> {
        let held = |stalls: &mut VecDeque<Stall>| {
            let held = stalls.iter().filter(|stall| !stall.ended);
            held.map(|stall| stall.culprit.clone()).collect()
        };
        self.lock(held)
    }

    fn lock<T>(&self, look: impl FnOnce(&mut VecDeque<Stall>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Watches one runtime.
pub(super) struct Watchdog {
    pub main: Handle,
    pub requests: Arc<Requests>,
    pub stalls: Stalls,
    pub config: config::WatchdogConfig,
}

impl Watchdog {
    /// Beats until the main runtime is gone.
    pub(super) async fn watch(self) {
        let delays = histogram!("event_loop_delay_seconds");
        let clock = self.requests.instruments.clock().clone();
        loop {
            let began = Instant::now();
            clock.beat_sent();
            let (answer, mut answered) = oneshot::channel();
            let worker = clock.clone();
            #[expect(clippy::disallowed_methods, reason = "a beat belongs to no request")]
            self.main.spawn(async move {
                let _ = answer.send(Duration::from_nanos(worker.beat_answered()));
            });
            let delay = loop {
                match timeout(self.config.interval, &mut answered).await {
                    Ok(Ok(delay)) => break delay,
                    Ok(Err(_)) => return,
                    Err(_) => self.look(), // during the stall, since afterwards the culprit may be gone
                }
            };
            self.record(&delays, delay);
            self.look();
            // Beats of an idle service come often enough to see the stall that its first request causes.
            let config::WatchdogConfig { interval, stall_warn, .. } = self.config;
            let idle = (interval * IDLE_FACTOR).min(stall_warn / 2).max(interval);
            let pause = if self.requests.count() > 0 { interval } else { idle };
            sleep_until((began + pause).into()).await;
        }
    }

    fn record(&self, delays: &Histogram, delay: Duration) {
        delays.record(delay);
        if delay > self.config.stall_warn {
            info!(stalled_ms = millis(delay), "event loop goes on");
        }
    }

    /// Finds workers that are stuck, warns once of each, and notices when a worker comes back.
    fn look(&self) {
        let stuck = self.requests.instruments.stuck();
        let is_of = |stall: &Stall, stuck: &Stuck| stall.since == stuck.since && stall.worker == stuck.worker;
        self.stalls.lock(|stalls| {
            for stall in stalls.iter_mut().filter(|stall| !stall.ended) {
                stall.duration_ms = millis(self.age(stall.since));
                stall.ended = !stuck.iter().any(|stuck| is_of(stall, stuck));
            }
            for stuck in stuck {
                if !stalls.iter().any(|stall| is_of(stall, &stuck)) {
                    stalls.push_front(self.warn(&stuck));
                    // A stall that goes on must stay in the list. Otherwise it would be found once more.
                    if let Some(oldest) =
                        stalls.iter().rposition(|stall| stall.ended).filter(|_| stalls.len() > REMEMBERED)
                    {
                        stalls.remove(oldest);
                    }
                }
            }
        });
    }

    fn age(&self, since: u64) -> Duration {
        Duration::from_nanos(self.requests.instruments.clock().now().saturating_sub(since))
    }

    fn culprit(&self, key: u64) -> (String, Option<Arc<Request>>) {
        match self.requests.instruments.occupant(key) {
            Occupant::Background(name) => (format!("background task {name}"), None),
            Occupant::Request if let Some(request) = self.requests.with_key(key) => {
                (format!("{} {}", request.meters.method, request.meters.route), Some(request))
            }
            Occupant::Request | Occupant::Unknown => {
                ("neither a request nor a background task".to_owned(), None)
            }
        }
    }

    fn warn(&self, stuck: &Stuck) -> Stall {
        let lasted = self.age(stuck.since);
        let (culprit, request) = self.culprit(stuck.key);
        let waiting = self.requests.count().saturating_sub(usize::from(request.is_some()));
        let say = || {
            warn!(
                culprit,
                worker = stuck.worker,
                stalled_ms = millis(lasted),
                requests_waiting = waiting,
                "event loop stalled: a task blocks its worker"
            );
        };
        // The line has the request id of the culprit.
        match &request {
            Some(request) => REQUEST.sync_scope(Arc::clone(request), say),
            None => say(),
        }
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(lasted);
        Stall {
            culprit,
            request_id: request.map(|request| request.id.as_str().to_owned()),
            worker: stuck.worker,
            began: began.as_millis() as u64,
            duration_ms: millis(lasted),
            ended: false,
            since: stuck.since,
        }
    }
}
