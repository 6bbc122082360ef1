//! Do the limits fit together?
//!
//! If the owner has set two values that contradict each other, they are refused. If a default conflicts with a value
//! that was set, the default is changed, and `NAME check` says so. If values are only unwise, the owner gets advice with
//! the arithmetic.

use std::collections::BTreeMap;
use std::time::Duration;

use humantime::format_duration;

use super::layers::SET_DEFAULT;
use super::machine::cores;
use super::note::Note;
use super::range::NONE;
use super::sections::{Config, TAIL};

/// Where each value was set that is not a default. The key is written as in the file: `server.addr`.
pub(super) type Origins = BTreeMap<String, String>;

/// One side of a relation: a duration of the configuration.
#[derive(Clone, Copy)]
struct Side {
    key: &'static str,
    of: fn(&mut Config) -> &mut Duration,
}

macro_rules! side {
    ($section:ident.$field:ident) => {
        Side {
            key: concat!(stringify!($section), ".", stringify!($field)),
            of: |config| &mut config.$section.$field,
        }
    };
}

/// Two durations, of which one has to stay below the other.
struct Relation {
    lower: Side,
    upper: Side,
    /// The upper duration has to be larger than the lower one by more than this.
    margin: Duration,
    /// What happens if the relation does not hold.
    why: &'static str,
}

const fn below(lower: Side, upper: Side, why: &'static str) -> Relation {
    Relation { lower, upper, margin: NONE, why }
}

const RELATIONS: &[Relation] = &[
    #[cfg(feature = "_database")]
    below(
        side!(database.acquire_timeout),
        side!(server.request_timeout),
        "otherwise a request times out before it can say that the pool was the cause",
    ),
    #[cfg(feature = "_database")]
    below(
        side!(database.statement_timeout),
        side!(server.request_timeout),
        "otherwise a request times out before it can say that a statement was the cause",
    ),
    #[cfg(feature = "_database")]
    below(
        side!(database.lock_timeout),
        side!(database.statement_timeout),
        "otherwise a statement times out before it can say that a lock was the cause",
    ),
    below(
        side!(admission.max_wait),
        side!(server.request_timeout),
        "otherwise a request times out before it can say that it was not let in",
    ),
    below(
        side!(http_client.timeout),
        side!(server.request_timeout),
        "otherwise a request times out before it can say that another service was the cause",
    ),
    below(
        side!(http_client.connect_timeout),
        side!(http_client.timeout),
        "otherwise a call times out before it can say that it did not get through",
    ),
    below(
        side!(http_client.read_timeout),
        side!(http_client.timeout),
        "otherwise a call times out before it can say that the other service hangs",
    ),
    Relation {
        margin: TAIL,
        ..below(
            side!(shutdown.grace),
            side!(platform.termination_grace),
            "otherwise the platform kills the process before its log is written",
        )
    },
    below(
        side!(shutdown.drain_delay),
        side!(shutdown.grace),
        "the delay is part of the grace, and requests need the rest of it",
    ),
    below(
        side!(watchdog.interval),
        side!(watchdog.stall_warn),
        "a stall shorter than a beat cannot be measured",
    ),
];

/// Checks the relations, changes defaults that conflict with values that were set, and reports.
///
/// # Errors
/// Each relation that does not hold between two values that were set.
pub(super) fn align(config: &mut Config, origins: &Origins) -> Result<Vec<Note>, Vec<String>> {
    let mut clamped = Vec::new();
    let mut holds = Vec::new();
    let mut faults = Vec::new();
    // These values may not be changed any more: they were set, or another relation has clamped them. A default of the program
    // gives way as a built-in default does.
    let mut fixed = origins.clone();
    fixed.retain(|_, origin| origin != SET_DEFAULT);
    let mut relations = RELATIONS.iter();
    while let Some(&Relation { lower, upper, margin, why }) = relations.next() {
        let (low, high) = (*(lower.of)(config), *(upper.of)(config));
        let plus = if margin.is_zero() { String::new() } else { format!(" + {}", format_duration(margin)) };
        let claim =
            format!("{} {}{plus} < {} {}", lower.key, format_duration(low), upper.key, format_duration(high));
        if low + margin < high {
            holds.push(Note::Holds(claim));
            continue;
        }
        if let (Some(origin), true) = (fixed.get(lower.key), fixed.contains_key(upper.key)) {
            faults.push(format!("{origin}: {claim} does not hold: {why}"));
            continue;
        }
        let (changed, was, now, cause, set) = if fixed.contains_key(lower.key) {
            (upper, high, low * 5 / 4 + margin, lower.key, low)
        } else {
            (lower, low, high.saturating_sub(margin) * 9 / 10, upper.key, high)
        };
        *(changed.of)(config) = now;
        let [was, now, set] = [was, now, set].map(|duration| format_duration(duration).to_string());
        let text = format!("{was} gave way to {now}, for {cause} is {set}");
        clamped.push(Note::Clamped { key: changed.key, text });
        fixed.insert(changed.key.to_owned(), format!("{}, clamped for {cause}", changed.key));
        // The changed value may be in a relation that was checked before, so all relations are checked again.
        relations = RELATIONS.iter();
        holds.clear();
        faults.clear();
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    derive(config, origins);
    Ok([clamped, holds, advice(config)].concat())
}

/// Defaults that follow from other values.
fn derive(config: &mut Config, set: &Origins) {
    #[cfg(feature = "_database")]
    if !set.contains_key("admission.max_in_flight") {
        config.admission.max_in_flight = 64.max(8 * config.database.max_connections as usize);
    }
    if !set.contains_key("offload.max_queue") {
        config.offload.max_queue = 64 * config.offload.threads;
    }
}

/// Advice about values that are allowed but unwise.
fn advice(config: &Config) -> Vec<Note> {
    let mut notes = Vec::new();
    #[cfg(feature = "_database")]
    notes.extend(of_the_pool(config));
    let (threads, cores) = (config.offload.threads, cores());
    if threads > 2 * cores {
        notes.push(Note::Advice(format!(
            "offload.threads {threads} is more than 2 × {cores} cores: CPU work will take them from the event loop"
        )));
    }
    notes
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
    let (connections, sum) = config.database.connections();
    let with_sqlx = (config.database.sqlx_pool_connections > 0)
        .then(|| Note::Holds(format!("{sum} = {connections} connections of each replica")));
    let replicas = config.database.advice(config.platform.replicas).map(Note::Advice);
    [places].into_iter().chain(with_sqlx).chain(replicas)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn set(keys: &[&str]) -> Origins {
        keys.iter().map(|key| ((*key).to_owned(), format!("the origin of {key}"))).collect()
    }

    fn clamped(notes: &[Note]) -> Vec<&'static str> {
        let key = |note: &Note| match note {
            Note::Clamped { key, .. } => Some(*key),
            _ => None,
        };
        notes.iter().filter_map(key).collect()
    }

    #[test]
    fn the_defaults_fit_together() {
        let mut config = Config::default();
        let notes = align(&mut config, &set(&[])).unwrap();
        assert!(notes.iter().all(|note| matches!(note, Note::Holds(_))), "{notes:?}");
    }

    #[test]
    fn the_default_gives_way_to_what_was_set_on_either_side() {
        let mut config = Config::default();
        config.http_client.timeout = seconds(20);
        let notes = align(&mut config, &set(&["http_client.timeout"])).unwrap();
        assert_eq!(clamped(&notes), ["server.request_timeout"]);
        assert_eq!(config.server.request_timeout, seconds(25), "five quarters of what it has to exceed");

        let mut config = Config::default();
        config.http_client.timeout = seconds(2);
        let notes = align(&mut config, &set(&["http_client.timeout"])).unwrap();
        assert_eq!(clamped(&notes), ["http_client.read_timeout"]);
        assert_eq!(config.http_client.read_timeout, Duration::from_millis(1800), "nine tenths of its limit");
    }

    #[test]
    fn the_platform_leaves_room_for_the_tail() {
        let mut config = Config::default();
        config.shutdown.grace = seconds(30);
        let notes = align(&mut config, &set(&["shutdown.grace"])).unwrap();
        assert_eq!(clamped(&notes), ["platform.termination_grace"]);
        assert_eq!(config.platform.termination_grace, Duration::from_millis(38_500));
    }

    #[test]
    fn what_was_set_twice_or_gave_way_already_is_refused() {
        let mut config = Config::default();
        config.watchdog.interval = seconds(1);
        let faults = align(&mut config, &set(&["watchdog.interval", "watchdog.stall_warn"])).unwrap_err();
        assert_eq!(
            faults,
            [
                "the origin of watchdog.interval: watchdog.interval 1s < watchdog.stall_warn 100ms does not hold: a stall \
              shorter than a beat cannot be measured"
            ]
        );

        let mut config = Config::default();
        (config.shutdown.drain_delay, config.platform.termination_grace) = (seconds(9), seconds(10));
        let faults =
            align(&mut config, &set(&["shutdown.drain_delay", "platform.termination_grace"])).unwrap_err();
        assert!(faults.len() == 1 && faults[0].contains("shutdown.grace 8s"), "{faults:?}");
    }

    #[test]
    fn what_follows_from_other_values_follows_unless_it_was_set() {
        let mut config = Config::default();
        config.offload.threads = 3;
        align(&mut config, &set(&["offload.threads"])).unwrap();
        assert_eq!(config.offload.max_queue, 192);

        config.offload.max_queue = 5;
        align(&mut config, &set(&["offload.threads", "offload.max_queue"])).unwrap();
        assert_eq!(config.offload.max_queue, 5);
    }
}
