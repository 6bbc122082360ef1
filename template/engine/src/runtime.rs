//! On which runtime does everything run that serves users?

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// The main runtime. When this is dropped, nobody waits for threads that are still blocked: they end with the process.
/// The drop of tokio's own type would wait for them without a bound.
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

    /// Lets the runtime go on until the process ends, for a thread that may still use it.
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
