//! What the engine's tests drive: a service with the drill's routes and none of its own.

use std::process::ExitCode;

use axum::Router;
use longpole::{Links, Service};

fn main() -> ExitCode {
    Service::new(longpole::identity!()).run(start)
}

fn start(_links: &Links, _settings: &()) -> Router {
    Router::new()
}
