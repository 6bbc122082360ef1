//! What do the engine's own tests reach behind the API? Nothing here is a promise.

use std::panic;

use crate::config::LogConfig;
pub use crate::config::load::{Loaded, Sources, load};
#[cfg(feature = "_database")]
pub use crate::db::{Unusable, open as open_database};
pub use crate::http::edge::Edge;
pub use crate::http::refusal::Refusals;
pub use crate::http::server::{Server, bind};
pub use crate::http_client::TlsError;
pub use crate::life::Life;
pub use crate::log::{LogError, Logs, layer};
pub use crate::metrics::{COUNTERS, GAUGES, HISTOGRAMS};
use crate::{Config, HttpClient, Identity, Links, log};

/// The identity of the tests.
pub const IDENTITY: Identity = crate::identity!();

/// # Errors
/// The directory cannot be written, or the process has a log already.
pub fn start_log(config: &LogConfig) -> Result<Logs, LogError> {
    drop(panic::take_hook()); // the harness of the tests has installed a hook
    log::start(config, Vec::new())
}

/// # Errors
/// TLS cannot be set up.
pub fn http_client(config: &Config) -> Result<HttpClient, TlsError> {
    HttpClient::new(&config.http_client, IDENTITY)
}

/// # Errors
/// The database cannot be opened, or TLS cannot be set up.
pub async fn open_links(
    config: &Config,
    #[cfg(feature = "_database")] migrations: crate::Migrations,
) -> Result<Links, Box<dyn std::error::Error + Send + Sync>> {
    Links::open(
        config,
        IDENTITY,
        &Life::default(),
        #[cfg(feature = "_database")]
        Some(migrations),
    )
    .await
}
