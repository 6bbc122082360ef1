//! Does the engine keep its promises? Drives the built binary as a client and an operator would.
//!
//! These tests belong to `src/engine` and are replaced with it; they use the drill's routes, none of yours.

mod common;

mod engine {
    mod blame;
    mod calls;
    mod config;
    mod connections;
    mod database;
    mod faults;
    mod finish;
    mod http2;
    mod leftovers;
    mod limit;
    mod lines;
    mod links;
    mod log;
    mod metrics;
    mod migrations;
    mod owner;
    mod requests;
    mod secrets;
    mod sequences;
    mod settings;
    mod shutdown;
    mod sqlite;
    mod start;
    mod stderr;
    mod upgrade;
}
