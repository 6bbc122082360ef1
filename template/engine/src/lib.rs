//! Which link of the chain is slow right now, and for which route?
//!
//! Longpole is the engine of an axum and sqlx service. It runs the process, serves your routes, and measures everything
//! that a request can wait for: a database connection, the database, another service, a thread, the event loop, the
//! client. You hand over your routes:
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
//! Without an argument, this program serves. With the argument `check`, it prints every setting, and where the value
//! comes from. The admin listener (`admin.addr`, by default 127.0.0.1:8081) has a page that shows where requests spend
//! their time.
//!
//! # What is here
//!
//! - **The process**: [`Service`] takes your parts and runs the process. [`identity!`] makes the [`Identity`], the name
//!   and the version of your program. [`Start`] says what your function may look like, and [`IntoRoutes`] what it may
//!   return. [`Exit`] lists the exit codes. [`Config`] lists the engine's settings with their meanings and defaults.
//!   They are set in a file or in the environment; your code neither makes nor gets a `Config`. [`Secret`] and
//!   [`SecretUrl`] are types for those of your own settings that nobody may see. [`terminal`] prints what does not
//!   belong in the log.
//! - **What requests wait for**: [`Links`] holds all of it. [`HttpClient`] calls other services, and returns a
//!   [`Reply`] or a [`CallError`]. [`Offload`] runs CPU work and blocking calls on threads, and returns an
//!   [`OffloadError`] if it cannot. [`wait`] counts a wait of your own for a [`Phase`], so that the log and the metrics
//!   show it.
#![cfg_attr(
    feature = "_database",
    doc = "- **The database**: [`Db`] has a [`Pool`] for reading and a [`Pool`] for writing. A pool gives you a [`Connection`] \
           or a [`Transaction`], on which you run sqlx's own queries. [`Driver`] is sqlx's type for the database of this \
           build. [`Migrations`] are a list of [`Step`]s, each made by [`step()`]. [`Trouble`] says what an error means."
)]
#![cfg_attr(
    not(feature = "_database"),
    doc = "- **The database**: this build has none. The features `sqlite` and `postgres` bring one."
)]
//! - **Handlers** are axum's. They read a request with [`Json`], [`Path`], [`Query`], [`Body`] and [`ClientAddr`]. They
//!   fail with a [`Problem`], which becomes the answer. [`BodyLimit`] gives a route its own limit for the body.
//!   [`Endless`] and [`Stopping`] are for answers that last for hours, such as a stream of events.
//! - **Work beside the answer**: [`finish()`], [`spawn`], [`carry`] and [`Background`]. The next section compares them.
//!
//! # Where does my work run?
//!
//! A handler is dropped at the `.await` at which it waits if its client leaves, if `server.request_timeout` passes, or
//! if `shutdown.grace` ends. Work that must go on, or that must not run in the handler, is given to one of these calls:
//!
//! | what the work is | call | what the call returns | when the client leaves | at shutdown |
//! |---|---|---|---|---|
//! | steps that the answer needs and that belong together | [`finish()`] | a `Result`, which the handler awaits | the work goes on until it ends, or until `server.request_timeout` | waits for the work until `shutdown.grace` |
//! | work for this request that the answer does not need | [`spawn`] | tokio's `JoinHandle`, which you may drop | the work goes on, and nothing bounds its time | waits for the work as for a background task |
//! | a callback that a library runs in a task of its own, such as axum's `on_upgrade` | [`carry`] | the callback for the library | depends on the library | waits for the work as for a background task |
//! | a loop that belongs to no request | [`Background::start`] | nothing | | cancels the token, then waits for the rest of `shutdown.grace` |
//! | CPU work, or a call that blocks | [`Offload::run`] | a `Result`, which you await | work that has begun runs to its end | waits for the request that waits for the work |
//!
//! The log lines of all this work carry the request's id, except the lines of a background task. Work in [`spawn`] or
//! [`carry`] learns of the shutdown only if you pass it the token of [`Stopping`]. The shutdown waits for all tasks for
//! the rest of `shutdown.grace`, but at least 200 ms; work that has not ended by then is cut off.
//!
//! # Within an async function
//!
//! Some calls of other crates would escape the measuring or the bounds. This crate has a counterpart for each of them:
//! [`spawn`] for `tokio::spawn`, [`Offload::run`] for `tokio::task::spawn_blocking`, [`HttpClient::send`] for a client
//! of reqwest's, `Links::db` for a pool of sqlx's. The list `disallowed-methods` in a `clippy.toml` can forbid the
//! calls of the other crates. A service that was generated from the template has such a list.
//!
//! # Features
//!
//! - `sqlite` or `postgres`: the database behind `Links::db`. With neither of them, there is no database. Both together
//!   do not compile, because a build has one driver. Two services with different databases need a workspace each.
//! - `drill`: routes that cause trouble on purpose, so that you can see what the service says about it. A release with
//!   this feature refuses to start.
//!
//! # Versions
//!
//! Your own `Cargo.toml` lists axum and sqlx as well, since their macros expand to `::axum` and `::sqlx`. Take the
//! versions that this crate re-exports. If the build has a second axum, the compiler says that your function "cannot
//! start a service" and that "there are multiple different versions of crate `axum` in the dependency graph". If it has
//! a second sqlx, the compiler says "the trait bound `usize: sqlx::ColumnIndex<_>` is not satisfied". The command
//! `cargo tree --duplicates` shows which crate brings the second version.
//!
//! Signatures of this crate contain types of a few other crates: `bytes::Bytes`, `bytesize::ByteSize`,
//! `reqwest::RequestBuilder`, `tokio_util::sync::CancellationToken` and `tracing_subscriber::Layer`. If your code names
//! such a type, list its crate in your `Cargo.toml`, in the version that `cargo tree --package longpole --depth 1`
//! shows.

// Code that serves requests must not panic: an error becomes an answer, and a panic is a bug.
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
// These macros panic when nobody reads what they print, and block while the reader sleeps. Use `terminal`.
#![warn(clippy::dbg_macro, clippy::print_stdout, clippy::print_stderr)]
// With the drill, the engine's own tests use items behind the API, which need no docs.
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
mod arguments;
mod background;
mod builder;
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
pub use self::builder::Service;
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
pub use self::shutdown::Exit;
pub use self::start::{IntoRoutes, Start};
