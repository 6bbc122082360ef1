//! Shared toolbox of the service: helpers that block, helpers that do not.
#![allow(dead_code)]

#[macro_use]
pub mod macros;
pub mod aio;
pub mod fsx;
pub mod net;
pub mod offload;
pub mod proc;
pub mod poll;
pub mod store;
pub mod types;
