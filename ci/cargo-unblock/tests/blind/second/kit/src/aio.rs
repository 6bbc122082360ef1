use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::{fsx, offload};

/// Own type whose methods have the names of blocking ones.
#[derive(Default)]
pub struct Mailbox {
    items: Vec<String>,
    closed: bool,
}

impl Mailbox {
    pub fn recv(&mut self) -> Option<String> {
        self.items.pop()
    }
    pub fn send(&mut self, s: String) {
        self.items.push(s);
    }
    pub fn read(&self, i: usize) -> Option<&str> {
        self.items.get(i).map(String::as_str)
    }
    pub fn join(&self, sep: &str) -> String {
        self.items.join(sep)
    }
    pub fn wait(&self) -> bool {
        self.closed
    }
    pub fn sleep(&mut self) {
        self.closed = true;
    }
    pub fn open(&mut self) -> &mut Self {
        self.closed = false;
        self
    }
    pub fn output(&self) -> usize {
        self.items.len()
    }
}

pub async fn drain(mb: &mut Mailbox) -> usize {
    let mut n = 0;
    mb.open(); //~ OK own method
    while let Some(m) = mb.recv() { //~ OK own method
        n += m.len();
        tokio::task::yield_now().await;
    }
    mb.sleep(); //~ OK own method
    n
}

pub async fn summary(mb: &Mailbox) -> String {
    let first = mb.read(0).unwrap_or("-").to_owned(); //~ OK own method
    if mb.wait() { //~ OK own method
        return first;
    }
    let n = mb.output(); //~ OK own method
    let all = mb.join(","); //~ OK own method
    format!("{first} {n} {all}")
}

pub async fn load_config_async(path: &Path) -> std::io::Result<fsx::Config> {
    let text = tokio::fs::read_to_string(path).await?; //~ OK tokio fs
    fsx::parse_config(&text) //~ OK in memory
}

pub async fn load_config_pooled(path: PathBuf) -> Result<fsx::Config, String> {
    offload::try_blocking("config", move || fsx::load_config(&path)).await //~ OK own wrapper over spawn_blocking
}

/// Blocks: the helper runs on the runtime's thread.
pub async fn reload(path: &Path, into: &parking_lot::RwLock<fsx::Config>) -> std::io::Result<()> {
    let fresh = fsx::load_config(path)?; //~ BAD(transitive) load_config -> fs::read_to_string
    *into.write() = fresh;
    Ok(())
}

pub async fn settle(dir: &Path) -> u64 {
    let before = fsx::dir_size(dir); //~ BAD(transitive) dir_size walks the directory
    tokio::time::sleep(Duration::from_millis(50)).await; //~ OK tokio time
    let root = dir.to_owned();
    let after = offload::blocking(move || fsx::dir_size(&root)).await; //~ OK own wrapper
    after - before
}

pub struct Debounce {
    last: Arc<tokio::sync::Mutex<std::time::Instant>>,
}

impl Debounce {
    pub async fn hit(&self) {
        let mut g = self.last.lock().await; //~ OK tokio mutex across await
        tokio::time::sleep(Duration::from_millis(5)).await;
        *g = std::time::Instant::now();
    }
}

#[cfg(feature = "sync-audit")]
pub async fn audit(line: String) {
    std::fs::write("/var/log/audit", line).ok(); //~ OK feature is off
    std::thread::sleep(Duration::from_secs(1)); //~ OK feature is off
}

#[cfg(not(feature = "sync-audit"))]
pub async fn audit(line: String) {
    let _ = tokio::fs::write("/var/log/audit", line).await; //~ OK tokio fs
}
