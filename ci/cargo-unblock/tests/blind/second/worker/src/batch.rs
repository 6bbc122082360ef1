use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use kit::fsx::{self, Config};
use kit::offload::{self, Gate, JobThread};
use kit::types::{Batch, JoinOnDrop, Journal, Outbox, Preloaded, Ticket};

use io::prelude::BufRead as _;

pub async fn nightly(spool: PathBuf) {
    let cfg: Config = match fsx::load_json(spool.join("config.json")) { //~ BAD(transitive) generic load_json opens a file
        Ok(c) => c,
        Err(_) => Config::default(),
    };
    let dir = cfg.data_dir.clone();
    if fs::create_dir_all(&dir).is_err() { //~ BAD(direct) create_dir_all
        return;
    }
    let n = compact(&dir).await.unwrap_or(0);
    let stamp = kit::slurp_or!(dir.join("stamp"), "0"); //~ BAD(transitive) macro reads a file
    kit::persist!(dir, "stamp", stamp.as_bytes()).ok(); //~ BAD(transitive) macro calls atomic_write
    let r = kit::off_thread!(fs::copy("/a", "/b").is_ok()); //~ OK macro offloads its body
    let _ = (n, r);
}

async fn compact(dir: &Path) -> io::Result<usize> {
    let target = dir.join("all.log");
    let out = File::create(&target)?; //~ BAD(direct) File::create
    let mut w = BufWriter::with_capacity(1 << 16, out); //~ OK only wraps
    let mut n = 0;
    let mut entries = tokio::fs::read_dir(dir).await?; //~ OK tokio fs
    while let Some(e) = entries.next_entry().await? { //~ OK tokio fs
        let mut src = tokio::fs::File::open(e.path()).await?; //~ OK tokio fs
        let mut text = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut src, &mut text).await?; //~ OK tokio read_to_end
        w.write_all(&text)?; //~ BAD(method) BufWriter over a File
        n += text.len();
    }
    w.flush()?; //~ BAD(method) flush of a BufWriter over a File
    fs::hard_link(&target, dir.join("latest"))?; //~ BAD(direct) hard_link
    Ok(n)
}

/// Journal use, all variants.
pub async fn journal(file: File, lines: &[&str]) {
    let mut j = Journal::attach(file); //~ OK only wraps
    for l in lines {
        j.write(l); //~ OK own write that buffers
    }
    j += "commit"; //~ BAD(dynamic) own AddAssign writes and syncs
    let mut count = 0;
    count += lines.len(); //~ OK integers
    if j.commit().is_err() { //~ BAD(transitive) commit writes and syncs a file
        count = 0;
    }
    tokio::time::sleep(Duration::from_millis(count as u64)).await; //~ OK tokio time
    drop(j); //~ BAD(dynamic) Drop of Journal commits
}

pub async fn ship(out: &Outbox, data: &[u8], pre: &Preloaded) -> bool {
    let mut b = Batch::default();
    let n = &mut b << 4; //~ OK own Shl pushes
    let bits = 1u64 << n; //~ OK integers
    let body = &pre["index"]; //~ OK own Index over memory
    let ok = out << data; //~ BAD(dynamic) own Shl writes to a socket
    ok && bits > 0 && !body.is_empty()
}

pub async fn crunch(files: Vec<PathBuf>) -> u64 {
    let (tx, rx) = tokio::sync::oneshot::channel();
    let list = files.clone();
    rayon::spawn(move || {
        let n = list.iter().filter_map(|p| fs::read(p).ok()).map(|v| v.len() as u64).sum::<u64>(); //~ OK rayon::spawn
        let _ = tx.send(n);
    });
    let a = rx.await.unwrap_or(0); //~ OK oneshot
    let jobs = JobThread::start(); //~ OK only spawns
    let first = files.first().cloned().unwrap_or_default();
    let f2 = first.clone();
    jobs.submit(move || { fs::remove_file(f2).ok(); }); //~ OK runs on the job thread
    let f3 = first.clone();
    let b = jobs.call(move || fs::metadata(f3).map_or(0, |m| m.len())).await; //~ OK runs on the job thread
    let c = jobs.call_sync(move || first.as_os_str().len() as u64); //~ BAD(transitive) call_sync waits on a std channel
    a + b.unwrap_or(0) + c.unwrap_or(0)
}

pub async fn rendezvous(gate: Arc<Gate>, barrier: Arc<Barrier>) {
    let g = gate.clone();
    let waiter = tokio::task::spawn_blocking(move || g.pass()); //~ OK spawn_blocking
    let b = barrier.clone();
    std::thread::spawn(move || b.wait()); //~ OK in a thread
    gate.open(); //~ OK only notifies
    waiter.await.ok();
    gate.pass(); //~ BAD(transitive) Condvar wait
    barrier.wait(); //~ BAD(method) Barrier::wait
    let tb = tokio::sync::Barrier::new(1);
    tb.wait().await; //~ OK tokio barrier
    let n = tokio::sync::Notify::new();
    n.notify_one();
    n.notified().await; //~ OK tokio notify
}

pub async fn reap(t: std::thread::JoinHandle<()>, live: Arc<std::sync::atomic::AtomicUsize>) {
    let guard = JoinOnDrop(Some(t));
    let ticket = Ticket(live);
    tokio::task::yield_now().await;
    drop(ticket); //~ OK Drop only counts
    drop(guard); //~ BAD(dynamic) Drop joins a thread
}

/// Bodies offloaded in many shapes.
pub struct Task {
    run: Box<dyn FnOnce() -> io::Result<u64> + Send>,
    cost: fn(u64) -> u64,
}

fn copy_task(from: PathBuf, to: PathBuf) -> Task {
    Task { run: Box::new(move || fs::copy(from, to)), cost: |n| n / 2 }
}

fn sweeper(dir: PathBuf) -> impl FnOnce() -> u64 + Send + 'static {
    move || {
        let n = fsx::dir_size(&dir);
        fs::remove_dir_all(dir).ok();
        n
    }
}

pub async fn execute(a: Task, b: Task, dir: PathBuf) -> u64 {
    let cost = (a.cost)(10); //~ OK fn pointer that computes
    let run = a.run;
    let x = tokio::task::spawn_blocking(run).await; //~ OK field of closure type, offloaded
    let y = (b.run)(); //~ BAD(dynamic) boxed closure in a field, fs::copy
    let s = sweeper(dir.clone()); //~ OK makes the closure only
    let z = tokio::task::spawn_blocking(s).await; //~ OK returned closure, offloaded
    let now = sweeper(dir);
    let w = now(); //~ BAD(dynamic) returned closure called here
    cost + x.map_or(0, |r| r.unwrap_or(0)) + y.unwrap_or(0) + z.unwrap_or(0) + w
}

pub async fn plan() -> Vec<Task> {
    vec![
        copy_task("/a".into(), "/b".into()), //~ OK makes the closure only
        copy_task("/c".into(), "/d".into()),
    ]
}

pub async fn named_thread(dir: PathBuf) -> io::Result<u64> {
    let (tx, rx) = tokio::sync::oneshot::channel();
    std::thread::Builder::new().name("scan".into()).spawn(move || { //~ OK Builder::spawn
        std::thread::sleep(Duration::from_millis(3)); //~ OK in a thread
        let _ = tx.send(fsx::dir_size(&dir)); //~ OK in a thread
    })?;
    rx.await.map_err(io::Error::other)
}

pub async fn scoped(paths: &[PathBuf]) -> usize {
    let total = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|s| { //~ BAD(direct) thread::scope joins its threads
        for p in paths {
            let total = &total;
            s.spawn(move || {
                let n = fs::read(p).map_or(0, |v| v.len()); //~ OK in a scoped thread
                total.fetch_add(n, std::sync::atomic::Ordering::Relaxed);
            });
        }
    });
    total.into_inner()
}

pub async fn sniff(path: &Path, inline: &[u8]) -> io::Result<(String, String)> {
    let mut head = [0u8; 4];
    let mut mem = inline;
    mem.read_exact(&mut head)?; //~ OK Read for a slice
    let mut line = String::new();
    io::Cursor::new(inline).read_line(&mut line)?; //~ OK BufRead in memory
    let f = tokio::fs::File::open(path).await?.into_std().await; //~ OK tokio File::into_std
    let mut r = io::BufReader::new(f);
    let mut first = String::new();
    r.read_line(&mut first)?; //~ BAD(method) read_line on a File
    let mut rest = Vec::new();
    r.take(64).read_to_end(&mut rest)?; //~ BAD(method) read_to_end on a File
    Ok((line, first))
}

pub async fn poll_ready(flag: &Path) -> Option<u64> {
    let a = kit::poll_until!(Duration::from_millis(5), flag.as_os_str().to_str()); //~ BAD(transitive) macro sleeps
    let b = kit::poll_until_async!(Duration::from_millis(5), flag.to_str()); //~ OK macro awaits tokio's sleep
    Some((a?.len() + b?.len()) as u64)
}

pub async fn verify(path: PathBuf) -> io::Result<bool> {
    let bytes = tokio::fs::read(&path).await?; //~ OK tokio fs
    let a = fsx::checksum(io::Cursor::new(&bytes))?; //~ OK generic reader in memory
    let f = offload::blocking(move || File::open(path)).await?; //~ OK own wrapper
    let b = fsx::checksum(f)?; //~ BAD(transitive) generic reader over a File
    Ok(a == b)
}
