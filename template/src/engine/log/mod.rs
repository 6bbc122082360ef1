//! Where do log lines go, and were any lost?
//!
//! Each line passes three places, and is counted in each: the [`queue`] (emitted, or dropped when the
//! queue is full), tracing-appender's thread, and the [`sink`] that writes the file (written, or
//! failed). So after shutdown: emitted = written + dropped + failed. Look at `log_lines_dropped_total`
//! (the disk is too slow for `log.queue_size`) and `log_write_errors_total` (the disk refuses).

mod line;
mod queue;
mod sink;

use std::error::Error;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, panic, thread};

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation as Roll};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

pub use self::line::millis;
pub use self::queue::{Counts, Queue};
use super::config::{Log, LogFormat, Rotation};

/// Batches that may wait between the queue and the file. `log.queue_size` is the real bound; this one
/// only has to be out of its way. Higher: memory for empty slots. Lower: small batches are dropped
/// before the bytes are used up.
const BATCHES: usize = 16_384;

/// The running log. Keep it until the end of the process, then [`drain`](Self::drain) it.
#[must_use = "dropping it loses the last lines"]
pub struct Logs {
    queue: Queue,
    guard: Option<WorkerGuard>,
    /// When draining must have ended, however long it may take.
    deadline: Option<Instant>,
    /// Writes to the terminal, when there is one.
    _terminal: Option<WorkerGuard>,
}

/// Opens the file and makes this the log of the process.
///
/// # Errors
/// The directory cannot be written, or the process has a log already.
pub fn start(config: &Log) -> Result<Logs, String> {
    let file = open(config).map_err(|cause| {
        format!("log.dir: cannot write to {}: {cause}. Create it, or choose another", config.dir.display())
    })?;
    let (mut logs, queue) = Logs::over(file, config.queue_size.as_u64());
    let mut level: Targets = config.level.parse().map_err(|error| format!("log.level: {error}"))?;
    if !config.level.contains("h2") {
        level = level.with_target("h2", LevelFilter::INFO); // below, it quotes what clients send
    }

    let (terminal, terminal_guard) = io::stderr()
        .is_terminal()
        .then(|| {
            // People read the terminal; a slow one must not hold up a request either.
            let (writer, guard) =
                NonBlockingBuilder::default().thread_name("log-terminal").finish(io::stderr());
            let layer = tracing_subscriber::fmt::layer().event_format(line::Text).with_writer(writer);
            (layer, guard)
        })
        .unzip();
    tracing_subscriber::registry()
        .with(level)
        .with(to_file(config.format, queue))
        .with(terminal)
        .try_init()
        .map_err(|error| error.to_string())?;
    panic::set_hook(Box::new(|panic| {
        // One line with the request's id. Stderr has it, too, for a panic before anything is served.
        eprintln!("{panic}");
        tracing::error!(
            location = panic.location().map(tracing::field::display),
            thread = thread::current().name(),
            "panic: {}",
            panic.payload_as_str().unwrap_or("no message")
        );
    }));
    logs._terminal = terminal_guard;
    Ok(logs)
}

fn open(config: &Log) -> Result<RollingFileAppender, Box<dyn Error>> {
    fs::create_dir_all(&config.dir)?;
    let appender = RollingFileAppender::builder()
        .rotation(match config.rotation {
            Rotation::Hourly => Roll::HOURLY,
            Rotation::Daily => Roll::DAILY,
            Rotation::Never => Roll::NEVER,
        })
        .filename_prefix("service")
        .filename_suffix("log")
        // One more than asked for: the appender deletes one too many at each start
        // (https://github.com/tokio-rs/tracing/issues/3496).
        .max_log_files(config.max_files + 1)
        .build(&config.dir);
    // Its own message names the step, the source the reason.
    appender.map_err(|error| error.source().map_or_else(|| error.to_string(), ToString::to_string).into())
}

fn to_file<S>(format: LogFormat, queue: Queue) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span>,
{
    let layer = tracing_subscriber::fmt::layer();
    match format {
        LogFormat::Json => {
            layer.fmt_fields(JsonFields::new()).event_format(line::Json).with_writer(queue).boxed()
        }
        LogFormat::Text => layer.with_ansi(false).event_format(line::Text).with_writer(queue).boxed(),
    }
}

impl Logs {
    /// The way of a line to any writer: bounded queue, tracing-appender's thread, counting sink.
    pub fn over(writer: impl io::Write + Send + 'static, queue_size: u64) -> (Self, Queue) {
        let counts = Arc::new(Counts::default());
        let sink = sink::Sink::new(writer, Arc::clone(&counts));
        let (appender, guard) = NonBlockingBuilder::default()
            .buffered_lines_limit(BATCHES)
            .thread_name("log-writer")
            .finish(sink);
        let queue = Queue::start(appender, counts, queue_size);
        (Self { queue: queue.clone(), guard: Some(guard), deadline: None, _terminal: None }, queue)
    }

    #[must_use]
    pub fn counts(&self) -> Arc<Counts> {
        self.queue.counts()
    }

    /// Shutdown has a deadline of its own.
    pub fn drain_before(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
    }

    /// Writes what is queued, for at most `timeout`, and ends the log. Later lines count as dropped.
    pub fn drain(mut self, timeout: Duration) {
        let patience = Instant::now() + timeout;
        let deadline = self.deadline.map_or(patience, |deadline| deadline.min(patience));
        self.queue.close();
        let counts = self.queue.counts();
        while counts.queued_bytes() > 0 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        let lost = counts.lost();
        if lost > 0 {
            eprintln!("{lost} log lines were lost: {counts:?}");
        }
        if counts.queued_bytes() > 0 {
            // The guard would wait another second for a disk that does not answer.
            std::mem::forget(self.guard.take());
        }
    }
}

impl Drop for Logs {
    /// Without [`drain`](Self::drain), in a panic: what was written so far still reaches the file.
    fn drop(&mut self) {
        self.queue.close();
    }
}
