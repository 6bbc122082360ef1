//! The life of the process, from top to bottom.

// They panic when nobody reads what they print. Use `terminal`.
#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use std::{env, panic};

use clap::{Parser, Subcommand};
use service::app::{self, Settings};
use service::engine::config::Config;
use service::engine::config::align::TAIL;
use service::engine::config::load::{self, Loaded};
use service::engine::control::Control;
use service::engine::http::edge::Edge;
use service::engine::http::server::{self, Server};
use service::engine::links::Links;
use service::engine::log::{self, Logs};
use service::engine::shutdown::{self, Exit, Main};
use service::engine::terminal::{self, LAST_WORDS};
use service::engine::{commands, metrics, release};

/// Serves until SIGTERM or SIGINT. Exit codes: 0 drained in time, 1 failed, 2 bad arguments or
/// configuration, 3 work was cut off at the shutdown deadline, 128+n second signal.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Configuration file [default: config/service.toml, if it is there]
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
    Migrate,
}

/// When the signal comes while routes and background work are being put together, they have this long to be whole, so
/// that what has begun is told to end. Higher: a start that hangs there is given up late. Lower: its temporary
/// files stay.
const BEGUN: Duration = Duration::from_millis(500);

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let args = Args::parse(); // exits 2 on bad arguments
    let exit = run(&args);
    terminal::finish();
    exit.into()
}

fn run(args: &Args) -> Exit {
    let loaded = match load(args) {
        Ok(loaded) => loaded,
        Err(faults) => {
            faults.iter().for_each(|fault| terminal::say(format_args!("error: {fault}")));
            return Exit::Usage;
        }
    };
    let outcome = panic::catch_unwind(|| match args.command {
        None => start(&loaded),
        Some(Command::Check) => commands::check(&loaded),
        Some(Command::Migrate) => commands::migrate(&loaded, app::migrations()),
    });
    outcome.unwrap_or_else(|_| Err("a panic, see above".into())).unwrap_or_else(|failure| {
        terminal::say(format_args!("error: {failure}"));
        Exit::Failed
    })
}

fn load(args: &Args) -> Result<Loaded<Settings>, Vec<String>> {
    let advice = release::advice(env::var_os(release::MEANT).as_deref()).map_err(|fault| vec![fault])?;
    let mut loaded = load::load(args.config.as_deref(), env::vars_os())?;
    if let Some(advice) = advice {
        terminal::say(format_args!("warning: {advice}"));
        loaded.advise(advice);
    }
    Ok(loaded)
}

fn start(loaded: &Loaded<Settings>) -> Result<Exit, Failure> {
    let mut logs = log::start(&loaded.config.log)?;
    let outcome = serve(loaded, &mut logs);
    if let Err(failure) = &outcome {
        tracing::error!("cannot serve: {failure}");
    }
    logs.drain(loaded.config.log.drain_timeout); // last, so that it holds everything
    outcome
}

fn serve(loaded: &Loaded<Settings>, logs: &mut Logs) -> Result<Exit, Failure> {
    let config = &loaded.config;
    loaded.log();
    let metrics = metrics::install(logs.counts())?;
    let control = Control::start(loaded, metrics)?;
    let main = Main::start(config.server.worker_threads)?;

    let Some(links) = control.unless_stopped(&main.handle, Duration::ZERO, open(config.clone())) else {
        return Ok(Exit::Clean);
    };
    let links = links?;
    let edge = Edge::new(config, &links);
    control.watch(&main.handle, &links.ledger);
    let listening = listen(config.clone(), loaded.app.clone(), links.clone(), Arc::clone(&edge));
    let Some(server) = control.unless_stopped(&main.handle, BEGUN, listening) else {
        return Ok(Exit::Clean);
    };
    let server = server?;
    control.serving(server.addr(), links.db.pulse());

    let signal = control.wait_for_signal();
    logs.drain_before(shutdown::deadline(&signal, config) + TAIL - LAST_WORDS);
    Ok(shutdown::run(&signal, config, &main.handle, &server, &edge, &links))
}

async fn open(config: Config) -> Result<Links, Failure> {
    Links::open(&config, app::migrations()).await
}

async fn listen(config: Config, settings: Settings, links: Links, edge: Arc<Edge>) -> Result<Server, String> {
    // First: without its port the service does not start, and nothing of the owner's work may have begun.
    let listener = server::bind(&config.server).await?;
    let routes = edge.wrap(app::start(&links, &settings));
    Server::start(listener, &config.server, routes)
}
