//! Did the line reach the file?
//!
//! tracing-appender swallows write errors (<https://github.com/tokio-rs/tracing/issues/1155>), so they
//! are counted here, behind it, where each batch meets the disk.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::{Duration, Instant};

use super::Counts;
use crate::terminal;

/// Stderr hears of a failing disk this often. Higher: an operator learns late. Lower: it floods.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

pub(super) struct Sink<W> {
    file: W,
    counts: Arc<Counts>,
    /// The last write ended within a line: a newline has to close it before the next.
    torn: bool,
    complaint: Complaint,
}

/// What stderr hears of, and when it last did.
#[derive(Default)]
pub(super) struct Complaint(Option<Instant>);

impl Complaint {
    pub(super) fn make(&mut self, text: impl Display) {
        if self.0.is_none_or(|last| last.elapsed() > COMPLAIN_EVERY) {
            self.0 = Some(Instant::now());
            terminal::say(text);
        }
    }
}

impl<W: Write> Sink<W> {
    pub(super) fn new(file: W, counts: Arc<Counts>) -> Self {
        Self { file, counts, torn: false, complaint: Complaint::default() }
    }

    /// A writer that panics has failed. The thread of the log must not end with it.
    fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        panic::catch_unwind(AssertUnwindSafe(|| self.file.write(bytes)))
            .unwrap_or_else(|_| Err(io::Error::other("its writer panicked")))
    }

    /// Writes as much as the disk takes, and returns how much that was.
    fn try_write(&mut self, batch: &[u8]) -> (usize, Option<io::Error>) {
        if self.torn {
            match self.write_some(b"\n") {
                Ok(1) => self.torn = false,
                Ok(_) => return (0, Some(ErrorKind::WriteZero.into())),
                Err(error) => return (0, Some(error)),
            }
        }
        let mut done = 0;
        while done < batch.len() {
            match self.write_some(&batch[done..]) {
                Ok(0) => return (done, Some(ErrorKind::WriteZero.into())),
                Ok(n) => done += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return (done, Some(error)),
            }
        }
        (done, None)
    }
}

impl<W: Write> Write for Sink<W> {
    /// Takes one batch of whole lines. Reports no error: tracing-appender would only swallow it.
    fn write(&mut self, batch: &[u8]) -> io::Result<usize> {
        let (done, error) = self.try_write(batch);
        let written = count_lines(&batch[..done]);
        self.counts.written.fetch_add(written, Relaxed);
        if let Some(error) = error {
            self.torn |= done > 0 && batch[done - 1] != b'\n';
            self.counts.failed.fetch_add(count_lines(batch) - written, Relaxed);
            self.counts.write_errors.fetch_add(1, Relaxed);
            let text = format_args!("the log file cannot be written, lines are lost: {error}");
            self.complaint.make(text);
        }
        // Last: whoever sees an empty queue may trust the other counts.
        self.counts.queued_bytes.fetch_sub(batch.len() as u64, Release);
        Ok(batch.len())
    }

    /// tracing-appender prints an error of this, and so may end its thread.
    fn flush(&mut self) -> io::Result<()> {
        let _ = panic::catch_unwind(AssertUnwindSafe(|| self.file.flush()));
        Ok(())
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}
