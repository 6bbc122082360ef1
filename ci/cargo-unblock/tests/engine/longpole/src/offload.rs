#[derive(Debug)]
pub struct Problem;

#[derive(Clone, Default)]
pub struct Offload;

impl Offload {
    pub async fn run<T, W>(&self, work: W) -> Result<T, Problem>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        tokio::task::spawn_blocking(work).await.map_err(|_| Problem)
    }
}
