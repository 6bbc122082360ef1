use std::collections::HashMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Mutex;

/// Named blobs.
pub trait ObjectStore: Send + Sync {
    fn get(&self, key: &str) -> io::Result<Option<Vec<u8>>>;
    fn put(&self, key: &str, data: &[u8]) -> io::Result<()>;
    fn remove(&self, key: &str) -> io::Result<bool>;
    /// A name for logs.
    fn label(&self) -> &'static str;

    /// Puts all pairs; implementations may do better.
    fn put_all(&self, items: &[(String, Vec<u8>)]) -> io::Result<()> {
        for (key, data) in items {
            self.put(key, data)?;
        }
        Ok(())
    }
}

pub struct FsStore {
    root: PathBuf,
}

impl FsStore {
    pub fn at(root: impl Into<PathBuf>) -> Self {
        FsStore { root: root.into() }
    }

    fn file_of(&self, key: &str) -> PathBuf {
        self.root.join(key.replace('/', "_"))
    }
}

impl ObjectStore for FsStore {
    fn get(&self, key: &str) -> io::Result<Option<Vec<u8>>> {
        match std::fs::read(self.file_of(key)) {
            Ok(data) => Ok(Some(data)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn put(&self, key: &str, data: &[u8]) -> io::Result<()> {
        let mut file = std::fs::File::create(self.file_of(key))?;
        file.write_all(data)?;
        file.sync_all()
    }

    fn remove(&self, key: &str) -> io::Result<bool> {
        std::fs::remove_file(self.file_of(key)).map(|_| true)
    }

    fn label(&self) -> &'static str {
        "fs"
    }
}

#[derive(Default)]
pub struct MemStore {
    map: Mutex<HashMap<String, Vec<u8>>>,
}

impl ObjectStore for MemStore {
    fn get(&self, key: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.map.lock().unwrap().get(key).cloned())
    }

    fn put(&self, key: &str, data: &[u8]) -> io::Result<()> {
        self.map.lock().unwrap().insert(key.to_owned(), data.to_vec());
        Ok(())
    }

    fn remove(&self, key: &str) -> io::Result<bool> {
        Ok(self.map.lock().unwrap().remove(key).is_some())
    }

    fn label(&self) -> &'static str {
        "mem"
    }
}

/// Picks by the scheme; opens nothing yet.
pub fn by_url(url: &str) -> Box<dyn ObjectStore> {
    match url.strip_prefix("file:") {
        Some(root) => Box::new(FsStore::at(root)),
        None => Box::new(MemStore::default()),
    }
}

/// Copies the keys from one store to the other.
pub fn mirror<A, B>(from: &A, to: &B, keys: &[String]) -> io::Result<usize>
where
    A: ObjectStore,
    B: ObjectStore,
{
    let mut copied = 0;
    for key in keys {
        if let Some(data) = from.get(key)? {
            to.put(key, &data)?;
            copied += 1;
        }
    }
    Ok(copied)
}

/// Sums the sizes of the keys.
pub fn total_size<S: ObjectStore>(store: &S, keys: &[String]) -> io::Result<u64> {
    let mut sum = 0;
    for key in keys {
        sum += store.get(key)?.map_or(0, |d| d.len() as u64);
    }
    Ok(sum)
}

/// A view that hides where the blobs are.
pub struct Namespaced<S> {
    pub prefix: String,
    pub inner: S,
}

impl<S: ObjectStore> Namespaced<S> {
    pub fn fetch(&self, key: &str) -> io::Result<Option<Vec<u8>>> {
        self.inner.get(&format!("{}/{}", self.prefix, key))
    }
}

pub async fn seed_memory(pairs: Vec<(String, Vec<u8>)>) -> io::Result<MemStore> {
    let store = MemStore::default();
    for (key, data) in &pairs {
        store.put(key, data)?; //~ OK a MemStore by its type
    }
    store.put_all(&pairs)?; //~ OK default method over a MemStore
    tokio::task::yield_now().await;
    Ok(store)
}

pub async fn seed_disk(root: PathBuf, pairs: Vec<(String, Vec<u8>)>) -> io::Result<FsStore> {
    let store = FsStore::at(root); //~ OK only keeps the path
    store.put_all(&pairs)?; //~ BAD(transitive) default method over FsStore::put
    tokio::task::yield_now().await;
    Ok(store)
}

pub async fn promote(mem: &MemStore, disk: &FsStore, keys: &[String]) -> io::Result<usize> {
    let scratch = MemStore::default();
    let staged = mirror(mem, &scratch, keys)?; //~ OK memory to memory
    tokio::task::yield_now().await;
    let copied = mirror(mem, disk, keys)?; //~ BAD(transitive) generic copy into an FsStore
    Ok(staged.min(copied))
}

/// Generic over the store; used below with the disk one.
pub async fn touch_all<S: ObjectStore>(store: &S, keys: &[String]) -> io::Result<()> {
    for key in keys {
        store.put(key, b"")?; //~ BAD(dynamic) S is FsStore in touch_disk
        tokio::task::yield_now().await;
    }
    Ok(())
}

pub async fn touch_disk(root: &str, keys: &[String]) -> io::Result<()> {
    let store = FsStore::at(root);
    touch_all(&store, keys).await
}
