//! Who is let in, and for how long may others wait?
//!
//! A service that takes in more requests than it can serve serves nobody in time. So requests beyond
//! `admission.max_in_flight` wait in a queue. The recent [pace] of the queue tells how long a new request would wait.
//! If that is longer than `admission.max_wait`, the request is refused at once, so that its client can go elsewhere
//! early. `http_requests_shed_total` says how many requests were refused, and why.

mod pace;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, counter, gauge};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use self::pace::Pace;
use super::config;
use super::ledger::Phase;
use super::measure::Counted;
use super::request;

/// The door through which requests are let in. Clones share it.
#[derive(Clone, Debug)]
pub struct Admission(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    places: Arc<Semaphore>,
    queue: Mutex<Pace>,
    /// Bounds only the memory of the requests that wait.
    max_queue: usize,
    max_wait: Duration,
    admitted: Gauge,
    queued: Gauge,
    queue_full: Counter,
    expected_wait: Counter,
    waited_too_long: Counter,
}

/// The right of a request to be worked on. It is counted until this is dropped.
#[derive(Debug)]
pub struct Admitted {
    _permit: OwnedSemaphorePermit,
    _counted: Counted,
}

/// A request that was not let in.
#[derive(Clone, Copy, Debug)]
pub struct Shed;

impl Admission {
    #[must_use]
    pub fn new(config: &config::AdmissionConfig) -> Self {
        Self(Arc::new(Inner {
            places: Arc::new(Semaphore::new(config.max_in_flight)),
            queue: Mutex::new(Pace::new(config.max_wait, config.max_in_flight)),
            max_queue: config.max_queue,
            max_wait: config.max_wait,
            admitted: gauge!("http_requests_admitted"),
            queued: gauge!("http_requests_queued"),
            queue_full: counter!("http_requests_shed_total", "reason" => "queue_full"),
            expected_wait: counter!("http_requests_shed_total", "reason" => "expected_wait"),
            waited_too_long: counter!("http_requests_shed_total", "reason" => "max_wait"),
        }))
    }

    /// Waits for a place, in the order of arrival. The place is free again when the returned value is dropped.
    ///
    /// # Errors
    /// `admission.max_wait` has passed, or would pass, or the queue is full.
    pub async fn enter(&self) -> Result<Admitted, Shed> {
        let door = &*self.0;
        let place = |permit| Admitted { _permit: permit, _counted: Counted::enter(&door.admitted) };
        if let Ok(permit) = Arc::clone(&door.places).try_acquire_owned() {
            return Ok(place(permit));
        }
        let _waiting = door.join()?;
        let _queued = Counted::enter(&door.queued);
        let permit = timeout(door.max_wait, Arc::clone(&door.places).acquire_owned());
        match request::wait(Phase::Admission, permit).await {
            Ok(Ok(permit)) => {
                door.queue(|pace| pace.let_in(Instant::now()));
                Ok(place(permit))
            }
            _ => {
                door.waited_too_long.increment(1);
                Err(Shed)
            }
        }
    }
}

impl Inner {
    /// Takes a place in the queue.
    fn join(&self) -> Result<Queued<'_>, Shed> {
        let refusal = self.queue(|pace| {
            if pace.waiting() >= self.max_queue {
                return Some(&self.queue_full);
            }
            if pace.join(Instant::now()) { None } else { Some(&self.expected_wait) }
        });
        match refusal {
            None => Ok(Queued(self)),
            Some(reason) => {
                reason.increment(1);
                Err(Shed)
            }
        }
    }

    fn queue<T>(&self, with: impl FnOnce(&mut Pace) -> T) -> T {
        with(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A place in the queue. The place is free again when this is dropped.
struct Queued<'a>(&'a Inner);

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.queue(Pace::leave);
    }
}
