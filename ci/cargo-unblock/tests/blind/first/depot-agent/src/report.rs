use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use flate2::Compression;
use serde::Serialize;

#[derive(Serialize)]
struct Line {
    name: String,
    size: u64,
}

pub async fn collect(root: &Path) -> io::Result<usize> {
    let size = summary::size_of(root); //~ BAD(transitive) nested module walks the tree
    let lines = vec![Line { name: root.display().to_string(), size }];
    let mut text = Vec::new();
    serde_json::to_writer(&mut text, &lines)?; //~ OK to_writer of a Vec
    let path = root.join("report.json");
    let file = tokio::fs::File::create(&path).await?.into_std().await;
    serde_json::to_writer(&file, &lines)?; //~ BAD(transitive) to_writer of a std File
    Ok(text.len())
}

mod summary {
    use std::path::Path;

    pub(super) fn size_of(root: &Path) -> u64 {
        add(root, 1)
    }

    fn add(root: &Path, factor: u64) -> u64 {
        factor * depot_base::index::tree_size(root)
    }

    /// Only computes.
    pub(super) fn percent(part: u64, whole: u64) -> u64 {
        part * 100 / whole.max(1)
    }
}

pub async fn percent(part: u64, whole: u64) -> u64 {
    tokio::task::yield_now().await;
    summary::percent(part, whole) //~ OK only computes
}

pub async fn pack(text: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text)?; //~ OK gzip into a Vec
    let packed = encoder.finish()?; //~ OK gzip into a Vec
    let mut plain = String::new();
    let mut decoder = GzDecoder::new(&packed[..]);
    decoder.read_to_string(&mut plain)?; //~ OK gunzip of a slice
    tokio::task::yield_now().await;
    Ok(packed)
}

pub async fn unpack(path: &Path) -> io::Result<String> {
    let file = File::open(path)?; //~ BAD(direct) std::fs::File::open
    let mut plain = String::new();
    let mut decoder = GzDecoder::new(file);
    decoder.read_to_string(&mut plain)?; //~ BAD(method) gunzip of a File
    tokio::task::yield_now().await;
    Ok(plain)
}

pub async fn unpack_helper(path: PathBuf) -> io::Result<usize> {
    let file = tokio::fs::File::open(&path).await?.into_std().await;
    let plain = depot_util::textio::gunzip(file)?; //~ BAD(transitive) generic reader over a std File
    Ok(plain.len())
}

pub async fn lines_of(path: &Path) -> io::Result<usize> {
    let file = tokio::fs::File::open(path).await?.into_std().await;
    let count = depot_util::textio::count_lines(BufReader::new(file))?; //~ BAD(transitive) generic BufRead over a File
    let text = tokio::fs::read(path).await?;
    let again = depot_util::textio::count_lines(&text[..])?; //~ OK generic BufRead over a slice
    Ok(count + again)
}

pub async fn header_of(file: File) -> io::Result<String> {
    let mut reader = BufReader::new(file);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 { //~ BAD(method) BufRead of a File
        if line.starts_with('#') {
            break;
        }
        line.clear();
    }
    Ok(line)
}

pub async fn header_iter(file: File) -> Option<String> {
    let mut lines = BufReader::new(file).lines();
    tokio::task::yield_now().await;
    let first = lines.next()?; //~ BAD(method) io::Lines over a File
    first.ok()
}

pub async fn header_mem(text: &str) -> io::Result<String> {
    let mut reader = io::Cursor::new(text);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 { //~ OK BufRead of a Cursor
        if line.starts_with('#') {
            break;
        }
        line.clear();
    }
    Ok(line)
}

/// Helper for the sync tools; async callers must offload it.
fn full_report(root: &Path) -> io::Result<String> {
    let text = std::fs::read_to_string(root.join("report.json"))?; //~ OK sync helper that async code only offloads
    Ok(text)
}

/// Sync entry for the tools.
pub fn print_report(root: &Path) -> io::Result<()> {
    let text = full_report(root)?; //~ OK sync caller
    io::stderr().write_all(text.as_bytes())
}

pub async fn report_later(root: PathBuf) -> io::Result<String> {
    let text = tokio::task::spawn_blocking(move || full_report(&root)); //~ OK in the blocking pool
    text.await?
}

pub async fn report_in_place(root: &Path) -> io::Result<String> {
    tokio::task::block_in_place(|| {
        std::fs::read_to_string(root.join("report.json")) //~ OK block_in_place
    })
}

pub async fn report_thread(root: PathBuf) -> io::Result<String> {
    let (tx, rx) = tokio::sync::oneshot::channel();
    let builder = std::thread::Builder::new().name("report".into());
    builder.spawn(move || tx.send(std::fs::read_to_string(root)))?; //~ OK thread of its own
    rx.await.map_err(io::Error::other)?
}
