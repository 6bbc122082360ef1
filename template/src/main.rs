//! An HTTP service: `app` is yours, and the engine `longpole` does the rest.

mod app;

use std::process::ExitCode;

fn main() -> ExitCode {
    longpole::Service::new(longpole::identity!()).migrations(app::migrations()).run(app::start)
}
