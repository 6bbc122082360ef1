use std::future::Future;
use std::time::Duration;

/// Own wrapper around the blocking pool.
pub async fn blocking<F, T>(f: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match tokio::task::spawn_blocking(f).await {
        Ok(v) => v,
        Err(e) => std::panic::resume_unwind(e.into_panic()),
    }
}

/// Two levels: goes through `blocking`.
pub async fn try_blocking<F, T, E>(what: &'static str, f: F) -> Result<T, String>
where
    F: FnOnce() -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: std::fmt::Display + Send + 'static,
{
    blocking(f).await.map_err(|e| format!("{what}: {e}"))
}

/// Calls its closure right here, on the calling thread.
pub fn timed<T>(label: &str, f: impl FnOnce() -> T) -> T {
    let t = std::time::Instant::now();
    let out = f();
    let _ = (label, t.elapsed());
    out
}

/// Synchronous retry with a pause between attempts.
pub fn retry_sync<T, E>(times: u32, mut f: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    let mut n = 0;
    loop {
        match f() {
            Ok(v) => return Ok(v),
            Err(e) if n >= times => return Err(e),
            Err(_) => {
                n += 1;
                back_off(n);
            }
        }
    }
}

fn back_off(n: u32) {
    std::thread::sleep(Duration::from_millis(10 * u64::from(n)));
}

/// The async one.
pub async fn retry<T, E, F, Fut>(times: u32, mut f: F) -> Result<T, E>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let mut n = 0;
    loop {
        match f().await {
            Ok(v) => return Ok(v),
            Err(e) if n >= times => return Err(e),
            Err(_) => {
                n += 1;
                tokio::time::sleep(Duration::from_millis(10)).await; //~ OK tokio time
            }
        }
    }
}

pub type Job = Box<dyn FnOnce() + Send + 'static>;

/// A thread with a queue of jobs.
pub struct JobThread {
    tx: crossbeam_channel::Sender<Job>,
}

impl JobThread {
    pub fn start() -> Self {
        let (tx, rx) = crossbeam_channel::unbounded::<Job>();
        std::thread::spawn(move || {
            for job in rx.iter() { //~ OK loop of a dedicated thread
                job();
            }
        });
        Self { tx }
    }

    /// Only enqueues.
    pub fn submit(&self, f: impl FnOnce() + Send + 'static) {
        let _ = self.tx.send(Box::new(f));
    }

    /// Enqueues and awaits the answer.
    pub async fn call<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (tx, rx) = tokio::sync::oneshot::channel();
        self.submit(move || {
            let _ = tx.send(f());
        });
        rx.await.ok()
    }

    /// Enqueues and waits on the spot.
    pub fn call_sync<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (tx, rx) = std::sync::mpsc::channel();
        self.submit(move || {
            let _ = tx.send(f());
        });
        rx.recv().ok()
    }
}

/// Countdown gate over a condition variable.
#[derive(Default)]
pub struct Gate {
    open: std::sync::Mutex<bool>,
    cv: std::sync::Condvar,
}

impl Gate {
    pub fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.cv.notify_all();
    }
    pub fn pass(&self) {
        let mut g = self.open.lock().unwrap();
        while !*g {
            g = self.cv.wait(g).unwrap();
        }
    }
}

pub fn run_now<F: Future>(fut: F) -> F::Output {
    futures::executor::block_on(fut)
}
