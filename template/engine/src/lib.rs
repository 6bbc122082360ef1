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
//! [`Service`] is the process, from its arguments to its exit code. [`Links`] is what requests wait for: the database,
//! other services ([`HttpClient`]), threads for CPU work ([`Offload`]). Handlers are axum's own, read with [`Json`],
//! [`Path`], [`Query`] and [`Body`], and fail with a [`Problem`]. Work beside the answer goes through [`spawn`],
//! [`finish`] and [`Background`], so that it keeps the request's id and ends at shutdown.
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
//! be the versions that are re-exported here: a handler of another axum does not fit into this one's `Router`, and the
//! compiler says "expected `Router`, found `Router`" or "perhaps two different versions of crate `axum` are being used".
//! `cargo tree --duplicates` shows who brings the second one.

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
mod context;
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
mod links;
mod log;
mod metrics;
mod offload;
mod release;
mod service;
mod shutdown;
mod start;
mod status;
pub mod terminal;
mod watchdog;

pub use axum;
#[cfg(feature = "_database")]
pub use sqlx;

pub use self::background::Background;
pub use self::config::Config;
pub use self::context::{carry, spawn};
#[cfg(feature = "_database")]
pub use self::db::{Connection, Db, Driver, Migrations, Pool, Step, Transaction, Trouble, step};
pub use self::finish::finish;
pub use self::http::body::Stream;
pub use self::http::extract::{Body, ClientAddr, Json, Path, Query};
pub use self::http::limit::BodyLimit;
pub use self::http::problem::Problem;
pub use self::http::upgrade::Stopping;
pub use self::http_client::{CallError, HttpClient, Reply};
pub use self::identity::Identity;
pub use self::ledger::{Phase, wait};
pub use self::links::Links;
pub use self::offload::Offload;
pub use self::service::Service;
pub use self::shutdown::Exit;
pub use self::start::{IntoRoutes, Start};
