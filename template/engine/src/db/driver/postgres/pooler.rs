//! Does a pooler change servers under our sessions?
//!
//! In session mode a pooler is as good as the server. In transaction mode the server behind a connection may
//! be another one after each transaction, so nothing that belongs to a session lasts: settings, advisory
//! locks, and, unless the pooler keeps track of them, prepared statements. A service that starts all the same
//! fails later, under load, when two clients meet at one server. So two connections find out before.

use std::time::Duration;

use futures_util::future::try_join;
use sqlx::postgres::PgConnection;
use sqlx::{Row, query, query_scalar, raw_sql};

use super::codes::code;
use super::connector::Connector;

/// The start and `check` wait this long for the server's answers to one group of questions. Higher: they notice late that
/// nobody answers. Lower: a slow network counts as nobody.
pub const LOOK: Duration = Duration::from_secs(5);
/// How often the two are compared. Higher: the start takes some round trips longer. Lower: a busy pooler that
/// happens to hand out the same servers again is taken for none.
const ROUNDS: usize = 2;

/// What is between us and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Nothing, or a pooler in session mode.
    Straight,
    /// A pooler in transaction mode; `statements`: prepared ones survive the change of servers.
    Transactions { statements: bool },
}

/// Two connections at once, so that a far server costs no more time for two than for one.
pub async fn open_two(connector: &Connector) -> Result<(PgConnection, PgConnection), sqlx::Error> {
    try_join(connector.connect(), connector.connect()).await
}

/// Leaves both as they were opened where the way is straight.
pub async fn way(one: &mut PgConnection, other: &mut PgConnection) -> Result<Way, sqlx::Error> {
    match compare(one, other).await {
        Err(error) if is_lost_statement(&error) => Ok(Way::Transactions { statements: false }),
        way => way,
    }
}

/// Fails with a lost statement where one is lost.
async fn compare(one: &mut PgConnection, other: &mut PgConnection) -> Result<Way, sqlx::Error> {
    for _ in 0..ROUNDS {
        // Prepared, so this server now has the statement that the driver numbers first.
        let server: i32 = query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *one).await?;
        // `other` keeps its server for the length of a transaction.
        let of_other = raw_sql("BEGIN; SELECT pg_backend_pid()").fetch_one(&mut *other).await?;
        if of_other.try_get::<i32, _>(0)? == server {
            // Two living sessions at one server. Its first statement has the number of `one`'s.
            query("SELECT 1").execute(&mut *other).await?;
            return Ok(Way::Transactions { statements: true });
        }
        if pid(one).await? != server {
            // The server that answers now has not seen the statement.
            query("SELECT pg_backend_pid()").execute(&mut *one).await?;
            return Ok(Way::Transactions { statements: true });
        }
        raw_sql("ROLLBACK").execute(&mut *other).await?;
    }
    Ok(Way::Straight)
}

/// The server's process, asked without a prepared statement.
async fn pid(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    raw_sql("SELECT pg_backend_pid()").fetch_one(connection).await?.try_get(0)
}

/// `invalid_sql_statement_name`, `duplicate_prepared_statement`.
fn is_lost_statement(error: &sqlx::Error) -> bool {
    matches!(&*code(error), "26000" | "42P05")
}
