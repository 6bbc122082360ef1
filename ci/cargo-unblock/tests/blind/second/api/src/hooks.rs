//! Webhooks: guards, channels, fan-out.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, RwLock, mpsc};
use std::time::Duration;

use axum::{body::Bytes, extract::{Path, State}, http::StatusCode};
use futures::{StreamExt, future, stream};
use kit::offload;

use crate::state::App;

pub async fn receive(State(App(app)): State<App>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    // Edition 2024: the scrutinee's temporaries are gone in the else branch.
    if let Some(n) = app.sessions.lock().get_mut(&id) { //~ OK no await in the then branch; 2024 drops before else
        *n += body.len() as u64;
    } else {
        tokio::task::yield_now().await;
    }
    let known = app.names.read().unwrap().contains(&id); //~ OK temporary guard
    if !known {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    {
        let mut g = app.sessions.lock(); //~ OK scoped before the await
        g.insert(id, 0);
    }
    tokio::task::yield_now().await;
    StatusCode::ACCEPTED
}

pub struct Fanout {
    targets: Mutex<HashMap<String, String>>,
    stats: parking_lot::RwLock<Vec<u64>>,
    gate: parking_lot::Mutex<u32>,
    routes: RwLock<Vec<String>>,
}

impl Fanout {
    async fn post(&self, url: &str) -> bool {
        tokio::time::sleep(Duration::from_millis(2)).await; //~ OK tokio time
        !url.is_empty()
    }

    /// Runs on a LocalSet.
    pub async fn deliver(&self, id: &str) -> bool {
        let targets = self.targets.lock().unwrap(); //~ BAD(method) std guard across await
        match targets.get(id) {
            Some(u) => self.post(u).await,
            None => false,
        }
    }

    pub async fn deliver_well(&self, id: &str) -> bool {
        let url = self.targets.lock().unwrap().get(id).cloned(); //~ OK guard dropped with the statement
        match url {
            Some(u) => self.post(&u).await,
            None => false,
        }
    }

    pub async fn deliver_match(&self, id: &str) -> bool {
        match self.targets.lock().unwrap().get(id) { //~ BAD(method) scrutinee guard lives through the arms
            Some(u) => self.post(u).await,
            None => false,
        }
    }

    pub async fn deliver_if_let(&self, id: &str) -> bool {
        if let Some(u) = self.targets.lock().unwrap().get(id) { //~ BAD(method) guard lives in the then branch
            return self.post(u).await;
        }
        false
    }

    pub async fn record(&self, v: u64) {
        let mut st = self.stats.write(); //~ BAD(method) parking_lot write guard across await
        st.push(v);
        self.post("stats").await;
        st.push(0);
    }

    pub async fn record_scoped(&self, v: u64) -> usize {
        let n = {
            let mut st = self.stats.write(); //~ OK guard scoped
            st.push(v);
            st.len()
        };
        self.post("stats").await;
        n
    }

    pub async fn all(&self) -> usize {
        let mut ok = 0;
        for r in self.routes.read().unwrap().iter() { //~ BAD(method) read guard of the for head across await
            ok += usize::from(self.post(r).await);
        }
        ok
    }

    pub async fn all_cloned(&self) -> usize {
        let routes = self.routes.read().unwrap().clone(); //~ OK clone, guard dropped
        let mut ok = 0;
        for r in &routes {
            ok += usize::from(self.post(r).await);
        }
        ok
    }

    pub async fn attempt(&self) -> bool {
        let held = self.gate.try_lock().is_some(); //~ OK try_lock, not held
        self.post("x").await && held
    }

    pub async fn bump(&self) -> u32 {
        let mut g = self.gate.lock(); //~ OK last use is a drop before the await
        *g += 1;
        let n = *g;
        std::mem::drop(g);
        self.post("bump").await;
        n
    }

    fn counters(&self) -> parking_lot::MutexGuard<'_, u32> {
        self.gate.lock()
    }

    pub async fn hold_via_helper(&self) {
        let mut c = self.counters(); //~ BAD(transitive) helper returns a guard, held across await
        *c += 1;
        self.post("c").await;
        *c -= 1;
    }

    pub async fn use_via_helper(&self) {
        *self.counters() += 1; //~ OK helper's guard is temporary
        self.post("c").await;
    }
}

/// Events arrive from a std thread.
pub async fn pump(rx: mpsc::Receiver<String>, cb: crossbeam_channel::Receiver<u64>, fl: flume::Receiver<u64>) -> u64 {
    let mut n = 0;
    while let Ok(s) = rx.try_recv() { //~ OK try_recv
        n += s.len() as u64;
    }
    n += cb.try_iter().sum::<u64>(); //~ OK try_iter does not wait
    if let Ok(s) = rx.recv_timeout(Duration::from_secs(1)) { //~ BAD(method) mpsc recv_timeout
        n += s.len() as u64;
    }
    n += cb.recv().unwrap_or(0); //~ BAD(method) crossbeam recv
    n += fl.recv().unwrap_or(0); //~ BAD(method) flume recv
    n += fl.recv_async().await.unwrap_or(0); //~ OK flume's async side
    for s in &rx { //~ BAD(method) iterating a Receiver waits
        n += s.len() as u64;
    }
    for v in cb.iter().take(3) { //~ BAD(method) crossbeam iter waits
        n += v;
    }
    n
}

pub async fn feed(tx: mpsc::Sender<u64>, full: mpsc::SyncSender<u64>, bounded: flume::Sender<u64>) {
    tx.send(1).ok(); //~ OK unbounded send does not wait
    full.try_send(2).ok(); //~ OK try_send
    full.send(3).ok(); //~ BAD(method) rendezvous or bounded send waits
    bounded.send_async(4).await.ok(); //~ OK flume's async side
}

pub async fn tokio_side(mut rx: tokio::sync::mpsc::Receiver<u64>, tx: tokio::sync::mpsc::Sender<u64>) -> u64 {
    tx.send(1).await.ok(); //~ OK tokio channel
    let a = rx.recv().await.unwrap_or(0); //~ OK tokio channel
    let b = tokio::task::spawn_blocking(move || rx.blocking_recv()).await; //~ OK blocking_recv in spawn_blocking
    a + b.ok().flatten().unwrap_or(0)
}

/// Closures in combinators.
pub async fn enrich(ids: Vec<u64>) -> Vec<String> {
    let a: Vec<String> = stream::iter(ids.clone())
        .map(|i| std::fs::read_to_string(format!("/data/{i}")).unwrap_or_default()) //~ BAD(direct) closure of a stream combinator
        .collect()
        .await;
    let b: Vec<String> = stream::iter(ids.clone())
        .then(|i| async move { tokio::fs::read_to_string(format!("/data/{i}")).await.unwrap_or_default() }) //~ OK tokio fs
        .collect()
        .await;
    let c: Vec<String> = stream::iter(ids.clone())
        .map(|i| offload::blocking(move || kit::slurp_or!(format!("/data/{i}"), ""))) //~ OK macro in an offloaded closure
        .buffered(4)
        .collect()
        .await;
    let d = stream::iter(ids)
        .filter_map(|i| async move { kit::fsx::load_json::<String>(format!("/data/{i}.json")).ok() }) //~ BAD(transitive) async block of a combinator, load_json
        .collect::<Vec<_>>()
        .await;
    [a, b, c, d].concat()
}

pub async fn parse_all(paths: &[std::path::PathBuf]) -> Vec<u64> {
    let texts = future::join_all(paths.iter().map(|p| async move {
        let one = tokio::fs::read(p).await.unwrap_or_default(); //~ OK tokio fs
        one.len() as u64
    }))
    .await;
    let links: Vec<u64> = paths
        .iter()
        .filter_map(|p| std::fs::read_link(p).ok()) //~ BAD(direct) iterator closure consumed in place
        .map(|l| l.as_os_str().len() as u64)
        .collect();
    texts.into_iter().chain(links).collect()
}

pub async fn with_timer(path: std::path::PathBuf) -> usize {
    let n = offload::timed("read", || std::fs::read(&path).map_or(0, |v| v.len())); //~ BAD(direct) closure called on the spot by a sync helper
    let m = offload::timed("sum", || (0..n).sum::<usize>()); //~ OK closure does not block
    let work = || std::fs::read(&path).map_or(0, |v| v.len());
    let k = work(); //~ BAD(dynamic) closure in a variable, called here
    let idle = || path.as_os_str().len();
    m + k + idle() //~ OK closure does not block
}

pub async fn attempts(path: Arc<std::path::Path>) -> Option<u64> {
    let a = offload::retry_sync(3, || "7".parse::<u64>()); //~ BAD(transitive) retry_sync -> back_off -> sleep
    let p = path.clone();
    let b = offload::blocking(move || offload::retry_sync(3, || std::fs::metadata(&p))).await; //~ OK own wrapper
    let c = offload::retry(3, || tokio::fs::metadata(&*path)).await; //~ OK async retry over tokio fs
    Some(a.ok()? + b.ok()?.len() + c.ok()?.len())
}
