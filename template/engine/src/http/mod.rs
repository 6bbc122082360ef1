//! Which way does a request take, in and out?
//!
//! [`server`] accepts connections, and [`connection`] serves and ends them. [`edge`] opens the account of each request
//! (id, deadline, metrics, one log line). The handler reads the request with the extractors of [`extract`]. An error
//! leaves as a [`problem`]: [`causes`] makes it from the errors of links, and [`refusal`] from what axum refuses by
//! itself. [`limit`] bounds the bodies that come in. [`body`], [`answer`], [`socket`] and [`activity`] watch what is
//! received and sent, because a request ends with its last byte. [`stopping`] tells a handler of the shutdown. A
//! WebSocket is an [`upgrade`].

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
pub mod refusal;
pub mod server;
mod socket;
pub mod stopping;
mod timing;
mod upgrade;
