use std::future::Future;
use std::io;
use std::path::PathBuf;

use bytes::Bytes;

/// Gets a text over HTTP, with a client that waits.
pub fn fetch_text(url: &str) -> Result<String, String> {
    let mut response = ureq::get(url).call().map_err(|e| e.to_string())?;
    response.body_mut().read_to_string().map_err(|e| e.to_string())
}

/// Gets the versions of all mirrors.
pub fn versions(mirrors: &[String]) -> Vec<String> {
    mirrors.iter().filter_map(|m| version_of(m)).collect()
}

fn version_of(mirror: &str) -> Option<String> {
    fetch_text(&format!("{mirror}/VERSION")).ok()
}

/// Reads the file now, and gives a future that only counts.
pub fn prepare_upload(path: PathBuf) -> impl Future<Output = io::Result<Bytes>> + Send {
    let data = std::fs::read(path).map(Bytes::from);
    async move {
        tokio::task::yield_now().await;
        data
    }
}

/// Gives a future that reads with tokio when it is polled.
pub fn plan_upload(path: PathBuf) -> impl Future<Output = io::Result<Bytes>> + Send {
    async move { tokio::fs::read(path).await.map(Bytes::from) } //~ OK tokio::fs
}

pub async fn ping(url: &str) -> bool {
    ureq::get(url).call().is_ok() //~ BAD(method) ureq waits for the answer
}

pub async fn ping_offloaded(url: String) -> bool {
    depot_util::offload::offload(move || fetch_text(&url).is_ok()).await //~ OK own wrapper of spawn_blocking
}
