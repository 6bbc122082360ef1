//! The life of the process, from top to bottom.

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, panic};

use clap::{Parser, Subcommand};
use service::app::{self, Settings};
use service::engine::config::align::TAIL;
use service::engine::config::load::{self, Loaded};
use service::engine::control::Control;
use service::engine::http::edge::Edge;
use service::engine::http::server::Server;
use service::engine::links::Links;
use service::engine::log::{self, Logs};
use service::engine::shutdown::{self, Exit};
use service::engine::{commands, metrics};

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

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let args = Args::parse(); // exits 2 on bad arguments
    let loaded = match load::load(args.config.as_deref(), env::vars_os()) {
        Ok(loaded) => loaded,
        Err(faults) => {
            faults.iter().for_each(|fault| eprintln!("error: {fault}"));
            return Exit::Usage.into();
        }
    };
    let outcome = panic::catch_unwind(|| match args.command {
        None => start(&loaded),
        Some(Command::Check) => commands::check(&loaded),
        Some(Command::Migrate) => commands::migrate(&loaded, app::migrations()),
    });
    outcome
        .unwrap_or_else(|_| Err("a panic, see above".into()))
        .unwrap_or_else(|failure| {
            eprintln!("error: {failure}");
            Exit::Failed
        })
        .into()
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
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.server.worker_threads)
        .enable_all()
        .build()?;

    let Some(links) = control.unless_stopped(&runtime, Links::open(config, app::migrations())) else {
        return Ok(Exit::Clean);
    };
    let links = links?;
    let edge = Edge::new(config, &links);
    control.watch(runtime.handle(), &links.ledger);
    let server = runtime.block_on(async {
        let routes = edge.wrap(app::start(&links, &loaded.app));
        Server::start(&config.server, routes).await
    })?;
    control.serving(server.addr(), links.db.pulse());

    let signal = control.wait_for_signal();
    logs.drain_before(shutdown::deadline(&signal, config) + TAIL);
    Ok(shutdown::run(&signal, config, runtime, &server, &edge, &links))
}
