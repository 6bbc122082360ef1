//! Which statements change the session beyond their transaction?

use super::super::super::statement::{Change, creates_temporary, mentions};

/// What a statement with this first word changes. Nothing is taken back: opening the connection anew takes well under a
/// millisecond, and undoes everything.
pub fn changes_session(first: &str, rest: &str) -> Change {
    let is = |word: &str| first.eq_ignore_ascii_case(word);
    let sets = || {
        let asks = ["_info", "_xinfo", "_list", "_check"];
        rest.contains('=') || (rest.contains('(') && !asks.iter().any(|ask| mentions(rest, ask)))
    };
    match is("ATTACH") || is("DETACH") || (is("PRAGMA") && sets()) || creates_temporary(first, rest) {
        true => Change::BeyondRepair,
        false => Change::Nothing,
    }
}

/// Statements for the tests, with what they change.
#[cfg(test)]
pub const CHANGES: &[(&str, Change)] = &[
    ("PRAGMA foreign_keys = OFF", Change::BeyondRepair),
    ("pragma cache_size(10)", Change::BeyondRepair),
    ("ATTACH 'other.db' AS other", Change::BeyondRepair),
    ("DETACH other", Change::BeyondRepair),
    ("CREATE TEMP TABLE t (n)", Change::BeyondRepair),
    ("create temporary view v as select 1", Change::BeyondRepair),
];

/// Statements for the tests that look as if they changed something, and do not.
#[cfg(test)]
pub const LEAVE_NOTHING: &[&str] =
    &["PRAGMA foreign_keys", "PRAGMA table_info(items)", "PRAGMA foreign_key_check"];
