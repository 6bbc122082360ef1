//! Which link of the chain is slow right now, and for which route?
//!
//! Longpole is the engine of an axum and sqlx service: it serves, and it measures everything that a request can wait
//! for. You hand over your routes:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use axum::Router;
//! use axum::routing::get;
//! use longpole::{Json, Links, Service};
//! use serde::{Deserialize, Serialize};
//!
//! /// Your own settings, the section `app` of the configuration.
//! #[derive(Clone, Default, Serialize, Deserialize)]
//! struct Settings {}
//!
//! fn start(_links: &Links, _settings: &Settings) -> Router {
//!     Router::new().route("/hello", get(async || Json("hello")))
//! }
//!
//! fn main() -> ExitCode {
//!     Service::new(longpole::identity!()).run(start)
//! }
//! ```
//!
//! Without an argument it serves; with `check` it prints every setting and where it comes from. The admin listener,
//! `admin.addr`, has a page that shows where requests spend their time.
//!
//! # What is here
//!
//! - **The process**: [`Service`] takes what is yours and runs it. [`identity!`] says who it is ([`Identity`]), [`Start`]
//!   and [`IntoRoutes`] are what your function may be and may return, [`Exit`] is how it ends. [`Config`] is what whoever
//!   operates it can set; [`Secret`] and [`SecretUrl`] are settings that nobody may see. [`terminal`] prints where a log is not what is wanted.
//! - **What requests wait for**: [`Links`] holds them all. [`HttpClient`] calls other services, and brings a [`Reply`] or a
//!   [`CallError`]. [`Offload`] has threads for CPU work and blocking calls. [`wait`] names a wait of your own by its
//!   [`Phase`].
#![cfg_attr(
    feature = "_database",
    doc = "- **The database**: [`Db`] has a [`Pool`] to read and one to write, with a [`Connection`] or a [`Transaction`] of \
           sqlx's kind on the [`Driver`] of this build. [`Migrations`] are made of a [`step()`] for each change ([`Step`]). \
           [`Trouble`] is what an error means."
)]
#![cfg_attr(
    not(feature = "_database"),
    doc = "- **The database**: this build has none. The features `sqlite` and `postgres` bring one."
)]
//! - **Handlers** are axum's. They read a request with [`Json`], [`Path`], [`Query`], [`Body`] and [`ClientAddr`], and fail
//!   with a [`Problem`]. [`BodyLimit`] is a route's own bound. [`Endless`] and [`Stopping`] are for answers that last.
//! - **Work beside the answer** keeps the request's id, is measured, and is waited for at shutdown: [`finish()`] for what
//!   the answer needs and a client that leaves must not break off, [`spawn`] for what the answer does not need, [`carry`]
//!   for callbacks, [`Background`] for what lives as long as the process.
//!
//! # Within an async function
//!
//! Some calls of other crates would escape the measuring or the bounds. Each has a counterpart here: [`spawn`] for
//! `tokio::spawn`, [`Offload::run`] for `tokio::task::spawn_blocking`, [`HttpClient::send`] for a client of reqwest's,
//! `Links::db` for a pool of sqlx's. The list `disallowed-methods` in a `clippy.toml` can ban the former; a service that
//! was generated from the template has one.
//!
//! # Features
//!
//! - `sqlite` or `postgres`: the database behind `Links::db`. With neither there is none. Both at once do not compile:
//!   a build has one driver. Two services with different databases need a workspace each.
//! - `drill`: routes that cause trouble on purpose, to see what the service says about each. A release with it refuses
//!   to start.
//!
//! # Versions
//!
//! axum and sqlx stand in your own `Cargo.toml` as well, since their macros expand to `::axum` and `::sqlx`. They have to
//! be the versions that are re-exported here. Of a second axum, the compiler says that your function "cannot start a
//! service" and that "there are multiple different versions of crate `axum` in the dependency graph"; of a second sqlx,
//! "the trait bound `usize: sqlx::ColumnIndex<_>` is not satisfied". `cargo tree --duplicates` shows who brings it.
//!
//! Types of a few other crates stand in signatures: `bytes::Bytes`, `bytesize::ByteSize`, `reqwest::RequestBuilder`,
//! `tokio_util::sync::CancellationToken` and `tracing_subscriber::Layer`. Whoever names one of these lists its crate as
//! well, in the version that `cargo tree --package longpole --depth 1` shows.

// No panics on a request's way: an error is answered, a panic is a bug.
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
// They panic when nobody reads what they print, and wait for a reader that sleeps. Use `terminal`.
#![warn(clippy::dbg_macro, clippy::print_stdout, clippy::print_stderr)]
// With the drill, the engine's own tests reach behind the API.
#![cfg_attr(not(feature = "drill"), deny(missing_docs))]

#[cfg(all(feature = "sqlite", feature = "postgres"))]
compile_error!(
    "the features `sqlite` and `postgres` of `longpole` exclude each other: a build has one driver. Enable one of them, \
     and leave out --all-features. Two services with different databases need a workspace each, since cargo builds a \
     crate once for all members, with the features of all"
);
#[cfg(all(feature = "_database", not(any(feature = "sqlite", feature = "postgres"))))]
compile_error!(
    "`longpole` has no database with the feature `_database` alone: enable `sqlite` or `postgres`"
);

mod admin;
mod admission;
mod background;
mod commands;
pub mod config;
mod control;
#[cfg(feature = "_database")]
mod db;
#[cfg(feature = "drill")]
mod drill;
mod finish;
mod health;
mod http;
mod http_client;
mod identity;
#[cfg(feature = "drill")]
#[doc(hidden)]
pub mod internals;
mod ledger;
mod life;
mod links;
mod log;
mod measure;
mod metrics;
mod offload;
mod release;
mod request;
mod runtime;
mod service;
mod shutdown;
mod start;
mod status;
pub mod terminal;
mod units;
mod watchdog;

pub use axum;
#[cfg(feature = "_database")]
pub use sqlx;

pub use self::background::Background;
pub use self::config::Config;
pub use self::config::secret::{Secret, SecretUrl};
#[cfg(feature = "_database")]
pub use self::db::{Connection, Db, Driver, Migrations, Pool, Step, Transaction, Trouble, step};
pub use self::finish::finish;
pub use self::http::extract::{Body, ClientAddr, Json, Path, Query};
pub use self::http::limit::BodyLimit;
pub use self::http::problem::Problem;
pub use self::http::stopping::{Endless, Stopping};
pub use self::http_client::{CallError, HttpClient, Reply};
pub use self::identity::Identity;
pub use self::ledger::Phase;
pub use self::links::Links;
pub use self::offload::{Offload, OffloadError};
pub use self::request::{carry, spawn, wait};
pub use self::service::Service;
pub use self::shutdown::Exit;
pub use self::start::{IntoRoutes, Start};
