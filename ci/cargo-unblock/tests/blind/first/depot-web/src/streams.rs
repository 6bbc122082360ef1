use std::collections::VecDeque;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll};

use async_stream::{stream, try_stream};
use bytes::Bytes;
use depot_base::store::ObjectStore;
use depot_util::mem::Mailbox;
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use tokio::io::{AsyncRead, ReadBuf};

/// The lines of all files, read as they are asked for.
pub fn files(paths: Vec<PathBuf>) -> impl Stream<Item = String> {
    stream! {
        for path in paths {
            let text = std::fs::read_to_string(&path); //~ BAD(direct) in stream!
            yield text.unwrap_or_default();
        }
    }
}

pub fn files_tokio(paths: Vec<PathBuf>) -> impl Stream<Item = std::io::Result<String>> {
    try_stream! {
        for path in paths {
            let text = tokio::fs::read_to_string(&path).await?; //~ OK tokio::fs in try_stream!
            yield text;
        }
    }
}

pub fn objects(store: std::sync::Arc<dyn ObjectStore>, keys: Vec<String>) -> impl Stream<Item = std::io::Result<Vec<u8>>> {
    try_stream! {
        for key in keys {
            if let Some(data) = store.get(&key)? { //~ BAD(dynamic) dyn ObjectStore in try_stream!
                yield data;
            }
        }
    }
}

pub async fn sizes(paths: Vec<PathBuf>) -> Vec<u64> {
    stream::iter(paths)
        .map(|path| {
            let meta = std::fs::metadata(&path); //~ BAD(direct) closure of a stream combinator
            meta.map_or(0, |m| m.len())
        })
        .filter(|size| futures::future::ready(*size > 0))
        .collect()
        .await
}

pub async fn sizes_tokio(paths: Vec<PathBuf>) -> Vec<u64> {
    stream::iter(paths)
        .then(|path| async move {
            let meta = tokio::fs::metadata(&path).await; //~ OK tokio::fs
            meta.map_or(0, |m| m.len())
        })
        .collect()
        .await
}

pub async fn checksums(paths: Vec<PathBuf>) -> std::io::Result<u64> {
    stream::iter(paths)
        .map(Ok::<_, std::io::Error>)
        .try_fold(0u64, |sum, path| async move {
            let trees = depot_base::index::tree_size(&path); //~ BAD(transitive) walks the tree in a fold
            Ok(sum + trees)
        })
        .await
}

pub async fn checksums_offloaded(paths: Vec<PathBuf>) -> u64 {
    stream::iter(paths)
        .map(|path| tokio::task::spawn_blocking(move || depot_base::index::tree_size(&path))) //~ OK in the blocking pool
        .buffer_unordered(4)
        .filter_map(|done| async move { done.ok() })
        .fold(0, |sum, size| async move { sum + size })
        .await
}

/// Gives what a std channel gives.
pub struct Relay {
    rx: mpsc::Receiver<Bytes>,
}

impl Relay {
    pub fn new(rx: mpsc::Receiver<Bytes>) -> Self {
        Relay { rx }
    }
}

impl Stream for Relay {
    type Item = Bytes;

    fn poll_next(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        Poll::Ready(self.rx.recv().ok()) //~ BAD(method) std recv in Stream::poll_next
    }
}

/// The same over a queue in memory.
pub struct Replay {
    inbox: Mailbox<Bytes>,
}

impl Stream for Replay {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        Poll::Ready(self.inbox.recv()) //~ OK own Mailbox::recv pops from a queue
    }
}

/// A producer of chunks.
pub trait Source: Send {
    fn next_chunk(&mut self) -> Option<Bytes>;
}

pub struct DirSource {
    pub paths: VecDeque<PathBuf>,
}

impl Source for DirSource {
    fn next_chunk(&mut self) -> Option<Bytes> {
        let path = self.paths.pop_front()?;
        std::fs::read(path).ok().map(Bytes::from)
    }
}

pub struct VecSource {
    pub chunks: VecDeque<Bytes>,
}

impl Source for VecSource {
    fn next_chunk(&mut self) -> Option<Bytes> {
        self.chunks.pop_front()
    }
}

pub struct Chunks {
    source: Box<dyn Source>,
}

impl Chunks {
    pub fn of_dir(paths: Vec<PathBuf>) -> Self {
        Chunks { source: Box::new(DirSource { paths: paths.into() }) }
    }

    pub fn of_memory(chunks: Vec<Bytes>) -> Self {
        Chunks { source: Box::new(VecSource { chunks: chunks.into() }) }
    }
}

impl Stream for Chunks {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let chunk = self.source.next_chunk(); //~ BAD(dynamic) trait object in a hand-written stream
        Poll::Ready(chunk)
    }
}

pub async fn drain_memory(chunks: Vec<Bytes>) -> usize {
    let mut source = VecSource { chunks: chunks.into() };
    let mut total = 0;
    while let Some(chunk) = source.next_chunk() { //~ OK VecSource by its type
        total += chunk.len();
        tokio::task::yield_now().await;
    }
    total
}

/// An AsyncRead that is none.
pub struct FakeAsync {
    file: std::fs::File,
}

impl FakeAsync {
    pub fn over(file: std::fs::File) -> Self {
        FakeAsync { file }
    }
}

impl AsyncRead for FakeAsync {
    fn poll_read(mut self: Pin<&mut Self>, _cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let room = buf.initialize_unfilled();
        let n = std::io::Read::read(&mut self.file, room)?; //~ BAD(direct) Read::read of a File in poll_read
        buf.advance(n);
        Poll::Ready(Ok(()))
    }
}

/// Ends when the callback says so.
pub struct Guarded<S> {
    input: S,
    stop: Box<dyn FnMut(&Bytes) -> bool + Send>,
}

impl<S> Guarded<S> {
    /// Goes on while the flag file is there.
    pub fn by_flag(input: S, flag: PathBuf) -> Self {
        Guarded { input, stop: Box::new(move |_| std::fs::metadata(&flag).is_err()) }
    }
}

impl<S: Stream<Item = Bytes> + Unpin> Stream for Guarded<S> {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let this = &mut *self;
        match this.input.poll_next_unpin(cx) {
            Poll::Ready(Some(item)) => {
                let ended = (this.stop)(&item); //~ BAD(dynamic) stored closure asks the file system
                Poll::Ready(if ended { None } else { Some(item) })
            }
            other => other,
        }
    }
}
