//! Did the line reach the file?
//!
//! tracing-appender swallows write errors (https://github.com/tokio-rs/tracing/issues/1155), so they
//! are counted here, behind it, where each batch meets the disk.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::Counts;

/// Stderr hears of a failing disk this often. Higher: an operator learns late. Lower: it floods.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

pub(super) struct Sink<W> {
    file: W,
    counts: Arc<Counts>,
    /// The last write ended within a line: a newline has to close it before the next.
    torn: bool,
    complained: Option<Instant>,
}

impl<W: Write> Sink<W> {
    pub(super) fn new(file: W, counts: Arc<Counts>) -> Self {
        Self { file, counts, torn: false, complained: None }
    }

    /// Writes as much as the disk takes, and returns how much that was.
    fn try_write(&mut self, batch: &[u8]) -> (usize, Option<io::Error>) {
        if self.torn {
            match self.file.write(b"\n") {
                Ok(1) => self.torn = false,
                Ok(_) => return (0, Some(ErrorKind::WriteZero.into())),
                Err(error) => return (0, Some(error)),
            }
        }
        let mut done = 0;
        while done < batch.len() {
            match self.file.write(&batch[done..]) {
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
            if self.complained.is_none_or(|last| last.elapsed() > COMPLAIN_EVERY) {
                self.complained = Some(Instant::now());
                eprintln!("the log file cannot be written, lines are lost: {error}");
            }
        }
        // Last: whoever sees an empty queue may trust the other counts.
        self.counts.queued_bytes.fetch_sub(batch.len() as u64, Relaxed);
        Ok(batch.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that takes `room` bytes and then is full.
    struct Disk {
        content: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n = bytes.len().min(self.room);
            if n == 0 && !bytes.is_empty() {
                return Err(ErrorKind::StorageFull.into());
            }
            self.room -= n;
            self.content.extend_from_slice(&bytes[..n]);
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_costs_exactly_the_lines_it_refused() {
        let counts = Arc::new(Counts::default());
        counts.queued_bytes.store(100, Relaxed);
        let mut sink = Sink::new(Disk { content: Vec::new(), room: 6 }, Arc::clone(&counts));
        let batch = b"one\ntwo\nthree\n";

        sink.write_all(batch).unwrap();
        assert_eq!(counts.written.load(Relaxed), 1, "only `one` fits whole");
        assert_eq!(counts.failed.load(Relaxed), 2, "`two` is torn, `three` never began");
        assert_eq!(counts.write_errors.load(Relaxed), 1);
        assert_eq!(counts.queued_bytes(), 100 - batch.len() as u64);

        sink.file.room = 100;
        sink.write_all(b"four\n").unwrap();
        assert_eq!(counts.written.load(Relaxed), 2);
        assert_eq!(sink.file.content, b"one\ntw\nfour\n", "a newline closes the torn line");
    }
}
