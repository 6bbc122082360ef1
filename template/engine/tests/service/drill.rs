//! What the engine's tests drive: a service with the drill's routes and a few of its own.
//!
//! Its environment decides what an owner decides in `main.rs`. `DRILL_ENV_PREFIX` and `DRILL_CONFIG_FILE` are handed
//! to the service, and `DRILL_LAYER=1` adds a layer to the log, which counts the lines of the drill. `DRILL_START`
//! says how its start goes, and `DRILL_INSTALL` says what is installed before the service comes. With
//! `DRILL_NO_MIGRATIONS=1` the schema is left to somebody else. `DRILL_DEFAULT=server.body_limit=2MiB` sets a default,
//! and `DRILL_REQUIRED_FILE` names a file of settings that must exist. With `DRILL_OWN_ARGUMENTS=1` the program reads its
//! arguments itself.

use std::convert::Infallible;
use std::error::Error;
use std::io::ErrorKind::NotFound;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use std::{env, fmt, io, panic, thread};

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use bytes::Bytes;
use longpole::{Identity, Links, Problem, Secret, SecretUrl, Service};
use serde::{Deserialize, Serialize};
use tokio::runtime::{EnterGuard, Runtime};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::layer::Context;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Settings {
    /// The URL that `/upstream` asks.
    upstream_url: String,
    /// Secrets whose names do not say so.
    partner: Secret,
    mirror: SecretUrl,
}

fn main() -> ExitCode {
    let identity = Identity { homepage: "https://longpole.example/docs", ..longpole::identity!() };
    let mut service = Service::new(identity);
    if let Ok(prefix) = env::var("DRILL_ENV_PREFIX") {
        service = service.env_prefix(prefix);
    }
    if let Ok(file) = env::var("DRILL_CONFIG_FILE") {
        service = service.config_file(file);
    }
    if let Ok(file) = env::var("DRILL_REQUIRED_FILE") {
        service = service.required_config_file(file);
    }
    if let Ok(default) = env::var("DRILL_DEFAULT") {
        let (key, value) = default.split_once('=').unwrap();
        service = service.set_default(key, value);
    }
    let told = Told::default();
    if env::var_os("DRILL_LAYER").is_some() {
        service = service.layer(told.clone());
    }
    #[cfg(feature = "_database")]
    let service = match env::var_os("DRILL_NO_MIGRATIONS") {
        None => service.migrations(schema()),
        Some(_) => service,
    };
    if env::var_os("DRILL_OWN_ARGUMENTS").is_some() {
        return own_arguments(service);
    }
    let _installed = install(&env::var("DRILL_INSTALL").unwrap_or_default());
    let exit = match env::var("DRILL_START").as_deref() {
        Ok("slow") => service.run(async |links: &Links, settings: &Settings| {
            sleep(Duration::from_millis(10)).await;
            Ok::<_, Infallible>(routes(links, settings, told))
        }),
        Ok("block") => service.run(|_: &Links, _: &Settings| -> Router {
            tracing::info!("drill: hangs");
            loop {
                thread::park();
            }
        }),
        Ok("sleep") => service.run(async |_: &Links, _: &Settings| -> Router {
            tracing::info!("drill: hangs");
            loop {
                sleep(Duration::from_millis(10)).await;
            }
        }),
        Ok("begin and fail") => service.run(|links: &Links, _: &Settings| {
            links.background.start("drill: begun", |stop| async move {
                stop.cancelled().await;
                tracing::info!("drill: cleaned up");
            });
            Err::<Router, _>("the drill has no rules")
        }),
        Ok("fail slowly") => service.run(|links: &Links, _: &Settings| {
            links.background.start("drill: lingers", |stop| async move {
                stop.cancelled().await;
                tracing::info!("drill: lingers");
                std::future::pending().await
            });
            Err::<Router, _>("the drill has no rules")
        }),
        Ok("fail") => service.run(async |_: &Links, _: &Settings| Err::<Router, _>(NoRules(NotFound.into()))),
        #[cfg(feature = "_database")]
        Ok("sqlx pool") => {
            service.run(|links: &Links, _: &Settings| links.db.sqlx_pool().map(|_| Router::new()))
        }
        Ok("panic") => {
            service.run(|_: &Links, _: &Settings| -> Router { panic!("the drill panics at start") })
        }
        _ => service.run(|links: &Links, settings: &Settings| routes(links, settings, told)),
    };
    thread::sleep(Duration::from_millis(50)); // what is left of a start that was given up gets time to complain
    exit
}

/// A program whose arguments are its own.
fn own_arguments(service: Service) -> ExitCode {
    match env::args().nth(1).as_deref() {
        Some("what-is-set") => service.check::<Settings>(),
        #[cfg(feature = "_database")]
        Some("bring-up-to-date") => service.migrate::<Settings>(),
        _ => service.serve(|links: &Links, settings: &Settings| routes(links, settings, Told::default())),
    }
}

/// An error whose own text does not repeat its cause.
#[derive(Debug)]
struct NoRules(io::Error);

impl fmt::Display for NoRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the drill has no rules")
    }
}

impl Error for NoRules {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

/// Installs something that a process can have only once.
fn install(what: &str) -> Option<EnterGuard<'static>> {
    match what {
        "runtime" => return Some(Box::leak(Box::new(Runtime::new().unwrap())).enter()),
        "subscriber" => tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap(),
        "logger" => tracing_log::LogTracer::init().unwrap(),
        "hook" => panic::set_hook(Box::new(|_| {})),
        "service" => {
            let first = Service::new(longpole::identity!());
            first.serve(|_: &Links, _: &Settings| Err::<Router, _>("the first is no service"));
        }
        "recorder" => metrics::set_global_recorder(metrics::NoopRecorder).unwrap(),
        _ => {}
    }
    None
}

#[cfg(feature = "_database")]
fn schema() -> longpole::Migrations {
    longpole::Migrations::new([longpole::step(1, "schema", "CREATE TABLE drill_schema (n BIGINT)")])
}

fn routes(links: &Links, settings: &Settings, told: Told) -> Router {
    tracing::debug!(partner = ?settings.partner, mirror = ?settings.mirror, "drill: set up");
    links.background.start("waits for the end", CancellationToken::cancelled_owned);
    let own = Router::new();
    #[cfg(feature = "_database")]
    let own = own.merge(of_sqlx(links));
    Router::new()
        .route("/upstream", get(upstream))
        .with_state((links.clone(), settings.clone()))
        .route("/told", get(async move || told.0.load(Relaxed).to_string()))
        .merge(own)
}

/// Holds a connection of sqlx's own pool, and uses that pool at the shutdown.
#[cfg(feature = "_database")]
fn of_sqlx(links: &Links) -> Router {
    let Ok(pool) = links.db.sqlx_pool() else { return Router::new() };
    let at_the_end = pool.clone();
    #[cfg(feature = "postgres")]
    let for_timeout = pool.clone();
    links.background.start("drill: uses sqlx's pool", |stop| async move {
        stop.cancelled().await;
        let one = sqlx::query("SELECT 1").execute(&at_the_end).await;
        tracing::info!(worked = one.is_ok(), "drill: the last use of sqlx's pool");
    });
    let hold = async move |longpole::Path(ms): longpole::Path<u64>| {
        let mut connection = pool.acquire().await?;
        sleep(Duration::from_millis(ms)).await;
        sqlx::query("SELECT 1").execute(&mut *connection).await?;
        Ok::<_, Problem>("done")
    };
    let routes = Router::new().route("/sqlx/{ms}", get(hold));
    #[cfg(feature = "postgres")]
    let routes = routes.route(
        "/sqlx-timeout",
        get(async move || {
            Ok::<_, Problem>(
                sqlx::query_scalar::<_, String>("SHOW statement_timeout").fetch_one(&for_timeout).await?,
            )
        }),
    );
    routes
}

async fn upstream(State((links, settings)): State<(Links, Settings)>) -> Result<Bytes, Problem> {
    Ok(links.http.send(links.http.get(settings.upstream_url)).await?.bytes().await?)
}

/// How many events of the drill a layer was told. Other events do not count, because they come at any time, such as a
/// stall on a busy machine.
#[derive(Clone, Default)]
struct Told(Arc<AtomicU64>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Told {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let is_of_drill = event.metadata().target() == "longpole::drill::lines";
        self.0.fetch_add(is_of_drill.into(), Relaxed);
    }
}
