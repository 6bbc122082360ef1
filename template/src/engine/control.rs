//! Who answers when the service is stuck?
//!
//! The control thread: an OS thread with a small runtime of its own. Signals, the [`admin`] listener and
//! the [`watchdog`] live on it, so that the probes and `/metrics` answer, and SIGTERM ends the process,
//! while every worker of the main runtime is blocked.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{io, panic, process, thread};

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle};
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::admin::{self, Admin};
use super::config;
use super::config::load::Loaded;
use super::db::Pulse;
use super::health::Health;
use super::ledger::Ledger;
use super::metrics::Metrics;
use super::terminal;
use super::watchdog::Watchdog;

/// Samples of histograms are sorted into their buckets this often. Higher: memory. Lower: wake-ups.
const UPKEEP: Duration = Duration::from_secs(5);

/// The running control thread.
pub struct Control {
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
    pub fn start<A>(loaded: &Loaded<A>, metrics: Metrics) -> Result<Self, String> {
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
        let admin = Admin::new(loaded, metrics.clone());
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
        Ok(Self { thread, admin, watchdog: config.watchdog.clone(), stop, signals })
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

    /// Runs a step of start-up; None if a signal came, and the step did not end within `patience` after it. The step
    /// runs on the main runtime while this thread waits, so that a step that hangs is given up, even where it
    /// blocks its thread.
    #[expect(clippy::disallowed_methods, reason = "serves the process, not a request")]
    pub fn unless_stopped<T>(
        &self,
        main: &Handle,
        patience: Duration,
        step: impl Future<Output = T> + Send + 'static,
    ) -> Option<T>
    where
        T: Send + 'static,
    {
        let mut step = main.spawn(step);
        let ended = self.thread.block_on(async {
            tokio::select! {
                outcome = &mut step => Some(outcome),
                () = self.stop.cancelled() => timeout(patience, &mut step).await.ok(),
            }
        });
        match ended? {
            Ok(outcome) => Some(outcome),
            Err(panicked) => panic::resume_unwind(panicked.into_panic()),
        }
    }

    /// From now on `/readyz` is 200.
    pub fn serving(&self, addr: SocketAddr, database: Pulse) {
        self.admin.health.serving(database);
        info!(%addr, version = env!("CARGO_PKG_VERSION"), "serving");
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
