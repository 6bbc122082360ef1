use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use depot_base::spool::{LockFile, SpoolBuffer};
use depot_base::values::{Glossary, Ledger, Segments, Tally};

pub async fn book(amounts: &[u64]) -> usize {
    let mut ledger = Ledger { path: PathBuf::from("ledger.txt") };
    let mut tally = Tally::default();
    for amount in amounts {
        ledger += *amount; //~ BAD(dynamic) AddAssign appends to a file
        tally += *amount; //~ OK AddAssign pushes to a Vec
        tokio::task::yield_now().await;
    }
    tally.0.len()
}

pub async fn replay(dir: PathBuf) -> usize {
    let mut total = 0;
    let mut segments = Segments { dir, next: 0 };
    while let Some(segment) = segments.next() { //~ BAD(dynamic) own Iterator reads a file
        total += segment.len();
        tokio::task::yield_now().await;
    }
    total
}

pub async fn replay_for(dir: PathBuf) -> usize {
    let mut total = 0;
    for segment in (Segments { dir, next: 0 }) { //~ BAD(dynamic) own Iterator reads a file
        total += segment.len();
        tokio::task::yield_now().await;
    }
    total
}

pub async fn replay_offloaded(dir: PathBuf) -> usize {
    let segments = Segments { dir, next: 0 }; //~ OK nothing is read yet
    let sizes = segments.map(|s| s.len()); //~ OK lazy, consumed in the blocking pool
    tokio::task::spawn_blocking(move || sizes.sum::<usize>()).await.unwrap_or(0) //~ OK in the blocking pool
}

pub async fn meaning(word: &str) -> usize {
    let mut loaded = HashMap::new();
    loaded.insert("depot", OnceLock::new());
    let glossary = Glossary { dir: PathBuf::from("words"), loaded };
    tokio::task::yield_now().await;
    let text = &glossary[word]; //~ BAD(dynamic) Index reads a file
    text.len()
}

pub async fn rewrite(target: &Path) {
    let mut spool = SpoolBuffer::new(target);
    spool.push("begin");
    tokio::task::yield_now().await;
    spool.push("end");
    drop(spool); //~ BAD(dynamic) Drop writes the file
}

/// Keeps the lock while the work runs on the pool.
pub async fn exclusive(path: PathBuf) -> bool {
    let held = tokio::task::spawn_blocking(move || {
        let lock = LockFile::acquire(&path)?; //~ OK in the blocking pool
        let size = std::fs::metadata(lock.path())?.len(); //~ OK in the blocking pool
        drop(lock); //~ OK in the blocking pool
        Ok::<u64, std::io::Error>(size)
    });
    held.await.is_ok_and(|r| r.is_ok())
}
