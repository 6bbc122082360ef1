//! Who answers when the service is stuck?
//!
//! The control thread answers. It is an OS thread with a small runtime of its own. Signals, the [`admin`] listener and
//! the [`watchdog`](crate::watchdog) live on it. So the probes and `/metrics` answer, and SIGTERM ends the process,
//! also while every worker of the main runtime is blocked.

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

/// Samples of histograms are sorted into their buckets this often. Higher: the samples take more memory. Lower: the
/// thread wakes up more often.
const UPKEEP: Duration = Duration::from_secs(5);

/// A step of the start that is given up has this long to return. Higher: a step that blocks holds up the end of the
/// process. Lower: a step that only waits is taken for a step that blocks, and the main runtime is left running.
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

/// What a step of the start uses to wait for async work.
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
pub enum ControlError {
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
    ) -> Result<Self, ControlError> {
        let config = &loaded.config;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .thread_name("control-render") // the name of its blocking threads, which render metrics
            .build()?;
        let listener = runtime
            .block_on(TcpListener::bind(config.admin.addr))
            .map_err(|source| ControlError::Admin { addr: config.admin.addr, source })?;
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

    /// Runs a step of the start on a thread of its own, and waits for it. If a signal comes, the step has `patience` to
    /// end. Then it is given up, and this returns None. A step can be given up also while it blocks, since another
    /// thread runs it.
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
                main.leave(); // the step blocks, and must not panic when it needs the runtime later
            }
            None
        });
        match outcome {
            Some(Ok(outcome)) => outcome.map(Some),
            Some(Err(_)) => Err("a panic, see above".into()),
            None => Ok(None),
        }
    }

    /// The service is open: from now on `/readyz` does not say `starting` any more.
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

/// The first signal begins the shutdown. The second signal ends the process at once.
async fn receive_signals(
    mut terminate: Signals,
    mut interrupt: Signals,
    life: Life,
    signalled: mpsc::Sender<Signal>,
) {
    // This counts signals and not stages: a start that fails closes without any signal.
    let mut is_first = true;
    loop {
        let (name, number) = tokio::select! {
            _ = terminate.recv() => ("SIGTERM", 15),
            _ = interrupt.recv() => ("SIGINT", 2),
        };
        if !is_first {
            terminal::say("second signal: exiting at once");
            terminal::finish(); // unblock: allow(the process ends here)
            process::exit(128 + number);
        }
        is_first = false;
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
