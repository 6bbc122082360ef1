//! Which database is it?
//!
//! One file per database, and each offers the same: how to connect and to close, what its error codes
//! mean, and what the operator should know about it. Everything else is the same for all.

mod sqlite;

#[cfg(test)]
pub(super) use self::sqlite::EXAMPLES_OF_SESSION;
pub(super) use self::sqlite::{
    BEGIN_TO_WRITE, BEYOND_REPAIR, Brake, CHANGES_SESSION, COMMIT, CURE_OF_FLAWS, Connector,
    FUNCTIONS_THAT_CHANGE_SESSION, NEWER_IS_REFUSED, ask, discard, ends_transaction, flaws, is_stale, limits,
    no_such_table, open, roll_back, silent, trouble, try_lock, unbounded, unusable,
};
pub use self::sqlite::{Driver, look};

/// The driver's own connection.
pub(super) type Raw = <Driver as sqlx::Database>::Connection;
