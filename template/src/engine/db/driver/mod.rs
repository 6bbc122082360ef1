//! Which database is it?
//!
//! One file per database, and each offers the same: how to connect and to close, what its error codes
//! mean, and what the operator should know about it. Everything else is the same for all.

mod sqlite;

pub(super) use self::sqlite::{
    COMMIT, Connector, NEWER_IS_REFUSED, ask, discard, is_stale, no_such_table, open, silent, trouble,
    unusable,
};
pub use self::sqlite::{Driver, look};

/// The driver's own connection.
pub(super) type Raw = <Driver as sqlx::Database>::Connection;
