//! How is a connection to PostgreSQL opened, asked, reset and closed?
//!
//! Each connection sets its own bounds (`statement_timeout`, `lock_timeout`, `idle_in_transaction_session_timeout`), so
//! that the server gives up by itself and the connection can be used again. They are set by a statement: a pooler like
//! PgBouncer refuses unknown start-up parameters.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection as _, Error, Row, raw_sql};
use tokio::time::timeout;
use tracing_log::log::LevelFilter;

use super::super::super::timeouts::{CONNECT_TIMEOUT, unreached};
use super::super::super::unusable::Unusable;
use crate::config::DatabaseConfig;
use crate::identity::Identity;

/// sqlx's driver of the database of this build: here [`sqlx::Postgres`]. Use it where sqlx wants a driver by name, for
/// example in a function that takes a pool as well as a transaction: `db: impl sqlx::Executor<'_, Database = Driver>`.
pub type Driver = sqlx::Postgres;

/// The driver's own connection.
pub type Raw = PgConnection;

/// How long closing a connection may take. Higher: a permit waits for a server that is gone. Lower: the
/// server logs a connection that was not closed properly.
const GOODBYE: Duration = Duration::from_millis(500);

/// Opens connections.
#[derive(Clone)]
pub struct Connector {
    options: PgConnectOptions,
    /// The `connect_timeout` of the URL if it has one, and otherwise `database.connect_timeout`.
    connect_timeout: Duration,
    /// A server that `target_session_attrs` asks for answers this question with true.
    question: Option<&'static str>,
    /// These statements run on each new connection. Empty where sessions do not last.
    settings: Arc<str>,
    max_lifetime: Duration,
}

/// This is not derived, because sqlx's options would print the password.
impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connector({}:{})", self.options.get_host(), self.options.get_port())
    }
}

impl Connector {
    pub fn new(config: &DatabaseConfig, identity: Identity) -> Result<Self, Unusable> {
        // A URL that is not valid was refused when the configuration was loaded.
        let address = config.address();
        let address = address.map_err(|problem| Unusable::new(&config.url, &problem, "Correct it"))?;
        let connect_timeout = address.connect_timeout.unwrap_or(config.connect_timeout);
        let (options, question) = (address.options, address.session.question());
        let name = options.get_application_name().unwrap_or(identity.package).to_owned();
        let options = options
            .application_name(&name)
            .statement_cache_capacity(config.statement_cache)
            // PgBouncer refuses this parameter, and since PostgreSQL 12 the default is exact.
            .extra_float_digits(None)
            // Slow statements are logged by our executor, where the request is known.
            .disable_statement_logging();
        let max_lifetime = config.max_lifetime;
        Ok(Self { options, connect_timeout, question, settings: "".into(), max_lifetime })
    }

    /// The same connector, but with the bounds of `config` on each connection. Only `statement_timeout` is given apart.
    pub fn bounded(&self, config: &DatabaseConfig, statement_timeout: Duration) -> Self {
        // The last setting keeps warnings back, because the pool also rolls back when there may be no transaction.
        let settings = format!(
            "SET statement_timeout = {}; SET lock_timeout = {}; \
             SET idle_in_transaction_session_timeout = {}; SET client_min_messages = error",
            statement_timeout.as_millis(),
            config.lock_timeout.as_millis(),
            config.idle_in_transaction_timeout.as_millis(),
        );
        Self { settings: settings.into(), ..self.clone() }
    }

    pub fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    pub fn max_lifetime(&self) -> Duration {
        self.max_lifetime
    }

    /// The statements that give a connection its bounds. Empty where sessions do not last.
    pub fn settings(&self) -> &str {
        &self.settings
    }

    pub async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let opening = async {
            let mut raw = self.options.connect().await?;
            match self.admit(&mut raw).await {
                Ok(()) => Ok(raw),
                Err(error) => {
                    discard(raw).await;
                    Err(error)
                }
            }
        };
        timeout(self.connect_timeout, opening).await.map_err(|_| unreached(CONNECT_TIMEOUT))?
    }

    /// A pool of sqlx's own, which opens its connections as this connector does. It logs statements that are slower than
    /// `slow`.
    #[expect(clippy::disallowed_methods, reason = "this is the way in which owners get such a pool")]
    pub fn sqlx_pool(&self, pool: PoolOptions<Driver>, slow: Duration) -> sqlx::Pool<Driver> {
        let options = self.options.clone().log_slow_statements(LevelFilter::Warn, slow);
        let connector = self.clone();
        let pool = pool.after_connect(move |raw, _| {
            let connector = connector.clone();
            Box::pin(async move { connector.admit(raw).await })
        });
        pool.connect_lazy_with(options)
    }

    /// Refuses a server that is not what the URL asks for. Gives a connection to any other server its bounds.
    async fn admit(&self, raw: &mut PgConnection) -> Result<(), sqlx::Error> {
        if let Some(question) = self.question
            && !raw_sql(question).fetch_one(&mut *raw).await?.try_get::<bool, _>(0)?
        {
            return Err(Error::Protocol("the server is not what target_session_attrs asks for".to_owned()));
        }
        self.set_up(raw).await
    }

    /// Gives the connection its bounds.
    pub async fn set_up(&self, raw: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.settings.is_empty() {
            return Ok(());
        }
        raw_sql(AssertSqlSafe(&*self.settings)).execute(raw).await.map(drop)
    }

    /// Takes back what a user changed in the session, so that the next user finds it as it was opened. False behind a
    /// pooler in transaction mode: the change was made on a server that this connection may no longer have.
    pub async fn reset(&self, raw: &mut PgConnection) -> Result<bool, sqlx::Error> {
        if self.settings.is_empty() {
            return Ok(false);
        }
        let all = format!(
            "SET SESSION AUTHORIZATION DEFAULT; RESET ALL; CLOSE ALL; UNLISTEN *; \
             SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES; {}",
            self.settings
        );
        raw_sql(AssertSqlSafe(all)).execute(raw).await.map(|_| true)
    }
}

/// The question behind readiness. It is a statement, since a pooler could answer a ping by itself.
pub async fn ask(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    raw_sql("SELECT 1").execute(connection).await.map(drop)
}

/// Closes a connection in order.
pub async fn close(connection: PgConnection) {
    let _ = connection.close().await;
}

/// Closes a connection that is of no use, but does not wait long for a server that is gone.
pub async fn discard(connection: PgConnection) {
    let _ = timeout(GOODBYE, connection.close()).await;
}
