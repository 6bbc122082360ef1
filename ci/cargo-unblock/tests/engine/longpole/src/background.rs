//! Work besides the requests. One method stands in a module of its own: rustc prints its path otherwise.

mod once;

use std::future::Future;

#[derive(Clone, Default)]
pub struct CancellationToken;

#[derive(Clone, Default)]
pub struct Background;

impl Background {
    pub fn start<F>(&self, _name: &'static str, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        tokio::spawn(task(CancellationToken));
    }
}
