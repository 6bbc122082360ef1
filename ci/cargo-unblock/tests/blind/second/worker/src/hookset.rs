//! Plug-ins: trait objects, closures in maps, fn pointers.
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kit::store::{AsyncStore, BlobStore, Cached, DiskStore, FileSink, MemStore, Pacer, PooledStore, Sink, ThreadPacer, VecSink};

type Hook = Arc<dyn Fn(&str) -> usize + Send + Sync>;
type Step = fn(&Path) -> std::io::Result<()>;

pub struct Hooks {
    by_name: HashMap<String, Hook>,
    pure: HashMap<String, Box<dyn Fn(u64) -> u64 + Send + Sync>>,
    before: Option<Box<dyn Fn() + Send + Sync>>,
    steps: Vec<Step>,
    sink: Mutex<Box<dyn Sink>>,
}

fn touch(p: &Path) -> std::io::Result<()> {
    std::fs::File::create(p).map(drop)
}
fn purge(p: &Path) -> std::io::Result<()> {
    std::fs::remove_file(p)
}
fn check_len(p: &Path) -> std::io::Result<()> {
    if p.as_os_str().len() > 255 { Err(std::io::ErrorKind::InvalidInput.into()) } else { Ok(()) }
}

fn reader(root: PathBuf) -> impl Fn(&str) -> Option<String> + Send + Sync + Clone + 'static {
    move |k| std::fs::read_to_string(root.join(k)).ok()
}
fn joiner(root: PathBuf) -> impl Fn(&str) -> PathBuf + Send + Sync {
    move |k| root.join(k)
}

impl Hooks {
    pub fn standard(log: std::fs::File) -> Self {
        let mut by_name: HashMap<String, Hook> = HashMap::new();
        by_name.insert("size".into(), Arc::new(|p| std::fs::metadata(p).map_or(0, |m| m.len() as usize)));
        let mut pure: HashMap<String, Box<dyn Fn(u64) -> u64 + Send + Sync>> = HashMap::new();
        pure.insert("double".into(), Box::new(|n| n * 2));
        Self {
            by_name,
            pure,
            before: Some(Box::new(|| std::thread::sleep(Duration::from_millis(1)))),
            steps: vec![touch, purge],
            sink: Mutex::new(Box::new(FileSink(log))),
        }
    }

    pub async fn fire(&self, name: &str, arg: &str) -> usize {
        if let Some(b) = &self.before {
            b(); //~ BAD(dynamic) closure of an optional field sleeps
        }
        let n = match self.by_name.get(name) {
            Some(h) => h(arg), //~ BAD(dynamic) closure in a map reads metadata
            None => 0,
        };
        let m = self.pure.get(name).map_or(0, |f| f(n as u64)); //~ OK closures of this map compute
        tokio::time::sleep(Duration::from_millis(m)).await; //~ OK tokio time
        n
    }

    pub async fn fire_off(&self, name: &str, arg: String) -> usize {
        let Some(h) = self.by_name.get(name).cloned() else { return 0 };
        tokio::task::spawn_blocking(move || h(&arg)).await.unwrap_or(0) //~ OK closure of a map, offloaded
    }

    pub async fn walk(&self, p: &Path) -> usize {
        let mut ok = 0;
        for step in &self.steps {
            ok += step(p).is_ok() as usize; //~ BAD(dynamic) fn pointers of a list touch files
        }
        let cheap: Step = check_len;
        ok + cheap(p).is_ok() as usize //~ OK fn pointer that computes
    }

    pub async fn log(&self, line: &str) {
        self.sink.lock().unwrap().emit(line); //~ BAD(dynamic) Box<dyn Sink> built as FileSink
        tokio::task::yield_now().await;
    }
}

pub async fn readers(root: PathBuf) -> usize {
    let read = reader(root.clone()); //~ OK makes the closure only
    let path = joiner(root);
    let r2 = read.clone();
    let a = tokio::task::spawn_blocking(move || r2("a")).await; //~ OK returned closure, offloaded
    let b = read("b"); //~ BAD(dynamic) returned closure reads a file
    let c = path("c"); //~ OK returned closure joins paths
    a.ok().flatten().map_or(0, |s| s.len()) + b.map_or(0, |s| s.len()) + c.as_os_str().len()
}

/// Generic async code with a bound.
pub struct Replicator<S> {
    store: Arc<S>,
}

impl<S: BlobStore> Replicator<S> {
    pub fn new(store: S) -> Self {
        Self { store: Arc::new(store) }
    }

    pub async fn push(&self, key: &str, data: &[u8]) -> bool {
        let label = self.store.label(); //~ OK blocks in no implementation
        let ok = self.store.save(key, data).is_ok(); //~ BAD(dynamic) bound method, DiskStore in `replicate`
        ok && !label.is_empty()
    }

    pub async fn pull(&self, key: &str) -> Option<Vec<u8>> {
        let (s, key) = (self.store.clone(), key.to_owned());
        tokio::task::spawn_blocking(move || s.load(&key).ok()).await.ok().flatten() //~ OK spawn_blocking
    }
}

pub async fn replicate(root: PathBuf) -> bool {
    let r = Replicator::new(DiskStore { root }); //~ OK only wraps
    r.push("k", b"v").await && r.pull("k").await.is_some()
}

pub async fn memory_only(keys: &[String]) -> usize {
    let m = MemStore::default();
    let cache = Cached::new(MemStore::default());
    let mut n = 0;
    for k in keys {
        m.save(k, k.as_bytes()).ok(); //~ OK memory implementation
        n += cache.fetch(k).map_or(0, |d| d.len()); //~ OK cache over the memory implementation
    }
    n + m.get("k").await.map_or(0, |v| v.len()) //~ OK async trait, memory implementation
}

pub async fn pooled(root: PathBuf) -> u64 {
    let p = PooledStore(Arc::new(DiskStore { root }));
    p.size("a").await.unwrap_or(0) //~ OK async trait, pooled implementation
}

async fn throttle(p: &dyn Pacer, n: usize) {
    for _ in 0..n {
        p.pace(); //~ BAD(dynamic) &dyn Pacer, ThreadPacer in `slow_lane`
        tokio::task::yield_now().await;
    }
}

pub async fn slow_lane() {
    throttle(&ThreadPacer(Duration::from_millis(1)), 3).await;
}

fn sink_for(path: Option<std::fs::File>) -> Box<dyn Sink> {
    match path {
        Some(f) => Box::new(FileSink(f)),
        None => Box::new(VecSink::default()),
    }
}

pub async fn report(file: Option<std::fs::File>, lines: &[String]) {
    let mut s = sink_for(file); //~ OK only wraps
    for l in lines {
        s.emit(l); //~ BAD(dynamic) Box<dyn Sink> that may be a FileSink
    }
    let mut v = VecSink::default();
    kit::store::emit_all(&mut v, lines); //~ OK generic over the memory sink
}

pub async fn report_file(file: std::fs::File, lines: &[String]) {
    let mut s = FileSink(file);
    kit::store::emit_all(&mut s, lines); //~ BAD(transitive) generic over FileSink
}

/// Async callbacks.
pub async fn each<F, Fut>(items: &[String], f: F) -> usize
where
    F: Fn(String) -> Fut,
    Fut: std::future::Future<Output = usize>,
{
    let mut n = 0;
    for i in items {
        n += f(i.clone()).await; //~ OK the async block does the blocking, marked there
    }
    n
}

pub async fn sizes(items: &[String]) -> usize {
    let good = each(items, |p| async move { tokio::fs::read(p).await.map_or(0, |v| v.len()) }).await; //~ OK tokio fs
    let bad = each(items, |p| async move { std::fs::read(p).map_or(0, |v| v.len()) }).await; //~ BAD(direct) fs::read in an async block argument
    good + bad
}
