use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, BufWriter, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path as FsPath, PathBuf};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use depot_util::textio;

use crate::state::AppState;

pub async fn receive(
    State(state): State<AppState>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<StatusCode, StatusCode> {
    let target = state.root.join("uploads").join(name);
    write_all_parts(&target, &body).await.map_err(|_| StatusCode::INSUFFICIENT_STORAGE)?;
    Ok(StatusCode::CREATED)
}

async fn write_all_parts(target: &FsPath, body: &[u8]) -> std::io::Result<()> {
    let part = target.with_extension("part");
    if let Some(dir) = target.parent() {
        fs::create_dir_all(dir)?; //~ BAD(direct) std::fs
    }
    let mut file = File::create(&part)?; //~ BAD(direct) std::fs::File
    file.write_all(body)?; //~ BAD(method) File::write_all
    file.sync_all()?; //~ BAD(method) File::sync_all
    fs::rename(&part, target)?; //~ BAD(direct) std::fs
    Ok(())
}

pub async fn receive_offloaded(
    State(state): State<AppState>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<StatusCode, StatusCode> {
    let target = state.root.join("uploads").join(name);
    let written = tokio::task::spawn_blocking(move || -> std::io::Result<()> {
        let mut file = File::create(&target)?; //~ OK in the blocking pool
        file.write_all(&body)?; //~ OK in the blocking pool
        file.sync_all() //~ OK in the blocking pool
    });
    match written.await {
        Ok(Ok(())) => Ok(StatusCode::CREATED),
        _ => Err(StatusCode::INSUFFICIENT_STORAGE),
    }
}

pub async fn receive_tokio(
    State(state): State<AppState>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<StatusCode, StatusCode> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let target = state.root.join("uploads").join(name);
    let Ok(mut file) = tokio::fs::File::create(&target).await else { //~ OK tokio::fs::File
        return Err(StatusCode::INSUFFICIENT_STORAGE);
    };
    let wrote = file.write_all(&body).await; //~ OK AsyncWriteExt::write_all
    let synced = file.sync_all().await; //~ OK tokio File::sync_all
    if wrote.and(synced).is_err() {
        return Err(StatusCode::INSUFFICIENT_STORAGE);
    }
    let mut back = Vec::new();
    if let Ok(mut again) = tokio::fs::File::open(&target).await {
        let _ = again.read_to_end(&mut back).await; //~ OK AsyncReadExt::read_to_end
    }
    Ok(StatusCode::CREATED)
}

pub async fn append(path: &FsPath, lines: &[String]) -> std::io::Result<u64> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).read(true);
    let file = options.open(path)?; //~ BAD(method) OpenOptions::open
    let mut out = BufWriter::new(file);
    for line in lines {
        writeln!(out, "{line}")?; //~ BAD(method) writes to a buffered File
    }
    out.flush()?; //~ BAD(method) flush of a BufWriter over a File
    let size = fs::metadata(path)?.len(); //~ BAD(direct) std::fs
    Ok(size)
}

pub async fn head(path: &FsPath, count: u64) -> std::io::Result<String> {
    let file = File::open(path)?; //~ BAD(direct) std::fs::File::open
    let mut text = String::new();
    let mut head = file.take(count);
    head.read_to_string(&mut text)?; //~ BAD(method) Read on a Take<File>
    Ok(text)
}

pub async fn tail_mem(data: &[u8], count: u64) -> std::io::Result<String> {
    let mut cursor = Cursor::new(data);
    cursor.seek(SeekFrom::Start(data.len() as u64 - count))?; //~ OK Cursor in memory
    let mut text = String::new();
    cursor.read_to_string(&mut text)?; //~ OK Cursor in memory
    let mut packed: Vec<u8> = Vec::new();
    packed.write_all(text.as_bytes())?; //~ OK Write for Vec<u8>
    writeln!(packed, "end")?; //~ OK Write for Vec<u8>
    packed.flush()?; //~ OK Write for Vec<u8>
    Ok(text)
}

pub async fn verify(path: PathBuf, body: Bytes) -> std::io::Result<bool> {
    let given = textio::checksum(&body[..])?; //~ OK generic reader over a slice
    let file = tokio::fs::File::open(&path).await?.into_std().await;
    let stored = textio::checksum(file)?; //~ BAD(transitive) generic reader over a std File
    Ok(given == stored)
}

pub async fn verify_offloaded(path: PathBuf, body: Bytes) -> std::io::Result<bool> {
    let given = textio::checksum(Cursor::new(&body))?; //~ OK generic reader over a Cursor
    let stored = tokio::task::spawn_blocking(move || textio::checksum(File::open(path)?)); //~ OK in the blocking pool
    Ok(given == stored.await??)
}

pub async fn inspect(path: &FsPath, body: &[u8]) -> std::io::Result<serde_json::Value> {
    let lines = textio::count_lines(body)?; //~ OK BufRead for a slice
    let file = File::open(path)?; //~ BAD(direct) std::fs::File::open
    let reader = BufReader::new(file);
    let value: serde_json::Value = serde_json::from_reader(reader)?; //~ BAD(transitive) parses from a File
    let mut table = Vec::new();
    textio::write_table(&mut table, &[("lines".into(), lines as u64)])?; //~ OK Write for Vec<u8>
    Ok(value)
}

pub async fn export(path: &FsPath, rows: &[(String, u64)]) -> std::io::Result<File> {
    let mut file = File::create(path)?; //~ BAD(direct) std::fs::File::create
    textio::write_table(&mut file, rows)?; //~ BAD(transitive) generic writer over a File
    tokio::task::yield_now().await;
    let spare = tempfile::tempfile()?; //~ BAD(direct) creates a file
    Ok(spare)
}

pub async fn unpack(packed: Bytes) -> std::io::Result<Vec<u8>> {
    let mut first = Vec::new();
    std::io::copy(&mut packed.as_ref(), &mut first)?; //~ OK copies memory to memory
    let plain = textio::gunzip(Cursor::new(first))?; //~ OK gunzip of a Cursor
    tokio::task::yield_now().await;
    Ok(plain)
}

pub async fn store_copy(from: &FsPath, to: &FsPath) -> std::io::Result<()> {
    std::fs::copy(from, to)?; //~ BAD(direct) std::fs
    let mut perms = tokio::fs::metadata(to).await?.permissions(); //~ OK tokio::fs
    perms.set_readonly(true);
    fs::set_permissions(to, perms)?; //~ BAD(direct) std::fs
    fs::remove_file(from) //~ BAD(direct) std::fs
}
