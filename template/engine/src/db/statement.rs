//! What can be seen in the text of a statement?
//!
//! The text is not parsed: looking at it must cost next to nothing, since each statement is looked at. What hides inside
//! a function or a procedure of the database is not seen here.

/// What a statement does to the session: to settings, locks, temporary tables and everything that lasts as long as the
/// connection.
#[allow(dead_code, reason = "not every database can take a change back")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    #[default]
    Nothing,
    /// The driver can undo the change.
    Reversible,
    /// Each statement that would undo the change would undo too much. So the connection has to be closed.
    BeyondRepair,
}

/// The statements of a text, each without the comments before it. A `;` within quotes is taken for the end of a
/// statement, which costs at worst a look that was not needed.
pub(super) fn statements(sql: &str) -> impl Iterator<Item = &str> {
    sql.split(';').map(without_comments)
}

pub(super) fn first_word(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// Whether the text has this word somewhere, in capitals or not.
pub(super) fn mentions(text: &str, word: &str) -> bool {
    text.as_bytes().windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether the statement is a `CREATE TEMP …`. A table that ends with its transaction does not count.
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

    #[test]
    fn the_first_word_ends_where_something_else_begins() {
        for (text, word) in [
            ("SELECT 1", "SELECT"),
            ("  begin;", "begin"),
            ("set_config('a', 'b')", "set_config"),
            ("\n\tPRAGMA\nx", "PRAGMA"),
            ("*", ""),
            ("", ""),
        ] {
            assert_eq!(first_word(text), word, "{text:?}");
        }
    }

    #[test]
    fn statements_come_without_the_comments_and_brackets_before_them() {
        let sql = "-- why\nBEGIN; /* a */ /* b */ (SELECT 1); -- the end";
        assert_eq!(statements(sql).collect::<Vec<_>>(), ["BEGIN", "SELECT 1)", ""]);
        assert_eq!(statements("/* unfinished").collect::<Vec<_>>(), [""]);
    }

    #[test]
    fn a_word_is_found_in_any_spelling() {
        assert!(mentions("c cursor With Hold for", "WITH HOLD"));
        assert!(!mentions("c cursor without hold", "WITH HOLD"));
        assert!(!mentions("", "x"));
    }

    #[test]
    fn only_what_outlives_its_transaction_is_temporary() {
        for (rest, outlives) in [
            (" TEMP TABLE t (n int)", true),
            (" temporary view v as select 1", true),
            (" LOCAL TEMPORARY TABLE t (n int)", true),
            (" TEMP TABLE t (n int) ON COMMIT DROP", false),
            (" TABLE temporary_things (n int)", false),
        ] {
            assert_eq!(creates_temporary("CREATE", rest), outlives, "{rest}");
            assert!(!creates_temporary("DROP", rest), "{rest}");
        }
    }
}
