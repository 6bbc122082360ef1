//! Which bound and which series belong to a host?
//!
//! Handles of metrics are registered once for each host and status, and kept: to look a metric up by its name costs
//! several times as much as to change it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use ::metrics::{Counter, Gauge, Histogram, counter, histogram};
use axum::http::StatusCode;
use reqwest::Url;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::measure::{Counted, Handles};

/// So many hosts have bounds and series of their own. Further hosts share [`OTHER`]. Higher: more series stay for ever.
/// Lower: hosts that you want to tell apart share a bound.
const HOSTS: usize = 64;
/// So many statuses of a host have series of their own. Further statuses share [`OTHER`]. Higher: a host that sends
/// invented statuses causes as many series. Lower: statuses that you want to tell apart share a series.
const STATUSES: usize = 32;
const OTHER: &str = "_OTHER";

#[derive(Debug)]
pub(super) struct Hosts {
    known: Mutex<HashMap<String, Arc<Host>>>,
    max_per_host: usize,
}

#[derive(Debug)]
pub(super) struct Host {
    name: String,
    pub(super) places: Arc<Semaphore>,
    pub(super) wait: Histogram,
    pub(super) retries: Counter,
    durations: Handles<End, Histogram>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Status(StatusCode),
    /// No answer came, or only a part of an answer.
    Error,
    /// Nobody waited for the call any more.
    Cancelled,
}

/// The right to one call: the place at its host, and the place among all calls.
pub(super) struct Places {
    _of_host_and_all: Vec<OwnedSemaphorePermit>,
    _counted: Counted,
}

impl Places {
    /// `in_flight` is raised until the call is over.
    pub(super) fn new(of_host_and_all: Vec<OwnedSemaphorePermit>, in_flight: &Gauge) -> Self {
        Self { _of_host_and_all: of_host_and_all, _counted: Counted::enter(in_flight) }
    }
}

/// Measures a call until it ends, in whatever way it ends.
pub(super) struct TimedCall {
    pub(super) host: Arc<Host>,
    pub(super) end: End,
    pub(super) since: Instant,
}

impl Hosts {
    pub(super) fn new(max_per_host: usize) -> Self {
        Self { known: Mutex::default(), max_per_host }
    }

    pub(super) fn of(&self, url: &Url) -> Arc<Host> {
        let name = match (url.host_str().unwrap_or_default(), url.port()) {
            (host, Some(port)) => Cow::Owned(format!("{host}:{port}")),
            (host, None) => Cow::Borrowed(host),
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = known.get(&*name) {
            return Arc::clone(host);
        }
        let name = if known.len() < HOSTS { name.into_owned() } else { OTHER.to_owned() };
        let host =
            known.entry(name).or_insert_with_key(|name| Arc::new(Host::new(name.clone(), self.max_per_host)));
        Arc::clone(host)
    }
}

impl Host {
    fn new(name: String, places: usize) -> Self {
        let wait = histogram!("http_client_wait_seconds", "host" => name.clone());
        let retries = counter!("http_client_retries_total", "host" => name.clone());
        Self { name, places: Arc::new(Semaphore::new(places)), wait, retries, durations: Handles::default() }
    }

    fn duration(&self, end: End) -> Histogram {
        self.durations.get(end, |known| {
            let status = match end {
                End::Status(_) if known >= STATUSES => OTHER.to_owned(),
                End::Status(status) => status.as_str().to_owned(),
                End::Error => "error".to_owned(),
                End::Cancelled => "cancelled".to_owned(),
            };
            histogram!("http_client_request_seconds", "host" => self.name.clone(), "status" => status)
        })
    }
}

impl TimedCall {
    pub(super) fn start(host: Arc<Host>) -> Self {
        Self { host, end: End::Cancelled, since: Instant::now() }
    }
}

impl Drop for TimedCall {
    fn drop(&mut self) {
        self.host.duration(self.end).record(self.since.elapsed());
    }
}
