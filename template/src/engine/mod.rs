//! The engine: everything that is the same in every service. Your floor is [`crate::app`].
//!
//! An upgrade may replace this folder whole, so keep your changes out of it. In reading order:
//! [`config`] (every limit), [`log`] and [`metrics`] (what it says), [`control`] (signals and probes on
//! a thread of their own), [`admission`], [`db`], [`http_client`] and [`offload`] (the links a request waits for),
//! [`ledger`] (which of them held it up), [`http`] (a request's way in and out), [`context`] (what a request carries), [`finish`] (what goes on without its client), [`background`] and [`shutdown`] (the end).

mod admin;
pub mod admission;
pub mod background;
pub mod commands;
pub mod config;
pub mod context;
pub mod control;
pub mod db;
#[cfg(feature = "drill")]
mod drill;
pub mod finish;
pub mod health;
pub mod http;
pub mod http_client;
pub mod ledger;
pub mod links;
pub mod log;
pub mod metrics;
pub mod offload;
pub mod release;
pub mod shutdown;
mod status;
pub mod terminal;
mod watchdog;
