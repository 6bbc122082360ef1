//! How does the process live, from its arguments to its exit code?
//!
//! Read this file from top to bottom. `run` reads the arguments and chooses the command, `command` reads the settings,
//! `open_log` comes next, and `live` goes from the links through the signal to the shutdown.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use std::{env, panic};

use axum::Router;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;

use crate::arguments::{Args, Command};
use crate::builder::Service;
use crate::config::TAIL;
use crate::config::load::{self, Loaded};
use crate::control::{Control, StartStep};
use crate::http::edge::Edge;
use crate::http::server::{self, Server};
use crate::life::Life;
use crate::links::Links;
use crate::log::{self, Logs};
use crate::runtime::Main;
use crate::shutdown::{self, Exit};
use crate::start::{Failure, Start};
use crate::terminal::{self, LAST_WORDS};
use crate::{commands, metrics, release};

/// If the signal comes while the owner's `start` runs, `start` has this long to return. So the background work that it
/// has begun is whole, and can be told to end. Higher: a `start` that hangs is given up late. Lower: its temporary
/// files stay.
const BEGUN: Duration = Duration::from_millis(500);

/// The owner's `start`, with the owner's settings.
type Begin = Box<dyn FnOnce(&StartStep, &Links) -> Result<Router, Failure> + Send>;

impl Service {
    /// Runs the program. It reads the arguments, and then does what [`serve`](Self::serve), [`check`](Self::check) or
    /// `migrate` does. Returns the exit code, which your `main` returns: [`Exit`] says what the codes
    /// mean.
    pub fn run<Settings, Kind, F>(mut self, start: F) -> ExitCode
    where
        Settings: Default + Serialize + DeserializeOwned + Send + 'static,
        F: Start<Settings, Kind> + Send + 'static,
    {
        let args = Args::of(self.identity, &self.sources.file); // ends the process with 2 if an argument is wrong
        self.file = args.config.or(self.file);
        match args.command {
            None => self.serve(start),
            Some(Command::Check) => self.check::<Settings>(),
            #[cfg(feature = "_database")]
            Some(Command::Migrate) => self.migrate::<Settings>(),
        }
    }

    /// Serves, and reads no arguments. It reads the settings, opens the [`Links`], calls `start` for the routes, serves
    /// the routes until SIGTERM or SIGINT, and shuts down: within `shutdown.grace`, and at most a second more to cut off
    /// what is left and to write the log. Returns the exit code. If the program cannot run, it prints the reason on
    /// stderr, and logs it if the log is open.
    ///
    /// `start` is your function, in one of the shapes that [`Start`] shows. It is called once, on a thread of its own,
    /// so it may block.
    ///
    /// `Settings` is the type of your own settings, the section `app`: `greeting` is `greeting` in `[app]` of the file,
    /// and `APP__APP__GREETING` in the environment. It is a struct that derives `Serialize` and `Deserialize`. Its
    /// `Default` has the value of each setting that nobody sets. `check` prints these settings, too. If the type refuses a
    /// value while it is deserialized, the program prints which setting is wrong, and ends with 2. An unknown name is
    /// refused in the same way. If you have no settings, take `()`.
    ///
    /// Do not call this inside of a runtime, such as in a `main` with `#[tokio::main]`: it would return 1 at once.
    ///
    /// ```no_run
    /// # use axum::Router;
    /// # use longpole::{Links, Service};
    /// # fn start(_: &Links, _: &()) -> Router { Router::new() }
    /// fn main() -> std::process::ExitCode {
    ///     let service = Service::new(longpole::identity!());
    ///     match std::env::args().nth(1).as_deref() {
    ///         Some("check") => service.check::<()>(),
    ///         _ => service.serve(start),
    ///     }
    /// }
    /// ```
    pub fn serve<Settings, Kind, F>(self, start: F) -> ExitCode
    where
        Settings: Default + Serialize + DeserializeOwned + Send + 'static,
        F: Start<Settings, Kind> + Send + 'static,
    {
        self.command(|service, loaded, settings: Settings| {
            let begin: Begin = Box::new(move |step, links| {
                let routes = step.wait(start.start(links, &settings))?;
                routes.map_err(|failure| format!("start: {}", log::with_sources(&*failure)).into())
            });
            service.open_log(loaded, begin)
        })
    }

    /// Prints every setting, where its value comes from, and whether the settings fit together, as the argument `check`
    /// does. Returns the exit code: 0, or 2 if a setting is wrong. A database that does not answer is only a warning.
    /// `Settings` is the same type as for [`serve`](Self::serve).
    pub fn check<Settings>(self) -> ExitCode
    where
        Settings: Default + Serialize + DeserializeOwned,
    {
        self.command(|service, loaded, _: Settings| commands::check(service.identity, loaded))
    }

    /// Applies the pending migrations, as the argument `migrate` does. Returns the exit code: 0, 1 if the database cannot
    /// be used or a step fails, or 2 if a setting is wrong. `Settings` is the same type as for [`serve`](Self::serve).
    #[cfg(feature = "_database")]
    pub fn migrate<Settings>(self) -> ExitCode
    where
        Settings: Default + Serialize + DeserializeOwned,
    {
        self.command(|service, loaded, _: Settings| {
            commands::migrate(service.identity, loaded, service.migrations)
        })
    }

    /// Reads the settings, and does what a command does with them. If that fails, the reason is printed.
    fn command<Settings>(
        self,
        does: impl FnOnce(Self, &Loaded, Settings) -> Result<Exit, Failure>,
    ) -> ExitCode
    where
        Settings: Default + Serialize + DeserializeOwned,
    {
        let exit = match self.may_run().and_then(|()| self.load::<Settings>()) {
            Ok(loaded) => {
                let (loaded, settings) = loaded.split();
                let outcome = panic::catch_unwind(panic::AssertUnwindSafe(|| does(self, &loaded, settings)));
                outcome.unwrap_or_else(|_| Err("a panic, see above".into())).unwrap_or_else(|failure| {
                    terminal::say(format_args!("error: {}", log::with_sources(&*failure)));
                    Exit::Failed
                })
            }
            Err((exit, faults)) => {
                faults.iter().for_each(|fault| terminal::say(format_args!("error: {fault}")));
                exit
            }
        };
        terminal::finish();
        exit.into()
    }

    /// Checks whether the owner's program can work at all.
    fn may_run(&self) -> Result<(), (Exit, Vec<String>)> {
        let inside = Handle::try_current().is_ok().then(|| {
            "Service::run starts the runtimes itself, and it is called inside of one: take #[tokio::main] away, and let \
             main be a plain function"
                .to_owned()
        });
        let fault = inside.or(self.sources.are_sound().err());
        fault.map_or(Ok(()), |fault| Err((Exit::Failed, vec![fault])))
    }

    fn load<Settings>(&self) -> Result<Loaded<Settings>, (Exit, Vec<String>)>
    where
        Settings: Default + Serialize + DeserializeOwned,
    {
        let advice = release::advice(env::var_os(release::MEANT).as_deref());
        let advice = advice.map_err(|fault| (Exit::Usage, vec![fault]))?;
        let loaded = load::load(&self.sources, self.file.as_deref(), env::vars_os());
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

    fn open_log(mut self, loaded: &Loaded, begin: Begin) -> Result<Exit, Failure> {
        static SERVED: AtomicBool = AtomicBool::new(false);
        if SERVED.load(Relaxed) {
            return Err("a second Service: a process has one log, one set of metrics and one pair of listeners, so it can \
                        serve once. Merge the routes of both services into one router, or build two programs"
                .into());
        }
        let mut logs = log::start(&loaded.config.log, std::mem::take(&mut self.layers))?;
        SERVED.store(true, Relaxed);
        let outcome = self.live(loaded, begin, &mut logs);
        if let Err(failure) = &outcome {
            let causes = log::with_sources(&**failure);
            tracing::error!("cannot serve: {causes}");
        }
        logs.drain(loaded.config.log.drain_timeout); // last, so that the file has every line
        outcome
    }

    fn live(self, loaded: &Loaded, begin: Begin, logs: &mut Logs) -> Result<Exit, Failure> {
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
        let edge = Edge::new(config, &links, &life, self.refusals);
        let requests = Arc::clone(&edge.requests);
        control.watch(&main.handle, &requests);
        let (public, of_server, waits_for) = (config.server.clone(), life.clone(), links.clone());
        let listen = move |step: &StartStep| {
            // The port comes first. Without it the service does not start, so none of the owner's work may have begun.
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
        Ok(shutdown::run(&signal, config, &main.handle, &server, &requests, &links))
    }
}
