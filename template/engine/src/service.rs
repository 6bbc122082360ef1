//! How does the process live? From top to bottom.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, panic};

use axum::Router;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tracing_subscriber::{Layer, Registry};

use crate::config::TAIL;
use crate::config::load::{self, Loaded, Sources};
use crate::control::{Control, StartStep};
#[cfg(feature = "_database")]
use crate::db::Migrations;
use crate::http::edge::Edge;
use crate::http::server::{self, Server};
use crate::identity::Identity;
use crate::life::Life;
use crate::links::Links;
use crate::log::{self, Logs};
use crate::runtime::Main;
use crate::shutdown::{self, Exit};
use crate::start::{Failure, Start};
use crate::terminal::{self, LAST_WORDS};
use crate::{commands, metrics, release};

/// A program that serves HTTP, from its arguments to its exit code: add what is yours, then [`run`](Self::run) it.
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
/// Its arguments are `check` (prints every setting and where it comes from, and whether they fit together), `migrate`
/// (where there is a database), `--config FILE`, `--help` and `--version`; without a command it serves.
pub struct Service {
    identity: Identity,
    sources: Sources,
    layers: log::OwnersLayers,
    #[cfg(feature = "_database")]
    migrations: Option<Migrations>,
}

/// Serves until SIGTERM or SIGINT. Exit codes: 0 drained in time, 1 failed, 2 bad arguments or
/// configuration, 3 work was cut off at the shutdown deadline, 128+n second signal.
#[derive(Parser)]
struct Args {
    /// Configuration file
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Print every effective value and where it came from, check that they fit together, and exit
    Check,
    /// Apply pending database migrations and exit
    #[cfg(feature = "_database")]
    Migrate,
}

/// When the signal comes while routes and background work are being put together, they have this long to be whole, so
/// that what has begun is told to end. Higher: a start that hangs there is given up late. Lower: its temporary
/// files stay.
const BEGUN: Duration = Duration::from_millis(500);

/// The owner's `start`, with the owner's settings.
type Begin = Box<dyn FnOnce(&StartStep, &Links) -> Result<Router, Failure> + Send>;

impl Service {
    /// A service with nothing in it yet. `identity` is [`identity!()`](crate::identity!), written in the program's own
    /// `main.rs`.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            sources: Sources::default(),
            layers: log::OwnersLayers::new(),
            #[cfg(feature = "_database")]
            migrations: None,
        }
    }

    /// The schema of the database, step by step. Steps that are pending are applied at the start, unless
    /// `database.migrate_on_start` is off; then the command `migrate` applies them. Without this call, the database is
    /// taken as it is.
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

    /// What the environment variables of the settings begin with; `APP__` if nothing is said: `APP__SERVER__ADDR` is
    /// `server.addr`. It begins with a capital letter, is of capital letters, digits and single `_`, and ends with `__`;
    /// otherwise the service does not start.
    #[must_use]
    pub fn env_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.sources.prefix = prefix.into();
        self
    }

    /// The file of settings (TOML) that is read if it is there; `config/service.toml` if nothing is said. A relative path
    /// begins at the working directory. `--config` names another one, which must be there.
    #[must_use]
    pub fn config_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.sources.file = file.into();
        self
    }

    /// A tracing layer of your own, beside the log: a collector of errors, say. It is told what `log.level` lets through,
    /// your spans included; the engine opens none for a request, whose line has the times. It is made before there is a
    /// runtime, and what it holds back is for you to write out behind [`run`](Self::run). The subscriber itself is the
    /// engine's: a process has one.
    #[must_use]
    pub fn layer(mut self, layer: impl Layer<Registry> + Send + Sync + 'static) -> Self {
        self.layers.push(layer.boxed());
        self
    }

    /// Reads the arguments and the configuration, opens the [`Links`], calls `start` for the routes, serves them until
    /// SIGTERM or SIGINT, and ends in order. Returns the exit code, of which [`Exit`] tells the meanings: return it from
    /// `main`.
    ///
    /// `start` is called once, on a thread of its own, so it may block; it may be async, and it may fail: see
    /// [`Start`]. `Settings` are your own, the section `app`: a struct that derives `Serialize` and `Deserialize`. Its
    /// `Default` is the built-in value of each setting, and `check` prints them. Without settings, take `()`.
    pub fn run<Settings, Kind, F>(self, start: F) -> ExitCode
    where
        Settings: Default + Serialize + DeserializeOwned + Send + 'static,
        F: Start<Settings, Kind> + Send + 'static,
    {
        let args = Args::of(&self); // ends with 2 on bad arguments
        let loaded = self.may_run().and_then(|()| self.load::<Settings>(&args));
        let exit = match loaded {
            Ok(loaded) => {
                let (loaded, settings) = loaded.split();
                let begin: Begin = Box::new(move |step, links| {
                    let routes = step.wait(start.start(links, &settings))?;
                    routes.map_err(|failure| format!("start: {}", log::with_sources(&*failure)).into())
                });
                self.live(&args, &loaded, begin)
            }
            Err((exit, faults)) => {
                faults.iter().for_each(|fault| terminal::say(format_args!("error: {fault}")));
                exit
            }
        };
        terminal::finish();
        exit.into()
    }

    /// Whether what the owner has written can work at all.
    fn may_run(&self) -> Result<(), (Exit, Vec<String>)> {
        let inside = Handle::try_current().is_ok().then(|| {
            "Service::run starts the runtimes itself, and it is called inside of one: take #[tokio::main] away, and let \
             main be a plain function"
                .to_owned()
        });
        let fault = inside.or(self.sources.are_sound().err());
        fault.map_or(Ok(()), |fault| Err((Exit::Failed, vec![fault])))
    }

    fn load<Settings>(&self, args: &Args) -> Result<Loaded<Settings>, (Exit, Vec<String>)>
    where
        Settings: Default + Serialize + DeserializeOwned,
    {
        let advice = release::advice(env::var_os(release::MEANT).as_deref());
        let advice = advice.map_err(|fault| (Exit::Usage, vec![fault]))?;
        let loaded = load::load(&self.sources, args.config.as_deref(), env::vars_os());
        let mut loaded = loaded.map_err(|faults| (Exit::Usage, faults))?;
        if let Some(advice) = advice {
            terminal::say(format_args!("warning: {advice}"));
            loaded.advise(advice);
        }
        if let Some(advice) = log::of_another_crate(&loaded.config.log, self.identity) {
            loaded.advise(advice);
        }
        Ok(loaded)
    }

    fn live(self, args: &Args, loaded: &Loaded, begin: Begin) -> Exit {
        let outcome = panic::catch_unwind(panic::AssertUnwindSafe(|| match args.command {
            None => self.start(loaded, begin),
            Some(Command::Check) => commands::check(self.identity, loaded),
            #[cfg(feature = "_database")]
            Some(Command::Migrate) => commands::migrate(self.identity, loaded, self.migrations),
        }));
        outcome.unwrap_or_else(|_| Err("a panic, see above".into())).unwrap_or_else(|failure| {
            terminal::say(format_args!("error: {}", log::with_sources(&*failure)));
            Exit::Failed
        })
    }

    fn start(mut self, loaded: &Loaded, begin: Begin) -> Result<Exit, Failure> {
        let mut logs = log::start(&loaded.config.log, std::mem::take(&mut self.layers))?;
        let outcome = self.serve(loaded, begin, &mut logs);
        if let Err(failure) = &outcome {
            let causes = log::with_sources(&**failure);
            tracing::error!("cannot serve: {causes}");
        }
        logs.drain(loaded.config.log.drain_timeout); // last, so that it holds everything
        outcome
    }

    fn serve(self, loaded: &Loaded, begin: Begin, logs: &mut Logs) -> Result<Exit, Failure> {
        let (config, identity) = (&loaded.config, self.identity);
        loaded.log();
        let metrics = metrics::install(identity, logs.counts())?;
        let life = Life::default();
        let control = Control::start(identity, loaded, metrics, &life)?;
        let mut main = Main::start(config.server.worker_threads)?;

        let (settings, of_links) = (config.clone(), life.clone());
        let open = move |step: &StartStep| {
            step.wait(Links::open(
                &settings,
                identity,
                &of_links,
                #[cfg(feature = "_database")]
                self.migrations,
            ))?
        };
        let Some(links) = control.unless_stopped(&mut main, Duration::ZERO, open)? else {
            return Ok(Exit::Clean);
        };
        let edge = Edge::new(config, &links, &life);
        let requests = Arc::clone(&edge.requests);
        control.watch(&main.handle, &requests);
        let (public, of_server, waits_for) = (config.server.clone(), life.clone(), links.clone());
        let listen = move |step: &StartStep| {
            // First: without its port the service does not start, and nothing of the owner's work may have begun.
            let listener = step.wait(server::bind(&public))??;
            let routes = begin(step, &waits_for)?;
            #[cfg(feature = "drill")]
            let routes = routes.merge(crate::drill::routes(&waits_for));
            Ok(Server::start(listener, &public, edge.wrap(routes), &of_server)?)
        };
        let server = match control.unless_stopped(&mut main, BEGUN, listen) {
            Ok(Some(server)) => server,
            other => {
                shutdown::close(&main.handle, Instant::now(), &links, &life); // background work may have begun
                return other.map(|_| Exit::Clean);
            }
        };
        control.serving(server.addr(), &links);

        let signal = control.wait_for_signal();
        logs.drain_before(shutdown::deadline(&signal, config) + TAIL - LAST_WORDS);
        Ok(shutdown::run(&signal, config, &main.handle, &server, &requests, &links, &life))
    }
}

impl Args {
    /// Prints and ends the process where it is asked for help or version, and where an argument is wrong.
    fn of(service: &Service) -> Self {
        let file = service.sources.file.display();
        let help = format!("Configuration file [default: {file}, if it is there]");
        let command = Self::command()
            .name(service.identity.package)
            .version(service.identity.version)
            .mut_arg("config", |config| config.help(help));
        Self::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
    }
}
