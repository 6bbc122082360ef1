use std::future::Future;

use crate::Problem;

pub async fn finish<T, E>(work: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, Problem>
where
    T: Send + 'static,
    E: Send + 'static,
{
    let task = async move { work.await.map_err(|_| Problem) };
    tokio::spawn(task).await.unwrap_or(Err(Problem))
}
