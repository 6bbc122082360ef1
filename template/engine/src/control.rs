//! Who answers when the service is stuck?
//!
//! The control thread: an OS thread with a small runtime of its own. Signals, the [`admin`] listener and
//! the [`watchdog`](crate::watchdog) live on it, so that the probes and `/metrics` answer, and SIGTERM ends the process,
//! while every worker of the main runtime is blocked.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{io, panic, process, thread};

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
use super::health::Health;
use super::identity::Identity;
use super::ledger::Ledger;
use super::links::Links;
use super::metrics::Metrics;
use super::terminal;
use super::watchdog::Watchdog;

/// Samples of histograms are sorted into their buckets this often. Higher: memory. Lower: wake-ups.
const UPKEEP: Duration = Duration::from_secs(5);

/// The running control thread.
pub struct Control {
    identity: Identity,
    thread: Handle,
    admin: Admin,
    watchdog: config::Watchdog,
    stop: CancellationToken,
    signals: mpsc::Receiver<Signal>,
}

/// The first signal, and when it came.
#[derive(Clone, Copy, Debug)]
pub struct Signal {
    pub at: Instant,
    pub name: &'static str,
}

impl Control {
    /// Binds the admin listener, installs the signal handlers and starts the thread.
    ///
    /// # Errors
    /// The address is in use, or the system refuses a thread.
    #[expect(clippy::disallowed_methods, reason = "these tasks live as long as the process")]
    pub fn start(identity: Identity, loaded: &Loaded, metrics: Metrics) -> Result<Self, String> {
        let config = &loaded.config;
        let failed = |error: io::Error| format!("control thread: {error}");
        let runtime = Builder::new_current_thread()
            .enable_all()
            .thread_name("control-render") // of the threads that render metrics for it
            .build()
            .map_err(failed)?;
        let listener = runtime
            .block_on(TcpListener::bind(config.admin.addr))
            .map_err(|error| format!("admin.addr {}: {error}", config.admin.addr))?;
        let addr = listener.local_addr().map_err(failed)?;

        let thread = runtime.handle().clone();
        let admin = Admin::new(identity, loaded, metrics.clone());
        let stop = CancellationToken::new();
        let (signalled, signals) = mpsc::channel();
        {
            let _context = runtime.enter();
            let terminate = signal(SignalKind::terminate()).map_err(failed)?;
            let interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
            let health = admin.health.clone();
            thread.spawn(receive_signals(terminate, interrupt, health, stop.clone(), signalled));
        }
        thread.spawn(admin::serve(listener, admin.clone()));
        thread.spawn(upkeep(metrics));
        thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || runtime.block_on(pending::<()>()))
            .map_err(failed)?;
        info!(%addr, "admin listener ready");
        Ok(Self { identity, thread, admin, watchdog: config.watchdog.clone(), stop, signals })
    }

    /// Begins to watch the main runtime.
    #[expect(clippy::disallowed_methods, reason = "watches as long as the runtime lives")]
    pub fn watch(&self, main: &Handle, ledger: &Ledger) {
        let _ = self.admin.main.set(main.clone());
        let _ = self.admin.ledger.set(ledger.clone());
        self.admin.health.watched(ledger.clock().clone());
        let watchdog = Watchdog {
            main: main.clone(),
            ledger: ledger.clone(),
            stalls: self.admin.stalls.clone(),
            config: self.watchdog.clone(),
        };
        self.thread.spawn(watchdog.watch());
    }

    /// Runs a step of start-up on a thread of its own; None if a signal came, and the step did not end within `patience`
    /// after it. This thread waits meanwhile, so that a step that hangs is given up, whether it waits or blocks.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn unless_stopped<T: Send + 'static>(
        &self,
        main: &Handle,
        patience: Duration,
        step: impl FnOnce(&Handle) -> T + Send + 'static,
    ) -> io::Result<Option<T>> {
        let (tell, mut told) = oneshot::channel();
        let main = main.clone();
        let work = move || {
            let _context = main.enter(); // what the step spawns belongs to the main runtime
            let _ = tell.send(step(&main));
        };
        let thread = thread::Builder::new().name("start".to_owned()).spawn(work)?;
        let ended = self.thread.block_on(async {
            tokio::select! {
                outcome = &mut told => Some(outcome),
                () = self.stop.cancelled() => timeout(patience, &mut told).await.ok(),
            }
        });
        let Some(outcome) = ended else { return Ok(None) };
        if outcome.is_err()
            && let Err(panicked) = thread.join()
        {
            panic::resume_unwind(panicked);
        }
        Ok(outcome.ok())
    }

    /// From now on `/readyz` is 200.
    pub fn serving(&self, addr: SocketAddr, links: &Links) {
        self.admin.health.serving(links);
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
    health: Health,
    stop: CancellationToken,
    signalled: mpsc::Sender<Signal>,
) {
    loop {
        let (name, number) = tokio::select! {
            _ = terminate.recv() => ("SIGTERM", 15),
            _ = interrupt.recv() => ("SIGINT", 2),
        };
        if stop.is_cancelled() {
            terminal::say("second signal: exiting at once");
            terminal::finish(); // unblock: allow(the process ends here)
            process::exit(128 + number);
        }
        health.draining();
        stop.cancel();
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
