//! What happens between the signal and the exit, and is anything cut off?
//!
//! One deadline over all steps, kept by the main OS thread: it needs no runtime, so it holds while every
//! worker is blocked. Each step logs what it drained.
//!
//! | step | bound |
//! |---|---|
//! | readiness 503, `connection: close`, still accepting | `shutdown.drain_delay` |
//! | stop accepting, requests in flight finish, those too that go on without their clients | `shutdown.grace` |
//! | cut off what is left, naming each request | [`ABORT`] |
//! | background tasks stop | the rest of the grace, at least [`CLEAN_UP`] |
//! | pools close | the rest of the grace, at least [`CLEAN_UP`] |
//! | the log drains | `log.drain_timeout`, within [`TAIL`](super::config::TAIL) of the grace |

use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tracing::{error, info};

use super::config::Config;
use super::control::Signal;
use super::http::server::Server;
use super::life::{Life, Stage};
use super::links::Links;
use super::request::{REQUEST, Requests};
use super::units::millis;

/// For cut-off requests to write their log lines. Higher: eats the tail. Lower: lines are missing.
const ABORT: Duration = Duration::from_millis(100);
/// For background tasks and pools each, when requests used up the grace. Higher: eats the tail. Lower:
/// temporary files stay.
const CLEAN_UP: Duration = Duration::from_millis(200);

/// How the process ended, and with which exit code: 0 to 3. A second signal while it stops ends it at once, with 128 and
/// the signal's number.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: served and drained in time, or stopped by a signal while starting.
    Clean,
    /// 1: failed to start or to go on, because a port is in use, say, or the database cannot be used.
    Failed,
    /// 2: bad arguments or configuration.
    Usage,
    /// 3: at the end of `shutdown.grace` work was still running, and was cut off.
    Aborted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Clean => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Aborted => 3,
        })
    }
}

/// Ends everything but the log and the runtime.
#[must_use]
pub fn run(
    signal: &Signal,
    config: &Config,
    main: &Handle,
    server: &Server,
    requests: &Arc<Requests>,
    links: &Links,
    life: &Life,
) -> Exit {
    let deadline = deadline(signal, config);
    info!(signal = signal.name, grace_ms = millis(config.shutdown.grace), "shutdown: draining");
    thread::sleep(config.shutdown.drain_delay.min(left(deadline)));

    let (open, upgraded) = (requests.count(), server.upgraded());
    info!(requests = open, upgraded, "shutdown: no new connections");
    life.advance(Stage::Stopping);
    let mut exit = Exit::Clean;
    if within(main, deadline, finish(server, requests)) {
        info!(requests = open, upgraded, "shutdown: requests finished");
    } else {
        exit = Exit::Aborted;
        log_stuck(requests);
        life.advance(Stage::Aborting);
        within(main, Instant::now() + ABORT, finish(server, requests));
    }

    if close(main, deadline, links, life) == Exit::Aborted {
        exit = Exit::Aborted;
    }
    info!(exit = ?exit, took_ms = millis(signal.at.elapsed()), "shutdown: done");
    exit
}

/// Ends what works besides the requests, and the database. Each has until the deadline, and at least [`CLEAN_UP`].
pub fn close(main: &Handle, deadline: Instant, links: &Links, life: &Life) -> Exit {
    life.advance(Stage::Closing);
    let mut exit = Exit::Clean;
    let tasks = links.background.running();
    let background = links.background.clone();
    if within(main, at_least(deadline), background.finish()) {
        info!(tasks, "shutdown: background tasks stopped");
    } else {
        exit = Exit::Aborted;
        error!(tasks = links.background.running(), "shutdown: background tasks did not stop in time");
    }
    #[cfg(feature = "_database")]
    {
        let db = links.db.clone();
        if within(main, at_least(deadline), async move { db.close().await }) {
            info!("shutdown: database closed");
        } else {
            exit = Exit::Aborted;
            error!("shutdown: database did not close in time, its work is cut off");
        }
    }
    exit
}

/// Waits for the requests, those too that go on without their clients.
fn finish(server: &Server, requests: &Arc<Requests>) -> impl Future<Output = ()> + Send + 'static {
    let (connections, requests) = (server.finish(), Arc::clone(requests));
    async move {
        connections.await;
        requests.finish().await;
    }
}

/// Names each request that is about to be cut off.
fn log_stuck(requests: &Requests) {
    for request in requests.list() {
        REQUEST.sync_scope(Arc::clone(&request), || {
            error!(
                method = request.meters.method,
                route = &*request.meters.route,
                phase = request.account.phase().name(),
                age_ms = millis(request.account.age()),
                "shutdown: request cut off at the deadline"
            );
        });
    }
}

/// When unfinished requests are cut off.
#[must_use]
pub fn deadline(signal: &Signal, config: &Config) -> Instant {
    signal.at + config.shutdown.grace
}

/// Waits for a future of the main runtime without relying on it: false if it did not end in time.
fn within(main: &Handle, deadline: Instant, work: impl Future<Output = ()> + Send + 'static) -> bool {
    let (done, wait) = mpsc::channel();
    #[expect(clippy::disallowed_methods, reason = "serves the process, not a request")]
    main.spawn(async move {
        work.await;
        let _ = done.send(());
    });
    wait.recv_timeout(left(deadline)).is_ok()
}

fn at_least(deadline: Instant) -> Instant {
    deadline.max(Instant::now() + CLEAN_UP)
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
