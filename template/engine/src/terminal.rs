//! How is something printed when its reader is gone, or has stopped?
//!
//! `eprintln!` and `println!` panic when the reader has left or its disk is full, and block while the reader sleeps. So
//! clippy forbids them, and these functions are here instead. A running service uses the log. Use [`say`](fn@say) for a
//! message before the log is open, and [`print`](fn@print) for the result of a command of your own.
//!
//! A thread of its own writes what goes to stderr, so that nobody has to wait for the reader. A text that cannot be
//! printed is lost. The engine's own messages are in the log as well, if the log is open.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{mem, thread};

use tracing_subscriber::fmt::MakeWriter;

/// Bytes that may wait for the reader of stderr. A text that does not fit is lost. Higher: more memory is used while
/// the reader sleeps. Lower: texts are lost when many come at once.
const ROOM: usize = 1024 * 1024;
/// The end of the process waits at most this long for texts that are not printed yet. Higher: a reader that has stopped
/// holds up the end. Lower: the last words are lost.
pub(crate) const LAST_WORDS: Duration = Duration::from_millis(100);

static STDERR: Stderr = Stderr {
    state: Mutex::new(State { waiting: Vec::new(), prints: false, started: false }),
    changed: Condvar::new(),
};

struct Stderr {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    waiting: Vec<u8>,
    /// Whether the thread is writing a text at this moment.
    prints: bool,
    started: bool,
}

/// Prints a text and a newline on stderr. Another thread prints it soon after, so this never waits and never fails. If
/// more than 1 MiB of texts waits for the reader of stderr, the text is lost. At its end,
/// [`Service::run`](crate::Service::run) waits up to 100 ms for texts that are not printed yet. A `main` that ends
/// without `run` may lose them.
pub fn say(text: impl Display) {
    STDERR.take(format!("{text}\n").as_bytes());
}

/// Prints a text on stdout, without a newline at its end. This waits for the reader, as every command does, so do not
/// call it while the service serves. If the reader has left, the text is lost, and nothing fails.
pub fn print(text: impl Display) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.to_string().as_bytes()).and_then(|()| stdout.flush());
}

/// Waits until all texts are printed, for at most [`LAST_WORDS`]. Call this before the process ends.
///
/// If the system has refused the thread, this function prints the texts itself, and waits for the reader. Otherwise
/// nobody would learn why the process has ended.
pub(crate) fn finish() {
    let mut state = STDERR.lock();
    if !state.started {
        let _ = io::stderr().write_all(&mem::take(&mut state.waiting));
    }
    let talks = |state: &mut State| state.prints || !state.waiting.is_empty();
    let _ = STDERR.changed.wait_timeout_while(state, LAST_WORDS, talks);
}

impl Stderr {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the whole text, or nothing of it.
    fn take(&self, text: &[u8]) {
        let mut state = self.lock();
        if state.waiting.len() + text.len() > ROOM {
            return;
        }
        if !state.started {
            state.started = thread::Builder::new().name("terminal".to_owned()).spawn(|| STDERR.run()).is_ok();
        }
        state.waiting.extend_from_slice(text);
        self.changed.notify_all();
    }

    fn run(&self) -> ! {
        loop {
            let state = self.lock();
            let wait = self.changed.wait_while(state, |state| state.waiting.is_empty());
            let mut state = wait.unwrap_or_else(PoisonError::into_inner);
            let text = mem::take(&mut state.waiting);
            state.prints = true;
            drop(state);
            let _ = io::stderr().write_all(&text);
            self.lock().prints = false;
            self.changed.notify_all();
        }
    }
}

/// Writes a copy of the log for people. Each call takes a whole line.
pub(super) struct Copy;

impl Write for Copy {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        STDERR.take(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Copy {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}
