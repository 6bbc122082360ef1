//! What becomes of a connection when its user is done with it?
//!
//! One whose last statement ended well goes back at once, without a round trip. It is settled first, in a task of
//! its own, when its user gave it up half-way, when its statement failed, when its transaction is open, or when a
//! statement may have [left something behind](super::leftovers): what is left is read, the transaction rolled
//! back, the session reset. Whatever cannot be settled in time is closed. The permit waits for that, so that no
//! more statements run in the database than the pool has connections.

use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection as _, Error, raw_sql};
use tokio::runtime::Handle;

use super::driver::{self, Brake, Raw};
use super::leftovers::{Change, Leftovers};
use super::pool::Permit;
use super::session::Session;
use super::{Pool, Trouble};
use crate::request::{self, REQUEST, Request};

/// A connection to the database, out of its [`Pool`] until it is dropped: `&mut connection` runs queries of sqlx's.
#[derive(Debug)]
pub struct Connection {
    /// None only while it is dropped.
    parts: Option<(Session, Permit)>,
    /// One of ours is begun, and not ended.
    in_transaction: bool,
    /// The database has rolled it back by itself.
    rolled_back: bool,
    leftovers: Leftovers,
    pub(super) state: State,
    pub(super) pool: Pool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Settled,
    /// A statement failed, or its rows were not read to their end.
    Unsettled,
    /// A statement runs. If nobody waits for it any more, nobody knows what the driver still has to read.
    Running,
    /// The connection is lost, or its statement does not end. It stays so.
    Lost,
}

impl Connection {
    pub(super) fn new(session: Session, permit: Permit, pool: &Pool) -> Self {
        Self {
            parts: Some((session, permit)),
            in_transaction: false,
            rolled_back: false,
            leftovers: Leftovers::default(),
            state: State::Settled,
            pool: pool.clone(),
        }
    }

    /// To be called before each statement. From here to its good end the connection is unsettled.
    pub(super) fn begin_statement(&mut self, sql: &str) -> Result<(), Error> {
        let in_transaction = self.in_transaction || self.leftovers.transaction;
        self.rolled_back |= in_transaction && self.is_over();
        if self.rolled_back {
            // Alone, what follows would be kept.
            let text = "a statement took too long, and the database has rolled this transaction back";
            return Err(Error::Io(io::Error::new(io::ErrorKind::TimedOut, text)));
        }
        let before = self.leftovers;
        self.leftovers.note(sql);
        if self.in_transaction {
            // A savepoint ends with our transaction.
            self.leftovers.transaction = before.transaction;
        }
        if self.state != State::Lost {
            self.state = State::Unsettled;
        }
        Ok(())
    }

    /// To be called after each statement with what became of it.
    pub(super) fn end_statement<T>(&mut self, outcome: Result<T, Error>) -> Result<T, Error> {
        match &outcome {
            Ok(_) if self.state != State::Lost => self.state = State::Settled,
            Ok(_) => {}
            Err(error) => {
                let in_transaction = self.in_transaction || self.leftovers.transaction;
                self.rolled_back |= in_transaction && driver::ends_transaction(error);
            }
        }
        outcome
    }

    /// Whether the database has ended our transaction by itself, or will.
    fn is_over(&self) -> bool {
        self.rolled_back || (self.state == State::Running && driver::GIVEN_UP_ENDS_TRANSACTION)
    }

    /// The driver's own connection, what ends its statement, and in which state it is. What runs on it escapes
    /// `db_query_seconds`.
    #[expect(clippy::expect_used, reason = "taken in drop alone")]
    pub(super) fn parts(&mut self) -> (&mut Raw, &Brake, &mut State) {
        let session = &mut self.parts.as_mut().expect("present until dropped").0;
        (&mut session.raw, &session.brake, &mut self.state)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some((session, permit)) = self.parts.take() else { return };
        if !self.in_transaction && self.state == State::Settled && !self.leftovers.any() {
            return self.pool.give_back(session, permit);
        }
        // Without a runtime there is nobody left who could wait for it.
        let Ok(runtime) = Handle::try_current() else { return };
        let left = Left {
            state: self.state,
            in_transaction: self.in_transaction,
            leftovers: self.leftovers,
            request: if self.leftovers.any() { request::current() } else { None },
        };
        let pool = self.pool.clone();
        // Nobody waits for this statement any more.
        session.brake.pull();
        #[expect(clippy::disallowed_methods, reason = "belongs to the pool, not to the request")]
        runtime.spawn(async move {
            let mut session = session;
            if left.is_settled(&pool, &mut session).await {
                pool.give_back(session, permit);
            } else {
                // The permit waits for this, too: the bound on connections holds.
                driver::discard(session.raw).await;
                drop(permit);
            }
        });
    }
}

/// How a user left a connection.
struct Left {
    state: State,
    in_transaction: bool,
    leftovers: Leftovers,
    request: Option<Arc<Request>>,
}

impl Left {
    /// Brings the connection to where its next user may begin, if that can be done. Waits as long as a
    /// statement may take: one that was given up still keeps the database busy, so its permit is not free.
    async fn is_settled(&self, pool: &Pool, session: &mut Session) -> bool {
        self.state != State::Lost
            && pool.0.bounded(self.settle(pool, session), Duration::ZERO).await.is_ok()
            && self.leftovers.session != Change::BeyondRepair
    }

    async fn settle(&self, pool: &Pool, session: &mut Session) -> Result<(), Error> {
        let raw = &mut session.raw;
        let asked = match raw.ping().await {
            // It read what was left over, and that was the error of the statement that was given up.
            Err(error) if !Trouble::is_of_connection(&error) => raw.ping().await,
            outcome => outcome,
        };
        // Whatever ran has ended; what follows must not be.
        session.brake.release();
        asked?;
        if self.in_transaction || self.leftovers.transaction {
            let was_open = driver::roll_back(raw, self.in_transaction).await?;
            if was_open && !self.in_transaction {
                self.warn("a transaction was left open: it is rolled back. Use `begin` of the pool");
            }
        }
        let taken_back = match self.leftovers.session {
            Change::Nothing => return Ok(()),
            Change::Reversible => pool.0.connector.reset(raw).await?,
            Change::BeyondRepair => true, // with the connection
        };
        self.warn(match taken_back {
            true => "the session was changed for good: that is taken back. Use `SET LOCAL` and the like",
            false => "the session was changed for good, and a pooler stands between: others may get it",
        });
        Ok(())
    }

    /// With the id of the request that left it.
    fn warn(&self, what: &'static str) {
        let route = self.request.as_ref().map(|request| &*request.meters.route);
        let say = || tracing::warn!(route, "{what}");
        match &self.request {
            Some(request) => REQUEST.sync_scope(Arc::clone(request), say),
            None => say(),
        }
    }
}

/// A transaction of the database, rolled back unless it is committed: `&mut *transaction` runs queries, as with sqlx's
/// own.
#[derive(Debug)]
pub struct Transaction(Connection);

impl Transaction {
    pub(super) async fn begin(mut connection: Connection, begin: &'static str) -> Result<Self, sqlx::Error> {
        connection.in_transaction = true; // before the statement: it may be cancelled half-way
        raw_sql(begin).execute(&mut connection).await?;
        Ok(Self(connection))
    }

    /// Makes permanent what was done in it.
    ///
    /// # Errors
    /// The database refused, or a statement before had failed: nothing was changed. Or the answer did not come:
    /// nobody knows, and the log says so. The same when this is dropped before it is done.
    pub async fn commit(mut self) -> Result<(), sqlx::Error> {
        // What the database has rolled back already is not even sent.
        let mut commit = Commit { is_answered: self.0.is_over() };
        let outcome = raw_sql(driver::COMMIT).execute(&mut self.0).await;
        commit.is_answered |= outcome.as_ref().err().is_none_or(|error| !Trouble::is_of_connection(error));
        outcome?;
        self.0.in_transaction = false;
        Ok(())
    }
}

/// A COMMIT on its way. The database may have done it although its answer never came.
struct Commit {
    is_answered: bool,
}

impl Drop for Commit {
    fn drop(&mut self) {
        if !self.is_answered {
            tracing::warn!("commit: nobody knows whether it was done");
        }
    }
}

impl Deref for Transaction {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}
