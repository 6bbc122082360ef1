//! What happens between the signal and the exit, and is anything cut off?
//!
//! One deadline holds for all steps. The main OS thread keeps it: this thread needs no runtime, so the deadline holds
//! while every worker is blocked. Each step logs what it has drained.
//!
//! | step | bound |
//! |---|---|
//! | `/readyz` is 503, answers carry `connection: close`, and new connections are still accepted | `shutdown.drain_delay` |
//! | no connection is accepted any more; requests in flight finish, also those that go on without their clients | `shutdown.grace` |
//! | what is left is cut off, and the log names each request | [`ABORT`] |
//! | background tasks stop | the rest of the grace, at least [`CLEAN_UP`] |
//! | pools close | the rest of the grace, at least [`CLEAN_UP`] |
//! | the log drains | `log.drain_timeout`, and [`TAIL`](super::config::TAIL) after the grace at the latest |

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

/// Requests that are cut off have this long to write their log lines. Higher: less of `TAIL` is left for the log.
/// Lower: lines are missing.
const ABORT: Duration = Duration::from_millis(100);
/// Background tasks and pools have at least this long each, also when the requests have used up the grace. Higher: less
/// of `TAIL` is left for the log. Lower: temporary files stay.
const CLEAN_UP: Duration = Duration::from_millis(200);

/// How the process ended, as an exit code from 0 to 3.
///
/// [`Service::run`](crate::Service::run) returns the code already, as an [`ExitCode`]. You need this type only where
/// your `main` ends without `run`, such as after a command of your own: `return Exit::Usage.into()`.
///
/// There is one more kind of code: a second signal during the shutdown ends the process at once, with 128 plus the
/// number of the signal. That is 130 for SIGINT and 143 for SIGTERM.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: the service ran and drained in time, or a signal came while it started. `check` and `migrate` end with this
    /// code if they succeed.
    Clean,
    /// 1: the service could not start or go on. For example, a port is in use, the database or the folder of the log
    /// cannot be used, or your [`Start`](crate::Start) function has failed. `migrate` ends with this code if it fails.
    Failed,
    /// 2: an argument or a setting is wrong, or a release has the feature `drill` and the variable `LONGPOLE_DRILL`
    /// is not `1`.
    Usage,
    /// 3: requests, background tasks or statements were still running at the end of `shutdown.grace`, and were cut off.
    /// The log names the requests.
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
) -> Exit {
    let life = &requests.life;
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

/// Ends the background tasks, and then closes the database. Each of the two has until the deadline, and at least
/// [`CLEAN_UP`].
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

/// Waits for the requests, also for those that go on without their clients.
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

/// The moment at which unfinished requests are cut off.
#[must_use]
pub fn deadline(signal: &Signal, config: &Config) -> Instant {
    signal.at + config.shutdown.grace
}

/// Runs `work` on the main runtime, and waits for it without relying on that runtime. Returns false if `work` has not
/// ended by the deadline.
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
