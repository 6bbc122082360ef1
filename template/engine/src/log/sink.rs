//! Did the line reach the file?
//!
//! tracing-appender hides write errors (<https://github.com/tokio-rs/tracing/issues/1155>). So they are counted here,
//! behind tracing-appender, where each batch is written to the disk.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::{Duration, Instant};

use super::Counts;
use crate::terminal;

/// Stderr is told of a failing disk at most this often. Higher: an operator learns of it late. Lower: it floods stderr.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

pub(super) struct Sink<W> {
    file: W,
    counts: Arc<Counts>,
    /// Whether the last write ended within a line. Then a newline has to close that line before the next line.
    torn: bool,
    complaint: Complaint,
}

/// A complaint for stderr, with the time at which it was last made.
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

    /// Writes some of the bytes. A panic of the writer counts as a failure, since it must not end the thread of the
    /// log.
    fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        panic::catch_unwind(AssertUnwindSafe(|| self.file.write(bytes)))
            .unwrap_or_else(|_| Err(io::Error::other("its writer panicked")))
    }

    /// Writes as many bytes as the disk takes. Returns how many it took, and why it took no more.
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
    /// Takes one batch of whole lines. This reports no error, since tracing-appender would only hide the error.
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
        // This count changes last, so that the other counts are right for code that sees an empty queue.
        self.counts.queued_bytes.fetch_sub(batch.len() as u64, Release);
        Ok(batch.len())
    }

    /// Hides errors, since tracing-appender would print them, and that could end its thread.
    fn flush(&mut self) -> io::Result<()> {
        let _ = panic::catch_unwind(AssertUnwindSafe(|| self.file.flush()));
        Ok(())
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}
