//! Does the engine keep its promises? These tests drive the built binary as a client and an operator would.
//!
//! Run them once for each set of features: `drill` with `sqlite`, with `postgres`, and with neither.

mod common;

mod engine {
    mod blame;
    mod calls;
    mod config;
    mod connections;
    mod faults;
    mod finish;
    mod http2;
    mod limit;
    mod lines;
    mod links;
    mod log;
    mod metrics;
    mod owner;
    mod problem;
    mod requests;
    mod secret_types;
    mod secrets;
    mod service;
    mod settings;
    mod shutdown;
    mod start;
    mod stderr;
    mod testing;
    mod upgrade;

    #[cfg(feature = "_database")]
    mod database;
    #[cfg(feature = "_database")]
    mod ends;
    #[cfg(feature = "_database")]
    mod half_way;
    #[cfg(feature = "_database")]
    mod leftovers;
    #[cfg(feature = "_database")]
    mod migrations;
    #[cfg(feature = "_database")]
    mod pool;
    #[cfg(feature = "_database")]
    mod sequences;
    #[cfg(feature = "_database")]
    mod sqlx_pool;

    #[cfg(feature = "sqlite")]
    mod sqlite;

    #[cfg(feature = "postgres")]
    mod far;
    #[cfg(feature = "postgres")]
    mod outage;
    #[cfg(feature = "postgres")]
    mod postgres;
    #[cfg(feature = "postgres")]
    mod server;

    #[cfg(not(feature = "_database"))]
    mod none;
}
