//! How is PostgreSQL reached, and what do its errors mean?
//!
//! Each connection sets its own bounds (`statement_timeout`, `lock_timeout`,
//! `idle_in_transaction_session_timeout`), so that the server gives up by itself and the connection can be
//! used again. They are set by a statement: a pooler like PgBouncer refuses unknown start-up parameters.
//! Which kind of pooler stands in between, if any, is found out by [`pooler`].

mod pooler;

use std::borrow::Cow;
use std::fmt;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use memchr::memmem;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgDatabaseError};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection as _, Error, Row, raw_sql};
use tokio::time::{Instant, timeout};

use self::pooler::Way;
use super::super::leftovers::{Change, creates_temporary, first_word, mentions};
use super::super::migrate::Flaws;
use super::super::opening::{CONNECT_TIMEOUT, unreached};
use super::super::pool::Pool;
use super::super::session::Session;
use super::super::steps::Step;
use super::super::{About, Db, Pulse, Trouble, Unusable};
use crate::config::{Config, DatabaseConfig, Note};
use crate::identity::Identity;

/// sqlx's driver of the database of this build: here [`sqlx::Postgres`]. For what names a driver, such as
/// `Executor<'_, Database = Driver>`.
pub type Driver = sqlx::Postgres;

/// While a rollout lasts, old replicas run beside new ones: a migration that the program does not know is no
/// mistake.
pub const NEWER_IS_REFUSED: bool = false;

/// PostgreSQL answers COMMIT of a transaction that has failed with a rollback and no error; a statement before
/// it fails. One round trip for both.
pub const COMMIT: &str = "SELECT 1; COMMIT";

/// Begins a transaction that will write.
pub const BEGIN_TO_WRITE: &str = "BEGIN";

/// What an owner does about an index that cannot be used.
pub const CURE_OF_FLAWS: &str = "Drop what is invalid, and start again";

/// Statements and functions that change the session beyond their transaction.
pub fn changes_session(first: &str, rest: &str) -> Change {
    let is = |words: &[&str]| words.iter().any(|word| first.eq_ignore_ascii_case(word));
    let followed_by = |words: &[&str]| words.iter().any(|word| first_word(rest).eq_ignore_ascii_case(word));
    let calls = |function: &str| memmem::find(rest.as_bytes(), function.as_bytes()).is_some();
    // `DEALLOCATE ALL` would take the driver's own statements along, too.
    if is(&["PREPARE", "DEALLOCATE", "LOAD"]) && !followed_by(&["TRANSACTION"]) {
        return Change::BeyondRepair;
    }
    let changes = is(&["RESET", "LISTEN", "DISCARD"])
        || (is(&["SET"]) && !followed_by(&["LOCAL", "TRANSACTION", "CONSTRAINTS"]))
        || (is(&["DECLARE"]) && mentions(rest, "WITH HOLD"))
        || creates_temporary(first, rest)
        || calls("advisory_lock(")
        || calls("advisory_lock_shared(")
        // Its last argument says whether it is for the transaction alone.
        || (calls("set_config(") && !mentions(rest, "true)"));
    if changes { Change::Reversible } else { Change::Nothing }
}
#[cfg(test)]
pub const CHANGES: &[(&str, Change)] = &[
    ("SET search_path = private", Change::Reversible),
    ("set session characteristics as transaction read only", Change::Reversible),
    ("SELECT set_config('a.b', 'c', false)", Change::Reversible),
    ("SELECT pg_try_advisory_lock(1)", Change::Reversible),
    ("LISTEN news", Change::Reversible),
    ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", Change::Reversible),
    ("RESET statement_timeout", Change::Reversible),
    ("CREATE TEMP TABLE t (n int)", Change::Reversible),
    ("PREPARE p AS SELECT 1", Change::BeyondRepair),
];
#[cfg(test)]
pub const LEAVE_NOTHING: &[&str] = &[
    "SET LOCAL search_path = private",
    "SELECT set_config('app.tenant', $1, true)",
    "SELECT pg_advisory_xact_lock(1)",
    "DECLARE c CURSOR FOR SELECT 1",
    "PREPARE TRANSACTION 'one'",
];

/// How long closing a connection may take. Higher: a permit waits for a peer that is gone. Lower: the server
/// logs a connection that ended without a word.
const GOODBYE: Duration = Duration::from_millis(500);
/// How long `check` waits for the server. Higher: a check that finds nobody takes longer. Lower: a slow
/// network counts as nobody.
const LOOK: Duration = Duration::from_secs(5);

/// Opens connections.
#[derive(Clone)]
pub struct Connector {
    options: PgConnectOptions,
    /// `connect_timeout` of the URL, otherwise `database.connect_timeout`.
    connect_timeout: Duration,
    /// A server that is wanted answers it with true.
    question: Option<&'static str>,
    /// Run on each new connection; empty where sessions do not last.
    settings: Arc<str>,
    lifetime: Duration,
}

/// The server ends a statement that takes too long by itself.
#[derive(Clone, Copy, Debug)]
pub struct Brake;

impl Brake {
    pub fn set(self, _due: Instant) {}
    pub fn pull(self) {}
    pub fn release(self) {}
}

/// sqlx's own would print the password.
impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connector({}:{})", self.options.get_host(), self.options.get_port())
    }
}

impl Connector {
    fn new(config: &DatabaseConfig, identity: Identity) -> Result<Self, Unusable> {
        // Whoever loaded the configuration has seen that already.
        let address = config.address();
        let address =
            address.map_err(|problem| Unusable::new(&config.url.to_string(), &problem, "Correct it"))?;
        let connect_timeout = address.connect_timeout.unwrap_or(config.connect_timeout);
        let (options, question) = (address.options, address.session.question());
        let name = options.get_application_name().unwrap_or(identity.package).to_owned();
        let options = options
            .application_name(&name)
            .statement_cache_capacity(config.statement_cache)
            // PgBouncer refuses it, and since PostgreSQL 12 the default is exact.
            .extra_float_digits(None)
            // Slow statements are logged by our executor, where the request is known.
            .disable_statement_logging();
        let lifetime = config.max_lifetime;
        Ok(Self { options, connect_timeout, question, settings: "".into(), lifetime })
    }

    /// The same with the bounds of `config` on each connection; `statement_timeout` may differ.
    fn bounded(&self, config: &DatabaseConfig, statement_timeout: Duration) -> Self {
        // Last, no warnings: the pool rolls back where there may be no transaction.
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

    pub async fn connect(&self) -> Result<Session, sqlx::Error> {
        let opening = async {
            let mut raw = self.options.connect().await?;
            if let Some(question) = self.question
                && !raw_sql(question).fetch_one(&mut raw).await?.try_get::<bool, _>(0)?
            {
                discard(raw).await;
                return Err(Error::Protocol(
                    "the server is not what target_session_attrs asks for".to_owned(),
                ));
            }
            self.set_up(&mut raw).await?;
            Ok(raw)
        };
        let raw = timeout(self.connect_timeout, opening).await.map_err(|_| unreached(CONNECT_TIMEOUT))??;
        Ok(self.session(raw))
    }

    fn session(&self, raw: PgConnection) -> Session {
        Session::new(raw, Brake, self.lifetime)
    }

    async fn set_up(&self, raw: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.settings.is_empty() {
            return Ok(());
        }
        raw_sql(AssertSqlSafe(&*self.settings)).execute(raw).await.map(drop)
    }

    /// Takes back what a user changed in the session, so that the next user finds it as it was opened. False through
    /// a pooler in transaction mode: the change is on some server of its own.
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

/// A connection that changes the schema.
pub struct Migrator {
    pub raw: PgConnection,
    connector: Connector,
}

impl Migrator {
    /// Puts back what a step before may have changed for good. Not the lock that keeps replicas apart.
    pub async fn begin_step(&mut self) -> Result<(), sqlx::Error> {
        let all = format!("SET SESSION AUTHORIZATION DEFAULT; RESET ALL; {}", self.connector.settings);
        raw_sql(AssertSqlSafe(all)).execute(&mut self.raw).await.map(drop)
    }
}

/// Connects, having looked at what stands in between. Returns the pool, which has a connection already, and
/// another one for the migrations.
///
/// # Errors
/// The URL is none, the server cannot be reached or refuses us, or a pooler loses prepared statements.
pub async fn open(config: &Config, identity: Identity) -> Result<(Db, Migrator), Unusable> {
    let config = &config.database;
    let url = &*config.url.to_string();
    let plain = Connector::new(config, identity)?;
    let begun = Instant::now();
    let opened = pooler::open_two(&plain).await;
    let (mut first, mut migrator) = opened.map_err(|error| unusable(url, &error))?;
    let opening = begun.elapsed();
    let way = timeout(LOOK, pooler::way(&mut first, &mut migrator)).await.map_err(|_| silent(url))?;
    let way = way.map_err(|error| unusable(url, &error))?;
    let pulse = Pulse::now();
    let (connector, migrating, can_migrate) = match way {
        Way::Straight => {
            let connector = plain.bounded(config, config.statement_timeout);
            // A migration takes the time it takes. For a lock it waits no longer than others; then the start
            // tries again.
            let without_limit = plain.bounded(config, Duration::ZERO);
            let set_up = futures_util::future::try_join(
                connector.set_up(&mut first),
                without_limit.set_up(&mut migrator),
            );
            let begun = Instant::now();
            let set_up = timeout(LOOK, set_up).await.map_err(|_| silent(url))?;
            set_up.map_err(|error| unusable(url, &error))?;
            pulse.round_trip(begun.elapsed());
            (connector, without_limit, true)
        }
        Way::Transactions { statements: true } => {
            let begun = Instant::now();
            let asked = timeout(LOOK, ask(&mut first)).await.map_err(|_| silent(url))?;
            asked.map_err(|error| unusable(url, &error))?;
            pulse.round_trip(begun.elapsed());
            (plain.clone(), plain, false)
        }
        Way::Transactions { statements: false } => return Err(loses_statements(url)),
    };
    let first = connector.session(first);
    let main = Pool::new("main", config.max_connections, "BEGIN", config, connector.clone(), pulse.clone());
    main.adopt(first, opening);
    let about = About { url: url.to_owned(), reader: connector, can_migrate, pulse };
    // One pool: the server has no single writer. The two names keep the queries the same for every database.
    let migrator = Migrator { raw: migrator, connector: migrating };
    Ok((Db { read: main.clone(), write: main, about: Arc::new(about) }, migrator))
}

/// The lock that sqlx takes, so that its command line tool and older programs keep out, too. Never waits.
pub async fn try_lock(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    // Not prepared, which would be a round trip more for each.
    let name: String = raw_sql("SELECT current_database()").fetch_one(&mut *connection).await?.try_get(0)?;
    let id = 0x3d32_ad9e * i64::from(crc32(name.as_bytes()));
    let lock = AssertSqlSafe(format!("SELECT pg_try_advisory_lock({id})"));
    raw_sql(lock).fetch_one(connection).await?.try_get(0)
}

/// CRC-32 as of ISO-HDLC, which sqlx makes its lock of.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// A step outside a transaction waits for what it has to wait for. Cancelled, it would stay half done.
pub async fn unbounded(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    raw_sql("SET lock_timeout = 0; SET statement_timeout = 0").execute(connection).await.map(drop)
}

/// Indexes that a build left behind half-way: PostgreSQL keeps them up to date and never uses them. Only those
/// that were not there `before`, or that the step names: `IF NOT EXISTS` takes such an index for a good one.
pub async fn flaws(connection: &mut PgConnection, step: &Step, before: &Flaws) -> Result<Flaws, sqlx::Error> {
    let invalid = raw_sql(
        "SELECT format('%I.%I', n.nspname, c.relname), c.relname
         FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE NOT i.indisvalid AND c.relkind = 'i'
           AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = c.oid)
         ORDER BY 1",
    );
    let (mut shown, mut all) = (Vec::new(), Vec::new());
    for row in invalid.fetch_all(connection).await? {
        let (full, name): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let flaw = format!("the index {full} is invalid: DROP INDEX CONCURRENTLY {full}");
        let mut words = step.sql.as_str().split(|c: char| !c.is_alphanumeric() && c != '_');
        if words.any(|word| word == name) || !before.all.contains(&flaw) {
            shown.push(flaw.clone());
        }
        all.push(flaw);
    }
    Ok(Flaws { count: shown.len(), shown, all })
}

/// Ends the transaction that is open, if one is. `ours` is one that was begun here and not ended.
pub async fn roll_back(connection: &mut PgConnection, ours: bool) -> Result<bool, sqlx::Error> {
    if ours {
        return raw_sql("ROLLBACK").execute(connection).await.map(|_| true);
    }
    // Without one the server would put a warning into its log. The driver knows whether a transaction is open,
    // and says so here alone.
    match connection.begin_with("").await {
        Ok(open) => return open.rollback().await.map(|()| true),
        Err(Error::BeginFailed) => {}
        Err(error) => return Err(error),
    }
    match raw_sql("SELECT 1").execute(&mut *connection).await {
        Ok(_) => Ok(false),
        // It has failed, and refuses everything but its end.
        Err(error) if code(&error) == "25P02" => raw_sql("ROLLBACK").execute(connection).await.map(|_| true),
        Err(error) => Err(error),
    }
}

/// The server goes on with it, and its transaction stays open.
pub const GIVEN_UP_ENDS_TRANSACTION: bool = false;

/// A transaction that failed here refuses everything until it is ended.
pub fn ends_transaction(_error: &sqlx::Error) -> bool {
    false
}

fn loses_statements(url: &str) -> Unusable {
    let problem = "a pooler in transaction mode stands before the server, and loses prepared statements";
    let advice = "Go to the server directly, or let the pooler use session mode, or PgBouncer 1.21 or later \
                  with max_prepared_statements above 0";
    Unusable::new(url, &problem, advice)
}

/// Why the server cannot be used. One that is not there yet, or is full, may be soon.
pub fn unusable(url: &str, error: &sqlx::Error) -> Unusable {
    let advice = match &*code(error) {
        code if code.starts_with("28") => "Check the user, its password, and pg_hba.conf of the server",
        "3D000" => "Create it, or name another",
        _ if is_tls(error) => "Check sslmode, sslrootcert and the server's certificate",
        "55P03" | "40P01" => {
            let advice = "Somebody else holds a lock that this needs: see pg_stat_activity and pg_locks";
            return Unusable::new(url, error, advice).passing();
        }
        code if code.starts_with("53") => {
            let advice = "The server has no place left: see its max_connections, and platform.replicas here";
            return Unusable::new(url, error, advice).passing();
        }
        _ if matches!(Trouble::of(error), Trouble::Away | Trouble::Busy | Trouble::Conflict) => {
            return Unusable::new(url, error, "Is it running, and can it be reached from here?").passing();
        }
        _ => "May this user do that?",
    };
    Unusable::new(url, error, advice)
}

/// The SQLSTATE; empty if the server did not say anything.
fn code(error: &sqlx::Error) -> Cow<'_, str> {
    error.as_database_error().and_then(|error| error.code()).unwrap_or_default()
}

fn is_tls(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Tls(_) => true,
        sqlx::Error::Io(error) => error.kind() == ErrorKind::InvalidData, // a certificate
        _ => false,
    }
}

/// The server did not answer in time.
pub fn silent(url: &str) -> Unusable {
    Unusable::new(url, &"no answer", "Is it running, and does a firewall swallow the packets?").passing()
}

/// What an SQLSTATE means (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
pub fn trouble(code: &str) -> Trouble {
    match code {
        "40001" | "40P01" => Trouble::Conflict, // serialization_failure, deadlock_detected
        "55P03" => Trouble::Busy,               // lock_not_available
        "57014" | "25P03" => Trouble::Slow,     // query_canceled, idle_in_transaction_session_timeout
        // A read-only server: after a failover it is not the one to write to.
        "25006" => Trouble::Away,
        _ => match code.get(..2) {
            Some("53") => Trouble::Busy, // insufficient resources: connections, memory, disk
            // Connection exceptions, refused log-ins, no such database, operator intervention, system errors.
            Some("08" | "28" | "3D" | "57" | "58") => Trouble::Away,
            _ => Trouble::Refused,
        },
    }
}

/// A migration changed what a prepared statement returns. Its connection would refuse it for ever, since sqlx
/// prepares it once.
pub fn is_stale(error: &sqlx::Error) -> bool {
    let error = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    error.is_some_and(|error| error.code() == "0A000" && error.routine() == Some("RevalidateCachedQuery"))
}

pub fn no_such_table(error: &sqlx::Error) -> bool {
    code(error) == "42P01"
}

/// The question behind readiness. A pooler could answer a ping by itself.
pub async fn ask(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    raw_sql("SELECT 1").execute(connection).await.map(drop)
}

/// Says goodbye, but does not wait long for a server that is gone.
pub async fn discard(connection: PgConnection) {
    let _ = timeout(GOODBYE, connection.close()).await;
}

/// Asks the server for its limits, and whether the way to it is encrypted.
///
/// # Errors
/// It does not answer, or could not be used.
pub async fn look(config: &Config, identity: Identity) -> Result<Vec<Note>, Unusable> {
    let url = &*config.database.url.to_string();
    let plain = Connector::new(&config.database, identity)?;
    let looked = async {
        let (mut one, mut other) = pooler::open_two(&plain).await?;
        let way = pooler::way(&mut one, &mut other).await;
        discard(other).await;
        match way? {
            Way::Straight => Ok(Ok(facts(one).await?.notes(config))),
            Way::Transactions { statements: false } => Ok(Err(loses_statements(url))),
            Way::Transactions { statements: true } => Ok(Ok(vec![behind_a_pooler()])),
        }
    };
    let looked = timeout(LOOK, looked).await.map_err(|_| silent(url))?;
    looked.map_err(|error: sqlx::Error| unusable(url, &error))?
}

/// The same for a database that is open: how it is reached is known.
///
/// # Errors
/// It does not answer, or could not be used.
pub async fn limits(
    connector: &Connector,
    is_straight: bool,
    config: &Config,
) -> Result<Vec<Note>, Unusable> {
    if !is_straight {
        return Ok(vec![behind_a_pooler()]);
    }
    let url = &*config.database.url.to_string();
    let asked = async { facts(connector.connect().await?.raw).await };
    let facts = timeout(LOOK, asked).await.map_err(|_| silent(url))?;
    Ok(facts.map_err(|error| unusable(url, &error))?.notes(config))
}

fn behind_a_pooler() -> Note {
    Note::Advice(
        "a pooler in transaction mode stands before the server: its limits are not known, the timeouts of \
         statements, locks and transactions are not set there (ALTER ROLE can), and migrations need a database.url \
         that goes to the server"
            .to_owned(),
    )
}

/// What the server grants, and how we reached it.
#[derive(sqlx::FromRow)]
struct Facts {
    max_connections: i32,
    reserved: i32,
    /// Of the role and of the database; below 0: none.
    role_limit: i32,
    database_limit: i32,
    is_local: bool,
    is_encrypted: bool,
}

async fn facts(mut connection: PgConnection) -> Result<Facts, sqlx::Error> {
    // reserved_connections exists since PostgreSQL 16.
    let facts = sqlx::query_as(
        "SELECT current_setting('max_connections')::int AS max_connections,
            current_setting('superuser_reserved_connections')::int
                + coalesce(current_setting('reserved_connections', true), '0')::int AS reserved,
            (SELECT rolconnlimit FROM pg_roles WHERE rolname = session_user) AS role_limit,
            (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS database_limit,
            coalesce(inet_server_addr() <<= '127.0.0.0/8' OR inet_server_addr() = '::1', true) AS is_local,
            (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS is_encrypted",
    );
    let facts = facts.fetch_one(&mut connection).await;
    discard(connection).await;
    facts
}

impl Facts {
    fn notes(&self, config: &Config) -> Vec<Note> {
        let (replicas, pool) = (config.platform.replicas, config.database.max_connections);
        let wanted = u64::from(replicas) * (u64::from(pool) + 1);
        let sum = format!("platform.replicas {replicas} × (database.max_connections {pool} + 1) = {wanted}");
        let server = self.max_connections - self.reserved;
        let limits = [
            (server, format!("the server has ({} − {} reserved)", self.max_connections, self.reserved)),
            (self.role_limit, "the role may have".to_owned()),
            (self.database_limit, "the database may have".to_owned()),
        ];
        let known = limits.into_iter().filter_map(|(limit, whose)| Some((u64::try_from(limit).ok()?, whose)));
        let mut notes: Vec<_> = known
            .map(|(limit, whose)| match wanted <= limit {
                true => Note::Holds(format!("{sum} ≤ {limit} connections that {whose}")),
                false => Note::Advice(format!(
                    "{sum} > {limit} connections that {whose}: under load some replicas cannot connect"
                )),
            })
            .collect();
        if !self.is_encrypted && !self.is_local {
            notes.push(Note::Advice(
                "the connection to the database is not encrypted: add sslmode=verify-full to database.url"
                    .to_owned(),
            ));
        }
        notes
    }
}
