use std::path::Path as FsPath;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use depot_base::db::User;
use depot_base::hooks::Event;
use depot_base::remote;
use depot_base::store::{ObjectStore, total_size};
use depot_base::values::{Digest, LazyText, Level, Secret, Usage};
use depot_util::offload::offload;

use crate::state::AppState;

static HITS: AtomicU64 = AtomicU64::new(0);

fn fail(err: impl std::fmt::Display) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, err.to_string())
}

pub async fn get_object(
    State(state): State<AppState>,
    Path(key): Path<String>,
) -> Result<Vec<u8>, (StatusCode, String)> {
    HITS.fetch_add(1, Ordering::Relaxed);
    let found = state.store.get(&key).map_err(fail)?; //~ BAD(dynamic) dyn ObjectStore may be an FsStore
    match found {
        Some(data) => Ok(data),
        None => {
            let text = (state.fallback)(&key); //~ BAD(dynamic) function pointer in a field, reads a file
            text.map(String::into_bytes).ok_or((StatusCode::NOT_FOUND, key))
        }
    }
}

pub async fn put_object(
    State(state): State<AppState>,
    Path(key): Path<String>,
    body: Bytes,
) -> Result<StatusCode, (StatusCode, String)> {
    let store = state.store.clone();
    let name = key.clone();
    offload(move || store.put(&name, &body)).await.map_err(fail)?; //~ OK own wrapper of spawn_blocking
    state.audit.record("web", &key).map_err(fail)?; //~ BAD(transitive) AuditLog writes to a file
    Ok(StatusCode::CREATED)
}

pub async fn object_label(State(state): State<AppState>) -> &'static str {
    state.store.label() //~ OK no implementation of label waits
}

pub async fn get_scratch(
    State(state): State<AppState>,
    Path(key): Path<String>,
) -> Result<Vec<u8>, StatusCode> {
    let found = state.scratch.get(&key); //~ OK MemStore by its type
    let size = total_size(&*state.scratch, &[key]); //~ OK generic helper over a MemStore
    match (found, size) {
        (Ok(Some(data)), Ok(_)) => Ok(data),
        _ => Err(StatusCode::NOT_FOUND),
    }
}

pub async fn shared_size(state: &AppState, keys: &[String]) -> std::io::Result<u64> {
    let first = state.shared.fetch("index")?; //~ BAD(transitive) Namespaced<FsStore>
    let rest = total_size(&state.shared.inner, keys)?; //~ BAD(transitive) generic helper over an FsStore
    Ok(first.map_or(0, |d| d.len() as u64) + rest)
}

pub async fn get_user(
    State(state): State<AppState>,
    Path(id): Path<i64>,
) -> Result<String, (StatusCode, String)> {
    let user = state.db.find_user(id).map_err(fail)?; //~ BAD(transitive) rusqlite below
    Ok(user.name)
}

pub async fn get_user_offloaded(
    State(state): State<AppState>,
    Path(id): Path<i64>,
) -> Result<String, (StatusCode, String)> {
    let db = state.db.clone();
    let user = tokio::task::spawn_blocking(move || db.find_user(id)) //~ OK in the blocking pool
        .await
        .map_err(fail)?
        .map_err(fail)?;
    Ok(user.name)
}

pub async fn register(state: AppState, user: User) -> Result<(), String> {
    let added = tokio::task::block_in_place(|| state.db.add_user(&user)); //~ OK block_in_place
    added.map_err(|e| e.to_string())?;
    let event = Event { topic: "created".into(), detail: user.name };
    state.hooks.fire(&event).map_err(|e| e.to_string()) //~ BAD(dynamic) boxed hooks append to a file
}

pub async fn motd(State(state): State<AppState>) -> String {
    let path = state.root.join("motd");
    let own = depot_util::slurp_file(&path); //~ BAD(direct) re-export of std::fs::read_to_string
    let more = depot_util::slurp_or!("/etc/motd", "welcome"); //~ BAD(transitive) macro that reads a file
    own.unwrap_or_default() + &more
}

pub async fn motd_offloaded(State(state): State<AppState>) -> String {
    let path = state.root.join("motd");
    let own = depot_util::offload!(depot_util::slurp_or!(path, "hello")); //~ OK macro hands it to spawn_blocking
    own.await.unwrap_or_default()
}

pub async fn banner(State(state): State<AppState>) -> String {
    if let Some(known) = state.banners.cached("default") { //~ OK looks only into the map
        return known;
    }
    state.banners.fetch("default") //~ BAD(dynamic) stored loader reads a file
}

pub async fn post_event(State(state): State<AppState>, body: String) -> impl IntoResponse {
    let event = Event { topic: "deleted".into(), detail: body };
    for hook in state.hooks.of(&event.topic) { //~ OK only the lookup
        if hook(&event).is_err() { //~ BAD(dynamic) boxed hook removes a file
            return StatusCode::BAD_REQUEST;
        }
    }
    StatusCode::NO_CONTENT
}

pub async fn render(state: &AppState, kind: &str, text: &str) -> String {
    let Some(renderer) = state.renderers.get(kind) else {
        return text.to_owned();
    };
    renderer(text) //~ BAD(dynamic) a closure of the map reads its frame
}

pub async fn upstream_version(State(state): State<AppState>) -> String {
    let mirrors = vec!["http://a.example".to_string(), "http://b.example".to_string()];
    let mut found = remote::versions(&mirrors); //~ BAD(transitive) ureq, three calls down
    let url = state.root.display().to_string();
    found.push(offload(move || remote::fetch_text(&url).unwrap_or_default()).await); //~ OK own wrapper of spawn_blocking
    found.join(",") //~ OK join of strings
}

pub async fn thumbnail(
    State(state): State<AppState>,
    Path(key): Path<String>,
) -> Result<Vec<u8>, (StatusCode, String)> {
    let path = state.root.join(&key);
    let packed = remote::plan_upload(path.clone()).await.map_err(fail)?; //~ OK future that uses tokio::fs
    let eager = remote::prepare_upload(path); //~ BAD(transitive) reads before it gives the future
    let raw = eager.await.map_err(fail)?;
    let plain = depot_util::textio::gunzip(&packed[..]).map_err(fail)?; //~ OK gunzip of a slice
    Ok([plain, raw.to_vec()].concat())
}

pub async fn digest_of(path: &FsPath, body: &[u8]) -> (u64, u64) {
    let stored = Digest::from(path); //~ BAD(dynamic) From<&Path> reads the file
    let given = Digest::from(body); //~ OK From<&[u8]> sums memory
    (stored.0, given.0)
}

pub async fn describe(path: &FsPath) -> String {
    let text = LazyText::of(path); //~ OK keeps the path
    tokio::task::yield_now().await;
    let size = text.chars().count(); //~ BAD(dynamic) Deref reads the file
    let usage = Usage { root: path };
    let shown = usage.to_string(); //~ BAD(dynamic) Display walks the tree
    format!("{size} {shown}")
}

pub async fn login(header: &str, wanted: &str) -> bool {
    let Ok(level) = header.parse::<Level>() else { return false }; //~ OK FromStr in memory
    let Ok(secret) = wanted.parse::<Secret>(); //~ BAD(dynamic) FromStr reads a secret file
    level.0 > 1 && !secret.0.is_empty()
}

pub async fn slow_answer(rounds: u32) -> &'static str {
    for _ in 0..rounds {
        std::thread::sleep(Duration::from_millis(20)); //~ BAD(direct) thread sleep in async fn
    }
    tokio::time::sleep(Duration::from_millis(20)).await; //~ OK tokio timer
    depot_util::pause_ms!(10); //~ BAD(transitive) macro around thread::sleep
    depot_util::yield_ms!(10); //~ OK macro around the tokio timer
    "done"
}

pub async fn cached_text(state: &AppState, key: &str) -> String {
    let plain = state.texts.get_or_load(key, || key.to_uppercase()); //~ OK loader works in memory
    let read = state.texts.get_or_load("banner", || {
        let text = std::fs::read_to_string("/etc/banner"); //~ BAD(direct) closure is run by get_or_load at once
        text.unwrap_or_default()
    });
    let other = state.texts.get_or_load("issue", default_issue); //~ BAD(transitive) function value is run at once
    plain + &read + &other
}

fn default_issue() -> String {
    std::fs::read_to_string("/etc/issue").unwrap_or_default()
}

pub async fn manifest(name: Option<&str>) -> serde_json::Value {
    let text = name.map(str::to_owned).unwrap_or_else(default_issue); //~ BAD(dynamic) function value run by unwrap_or_else
    let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default(); //~ OK parses a str
    let again: Result<serde_json::Value, _> = serde_json::from_reader(text.as_bytes()); //~ OK from_reader of a slice
    again.unwrap_or(value)
}
