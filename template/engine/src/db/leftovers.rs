//! What may a statement leave behind on its connection?
//!
//! sqlx's drivers know whether a transaction is open, but have no call that asks only that. Our executor sees the text of
//! each statement, and few statements can open a transaction or change the session. After one of those, and only then,
//! the [connection](super::connection) is looked at before its next user gets it.

use super::driver;
use super::statement::{Change, first_word, statements};

/// Statements that open a transaction, whichever database it is. A savepoint opens a transaction where none is open.
const OPENS_TRANSACTION: [&str; 3] = ["BEGIN", "START", "SAVEPOINT"];

/// What the statements of one user may have left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Leftovers {
    /// A transaction that is open.
    pub transaction: bool,
    pub session: Change,
}

impl Leftovers {
    pub fn any(self) -> bool {
        self != Self::default()
    }

    /// Looks at a text before it is run, since it may be given up half-way.
    pub fn note(&mut self, sql: &str) {
        for statement in statements(sql) {
            let first = first_word(statement);
            self.transaction |= OPENS_TRANSACTION.iter().any(|known| first.eq_ignore_ascii_case(known));
            self.session = self.session.max(driver::changes_session(first, &statement[first.len()..]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(sql: &str) -> Leftovers {
        let mut leftovers = Leftovers::default();
        leftovers.note(sql);
        leftovers
    }

    #[test]
    fn what_opens_a_transaction_is_seen_in_any_spelling() {
        for sql in [
            "BEGIN",
            "begin immediate",
            "  START TRANSACTION ISOLATION LEVEL SERIALIZABLE",
            "SAVEPOINT here",
            "-- why\nBEGIN",
            "/* why */ /* and why */ begin;",
            "SELECT 1; BEGIN",
            "COMMIT; BEGIN; SELECT 1",
            "BEGIN; COMMIT",
        ] {
            assert!(left(sql).transaction, "{sql}");
        }
    }

    #[test]
    fn ordinary_statements_leave_nothing() {
        let mut statements = vec![
            "SELECT id, name, version FROM items WHERE id = $1",
            "INSERT INTO items (name) VALUES ($1) RETURNING id, name, version",
            "UPDATE items SET name = $1 WHERE id = $2",
            "DELETE FROM items WHERE name = 'BEGIN'",
            "WITH begin AS (SELECT 1) SELECT * FROM begin",
            "SELECT begin FROM shifts",
            "SELECT count(*) FROM advisory_locks",
            "beginning",
            "COMMIT",
            "CREATE TABLE temporary_things (n BIGINT)",
            "create temp table t (n bigint) on commit drop",
            "",
            "-- BEGIN",
            "/* unfinished",
        ];
        statements.extend_from_slice(driver::LEAVE_NOTHING);
        for sql in statements {
            assert_eq!(left(sql), Leftovers::default(), "{sql}");
        }
    }

    #[test]
    fn what_lasts_as_long_as_the_session_is_seen() {
        for (sql, change) in driver::CHANGES {
            assert_eq!(left(sql).session, *change, "{sql}");
        }
    }
}
