//! What does an owner hand over?
//!
//! `service.rs` says what becomes of it.

use std::path::PathBuf;

use tracing_subscriber::{Layer, Registry};

use crate::config::load::Sources;
#[cfg(feature = "_database")]
use crate::db::Migrations;
use crate::http::refusal::Refusals;
use crate::identity::Identity;
use crate::log;

/// A program that serves HTTP, from its arguments to its exit code. Make it with [`new`](Self::new), add your parts,
/// and call [`run`](Self::run).
///
/// ```no_run
/// # use axum::Router;
/// # use longpole::{Links, Service};
/// # fn start(_: &Links, _: &()) -> Router { Router::new() }
/// fn main() -> std::process::ExitCode {
///     Service::new(longpole::identity!()).env_prefix("SHOP__").config_file("shop.toml").run(start)
/// }
/// ```
///
/// These are the arguments of the program:
///
/// - With no command, it serves until SIGTERM or SIGINT.
/// - `check` prints every setting, where its value comes from, and whether the settings fit together. Then it ends.
/// - `migrate`, in a build with a database, applies the pending migrations. Then it ends.
/// - `--config FILE` names the file of settings.
/// - `--help` and `--version` print a text. Then the program ends.
///
/// With any other argument, it prints an error and ends with 2. If your program has arguments of its own, read them in
/// your way, and call [`serve`](Self::serve), [`check`](Self::check) or `migrate`, which read none.
///
/// A process can serve once, because it has one log, one set of metrics and one pair of listeners. A second call ends
/// with 1.
pub struct Service {
    pub(crate) identity: Identity,
    pub(crate) sources: Sources,
    /// A file of settings that must exist.
    pub(crate) file: Option<PathBuf>,
    pub(crate) layers: log::OwnersLayers,
    pub(crate) refusals: Refusals,
    #[cfg(feature = "_database")]
    pub(crate) migrations: Option<Migrations>,
}

impl Service {
    /// Makes a service that has none of your parts yet. Pass [`identity!()`](crate::identity!), written in the
    /// program's own `main.rs`.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            sources: Sources::default(),
            file: None,
            layers: log::OwnersLayers::new(),
            refusals: Refusals::default(),
            #[cfg(feature = "_database")]
            migrations: None,
        }
    }

    /// Sets the steps that bring the schema of the database up to date. The start applies the steps that are pending.
    /// If `database.migrate_on_start` is off, the command `migrate` applies them, and the start only verifies that none
    /// is pending. If a step fails, or the database does not fit the steps, the process ends with 1. Without this call,
    /// the engine takes the database as it is. A second call replaces the steps of the first call.
    ///
    /// ```no_run
    /// # use axum::Router;
    /// # use longpole::{Links, Migrations, Service, step};
    /// # fn start(_: &Links, _: &()) -> Router { Router::new() }
    /// # fn main() -> std::process::ExitCode {
    /// let items = step(1, "items", "CREATE TABLE items (name TEXT NOT NULL)");
    /// Service::new(longpole::identity!()).migrations(Migrations::new([items])).run(start)
    /// # }
    /// ```
    #[cfg(feature = "_database")]
    #[must_use]
    pub fn migrations(self, migrations: impl Into<Migrations>) -> Self {
        Self { migrations: Some(migrations.into()), ..self }
    }

    /// Sets what the names of the environment variables for settings begin with. Without this call it is `APP__`, so
    /// that `APP__SERVER__ADDR` sets `server.addr`. A prefix begins with a capital letter, consists of capital letters,
    /// digits and `_`, and ends with exactly two `_`. With any other prefix, [`run`](Self::run) prints an error and
    /// returns 1. Each variable that begins with the prefix has to be a setting.
    #[must_use]
    pub fn env_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.sources.prefix = prefix.into();
        self
    }

    /// Sets the path of the file of settings, which is TOML. Without this call it is `config/service.toml`. The file
    /// may be absent. A relative path begins at the working directory. The argument `--config` names another file,
    /// which must exist.
    #[must_use]
    pub fn config_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.sources.file = file.into();
        self
    }

    /// Sets the path of a file of settings that must exist, such as a file that an argument of your own names. It takes
    /// the place of [`config_file`](Self::config_file). The argument `--config` of [`run`](Self::run) wins.
    #[must_use]
    pub fn required_config_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// Sets the default of a setting, for example from a variable that your platform sets. The file and the environment
    /// variables of the settings win over it. `key` is written as in the file (`server.addr`, or `app.greeting` for a
    /// setting of your own), and `value` as in an environment variable (`"250ms"`, `"8"`). A wrong key or value ends the
    /// program with 2, as it does in the file, unless the file or a variable sets the key. If the value contradicts one that
    /// is set there, it gives way as a built-in default does, and `check` says so.
    ///
    /// ```no_run
    /// # use axum::Router;
    /// # use longpole::{Links, Service};
    /// # fn start(_: &Links, _: &()) -> Router { Router::new() }
    /// # fn main() -> std::process::ExitCode {
    /// let port = std::env::var("PORT").unwrap_or("8080".to_owned());
    /// Service::new(longpole::identity!()).set_default("server.addr", format!("0.0.0.0:{port}")).run(start)
    /// # }
    /// ```
    #[must_use]
    pub fn set_default(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.sources.defaults.push((key.into(), value.into()));
        self
    }

    /// Lets the refusals of axum itself and plain text with a status of 5xx leave as they are. This is for a service that has
    /// clients already, which know these answers. Without this call, a [`Problem`](crate::Problem) takes their place,
    /// since axum's words name types of Rust, and a text with a 5xx is mostly the `to_string()` of an error.
    ///
    /// The text of such a 5xx is not in the log either: log the cause in your handler.
    ///
    /// The answers of the engine itself are problems in each case: 408, 413, 500 after a panic, 503 and 504.
    ///
    /// ```no_run
    /// use std::error::Error;
    /// use std::process::ExitCode;
    ///
    /// use axum::Router;
    /// use longpole::{Links, Service};
    ///
    /// fn main() -> Result<ExitCode, Box<dyn Error>> {
    ///     let addr: std::net::SocketAddr = std::env::var("ADDR")?.parse()?;
    ///     let service = Service::new(longpole::identity!()).set_default("server.addr", addr.to_string()).keep_answers();
    ///     Ok(service.run(move |_: &Links, _: &()| start(addr)))
    /// }
    ///
    /// /// What `main` did before it served.
    /// async fn start(_own_settings: std::net::SocketAddr) -> Result<Router, Box<dyn Error + Send + Sync>> {
    ///     Ok(Router::new())
    /// }
    /// ```
    #[must_use]
    pub fn keep_answers(mut self) -> Self {
        self.refusals = Refusals::Kept;
        self
    }

    /// Adds a tracing layer of your own beside the log, such as a collector of errors. Call this once for each layer.
    /// The layer gets the events and the spans that `log.level` lets through, yours included. The engine opens no span
    /// for a request; the request's log line has the times.
    ///
    /// You make the layer before there is a runtime. If the layer keeps events back, write them out after
    /// [`run`](Self::run) has returned. The subscriber itself is the engine's, since a process can have only one.
    #[must_use]
    pub fn layer(mut self, layer: impl Layer<Registry> + Send + Sync + 'static) -> Self {
        self.layers.push(layer.boxed());
        self
    }
}
