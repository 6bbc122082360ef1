//! Does a pooler change servers under our sessions?
//!
//! In session mode a pooler is as good as the server. In transaction mode the server behind a connection may be
//! another one after each transaction, so nothing that belongs to a session lasts: settings, advisory locks, and,
//! unless the pooler keeps track of them, prepared statements. A service that starts in spite of that fails later,
//! under load, when two clients meet at one server. So two connections find it out at the start.

use std::time::Duration;

use futures_util::future::try_join;
use sqlx::postgres::PgConnection;
use sqlx::{Row, query, query_scalar, raw_sql};

use super::codes::code;
use super::connector::Connector;

/// The start and `check` wait this long for the server's answers to one group of questions. Higher: they notice late that
/// nobody answers. Lower: a slow network counts as nobody.
pub const LOOK: Duration = Duration::from_secs(5);

/// The two connections are compared this often. Higher: the start takes some round trips longer. Lower: a busy pooler
/// that happens to hand out the same servers again is not noticed.
const ROUNDS: usize = 2;

/// What is between us and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Nothing, or a pooler in session mode.
    Straight,
    /// A pooler in transaction mode. `statements` says whether prepared statements survive the change of servers.
    Transactions { statements: bool },
}

/// Opens two connections at once, so that a far server costs no more time for two than for one.
pub async fn open_two(connector: &Connector) -> Result<(PgConnection, PgConnection), sqlx::Error> {
    try_join(connector.connect(), connector.connect()).await
}

/// What is between us and the server. Where the way is straight, both connections are left as they were opened.
pub async fn way(one: &mut PgConnection, other: &mut PgConnection) -> Result<Way, sqlx::Error> {
    match compare(one, other).await {
        Err(error) if is_lost_statement(&error) => Ok(Way::Transactions { statements: false }),
        way => way,
    }
}

/// Compares the servers of the two connections. Fails with the server's error if a prepared statement is lost.
async fn compare(one: &mut PgConnection, other: &mut PgConnection) -> Result<Way, sqlx::Error> {
    for _ in 0..ROUNDS {
        // This statement is prepared. So the server now has the statement that the driver gives the first number.
        let server: i32 = query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *one).await?;
        // `other` keeps its server for the length of a transaction.
        let of_other = raw_sql("BEGIN; SELECT pg_backend_pid()").fetch_one(&mut *other).await?;
        if of_other.try_get::<i32, _>(0)? == server {
            // Two sessions that are both open share one server. The first statement of `other` has the same number as
            // the first of `one`, so the server refuses it unless the pooler keeps track of statements.
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

/// The process of the server, asked without a prepared statement.
async fn pid(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    raw_sql("SELECT pg_backend_pid()").fetch_one(connection).await?.try_get(0)
}

/// Whether it is `invalid_sql_statement_name` or `duplicate_prepared_statement`.
fn is_lost_statement(error: &sqlx::Error) -> bool {
    matches!(&*code(error), "26000" | "42P05")
}
