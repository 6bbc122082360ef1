//! How do you test the program that you built, as its users and its operator see it?
//!
//! A test starts the program in a folder of its own, on ports that the system chooses, with a database of its own. The test
//! sends requests, reads the log and the metrics, and ends the program by its process id:
//!
//! ```no_run
//! # // A test in `tests/` has `use longpole_testing::setup` here. This example has no program.
//! # macro_rules! setup { () => { longpole_testing::Setup::of("my-service") } }
//! use longpole_testing::eventually;
//!
//! let mut service = setup!().set("server.request_timeout", "1s").start();
//!
//! let answer = service.call("GET", "/hello", &[("x-request-id", "abc")], b"");
//! assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
//! assert_eq!(service.request_line("abc")["route"], "/hello");
//! assert_eq!(service.metric("http_request_duration_seconds_count", &[("route", "/hello")]), 1.0);
//! assert_eq!(service.ask("/readyz").status, 200);
//! eventually("no connection", || (service.metric("http_connections", &[]) == 0.0).then_some(()));
//!
//! assert_eq!(service.stop(), 0);
//! ```
//!
//! [`setup!`] finds the program and returns a [`Setup`], which becomes a [`Service`] when it is started. No function waits for
//! a fixed time. Each function that waits polls until it sees what it waits for, and fails after [`PATIENCE`]. A failure is a
//! panic, because the caller is a test.
//!
//! # Features
//!
//! Enable `sqlite` or `postgres`, the same feature as the service has. Then each test gets a `Database` of its own, and
//! `database.url` is set to it. With `sqlite` the database is a file in a temporary folder. With `postgres` it is on the
//! server that the variable `DATABASE_URL` names. Without this variable, a server is started for all tests of a test program;
//! this needs PostgreSQL's server programs to be installed. With neither feature there is no database.

#![deny(missing_docs)]

#[cfg(all(feature = "sqlite", feature = "postgres"))]
compile_error!(
    "the features `sqlite` and `postgres` of `longpole-testing` exclude each other, as the same features of `longpole` \
     do: enable the feature that the service has, and do not use --all-features"
);

mod client;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod database;
mod folder;
mod patience;
mod proxy;
mod service;
mod setup;
mod upstream;

pub use self::client::{Response, open, request, send};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use self::database::Database;
#[cfg(feature = "sqlite")]
pub use self::database::Lock;
#[cfg(feature = "postgres")]
pub use self::database::Server;
pub use self::patience::{PATIENCE, eventually};
pub use self::proxy::Proxy;
pub use self::service::{Service, read_log};
pub use self::setup::Setup;
pub use self::upstream::{Cut, Upstream, UpstreamAnswer, UpstreamRequest};

/// Returns the [`Setup`] of the program that has the name of its package. `setup!("name")` is for another program of the
/// package.
///
/// Use it in `tests/`: only integration tests learn from Cargo where the programs are.
#[macro_export]
macro_rules! setup {
    () => {
        $crate::Setup::of(env!(concat!("CARGO_BIN_EXE_", env!("CARGO_PKG_NAME"))))
    };
    ($program:literal) => {
        $crate::Setup::of(env!(concat!("CARGO_BIN_EXE_", $program)))
    };
}
