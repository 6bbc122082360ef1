use std::fs;
use std::io::{BufRead, BufReader, Cursor, Read, Seek, SeekFrom, Write};

use axum::{Json, body::Bytes, extract::{Path, State}, http::StatusCode};
use kit::{fsx, offload, store::BlobStore};
use serde::Deserialize;

use crate::state::App;

pub async fn show(State(App(app)): State<App>, Path(name): Path<String>) -> Result<String, StatusCode> {
    let path = app.path_of(&name);
    if let Some(hit) = app.disk.peek(&name) { //~ OK memory only method of the cache
        return Ok(String::from_utf8_lossy(&hit).into_owned());
    }
    let meta = fs::metadata(&path).map_err(|_| StatusCode::NOT_FOUND)?; //~ BAD(direct) fs::metadata
    if meta.len() > 1 << 20 { //~ OK accessor of Metadata
        let mut f = fs::File::open(&path).map_err(|_| StatusCode::NOT_FOUND)?; //~ BAD(direct) File::open
        f.seek(SeekFrom::End(-1024)).map_err(|_| StatusCode::RANGE_NOT_SATISFIABLE)?; //~ BAD(method) Seek on File
        let mut tail = String::new();
        f.read_to_string(&mut tail).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?; //~ BAD(method) Read on File
        return Ok(tail);
    }
    let data = app.disk.fetch(&name).map_err(|_| StatusCode::NOT_FOUND)?; //~ BAD(transitive) Cached<DiskStore>::fetch -> load -> fs::read
    Ok(String::from_utf8_lossy(&data).into_owned())
}

pub async fn upload(State(App(app)): State<App>, Path(name): Path<String>, body: Bytes) -> StatusCode {
    if !(app.scan)(&body) { //~ BAD(dynamic) boxed closure in a field writes a file
        return StatusCode::UNPROCESSABLE_ENTITY;
    }
    let first = Cursor::new(&body[..]).lines().next(); //~ OK BufRead in memory
    let Some(Ok(_)) = first else {
        return StatusCode::BAD_REQUEST;
    };
    let sum = fsx::checksum(&body[..]).unwrap_or(0); //~ OK generic reader over a slice
    app.scratch.save(&name, &sum.to_be_bytes()).ok(); //~ OK concrete MemStore
    if app.store.save(&name, &body).is_err() { //~ BAD(dynamic) Arc<dyn BlobStore> built as DiskStore
        return StatusCode::INSUFFICIENT_STORAGE;
    }
    app.remember(&name); //~ OK memory only
    StatusCode::CREATED
}

pub async fn remove(State(App(app)): State<App>, Path(name): Path<String>) -> StatusCode {
    let path = app.path_of(&name);
    match tokio::fs::remove_file(&path).await { //~ OK tokio fs
        Ok(()) => StatusCode::NO_CONTENT,
        Err(e) if e.kind() == std::io::ErrorKind::IsADirectory => {
            fs::remove_dir_all(&path).ok(); //~ BAD(direct) remove_dir_all
            StatusCode::NO_CONTENT
        }
        Err(_) => StatusCode::NOT_FOUND,
    }
}

pub async fn list(State(App(app)): State<App>) -> Json<Vec<String>> {
    let mut names = Vec::new();
    if let Ok(entries) = fs::read_dir(&app.root) { //~ BAD(direct) read_dir
        for e in entries { //~ BAD(method) ReadDir iterator reads the directory
            let Ok(e) = e else { continue };
            names.push(e.file_name().to_string_lossy().into_owned()); //~ OK accessor of DirEntry
        }
    }
    let mut slow = tokio::fs::read_dir(&app.root).await.ok(); //~ OK tokio fs
    if let Some(d) = slow.as_mut() {
        while let Ok(Some(e)) = d.next_entry().await { //~ OK tokio fs
            names.push(e.path().display().to_string());
        }
    }
    names.sort();
    Json(names)
}

#[derive(Deserialize)]
pub struct CopyReq {
    from: String,
    to: String,
}

pub async fn copy_blob(State(App(app)): State<App>, Json(req): Json<CopyReq>) -> StatusCode {
    let store = app.store.clone();
    let CopyReq { from, to } = req;
    if from.starts_with("mem:") {
        return match app.scratch.copy(&from, &to) { //~ OK default method over the memory store
            Ok(()) => StatusCode::OK,
            Err(_) => StatusCode::NOT_FOUND,
        };
    }
    if from.starts_with("now:") {
        return match store.copy(&from, &to) { //~ BAD(dynamic) default method over dyn store on disk
            Ok(()) => StatusCode::OK,
            Err(_) => StatusCode::NOT_FOUND,
        };
    }
    let job = move || store.copy(&from, &to); //~ OK stored closure, only offloaded below
    match offload::blocking(job).await { //~ OK closure in a variable, own wrapper
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::NOT_FOUND,
    }
}

pub async fn export(State(App(app)): State<App>) -> Result<Vec<u8>, StatusCode> {
    let rows: Vec<(String, u64)> = app.sessions.lock().iter().map(|(k, v)| (k.clone(), *v)).collect(); //~ OK guard dropped at the end of the statement
    let mut out = Vec::new();
    fsx::write_rows(&mut out, &rows).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?; //~ OK generic writer over Vec
    let mut spool = tempfile::tempfile().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?; //~ BAD(direct) tempfile creates a file
    fsx::write_rows(&mut spool, &rows).ok(); //~ BAD(transitive) generic writer over a File
    spool.write_all(b"end\n").ok(); //~ BAD(method) write_all on File
    out.write_all(b"end\n").ok(); //~ OK write_all on Vec
    spool.sync_all().ok(); //~ BAD(method) File::sync_all
    Ok(out)
}

/// Counts rows of an uploaded or a stored CSV.
pub async fn count(app: &crate::state::Inner, inline: Option<Bytes>, name: &str) -> usize {
    if let Some(b) = inline {
        return fsx::count_lines(BufReader::new(&b[..])); //~ OK BufReader over a slice
    }
    let path = app.path_of(name);
    let file = tokio::task::block_in_place(|| fs::File::open(&path)); //~ OK block_in_place
    match file {
        Ok(f) => fsx::count_lines(BufReader::new(f)), //~ BAD(transitive) lines of a File
        Err(_) => 0,
    }
}

pub async fn unpack(bytes: Bytes) -> std::io::Result<Vec<u8>> {
    let mut plain = fsx::gunzip(&bytes)?; //~ OK in memory
    let mut again = Vec::new();
    flate2::read::GzEncoder::new(&plain[..], flate2::Compression::fast()).read_to_end(&mut again)?; //~ OK Read in memory
    plain.flush()?; //~ OK Write for Vec
    Ok(again)
}

pub async fn archive(app: &crate::state::Inner, name: &str) -> std::io::Result<u64> {
    let src = app.path_of(name);
    let dst = fsx::sibling(&src, "gz"); //~ OK path arithmetic
    let n = fsx::gzip_file(&src, &dst)?; //~ BAD(transitive) opens, reads and writes files
    fsx::rotate(&dst, 5)?; //~ BAD(transitive) four levels down to fs::rename
    let keep = fsx::numbered(&dst, 6); //~ OK path arithmetic
    tokio::fs::remove_file(keep).await.ok(); //~ OK tokio fs
    Ok(n)
}

/// Lazy lines are consumed elsewhere in one case only.
pub async fn grep(paths: Vec<std::path::PathBuf>, needle: String) -> (usize, usize) {
    let lazy = fsx::lazy_lines(paths.clone()); //~ OK nothing is read until iterated
    let pat = needle.clone();
    let a = tokio::task::spawn_blocking(move || lazy.filter(|t| t.contains(&pat)).count()) //~ OK consumed on the blocking pool
        .await
        .unwrap_or(0);
    let mut b = 0;
    for text in fsx::lazy_lines(paths) { //~ BAD(dynamic) the loop reads the files
        b += usize::from(text.contains(&needle));
    }
    (a, b)
}
