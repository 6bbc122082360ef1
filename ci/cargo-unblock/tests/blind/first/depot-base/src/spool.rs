use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A lock held by a file; dropping it removes the file.
pub struct LockFile {
    path: PathBuf,
}

impl LockFile {
    pub fn acquire(path: &Path) -> io::Result<LockFile> {
        File::create_new(path)?;
        Ok(LockFile { path: path.to_owned() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Collects lines and writes them when it goes away.
pub struct SpoolBuffer {
    target: PathBuf,
    lines: Vec<String>,
}

impl SpoolBuffer {
    pub fn new(target: &Path) -> SpoolBuffer {
        SpoolBuffer { target: target.to_owned(), lines: Vec::new() }
    }

    pub fn push(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    fn flush_lines(&mut self) -> io::Result<()> {
        let mut file = File::create(&self.target)?;
        for line in self.lines.drain(..) {
            file.write_all(line.as_bytes())?;
        }
        Ok(())
    }
}

impl Drop for SpoolBuffer {
    fn drop(&mut self) {
        let _ = self.flush_lines();
    }
}

/// Counts its drops; no more.
pub struct Counted<'a> {
    pub live: &'a std::sync::atomic::AtomicUsize,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.live.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }
}

pub async fn with_lock(path: &Path, rounds: u32) -> io::Result<()> {
    let lock = LockFile::acquire(path)?; //~ BAD(transitive) File::create_new inside
    for _ in 0..rounds {
        tokio::task::yield_now().await;
    }
    drop(lock); //~ BAD(dynamic) Drop removes the file
    Ok(())
}

pub async fn spool_names(target: &Path, names: &[String]) {
    let mut buffer = SpoolBuffer::new(target); //~ OK touches nothing yet
    for name in names {
        buffer.push(name.as_str()); //~ OK pushes to a Vec
    }
    tokio::task::yield_now().await;
} //~ BAD(dynamic) SpoolBuffer is dropped here and writes its file

pub async fn spool_names_offloaded(target: &Path, names: &[String]) {
    let mut buffer = SpoolBuffer::new(target);
    for name in names {
        buffer.push(name.as_str());
    }
    let _ = tokio::task::spawn_blocking(move || drop(buffer)).await; //~ OK dropped in the blocking pool
}

pub async fn count_live(live: &std::sync::atomic::AtomicUsize) {
    live.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let ticket = Counted { live };
    tokio::task::yield_now().await;
    drop(ticket); //~ OK its Drop only counts
}
