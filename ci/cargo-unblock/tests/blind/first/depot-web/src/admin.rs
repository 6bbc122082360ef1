use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use depot_base::config::{self, Settings};
use depot_base::index::{self, Index};
use depot_util::offload::{self, Task};
use depot_util::vfs::{self, fs as memfs};

use crate::state::AppState;

pub async fn reload(State(state): State<AppState>) -> StatusCode {
    let fresh = match Settings::load(&state.root) { //~ BAD(transitive) reads the layers with std::fs
        Ok(fresh) => fresh,
        Err(_) => return StatusCode::CONFLICT,
    };
    if let Ok(newer) = config::load_offloaded(state.root.clone()).await {
        *state.settings.write().unwrap() = newer; //~ OK short lock without an await
    } else {
        *state.settings.write().unwrap() = fresh;
    }
    StatusCode::OK
}

pub async fn usage(State(state): State<AppState>) -> String {
    let total = index::tree_size(&state.root); //~ BAD(transitive) walks the tree
    let root = state.root.clone();
    let again = offload::offload(move || index::tree_size(&root)).await; //~ OK own wrapper of spawn_blocking
    format!("{total} {again}")
}

pub async fn backup(State(state): State<AppState>) -> StatusCode {
    let dump = state.root.join("dump.tar");
    let status = Command::new("tar").arg("cf").arg(&dump).arg(&state.root).status(); //~ BAD(method) waits for tar
    let listed = tokio::process::Command::new("tar").arg("tf").arg(&dump).output().await; //~ OK tokio::process
    let checked = tokio::process::Command::new("tar").arg("df").arg(&dump).status().await; //~ OK tokio::process
    match (status, listed, checked) {
        (Ok(a), Ok(_), Ok(c)) if a.success() && c.success() => StatusCode::OK,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Lists names with std and with tokio.
pub async fn names(dir: &Path) -> std::io::Result<Vec<String>> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(dir)?; //~ BAD(direct) std::fs
    for entry in entries { //~ BAD(method) ReadDir::next
        found.push(entry?.file_name().to_string_lossy().into_owned());
    }
    let mut more = tokio::fs::read_dir(dir).await?; //~ OK tokio::fs
    while let Some(entry) = more.next_entry().await? { //~ OK tokio ReadDir
        found.push(entry.file_name().to_string_lossy().into_owned());
    }
    Ok(found)
}

pub async fn grep(path: &Path, needle: &str) -> std::io::Result<usize> {
    let file = std::fs::File::open(path)?; //~ BAD(direct) std::fs::File::open
    let mut hits = 0;
    for line in std::io::BufReader::new(file).lines() { //~ BAD(method) lines of a File
        hits += usize::from(line?.contains(needle));
    }
    Ok(hits)
}

pub async fn grep_text(text: &str, needle: &str) -> usize {
    let mut hits = 0;
    for line in text.lines() { //~ OK lines of a str
        hits += usize::from(line.contains(needle));
    }
    for line in text.as_bytes().lines() { //~ OK BufRead lines of a slice
        hits += usize::from(line.is_ok_and(|l| l.contains(needle)));
    }
    hits
}

pub async fn purge(root: PathBuf) -> std::io::Result<usize> {
    let index = Index::scan(&root)?; //~ BAD(transitive) walkdir and metadata below
    let mut gone = 0;
    for path in index.stale() { //~ BAD(transitive) lazy filter asks the file system per item
        gone += path.as_os_str().len();
    }
    let found = index.search("tmp"); //~ OK search in memory
    gone += found.len();
    Ok(gone)
}

pub async fn purge_offloaded(root: PathBuf) -> usize {
    let scan = move || Index::scan(&root).map(|i| i.stale().count()); //~ OK closure goes to spawn_blocking through a variable
    let done = tokio::task::spawn_blocking(scan).await;
    done.map_or(0, |r| r.unwrap_or(0))
}

pub async fn scan_task(root: PathBuf) -> u64 {
    let task = Task::new("scan", move || index::tree_size(&root)); //~ OK closure in a field that submit offloads
    task.submit().await
}

pub async fn scan_task_here(root: PathBuf) -> u64 {
    let task = Task::new("scan", move || index::tree_size(&root));
    tokio::task::yield_now().await;
    task.run_here() //~ BAD(dynamic) runs the boxed closure on this thread
}

pub async fn scan_timed(root: &Path) -> (u64, Duration) {
    offload::timed(|| {
        index::tree_size(root) //~ BAD(transitive) timed runs the closure here
    })
}

pub async fn scan_field(root: PathBuf) -> u64 {
    let task = Task::new("scan", move || index::tree_size(&root)); //~ OK closure in a field handed to spawn_blocking
    tokio::task::spawn_blocking(task.run).await.unwrap_or(0) //~ OK field with the closure goes to the blocking pool
}

/// Builds the scanner for later.
fn scanner(root: PathBuf) -> impl FnOnce() -> u64 + Send + 'static {
    move || index::tree_size(&root)
}

pub async fn scan_returned(root: PathBuf) -> u64 {
    let job = scanner(root); //~ OK only makes the closure
    tokio::task::spawn_blocking(job).await.unwrap_or(0) //~ OK returned closure in the blocking pool
}

pub async fn scan_returned_here(root: PathBuf) -> u64 {
    let job = scanner(root);
    tokio::task::yield_now().await;
    job() //~ BAD(dynamic) closure returned from scanner
}

pub async fn motd_tree(tree: &mut vfs::Tree) -> String {
    memfs::write(tree, "motd", "hello"); //~ OK own fs module over a map
    let text = memfs::read_to_string(tree, "motd"); //~ OK own fs module over a map
    for name in memfs::read_dir(tree, "m") { //~ OK own fs module over a map
        if name.len() > 10 {
            return name.clone();
        }
    }
    let mut clock = Duration::ZERO;
    vfs::thread::sleep(&mut clock, Duration::from_secs(1)); //~ OK own thread::sleep adds to a clock
    text.unwrap_or_default()
}

pub async fn canonical(path: &Path) -> std::io::Result<PathBuf> {
    let real = path.canonicalize()?; //~ BAD(method) asks the file system
    let named = std::fs::canonicalize(path)?; //~ BAD(direct) std::fs
    let same = tokio::fs::canonicalize(path).await?; //~ OK tokio::fs
    Ok(if real == named { same } else { named })
}
