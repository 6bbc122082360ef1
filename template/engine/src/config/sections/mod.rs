//! Which settings does the engine have?
//!
//! Each section has a file of its own. The first paragraph of a field's doc comment says what the setting is. Labelled
//! lines follow: what happens when the value is too high and too low, and how a default is computed that depends on the
//! machine or on other settings. From these, a test of Longpole makes the tables of docs/configuration.md and the
//! comments of `config/service.toml`.

mod admin;
mod admission;
#[cfg(feature = "_database")]
mod database;
mod http_client;
mod log;
mod offload;
mod platform;
mod proxies;
mod server;
mod shutdown;
mod watchdog;

use serde::{Deserialize, Serialize};

pub use self::admin::AdminConfig;
pub use self::admission::AdmissionConfig;
#[cfg(feature = "_database")]
pub use self::database::DatabaseConfig;
pub use self::http_client::HttpClientConfig;
pub use self::log::{LogConfig, LogFormat, Rotation};
pub use self::offload::OffloadConfig;
pub use self::platform::PlatformConfig;
pub use self::proxies::{ForwardedHeader, Network, ParseNetworkError};
pub use self::server::ServerConfig;
pub use self::shutdown::{ShutdownConfig, TAIL};
pub use self::watchdog::WatchdogConfig;
use super::range::check;

/// The engine's settings, a field for each section. A value in the environment wins over the file, and the file wins
/// over the default.
///
/// This type is here for its docs: the engine reads the settings itself, and your code neither makes nor gets a `Config`.
/// To set a value, write it into the file or the environment. To see the values in force, run the command `check`.
///
/// `server.addr` is `addr` in `[server]` of the file, and `APP__SERVER__ADDR` in the environment. Durations are written
/// `"250ms"`, `"30s"`, `"1m 15s"`; sizes `"64KiB"`, `"1MiB"`. The defaults are what [`Default`] says, and what the command
/// `check` prints. Your own settings are a type of yours, under the key `app`. Fields are added from time to time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Config {
    /// The public listener.
    pub server: ServerConfig,
    /// The admin listener: probes and metrics.
    pub admin: AdminConfig,
    /// How many requests are worked on at once.
    pub admission: AdmissionConfig,
    /// The database and its pool.
    #[cfg(feature = "_database")]
    pub database: DatabaseConfig,
    /// Calls to other services.
    pub http_client: HttpClientConfig,
    /// Threads for CPU work and blocking calls.
    pub offload: OffloadConfig,
    /// The heartbeat that measures how long the event loop was unavailable.
    pub watchdog: WatchdogConfig,
    /// What happens between SIGTERM and the exit.
    pub shutdown: ShutdownConfig,
    /// What the service is told about where it runs.
    pub platform: PlatformConfig,
    /// The log file.
    pub log: LogConfig,
}

impl Config {
    /// Whether the value of `key` can work at all, whatever the other values are.
    ///
    /// # Errors
    /// The value can never work. The error says which values would be right.
    pub(crate) fn in_range(&self, key: &str) -> Result<(), String> {
        let Some((section, name)) = key.split_once('.') else { return Ok(()) };
        match section {
            "server" => check(ServerConfig::RANGES, &self.server, name),
            "admin" => check(AdminConfig::RANGES, &self.admin, name),
            "admission" => check(AdmissionConfig::RANGES, &self.admission, name),
            #[cfg(feature = "_database")]
            "database" => check(DatabaseConfig::RANGES, &self.database, name),
            "http_client" => check(HttpClientConfig::RANGES, &self.http_client, name),
            "offload" => check(OffloadConfig::RANGES, &self.offload, name),
            "watchdog" => check(WatchdogConfig::RANGES, &self.watchdog, name),
            "shutdown" => check(ShutdownConfig::RANGES, &self.shutdown, name),
            "platform" => check(PlatformConfig::RANGES, &self.platform, name),
            "log" => check(LogConfig::RANGES, &self.log, name),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_has_its_ranges() {
        let mut config = Config::default();
        config.server.worker_threads = 0;
        config.admission.max_in_flight = 0;
        #[cfg(feature = "_database")]
        {
            config.database.max_connections = 0;
        }
        config.http_client.max_in_flight = 0;
        config.offload.threads = 0;
        config.watchdog.interval = std::time::Duration::ZERO;
        config.shutdown.grace = std::time::Duration::ZERO;
        config.platform.replicas = 0;
        config.log.max_files = 0;
        for key in [
            "server.worker_threads",
            "admission.max_in_flight",
            #[cfg(feature = "_database")]
            "database.max_connections",
            "http_client.max_in_flight",
            "offload.threads",
            "watchdog.interval",
            "shutdown.grace",
            "platform.replicas",
            "log.max_files",
        ] {
            assert_eq!(Config::default().in_range(key), Ok(()), "{key}");
            assert!(config.in_range(key).is_err(), "{key}");
        }
    }
}
