//! What can a request wait for?
//!
//! All links of the chain are opened here. `shutdown.rs` closes them.

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

/// Everything that your code can wait for: the database, other services, threads. Each of these links has a bound, and
/// the engine measures each wait. A clone is cheap and shares the links.
///
/// The engine opens all links, and passes them to your [`Start`](crate::Start) function. Put the links that your
/// handlers use into the state of the handlers, as below. Your code cannot open links itself: tests start the built
/// program.
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
    /// The database: a pool for reading and a pool for writing. This field exists only with the feature `sqlite` or
    /// `postgres`.
    #[cfg(feature = "_database")]
    pub db: Db,
    /// Calls to other services.
    pub http: HttpClient,
    /// Threads for CPU work and blocking calls.
    pub offload: Offload,
    /// Tasks that live as long as the process.
    pub background: Background,
    /// What measures all requests.
    pub(crate) instruments: Instruments,
}

impl Links {
    /// Opens the database, brings its schema up to date and starts the threads.
    ///
    /// # Errors
    /// The database cannot be opened or does not fit the `migrations`, or TLS cannot be set up for calls to other
    /// services. If the system has no certificates, there is only a warning in the log, and calls by https fail.
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

/// Starts two tasks: the first asks from time to time whether the database is there, and the second asks once for the
/// limits of the database.
#[cfg(feature = "_database")]
fn watch(db: &Db, config: &Config, background: &Background) {
    background.start("database probe", |stop| db.clone().probe(stop));
    // A task asks, since a limit that is too low is worth a warning, but the start must not wait for the answer.
    let (db, config) = (db.clone(), config.clone());
    background.once("database limits", async move {
        match db.limits(&config).await {
            Ok(notes) => notes.iter().for_each(Note::log),
            Err(problem) => tracing::warn!("the database does not tell its limits: {problem}"),
        }
    });
}
