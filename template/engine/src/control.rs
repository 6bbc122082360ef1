//! Who answers when the service is stuck?
//!
//! The control thread: an OS thread with a small runtime of its own. Signals, the [`admin`] listener and
//! the [`watchdog`](crate::watchdog) live on it, so that the probes and `/metrics` answer, and SIGTERM ends the process,
//! while every worker of the main runtime is blocked.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use std::{io, process, thread};

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle};
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::admin::{self, Admin};
use super::config;
use super::config::load::Loaded;
use super::identity::Identity;
use super::life::{Life, Stage};
use super::links::Links;
use super::metrics::Metrics;
use super::request::Requests;
use super::runtime::Main;
use super::start::Failure;
use super::terminal;
use super::watchdog::Watchdog;

/// Samples of histograms are sorted into their buckets this often. Higher: memory. Lower: wake-ups.
const UPKEEP: Duration = Duration::from_secs(5);

/// A step that is given up has this long to let go of what it waits for. Higher: a step that blocks holds up the end.
/// Lower: a step that only waits meets a runtime that is gone.
const LET_GO: Duration = Duration::from_millis(100);

/// The running control thread.
pub struct Control {
    identity: Identity,
    thread: Handle,
    admin: Admin,
    watchdog: config::WatchdogConfig,
    life: Life,
    signals: mpsc::Receiver<Signal>,
}

/// What a step of the start waits with.
pub struct StartStep {
    main: Handle,
    given_up: CancellationToken,
}

impl StartStep {
    /// Waits for `work`, which runs on the step's own thread.
    ///
    /// # Errors
    /// The step is given up. Nobody asks for its outcome any more.
    pub fn wait<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        let outcome = self.main.block_on(self.given_up.run_until_cancelled(work));
        outcome.ok_or_else(|| "the start is given up".into())
    }
}

/// The first signal, and when it came.
#[derive(Clone, Copy, Debug)]
pub struct Signal {
    pub at: Instant,
    pub name: &'static str,
}

/// The control thread cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum NoControl {
    #[error("control thread")]
    Thread(#[from] io::Error),
    #[error("admin.addr {addr}")]
    Admin { addr: SocketAddr, source: io::Error },
}

impl Control {
    /// Binds the admin listener, installs the signal handlers and starts the thread.
    ///
    /// # Errors
    /// The address is in use, or the system refuses a thread.
    #[expect(clippy::disallowed_methods, reason = "these tasks live as long as the process")]
    pub fn start(
        identity: Identity,
        loaded: &Loaded,
        metrics: Metrics,
        life: &Life,
    ) -> Result<Self, NoControl> {
        let config = &loaded.config;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .thread_name("control-render") // of the threads that render metrics for it
            .build()?;
        let listener = runtime
            .block_on(TcpListener::bind(config.admin.addr))
            .map_err(|source| NoControl::Admin { addr: config.admin.addr, source })?;
        let addr = listener.local_addr()?;

        let thread = runtime.handle().clone();
        let admin = Admin::new(identity, loaded, metrics.clone(), life);
        let (signalled, signals) = mpsc::channel();
        {
            let _context = runtime.enter();
            let terminate = signal(SignalKind::terminate())?;
            let interrupt = signal(SignalKind::interrupt())?;
            thread.spawn(receive_signals(terminate, interrupt, life.clone(), signalled));
        }
        thread.spawn(admin::serve(listener, admin.clone()));
        thread.spawn(upkeep(metrics));
        thread::Builder::new().name("control".to_owned()).spawn(move || runtime.block_on(pending::<()>()))?;
        info!(%addr, "admin listener ready");
        Ok(Self { identity, thread, admin, watchdog: config.watchdog.clone(), life: life.clone(), signals })
    }

    /// Begins to watch the main runtime.
    #[expect(clippy::disallowed_methods, reason = "watches as long as the runtime lives")]
    pub fn watch(&self, main: &Handle, requests: &Arc<Requests>) {
        let overview = &self.admin.overview;
        let _ = self.admin.main.set(main.clone());
        let _ = overview.requests.set(Arc::clone(requests));
        overview.health.watched(requests.instruments.clock().clone());
        let watchdog = Watchdog {
            main: main.clone(),
            requests: Arc::clone(requests),
            stalls: overview.stalls.clone(),
            config: self.watchdog.clone(),
        };
        self.thread.spawn(watchdog.watch());
    }

    /// Runs a step of start-up on a thread of its own; None if a signal came, and the step did not end within `patience`
    /// after it. This thread waits meanwhile, so that a step that hangs is given up, whether it waits or blocks.
    ///
    /// # Errors
    /// The step fails or panics, or the system refuses a thread.
    pub fn unless_stopped<T: Send + 'static>(
        &self,
        main: &mut Main,
        patience: Duration,
        step: impl FnOnce(&StartStep) -> Result<T, Failure> + Send + 'static,
    ) -> Result<Option<T>, Failure> {
        let (tell, mut told) = oneshot::channel();
        let given_up = CancellationToken::new();
        let of_step = StartStep { main: main.handle.clone(), given_up: given_up.clone() };
        let work = move || {
            let _context = of_step.main.enter(); // what the step spawns belongs to the main runtime
            let _ = tell.send(step(&of_step));
        };
        thread::Builder::new().name("start".to_owned()).spawn(work)?;
        let outcome = self.thread.block_on(async {
            let ended = tokio::select! {
                outcome = &mut told => return Some(outcome),
                () = self.life.reached(Stage::Draining) => timeout(patience, &mut told).await,
            };
            if let Ok(outcome) = ended {
                return Some(outcome);
            }
            given_up.cancel();
            if timeout(LET_GO, &mut told).await.is_err() {
                main.leave(); // it blocks, and what it asks of the runtime later must not panic
            }
            None
        });
        match outcome {
            Some(Ok(outcome)) => outcome.map(Some),
            Some(Err(_)) => Err("a panic, see above".into()),
            None => Ok(None),
        }
    }

    /// From now on `/readyz` is 200.
    #[cfg_attr(not(feature = "_database"), expect(unused_variables, reason = "no other link can be away"))]
    pub fn serving(&self, addr: SocketAddr, links: &Links) {
        #[cfg(feature = "_database")]
        self.admin.overview.health.links_are_open(links);
        self.life.advance(Stage::Serving);
        info!(%addr, version = self.identity.version, "serving");
    }

    /// Waits for SIGTERM or SIGINT.
    #[must_use]
    pub fn wait_for_signal(&self) -> Signal {
        self.signals.recv().unwrap_or(Signal { at: Instant::now(), name: "loss of the control thread" })
    }
}

/// The first signal begins the shutdown, the second ends the process.
async fn receive_signals(
    mut terminate: Signals,
    mut interrupt: Signals,
    life: Life,
    signalled: mpsc::Sender<Signal>,
) {
    loop {
        let (name, number) = tokio::select! {
            _ = terminate.recv() => ("SIGTERM", 15),
            _ = interrupt.recv() => ("SIGINT", 2),
        };
        if life.stage() >= Stage::Draining {
            terminal::say("second signal: exiting at once");
            terminal::finish(); // unblock: allow(the process ends here)
            process::exit(128 + number);
        }
        life.advance(Stage::Draining);
        let _ = signalled.send(Signal { at: Instant::now(), name });
    }
}

async fn upkeep(metrics: Metrics) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        let metrics = metrics.clone();
        admin::off_the_heartbeat(move || metrics.upkeep()).await;
    }
}
