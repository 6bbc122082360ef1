//! What does the server grant, and is that enough for all replicas?

use sqlx::postgres::PgConnection;
use tokio::time::timeout;

use super::super::super::unusable::Unusable;
use super::advice::{loses_statements, silent, unusable};
use super::connector::{Connector, discard};
use super::pooler::{self, LOOK, Way};
use crate::config::Config;
use crate::config::Note;
use crate::identity::Identity;

/// Asks the server for its limits, and whether the way to it is encrypted.
///
/// # Errors
/// The server does not answer, or could not be used.
pub async fn look(config: &Config, identity: Identity) -> Result<Vec<Note>, Unusable> {
    let url = &config.database.url;
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

/// The same for a database that is open, so that we already know how the server is reached.
///
/// # Errors
/// The server does not answer, or could not be used.
pub async fn limits(
    connector: &Connector,
    is_straight: bool,
    config: &Config,
) -> Result<Vec<Note>, Unusable> {
    if !is_straight {
        return Ok(vec![behind_a_pooler()]);
    }
    let url = &config.database.url;
    let asked = async { facts(connector.connect().await?).await };
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
struct ServerLimits {
    max_connections: i32,
    reserved: i32,
    /// The limit of the role. Here, and for the limit of the database, a value below 0 means that there is no limit.
    role_limit: i32,
    database_limit: i32,
    is_local: bool,
    is_encrypted: bool,
}

async fn facts(mut connection: PgConnection) -> Result<ServerLimits, sqlx::Error> {
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

impl ServerLimits {
    fn notes(&self, config: &Config) -> Vec<Note> {
        let replicas = config.platform.replicas;
        let (of_each, sum) = config.database.connections();
        let wanted = u64::from(replicas) * of_each;
        let sum = format!("platform.replicas {replicas} × ({sum}) = {wanted}");
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

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(change: impl FnOnce(&mut ServerLimits, &mut Config)) -> Vec<String> {
        let mut granted = ServerLimits {
            max_connections: 100,
            reserved: 3,
            role_limit: -1,
            database_limit: -1,
            is_local: true,
            is_encrypted: false,
        };
        let mut config = Config::default();
        (config.platform.replicas, config.database.max_connections) = (2, 9);
        change(&mut granted, &mut config);
        let told = granted.notes(&config).into_iter().map(|note| match note {
            Note::Holds(text) => format!("holds: {text}"),
            Note::Advice(text) => format!("advice: {text}"),
            _ => panic!("neither"),
        });
        told.collect()
    }

    #[test]
    fn all_replicas_together_are_compared_with_each_limit() {
        let sum = "platform.replicas 2 × (database.max_connections 9 + 1) = 20";
        assert_eq!(
            notes(|_, _| {}),
            [format!("holds: {sum} ≤ 97 connections that the server has (100 − 3 reserved)")]
        );
        let notes = notes(|granted, _| (granted.role_limit, granted.database_limit) = (20, 19));
        assert!(notes[1].starts_with(&format!("holds: {sum} ≤ 20 connections that the role")), "{notes:?}");
        assert!(notes[2].starts_with(&format!("advice: {sum} > 19 connections that the data")), "{notes:?}");
    }

    #[test]
    fn the_connections_of_sqlx_own_pool_are_counted() {
        let notes = notes(|granted, config| {
            (granted.role_limit, config.database.sqlx_pool_connections) = (27, 4);
        });
        let sum =
            "platform.replicas 2 × (database.max_connections 9 + database.sqlx_pool_connections 4 + 1) = 28";
        assert!(notes[0].starts_with(&format!("holds: {sum} ≤ 97 connections")), "{notes:?}");
        assert!(notes[1].starts_with(&format!("advice: {sum} > 27 connections")), "{notes:?}");
    }

    #[test]
    fn only_a_way_that_others_share_has_to_be_encrypted() {
        let asks = |is_local, is_encrypted| {
            let notes =
                notes(|granted, _| (granted.is_local, granted.is_encrypted) = (is_local, is_encrypted));
            notes.iter().any(|note| note.contains("sslmode=verify-full"))
        };
        assert!(asks(false, false));
        assert!(!asks(false, true) && !asks(true, false));
    }
}
