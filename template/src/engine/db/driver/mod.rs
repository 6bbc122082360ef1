//! Which database is it?
//!
//! One file per database, and each offers the same: how to connect and to close, what its error codes
//! mean, and what the operator should know about it. Everything else is the same for all.

mod sqlite;

pub(super) use self::sqlite::{
    BEGIN_TO_WRITE, Brake, COMMIT, CURE_OF_FLAWS, Connector, GIVEN_UP_ENDS_TRANSACTION, Migrator,
    NEWER_IS_REFUSED, ask, changes_session, discard, ends_transaction, flaws, is_stale, limits,
    no_such_table, open, roll_back, silent, trouble, try_lock, unbounded, unusable,
};
#[cfg(test)]
pub(super) use self::sqlite::{CHANGES, LEAVE_NOTHING};
pub use self::sqlite::{Driver, look};

/// The driver's own connection.
pub(super) type Raw = <Driver as sqlx::Database>::Connection;
