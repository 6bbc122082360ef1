//! Which database is it?
//!
//! Each database has a folder, and all folders offer the same items. The cargo feature chooses the folder. These files
//! are in a folder:
//!
//! | file | the question it answers |
//! |---|---|
//! | `codes.rs` | What do the database's errors mean? |
//! | `advice.rs` | Why can the database not be used, and what can be done about it? |
//! | `brake.rs` | How is a statement ended that runs too long? |
//! | `changes.rs` | Which statements change the session beyond their transaction? |
//! | `transaction.rs` | How does a transaction begin and end? |
//! | `connector.rs` | How is a connection opened, asked, reset and closed? |
//! | `migrator.rs` | What does a connection need that changes the schema? |
//! | `open.rs` | How is the database opened? |
//! | `limits.rs` | What should the operator know of the database? |
//!
//! Everything above this folder is the same for all databases, and nothing in this folder knows of pools.

mod classify;
mod opened;
#[cfg(all(feature = "postgres", not(feature = "sqlite")))]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

pub(super) use self::opened::{Opened, PoolPlan};
#[cfg(all(feature = "postgres", not(feature = "sqlite")))]
use self::postgres as chosen;
#[cfg(feature = "sqlite")]
use self::sqlite as chosen;

pub(super) use self::chosen::advice::{silent, unusable};
pub(super) use self::chosen::brake::Brake;
pub(super) use self::chosen::changes::changes_session;
#[cfg(test)]
pub(super) use self::chosen::changes::{CHANGES, LEAVE_NOTHING};
pub(super) use self::chosen::codes::{ends_transaction, is_stale, no_such_table};
pub use self::chosen::connector::Driver;
pub(super) use self::chosen::connector::{Connector, Raw, ask, close, discard};
pub(super) use self::chosen::limits::limits;
pub use self::chosen::limits::look;
pub(super) use self::chosen::migrator::{
    CURE_OF_FLAWS, Migrator, NEWER_IS_REFUSED, flaws, try_lock, unbounded,
};
pub(super) use self::chosen::open::open;
pub(super) use self::chosen::transaction::{BEGIN_TO_WRITE, COMMIT, GIVEN_UP_ENDS_TRANSACTION, roll_back};
