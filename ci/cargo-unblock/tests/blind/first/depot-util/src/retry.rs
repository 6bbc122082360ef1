use std::future::Future;
use std::time::Duration;

/// Tries up to `attempts` times with a pause between; for sync callers.
pub fn retry_sync<T, E>(attempts: u32, mut op: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    let mut left = attempts;
    loop {
        match op() {
            Ok(v) => return Ok(v),
            Err(e) if left <= 1 => return Err(e),
            Err(_) => {
                left -= 1;
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

/// The same for futures.
pub async fn retry_async<T, E, F, Fut>(attempts: u32, mut op: F) -> Result<T, E>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let mut left = attempts;
    loop {
        match op().await {
            Ok(v) => return Ok(v),
            Err(e) if left <= 1 => return Err(e),
            Err(_) => {
                left -= 1;
                tokio::time::sleep(Duration::from_millis(50)).await; //~ OK tokio timer
            }
        }
    }
}

/// Grows the delay of each step; the two ways of waiting differ.
#[derive(Clone, Debug)]
pub struct Backoff {
    next: Duration,
    cap: Duration,
}

impl Backoff {
    pub fn new(first: Duration, cap: Duration) -> Self {
        Backoff { next: first, cap }
    }

    pub fn advance(&mut self) -> Duration {
        let now = self.next;
        self.next = (self.next * 2).min(self.cap);
        now
    }

    /// Waits on the calling thread.
    pub fn snooze(&mut self) {
        let d = self.advance();
        std::thread::sleep(d);
    }

    /// Waits on the timer.
    pub async fn pause(&mut self) {
        let d = self.advance();
        tokio::time::sleep(d).await; //~ OK tokio timer
    }
}
