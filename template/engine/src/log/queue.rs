//! What does writing a log line cost the request, and what if the disk is slow?
//!
//! The request only copies its line into a shared buffer. The buffer is handed to tracing-appender when the buffer is
//! full, or after a tick. So hundreds of lines share one wake-up and one write, while each wake-up costs 4 µs. The
//! bound counts bytes, because memory is what runs out.

use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use tracing_appender::non_blocking::NonBlocking;
use tracing_subscriber::fmt::MakeWriter;

/// A buffer of this size is handed over at once. Higher: lines take more memory and are written later. Lower: there are
/// more writes.
const BATCH: usize = 64 * 1024;
/// The longest time for which a line waits in the buffer. Higher: `tail -f` lags, and more lines are lost when the
/// process is killed. Lower: there are more wake-ups and writes.
const TICK: Duration = Duration::from_millis(20);

/// How many lines there were, and what became of them.
#[derive(Debug, Default)]
pub struct Counts {
    pub emitted: AtomicU64,
    pub written: AtomicU64,
    /// Lines that were not queued, since the queue was full or closed.
    pub dropped: AtomicU64,
    /// Lines that the disk refused.
    pub failed: AtomicU64,
    pub write_errors: AtomicU64,
    pub queued_bytes: AtomicU64,
}

impl Counts {
    pub fn queued_bytes(&self) -> u64 {
        self.queued_bytes.load(Acquire)
    }

    /// Lines that are in no file. Lines that still wait are among them.
    pub fn lost(&self) -> u64 {
        self.emitted.load(Relaxed).saturating_sub(self.written.load(Relaxed))
    }
}

/// The end of the queue at which lines come in. Clones share one buffer.
#[derive(Clone)]
pub struct Queue {
    shared: Arc<Shared>,
    flusher: Thread,
}

struct Shared {
    state: Mutex<State>,
    counts: Arc<Counts>,
    limit: u64,
}

struct State {
    buffer: Vec<u8>,
    lines: u64,
    /// None once the queue is closed.
    appender: Option<NonBlocking>,
}

impl Queue {
    pub(super) fn start(appender: NonBlocking, counts: Arc<Counts>, limit: u64) -> Self {
        let state = State { buffer: Vec::with_capacity(BATCH), lines: 0, appender: Some(appender) };
        let shared = Arc::new(Shared { state: Mutex::new(state), counts, limit });
        let flushing = Arc::clone(&shared);
        let flusher = thread::spawn(move || flush_each_tick(&flushing));
        Self { shared, flusher: flusher.thread().clone() }
    }

    pub(super) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.shared.counts)
    }

    pub(super) fn close(&self) {
        let mut state = self.shared.lock();
        self.shared.hand_over(&mut state);
        state.appender = None;
        drop(state);
        self.flusher.unpark();
    }
}

/// Hands the buffer over after each tick. It sleeps while nothing is buffered, so that an idle service wakes nobody.
fn flush_each_tick(shared: &Shared) {
    loop {
        thread::park();
        thread::sleep(TICK);
        let mut state = shared.lock();
        shared.hand_over(&mut state);
        if state.appender.is_none() {
            return;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while a line is copied leaves a torn line at worst, and the log must go on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand_over(&self, state: &mut State) {
        let Some(appender) = state.appender.as_mut().filter(|_| state.lines > 0) else { return };
        let refused = appender.error_counter().dropped_lines();
        let _ = io::Write::write(appender, &state.buffer);
        // Only the holder of this lock writes to the appender, so a new refusal is a refusal of this batch.
        if appender.error_counter().dropped_lines() > refused {
            self.counts.dropped.fetch_add(state.lines, Relaxed);
            self.counts.queued_bytes.fetch_sub(state.buffer.len() as u64, Relaxed);
        }
        state.buffer.clear();
        state.lines = 0;
    }
}

impl io::Write for &Queue {
    /// Takes one whole line with its newline. This never waits for the disk, and never fails.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let Shared { counts, limit, .. } = &*self.shared;
        let mut state = self.shared.lock();
        counts.emitted.fetch_add(1, Relaxed);
        let size = line.len() as u64;
        if state.appender.is_none() || counts.queued_bytes() + size > *limit {
            counts.dropped.fetch_add(1, Relaxed);
            return Ok(line.len());
        }
        counts.queued_bytes.fetch_add(size, Relaxed);
        state.buffer.extend_from_slice(line);
        state.lines += 1;
        if state.lines == 1 {
            self.flusher.unpark();
        }
        if state.buffer.len() >= BATCH {
            self.shared.hand_over(&mut state);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}
