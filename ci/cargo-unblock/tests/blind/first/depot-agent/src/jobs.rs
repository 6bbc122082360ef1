use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use depot_base::index::{tree_size, Index};
use depot_base::probe::{sample, settle, Fixed, LoadAverage, Probe};
use depot_util::retry::{retry_async, retry_sync, Backoff};
use futures::future::BoxFuture;
use futures::FutureExt;

/// Hands the work over, by a macro of this module.
macro_rules! detached {
    ($name:ident, $body:block) => {
        let $name = tokio::task::spawn_blocking(move || $body);
    };
}

macro_rules! in_place {
    ($body:block) => {
        (|| $body)()
    };
}

pub async fn measure(roots: Vec<PathBuf>) -> Vec<u64> {
    let lazy = roots.into_iter().map(|r| tree_size(&r)); //~ OK lazy, consumed in the blocking pool
    let sizes = tokio::task::spawn_blocking(move || lazy.collect::<Vec<_>>()); //~ OK consumed in the blocking pool
    sizes.await.unwrap_or_default()
}

pub async fn measure_here(roots: &[PathBuf]) -> Vec<u64> {
    let mut sizes = Vec::new();
    roots.iter().for_each(|root| {
        let size = tree_size(root); //~ BAD(transitive) closure of for_each runs here
        sizes.push(size);
    });
    tokio::task::yield_now().await;
    sizes
}

pub async fn measure_fn(roots: &[PathBuf]) -> u64 {
    let total = roots.iter().map(PathBuf::as_path).map(tree_size).sum::<u64>(); //~ BAD(dynamic) function value run by sum
    tokio::task::yield_now().await;
    total
}

pub async fn measure_rayon(roots: Vec<PathBuf>) -> u64 {
    let (tx, rx) = tokio::sync::oneshot::channel();
    rayon::spawn(move || {
        let total: u64 = roots.iter().map(|r| tree_size(r)).sum(); //~ OK runs in rayon's pool
        let _ = tx.send(total);
    });
    rx.await.unwrap_or(0)
}

pub async fn measure_two(a: &Path, b: &Path) -> u64 {
    let (x, y) = rayon::join(|| a.as_os_str().len(), || b.as_os_str().len()); //~ BAD(direct) waits for rayon's pool
    tokio::task::yield_now().await;
    (x + y) as u64
}

pub async fn measure_pool(pool: &rayon::ThreadPool, data: &[u64]) -> u64 {
    pool.install(|| data.iter().sum()) //~ BAD(method) waits for the pool
}

pub async fn measure_scope(data: &mut [u64]) {
    rayon::scope(|scope| { //~ BAD(direct) waits for all spawned work
        for value in data.iter_mut() {
            scope.spawn(move |_| *value += 1);
        }
    });
    tokio::task::yield_now().await;
}

pub async fn by_macro(root: PathBuf) -> u64 {
    detached!(size, {
        tree_size(&root) //~ OK the macro hands it to spawn_blocking
    });
    size.await.unwrap_or(0)
}

pub async fn by_macro_here(root: &Path) -> u64 {
    let size = in_place!({ tree_size(root) }); //~ BAD(transitive) the macro runs it here
    tokio::task::yield_now().await;
    size
}

pub async fn by_value(root: PathBuf) -> Option<Index> {
    tokio::task::spawn_blocking(load_index).await.ok()?; //~ OK function value in the blocking pool
    let job = scan_job(root); //~ OK only boxes the closure
    tokio::task::spawn_blocking(job).await.ok().flatten() //~ OK boxed closure in the blocking pool
}

fn load_index() -> Option<Index> {
    Index::scan(Path::new("data")).ok()
}

fn scan_job(root: PathBuf) -> Box<dyn FnOnce() -> Option<Index> + Send> {
    Box::new(move || Index::scan(&root).ok())
}

pub async fn by_value_here(root: PathBuf) -> Option<Index> {
    let job = scan_job(root);
    tokio::task::yield_now().await;
    job() //~ BAD(dynamic) boxed closure from scan_job
}

pub async fn by_pointer(root: &Path) -> u64 {
    let measure: fn(&Path) -> u64 = if root.is_absolute() { tree_size } else { name_size };
    tokio::task::yield_now().await;
    measure(root) //~ BAD(dynamic) function pointer to tree_size
}

fn name_size(path: &Path) -> u64 {
    path.as_os_str().len() as u64
}

pub async fn by_pointer_memory(root: &Path) -> u64 {
    let measure: fn(&Path) -> u64 = name_size;
    tokio::task::yield_now().await;
    measure(root) //~ OK function pointer to name_size
}

pub async fn probes() -> std::io::Result<u64> {
    let fixed = Fixed::measure()?; //~ OK constant
    let load = LoadAverage::measure()?; //~ BAD(transitive) reads /proc with std::fs
    let many = sample::<Fixed>(3)?; //~ OK generic helper over a constant
    let more = sample::<LoadAverage>(3)?; //~ BAD(transitive) generic helper over a file
    tokio::task::yield_now().await;
    settle::<LoadAverage>(4)?; //~ BAD(transitive) generic helper over a file
    Ok(fixed + load + many.len() as u64 + more.len() as u64)
}

pub async fn probe_generic<P: Probe>() -> std::io::Result<u64> {
    tokio::task::yield_now().await;
    P::measure() //~ BAD(dynamic) P is LoadAverage in probe_load
}

pub async fn probe_load() -> std::io::Result<u64> {
    probe_generic::<LoadAverage>().await
}

pub async fn retries(path: PathBuf) -> std::io::Result<u64> {
    let waited = retry_sync(3, || "7".parse::<u64>().map_err(std::io::Error::other))?; //~ BAD(transitive) sleeps between the tries
    let polled = retry_async(3, || {
        let path = path.clone();
        async move { tokio::fs::read(path).await } //~ OK tokio::fs
    });
    Ok(waited + polled.await?.len() as u64)
}

pub async fn retries_eager(path: PathBuf) -> std::io::Result<usize> {
    let bytes = retry_async(3, || {
        let path = path.clone();
        async move {
            std::fs::read(path) //~ BAD(direct) std::fs in the future of a closure
        }
    });
    Ok(bytes.await?.len())
}

pub async fn back_off() {
    let mut backoff = Backoff::new(Duration::from_millis(1), Duration::from_secs(1));
    let first = backoff.advance(); //~ OK only computes
    backoff.pause().await; //~ OK waits on the tokio timer
    if first.is_zero() {
        backoff.snooze(); //~ BAD(transitive) thread sleep in another crate
    }
}

/// Jobs by name, each gives a future.
pub type JobFn = Arc<dyn Fn(PathBuf) -> BoxFuture<'static, u64> + Send + Sync>;

pub fn job_table() -> Vec<(&'static str, JobFn)> {
    vec![
        ("size", Arc::new(|root| async move {
            tree_size(&root) //~ BAD(transitive) async block of a job
        }.boxed())),
        ("count", Arc::new(|root| async move {
            tokio::task::spawn_blocking(move || tree_size(&root)).await.unwrap_or(0) //~ OK in the blocking pool
        }.boxed())),
    ]
}

pub async fn with_async_closure(paths: Vec<PathBuf>) -> usize {
    let read = async |path: &Path| {
        std::fs::read(path).map_or(0, |d| d.len()) //~ BAD(direct) body of an async closure
    };
    let mut total = 0;
    for path in &paths {
        total += read(path).await;
    }
    total
}

pub async fn iife(path: &Path) -> std::io::Result<usize> {
    let text = (|| {
        let text = std::fs::read_to_string(path)?; //~ BAD(direct) closure called at once
        Ok::<_, std::io::Error>(text)
    })()?;
    tokio::task::yield_now().await;
    Ok(text.len())
}

pub async fn named_closure(path: &Path) -> bool {
    let gone = |p: &Path| std::fs::symlink_metadata(p).is_err();
    tokio::task::yield_now().await;
    gone(path) //~ BAD(dynamic) closure of a variable
}
