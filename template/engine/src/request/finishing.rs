//! Which work of a request goes on although its client may have left?

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is called once the last work has ended. Its argument says whether all of the work came to its end.
pub type Afterwards = Box<dyn FnOnce(bool) + Send>;

/// The work of one request that goes on without its client: see [`finish`](crate::finish()).
#[derive(Default)]
pub struct Finishing(Mutex<Progress>);

#[derive(Default)]
struct Progress {
    running: usize,
    /// Whether some of the work was given up.
    given_up: bool,
    /// What is called at the end, if the client of the request has left.
    afterwards: Option<Afterwards>,
}

impl Finishing {
    pub fn begin(&self) {
        self.lock().running += 1;
    }

    /// Notes that one of the works has ended. `ended` is false if it was given up before its end.
    pub fn end(&self, ended: bool) {
        let mut progress = self.lock();
        progress.running -= 1;
        progress.given_up |= !ended;
        let is_last = progress.running == 0;
        let afterwards = if is_last { progress.afterwards.take() } else { None };
        let finished = !progress.given_up;
        drop(progress); // `afterwards` may lock this record again
        if let Some(afterwards) = afterwards {
            afterwards(finished);
        }
    }

    /// Keeps what `make` returns, to call it once the last work has ended. If no work is running, `make` is not called,
    /// and the result is false.
    pub fn then(&self, make: impl FnOnce() -> Afterwards) -> bool {
        let mut progress = self.lock();
        let is_running = progress.running > 0;
        if is_running {
            progress.afterwards = Some(make());
        }
        is_running
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Finishing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finishing").finish_non_exhaustive()
    }
}
