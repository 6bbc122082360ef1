//! What does writing a log line cost the request, and what if the disk is slow?
//!
//! A line is copied into a shared buffer, no more. The buffer is handed to tracing-appender when it is
//! full or after a tick: one wake-up and one write for hundreds of lines, where a line each costs
//! 4 µs. The bound counts bytes, because that is what runs out.

use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use tracing_appender::non_blocking::NonBlocking;
use tracing_subscriber::fmt::MakeWriter;

/// A buffer of this size is handed over at once. Higher: more memory, later lines. Lower: more writes.
const BATCH: usize = 64 * 1024;
/// Longest time a line waits in the buffer. Higher: `tail -f` lags, and more lines are lost when the
/// process is killed. Lower: more wake-ups and writes.
const TICK: Duration = Duration::from_millis(20);

/// Lines by what became of them.
#[derive(Debug, Default)]
pub struct Counts {
    pub emitted: AtomicU64,
    pub written: AtomicU64,
    /// Never queued: the queue was full, or closed.
    pub dropped: AtomicU64,
    /// Handed to the disk, which refused them.
    pub failed: AtomicU64,
    pub write_errors: AtomicU64,
    pub queued_bytes: AtomicU64,
}

impl Counts {
    pub fn queued_bytes(&self) -> u64 {
        self.queued_bytes.load(Acquire)
    }

    /// Lines that are in no file, those still waiting included.
    pub fn lost(&self) -> u64 {
        self.emitted.load(Relaxed).saturating_sub(self.written.load(Relaxed))
    }
}

/// The end that lines are written to. Clones share one buffer.
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
    /// None once closed.
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

/// Sleeps while nothing is buffered: an idle service wakes nobody.
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
        // A panic while a line was copied leaves at worst a torn line; the log must go on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand_over(&self, state: &mut State) {
        let Some(appender) = state.appender.as_mut().filter(|_| state.lines > 0) else { return };
        let refused = appender.error_counter().dropped_lines();
        let _ = io::Write::write(appender, &state.buffer);
        // Only this lock's holder writes to the appender, so a refusal can only be of this batch.
        if appender.error_counter().dropped_lines() > refused {
            self.counts.dropped.fetch_add(state.lines, Relaxed);
            self.counts.queued_bytes.fetch_sub(state.buffer.len() as u64, Relaxed);
        }
        state.buffer.clear();
        state.lines = 0;
    }
}

impl io::Write for &Queue {
    /// Takes one whole line, its newline included. Never blocks, never fails.
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
