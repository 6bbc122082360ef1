use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// Runs `work` on tokio's blocking pool and gives its value.
pub async fn offload<T, F>(work: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(err) => std::panic::resume_unwind(err.into_panic()),
    }
}

/// Like [`offload`], on a plain thread of its own.
pub fn on_thread<F>(name: &str, work: F) -> std::io::Result<()>
where
    F: FnOnce() + Send + 'static,
{
    std::thread::Builder::new().name(name.to_owned()).spawn(work)?;
    Ok(())
}

/// Runs `work` right here and measures it.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = work();
    (value, start.elapsed())
}

/// A unit of work that can be carried around.
pub struct Task<T> {
    pub label: &'static str,
    pub run: Box<dyn FnOnce() -> T + Send + 'static>,
}

impl<T: Send + 'static> Task<T> {
    pub fn new(label: &'static str, run: impl FnOnce() -> T + Send + 'static) -> Self {
        Task { label, run: Box::new(run) }
    }

    /// Consumes the task on the blocking pool.
    pub async fn submit(self) -> T {
        offload(self.run).await //~ OK boxed work goes to the blocking pool
    }

    /// Consumes the task on the calling thread.
    pub fn run_here(self) -> T {
        (self.run)()
    }
}

/// A pool of plain worker threads fed over a channel.
pub struct Workers {
    tx: mpsc::Sender<Box<dyn FnOnce() + Send>>,
}

impl Workers {
    pub fn start(count: usize) -> Self {
        let (tx, rx) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
        let rx = Arc::new(Mutex::new(rx));
        for _ in 0..count {
            let rx = rx.clone();
            std::thread::spawn(move || {
                loop {
                    let next = rx.lock().unwrap().recv(); //~ OK worker thread loop
                    match next {
                        Ok(job) => job(),
                        Err(_) => return,
                    }
                }
            });
        }
        Workers { tx }
    }

    /// Queues the work; never waits as the queue is unbounded.
    pub fn queue(&self, work: impl FnOnce() + Send + 'static) {
        let _ = self.tx.send(Box::new(work));
    }

    /// Queues the work and lets the caller await its value.
    pub async fn call<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (tx, rx) = tokio::sync::oneshot::channel();
        self.queue(move || { //~ OK send of an unbounded std channel does not wait
            let _ = tx.send(work());
        });
        rx.await.ok()
    }
}
