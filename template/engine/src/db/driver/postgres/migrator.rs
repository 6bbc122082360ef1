//! What does a connection need that changes the schema?

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row, raw_sql};

use super::super::super::flaws::Flaws;
use super::super::super::steps::Step;
use super::connector::Connector;

/// While a rollout lasts, old replicas run beside new ones: a migration that the program does not know is no
/// mistake.
pub const NEWER_IS_REFUSED: bool = false;

/// What an owner does about an index that cannot be used.
pub const CURE_OF_FLAWS: &str = "Drop what is invalid, and start again";

/// A connection that changes the schema.
pub struct Migrator {
    pub raw: PgConnection,
    /// The connector whose bounds the connection has.
    pub connector: Connector,
}

impl Migrator {
    /// Puts back what a step before may have changed for good. The lock that keeps replicas apart stays.
    pub async fn begin_step(&mut self) -> Result<(), sqlx::Error> {
        let all = format!("SET SESSION AUTHORIZATION DEFAULT; RESET ALL; {}", self.connector.settings());
        raw_sql(AssertSqlSafe(all)).execute(&mut self.raw).await.map(drop)
    }
}

/// Takes the lock that sqlx takes, so that its command line tool and older programs keep out, too. This never waits.
pub async fn try_lock(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    // The statements are not prepared, since that would cost one more round trip for each.
    let name: String = raw_sql("SELECT current_database()").fetch_one(&mut *connection).await?.try_get(0)?;
    let id = 0x3d32_ad9e * i64::from(crc32(name.as_bytes()));
    let lock = AssertSqlSafe(format!("SELECT pg_try_advisory_lock({id})"));
    raw_sql(lock).fetch_one(connection).await?.try_get(0)
}

/// CRC-32 (ISO-HDLC), from which sqlx makes the number of its lock.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// Takes the bounds away for a step outside a transaction: if the server cancelled the step, it would stay half done.
pub async fn unbounded(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    raw_sql("SET lock_timeout = 0; SET statement_timeout = 0").execute(connection).await.map(drop)
}

/// Indexes that a build left behind half-way: PostgreSQL keeps them up to date and never uses them. An index counts only
/// if it was not there `before`, or if the step names it, because `IF NOT EXISTS` takes such an index for a good one.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_that_sqlx_makes_its_lock_of() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926); // the check value of CRC-32/ISO-HDLC
        assert_eq!(crc32(b""), 0);
    }
}
