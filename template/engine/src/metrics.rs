//! What does `/metrics` say?
//!
//! Every metric of the engine is named and explained here. The code that changes a metric registers a handle once and
//! keeps the handle: to look a metric up by its name costs ten times as much as to change it. Add metrics of your own
//! with `metrics::counter!` and its like. Describe them, too, since `promtool check metrics` complains otherwise.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::runtime::Handle;

use super::identity::Identity;
use super::log::Counts;

/// In seconds, from half a millisecond (a healthy handler) to ten seconds (the default timeout). Times beyond the two
/// ends are only "fast" or "too slow". Each further bucket costs a series for each set of labels.
const REQUEST_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// In seconds, for waits and queries. The buckets are finer below a millisecond, since a healthy pool or a local
/// database answers within that time.
const LINK_BUCKETS: [f64; 12] = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// In seconds. There are few buckets, since each route has them for up to 21 phases: 13 of the engine's and 8 of the
/// owner's. They suffice to tell a healthy wait from a wait that users feel. The sums are exact with any buckets.
const PHASE_BUCKETS: [f64; 6] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5];

pub const HISTOGRAMS: &[(&str, &[f64], &str)] = &[
    (
        "http_request_duration_seconds",
        &REQUEST_BUCKETS,
        "From the parsed head to the end of the response's body.",
    ),
    (
        "http_request_phase_seconds",
        &PHASE_BUCKETS,
        "What a request was doing, by phase; they sum to its duration.",
    ),
    #[cfg(feature = "_database")]
    ("db_pool_acquire_seconds", &LINK_BUCKETS, "Wait for a permit of the pool, and nothing else."),
    #[cfg(feature = "_database")]
    ("db_pool_connect_seconds", &LINK_BUCKETS, "Opening a database connection, permit in hand."),
    #[cfg(feature = "_database")]
    ("db_query_seconds", &LINK_BUCKETS, "Waiting for the database to answer a statement."),
    ("http_client_wait_seconds", &LINK_BUCKETS, "Wait of a call to another service for its place."),
    ("http_client_request_seconds", &REQUEST_BUCKETS, "Calls to other services, to the end of the answer."),
    ("offload_wait_seconds", &LINK_BUCKETS, "Wait of a closure for a thread of the offload pool."),
    ("offload_run_seconds", &LINK_BUCKETS, "Run of a closure on the offload pool."),
    ("event_loop_delay_seconds", &LINK_BUCKETS, "Time the main runtime took to run the watchdog's beat."),
];

pub const COUNTERS: &[(&str, &str)] = &[
    ("http_requests_shed_total", "Requests that were not let in: expected_wait, max_wait, queue_full."),
    (
        "http_client_retries_total",
        "Calls to other services that were sent once more, since an idle connection was being closed.",
    ),
    ("event_loop_long_polls_total", "Polls longer than watchdog.stall_warn."),
    (
        "http_connection_errors_total",
        "Connections and HTTP/2 answers that ended badly: parse, timeout, write_timeout, incomplete, io, other.",
    ),
    #[cfg(feature = "_database")]
    ("db_pool_timeouts_total", "Waits for a connection that ended at database.acquire_timeout."),
    ("offload_rejected_total", "Closures refused because offload.max_queue was reached."),
    ("log_lines_total", "Log lines emitted."),
    ("log_lines_written_total", "Log lines in the file."),
    ("log_lines_dropped_total", "Log lines dropped because log.queue_size was reached."),
    ("log_lines_failed_total", "Log lines that the disk refused."),
    ("log_write_errors_total", "Failed writes to the log file."),
    BUSY,
];

/// The rate of this counter, divided by `tokio_workers`, is the share of their time in which the workers were busy.
const BUSY: (&str, &str) = (
    "tokio_worker_busy_seconds_total",
    "Time that the main runtime's workers, all together, were not parked.",
);

pub const GAUGES: &[(&str, &str)] = &[
    ("http_requests_admitted", "Requests that hold one of admission.max_in_flight places."),
    ("http_requests_queued", "Requests that wait to be let in."),
    ("http_client_in_flight", "Calls to other services that are not finished."),
    ("http_client_waiters", "Calls to other services that wait for a place."),
    ("offload_running", "Closures that run on the offload pool."),
    ("http_requests_in_flight", "Requests whose response is not finished."),
    ("http_connections", "Open connections to the public listener."),
    #[cfg(feature = "_database")]
    ("db_pool_connections", "Open connections by state."),
    #[cfg(feature = "_database")]
    ("db_pool_max_connections", "Limit of the pool."),
    #[cfg(feature = "_database")]
    ("db_pool_waiters", "Requests that wait for a connection."),
    ("offload_queue_length", "Closures that wait for a thread."),
    ("log_queue_bytes", "Bytes of log lines that wait for the disk."),
    ("build_info", "Always 1; the labels tell what is running."),
    ("tokio_workers", "Worker threads of the main runtime."),
    ("tokio_alive_tasks", "Tasks of the main runtime that have not ended."),
    ("tokio_global_queue_depth", "Tasks of the main runtime that wait in its global queue."),
    ("background_tasks", "Background tasks that are running."),
];

/// Renders the metrics. Clones share one registry.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    process: metrics_process::Collector,
    log: Arc<Counts>,
}

/// There can be no metrics.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    #[error(
        "metrics: this process has a recorder already, and there can be no second. Install none of your own: what \
         `metrics::counter!` and its like are told is in /metrics by itself"
    )]
    Second,
    #[error("metrics")]
    Unusable(#[source] BuildError),
}

/// Installs the recorder of the process. Call this before any code registers a metric.
///
/// # Errors
/// The process has a recorder already.
pub fn install(identity: Identity, log: Arc<Counts>) -> Result<Metrics, MetricsError> {
    let handle = build().map_err(|error| match error {
        BuildError::FailedToSetGlobalRecorder(_) => MetricsError::Second,
        other => MetricsError::Unusable(other),
    })?;
    for &(name, _, help) in HISTOGRAMS {
        describe_histogram!(name, help);
    }
    for &(name, help) in COUNTERS {
        describe_counter!(name, help);
    }
    for &(name, help) in GAUGES {
        describe_gauge!(name, help);
    }
    let process = metrics_process::Collector::default();
    process.describe();
    gauge!("build_info", "name" => identity.package, "version" => identity.version).set(1);
    Ok(Metrics { handle, process, log })
}

fn build() -> Result<PrometheusHandle, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for &(name, buckets, _) in HISTOGRAMS {
        builder = builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), buckets)?;
    }
    // Histograms that the owner adds get buckets, too. The default would be summaries, which cannot be added up over
    // replicas.
    builder.set_buckets(&REQUEST_BUCKETS)?.install_recorder()
}

impl Metrics {
    /// Returns the text of `/metrics`. With thousands of series this takes milliseconds, so never call it on the main
    /// runtime, nor on the thread of the watchdog.
    #[must_use]
    pub fn render(&self, main: Option<&Handle>) -> String {
        self.process.collect();
        self.publish_log();
        let Some(main) = main else { return self.handle.render() };
        publish_runtime(main);
        let mut text = self.handle.render();
        // This counter is written here, since counters of the registry are whole numbers.
        let (name, help) = BUSY;
        let busy = busy(main).as_secs_f64();
        text.push_str(&format!("\n# HELP {name} {help}\n# TYPE {name} counter\n{name} {busy}\n"));
        text
    }

    /// Moves recorded samples into their buckets. Without this, the samples pile up between scrapes.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    fn publish_log(&self) {
        let log = &self.log;
        counter!("log_lines_total").absolute(log.emitted.load(Relaxed));
        counter!("log_lines_written_total").absolute(log.written.load(Relaxed));
        counter!("log_lines_dropped_total").absolute(log.dropped.load(Relaxed));
        counter!("log_lines_failed_total").absolute(log.failed.load(Relaxed));
        counter!("log_write_errors_total").absolute(log.write_errors.load(Relaxed));
        gauge!("log_queue_bytes").set(log.queued_bytes() as f64);
    }
}

fn publish_runtime(main: &Handle) {
    let runtime = main.metrics();
    gauge!("tokio_workers").set(runtime.num_workers() as f64);
    gauge!("tokio_alive_tasks").set(runtime.num_alive_tasks() as f64);
    gauge!("tokio_global_queue_depth").set(runtime.global_queue_depth() as f64);
}

/// The busy time of all workers together. Each worker updates its own time when it parks.
fn busy(main: &Handle) -> Duration {
    let runtime = main.metrics();
    (0..runtime.num_workers()).map(|worker| runtime.worker_total_busy_duration(worker)).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::Config;

    #[test]
    fn buckets_rise_and_are_few_where_series_are_many() {
        for (name, buckets, help) in HISTOGRAMS {
            assert!(buckets.is_sorted_by(|lower, upper| lower < upper), "{name}: {buckets:?}");
            assert!(buckets.iter().all(|bound| *bound > 0.0), "{name}: {buckets:?}");
            assert!(name.ends_with("_seconds") && help.ends_with('.'), "{name}: {help}");
        }
        assert!(PHASE_BUCKETS.len() < REQUEST_BUCKETS.len(), "each route has a histogram for each phase");
    }

    #[test]
    fn a_handler_that_is_timed_out_has_a_bucket_of_its_own() {
        let timeout = Config::default().server.request_timeout.as_secs_f64();
        assert_eq!(REQUEST_BUCKETS.last(), Some(&timeout), "what takes longer is beyond the last bound");
    }

    #[test]
    fn no_metric_is_named_twice() {
        let histograms = HISTOGRAMS.iter().map(|(name, ..)| *name);
        let all = histograms.chain(COUNTERS.iter().chain(GAUGES).map(|(name, _)| *name));
        let mut names = BTreeSet::new();
        for name in all {
            assert!(names.insert(name), "{name}");
        }
    }
}
