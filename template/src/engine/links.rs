//! What does a request wait for? The links of the chain, opened in one place.

use sqlx::migrate::Migrator;

use super::background::Background;
use super::config::Config;
use super::config::align::Note;
use super::db::{self, Db, Unusable};
use super::offload::Offload;

/// Everything that handlers may wait for, bounded and measured. Cheap to clone.
#[derive(Clone)]
pub struct Links {
    pub db: Db,
    pub offload: Offload,
    pub background: Background,
}

impl Links {
    /// Opens the database, brings its schema up to date and starts the threads.
    ///
    /// # Errors
    /// The database cannot be opened, or does not fit the `migrations`.
    pub async fn open(config: &Config, migrations: Migrator) -> Result<Self, Unusable> {
        let db = db::open(config, migrations, config.database.migrate_on_start).await?;
        match db::look(config).await {
            Ok(notes) => notes.iter().for_each(Note::log),
            Err(problem) => tracing::warn!("the database does not tell its limits: {problem}"),
        }
        let background = Background::default();
        background.start("database probe", |stop| db.clone().probe(stop));
        Ok(Self { db, offload: Offload::new(&config.offload), background })
    }
}
