//! Jobs beside the requests.

use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use depot_base::audit::AuditLog;
use depot_base::store::{FsStore, ObjectStore};
use depot_util::chan::Inbox;
use depot_util::mem::Mailbox;
use depot_util::offload::{Workers, on_thread};

/// Starts the janitor on the current runtime.
pub fn start_janitor(root: PathBuf, log: AuditLog) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_secs(60));
        loop {
            tick.tick().await; //~ OK tokio interval
            let _ = std::fs::remove_dir_all(root.join("tmp")); //~ BAD(direct) std::fs in a spawned task
            let _ = log.record("janitor", "swept"); //~ BAD(transitive) writes to the log file
        }
    })
}

/// The same on a thread of its own.
pub fn start_janitor_thread(root: PathBuf) -> std::io::Result<()> {
    on_thread("janitor", move || loop {
        thread::sleep(Duration::from_secs(60)); //~ OK thread of its own
        let _ = std::fs::remove_dir_all(root.join("tmp")); //~ OK thread of its own
    })
}

pub async fn pump(rx: mpsc::Receiver<String>, store: FsStore) -> std::io::Result<usize> {
    let mut stored = 0;
    while let Ok(name) = rx.recv() { //~ BAD(method) std mpsc recv
        store.put(&name, b"")?; //~ BAD(transitive) FsStore::put writes a file
        stored += 1;
        tokio::task::yield_now().await;
    }
    Ok(stored)
}

pub async fn pump_for(rx: mpsc::Receiver<String>) -> usize {
    let mut seen = 0;
    for name in rx { //~ BAD(method) iterates over a std Receiver
        seen += name.len();
        tokio::task::yield_now().await;
    }
    seen
}

pub async fn pump_timeout(rx: &mpsc::Receiver<String>) -> Option<String> {
    let first = rx.try_recv().ok(); //~ OK try_recv does not wait
    if first.is_some() {
        return first;
    }
    rx.recv_timeout(Duration::from_secs(1)).ok() //~ BAD(method) recv_timeout waits
}

pub async fn pump_tokio(mut rx: tokio::sync::mpsc::Receiver<String>) -> usize {
    let mut seen = 0;
    while let Some(name) = rx.recv().await { //~ OK tokio channel
        seen += name.len();
    }
    seen
}

pub async fn pump_blocking_recv(mut rx: tokio::sync::mpsc::Receiver<String>) -> Option<String> {
    rx.blocking_recv() //~ BAD(method) blocking_recv of a tokio channel
}

pub async fn pump_offloaded(rx: mpsc::Receiver<String>) -> usize {
    let count = tokio::task::spawn_blocking(move || rx.iter().count()); //~ OK iterates in the blocking pool
    count.await.unwrap_or(0)
}

pub async fn pump_flume(rx: flume::Receiver<String>) -> usize {
    let mut seen = 0;
    if let Ok(first) = rx.recv_async().await { //~ OK flume's async recv
        seen += first.len();
    }
    if let Ok(second) = rx.recv() { //~ BAD(method) flume's sync recv
        seen += second.len();
    }
    while let Ok(more) = rx.try_recv() { //~ OK try_recv does not wait
        seen += more.len();
    }
    seen
}

pub async fn pump_mailbox(mut mailbox: Mailbox<String>) -> usize {
    let mut seen = 0;
    mailbox.send("end".to_owned()); //~ OK own Mailbox pushes to a queue
    while let Some(name) = mailbox.recv() { //~ OK own Mailbox pops from a queue
        seen += name.len();
        tokio::task::yield_now().await;
    }
    seen
}

pub async fn pump_inbox(mut inbox: Inbox<String>) -> usize {
    let mut seen = 0;
    while let Some(name) = inbox.poll_one() { //~ OK try_recv below
        seen += name.len();
    }
    let waited = inbox.wait_next(); //~ BAD(transitive) crossbeam recv in another crate
    seen += waited.map_or(0, |w| w.len());
    if let Some(next) = inbox.next() { //~ BAD(dynamic) own Iterator waits on a channel
        seen += next.len();
    }
    for name in inbox { //~ BAD(dynamic) own Iterator waits on a channel
        seen += name.len();
        tokio::task::yield_now().await;
    }
    seen
}

pub async fn crunch(parts: Vec<Vec<u64>>) -> u64 {
    let mut sum = 0;
    for part in parts {
        let worker = thread::spawn(move || part.iter().sum::<u64>());
        sum += worker.join().unwrap_or(0); //~ BAD(method) joins a thread
        tokio::task::yield_now().await;
    }
    sum
}

pub async fn crunch_scoped(parts: &[Vec<u64>]) -> u64 {
    let total = Mutex::new(0);
    thread::scope(|scope| { //~ BAD(direct) waits for all scoped threads
        for part in parts {
            let total = &total;
            scope.spawn(move || *total.lock().unwrap() += part.iter().sum::<u64>());
        }
    });
    total.into_inner().unwrap_or(0)
}

pub async fn crunch_oneshot(part: Vec<u64>) -> u64 {
    let (tx, rx) = tokio::sync::oneshot::channel();
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(1)); //~ OK on a thread of its own
        let _ = tx.send(part.iter().sum());
    });
    rx.await.unwrap_or(0) //~ OK awaits a oneshot
}

pub async fn crunch_pool(pool: &Workers, part: Vec<PathBuf>) -> u64 {
    let size = pool.call(move || part.iter().map(|p| depot_base::index::tree_size(p)).sum()); //~ OK closure goes to worker threads
    size.await.unwrap_or(0)
}

pub async fn rendezvous(barrier: Arc<Barrier>) -> bool {
    let result = barrier.wait(); //~ BAD(method) std Barrier::wait
    result.is_leader()
}

pub async fn rendezvous_tokio(barrier: Arc<tokio::sync::Barrier>) -> bool {
    let result = barrier.wait().await; //~ OK tokio Barrier
    result.is_leader()
}

pub async fn wait_flag(pair: &(Mutex<bool>, Condvar)) -> bool {
    let flag = pair.0.lock().unwrap(); //~ OK no await while it is held
    let flag = pair.1.wait(flag).unwrap(); //~ BAD(method) Condvar::wait
    *flag
}

pub async fn wait_notify(notify: &tokio::sync::Notify) {
    notify.notified().await //~ OK tokio Notify
}

pub async fn park_here() {
    thread::park_timeout(Duration::from_millis(5)); //~ BAD(direct) parks the thread
    tokio::task::yield_now().await;
}

pub async fn race(mut stop: tokio::sync::watch::Receiver<bool>, path: PathBuf) -> bool {
    tokio::select! {
        _ = stop.changed() => {
            let _ = std::fs::write(&path, b"stopped"); //~ BAD(direct) in a branch of select!
            true
        }
        _ = tokio::time::sleep(Duration::from_secs(5)) => { //~ OK tokio timer
            let _ = tokio::fs::write(&path, b"late").await; //~ OK tokio::fs in a branch of select!
            false
        }
    }
}

pub async fn both(a: PathBuf, b: PathBuf) -> usize {
    let (left, right) = tokio::join!(
        async {
            std::fs::read_link(&a).is_ok() //~ BAD(direct) async block in join!
        },
        async {
            tokio::fs::read_link(&b).await.is_ok() //~ OK tokio::fs
        },
    );
    usize::from(left) + usize::from(right)
}

/// A worker thread that starts tasks on the runtime.
pub fn feed(handle: tokio::runtime::Handle, rx: mpsc::Receiver<PathBuf>) {
    thread::spawn(move || {
        while let Ok(path) = rx.recv() { //~ OK worker thread
            handle.spawn(async move {
                let _ = std::fs::hard_link(&path, "/var/depot/last"); //~ BAD(direct) task started from a thread
            });
        }
    });
}

pub async fn drive(handle: tokio::runtime::Handle, path: PathBuf) -> bool {
    let inner = handle.clone();
    let done = tokio::task::spawn_blocking(move || {
        inner.block_on(tokio::fs::try_exists(path)) //~ OK Handle::block_on in the blocking pool
    });
    done.await.is_ok_and(|r| r.unwrap_or(false))
}

pub async fn drive_here(handle: &tokio::runtime::Handle) -> u32 {
    handle.block_on(async { 7 }) //~ BAD(method) Handle::block_on in async code
}

pub async fn drive_futures(work: impl Future<Output = u32>) -> u32 {
    futures::executor::block_on(work) //~ BAD(direct) nested executor
}

pub async fn drive_futures_offloaded(part: u32) -> u32 {
    let job = move || futures::executor::block_on(async move { part + 1 }); //~ OK block_on in the blocking pool
    tokio::task::spawn_blocking(job).await.unwrap_or(0)
}

pub async fn fetch_blocking(client: &reqwest::blocking::Client, url: &str) -> Option<u16> {
    let request = client.get(url).timeout(Duration::from_secs(1));
    let response = request.send().ok()?; //~ BAD(method) blocking client
    Some(response.status().as_u16())
}

pub async fn fetch_blocking_text(url: &str) -> Option<String> {
    let response = reqwest::blocking::get(url).ok()?; //~ BAD(direct) blocking client
    response.text().ok() //~ BAD(method) reads the body on this thread
}

pub async fn fetch_async(client: &reqwest::Client, url: &str) -> Option<String> {
    let response = client.get(url).send().await.ok()?; //~ OK async client
    response.text().await.ok() //~ OK async client
}

pub async fn fetch_offloaded(url: String) -> Option<String> {
    let work = move || reqwest::blocking::get(url).ok()?.text().ok(); //~ OK closure goes to spawn_blocking
    tokio::task::spawn_blocking(work).await.ok().flatten()
}
