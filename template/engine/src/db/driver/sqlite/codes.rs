//! What do the errors of SQLite mean?

use super::super::super::trouble::Trouble;

const BUSY: u32 = 5;
const LOCKED: u32 = 6;
const NOMEM: u32 = 7;
const INTERRUPT: u32 = 9;
const IOERR: u32 = 10;
const CORRUPT: u32 = 11;
const FULL: u32 = 13;
const CANTOPEN: u32 = 14;

/// What a result code means (<https://www.sqlite.org/rescode.html>).
pub fn trouble(code: &str) -> Trouble {
    match primary(code) {
        Some(BUSY | LOCKED) => Trouble::Busy,
        Some(INTERRUPT) => Trouble::Slow,
        Some(IOERR | CORRUPT | FULL | CANTOPEN) => Trouble::Away,
        _ => Trouble::Refused,
    }
}

/// After these errors SQLite has rolled the whole transaction back by itself
/// (<https://www.sqlite.org/lang_transaction.html>), and the statements that follow would be committed without the rest.
pub fn ends_transaction(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| primary(error.code()?.as_ref()));
    code.is_some_and(rolls_back)
}

fn rolls_back(primary: u32) -> bool {
    matches!(primary, BUSY | NOMEM | INTERRUPT | IOERR | FULL)
}

/// The lowest byte of an extended code is the primary code.
fn primary(code: &str) -> Option<u32> {
    Some(code.parse::<u32>().ok()? & 0xff)
}

/// No statement becomes stale: SQLite prepares it anew when the schema has changed.
pub fn is_stale(_error: &sqlx::Error) -> bool {
    false
}

pub fn no_such_table(error: &sqlx::Error) -> bool {
    error.to_string().contains("no such table")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_judged_by_their_lowest_byte() {
        for (code, expected) in [
            ("5", Trouble::Busy),
            ("517", Trouble::Busy), // SQLITE_BUSY_SNAPSHOT
            ("6", Trouble::Busy),
            ("9", Trouble::Slow),
            ("10", Trouble::Away),
            ("266", Trouble::Away), // SQLITE_IOERR_READ
            ("13", Trouble::Away),
            ("14", Trouble::Away),
            ("1", Trouble::Refused),
            ("2067", Trouble::Refused), // SQLITE_CONSTRAINT_UNIQUE
            ("", Trouble::Refused),
            ("none", Trouble::Refused),
        ] {
            assert_eq!(trouble(code), expected, "{code}");
        }
    }

    #[test]
    fn only_some_errors_end_the_transaction() {
        for code in ["5", "517", "7", "9", "10", "13"] {
            assert!(primary(code).is_some_and(rolls_back), "{code}");
        }
        for code in ["6", "1", "19", "2067", "14", ""] {
            assert!(!primary(code).is_some_and(rolls_back), "{code}");
        }
        assert!(!ends_transaction(&sqlx::Error::RowNotFound));
    }
}
