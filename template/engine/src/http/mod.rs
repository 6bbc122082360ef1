//! A request's way in and out.
//!
//! [`server`] accepts connections, [`connection`] serves and ends them, [`edge`] opens the account of each request (id, deadline, metrics,
//! one log line), your handler runs with the extractors of [`extract`], and whatever fails leaves as a
//! [`problem`], what axum refuses by itself too (`refusal`). [`limit`] bounds the bodies that
//! come in. [`body`], [`answer`], [`socket`] and [`activity`] watch what is received and sent, since a request ends
//! with its last byte. A WebSocket is an [`upgrade`].

mod activity;
mod answer;
pub mod body;
mod causes;
mod client;
mod connection;
pub mod edge;
mod exchange;
pub mod extract;
pub mod limit;
pub mod problem;
mod refusal;
pub mod server;
mod socket;
pub mod stopping;
mod upgrade;
