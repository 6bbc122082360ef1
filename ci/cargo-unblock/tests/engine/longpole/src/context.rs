use std::future::Future;
use std::pin::Pin;

use tokio::task::JoinHandle;

pub fn spawn<F>(task: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    tokio::spawn(task)
}

pub fn carry<A, F>(
    callback: impl FnOnce(A) -> F + Send + 'static,
) -> impl FnOnce(A) -> Pin<Box<dyn Future<Output = F::Output> + Send>> + Send + 'static
where
    A: Send + 'static,
    F: Future<Output: Send> + Send + 'static,
{
    move |argument| Box::pin(async { callback(argument).await })
}
