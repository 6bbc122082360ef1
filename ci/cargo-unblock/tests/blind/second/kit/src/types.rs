use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::ops::{AddAssign, Deref, Index, Shl};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A secret given as `file:/path` or literally; parsing reads the file.
#[derive(Clone)]
pub struct Secret(pub String);

impl FromStr for Secret {
    type Err = std::io::Error;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s.strip_prefix("file:") {
            Some(p) => Ok(Secret(std::fs::read_to_string(p)?.trim().to_owned())),
            None => Ok(Secret(s.to_owned())),
        }
    }
}

/// Parsing stays in memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level(pub u8);

impl FromStr for Level {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        s.parse::<u8>().map(Level).map_err(|e| e.to_string())
    }
}

/// Whole file in memory.
pub struct Snapshot(pub Vec<u8>);

impl From<&Path> for Snapshot {
    fn from(p: &Path) -> Self {
        Snapshot(std::fs::read(p).unwrap_or_default())
    }
}
impl From<Vec<u8>> for Snapshot {
    fn from(v: Vec<u8>) -> Self {
        Snapshot(v)
    }
}

/// Shows the text of the file it names.
pub struct FileText(pub PathBuf);
impl fmt::Display for FileText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&std::fs::read_to_string(&self.0).unwrap_or_default())
    }
}

/// Records of a file, one per line.
pub struct Records {
    inner: BufReader<File>,
}
impl Records {
    pub fn over(file: File) -> Self {
        Self { inner: BufReader::new(file) }
    }
}
impl Iterator for Records {
    type Item = String;
    fn next(&mut self) -> Option<String> {
        let mut s = String::new();
        match self.inner.read_line(&mut s) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(s.trim_end().to_owned()),
        }
    }
}

/// Records of a text in memory.
pub struct MemRecords<'a>(pub std::str::Lines<'a>);
impl Iterator for MemRecords<'_> {
    type Item = String;
    fn next(&mut self) -> Option<String> {
        self.0.next().map(str::to_owned)
    }
}

/// Append-only journal with operators.
pub struct Journal {
    file: File,
    pending: Vec<u8>,
}
impl Journal {
    pub fn attach(file: File) -> Self {
        Self { file, pending: Vec::new() }
    }
    /// Buffers only.
    pub fn write(&mut self, line: &str) {
        self.pending.extend_from_slice(line.as_bytes());
        self.pending.push(b'\n');
    }
    pub fn commit(&mut self) -> std::io::Result<()> {
        self.file.write_all(&self.pending)?;
        self.pending.clear();
        self.file.sync_data()
    }
}
impl AddAssign<&str> for Journal {
    fn add_assign(&mut self, line: &str) {
        self.write(line);
        let _ = self.commit();
    }
}
impl Drop for Journal {
    fn drop(&mut self) {
        let _ = self.commit();
    }
}

/// `dir["name"]` looks a file up in memory.
pub struct Preloaded(pub std::collections::HashMap<String, Vec<u8>>);
impl Index<&str> for Preloaded {
    type Output = [u8];
    fn index(&self, k: &str) -> &[u8] {
        self.0.get(k).map(Vec::as_slice).unwrap_or(&[])
    }
}

/// `outbox << bytes` writes to the socket.
pub struct Outbox(pub std::net::TcpStream);
impl Shl<&[u8]> for &Outbox {
    type Output = bool;
    fn shl(self, data: &[u8]) -> bool {
        (&self.0).write_all(data).is_ok()
    }
}

/// `list << item` only pushes.
#[derive(Default)]
pub struct Batch(pub Vec<u64>);
impl Shl<u64> for &mut Batch {
    type Output = usize;
    fn shl(self, n: u64) -> usize {
        self.0.push(n);
        self.0.len()
    }
}

/// Joins its thread on drop.
pub struct JoinOnDrop(pub Option<std::thread::JoinHandle<()>>);
impl Drop for JoinOnDrop {
    fn drop(&mut self) {
        if let Some(h) = self.0.take() {
            let _ = h.join();
        }
    }
}

/// Counts on drop, nothing more.
pub struct Ticket(pub std::sync::Arc<std::sync::atomic::AtomicUsize>);
impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }
}

pub struct Wrapper<T>(pub T);
impl<T> Deref for Wrapper<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}
