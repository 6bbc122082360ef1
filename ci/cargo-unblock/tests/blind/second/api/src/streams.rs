//! Streaming responses.
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor};
use std::path::PathBuf;
use std::pin::pin;

use axum::extract::State;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use kit::types::{FileText, MemRecords, Records};

use crate::state::App;

pub async fn tail_handler(State(App(app)): State<App>) -> String {
    let mut s = pin!(tail(app.root.join("access.log")));
    let mut out = String::new();
    while let Some(line) = s.next().await {
        out.push_str(&line);
    }
    out
}

/// Stream over a file, opened where it should not be.
pub fn tail(path: PathBuf) -> impl Stream<Item = String> {
    async_stream::stream! {
        let Ok(f) = File::open(&path) else { return }; //~ BAD(direct) File::open in stream!
        for line in BufReader::new(f).lines() { //~ BAD(method) lines of a File in a for loop
            if let Ok(l) = line {
                yield l;
            }
        }
        for line in Cursor::new("a\nb").lines() { //~ OK lines in memory
            yield line.unwrap_or_default();
        }
    }
}

pub fn chunks(path: PathBuf) -> impl Stream<Item = std::io::Result<Vec<u8>>> {
    stream::try_unfold((path, 0usize), |(p, i)| async move {
        if i > 3 {
            return Ok(None);
        }
        let part = std::fs::read(p.with_extension(i.to_string()))?; //~ BAD(direct) fs::read in try_unfold
        Ok(Some((part, (p, i + 1))))
    })
}

pub async fn total(path: PathBuf) -> std::io::Result<usize> {
    chunks(path)
        .try_fold(0, |acc, c| async move { Ok(acc + c.len()) })
        .await
}

pub async fn index(file: File, text: &str) -> Vec<String> {
    let mut out = Vec::new();
    for r in MemRecords(text.lines()) { //~ OK own iterator in memory
        out.push(r);
    }
    for r in Records::over(file) { //~ BAD(dynamic) own Iterator reads a file
        out.push(r);
    }
    out
}

pub async fn render(p: PathBuf) -> String {
    let shown = p.display().to_string(); //~ OK Path's Display
    let body = FileText(p.clone()).to_string(); //~ BAD(dynamic) own Display reads a file
    let off = tokio::task::spawn_blocking(move || FileText(p).to_string()).await; //~ OK spawn_blocking
    format!("{shown}{body}{}", off.unwrap_or_default())
}

pub async fn collect_dirs(root: PathBuf) -> Vec<PathBuf> {
    let mut dirs = vec![];
    for e in walkdir::WalkDir::new(&root).max_depth(2) { //~ BAD(method) walkdir iterator
        if let Ok(e) = e {
            dirs.push(e.into_path()); //~ OK accessor
        }
    }
    let walk = walkdir::WalkDir::new(root).into_iter(); //~ OK nothing read until iterated
    let more = tokio::task::spawn_blocking(move || walk.filter_map(Result::ok).count()).await; //~ OK iterated on the pool
    dirs.truncate(more.unwrap_or(0));
    dirs
}

pub async fn notify(rx: flume::Receiver<String>) -> usize {
    let mut s = rx.stream(); //~ OK flume's async stream
    let mut n = 0;
    while let Some(m) = s.next().await {
        n += m.len();
    }
    n
}

pub fn ticker() -> impl Stream<Item = u64> {
    stream::iter(0..10u64)
        .inspect(|_| std::thread::sleep(std::time::Duration::from_millis(1))) //~ BAD(direct) closure of inspect
        .map(|n| n * 2)
}
