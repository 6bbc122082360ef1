//! Which database is it?
//!
//! One file per database, and each offers the same: how to connect and to close, what its error codes
//! mean, and what the operator should know about it. Everything else is the same for all. The cargo feature chooses.

#[cfg(all(feature = "postgres", not(feature = "sqlite")))]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(all(feature = "postgres", not(feature = "sqlite")))]
use self::postgres as chosen;
#[cfg(feature = "sqlite")]
use self::sqlite as chosen;

pub(super) use self::chosen::{
    BEGIN_TO_WRITE, Brake, COMMIT, CURE_OF_FLAWS, Connector, GIVEN_UP_ENDS_TRANSACTION, Migrator,
    NEWER_IS_REFUSED, ask, changes_session, discard, ends_transaction, flaws, is_stale, limits,
    no_such_table, open, roll_back, silent, trouble, try_lock, unbounded, unusable,
};
#[cfg(test)]
pub(super) use self::chosen::{CHANGES, LEAVE_NOTHING};
pub use self::chosen::{Driver, look};

/// The driver's own connection.
pub(super) type Raw = <Driver as sqlx::Database>::Connection;
