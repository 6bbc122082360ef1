use std::future::Future;
use std::process::ExitCode;

use crate::{Background, Offload};

#[derive(Clone, Default)]
pub struct Links {
    pub offload: Offload,
    pub background: Background,
}

#[derive(Default)]
pub struct Service;

/// What starts a service: a function, which may block, or an async one.
pub trait Start<How> {
    fn start(self, links: Links);
}

pub struct Sync;
pub struct Async;

impl<S: FnOnce(&Links) + Send + 'static> Start<Sync> for S {
    fn start(self, links: Links) {
        let _ = std::thread::spawn(move || self(&links)).join();
    }
}

impl<S: FnOnce(Links) -> F, F: Future<Output = ()>> Start<Async> for S {
    fn start(self, links: Links) {
        tokio::runtime::Runtime::new().map_or((), |runtime| runtime.block_on(self(links)))
    }
}

impl Service {
    pub fn run<How>(self, start: impl Start<How>) -> ExitCode {
        start.start(Links::default());
        ExitCode::SUCCESS
    }
}
