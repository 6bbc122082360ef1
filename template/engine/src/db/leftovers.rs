//! What may a statement leave behind on its connection?
//!
//! The drivers know whether a transaction is open, and tell nobody. But the executor sees the text of each
//! statement, and few statements can open a transaction or change the session. After one of those, and only then,
//! the [connection](super::connection) is looked at before its next user gets it. What hides inside a function
//! or a procedure of the database is not seen here.

use super::driver;

/// Statements that open a transaction, for every database. A savepoint opens one where there is none.
const OPENS_TRANSACTION: [&str; 3] = ["BEGIN", "START", "SAVEPOINT"];

/// What the statements of one user may have left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Leftovers {
    /// A transaction that is open.
    pub transaction: bool,
    pub session: Change,
}

/// What became of the session: settings, locks, temporary tables, all that lasts as long as the connection.
#[allow(dead_code, reason = "not every database can take a change back")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    #[default]
    Nothing,
    /// The driver can take it back.
    Reversible,
    /// No statement takes it back without taking more: the connection is closed.
    BeyondRepair,
}

impl Leftovers {
    pub fn any(self) -> bool {
        self != Self::default()
    }

    /// Looks at a text before it is run: it may be given up half-way. A `;` within quotes is taken for an end,
    /// which costs at worst a look that was not needed.
    pub fn note(&mut self, sql: &str) {
        for statement in sql.split(';') {
            let statement = without_comments(statement);
            let first = first_word(statement);
            self.transaction |= OPENS_TRANSACTION.iter().any(|known| first.eq_ignore_ascii_case(known));
            self.session = self.session.max(driver::changes_session(first, &statement[first.len()..]));
        }
    }
}

pub(super) fn first_word(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// Whether a text has a word, in capitals or not.
pub(super) fn mentions(text: &str, word: &str) -> bool {
    text.as_bytes().windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}

/// `CREATE TEMP …`, but for a table that ends with its transaction.
pub(super) fn creates_temporary(first: &str, rest: &str) -> bool {
    let temporary = ["TEMP", "TEMPORARY", "LOCAL", "GLOBAL"];
    first.eq_ignore_ascii_case("CREATE")
        && temporary.iter().any(|word| first_word(rest).eq_ignore_ascii_case(word))
        && !mentions(rest, "ON COMMIT DROP")
}

fn without_comments(statement: &str) -> &str {
    let mut rest = statement;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '(');
        let end = match rest.as_bytes() {
            [b'-', b'-', ..] => rest.find('\n').map(|at| at + 1),
            [b'/', b'*', ..] => rest.find("*/").map(|at| at + 2),
            _ => return rest,
        };
        rest = end.map_or("", |end| &rest[end..]);
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
