//! Do the limits fit together?
//!
//! Two values that the owner set and that contradict each other are refused. A default that
//! conflicts with a set value gives way, and `NAME check` says so. What is only unwise is advice,
//! with the arithmetic.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use figment::Figment;
use figment::providers::Serialized;
use humantime::format_duration;
use humantime_serde::Serde;
use tracing_subscriber::filter::Targets;

use super::{Config, cores};

/// Where each value that is no default was set, by the key as it is written.
pub(super) type Origins = BTreeMap<String, String>;

/// After `shutdown.grace`: cutting off requests, closing pools and writing the log take at most this.
/// Higher: the platform's own patience must grow with it. Lower: the last log lines are lost.
pub const TAIL: Duration = Duration::from_secs(1);

pub(super) const NONE: Duration = Duration::ZERO;
pub(super) const MILLISECOND: Duration = Duration::from_millis(1);
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// One line of the alignment report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A default that was changed because a set value left it no room.
    Clamped { key: &'static str, text: String },
    /// Nothing was changed; the owner may want to.
    Advice(String),
    /// A relation that was checked and holds.
    Holds(String),
}

/// Whether the value that `key` has in `config` can work at all, whatever the other values are.
pub(super) fn in_range(c: &Config, key: &str) -> Result<(), String> {
    match key {
        "server.worker_threads" => count(c.server.worker_threads, 1, 1024),
        "server.request_timeout" => time(c.server.request_timeout, MILLISECOND, DAY),
        "server.header_timeout" => time(c.server.header_timeout, MILLISECOND, DAY),
        "server.write_timeout" => time(c.server.write_timeout, MILLISECOND, DAY),
        "server.body_limit" => count(c.server.body_limit.as_u64(), 1, 1 << 32),
        "server.max_connections" => count(c.server.max_connections, 1, 1_000_000),
        "admission.max_in_flight" => count(c.admission.max_in_flight, 1, 1_000_000),
        "admission.max_queue" => count(c.admission.max_queue, 0, 1_000_000),
        "admission.max_wait" => time(c.admission.max_wait, NONE, DAY),
        "http_client.max_in_flight" => count(c.http_client.max_in_flight, 1, 100_000),
        "http_client.max_per_host" => count(c.http_client.max_per_host, 1, 100_000),
        "http_client.connect_timeout" => time(c.http_client.connect_timeout, MILLISECOND, DAY),
        "http_client.read_timeout" => time(c.http_client.read_timeout, MILLISECOND, DAY),
        "http_client.idle_timeout" => time(c.http_client.idle_timeout, MILLISECOND, DAY),
        "http_client.body_limit" => count(c.http_client.body_limit.as_u64(), 1, 1 << 32),
        "http_client.timeout" => time(c.http_client.timeout, MILLISECOND, DAY),
        "offload.max_queue" => count(c.offload.max_queue, 0, 1_000_000),
        "shutdown.drain_delay" => time(c.shutdown.drain_delay, NONE, DAY),
        "platform.termination_grace" => time(c.platform.termination_grace, MILLISECOND, DAY),
        "watchdog.dead_after" => time(c.watchdog.dead_after, NONE, DAY),
        "offload.threads" => count(c.offload.threads, 1, 512), // what tokio's blocking pool holds
        "watchdog.interval" => time(c.watchdog.interval, MILLISECOND, Duration::from_secs(1)),
        "watchdog.stall_warn" => time(c.watchdog.stall_warn, MILLISECOND, DAY),
        "shutdown.grace" => time(c.shutdown.grace, MILLISECOND, DAY),
        "platform.replicas" => count(c.platform.replicas, 1, 10_000),
        "log.max_files" => count(c.log.max_files, 1, 10_000),
        "log.queue_size" => count(c.log.queue_size.as_u64(), 64 * 1024, 1 << 40), // at least one batch
        "log.drain_timeout" => time(c.log.drain_timeout, NONE, TAIL),             // it is a part of the tail
        "log.level" => c.log.level.parse::<Targets>().map(drop).map_err(|_| {
            "is not a level: write \"info\", or per module \"info,my_service::app=debug\"".to_owned()
        }),
        #[cfg(feature = "_database")]
        _ => key.strip_prefix("database.").map_or(Ok(()), |key| c.database.in_range(key)),
        #[cfg(not(feature = "_database"))]
        _ => Ok(()),
    }
}

pub(super) fn count<T: PartialOrd + Display>(value: T, least: T, most: T) -> Result<(), String> {
    let fits = least <= value && value <= most;
    fits.then_some(()).ok_or_else(|| format!("must be from {least} to {most}"))
}

pub(super) fn time(value: Duration, least: Duration, most: Duration) -> Result<(), String> {
    let fits = least <= value && value <= most;
    fits.then_some(())
        .ok_or_else(|| format!("must be from {} to {}", format_duration(least), format_duration(most)))
}

/// What must stay below what, what the upper one has to leave room for, and why.
const RELATIONS: &[(&str, &str, Duration, &str)] = &[
    #[cfg(feature = "_database")]
    (
        "database.acquire_timeout",
        "server.request_timeout",
        NONE,
        "else a request times out before it can say that the pool was the cause",
    ),
    #[cfg(feature = "_database")]
    (
        "database.statement_timeout",
        "server.request_timeout",
        NONE,
        "else a request times out before it can say that a statement was the cause",
    ),
    #[cfg(feature = "_database")]
    (
        "database.lock_timeout",
        "database.statement_timeout",
        NONE,
        "else a statement times out before it can say that a lock was the cause",
    ),
    (
        "admission.max_wait",
        "server.request_timeout",
        NONE,
        "else a request times out before it can say that it was not let in",
    ),
    (
        "http_client.timeout",
        "server.request_timeout",
        NONE,
        "else a request times out before it can say that another service was the cause",
    ),
    (
        "http_client.connect_timeout",
        "http_client.timeout",
        NONE,
        "else a call times out before it can say that it did not get through",
    ),
    (
        "http_client.read_timeout",
        "http_client.timeout",
        NONE,
        "else a call times out before it can say that the other service hangs",
    ),
    (
        "shutdown.grace",
        "platform.termination_grace",
        TAIL,
        "else the platform kills the process before its log is written",
    ),
    (
        "shutdown.drain_delay",
        "shutdown.grace",
        NONE,
        "the delay is part of the grace, and requests need the rest of it",
    ),
    ("watchdog.interval", "watchdog.stall_warn", NONE, "a stall shorter than a beat cannot be measured"),
];

/// Checks the relations, lets defaults give way, and reports.
pub(super) fn align(mut figment: Figment, origins: &Origins) -> Result<(Figment, Vec<Note>), Vec<String>> {
    let mut clamped = Vec::new();
    let mut holds = Vec::new();
    let mut faults = Vec::new();
    // What may not be changed any more: set by the owner, or clamped for another relation.
    let mut fixed = origins.clone();
    let mut relations = RELATIONS.iter();
    while let Some(&(lower, upper, margin, why)) = relations.next() {
        let (low, high) = (duration(&figment, lower), duration(&figment, upper));
        let plus = if margin.is_zero() { String::new() } else { format!(" + {}", format_duration(margin)) };
        let claim = format!("{lower} {}{plus} < {upper} {}", format_duration(low), format_duration(high));
        if low + margin < high {
            holds.push(Note::Holds(claim));
            continue;
        }
        if let (Some(origin), true) = (fixed.get(lower), fixed.contains_key(upper)) {
            faults.push(format!("{origin}: {claim} does not hold: {why}"));
            continue;
        }
        let (key, was, room, cause, set) = if fixed.contains_key(lower) {
            (upper, high, low * 5 / 4 + margin, lower, low)
        } else {
            (lower, low, high.saturating_sub(margin) * 9 / 10, upper, high)
        };
        let [was, now, set] = [was, room, set].map(|duration| format_duration(duration).to_string());
        clamped.push(Note::Clamped { key, text: format!("{was} gave way to {now}, for {cause} is {set}") });
        figment = figment.merge(Serialized::default(key, now));
        fixed.insert(key.to_owned(), format!("{key}, clamped for {cause}"));
        // It may be the other side of a relation that was looked at before.
        relations = RELATIONS.iter();
        holds.clear();
        faults.clear();
    }
    let mut notes = [clamped, holds].concat();
    figment = derive(figment, origins);
    if let Ok(config) = figment.extract::<Config>() {
        #[cfg(feature = "_database")]
        notes.extend(of_the_pool(&config));
        let threads = config.offload.threads;
        if threads > 2 * cores() {
            notes.push(Note::Advice(format!(
                "offload.threads {threads} is more than 2 × {} cores: CPU work will take them from the event loop",
                cores()
            )));
        }
    }
    if faults.is_empty() { Ok((figment, notes)) } else { Err(faults) }
}

#[cfg(feature = "_database")]
fn of_the_pool(config: &Config) -> impl Iterator<Item = Note> {
    let (places, pool) = (config.admission.max_in_flight, config.database.max_connections as usize);
    let places = match places < pool {
        false => Note::Holds(format!("database.max_connections {pool} ≤ admission.max_in_flight {places}")),
        true => Note::Advice(format!(
            "admission.max_in_flight {places} < database.max_connections {pool}: some connections are never used"
        )),
    };
    let replicas = config.database.advice(config.platform.replicas).map(Note::Advice);
    [places].into_iter().chain(replicas)
}

/// Defaults that follow from other values.
fn derive(figment: Figment, set: &Origins) -> Figment {
    let derive = |figment: Figment, key: &str, value: &dyn Fn(&Config) -> usize| {
        let config = figment.extract::<Config>().ok().filter(|_| !set.contains_key(key));
        config.map_or(figment.clone(), |config| figment.merge(Serialized::default(key, value(&config))))
    };
    #[cfg(feature = "_database")]
    let figment =
        derive(figment, "admission.max_in_flight", &|c| 64.max(8 * c.database.max_connections as usize));
    derive(figment, "offload.max_queue", &|c| 64 * c.offload.threads)
}

fn duration(figment: &Figment, key: &str) -> Duration {
    figment.extract_inner::<Serde<Duration>>(key).map_or(NONE, Serde::into_inner)
}
