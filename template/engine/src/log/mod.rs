//! Where do log lines go, and were any lost?
//!
//! Each line passes three places: the [`queue`], tracing-appender's thread, and the [`sink`] that writes the file. The
//! queue counts each line as emitted, and counts a line that it has no room for as dropped. The sink counts each line
//! as written or as failed. So after the shutdown, emitted = written + dropped + failed. Look at
//! `log_lines_dropped_total` (the disk is too slow for `log.queue_size`) and at `log_write_errors_total` (the disk
//! refuses the lines).

mod escape;
mod fields;
mod guard;
mod line;
mod queue;
mod request;
mod rolling;
mod sink;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{panic, thread};

use tracing::Level;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_log::{AsLog, LogTracer};
use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

pub use self::guard::with_sources;
pub use self::queue::{Counts, Queue};
pub use self::request::{Summary, log_request};
use super::config::{LogConfig, LogFormat, TAIL};
use super::identity::Identity;
use super::terminal;

/// Batches that may wait between the queue and the file. The real bound is `log.queue_size`, and this bound must not be
/// reached before it. Higher: empty slots take memory. Lower: small batches are dropped although there is room for
/// their bytes.
const BATCHES: usize = 16_384;

/// The thread that writes the file.
const WRITER: &str = "log-writer";

/// The layers of the owner's, beside the log.
pub type OwnersLayers = Vec<Box<dyn Layer<Registry> + Send + Sync>>;

/// The running log. Keep it until the end of the process, then [`drain`](Self::drain) it.
#[must_use = "dropping it loses the last lines"]
pub struct Logs {
    queue: Queue,
    guard: Option<WorkerGuard>,
    /// The moment at which draining must have ended, also if `log.drain_timeout` allows more.
    deadline: Option<Instant>,
}

/// There can be no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error(
        "log: this process has a log already, and there can be no second. Install no logger of your own: what the crates \
         `tracing` and `log` are told comes here by itself, and `Service::layer` adds a layer"
    )]
    Second,
    #[error(
        "log: this process has a panic hook already, and there can be no second: the engine's writes each panic into the \
         log, with the request's id. Install none before; one that `start` installs can call the one that it takes"
    )]
    PanicHook,
    #[error("log.dir: cannot write to {}: {cause}. Create it, or choose another", .dir.display())]
    Dir { dir: PathBuf, cause: io::Error },
    #[error("log.level")]
    Level(#[source] ParseError),
}

/// Opens the file and becomes the log of the whole process, also for crates that use the crate `log`.
///
/// # Errors
/// The directory cannot be written, or the process has a log already.
pub fn start(config: &LogConfig, layers: OwnersLayers) -> Result<Logs, LogError> {
    if has_panic_hook() {
        return Err(LogError::PanicHook);
    }
    let file =
        rolling::Rolling::open(config).map_err(|cause| LogError::Dir { dir: config.dir.clone(), cause })?;
    let (logs, queue) = Logs::over(file, config.queue_size.as_u64());
    let level = config.level.parse().map_err(LogError::Level)?;
    let level = without_details_of_h2(level);
    // If stderr is a terminal, people read the log there. A slow terminal must not hold up a request either.
    let terminal = io::stderr().is_terminal().then(|| layer(LogFormat::Text, terminal::Copy));
    // An empty list of layers would refuse every event, also for the other layers.
    let layers = (!layers.is_empty()).then_some(layers);
    let subscriber = tracing_subscriber::registry()
        .with(layers)
        .with(level)
        .with(layer(config.format, queue))
        .with(terminal);
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Second)?;
    // Records that are more detailed than any wanted level stop here, so that they cost nothing. `log.level` decides
    // about the other records.
    let highest = LevelFilter::current().as_log();
    LogTracer::builder().with_max_level(highest).init().map_err(|_| LogError::Second)?;
    panic::set_hook(Box::new(tell));
    Ok(logs)
}

/// Whether somebody has installed a panic hook.
fn has_panic_hook() -> bool {
    let (installed, default, again) = (panic::take_hook(), panic::take_hook(), panic::take_hook());
    // std makes a new box of its own hook each time, from the same function. Only the table of its methods tells one
    // hook from another. If not even two of std's own hooks are equal, this comparison is of no use.
    let tells = std::ptr::eq(&*default, &*again);
    let is_default = std::ptr::eq(&*installed, &*default);
    panic::set_hook(installed);
    tells && !is_default
}

/// What to tell an operator whose `log.level` names the library `service`. In services that were generated before the
/// engine was a crate, this library held all code, the engine included. Today a level for `service` has no effect.
pub fn of_another_crate(config: &LogConfig, identity: Identity) -> Option<String> {
    const OLD: &str = "service";
    let levels: Targets = config.level.parse().ok()?;
    let is_old = |target: &str| target.split("::").next() == Some(OLD);
    (identity.crate_name != OLD && levels.iter().any(|(target, _)| is_old(target))).then(|| {
        format!(
            "log.level names `{OLD}`, the target of lines before the engine was a crate: yours are of `{}` now, the engine's \
             of `longpole`",
            identity.crate_name
        )
    })
}

/// Keeps `h2` at INFO unless `log.level` names it, since below INFO `h2` quotes what clients send.
fn without_details_of_h2(level: Targets) -> Targets {
    const H2: &str = "h2";
    let is_named = level.iter().any(|(target, _)| target == H2);
    match level.would_enable(H2, &Level::DEBUG) && !is_named {
        true => level.with_target(H2, LevelFilter::INFO),
        false => level,
    }
}

/// Logs a panic in one line, with the request's id. The panic is on stderr, too, since a panic before anything is
/// served is looked for there.
fn tell(panic: &panic::PanicHookInfo<'_>) {
    terminal::say(panic);
    let thread = thread::current();
    if guard::is_formatting() || thread.name() == Some(WRITER) {
        return; // a line that is being formatted has the panic itself; a line from the writer would come back to the writer
    }
    tracing::error!(
        location = panic.location().map(tracing::field::display),
        thread = thread.name(),
        "panic: {}",
        panic.payload_as_str().unwrap_or("no message")
    );
}

/// Turns events into lines, and hands each line as a whole to `writer`.
pub fn layer<S, W>(format: LogFormat, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_ansi(false);
    match format {
        LogFormat::Json => {
            layer.fmt_fields(fields::JsonSpans).event_format(line::JsonLine).with_writer(writer).boxed()
        }
        LogFormat::Text => {
            layer.fmt_fields(fields::NoSpans).event_format(line::TextLine).with_writer(writer).boxed()
        }
    }
}

impl Logs {
    /// Builds the way of a line to any writer: the bounded queue, tracing-appender's thread, and the sink that counts.
    pub fn over(writer: impl io::Write + Send + 'static, queue_size: u64) -> (Self, Queue) {
        let counts = Arc::new(Counts::default());
        let sink = sink::Sink::new(writer, Arc::clone(&counts));
        let (appender, guard) =
            NonBlockingBuilder::default().buffered_lines_limit(BATCHES).thread_name(WRITER).finish(sink);
        let queue = Queue::start(appender, counts, queue_size);
        (Self { queue: queue.clone(), guard: Some(guard), deadline: None }, queue)
    }

    #[must_use]
    pub fn counts(&self) -> Arc<Counts> {
        self.queue.counts()
    }

    /// Sets the deadline of the shutdown, after which [`drain`](Self::drain) does not wait any more.
    pub fn drain_before(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
    }

    /// Writes what is queued, for at most `timeout`, and ends the log. Later lines count as dropped.
    pub fn drain(mut self, timeout: Duration) {
        let patience = Instant::now() + timeout;
        self.deadline = Some(self.deadline.map_or(patience, |deadline| deadline.min(patience)));
    }
}

impl Drop for Logs {
    /// Writes what is queued, also when a panic has skipped [`drain`](Self::drain).
    fn drop(&mut self) {
        let deadline = self.deadline.unwrap_or_else(|| Instant::now() + TAIL);
        self.queue.close();
        let counts = self.queue.counts();
        while counts.queued_bytes() > 0 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        let lost = counts.lost();
        if lost > 0 {
            terminal::say(format_args!("{lost} log lines were lost: {counts:?}"));
        }
        if counts.queued_bytes() > 0 {
            // The guard would wait another second for a disk that does not answer, and then print.
            std::mem::forget(self.guard.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_send_to_h2_is_logged_only_where_h2_is_named() {
        for (level, of_h2, of_a_part, of_oauth2) in [
            ("debug", Level::INFO, Level::INFO, Level::DEBUG),
            ("debug,oauth2=info", Level::INFO, Level::INFO, Level::INFO),
            ("info,h=trace", Level::INFO, Level::INFO, Level::INFO),
            ("debug,h2=trace", Level::TRACE, Level::TRACE, Level::DEBUG),
            ("debug,h2::proto=trace", Level::INFO, Level::TRACE, Level::DEBUG),
            ("warn", Level::WARN, Level::WARN, Level::WARN),
            ("error,service=debug", Level::ERROR, Level::ERROR, Level::ERROR),
        ] {
            let targets = without_details_of_h2(level.parse().unwrap());
            for (target, wanted) in [("h2", of_h2), ("h2::proto", of_a_part), ("oauth2", of_oauth2)] {
                for at in [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE] {
                    assert_eq!(targets.would_enable(target, &at), at <= wanted, "{level}: {target} {at}");
                }
            }
        }
        assert!(!without_details_of_h2("off".parse().unwrap()).would_enable("h2", &Level::ERROR));
    }

    /// No other test of this program may set the log of the process.
    #[test]
    fn a_second_logger_is_a_clear_error() {
        let dir = tempfile::tempdir().unwrap();
        tracing_log::log::set_boxed_logger(Box::new(LogTracer::new())).unwrap();
        drop(panic::take_hook()); // the harness of the tests has installed a hook

        let refused =
            start(&LogConfig { dir: dir.path().to_owned(), ..LogConfig::default() }, OwnersLayers::new())
                .err()
                .unwrap();

        assert!(matches!(refused, LogError::Second), "{refused}");
    }
}
