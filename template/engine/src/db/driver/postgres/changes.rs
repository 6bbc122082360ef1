//! Which statements change the session beyond their transaction?

use memchr::memmem;

use super::super::super::statement::{Change, creates_temporary, first_word, mentions};

/// What a statement with this first word changes, or the functions that it calls.
pub fn changes_session(first: &str, rest: &str) -> Change {
    let is = |words: &[&str]| words.iter().any(|word| first.eq_ignore_ascii_case(word));
    let followed_by = |words: &[&str]| words.iter().any(|word| first_word(rest).eq_ignore_ascii_case(word));
    let calls = |function: &str| memmem::find(rest.as_bytes(), function.as_bytes()).is_some();
    // Only `DEALLOCATE ALL` would take this back, and it removes the driver's own statements, too.
    if is(&["PREPARE", "DEALLOCATE", "LOAD"]) && !followed_by(&["TRANSACTION"]) {
        return Change::BeyondRepair;
    }
    let changes = is(&["RESET", "LISTEN", "DISCARD"])
        || (is(&["SET"]) && !followed_by(&["LOCAL", "TRANSACTION", "CONSTRAINTS"]))
        || (is(&["DECLARE"]) && mentions(rest, "WITH HOLD"))
        || creates_temporary(first, rest)
        || calls("advisory_lock(")
        || calls("advisory_lock_shared(")
        // The last argument of `set_config` says whether the setting ends with the transaction.
        || (calls("set_config(") && !mentions(rest, "true)"));
    if changes { Change::Reversible } else { Change::Nothing }
}

/// Statements for the tests, with what they change.
#[cfg(test)]
pub const CHANGES: &[(&str, Change)] = &[
    ("SET search_path = private", Change::Reversible),
    ("set session characteristics as transaction read only", Change::Reversible),
    ("SELECT set_config('a.b', 'c', false)", Change::Reversible),
    ("SELECT pg_try_advisory_lock(1)", Change::Reversible),
    ("LISTEN news", Change::Reversible),
    ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", Change::Reversible),
    ("RESET statement_timeout", Change::Reversible),
    ("CREATE TEMP TABLE t (n int)", Change::Reversible),
    ("PREPARE p AS SELECT 1", Change::BeyondRepair),
];

/// Statements for the tests that look as if they changed something, and do not.
#[cfg(test)]
pub const LEAVE_NOTHING: &[&str] = &[
    "SET LOCAL search_path = private",
    "SELECT set_config('app.tenant', $1, true)",
    "SELECT pg_advisory_xact_lock(1)",
    "DECLARE c CURSOR FOR SELECT 1",
    "PREPARE TRANSACTION 'one'",
];
