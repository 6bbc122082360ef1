//! What does a request wait for? The links of the chain, opened in one place.

use std::error::Error;

use super::admission::Admission;
use super::background::Background;
use super::config::Config;
#[cfg(feature = "_database")]
use super::config::Note;
#[cfg(feature = "_database")]
use super::db::{self, Db, Migrations};
use super::http_client::HttpClient;
use super::identity::Identity;
use super::ledger::Instruments;
use super::life::Life;
use super::offload::Offload;

/// What requests can wait for, each bounded and measured: the database, other services, threads. Cheap to clone.
///
/// The engine opens all of them and hands them to your [`Start`](crate::Start). Put those that your handlers use into
/// their state:
///
/// ```
/// use axum::Router;
/// use axum::extract::State;
/// use axum::routing::get;
/// use longpole::{HttpClient, Links, Problem};
///
/// #[derive(Clone)]
/// struct App {
///     http: HttpClient,
/// }
///
/// fn start(links: &Links, _settings: &()) -> Router {
///     let app = App { http: links.http.clone() };
///     Router::new().route("/quote", get(quote)).with_state(app)
/// }
///
/// async fn quote(State(app): State<App>) -> Result<String, Problem> {
///     let reply = app.http.send(app.http.get("http://quotes.internal/today")).await?;
///     Ok(format!("somebody said {} bytes", reply.bytes().await?.len()))
/// }
/// ```
#[derive(Clone)]
pub struct Links {
    pub(crate) admission: Admission,
    /// The database. Only with the feature `sqlite` or `postgres`.
    #[cfg(feature = "_database")]
    pub db: Db,
    /// Other services.
    pub http: HttpClient,
    /// Threads for CPU work and blocking calls.
    pub offload: Offload,
    /// Work that lives as long as the process.
    pub background: Background,
    /// What is measured for all requests.
    pub(crate) instruments: Instruments,
}

impl Links {
    /// Opens the database, brings its schema up to date and starts the threads.
    ///
    /// # Errors
    /// The database cannot be opened or does not fit the `migrations`, or TLS cannot be set up for calls to other
    /// services. Missing certificates are a warning: calls by https fail then.
    pub(crate) async fn open(
        config: &Config,
        identity: Identity,
        life: &Life,
        #[cfg(feature = "_database")] migrations: Option<Migrations>,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        #[cfg(feature = "_database")]
        let db = db::open(config, identity, migrations, config.database.migrate_on_start).await?;
        let instruments = Instruments::new(config);
        let background = Background::new(&instruments, life);
        #[cfg(feature = "_database")]
        watch(&db, config, &background);
        let links = Self {
            admission: Admission::new(&config.admission),
            #[cfg(feature = "_database")]
            db,
            http: HttpClient::new(&config.http_client, identity)?,
            offload: Offload::new(&config.offload),
            background,
            instruments,
        };
        Ok(links)
    }
}

/// Asks from time to time whether the database is there, and once what it grants.
#[cfg(feature = "_database")]
fn watch(db: &Db, config: &Config, background: &Background) {
    background.start("database probe", |stop| db.clone().probe(stop));
    // Beside the requests: what the database grants is worth a warning, and nothing to wait for.
    let (db, config) = (db.clone(), config.clone());
    background.once("database limits", async move {
        match db.limits(&config).await {
            Ok(notes) => notes.iter().for_each(Note::log),
            Err(problem) => tracing::warn!("the database does not tell its limits: {problem}"),
        }
    });
}
