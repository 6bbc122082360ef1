//! How long does the database take to answer?
//!
//! sqlx runs a query on anything that is an `Executor`. Ours runs it on sqlx's connection and adds up the time that is
//! spent waiting for the database. The wait for the pool does not count, nor does the time in which the handler reads the
//! rows. Look at `db_query_seconds`, and at the lines "slow statement" of the log. [`bound`](super::bound) bounds the
//! time that is spent waiting.

use std::time::Duration;

use async_stream::try_stream;
use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use sqlx::error::BoxDynError;
use sqlx::{Database, Describe, Either, Error, Execute, Executor, SqlStr};
use tokio::time::Instant;

use super::bound::bounded;
use super::connection::Connection;
use super::driver::{self, Brake, Driver};
use super::pool::Pool;
use super::settle::ConnectionState;
use super::trouble::Trouble;
use crate::ledger::Phase;
use crate::request;
use crate::units::millis;

type Row = <Driver as Database>::Row;
type Done = <Driver as Database>::QueryResult;
type Prepared = <Driver as Database>::Statement;
type Arguments = <Driver as Database>::Arguments;
type TypeInfo = <Driver as Database>::TypeInfo;

/// A statement that takes longer is logged with its text. Higher: slow statements stay unnamed. Lower: each statement
/// writes a line to the log.
pub(super) const SLOW: Duration = Duration::from_secs(1);

impl<'c> Executor<'c> for &'c mut Connection {
    type Database = Driver;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<Done, Row>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Driver>,
    {
        Box::pin(try_stream! {
            let query = OwnedQuery::new(query)?;
            self.begin_statement(query.sql.as_str())?;
            let mut timer = Timer::new(&self.pool, &query.sql);
            let (raw, brake, state) = self.parts();
            let mut rows = raw.fetch_many(query);
            let outcome = loop {
                match timer.time(rows.try_next(), brake, state).await {
                    Ok(Some(row)) => yield row,
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            };
            drop(rows);
            self.end_statement(outcome)?;
        })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<Row>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Driver>,
    {
        Box::pin(async move {
            let query = OwnedQuery::new(query)?;
            self.begin_statement(query.sql.as_str())?;
            let mut timer = Timer::new(&self.pool, &query.sql);
            let (raw, brake, state) = self.parts();
            let mut rows = raw.fetch_many(query);
            let mut first = None;
            // The rows are read to their end, not only to the first row: `INSERT … RETURNING` commits at the end, and may
            // fail there.
            let outcome = loop {
                match timer.time(rows.try_next(), brake, state).await {
                    Ok(Some(row)) => first = first.or(row.right()),
                    Ok(None) => break Ok(first),
                    Err(error) => break Err(error),
                }
            };
            drop(rows);
            self.end_statement(outcome)
        })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [TypeInfo],
    ) -> BoxFuture<'e, Result<Prepared, Error>>
    where
        'c: 'e,
    {
        Box::pin(async move {
            self.begin_statement("")?; // the text is empty, because the statement is only prepared
            let mut timer = Timer::new(&self.pool, &sql);
            let (raw, brake, state) = self.parts();
            let outcome = timer.time(raw.prepare_with(sql, parameters), brake, state).await;
            self.end_statement(outcome)
        })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Driver>, Error>>
    where
        'c: 'e,
    {
        Box::pin(async move {
            self.begin_statement("")?; // nothing is changed: SQLite may take a step, but only of a statement that reads
            let mut timer = Timer::new(&self.pool, &sql);
            let (raw, brake, state) = self.parts();
            let outcome = timer.time(raw.describe(sql), brake, state).await;
            self.end_statement(outcome)
        })
    }
}

impl<'p> Executor<'p> for &'p Pool {
    type Database = Driver;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<Done, Row>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Driver>,
    {
        Box::pin(try_stream! {
            let mut connection = self.acquire().await?;
            let mut rows = connection.fetch_many(query);
            while let Some(row) = rows.try_next().await? {
                yield row;
            }
        })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<Row>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Driver>,
    {
        Box::pin(async move { self.acquire().await?.fetch_optional(query).await })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [TypeInfo],
    ) -> BoxFuture<'e, Result<Prepared, Error>>
    where
        'p: 'e,
    {
        Box::pin(async move { self.acquire().await?.prepare_with(sql, parameters).await })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Driver>, Error>>
    where
        'p: 'e,
    {
        Box::pin(async move { self.acquire().await?.describe(sql).await })
    }
}

/// A query that is taken apart, so that its text is still known when it was slow.
struct OwnedQuery {
    sql: SqlStr,
    arguments: Option<Arguments>,
    persistent: bool,
}

impl OwnedQuery {
    fn new<'q>(mut query: impl Execute<'q, Driver>) -> Result<Self, Error> {
        let arguments = query.take_arguments().map_err(Error::Encode)?;
        let persistent = query.persistent();
        Ok(Self { sql: query.sql(), arguments, persistent })
    }
}

impl Execute<'_, Driver> for OwnedQuery {
    fn sql(self) -> SqlStr {
        self.sql
    }

    /// Always none, because the connection's cache finds the prepared statement by its text.
    fn statement(&self) -> Option<&Prepared> {
        None
    }

    fn take_arguments(&mut self) -> Result<Option<Arguments>, BoxDynError> {
        Ok(self.arguments.take())
    }

    fn persistent(&self) -> bool {
        self.persistent
    }
}

/// Adds up the waits of one statement, and records their sum when the statement ends or is cancelled.
struct Timer {
    pool: Pool,
    sql: SqlStr,
    waited: Duration,
    waiting_since: Option<Instant>,
}

impl Timer {
    fn new(pool: &Pool, sql: &SqlStr) -> Self {
        Self { pool: pool.clone(), sql: sql.clone(), waited: Duration::ZERO, waiting_since: None }
    }

    async fn time<T>(
        &mut self,
        answer: impl Future<Output = Result<T, Error>>,
        brake: &Brake,
        state: &mut ConnectionState,
    ) -> Result<T, Error> {
        let pool = &self.pool.0;
        let now = Instant::now();
        self.waiting_since = Some(now);
        brake.set(now + pool.statement_timeout.saturating_sub(self.waited));
        let before = *state;
        if before != ConnectionState::Lost {
            *state = ConnectionState::Running;
        }
        let bounded = bounded(answer, self.waited, pool.statement_timeout, &pool.pulse);
        let answer = request::wait(Phase::DbQuery, bounded).await;
        brake.release();
        *state = before;
        self.pause();
        match &answer {
            Err(error) if Trouble::is_of_connection(error) => {
                *state = ConnectionState::Lost;
                self.pool.0.pulse.lost();
            }
            Err(error) if driver::is_stale(error) => *state = ConnectionState::Lost,
            // A statement that the database refuses is an answer, too.
            _ => self.pool.0.pulse.answered(),
        }
        answer
    }

    fn pause(&mut self) {
        self.waited += self.waiting_since.take().map_or(Duration::ZERO, |since| since.elapsed());
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.pause();
        self.pool.0.meters.query.record(self.waited);
        if self.waited > SLOW {
            let statement = self.sql.as_str();
            tracing::warn!(statement, duration_ms = millis(self.waited), "slow statement");
        }
    }
}
