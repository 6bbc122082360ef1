use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use crossbeam_channel as cb;
use parking_lot::Mutex as PlMutex;
use tokio::task::LocalSet;

#[derive(Clone, Default)]
pub struct Board {
    states: Arc<Mutex<Vec<(String, bool)>>>,
    names: Arc<RwLock<Vec<String>>>,
    log: Arc<PlMutex<String>>,
}

async fn report(text: &str) -> bool {
    tokio::time::sleep(Duration::from_millis(text.len() as u64)).await; //~ OK tokio timer
    true
}

/// Takes the lock for as long as the guard lives.
struct Turn<'a> {
    log: parking_lot::MutexGuard<'a, String>,
}

impl Board {
    /// Edition 2021: the guard lives through the else branch too.
    pub async fn announce(&self) -> bool {
        if let Some((name, _)) = self.states.lock().unwrap().first() { //~ BAD(method) guard lives through both branches
            report(name).await
        } else {
            report("nobody").await
        }
    }

    pub async fn announce_else(&self) -> bool {
        if let Some((_, up)) = self.states.lock().unwrap().first() { //~ BAD(method) edition 2021 keeps it through the else
            *up
        } else {
            report("nobody").await
        }
    }

    pub async fn announce_first(&self) -> bool {
        let first = self.states.lock().unwrap().first().cloned(); //~ OK temporary guard ends with the statement
        if let Some((name, _)) = first {
            report(&name).await
        } else {
            false
        }
    }

    pub async fn turn(&self) -> usize {
        let turn = Turn { log: self.log.lock() }; //~ BAD(method) guard in a struct alive across the await
        report("turn").await;
        turn.log.len()
    }

    pub async fn turn_over(&self) -> usize {
        let turn = Turn { log: self.log.lock() }; //~ OK struct with the guard dropped before the await
        let len = turn.log.len();
        drop(turn);
        report("turn").await;
        len
    }

    pub async fn rename(&self, name: &str) {
        let board = self.clone();
        let name = name.to_owned();
        let set = LocalSet::new();
        set.run_until(async move {
            let mut names = board.names.write().unwrap(); //~ BAD(method) write guard in a local task
            names.push(name);
            tokio::task::yield_now().await;
            names.sort();
        })
        .await;
    }

    pub async fn mark(&self, name: &str, up: bool) -> bool {
        self.states.lock().unwrap().push((name.to_owned(), up)); //~ OK temporary guard
        let all = self.states.lock().unwrap().iter().all(|(_, up)| *up); //~ OK temporary guard ends with the statement
        report(name).await && all
    }
}

/// Gets commands over crossbeam and flume channels.
pub async fn commands(rx: cb::Receiver<String>, other: flume::Receiver<String>) -> usize {
    let mut seen = 0;
    if let Ok(first) = rx.try_recv() { //~ OK try_recv does not wait
        seen += first.len();
    }
    if let Ok(second) = rx.recv() { //~ BAD(method) crossbeam recv
        seen += second.len();
    }
    for third in rx.iter() { //~ BAD(method) iterates over a crossbeam receiver
        seen += third.len();
        tokio::task::yield_now().await;
    }
    let last = other.recv_timeout(Duration::from_millis(5)); //~ BAD(method) flume recv_timeout
    seen + last.map_or(0, |l| l.len())
}

/// A thread that takes commands, with a sync loop.
pub fn command_thread(rx: cb::Receiver<String>, out: tokio::sync::mpsc::Sender<String>) {
    std::thread::spawn(move || {
        for command in rx.iter() { //~ OK thread of its own
            if out.blocking_send(command).is_err() { //~ OK thread of its own
                return;
            }
        }
    });
}

pub async fn command_stream(mut rx: tokio::sync::broadcast::Receiver<String>) -> usize {
    let mut seen = 0;
    while let Ok(command) = rx.recv().await { //~ OK tokio broadcast
        seen += command.len();
    }
    seen
}

pub async fn join_all(handles: Vec<std::thread::JoinHandle<u32>>) -> u32 {
    let mut sum = 0;
    for handle in handles {
        sum += join_one(handle); //~ BAD(transitive) joins a thread
        tokio::task::yield_now().await;
    }
    sum
}

fn join_one(handle: std::thread::JoinHandle<u32>) -> u32 {
    handle.join().unwrap_or(0)
}

pub async fn join_tasks(mut tasks: tokio::task::JoinSet<u32>, last: tokio::task::JoinHandle<u32>) -> u32 {
    let mut sum = last.await.unwrap_or(0); //~ OK awaits a tokio JoinHandle
    while let Some(done) = tasks.join_next().await { //~ OK tokio JoinSet
        sum += done.unwrap_or(0);
    }
    sum
}

pub async fn join_threads_offloaded(handles: Vec<std::thread::JoinHandle<u32>>) -> u32 {
    let joined = tokio::task::spawn_blocking(move || handles.into_iter().map(join_one).sum()); //~ OK joined in the blocking pool
    joined.await.unwrap_or(0)
}

/// Asks the old synchronous API for a future's value.
pub async fn nested() -> u32 {
    wait_for(async { 3 }) //~ BAD(transitive) block_on below
}

fn wait_for<F: std::future::Future>(future: F) -> F::Output {
    futures::executor::block_on(future)
}

pub async fn nested_offloaded() -> u32 {
    let value = tokio::task::spawn_blocking(|| wait_for(async { 3 })); //~ OK block_on in the blocking pool
    value.await.unwrap_or(0)
}

pub async fn countdown(from: u32) {
    let mut left = from;
    while left > 0 {
        left -= 1;
        tokio::time::sleep(Duration::from_millis(1)).await; //~ OK tokio timer
    }
    std::thread::park(); //~ BAD(direct) parks the thread
}
