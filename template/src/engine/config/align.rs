//! Do the limits fit together?
//!
//! Two values that the owner set and that contradict each other are refused. A default that
//! conflicts with a set value gives way, and `NAME check` says so. What is only unwise is advice,
//! with the arithmetic.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Config;
use super::load::{Fault, Origin};

/// After `shutdown.grace`: cutting off requests, closing pools and writing the log take at most this.
/// Higher: the platform's own patience must grow with it. Lower: the last log lines are lost.
pub const TAIL: Duration = Duration::from_secs(1);

/// One line of the alignment report.
#[derive(Debug, PartialEq, Eq)]
pub enum Note {
    /// A default that was changed because a set value left it no room.
    Clamped { key: &'static str, text: String },
    /// Nothing was changed; the owner may want to.
    Advice(String),
    /// A relation that was checked and holds.
    Holds(String),
}

/// Why the value that `key` has in `config` cannot work, whatever the other values are.
pub(super) fn out_of_range(config: &Config, key: &str) -> Option<&'static str> {
    let c = config;
    let positive = |value: Duration| (value.is_zero()).then_some("must be longer than 0s");
    let at_least_one = |value: u64| (value == 0).then_some("must be at least 1");
    match key {
        "server.worker_threads" => match c.server.worker_threads {
            0 => Some("must be at least 1"),
            n if n > 1024 => Some("must be at most 1024"),
            _ => None,
        },
        "server.request_timeout" => positive(c.server.request_timeout),
        "server.header_timeout" => positive(c.server.header_timeout),
        "server.body_limit" => at_least_one(c.server.body_limit.as_u64()),
        "server.max_connections" => match c.server.max_connections {
            0 => Some("must be at least 1"),
            n if n > 1_000_000 => Some("must be at most 1000000"),
            _ => None,
        },
        "database.max_connections" => match c.database.max_connections {
            0 => Some("must be at least 1"),
            n if n > 10_000 => Some("must be at most 10000"),
            _ => None,
        },
        "database.acquire_timeout" => positive(c.database.acquire_timeout),
        "database.statement_cache" => at_least_one(c.database.statement_cache as u64),
        "offload.threads" => match c.offload.threads {
            0 => Some("must be at least 1"),
            n if n > 512 => Some("must be at most 512, what tokio's blocking pool holds"),
            _ => None,
        },
        "watchdog.interval" => match c.watchdog.interval {
            i if i < Duration::from_millis(1) => Some("must be at least 1ms"),
            i if i > Duration::from_secs(1) => Some("must be at most 1s, or /readyz sees stalls too late"),
            _ => None,
        },
        "watchdog.stall_warn" => positive(c.watchdog.stall_warn),
        "shutdown.grace" => positive(c.shutdown.grace),
        "platform.replicas" => at_least_one(c.platform.replicas.into()),
        "log.level" => c
            .log
            .level
            .parse::<tracing_subscriber::filter::Targets>()
            .is_err()
            .then_some("is not a level: write \"info\", or per module \"info,service::app=debug\""),
        "log.max_files" => at_least_one(c.log.max_files as u64),
        "log.queue_size" => {
            (c.log.queue_size.as_u64() < 64 * 1024).then_some("must be at least 64KiB, one batch")
        }
        "log.drain_timeout" => (c.log.drain_timeout > TAIL)
            .then_some("must be at most 1s: it is part of the tail after shutdown.grace"),
        _ => None,
    }
}

/// One relation between two durations: `lower` must stay below `upper`.
struct Below {
    lower: (&'static str, fn(&mut Config) -> &mut Duration),
    upper: (&'static str, fn(&mut Config) -> &mut Duration),
    /// What the upper one has to leave room for.
    margin: Duration,
    why: &'static str,
}

const RELATIONS: &[Below] = &[
    Below {
        lower: ("database.acquire_timeout", |c| &mut c.database.acquire_timeout),
        upper: ("server.request_timeout", |c| &mut c.server.request_timeout),
        margin: Duration::ZERO,
        why: "else a request times out before it can say that the pool was the cause",
    },
    Below {
        lower: ("database.lock_timeout", |c| &mut c.database.lock_timeout),
        upper: ("server.request_timeout", |c| &mut c.server.request_timeout),
        margin: Duration::ZERO,
        why: "else a request times out before it can say that a lock was the cause",
    },
    Below {
        lower: ("shutdown.drain_delay", |c| &mut c.shutdown.drain_delay),
        upper: ("shutdown.grace", |c| &mut c.shutdown.grace),
        margin: Duration::ZERO,
        why: "the delay is part of the grace, and requests need the rest of it",
    },
    Below {
        lower: ("shutdown.grace", |c| &mut c.shutdown.grace),
        upper: ("platform.termination_grace", |c| &mut c.platform.termination_grace),
        margin: TAIL,
        why: "else the platform kills the process before its log is written",
    },
    Below {
        lower: ("watchdog.interval", |c| &mut c.watchdog.interval),
        upper: ("watchdog.stall_warn", |c| &mut c.watchdog.stall_warn),
        margin: Duration::ZERO,
        why: "a stall shorter than a beat cannot be measured",
    },
];

/// Checks the relations, lets defaults give way, and reports.
pub(super) fn align(
    config: &mut Config,
    origins: &BTreeMap<String, Origin>,
) -> Result<Vec<Note>, Vec<Fault>> {
    let mut notes = Vec::new();
    let mut faults = Vec::new();
    for relation in RELATIONS {
        let (lower_key, lower) = relation.lower;
        let (upper_key, upper) = relation.upper;
        let (low, high) = (*lower(config), *upper(config));
        let claim = |low, high| {
            let margin = match relation.margin {
                Duration::ZERO => String::new(),
                margin => format!(" + {}", show(margin)),
            };
            format!("{lower_key} {}{margin} < {upper_key} {}", show(low), show(high))
        };
        if low + relation.margin < high {
            notes.push(Note::Holds(claim(low, high)));
        } else if let (Some(at), true) = (origins.get(lower_key), origins.contains_key(upper_key)) {
            let text = format!("{} does not hold: {}", claim(low, high), relation.why);
            faults.push(Fault { origin: Some(at.clone()), text });
        } else if origins.contains_key(lower_key) {
            let room = 2 * low + relation.margin;
            *upper(config) = room;
            let text =
                format!("raised from {} to {}, for {lower_key} is {}", show(high), show(room), show(low));
            notes.push(Note::Clamped { key: upper_key, text });
        } else {
            let room = high.saturating_sub(relation.margin) / 2;
            *lower(config) = room;
            let text =
                format!("lowered from {} to {}, for {upper_key} is {}", show(low), show(room), show(high));
            notes.push(Note::Clamped { key: lower_key, text });
        }
    }
    if config.platform.replicas > 1 {
        notes.push(Note::Advice(format!(
            "platform.replicas is {}, but a SQLite file serves the processes of one machine only",
            config.platform.replicas
        )));
    }
    let cores = super::cores();
    if config.offload.threads > 2 * cores {
        notes.push(Note::Advice(format!(
            "offload.threads {} is more than 2 × {cores} cores: CPU work will take them from the event loop",
            config.offload.threads
        )));
    }
    if faults.is_empty() { Ok(notes) } else { Err(faults) }
}

fn show(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}
