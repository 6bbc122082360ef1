//! What does a request wait for? The links of the chain, opened in one place.

use std::error::Error;

use super::admission::Admission;
use super::background::Background;
use super::config::Config;
use super::config::align::Note;
use super::db::{self, Db, Migrations};
use super::http_client::HttpClient;
use super::ledger::Ledger;
use super::offload::Offload;

/// Everything that handlers may wait for, bounded and measured. Cheap to clone.
#[derive(Clone)]
pub struct Links {
    pub admission: Admission,
    pub db: Db,
    pub http: HttpClient,
    pub offload: Offload,
    pub background: Background,
    /// Where the time of each request goes.
    pub ledger: Ledger,
}

impl Links {
    /// Opens the database, brings its schema up to date and starts the threads.
    ///
    /// # Errors
    /// The database cannot be opened or does not fit the `migrations`, or TLS cannot be set up for calls to other
    /// services. Missing certificates are a warning: calls by https fail then.
    pub async fn open(
        config: &Config,
        migrations: impl Into<Migrations>,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let db = db::open(config, migrations, config.database.migrate_on_start).await?;
        let ledger = Ledger::new(config);
        let background = Background::new(&ledger);
        background.start("database probe", |stop| db.clone().probe(stop));
        // Beside the requests: what the database grants is worth a warning, and nothing to wait for.
        let (database, settings) = (db.clone(), config.clone());
        background.once("database limits", async move {
            match database.limits(&settings).await {
                Ok(notes) => notes.iter().for_each(Note::log),
                Err(problem) => tracing::warn!("the database does not tell its limits: {problem}"),
            }
        });
        let http = HttpClient::new(&config.http_client)?;
        let admission = Admission::new(&config.admission);
        Ok(Self { admission, db, http, offload: Offload::new(&config.offload), background, ledger })
    }
}
