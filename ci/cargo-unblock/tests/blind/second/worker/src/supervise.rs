//! Child processes, threads and locks of the worker.
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, RwLock};
use std::thread::{self, sleep as nap, JoinHandle};
use std::time::Duration;
use std::io::{BufRead, BufReader, Read};

use kit::proc::{self as kproc, Supervised};
use parking_lot::RwLock as FastRw;

pub async fn restart(mut child: Child) -> Option<i32> {
    child.kill().ok(); //~ OK sends a signal
    if let Ok(Some(st)) = child.try_wait() { //~ OK try_wait
        return st.code();
    }
    nap(Duration::from_millis(20)); //~ BAD(direct) renamed import of thread::sleep
    let st = child.wait().ok()?; //~ BAD(method) Child::wait
    st.code()
}

pub async fn restart_tokio(mut child: tokio::process::Child) -> Option<i32> {
    child.kill().await.ok(); //~ OK tokio process
    child.wait().await.ok()?.code() //~ OK tokio process
}

pub async fn capture(mut cmd: Command) -> std::io::Result<String> {
    cmd.stdout(Stdio::piped()); //~ OK builder
    let mut child = tokio::process::Command::from(cmd).stdout(Stdio::piped()).spawn()?;
    let mut text = String::new();
    if let Some(o) = child.stdout.as_mut() {
        tokio::io::AsyncReadExt::read_to_string(o, &mut text).await?; //~ OK tokio pipe
    }
    let out = child.wait_with_output().await?; //~ OK tokio process
    Ok(format!("{text}{:?}", out.status))
}

pub async fn capture_std(child: Child) -> std::io::Result<usize> {
    let mut child = child;
    let mut n = 0;
    if let Some(o) = child.stdout.take() {
        for l in BufReader::new(o).lines() { //~ BAD(method) lines of a child's pipe
            n += l?.len();
        }
    }
    if let Some(mut e) = child.stderr.take() {
        let mut s = String::new();
        e.read_to_string(&mut s)?; //~ BAD(method) read of a child's pipe
        n += s.len();
    }
    let out = child.wait_with_output()?; //~ BAD(method) Child::wait_with_output
    Ok(n + out.stdout.len())
}

pub async fn guardian(child: Child) -> Option<u32> {
    let mut s = Supervised::adopt(child); //~ OK only wraps
    let pid = s.pid(); //~ OK accessor
    if s.poll_exit().is_none() { //~ OK try_wait inside
        tokio::time::sleep(Duration::from_secs(1)).await; //~ OK tokio time
        s.finish()?; //~ BAD(transitive) finish waits for the child
    }
    drop(s); //~ BAD(dynamic) Drop of Supervised waits for the child
    Some(pid)
} //~ BAD(dynamic) Supervised waits for its child when an error leaves early

pub async fn lint_tree() -> Option<String> {
    let a = kproc::run("ls", &["-l"]); //~ BAD(transitive) run -> Command::output
    let b = tokio::task::spawn_blocking(|| kproc::run("ls", &["-a"])).await.ok().flatten(); //~ OK spawn_blocking
    Some(a? + &b?)
}

pub struct Pool {
    threads: Vec<JoinHandle<u64>>,
    done: Arc<(Mutex<bool>, Condvar)>,
    table: RwLock<Vec<u64>>,
    fast: FastRw<Vec<u64>>,
    limit: Mutex<u64>,
}

impl Pool {
    /// Sync; reached from async code below.
    fn join_all(&mut self) -> u64 {
        self.threads.drain(..).map(join_one).sum()
    }

    pub async fn shutdown(mut self) -> u64 {
        let n = self.join_all(); //~ BAD(transitive) join_all -> join_one -> join
        tokio::task::yield_now().await;
        n
    }

    pub async fn shutdown_off(mut self) -> u64 {
        tokio::task::spawn_blocking(move || self.join_all()).await.unwrap_or(0) //~ OK spawn_blocking
    }

    pub async fn until_done(&self) {
        let (m, cv) = &*self.done;
        let g = m.lock().unwrap();
        drop(cv.wait_timeout(g, Duration::from_secs(1))); //~ BAD(method) Condvar::wait_timeout
    }

    pub async fn grow(&self) -> usize {
        let mut t = self.table.write().unwrap(); //~ BAD(method) std write guard across await
        t.push(1);
        tokio::time::sleep(Duration::from_millis(1)).await;
        t.len()
    }

    pub async fn grow_scoped(&self) -> usize {
        {
            let mut t = self.table.write().unwrap(); //~ OK guard scoped
            t.push(1);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.table.read().unwrap().len() //~ OK temporary guard after the await
    }

    pub async fn peek_else(&self) -> u64 {
        // Edition 2021: the scrutinee's guard lives through the else branch.
        if let Some(v) = self.fast.read().first() { //~ BAD(method) guard lives into the else branch in edition 2021
            *v
        } else {
            tokio::task::yield_now().await;
            0
        }
    }

    pub async fn peek_copied(&self) -> u64 {
        let v = self.fast.read().first().copied(); //~ OK guard dropped with the statement
        match v {
            Some(v) => v,
            None => {
                tokio::task::yield_now().await;
                0
            }
        }
    }

    pub async fn raise(&self) -> u64 {
        let _keep = self.limit.lock().unwrap(); //~ BAD(method) underscore-named guard across await
        tokio::task::yield_now().await;
        1
    }

    #[allow(let_underscore_lock)]
    pub async fn raise_ignored(&self) -> u64 {
        let _ = self.limit.lock().unwrap(); //~ OK `_` drops at once
        tokio::task::yield_now().await;
        1
    }

    pub async fn raise_try(&self) -> Option<u64> {
        let v = *self.limit.try_lock().ok()?; //~ OK try_lock, value copied out
        tokio::task::yield_now().await;
        Some(v)
    }

    pub async fn raise_dropped(&self) -> u64 {
        let mut g = self.limit.lock().unwrap(); //~ OK dropped before the await
        *g += 1;
        let v = *g;
        drop(g);
        tokio::task::yield_now().await;
        v
    }

    pub async fn relock(&self) -> u64 {
        let mut g = self.limit.lock().unwrap(); //~ OK dropped before the await
        *g += 1;
        drop(g);
        tokio::task::yield_now().await;
        g = self.limit.lock().unwrap(); //~ BAD(method) assigned again, then held across the next await
        tokio::task::yield_now().await;
        *g
    }
}

fn join_one(h: JoinHandle<u64>) -> u64 {
    h.join().unwrap_or(0)
}

pub async fn watchers(n: usize) -> u64 {
    let hs: Vec<_> = (0..n as u64)
        .map(|i| thread::spawn(move || { nap(Duration::from_millis(i)); i })) //~ OK in threads
        .collect();
    let mut sum = 0;
    for h in hs {
        sum += join_one(h); //~ BAD(transitive) join_one joins
    }
    let t: tokio::task::JoinHandle<u64> = tokio::spawn(async { 1 });
    sum + t.await.unwrap_or(0) //~ OK tokio join handle
}

pub async fn heartbeat(url: &str, client: reqwest::blocking::Client) -> Option<u16> {
    let req = client.get(url); //~ OK builder
    let resp = req.send().ok()?; //~ BAD(method) blocking RequestBuilder::send
    let code = resp.status().as_u16(); //~ OK accessor, not a process status
    let body = resp.text().ok()?; //~ BAD(method) blocking Response::text
    let again = reqwest::blocking::get(url).ok()?; //~ BAD(direct) reqwest::blocking::get
    let u = url.to_owned();
    let off = tokio::task::spawn_blocking(move || reqwest::blocking::get(u).map(|r| r.status().as_u16())).await; //~ OK spawn_blocking
    Some(code + body.len() as u16 + again.status().as_u16() + off.ok()?.ok()?)
}

pub async fn parked() {
    let h = thread::spawn(thread::park); //~ OK function value in a thread
    h.thread().unpark(); //~ OK only wakes
    thread::park(); //~ BAD(direct) thread::park
}

async fn local_jobs(pool: &Pool) {
    let set = tokio::task::LocalSet::new();
    set.run_until(async {
        let f = pool.fast.upgradable_read(); //~ BAD(method) parking_lot upgradable guard across await
        tokio::task::yield_now().await;
        drop(f);
    })
    .await;
}

macro_rules! every {
    ($ms:literal, $body:expr) => {{
        $body;
        nap(Duration::from_millis($ms));
    }};
}
macro_rules! later {
    ($ms:literal, $body:expr) => {{
        $body;
        tokio::time::sleep(Duration::from_millis($ms)).await;
    }};
}

pub async fn beat(n: &mut u64) {
    every!(5, *n += 1); //~ BAD(transitive) local macro sleeps
    later!(5, *n += 1); //~ OK local macro awaits
}
