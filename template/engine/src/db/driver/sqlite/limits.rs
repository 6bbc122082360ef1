//! What should the operator know of SQLite?
//!
//! SQLite has no limits that all replicas share.

use super::super::super::unusable::Unusable;
use super::connector::{Connector, ask};
use crate::config::Config;
use crate::config::Note;
use crate::identity::Identity;

/// Asks a database that exists, and does not create one.
///
/// # Errors
/// The database does not exist, or does not answer.
pub async fn look(config: &Config, _: Identity) -> Result<Vec<Note>, Unusable> {
    let connector = Connector::new(&config.database)?.read_only();
    let asked = async { ask(&mut connector.connect().await?).await };
    let advice = "If it does not exist yet, the start will make it";
    asked.await.map_err(|error| Unusable::new(&config.database.url, &error, advice))?;
    Ok(Vec::new())
}

/// Returns nothing, because there is nothing to say about a database that is open.
///
/// # Errors
/// It never fails.
pub async fn limits(_: &Connector, _is_straight: bool, _: &Config) -> Result<Vec<Note>, Unusable> {
    Ok(Vec::new())
}
