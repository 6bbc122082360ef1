//! What do the metrics say about a route?
//!
//! Handles of metrics are registered once for each method and route, and looked up here once for each request. A
//! look-up in the recorder would cost ten times as much.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use axum::http::StatusCode;
use metrics::{Counter, Histogram, counter, histogram};

use crate::ledger::{PHASES, Phase, Phases};
use crate::measure::Handles;

/// The meters of all routes. A service has one of this.
#[derive(Default)]
pub struct Routes(RwLock<HashMap<Arc<str>, Vec<Arc<Meters>>>>);

/// The meters of one method at one route.
#[derive(Debug)]
pub struct Meters {
    pub method: &'static str,
    /// The route's template, such as `/items/{id}`.
    pub route: Arc<str>,
    pub long_polls: Counter,
    /// One for each status. There are few.
    durations: Handles<StatusCode, Histogram>,
    /// One for each phase, registered with the first request that spends time in it.
    phases: [OnceLock<Histogram>; PHASES],
}

impl Routes {
    pub fn meters(&self, method: &'static str, route: &str) -> Arc<Meters> {
        let find = |routes: &HashMap<Arc<str>, Vec<Arc<Meters>>>| {
            let methods = routes.get(route)?;
            methods.iter().find(|meters| meters.method == method).cloned()
        };
        if let Some(known) = find(&self.0.read().unwrap_or_else(PoisonError::into_inner)) {
            return known;
        }
        let mut routes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        find(&routes).unwrap_or_else(|| {
            let route = Arc::<str>::from(route);
            let meters = Arc::new(Meters::new(method, Arc::clone(&route)));
            routes.entry(route).or_default().push(Arc::clone(&meters));
            meters
        })
    }
}

impl Meters {
    fn new(method: &'static str, route: Arc<str>) -> Self {
        let long_polls = counter!("event_loop_long_polls_total", "route" => route.to_string());
        Self { method, route, long_polls, durations: Handles::default(), phases: Default::default() }
    }

    /// Counts a request that has ended.
    pub fn record(&self, status: StatusCode, duration: Duration, phases: &Phases) {
        self.duration(status).record(duration);
        for (phase, time) in phases.taken() {
            self.phases[phase.index()].get_or_init(|| self.phase(phase)).record(time);
        }
    }

    fn phase(&self, phase: Phase) -> Histogram {
        histogram!("http_request_phase_seconds",
            "method" => self.method, "route" => self.route.to_string(), "phase" => phase.name())
    }

    fn duration(&self, status: StatusCode) -> Histogram {
        self.durations.get(status, |_| {
            histogram!("http_request_duration_seconds",
                "method" => self.method, "route" => self.route.to_string(), "status" => status.as_str().to_owned())
        })
    }
}
