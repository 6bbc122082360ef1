//! A service that blocks in each place where the engine takes something from it.

mod handlers;
mod jobs;
mod start;

use std::process::ExitCode;

fn main() -> ExitCode {
    let service = longpole::Service;
    match std::env::args().count() {
        1 => service.run(start::start),
        2 => service.run(|links: &longpole::Links| {
            let _ = std::fs::read("x"); //~ OK before it serves, on a thread of its own
            start::start(links);
        }),
        _ => service.run(start::start_async),
    }
}

pub fn read(path: &str) -> usize {
    std::fs::read(path).map_or(0, |bytes| bytes.len())
}
