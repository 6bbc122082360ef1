use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

/// A blob store with synchronous operations.
pub trait BlobStore: Send + Sync + 'static {
    fn load(&self, key: &str) -> io::Result<Vec<u8>>;
    fn save(&self, key: &str, data: &[u8]) -> io::Result<()>;

    /// Default method over the required ones.
    fn copy(&self, from: &str, to: &str) -> io::Result<()> {
        let data = self.load(from)?;
        self.save(to, &data)
    }
    fn label(&self) -> &'static str;
}

pub struct DiskStore {
    pub root: PathBuf,
}

impl BlobStore for DiskStore {
    fn load(&self, key: &str) -> io::Result<Vec<u8>> {
        std::fs::read(self.root.join(key))
    }
    fn save(&self, key: &str, data: &[u8]) -> io::Result<()> {
        crate::fsx::atomic_write(&self.root.join(key), data)
    }
    fn label(&self) -> &'static str {
        "disk"
    }
}

#[derive(Default)]
pub struct MemStore {
    map: Mutex<HashMap<String, Vec<u8>>>,
}

impl BlobStore for MemStore {
    fn load(&self, key: &str) -> io::Result<Vec<u8>> {
        self.map.lock().get(key).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
    fn save(&self, key: &str, data: &[u8]) -> io::Result<()> {
        self.map.lock().insert(key.to_owned(), data.to_vec());
        Ok(())
    }
    fn label(&self) -> &'static str {
        "mem"
    }
}

/// Read-through cache.
pub struct Cached<S> {
    inner: S,
    hot: Mutex<HashMap<String, Arc<[u8]>>>,
}

impl<S: BlobStore> Cached<S> {
    pub fn new(inner: S) -> Self {
        Self { inner, hot: Mutex::new(HashMap::new()) }
    }

    pub fn fetch(&self, key: &str) -> io::Result<Arc<[u8]>> {
        if let Some(hit) = self.peek(key) {
            return Ok(hit);
        }
        let data: Arc<[u8]> = self.inner.load(key)?.into();
        self.hot.lock().insert(key.to_owned(), data.clone());
        Ok(data)
    }

    /// Memory only, whatever the store.
    pub fn peek(&self, key: &str) -> Option<Arc<[u8]>> {
        self.hot.lock().get(key).cloned()
    }
}

/// Where events go.
pub trait Sink: Send {
    fn emit(&mut self, line: &str);
}

pub struct FileSink(pub std::fs::File);
impl Sink for FileSink {
    fn emit(&mut self, line: &str) {
        use std::io::Write;
        let _ = writeln!(self.0, "{line}");
    }
}

#[derive(Default)]
pub struct VecSink(pub Vec<String>);
impl Sink for VecSink {
    fn emit(&mut self, line: &str) {
        self.0.push(line.to_owned());
    }
}

/// Generic sync helper over sinks.
pub fn emit_all<S: Sink>(sink: &mut S, lines: &[String]) {
    for l in lines {
        sink.emit(l);
    }
}

/// Time source; only one implementation waits.
pub trait Pacer: Send + Sync {
    fn pace(&self);
}
pub struct ThreadPacer(pub std::time::Duration);
impl Pacer for ThreadPacer {
    fn pace(&self) {
        std::thread::sleep(self.0)
    }
}
#[derive(Default)]
pub struct CountingPacer(pub std::sync::atomic::AtomicUsize);
impl Pacer for CountingPacer {
    fn pace(&self) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

/// Async face of the store, implemented well and badly.
#[async_trait::async_trait]
pub trait AsyncStore: Send + Sync {
    async fn get(&self, key: &str) -> io::Result<Vec<u8>>;
    async fn size(&self, key: &str) -> io::Result<u64>;
}

#[async_trait::async_trait]
impl AsyncStore for DiskStore {
    async fn get(&self, key: &str) -> io::Result<Vec<u8>> {
        self.load(key) //~ BAD(transitive) DiskStore::load reads a file
    }
    async fn size(&self, key: &str) -> io::Result<u64> {
        let meta = std::fs::metadata(self.root.join(key))?; //~ BAD(direct) fs::metadata in async_trait method
        Ok(meta.len())
    }
}

#[async_trait::async_trait]
impl AsyncStore for MemStore {
    async fn get(&self, key: &str) -> io::Result<Vec<u8>> {
        self.load(key) //~ OK the memory implementation
    }
    async fn size(&self, key: &str) -> io::Result<u64> {
        Ok(self.load(key)?.len() as u64) //~ OK the memory implementation
    }
}

/// A well-behaved one: everything goes to the blocking pool.
pub struct PooledStore(pub Arc<DiskStore>);

#[async_trait::async_trait]
impl AsyncStore for PooledStore {
    async fn get(&self, key: &str) -> io::Result<Vec<u8>> {
        let (s, key) = (self.0.clone(), key.to_owned());
        tokio::task::spawn_blocking(move || s.load(&key)).await.map_err(io::Error::other)? //~ OK spawn_blocking
    }
    async fn size(&self, key: &str) -> io::Result<u64> {
        Ok(tokio::fs::metadata(self.0.root.join(key)).await?.len()) //~ OK tokio fs
    }
}
