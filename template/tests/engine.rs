//! Does the engine keep its promises? Drives the built binary as a client and an operator would.
//!
//! These tests belong to `src/engine` and are replaced with it; they use the drill's routes, none of yours.

mod common;

mod engine {
    mod blame;
    mod config;
    mod database;
    mod faults;
    mod links;
    mod log;
    mod metrics;
    mod requests;
    mod secrets;
    mod settings;
    mod shutdown;
    mod sqlite;
    mod start;
}
