use std::future::Future;

use super::Background;

impl Background {
    pub fn once<F>(&self, _name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        tokio::spawn(task);
    }
}
