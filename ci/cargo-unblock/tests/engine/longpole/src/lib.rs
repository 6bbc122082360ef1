//! A stub of the engine: its names, signatures and private modules, and what each does with a closure.

mod background;
mod clock;
mod context;
mod finish;
mod ledger;
mod offload;
mod service;

pub use background::{Background, CancellationToken};
pub use context::{carry, spawn};
pub use finish::finish;
pub use ledger::{wait, Phase};
pub use offload::{Offload, Problem};
pub use service::{Links, Service};

/// Blocks, and no list knows it.
pub fn load() -> usize {
    std::fs::read("engine").map_or(0, |bytes| bytes.len())
}

/// Calls what it is given on the event loop; no list knows it.
pub async fn twice(work: impl Fn() -> usize) -> usize {
    work() + work()
}

/// Is not `wait` of the ledger, and blocks.
pub fn tick() {
    clock::wait();
}

/// The engine's own finding.
pub async fn own() -> usize {
    load()
}

/// An exception of the engine's own that excuses nothing.
pub async fn own_exception() {
    // unblock: allow(nothing here blocks)
    let _ = 1 + 1;
}
