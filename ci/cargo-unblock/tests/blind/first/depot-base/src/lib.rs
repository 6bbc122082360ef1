//! Storage, settings and bookkeeping of the depot services.

pub mod audit;
pub mod cache;
pub mod config;
pub mod db;
pub mod hooks;
pub mod index;
#[cfg(feature = "legacy-sync")]
pub mod legacy;
pub mod notify;
pub mod probe;
pub mod remote;
pub mod spool;
pub mod store;
pub mod values;
