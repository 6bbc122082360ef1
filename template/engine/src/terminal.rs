//! How is something printed when its reader is gone, or has stopped?
//!
//! `eprintln!` and `println!` panic when the reader has left or its disk is full, and block for as long as the
//! reader sleeps: so clippy bans them. What goes to stderr is handed to a thread of its own, which nobody
//! waits for. What cannot be printed is lost; the log has it anyway, where the log works.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{mem, thread};

use tracing_subscriber::fmt::MakeWriter;

/// Bytes that may wait for the reader of stderr; a text that does not fit is lost. Higher: memory while the
/// reader sleeps. Lower: texts are lost when many come at once.
const ROOM: usize = 1024 * 1024;
/// The end of the process waits this long for what is not printed yet. Higher: a reader that has stopped holds
/// up the end. Lower: the last words are lost.
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
    /// The thread is writing what was waiting before.
    prints: bool,
    started: bool,
}

/// Prints a line on stderr, soon. Never waits, never fails.
pub fn say(text: impl Display) {
    STDERR.take(format!("{text}\n").as_bytes());
}

/// Prints on stdout, for a command that is asked to. Waits for its reader, as every command does; goes on
/// without one that has left.
pub fn print(text: impl Display) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.to_string().as_bytes()).and_then(|()| stdout.flush());
}

/// Waits for what was said, for at most [`LAST_WORDS`]. To be called before the process ends.
///
/// Where the system refuses the thread, it prints what was said itself, and waits for the reader: otherwise nobody
/// would learn why the process has ended.
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

    /// Whole texts or nothing.
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

/// The copy of the log for people. Takes a line for each call.
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
