//! What may a statement leave behind on its connection?
//!
//! The drivers know whether a transaction is open, and tell nobody. But the executor sees the text of each
//! statement, and few statements can open a transaction or change the session. After one of those, and only then,
//! the [connection](super::connection) is looked at before its next user gets it. What hides inside a function
//! or a procedure of the database is not seen here.

use super::driver::{BEYOND_REPAIR, CHANGES_SESSION, FUNCTIONS_THAT_CHANGE_SESSION};

/// Statements that open a transaction, for every database. A savepoint opens one where there is none.
const OPENS_TRANSACTION: [&str; 3] = ["BEGIN", "START", "SAVEPOINT"];

/// What the statements of one user may have left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Leftovers {
    /// A transaction that is open.
    pub transaction: bool,
    /// Settings, locks, temporary tables: what lasts as long as the session.
    pub session: bool,
    /// Something that no statement takes back without taking more.
    pub beyond_repair: bool,
}

impl Leftovers {
    pub fn any(self) -> bool {
        self.transaction || self.session || self.beyond_repair
    }

    /// Looks at a text before it is run: it may be given up half-way. A `;` within quotes is taken for an end,
    /// which costs at worst a look that was not needed.
    pub fn note(&mut self, sql: &str) {
        for statement in sql.split(';') {
            let statement = without_comments(statement);
            let mut words = statement.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let (first, second) = (words.next().unwrap_or_default(), words.find(|word| !word.is_empty()));
            let is = |known: &&str| first.eq_ignore_ascii_case(known);
            self.transaction |= OPENS_TRANSACTION.iter().any(is);
            self.beyond_repair |= BEYOND_REPAIR.iter().any(is);
            self.session |= CHANGES_SESSION.iter().any(|(known, but_not)| {
                is(known) && !but_not.iter().any(|not| second.is_some_and(|it| it.eq_ignore_ascii_case(not)))
            }) || is(&"CREATE")
                && second.is_some_and(|it| {
                    ["TEMP", "TEMPORARY", "LOCAL", "GLOBAL"].iter().any(|temp| it.eq_ignore_ascii_case(temp))
                });
        }
        self.session |= FUNCTIONS_THAT_CHANGE_SESSION.iter().any(|name| sql.contains(name));
    }
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
        for sql in [
            "SELECT id, name, version FROM items WHERE id = $1",
            "INSERT INTO items (name) VALUES ($1) RETURNING id, name, version",
            "UPDATE items SET name = $1 WHERE id = $2",
            "DELETE FROM items WHERE name = 'BEGIN'",
            "WITH begin AS (SELECT 1) SELECT * FROM begin",
            "SELECT begin FROM shifts",
            "beginning",
            "COMMIT",
            "CREATE TABLE temporary_things (n BIGINT)",
            "",
            "-- BEGIN",
            "/* unfinished",
        ] {
            assert_eq!(left(sql), Leftovers::default(), "{sql}");
        }
    }

    #[test]
    fn what_lasts_as_long_as_the_session_is_seen() {
        let mut statements = vec!["CREATE TEMP TABLE t (n BIGINT)", "create temporary table t (n bigint)"];
        statements.extend_from_slice(super::super::driver::EXAMPLES_OF_SESSION);
        for sql in statements {
            let left = left(sql);
            assert!(left.session || left.beyond_repair, "{sql}");
        }
    }
}
