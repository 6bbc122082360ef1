//! Where does everything run that serves users?

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// The main runtime. What is still blocked on it when this is dropped dies with the process: tokio's own drop
/// would wait for it without a bound.
pub struct Main {
    pub handle: Handle,
    runtime: Option<Runtime>,
}

impl Main {
    /// # Errors
    /// The system refuses threads.
    pub fn start(worker_threads: usize) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(worker_threads).enable_all().build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Lets the runtime go on until the process ends: somebody is still using it.
    pub fn leave(&mut self) {
        std::mem::forget(self.runtime.take());
    }
}

impl Drop for Main {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
