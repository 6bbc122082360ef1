//! How is a database of a test called, so that two runs never use the same name, and a later run finds what was left behind?

use std::hash::{BuildHasher, RandomState};
use std::process;
use std::sync::LazyLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

/// What the names of all databases and roles of tests begin with.
pub const PREFIX: &str = "longpole_test_";

/// A database that is older than this was left behind by a run that was killed, and the next run drops it. Higher: what was
/// left behind stays for longer. Lower: a run that takes longer than this loses its databases to another run.
const LEFT_BEHIND: Duration = Duration::from_secs(24 * 60 * 60);

/// A name that no other database has: when it was made, by which process, and its number there. Two machines may have the
/// same process id in the same second, so there is also a number that each run chooses by chance.
pub fn new() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    static RUN: LazyLock<u32> = LazyLock::new(|| RandomState::new().hash_one(process::id()) as u32);
    let (number, run) = (NUMBER.fetch_add(1, Relaxed), *RUN);
    format!("{PREFIX}{}_{}_{run:08x}_{number}", now().as_secs(), process::id())
}

/// Whether a database or a role with this name was left behind.
pub fn is_left_behind(name: &str) -> bool {
    let made = name.strip_prefix(PREFIX).and_then(|rest| rest.split('_').next()?.parse().ok());
    made.is_some_and(|made| Duration::from_secs(made) + LEFT_BEHIND < now())
}

fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_has_just_made_is_not_left_behind() {
        assert_ne!(new(), new());
        assert!(!is_left_behind(&new()));
        let of_long_ago = now() - LEFT_BEHIND - Duration::from_secs(1);
        assert!(is_left_behind(&format!("{PREFIX}{}_1_0a0b0c0d_7", of_long_ago.as_secs())));
        for name in ["postgres", "longpole_test_", "longpole_test_mine", "longpole_tests_1_2_3_4"] {
            assert!(!is_left_behind(name), "{name}");
        }
    }
}
